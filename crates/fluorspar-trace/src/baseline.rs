use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::Error;

/// How ΔF/F is made.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineParameters {
    /// Share of the surrounding neuropil that is subtracted, 0 to 1.
    pub neuropil_coefficient: f64,
    /// Length of the window in which the baseline is sought (s).
    pub window_s: f64,
    /// Percentile of the smoothed trace within the window, 0 to 100; 0 is
    /// the running minimum.
    pub percentile: f64,
    /// Standard deviation of the Gaussian that smooths the trace before the
    /// percentile is taken (s).
    pub smoothing_s: f64,
    /// F0 is never below this share of the ROI's median fluorescence.
    pub floor: f64,
}

impl Default for BaselineParameters {
    fn default() -> Self {
        Self {
            neuropil_coefficient: 0.7,
            window_s: 60.0,
            percentile: 8.0,
            smoothing_s: 0.5,
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
        let checks = [
            (
                "neuropil_coefficient",
                self.neuropil_coefficient,
                0.0..=1.0,
                "from 0 to 1",
            ),
            (
                "window_s",
                self.window_s,
                1e-3..=1e6,
                "from 0.001 to 1000000 seconds",
            ),
            ("percentile", self.percentile, 0.0..=100.0, "from 0 to 100"),
            (
                "smoothing_s",
                self.smoothing_s,
                0.0..=1e3,
                "from 0 to 1000 seconds",
            ),
            ("floor", self.floor, 1e-6..=1.0, "from 0.000001 to 1"),
        ];
        for (name, value, range, rule) in checks {
            if !range.contains(&value) {
                return Err(Error::Parameter {
                    name,
                    value: value.to_string(),
                    rule,
                });
            }
        }
        Ok(())
    }
}

/// ΔF/F and the baseline it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct DeltaF {
    /// `(F_c − F0) / F0`, axes `(roi, frame)`, no unit.
    pub dff: Array2<f32>,
    /// F0, axes `(roi, frame)`, in the movie's units; positive.
    pub f0: Array2<f32>,
}

/// Relative change of fluorescence against a running baseline.
///
/// With `F_c = F − r·neuropil`, the corrected trace is smoothed by a
/// Gaussian; its percentile is taken in windows of `window_s` at knots a
/// tenth of a window apart and interpolated linearly between them, which
/// costs O(frames). Near the ends the window keeps its length and stays
/// inside the trace.
///
/// F0 is that baseline, but never below a floor that makes it positive: the
/// largest of `floor · |median F|`, the noise of `F_c` (standard deviation
/// from the median absolute difference of neighbouring frames) and the
/// smallest normal `f32`. An ROI whose neuropil outshines it, or a movie
/// with its offset taken away, therefore gives small ΔF/F, never an
/// exploding or sign-flipped one.
///
/// Each ROI is treated by itself. NaN samples are left out of smoothing and
/// percentile and stay NaN in `dff`; a trace without a finite sample has
/// `f0` at the smallest normal `f32` throughout.
///
/// Sources of the parts: neuropil coefficient 0.7 as used for GCaMP6 (Chen
/// et al., Nature 499:295, 2013), running 8th percentile (Dombeck et al.,
/// Neuron 56:43, 2007).
///
/// # Errors
/// [`Error::Shape`] if the two arrays differ, [`Error::Parameter`] for a
/// parameter or frame rate out of range.
pub fn delta_f_over_f(
    f: ArrayView2<'_, f32>,
    neuropil: ArrayView2<'_, f32>,
    parameters: &BaselineParameters,
    frame_rate: f64,
) -> Result<DeltaF, Error> {
    parameters.validate()?;
    if f.dim() != neuropil.dim() {
        return Err(Error::Shape {
            what: "the neuropil array",
            found: format!("{} × {}", neuropil.nrows(), neuropil.ncols()),
            against: "the fluorescence",
            expected: format!("{} × {}", f.nrows(), f.ncols()),
        });
    }
    if !(1e-6..=1e6).contains(&frame_rate) {
        return Err(Error::Parameter {
            name: "frame_rate",
            value: frame_rate.to_string(),
            rule: "a positive number of frames per second",
        });
    }
    let (rois, frames) = f.dim();
    let rows: Vec<(Vec<f32>, Vec<f32>)> = (0..rois)
        .into_par_iter()
        .map(|roi| {
            let raw: Vec<f64> = f.row(roi).iter().map(|&v| f64::from(v)).collect();
            let corrected: Vec<f64> = raw
                .iter()
                .zip(neuropil.row(roi))
                .map(|(&f, &n)| f - parameters.neuropil_coefficient * f64::from(n))
                .collect();
            one(&raw, &corrected, parameters, frame_rate)
        })
        .collect();
    let mut result = DeltaF {
        dff: Array2::zeros((rois, frames)),
        f0: Array2::zeros((rois, frames)),
    };
    for (roi, (dff, f0)) in rows.into_iter().enumerate() {
        result.dff.row_mut(roi).assign(&ndarray::Array1::from(dff));
        result.f0.row_mut(roi).assign(&ndarray::Array1::from(f0));
    }
    Ok(result)
}

fn one(
    raw: &[f64],
    corrected: &[f64],
    parameters: &BaselineParameters,
    frame_rate: f64,
) -> (Vec<f32>, Vec<f32>) {
    let tiny = f64::from(f32::MIN_POSITIVE);
    let mut finite: Vec<f64> = raw.iter().copied().filter(|v| v.is_finite()).collect();
    let centre = percentile(&mut finite, 50.0).unwrap_or(0.0).abs();
    let floor = (parameters.floor * centre).max(noise(corrected)).max(tiny);
    let smooth = smoothed(corrected, parameters.smoothing_s * frame_rate);
    let window = ((parameters.window_s * frame_rate).round() as usize).max(1);
    let mut f0 = running_percentile(&smooth, window, parameters.percentile);
    for value in &mut f0 {
        // NaN is replaced too: `max` returns the other operand.
        *value = value.max(floor);
    }
    let dff = corrected
        .iter()
        .zip(&f0)
        .map(|(&f, &f0)| ((f - f0) / f0) as f32)
        .collect();
    (dff, f0.into_iter().map(|v| v as f32).collect())
}

/// Standard deviation of white noise on a slow signal, robust to transients.
fn noise(trace: &[f64]) -> f64 {
    let mut steps: Vec<f64> = trace
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .filter(|step| step.is_finite())
        .collect();
    // 0.6745 is the third quartile of the standard normal distribution.
    percentile(&mut steps, 50.0).unwrap_or(0.0) / (0.674_489_750_196_081_7 * 2.0_f64.sqrt())
}

/// Percentile by linear interpolation between the two nearest ranks; `None`
/// without values. Reorders `values`, which must hold no NaN.
fn percentile(values: &mut [f64], percentile: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = percentile / 100.0 * last as f64;
    let below = (rank.floor() as usize).min(last);
    let (_, &mut low, rest) = values.select_nth_unstable_by(below, f64::total_cmp);
    let high = rest.iter().copied().fold(f64::INFINITY, f64::min);
    let part = rank - below as f64;
    Some(if part > 0.0 && high.is_finite() {
        low + part * (high - low)
    } else {
        low
    })
}

/// Gaussian smoothing over the finite samples, weights renormalised at the
/// ends and around gaps; NaN where no sample is near.
fn smoothed(trace: &[f64], sigma: f64) -> Vec<f64> {
    if sigma < 0.1 {
        return trace.to_vec();
    }
    let reach = ((3.0 * sigma).ceil() as usize).min(trace.len());
    let kernel: Vec<f64> = (0..=2 * reach)
        .map(|k| (-0.5 * ((k as f64 - reach as f64) / sigma).powi(2)).exp())
        .collect();
    let whole: f64 = kernel.iter().sum();
    let dot = |samples: &[f64]| -> f64 { kernel.iter().zip(samples).map(|(k, v)| k * v).sum() };
    (0..trace.len())
        .map(|t| {
            if t >= reach && t + reach < trace.len() {
                let sum = dot(&trace[t - reach..=t + reach]);
                if sum.is_finite() {
                    return sum / whole;
                }
            }
            let (mut sum, mut total) = (0.0, 0.0);
            for s in t.saturating_sub(reach)..(t + reach + 1).min(trace.len()) {
                if trace[s].is_finite() {
                    let weight = kernel[s + reach - t];
                    sum += weight * trace[s];
                    total += weight;
                }
            }
            sum / total
        })
        .collect()
}

/// Percentile in a sliding window of `window` samples, evaluated at knots a
/// tenth of the window apart and interpolated.
fn running_percentile(trace: &[f64], window: usize, wanted: f64) -> Vec<f64> {
    let frames = trace.len();
    if frames == 0 {
        return Vec::new();
    }
    let window = window.min(frames);
    let stride = (window / 10).max(1);
    let mut knots: Vec<usize> = (0..frames).step_by(stride).collect();
    if knots[knots.len() - 1] != frames - 1 {
        knots.push(frames - 1);
    }
    let mut values = Vec::with_capacity(window);
    let levels: Vec<f64> = knots
        .iter()
        .map(|&knot| {
            let start = knot.saturating_sub(window / 2).min(frames - window);
            values.clear();
            values.extend(
                trace[start..start + window]
                    .iter()
                    .filter(|v| v.is_finite()),
            );
            percentile(&mut values, wanted).unwrap_or(f64::NAN)
        })
        .collect();
    let mut out = vec![levels[0]; frames];
    for (pair, level) in knots.windows(2).zip(levels.windows(2)) {
        let span = (pair[1] - pair[0]) as f64;
        for t in pair[0]..=pair[1] {
            let part = (t - pair[0]) as f64 / span;
            // A window without a finite sample lends its neighbour's level.
            out[t] = match (level[0].is_nan(), level[1].is_nan()) {
                (true, false) => level[1],
                (false, true) => level[0],
                _ => level[0] + part * (level[1] - level[0]),
            };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By sorting, as textbooks have it.
    fn slow_percentile(values: &[f64], wanted: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = wanted / 100.0 * (sorted.len() - 1) as f64;
        let (below, above) = (rank.floor() as usize, rank.ceil() as usize);
        sorted[below] + (rank - below as f64) * (sorted[above] - sorted[below])
    }

    proptest! {
        #[test]
        fn percentile_agrees_with_sorting(
            values in prop::collection::vec(-1e3..1e3_f64, 1..60),
            wanted in 0.0..=100.0_f64,
        ) {
            let slow = slow_percentile(&values, wanted);
            let fast = percentile(&mut values.clone(), wanted).unwrap();
            prop_assert!((slow - fast).abs() < 1e-9);
        }

        #[test]
        fn the_baseline_is_positive_and_scales_with_the_trace(
            values in prop::collection::vec(-50.0..100.0_f32, 2..200),
            power in -3_i32..8,
        ) {
            let frames = values.len();
            let f = Array2::from_shape_vec((1, frames), values).unwrap();
            let neuropil = Array2::from_elem((1, frames), 3.0);
            let parameters = BaselineParameters::default();
            let once = delta_f_over_f(f.view(), neuropil.view(), &parameters, 10.0).unwrap();
            prop_assert!(once.f0.iter().all(|&v| v > 0.0));
            // A power of two changes exponents only.
            let gain = 2.0_f32.powi(power);
            let scaled = delta_f_over_f(
                (&f * gain).view(),
                (&neuropil * gain).view(),
                &parameters,
                10.0,
            )
            .unwrap();
            prop_assert_eq!(once.dff, scaled.dff);
        }
    }

    #[test]
    fn the_running_percentile_follows_a_slow_drift() {
        let trace: Vec<f64> = (0..3000).map(|t| 100.0 - 0.01 * f64::from(t)).collect();
        let found = running_percentile(&trace, 300, 50.0);
        for t in 150..2850 {
            assert!((found[t] - trace[t]).abs() < 0.01, "{t}: {}", found[t]);
        }
    }

    #[test]
    fn knots_agree_with_a_percentile_at_every_sample() {
        let trace: Vec<f64> = (0..500).map(|t| f64::from(t * 7919 % 503)).collect();
        let found = running_percentile(&trace, 61, 20.0);
        for t in (0..500_usize).step_by(6) {
            let start = t.saturating_sub(30).min(500 - 61);
            assert_eq!(found[t], slow_percentile(&trace[start..start + 61], 20.0));
        }
    }
}
