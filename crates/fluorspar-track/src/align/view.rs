//! What a session's field looks like, in a form that two sessions share.

use ndarray::Axis;
use rayon::prelude::*;

use super::correlator::TwoChannel;
use crate::SessionRois;

/// Planes of a stack that are looked at, at most.
pub(super) const MOST_PLANES: usize = 8;

/// At most `count` planes of a session that stand for all of them.
pub(super) fn sampled(planes: usize, count: usize) -> Vec<i64> {
    let count = planes.min(count);
    (0..count)
        .map(|k| ((2 * k + 1) * planes / (2 * count)) as i64)
        .collect()
}

/// A session's field, filtered to the size of cells: one layer for each plane
/// that is looked at.
///
/// Each channel of a layer has zero mean and unit variance; a channel of which
/// nothing is known is zero, as is a plane that does not exist. `pitch` is the
/// side of a pixel of the view, in pixels of the session, whose place `y` lies
/// at `(y + ½) / pitch − ½`.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) layers: Vec<TwoChannel>,
    pub(super) pitch: f64,
}

impl View {
    /// `diameter` is that of a cell, pixels of the session.
    pub(super) fn new(
        session: &SessionRois<'_>,
        planes: &[i64],
        pitch: f64,
        diameter: f64,
    ) -> Self {
        let layers = planes
            .par_iter()
            .map(|&plane| layer(session, plane, pitch, diameter));
        Self {
            layers: layers.collect(),
            pitch,
        }
    }

    /// Height and width of the view.
    pub(super) fn size(&self) -> (usize, usize) {
        self.layers
            .first()
            .map_or((1, 1), |layer| (layer.height, layer.width))
    }

    /// Centre of the view, in its own pixels.
    pub(super) fn centre(&self) -> (f64, f64) {
        (
            (self.size().0 as f64 - 1.0) / 2.0,
            (self.size().1 as f64 - 1.0) / 2.0,
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

/// One plane.
fn layer(session: &SessionRois<'_>, plane: i64, pitch: f64, diameter: f64) -> TwoChannel {
    let (height, width) = session.size();
    let size = |length: usize| ((length as f64 / pitch).ceil() as usize).max(1);
    let (rows, columns) = (size(height), size(width));
    let mut image = TwoChannel::zeros(rows, columns);
    let Some(plane) = usize::try_from(plane)
        .ok()
        .filter(|&plane| plane < session.planes())
    else {
        return image;
    };
    let cell = diameter / pitch;
    let cells = footprint_map(session, plane, pitch, (rows, columns));
    for (pixel, value) in image
        .pixels
        .iter_mut()
        .zip(standardised(band(&cells, columns, cell)))
    {
        pixel.re = value;
    }
    if let Some(means) = mean_map(session, plane, pitch, (rows, columns)) {
        let means = levelled(&band(&means, columns, cell), columns, cell);
        for (pixel, value) in image.pixels.iter_mut().zip(standardised(means)) {
            pixel.im = value;
        }
    }
    image
}

/// Flat index of the pixel of a view in which a pixel of the session lies.
fn bin((y, x): (usize, usize), pitch: f64, (rows, columns): (usize, usize)) -> usize {
    let along = |at: usize, count: usize| (((at as f64 + 0.5) / pitch) as usize).min(count - 1);
    along(y, rows) * columns + along(x, columns)
}

/// All ROIs, each with the same total weight.
fn footprint_map(
    session: &SessionRois<'_>,
    plane: usize,
    pitch: f64,
    (rows, columns): (usize, usize),
) -> Vec<f32> {
    let width = session.footprints.width();
    let mut map = vec![0.0_f32; rows * columns];
    for footprint in session.footprints.iter() {
        if footprint.plane as usize != plane {
            continue;
        }
        let total: f32 = footprint.weights.iter().sum();
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            let (y, x) = (index as usize / width, index as usize % width);
            map[bin((y, x), pitch, (rows, columns))] += weight / total;
        }
    }
    map
}

/// The mean image in pixels of the view; where nothing was seen, the mean of
/// what was. None without an image, or without a finite pixel in it.
fn mean_map(
    session: &SessionRois<'_>,
    plane: usize,
    pitch: f64,
    (rows, columns): (usize, usize),
) -> Option<Vec<f32>> {
    let image = session.mean_image?;
    let mut sums = vec![(0.0_f64, 0_u32); rows * columns];
    for ((y, x), &value) in image.index_axis(Axis(0), plane).indexed_iter() {
        if value.is_finite() {
            let slot = &mut sums[bin((y, x), pitch, (rows, columns))];
            slot.0 += f64::from(value);
            slot.1 += 1;
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

/// What is as large as a cell of `size` pixels: finer is smoothed away,
/// coarser subtracted.
fn band(map: &[f32], columns: usize, size: f64) -> Vec<f32> {
    let fine = blurred(map, columns, (0.25 * size).max(0.7));
    let coarse = blurred(map, columns, (0.75 * size).max(2.0));
    fine.iter().zip(coarse).map(|(a, b)| a - b).collect()
}

/// Contrast made the same everywhere, so that bright corners do not decide.
fn levelled(map: &[f32], columns: usize, size: f64) -> Vec<f32> {
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
