//! Time courses at the full frame rate: the movie's frames along the blocks'
//! components.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef};
use fluorspar_movie::{Movie, MovieShape, vectorised};
use ndarray::Array2;
use rayon::prelude::*;

use crate::Error;
use crate::decimate::Statistics;
use crate::grid::Grid;
use crate::linear::product_into;

/// Bytes of frames held at a time.
const SLAB: usize = 64 << 20;
/// Time courses are rounded to this fraction of their noise, so that they can
/// be compressed: the error is below a hundredth of the noise.
const ROUNDING: f32 = 32.0;

/// The components of every block, ready to be applied to frames.
pub(crate) struct Bases {
    tiles: Vec<Tile>,
    /// First component of each block, and the number of all at the end.
    first: Vec<usize>,
}

/// What a tile needs: the components of all blocks that it lies in.
struct Tile {
    lines: Vec<Range<usize>>,
    mean: Vec<f32>,
    /// Components over noise `(component, pixel)`, block by block.
    weights: Mat<f32>,
    /// The blocks, and where their components begin in `weights`.
    blocks: Vec<(usize, usize)>,
}

/// Frames projected at a time; a property of the movie, not of the budget.
pub(crate) fn slab(shape: MovieShape) -> usize {
    (SLAB / (4 * shape.frame_len().max(1))).clamp(4, 64)
}

/// Bytes that projecting holds, beside the time courses.
pub(crate) fn slab_bytes(shape: MovieShape) -> usize {
    4 * shape.frame_len() * slab(shape).min(shape.frames)
}

impl Bases {
    /// `spatial` holds the components `(pixel, component)` of each block, in
    /// units of the pixels' noise.
    pub(crate) fn new(grid: &Grid, spatial: &[Mat<f32>], statistics: &Statistics) -> Self {
        let mut first = vec![0];
        for block in spatial {
            first.push(first[first.len() - 1] + block.ncols());
        }
        let tiles = (0..grid.tiles())
            .into_par_iter()
            .map(|tile| {
                let pixels: Vec<usize> = grid.lines(tile).into_iter().flatten().collect();
                let mut blocks = Vec::new();
                let mut rank = 0;
                for block in grid.blocks_of(tile) {
                    blocks.push((block, rank));
                    rank += spatial[block].ncols();
                }
                let mut weights = Mat::zeros(rank, pixels.len());
                for &(block, row) in &blocks {
                    let within = grid.lines_within(block, tile).into_iter().flatten();
                    for (p, (&pixel, from)) in pixels.iter().zip(within).enumerate() {
                        let noise = statistics.noise[pixel];
                        let scale = if noise > 0.0 { 1.0 / noise } else { 0.0 };
                        for k in 0..spatial[block].ncols() {
                            weights[(row + k, p)] = scale * spatial[block][(from, k)];
                        }
                    }
                }
                Tile {
                    lines: grid.lines(tile),
                    mean: pixels.iter().map(|&p| statistics.mean[p]).collect(),
                    weights,
                    blocks,
                }
            })
            .collect();
        Self { tiles, first }
    }

    /// Number of components.
    pub(crate) fn rank(&self) -> usize {
        self.first.last().copied().unwrap_or(0)
    }

    /// Time courses `(component, frame)` of `movie`, read once; their noise is 1.
    pub(crate) fn project(
        &self,
        movie: &dyn Movie,
        grid: &Grid,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Array2<f32>, Error> {
        let shape = movie.shape();
        let length = shape.frame_len();
        let mut courses = vec![0.0_f32; self.rank() * shape.frames];
        let slab = slab(shape);
        let mut buffer = vec![0.0_f32; slab.min(shape.frames) * length];
        for start in (0..shape.frames).step_by(slab) {
            let frames = start..(start + slab).min(shape.frames);
            let buffer = &mut buffer[..frames.len() * length];
            movie.read(frames.clone(), buffer)?;
            let parts: Vec<Mat<f32>> = self
                .tiles
                .par_iter()
                .map_init(Vec::new, |room, tile| tile.project(buffer, length, room))
                .collect();
            let mut rest = courses.as_mut_slice();
            let mut own = Vec::with_capacity(grid.blocks());
            for block in 0..grid.blocks() {
                let rank = self.first[block + 1] - self.first[block];
                let (rows, after) = rest.split_at_mut(rank * shape.frames);
                own.push((block, rows));
                rest = after;
            }
            own.into_par_iter().for_each(|(block, rows)| {
                self.gather(grid, block, &parts, frames.clone(), shape.frames, rows);
            });
            progress(frames.len());
        }
        Array2::from_shape_vec((self.rank(), shape.frames), courses)
            .map_err(|e| Error::Input(e.to_string()))
    }

    /// Adds up what a block's tiles gave.
    fn gather(
        &self,
        grid: &Grid,
        block: usize,
        parts: &[Mat<f32>],
        frames: Range<usize>,
        all_frames: usize,
        rows: &mut [f32],
    ) {
        for (k, row) in rows.chunks_exact_mut(all_frames).enumerate() {
            let row = &mut row[frames.clone()];
            for tile in grid.tiles_of(block) {
                let offsets = &self.tiles[tile].blocks;
                let Some(&(_, first)) = offsets.iter().find(|entry| entry.0 == block) else {
                    continue;
                };
                for (t, value) in row.iter_mut().enumerate() {
                    *value += parts[tile][(first + k, t)];
                }
            }
        }
    }
}

/// Rounds time courses so that they can be compressed.
pub(crate) fn round(courses: &mut Array2<f32>) {
    for value in courses {
        *value = (*value * ROUNDING).round_ties_even() / ROUNDING;
    }
}

impl Tile {
    /// The tile's part of the time courses `(component, frame)`.
    fn project(&self, frames: &[f32], length: usize, room: &mut Vec<f32>) -> Mat<f32> {
        let (pixels, count) = (self.mean.len(), frames.len() / length);
        let mut out = Mat::zeros(self.weights.nrows(), count);
        if self.weights.nrows() == 0 {
            return out;
        }
        room.resize(pixels * count, 0.0);
        for (frame, column) in frames
            .chunks_exact(length)
            .zip(room.chunks_exact_mut(pixels))
        {
            let mut at = 0;
            for line in &self.lines {
                let to = at..at + line.len();
                centre(
                    &frame[line.clone()],
                    &self.mean[to.clone()],
                    &mut column[to],
                );
                at += line.len();
            }
        }
        let data = MatRef::from_column_major_slice(room, pixels, count);
        product_into(MatMut::from(out.as_mut()), self.weights.as_ref(), data);
        out
    }
}

vectorised! {
    /// `values − mean`, and 0 where a value is missing.
    fn centre<'a>(values: &'a [f32], mean: &'a [f32], out: &'a mut [f32]) {
        for ((out, &value), &mean) in out.iter_mut().zip(values).zip(mean) {
            let deviation = value - mean;
            *out = if deviation.is_finite() { deviation } else { 0.0 };
        }
    }
}
