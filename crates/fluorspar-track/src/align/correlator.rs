//! Cross-correlation of images of two channels at all shifts at once.

use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// An image of two channels: the footprints as real part, the mean image as
/// imaginary part. The real part of a product of one spectrum with the
/// conjugate of another then is the sum of both channels' correlations, at the
/// price of one.
#[derive(Clone, Debug)]
pub(super) struct TwoChannel {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) pixels: Vec<Complex32>,
}

impl TwoChannel {
    pub(super) fn zeros(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            pixels: vec![Complex32::default(); height * width],
        }
    }

    /// Value at a place between pixels, by bilinear interpolation; zero outside.
    pub(super) fn sample(&self, y: f64, x: f64) -> Complex32 {
        let inside =
            y >= 0.0 && x >= 0.0 && y <= (self.height - 1) as f64 && x <= (self.width - 1) as f64;
        if !inside {
            return Complex32::default();
        }
        // Not negative, so that cutting off is rounding down, without a call.
        let (iy, ix) = (y as usize, x as usize);
        let (jy, jx) = ((iy + 1).min(self.height - 1), (ix + 1).min(self.width - 1));
        let (wy, wx) = ((y - iy as f64) as f32, (x - ix as f64) as f32);
        let at = |y: usize, x: usize| self.pixels[y * self.width + x];
        (at(iy, ix) * (1.0 - wx) + at(iy, jx) * wx) * (1.0 - wy)
            + (at(jy, ix) * (1.0 - wx) + at(jy, jx) * wx) * wy
    }
}

/// Plans for correlating images that both fit into one size.
#[derive(Clone)]
pub(super) struct Correlator {
    height: usize,
    width: usize,
    along_y: [Arc<dyn Fft<f32>>; 2],
    along_x: [Arc<dyn Fft<f32>>; 2],
}

/// Correlation at whole shifts `−reach ..= reach`, row-major.
#[derive(Clone, Debug)]
pub(super) struct Surface {
    pub(super) reach: (usize, usize),
    pub(super) values: Vec<f32>,
}

impl Surface {
    fn width(&self) -> usize {
        2 * self.reach.1 + 1
    }

    /// The highest value and its shift `(dy, dx)`, refined by a parabola
    /// through its neighbours.
    pub(super) fn peak(&self) -> (f32, (f64, f64)) {
        let width = self.width();
        let mut best = (0, f32::NEG_INFINITY);
        for (index, &value) in self.values.iter().enumerate() {
            if value > best.1 {
                best = (index, value);
            }
        }
        let (y, x) = (best.0 / width, best.0 % width);
        let refine = |at: usize, last: usize, stride: usize| {
            if at == 0 || at == last {
                return 0.0;
            }
            let (low, high) = (self.values[best.0 - stride], self.values[best.0 + stride]);
            let bend = f64::from(low) - 2.0 * f64::from(best.1) + f64::from(high);
            if bend < 0.0 && bend.is_finite() {
                (0.5 * f64::from(low - high) / bend).clamp(-0.5, 0.5)
            } else {
                0.0
            }
        };
        let dy = y as f64 - self.reach.0 as f64 + refine(y, 2 * self.reach.0, width);
        let dx = x as f64 - self.reach.1 as f64 + refine(x, 2 * self.reach.1, 1);
        (best.1, (dy, dx))
    }
}

impl Correlator {
    /// For images of at most `size`, shifted by at most `reach` without
    /// wrapping around.
    pub(super) fn new(size: (usize, usize), reach: (usize, usize)) -> Self {
        let (height, width) = (fast(size.0 + reach.0), fast(size.1 + reach.1));
        let mut planner = FftPlanner::new();
        let mut both = |n| [planner.plan_fft_forward(n), planner.plan_fft_inverse(n)];
        Self {
            along_y: both(height),
            along_x: both(width),
            height,
            width,
        }
    }

    /// The spectrum, columns one after the other.
    pub(super) fn spectrum(&self, image: &TwoChannel) -> Vec<Complex32> {
        let mut rows = vec![Complex32::default(); self.height * self.width];
        for (row, pixels) in rows
            .chunks_exact_mut(self.width)
            .zip(image.pixels.chunks_exact(image.width))
        {
            row[..image.width].copy_from_slice(pixels);
            self.along_x[0].process(row);
        }
        let mut columns = transposed(&rows, self.height, self.width);
        self.along_y[0].process(&mut columns);
        columns
    }

    /// `Σ fixed[place] · moving[place + shift]` over both channels and all
    /// layers, from spectra.
    pub(super) fn correlate<'a>(
        &self,
        layers: impl Iterator<Item = (&'a [Complex32], &'a [Complex32])>,
        reach: (usize, usize),
    ) -> Surface {
        let mut product = vec![Complex32::default(); self.height * self.width];
        for (fixed, moving) in layers {
            for ((slot, a), b) in product.iter_mut().zip(fixed).zip(moving) {
                *slot += a.conj() * b;
            }
        }
        self.along_y[1].process(&mut product);
        let mut rows = transposed(&product, self.width, self.height);
        let scale = 1.0 / (self.height * self.width) as f32;
        let mut values = Vec::with_capacity((2 * reach.0 + 1) * (2 * reach.1 + 1));
        for dy in -(reach.0 as isize)..=reach.0 as isize {
            let y = dy.rem_euclid(self.height as isize) as usize;
            let row = &mut rows[y * self.width..(y + 1) * self.width];
            self.along_x[1].process(row);
            for dx in -(reach.1 as isize)..=reach.1 as isize {
                let x = dx.rem_euclid(self.width as isize) as usize;
                values.push(row[x].re * scale);
            }
        }
        Surface { reach, values }
    }
}

/// `(rows, columns)` to `(columns, rows)`, in squares that stay in the cache.
fn transposed(values: &[Complex32], rows: usize, columns: usize) -> Vec<Complex32> {
    const SIDE: usize = 16;
    let mut out = vec![Complex32::default(); values.len()];
    for top in (0..rows).step_by(SIDE) {
        for left in (0..columns).step_by(SIDE) {
            for y in top..(top + SIDE).min(rows) {
                for x in left..(left + SIDE).min(columns) {
                    out[x * rows + y] = values[y * columns + x];
                }
            }
        }
    }
    out
}

/// The next length whose only factors are 2, 3 and 5.
fn fast(length: usize) -> usize {
    let mut candidate = length.max(1);
    loop {
        let mut rest = candidate;
        for factor in [2, 3, 5] {
            while rest.is_multiple_of(factor) {
                rest /= factor;
            }
        }
        if rest == 1 {
            return candidate;
        }
        candidate += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the sum as it is written.
    #[test]
    fn the_correlation_is_the_sum_over_both_channels() {
        let value =
            |k: usize| Complex32::new((k * 37 % 11) as f32 - 5.0, (k * 53 % 13) as f32 - 6.0);
        let image = |height: usize, width: usize, from: usize| TwoChannel {
            height,
            width,
            pixels: (0..height * width).map(|k| value(k + from)).collect(),
        };
        let (fixed, moving) = (image(7, 9, 0), image(8, 6, 100));
        let reach = (3, 2);
        let correlator = Correlator::new((8, 9), reach);
        let spectra = (correlator.spectrum(&fixed), correlator.spectrum(&moving));
        let surface = correlator.correlate([(&*spectra.0, &*spectra.1)].into_iter(), reach);
        let mut at = surface.values.iter();
        for dy in -3_isize..=3 {
            for dx in -2_isize..=2 {
                let mut sum = 0.0;
                for y in 0..7_isize {
                    for x in 0..9_isize {
                        let (v, u) = (y + dy, x + dx);
                        if (0..8).contains(&v) && (0..6).contains(&u) {
                            let a = fixed.pixels[(y * 9 + x) as usize];
                            let b = moving.pixels[(v * 6 + u) as usize];
                            sum += a.re * b.re + a.im * b.im;
                        }
                    }
                }
                let found = *at.next().unwrap();
                assert!((found - sum).abs() < 1e-2, "{dy} {dx}: {found} {sum}");
            }
        }
    }
}
