use std::collections::BTreeMap;

use rand::RngExt;

use crate::Error;
use crate::random::{Domain, stream};

/// Most trials for which sums of ranks are exact in `f32`.
const MOST_TRIALS: usize = 8191;

/// The labels of a session's trials and many random exchanges of them.
///
/// Drawn once, used for every cell and epoch: cells are tested with the same
/// exchanges, so what noise they share stays shared.
#[derive(Clone, Debug)]
pub struct Permutations {
    labels: Vec<i64>,
    counts: Vec<usize>,
    trials: usize,
    seed: u64,
    /// Class of each trial, `(labelling, trial)`; the observed labelling first.
    codes: Vec<u8>,
}

impl Permutations {
    /// Draws `drawn` exchanges of `labels`, one label per trial.
    ///
    /// With `strata`, one per trial, labels are exchanged only between trials
    /// of one stratum: a test for odour within each choice, say, is not
    /// driven by the choice.
    ///
    /// # Errors
    /// [`Error::Nothing`] without trials or exchanges, [`Error::Shape`] if
    /// lengths differ, for more than 256 classes or more than 8191 trials,
    /// [`Error::Undefined`] if there is one class only or no exchange is
    /// possible within the strata.
    pub fn new(
        labels: &[i64],
        strata: Option<&[i64]>,
        drawn: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        let trials = labels.len();
        if trials == 0 {
            return Err(Error::Nothing("trials"));
        }
        if drawn == 0 {
            return Err(Error::Nothing("permutations"));
        }
        if trials > MOST_TRIALS {
            return Err(Error::Shape(format!(
                "{trials} trials are more than {MOST_TRIALS}"
            )));
        }
        if strata.is_some_and(|s| s.len() != trials) {
            return Err(Error::Shape(format!(
                "{} strata for {trials} trials",
                strata.map_or(0, <[i64]>::len)
            )));
        }
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 {
            return Err(Error::Undefined(
                "all trials have the same label, so there is nothing to tell apart".into(),
            ));
        }
        if classes.len() > 256 {
            return Err(Error::Shape(format!(
                "{} classes are more than 256",
                classes.len()
            )));
        }
        let observed: Vec<u8> = labels
            .iter()
            .map(|label| classes.partition_point(|c| c < label) as u8)
            .collect();
        let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for trial in 0..trials {
            let stratum = strata.map_or(0, |s| s[trial]);
            groups.entry(stratum).or_default().push(trial);
        }
        let groups: Vec<Vec<usize>> = groups.into_values().collect();
        let exchangeable =
            |group: &Vec<usize>| group.iter().any(|&t| observed[t] != observed[group[0]]);
        if !groups.iter().any(exchangeable) {
            return Err(Error::Undefined(
                "within each stratum all trials have the same label, so labels cannot be exchanged"
                    .into(),
            ));
        }
        let mut codes = Vec::with_capacity((drawn + 1) * trials);
        codes.extend_from_slice(&observed);
        for draw in 0..drawn {
            let mut rng = stream(seed, Domain::Labels, draw as u64);
            let from = codes.len();
            codes.extend_from_slice(&observed);
            let labelling = &mut codes[from..];
            for group in &groups {
                for last in (1..group.len()).rev() {
                    labelling.swap(group[last], group[rng.random_range(0..=last)]);
                }
            }
        }
        let mut counts = vec![0; classes.len()];
        for &code in &observed {
            counts[usize::from(code)] += 1;
        }
        Ok(Self {
            labels: classes,
            counts,
            trials,
            seed,
            codes,
        })
    }

    /// The distinct labels, ascending; the first is class A.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// Trials of each class.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Trials.
    pub fn trials(&self) -> usize {
        self.trials
    }

    /// Random exchanges, the observed labels not counted.
    pub fn drawn(&self) -> usize {
        self.codes.len() / self.trials - 1
    }

    /// The seed they were drawn with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Class of each trial as observed.
    pub(crate) fn observed(&self) -> &[u8] {
        &self.codes[..self.trials]
    }

    /// Classes of the trials in exchanges `from..to`, `(exchange, trial)`.
    pub(crate) fn exchanged(&self, from: usize, to: usize) -> &[u8] {
        &self.codes[(from + 1) * self.trials..(to + 1) * self.trials]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_keep_counts_within_strata() {
        let labels = [5, 5, 5, -1, -1, -1, 5, -1];
        let strata = [0, 0, 1, 0, 1, 1, 1, 0];
        let drawn = Permutations::new(&labels, Some(&strata), 50, 3).unwrap();
        assert_eq!(drawn.labels(), [-1, 5]);
        assert_eq!(drawn.counts(), [4, 4]);
        assert_eq!(drawn.drawn(), 50);
        for labelling in drawn.exchanged(0, 50).chunks(8) {
            let of = |stratum| {
                (0..8)
                    .filter(|&t| strata[t] == stratum && labelling[t] == 0)
                    .count()
            };
            assert_eq!((of(0), of(1)), (2, 2));
        }
    }

    #[test]
    fn labels_that_cannot_be_exchanged_are_refused() {
        let undefined = |r: Result<Permutations, Error>| matches!(r, Err(Error::Undefined(_)));
        assert!(undefined(Permutations::new(&[1, 1], None, 10, 0)));
        assert!(undefined(Permutations::new(&[1, 2], Some(&[1, 2]), 10, 0)));
        assert!(Permutations::new(&[], None, 10, 0).is_err());
        assert!(Permutations::new(&[1, 2], None, 0, 0).is_err());
        assert!(Permutations::new(&[1, 2], Some(&[1]), 10, 0).is_err());
    }
}
