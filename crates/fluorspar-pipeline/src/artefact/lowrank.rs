use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fluorspar_denoise::{Blocks, LowRank, Parameters, Parts, Residual};
use fluorspar_movie::MovieShape;
use fluorspar_zarr::{Element, GroupReader, GroupWriter};
use ndarray::{Array3, ArrayView3, aview1};
use serde_json::{Value, json};

use super::{read_1d, read_2d, read_3d, read_attribute};
use crate::Error;
use crate::error::Context;

/// Chunks of V, `(component, frame)`: 4 MiB, so that both a few components at
/// all frames and all components at a few frames are read without the rest.
pub(super) const V_CHUNK: [usize; 2] = [256, 4096];

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

/// Names of the maps of a residual in the artefact.
pub(super) const MAPS: [&str; 7] = [
    "residual_pixels",
    "residual_ratio",
    "residual_temporal",
    "residual_temporal_z",
    "residual_shared",
    "residual_shared_z",
    "residual_spatial",
];

/// The maps of a residual by their names.
fn maps(residual: &Residual) -> impl Iterator<Item = (&'static str, &Array3<f32>)> {
    MAPS.into_iter().zip([
        &residual.pixels,
        &residual.ratio,
        &residual.temporal,
        &residual.temporal_z,
        &residual.shared,
        &residual.shared_z,
        &residual.spatial,
    ])
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

/// A `lowrank.zarr` whose components are read plane by plane.
#[derive(Debug)]
pub(crate) struct StoredLowRank {
    path: PathBuf,
    group: GroupReader,
    shape: MovieShape,
    mean: Array3<f32>,
    /// The plane that was read last.
    last: Mutex<Option<(usize, Arc<LowRank>)>>,
}

impl StoredLowRank {
    /// Opens it and reads its mean image.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        let mean = read_3d::<f32>(&group, "mean", path)?;
        let (planes, height, width) = mean.dim();
        let frames = read_attribute(&group, "frames", path)? as usize;
        Ok(Self {
            path: path.to_path_buf(),
            group,
            shape: MovieShape::new(frames, planes, height, width),
            mean,
            last: Mutex::default(),
        })
    }

    pub(crate) fn shape(&self) -> MovieShape {
        self.shape
    }

    pub(crate) fn planes(&self) -> usize {
        self.shape.planes
    }

    pub(crate) fn height(&self) -> usize {
        self.shape.height
    }

    pub(crate) fn width(&self) -> usize {
        self.shape.width
    }

    /// Mean over frames `(plane, y, x)`.
    pub(crate) fn mean(&self) -> ArrayView3<'_, f32> {
        self.mean.view()
    }

    /// One plane, as a movie of its own with the components that it shows. The
    /// last one asked for stays in memory.
    pub(crate) fn plane(&self, plane: usize) -> Result<Arc<LowRank>, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, movie)) = last.as_ref().filter(|(known, _)| *known == plane) {
            return Ok(Arc::clone(movie));
        }
        // There need not be room for two.
        *last = None;
        let movie = Arc::new(self.read(plane)?);
        *last = Some((plane, Arc::clone(&movie)));
        Ok(movie)
    }

    /// Lets go of the plane in memory.
    pub(crate) fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn read(&self, plane: usize) -> Result<LowRank, Error> {
        let (group, path) = (&self.group, self.path.as_path());
        let MovieShape { height, width, .. } = self.shape;
        let first = plane * height * width;
        let pixels = first..first + height * width + 1;
        let indptr = rows_1d::<u64>(group, "u_indptr", pixels, path)?;
        let (start, end) = (indptr[0], indptr[indptr.len() - 1]);
        if indptr.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(Error::bad_data(path, "the row boundaries of U decrease"));
        }
        let entries = start as usize..end as usize;
        let mut indices = rows_1d::<u32>(group, "u_indices", entries.clone(), path)?;
        // Components are numbered plane by plane.
        let lowest = indices.iter().min().map_or(0, |&k| k as usize);
        let components = lowest..indices.iter().max().map_or(0, |&k| k as usize + 1);
        for k in &mut indices {
            *k -= lowest as u32;
        }
        let v = group
            .rows::<f32>("v", components.clone())
            .at(path.display())?
            .into_dimensionality()
            .map_err(|_| Error::bad_data(path, "the array \"v\" must have two axes"))?;
        let image = |name: &str| -> Result<Array3<f32>, Error> {
            let image = group.rows::<f32>(name, plane..plane + 1);
            let image = image.at(path.display())?.into_dimensionality();
            image.map_err(|_| {
                Error::bad_data(path, format!("the array {name:?} must have three axes"))
            })
        };
        LowRank::from_parts(Parts {
            u_indptr: indptr.iter().map(|at| at - start).collect(),
            u_indices: indices,
            u_weights: rows_1d(group, "u_weights", entries, path)?,
            v,
            mean: image("mean")?,
            noise: image("noise")?,
            blocks: Blocks {
                planes: read_attribute(group, "block_planes", path)? as usize,
                side: read_attribute(group, "block_side", path)? as usize,
            },
            component_block: rows_1d(group, "component_block", components, path)?,
            frame_rate: group.attribute("frame_rate").and_then(|v| v.as_f64()),
        })
        .at(path.display())
    }
}

/// A part of an array with one axis.
fn rows_1d<T: Element>(
    group: &GroupReader,
    name: &str,
    range: Range<usize>,
    path: &Path,
) -> Result<Vec<T>, Error> {
    let part = group.rows::<T>(name, range).at(path.display())?;
    if part.ndim() != 1 {
        let message = format!("the array {name:?} must have one axis");
        return Err(Error::bad_data(path, message));
    }
    Ok(part.into_raw_vec_and_offset().0)
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
    use fluorspar_movie::Movie;
    use ndarray::Array2;

    fn read(movie: &LowRank) -> Result<Vec<f32>, Error> {
        let mut out = vec![0.0; movie.shape().frames * movie.shape().frame_len()];
        movie.read(0..movie.shape().frames, &mut out).at("a test")?;
        Ok(out)
    }

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
            // Its planes one by one are its planes.
            let stored = StoredLowRank::open(&path)?;
            let whole = read(&lowrank)?;
            for plane in 0..2 {
                let alone = read(&*stored.plane(plane)?)?;
                let expected = whole.chunks(4).skip(plane).step_by(2).flatten();
                assert!(alone.iter().eq(expected));
            }
            assert!(stored.plane(2).is_err());
        }
        std::fs::remove_dir_all(&folder).map_err(|e| Error::io(&folder, e))
    }
}
