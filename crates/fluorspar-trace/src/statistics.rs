/// Standard deviation of white noise on a slow signal, robust to transients.
pub(crate) fn noise(trace: &[f64]) -> f64 {
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
pub(crate) fn percentile(values: &mut [f64], percentile: f64) -> Option<f64> {
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

/// Median of the absolute values of what is below zero, as a standard
/// deviation of noise about zero: transients, which go up, have no part in it.
pub(crate) fn spread_below(values: impl Iterator<Item = f64>) -> f64 {
    let mut below: Vec<f64> = values.filter(|&v| v < 0.0).map(f64::abs).collect();
    // 0.6745 is the third quartile of the standard normal distribution.
    percentile(&mut below, 50.0).unwrap_or(0.0) / 0.674_489_750_196_081_7
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By sorting, as textbooks have it.
    pub(crate) fn slow_percentile(values: &[f64], wanted: f64) -> f64 {
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
    }
}
