use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::Error;
use crate::rest::{binned, influence_slope, least_noise, weight};
use crate::shape::{check_frame_rate, check_range, same_shape};
use crate::statistics::{noise, percentile, spread_below};
use crate::whittaker::{penalty, smooth};

/// Samples are averaged over this long (s) before the fit: neuropil is slower
/// than that, noise is not.
const BIN_S: f64 = 0.25;

/// Most rounds of fit and weights, and the step that ends them before.
const ROUNDS: usize = 30;
const SETTLED: f64 = 1e-4;

/// The standard error takes pieces of this length (s) as independent, longer
/// than transients, and at least so many.
const PIECE_S: f64 = 5.0;
const LEAST_PIECES: usize = 8;

/// The neuropil must vary this much, as a share of what its noise adds, for a
/// coefficient to be measured.
const LEAST_VARIATION: f64 = 0.25;

/// A measurement with a larger standard error says nothing.
const LARGEST_ERROR: f64 = 0.5;

/// Least spread of true coefficients between the cells of a field.
const LEAST_SPREAD: f64 = 0.05;

/// How much of the surrounding neuropil is subtracted from each ROI.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Coefficient {
    /// The same share for all, 0 to 1; 0.7 is usual for GCaMP6 (Chen et al.,
    /// Nature 499:295, 2013).
    Fixed(f64),
    /// Measured for each ROI, and this share where that is not possible.
    PerCell {
        /// Share of ROIs that cannot be measured, 0 to 1.
        fallback: f64,
        /// Period of a drift that is half taken out of both traces first (s):
        /// slow changes of a cell and of its surroundings need not be shared.
        timescale_s: f64,
    },
}

impl Coefficient {
    /// Measured for each ROI; 0.7 where that is not possible; drifts slower
    /// than 30 s left out.
    pub const fn per_cell() -> Self {
        Self::PerCell {
            fallback: 0.7,
            timescale_s: 30.0,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let share = |name, value| check_range(name, value, 0.0..=1.0, "from 0 to 1");
        match *self {
            Self::Fixed(value) => share("neuropil_coefficient", value),
            Self::PerCell {
                fallback,
                timescale_s,
            } => {
                share("fallback", fallback)?;
                let rule = "from 1 to 1000000 seconds";
                check_range("timescale_s", timescale_s, 1.0..=1e6, rule)
            }
        }
    }
}

impl Default for Coefficient {
    fn default() -> Self {
        Self::per_cell()
    }
}

/// Where a ROI's coefficient comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoefficientSource {
    /// Given by the caller.
    Fixed,
    /// Measured on its own traces, drawn towards the others by its error.
    Measured,
    /// Not measurable: its neuropil hardly varies, its traces are too short
    /// or not finite, or the error is too large.
    Fallback,
}

/// Neuropil coefficients of all ROIs, axis `(roi)` throughout.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    /// The share to subtract, 0 to 1.
    pub values: Vec<f64>,
    /// Standard error of `values`; NaN where nothing was measured.
    pub errors: Vec<f64>,
    /// What the traces alone say, not clipped; NaN where nothing was measured.
    pub measured: Vec<f64>,
    /// Where each value comes from.
    pub sources: Vec<CoefficientSource>,
}

/// Share of the surrounding neuropil that each ROI's fluorescence holds.
///
/// Of a ROI at rest `F = r·Fneu + slow drift + noise`; its own transients
/// come on top. Both traces are averaged over 0.25 s and the drift is taken
/// out of both alike by a smoother (Frisch & Waugh, Econometrica 1:387, 1933).
/// The slope `r` is then fitted over and over with samples that lie above the
/// fit counting less the further they stand out of the noise, and not at all
/// beyond 2.5 standard deviations, those below in full. That only
/// what lies above is distrusted is the principle of EXTRACT (Inan et al.,
/// bioRxiv 2021.03.24.436279). The noise of the ring's mean would flatten the
/// slope; it is known from differences of neighbouring frames and is taken
/// out of the variance.
///
/// Standard errors come from the scatter between pieces of 5 s (the sandwich
/// of an M-estimator: Huber, Proc. 5th Berkeley Symp. 1:221, 1967), so they
/// hold for noise that is correlated in time. Values are drawn towards
/// the field's median as far as their error exceeds the spread between cells,
/// and clipped to 0 to 1.
///
/// Axes of both traces: `(roi, frame)`.
///
/// # Errors
/// [`Error::Shape`] if the two arrays differ, [`Error::Parameter`] for a
/// parameter or frame rate out of range.
pub fn neuropil_coefficients(
    f: ArrayView2<'_, f32>,
    neuropil: ArrayView2<'_, f32>,
    coefficient: &Coefficient,
    frame_rate: f64,
) -> Result<Coefficients, Error> {
    let slopes = neuropil_slopes(f, neuropil, coefficient, frame_rate)?;
    Coefficients::of_slopes(&slopes, coefficient)
}

/// What each ROI's traces alone say of its coefficient, and with what
/// standard error; nothing where it cannot be measured, or need not be. The
/// first half of [`neuropil_coefficients`], for traces that do not fit into
/// memory together: the other half is [`Coefficients::of_slopes`].
///
/// # Errors
/// As [`neuropil_coefficients`].
pub fn neuropil_slopes(
    f: ArrayView2<'_, f32>,
    neuropil: ArrayView2<'_, f32>,
    coefficient: &Coefficient,
    frame_rate: f64,
) -> Result<Vec<Option<(f64, f64)>>, Error> {
    coefficient.validate()?;
    check_frame_rate(frame_rate)?;
    same_shape("the neuropil array", &neuropil, "the fluorescence", &f)?;
    let rois = f.nrows();
    let Coefficient::PerCell {
        fallback,
        timescale_s,
    } = *coefficient
    else {
        return Ok(vec![None; rois]);
    };
    Ok((0..rois)
        .into_par_iter()
        .map(|roi| {
            let wide = |row: ndarray::ArrayView1<'_, f32>| -> Vec<f64> {
                row.iter().map(|&v| f64::from(v)).collect()
            };
            let (f, neuropil) = (wide(f.row(roi)), wide(neuropil.row(roi)));
            slope(&f, &neuropil, fallback, timescale_s, frame_rate)
        })
        .collect())
}

impl Coefficients {
    /// The coefficients of ROIs whose slopes are known, all of a session's:
    /// each is drawn towards the others.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of range.
    pub fn of_slopes(
        slopes: &[Option<(f64, f64)>],
        coefficient: &Coefficient,
    ) -> Result<Self, Error> {
        coefficient.validate()?;
        let rois = slopes.len();
        Ok(match *coefficient {
            Coefficient::Fixed(value) => Self {
                values: vec![value; rois],
                errors: vec![f64::NAN; rois],
                measured: vec![f64::NAN; rois],
                sources: vec![CoefficientSource::Fixed; rois],
            },
            Coefficient::PerCell { fallback, .. } => shrunk(slopes, fallback),
        })
    }

    /// Those of some of the ROIs.
    ///
    /// # Panics
    /// If the range leaves them, like slicing.
    #[must_use]
    pub fn slice(&self, rois: std::ops::Range<usize>) -> Self {
        Self {
            values: self.values[rois.clone()].to_vec(),
            errors: self.errors[rois.clone()].to_vec(),
            measured: self.measured[rois.clone()].to_vec(),
            sources: self.sources[rois].to_vec(),
        }
    }
}

/// Draws slopes towards their median.
fn shrunk(slopes: &[Option<(f64, f64)>], fallback: f64) -> Coefficients {
    let mut values: Vec<f64> = slopes.iter().flatten().map(|&(value, _)| value).collect();
    let mut variances: Vec<f64> = slopes.iter().flatten().map(|&(_, e)| e * e).collect();
    let centre = percentile(&mut values, 50.0).unwrap_or(fallback);
    let mut away: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
    let spread = percentile(&mut away, 50.0).unwrap_or(0.0) / 0.674_489_750_196_081_7;
    let by_error = percentile(&mut variances, 50.0).unwrap_or(0.0);
    let between = (spread * spread - by_error).max(LEAST_SPREAD * LEAST_SPREAD);
    let mut out = Coefficients {
        values: Vec::with_capacity(slopes.len()),
        errors: Vec::with_capacity(slopes.len()),
        measured: Vec::with_capacity(slopes.len()),
        sources: Vec::with_capacity(slopes.len()),
    };
    for slope in slopes {
        let (value, error, measured, source) = match *slope {
            Some((value, error)) => {
                let trust = between / (between + error * error);
                (
                    (centre + trust * (value - centre)).clamp(0.0, 1.0),
                    trust.sqrt() * error,
                    value,
                    CoefficientSource::Measured,
                )
            }
            None => (fallback, f64::NAN, f64::NAN, CoefficientSource::Fallback),
        };
        out.values.push(value);
        out.errors.push(error);
        out.measured.push(measured);
        out.sources.push(source);
    }
    out
}

/// Slope of `f` on `neuropil` and its standard error.
fn slope(
    f: &[f64],
    neuropil: &[f64],
    start: f64,
    timescale_s: f64,
    frame_rate: f64,
) -> Option<(f64, f64)> {
    let bin = ((BIN_S * frame_rate).round() as usize).max(1);
    let (y, known_y) = binned(f, bin);
    let (x, known_x) = binned(neuropil, bin);
    let known: Vec<f64> = known_y
        .iter()
        .zip(&known_x)
        .map(|(a, b)| a.min(*b))
        .collect();
    if known.iter().filter(|&&share| share > 0.0).count() < 4 * LEAST_PIECES {
        return None;
    }
    let penalty = penalty(timescale_s * frame_rate / bin as f64);
    let noise_x = noise(neuropil).powi(2) / bin as f64;
    let least = (noise(f) / (bin as f64).sqrt()).max(least_noise(&y));
    let mut slope = start;
    let mut weights = known.clone();
    let (mut flat_x, mut flat_y) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let without = |values: &[f64], weights: &[f64]| -> Vec<f64> {
            let slow = smooth(values, weights, penalty);
            values.iter().zip(slow).map(|(v, slow)| v - slow).collect()
        };
        (flat_x, flat_y) = (without(&x, &weights), without(&y, &weights));
        let (top, bottom) = products(&flat_x, &flat_y, &weights, noise_x, 0..x.len());
        let raw: f64 = (0..x.len())
            .filter(|&i| weights[i] > 0.0)
            .map(|i| weights[i] * flat_x[i] * flat_x[i])
            .sum();
        if !(bottom > LEAST_VARIATION * (raw - bottom) && bottom > 0.0) {
            return None;
        }
        let before = std::mem::replace(&mut slope, top / bottom);
        if round > 0 && (slope - before).abs() < SETTLED {
            break;
        }
        let residual: Vec<f64> = (0..x.len())
            .map(|i| flat_y[i] - slope * flat_x[i])
            .collect();
        let noise = spread_below(residual.iter().copied()).max(least);
        for (i, residual) in residual.iter().enumerate() {
            let above = if *residual > 0.0 {
                residual / noise
            } else {
                0.0
            };
            weights[i] = if known[i] > 0.0 {
                known[i] * weight(above)
            } else {
                0.0
            };
        }
    }
    // The sandwich of an M-estimator: how the pull of pieces of the trace on
    // the slope scatters, over how fast the pull of all changes with it.
    let residual = |i: usize| flat_y[i] - slope * flat_x[i];
    let noise = spread_below((0..x.len()).map(residual)).max(least);
    let mut change = 0.0;
    for i in (0..x.len()).filter(|&i| known[i] > 0.0) {
        let above = residual(i).max(0.0);
        let above = if above > 0.0 { above / noise } else { 0.0 };
        change += known[i] * influence_slope(above) * (flat_x[i] * flat_x[i] - noise_x);
    }
    let pieces = ((f.len() as f64 / frame_rate / PIECE_S) as usize).clamp(LEAST_PIECES, x.len());
    let pulls: f64 = (0..pieces)
        .map(|piece| {
            let range = x.len() * piece / pieces..x.len() * (piece + 1) / pieces;
            let (top, bottom) = products(&flat_x, &flat_y, &weights, noise_x, range);
            (top - slope * bottom).powi(2)
        })
        .sum();
    let error = (pulls * pieces as f64 / (pieces - 1) as f64).sqrt() / change.max(0.0);
    (slope.is_finite() && error <= LARGEST_ERROR).then_some((slope, error))
}

/// Weighted `Σ x·y` and `Σ x²` less its noise.
fn products(
    x: &[f64],
    y: &[f64],
    weights: &[f64],
    noise_x: f64,
    range: std::ops::Range<usize>,
) -> (f64, f64) {
    let (mut top, mut bottom) = (0.0, 0.0);
    for i in range.filter(|&i| weights[i] > 0.0) {
        top += weights[i] * x[i] * y[i];
        bottom += weights[i] * (x[i] * x[i] - noise_x);
    }
    (top, bottom)
}

/// The classical correction `F − r·Fneu`, axes `(roi, frame)`, in the movie's
/// units; `coefficients` has axis `(roi)`.
///
/// # Errors
/// [`Error::Shape`] if the inputs do not belong together.
pub fn subtract_neuropil(
    f: ArrayView2<'_, f32>,
    neuropil: ArrayView2<'_, f32>,
    coefficients: &[f64],
) -> Result<Array2<f32>, Error> {
    same_shape("the neuropil array", &neuropil, "the fluorescence", &f)?;
    if coefficients.len() != f.nrows() {
        return Err(Error::Shape {
            what: "the list of neuropil coefficients",
            found: format!("for {} ROIs", coefficients.len()),
            against: "the fluorescence",
            expected: format!("for {}", f.nrows()),
        });
    }
    Ok(Array2::from_shape_fn(f.dim(), |(roi, t)| {
        (f64::from(f[[roi, t]]) - coefficients[roi] * f64::from(neuropil[[roi, t]])) as f32
    }))
}
