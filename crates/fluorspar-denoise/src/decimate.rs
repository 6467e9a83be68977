//! The movie averaged in time, tile by tile, and the statistics of its pixels.

use std::collections::BTreeSet;
use std::ops::Range;

use fluorspar_movie::Movie;
use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::Error;
use crate::grid::Grid;
use crate::moments::Moments;
use crate::parts::runs;
use crate::probe::Probe;
use crate::read::read;

/// Tiles side by side along x: the unit that is decimated by one thread.
struct Line {
    /// Parts of image lines, `first pixel .. end`, as wide as the tiles together.
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

/// Reads the movie once, `chunk` frames at a time, and averages `tiles` in
/// time, completing `statistics` for their pixels.
pub(crate) fn decimate(
    movie: &dyn Movie,
    grid: &Grid,
    tiles: &BTreeSet<usize>,
    probe: &Probe,
    chunk: usize,
    statistics: &mut Statistics,
    progress: &mut dyn FnMut(usize),
) -> Result<Decimated, Error> {
    let shape = movie.shape();
    let length = shape.frame_len();
    let count = shape.frames / probe.bin;
    let mut work: Vec<Line> = runs(grid, tiles)
        .into_par_iter()
        .map(|tiles| Line::new(grid, tiles, probe, count))
        .collect();
    let mut buffer = vec![0.0_f32; chunk.min(shape.frames) * length];
    for start in (0..shape.frames).step_by(chunk) {
        let frames = start..(start + chunk).min(shape.frames);
        let buffer = &mut buffer[..frames.len() * length];
        read(movie, frames.clone(), buffer)?;
        work.par_iter_mut().for_each(|line| {
            for (frame, pixels) in frames.clone().zip(buffer.chunks_exact(length)) {
                line.add(pixels);
                let whole = (frame + 1) % probe.bin == 0;
                if whole || frame + 1 == shape.frames {
                    line.close(whole);
                }
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
    fn new(grid: &Grid, tiles: Range<usize>, probe: &Probe, bins: usize) -> Self {
        let [_, _, first] = grid.tile(tiles.start);
        let [_, _, last] = grid.tile(tiles.end - 1);
        let (left, width) = (first.start, last.end - first.start);
        let image_lines: Vec<Range<usize>> = grid
            .lines(tiles.start)
            .into_iter()
            .map(|line| line.start..line.start + width)
            .collect();
        let of = |values: &[f32]| -> Vec<f32> {
            image_lines
                .iter()
                .flat_map(|line| values[line.clone()].iter().copied())
                .collect()
        };
        let noise = of(&probe.noise);
        let tiles = tiles
            .map(|index| {
                let [_, _, columns] = grid.tile(index);
                let runs: Vec<Range<usize>> = (0..image_lines.len())
                    .map(|k| k * width + columns.start - left..k * width + columns.end - left)
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

    fn add(&mut self, frame: &[f32]) {
        let mut first = 0;
        for line in &self.image_lines {
            self.moments.add(first, &frame[line.clone()], &mut self.bin);
            first += line.len();
        }
        self.moments.next_frame();
    }

    /// A bin is complete; frames that do not fill a bin count in the
    /// statistics only.
    fn close(&mut self, whole: bool) {
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
