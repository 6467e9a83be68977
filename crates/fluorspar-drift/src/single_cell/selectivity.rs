use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::Permutations;
use super::effects::{au_roc, effect};
use super::exceed::{Between, CELLS, Rule, Spread, Subject, exceedances};
use super::integers::Integers;
use crate::Error;
use crate::inference::{add_one_p, false_discovery};

/// How the difference between labels is expressed. A is the smaller label;
/// positive means more activity in A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// `(mean_A − mean_B) / (mean_A + mean_B)`, −1 to 1. For rates and events:
    /// a cell with a negative value has none.
    Index,
    /// d′ = `(mean_A − mean_B) / sqrt((var_A + var_B) / 2)`, variances with
    /// `n − 1`; infinite if the means differ and neither label varies.
    DPrime,
    /// `2 AUC − 1`, −1 to 1, where AUC is the probability that a trial of A is
    /// above one of B, ties one half. Depends on ranks only.
    AuRoc,
    /// η², the share of the variance that lies between labels, 0 to 1; for two
    /// labels or more. `F = η² (n − K) / ((1 − η²) (K − 1))`.
    EtaSquared,
}

/// Selectivity of every cell, in the order of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Selectivity {
    /// What `value` is.
    pub statistic: Statistic,
    /// Effect size; NaN for a cell that does not vary, has a value that is not
    /// finite, or for which the statistic does not exist.
    pub value: Vec<f64>,
    /// Two-sided add-one p: share of exchanged labels with a magnitude at
    /// least as great, ties counted. NaN where `value` is.
    pub p: Vec<f64>,
    /// False discovery rate over the cells (Benjamini and Hochberg 1995).
    pub q: Vec<f64>,
    /// Exchanges of labels.
    pub permutations: usize,
    /// Their seed.
    pub seed: u64,
}

/// Tests for every cell of `activity` `(cell, trial)` whether its activity
/// tells the labels apart.
///
/// Works on the caller's rayon pool; the result does not depend on the number
/// of threads. Ties between exchanges are exact for counts and ranks; other
/// values are rounded to about 24 bits of the sum of their magnitudes.
///
/// # Errors
/// [`Error::Shape`] if the trials differ in number, [`Error::Undefined`] if
/// the statistic needs two labels and there are more, or d′ has a label with
/// one trial.
pub fn selectivity(
    activity: ArrayView2<'_, f32>,
    permutations: &Permutations,
    statistic: Statistic,
) -> Result<Selectivity, Error> {
    let counts = permutations.counts();
    check(activity.ncols(), permutations.trials(), counts, statistic)?;
    let codes = permutations.observed();
    let cells = activity.nrows();
    let mut value = vec![f64::NAN; cells];
    let mut p = vec![f64::NAN; cells];
    value
        .par_chunks_mut(CELLS)
        .zip(p.par_chunks_mut(CELLS))
        .enumerate()
        .for_each(|(block, (value, p))| {
            let mut tested = Vec::with_capacity(value.len());
            let mut subjects = Vec::with_capacity(value.len());
            for (k, value) in value.iter_mut().enumerate() {
                let row = numbers(activity.index_axis(Axis(0), block * CELLS + k));
                if statistic == Statistic::AuRoc {
                    // One sorting for both the effect and the test.
                    if let Some(ranks) = Integers::of_ranks(&row) {
                        let sum = ranks.sum(codes, 0);
                        *value = au_roc(sum, counts);
                        tested.push(k);
                        subjects.push(Subject {
                            values: ranks,
                            squares: None,
                            rule: outside(sum, -sum, 0.0),
                        });
                    }
                    continue;
                }
                *value = effect(&row, codes, counts, statistic);
                if !value.is_nan()
                    && let Some(subject) = subject(&row, *value, codes, counts, statistic)
                {
                    tested.push(k);
                    subjects.push(subject);
                }
            }
            let reached = exceedances(&subjects, permutations);
            for (k, reached) in tested.into_iter().zip(reached) {
                p[k] = add_one_p(reached, permutations.drawn());
            }
        });
    Ok(Selectivity {
        statistic,
        q: false_discovery(&p),
        value,
        p,
        permutations: permutations.drawn(),
        seed: permutations.seed(),
    })
}

/// Effect sizes alone, for `activity` `(cell, trial)` and one label per trial.
///
/// # Errors
/// As [`selectivity`] and [`Permutations::new`].
pub fn effect_sizes(
    activity: ArrayView2<'_, f32>,
    labels: &[i64],
    statistic: Statistic,
) -> Result<Vec<f64>, Error> {
    let classes = Permutations::new(labels, None, 1, 0)?;
    let counts = classes.counts();
    check(activity.ncols(), labels.len(), counts, statistic)?;
    Ok((0..activity.nrows())
        .into_par_iter()
        .map(|cell| {
            let row = numbers(activity.index_axis(Axis(0), cell));
            effect(&row, classes.observed(), counts, statistic)
        })
        .collect())
}

fn check(found: usize, trials: usize, counts: &[usize], statistic: Statistic) -> Result<(), Error> {
    if found != trials {
        return Err(Error::Shape(format!(
            "activity has {found} trials, the labels have {trials}"
        )));
    }
    if statistic != Statistic::EtaSquared && counts.len() != 2 {
        return Err(Error::Undefined(format!(
            "{statistic:?} compares two labels, there are {}; use EtaSquared",
            counts.len()
        )));
    }
    if statistic == Statistic::DPrime && counts.iter().any(|&n| n < 2) {
        return Err(Error::Undefined("d′ needs two trials of each label".into()));
    }
    if trials <= counts.len() && statistic == Statistic::EtaSquared {
        return Err(Error::Undefined("η² needs more trials than labels".into()));
    }
    Ok(())
}

fn numbers(row: ArrayView1<'_, f32>) -> Vec<f64> {
    row.iter().map(|&v| f64::from(v)).collect()
}

/// What the cell brings into the permutation test.
fn subject(
    row: &[f64],
    value: f64,
    codes: &[u8],
    counts: &[usize],
    statistic: Statistic,
) -> Option<Subject> {
    let values = Integers::new(row)?;
    let n = row.len() as f64;
    let sum = values.sum(codes, 0);
    let expected = values.total * counts[0] as f64 / n;
    let mut squares = None;
    let rule = match statistic {
        Statistic::Index => outside(sum, index_mirror(&values, value, counts), expected),
        Statistic::DPrime if counts[0] != counts[1] => {
            let middle = values.offset + values.total / (values.scale * n);
            let about: Vec<f64> = row.iter().map(|v| (v - middle).powi(2)).collect();
            // Two values equally far from their mean have squares that are all equal.
            let integers =
                Integers::new(&about).unwrap_or_else(|| Integers::constant(about[0], about.len()));
            let spread = Spread::new(&values, &integers, codes, [counts[0], counts[1]]);
            squares = Some(integers);
            Rule::Spread(spread)
        }
        // Equal classes: the variances add up to what the sum leaves of the
        // whole, so that d′ rises with the sum.
        Statistic::DPrime | Statistic::AuRoc => outside(sum, 2.0 * expected - sum, expected),
        Statistic::EtaSquared => Rule::Between(Between::new(&values, codes, counts)),
    };
    Some(Subject {
        values,
        squares,
        rule,
    })
}

/// The sum over class A at which the index has the opposite sign.
fn index_mirror(values: &Integers, index: f64, counts: &[usize]) -> f64 {
    let (a, b) = (counts[0] as f64, counts[1] as f64);
    let total = (a + b) * values.offset + values.total / values.scale;
    let mean_a = (1.0 - index) * total / (b * (1.0 + index) + a * (1.0 - index));
    a * (mean_a - values.offset) * values.scale
}

/// Integers beyond the observed sum or beyond its mirror image.
fn outside(sum: f64, mirror: f64, expected: f64) -> Rule {
    // An observed sum within rounding of the expectation is reached by all.
    let slack = 1e-3;
    let (low, high) = if sum >= expected {
        ((mirror + slack).floor(), sum)
    } else {
        (sum, (mirror - slack).ceil())
    };
    Rule::Outside {
        low: low as f32,
        high: high as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, stream};
    use ndarray::Array2;
    use rand::RngExt;
    use rand_distr::{Distribution, StandardNormal};

    fn noise(cells: usize, trials: usize, seed: u64) -> Array2<f32> {
        let mut rng = stream(seed, Domain::Planted, 0);
        Array2::from_shape_fn((cells, trials), |_| {
            let v: f64 = StandardNormal.sample(&mut rng);
            v as f32
        })
    }

    const ALL: [Statistic; 4] = [
        Statistic::Index,
        Statistic::DPrime,
        Statistic::AuRoc,
        Statistic::EtaSquared,
    ];

    /// Exchanges that reach the observed value, one at a time in double precision.
    fn slow(row: &[f64], permutations: &Permutations, statistic: Statistic) -> f64 {
        let counts = permutations.counts();
        let observed = effect(row, permutations.observed(), counts, statistic);
        let reached = permutations
            .exchanged(0, permutations.drawn())
            .chunks(permutations.trials())
            .filter(|codes| {
                let drawn = effect(row, codes, counts, statistic).abs();
                // An infinite d′ ties with itself.
                drawn >= observed.abs() * (1.0 - 1e-9)
            })
            .count();
        add_one_p(reached, permutations.drawn())
    }

    #[test]
    fn products_count_what_single_exchanges_count() {
        let mut activity = noise(40, 23, 5).mapv(f32::abs);
        let mut rng = stream(9, Domain::Planted, 1);
        // Few spikes, with many ties.
        for cell in 10..30 {
            for trial in 0..23 {
                activity[[cell, trial]] = f32::from(rng.random_range(0_u8..8).saturating_sub(5));
            }
        }
        activity.row_mut(39).fill(1.0);
        for split in [9, 11, 12] {
            let labels: Vec<i64> = (0..23).map(|t| i64::from(t * 7 % 23 < split)).collect();
            let permutations = Permutations::new(&labels, None, 700, 2).unwrap();
            for statistic in ALL {
                let fast = selectivity(activity.view(), &permutations, statistic).unwrap();
                for cell in 0..39 {
                    let row = numbers(activity.row(cell));
                    if fast.value[cell].is_nan() {
                        continue;
                    }
                    let slow = slow(&row, &permutations, statistic);
                    assert_eq!(fast.p[cell], slow, "{statistic:?} of cell {cell}, {split}");
                }
                assert!(fast.p[39].is_nan() && fast.q[39].is_nan() && fast.value[39].is_nan());
            }
        }
        let even: Vec<i64> = (0..22).map(|t| t % 2).collect();
        let permutations = Permutations::new(&even, None, 700, 2).unwrap();
        let activity = activity.select(Axis(1), &(0..22).collect::<Vec<_>>());
        for statistic in ALL {
            let fast = selectivity(activity.view(), &permutations, statistic).unwrap();
            for cell in (0..39).filter(|&c| fast.value[c].is_finite()) {
                let row = numbers(activity.row(cell));
                assert_eq!(fast.p[cell], slow(&row, &permutations, statistic));
            }
        }
    }

    #[test]
    fn effect_sizes_are_the_textbook_ones() {
        // A: 4, 6; B: 1, 3.
        let activity = Array2::from_shape_vec((1, 4), vec![4.0, 1.0, 6.0, 3.0]).unwrap();
        let labels = [0, 1, 0, 1];
        let value = |statistic| effect_sizes(activity.view(), &labels, statistic).unwrap()[0];
        assert!((value(Statistic::Index) - 3.0 / 7.0).abs() < 1e-12);
        assert!((value(Statistic::DPrime) - 3.0 / 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(value(Statistic::AuRoc), 1.0);
        assert!((value(Statistic::EtaSquared) - 9.0 / 13.0).abs() < 1e-12);
    }

    #[test]
    fn without_a_code_p_is_uniform_and_with_one_it_is_small() {
        let mut activity = noise(1000, 40, 8);
        let labels: Vec<i64> = (0..40).map(|t| t % 2).collect();
        let permutations = Permutations::new(&labels, None, 999, 4).unwrap();
        for statistic in [Statistic::DPrime, Statistic::AuRoc, Statistic::EtaSquared] {
            let found = selectivity(activity.view(), &permutations, statistic).unwrap();
            let share = found.p.iter().filter(|&&p| p <= 0.1).count() as f64 / 1000.0;
            // Three standard errors about 0.1.
            assert!((share - 0.1).abs() < 0.03, "{statistic:?} {share}");
            assert!(found.q.iter().filter(|&&q| q < 0.05).count() <= 2);
        }
        for cell in 0..50 {
            for trial in (0..40).step_by(2) {
                activity[[cell, trial]] += 3.0;
            }
        }
        let found = selectivity(activity.view(), &permutations, Statistic::AuRoc).unwrap();
        assert!(found.q[..50].iter().all(|&q| q < 0.05));
        assert!(found.value[..50].iter().all(|&v| v > 0.7));
    }

    #[test]
    fn strata_take_a_confound_away() {
        // Activity follows the choice, the odour mostly agrees with it.
        let choice: Vec<i64> = (0..80).map(|t| t % 2).collect();
        let odour: Vec<i64> = (0..80)
            .map(|t| if t % 8 < 6 { t % 2 } else { 1 - t % 2 })
            .collect();
        let mut activity = noise(200, 80, 3);
        for mut row in activity.rows_mut() {
            for (v, &c) in row.iter_mut().zip(&choice) {
                *v += 2.0 * c as f32;
            }
        }
        let share = |strata: Option<&[i64]>| {
            let permutations = Permutations::new(&odour, strata, 499, 1).unwrap();
            let found = selectivity(activity.view(), &permutations, Statistic::DPrime).unwrap();
            found.p.iter().filter(|&&p| p <= 0.05).count() as f64 / 200.0
        };
        assert!(share(None) > 0.8);
        assert!(share(Some(&choice)) < 0.13);
    }

    #[test]
    fn what_cannot_be_had_is_refused_or_not_a_number() {
        let labels = [0, 0, 0, 1];
        let permutations = Permutations::new(&labels, None, 20, 0).unwrap();
        let mut activity = Array2::from_elem((3, 4), 0.0_f32);
        activity[[0, 1]] = f32::NAN;
        activity[[1, 1]] = -1.0;
        let index = selectivity(activity.view(), &permutations, Statistic::Index).unwrap();
        assert!(index.value.iter().chain(&index.p).all(|v| v.is_nan()));
        assert!(selectivity(activity.view(), &permutations, Statistic::DPrime).is_err());
        let none = Array2::zeros((0, 4));
        let empty = selectivity(none.view(), &permutations, Statistic::AuRoc).unwrap();
        assert!(empty.p.is_empty());
        let three = Permutations::new(&[0, 1, 2, 2], None, 20, 0).unwrap();
        assert!(selectivity(activity.view(), &three, Statistic::AuRoc).is_err());
        assert!(selectivity(activity.view(), &three, Statistic::EtaSquared).is_ok());
        let short = Permutations::new(&[0, 1, 1], None, 20, 0).unwrap();
        assert!(selectivity(activity.view(), &short, Statistic::AuRoc).is_err());
    }
}
