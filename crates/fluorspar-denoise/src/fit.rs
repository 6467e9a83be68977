use std::ops::Range;

use fluorspar_movie::{Budget, Movie, Progress, frame_blocks};
use ndarray::{Array2, Array3};
use rayon::prelude::*;

use crate::block::{Components, decompose};
use crate::grid::Grid;
use crate::{Blocks, Error, LowRank, Parameters, Parts};

/// Fewest frames from which time courses can be judged.
const FEWEST: usize = 16;

/// Finds the low-rank part of movies.
#[derive(Clone, Debug)]
pub struct Denoiser {
    parameters: Parameters,
}

/// Mean and noise of every pixel.
struct Statistics {
    mean: Vec<f32>,
    noise: Vec<f32>,
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

    /// Decomposes `movie` `(frame, y, x)`.
    ///
    /// The movie is read once for the pixels' mean and noise and once more
    /// for each band of block rows that fits `budget` (one band if the whole
    /// movie fits as `f32`). The noise of a pixel is that of its differences
    /// between neighbouring frames. Pixels that are not finite count as their
    /// mean; pixels without noise have no components. The result depends
    /// neither on the number of threads nor on the budget. `progress` counts
    /// frames of the first pass.
    ///
    /// # Errors
    /// [`Error::Input`] for several planes, no pixels or fewer than 16
    /// frames; [`Error::Movie`] if the movie cannot be read;
    /// [`Error::Decomposition`] if an eigenvalue problem does not converge.
    pub fn fit(
        &self,
        movie: &dyn Movie,
        budget: Budget,
        progress: Progress<'_>,
    ) -> Result<LowRank, Error> {
        let shape = movie.shape();
        if shape.planes != 1 || shape.frame_len() == 0 {
            return Err(Error::Input(format!(
                "a movie of one plane is needed, not {shape}"
            )));
        }
        if shape.frames < FEWEST {
            return Err(Error::Input(format!(
                "{} frames are too few to tell signal from noise; {FEWEST} are needed",
                shape.frames
            )));
        }
        let statistics = statistics(movie, budget, progress)?;
        let grid = Grid::new(shape, self.parameters.blocks);
        let data = read_band(movie, &statistics, &(0..shape.height), budget)?;
        let found: Vec<Option<Components>> = (0..grid.blocks())
            .into_par_iter()
            .map(|b| {
                let mut block = Vec::new();
                for pixel in grid.tiles_of(b).into_iter().flat_map(|t| grid.lines(t)).flatten() {
                    block.extend_from_slice(&data[pixel * shape.frames..(pixel + 1) * shape.frames]);
                }
                decompose(&block, shape.frames, &self.parameters, b as u64)
            })
            .collect();
        let mut blocks = Vec::new();
        for (block, components) in found.into_iter().enumerate() {
            blocks.push(components.ok_or(Error::Decomposition { block })?);
        }
        let lowrank = assemble(movie, &statistics, &grid, self.parameters.blocks, &blocks)?;
        Ok(lowrank)
    }
}

fn statistics(
    movie: &dyn Movie,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Statistics, Error> {
    let shape = movie.shape();
    let length = shape.frame_len();
    // Per pixel: sum, count, sum of squared steps, steps, last finite value.
    let mut state = vec![(0.0_f64, 0_u32, 0.0_f64, 0_u32, f32::NAN); length];
    let mut buffer = Vec::new();
    for frames in frame_blocks(shape.frames, 4 * length, budget, 1) {
        let count = frames.len();
        buffer.resize(count * length, 0.0);
        movie.read(frames, &mut buffer)?;
        state
            .par_chunks_mut(1024)
            .enumerate()
            .for_each(|(part, states)| {
                for frame in buffer.chunks_exact(length) {
                    for (s, &value) in states.iter_mut().zip(&frame[part * 1024..]) {
                        if value.is_finite() {
                            s.0 += f64::from(value);
                            s.1 += 1;
                            if s.4.is_finite() {
                                s.2 += f64::from(value - s.4).powi(2);
                                s.3 += 1;
                            }
                            s.4 = value;
                        }
                    }
                }
            });
        progress(count as u64);
    }
    Ok(Statistics {
        mean: state
            .iter()
            .map(|s| (s.0 / f64::from(s.1.max(1))) as f32)
            .collect(),
        noise: state
            .iter()
            .map(|s| (s.2 / (2.0 * f64::from(s.3.max(1)))).sqrt() as f32)
            .collect(),
    })
}

/// Standardised pixels of some image rows, `(pixel, frame)`.
fn read_band(
    movie: &dyn Movie,
    statistics: &Statistics,
    band: &Range<usize>,
    budget: Budget,
) -> Result<Vec<f32>, Error> {
    let shape = movie.shape();
    let length = shape.frame_len();
    let offset = band.start * shape.width;
    let mut out = vec![0.0_f32; band.len() * shape.width * shape.frames];
    let mut buffer = Vec::new();
    for frames in frame_blocks(shape.frames, 16 * length, budget, 1) {
        buffer.resize(frames.len() * length, 0.0);
        movie.read(frames.clone(), &mut buffer)?;
        out.par_chunks_mut(shape.frames)
            .enumerate()
            .for_each(|(p, trace)| {
                let (mean, noise) = (statistics.mean[offset + p], statistics.noise[offset + p]);
                let scale = if noise > 0.0 { 1.0 / noise } else { 0.0 };
                for (slot, frame) in trace[frames.clone()]
                    .iter_mut()
                    .zip(buffer.chunks_exact(length))
                {
                    let value = frame[offset + p];
                    *slot = if value.is_finite() {
                        (value - mean) * scale
                    } else {
                        0.0
                    };
                }
            });
    }
    Ok(out)
}

/// Puts the blocks' components together.
fn assemble(
    movie: &dyn Movie,
    statistics: &Statistics,
    grid: &Grid,
    blocks: Blocks,
    found: &[Components],
) -> Result<LowRank, Error> {
    let shape = movie.shape();
    let mut entries: Vec<Vec<(u32, f32)>> = vec![Vec::new(); shape.frame_len()];
    let mut v: Vec<f32> = Vec::new();
    let mut component_block = Vec::new();
    for (b, components) in found.iter().enumerate() {
        let rank = component_block.len() as u32;
        let mut p = 0;
        for tile in grid.tiles_of(b) {
            let pixels = grid.lines(tile).into_iter().flatten();
            for (pixel, weight) in pixels.zip(grid.weights(b, tile)) {
                let scale = weight * statistics.noise[pixel];
                for k in 0..components.temporal.len() {
                    entries[pixel].push((rank + k as u32, scale * components.spatial[(p, k)]));
                }
                p += 1;
            }
        }
        for course in &components.temporal {
            v.extend_from_slice(course);
            component_block.push(b as u32);
        }
    }
    let mut indptr = vec![0_u64];
    let (mut indices, mut weights) = (Vec::new(), Vec::new());
    for row in &entries {
        indices.extend(row.iter().map(|entry| entry.0));
        weights.extend(row.iter().map(|entry| entry.1));
        indptr.push(indices.len() as u64);
    }
    let image = |values: &[f32]| {
        Array3::from_shape_vec((1, shape.height, shape.width), values.to_vec())
            .map_err(|e| Error::Input(e.to_string()))
    };
    LowRank::from_parts(Parts {
        u_indptr: indptr,
        u_indices: indices,
        u_weights: weights,
        v: Array2::from_shape_vec((component_block.len(), shape.frames), v)
            .map_err(|e| Error::Input(e.to_string()))?,
        mean: image(&statistics.mean)?,
        noise: image(&statistics.noise)?,
        blocks,
        component_block,
        frame_rate: movie.frame_rate(),
    })
}
