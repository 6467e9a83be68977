//! `tensors_from_laps OUT SESSION.npz...`: recordings on a linear track into
//! the tensors of `fluorspar drift`.
//!
//! Each input holds events as `event_frame, event_cell, event_value`, `cell
//! (roi)` identities (−1 untracked), `trial, position, velocity (frame)`,
//! `frame_rate` and `day`, as converted from Sheintuch et al. 2020 (Current
//! Biology 30:1588). Position bins 3 to 22 of 24 stand on the time axis, once for
//! each running direction; a "trial" of the tensor is one lap there and back.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{Array0, Array1, Array3};
use ndarray_npy::{NpzReader, NpzWriter};

const BINS: usize = 24;
const FIRST: usize = 2;
const LAST: usize = 22;
/// Slowest running that counts, track lengths per second: 1 cm/s on 96 cm.
const SLOWEST: f32 = 1.0 / 96.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments
        .next()
        .ok_or("usage: tensors_from_laps OUT SESSION.npz...")?;
    std::fs::create_dir_all(&out)?;
    for (index, path) in arguments.enumerate() {
        let target = out.join(format!("session-{:02}.npz", index + 1));
        let laps = convert(&path, &target)?;
        println!("{}: {laps} laps", target.display());
    }
    Ok(())
}

/// Frames of a run from one end of the track to the other, and its direction.
struct Run {
    frames: std::ops::Range<usize>,
    forward: bool,
}

fn convert(path: &Path, target: &Path) -> Result<usize, Box<dyn Error>> {
    let mut npz = NpzReader::new(File::open(path)?)?;
    let event_frame: Array1<i32> = npz.by_name("event_frame")?;
    let event_cell: Array1<i32> = npz.by_name("event_cell")?;
    let event_value: Array1<f32> = npz.by_name("event_value")?;
    let cell: Array1<i32> = npz.by_name("cell")?;
    let trial: Array1<i16> = npz.by_name("trial")?;
    let position: Array1<f32> = npz.by_name("position")?;
    let rate: Array0<f64> = npz.by_name("frame_rate")?;
    let day: Array0<i64> = npz.by_name("day")?;
    let rate = rate.into_scalar() as f32;

    // Speed from the position, smoothed over half a second.
    let half = (rate / 4.0) as usize;
    let frames = position.len();
    let velocity = |t: usize| {
        let (a, b) = (t.saturating_sub(half), (t + half).min(frames - 1));
        (position[b] - position[a]) / ((b - a).max(1) as f32 / rate)
    };
    let moving: Vec<f32> = (0..frames)
        .map(|t| if trial[t] > 0 { velocity(t) } else { f32::NAN })
        .collect();
    let runs = runs(&position, &moving);
    let mut pairs = Vec::new();
    let mut k = 0;
    while k + 1 < runs.len() {
        if runs[k].forward == runs[k + 1].forward {
            k += 1;
        } else {
            pairs.push((k, k + 1));
            k += 2;
        }
    }
    let mut lap_of = vec![usize::MAX; frames];
    for (lap, &(a, b)) in pairs.iter().enumerate() {
        for t in runs[a].frames.clone().chain(runs[b].frames.clone()) {
            lap_of[t] = lap;
        }
    }
    let place = |t: usize| -> Option<usize> {
        if lap_of[t] == usize::MAX || moving[t].is_nan() || moving[t].abs() <= SLOWEST {
            return None;
        }
        let bin = (position[t].clamp(0.0, 0.9999) * BINS as f32) as usize;
        let side = if moving[t] > 0.0 { 0 } else { LAST - FIRST };
        (FIRST..LAST).contains(&bin).then_some(bin - FIRST + side)
    };
    let tracked: Vec<usize> = (0..cell.len()).filter(|&roi| cell[roi] >= 0).collect();
    let mut column = vec![usize::MAX; cell.len()];
    for (k, &roi) in tracked.iter().enumerate() {
        column[roi] = k;
    }
    let bins = 2 * (LAST - FIRST);
    let mut sums = Array3::<f32>::zeros((pairs.len(), tracked.len(), bins));
    let mut time = vec![0.0_f32; pairs.len() * bins];
    for t in 0..frames {
        if let Some(bin) = place(t) {
            time[lap_of[t] * bins + bin] += 1.0;
        }
    }
    for ((&t, &roi), &value) in event_frame.iter().zip(&event_cell).zip(&event_value) {
        let (t, roi) = (usize::try_from(t)?, usize::try_from(roi)?);
        if let Some(bin) = place(t)
            && column[roi] != usize::MAX
        {
            sums[[lap_of[t], column[roi], bin]] += value;
        }
    }
    for ((lap, _, bin), value) in sums.indexed_iter_mut() {
        *value /= time[lap * bins + bin].max(1.0);
    }
    let mut npz = NpzWriter::new_compressed(File::create(target)?);
    npz.add_array("activity", &sums)?;
    let identities: Array1<i64> = tracked.iter().map(|&roi| i64::from(cell[roi])).collect();
    npz.add_array("cell", &identities)?;
    let bins: Array1<f64> = (0..bins).map(|bin| bin as f64).collect();
    npz.add_array("time_s", &bins)?;
    npz.add_array("day", &ndarray::arr0(day.into_scalar() as f64))?;
    npz.finish()?;
    Ok(pairs.len())
}

/// Runs that begin in one end quarter of the track and end in the other.
fn runs(position: &Array1<f32>, moving: &[f32]) -> Vec<Run> {
    let mut out = Vec::new();
    let mut left: Option<(usize, bool)> = None;
    for (t, &p) in position.iter().enumerate() {
        if moving[t].is_nan() {
            left = None;
            continue;
        }
        let end = if p < 0.15 {
            Some(true)
        } else if p > 0.85 {
            Some(false)
        } else {
            None
        };
        match (end, left) {
            (Some(low), Some((since, from_low))) if low != from_low => {
                out.push(Run {
                    frames: since..t + 1,
                    forward: from_low,
                });
                left = Some((t, low));
            }
            (Some(low), _) => left = Some((t, low)),
            (None, _) => {}
        }
    }
    out
}
