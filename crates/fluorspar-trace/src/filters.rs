use std::collections::VecDeque;

use crate::statistics::percentile;

/// Gaussian smoothing over the finite samples, weights renormalised at the
/// ends and around gaps; NaN where no sample is near.
pub(crate) fn smoothed(trace: &[f64], sigma: f64) -> Vec<f64> {
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
pub(crate) fn running_percentile(trace: &[f64], window: usize, wanted: f64) -> Vec<f64> {
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

/// Minimum, then maximum over windows of `window` samples about each sample
/// (one more if even, shorter at the ends), gaps left out: the shape under a
/// trace that a segment of that length can reach.
///
/// A queue of candidates in order makes it O(samples) (Lemire, Nordic J.
/// Computing 13:328, 2006).
pub(crate) fn opened(trace: &[f64], window: usize) -> Vec<f64> {
    let low = running_minimum(trace.iter().copied(), trace.len(), window / 2);
    let high = running_minimum(low.iter().map(|v| -v), trace.len(), window / 2);
    high.into_iter().map(|v| -v).collect()
}

/// Least finite value within `reach` samples; NaN without any.
fn running_minimum(trace: impl Iterator<Item = f64>, length: usize, reach: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(length);
    let mut candidates: VecDeque<(usize, f64)> = VecDeque::new();
    let mut take = |candidates: &mut VecDeque<(usize, f64)>, upto: usize| {
        while candidates.front().is_some_and(|&(at, _)| at + reach < upto) {
            candidates.pop_front();
        }
        out.push(candidates.front().map_or(f64::NAN, |&(_, value)| value));
    };
    for (at, value) in trace.enumerate() {
        if value.is_finite() {
            while candidates.back().is_some_and(|&(_, last)| last >= value) {
                candidates.pop_back();
            }
            candidates.push_back((at, value));
        }
        if at >= reach {
            take(&mut candidates, at - reach);
        }
    }
    for centre in length.saturating_sub(reach)..length {
        take(&mut candidates, centre);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::tests::slow_percentile;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn opening_agrees_with_its_definition(
            values in prop::collection::vec(prop::option::weighted(0.9, -9..9_i32), 0..60),
            window in 1_usize..90,
        ) {
            let trace: Vec<f64> = values.iter().map(|v| v.map_or(f64::NAN, f64::from)).collect();
            let slow = |trace: &[f64], sign: f64| -> Vec<f64> {
                (0..trace.len())
                    .map(|t| {
                        let reach = window / 2;
                        let part = &trace[t.saturating_sub(reach)..(t + reach + 1).min(trace.len())];
                        let least = part.iter().filter(|v| !v.is_nan()).map(|v| sign * v).reduce(f64::min);
                        least.map_or(f64::NAN, |v| sign * v)
                    })
                    .collect()
            };
            let expected = slow(&slow(&trace, 1.0), -1.0);
            let found = opened(&trace, window);
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!(found == expected || found.is_nan() && expected.is_nan());
            }
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
