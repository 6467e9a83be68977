use std::path::Path;

use fluorspar_denoise::LowRank;
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::aview1;
use serde_json::json;

use super::{read_1d, read_2d, read_attribute};
use crate::Error;
use crate::error::Context;

/// Writes `lowrank.zarr`: sparse U `(pixel, component)`, V `(component, frame)`, mean and noise.
pub(crate) fn write_lowrank(path: &Path, lowrank: &LowRank, frame_rate: f64) -> Result<(), Error> {
    let place = path.display();
    let mut group = GroupWriter::create(path).at(&place)?;
    group
        .array("u_indptr", &aview1(lowrank.u_indptr()), &["pixel"])
        .at(&place)?;
    group
        .array("u_indices", &aview1(lowrank.u_indices()), &["entry"])
        .at(&place)?;
    group
        .array("u_weights", &aview1(lowrank.u_weights()), &["entry"])
        .at(&place)?;
    group
        .array("v", &lowrank.v(), &["component", "frame"])
        .at(&place)?;
    group
        .array("mean", &lowrank.mean(), &["y", "x"])
        .at(&place)?;
    group
        .array("noise", &lowrank.noise(), &["y", "x"])
        .at(&place)?;
    group
        .attribute("frame_rate", json!(frame_rate))
        .at(&place)?;
    group.finish().at(&place)
}

/// Reads `lowrank.zarr`.
pub(crate) fn read_lowrank(path: &Path) -> Result<LowRank, Error> {
    let group = GroupReader::open(path).at(path.display())?;
    let mean = read_2d::<f32>(&group, "mean", path)?;
    let lowrank = LowRank::from_parts(
        mean.nrows(),
        mean.ncols(),
        read_1d(&group, "u_indptr", path)?.to_vec(),
        read_1d(&group, "u_indices", path)?.to_vec(),
        read_1d(&group, "u_weights", path)?.to_vec(),
        read_2d(&group, "v", path)?,
        mean,
        read_2d(&group, "noise", path)?,
    )
    .at(path.display())?;
    Ok(lowrank.with_frame_rate(read_attribute(&group, "frame_rate", path)?))
}
