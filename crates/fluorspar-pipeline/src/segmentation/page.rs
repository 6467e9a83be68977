//! The page of one movie's cells.

use std::path::Path;

use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Figure, Report, Section, Table};
use ndarray::{Array2, ArrayView3, Axis};

use crate::Error;
use crate::artefact::{Quality, RoiTraces, Rois};
use crate::error::Context;
use crate::figures::{MOST_PICTURES, outlines, spread};

/// Numbers that are shown as distributions.
const SHOWN: [&str; 12] = [
    "probability",
    "snr",
    "relative_area",
    "spread",
    "focus",
    "stability",
    "asymmetry",
    "duplicate",
    "neuropil_coefficient",
    "neighbours",
    "detectable",
    "decay_s",
];

/// Cells whose traces are shown.
const TRACES: usize = 14;

/// Draws the page; `stored` is the `rois.zarr` of the ROIs, `mean` is `(plane, y, x)`.
pub(super) fn page(
    rois: &Rois,
    stored: &Path,
    mean: ArrayView3<'_, f32>,
    given: usize,
) -> Result<String, Error> {
    let cells = rois.cells().len();
    let others = rois.footprints.len() - cells;
    let known = match given {
        0 => String::new(),
        _ => format!(" {given} footprints were given."),
    };
    let lead = format!("{cells} ROIs count as cells, {others} do not.{known}");
    Ok(Report::new("Cells")
        .lead(lead)
        .section(
            Section::new("Where they are")
                .text(
                    "Outlines over the mean image and over where activity was found: green for \
                     what is surely a cell in focus, yellow for what may be one, red for what is \
                     surely none, such as light from out of focus. Those above one half count as \
                     cells; the others are kept, with what speaks against them, in rois.csv.",
                )
                .block(Block::Figures(pictures(rois, mean)?)),
        )
        .section(
            Section::new("What they do")
                .text(
                    "ΔF/F of cells from the highest to the lowest signal-to-noise ratio, each \
                     scaled to its own range; ticks mark the larger half of the deconvolved \
                     events. The first two minutes.",
                )
                .block(Block::Figures(traces(rois, stored)?)),
        )
        .section(
            Section::new("How good they are")
                .text(
                    "Each curve shows one number of all ROIs, sorted: cells, and the others. \
                     docs/segmentation.md explains each number.",
                )
                .block(Block::Figures(distributions(rois)?))
                .block(Block::Table(flags(rois))),
        )
        .colophon(format!("fluorspar {}", env!("CARGO_PKG_VERSION")))
        .render())
}

fn pictures(rois: &Rois, mean: ArrayView3<'_, f32>) -> Result<Vec<Figure>, Error> {
    let planes = mean.dim().0;
    let mut out = Vec::new();
    for plane in spread(planes, MOST_PICTURES) {
        let drawn = outlines(rois, plane as u32);
        let of = |what: &str| match planes {
            1 => what.to_owned(),
            _ => format!("{what}, plane {plane}"),
        };
        let image = mean.index_axis(Axis(0), plane);
        let picture = figure::image_of_probabilities(image, &drawn).at("report")?;
        out.push(picture.titled(of("Mean")));
        let image = rois.activity_image.index_axis(Axis(0), plane);
        let picture = figure::image_of_probabilities(image, &drawn).at("report")?;
        out.push(picture.titled(of("Activity")));
    }
    Ok(out)
}

/// Traces of cells evenly from the best to the worst; none without frames.
fn traces(rois: &Rois, stored: &Path) -> Result<Vec<Figure>, Error> {
    let snr = rois.snr();
    let mut order = rois.cells();
    order.sort_by(|&a, &b| snr[b].total_cmp(&snr[a]).then(a.cmp(&b)));
    let picked: Vec<usize> = spread(order.len(), TRACES)
        .into_iter()
        .map(|k| order[k])
        .collect();
    let frames = rois.frames.min((120.0 * rois.frame_rate) as usize);
    if picked.is_empty() || frames < 2 {
        return Ok(Vec::new());
    }
    let stored = RoiTraces::open(stored)?;
    let part = |name: &str| -> Result<Array2<f32>, Error> {
        let rows = stored.pick(name, &picked)?;
        Ok(rows.view().split_at(Axis(1), frames).0.to_owned())
    };
    let names: Vec<String> = picked.iter().map(|roi| format!("ROI {roi}")).collect();
    let events = part("events")?;
    let figure = figure::traces(
        part("dff")?.view(),
        Some(events.view()),
        rois.frame_rate,
        &names,
    );
    Ok(vec![figure.at("report")?])
}

fn distributions(rois: &Rois) -> Result<Vec<Figure>, Error> {
    let mut out = Vec::new();
    for name in SHOWN {
        let Some(values) = rois.quality.get(name) else {
            continue;
        };
        let curves: Vec<Curve> = [(true, "cells"), (false, "others")]
            .into_iter()
            .filter_map(|(wanted, label)| {
                let mut kept: Vec<f64> = values
                    .iter()
                    .zip(&rois.is_cell)
                    .filter(|(v, is_cell)| **is_cell == wanted && v.is_finite())
                    .map(|(&v, _)| f64::from(v))
                    .collect();
                kept.sort_by(f64::total_cmp);
                let n = kept.len();
                let share = (0..n).map(|k| (k as f64 + 0.5) / n as f64).collect();
                (n > 1).then(|| Curve::new(label, share, kept).without_points())
            })
            .collect();
        if curves.is_empty() {
            continue;
        }
        let plot = CurvesPlot {
            x_label: "share of ROIs",
            y_label: "",
            size: (330, 200),
            ..CurvesPlot::default()
        };
        let figure = figure::curves(&plot, &curves).at("report")?;
        let meaning = Quality::meaning(name).unwrap_or_default();
        out.push(figure.titled(name.replace('_', " ")).captioned(meaning));
    }
    Ok(out)
}

/// How many cells and other ROIs carry each flag.
fn flags(rois: &Rois) -> Table {
    let mut counts = std::collections::BTreeMap::<&str, [usize; 2]>::new();
    for (flags, &is_cell) in rois.flags.iter().zip(&rois.is_cell) {
        for flag in flags.split("; ").filter(|flag| !flag.is_empty()) {
            counts.entry(flag).or_default()[usize::from(!is_cell)] += 1;
        }
    }
    let row = |(flag, [cells, others]): (&str, [usize; 2])| {
        vec![flag.to_owned(), cells.to_string(), others.to_string()]
    };
    Table {
        header: ["flag", "cells", "others"].map(str::to_owned).to_vec(),
        rows: counts.into_iter().map(row).collect(),
    }
}
