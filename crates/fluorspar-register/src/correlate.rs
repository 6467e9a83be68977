use std::ops::Range;

use fluorspar_movie::vectorised;
use ndarray::{Array2, ArrayView2};
use realfft::num_complex::Complex32;
use serde::{Deserialize, Serialize};

use crate::fourier::{Fourier, FourierScratch, Spectrum, around_origin, scale, whiten};
use crate::piecewise::{Piecewise, PiecewiseScratch};
use crate::refine::{REACH, Refiner};
use crate::tie::Window;
use crate::{Error, Grid, Mode, Parameters, Reference};

/// How far a frame is from the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
/// Frequencies weaker than this beside the root mean square of all are not
/// brought to the same weight: in smooth images they hold what leaks over the
/// border, which stands still.
const FLOOR: f64 = 0.03;
/// Frequencies that the smoothing of the correlation leaves less than this of
/// are not computed.
const LEAST: f64 = 0.1;

/// Estimates shifts against one reference, frame by frame: for whole movies
/// through [`register`](crate::register), or online.
///
/// One forward transform and an inverse of the rows within the largest shift
/// per frame; nothing is allocated. Neither the brightness nor the offset of a
/// frame matters.
///
/// ```
/// use fluorspar_register::{Parameters, Reference, Registrar};
/// use ndarray::Array2;
///
/// // Patches without order.
/// let patch = |y: i64, x: i64| (y * 7919 + x * 104_729).pow(2) % 1009;
/// let scene = |y: i64, x: i64| patch(y.div_euclid(4), x.div_euclid(4)) as f32;
/// let reference = Array2::from_shape_fn((96, 96), |(y, x)| scene(y as i64, x as i64));
/// let frame = Array2::from_shape_fn((96, 96), |(y, x)| {
///     5.0 + 3.0 * scene(y as i64 - 2, x as i64 + 1)
/// });
///
/// let parameters = Parameters::default();
/// let registrar = Registrar::new(&Reference::from_image(reference), &parameters)?;
/// let mut scratch = registrar.scratch();
/// let shift = registrar.estimate(frame.view(), &mut scratch);
/// assert!((shift.dy - 2.0).abs() < 0.1 && (shift.dx + 1.0).abs() < 0.1, "{shift:?}");
/// # Ok::<(), fluorspar_register::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registrar {
    height: usize,
    width: usize,
    max_shift: (usize, usize),
    /// Rows and columns around the origin whose correlation is computed.
    window: (usize, usize),
    parameters: Parameters,
    image: Array2<f32>,
    window_function: Taper,
    /// Its columns are those within the band that is correlated.
    filter: Spectrum,
    /// Rows of a spectrum on each side of frequency 0 within the band.
    band: usize,
    fourier: Fourier,
    refiner: Refiner,
    /// Peak of the smoothed correlation of an image with itself.
    perfect: f32,
    /// Quality of the frames that the reference was made of, if it was made of frames.
    usual_quality: Option<f32>,
    /// Whole pixels that odd lines are moved by before anything else.
    line_offset: i32,
    piecewise: Option<Piecewise>,
}

/// Work space of one thread for [`Registrar::estimate`].
#[derive(Clone, Debug)]
pub struct Scratch {
    spectrum: Spectrum,
    column: Vec<Complex32>,
    window: Spectrum,
    map: Vec<f32>,
    fourier: FourierScratch,
    piecewise: Option<PiecewiseScratch>,
}

impl Registrar {
    /// Prepares the estimation against `reference`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for parameters out of range, [`Error::Image`] for
    /// images with a side below 16 pixels, and for [`Mode::Piecewise`] if the
    /// reference is a bare image: see [`Reference::learn`].
    pub fn new(reference: &Reference, parameters: &Parameters) -> Result<Self, Error> {
        let mut registrar = Self::rigid(reference.image(), parameters)?;
        registrar.usual_quality = reference.usual_quality();
        let offset = reference.line_offset().or(parameters.line_offset);
        registrar.line_offset = offset.unwrap_or(0.0).round() as i32;
        if parameters.mode == Mode::Piecewise {
            registrar.piecewise = Some(reference.piecewise(&registrar, parameters)?);
        }
        Ok(registrar)
    }

    /// Against an image alone, whatever the mode.
    pub(crate) fn rigid(
        image: ArrayView2<'_, f32>,
        parameters: &Parameters,
    ) -> Result<Self, Error> {
        let (height, width) = image.dim();
        check_size(height, width)?;
        let most = parameters.max_shift(height, width);
        Self::with_max_shift(image, (most, most), parameters)
    }

    pub(crate) fn with_max_shift(
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
        let image = image.as_standard_layout().into_owned();
        let fourier = Fourier::new(height, width);
        let band = |side: usize| {
            let highest = (-LEAST.ln() / 2.0).sqrt()
                / (std::f64::consts::PI * f64::from(parameters.smooth_sigma));
            ((highest * side as f64).ceil() as usize).min(side / 2)
        };
        let mut filter = fourier.columns(band(width) + 1, height);
        // The reference is not tapered for phase correlation: a tapered frame
        // against it costs nothing of the overlap.
        let mean = mean_of_finite(image.as_slice().unwrap_or_default());
        let power: f64 = image.iter().map(|&v| f64::from(v - mean).powi(2)).sum();
        let row = |y: usize, line: &mut [f32]| {
            for (slot, &value) in line.iter_mut().zip(image.row(y)) {
                *slot = value - mean;
            }
        };
        fourier.forward(row, &mut filter, &mut fourier.scratch());
        let floor = (FLOOR * power.sqrt()) as f32;
        let sigma = parameters.smooth_sigma;
        let band = band(height);
        let perfect = whiten_and_smooth(&mut filter, (height, width), band, sigma, floor);
        Ok(Self {
            height,
            width,
            max_shift,
            window,
            parameters: parameters.clone(),
            image,
            window_function: Taper::new(height, width, parameters.taper_sigma),
            filter,
            band,
            fourier,
            refiner: Refiner::new(),
            perfect,
            usual_quality: None,
            line_offset: 0,
            piecewise: None,
        })
    }

    /// The reference image `(y, x)`.
    pub fn reference(&self) -> ArrayView2<'_, f32> {
        self.image.view()
    }

    /// Where the nodes of displacement fields lie; `None` for a rigid registrar.
    pub fn grid(&self) -> Option<&Grid> {
        self.piecewise.as_ref().map(Piecewise::grid)
    }

    /// Whole pixels by which [`register`](crate::register) moves odd lines to
    /// the left before it estimates and samples; [`shift_lines`](crate::shift_lines)
    /// does so for frames given to [`Registrar::estimate`].
    pub fn line_offset(&self) -> i32 {
        self.line_offset
    }

    pub(crate) fn fourier(&self) -> &Fourier {
        &self.fourier
    }

    pub(crate) fn set_piecewise(&mut self, piecewise: Piecewise) {
        self.piecewise = Some(piecewise);
    }

    /// Whether a shift can be believed: the frame has structure, is not far
    /// less like the reference than the frames that this was made of, and is
    /// not at the limit of the search.
    pub fn trusts(&self, shift: &Shift) -> bool {
        let (my, mx) = self.max_shift;
        let usual = self.usual_quality.unwrap_or(0.0);
        shift.quality > 0.0
            && shift.quality >= self.parameters.trusted_quality as f32 * usual
            && shift.dy.abs() < my as f32 - 0.01
            && shift.dx.abs() < mx as f32 - 0.01
    }

    /// Work space for one thread.
    pub fn scratch(&self) -> Scratch {
        let whole = self.filter.count();
        let parts = self.piecewise.as_ref().map_or(0, Piecewise::columns);
        let columns = whole.max(parts);
        Scratch {
            spectrum: self.fourier.columns(columns, self.height),
            column: vec![Complex32::default(); self.height],
            window: self
                .fourier
                .columns(self.filter.count(), 2 * self.window.0 + 1),
            map: vec![0.0; (2 * self.window.0 + 1) * (2 * self.window.1 + 1)],
            fourier: self.fourier.scratch(),
            piecewise: self.piecewise.as_ref().map(Piecewise::scratch),
        }
    }

    /// The shift of `frame` `(y, x)` as a whole against the reference.
    ///
    /// Pixels that are not finite are left out. A frame without structure, or
    /// of another size, has shift and quality 0.
    pub fn estimate(&self, frame: ArrayView2<'_, f32>, scratch: &mut Scratch) -> Shift {
        if frame.dim() != (self.height, self.width) || is_constant(frame) {
            return Shift::default();
        }
        let energy = self.transform_rows(frame, scratch);
        self.correlate(energy, None, scratch)
    }

    /// The correlation of `frame` with the reference at all shifts of the
    /// window; `None` for a frame without structure or of another size.
    pub(crate) fn map<'a>(
        &self,
        frame: ArrayView2<'_, f32>,
        scratch: &'a mut Scratch,
    ) -> Option<&'a [f32]> {
        if frame.dim() != (self.height, self.width) || is_constant(frame) {
            return None;
        }
        let energy = self.transform_rows(frame, scratch);
        self.correlate(energy, None, scratch);
        Some(&scratch.map)
    }

    /// Which shifts [`Registrar::map`] covers.
    pub(crate) fn window(&self) -> Window {
        Window {
            reach: self.window,
            most: self.max_shift,
        }
    }

    /// The height of the peak of an image with itself.
    pub(crate) fn perfect(&self) -> f32 {
        self.perfect
    }

    /// The shift of a frame whose rows are transformed. Each column is
    /// transformed, filtered and transformed back while it is at hand; with
    /// `weights`, the spectrum becomes the frame filtered by them, its columns
    /// back already.
    fn correlate(&self, energy: f64, weights: Option<&[f32]>, scratch: &mut Scratch) -> Shift {
        let Scratch {
            spectrum,
            column: product,
            window,
            map,
            fourier: buffers,
            ..
        } = scratch;
        let floor = (FLOOR * energy.sqrt()) as f32;
        let mut weights = weights.map(|weights| self.fourier.weight_columns(weights));
        let mut matched = window.columns_mut().zip(self.filter.columns());
        for column in spectrum.columns_mut() {
            self.fourier.forward_column(column, buffers);
            if let Some((around, filter)) = matched.next() {
                for part in in_band(self.height, self.band) {
                    let [column, filter] = [&*column, filter].map(|c| &c[part.clone()]);
                    whiten(column, filter, floor, &mut product[part]);
                }
                let [low, high] = in_band(self.height, self.band);
                product[low.end..high.start].fill(Complex32::default());
                self.fourier.inverse_column(product, buffers);
                around_origin(product, self.window.0, around);
            }
            if let Some(weights) = weights.as_mut().and_then(Iterator::next) {
                scale(column, weights);
                self.fourier.inverse_column(column, buffers);
            }
        }
        drop(matched);
        let reach = self.window.1;
        let across = 2 * reach + 1;
        self.fourier.inverse_rows(window, buffers, |y, line| {
            let target = &mut map[y * across..(y + 1) * across];
            target[..reach].copy_from_slice(&line[self.width - reach..]);
            target[reach..].copy_from_slice(&line[..=reach]);
        });
        self.peak(map, self.perfect)
    }

    /// The shift of `frame` as [`Registrar::estimate`] gives it, and into
    /// `nodes` `(component, node y, node x)` the displacement of its parts
    /// beyond that at the nodes of [`Registrar::grid`], pixels.
    ///
    /// `nodes` becomes zero for a rigid registrar, for frames without
    /// structure and where its length is not twice the number of nodes.
    pub fn estimate_field(
        &self,
        frame: ArrayView2<'_, f32>,
        scratch: &mut Scratch,
        nodes: &mut [f32],
    ) -> Shift {
        nodes.fill(0.0);
        let Some(piecewise) = &self.piecewise else {
            return self.estimate(frame, scratch);
        };
        if frame.dim() != (self.height, self.width) || is_constant(frame) {
            return Shift::default();
        }
        let energy = self.transform_rows(frame, scratch);
        let shift = self.correlate(energy, Some(piecewise.weights()), scratch);
        if let Some(buffers) = &mut scratch.piecewise
            && shift.quality > 0.0
            && nodes.len() == 2 * piecewise.grid().len()
        {
            let (height, width) = (self.height, self.width);
            let mut alignment = piecewise.alignment((shift.dy, shift.dx), buffers);
            self.fourier
                .inverse_rows(&scratch.spectrum, &mut scratch.fourier, |y, line| {
                    alignment.put(y, line, (height, width));
                });
            piecewise.estimate((shift.dy, shift.dx), buffers, nodes);
        }
        shift
    }

    /// Transforms the rows of the frame, its mean taken off and tapered, into
    /// the spectrum of `scratch`; returns the frame's energy then.
    fn transform_rows(&self, frame: ArrayView2<'_, f32>, scratch: &mut Scratch) -> f64 {
        let Scratch {
            spectrum, fourier, ..
        } = scratch;
        self.transform_rows_into(frame, spectrum, fourier)
    }

    fn transform_rows_into(
        &self,
        frame: ArrayView2<'_, f32>,
        out: &mut Spectrum,
        scratch: &mut FourierScratch,
    ) -> f64 {
        let frame = frame.as_standard_layout();
        let pixels = frame.as_slice().unwrap_or_default();
        let taper = |y: usize| (self.window_function.y[y], self.window_function.x.as_slice());
        let row = |y: usize| &pixels[y * self.width..(y + 1) * self.width];
        let mean = rough_mean(pixels, self.width);
        let mut energy = 0.0;
        let line = |y: usize, line: &mut [f32]| {
            energy += f64::from(centre_and_taper(row(y), mean, taper(y), line));
        };
        self.fourier.forward_rows(line, out, scratch);
        if !energy.is_finite() {
            // Some pixels are no numbers.
            let mean = mean_of_finite(pixels);
            energy = 0.0;
            let line = |y: usize, line: &mut [f32]| {
                energy += f64::from(centre_and_taper_finite(row(y), mean, taper(y), line));
            };
            self.fourier.forward_rows(line, out, scratch);
        }
        energy
    }

    /// The spectrum of a frame, its mean taken off and tapered.
    pub(crate) fn spectrum_of(
        &self,
        frame: ArrayView2<'_, f32>,
        scratch: &mut Scratch,
    ) -> Spectrum {
        let mut out = self.fourier.spectrum();
        self.transform_rows_into(frame, &mut out, &mut scratch.fourier);
        for column in out.columns_mut() {
            self.fourier.forward_column(column, &mut scratch.fourier);
        }
        out
    }

    /// The highest place of a map, and its height beside `perfect`.
    pub(crate) fn peak(&self, map: &[f32], perfect: f32) -> Shift {
        let columns = 2 * self.window.1 + 1;
        let (wy, wx) = (self.window.0 as isize, self.window.1 as isize);
        let (my, mx) = (self.max_shift.0 as isize, self.max_shift.1 as isize);
        let at = |dy: isize, dx: isize| map[((dy + wy) as usize) * columns + (dx + wx) as usize];
        let (mut best, mut place) = (f32::NEG_INFINITY, (0, 0));
        for dy in -my..=my {
            let start = (dy + wy) as usize * columns + (wx - mx) as usize;
            let row = &map[start..=start + 2 * mx as usize];
            if highest(row) > best {
                for (dx, &value) in (-mx..=mx).zip(row) {
                    if value > best {
                        (best, place) = (value, (dy, dx));
                    }
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
            quality: (best / perfect).clamp(0.0, 1.0),
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

/// Takes the mean of an image off and tapers its border.
#[derive(Clone, Debug)]
struct Taper {
    y: Vec<f32>,
    x: Vec<f32>,
}

impl Taper {
    fn new(height: usize, width: usize, sigma: f32) -> Self {
        Self {
            y: taper(height, sigma),
            x: taper(width, sigma),
        }
    }
}

vectorised! {
    /// Returns the energy of the result, `Σ out²`.
    fn centre_and_taper<'a>(
        pixels: &'a [f32],
        mean: f32,
        taper: (f32, &'a [f32]),
        out: &'a mut [f32],
    ) -> f32 {
        let (down, across) = taper;
        for ((slot, &value), &taper) in out.iter_mut().zip(pixels).zip(across) {
            *slot = (value - mean) * (down * taper);
        }
        sum(out, |v| v * v)
    }

    /// As [`centre_and_taper`]; what is not finite becomes 0.
    fn centre_and_taper_finite<'a>(
        pixels: &'a [f32],
        mean: f32,
        taper: (f32, &'a [f32]),
        out: &'a mut [f32],
    ) -> f32 {
        let (down, across) = taper;
        for ((slot, &value), &taper) in out.iter_mut().zip(pixels).zip(across) {
            let centred = if value.is_finite() { value - mean } else { 0.0 };
            *slot = centred * (down * taper);
        }
        sum(out, |v| v * v)
    }

    /// The mean of the finite pixels; 0 if there are none.
    fn mean_of_finite<'a>(pixels: &'a [f32]) -> f32 {
        let (mut total, mut count) = (0.0, 0.0);
        for part in pixels.chunks(1024) {
            total += f64::from(sum(part, |v| if v.is_finite() { v } else { 0.0 }));
            count += f64::from(sum(part, |v| if v.is_finite() { 1.0 } else { 0.0 }));
        }
        if count > 0.0 { (total / count) as f32 } else { 0.0 }
    }

    /// The mean of every fifth row, an odd number because neighbouring rows may
    /// have been scanned in opposite directions: near enough to the mean of all
    /// for the taper to leave no edge.
    fn rough_mean<'a>(pixels: &'a [f32], width: usize) -> f32 {
        let rows = pixels.chunks_exact(width.max(1)).step_by(5);
        let count = (rows.len() * width).max(1);
        (rows.map(|row| f64::from(sum(row, |v| v))).sum::<f64>() / count as f64) as f32
    }
}

/// The rows of a column of `height` values whose frequency is at most `band`.
fn in_band(height: usize, band: usize) -> [Range<usize>; 2] {
    let first = band + 1;
    [0..first, (height - band).max(first)..height]
}

/// Sum in lanes, the same on every processor; enough of them that additions
/// need not wait for one another.
#[inline(always)]
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [[0.0_f32; 16]; 4];
    let (parts, rest) = values.as_chunks::<64>();
    for part in parts {
        let (part, _) = part.as_chunks::<16>();
        for (lanes, part) in lanes.iter_mut().zip(part) {
            for k in 0..16 {
                lanes[k] += term(part[k]);
            }
        }
    }
    let rest: f32 = rest.iter().map(|&v| term(v)).sum();
    lanes.as_flattened().iter().sum::<f32>() + rest
}

/// The largest value, in lanes.
fn highest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let parts = values.chunks_exact(16);
    let rest = parts.remainder();
    for part in parts {
        for (lane, &v) in lanes.iter_mut().zip(part) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    let all = lanes.iter().chain(rest);
    all.fold(
        f32::NEG_INFINITY,
        |most, &v| if v > most { v } else { most },
    )
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

/// Turns the columns of a spectrum into the matched filter: conjugate, unit
/// modulus, times the transfer function of a Gaussian, within `band` rows of
/// frequency 0. Returns the peak that the filter gives on its own image.
fn whiten_and_smooth(
    spectrum: &mut Spectrum,
    (height, width): (usize, usize),
    band: usize,
    sigma: f32,
    floor: f32,
) -> f32 {
    let gauss = |k: usize, n: usize| {
        let frequency = k.min(n - k) as f64 / n as f64;
        (-2.0 * (std::f64::consts::PI * frequency * f64::from(sigma)).powi(2)).exp()
    };
    let mut total = 0.0;
    for (kx, column) in spectrum.columns_mut().enumerate() {
        let gx = gauss(kx, width);
        // Frequencies between the first and the last column stand for two.
        let both = kx > 0 && 2 * kx != width;
        for (ky, value) in column.iter_mut().enumerate() {
            let weight = if ky.min(height - ky) <= band {
                gx * gauss(ky, height)
            } else {
                0.0
            };
            *value =
                value.conj() * (weight as f32 / (floor + modulus(*value)).max(f32::MIN_POSITIVE));
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
