use std::path::Path;

use fluorspar_denoise::{Blocks, LowRank, Parameters, Parts, Residual};
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::{Array3, aview1};
use serde_json::{Value, json};

use super::{read_1d, read_2d, read_3d, read_attribute};
use crate::Error;
use crate::error::Context;

/// Chunks of V, `(component, frame)`: 4 MiB, so that both a few components at
/// all frames and all components at a few frames are read without the rest.
const V_CHUNK: [usize; 2] = [256, 4096];

/// Where a low-rank movie comes from, as `lowrank.zarr` says.
#[derive(Clone, Debug)]
pub(crate) struct Provenance<'a> {
    /// How it was denoised.
    pub(crate) parameters: &'a Parameters,
    /// What was: names of the files, and what was taken of them.
    pub(crate) input: Value,
}

impl Provenance<'_> {
    /// As attributes of the artefact, and in the record beside it.
    pub(crate) fn attributes(&self) -> [(&'static str, Value); 3] {
        let parameters = self.parameters;
        [
            ("fluorspar", json!(env!("CARGO_PKG_VERSION"))),
            (
                "parameters",
                json!({
                    "block_planes": parameters.blocks.planes,
                    "block_side": parameters.blocks.side,
                    "max_rank": parameters.max_rank,
                    "false_acceptance": parameters.significance,
                    "smoothing_loss": parameters.smoothing_loss,
                    "seed": parameters.seed,
                }),
            ),
            ("input", self.input.clone()),
        ]
    }
}

/// Writes `lowrank.zarr`: sparse U `(pixel, component)`, V `(component,
/// frame)`, mean and noise, and the maps of what was left, if it was looked at.
pub(crate) fn write_lowrank(
    path: &Path,
    lowrank: &LowRank,
    provenance: &Provenance<'_>,
    residual: Option<&Residual>,
) -> Result<(), Error> {
    let place = path.display();
    let mut group = GroupWriter::create(path).at(&place)?;
    let parts = lowrank.parts();
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
        .array_in_chunks("v", &parts.v, &["component", "frame"], &V_CHUNK)
        .at(&place)?;
    group
        .array(
            "component_block",
            &aview1(&parts.component_block),
            &["component"],
        )
        .at(&place)?;
    for (name, image) in [("mean", &parts.mean), ("noise", &parts.noise)] {
        group.array(name, image, &["plane", "y", "x"]).at(&place)?;
    }
    for (name, map) in residual.map(maps).into_iter().flatten() {
        let axes = ["plane", "tile_row", "tile_column"];
        group.array(name, map, &axes).at(&place)?;
    }
    let mut attributes = vec![
        ("frames", json!(lowrank.frames())),
        ("block_planes", json!(parts.blocks.planes)),
        ("block_side", json!(parts.blocks.side)),
    ];
    attributes.extend(parts.frame_rate.map(|rate| ("frame_rate", json!(rate))));
    attributes.extend(provenance.attributes());
    for (name, value) in attributes {
        group.attribute(name, value).at(&place)?;
    }
    group.finish().at(&place)
}

/// The maps of a residual by their names in the artefact.
fn maps(residual: &Residual) -> [(&'static str, &Array3<f32>); 7] {
    [
        ("residual_pixels", &residual.pixels),
        ("residual_ratio", &residual.ratio),
        ("residual_temporal", &residual.temporal),
        ("residual_temporal_z", &residual.temporal_z),
        ("residual_shared", &residual.shared),
        ("residual_shared_z", &residual.shared_z),
        ("residual_spatial", &residual.spatial),
    ]
}

/// Whether `path` is a folder that [`write_lowrank`] made.
pub(crate) fn is_lowrank(path: &Path) -> bool {
    ["u_indptr", "v", "component_block"]
        .iter()
        .all(|name| path.join(name).is_dir())
}

/// Reads `lowrank.zarr`, as [`denoise`](crate::denoise) and
/// [`run`](crate::run) write it; docs/formats.md lists its arrays.
///
/// # Errors
/// [`Error::Stage`] or [`Error::BadData`] naming the file and what is wrong
/// with it.
pub fn read_lowrank(path: &Path) -> Result<LowRank, Error> {
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
        frame_rate: group.attribute("frame_rate").and_then(|v| v.as_f64()),
    })
    .at(path.display())
}

/// What a `lowrank.zarr` is, without its factors.
#[derive(Clone, Debug)]
pub(crate) struct LowRankHead {
    /// Extents `(frame, plane, y, x)`.
    pub(crate) shape: [usize; 4],
    pub(crate) rank: usize,
    pub(crate) frame_rate: Option<f64>,
}

/// Reads as much as tells what a `lowrank.zarr` is.
pub(crate) fn read_lowrank_head(path: &Path) -> Result<LowRankHead, Error> {
    let group = GroupReader::open(path).at(path.display())?;
    let (planes, height, width) = read_3d::<f32>(&group, "mean", path)?.dim();
    let frames = read_attribute(&group, "frames", path)? as usize;
    Ok(LowRankHead {
        shape: [frames, planes, height, width],
        rank: read_1d::<u32>(&group, "component_block", path)?.len(),
        frame_rate: group.attribute("frame_rate").and_then(|v| v.as_f64()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn a_low_rank_movie_comes_back_with_or_without_a_frame_rate() -> Result<(), Error> {
        let folder = std::env::temp_dir().join(format!("fluorspar-lowrank-{}", std::process::id()));
        let path = folder.join("lowrank.zarr");
        crate::disk::create_folder(&folder)?;
        for frame_rate in [None, Some(7.5)] {
            let lowrank = LowRank::from_parts(Parts {
                u_indptr: vec![0, 1, 1, 2, 3, 3, 3, 4, 5],
                u_indices: vec![0, 1, 0, 1, 1],
                u_weights: vec![1.0, 2.0, 3.0, 4.0, 5.0],
                v: Array2::from_shape_fn((2, 5000), |(k, t)| (k * 7 + t) as f32),
                mean: Array3::from_elem((2, 2, 2), 3.0),
                noise: Array3::from_elem((2, 2, 2), 2.0),
                blocks: Blocks { planes: 2, side: 8 },
                component_block: vec![0, 0],
                frame_rate,
            })
            .at("a test")?;
            let provenance = Provenance {
                parameters: &Parameters::default(),
                input: json!({ "files": ["movie.tif"] }),
            };
            write_lowrank(&path, &lowrank, &provenance, None)?;
            assert!(is_lowrank(&path) && !is_lowrank(&folder));
            assert_eq!(read_lowrank(&path)?, lowrank);
            let head = read_lowrank_head(&path)?;
            assert_eq!((head.shape, head.rank), ([5000, 2, 2, 2], 2));
            assert_eq!(head.frame_rate, frame_rate);
        }
        std::fs::remove_dir_all(&folder).map_err(|e| Error::io(&folder, e))
    }
}
