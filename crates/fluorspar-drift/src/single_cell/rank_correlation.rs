use ndarray::{ArrayView2, Axis};

use crate::Error;
use crate::statistics::{pearson, ranks};

/// Spearman's rank correlation; NaN if either does not vary.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::NotFinite`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64, Error> {
    check(x, y)?;
    Ok(pearson(&ranks(x), &ranks(y)))
}

/// Kendall's τ-b, with ties in either taken into account; NaN if either does
/// not vary. In `n log n` steps (Knight 1966, J Am Stat Assoc 61:436).
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::NotFinite`].
pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Result<f64, Error> {
    check(x, y)?;
    let (x, mut y) = {
        let mut order: Vec<usize> = (0..x.len()).collect();
        let (x, y) = (ranks(x), ranks(y));
        order.sort_by(|&a, &b| x[a].total_cmp(&x[b]).then(y[a].total_cmp(&y[b])));
        let by = |v: &[f64]| -> Vec<f64> { order.iter().map(|&k| v[k]).collect() };
        (by(&x), by(&y))
    };
    let n = x.len() as f64;
    let pairs = n * (n - 1.0) / 2.0;
    let tied_x = tied(x.iter().copied());
    let tied_both = tied(x.iter().zip(&y));
    let discordant = inversions(&mut y);
    let tied_y = tied(y.iter().copied());
    let concordant = pairs - tied_x - tied_y + tied_both - discordant;
    let scale = ((pairs - tied_x) * (pairs - tied_y)).sqrt();
    if scale > 0.0 {
        Ok(((concordant - discordant) / scale).clamp(-1.0, 1.0))
    } else {
        Ok(f64::NAN)
    }
}

/// Kendall's τ-b and Spearman's correlation of values on few levels:
/// `counts` `(level of x, level of y)` holds how often each pair occurs. The
/// same as [`kendall_tau_b`] and [`spearman`] of the pairs written out, in a
/// time that does not depend on how many there are.
pub(crate) fn of_counts(counts: ArrayView2<'_, u64>) -> [f64; 2] {
    let (rows, columns) = counts.dim();
    let number = |row: usize, column: usize| counts[[row, column]] as f64;
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let sums = |axis: usize| -> Vec<f64> {
        counts
            .sum_axis(Axis(axis))
            .iter()
            .map(|&n| n as f64)
            .collect()
    };
    let (of_x, of_y) = (sums(1), sums(0));
    let n: f64 = of_x.iter().sum();
    let mut surplus = 0.0;
    for x in 0..rows {
        for y in 0..columns {
            for later in x + 1..rows {
                let beyond: f64 = (y + 1..columns).map(|k| number(later, k)).sum();
                let before: f64 = (0..y).map(|k| number(later, k)).sum();
                surplus += number(x, y) * (beyond - before);
            }
        }
    }
    let untied = |of: &[f64]| pairs(n) - of.iter().map(|&k| pairs(k)).sum::<f64>();
    let scale = (untied(&of_x) * untied(&of_y)).sqrt();
    // Centred mean rank of each level.
    let middle = |of: &[f64]| -> Vec<f64> {
        let mut below = 0.0;
        of.iter()
            .map(|&k| {
                let rank = below + k / 2.0 - n / 2.0;
                below += k;
                rank
            })
            .collect()
    };
    let (rank_x, rank_y) = (middle(&of_x), middle(&of_y));
    let square =
        |of: &[f64], rank: &[f64]| -> f64 { of.iter().zip(rank).map(|(n, r)| n * r * r).sum() };
    let product: f64 = (0..rows)
        .flat_map(|x| (0..columns).map(move |y| (x, y)))
        .map(|(x, y)| number(x, y) * rank_x[x] * rank_y[y])
        .sum();
    let length = (square(&of_x, &rank_x) * square(&of_y, &rank_y)).sqrt();
    let ratio = |part: f64, whole: f64| {
        if whole > 0.0 {
            (part / whole).clamp(-1.0, 1.0)
        } else {
            f64::NAN
        }
    };
    [ratio(surplus, scale), ratio(product, length)]
}

fn check(x: &[f64], y: &[f64]) -> Result<(), Error> {
    if x.len() != y.len() {
        return Err(Error::Shape(format!(
            "{} values are correlated with {}",
            x.len(),
            y.len()
        )));
    }
    if x.iter().chain(y).all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(Error::NotFinite("a list of values to correlate"))
    }
}

/// Pairs of equal neighbours-in-order.
fn tied<T: PartialEq>(sorted: impl Iterator<Item = T>) -> f64 {
    let mut pairs = 0.0;
    let mut run = 0.0;
    let mut before = None;
    for value in sorted {
        run = if before.as_ref() == Some(&value) {
            run + 1.0
        } else {
            0.0
        };
        pairs += run;
        before = Some(value);
    }
    pairs
}

/// Pairs out of order; sorts `values` by merging.
fn inversions(values: &mut [f64]) -> f64 {
    let n = values.len();
    let mut from = values.to_vec();
    let mut to = values.to_vec();
    let mut found = 0.0;
    let mut width = 1;
    while width < n {
        for start in (0..n).step_by(2 * width) {
            let (middle, stop) = ((start + width).min(n), (start + 2 * width).min(n));
            let (mut left, mut right) = (start, middle);
            for slot in &mut to[start..stop] {
                if right == stop || (left < middle && from[left] <= from[right]) {
                    *slot = from[left];
                    left += 1;
                } else {
                    // All that is left of the left run is greater.
                    found += (middle - left) as f64;
                    *slot = from[right];
                    right += 1;
                }
            }
        }
        std::mem::swap(&mut from, &mut to);
        width *= 2;
    }
    values.copy_from_slice(&from);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    #[test]
    fn one_exchange_of_four() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 3.0]);
        assert!((kendall_tau_b(&x, &y).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert!((spearman(&x, &y).unwrap() - 0.8).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_vary_has_no_order() {
        assert!(kendall_tau_b(&[1.0, 1.0], &[1.0, 2.0]).unwrap().is_nan());
        assert!(kendall_tau_b(&[], &[]).unwrap().is_nan());
        assert!(spearman(&[], &[]).unwrap().is_nan());
        assert!(spearman(&[1.0], &[f64::NAN]).is_err());
        assert!(kendall_tau_b(&[1.0], &[]).is_err());
    }

    proptest! {
        #[test]
        fn merging_counts_every_pair(pairs in prop::collection::vec((0_u8..6, 0_u8..6), 2..40)) {
            let x: Vec<f64> = pairs.iter().map(|p| f64::from(p.0)).collect();
            let y: Vec<f64> = pairs.iter().map(|p| f64::from(p.1)).collect();
            let [mut s, mut nx, mut ny] = [0.0_f64; 3];
            for i in 0..x.len() {
                for j in 0..i {
                    let sign = |a: f64| if a == 0.0 { 0.0 } else { a.signum() };
                    let (a, b) = (sign(x[i] - x[j]), sign(y[i] - y[j]));
                    s += a * b;
                    nx += a * a;
                    ny += b * b;
                }
            }
            let tau = kendall_tau_b(&x, &y).unwrap();
            let mut counts = Array2::zeros((6, 6));
            for p in &pairs {
                counts[[usize::from(p.0), usize::from(p.1)]] += 1_u64;
            }
            let [of_counts, rho] = of_counts(counts.view());
            prop_assert!((of_counts - tau).abs() < 1e-12 || (of_counts.is_nan() && tau.is_nan()));
            let slow = spearman(&x, &y).unwrap();
            prop_assert!((rho - slow).abs() < 1e-12 || (rho.is_nan() && slow.is_nan()));
            if nx * ny > 0.0 {
                prop_assert!((tau - s / (nx * ny).sqrt()).abs() < 1e-12);
            } else {
                prop_assert!(tau.is_nan());
            }
        }
    }
}
