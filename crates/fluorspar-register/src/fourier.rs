//! Real two-dimensional Fourier transforms whose columns lie transposed and
//! padded: neither pass strides through memory by powers of two, which would
//! make all values of a column share one cache set.

use std::fmt;
use std::sync::Arc;

use fluorspar_movie::vectorised;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

/// Complex values of padding after each column.
const PADDING: usize = 8;
/// Side of the square that is transposed at a time.
const TILE: usize = 16;

/// The spectrum of a real image: `width / 2 + 1` columns (kx) of `height`
/// values (ky), one after the other, each padded.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    values: Vec<Complex32>,
    height: usize,
    stride: usize,
}

impl Spectrum {
    /// The columns, without their padding.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &[Complex32]> {
        let height = self.height;
        self.values
            .chunks_exact(self.stride)
            .map(move |column| &column[..height])
    }

    pub(crate) fn columns_mut(&mut self) -> impl Iterator<Item = &mut [Complex32]> {
        let height = self.height;
        self.values
            .chunks_exact_mut(self.stride)
            .map(move |column| &mut column[..height])
    }

    /// All values with the padding, which is zero, for work value by value.
    pub(crate) fn padded(&self) -> &[Complex32] {
        &self.values
    }

    pub(crate) fn padded_mut(&mut self) -> &mut [Complex32] {
        &mut self.values
    }
}

/// Work space of one thread.
#[derive(Clone, Debug)]
pub(crate) struct FourierScratch {
    rows: Vec<Complex32>,
    real: Vec<f32>,
    fft: Vec<Complex32>,
}

/// Plans for one image size.
#[derive(Clone)]
pub(crate) struct Fourier {
    height: usize,
    width: usize,
    forward_x: Arc<dyn RealToComplex<f32>>,
    inverse_x: Arc<dyn ComplexToReal<f32>>,
    forward_y: Arc<dyn Fft<f32>>,
    inverse_y: Arc<dyn Fft<f32>>,
}

impl fmt::Debug for Fourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fourier")
            .field("height", &self.height)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

impl Fourier {
    pub(crate) fn new(height: usize, width: usize) -> Self {
        let mut real = RealFftPlanner::new();
        let mut complex = FftPlanner::new();
        Self {
            height,
            width,
            forward_x: real.plan_fft_forward(width),
            inverse_x: real.plan_fft_inverse(width),
            forward_y: complex.plan_fft_forward(height),
            inverse_y: complex.plan_fft_inverse(height),
        }
    }

    fn half(&self) -> usize {
        self.width / 2 + 1
    }

    pub(crate) fn spectrum(&self) -> Spectrum {
        self.columns(self.height)
    }

    /// As many columns as a spectrum has, of `height` values.
    pub(crate) fn columns(&self, height: usize) -> Spectrum {
        let stride = height + PADDING;
        Spectrum {
            values: vec![Complex32::default(); self.half() * stride],
            height,
            stride,
        }
    }

    /// The weights of one column after the other, without the padding.
    pub(crate) fn weight_columns<'a>(&self, weights: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let height = self.height;
        weights
            .chunks_exact(height + PADDING)
            .map(move |column| &column[..height])
    }

    pub(crate) fn scratch(&self) -> FourierScratch {
        let longest = self
            .forward_x
            .get_scratch_len()
            .max(self.inverse_x.get_scratch_len())
            .max(self.forward_y.get_inplace_scratch_len())
            .max(self.inverse_y.get_inplace_scratch_len());
        FourierScratch {
            rows: vec![Complex32::default(); TILE * (self.half() + PADDING)],
            real: vec![0.0; self.width],
            fft: vec![Complex32::default(); longest],
        }
    }

    /// The weight of every frequency in the layout of [`Spectrum::padded`],
    /// from `(kx, ky)` in cycles per pixel; padding has none.
    pub(crate) fn weights(&self, weight: impl Fn(f64, f64) -> f64) -> Vec<f32> {
        let frequency = |k: usize, n: usize| {
            let signed = if 2 * k > n {
                k as f64 - n as f64
            } else {
                k as f64
            };
            signed / n as f64
        };
        let stride = self.height + PADDING;
        let mut out = vec![0.0; self.half() * stride];
        for (kx, row) in out.chunks_exact_mut(stride).enumerate() {
            for (ky, slot) in row[..self.height].iter_mut().enumerate() {
                *slot = weight(frequency(kx, self.width), frequency(ky, self.height)) as f32;
            }
        }
        out
    }

    /// Sum over all frequencies, those that a [`Spectrum`] leaves out as well.
    pub(crate) fn sum(&self, value: impl Fn(usize) -> f64) -> f64 {
        let stride = self.height + PADDING;
        let mut total = 0.0;
        for kx in 0..self.half() {
            // Frequencies between the first and the last column stand for two.
            let both = kx > 0 && 2 * kx != self.width;
            let row: f64 = (0..self.height).map(|ky| value(kx * stride + ky)).sum();
            total += if both { 2.0 * row } else { row };
        }
        total
    }

    /// The spectrum of an image of which `line(y, out)` gives the rows.
    pub(crate) fn forward(
        &self,
        line: impl FnMut(usize, &mut [f32]),
        out: &mut Spectrum,
        scratch: &mut FourierScratch,
    ) {
        self.forward_rows(line, out, scratch);
        for column in out.columns_mut() {
            self.forward_column(column, scratch);
        }
    }

    /// The first half of [`Fourier::forward`]: transforms the rows.
    pub(crate) fn forward_rows(
        &self,
        mut line: impl FnMut(usize, &mut [f32]),
        out: &mut Spectrum,
        scratch: &mut FourierScratch,
    ) {
        let half = self.half();
        let row_stride = half + PADDING;
        let stride = out.stride;
        let length = self.forward_x.get_scratch_len();
        for start in (0..self.height).step_by(TILE) {
            let end = (start + TILE).min(self.height);
            for y in start..end {
                line(y, &mut scratch.real);
                let row = &mut scratch.rows[(y - start) * row_stride..][..half];
                // Lengths come from the same plan, so this cannot fail.
                let _ = self.forward_x.process_with_scratch(
                    &mut scratch.real,
                    row,
                    &mut scratch.fft[..length],
                );
            }
            for x in 0..half {
                let column = &mut out.values[x * stride + start..x * stride + end];
                for (k, slot) in column.iter_mut().enumerate() {
                    *slot = scratch.rows[k * row_stride + x];
                }
            }
        }
    }

    /// Transforms one column of a spectrum.
    pub(crate) fn forward_column(&self, column: &mut [Complex32], scratch: &mut FourierScratch) {
        let length = self.forward_y.get_inplace_scratch_len();
        self.forward_y
            .process_with_scratch(column, &mut scratch.fft[..length]);
    }

    /// Transforms one column back, not normalised.
    pub(crate) fn inverse_column(&self, column: &mut [Complex32], scratch: &mut FourierScratch) {
        let length = self.inverse_y.get_inplace_scratch_len();
        self.inverse_y
            .process_with_scratch(column, &mut scratch.fft[..length]);
    }

    /// The inverse transform (normalised), row by row to `take`. Destroys `spectrum`.
    pub(crate) fn inverse(
        &self,
        spectrum: &mut Spectrum,
        scratch: &mut FourierScratch,
        take: impl FnMut(usize, &[f32]),
    ) {
        for column in spectrum.columns_mut() {
            self.inverse_column(column, scratch);
        }
        self.inverse_rows(spectrum, scratch, take);
    }

    /// The second half of [`Fourier::inverse`], of columns that are back
    /// already; `columns` may have any number of rows.
    pub(crate) fn inverse_rows(
        &self,
        columns: &Spectrum,
        scratch: &mut FourierScratch,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        let half = self.half();
        let row_stride = half + PADDING;
        let scale = 1.0 / (self.height * self.width) as f32;
        let length = self.inverse_x.get_scratch_len();
        for start in (0..columns.height).step_by(TILE) {
            let end = (start + TILE).min(columns.height);
            for x in 0..half {
                let column = &columns.values[x * columns.stride..];
                for (k, value) in column[start..end].iter().enumerate() {
                    scratch.rows[k * row_stride + x] = value * scale;
                }
            }
            for y in start..end {
                let line = &mut scratch.rows[(y - start) * row_stride..][..half];
                // The first and, for even widths, the last value are real but for rounding.
                line[0].im = 0.0;
                if self.width.is_multiple_of(2) {
                    line[half - 1].im = 0.0;
                }
                let _ = self.inverse_x.process_with_scratch(
                    line,
                    &mut scratch.real,
                    &mut scratch.fft[..length],
                );
                take(y, &scratch.real);
            }
        }
    }
}

/// The rows of `column` within `reach` of the origin, wrapped, the origin in
/// the middle.
pub(crate) fn around_origin(column: &[Complex32], reach: usize, out: &mut [Complex32]) {
    let (before, after) = out.split_at_mut(reach);
    before.copy_from_slice(&column[column.len() - reach..]);
    after.copy_from_slice(&column[..=reach]);
}

vectorised! {
    /// `out = values of unit modulus · filter`, where `floor` keeps empty
    /// frequencies from being divided by nothing.
    pub(crate) fn whiten<'a>(
        values: &'a [Complex32],
        filter: &'a [Complex32],
        floor: f32,
        out: &'a mut [Complex32],
    ) {
        for (slot, (v, w)) in out.iter_mut().zip(values.iter().zip(filter)) {
            let scale = 1.0 / (floor + (v.re * v.re + v.im * v.im).sqrt());
            slot.re = (v.re * w.re - v.im * w.im) * scale;
            slot.im = (v.re * w.im + v.im * w.re) * scale;
        }
    }

    /// Multiplies a spectrum by real `weights` in its own layout.
    pub(crate) fn scale<'a>(values: &'a mut [Complex32], weights: &'a [f32]) {
        for (value, &weight) in values.iter_mut().zip(weights) {
            value.re *= weight;
            value.im *= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transformed(image: &[f32], height: usize, width: usize) -> (Fourier, Spectrum) {
        let fourier = Fourier::new(height, width);
        let mut spectrum = fourier.spectrum();
        fourier.forward(
            |y, line| line.copy_from_slice(&image[y * width..(y + 1) * width]),
            &mut spectrum,
            &mut fourier.scratch(),
        );
        (fourier, spectrum)
    }

    #[test]
    fn the_inverse_is_the_image_again_whole_or_around_the_origin() {
        for (height, width) in [(16, 24), (15, 17)] {
            let image: Vec<f32> = (0..height * width)
                .map(|i| ((i * 37) % 101) as f32)
                .collect();
            let (fourier, mut spectrum) = transformed(&image, height, width);
            let mut scratch = fourier.scratch();
            let mut window = fourier.columns(5);
            fourier.inverse(&mut spectrum, &mut scratch, |y, line| {
                for (a, b) in line.iter().zip(&image[y * width..]) {
                    assert!((a - b).abs() < 1e-3);
                }
            });
            for (column, out) in spectrum.columns_mut().zip(window.columns_mut()) {
                around_origin(column, 2, out);
            }
            let mut rows = 0;
            fourier.inverse_rows(&window, &mut scratch, |k, line| {
                let y = (k + height - 2) % height;
                for (a, b) in line.iter().zip(&image[y * width..]) {
                    assert!((a - b).abs() < 1e-3);
                }
                rows += 1;
            });
            assert_eq!(rows, 5);
        }
    }

    #[test]
    fn energy_is_the_same_on_both_sides() {
        // Parseval's theorem, for even and odd sides.
        for (height, width) in [(16, 24), (15, 17)] {
            let image: Vec<f32> = (0..height * width)
                .map(|i| ((i * 37) % 101) as f32)
                .collect();
            let (fourier, spectrum) = transformed(&image, height, width);
            let there = fourier.sum(|k| f64::from(spectrum.padded()[k].norm_sqr()));
            let here: f64 = image.iter().map(|&v| f64::from(v).powi(2)).sum();
            assert!((there / here / image.len() as f64 - 1.0).abs() < 1e-5);
        }
    }
}
