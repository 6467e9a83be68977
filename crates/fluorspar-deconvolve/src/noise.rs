//! How noisy a trace is.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::Error;

/// Longest stretch that one periodogram covers, samples.
const SEGMENT: usize = 256;
/// Fewest finite samples to judge by.
pub(crate) const FEWEST: usize = 16;

/// Standard deviation of the noise, in the trace's units: from the power
/// between one half of the Nyquist frequency and the Nyquist frequency, where
/// calcium has none, as a mean over half-overlapping Hann windows (Welch 1967).
///
/// Windows with samples that are not finite are left out; if that leaves none,
/// gaps are bridged by straight lines, which makes the estimate low.
///
/// # Errors
/// [`Error::TooShort`] below 16 finite samples.
pub fn standard_deviation(trace: &[f32]) -> Result<f64, Error> {
    Meter::default().standard_deviation(trace)
}

/// What the estimate needs, kept from trace to trace.
#[derive(Clone, Default)]
pub(crate) struct Meter {
    plan: Option<Arc<dyn RealToComplex<f64>>>,
    window: Vec<f64>,
    tapered: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl Meter {
    /// See [`standard_deviation`].
    pub(crate) fn standard_deviation(&mut self, trace: &[f32]) -> Result<f64, Error> {
        let whole = |part: &[f32]| part.iter().all(|v| v.is_finite());
        let length = SEGMENT.min(trace.len());
        let step = (length / 2).max(1);
        let mut sum = (0.0, 0.0);
        if trace.len() >= FEWEST {
            self.prepare(length);
            for part in trace
                .windows(length)
                .step_by(step)
                .filter(|part| whole(part))
            {
                self.add(part.iter().map(|&v| f64::from(v)), &mut sum);
            }
        }
        if sum.1 == 0.0 {
            let values = bridged(trace)?;
            for part in values.windows(length).step_by(step) {
                self.add(part.iter().copied(), &mut sum);
            }
        }
        Ok((sum.0 / f64::max(sum.1, 1.0)).sqrt())
    }

    fn prepare(&mut self, length: usize) {
        if self.window.len() == length {
            return;
        }
        self.window = (0..length)
            .map(|k| {
                let phase = std::f64::consts::TAU * (k as f64 + 0.5) / length as f64;
                0.5 - 0.5 * phase.cos()
            })
            .collect();
        let plan = RealFftPlanner::<f64>::new().plan_fft_forward(length);
        self.tapered = plan.make_input_vec();
        self.spectrum = plan.make_output_vec();
        self.scratch = plan.make_scratch_vec();
        self.plan = Some(plan);
    }

    /// Adds the power of one window in the upper half of its spectrum, and the number of bins.
    fn add(&mut self, part: impl Iterator<Item = f64> + Clone, sum: &mut (f64, f64)) {
        let length = self.window.len();
        let mean = part.clone().sum::<f64>() / length as f64;
        for ((slot, v), w) in self.tapered.iter_mut().zip(part).zip(&self.window) {
            *slot = (v - mean) * w;
        }
        if let Some(plan) = &self.plan {
            // The lengths come from the plan, so this cannot fail.
            let _ =
                plan.process_with_scratch(&mut self.tapered, &mut self.spectrum, &mut self.scratch);
        }
        let power: f64 = self.window.iter().map(|w| w * w).sum();
        // The Nyquist frequency itself carries half a bin and is left out.
        for value in &self.spectrum[length / 4 + 1..length.div_ceil(2)] {
            sum.0 += value.norm_sqr() / power;
            sum.1 += 1.0;
        }
    }
}

/// Finite samples in double precision, gaps bridged by straight lines.
pub(crate) fn bridged(trace: &[f32]) -> Result<Vec<f64>, Error> {
    let known: Vec<usize> = (0..trace.len()).filter(|&t| trace[t].is_finite()).collect();
    if known.len() < FEWEST {
        return Err(Error::TooShort {
            finite: known.len(),
            samples: trace.len(),
            needed: FEWEST,
        });
    }
    let mut out: Vec<f64> = trace.iter().map(|&v| f64::from(v)).collect();
    let (first, last) = (known[0], known[known.len() - 1]);
    let (head, tail) = (out[first], out[last]);
    out[..first].fill(head);
    out[last..].fill(tail);
    for pair in known.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        for t in a + 1..b {
            let share = (t - a) as f64 / (b - a) as f64;
            out[t] = out[a] * (1.0 - share) + out[b] * share;
        }
    }
    Ok(out)
}
