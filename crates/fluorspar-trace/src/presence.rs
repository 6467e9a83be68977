use ndarray::ArrayView2;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::Error;
use crate::rest::rest;
use crate::shape::{check_frame_rate, check_range};
use crate::statistics::{noise, spread_below};

/// Drifts slower than this (s), and than so many decay times, are rest.
const LEAST_TIMESCALE_S: f64 = 120.0;
const DECAYS: f64 = 12.0;

/// When a trace counts as active.
#[derive(Clone, Debug, PartialEq)]
pub struct PresenceParameters {
    /// Decay time of a transient of the indicator (s).
    pub decay_s: f64,
    /// Chance that a trace of noise counts as active, above 0, below 1.
    pub false_alarm: f64,
    /// Chance with which a transient of [`Presence::needed`] is seen, above
    /// 0, below 1.
    pub power: f64,
}

impl Default for PresenceParameters {
    fn default() -> Self {
        Self {
            decay_s: 1.0,
            false_alarm: 0.01,
            power: 0.95,
        }
    }
}

impl PresenceParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let rule = "from 0.001 to 100 seconds";
        check_range("decay_s", self.decay_s, 1e-3..=100.0, rule)?;
        for (name, value) in [("false_alarm", self.false_alarm), ("power", self.power)] {
            check_range(name, value, 1e-9..=1.0 - 1e-9, "above 0 and below 1")?;
        }
        Ok(())
    }
}

/// What a session says about one ROI of a given set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Nothing of it can be seen: outside the valid field, or without two
    /// finite samples side by side. Nothing is known about its activity.
    Absent,
    /// Seen, and no transient stands out of the noise. How large one could
    /// have been all the same is [`Presence::needed`].
    Silent,
    /// Seen, and at least one transient stands out.
    Active,
}

/// A ROI's state and the numbers behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Presence {
    /// Absent, silent or active.
    pub state: State,
    /// Share of frames with a finite sample, 0 to 1.
    pub seen: f64,
    /// Largest transient's height over its noise, after the filter; NaN for
    /// absent ROIs.
    pub peak_snr: f64,
    /// What `peak_snr` must exceed for a ROI to be active; NaN for absent ROIs.
    pub threshold: f64,
    /// Smallest peak ΔF/F of a single transient that would have been seen with
    /// the wanted power; NaN for absent ROIs.
    pub needed: f64,
}

/// Tells for every ROI of a given set, such as the union of several sessions,
/// whether it is absent from this one, silent or active.
///
/// Each trace is filtered with the shape of a transient, a jump and an
/// exponential decay, the best detector in white noise (Turin, IRE Trans.
/// Inform. Theory 6:311, 1960). The noise after the filter is measured on what
/// lies below rest, so slow noise counts as well, and is at least what the
/// noise of single frames amounts to. A ROI is active if the largest value
/// exceeds what Gaussian noise reaches anywhere in as many frames with a
/// chance of `false_alarm` (Bonferroni's bound: filtered frames are not
/// independent, so the true chance is smaller). A transient of height `needed`
/// exceeds it with a chance of `power`.
///
/// `dff` has axes `(roi, frame)`. Its level at rest is found as in
/// [`Baseline::Rest`](crate::Baseline::Rest) and taken off first, so that
/// other baselines, which lie below rest, do as well. ΔF/F of a floored
/// baseline is too small, and `needed` refers to it.
///
/// # Errors
/// [`Error::Parameter`] for a parameter or frame rate out of range.
pub fn presence(
    dff: ArrayView2<'_, f32>,
    parameters: &PresenceParameters,
    frame_rate: f64,
) -> Result<Vec<Presence>, Error> {
    parameters.validate()?;
    check_frame_rate(frame_rate)?;
    let timescale_s = LEAST_TIMESCALE_S.max(DECAYS * parameters.decay_s);
    let decay = (-1.0 / (parameters.decay_s * frame_rate)).exp();
    let normal = Normal::standard();
    let chance = parameters.false_alarm / dff.ncols().max(1) as f64;
    let threshold = -normal.inverse_cdf(chance);
    let reach = threshold + normal.inverse_cdf(parameters.power);
    Ok((0..dff.nrows())
        .into_par_iter()
        .map(|roi| {
            let mut trace: Vec<f64> = dff.row(roi).iter().map(|&v| f64::from(v)).collect();
            let level = rest(&trace, timescale_s, frame_rate);
            for (value, level) in trace.iter_mut().zip(level) {
                *value -= level;
            }
            one(&trace, decay, threshold, reach)
        })
        .collect())
}

fn one(trace: &[f64], decay: f64, threshold: f64, reach: f64) -> Presence {
    let seen = trace.iter().filter(|v| v.is_finite()).count() as f64 / trace.len().max(1) as f64;
    if !trace.windows(2).any(|pair| (pair[1] - pair[0]).is_finite()) {
        return Presence {
            state: State::Absent,
            seen,
            peak_snr: f64::NAN,
            threshold: f64::NAN,
            needed: f64::NAN,
        };
    }
    // What follows each frame, weighted by the decay, over the root of the
    // weights' squares: noise keeps its standard deviation.
    let (mut sum, mut squares, mut full) = (0.0, 0.0, 0.0_f64);
    let mut filtered = Vec::with_capacity(trace.len());
    for &value in trace.iter().rev() {
        sum *= decay;
        squares *= decay * decay;
        if value.is_finite() {
            sum += value;
            squares += 1.0;
            filtered.push(sum / f64::sqrt(squares));
            full = full.max(squares);
        }
    }
    let least = noise(trace).max(f64::from(f32::MIN_POSITIVE));
    let deviation = spread_below(filtered.iter().copied()).max(least);
    let peak = filtered.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let peak_snr = peak / deviation;
    Presence {
        state: if peak_snr > threshold {
            State::Active
        } else {
            State::Silent
        },
        seen,
        peak_snr,
        threshold,
        needed: reach * deviation / full.sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng};

    /// Rows of white noise of standard deviation 0.1, with a transient of
    /// `height` in the middle.
    fn traces(rows: usize, height: f32) -> Array2<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        Array2::from_shape_fn((rows, 3000), |(_, t)| {
            let transient = match t.checked_sub(1500) {
                Some(since) => height * (-(since as f32) / 10.0).exp(),
                None => 0.0,
            };
            let noise: f32 = rng.sample(rand_distr::StandardNormal);
            0.1 * noise + transient
        })
    }

    fn active(rows: &[Presence]) -> usize {
        rows.iter().filter(|p| p.state == State::Active).count()
    }

    #[test]
    fn errors_of_both_kinds_are_as_rare_as_asked() {
        let parameters = PresenceParameters::default();
        let noise = presence(traces(2000, 0.0).view(), &parameters, 10.0).unwrap();
        assert!(active(&noise) <= 30, "{}", active(&noise));
        let needed = noise.iter().map(|p| p.needed).sum::<f64>() / 2000.0;
        assert!(needed > 0.15 && needed < 0.3, "{needed}");
        let seen = presence(traces(2000, needed as f32).view(), &parameters, 10.0).unwrap();
        assert!(active(&seen) >= 1880, "{}", active(&seen));
        let half = presence(traces(2000, 0.5 * needed as f32).view(), &parameters, 10.0).unwrap();
        assert!(active(&half) < 400, "{}", active(&half));
    }

    #[test]
    fn a_baseline_below_rest_changes_nothing() {
        let plain = traces(20, 0.3);
        let parameters = PresenceParameters::default();
        let at_rest = presence(plain.view(), &parameters, 10.0).unwrap();
        let above = presence((&plain + 0.2).view(), &parameters, 10.0).unwrap();
        for (a, b) in at_rest.iter().zip(&above) {
            assert_eq!(a.state, b.state);
            assert!((a.needed - b.needed).abs() < 1e-4 * a.needed);
        }
    }

    #[test]
    fn awkward_traces_have_a_state() {
        let mut dff = Array2::<f32>::zeros((3, 50));
        dff.row_mut(0).fill(f32::NAN);
        dff[[2, 20]] = 1.0;
        let found = presence(dff.view(), &PresenceParameters::default(), 10.0).unwrap();
        let states: Vec<State> = found.iter().map(|p| p.state).collect();
        assert_eq!(states, [State::Absent, State::Silent, State::Active]);
        assert_eq!(found[0].seen, 0.0);
        let empty = Array2::<f32>::zeros((1, 0));
        let found = presence(empty.view(), &PresenceParameters::default(), 10.0).unwrap();
        assert_eq!(found[0].state, State::Absent);
        for decay_s in [0.0, -1.0, f64::NAN, 1e9] {
            let absurd = PresenceParameters {
                decay_s,
                ..PresenceParameters::default()
            };
            assert!(presence(dff.view(), &absurd, 10.0).is_err());
        }
        assert!(presence(dff.view(), &PresenceParameters::default(), f64::NAN).is_err());
    }
}
