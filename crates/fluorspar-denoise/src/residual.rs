mod sums;
mod verdict;

use std::collections::VecDeque;
use std::f32::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use fluorspar_movie::{Budget, Movie, MovieShape, Progress, frame_blocks, vectorised};
use ndarray::Array3;
use rayon::prelude::*;

use self::sums::{LAGS, Lagged, Look, Products, Tile, add_frame};
use crate::{Error, LowRank};

/// Frames of a window that is looked at, and most of such windows.
const WINDOW: usize = 32;
const WINDOWS: usize = 8;
/// Pixels times frames beyond which fewer windows are looked at, but two.
const SAMPLES: usize = 1 << 31;
/// Side of a tile in pixels, about.
const TILE: usize = 16;

/// What a low-rank movie left of its movie: is it noise and nothing else?
///
/// `r = (movie − U V − mean) / noise`, in standard deviations of each pixel's
/// noise, on frames spread over the movie: as they are, and summed over tiles
/// of about 16 × 16 pixels. Images are `(plane, tile row, tile column)`.
/// A single frame says nothing but `ratio`: the other numbers are then 0, as
/// are all those of tiles without usable pixels.
///
/// Noise is white in time: what a pixel shows now says nothing about the next
/// frame. Where the residual does, signal was thrown away. That test holds
/// however registration has correlated the noise of neighbouring pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// Frames looked at.
    pub frames: usize,
    /// Pairs of consecutive frames among them.
    pub pairs: usize,
    /// Usable pixels of each tile, on average over frames; a pixel is not
    /// usable where its noise is 0 or its value not finite.
    pub pixels: Array3<f32>,
    /// Mean square of r: the variance of the residual as a share of the
    /// noise's. 1 where all noise and nothing else was removed; rank k in a
    /// block of n pixels keeps about k / n of the noise.
    pub ratio: Array3<f32>,
    /// Autocorrelation of r from frame to frame, its pixels pooled.
    pub temporal: Array3<f32>,
    /// The same in its standard deviations for noise white in time.
    pub temporal_z: Array3<f32>,
    /// Mean of `r_p(t) · r_q(t + 1)` over neighbouring pixels p, q in either
    /// order, a share of the noise variance: signal that has an extent.
    pub shared: Array3<f32>,
    /// The same in its standard deviations for noise white in time.
    pub shared_z: Array3<f32>,
    /// Correlation of r between neighbouring pixels, beyond that of the noise
    /// itself, of differences between consecutive raw frames: slow signals
    /// cancel in those, transients that rise within a frame make it too low.
    pub spatial: Array3<f32>,
    /// The same numbers of all tiles together.
    pub whole: Whole,
    /// Autocorrelation of r in time, all pixels pooled, from a lag of one frame on.
    pub autocorrelation: Vec<Lag>,
}

/// The numbers of a [`Residual`] of the whole movie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Whole {
    /// As [`Residual::ratio`].
    pub ratio: f64,
    /// As [`Residual::temporal`].
    pub temporal: f64,
    /// As [`Residual::temporal_z`].
    pub temporal_z: f64,
    /// As [`Residual::shared`].
    pub shared: f64,
    /// As [`Residual::shared_z`].
    pub shared_z: f64,
    /// As [`Residual::spatial`].
    pub spatial: f64,
    /// Correlation of the noise between neighbouring pixels, as registration
    /// causes it.
    pub noise_spatial: f64,
    /// At least this share of the noise's variance was signal: the mean of
    /// `r(t) · r(t + 1)` of pixels or, if larger, of neighbours, not below 0. A
    /// signal that falls by φ from frame to frame counts φ times; components,
    /// chosen for being smooth, take slow noise with them, which lowers it.
    pub lost: f64,
    /// Standard deviation of `lost` if nothing was.
    pub lost_error: f64,
}

/// Autocorrelation at one lag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Frames between the two.
    pub frames: usize,
    /// The autocorrelation.
    pub value: f64,
    /// Its standard deviation for noise white in time.
    pub error: f64,
}

impl Residual {
    /// Tiles with a z score beyond this stand out.
    pub const BEYOND: f32 = 4.0;

    /// Frames that [`residual`] looks at in a movie of this `shape`.
    pub fn sampled(shape: MovieShape) -> usize {
        windows(shape).iter().map(ExactSizeIterator::len).sum()
    }
}

/// Looks at what `lowrank` left of `movie`, `(frame, plane, y, x)`: up to 8
/// windows of 32 consecutive frames, spread evenly.
///
/// The result depends neither on the number of threads nor on the budget.
/// `progress` counts frames, [`Residual::sampled`] in all. Memory beyond the
/// budget: a dozen frames.
///
/// # Errors
/// [`Error::Input`] if the two differ in shape or have no frames,
/// [`Error::Movie`] if the movie cannot be read.
pub fn residual(
    movie: &dyn Movie,
    lowrank: &LowRank,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Residual, Error> {
    let shape = movie.shape();
    if shape != lowrank.shape() {
        return Err(Error::Input(format!(
            "the movie is {shape}, its low-rank part {}; both must be of one recording",
            lowrank.shape()
        )));
    }
    let length = shape.frame_len();
    if shape.frames == 0 || length == 0 {
        return Err(Error::Input("a movie without pixels leaves nothing".into()));
    }
    let scale: Vec<f32> = lowrank
        .noise()
        .iter()
        .map(|&noise| if noise > 0.0 { 1.0 / noise } else { f32::NAN })
        .collect();
    // The difference of two frames has twice the variance of one.
    let scale_of_steps: Vec<f32> = scale.iter().map(|s| s * FRAC_1_SQRT_2).collect();
    let (rows, columns) = (cuts(shape.height), cuts(shape.width));
    let mut tiles = Vec::new();
    for plane in 0..shape.planes {
        for y in &rows {
            for x in &columns {
                tiles.push(Tile {
                    top: plane * shape.height,
                    y: y.clone(),
                    x: x.clone(),
                    ..Tile::default()
                });
            }
        }
    }
    let mut own = [Lagged::default(); LAGS];
    let mut shared = Lagged::default();
    let mut frames = 0;
    let (mut raw, mut left) = (Vec::new(), Vec::new());
    let mut step = vec![0.0_f32; length];
    for window in windows(shape) {
        let mut past: VecDeque<Vec<f32>> = VecDeque::new();
        let mut before: Option<Vec<f32>> = None;
        for block in frame_blocks(window.len(), 8 * length, budget, 1) {
            let block = window.start + block.start..window.start + block.end;
            raw.resize(block.len() * length, 0.0);
            left.resize(block.len() * length, 0.0);
            movie.read(block.clone(), &mut raw)?;
            lowrank.read(block.clone(), &mut left)?;
            for (raw, left) in raw.chunks_exact(length).zip(left.chunks_exact_mut(length)) {
                subtract(raw, &scale, left);
                if let Some(before) = &before {
                    step.copy_from_slice(before);
                    subtract(raw, &scale_of_steps, &mut step);
                }
                let look = Look {
                    left,
                    past: &past,
                    step: before.as_ref().map(|_| step.as_slice()),
                    width: shape.width,
                    height: shape.height,
                };
                tiles.par_iter_mut().for_each(|tile| add_frame(tile, &look));
                add_up(&tiles, &mut own, &mut shared);
                let mut slot = if past.len() == LAGS {
                    past.pop_back().unwrap_or_default()
                } else {
                    Vec::new()
                };
                slot.clear();
                slot.extend_from_slice(left);
                past.push_front(slot);
                let before = before.get_or_insert_with(Vec::new);
                before.clear();
                before.extend_from_slice(raw);
                frames += 1;
            }
            progress(block.len() as u64);
        }
    }
    let dim = (shape.planes, rows.len(), columns.len());
    Ok(summarise(frames, dim, &tiles, &own, &shared))
}

vectorised! {
    /// `other ← (values − other) · scale`; NaN for what is no number.
    fn subtract<'a>(values: &'a [f32], scale: &'a [f32], other: &'a mut [f32]) {
        for ((other, &value), &scale) in other.iter_mut().zip(values).zip(scale) {
            let left = (value - *other) * scale;
            *other = if left.is_finite() { left } else { f32::NAN };
        }
    }
}

/// Adds the products of the frame that all tiles looked at last.
fn add_up(tiles: &[Tile], own: &mut [Lagged; LAGS], shared: &mut Lagged) {
    let total = |pick: &dyn Fn(&Tile) -> Products| {
        let mut sum = Products::default();
        for tile in tiles {
            sum.add(pick(tile));
        }
        sum
    };
    for (lag, own) in own.iter_mut().enumerate() {
        own.add(total(&|tile| tile.now[lag]));
    }
    shared.add(total(&|tile| tile.now_shared));
}

fn summarise(
    frames: usize,
    dim: (usize, usize, usize),
    tiles: &[Tile],
    own: &[Lagged; LAGS],
    shared: &Lagged,
) -> Residual {
    let image = |value: &dyn Fn(&Tile) -> f64| {
        let values = tiles.iter().map(|tile| value(tile) as f32);
        Array3::from_shape_vec(dim, values.collect()).unwrap_or_default()
    };
    let excess = |tile: &Tile| {
        if tile.step_square.count == 0.0 {
            return 0.0;
        }
        over(tile.beside.mean(), tile.square.mean())
            - over(tile.step_beside.mean(), tile.step_square.mean())
    };
    let mut all = Tile::default();
    for tile in tiles {
        all.square.add(tile.square);
        all.beside.add(tile.beside);
        all.step_square.add(tile.step_square);
        all.step_beside.add(tile.step_beside);
    }
    let ratio = all.square.mean();
    Residual {
        frames,
        pairs: own[0].pairs,
        pixels: image(&|tile| tile.square.count / frames.max(1) as f64),
        ratio: image(&|tile| tile.square.mean()),
        temporal: image(&|tile| over(tile.own.products.mean(), tile.square.mean())),
        temporal_z: image(&|tile| tile.own.z()),
        shared: image(&|tile| tile.shared.products.mean()),
        shared_z: image(&|tile| tile.shared.z()),
        spatial: image(&excess),
        whole: Whole {
            ratio,
            temporal: over(own[0].products.mean(), ratio),
            temporal_z: own[0].z(),
            shared: shared.products.mean(),
            shared_z: shared.z(),
            spatial: excess(&all),
            noise_spatial: over(all.step_beside.mean(), all.step_square.mean()),
            lost: own[0].products.mean().max(shared.products.mean()).max(0.0),
            lost_error: own[0].error().max(shared.error()),
        },
        autocorrelation: own
            .iter()
            .enumerate()
            .filter(|(_, lagged)| lagged.pairs > 0)
            .map(|(k, lagged)| Lag {
                frames: k + 1,
                value: over(lagged.products.mean(), ratio),
                error: over(lagged.error(), ratio),
            })
            .collect(),
    }
}

/// `a / b`, or 0 where nothing varies.
fn over(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// The frames that are looked at.
fn windows(shape: MovieShape) -> Vec<Range<usize>> {
    let frames = shape.frames;
    let count = (SAMPLES / (WINDOW * shape.frame_len()).max(1)).clamp(2, WINDOWS);
    if frames <= count * WINDOW {
        return std::iter::once(0..frames).collect();
    }
    let starts = (0..count).map(|k| k * (frames - WINDOW) / (count - 1));
    starts.map(|start| start..start + WINDOW).collect()
}

/// Cuts an axis of an image into tiles of about equal sides.
fn cuts(extent: usize) -> Vec<Range<usize>> {
    let count = ((extent + TILE / 2) / TILE).max(1);
    (0..count)
        .map(|k| k * extent / count..(k + 1) * extent / count)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_spread_and_tiles_cover() {
        let shape = |frames, side| MovieShape::new(frames, 1, side, side);
        assert_eq!(windows(shape(256, 64)), vec![0..256; 1]);
        let spread = windows(shape(10_000, 512));
        assert_eq!(
            (spread.len(), &spread[0], &spread[7]),
            (8, &(0..32), &(9968..10_000))
        );
        assert_eq!(windows(shape(10_000, 16_384)).len(), 2);
        assert_eq!(Residual::sampled(shape(10_000, 512)), 256);
        assert_eq!(cuts(40), [0..13, 13..26, 26..40]);
        assert_eq!(cuts(5), vec![0..5; 1]);
    }
}
