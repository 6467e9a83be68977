use std::path::Path;

use fluorspar_denoise::{Blocks, LowRank, Parts};
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::aview1;
use serde_json::json;

use super::{read_1d, read_2d, read_3d, read_attribute};
use crate::Error;
use crate::error::Context;

/// Writes `lowrank.zarr`: sparse U `(pixel, component)`, V `(component, frame)`, mean and noise.
pub(crate) fn write_lowrank(path: &Path, lowrank: &LowRank, frame_rate: f64) -> Result<(), Error> {
    let place = path.display();
    let mut group = GroupWriter::create(path).at(&place)?;
    let parts = lowrank.parts();
    let list = ["component"];
    let image = ["plane", "y", "x"];
    group
        .array("u_indptr", &aview1(&parts.u_indptr), &["pixel"])
        .at(&place)?;
    group
        .array("u_indices", &aview1(&parts.u_indices), &["entry"])
        .at(&place)?;
    group
        .array("u_weights", &aview1(&parts.u_weights), &["entry"])
        .at(&place)?;
    group
        .array("v", &parts.v.view(), &["component", "frame"])
        .at(&place)?;
    group
        .array("component_block", &aview1(&parts.component_block), &list)
        .at(&place)?;
    group
        .array("mean", &parts.mean.view(), &image)
        .at(&place)?;
    group
        .array("noise", &parts.noise.view(), &image)
        .at(&place)?;
    group
        .attribute("block_planes", json!(parts.blocks.planes))
        .at(&place)?;
    group
        .attribute("block_side", json!(parts.blocks.side))
        .at(&place)?;
    group
        .attribute("frame_rate", json!(frame_rate))
        .at(&place)?;
    group.finish().at(&place)
}

/// Reads `lowrank.zarr`.
pub(crate) fn read_lowrank(path: &Path) -> Result<LowRank, Error> {
    let group = GroupReader::open(path).at(path.display())?;
    LowRank::from_parts(Parts {
        u_indptr: read_1d(&group, "u_indptr", path)?.to_vec(),
        u_indices: read_1d(&group, "u_indices", path)?.to_vec(),
        u_weights: read_1d(&group, "u_weights", path)?.to_vec(),
        v: read_2d(&group, "v", path)?,
        mean: read_3d(&group, "mean", path)?,
        noise: read_3d(&group, "noise", path)?,
        blocks: Blocks {
            planes: read_attribute(&group, "block_planes", path)? as usize,
            side: read_attribute(&group, "block_side", path)? as usize,
        },
        component_block: read_1d(&group, "component_block", path)?.to_vec(),
        frame_rate: Some(read_attribute(&group, "frame_rate", path)?),
    })
    .at(path.display())
}
