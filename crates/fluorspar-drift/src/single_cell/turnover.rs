use std::collections::BTreeMap;

use ndarray::{ArrayView2, Axis};
use rand::RngExt;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Permutations, Statistic, selectivity};
use crate::Error;
use crate::random::{Domain, stream};

/// Which cells of those seen in both of two sets of trials are on (selective,
/// active, place cells) in each. A ratio without denominator is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turnover {
    /// Cells seen in both.
    pub cells: usize,
    /// On in both.
    pub both: usize,
    /// On in the first only.
    pub first_only: usize,
    /// On in the second only.
    pub second_only: usize,
}

impl Turnover {
    /// Share of the second's cells that the first did not have.
    pub fn gained(&self) -> f64 {
        self.second_only as f64 / (self.both + self.second_only) as f64
    }

    /// Share of the first's cells that the second does not have.
    pub fn lost(&self) -> f64 {
        self.first_only as f64 / (self.both + self.first_only) as f64
    }

    /// On in both, as a share of on in either.
    pub fn jaccard(&self) -> f64 {
        self.both as f64 / (self.both + self.first_only + self.second_only) as f64
    }

    /// On in both, as a share of the mean number on.
    pub fn dice(&self) -> f64 {
        let on = 2 * self.both + self.first_only + self.second_only;
        2.0 * self.both as f64 / on as f64
    }

    /// Cells on in both if the two were independent.
    pub fn expected_both(&self) -> f64 {
        (self.both + self.first_only) as f64 * (self.both + self.second_only) as f64
            / self.cells as f64
    }

    /// `(both − expected) / (greatest − expected)`: 0 by chance, 1 if the
    /// smaller set is contained in the greater.
    pub fn corrected_overlap(&self) -> f64 {
        let most = self.both + self.first_only.min(self.second_only);
        let expected = self.expected_both();
        let room = most as f64 - expected;
        if room > 0.0 {
            (self.both as f64 - expected) / room
        } else {
            f64::NAN
        }
    }
}

/// Compares which cells are on; `None` marks a cell that was not seen or not
/// tested, which is not the same as off.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ.
pub fn turnover(first: &[Option<bool>], second: &[Option<bool>]) -> Result<Turnover, Error> {
    if first.len() != second.len() {
        return Err(Error::Shape(format!(
            "{} cells are compared with {}",
            first.len(),
            second.len()
        )));
    }
    let mut out = Turnover {
        cells: 0,
        both: 0,
        first_only: 0,
        second_only: 0,
    };
    for (a, b) in first.iter().zip(second) {
        let (Some(a), Some(b)) = (a, b) else { continue };
        out.cells += 1;
        match (a, b) {
            (true, true) => out.both += 1,
            (true, false) => out.first_only += 1,
            (false, true) => out.second_only += 1,
            (false, false) => {}
        }
    }
    Ok(out)
}

/// Jaccard overlap of two independent sets, each holding a share `p` of the
/// cells: `p / (2 − p)`. NaN outside 0 to 1.
pub fn chance_jaccard(p: f64) -> f64 {
    if (0.0..=1.0).contains(&p) {
        p / (2.0 - p)
    } else {
        f64::NAN
    }
}

/// The turnover that two measurements of the same unchanged cells would show
/// because cells lie near the threshold: expected Jaccard overlap for effect
/// sizes `value`, each measured with Gaussian error `standard_error`, and on
/// when `|measured| > threshold`.
///
/// `value` should be the best estimate there is (all trials together): its own
/// error spreads cells away from the threshold and makes flicker look rarer.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::Parameter`] for a
/// negative threshold, [`Error::Undefined`] if no cell is ever on.
pub fn expected_flicker(
    value: &[f64],
    standard_error: &[f64],
    threshold: f64,
) -> Result<f64, Error> {
    if value.len() != standard_error.len() {
        return Err(Error::Shape(format!(
            "{} effect sizes, {} standard errors",
            value.len(),
            standard_error.len()
        )));
    }
    if threshold.is_nan() || threshold < 0.0 {
        return Err(Error::Parameter {
            name: "threshold",
            value: threshold,
            rule: "must not be negative",
        });
    }
    let normal = Normal::standard();
    let [mut both, mut either] = [0.0; 2];
    for (&value, &error) in value.iter().zip(standard_error) {
        if !(value.is_finite() && error.is_finite() && error >= 0.0) {
            continue;
        }
        let on = if error == 0.0 {
            f64::from(u8::from(value.abs() > threshold))
        } else {
            normal.cdf((value - threshold) / error) + normal.cdf((-value - threshold) / error)
        };
        both += on * on;
        either += on * (2.0 - on);
    }
    if either > 0.0 {
        Ok(both / either)
    } else {
        Err(Error::Undefined("no cell is ever on".into()))
    }
}

/// The same-day floor of turnover: which cells of `activity` `(cell, trial)`
/// are selective at false discovery rate `level` in each of two random halves
/// of the trials.
///
/// Of each label, `per_label` trials go to either half: give the number that
/// the compared sessions were tested with, as fewer trials find fewer cells
/// and turn more of them over. A cell that cannot be tested in a half counts
/// as off.
///
/// # Errors
/// [`Error::Undefined`] if a label has fewer than `2 per_label` trials;
/// otherwise as [`selectivity`] and [`Permutations::new`].
pub fn half_turnover(
    activity: ArrayView2<'_, f32>,
    labels: &[i64],
    statistic: Statistic,
    per_label: usize,
    permutations: usize,
    level: f64,
    seed: u64,
) -> Result<Turnover, Error> {
    if activity.ncols() != labels.len() {
        return Err(Error::Shape(format!(
            "{} labels for {} trials",
            labels.len(),
            activity.ncols()
        )));
    }
    let mut of_label: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (trial, &label) in labels.iter().enumerate() {
        of_label.entry(label).or_default().push(trial);
    }
    let members: Vec<Vec<usize>> = of_label.into_values().collect();
    let halves = split_halves(&members, per_label, seed, 0)?;
    let on = |half: &[usize]| -> Result<Vec<Option<bool>>, Error> {
        let chosen: Vec<i64> = half.iter().map(|&t| labels[t]).collect();
        let drawn = Permutations::new(&chosen, None, permutations, seed)?;
        let found = selectivity(activity.select(Axis(1), half).view(), &drawn, statistic)?;
        Ok(found.q.iter().map(|&q| Some(q <= level)).collect())
    };
    let [a, b] = halves;
    turnover(&on(&a)?, &on(&b)?)
}

/// Two random halves with `per_label` trials of each label, sorted by label;
/// `members` holds the trials of each label.
pub(crate) fn split_halves(
    members: &[Vec<usize>],
    per_label: usize,
    seed: u64,
    index: u64,
) -> Result<[Vec<usize>; 2], Error> {
    let mut rng = stream(seed, Domain::Halves, index);
    let mut halves = [Vec::new(), Vec::new()];
    for trials in members {
        if trials.len() / 2 < per_label {
            return Err(Error::Undefined(format!(
                "a label has {} trials, two halves of {per_label} need twice as many",
                trials.len()
            )));
        }
        let mut trials = trials.clone();
        for last in (1..trials.len()).rev() {
            trials.swap(last, rng.random_range(0..=last));
        }
        for (half, trials) in halves.iter_mut().zip(trials.chunks(per_label.max(1))) {
            half.extend_from_slice(trials);
        }
    }
    Ok(halves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand_distr::{Distribution, StandardNormal};

    fn on(text: &str) -> Vec<Option<bool>> {
        text.chars()
            .map(|c| match c {
                '1' => Some(true),
                '0' => Some(false),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn cells_that_were_not_seen_do_not_turn_over() {
        let found = turnover(&on("1110001-"), &on("11010001")).unwrap();
        assert_eq!((found.cells, found.both), (7, 2));
        assert_eq!((found.first_only, found.second_only), (2, 1));
        assert!((found.gained() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.lost(), 0.5);
        assert_eq!(found.jaccard(), 0.4);
        assert!((found.dice() - 4.0 / 7.0).abs() < 1e-12);
        // 4 · 3 / 7 expected, 3 at most.
        assert!(
            (found.corrected_overlap() - (2.0 - 12.0 / 7.0) / (3.0 - 12.0 / 7.0)).abs() < 1e-12
        );
    }

    #[test]
    fn empty_sets_have_no_overlap() {
        let none = turnover(&on("00"), &on("00")).unwrap();
        assert!(none.jaccard().is_nan() && none.gained().is_nan());
        assert!(none.corrected_overlap().is_nan());
        assert!(turnover(&[], &[]).unwrap().dice().is_nan());
        assert!(turnover(&on("0"), &[]).is_err());
    }

    #[test]
    fn independent_sets_overlap_by_chance() {
        assert!((chance_jaccard(0.2) - 1.0 / 9.0).abs() < 1e-12);
        assert!((chance_jaccard(0.5) - 1.0 / 3.0).abs() < 1e-12);
        assert!(chance_jaccard(1.5).is_nan());
        let mut rng = stream(1, Domain::Planted, 0);
        let mut draw = || -> Vec<Option<bool>> {
            (0..50_000)
                .map(|_| Some(rng.random::<f64>() < 0.2))
                .collect()
        };
        let (a, b) = (draw(), draw());
        let found = turnover(&a, &b).unwrap();
        assert!((found.jaccard() - chance_jaccard(0.2)).abs() < 0.01);
        assert!(found.corrected_overlap().abs() < 0.02);
    }

    #[test]
    fn flicker_is_what_repeated_thresholds_do() {
        // On with probability one half in either: 1/4 against 3/4.
        assert!((expected_flicker(&[10.0], &[1.0], 10.0).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            expected_flicker(&[3.0, 0.0], &[0.0, 0.0], 1.0).unwrap(),
            1.0
        );
        assert!(expected_flicker(&[0.0], &[0.0], 1.0).is_err());
        assert!(expected_flicker(&[0.0], &[], 1.0).is_err());
        assert!(expected_flicker(&[0.0], &[1.0], -1.0).is_err());
    }

    #[test]
    fn halves_of_one_day_turn_over_without_drift() {
        let mut rng = stream(7, Domain::Planted, 0);
        let labels: Vec<i64> = (0..80).map(|t| t % 2).collect();
        let activity = Array2::from_shape_fn((200, 80), |(cell, trial)| {
            let noise: f64 = StandardNormal.sample(&mut rng);
            let effect = if cell < 100 { 0.012 * cell as f64 } else { 0.0 };
            (noise + if trial % 2 == 0 { effect } else { 0.0 }) as f32
        });
        let half = |per_label| {
            half_turnover(
                activity.view(),
                &labels,
                Statistic::DPrime,
                per_label,
                500,
                0.1,
                5,
            )
        };
        let found = half(20).unwrap();
        assert!(found.both > 5 && found.jaccard() < 0.9, "{found:?}");
        assert!(matches!(half(21), Err(Error::Undefined(_))));
        assert!(half(0).is_err());
    }
}
