//! Means, correlations, ranks and quantiles that several metrics share.

/// Arithmetic mean; NaN if empty.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance with `n − 1`; NaN below two values.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|v| (v - middle).powi(2)).sum();
    if values.len() < 2 {
        f64::NAN
    } else {
        squares / (values.len() - 1) as f64
    }
}

/// Pearson correlation; NaN if either does not vary or the lengths differ.
pub(crate) fn pearson(x: &[f64], y: &[f64]) -> f64 {
    if x.len() != y.len() {
        return f64::NAN;
    }
    let (mx, my) = (mean(x), mean(y));
    let [mut xy, mut xx, mut yy] = [0.0; 3];
    for (&a, &b) in x.iter().zip(y) {
        xy += (a - mx) * (b - my);
        xx += (a - mx) * (a - mx);
        yy += (b - my) * (b - my);
    }
    // What rounding leaves of a constant is not a variance.
    let least = |middle: f64| 1e-24 * x.len() as f64 * middle * middle;
    if xx > least(mx) && yy > least(my) {
        (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)
    } else {
        f64::NAN
    }
}

/// Ranks from 1; equal values share the mean of their ranks.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut out = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let mut to = from + 1;
        while to < order.len() && values[order[to]] == values[order[from]] {
            to += 1;
        }
        for &place in &order[from..to] {
            out[place] = (from + to + 1) as f64 / 2.0;
        }
        from = to;
    }
    out
}

/// The value below which a share `q` of ascending `sorted` lies, between neighbours in proportion.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// Lower and upper end of the central interval of `values`, those not finite left out.
pub(crate) fn interval(values: &[f64], confidence: f64) -> (f64, f64) {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    // An interval from a minority of resamples would hide what failed in the others.
    if finite.is_empty() || 2 * finite.len() < values.len() {
        return (f64::NAN, f64::NAN);
    }
    finite.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    (quantile(&finite, tail), quantile(&finite, 1.0 - tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        // -0 and 0 are equal.
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
    }

    #[test]
    fn a_constant_has_no_correlation() {
        assert!(pearson(&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]).is_nan());
        assert!((pearson(&[1.0, 2.0, 4.0], &[2.0, 4.0, 8.0]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[0.0, 10.0], 0.25), 2.5);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
