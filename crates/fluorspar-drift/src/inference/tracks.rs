//! Unsure identities of cells, carried into a result.

use ndarray::{Array2, ArrayView2};
use rand::RngExt;
use rayon::prelude::*;

use crate::Error;
use crate::random::{Domain, stream};

/// Draw number `index` of which identities hold: `(session, cell)`, true with
/// the probability in `p_same` of the same shape, independent of each other.
/// False says *not the same cell*: it is to be left out of that session. NaN
/// (not seen) is never true.
///
/// # Errors
/// [`Error::Parameter`] for a probability outside 0 to 1.
pub fn draw_identity(
    p_same: ArrayView2<'_, f64>,
    seed: u64,
    index: u64,
) -> Result<Array2<bool>, Error> {
    if let Some(&wrong) = p_same.iter().find(|p| **p < 0.0 || **p > 1.0) {
        return Err(Error::Parameter {
            name: "p_same",
            value: wrong,
            rule: "must lie between 0 and 1",
        });
    }
    let mut rng = stream(seed, Domain::Tracks, index);
    Ok(p_same.map(|&p| rng.random::<f64>() < p))
}

/// `statistic` of each of `draws` drawn sets of identities: how much the result
/// owes to the cells that happen to be tracked right. Its spread belongs to the
/// uncertainty of the result beside that of cells and trials.
///
/// # Errors
/// As [`draw_identity`].
pub fn propagate_identity<F>(
    p_same: ArrayView2<'_, f64>,
    draws: usize,
    seed: u64,
    statistic: F,
) -> Result<Vec<f64>, Error>
where
    F: Fn(&Array2<bool>) -> f64 + Sync,
{
    (0..draws)
        .into_par_iter()
        .map(|k| Ok(statistic(&draw_identity(p_same, seed, k as u64)?)))
        .collect()
}

/// Share of wrong matches among cells tracked into two sessions with the
/// probabilities `first` and `second`: `1 − mean(p_first · p_second)`. A cell with a
/// NaN is left out; NaN if none is left or the lengths differ.
pub fn wrong_share(first: &[f64], second: &[f64]) -> f64 {
    if first.len() != second.len() {
        return f64::NAN;
    }
    let both: Vec<f64> = first
        .iter()
        .zip(second)
        .map(|(a, b)| a * b)
        .filter(|p| p.is_finite())
        .collect();
    1.0 - crate::statistics::mean(&both)
}

/// The similarity expected when a share `wrong` of the matched cells are other
/// cells: `similarity · (1 − wrong)`, as a wrong match adds nothing to the
/// product of two sessions on average.
///
/// ```
/// let seen = fluorspar_drift::inference::expected_similarity(0.8, 0.05);
/// assert!((seen - 0.76).abs() < 1e-12);
/// ```
pub fn expected_similarity(similarity: f64, wrong: f64) -> f64 {
    similarity * (1.0 - wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_hold_as_often_as_they_are_probable() {
        let p = Array2::from_shape_fn((2, 500), |(s, _)| if s == 0 { 0.9 } else { f64::NAN });
        let share = propagate_identity(p.view(), 200, 7, |kept| {
            assert!(kept.row(1).iter().all(|k| !k));
            kept.row(0).iter().filter(|k| **k).count() as f64 / 500.0
        })
        .unwrap();
        let mean = share.iter().sum::<f64>() / 200.0;
        // Standard error 0.00095.
        assert!((mean - 0.9).abs() < 0.005, "{mean}");
        assert!(draw_identity(Array2::from_elem((1, 1), 1.5).view(), 1, 1).is_err());
    }

    #[test]
    fn wrong_matches_shrink_a_similarity_as_expected() {
        // Correlated pairs, a fifth of them matched to a stranger.
        use rand_distr::{Distribution, StandardNormal};
        let mut rng = stream(3, Domain::Tracks, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let n = 40_000;
        let x: Vec<f64> = (0..n).map(|_| normal()).collect();
        let y: Vec<f64> = x
            .iter()
            .enumerate()
            .map(|(k, x)| {
                if k % 5 == 0 {
                    normal()
                } else {
                    0.8 * x + 0.6 * normal()
                }
            })
            .collect();
        let r = crate::statistics::pearson(&x, &y);
        assert!((r - expected_similarity(0.8, 0.2)).abs() < 0.02, "{r}");
        assert!((wrong_share(&[0.9, 0.8], &[1.0, 1.0]) - 0.15).abs() < 1e-12);
        assert!(wrong_share(&[0.9], &[]).is_nan());
    }
}
