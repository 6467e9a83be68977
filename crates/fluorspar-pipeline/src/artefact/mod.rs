//! The files of a run: one module per artefact, each with its reader and its
//! atomic writer.

mod lowrank;
mod lowrank_planes;
mod motion;
mod quality;
mod rois;
mod tracks;
mod volumes;

pub use lowrank::read_lowrank;
pub(crate) use lowrank::{Provenance, StoredLowRank, is_lowrank, read_lowrank_head, write_lowrank};
pub(crate) use lowrank_planes::join_planes;
pub use motion::MotionTable;
pub(crate) use motion::{read_motion, write_motion};
pub use quality::Quality;
pub(crate) use rois::RoisWriter;
pub use rois::{RoiTraces, Rois};
pub use tracks::TrackTable;
pub(crate) use tracks::verdict_word;
pub(crate) use volumes::{RegisteredVolumes, read_motions, write_volume_motion};

use std::path::Path;

use fluorspar_zarr::GroupReader;
use ndarray::{Array1, Array2, Array3};

use crate::Error;
use crate::error::Context;

fn read_1d<T: fluorspar_zarr::Element>(
    group: &GroupReader,
    name: &str,
    path: &Path,
) -> Result<Array1<T>, Error> {
    group
        .array::<T>(name)
        .at(path.display())?
        .into_dimensionality()
        .map_err(|_| Error::bad_data(path, format!("the array {name:?} must have one axis")))
}

fn read_2d<T: fluorspar_zarr::Element>(
    group: &GroupReader,
    name: &str,
    path: &Path,
) -> Result<Array2<T>, Error> {
    group
        .array::<T>(name)
        .at(path.display())?
        .into_dimensionality()
        .map_err(|_| Error::bad_data(path, format!("the array {name:?} must have two axes")))
}

fn read_3d<T: fluorspar_zarr::Element>(
    group: &GroupReader,
    name: &str,
    path: &Path,
) -> Result<Array3<T>, Error> {
    group
        .array::<T>(name)
        .at(path.display())?
        .into_dimensionality()
        .map_err(|_| Error::bad_data(path, format!("the array {name:?} must have three axes")))
}

/// An image of one or several planes `(plane, y, x)`; one without planes gets
/// an axis of length 1.
pub(crate) fn read_planes(
    group: &GroupReader,
    name: &str,
    path: &Path,
) -> Result<Array3<f32>, Error> {
    let image = group.array::<f32>(name).at(path.display())?;
    let image = match image.ndim() {
        2 => image.insert_axis(ndarray::Axis(0)),
        _ => image,
    };
    image.into_dimensionality().map_err(|_| {
        Error::bad_data(
            path,
            format!("the array {name:?} must have two or three axes"),
        )
    })
}

fn read_attribute(group: &GroupReader, name: &str, path: &Path) -> Result<f64, Error> {
    group
        .attribute(name)
        .and_then(|value| value.as_f64())
        .ok_or_else(|| Error::bad_data(path, format!("the attribute {name:?} is missing")))
}
