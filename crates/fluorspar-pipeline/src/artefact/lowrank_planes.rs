//! A low-rank movie put together from its planes, one in memory at a time.

use std::path::{Path, PathBuf};

use fluorspar_denoise::{LowRank, Parts};
use fluorspar_zarr::{Element, GroupReader, GroupWriter, RowWriter};
use ndarray::{Array3, ArrayBase, Data, Dimension, aview1};
use serde_json::{Value, json};

use super::lowrank::{MAPS, Provenance, V_CHUNK};
use super::{read_3d, read_lowrank, read_lowrank_head};
use crate::Error;
use crate::error::Context;

/// Writes to `path` the low-rank movie whose planes lie in `planes`, each a
/// `lowrank.zarr` of one plane with its residual, all of as many frames. What
/// is written is what [`write_lowrank`](super::write_lowrank) would make of
/// the whole: components and blocks are numbered plane by plane.
pub(crate) fn join_planes(
    path: &Path,
    planes: &[PathBuf],
    blocks_each: usize,
    provenance: &Provenance<'_>,
) -> Result<(), Error> {
    let Some(first) = planes.first() else {
        return Err(Error::Usage("there are no planes".into()));
    };
    let [frames, _, height, width] = read_lowrank_head(first)?.shape;
    let count = planes.len();
    let (mut rank, mut entries) = (0, 0);
    for plane in planes {
        let group = GroupReader::open(plane).at(plane.display())?;
        let length = |name: &str| -> Result<usize, Error> {
            let shape = group.shape(name).at(plane.display())?;
            Ok(shape.first().copied().unwrap_or(0))
        };
        rank += length("v")?;
        entries += length("u_indices")?;
    }
    let mut target = Target {
        group: GroupWriter::create(path).at(path.display())?,
        path,
    };
    let pixels = count * height * width;
    let mut indptr = target.rows::<u64>("u_indptr", &[pixels + 1], &["pixel"])?;
    let mut indices = target.rows::<u32>("u_indices", &[entries], &["entry"])?;
    let mut weights = target.rows::<f32>("u_weights", &[entries], &["entry"])?;
    let mut courses = target
        .group
        .begin_rows_in_chunks::<f32>("v", &[rank, frames], &["component", "frame"], &V_CHUNK)
        .at(path.display())?;
    let mut component_block = target.rows::<u32>("component_block", &[rank], &["component"])?;
    let image = [count, height, width];
    let mut mean = target.rows::<f32>("mean", &image, &["plane", "y", "x"])?;
    let mut noise = target.rows::<f32>("noise", &image, &["plane", "y", "x"])?;
    let mut maps: Option<Vec<RowWriter<f32>>> = None;

    target.write(&mut indptr, &aview1(&[0_u64]))?;
    let (mut components, mut written) = (0_u32, 0_u64);
    let mut head = None;
    for (number, plane) in planes.iter().enumerate() {
        let lowrank = read_lowrank(plane)?;
        if (lowrank.frames(), lowrank.height(), lowrank.width()) != (frames, height, width) {
            return Err(Error::bad_data(
                plane,
                "is of another size than the first plane",
            ));
        }
        let rank = lowrank.rank() as u32;
        let Parts {
            u_indptr,
            u_indices,
            u_weights,
            v,
            mean: own_mean,
            noise: own_noise,
            component_block: own_blocks,
            blocks,
            frame_rate,
        } = LowRank::into_parts(lowrank);
        let ends: Vec<u64> = u_indptr[1..].iter().map(|end| end + written).collect();
        target.write(&mut indptr, &aview1(&ends))?;
        let moved: Vec<u32> = u_indices.iter().map(|k| k + components).collect();
        target.write(&mut indices, &aview1(&moved))?;
        target.write(&mut weights, &aview1(&u_weights))?;
        target.write(&mut courses, &v)?;
        let before = (number * blocks_each) as u32;
        let moved: Vec<u32> = own_blocks.iter().map(|block| block + before).collect();
        target.write(&mut component_block, &aview1(&moved))?;
        target.write(&mut mean, &own_mean)?;
        target.write(&mut noise, &own_noise)?;
        let group = GroupReader::open(plane).at(plane.display())?;
        let residual: Vec<Array3<f32>> = MAPS
            .iter()
            .map(|name| read_3d(&group, name, plane))
            .collect::<Result<_, _>>()?;
        if maps.is_none() {
            let axes = ["plane", "tile_row", "tile_column"];
            let begin = |(name, map): (&&str, &Array3<f32>)| {
                let (_, rows, columns) = map.dim();
                target.rows::<f32>(name, &[count, rows, columns], &axes)
            };
            maps = Some(
                MAPS.iter()
                    .zip(&residual)
                    .map(begin)
                    .collect::<Result<_, _>>()?,
            );
        }
        for (rows, map) in maps.iter_mut().flatten().zip(&residual) {
            target.write(rows, map)?;
        }
        components += rank;
        written += u_weights.len() as u64;
        head.get_or_insert((blocks, frame_rate));
    }
    target.end(indptr)?;
    target.end(indices)?;
    target.end(weights)?;
    target.end(courses)?;
    target.end(component_block)?;
    target.end(mean)?;
    target.end(noise)?;
    for rows in maps.into_iter().flatten() {
        target.end(rows)?;
    }
    let mut attributes: Vec<(&str, Value)> = vec![("frames", json!(frames))];
    if let Some((blocks, frame_rate)) = head {
        attributes.push(("block_planes", json!(blocks.planes)));
        attributes.push(("block_side", json!(blocks.side)));
        attributes.extend(frame_rate.map(|rate| ("frame_rate", json!(rate))));
    }
    attributes.extend(provenance.attributes());
    for (name, value) in attributes {
        target.group.attribute(name, value).at(path.display())?;
    }
    target.group.finish().at(path.display())
}

/// The group being written, for messages that name it.
struct Target<'a> {
    group: GroupWriter,
    path: &'a Path,
}

impl Target<'_> {
    fn rows<T: Element>(
        &mut self,
        name: &str,
        shape: &[usize],
        axes: &[&str],
    ) -> Result<RowWriter<T>, Error> {
        let rows = self.group.begin_rows(name, shape, axes);
        rows.at(self.path.display())
    }

    fn write<T, S, D>(&self, rows: &mut RowWriter<T>, more: &ArrayBase<S, D>) -> Result<(), Error>
    where
        T: Element,
        S: Data<Elem = T>,
        D: Dimension,
    {
        rows.write(more).at(self.path.display())
    }

    fn end<T: Element>(&mut self, rows: RowWriter<T>) -> Result<(), Error> {
        self.group.end(rows).at(self.path.display())
    }
}
