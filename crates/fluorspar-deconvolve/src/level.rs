//! Where a trace lies when the cell is silent.

/// Standard normal quantiles of the shares below.
const SHARES: [(f64, f64); 4] = [
    (0.15, -1.0364),
    (0.25, -0.6745),
    (0.375, -0.3186),
    (0.5, 0.0),
];

/// The baseline of a trace (any unit) whose noise has standard deviation
/// `noise`. Calcium only adds, so each quantile `Q(q)` of the trace lies no
/// lower than the baseline's own, `b + σ z_q`; the least of `Q(q) − σ z_q` over
/// a few quantiles is the least contaminated. 0 without finite samples.
pub fn baseline(trace: &[f32], noise: f64) -> f64 {
    let mut values: Vec<f32> = trace.iter().copied().filter(|v| v.is_finite()).collect();
    of_finite(&mut values, noise)
}

/// The same, of values that may be put into another order.
pub(crate) fn of_finite(values: &mut [f32], noise: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let mut rest = values;
    let all = rest.len() - 1;
    let mut least = f64::INFINITY;
    // From the median down: each quantile is searched for below the last.
    for &(share, quantile) in SHARES.iter().rev() {
        let rank = ((all as f64 * share) as usize).min(rest.len() - 1);
        let (below, &mut value, _) = rest.select_nth_unstable_by(rank, f32::total_cmp);
        least = least.min(f64::from(value) - noise * quantile);
        rest = below;
        if rest.is_empty() {
            break;
        }
    }
    least
}
