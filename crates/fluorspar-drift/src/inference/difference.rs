//! Tests whose unit is the animal.

use ndarray::ArrayView2;
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::{Alternative, add_one_p};
use crate::Error;
use crate::random::{Domain, stream};
use crate::statistics::mean;

/// Outcome of a permutation test.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// The observed statistic.
    pub statistic: f64,
    /// Probability of one as extreme under the null.
    pub p: f64,
    /// Units: animals, or values of an [`anova`].
    pub n: usize,
    /// Arrangements compared with the observed one.
    pub arrangements: usize,
    /// Whether these are all there are.
    pub exact: bool,
    /// The seed of the arrangements.
    pub seed: u64,
}

/// Mean of one difference per animal, against the same with signs at random
/// (Fisher 1935, The Design of Experiments). Values that are NaN are left out.
///
/// All `2ⁿ` signs are compared if there are at most `arrangements` of them, so
/// n animals cannot give less than `2⁻ⁿ` (one-sided) or `2¹⁻ⁿ` (two-sided): with
/// five animals 0.0625 at best, which is a fact about five animals.
///
/// # Errors
/// [`Error::Undefined`] with fewer than two values, [`Error::Parameter`] if
/// `arrangements` is 0.
pub fn sign_flip(
    differences: &[f64],
    alternative: Alternative,
    arrangements: usize,
    seed: u64,
) -> Result<Test, Error> {
    let known: Vec<f64> = differences
        .iter()
        .copied()
        .filter(|d| d.is_finite())
        .collect();
    let n = known.len();
    if n < 2 {
        return Err(Error::Undefined(format!("{n} differences: 2 are needed")));
    }
    check(arrangements)?;
    let observed = mean(&known);
    let flipped = |flip: &mut dyn FnMut(usize) -> bool| {
        let sum: f64 = known
            .iter()
            .enumerate()
            .map(|(k, &d)| if flip(k) { -d } else { d })
            .sum();
        sum / n as f64
    };
    let exact = n < usize::BITS as usize - 1 && 1_usize << n <= arrangements;
    let (p, arrangements) = if exact {
        let all = 1_usize << n;
        let reached = (0..all)
            .filter(|bits| alternative.reaches(flipped(&mut |k| bits >> k & 1 == 1), observed))
            .count();
        (reached as f64 / all as f64, all)
    } else {
        let reached = (0..arrangements)
            .into_par_iter()
            .filter(|&k| {
                let mut rng = stream(seed, Domain::Animals, k as u64);
                alternative.reaches(flipped(&mut |_| rng.random::<bool>()), observed)
            })
            .count();
        (add_one_p(reached, arrangements), arrangements)
    };
    Ok(Test {
        statistic: observed,
        p,
        n,
        arrangements,
        exact,
        seed,
    })
}

/// [`sign_flip`] of `second − first`, one value of each per animal.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ; else as [`sign_flip`].
pub fn paired(
    first: &[f64],
    second: &[f64],
    alternative: Alternative,
    arrangements: usize,
    seed: u64,
) -> Result<Test, Error> {
    if first.len() != second.len() {
        return Err(Error::Shape(format!(
            "{} and {} values cannot be paired",
            first.len(),
            second.len()
        )));
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| b - a).collect();
    sign_flip(&differences, alternative, arrangements, seed)
}

/// One-way analysis of variance over sessions by permutation: the F ratio of
/// `groups[session]`, against the same with all values dealt to sessions anew.
/// For values of different animals in every session; if each animal has a
/// value in all sessions, [`anova_within`] is the better test. NaN is left out.
///
/// # Errors
/// [`Error::Undefined`] unless two sessions have values and one of them
/// more than one; or if nothing varies within sessions. [`Error::Parameter`]
/// if `arrangements` is 0.
pub fn anova(groups: &[Vec<f64>], arrangements: usize, seed: u64) -> Result<Test, Error> {
    check(arrangements)?;
    let mut values = Vec::new();
    let mut members = Vec::new();
    for (group, all) in groups.iter().enumerate() {
        for &value in all.iter().filter(|v| v.is_finite()) {
            values.push(value);
            members.push(group);
        }
    }
    let used = groups
        .iter()
        .filter(|g| g.iter().any(|v| v.is_finite()))
        .count();
    if used < 2 || values.len() <= used {
        return Err(Error::Undefined(format!(
            "{} values in {used} sessions are too few for an analysis of variance",
            values.len()
        )));
    }
    let ratio = |values: &[f64]| f_ratio(values, &members, groups.len(), used, 0);
    let observed = ratio(&values);
    finish(observed, values.len(), arrangements, seed, |k| {
        let mut dealt = values.clone();
        dealt.shuffle(&mut stream(seed, Domain::Sessions, k));
        ratio(&dealt)
    })
}

/// Analysis of variance over sessions with the animal as a block: `values`
/// `(animal, session)`; the F ratio of sessions after each animal's mean is
/// taken off, against the same with the sessions of every animal in an order
/// of its own. An animal that misses a session (NaN) is left out.
///
/// # Errors
/// [`Error::Undefined`] with fewer than two complete animals or two sessions,
/// or if nothing is left to vary; [`Error::Parameter`] if `arrangements` is 0.
pub fn anova_within(
    values: ArrayView2<'_, f64>,
    arrangements: usize,
    seed: u64,
) -> Result<Test, Error> {
    check(arrangements)?;
    let sessions = values.ncols();
    let rows: Vec<Vec<f64>> = values
        .outer_iter()
        .filter(|row| row.iter().all(|v| v.is_finite()))
        .map(|row| {
            let middle = row.iter().sum::<f64>() / sessions as f64;
            row.iter().map(|v| v - middle).collect()
        })
        .collect();
    if rows.len() < 2 || sessions < 2 {
        return Err(Error::Undefined(format!(
            "{} animals with all of {sessions} sessions are too few",
            rows.len()
        )));
    }
    let members: Vec<usize> = (0..rows.len() * sessions).map(|k| k % sessions).collect();
    let ratio =
        |rows: &[Vec<f64>]| f_ratio(&rows.concat(), &members, sessions, sessions, rows.len() - 1);
    let observed = ratio(&rows);
    finish(observed, rows.len(), arrangements, seed, |k| {
        let mut rng = stream(seed, Domain::Sessions, k);
        let mut dealt = rows.clone();
        for row in &mut dealt {
            row.shuffle(&mut rng);
        }
        ratio(&dealt)
    })
}

/// Variance between over variance within; `blocks` degrees of freedom were spent before.
fn f_ratio(values: &[f64], members: &[usize], groups: usize, used: usize, blocks: usize) -> f64 {
    let middle = mean(values);
    let mut sums = vec![(0.0, 0.0); groups];
    for (&value, &group) in values.iter().zip(members) {
        sums[group].0 += value;
        sums[group].1 += 1.0;
    }
    let between: f64 = sums
        .iter()
        .filter(|(_, n)| *n > 0.0)
        .map(|(sum, n)| n * (sum / n - middle).powi(2))
        .sum();
    let within: f64 = values
        .iter()
        .zip(members)
        .map(|(v, &g)| (v - sums[g].0 / sums[g].1).powi(2))
        .sum();
    let freedom = values.len().saturating_sub(used + blocks) as f64;
    (between / (used - 1) as f64) / (within / freedom)
}

fn finish(
    observed: f64,
    n: usize,
    arrangements: usize,
    seed: u64,
    arrange: impl Fn(u64) -> f64 + Sync,
) -> Result<Test, Error> {
    if !observed.is_finite() {
        return Err(Error::Undefined(
            "nothing varies within sessions: there is no F ratio".into(),
        ));
    }
    let reached = (0..arrangements)
        .into_par_iter()
        .filter(|&k| Alternative::Greater.reaches(arrange(k as u64), observed))
        .count();
    Ok(Test {
        statistic: observed,
        p: add_one_p(reached, arrangements),
        n,
        arrangements,
        exact: false,
        seed,
    })
}

fn check(arrangements: usize) -> Result<(), Error> {
    if arrangements == 0 {
        return Err(Error::Parameter {
            name: "arrangements",
            value: 0.0,
            rule: "must be at least 1",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn five_animals_cannot_do_better_than_one_in_sixteen() {
        let test = sign_flip(&[0.1, 0.3, 0.2, 0.5, 0.4], Alternative::TwoSided, 1000, 1).unwrap();
        assert!(test.exact);
        assert_eq!(test.p, 2.0 / 32.0);
        let greater = paired(
            &[0.0; 5],
            &[0.1, 0.3, 0.2, 0.5, 0.4],
            Alternative::Greater,
            1000,
            1,
        );
        assert_eq!(greater.unwrap().p, 1.0 / 32.0);
    }

    #[test]
    fn the_ratio_is_the_textbook_one() {
        // scipy.stats.f_oneway([1, 2, 3], [2, 3, 4], [5, 6, 7]) = 13.
        let groups = [
            vec![1.0, 2.0, 3.0],
            vec![2.0, 3.0, f64::NAN, 4.0],
            vec![5.0, 6.0, 7.0],
        ];
        let test = anova(&groups, 999, 1).unwrap();
        assert!((test.statistic - 13.0).abs() < 1e-12);
        assert!(test.p < 0.05);
    }

    #[test]
    fn an_animal_of_its_own_level_does_not_hide_a_change() {
        let values = array![
            [1.0, 1.4, 2.1],
            [11.0, 11.6, 12.0],
            [5.0, 5.4, 6.2],
            [3.0, 3.5, 4.1]
        ];
        let within = anova_within(values.view(), 999, 1).unwrap();
        assert!(within.p < 0.01, "{within:?}");
        let groups: Vec<Vec<f64>> = values.columns().into_iter().map(|c| c.to_vec()).collect();
        assert!(anova(&groups, 999, 1).unwrap().p > 0.5);
    }

    #[test]
    fn what_cannot_be_tested_is_an_error() {
        assert!(sign_flip(&[f64::NAN, 1.0], Alternative::TwoSided, 10, 1).is_err());
        assert!(anova(&[vec![1.0], vec![]], 10, 1).is_err());
        assert!(anova(&[vec![1.0, 1.0], vec![1.0, 1.0]], 10, 1).is_err());
        assert!(anova_within(array![[1.0, f64::NAN]].view(), 10, 1).is_err());
        assert!(sign_flip(&[1.0, 2.0], Alternative::Less, 0, 1).is_err());
    }
}
