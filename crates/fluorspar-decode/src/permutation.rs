//! What would be decoded if labels meant nothing.

use ndarray::ArrayView2;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::random::{Domain, stream};
use crate::validation::{check_count, predictions};
use crate::{CrossValidation, Decoder, Error, Kernel, Score, Split, Workspace, score};

/// A permutation test: unit trial, null "labels are exchangeable between
/// trials", one-sided, `p = (1 + #{null ≥ observed}) / (1 + permutations)`
/// (Phipson and Smyth 2010, Stat Appl Genet Mol Biol 9:39).
///
/// Trials next to each other in time may be alike for reasons of their own;
/// then they are not exchangeable and the p value is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermutationTest {
    /// Number of permutations.
    pub permutations: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for PermutationTest {
    fn default() -> Self {
        Self {
            permutations: 1000,
            seed: 1,
        }
    }
}

/// A score beside its null distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// What was observed.
    pub observed: f64,
    /// The same under each permutation, in their order.
    pub null: Vec<f64>,
    /// Probability of the observed score or a greater one under the null.
    pub p: f64,
}

impl Tested {
    /// Sets a score against its null distribution.
    pub fn new(observed: f64, null: Vec<f64>) -> Self {
        // Equal scores that were added up in another order are equal.
        let reached = null.iter().filter(|&&v| v >= observed - 1e-12).count();
        let p = if observed.is_finite() && null.iter().all(|v| v.is_finite()) {
            (1 + reached) as f64 / (1 + null.len()) as f64
        } else {
            f64::NAN
        };
        Self { observed, null, p }
    }

    /// Mean of the null distribution: the chance level of this very design.
    pub fn chance(&self) -> f64 {
        self.null.iter().sum::<f64>() / self.null.len() as f64
    }
}

impl PermutationTest {
    /// Shuffles labels and does the whole cross-validation again, each time on
    /// the same Gram matrix, on rayon's current pool. The bytes do not depend
    /// on the number of threads.
    ///
    /// # Errors
    /// As [`CrossValidation::score`]; [`Error::Parameter`] without permutations.
    pub fn cross_validated(
        &self,
        validation: &CrossValidation,
        decoder: &dyn Decoder,
        gram: ArrayView2<'_, f64>,
        labels: &[i64],
    ) -> Result<(Score, Tested), Error> {
        self.in_kernel(validation, decoder, &Kernel::new(gram)?, labels)
    }

    /// [`PermutationTest::cross_validated`] on a matrix that is laid out already.
    ///
    /// # Errors
    /// As there.
    pub fn in_kernel(
        &self,
        validation: &CrossValidation,
        decoder: &dyn Decoder,
        kernel: &Kernel,
        labels: &[i64],
    ) -> Result<(Score, Tested), Error> {
        check_count("permutations", self.permutations, 1)?;
        let splits = validation.splits(labels)?;
        let measure = |labels: &[i64], splits: &[Split], workspace: &mut Workspace| {
            let guesses = predictions(decoder, kernel, labels, splits, workspace)?;
            score(labels, &guesses)
        };
        let observed = measure(labels, &splits, &mut Workspace::default())?;
        let null: Vec<f64> = (0..self.permutations)
            .into_par_iter()
            .map_init(Workspace::default, |workspace, index| {
                // Trials change places, labels and folds stay: the classes are
                // spread over the folds as evenly as before.
                let order = self.order(index, labels.len());
                let mut shuffled = vec![0; labels.len()];
                for (&trial, &label) in order.iter().zip(labels) {
                    shuffled[trial] = label;
                }
                let moved: Vec<Split> = splits
                    .iter()
                    .map(|split| Split {
                        repeat: split.repeat,
                        train: split.train.iter().map(|&t| order[t]).collect(),
                        test: split.test.iter().map(|&t| order[t]).collect(),
                    })
                    .collect();
                Ok(measure(&shuffled, &moved, workspace)?.mean)
            })
            .collect::<Result<_, Error>>()?;
        let tested = Tested::new(observed.mean, null);
        Ok((observed, tested))
    }

    /// Shuffles the labels of test trials whose predictions are given, the
    /// decoder coming from elsewhere: `score(labels)` is what is tested. No
    /// refit is needed, since training never saw these labels.
    ///
    /// # Errors
    /// What `score` returns; [`Error::Parameter`] without permutations.
    pub fn of_predictions(
        &self,
        labels: &[i64],
        score: impl Fn(&[i64]) -> Result<f64, Error>,
    ) -> Result<Tested, Error> {
        check_count("permutations", self.permutations, 1)?;
        let observed = score(labels)?;
        let mut shuffled = vec![0; labels.len()];
        let null = (0..self.permutations)
            .map(|index| {
                for (&trial, &label) in self.order(index, labels.len()).iter().zip(labels) {
                    shuffled[trial] = label;
                }
                score(&shuffled)
            })
            .collect::<Result<_, Error>>()?;
        Ok(Tested::new(observed, null))
    }

    /// Which trial stands at each place in one permutation.
    fn order(&self, index: usize, trials: usize) -> Vec<usize> {
        let mut rng = stream(self.seed, Domain::Permutations, 0, index);
        let mut order: Vec<usize> = (0..trials).collect();
        order.shuffle(&mut rng);
        order
    }
}
