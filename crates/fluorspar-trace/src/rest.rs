use crate::statistics::{noise, percentile, spread_below};
use crate::whittaker::{penalty, smooth};

/// Samples up to this far above the level, in units of the noise, count in
/// full; beyond, less and less until `GONE`.
const FULL: f64 = 0.5;
const GONE: f64 = 2.5;

/// How far below its mean the level of Gaussian noise comes to lie with these
/// weights, in standard deviations: minus the solution of
/// `m = E[w(z − m) z] / E[w(z − m)]`, which a test recomputes.
const BELOW: f64 = 0.183_023_33;

/// Weight of what lies above the first, low level.
const ABOVE: f64 = 0.02;

/// Rounds of the low start and of the weights above; the level moves by less
/// than a hundredth of the noise after about 20.
const START: usize = 10;
const ROUNDS: usize = 30;

/// The start and the first rounds have a smoother of half the period, whose
/// penalty is this many times smaller: a drift that it can follow is not left
/// at its foot.
const SUPPLE: f64 = 16.0;
const SUPPLE_ROUNDS: usize = 10;

/// Noise is at least this share of the trace's range: without noise nothing
/// but the lowest samples would count.
const LEAST_NOISE: f64 = 1e-3;

/// Samples are averaged over this long (s): the noise shrinks, transients
/// hardly do.
const BIN_S: f64 = 1.0;

/// Weight of a sample `above` the level, in units of the noise: all below,
/// then Tukey's biweight.
pub(crate) fn weight(above: f64) -> f64 {
    let part = way(above);
    (1.0 - part * part).powi(2)
}

/// How far a sample is on the way from full weight, 0, to none, 1.
fn way(above: f64) -> f64 {
    ((above - FULL) / (GONE - FULL)).clamp(0.0, 1.0)
}

/// How the influence `above · weight(above)` of a sample grows with `above`.
pub(crate) fn influence_slope(above: f64) -> f64 {
    let part = way(above);
    weight(above) - above * 4.0 * part * (1.0 - part * part) / (GONE - FULL)
}

/// Means of runs of `length` samples and the share of each that is finite;
/// NaN and 0 without any.
pub(crate) fn binned(trace: &[f64], length: usize) -> (Vec<f64>, Vec<f64>) {
    trace
        .chunks(length)
        .map(|run| {
            let finite = run.iter().filter(|v| v.is_finite());
            let count = finite.clone().count() as f64;
            (finite.sum::<f64>() / count, count / length as f64)
        })
        .unzip()
}

/// Least noise that counts for these values.
pub(crate) fn least_noise(values: &[f64]) -> f64 {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let low = percentile(&mut finite, 5.0).unwrap_or(0.0);
    let high = percentile(&mut finite, 95.0).unwrap_or(0.0);
    LEAST_NOISE * (high - low)
}

/// The level at rest of a trace with transients, per sample; all NaN if the
/// trace is.
///
/// `timescale_s` is the period of a drift that keeps half its amplitude.
pub(crate) fn rest(trace: &[f64], timescale_s: f64, frame_rate: f64) -> Vec<f64> {
    let bin = ((BIN_S * frame_rate).round() as usize).max(1);
    let (values, known) = binned(trace, bin);
    if known.iter().all(|&share| share == 0.0) {
        return vec![f64::NAN; trace.len()];
    }
    let stiff = penalty(timescale_s * frame_rate / bin as f64);
    let mut penalty = stiff / SUPPLE;
    let least = (noise(trace) / (bin as f64).sqrt()).max(least_noise(&values));
    let mut weights = known.clone();
    let mut level = smooth(&values, &weights, penalty);
    for _ in 0..START {
        for i in 0..values.len() {
            let above = values[i] > level[i];
            weights[i] = known[i] * if above { ABOVE } else { 1.0 };
        }
        level = smooth(&values, &weights, penalty);
    }
    let mut correction = 0.0;
    for round in 0..ROUNDS {
        if round == SUPPLE_ROUNDS {
            penalty = stiff;
        }
        let about_rest = values.iter().zip(&level).map(|(v, l)| v - l - correction);
        let noise = spread_below(about_rest).max(least);
        for i in 0..values.len() {
            let above = values[i] - level[i];
            // Without noise, what is not above the level is at rest.
            let scaled = if above > 0.0 { above / noise } else { 0.0 };
            weights[i] = known[i] * weight(scaled);
        }
        level = smooth(&values, &weights, penalty);
        correction = BELOW * noise;
    }
    let centre = |k: usize| {
        let start = k * bin;
        0.5 * (start + (start + bin).min(trace.len()) - 1) as f64
    };
    let last = values.len() - 1;
    let mut out = Vec::with_capacity(trace.len());
    for t in 0..trace.len() {
        // Bins on both sides of the sample, the outermost two at the ends.
        let own = t / bin;
        let left = if (t as f64) < centre(own) {
            own.max(1) - 1
        } else {
            own
        };
        let left = left.min(last.max(1) - 1);
        let right = (left + 1).min(last);
        let part = if right == left {
            0.0
        } else {
            (t as f64 - centre(left)) / (centre(right) - centre(left))
        };
        out.push(level[left] + part * (level[right] - level[left]) + correction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correction_is_the_fixed_point() {
        let mut level = 0.0;
        for _ in 0..200 {
            let (mut sum, mut total) = (0.0, 0.0);
            for k in -8000..=8000_i32 {
                let z = f64::from(k) * 1e-3;
                let w = weight(z - level) * (-0.5 * z * z).exp();
                sum += w * z;
                total += w;
            }
            level = sum / total;
        }
        assert!((level + BELOW).abs() < 1e-6, "{level}");
    }

    #[test]
    fn a_constant_and_a_line_are_their_own_rest() {
        for found in rest(&[7.0; 95], 100.0, 10.0) {
            assert!((found - 7.0).abs() < 1e-9);
        }
        let line: Vec<f64> = (0..300).map(|t| 50.0 + 0.1 * f64::from(t)).collect();
        for (found, expected) in rest(&line, 100.0, 10.0).iter().zip(&line) {
            assert!((found - expected).abs() < 0.02, "{found} {expected}");
        }
        assert!((rest(&[3.0], 100.0, 10.0)[0] - 3.0).abs() < 1e-9);
        assert!(rest(&[f64::NAN; 4], 100.0, 10.0).iter().all(|v| v.is_nan()));
        assert!(rest(&[], 100.0, 10.0).is_empty());
    }
}
