//! Time courses at the full frame rate: the movie's frames along the blocks'
//! components.

use std::ops::Range;

use faer::{Mat, MatRef};
use fluorspar_movie::{Movie, MovieShape, vectorised};
use ndarray::Array2;
use rayon::prelude::*;

use crate::Error;
use crate::decimate::Statistics;
use crate::grid::Grid;
use crate::linear::product_into;
use crate::read::read;

/// Bytes of frames held at a time.
const SLAB: usize = 64 << 20;
/// Time courses are rounded to this fraction of their noise, so that they can
/// be compressed: the error is below a hundredth of the noise.
const ROUNDING: f32 = 32.0;

/// The components of every block, ready to be applied to frames.
pub(crate) struct Bases<'a> {
    grid: &'a Grid,
    lines: Vec<Line>,
    /// First component of each block, and the number of all at the end.
    first: Vec<usize>,
}

/// Tiles side by side along x, which frames are cut into together.
struct Line {
    /// Image lines, each as wide as the image.
    image_lines: Vec<Range<usize>>,
    /// Mean of the line's pixels.
    mean: Vec<f32>,
    tiles: Vec<Tile>,
}

/// What a tile needs: the components of all blocks that it lies in.
struct Tile {
    columns: Range<usize>,
    /// Components over noise `(component, pixel)`, block by block.
    weights: Mat<f32>,
    /// The blocks, and where their components begin in `weights`.
    blocks: Vec<(usize, usize)>,
}

/// Frames projected at a time; a property of the movie, not of the budget.
pub(crate) fn slab(shape: MovieShape) -> usize {
    (SLAB / (4 * shape.frame_len().max(1))).clamp(4, 64)
}

impl<'a> Bases<'a> {
    /// `spatial` holds the components `(pixel, component)` of each block, in
    /// units of the pixels' noise.
    pub(crate) fn new(grid: &'a Grid, spatial: &[Mat<f32>], statistics: &Statistics) -> Self {
        let mut first = vec![0];
        for block in spatial {
            first.push(first[first.len() - 1] + block.ncols());
        }
        let across = grid.columns.tiles();
        let lines = (0..grid.tiles() / across)
            .into_par_iter()
            .map(|line| Line::new(grid, line * across, spatial, statistics))
            .collect();
        Self { grid, lines, first }
    }

    /// Number of components.
    pub(crate) fn rank(&self) -> usize {
        self.first.last().copied().unwrap_or(0)
    }

    /// Adds to time courses `(component, frame)` of all frames what `movie`
    /// has in `frames`; `buffer` is scratch.
    pub(crate) fn project(
        &self,
        movie: &dyn Movie,
        frames: Range<usize>,
        buffer: &mut Vec<f32>,
        courses: &mut [f32],
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), Error> {
        let shape = movie.shape();
        let length = shape.frame_len();
        let slab = slab(shape);
        for start in frames.clone().step_by(slab) {
            let frames = start..(start + slab).min(frames.end);
            buffer.resize(frames.len() * length, 0.0);
            read(movie, frames.clone(), buffer)?;
            let parts: Vec<Vec<Mat<f32>>> = self
                .lines
                .par_iter()
                .map_init(Vec::new, |room, line| line.project(buffer, length, room))
                .collect();
            let mut rest = &mut *courses;
            let mut own = Vec::with_capacity(self.grid.blocks());
            for block in 0..self.grid.blocks() {
                let rank = self.first[block + 1] - self.first[block];
                let (rows, after) = rest.split_at_mut(rank * shape.frames);
                own.push((block, rows));
                rest = after;
            }
            own.into_par_iter().for_each(|(block, rows)| {
                self.gather(block, &parts, frames.clone(), shape.frames, rows);
            });
            progress(frames.len());
        }
        Ok(())
    }

    /// Adds up what a block's tiles gave.
    fn gather(
        &self,
        block: usize,
        parts: &[Vec<Mat<f32>>],
        frames: Range<usize>,
        all_frames: usize,
        rows: &mut [f32],
    ) {
        for (k, row) in rows.chunks_exact_mut(all_frames).enumerate() {
            let row = &mut row[frames.clone()];
            for tile in self.grid.tiles_of(block) {
                let (line, at) = (
                    tile / self.grid.columns.tiles(),
                    tile % self.grid.columns.tiles(),
                );
                let blocks = &self.lines[line].tiles[at].blocks;
                let Some(&(_, first)) = blocks.iter().find(|entry| entry.0 == block) else {
                    continue;
                };
                let part = parts[line][at].col_as_slice(first + k);
                for (value, &more) in row.iter_mut().zip(part) {
                    *value += more;
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

impl Line {
    /// The line that begins with tile `start`.
    fn new(grid: &Grid, start: usize, spatial: &[Mat<f32>], statistics: &Statistics) -> Self {
        let image_lines = grid.image_lines(start);
        let mean = image_lines.iter().cloned().flatten();
        let tile = |tile: usize| {
            let mut blocks = Vec::new();
            let mut rank = 0;
            for block in grid.blocks_of(tile) {
                blocks.push((block, rank));
                rank += spatial[block].ncols();
            }
            let pixels = grid.lines(tile).into_iter().flatten();
            let scale: Vec<f32> = pixels
                .map(|pixel| statistics.noise[pixel])
                .map(|noise| if noise > 0.0 { 1.0 / noise } else { 0.0 })
                .collect();
            let mut weights = Mat::zeros(rank, scale.len());
            for &(block, row) in &blocks {
                let within = grid.lines_within(block, tile).into_iter().flatten();
                for (p, (&scale, from)) in scale.iter().zip(within).enumerate() {
                    for k in 0..spatial[block].ncols() {
                        weights[(row + k, p)] = scale * spatial[block][(from, k)];
                    }
                }
            }
            let [_, _, columns] = grid.tile(tile);
            Tile {
                columns,
                weights,
                blocks,
            }
        };
        Self {
            mean: mean.map(|pixel| statistics.mean[pixel]).collect(),
            tiles: (start..start + grid.columns.tiles()).map(tile).collect(),
            image_lines,
        }
    }

    /// Each tile's part of the time courses `(frame, component)`: a component's
    /// frames lie together, as in the courses that they are added to.
    fn project(&self, frames: &[f32], length: usize, room: &mut Vec<f32>) -> Vec<Mat<f32>> {
        let count = frames.len() / length;
        let (depth, width) = (
            self.image_lines.len(),
            self.mean.len() / self.image_lines.len(),
        );
        room.resize(self.mean.len() * count + width, 0.0);
        let (row, tiles) = room.split_at_mut(width);
        for (t, frame) in frames.chunks_exact(length).enumerate() {
            for (y, line) in self.image_lines.iter().enumerate() {
                centre(
                    &frame[line.clone()],
                    &self.mean[y * width..(y + 1) * width],
                    row,
                );
                for tile in &self.tiles {
                    // Tile after tile, of each frame after frame, line after line.
                    let (x, long) = (tile.columns.start, tile.columns.len());
                    let at = depth * (x * count + t * long) + y * long;
                    tiles[at..at + long].copy_from_slice(&row[tile.columns.clone()]);
                }
            }
        }
        let mut rest = &*tiles;
        self.tiles
            .iter()
            .map(|tile| {
                let pixels = depth * tile.columns.len();
                let (own, after) = rest.split_at(pixels * count);
                rest = after;
                let mut out = Mat::zeros(count, tile.weights.nrows());
                if tile.weights.nrows() > 0 {
                    let data = MatRef::from_column_major_slice(own, pixels, count);
                    let weights = tile.weights.as_ref();
                    product_into(out.as_mut(), data.transpose(), weights.transpose());
                }
                out
            })
            .collect()
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
