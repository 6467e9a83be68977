//! The ROIs of one plane as Suite2p leaves them.

use std::path::{Path, PathBuf};

use fluorspar_movie::Footprints;

use super::Session;
use super::input::{planes_of, push, sides};
use crate::Error;
use crate::numpy::{Array, Dict, Numbers, read_npy};

/// Reads `stat.npy`, `iscell.npy` and `ops.npy` of the folder of a plane. ROIs
/// are one image's: `plane0` and the tiled `combined` alike. Later versions
/// keep the mean image in `reg_outputs.npy` too.
pub(super) fn read(folder: &Path, all_rois: bool) -> Result<Session, Error> {
    let path = folder.join("stat.npy");
    let bad = |reason: String| Error::bad_data(&path, reason);
    let stat = match read_npy(&path, &["ypix", "xpix", "lam"])? {
        Array::Dicts(stat) => stat,
        Array::Numbers(none) if none.values.is_empty() => Vec::new(),
        Array::Numbers(_) => return Err(bad("is not a list of ROIs".into())),
    };
    let settings = settings(folder)?;
    let said = |key: &str| settings.iter().find_map(|(_, dict)| dict.number(key));
    let image = settings
        .iter()
        .find_map(|(path, dict)| Some((path, dict.get("meanImg")?)));
    let size = match (said("Ly"), said("Lx"), image) {
        (Some(y), Some(x), _) => sides(y as u64, x as u64).map_err(bad)?,
        (_, _, Some((_, Numbers { shape, .. }))) if shape.len() == 2 => {
            sides(shape[0] as u64, shape[1] as u64).map_err(bad)?
        }
        _ => {
            let message = "no ops.npy beside stat.npy says the size of the image (Ly, Lx)";
            return Err(Error::bad_data(folder, message));
        }
    };
    let mut footprints = Footprints::new(size.0, size.1);
    for (roi, found) in stat.iter().enumerate() {
        add(&mut footprints, found).map_err(|reason| bad(format!("ROI {roi}: {reason}")))?;
    }
    let mut session = Session::new(folder, footprints);
    if !all_rois && let Some(cells) = cells(folder, session.all)? {
        session = session.only(cells);
    }
    if let Some((path, image)) = image
        && image.shape == [size.0, size.1]
    {
        let image = planes_of(image.clone()).map_err(|e| Error::bad_data(path, e))?;
        session = session.with_mean_image(image);
    }
    Ok(session)
}

fn add(footprints: &mut Footprints, roi: &Dict) -> Result<(), String> {
    let get = |key: &str| roi.get(key).ok_or_else(|| format!("has no {key}"));
    let (y, x) = (&get("ypix")?.values, &get("xpix")?.values);
    let lam = &get("lam")?.values;
    if y.len() != x.len() || y.len() != lam.len() {
        return Err(format!(
            "has {} ypix, {} xpix and {} lam",
            y.len(),
            x.len(),
            lam.len()
        ));
    }
    let (height, width) = (footprints.height() as f64, footprints.width() as f64);
    let inside = |y: f64, x: f64| (0.0..height).contains(&y) && (0.0..width).contains(&x);
    let pixels = y.iter().zip(x).zip(lam).map(|((&y, &x), &weight)| {
        let index = if inside(y, x) {
            y as u64 * width as u64 + x as u64
        } else {
            u64::MAX
        };
        (index, weight)
    });
    push(footprints, pixels, 0)
}

/// Frames per second (Hz) of a plane, if the folder says it.
pub(crate) fn frame_rate(folder: &Path) -> Result<Option<f64>, Error> {
    let settings = settings(folder)?;
    let mut rates = settings.iter().filter_map(|(_, dict)| dict.number("fs"));
    Ok(rates.find(|&rate| rate.is_finite() && rate > 0.0))
}

/// ROIs that count as cells: the first column of `iscell.npy`, if it is there.
pub(crate) fn cells(folder: &Path, rois: usize) -> Result<Option<Vec<usize>>, Error> {
    let path = folder.join("iscell.npy");
    if !path.is_file() {
        return Ok(None);
    }
    let Array::Numbers(table) = read_npy(&path, &[])? else {
        return Err(Error::bad_data(&path, "is not a table of numbers"));
    };
    let columns = table.shape.get(1).copied().unwrap_or(1);
    if table.shape.first() != Some(&rois) || columns == 0 {
        let message = format!("is of {:?} values for {rois} ROIs", table.shape);
        return Err(Error::bad_data(&path, message));
    }
    Ok(Some(
        (0..rois)
            .filter(|roi| table.values[roi * columns] > 0.0)
            .collect(),
    ))
}

/// The dictionaries beside the ROIs that may say how large the image is and
/// show it.
fn settings(folder: &Path) -> Result<Vec<(PathBuf, Dict)>, Error> {
    let mut out = Vec::new();
    for name in ["ops.npy", "reg_outputs.npy", "db.npy", "settings.npy"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        if let Array::Dicts(dicts) = read_npy(&path, &["Ly", "Lx", "meanImg", "fs"])? {
            out.extend(dicts.into_iter().map(|dict| (path.clone(), dict)));
        }
    }
    Ok(out)
}
