//! How alike two dissimilarity matrices are.

use ndarray::Array2;

use super::rdm::Rdm;
use crate::Error;
use crate::statistics::{mean, pearson, ranks};

/// Conditions below which comparing dissimilarity matrices says little:
/// four conditions have six pairs.
pub const MINIMUM_CONDITIONS: usize = 10;

/// How to compare dissimilarity matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RdmComparison {
    /// Correlation of the dissimilarities.
    Pearson,
    /// Correlation of their ranks.
    Spearman,
    /// Cosine, for dissimilarities with a true zero (crossnobis).
    Cosine,
    /// Spearman's correlation expected if ties are broken at random:
    /// `12 xᵀy/(n³ − n) − 3(n + 1)/(n − 1)` of the ranks.
    RhoA,
    /// Concordant minus discordant pairs over all pairs, ties included.
    KendallTauA,
    /// Cosine after whitening by the covariance that dissimilarities have
    /// because they share conditions (Diedrichsen et al. 2021, Neurons Behav
    /// Data Anal Theory 5:3). Equals linear CKA of the patterns.
    WhitenedCosine,
}

/// Similarity of two dissimilarity matrices over the same conditions.
///
/// # Errors
/// If the conditions differ in number, there are fewer than
/// `minimum_conditions` (use [`MINIMUM_CONDITIONS`] unless you know better)
/// or fewer than three, or one matrix does not vary.
pub fn compare_rdms(
    a: &Rdm,
    b: &Rdm,
    comparison: RdmComparison,
    minimum_conditions: usize,
) -> Result<f64, Error> {
    if a.conditions() != b.conditions() {
        return Err(Error::Shape(format!(
            "dissimilarity matrices of {} and {} conditions",
            a.conditions(),
            b.conditions()
        )));
    }
    let least = minimum_conditions.max(3);
    if a.conditions() < least {
        return Err(Error::Undefined(format!(
            "{} conditions have only {} pairs: a comparison of dissimilarity matrices needs {least} conditions or more",
            a.conditions(),
            a.dissimilarities().len()
        )));
    }
    let (x, y) = (a.dissimilarities(), b.dissimilarities());
    let value = match comparison {
        RdmComparison::Pearson => pearson(x, y),
        RdmComparison::Spearman => pearson(&ranks(x), &ranks(y)),
        RdmComparison::Cosine => cosine(x, y),
        RdmComparison::RhoA => rho_a(x, y),
        RdmComparison::KendallTauA => kendall_tau_a(x, y),
        RdmComparison::WhitenedCosine => whitened_cosine(a, b),
    };
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::Undefined(
            "a dissimilarity matrix does not vary".into(),
        ))
    }
}

/// What the best model of several sessions' dissimilarities could reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseCeiling {
    /// Mean similarity of each session with the mean of the others.
    pub lower: f64,
    /// Mean similarity of each session with the mean of all, itself included.
    pub upper: f64,
}

/// Noise ceiling of several sessions (Nili et al. 2014, PLoS Comput Biol
/// 10:e1003553). Before they are averaged, dissimilarities are brought to one
/// scale: ranks for comparisons of ranks, standard scores for Pearson, unit
/// length for cosines.
///
/// # Errors
/// As [`compare_rdms`], or with fewer than two sessions.
pub fn noise_ceiling(
    sessions: &[Rdm],
    comparison: RdmComparison,
    minimum_conditions: usize,
) -> Result<NoiseCeiling, Error> {
    if sessions.len() < 2 {
        return Err(Error::Undefined(
            "a noise ceiling needs two sessions or more".into(),
        ));
    }
    let conditions = sessions[0].conditions();
    if let Some(other) = sessions.iter().find(|s| s.conditions() != conditions) {
        return Err(Error::Shape(format!(
            "dissimilarity matrices of {conditions} and {} conditions",
            other.conditions()
        )));
    }
    let scaled: Vec<Vec<f64>> = sessions
        .iter()
        .map(|s| to_one_scale(s.dissimilarities(), comparison))
        .collect();
    let pooled = |without: Option<usize>| {
        let used: Vec<&Vec<f64>> = scaled
            .iter()
            .enumerate()
            .filter(|&(k, _)| Some(k) != without)
            .map(|(_, s)| s)
            .collect();
        let pairs = sessions[0].dissimilarities().len();
        let sums = (0..pairs).map(|p| used.iter().map(|s| s[p]).sum::<f64>());
        Rdm::from_pairs(conditions, sums.map(|s| s / used.len() as f64).collect())
    };
    let all = pooled(None)?;
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    for (k, session) in sessions.iter().enumerate() {
        lower.push(compare_rdms(
            &pooled(Some(k))?,
            session,
            comparison,
            minimum_conditions,
        )?);
        upper.push(compare_rdms(&all, session, comparison, minimum_conditions)?);
    }
    Ok(NoiseCeiling {
        lower: mean(&lower),
        upper: mean(&upper),
    })
}

fn to_one_scale(values: &[f64], comparison: RdmComparison) -> Vec<f64> {
    let (middle, scale) = match comparison {
        RdmComparison::Spearman | RdmComparison::RhoA | RdmComparison::KendallTauA => {
            return ranks(values);
        }
        RdmComparison::Cosine | RdmComparison::WhitenedCosine => (0.0, root_mean_square(values)),
        RdmComparison::Pearson => {
            let middle = mean(values);
            let around: Vec<f64> = values.iter().map(|v| v - middle).collect();
            (middle, root_mean_square(&around))
        }
    };
    // One that does not vary stays so; comparing it is refused with the reason.
    let scale = if scale > 0.0 { scale } else { 1.0 };
    values.iter().map(|v| (v - middle) / scale).collect()
}

fn root_mean_square(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

fn cosine(x: &[f64], y: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    (dot(x, y) / (dot(x, x).sqrt() * dot(y, y).sqrt())).clamp(-1.0, 1.0)
}

fn rho_a(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let middle = f64::midpoint(n, 1.0);
    let products = ranks(x)
        .iter()
        .zip(ranks(y))
        .map(|(a, b)| (a - middle) * (b - middle))
        .sum::<f64>();
    12.0 * products / (n.powi(3) - n)
}

/// Kendall's tau-a in `n log n` (Knight 1966, J Am Stat Assoc 61:436).
fn kendall_tau_a(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len();
    let mut order: Vec<usize> = (0..n).collect();
    let (x, y) = (ranks(x), ranks(y));
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]).then(y[a].total_cmp(&y[b])));
    let tied = |same: &dyn Fn(usize, usize) -> bool, order: &[usize]| {
        let mut pairs = 0;
        let mut run = 0;
        for w in order.windows(2) {
            run = if same(w[0], w[1]) { run + 1 } else { 0 };
            pairs += run;
        }
        pairs as f64
    };
    let tied_x = tied(&|a, b| x[a] == x[b], &order);
    let tied_both = tied(&|a, b| x[a] == x[b] && y[a] == y[b], &order);
    let mut by_x: Vec<f64> = order.iter().map(|&k| y[k]).collect();
    let discordant = sort_counting_swaps(&mut by_x);
    order.sort_by(|&a, &b| y[a].total_cmp(&y[b]));
    let tied_y = tied(&|a, b| y[a] == y[b], &order);
    let pairs = n as f64 * (n as f64 - 1.0) / 2.0;
    (pairs - tied_x - tied_y + tied_both - 2.0 * discordant) / pairs
}

/// Sorts by merging, and counts the pairs that stood in the wrong order.
fn sort_counting_swaps(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return 0.0;
    }
    let (left, right) = values.split_at_mut(n / 2);
    let mut swaps = sort_counting_swaps(left) + sort_counting_swaps(right);
    let mut merged = Vec::with_capacity(n);
    let (mut i, mut j) = (0, 0);
    while merged.len() < n {
        if j == right.len() || (i < left.len() && left[i] <= right[j]) {
            merged.push(left[i]);
            i += 1;
        } else {
            merged.push(right[j]);
            swaps += (left.len() - i) as f64;
            j += 1;
        }
    }
    values.copy_from_slice(&merged);
    swaps
}

/// The metric that whitens dissimilarities is, up to a factor, the inner
/// product of the doubly centred matrices, so no matrix over pairs is needed.
fn whitened_cosine(a: &Rdm, b: &Rdm) -> f64 {
    let (a, b) = (doubly_centred(a), doubly_centred(b));
    let dot = |a: &Array2<f64>, b: &Array2<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    (dot(&a, &b) / (dot(&a, &a).sqrt() * dot(&b, &b).sqrt())).clamp(-1.0, 1.0)
}

fn doubly_centred(rdm: &Rdm) -> Array2<f64> {
    let square = rdm.to_square();
    let n = rdm.conditions() as f64;
    let by_row: Vec<f64> = square.rows().into_iter().map(|r| r.sum() / n).collect();
    let middle = mean(&by_row);
    Array2::from_shape_fn(square.dim(), |(i, j)| {
        square[[i, j]] - by_row[i] - by_row[j] + middle
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rdm(values: &[f64]) -> Rdm {
        Rdm::from_pairs(4, values.to_vec()).unwrap()
    }

    #[test]
    fn hand_values() {
        let a = rdm(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b = rdm(&[1.0, 2.0, 3.0, 4.0, 6.0, 5.0]);
        let of = |c| compare_rdms(&a, &b, c, 3).unwrap();
        // One of 15 pairs is discordant.
        assert!((of(RdmComparison::KendallTauA) - 13.0 / 15.0).abs() < 1e-12);
        // 1 − 6·2/(6·35)
        assert!((of(RdmComparison::Spearman) - (1.0 - 12.0 / 210.0)).abs() < 1e-12);
        assert!((of(RdmComparison::RhoA) - (1.0 - 12.0 / 210.0)).abs() < 1e-12);
        assert!((of(RdmComparison::Cosine) - 90.0 / 91.0).abs() < 1e-12);
    }

    #[test]
    fn ties_count_among_all_pairs() {
        // x ties once, y twice, of 15 pairs; counted by hand over pairs.
        let x = [1.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let y = [2.0, 1.0, 2.0, 5.0, 5.0, 0.0];
        let mut sum = 0.0;
        for i in 0..6 {
            for j in 0..i {
                let sign = |d: f64| if d == 0.0 { 0.0 } else { d.signum() };
                sum += sign(x[i] - x[j]) * sign(y[i] - y[j]);
            }
        }
        assert!((kendall_tau_a(&x, &y) - sum / 15.0).abs() < 1e-12);
    }

    #[test]
    fn few_conditions_and_constants_are_refused() {
        let a = rdm(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let refused = compare_rdms(&a, &a, RdmComparison::Pearson, MINIMUM_CONDITIONS);
        assert!(refused.unwrap_err().to_string().contains("6 pairs"));
        let flat = rdm(&[1.0; 6]);
        assert!(compare_rdms(&a, &flat, RdmComparison::Pearson, 3).is_err());
        let none = rdm(&[0.0; 6]);
        assert!(compare_rdms(&a, &none, RdmComparison::Cosine, 3).is_err());
        assert!(compare_rdms(&a, &none, RdmComparison::WhitenedCosine, 3).is_err());
        assert!(noise_ceiling(&[a], RdmComparison::Cosine, 3).is_err());
    }
}
