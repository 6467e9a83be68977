use std::ops::Range;

use faer::{Mat, MatRef};
use fluorspar_movie::{Budget, Movie, MovieShape, Progress};
use ndarray::Array3;
use rayon::prelude::*;

use crate::assemble::sparse;
use crate::block::{BlockSearch, Shape};
use crate::decimate::{self, Statistics, decimate};
use crate::grid::Grid;
use crate::linear::Products;
use crate::probe::Probe;
use crate::project::{self, Bases, round};
use crate::standardise::Standardised;
use crate::trend::TrendFilter;
use crate::{Error, LowRank, Parameters, Parts};

/// Fewest frames from which time courses can be judged.
const FEWEST: usize = 16;

/// Bytes of small things, and of what threads hold besides.
const SLACK: usize = 32 << 20;

/// Finds the low-rank part of movies.
#[derive(Clone, Debug)]
pub struct Denoiser {
    parameters: Parameters,
}

impl Denoiser {
    /// A denoiser with these parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range.
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Upper bound of the bytes that [`fit`](Self::fit) holds for a movie of
    /// this shape on so many threads, its result of `rank` components included.
    ///
    /// Only the average over a few frames, in which components are looked for,
    /// follows the budget; the rest is what a few frames, the pixels'
    /// statistics and the factors themselves take.
    pub fn workspace(
        &self,
        shape: MovieShape,
        budget: Budget,
        rank: usize,
        threads: usize,
    ) -> usize {
        let grid = Grid::new(shape, self.parameters.blocks);
        let (pixels, frames) = (shape.frame_len(), shape.frames);
        // Bins are at least one frame; one line of blocks is always held.
        let lines = grid.planes.blocks() * grid.rows.blocks();
        let line = |k: usize| band_bytes(&grid, &(k..k + 1), frames);
        let widest = (0..lines).map(line).max().unwrap_or(0);
        let average = widest.max(budget.bytes / 2);
        let block = (0..grid.blocks())
            .map(|k| shape_of(&grid, k).iter().product::<usize>())
            .max()
            .unwrap_or(0);
        // Of a block: its bins, their averages, and candidates on both sides.
        let search = 4 * threads * (2 * block * frames + 8 * self.parameters.max_rank * frames);
        let statistics = 96 * pixels;
        let finding = average + decimate::chunk_bytes(shape) + search;
        let following = project::slab_bytes(shape) + 4 * 4 * rank * project::slab(shape);
        // Images as found and as applied, U's entries, and time courses.
        let factors = rank * block * (4 + 4 + 8) + 4 * rank * frames;
        statistics + finding.max(following) + factors + SLACK
    }

    /// Decomposes `movie` `(frame, plane, y, x)`.
    ///
    /// A few windows of frames are looked at first. One pass over the movie
    /// then finds each pixel's mean and noise (from second differences in
    /// time) and averages the movie over a few frames, in which the blocks'
    /// components are found; where that average does not fit into half of
    /// `budget`, the movie is read once for each band of blocks that does. A
    /// last pass follows the components at the full frame rate. Pixels that
    /// are not finite count as their mean; pixels without noise have no
    /// components. The result depends neither on the number of threads nor
    /// on the budget. `progress` adds up to the movie's frames over all passes.
    ///
    /// # Errors
    /// [`Error::Input`] for a movie without pixels or of fewer than 16
    /// frames; [`Error::Movie`] if the movie cannot be read;
    /// [`Error::Decomposition`] if an eigenvalue problem does not converge.
    pub fn fit(
        &self,
        movie: &dyn Movie,
        budget: Budget,
        progress: Progress<'_>,
    ) -> Result<LowRank, Error> {
        let shape = movie.shape();
        if shape.frame_len() == 0 {
            return Err(Error::Input(format!("{shape}: there are no pixels")));
        }
        if shape.frames < FEWEST {
            return Err(Error::Input(format!(
                "{} frames are too few to tell signal from noise; {FEWEST} are needed",
                shape.frames
            )));
        }
        let grid = Grid::new(shape, self.parameters.blocks);
        let probe = Probe::new(movie)?;
        let bins = shape.frames / probe.bin;
        let bands = bands(&grid, bins, budget);
        let mut advance = Advance::new(progress, bands.len() + 1);
        let mut statistics = Statistics {
            mean: vec![0.0; shape.frame_len()],
            noise: vec![0.0; shape.frame_len()],
        };
        let largest = (0..grid.blocks())
            .map(|block| shape_of(&grid, block))
            .max_by_key(|shape| shape.iter().product::<usize>());
        let search = BlockSearch::new(largest.unwrap_or_default(), bins, &self.parameters)?;
        let mut spatial = Vec::with_capacity(grid.blocks());
        for lines in bands {
            let tiles = tile_lines(&grid, &lines);
            let decimated = decimate(movie, &grid, &tiles, &probe, &mut statistics, &mut |n| {
                advance.frames(n);
            })?;
            let across = grid.columns.blocks();
            let data = Standardised {
                grid: &grid,
                probe: &probe,
                statistics: &statistics,
                decimated: &decimated,
                bins,
            };
            let found: Vec<Result<Mat<f32>, Error>> = (lines.start * across..lines.end * across)
                .into_par_iter()
                .map_init(Vec::new, |room, block| {
                    let shape = shape_of(&grid, block);
                    data.load(block, shape, room);
                    let pixels = shape.iter().product();
                    let block = MatRef::from_column_major_slice(room, pixels, bins);
                    search.find(block, shape, &mut Products::default())
                })
                .collect();
            for found in found {
                let block = spatial.len();
                spatial.push(found.map_err(|error| error.in_block(block))?);
            }
        }
        let bases = Bases::new(&grid, &spatial, &statistics);
        let mut v = bases.project(movie, &grid, &mut |n| advance.frames(n))?;
        TrendFilter::new(shape.frames).apply(&mut v, self.parameters.smoothing_loss);
        round(&mut v);
        let image = |values: Vec<f32>| {
            Array3::from_shape_vec((shape.planes, shape.height, shape.width), values)
                .map_err(|e| Error::Input(e.to_string()))
        };
        let (u_indptr, u_indices, u_weights) = sparse(&grid, &spatial, &statistics);
        let mut component_block = Vec::with_capacity(v.nrows());
        for (block, components) in spatial.iter().enumerate() {
            component_block.extend((0..components.ncols()).map(|_| block as u32));
        }
        LowRank::from_parts(Parts {
            u_indptr,
            u_indices,
            u_weights,
            v,
            mean: image(statistics.mean)?,
            noise: image(statistics.noise)?,
            blocks: self.parameters.blocks,
            component_block,
            frame_rate: movie.frame_rate(),
        })
    }
}

fn shape_of(grid: &Grid, block: usize) -> Shape {
    grid.block(block).map(|range| range.len())
}

/// Lines of blocks whose decimated tiles fit into half the budget together.
fn bands(grid: &Grid, bins: usize, budget: Budget) -> Vec<Range<usize>> {
    let all = grid.planes.blocks() * grid.rows.blocks();
    let mut bands = Vec::new();
    let mut start = 0;
    while start < all {
        let mut end = start + 1;
        while end < all && band_bytes(grid, &(start..end + 1), bins) <= budget.bytes / 2 {
            end += 1;
        }
        bands.push(start..end);
        start = end;
    }
    bands
}

/// Bytes of the decimated tiles of some lines of blocks.
fn band_bytes(grid: &Grid, lines: &Range<usize>, bins: usize) -> usize {
    let across = grid.columns.tiles();
    let line = |line: usize| (line * across..(line + 1) * across).map(|t| grid.tile_len(t));
    let pixels: usize = tile_lines(grid, lines).into_iter().flat_map(line).sum();
    pixels * bins * decimate::SAMPLE
}

/// Lines of tiles that lines of blocks consist of, ascending.
fn tile_lines(grid: &Grid, blocks: &Range<usize>) -> Vec<usize> {
    let mut lines = Vec::new();
    for line in blocks.clone() {
        let (plane, row) = (line / grid.rows.blocks(), line % grid.rows.blocks());
        for z in grid.planes.tiles_of(plane) {
            lines.extend(grid.rows.tiles_of(row).map(|y| z * grid.rows.tiles() + y));
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Progress in frames of the movie over several passes.
struct Advance<'a> {
    progress: Progress<'a>,
    passes: usize,
    done: usize,
}

impl<'a> Advance<'a> {
    fn new(progress: Progress<'a>, passes: usize) -> Self {
        Self {
            progress,
            passes,
            done: 0,
        }
    }

    fn frames(&mut self, count: usize) {
        let before = self.done / self.passes;
        self.done += count;
        (self.progress)((self.done / self.passes - before) as u64);
    }
}
