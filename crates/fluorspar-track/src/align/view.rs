//! What a session's field looks like, in a form that two sessions share.

use ndarray::ArrayView2;
use rustfft::num_complex::Complex32;

use super::correlator::TwoChannel;
use crate::SessionRois;

/// Which planes a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planes {
    /// All, one on top of the other.
    All,
    One(usize),
}

/// A session's field, filtered to the size of cells.
///
/// Each channel has zero mean and unit variance; a channel of which nothing
/// is known is zero. `pitch` is the side of a pixel of the view, in pixels of
/// the session, whose place `y` lies at `(y + ½) / pitch − ½`.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) image: TwoChannel,
    pub(super) pitch: f64,
}

impl View {
    /// `diameter` is that of a cell, pixels of the session.
    pub(super) fn new(
        session: &SessionRois<'_>,
        planes: Planes,
        pitch: f64,
        diameter: f64,
    ) -> Self {
        let (height, width) = session.size();
        let size = |length: usize| ((length as f64 / pitch).ceil() as usize).max(1);
        let (rows, columns) = (size(height), size(width));
        let cells = footprint_map(session, planes, pitch, (rows, columns));
        let means = mean_map(session, planes, pitch, (rows, columns));
        let size = diameter / pitch;
        let mut image = TwoChannel::zeros(rows, columns);
        let cells = standardised(band(&cells, columns, size));
        let means = means.map_or_else(
            || vec![0.0; rows * columns],
            |means| standardised(levelled(band(&means, columns, size), columns, size)),
        );
        for (pixel, (re, im)) in image.pixels.iter_mut().zip(cells.into_iter().zip(means)) {
            *pixel = Complex32::new(re, im);
        }
        Self { image, pitch }
    }

    /// Centre of the view, in its own pixels.
    pub(super) fn centre(&self) -> (f64, f64) {
        (
            (self.image.height as f64 - 1.0) / 2.0,
            (self.image.width as f64 - 1.0) / 2.0,
        )
    }

    /// A place of the session in pixels of the view.
    pub(super) fn inward(&self, (y, x): (f64, f64)) -> (f64, f64) {
        ((y + 0.5) / self.pitch - 0.5, (x + 0.5) / self.pitch - 0.5)
    }

    /// A pixel of the view as a place of the session.
    pub(super) fn outward(&self, (y, x): (f64, f64)) -> (f64, f64) {
        ((y + 0.5) * self.pitch - 0.5, (x + 0.5) * self.pitch - 0.5)
    }
}

/// All ROIs, each with the same total weight.
fn footprint_map(
    session: &SessionRois<'_>,
    planes: Planes,
    pitch: f64,
    (rows, columns): (usize, usize),
) -> Vec<f32> {
    let width = session.footprints.width();
    let mut map = vec![0.0_f32; rows * columns];
    for footprint in session.footprints.iter() {
        if planes != Planes::All && planes != Planes::One(footprint.plane as usize) {
            continue;
        }
        let total: f32 = footprint.weights.iter().sum();
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            let (y, x) = (index as usize / width, index as usize % width);
            let row = (((y as f64 + 0.5) / pitch) as usize).min(rows - 1);
            let column = (((x as f64 + 0.5) / pitch) as usize).min(columns - 1);
            map[row * columns + column] += weight / total;
        }
    }
    map
}

/// The mean image in pixels of the view; where nothing was seen, the mean of
/// what was. None without an image, or without a finite pixel in it.
fn mean_map(
    session: &SessionRois<'_>,
    planes: Planes,
    pitch: f64,
    (rows, columns): (usize, usize),
) -> Option<Vec<f32>> {
    let image = session.mean_image?;
    let mut sums = vec![(0.0_f64, 0_u32); rows * columns];
    for (plane, image) in image.outer_iter().enumerate() {
        if planes == Planes::All || planes == Planes::One(plane) {
            gather(image, pitch, columns, rows, &mut sums);
        }
    }
    let (total, count) = sums.iter().fold((0.0, 0_u64), |(t, n), &(sum, k)| {
        (t + sum, n + u64::from(k))
    });
    if count == 0 {
        return None;
    }
    let mean = total / count as f64;
    let value = |&(sum, n): &(f64, u32)| if n > 0 { sum / f64::from(n) } else { mean };
    Some(sums.iter().map(|sum| value(sum) as f32).collect())
}

fn gather(
    image: ArrayView2<'_, f32>,
    pitch: f64,
    columns: usize,
    rows: usize,
    sums: &mut [(f64, u32)],
) {
    for ((y, x), &value) in image.indexed_iter() {
        if value.is_finite() {
            let row = (((y as f64 + 0.5) / pitch) as usize).min(rows - 1);
            let column = (((x as f64 + 0.5) / pitch) as usize).min(columns - 1);
            let slot = &mut sums[row * columns + column];
            slot.0 += f64::from(value);
            slot.1 += 1;
        }
    }
}

/// What is as large as a cell of `size` pixels: finer is smoothed away,
/// coarser subtracted.
fn band(map: &[f32], columns: usize, size: f64) -> Vec<f32> {
    let fine = blurred(map, columns, (0.25 * size).max(0.7));
    let coarse = blurred(map, columns, (0.75 * size).max(2.0));
    fine.iter().zip(coarse).map(|(a, b)| a - b).collect()
}

/// Contrast made the same everywhere, so that bright corners do not decide.
fn levelled(map: Vec<f32>, columns: usize, size: f64) -> Vec<f32> {
    let squares: Vec<f32> = map.iter().map(|v| v * v).collect();
    let local = blurred(&squares, columns, (3.0 * size).max(4.0));
    let overall = local.iter().sum::<f32>() / local.len().max(1) as f32;
    let floor = 0.1 * overall;
    map.iter()
        .zip(local)
        .map(|(&v, square)| {
            let spread = (square + floor).sqrt();
            if spread > 0.0 {
                (v / spread).clamp(-3.0, 3.0)
            } else {
                0.0
            }
        })
        .collect()
}

/// Zero mean and unit variance; all zero if nothing varies.
fn standardised(mut map: Vec<f32>) -> Vec<f32> {
    let n = map.len().max(1) as f64;
    let mean = map.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = map
        .iter()
        .map(|&v| (f64::from(v) - mean).powi(2))
        .sum::<f64>()
        / n;
    let scale = if variance > 1e-20 * (mean * mean).max(1e-20) {
        1.0 / variance.sqrt()
    } else {
        0.0
    };
    for value in &mut map {
        *value = ((f64::from(*value) - mean) * scale) as f32;
    }
    map
}

/// Gaussian blur of rows of `columns` values; edges repeat.
fn blurred(map: &[f32], columns: usize, sigma: f64) -> Vec<f32> {
    let rows = map.len() / columns;
    let reach = (3.0 * sigma).ceil() as usize;
    let kernel: Vec<f32> = (0..=2 * reach)
        .map(|k| (-0.5 * ((k as f64 - reach as f64) / sigma).powi(2)).exp() as f32)
        .collect();
    let total: f32 = kernel.iter().sum();
    let at = |k: usize, length: usize| k.saturating_sub(reach).min(length - 1);
    let mut across = vec![0.0_f32; map.len()];
    let mut padded = vec![0.0_f32; columns + 2 * reach];
    for (row, out) in map
        .chunks_exact(columns)
        .zip(across.chunks_exact_mut(columns))
    {
        for (k, slot) in padded.iter_mut().enumerate() {
            *slot = row[at(k, columns)];
        }
        for (k, &weight) in kernel.iter().enumerate() {
            for (slot, &value) in out.iter_mut().zip(&padded[k..]) {
                *slot += weight * value;
            }
        }
    }
    let mut out = vec![0.0_f32; map.len()];
    for (y, line) in out.chunks_exact_mut(columns).enumerate() {
        for (k, &weight) in kernel.iter().enumerate() {
            let from = at(y + k, rows);
            let row = &across[from * columns..(from + 1) * columns];
            for (slot, &value) in line.iter_mut().zip(row) {
                *slot += weight * value;
            }
        }
        for value in line {
            *value /= total * total;
        }
    }
    out
}
