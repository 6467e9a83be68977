/// Keeps the system solvable where all weights vanish.
const LEAST_WEIGHT: f64 = 1e-9;

/// Minimises `Σ w (y − z)² + penalty · Σ (z₋₁ − 2 z + z₊₁)²` over `z`
/// (Whittaker 1923), samples evenly spaced; O(samples). Samples of weight 0
/// may be NaN. Fewer than three samples give their weighted mean.
pub(crate) fn smooth(trace: &[f64], weights: &[f64], penalty: f64) -> Vec<f64> {
    let length = trace.len();
    let weighted = |centre: f64, i: usize| {
        if weights[i] > 0.0 {
            weights[i] * (trace[i] - centre)
        } else {
            0.0
        }
    };
    // Relative to the mean, which the least weight then draws to.
    let total: f64 = weights.iter().sum();
    let mean = (0..length).map(|i| weighted(0.0, i)).sum::<f64>() / total.max(LEAST_WEIGHT);
    if length < 3 {
        return vec![mean; length];
    }
    // L·D·Lᵀ of a matrix with two bands: l1 and l2 are L's below the diagonal.
    let (mut d, mut l1, mut l2) = (vec![0.0; length], vec![0.0; length], vec![0.0; length]);
    let mut z = vec![0.0; length];
    for i in 0..length {
        let edge = i.min(length - 1 - i);
        let centre = match edge {
            0 => 1.0,
            1 if length == 3 => 4.0,
            1 => 5.0,
            _ => 6.0,
        };
        let mut diagonal = weights[i] + LEAST_WEIGHT + penalty * centre;
        let mut right = weighted(mean, i);
        if i >= 2 {
            let second = penalty / d[i - 2];
            l2[i] = second;
            diagonal -= second * second * d[i - 2];
            right -= second * z[i - 2];
        }
        if i >= 1 {
            // Rows 1 and last hold −2, all others −4.
            let outer = i == 1 || i == length - 1;
            let mut first = if outer { -2.0 } else { -4.0 } * penalty;
            if i >= 2 {
                first -= l2[i] * d[i - 2] * l1[i - 1];
            }
            l1[i] = first / d[i - 1];
            diagonal -= l1[i] * l1[i] * d[i - 1];
            right -= l1[i] * z[i - 1];
        }
        d[i] = diagonal;
        z[i] = right;
    }
    for i in (0..length).rev() {
        z[i] /= d[i];
        if i + 1 < length {
            z[i] -= l1[i + 1] * z[i + 1];
        }
        if i + 2 < length {
            z[i] -= l2[i + 2] * z[i + 2];
        }
    }
    for z in &mut z {
        *z += mean;
    }
    z
}

/// The penalty with which an oscillation of `period` samples keeps half its
/// amplitude, from the response `1 / (1 + penalty · (2π / period)⁴)`.
pub(crate) fn penalty(period: f64) -> f64 {
    (period / std::f64::consts::TAU).powi(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straight_lines_pass_and_gaps_are_bridged() {
        for length in [3, 4, 5, 50] {
            let line: Vec<f64> = (0..length).map(|i| 3.0 - 0.5 * f64::from(i)).collect();
            let mut trace = line.clone();
            let mut weights = vec![1.0; trace.len()];
            if length > 10 {
                trace[20..30].fill(f64::NAN);
                weights[20..30].fill(0.0);
            }
            for (found, expected) in smooth(&trace, &weights, 1e4).iter().zip(&line) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{length}: {found} {expected}"
                );
            }
        }
        assert_eq!(smooth(&[4.0], &[1.0], 1.0), [4.0]);
        assert!(smooth(&[], &[], 1.0).is_empty());
    }

    #[test]
    fn the_gradient_vanishes() {
        let trace: Vec<f64> = (0..40).map(|i| f64::from(i * 7919 % 41)).collect();
        let weights: Vec<f64> = (0..40).map(|i| f64::from(i * 31 % 5)).collect();
        let z = smooth(&trace, &weights, 3.0);
        let second = |i: usize| z[i - 1] - 2.0 * z[i] + z[i + 1];
        for i in 3..37 {
            let pull = weights[i] * (z[i] - trace[i]);
            let bend = second(i - 1) - 2.0 * second(i) + second(i + 1);
            assert!((pull + 3.0 * bend).abs() < 1e-6);
        }
    }

    #[test]
    fn half_an_oscillation_passes() {
        let period = 80.0;
        let wave = |i: usize| (i as f64 * std::f64::consts::TAU / period).sin();
        let trace: Vec<f64> = (0..1000).map(wave).collect();
        let z = smooth(&trace, &vec![1.0; 1000], penalty(period));
        assert!((z[500] - 0.5 * trace[500]).abs() < 0.01);
    }
}
