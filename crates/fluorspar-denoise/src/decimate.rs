//! The movie averaged in time, tile by tile, and the statistics of its pixels.

use std::ops::Range;

use fluorspar_movie::{Movie, MovieShape};
use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::Error;
use crate::grid::Grid;
use crate::moments::Moments;
use crate::probe::{LONGEST_BIN, Probe};
use crate::read::read;

/// Bytes of frames held at a time.
const CHUNK: usize = 64 << 20;

/// Tiles side by side along x: the unit that is decimated by one thread.
struct Line {
    /// Image lines, `first pixel .. end`, each as wide as the image.
    image_lines: Vec<Range<usize>>,
    moments: Moments,
    /// Deviations of the bin that is being filled.
    bin: Vec<f32>,
    /// Room for a tile's pixels.
    values: Vec<f32>,
    tiles: Vec<Tile>,
}

/// A tile's bins `(bin, pixel)`: deviations from the provisional mean, in
/// provisional noise of a bin. Half precision is far finer than that noise.
struct Tile {
    index: usize,
    /// Where the tile's lines begin within the line's pixels, and their length.
    runs: Vec<Range<usize>>,
    /// Root of the bin's frames over the provisional noise.
    scale: Vec<f32>,
    bins: Vec<f16>,
}

/// What a pass over the movie leaves of some tiles: the bins `(bin, pixel)` of each.
pub(crate) struct Decimated {
    tiles: Vec<(usize, Vec<f16>)>,
}

impl Decimated {
    /// The bins of a tile of so many pixels, in order; none if it is not here.
    pub(crate) fn bins(&self, tile: usize, pixels: usize) -> std::slice::ChunksExact<'_, f16> {
        let found = self.tiles.binary_search_by_key(&tile, |entry| entry.0);
        found
            .map_or(&[][..], |at| &self.tiles[at].1)
            .chunks_exact(pixels)
    }
}

/// Mean and noise of every pixel, as far as it has been met.
#[derive(Debug)]
pub(crate) struct Statistics {
    pub(crate) mean: Vec<f32>,
    pub(crate) noise: Vec<f32>,
}

/// Bytes that a decimated pixel takes for each bin.
pub(crate) const SAMPLE: usize = size_of::<f16>();

/// Largest deviation kept, in noise: just below the largest half-precision number.
const LARGEST: f32 = 65_000.0;

/// Frames read at a time: whole bins, and the same for every budget.
fn chunk(shape: MovieShape, bin: usize) -> usize {
    (CHUNK / (4 * shape.frame_len().max(1)) / bin).max(1) * bin
}

/// Bytes of the frames that are read at a time, at most.
pub(crate) fn chunk_bytes(shape: MovieShape) -> usize {
    CHUNK + 4 * shape.frame_len() * LONGEST_BIN
}

/// Reads the movie once and averages the tiles of `lines` (of tiles, plane by
/// plane) in time, completing `statistics` for their pixels.
pub(crate) fn decimate(
    movie: &dyn Movie,
    grid: &Grid,
    lines: &[usize],
    probe: &Probe,
    statistics: &mut Statistics,
    progress: &mut dyn FnMut(usize),
) -> Result<Decimated, Error> {
    let shape = movie.shape();
    let length = shape.frame_len();
    let count = shape.frames / probe.bin;
    let mut work: Vec<Line> = lines
        .par_iter()
        .map(|&line| Line::new(grid, line, shape.width, probe, count))
        .collect();
    let chunk = chunk(shape, probe.bin);
    let mut buffer = vec![0.0_f32; chunk.min(shape.frames) * length];
    for start in (0..shape.frames).step_by(chunk) {
        let frames = start..(start + chunk).min(shape.frames);
        let buffer = &mut buffer[..frames.len() * length];
        read(movie, frames.clone(), buffer)?;
        work.par_iter_mut().for_each(|line| {
            for bin in buffer.chunks(probe.bin * length) {
                let whole = bin.len() == probe.bin * length;
                line.add(bin.chunks_exact(length), whole);
            }
        });
        progress(frames.len());
    }
    let mut tiles = Vec::new();
    for line in work {
        let pixels = line.image_lines.iter().cloned().flatten();
        for (within, pixel) in pixels.enumerate() {
            statistics.mean[pixel] = line.moments.mean(within);
            statistics.noise[pixel] = line.moments.noise(within);
        }
        tiles.extend(line.tiles.into_iter().map(|tile| (tile.index, tile.bins)));
    }
    tiles.sort_by_key(|entry| entry.0);
    Ok(Decimated { tiles })
}

impl Line {
    fn new(grid: &Grid, line: usize, width: usize, probe: &Probe, bins: usize) -> Self {
        let across = grid.columns.tiles();
        let image_lines = grid.image_lines(line * across);
        let of = |values: &[f32]| -> Vec<f32> {
            image_lines
                .iter()
                .flat_map(|line| values[line.clone()].iter().copied())
                .collect()
        };
        let noise = of(&probe.noise);
        let tiles = (line * across..(line + 1) * across)
            .map(|index| {
                let [_, _, columns] = grid.tile(index);
                let runs: Vec<Range<usize>> = (0..image_lines.len())
                    .map(|k| k * width + columns.start..k * width + columns.end)
                    .collect();
                let root = (probe.bin as f32).sqrt();
                let scale = runs.iter().cloned().flatten();
                let scale = scale.map(|at| 1.0 / (root * noise[at])).collect();
                Tile {
                    index,
                    scale,
                    bins: Vec::with_capacity(bins * grid.tile_len(index)),
                    runs,
                }
            })
            .collect();
        Self {
            bin: vec![0.0; noise.len()],
            values: Vec::new(),
            moments: Moments::new(of(&probe.mean), probe.gaps),
            image_lines,
            tiles,
        }
    }

    /// Takes the frames of a bin; frames that do not fill a bin count in the
    /// statistics only.
    fn add<'a>(&mut self, frames: impl Iterator<Item = &'a [f32]>, whole: bool) {
        for frame in frames {
            let mut first = 0;
            for line in &self.image_lines {
                self.moments.add(first, &frame[line.clone()], &mut self.bin);
                first += line.len();
            }
            self.moments.next_frame();
        }
        self.moments.close(&self.bin);
        if whole {
            for tile in &mut self.tiles {
                tile.push(&self.bin, &mut self.values);
            }
        }
        self.bin.fill(0.0);
    }
}

impl Tile {
    /// Appends a bin of the line that the tile is part of.
    fn push(&mut self, line: &[f32], values: &mut Vec<f32>) {
        values.clear();
        for run in &self.runs {
            values.extend_from_slice(&line[run.clone()]);
        }
        for (value, &scale) in values.iter_mut().zip(&self.scale) {
            *value = (*value * scale).clamp(-LARGEST, LARGEST);
        }
        let from = self.bins.len();
        self.bins.resize(from + values.len(), f16::ZERO);
        self.bins[from..].convert_from_f32_slice(values);
    }
}
