//! Real two-dimensional Fourier transforms whose columns lie transposed and
//! padded: neither pass strides through memory by powers of two, which would
//! make all values of a column share one cache set.

use std::fmt;
use std::sync::Arc;

use fluorspar_movie::vectorised;
use realfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Complex values of padding after each column.
const PADDING: usize = 8;
/// Side of the square that is transposed at a time; even, since rows are
/// transformed in pairs.
const TILE: usize = 16;

/// The spectrum of a real image, or its first columns: up to `width / 2 + 1`
/// columns (kx) of `height` values (ky), one after the other, each padded.
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

    /// Columns that are held.
    pub(crate) fn count(&self) -> usize {
        self.values.len() / self.stride
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
    /// One row of complex values for every two of pixels.
    pair: Vec<Complex32>,
    rows: Vec<Complex32>,
    real: [Vec<f32>; 2],
    fft: Vec<Complex32>,
}

/// Plans for one image size.
///
/// Rows are transformed two at a time, as the real and the imaginary part of
/// one complex row: their spectra come apart by symmetry, without the twiddle
/// factors that the transform of a single real row needs.
#[derive(Clone)]
pub(crate) struct Fourier {
    height: usize,
    width: usize,
    forward_x: Arc<dyn Fft<f32>>,
    inverse_x: Arc<dyn Fft<f32>>,
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
        let mut planner = FftPlanner::new();
        Self {
            height,
            width,
            forward_x: planner.plan_fft_forward(width),
            inverse_x: planner.plan_fft_inverse(width),
            forward_y: planner.plan_fft_forward(height),
            inverse_y: planner.plan_fft_inverse(height),
        }
    }

    /// Columns of a whole spectrum.
    fn half(&self) -> usize {
        self.width / 2 + 1
    }

    /// A whole spectrum.
    pub(crate) fn spectrum(&self) -> Spectrum {
        self.columns(self.half(), self.height)
    }

    /// The first `count` columns of a spectrum, of `height` values.
    pub(crate) fn columns(&self, count: usize, height: usize) -> Spectrum {
        let stride = height + PADDING;
        Spectrum {
            values: vec![Complex32::default(); count.min(self.half()) * stride],
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
        let plans = [
            &self.forward_x,
            &self.inverse_x,
            &self.forward_y,
            &self.inverse_y,
        ];
        let longest = plans.map(|plan| plan.get_inplace_scratch_len());
        FourierScratch {
            pair: vec![Complex32::default(); self.width],
            rows: vec![Complex32::default(); TILE * (self.half() + PADDING)],
            real: [vec![0.0; self.width], vec![0.0; self.width]],
            fft: vec![Complex32::default(); longest.into_iter().max().unwrap_or(0)],
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

    /// The first half of [`Fourier::forward`]: transforms the rows, into as
    /// many columns as `out` has.
    pub(crate) fn forward_rows(
        &self,
        mut line: impl FnMut(usize, &mut [f32]),
        out: &mut Spectrum,
        scratch: &mut FourierScratch,
    ) {
        let FourierScratch {
            pair,
            rows,
            real: [even, odd],
            fft,
        } = scratch;
        let (count, stride) = (out.count(), out.stride);
        let row_stride = self.half() + PADDING;
        let length = self.forward_x.get_inplace_scratch_len();
        for start in (0..self.height).step_by(TILE) {
            let end = (start + TILE).min(self.height);
            for (y, both) in (start..end)
                .step_by(2)
                .zip(rows.chunks_exact_mut(2 * row_stride))
            {
                line(y, even);
                if y + 1 < end {
                    line(y + 1, odd);
                } else {
                    odd.fill(0.0);
                }
                interleave(even, odd, pair);
                self.forward_x
                    .process_with_scratch(pair, &mut fft[..length]);
                let (first, second) = both.split_at_mut(row_stride);
                part(pair, &mut first[..count], &mut second[..count]);
            }
            for (x, column) in out.values.chunks_exact_mut(stride).enumerate() {
                for (k, slot) in column[start..end].iter_mut().enumerate() {
                    *slot = rows[k * row_stride + x];
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
    /// already; `columns` may have any number of rows, and columns that it
    /// does not hold count as zero.
    pub(crate) fn inverse_rows(
        &self,
        columns: &Spectrum,
        scratch: &mut FourierScratch,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        let FourierScratch {
            pair,
            rows,
            real: [even, odd],
            fft,
        } = scratch;
        let count = columns.count();
        let row_stride = self.half() + PADDING;
        let scale = 1.0 / (self.height * self.width) as f32;
        let length = self.inverse_x.get_inplace_scratch_len();
        for start in (0..columns.height).step_by(TILE) {
            let end = (start + TILE).min(columns.height);
            for (x, column) in columns.values.chunks_exact(columns.stride).enumerate() {
                for (k, value) in column[start..end].iter().enumerate() {
                    rows[k * row_stride + x] = value * scale;
                }
            }
            for (y, both) in (start..end)
                .step_by(2)
                .zip(rows.chunks_exact_mut(2 * row_stride))
            {
                let (first, second) = both.split_at_mut(row_stride);
                if y + 1 == end {
                    second.fill(Complex32::default());
                }
                join(&first[..count], &second[..count], pair);
                self.inverse_x
                    .process_with_scratch(pair, &mut fft[..length]);
                separate(pair, even, odd);
                take(y, even);
                if y + 1 < end {
                    take(y + 1, odd);
                }
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
    /// `out = a + i·b`.
    fn interleave<'a>(a: &'a [f32], b: &'a [f32], out: &'a mut [Complex32]) {
        for (slot, (&re, &im)) in out.iter_mut().zip(a.iter().zip(b)) {
            *slot = Complex32 { re, im };
        }
    }

    /// The real and the imaginary part.
    fn separate<'a>(values: &'a [Complex32], re: &'a mut [f32], im: &'a mut [f32]) {
        for (value, (re, im)) in values.iter().zip(re.iter_mut().zip(im)) {
            (*re, *im) = (value.re, value.im);
        }
    }

    /// From the spectrum of `a + i·b` the first values of those of `a` and of
    /// `b`, which are its Hermitian and its anti-Hermitian part.
    fn part<'a>(both: &'a [Complex32], a: &'a mut [Complex32], b: &'a mut [Complex32]) {
        let count = a.len().min(b.len());
        let (Some((a0, a)), Some((b0, b))) = (a.split_first_mut(), b.split_first_mut()) else {
            return;
        };
        let Some((zero, both)) = both.split_first() else {
            return;
        };
        *a0 = Complex32 { re: zero.re, im: 0.0 };
        *b0 = Complex32 { re: zero.im, im: 0.0 };
        let mirrored = both[both.len() + 1 - count..].iter().rev();
        for ((u, v), (a, b)) in both.iter().zip(mirrored).zip(a.iter_mut().zip(b)) {
            a.re = 0.5 * (u.re + v.re);
            a.im = 0.5 * (u.im - v.im);
            b.re = 0.5 * (u.im + v.im);
            b.im = 0.5 * (v.re - u.re);
        }
    }

    /// The spectrum of `a + i·b` from the first values of those of two real
    /// rows `a` and `b`, zero beyond.
    fn join<'a>(a: &'a [Complex32], b: &'a [Complex32], both: &'a mut [Complex32]) {
        let width = both.len();
        let half = width / 2 + 1;
        let count = a.len().min(b.len()).min(half);
        let real = |a: Complex32, b: Complex32| Complex32 { re: a.re, im: b.re };
        // What is its own mirror image is real but for rounding.
        let own = count == half && width.is_multiple_of(2);
        let inner = if own { count - 1 } else { count };
        for (slot, (a, b)) in both[..inner].iter_mut().zip(a.iter().zip(b)) {
            *slot = Complex32 { re: a.re - b.im, im: a.im + b.re };
        }
        if own {
            both[half - 1] = real(a[half - 1], b[half - 1]);
        }
        both[count..(width + 1 - inner).max(count)].fill(Complex32::default());
        let mirrored = both[width + 1 - inner.max(1)..].iter_mut().rev();
        for (slot, (a, b)) in mirrored.zip(a[1..].iter().zip(&b[1..])) {
            *slot = Complex32 { re: a.re + b.im, im: b.re - a.im };
        }
        if inner > 0 {
            both[0] = real(a[0], b[0]);
        }
    }

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
            let mut window = fourier.columns(width, 5);
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
    fn the_first_columns_are_those_of_the_whole_and_come_back_smoothed() {
        for (height, width) in [(16, 24), (15, 17), (17, 16)] {
            let image: Vec<f32> = (0..height * width)
                .map(|i| ((i * i * 37) % 101) as f32)
                .collect();
            let (fourier, mut whole) = transformed(&image, height, width);
            let mut scratch = fourier.scratch();
            let mut first = fourier.columns(4, height);
            let line = |y: usize, line: &mut [f32]| {
                line.copy_from_slice(&image[y * width..(y + 1) * width]);
            };
            fourier.forward(line, &mut first, &mut scratch);
            for (a, b) in first.columns().zip(whole.columns()) {
                assert_eq!(a, b);
            }
            // Without the other columns, as with these set to zero.
            for column in whole.columns_mut().skip(4) {
                column.fill(Complex32::default());
            }
            let mut smooth = Vec::new();
            fourier.inverse(&mut whole, &mut scratch, |_, line| {
                smooth.extend_from_slice(line);
            });
            let mut rows = 0;
            fourier.inverse(&mut first, &mut scratch, |y, line| {
                for (a, b) in line.iter().zip(&smooth[y * width..]) {
                    assert!((a - b).abs() < 1e-3);
                }
                rows += 1;
            });
            assert_eq!(rows, height);
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
