use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{Error, LinearSvm, balanced_accuracy};

/// Repeated stratified k-fold cross-validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossValidation {
    /// Parts that the trials are cut into.
    pub folds: usize,
    /// Times that they are cut anew.
    pub repeats: usize,
    /// Seed of the cuts.
    pub seed: u64,
}

impl Default for CrossValidation {
    fn default() -> Self {
        Self {
            folds: 5,
            repeats: 10,
            seed: 1,
        }
    }
}

/// One cut into training and test trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Which repeat it belongs to.
    pub repeat: usize,
    /// Trials to train on, ascending.
    pub train: Vec<usize>,
    /// Trials to test on, ascending.
    pub test: Vec<usize>,
}

/// How well cross-validated trials were decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Mean balanced accuracy over repeats.
    pub mean: f64,
    /// Balanced accuracy of each repeat, all its folds together.
    pub per_repeat: Vec<f64>,
}

impl CrossValidation {
    /// Cuts trials so that every class is spread evenly over the folds.
    ///
    /// # Errors
    /// [`Error::Parameter`] below two folds or without repeats,
    /// [`Error::TooFewTrials`] if a class has fewer trials than folds,
    /// [`Error::Empty`].
    pub fn splits(&self, labels: &[i64]) -> Result<Vec<Split>, Error> {
        if self.folds < 2 {
            return Err(Error::Parameter {
                name: "folds",
                value: self.folds as f64,
                rule: "must be at least 2",
            });
        }
        if self.repeats == 0 {
            return Err(Error::Parameter {
                name: "repeats",
                value: 0.0,
                rule: "must be at least 1",
            });
        }
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        if classes.is_empty() {
            return Err(Error::Empty);
        }
        for &label in &classes {
            let trials = labels.iter().filter(|&&l| l == label).count();
            if trials < self.folds {
                return Err(Error::TooFewTrials {
                    label,
                    trials,
                    folds: self.folds,
                });
            }
        }
        let mut out = Vec::with_capacity(self.folds * self.repeats);
        for repeat in 0..self.repeats {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(repeat as u64);
            let mut fold = vec![0; labels.len()];
            let mut next = 0;
            for &label in &classes {
                let mut members: Vec<usize> =
                    (0..labels.len()).filter(|&t| labels[t] == label).collect();
                members.shuffle(&mut rng);
                // Going on where the last class ended keeps the folds equal in size.
                for trial in members {
                    fold[trial] = next % self.folds;
                    next += 1;
                }
            }
            for part in 0..self.folds {
                let pick = |inside: bool| {
                    (0..labels.len())
                        .filter(|&t| (fold[t] == part) == inside)
                        .collect()
                };
                out.push(Split {
                    repeat,
                    train: pick(false),
                    test: pick(true),
                });
            }
        }
        Ok(out)
    }

    /// Cross-validated balanced accuracy on a Gram matrix `(trial, trial)`.
    ///
    /// # Errors
    /// As [`CrossValidation::splits`] and [`LinearSvm::train`].
    pub fn score(
        &self,
        svm: &LinearSvm,
        gram: ArrayView2<'_, f64>,
        labels: &[i64],
    ) -> Result<Score, Error> {
        let mut predicted = vec![vec![0; labels.len()]; self.repeats];
        for split in self.splits(labels)? {
            let classifier = svm.train(gram, labels, &split.train)?;
            let cross = Array2::from_shape_fn((split.test.len(), split.train.len()), |(a, b)| {
                gram[[split.test[a], split.train[b]]]
            });
            for (&trial, label) in split.test.iter().zip(classifier.predict(cross.view())?) {
                predicted[split.repeat][trial] = label;
            }
        }
        let per_repeat: Vec<f64> = predicted
            .iter()
            .map(|guess| balanced_accuracy(labels, guess))
            .collect::<Result<_, _>>()?;
        Ok(Score {
            mean: per_repeat.iter().sum::<f64>() / per_repeat.len() as f64,
            per_repeat,
        })
    }
}
