//! Real two-dimensional Fourier transforms whose columns lie transposed and
//! padded: neither pass strides through memory by powers of two, which would
//! make all values of a column share one cache set.

use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

/// Complex values of padding after each row.
const PADDING: usize = 8;
/// Side of the square that is transposed at a time.
const TILE: usize = 16;

/// The spectrum of a real image: `width / 2 + 1` rows (kx) of `height`
/// values (ky), each row padded.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    values: Vec<Complex32>,
    height: usize,
    stride: usize,
}

impl Spectrum {
    /// The rows, without their padding.
    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [Complex32]> {
        let height = self.height;
        self.values
            .chunks_exact_mut(self.stride)
            .map(move |row| &mut row[..height])
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[Complex32]> {
        self.values
            .chunks_exact(self.stride)
            .map(|row| &row[..self.height])
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
        let stride = self.height + PADDING;
        Spectrum {
            values: vec![Complex32::default(); self.half() * stride],
            height: self.height,
            stride,
        }
    }

    pub(crate) fn scratch(&self) -> FourierScratch {
        let longest = self
            .forward_x
            .get_scratch_len()
            .max(self.inverse_x.get_scratch_len())
            .max(self.forward_y.get_inplace_scratch_len())
            .max(self.inverse_y.get_inplace_scratch_len());
        FourierScratch {
            rows: vec![Complex32::default(); self.height * (self.half() + PADDING)],
            real: vec![0.0; self.width],
            fft: vec![Complex32::default(); longest],
        }
    }

    /// The spectrum of `image` (row-major, destroyed).
    pub(crate) fn forward(
        &self,
        image: &mut [f32],
        out: &mut Spectrum,
        scratch: &mut FourierScratch,
    ) {
        let half = self.half();
        let row_stride = half + PADDING;
        for (line, row) in image
            .chunks_exact_mut(self.width)
            .zip(scratch.rows.chunks_exact_mut(row_stride))
        {
            // Lengths come from the same plan, so this cannot fail.
            let _ = self.forward_x.process_with_scratch(
                line,
                &mut row[..half],
                &mut scratch.fft[..self.forward_x.get_scratch_len()],
            );
        }
        for x0 in (0..half).step_by(TILE) {
            for y0 in (0..self.height).step_by(TILE) {
                for x in x0..(x0 + TILE).min(half) {
                    for y in y0..(y0 + TILE).min(self.height) {
                        out.values[x * out.stride + y] = scratch.rows[y * row_stride + x];
                    }
                }
            }
        }
        let length = self.forward_y.get_inplace_scratch_len();
        for row in out.rows_mut() {
            self.forward_y
                .process_with_scratch(row, &mut scratch.fft[..length]);
        }
    }

    /// The part of the inverse transform (normalised) within `reach_y` rows
    /// and `reach_x` columns of the origin, row-major, the origin in the
    /// middle. Rows further away are never computed. Destroys `spectrum`.
    pub(crate) fn inverse_window(
        &self,
        spectrum: &mut Spectrum,
        (reach_y, reach_x): (usize, usize),
        out: &mut [f32],
        scratch: &mut FourierScratch,
    ) {
        let length = self.inverse_y.get_inplace_scratch_len();
        for row in spectrum.rows_mut() {
            self.inverse_y
                .process_with_scratch(row, &mut scratch.fft[..length]);
        }
        let half = self.half();
        let scale = 1.0 / (self.height * self.width) as f32;
        let columns = 2 * reach_x + 1;
        for (index, line) in out.chunks_exact_mut(columns).enumerate() {
            let y = (index + self.height - reach_y) % self.height;
            for x in 0..half {
                scratch.rows[x] = spectrum.values[x * spectrum.stride + y];
            }
            // The first and, for even widths, the last value are real but for rounding.
            scratch.rows[0].im = 0.0;
            if self.width.is_multiple_of(2) {
                scratch.rows[half - 1].im = 0.0;
            }
            let _ = self.inverse_x.process_with_scratch(
                &mut scratch.rows[..half],
                &mut scratch.real,
                &mut scratch.fft[..self.inverse_x.get_scratch_len()],
            );
            for (column, slot) in line.iter_mut().enumerate() {
                *slot = scratch.real[(column + self.width - reach_x) % self.width] * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_the_inverse_is_the_image_again() {
        for (height, width) in [(16, 24), (15, 17)] {
            let image: Vec<f32> = (0..height * width)
                .map(|i| ((i * 37) % 101) as f32)
                .collect();
            let fourier = Fourier::new(height, width);
            let mut spectrum = fourier.spectrum();
            let mut scratch = fourier.scratch();
            fourier.forward(&mut image.clone(), &mut spectrum, &mut scratch);
            let mut out = vec![0.0; 5 * 7];
            fourier.inverse_window(&mut spectrum, (2, 3), &mut out, &mut scratch);
            for dy in -2_isize..=2 {
                for dx in -3_isize..=3 {
                    let y = dy.rem_euclid(height as isize) as usize;
                    let x = dx.rem_euclid(width as isize) as usize;
                    let found = out[((dy + 2) * 7 + dx + 3) as usize];
                    assert!((found - image[y * width + x]).abs() < 1e-3);
                }
            }
        }
    }
}
