//! Robust statistics of one time course.

/// Where a time course rests and how much noise rides on it, judged from its
/// lower half only, because transients go up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rest {
    pub(crate) level: f32,
    pub(crate) noise: f32,
}

impl Rest {
    /// `scratch` is overwritten. The noise is the distance from the median
    /// down to the 16th percentile: one standard deviation of a Gaussian.
    pub(crate) fn of(trace: &[f32], scratch: &mut Vec<f32>) -> Self {
        if trace.is_empty() {
            return Self::default();
        }
        scratch.clear();
        scratch.extend_from_slice(trace);
        let half = scratch.len() / 2;
        let (lower, &mut level, _) = scratch.select_nth_unstable_by(half, f32::total_cmp);
        if lower.is_empty() {
            return Self { level, noise: 0.0 };
        }
        let rank = ((trace.len() as f64 * 0.1587) as usize).min(lower.len() - 1);
        let (_, &mut low, _) = lower.select_nth_unstable_by(rank, f32::total_cmp);
        Self {
            level,
            noise: level - low,
        }
    }
}

/// Sum of products, in sixteen interleaved parts added in a fixed order.
#[inline(always)]
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut parts = [0.0_f32; 16];
    let (head_a, tail_a) = a.as_chunks::<16>();
    let (head_b, tail_b) = b.as_chunks::<16>();
    for (a, b) in head_a.iter().zip(head_b) {
        for k in 0..16 {
            parts[k] += a[k] * b[k];
        }
    }
    let mut sum = 0.0;
    for (a, b) in tail_a.iter().zip(tail_b) {
        sum += a * b;
    }
    for part in parts {
        sum += part;
    }
    sum
}

#[inline(always)]
fn add(factor: f32, add: &[f32], out: &mut [f32]) {
    for (slot, &value) in out.iter_mut().zip(add) {
        *slot += factor * value;
    }
}

// Choosing the instructions costs as much as a short loop: what is called often does many loops.
fluorspar_movie::vectorised! {
    /// Sum of products.
    pub(crate) fn dot<'a>(a: &'a [f32], b: &'a [f32]) -> f32 {
        product(a, b)
    }

    /// Products of `b` with each stretch of `a` as long as `b`.
    pub(crate) fn dots<'a>(a: &'a [f32], b: &'a [f32], out: &'a mut [f32]) {
        for (out, a) in out.iter_mut().zip(a.chunks_exact(b.len())) {
            *out = product(a, b);
        }
    }

    /// `out += factor · more`.
    pub(crate) fn axpy<'a>(factor: f32, more: &'a [f32], out: &'a mut [f32]) {
        add(factor, more, out);
    }

    /// `out += scale · Σ weight · row`, rows as long as `out`, counted from
    /// the start of `all`.
    pub(crate) fn gathered<'a>(
        all: &'a [f32],
        rows: &'a [u32],
        weights: &'a [f32],
        scale: f32,
        out: &'a mut [f32],
    ) {
        let length = out.len();
        for (&row, &weight) in rows.iter().zip(weights) {
            let weight = weight * scale;
            if weight.is_finite() {
                let start = row as usize * length;
                add(weight, &all[start..start + length], out);
            }
        }
    }

    /// `out += Σ kernel · stretch`, stretches as long as `out`, `step` apart.
    pub(crate) fn spaced<'a>(
        all: &'a [f32],
        step: usize,
        kernel: &'a [f32],
        out: &'a mut [f32],
    ) {
        let length = out.len();
        for (k, &weight) in kernel.iter().enumerate() {
            add(weight, &all[k * step..k * step + length], out);
        }
    }
}

/// Pearson correlation; 0 where one is constant.
pub(crate) fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |v: &[f32]| v.iter().map(|&v| f64::from(v)).sum::<f64>() / v.len().max(1) as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a) - mean_a, f64::from(b) - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    let norm = (aa * bb).sqrt();
    if norm > 0.0 { ab / norm } else { 0.0 }
}

/// Third standardised moment; 0 where the values are constant or none.
pub(crate) fn skewness(values: &[f32]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let (mut second, mut third) = (0.0, 0.0);
    for &value in values {
        let d = f64::from(value) - mean;
        second += d * d / n;
        third += d * d * d / n;
    }
    let skewness = third / second.powf(1.5);
    if second > 0.0 && skewness.is_finite() {
        skewness
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transients_do_not_move_the_resting_level_much() {
        let mut scratch = Vec::new();
        // A triangle-shaped set of values with a known median and quantile.
        let mut trace: Vec<f32> = (0..1001).map(|t| (t * 7919 % 1001) as f32).collect();
        let rest = Rest::of(&trace, &mut scratch);
        assert_eq!(rest.level, 500.0);
        assert_eq!(rest.noise, 500.0 - 158.0);
        for value in trace.iter_mut().filter(|v| **v > 900.0) {
            *value += 1e6;
        }
        assert_eq!(Rest::of(&trace, &mut scratch).noise, 500.0 - 158.0);
        assert_eq!(Rest::of(&[], &mut scratch).noise, 0.0);
        assert_eq!(Rest::of(&[3.0], &mut scratch).level, 3.0);
    }

    #[test]
    fn dot_is_a_sum_of_products() {
        let a: Vec<f32> = (0..37).map(|k| k as f32).collect();
        assert_eq!(dot(&a, &a), (36 * 37 * 73 / 6) as f32);
        assert!((correlation(&a, &a) - 1.0).abs() < 1e-12);
        assert_eq!(correlation(&a, &[1.0; 37]), 0.0);
    }
}
