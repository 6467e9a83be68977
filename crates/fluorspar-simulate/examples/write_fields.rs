//! `write_fields OUT [--sessions N] [--cells N] ...`: simulated ROIs of many
//! sessions with known identities.
//!
//! Writes `OUT/session-01.npz`, … with `indptr (roi + 1)`, `indices` (flat
//! `y · width + x`), `weights` (largest of a ROI 1), `plane (roi)`, `shape`
//! (height, width), `mean_image (plane, y, x)` unless `--no-images` is given,
//! and `cell (roi)`, −1 for no cell; and `OUT/truth.json` with the plan and
//! each session's planted placement. Options that are not given are those of
//! `FieldsPlan::default()`.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use fluorspar_simulate::{FieldSession, Fields, FieldsPlan};
use ndarray::{Array1, arr1};
use ndarray_npy::NpzWriter;
use serde_json::json;

const USAGE: &str = "usage: write_fields OUT [--sessions N] [--cells N] [--planes N] [--height H] \
    [--width W] [--seed S] [--diameter X] [--spacing X] [--jitter X] [--shape-noise X] \
    [--fragments X] [--merges X] [--turnover X] [--shift X] [--rotation X] [--scale X] [--warp X] \
    [--warp-length X] [--false-rois X] [--axial N] [--contrast X] [--image-noise X] [--no-images]";

fn main() -> Result<(), Box<dyn Error>> {
    let (out, plan) = arguments(std::env::args().skip(1))?;
    std::fs::create_dir_all(&out)?;
    let start = Instant::now();
    let fields = Fields::build(&plan)?;
    let built = start.elapsed().as_secs_f64();
    for (index, session) in fields.sessions.iter().enumerate() {
        let path = out.join(format!("session-{:02}.npz", index + 1));
        write(&plan, session, &path)?;
        println!("{}: {} ROIs", path.display(), session.cell.len());
    }
    let truth = BufWriter::new(File::create(out.join("truth.json"))?);
    serde_json::to_writer_pretty(truth, &truth_of(&fields))?;
    let total = start.elapsed().as_secs_f64();
    println!("built in {built:.1} s, written after {total:.1} s");
    Ok(())
}

fn arguments(
    mut words: impl Iterator<Item = String>,
) -> Result<(PathBuf, FieldsPlan), Box<dyn Error>> {
    let out = words
        .next()
        .filter(|word| !word.starts_with('-'))
        .ok_or(USAGE)?;
    let mut plan = FieldsPlan::default();
    while let Some(name) = words.next() {
        if name == "--no-images" {
            plan.mean_images = false;
            continue;
        }
        let value = words
            .next()
            .ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--sessions" => set(&mut plan.sessions, &name, &value)?,
            "--cells" => set(&mut plan.cells, &name, &value)?,
            "--planes" => set(&mut plan.planes, &name, &value)?,
            "--height" => set(&mut plan.height, &name, &value)?,
            "--width" => set(&mut plan.width, &name, &value)?,
            "--seed" => set(&mut plan.seed, &name, &value)?,
            "--diameter" => set(&mut plan.diameter_px, &name, &value)?,
            "--spacing" => set(&mut plan.spacing, &name, &value)?,
            "--jitter" => set(&mut plan.jitter_px, &name, &value)?,
            "--shape-noise" => set(&mut plan.shape_noise, &name, &value)?,
            "--fragments" => set(&mut plan.fragment_fraction, &name, &value)?,
            "--merges" => set(&mut plan.merge_fraction, &name, &value)?,
            "--turnover" => set(&mut plan.turnover, &name, &value)?,
            "--shift" => set(&mut plan.shift_px, &name, &value)?,
            "--rotation" => set(&mut plan.rotation_deg, &name, &value)?,
            "--scale" => set(&mut plan.scale, &name, &value)?,
            "--warp" => set(&mut plan.warp_px, &name, &value)?,
            "--warp-length" => set(&mut plan.warp_length_px, &name, &value)?,
            "--false-rois" => set(&mut plan.false_rois, &name, &value)?,
            "--axial" => set(&mut plan.axial_planes, &name, &value)?,
            "--contrast" => set(&mut plan.cell_contrast, &name, &value)?,
            "--image-noise" => set(&mut plan.image_noise, &name, &value)?,
            _ => return Err(format!("no option {name}\n{USAGE}").into()),
        }
    }
    Ok((out.into(), plan))
}

fn set<T: FromStr>(field: &mut T, name: &str, value: &str) -> Result<(), String> {
    *field = value
        .parse()
        .map_err(|_| format!("{name} cannot be {value}"))?;
    Ok(())
}

fn write(plan: &FieldsPlan, session: &FieldSession, path: &Path) -> Result<(), Box<dyn Error>> {
    let rois = &session.footprints;
    let whole = |values: &[u32]| -> Array1<i64> { values.iter().map(|&v| i64::from(v)).collect() };
    let indptr: Array1<i64> = rois.indptr().iter().map(|&v| v as i64).collect();
    let mut npz = NpzWriter::new(File::create(path)?);
    npz.add_array("indptr", &indptr)?;
    npz.add_array("indices", &whole(rois.indices()))?;
    npz.add_array("weights", &arr1(rois.weights()))?;
    npz.add_array("plane", &whole(rois.planes()))?;
    npz.add_array("shape", &arr1(&[plan.height as i64, plan.width as i64]))?;
    npz.add_array("cell", &arr1(&session.cell))?;
    if let Some(image) = &session.mean_image {
        npz.add_array("mean_image", image)?;
    }
    npz.finish()?;
    Ok(())
}

fn truth_of(fields: &Fields) -> serde_json::Value {
    let plan = fields.plan();
    let sessions: Vec<_> = fields
        .sessions
        .iter()
        .map(|session| {
            let placement = &session.placement;
            json!({
                "shift_px": [placement.shift.0, placement.shift.1],
                "rotation_deg": placement.rotation_deg,
                "scale": placement.scale,
                "axial_planes": placement.axial,
                "rois": session.cell.len(),
                "cells_present": session.present.iter().filter(|&&present| present).count(),
                "cells_detected": session.cell.iter().filter(|&&cell| cell >= 0).count(),
            })
        })
        .collect();
    json!({
        "plan": {
            "sessions": plan.sessions,
            "cells": plan.cells,
            "planes": plan.planes,
            "height": plan.height,
            "width": plan.width,
            "seed": plan.seed,
            "diameter_px": plan.diameter_px,
            "spacing": plan.spacing,
            "jitter_px": plan.jitter_px,
            "shape_noise": plan.shape_noise,
            "fragment_fraction": plan.fragment_fraction,
            "turnover": plan.turnover,
            "merge_fraction": plan.merge_fraction,
            "shift_px": plan.shift_px,
            "rotation_deg": plan.rotation_deg,
            "scale": plan.scale,
            "warp_px": plan.warp_px,
            "warp_length_px": plan.warp_length_px,
            "axial_planes": plan.axial_planes,
            "false_rois": plan.false_rois,
            "mean_images": plan.mean_images,
            "cell_contrast": plan.cell_contrast,
            "vignetting": plan.vignetting,
            "brightness_range": plan.brightness_range,
            "image_noise": plan.image_noise,
        },
        "tissue_cells": fields.centres.len(),
        "sessions": sessions,
    })
}
