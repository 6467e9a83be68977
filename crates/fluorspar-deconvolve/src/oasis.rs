use crate::noise::{FEWEST, standard_deviation};
use crate::{Error, oasis_ar1, time_constant};

/// How to deconvolve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Decay time of the indicator in seconds; estimated from each trace if absent.
    pub tau_s: Option<f64>,
    /// Samples per second (Hz).
    pub frame_rate: f64,
    /// Times that the baseline is re-estimated.
    pub baseline_rounds: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            tau_s: None,
            frame_rate: 30.0,
            baseline_rounds: 3,
        }
    }
}

/// Decay times that an estimate is kept within, seconds.
const TAU_S: (f64, f64) = (0.1, 4.0);
/// Halvings of the search for the sparsity.
const HALVINGS: usize = 24;

/// Deconvolves traces with everything but the frame rate estimated.
#[derive(Clone, Debug)]
pub struct Oasis {
    parameters: Parameters,
}

/// What was found in one trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Calcium above the baseline, the trace's units.
    pub calcium: Vec<f32>,
    /// Events, the trace's units per sample.
    pub events: Vec<f32>,
    /// Baseline, the trace's units.
    pub baseline: f32,
    /// Standard deviation of the noise, the trace's units.
    pub noise: f32,
    /// Decay per sample.
    pub g: f32,
}

impl Oasis {
    /// A deconvolver with these parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless frame rate and decay time are positive.
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        for (name, value) in [
            ("frame_rate", parameters.frame_rate),
            ("tau_s", parameters.tau_s.unwrap_or(1.0)),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::Parameter {
                    name,
                    value,
                    rule: "must be positive",
                });
            }
        }
        Ok(Self { parameters })
    }

    /// Deconvolves one trace. The sparsity is the largest for which the
    /// residual's variance is still the noise's; a constant trace has no events.
    ///
    /// # Errors
    /// [`Error::TooShort`] below 16 finite samples.
    pub fn deconvolve(&self, trace: &[f32]) -> Result<Events, Error> {
        let finite: Vec<f64> = trace
            .iter()
            .filter(|v| v.is_finite())
            .map(|&v| f64::from(v))
            .collect();
        let noise = standard_deviation(trace)?;
        let rate = self.parameters.frame_rate;
        let g = match self.parameters.tau_s {
            Some(tau) => (-1.0 / (tau * rate)).exp(),
            None => time_constant::from_autocovariance(trace, noise)?.clamp(
                (-1.0 / (TAU_S.0 * rate)).exp(),
                (-1.0 / (TAU_S.1 * rate)).exp(),
            ),
        };
        let mut sorted = finite.clone();
        sorted.sort_by(f64::total_cmp);
        let mut baseline = sorted[sorted.len() * 15 / 100];
        let spread = sorted[sorted.len() - 1] - sorted[0];
        debug_assert!(finite.len() >= FEWEST);
        if spread <= 0.0 || g <= 0.0 {
            return Ok(Events {
                calcium: vec![0.0; trace.len()],
                events: vec![0.0; trace.len()],
                baseline: baseline as f32,
                noise: noise as f32,
                g: g as f32,
            });
        }
        let allowed = noise * noise * finite.len() as f64;
        let mut shifted: Vec<f64> = Vec::new();
        let mut solution = None;
        for _ in 0..self.parameters.baseline_rounds.max(1) {
            shifted = trace.iter().map(|&v| f64::from(v) - baseline).collect();
            let found = sparsest(&shifted, g, allowed, spread)?;
            let residual: f64 = shifted
                .iter()
                .zip(&found.calcium)
                .filter(|(y, _)| y.is_finite())
                .map(|(y, c)| y - c)
                .sum();
            baseline += residual / finite.len() as f64;
            solution = Some(found);
        }
        let solution = match solution {
            Some(solution) => solution,
            None => oasis_ar1(&shifted, g, 0.0)?,
        };
        Ok(Events {
            calcium: solution.calcium.iter().map(|&v| v as f32).collect(),
            events: solution.events.iter().map(|&v| v as f32).collect(),
            baseline: baseline as f32,
            noise: noise as f32,
            g: g as f32,
        })
    }
}

/// The solution with the largest λ whose residual sum of squares stays within `allowed`.
fn sparsest(trace: &[f64], g: f64, allowed: f64, spread: f64) -> Result<crate::Solution, Error> {
    let residual = |solution: &crate::Solution| -> f64 {
        trace
            .iter()
            .zip(&solution.calcium)
            .filter(|(y, _)| y.is_finite())
            .map(|(y, c)| (y - c).powi(2))
            .sum()
    };
    let mut best = oasis_ar1(trace, g, 0.0)?;
    if residual(&best) >= allowed {
        return Ok(best);
    }
    // At this λ no sample can pay for an event.
    let (mut low, mut high) = (0.0, spread / (1.0 - g));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let candidate = oasis_ar1(trace, g, middle)?;
        if residual(&candidate) <= allowed {
            low = middle;
            best = candidate;
        } else {
            high = middle;
        }
    }
    Ok(best)
}
