//! Results of Suite2p as a recording.

use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::activity::Activity;
use super::clock::Clock;
use super::recording::{Making, Recording, mean};
use crate::Error;
use crate::numpy::{Array, Numbers, read_npy, read_numbers};
use crate::tracking::suite2p as rois;

/// Reads the folder of one plane, or all planes of the folder above it, ROIs
/// of `plane0` first as in Suite2p's `combined`: `F.npy` and `Fneu.npy`, or
/// `spks.npy` if events are asked for and it is there.
pub(crate) fn read(path: &Path, making: &Making<'_>) -> Result<Recording, Error> {
    let folders = planes(path)?;
    let mut planes = Vec::new();
    for (number, folder) in folders.iter().enumerate() {
        planes.push(plane(folder, number, making)?);
    }
    let rate = planes[0].rate;
    if let Some(other) = planes
        .iter()
        .position(|p| (p.rate / rate - 1.0).abs() > 1e-6)
    {
        let message = format!(
            "is at {} Hz, but plane 0 is at {rate} Hz",
            planes[other].rate
        );
        return Err(Error::bad_data(&folders[other], message));
    }
    // The last volume may lack its last planes.
    let frames = planes.iter().map(|p| p.activity.ncols()).min().unwrap_or(0);
    let views: Vec<ArrayView2<'_, f32>> = planes
        .iter()
        .map(|p| p.activity.view().split_at(Axis(1), frames).0)
        .collect();
    let activity =
        concatenate(Axis(0), &views).map_err(|e| Error::bad_data(path, e.to_string()))?;
    let mut recording = Recording::new(path, Activity::held(activity), Clock::regular(rate));
    recording.cells.clear();
    let (mut first, mut centres) = (0, Vec::new());
    for plane in &planes {
        let cells = plane.cells.iter().map(|&roi| first + roi);
        recording.cells.extend(cells);
        first += plane.activity.nrows();
        centres.extend_from_slice(&plane.centre);
    }
    recording.centre = Some(centres);
    if let Some(value) = mean(planes.iter().filter_map(|p| p.mean_fluorescence)) {
        let name = "mean_fluorescence".to_owned();
        recording.covariates.insert(name, value);
    }
    Ok(recording)
}

/// Planes beyond this are no stack.
const MOST_PLANES: usize = 10_000;

/// The folders of planes that a path names.
fn planes(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Err(Error::bad_data(path, "no such folder of Suite2p"));
    }
    let has_traces =
        |folder: &Path| folder.join("F.npy").is_file() || folder.join("spks.npy").is_file();
    if has_traces(path) {
        return Ok(vec![path.to_path_buf()]);
    }
    for folder in [path.to_path_buf(), path.join("suite2p")] {
        let planes: Vec<PathBuf> = (0..MOST_PLANES)
            .map(|plane| folder.join(format!("plane{plane}")))
            .take_while(|plane| has_traces(plane))
            .collect();
        if !planes.is_empty() {
            return Ok(planes);
        }
    }
    Err(Error::bad_data(
        path,
        "holds no F.npy of Suite2p; name the folder of a plane, or the one that holds plane0",
    ))
}

struct Plane {
    activity: Array2<f32>,
    rate: f64,
    cells: Vec<usize>,
    centre: Vec<[f64; 3]>,
    mean_fluorescence: Option<f64>,
}

fn plane(folder: &Path, number: usize, making: &Making<'_>) -> Result<Plane, Error> {
    let rate = making.rate(folder, rois::frame_rate(folder)?)?;
    let spikes = folder.join("spks.npy");
    let fluorescence = folder.join("F.npy");
    let f = if fluorescence.is_file() {
        Some(traces(&fluorescence)?)
    } else {
        None
    };
    let activity = if making.events() && spikes.is_file() {
        traces(&spikes)?
    } else {
        let Some(f) = &f else {
            return Err(Error::bad_data(folder, "holds no F.npy to make ΔF/F of"));
        };
        let around = folder.join("Fneu.npy");
        let around = if around.is_file() {
            Some(like(f, traces(&around)?, &around)?)
        } else {
            None
        };
        let around = around.as_ref().map(|around| around.view());
        let dff = making.delta(f.view(), around, rate, folder)?;
        if making.events() {
            making.deconvolved(dff.view(), rate, folder)?
        } else {
            dff
        }
    };
    let count = activity.nrows();
    let cells = rois::cells(folder, count)?;
    let cells = cells.unwrap_or_else(|| (0..count).collect());
    let mean_fluorescence = f.and_then(|f| {
        let known = cells.iter().filter(|&&roi| roi < f.nrows());
        mean(known.flat_map(|&roi| f.row(roi).to_vec()).map(f64::from))
    });
    Ok(Plane {
        centre: centres(folder, number, count)?,
        activity,
        rate,
        cells,
        mean_fluorescence,
    })
}

/// Traces `(roi, frame)`.
fn traces(path: &Path) -> Result<Array2<f32>, Error> {
    let (shape, values) = read_numbers(path)?;
    let &[rois, frames] = shape.as_slice() else {
        let message = format!("must be (roi, frame), but has the shape {shape:?}");
        return Err(Error::bad_data(path, message));
    };
    Array2::from_shape_vec((rois, frames), values).map_err(|e| Error::bad_data(path, e.to_string()))
}

fn like(f: &Array2<f32>, other: Array2<f32>, path: &Path) -> Result<Array2<f32>, Error> {
    if other.dim() == f.dim() {
        return Ok(other);
    }
    let message = format!("is {:?}, but F.npy is {:?}", other.dim(), f.dim());
    Err(Error::bad_data(path, message))
}

/// Centres as `stat.npy` says them; NaN without it.
fn centres(folder: &Path, plane: usize, rois: usize) -> Result<Vec<[f64; 3]>, Error> {
    let path = folder.join("stat.npy");
    if !path.is_file() {
        return Ok(vec![[plane as f64, f64::NAN, f64::NAN]; rois]);
    }
    let stat = match read_npy(&path, &["ypix", "xpix", "iplane"])? {
        Array::Dicts(stat) => stat,
        Array::Numbers(none) if none.values.is_empty() => Vec::new(),
        Array::Numbers(_) => return Err(Error::bad_data(&path, "is not a list of ROIs")),
    };
    if stat.len() != rois {
        let message = format!(
            "tells of {} ROIs, but there are traces of {rois}",
            stat.len()
        );
        return Err(Error::bad_data(&path, message));
    }
    let middle = |numbers: Option<&Numbers>| {
        numbers
            .and_then(|n| mean(n.values.iter().copied()))
            .unwrap_or(f64::NAN)
    };
    let centre = |roi: &crate::numpy::Dict| {
        let plane = roi.number("iplane").unwrap_or(plane as f64);
        [plane, middle(roi.get("ypix")), middle(roi.get("xpix"))]
    };
    Ok(stat.iter().map(centre).collect())
}
