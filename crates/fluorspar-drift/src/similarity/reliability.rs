use ndarray::ArrayView2;
use rand::seq::SliceRandom;

use crate::Error;
use crate::random::{Domain, stream};
use crate::statistics::{mean, pearson};

/// Reliability of a mean over all trials from the correlation of its halves:
/// `2 r / (1 + r)` (Spearman 1910, Brown 1910).
///
/// A share of *variance*; its square root bounds a *correlation* with
/// anything else ([`ceiling`]).
pub fn split_half_reliability(half: f64) -> f64 {
    2.0 * half / (1.0 + half)
}

/// The highest correlation that means of reliability `a` and `b` can show:
/// `√(a b)`. NaN if either is negative.
pub fn ceiling(a: f64, b: f64) -> f64 {
    if a < 0.0 || b < 0.0 {
        return f64::NAN;
    }
    (a * b).sqrt()
}

/// A correlation of two noisy patterns and what it is without the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disattenuated {
    /// Mean correlation between halves of the one and halves of the other.
    pub raw: f64,
    /// `raw / √(within_a · within_b)` (Spearman 1904).
    pub corrected: f64,
    /// Mean correlation between the halves of the first.
    pub within_a: f64,
    /// Mean correlation between the halves of the second.
    pub within_b: f64,
}

/// Correlation of two sessions' mean patterns, `a` and `b` `(trial, feature)`
/// with the same features, from `splits` random halvings of the trials.
///
/// The general form for any pattern; [`super::correlations()`] has a closed
/// one for means.
///
/// # Errors
/// [`Error::Shape`] if the features differ; [`Error::Undefined`] with fewer
/// than four trials or three features, or if the halves of a session do not
/// correlate clearly: their mean correlation must exceed 1.64 standard errors
/// of a correlation of unrelated features, `1/√(features − 1)`.
pub fn disattenuate(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
    splits: usize,
    seed: u64,
) -> Result<Disattenuated, Error> {
    if a.ncols() != b.ncols() {
        return Err(Error::Shape(format!(
            "{} features against {}",
            a.ncols(),
            b.ncols()
        )));
    }
    if a.nrows() < 4 || b.nrows() < 4 || a.ncols() < 3 || splits == 0 {
        return Err(Error::Undefined(
            "at least four trials, three features and one split are needed".into(),
        ));
    }
    let [mut raw, mut within_a, mut within_b] = [const { Vec::new() }; 3];
    for split in 0..splits {
        let [a1, a2] = halves(a, seed, 2 * split as u64);
        let [b1, b2] = halves(b, seed, 2 * split as u64 + 1);
        within_a.push(pearson(&a1, &a2));
        within_b.push(pearson(&b1, &b2));
        for (x, y) in [(&a1, &b1), (&a1, &b2), (&a2, &b1), (&a2, &b2)] {
            raw.push(pearson(x, y));
        }
    }
    let [raw, within_a, within_b] = [mean(&raw), mean(&within_a), mean(&within_b)];
    let least = 1.64 / ((a.ncols() - 1) as f64).sqrt();
    for (name, within) in [("first", within_a), ("second", within_b)] {
        if within.is_nan() || within <= least {
            return Err(Error::Undefined(format!(
                "the halves of the {name} session correlate with {within:.3}, not reliably above 0"
            )));
        }
    }
    Ok(Disattenuated {
        raw,
        corrected: raw / (within_a * within_b).sqrt(),
        within_a,
        within_b,
    })
}

/// Means of two random halves of the trials.
fn halves(x: ArrayView2<'_, f64>, seed: u64, index: u64) -> [Vec<f64>; 2] {
    let mut order: Vec<usize> = (0..x.nrows()).collect();
    order.shuffle(&mut stream(seed, Domain::Halves, index));
    let half = order.len() / 2;
    [&order[..half], &order[half..2 * half]].map(|trials| {
        (0..x.ncols())
            .map(|k| trials.iter().map(|&t| x[[t, k]]).sum::<f64>() / half as f64)
            .collect()
    })
}
