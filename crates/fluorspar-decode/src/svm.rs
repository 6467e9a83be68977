use ndarray::{Array2, ArrayView2};

use crate::Error;

/// A linear soft-margin support vector machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearSvm {
    /// Penalty on margin violations.
    pub c: f64,
    /// How far the optimality conditions may be violated at the end.
    pub tolerance: f64,
    /// Most steps of the solver per pair of classes.
    pub max_steps: usize,
}

impl Default for LinearSvm {
    fn default() -> Self {
        Self {
            c: 1.0,
            tolerance: 1e-6,
            max_steps: 2_000_000,
        }
    }
}

/// A trained decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    classes: Vec<i64>,
    trials: usize,
    machines: Vec<Machine>,
}

/// One pair of classes: positive values vote for the first.
#[derive(Clone, Debug, PartialEq)]
struct Machine {
    first: usize,
    second: usize,
    /// `y α`, one per training trial; 0 for trials of other classes.
    coefficients: Vec<f64>,
    bias: f64,
}

/// Inner products of the rows of `features` `(trial, feature)`.
pub fn linear_gram(features: ArrayView2<'_, f64>) -> Array2<f64> {
    features.dot(&features.t())
}

impl LinearSvm {
    /// Trains on the trials `train` of a Gram matrix `(trial, trial)`;
    /// `labels` are those of all trials. Two or more classes, one machine per
    /// pair.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sizes disagree, [`Error::NotFinite`],
    /// [`Error::OneClass`], [`Error::Empty`], [`Error::Parameter`],
    /// [`Error::NotConverged`].
    pub fn train(
        &self,
        gram: ArrayView2<'_, f64>,
        labels: &[i64],
        train: &[usize],
    ) -> Result<Classifier, Error> {
        self.check(gram, labels, train)?;
        let mut classes: Vec<i64> = train.iter().map(|&t| labels[t]).collect();
        classes.sort_unstable();
        classes.dedup();
        if let [only] = classes[..] {
            return Err(Error::OneClass(only));
        }
        let mut machines = Vec::new();
        for first in 0..classes.len() {
            for second in first + 1..classes.len() {
                let members: Vec<usize> = (0..train.len())
                    .filter(|&k| {
                        let label = labels[train[k]];
                        label == classes[first] || label == classes[second]
                    })
                    .collect();
                let signs: Vec<f64> = members
                    .iter()
                    .map(|&k| {
                        if labels[train[k]] == classes[first] {
                            1.0
                        } else {
                            -1.0
                        }
                    })
                    .collect();
                let kernel = Array2::from_shape_fn((members.len(), members.len()), |(a, b)| {
                    gram[[train[members[a]], train[members[b]]]]
                });
                let (alpha, bias) = self.solve(&kernel, &signs)?;
                let mut coefficients = vec![0.0; train.len()];
                for ((&k, &a), &sign) in members.iter().zip(&alpha).zip(&signs) {
                    coefficients[k] = sign * a;
                }
                machines.push(Machine {
                    first,
                    second,
                    coefficients,
                    bias,
                });
            }
        }
        Ok(Classifier {
            classes,
            trials: train.len(),
            machines,
        })
    }

    fn check(
        &self,
        gram: ArrayView2<'_, f64>,
        labels: &[i64],
        train: &[usize],
    ) -> Result<(), Error> {
        for (name, value) in [("c", self.c), ("tolerance", self.tolerance)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::Parameter {
                    name,
                    value,
                    rule: "must be positive",
                });
            }
        }
        if train.is_empty() {
            return Err(Error::Empty);
        }
        if gram.nrows() != labels.len() || gram.ncols() != labels.len() {
            return Err(Error::Shape(format!(
                "a Gram matrix of {:?} for {} labels",
                gram.dim(),
                labels.len()
            )));
        }
        if let Some(&outside) = train.iter().find(|&&t| t >= labels.len()) {
            return Err(Error::Shape(format!(
                "trial {outside} of {} is to be trained on",
                labels.len()
            )));
        }
        for &row in train {
            for &column in train {
                if !gram[[row, column]].is_finite() {
                    return Err(Error::NotFinite { row, column });
                }
            }
        }
        Ok(())
    }

    /// Sequential minimal optimisation of the dual, the working pair chosen
    /// by second-order information (Fan, Chen, Lin 2005, JMLR 6:1889).
    /// Returns α and the bias.
    fn solve(&self, kernel: &Array2<f64>, y: &[f64]) -> Result<(Vec<f64>, f64), Error> {
        let n = y.len();
        let mut alpha = vec![0.0; n];
        // Gradient of ½ αᵀQα − Σα with Q = yyᵀ ∘ K.
        let mut gradient = vec![-1.0; n];
        let up = |a: f64, sign: f64| if sign > 0.0 { a < self.c } else { a > 0.0 };
        let low = |a: f64, sign: f64| if sign > 0.0 { a > 0.0 } else { a < self.c };
        let mut converged = false;
        for _ in 0..self.max_steps {
            let mut i = None;
            let mut highest = f64::NEG_INFINITY;
            for t in 0..n {
                if up(alpha[t], y[t]) && -y[t] * gradient[t] > highest {
                    highest = -y[t] * gradient[t];
                    i = Some(t);
                }
            }
            let Some(i) = i else {
                converged = true;
                break;
            };
            let mut j = None;
            let (mut lowest, mut best) = (f64::INFINITY, f64::INFINITY);
            for t in 0..n {
                if !low(alpha[t], y[t]) {
                    continue;
                }
                let value = -y[t] * gradient[t];
                lowest = lowest.min(value);
                let gap = highest - value;
                if gap > 0.0 {
                    let curvature = curvature(kernel, i, t);
                    let gain = -gap * gap / curvature;
                    if gain < best {
                        best = gain;
                        j = Some(t);
                    }
                }
            }
            let Some(j) = j.filter(|_| highest - lowest >= self.tolerance) else {
                converged = true;
                break;
            };
            // Move along y_i α_i up and y_j α_j down until the best or a bound.
            let gap = highest + y[j] * gradient[j];
            let room = |t: usize, sign: f64| {
                if sign > 0.0 {
                    self.c - alpha[t]
                } else {
                    alpha[t]
                }
            };
            let step = (gap / curvature(kernel, i, j))
                .min(room(i, y[i]))
                .min(room(j, -y[j]));
            alpha[i] = (alpha[i] + y[i] * step).clamp(0.0, self.c);
            alpha[j] = (alpha[j] - y[j] * step).clamp(0.0, self.c);
            for t in 0..n {
                gradient[t] += y[t] * step * (kernel[[i, t]] - kernel[[j, t]]);
            }
        }
        if !converged {
            return Err(Error::NotConverged {
                steps: self.max_steps,
            });
        }
        let bias = bias(&alpha, &gradient, y, self.c);
        Ok((alpha, bias))
    }
}

/// Squared distance of two trials in feature space, kept above 0.
fn curvature(kernel: &Array2<f64>, i: usize, j: usize) -> f64 {
    (kernel[[i, i]] + kernel[[j, j]] - 2.0 * kernel[[i, j]]).max(1e-12)
}

/// The bias from the free support vectors, or the middle of what the bounds allow.
fn bias(alpha: &[f64], gradient: &[f64], y: &[f64], c: f64) -> f64 {
    let (mut sum, mut free) = (0.0, 0.0);
    let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
    for ((&a, &g), &sign) in alpha.iter().zip(gradient).zip(y) {
        let value = -sign * g;
        if a > 0.0 && a < c {
            sum += value;
            free += 1.0;
        } else if (a <= 0.0) == (sign > 0.0) {
            least = least.max(value);
        } else {
            most = most.min(value);
        }
    }
    if free > 0.0 {
        sum / free
    } else {
        f64::midpoint(least, most)
    }
}

impl Classifier {
    /// The labels that were learnt, ascending.
    pub fn classes(&self) -> &[i64] {
        &self.classes
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
        let decision = self.decision(cross)?;
        Ok(decision
            .rows()
            .into_iter()
            .map(|values| {
                let mut votes = vec![0_u32; self.classes.len()];
                for (machine, &value) in self.machines.iter().zip(values) {
                    votes[if value >= 0.0 {
                        machine.first
                    } else {
                        machine.second
                    }] += 1;
                }
                let most = votes.iter().copied().max().unwrap_or(0);
                let winner = votes.iter().position(|&v| v == most).unwrap_or(0);
                self.classes[winner]
            })
            .collect())
    }
}
