use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use crate::Error;
use crate::filters::{opened, running_percentile, smoothed};
use crate::rest::rest;
use crate::shape::{check_frame_rate, check_range, same_shape};
use crate::statistics::{noise, percentile};

/// What F0 is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Baseline {
    /// The mean level at rest: neither pulled up by transients and busy
    /// minutes nor down by noise, and without a window to lag behind bleaching
    /// and drift. The default.
    ///
    /// The trace is averaged over 1 s, and a smoother with second differences
    /// (Whittaker 1923; asymmetric weights: Eilers, Anal. Chem. 75:3631, 2003)
    /// is fitted from below: samples above the level count less the further
    /// they stand out of the noise, which is measured on those below. What
    /// such weights do to Gaussian noise is known and is added, so that a cell
    /// at rest has a mean ΔF/F of 0.
    Rest {
        /// Period of a drift that keeps half its amplitude (s). Drifts over
        /// twice that are followed; of faster ones that stand out of the
        /// noise, the upper part may count as activity.
        timescale_s: f64,
    },
    /// A percentile of the smoothed trace in a running window (Dombeck et al.,
    /// Neuron 56:43, 2007), taken at knots a tenth of a window apart with
    /// lines between them. Near the ends the window keeps its length and stays
    /// inside the trace. Below rest by what the percentile of noise is below
    /// its mean.
    Percentile {
        /// Length of the window (s).
        window_s: f64,
        /// Percentile, 0 to 100; 0 is the running minimum.
        percentile: f64,
        /// Standard deviation of the Gaussian that smooths the trace first (s).
        smoothing_s: f64,
    },
    /// Gaussian, then running minimum, then running maximum, Suite2p's
    /// `maximin` (Pachitariu et al., bioRxiv 061507, 2017) with times in
    /// seconds (Suite2p's Gaussian has a standard deviation of 10 frames
    /// whatever the rate). Below rest by the depth of the lowest noise.
    Maximin {
        /// Length of the window of both (s).
        window_s: f64,
        /// Standard deviation of the Gaussian (s).
        smoothing_s: f64,
    },
}

impl Default for Baseline {
    fn default() -> Self {
        Self::Rest { timescale_s: 120.0 }
    }
}

impl Baseline {
    /// The running percentile with the values most in use: 8 % in 60 s after
    /// 0.5 s of smoothing.
    pub const fn percentile() -> Self {
        Self::Percentile {
            window_s: 60.0,
            percentile: 8.0,
            smoothing_s: 0.5,
        }
    }

    /// Suite2p's baseline with its defaults at 30 frames per second: 60 s
    /// after a third of a second of smoothing.
    pub const fn maximin() -> Self {
        Self::Maximin {
            window_s: 60.0,
            smoothing_s: 1.0 / 3.0,
        }
    }
}

/// How ΔF/F is made.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineParameters {
    /// What F0 is.
    pub baseline: Baseline,
    /// F0 is never below this share of the ROI's median raw fluorescence.
    pub floor: f64,
}

impl Default for BaselineParameters {
    fn default() -> Self {
        Self {
            baseline: Baseline::default(),
            floor: 0.1,
        }
    }
}

impl BaselineParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let window = |value| {
            let rule = "from 0.001 to 1000000 seconds";
            check_range("window_s", value, 1e-3..=1e6, rule)
        };
        let smoothing = |value| {
            let rule = "from 0 to 1000 seconds";
            check_range("smoothing_s", value, 0.0..=1e3, rule)
        };
        match self.baseline {
            Baseline::Rest { timescale_s } => {
                let rule = "from 1 to 1000000 seconds";
                check_range("timescale_s", timescale_s, 1.0..=1e6, rule)?;
            }
            Baseline::Percentile {
                window_s,
                percentile,
                smoothing_s,
            } => {
                window(window_s)?;
                check_range("percentile", percentile, 0.0..=100.0, "from 0 to 100")?;
                smoothing(smoothing_s)?;
            }
            Baseline::Maximin {
                window_s,
                smoothing_s,
            } => {
                window(window_s)?;
                smoothing(smoothing_s)?;
            }
        }
        check_range("floor", self.floor, 1e-6..=1.0, "from 0.000001 to 1")
    }
}

/// ΔF/F and the baseline it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct DeltaF {
    /// `(F − F0) / F0`, axes `(roi, frame)`, no unit.
    pub dff: Array2<f32>,
    /// F0, axes `(roi, frame)`, in the movie's units; positive.
    pub f0: Array2<f32>,
    /// Standard deviation of the noise of single frames of `dff`, axis
    /// `(roi)`; NaN for traces without two finite samples side by side.
    pub noise: Vec<f64>,
    /// Share of frames in which F0 is the floor and not the baseline, axis
    /// `(roi)`, 0 to 1.
    pub floored: Vec<f64>,
}

/// Relative change of fluorescence against its baseline.
///
/// `corrected` is the fluorescence less neuropil, demixed
/// ([`Demixed::f`](crate::Demixed)) or classical
/// ([`subtract_neuropil`](crate::subtract_neuropil)); `raw` the fluorescence
/// before, which says how bright the ROI is. Both have axes `(roi, frame)`
/// and the movie's units.
///
/// F0 is what [`Baseline`] says of `corrected`, but never below a floor that
/// makes it positive: the largest of `floor · |median raw|`, the noise of
/// `corrected` (standard deviation from the median absolute difference of
/// neighbouring frames) and the smallest normal `f32`. An ROI whose neuropil
/// outshines it, or a movie with its offset taken away, therefore gives small
/// ΔF/F, never an exploding or sign-flipped one, and `floored` tells.
///
/// Each ROI is treated by itself; a gain of the movie leaves ΔF/F as it is, an
/// offset does not: it is part of F0. NaN samples are left out of the baseline
/// and stay NaN in `dff`; a trace without a finite sample has `f0` at the
/// smallest normal `f32` throughout. A constant trace has a ΔF/F of 0 where
/// it lies above the floor.
///
/// # Errors
/// [`Error::Shape`] if the two arrays differ, [`Error::Parameter`] for a
/// parameter or frame rate out of range.
pub fn delta_f_over_f(
    corrected: ArrayView2<'_, f32>,
    raw: ArrayView2<'_, f32>,
    parameters: &BaselineParameters,
    frame_rate: f64,
) -> Result<DeltaF, Error> {
    parameters.validate()?;
    check_frame_rate(frame_rate)?;
    same_shape(
        "the raw fluorescence",
        &raw,
        "the corrected one",
        &corrected,
    )?;
    let medians: Vec<f64> = (0..raw.nrows())
        .into_par_iter()
        .map(|roi| median(raw.row(roi)))
        .collect();
    delta_f_over_f_at(corrected, &medians, parameters, frame_rate)
}

/// Median of the finite samples; 0 without any.
pub(crate) fn median(row: ArrayView1<'_, f32>) -> f64 {
    let finite = row.iter().map(|&v| f64::from(v)).filter(|v| v.is_finite());
    percentile(&mut finite.collect::<Vec<f64>>(), 50.0).unwrap_or(0.0)
}

/// As [`delta_f_over_f`], with the median of each ROI's raw fluorescence.
pub(crate) fn delta_f_over_f_at(
    corrected: ArrayView2<'_, f32>,
    medians: &[f64],
    parameters: &BaselineParameters,
    frame_rate: f64,
) -> Result<DeltaF, Error> {
    parameters.validate()?;
    check_frame_rate(frame_rate)?;
    let mut result = DeltaF {
        dff: Array2::zeros(corrected.dim()),
        f0: Array2::zeros(corrected.dim()),
        noise: Vec::new(),
        floored: Vec::new(),
    };
    let into: Vec<_> = result
        .dff
        .rows_mut()
        .into_iter()
        .zip(result.f0.rows_mut())
        .zip(corrected.rows().into_iter().zip(medians))
        .collect();
    let rows: Vec<(f64, f64)> = into
        .into_par_iter()
        .map(|((mut dff, mut f0), (corrected, median))| {
            let corrected: Vec<f64> = corrected.iter().map(|&v| f64::from(v)).collect();
            let row = one(median.abs(), &corrected, parameters, frame_rate);
            dff.iter_mut().zip(row.dff).for_each(|(to, v)| *to = v);
            f0.iter_mut().zip(row.f0).for_each(|(to, v)| *to = v);
            (row.noise, row.floored)
        })
        .collect();
    (result.noise, result.floored) = rows.into_iter().unzip();
    Ok(result)
}

struct Row {
    dff: Vec<f32>,
    f0: Vec<f32>,
    noise: f64,
    floored: f64,
}

/// `centre` is the size of the raw fluorescence's median.
fn one(centre: f64, corrected: &[f64], parameters: &BaselineParameters, frame_rate: f64) -> Row {
    let noise = noise(corrected);
    let floor = (parameters.floor * centre)
        .max(noise)
        .max(f64::from(f32::MIN_POSITIVE));
    let frames = |seconds: f64| ((seconds * frame_rate).round() as usize).max(1);
    let mut f0 = match parameters.baseline {
        Baseline::Rest { timescale_s } => rest(corrected, timescale_s, frame_rate),
        Baseline::Percentile {
            window_s,
            percentile,
            smoothing_s,
        } => {
            let smooth = smoothed(corrected, smoothing_s * frame_rate);
            running_percentile(&smooth, frames(window_s), percentile)
        }
        Baseline::Maximin {
            window_s,
            smoothing_s,
        } => opened(
            &smoothed(corrected, smoothing_s * frame_rate),
            frames(window_s),
        ),
    };
    let mut floored = 0.0;
    for value in &mut f0 {
        // A baseline that is NaN gives the floor too.
        if value.is_nan() || *value < floor {
            *value = floor;
            floored += 1.0;
        }
    }
    let dff: Vec<f32> = corrected
        .iter()
        .zip(&f0)
        .map(|(&f, &f0)| ((f - f0) / f0) as f32)
        .collect();
    Row {
        noise: dff_noise(&dff),
        floored: floored / f0.len().max(1) as f64,
        f0: f0.into_iter().map(|v| v as f32).collect(),
        dff,
    }
}

fn dff_noise(dff: &[f32]) -> f64 {
    let trace: Vec<f64> = dff.iter().map(|&v| f64::from(v)).collect();
    if trace.windows(2).any(|pair| (pair[1] - pair[0]).is_finite()) {
        noise(&trace)
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_baseline_is_positive_and_scales_with_the_trace(
            values in prop::collection::vec(-50.0..100.0_f32, 2..200),
            power in -3_i32..8,
            which in 0_usize..3,
        ) {
            let frames = values.len();
            let f = Array2::from_shape_vec((1, frames), values).unwrap();
            let parameters = BaselineParameters {
                baseline: [Baseline::default(), Baseline::percentile(), Baseline::maximin()][which],
                ..BaselineParameters::default()
            };
            let once = delta_f_over_f(f.view(), f.view(), &parameters, 10.0).unwrap();
            prop_assert!(once.f0.iter().all(|&v| v > 0.0));
            // A power of two changes exponents only.
            let scaled = &f * 2.0_f32.powi(power);
            let scaled = delta_f_over_f(scaled.view(), scaled.view(), &parameters, 10.0).unwrap();
            prop_assert_eq!(once.dff, scaled.dff);
        }
    }

    #[test]
    fn the_floor_is_told() {
        let f = Array2::from_shape_fn((2, 400), |(roi, t)| [100.0, -5.0][roi] + (t * 7 % 5) as f32);
        let found =
            delta_f_over_f(f.view(), f.view(), &BaselineParameters::default(), 10.0).unwrap();
        assert_eq!(found.floored, [0.0, 1.0]);
        assert!(found.noise[0] > 0.0 && found.noise[0] < 0.1);
    }
}
