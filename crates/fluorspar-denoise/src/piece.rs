//! What is kept of a fit that may be broken off, as bytes.
//!
//! A piece says what it is of, as little-endian 64-bit words, before its values
//! follow as little-endian `f32`. One that does not fit is made anew, so
//! reading answers with what it found or with nothing.

use std::ops::Range;

use faer::Mat;

use crate::decimate::Statistics;
use crate::grid::Grid;
use crate::parts::tiles;

/// Beginnings of the two kinds of pieces; the digit is the version of the form.
const COMPONENTS: &[u8; 8] = b"fsdn-u 1";
const COURSES: &[u8; 8] = b"fsdn-v 1";

/// The components of neighbouring `blocks` and the statistics of their pixels.
pub(crate) fn components(
    grid: &Grid,
    blocks: &Range<usize>,
    spatial: &[Mat<f32>],
    statistics: &Statistics,
) -> Vec<u8> {
    let pixels: Vec<usize> = pixels(grid, blocks).collect();
    let values: usize = spatial.iter().map(|of| of.nrows() * of.ncols()).sum();
    let words = 3 + spatial.len();
    let mut piece = Vec::with_capacity(8 * (1 + words) + 4 * (2 * pixels.len() + values));
    piece.extend_from_slice(COMPONENTS);
    let extent = [blocks.start, blocks.len(), pixels.len()];
    for word in extent.into_iter().chain(spatial.iter().map(Mat::ncols)) {
        piece.extend_from_slice(&(word as u64).to_le_bytes());
    }
    for of in [&statistics.mean, &statistics.noise] {
        for &pixel in &pixels {
            piece.extend_from_slice(&of[pixel].to_le_bytes());
        }
    }
    for of in spatial {
        for column in of.col_iter() {
            for value in column.iter() {
                piece.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    piece
}

/// Reads back what [`components`] made of the same blocks: their components
/// `(pixel, component)`, at most `max_rank` each. `statistics` are completed.
pub(crate) fn read_components(
    piece: &[u8],
    grid: &Grid,
    blocks: &Range<usize>,
    max_rank: usize,
    statistics: &mut Statistics,
) -> Option<Vec<Mat<f32>>> {
    let mut rest = Rest(piece.strip_prefix(COMPONENTS)?);
    let pixels: Vec<usize> = pixels(grid, blocks).collect();
    for expected in [blocks.start, blocks.len(), pixels.len()] {
        (rest.word()? == expected as u64).then_some(())?;
    }
    let sizes = blocks.clone().map(|block| {
        let rank = rest.word().filter(|&rank| rank <= max_rank as u64)?;
        let extent = grid.block(block).map(|range| range.len());
        Some((extent.into_iter().product::<usize>(), rank as usize))
    });
    let sizes: Vec<(usize, usize)> = sizes.collect::<Option<_>>()?;
    let values: usize = sizes.iter().map(|(pixels, rank)| pixels * rank).sum();
    (rest.0.len() == 4 * (2 * pixels.len() + values)).then_some(())?;
    rest.floats().all(f32::is_finite).then_some(())?;
    let mut values = rest.floats();
    for of in [&mut statistics.mean, &mut statistics.noise] {
        for (&pixel, value) in pixels.iter().zip(&mut values) {
            of[pixel] = value;
        }
    }
    let spatial = sizes.into_iter().map(|(pixels, rank)| {
        let mut of = Mat::zeros(pixels, rank);
        for column in of.col_iter_mut() {
            for (slot, value) in column.iter_mut().zip(&mut values) {
                *slot = value;
            }
        }
        of
    });
    Some(spatial.collect())
}

/// Pixels of the tiles of some blocks, tile by tile.
fn pixels<'a>(grid: &'a Grid, blocks: &Range<usize>) -> impl Iterator<Item = usize> + use<'a> {
    let tiles = tiles(grid, blocks.clone()).into_iter();
    tiles.flat_map(|tile| grid.lines(tile).into_iter().flatten())
}

/// The part `frames` of time courses `(component, frame)` of `length` frames.
pub(crate) fn courses(courses: &[f32], length: usize, frames: &Range<usize>) -> Vec<u8> {
    let rank = courses.len() / length;
    let mut piece = Vec::with_capacity(8 * 4 + 4 * rank * frames.len());
    piece.extend_from_slice(COURSES);
    for word in [rank, frames.start, frames.end] {
        piece.extend_from_slice(&(word as u64).to_le_bytes());
    }
    for course in courses.chunks_exact(length) {
        let from = piece.len();
        piece.resize(from + 4 * frames.len(), 0);
        let slots = piece[from..].as_chunks_mut().0;
        for (slot, value) in slots.iter_mut().zip(&course[frames.clone()]) {
            *slot = value.to_le_bytes();
        }
    }
    piece
}

/// Puts back what [`courses`] made of the same frames of as many courses, if
/// `piece` is that.
pub(crate) fn read_courses(
    piece: &[u8],
    courses: &mut [f32],
    length: usize,
    frames: &Range<usize>,
) -> Option<()> {
    let rank = courses.len() / length;
    let mut rest = Rest(piece.strip_prefix(COURSES)?);
    for expected in [rank, frames.start, frames.end] {
        (rest.word()? == expected as u64).then_some(())?;
    }
    (rest.0.len() == 4 * rank * frames.len()).then_some(())?;
    rest.floats().all(f32::is_finite).then_some(())?;
    let mut values = rest.floats();
    for course in courses.chunks_exact_mut(length) {
        for (slot, value) in course[frames.clone()].iter_mut().zip(&mut values) {
            *slot = value;
        }
    }
    Some(())
}

/// What of a piece is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }

    fn floats(&self) -> impl Iterator<Item = f32> + use<'a> {
        let values = self.0.as_chunks().0;
        values.iter().map(|&bytes| f32::from_le_bytes(bytes))
    }
}
