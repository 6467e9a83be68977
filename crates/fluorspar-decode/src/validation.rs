//! Splits into training and test trials, and scores over them.

use ndarray::ArrayView2;
use rand::seq::SliceRandom;

use crate::random::{Domain, stream};
use crate::{Decoder, Error, Kernel, Workspace, accuracy, balanced_accuracy};

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

/// Repeated random hold-out that does not look at the labels.
///
/// It is here because papers use it. With unequal classes plain accuracy has
/// the larger class's share for chance, a training or a test set may lack a
/// class, and the repeats share their trials: their spread is not an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoldOut {
    /// Share of the trials to train on, rounded up.
    pub share: f64,
    /// Times that the trials are cut.
    pub repeats: usize,
    /// Seed of the cuts.
    pub seed: u64,
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

/// How well held-out trials were decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Mean balanced accuracy over repeats.
    pub mean: f64,
    /// Balanced accuracy of each repeat, all its folds together. Repeats share
    /// their trials: their spread is not a standard error.
    pub per_repeat: Vec<f64>,
}

/// The label predicted for each trial in each repeat; `None` where it was
/// never held out.
pub type Predictions = Vec<Vec<Option<i64>>>;

impl CrossValidation {
    /// Cuts trials so that every class is spread evenly over the folds.
    ///
    /// # Errors
    /// [`Error::Parameter`] below two folds or without repeats,
    /// [`Error::TooFewTrials`] if a class has fewer trials than folds,
    /// [`Error::Empty`].
    pub fn splits(&self, labels: &[i64]) -> Result<Vec<Split>, Error> {
        let all: Vec<usize> = (0..labels.len()).collect();
        self.splits_of(labels, &all)
    }

    /// As [`CrossValidation::splits`], of some trials only, each of which
    /// should appear once.
    ///
    /// # Errors
    /// As [`CrossValidation::splits`]; [`Error::Shape`] if a trial has no label.
    pub fn splits_of(&self, labels: &[i64], trials: &[usize]) -> Result<Vec<Split>, Error> {
        check_count("folds", self.folds, 2)?;
        check_count("repeats", self.repeats, 1)?;
        if let Some(outside) = trials.iter().find(|&&t| t >= labels.len()) {
            return Err(Error::Shape(format!("the trial {outside} has no label")));
        }
        let mut classes: Vec<i64> = trials.iter().map(|&t| labels[t]).collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.is_empty() {
            return Err(Error::Empty);
        }
        let members: Vec<Vec<usize>> = classes
            .iter()
            .map(|&label| {
                (0..trials.len())
                    .filter(|&k| labels[trials[k]] == label)
                    .collect()
            })
            .collect();
        for (&label, members) in classes.iter().zip(&members) {
            if members.len() < self.folds {
                return Err(Error::TooFewTrials {
                    label,
                    trials: members.len(),
                    folds: self.folds,
                });
            }
        }
        let mut out = Vec::with_capacity(self.folds * self.repeats);
        for repeat in 0..self.repeats {
            let mut rng = stream(self.seed, Domain::Folds, 0, repeat);
            let mut fold = vec![0; trials.len()];
            let mut next = 0;
            for members in &members {
                let mut members = members.clone();
                members.shuffle(&mut rng);
                // Going on where the last class ended keeps the folds equal in size.
                for place in members {
                    fold[place] = next % self.folds;
                    next += 1;
                }
            }
            for part in 0..self.folds {
                let pick = |inside: bool| {
                    (0..trials.len())
                        .filter(|&k| (fold[k] == part) == inside)
                        .map(|k| trials[k])
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
    /// As [`CrossValidation::splits`], [`Kernel::new`] and [`Decoder::fit`].
    pub fn score(
        &self,
        decoder: &dyn Decoder,
        gram: ArrayView2<'_, f64>,
        labels: &[i64],
    ) -> Result<Score, Error> {
        let kernel = Kernel::new(gram)?;
        let splits = self.splits(labels)?;
        let predicted = predictions(decoder, &kernel, labels, &splits, &mut Workspace::default())?;
        score(labels, &predicted)
    }
}

impl HoldOut {
    /// Cuts trials at random.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the share is not between 0 and 1 or there are no
    /// repeats, [`Error::Empty`] if no trial would be left to test.
    pub fn splits(&self, trials: usize) -> Result<Vec<Split>, Error> {
        if !(self.share > 0.0 && self.share < 1.0) {
            return Err(Error::Parameter {
                name: "share",
                value: self.share,
                rule: "must lie between 0 and 1",
            });
        }
        check_count("repeats", self.repeats, 1)?;
        // A product such as 0.9 * 130 is not to be rounded up for its last bit.
        let training = (self.share * trials as f64 - 1e-9).ceil() as usize;
        if training == 0 || training >= trials {
            return Err(Error::Empty);
        }
        Ok((0..self.repeats)
            .map(|repeat| {
                let mut rng = stream(self.seed, Domain::Folds, 0, repeat);
                let mut order: Vec<usize> = (0..trials).collect();
                order.shuffle(&mut rng);
                let mut test = order.split_off(training);
                order.sort_unstable();
                test.sort_unstable();
                Split {
                    repeat,
                    train: order,
                    test,
                }
            })
            .collect())
    }
}

/// Trains on each split's training trials and predicts its test trials.
///
/// # Errors
/// As [`Decoder::fit`].
pub fn predictions(
    decoder: &dyn Decoder,
    kernel: &Kernel,
    labels: &[i64],
    splits: &[Split],
    workspace: &mut Workspace,
) -> Result<Predictions, Error> {
    let repeats = splits.iter().map(|s| s.repeat + 1).max().unwrap_or(0);
    let mut predicted = vec![vec![None; labels.len()]; repeats];
    for split in splits {
        kernel.check(labels, &split.test)?;
        let classifier = decoder.fit(kernel, labels, &split.train, workspace)?;
        let guesses = classifier.predict_in(kernel, &split.train, &split.test)?;
        for (&trial, label) in split.test.iter().zip(guesses) {
            predicted[split.repeat][trial] = Some(label);
        }
    }
    Ok(predicted)
}

/// Balanced accuracy of the trials that were held out, per repeat.
///
/// # Errors
/// [`Error::Shape`] if there are more predictions than labels, [`Error::Empty`]
/// if a repeat has none.
pub fn score(labels: &[i64], predicted: &Predictions) -> Result<Score, Error> {
    score_by(labels, predicted, balanced_accuracy)
}

/// Plain accuracy of the trials that were held out, per repeat.
///
/// # Errors
/// As [`score`].
pub fn plain_score(labels: &[i64], predicted: &Predictions) -> Result<Score, Error> {
    score_by(labels, predicted, accuracy)
}

fn score_by(
    labels: &[i64],
    predicted: &Predictions,
    measure: impl Fn(&[i64], &[i64]) -> Result<f64, Error>,
) -> Result<Score, Error> {
    let per_repeat: Vec<f64> = predicted
        .iter()
        .map(|guesses| {
            if guesses.len() != labels.len() {
                return Err(Error::Shape(format!(
                    "{} predictions for {} labels",
                    guesses.len(),
                    labels.len()
                )));
            }
            let (truth, guess): (Vec<i64>, Vec<i64>) = labels
                .iter()
                .zip(guesses)
                .filter_map(|(&label, guess)| guess.map(|g| (label, g)))
                .unzip();
            measure(&truth, &guess)
        })
        .collect::<Result<_, _>>()?;
    if per_repeat.is_empty() {
        return Err(Error::Empty);
    }
    Ok(Score {
        mean: per_repeat.iter().sum::<f64>() / per_repeat.len() as f64,
        per_repeat,
    })
}

/// Refuses a count that is too small.
pub(crate) fn check_count(name: &'static str, value: usize, least: usize) -> Result<(), Error> {
    if value >= least {
        return Ok(());
    }
    Err(Error::Parameter {
        name,
        value: value as f64,
        rule: if least == 2 {
            "must be at least 2"
        } else {
            "must be at least 1"
        },
    })
}
