//! From names on a command line to sessions: the kinds of files that say what
//! the ROIs of a session are.

use std::path::Path;

use fluorspar_movie::Footprints;
use fluorspar_segment::footprints_from_label_volume;
use fluorspar_zarr::GroupReader;
use ndarray::{Array3, Axis};

use super::Session;
use super::suite2p;
use crate::artefact::{Rois, read_planes};
use crate::error::Context;
use crate::numpy::{Npz, Numbers};
use crate::{Error, segmentation, source};

/// Reads one session: a `rois.zarr`, a folder with one, a plane folder of
/// Suite2p, a `.npz` of footprints, or an image of labels. ROIs that do not
/// count as cells are left out unless `all_rois`.
pub(crate) fn read_session(path: &Path, all_rois: bool) -> Result<Session, Error> {
    if !path.exists() {
        return Err(Error::bad_data(path, "no such file"));
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    if path.is_dir() && !source::is_zarr(path) {
        let rois = path.join("rois.zarr");
        if rois.is_dir() {
            return from_rois(&rois, all_rois);
        }
        if path.join("stat.npy").is_file() {
            return suite2p::read(path, all_rois);
        }
        for inner in ["plane0", "suite2p/plane0"] {
            if path.join(inner).join("stat.npy").is_file() {
                let message = format!("holds results of Suite2p; name one plane, such as {inner}");
                return Err(Error::bad_data(path, message));
            }
        }
        let message = "holds no ROIs: neither rois.zarr nor stat.npy of Suite2p is in it";
        return Err(Error::bad_data(path, message));
    }
    if path.is_dir() && is_rois(path) {
        return from_rois(path, all_rois);
    }
    match extension.as_deref() {
        Some("npz") => from_npz(path),
        Some("npy") => Err(Error::bad_data(
            path,
            "is not a session; for results of Suite2p name the folder of the plane",
        )),
        _ => from_labels(path),
    }
}

/// Whether a path holds footprints rather than an image.
pub(crate) fn holds_footprints(path: &Path) -> bool {
    let npz = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    npz || path.is_dir() && (!source::is_zarr(path) || is_rois(path))
}

fn is_rois(path: &Path) -> bool {
    let names = GroupReader::open(path).and_then(|group| group.names());
    names.is_ok_and(|names| names.iter().any(|name| name == "indptr"))
}

fn from_rois(path: &Path, all_rois: bool) -> Result<Session, Error> {
    let (footprints, cells) = Rois::read_footprints(path)?;
    let session = Session::new(path, footprints);
    let session = if all_rois {
        session
    } else {
        session.only(cells)
    };
    Ok(match mean_image(path)? {
        Some(image) => session.with_mean_image(image),
        None => session,
    })
}

/// The mean image of the movie that a `rois.zarr` came from: its own, or that
/// of the registration or the denoised movie in the same folder.
fn mean_image(rois: &Path) -> Result<Option<Array3<f32>>, Error> {
    let beside = rois.parent().unwrap_or(Path::new(""));
    for (path, name) in [
        (rois.to_path_buf(), "mean_image"),
        (beside.join("motion.zarr"), "mean_image"),
        (beside.join("lowrank.zarr"), "mean"),
    ] {
        if !path.is_dir() {
            continue;
        }
        let group = GroupReader::open(&path).at(path.display())?;
        if group.names().at(path.display())?.iter().any(|n| n == name) {
            return read_planes(&group, name, &path).map(Some);
        }
    }
    Ok(None)
}

/// Labels of an image, one page per plane; ROI k is the k-th label, ascending.
fn from_labels(path: &Path) -> Result<Session, Error> {
    let labels = segmentation::labels(path)?;
    let (_, height, width) = labels.dim();
    if labels.iter().all(|&label| label == 0) {
        return Ok(Session::new(path, Footprints::new(height, width)));
    }
    let found = footprints_from_label_volume(labels.view(), labels.dim()).at(path.display())?;
    Ok(Session::new(path, found.footprints))
}

fn from_npz(path: &Path) -> Result<Session, Error> {
    let bad = |reason: String| Error::bad_data(path, reason);
    let (footprints, image) = parse_npz(Npz::open(path)?).map_err(bad)?;
    let session = Session::new(path, footprints);
    Ok(match image {
        Some(image) => session.with_mean_image(image),
        None => session,
    })
}

/// Footprints and mean image of compressed rows: `indptr` (roi + 1), `indices`
/// (flat y·width + x), `weights`, `shape` (y, x) or (plane, y, x), and if
/// there are any `plane` (roi) and `mean_image` (y, x) or (plane, y, x).
pub(super) fn parse_npz(mut file: Npz) -> Result<(Footprints, Option<Array3<f32>>), String> {
    let indptr = whole(&mut file, "indptr")?;
    let indices = whole(&mut file, "indices")?;
    let shape = whole(&mut file, "shape")?;
    let weights = file
        .get("weights")?
        .ok_or_else(|| missing("weights"))?
        .values;
    let rois = indptr.len().saturating_sub(1);
    let planes = match file.get("plane")? {
        Some(_) => whole(&mut file, "plane")?,
        None => vec![0; rois],
    };
    let &[.., height, width] = shape.as_slice() else {
        return Err("shape must hold the numbers of rows and columns".into());
    };
    let (height, width) = sides(height, width)?;
    if indptr.first() != Some(&0)
        || indptr.last() != Some(&(indices.len() as u64))
        || indptr.windows(2).any(|pair| pair[0] > pair[1])
    {
        return Err(format!(
            "indptr must ascend from 0 to the number of indices, {}",
            indices.len()
        ));
    }
    if weights.len() != indices.len() || planes.len() != rois {
        return Err(format!(
            "{rois} ROIs of {} indices have {} weights and {} planes",
            indices.len(),
            weights.len(),
            planes.len()
        ));
    }
    let mut footprints = Footprints::new(height, width);
    for (roi, row) in indptr.windows(2).enumerate() {
        let range = row[0] as usize..row[1] as usize;
        let weights = weights[range.clone()].iter().copied();
        let pixels = indices[range].iter().copied().zip(weights);
        push(&mut footprints, pixels, planes[roi]).map_err(|e| format!("ROI {roi}: {e}"))?;
    }
    let image = file.get("mean_image")?.map(planes_of).transpose()?;
    Ok((footprints, image))
}

/// An array of whole numbers.
fn whole(file: &mut Npz, name: &str) -> Result<Vec<u64>, String> {
    let numbers = file.get(name)?.ok_or_else(|| missing(name))?.values;
    let is_odd = |v: &&f64| !(**v >= 0.0 && v.fract() == 0.0);
    match numbers.iter().find(is_odd) {
        Some(odd) => Err(format!("{name} holds {odd}; it must hold whole numbers")),
        None => Ok(numbers.iter().map(|&v| v as u64).collect()),
    }
}

fn missing(name: &str) -> String {
    format!("holds no array {name:?}; it needs indptr, indices, weights and shape")
}

/// An image size that can be: its pixels fit into memory and into flat indices.
pub(super) fn sides(height: u64, width: u64) -> Result<(usize, usize), String> {
    match height.checked_mul(width) {
        Some(1..=0x1000_0000) => Ok((height as usize, width as usize)),
        _ => Err(format!("an image of {height} x {width} pixels is not one")),
    }
}

/// Adds a ROI whose pixels are in any order; those without weight are left out.
pub(super) fn push(
    footprints: &mut Footprints,
    pixels: impl Iterator<Item = (u64, f64)>,
    plane: u64,
) -> Result<(), String> {
    let size = (footprints.height() * footprints.width()) as u64;
    let mut sorted = Vec::new();
    for (index, weight) in pixels {
        if index >= size {
            return Err("a pixel lies outside the image".into());
        }
        if !weight.is_finite() {
            return Err(format!("a weight is {weight}"));
        }
        if weight > 0.0 {
            sorted.push((index as u32, weight as f32));
        }
    }
    let plane = u32::try_from(plane).ok().filter(|&plane| plane < 1 << 16);
    let plane = plane.ok_or("its plane is beyond any stack")?;
    sorted.sort_by_key(|&(index, _)| index);
    sorted.dedup_by_key(|&mut (index, _)| index);
    let (indices, weights): (Vec<u32>, Vec<f32>) = sorted.into_iter().unzip();
    footprints
        .push(&indices, &weights, plane)
        .map_err(|_| "it has no pixel of positive weight".into())
}

/// An image of one or several planes.
pub(super) fn planes_of(image: Numbers) -> Result<Array3<f32>, String> {
    let Numbers { shape, values } = image;
    let odd = format!("the mean image must be (y, x) or (plane, y, x), not {shape:?}");
    let shape = match shape[..] {
        [y, x] => (1, y, x),
        [plane, y, x] => (plane, y, x),
        _ => return Err(odd),
    };
    let values = values.iter().map(|&v| v as f32).collect();
    Array3::from_shape_vec(shape, values).map_err(|_| odd)
}

/// The image of one plane, or nothing if there is no such plane.
pub(super) fn plane(image: &Array3<f32>, plane: usize) -> Option<ndarray::ArrayView2<'_, f32>> {
    (plane < image.len_of(Axis(0))).then(|| image.index_axis(Axis(0), plane))
}
