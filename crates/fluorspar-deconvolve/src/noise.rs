//! How noisy a trace is.

use realfft::RealFftPlanner;

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
    let values = bridged(trace)?;
    let length = SEGMENT.min(values.len());
    let window: Vec<f64> = (0..length)
        .map(|k| {
            let phase = std::f64::consts::TAU * (k as f64 + 0.5) / length as f64;
            0.5 - 0.5 * phase.cos()
        })
        .collect();
    let power: f64 = window.iter().map(|w| w * w).sum();
    let plan = RealFftPlanner::<f64>::new().plan_fft_forward(length);
    let mut spectrum = plan.make_output_vec();
    let mut scratch = plan.make_scratch_vec();
    let (mut sum, mut count) = (0.0, 0.0);
    let step = (length / 2).max(1);
    let starts = || (0..=values.len() - length).step_by(step);
    let whole = |start: usize| trace[start..start + length].iter().all(|v| v.is_finite());
    let any_whole = starts().any(whole);
    for start in starts().filter(|&start| !any_whole || whole(start)) {
        let part = &values[start..start + length];
        let mean = part.iter().sum::<f64>() / length as f64;
        let mut tapered: Vec<f64> = part
            .iter()
            .zip(&window)
            .map(|(v, w)| (v - mean) * w)
            .collect();
        // The lengths come from the plan, so this cannot fail.
        let _ = plan.process_with_scratch(&mut tapered, &mut spectrum, &mut scratch);
        // The Nyquist frequency itself carries half a bin and is left out.
        for value in &spectrum[length / 4 + 1..length.div_ceil(2)] {
            sum += value.norm_sqr() / power;
            count += 1.0;
        }
    }
    Ok((sum / f64::max(count, 1.0)).sqrt())
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
