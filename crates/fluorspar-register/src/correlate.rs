use ndarray::{Array2, ArrayView2};
use realfft::num_complex::Complex32;

use crate::fourier::{Fourier, FourierScratch, Spectrum};
use crate::refine::{REACH, Refiner};
use crate::{Error, Parameters, Reference};

/// How far a frame is from the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shift {
    /// Along y in pixels; `registered[y, x] = raw[y + dy, x + dx]`.
    pub dy: f32,
    /// Along x in pixels.
    pub dx: f32,
    /// Height of the correlation peak, 1 for identical images and near 0 for
    /// unrelated ones; 0 for frames without structure.
    pub quality: f32,
}

/// Smallest side of an image that can be registered, in pixels.
const SMALLEST: usize = 16;
/// Keeps empty frequencies from being divided by nothing.
const FLOOR: f32 = 1e-5;

/// Estimates shifts against one reference.
#[derive(Clone, Debug)]
pub struct Registrar {
    height: usize,
    width: usize,
    max_shift: (usize, usize),
    /// Rows and columns around the origin whose correlation is computed.
    window: (usize, usize),
    parameters: Parameters,
    image: Array2<f32>,
    taper: Vec<f32>,
    /// What is added where the taper takes away: `⟨reference⟩ · (1 − taper)`.
    fill: Vec<f32>,
    filter: Spectrum,
    fourier: Fourier,
    refiner: Refiner,
    /// Peak of the smoothed correlation of an image with itself.
    perfect: f32,
}

/// Work space of one thread for [`Registrar::estimate`].
#[derive(Clone, Debug)]
pub struct Scratch {
    image: Vec<f32>,
    spectrum: Spectrum,
    map: Vec<f32>,
    fourier: FourierScratch,
}

impl Registrar {
    /// Prepares the estimation against `reference`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for parameters out of range, [`Error::Image`] for
    /// images with a side below 16 pixels.
    pub fn new(reference: &Reference, parameters: &Parameters) -> Result<Self, Error> {
        let (height, width) = reference.image().dim();
        check_size(height, width)?;
        let most = parameters.max_shift(height, width);
        Self::with_max_shift(reference.image(), (most, most), parameters)
    }

    fn with_max_shift(
        image: ArrayView2<'_, f32>,
        max_shift: (usize, usize),
        parameters: &Parameters,
    ) -> Result<Self, Error> {
        parameters.validate()?;
        let (height, width) = image.dim();
        check_size(height, width)?;
        if image.iter().any(|v| !v.is_finite()) {
            return Err(Error::Image(
                "the reference has pixels that are not numbers".into(),
            ));
        }
        let limit = |side: usize, most: usize| most.clamp(1, (side - 1) / 2);
        let max_shift = (limit(height, max_shift.0), limit(width, max_shift.1));
        let window = (
            (max_shift.0 + REACH).min((height - 1) / 2),
            (max_shift.1 + REACH).min((width - 1) / 2),
        );
        let mean = image.iter().map(|&v| f64::from(v)).sum::<f64>() / image.len() as f64;
        let (ty, tx) = (
            taper(height, parameters.taper_sigma),
            taper(width, parameters.taper_sigma),
        );
        let taper: Vec<f32> = ty
            .iter()
            .flat_map(|&a| tx.iter().map(move |&b| a * b))
            .collect();
        let fill: Vec<f32> = taper.iter().map(|&m| (1.0 - m) * mean as f32).collect();
        let fourier = Fourier::new(height, width);
        let mut filter = fourier.spectrum();
        let mut work: Vec<f32> = image.iter().copied().collect();
        fourier.forward(&mut work, &mut filter, &mut fourier.scratch());
        let perfect = whiten_and_smooth(&mut filter, height, width, parameters.smooth_sigma);
        Ok(Self {
            height,
            width,
            max_shift,
            window,
            parameters: parameters.clone(),
            image: image.as_standard_layout().into_owned(),
            taper,
            fill,
            filter,
            fourier,
            refiner: Refiner::new(),
            perfect,
        })
    }

    /// The reference image `(y, x)`.
    pub fn reference(&self) -> ArrayView2<'_, f32> {
        self.image.view()
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn max_shift(&self) -> (usize, usize) {
        self.max_shift
    }

    /// Work space for one thread.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            image: vec![0.0; self.height * self.width],
            spectrum: self.fourier.spectrum(),
            map: vec![0.0; (2 * self.window.0 + 1) * (2 * self.window.1 + 1)],
            fourier: self.fourier.scratch(),
        }
    }

    /// The shift of `frame` `(y, x)` against the reference.
    ///
    /// Pixels that are not finite count as the reference's. A frame without
    /// structure, or of another size, has shift and quality 0.
    pub fn estimate(&self, frame: ArrayView2<'_, f32>, scratch: &mut Scratch) -> Shift {
        if frame.dim() != (self.height, self.width) || is_constant(frame) {
            return Shift::default();
        }
        let frame = frame.as_standard_layout();
        let (Some(pixels), Some(reference)) = (frame.as_slice(), self.image.as_slice()) else {
            return Shift::default();
        };
        for (k, slot) in scratch.image.iter_mut().enumerate() {
            let value = if pixels[k].is_finite() {
                pixels[k]
            } else {
                reference[k]
            };
            *slot = value * self.taper[k] + self.fill[k];
        }
        self.fourier.forward(
            &mut scratch.image,
            &mut scratch.spectrum,
            &mut scratch.fourier,
        );
        for (row, filter) in scratch.spectrum.rows_mut().zip(self.filter.rows()) {
            for (value, &weight) in row.iter_mut().zip(filter) {
                *value = *value * weight * (1.0 / (FLOOR + modulus(*value)));
            }
        }
        self.fourier.inverse_window(
            &mut scratch.spectrum,
            self.window,
            &mut scratch.map,
            &mut scratch.fourier,
        );
        self.peak(&scratch.map)
    }

    fn peak(&self, map: &[f32]) -> Shift {
        let columns = 2 * self.window.1 + 1;
        let (wy, wx) = (self.window.0 as isize, self.window.1 as isize);
        let (my, mx) = (self.max_shift.0 as isize, self.max_shift.1 as isize);
        let at = |dy: isize, dx: isize| map[((dy + wy) as usize) * columns + (dx + wx) as usize];
        let (mut best, mut place) = (f32::NEG_INFINITY, (0, 0));
        for dy in -my..=my {
            for dx in -mx..=mx {
                let value = at(dy, dx);
                if value > best {
                    (best, place) = (value, (dy, dx));
                }
            }
        }
        let reach = REACH as isize;
        let (mut dy, mut dx) = (place.0 as f64, place.1 as f64);
        if place.0.abs() + reach <= wy && place.1.abs() + reach <= wx {
            let patch = std::array::from_fn(|i| {
                std::array::from_fn(|j| {
                    f64::from(at(
                        place.0 + i as isize - reach,
                        place.1 + j as isize - reach,
                    ))
                })
            });
            let (fy, fx) = self.refiner.peak(&patch);
            dy += fy;
            dx += fx;
        }
        Shift {
            dy: dy as f32,
            dx: dx as f32,
            quality: (best / self.perfect).clamp(0.0, 1.0),
        }
    }
}

/// The shift of `moving` against `fixed`, both `(y, x)`, within `max_shift`
/// `(y, x)` pixels; for single pairs of images such as the means of two sessions.
///
/// # Errors
/// [`Error::Image`] if the sizes differ, a side is below 16 pixels or `fixed`
/// has pixels that are not finite; [`Error::Parameter`].
pub fn phase_correlation(
    fixed: ArrayView2<'_, f32>,
    moving: ArrayView2<'_, f32>,
    max_shift: (usize, usize),
    parameters: &Parameters,
) -> Result<Shift, Error> {
    if fixed.dim() != moving.dim() {
        return Err(Error::Image(format!(
            "images of {:?} and {:?} pixels cannot be compared",
            fixed.dim(),
            moving.dim()
        )));
    }
    if is_constant(fixed) {
        return Ok(Shift::default());
    }
    let registrar = Registrar::with_max_shift(fixed, max_shift, parameters)?;
    Ok(registrar.estimate(moving, &mut registrar.scratch()))
}

pub(crate) fn check_size(height: usize, width: usize) -> Result<(), Error> {
    if height.min(width) < SMALLEST {
        return Err(Error::Image(format!(
            "images of {height} × {width} pixels are too small to register; \
             the shorter side needs {SMALLEST}"
        )));
    }
    Ok(())
}

/// Without the care for overflow that `hypot` takes: spectra of images are far from it.
fn modulus(value: Complex32) -> f32 {
    (value.re * value.re + value.im * value.im).sqrt()
}

/// Whether all finite pixels have one value.
pub(crate) fn is_constant(frame: ArrayView2<'_, f32>) -> bool {
    let mut finite = frame.iter().copied().filter(|v| v.is_finite());
    match finite.next() {
        None => true,
        Some(first) => finite.all(|v| v == first),
    }
}

/// `1 / (1 + exp((|u − (L−1)/2| − ((L−1)/2 − 2σ)) / σ))` along one side.
fn taper(side: usize, sigma: f32) -> Vec<f32> {
    let middle = (side as f64 - 1.0) / 2.0;
    let sigma = f64::from(sigma);
    (0..side)
        .map(|u| {
            let distance = (u as f64 - middle).abs() - (middle - 2.0 * sigma);
            (1.0 / (1.0 + (distance / sigma).exp())) as f32
        })
        .collect()
}

/// Turns a spectrum into the matched filter: conjugate, unit modulus, times
/// the transfer function of a Gaussian. Returns the peak that the filter
/// gives on its own image.
fn whiten_and_smooth(spectrum: &mut Spectrum, height: usize, width: usize, sigma: f32) -> f32 {
    let gauss = |k: usize, n: usize| {
        let frequency = k.min(n - k) as f64 / n as f64;
        (-2.0 * (std::f64::consts::PI * frequency * f64::from(sigma)).powi(2)).exp()
    };
    let mut total = 0.0;
    for (kx, row) in spectrum.rows_mut().enumerate() {
        let gx = gauss(kx, width);
        // Frequencies between the first and the last column stand for two.
        let both = kx > 0 && 2 * kx != width;
        for (ky, value) in row.iter_mut().enumerate() {
            let weight = gx * gauss(ky, height);
            *value = value.conj() * (weight as f32 / (FLOOR + modulus(*value)));
            total += weight * if both { 2.0 } else { 1.0 };
        }
    }
    (total / (height * width) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taper_has_its_published_values() {
        let t = taper(512, 3.45);
        for (u, expected) in [
            (0, 0.1192),
            (1, 0.1531),
            (2, 0.1946),
            (5, 0.3657),
            (10, 0.7107),
            (20, 0.9781),
        ] {
            assert!((t[u] - expected).abs() < 1e-4, "{u}: {}", t[u]);
        }
    }
}
