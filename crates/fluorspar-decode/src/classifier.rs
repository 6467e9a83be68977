use ndarray::{Array2, ArrayView2};

use crate::{Error, Kernel};

/// A trained decoder: for each pair of classes a linear function of the inner
/// products with the training trials, and a vote.
///
/// Decoders that compare one score per class (discriminant analysis,
/// templates) are kept as differences of scores, whose votes name the highest.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    pub(crate) classes: Vec<i64>,
    pub(crate) trials: usize,
    pub(crate) machines: Vec<Machine>,
}

/// One pair of classes: positive values vote for the first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Machine {
    pub(crate) first: usize,
    pub(crate) second: usize,
    /// One per training trial; 0 for trials of other classes.
    pub(crate) coefficients: Vec<f64>,
    pub(crate) bias: f64,
}

impl Classifier {
    /// From one score per class, `(coefficients, bias)`.
    pub(crate) fn from_scores(classes: Vec<i64>, scores: &[(Vec<f64>, f64)]) -> Self {
        let mut machines = Vec::new();
        for first in 0..scores.len() {
            for second in first + 1..scores.len() {
                let (a, b) = (&scores[first], &scores[second]);
                machines.push(Machine {
                    first,
                    second,
                    coefficients: a.0.iter().zip(&b.0).map(|(a, b)| a - b).collect(),
                    bias: a.1 - b.1,
                });
            }
        }
        Self {
            classes,
            trials: scores.first().map_or(0, |s| s.0.len()),
            machines,
        }
    }

    /// The labels that were learnt, ascending.
    pub fn classes(&self) -> &[i64] {
        &self.classes
    }

    /// Pairs of classes, in the order of the columns of [`Classifier::decision`].
    pub fn pairs(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.machines
            .iter()
            .map(|m| (self.classes[m.first], self.classes[m.second]))
    }

    /// The axis of one pair of classes: the weight vector is the sum of the
    /// training trials times these coefficients, in the order of training.
    pub fn coefficients(&self, pair: usize) -> Option<&[f64]> {
        self.machines.get(pair).map(|m| &m.coefficients[..])
    }

    /// The bias of one pair of classes.
    pub fn bias(&self, pair: usize) -> Option<f64> {
        self.machines.get(pair).map(|m| m.bias)
    }

    /// Decision values `(test trial, pair)` from inner products `cross`
    /// `(test trial, training trial)`; pairs in the order (0, 1), (0, 2), …,
    /// positive values speak for the first class of the pair.
    ///
    /// # Errors
    /// [`Error::Shape`] if `cross` has not one column per training trial,
    /// [`Error::NotFinite`] if it holds a value that is not finite.
    pub fn decision(&self, cross: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        if cross.ncols() != self.trials {
            return Err(Error::Shape(format!(
                "{} columns for {} training trials",
                cross.ncols(),
                self.trials
            )));
        }
        if let Some(((row, column), _)) = cross.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::NotFinite { row, column });
        }
        Ok(Array2::from_shape_fn(
            (cross.nrows(), self.machines.len()),
            |(trial, pair)| {
                let machine = &self.machines[pair];
                let products = cross.row(trial);
                machine.bias
                    + products
                        .iter()
                        .zip(&machine.coefficients)
                        .map(|(k, c)| k * c)
                        .sum::<f64>()
            },
        ))
    }

    /// The label of each test trial: most votes, ties to the smaller label.
    ///
    /// # Errors
    /// As [`Classifier::decision`].
    pub fn predict(&self, cross: ArrayView2<'_, f64>) -> Result<Vec<i64>, Error> {
        self.vote_of(self.decision(cross)?.view())
    }

    /// The label of each trial from its decision values `(trial, pair)`, however
    /// they came about (such as by [`read_out`](crate::read_out), plus biases).
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one column per pair, [`Error::NotFinite`].
    pub fn vote_of(&self, decision: ArrayView2<'_, f64>) -> Result<Vec<i64>, Error> {
        if decision.ncols() != self.machines.len() {
            return Err(Error::Shape(format!(
                "{} decision values for {} pairs",
                decision.ncols(),
                self.machines.len()
            )));
        }
        if let Some(((row, column), _)) = decision.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::NotFinite { row, column });
        }
        let rows = decision.rows().into_iter();
        Ok(rows.map(|values| self.vote(|pair| values[pair])).collect())
    }

    /// The label of trials of the same Gram matrix; `train` are the trials
    /// that were trained on, in that order.
    ///
    /// # Errors
    /// [`Error::Shape`] if a trial does not exist or `train` has another length.
    pub fn predict_in(
        &self,
        kernel: &Kernel,
        train: &[usize],
        test: &[usize],
    ) -> Result<Vec<i64>, Error> {
        if train.len() != self.trials {
            return Err(Error::Shape(format!(
                "{} trials given, {} trained on",
                train.len(),
                self.trials
            )));
        }
        if let Some(outside) = train.iter().chain(test).find(|&&t| t >= kernel.trials()) {
            return Err(Error::Shape(format!("there is no trial {outside}")));
        }
        Ok(test
            .iter()
            .map(|&trial| {
                self.vote(|pair| {
                    let machine = &self.machines[pair];
                    let sum: f64 = train
                        .iter()
                        .zip(&machine.coefficients)
                        .map(|(&t, c)| c * kernel.at(trial, t))
                        .sum();
                    machine.bias + sum
                })
            })
            .collect())
    }

    fn vote(&self, value: impl Fn(usize) -> f64) -> i64 {
        let mut votes = vec![0_u32; self.classes.len()];
        for (pair, machine) in self.machines.iter().enumerate() {
            votes[if value(pair) >= 0.0 {
                machine.first
            } else {
                machine.second
            }] += 1;
        }
        let most = votes.iter().copied().max().unwrap_or(0);
        let winner = votes.iter().position(|&v| v == most).unwrap_or(0);
        self.classes[winner]
    }
}
