//! A `rois.zarr` as a recording.

use std::path::{Path, PathBuf};

use fluorspar_zarr::GroupReader;
use ndarray::{Array1, Ix1};

use super::activity::{Activity, Stored};
use super::clock::Clock;
use super::recording::{Making, Recording, mean, median};
use crate::artefact::{MotionTable, Rois};
use crate::error::Context;
use crate::{Error, source};

/// The `rois.zarr` that a path names: itself, or the one in the folder.
pub(crate) fn find(path: &Path) -> Result<PathBuf, Error> {
    if !path.exists() {
        return Err(Error::bad_data(path, "no such file or folder"));
    }
    if source::is_zarr(path) {
        return Ok(path.to_path_buf());
    }
    let inner = path.join("rois.zarr");
    if inner.is_dir() {
        return Ok(inner);
    }
    Err(Error::bad_data(
        path,
        "is no rois.zarr and holds none; `fluorspar segment` or `fluorspar run` makes one",
    ))
}

/// Opens events or ΔF/F, and reads what else is known; of all ROIs.
pub(crate) fn read(path: &Path, making: &Making<'_>) -> Result<Recording, Error> {
    let path = find(path)?;
    let (footprints, cells) = Rois::read_footprints(&path)?;
    let group = GroupReader::open(&path).at(path.display())?;
    let names = group.names().at(path.display())?;
    let has = |name: &str| names.iter().any(|known| known == name);
    let rois = footprints.len();
    let per_roi = |name: &str| -> Result<Option<Array1<f32>>, Error> {
        if !has(name) {
            return Ok(None);
        }
        let array = group.array::<f32>(name).at(path.display())?;
        let array = array.into_dimensionality::<Ix1>().ok();
        let array = array.filter(|a| a.len() == rois);
        array.map(Some).ok_or_else(|| {
            let message = format!("the array {name:?} must have one value for each ROI");
            Error::bad_data(&path, message)
        })
    };
    let rate = rate(&group, &path, making)?;
    let name = if making.events() { "events" } else { "dff" };
    let activity = Activity::Stored(Stored::open(&path, name, rois)?);
    let mut recording = Recording::new(&path, activity, Clock::regular(rate));
    let centres = (0..rois).map(|roi| {
        let (y, x) = footprints.centroid(roi);
        [f64::from(footprints.planes()[roi]), y, x]
    });
    recording.centre = Some(centres.collect());
    if let Some(absent) = per_roi("absent")? {
        recording.visible = absent.iter().map(|&a| a != 1.0).collect();
    }
    let mut told = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            recording.covariates.insert(name.to_owned(), value);
        }
    };
    for name in ["snr", "noise"] {
        if let Some(values) = per_roi(name)? {
            told(
                name,
                median(cells.iter().map(|&roi| f64::from(values[roi]))),
            );
        }
    }
    if has("F") {
        told("mean_fluorescence", mean_of_cells(&path, rois, &cells)?);
    }
    let motion = path.with_file_name("motion.zarr");
    if motion.is_dir() {
        let motion = MotionTable::read(&motion)?;
        told("motion_px", movement(&motion));
        let quality = motion.quality.iter().map(|&q| f64::from(q));
        told("registration_quality", mean(quality));
    }
    recording.cells = cells;
    Ok(recording)
}

/// Frames per second (Hz) of what a path names, without reading more.
pub(crate) fn frame_rate(path: &Path, making: &Making<'_>) -> Result<f64, Error> {
    let path = find(path)?;
    let group = GroupReader::open(&path).at(path.display())?;
    rate(&group, &path, making)
}

fn rate(group: &GroupReader, path: &Path, making: &Making<'_>) -> Result<f64, Error> {
    // What the file says is what its frames were cut with.
    match group.attribute("frame_rate").and_then(|v| v.as_f64()) {
        Some(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => making.rate(path, None),
    }
}

/// Mean fluorescence of all cells, ascending; their traces are read some at a time.
fn mean_of_cells(path: &Path, rois: usize, cells: &[usize]) -> Result<Option<f64>, Error> {
    let (mut sum, mut count) = (0.0, 0_usize);
    let traces = Stored::open(path, "F", rois)?;
    for panel in traces.panels() {
        let place = |roi: usize| cells.partition_point(|&cell| cell < roi);
        let here = &cells[place(panel.start)..place(panel.end)];
        if here.is_empty() {
            continue;
        }
        let first = panel.start;
        let part = traces.rows(panel)?;
        for roi in here {
            for value in part.row(roi - first).iter().filter(|v| v.is_finite()) {
                sum += f64::from(*value);
                count += 1;
            }
        }
    }
    Ok((count > 0).then(|| sum / count as f64))
}

/// Root mean square of the step from frame to frame, pixels.
fn movement(motion: &MotionTable) -> Option<f64> {
    let step = |values: &[f32], k: usize| f64::from(values[k + 1]) - f64::from(values[k]);
    let steps = (0..motion.dy.len().min(motion.dx.len()).saturating_sub(1))
        .map(|k| step(&motion.dy, k).powi(2) + step(&motion.dx, k).powi(2));
    mean(steps).map(f64::sqrt)
}
