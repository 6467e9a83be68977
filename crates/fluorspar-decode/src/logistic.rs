use faer::Mat;
use faer::Side;
use faer::prelude::Solve;

use crate::decoder::{one_against_one, positive};
use crate::{Classifier, Decoder, Error, Kernel, Workspace};

/// Logistic regression with a quadratic penalty, in trial space.
///
/// Minimises `C Σ log(1 + exp(−y f)) + ½ ‖w‖²` with a bias that is not
/// penalised, as scikit-learn's `LogisticRegression(C)`. Several classes vote
/// pair by pair (there: `OneVsOneClassifier`), which is not the multinomial model.
/// Solved by Newton's method on one coefficient per trial; a step is one
/// Cholesky factorisation of the size of the training set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logistic {
    /// Weight of the data against the penalty.
    pub c: f64,
    /// Greatest change of a residual `y − p` at the end.
    pub tolerance: f64,
    /// Most Newton steps.
    pub max_steps: usize,
}

impl Default for Logistic {
    fn default() -> Self {
        Self {
            c: 1.0,
            tolerance: 1e-8,
            max_steps: 200,
        }
    }
}

impl Decoder for Logistic {
    fn fit(
        &self,
        kernel: &Kernel,
        labels: &[i64],
        train: &[usize],
        _: &mut Workspace,
    ) -> Result<Classifier, Error> {
        positive("c", self.c)?;
        positive("tolerance", self.tolerance)?;
        let classes = kernel.classes(labels, train)?;
        one_against_one(classes, labels, train, |signs| {
            let places: Vec<usize> = (0..train.len()).filter(|&k| signs[k] != 0.0).collect();
            let members: Vec<usize> = places.iter().map(|&k| train[k]).collect();
            let signs: Vec<f64> = places.iter().map(|&k| signs[k]).collect();
            let (found, bias) = self.solve(&kernel.part(&members), &signs)?;
            let mut coefficients = vec![0.0; train.len()];
            for (&place, value) in places.iter().zip(found) {
                coefficients[place] = value;
            }
            Ok((coefficients, bias))
        })
    }
}

/// Coefficients, bias, and the decision values and penalty they give.
struct State {
    coefficients: Vec<f64>,
    bias: f64,
    values: Vec<f64>,
    penalty: f64,
}

impl State {
    fn new(kernel: &Mat<f64>, coefficients: Vec<f64>, bias: f64) -> Self {
        let images: Vec<f64> = (0..coefficients.len())
            .map(|i| {
                let column = kernel.col(i).iter();
                column.zip(&coefficients).map(|(k, a)| k * a).sum()
            })
            .collect();
        let penalty = images.iter().zip(&coefficients).map(|(f, a)| f * a).sum();
        Self {
            values: images.iter().map(|f| f + bias).collect(),
            coefficients,
            bias,
            penalty,
        }
    }

    fn objective(&self, c: f64, signs: &[f64]) -> f64 {
        let loss: f64 = self
            .values
            .iter()
            .zip(signs)
            .map(|(f, y)| softplus(-y * f))
            .sum();
        c * loss + 0.5 * self.penalty
    }
}

impl Logistic {
    /// At the optimum each coefficient is `C (y − p)`, `y` being 0 or 1.
    fn solve(&self, kernel: &Mat<f64>, signs: &[f64]) -> Result<(Vec<f64>, f64), Error> {
        let n = signs.len();
        let mut state = State::new(kernel, vec![0.0; n], 0.0);
        let mut objective = state.objective(self.c, signs);
        for _ in 0..self.max_steps {
            let pull: Vec<f64> = state
                .values
                .iter()
                .zip(signs)
                .map(|(f, y)| self.c * y * sigmoid(-y * f))
                .collect();
            let off = pull
                .iter()
                .zip(&state.coefficients)
                .map(|(p, a)| (p - a).abs())
                .fold(0.0, f64::max);
            if off <= self.tolerance * self.c {
                return Ok((pull, state.bias));
            }
            let (target, bias) = self.newton(kernel, &state, &pull)?;
            // Half the way until the objective falls.
            let mut share = 1.0;
            loop {
                let blend = |old: f64, new: f64| old + share * (new - old);
                let coefficients = state
                    .coefficients
                    .iter()
                    .zip(&target)
                    .map(|(&old, &new)| blend(old, new))
                    .collect();
                let next = State::new(kernel, coefficients, blend(state.bias, bias));
                let value = next.objective(self.c, signs);
                if value < objective {
                    (state, objective) = (next, value);
                    break;
                }
                share *= 0.5;
                if share < 1e-6 {
                    // Nothing left to gain but rounding.
                    return if off <= 1e-4 * self.c {
                        Ok((pull, state.bias))
                    } else {
                        Err(Error::NotConverged {
                            steps: self.max_steps,
                        })
                    };
                }
            }
        }
        Err(Error::NotConverged {
            steps: self.max_steps,
        })
    }

    /// The optimum of the quadratic approximation: with curvatures `W` and
    /// the working response `z`, `(K + W⁻¹) a + b 1 = z` and `Σ a = 0`, through
    /// the well-conditioned `1 + W^½ K W^½`.
    fn newton(
        &self,
        kernel: &Mat<f64>,
        state: &State,
        pull: &[f64],
    ) -> Result<(Vec<f64>, f64), Error> {
        let n = pull.len();
        let root: Vec<f64> = state
            .values
            .iter()
            .map(|&f| (self.c * (sigmoid(f) * sigmoid(-f)).max(1e-10)).sqrt())
            .collect();
        let matrix = Mat::from_fn(n, n, |i, j| {
            root[i] * kernel[(i, j)] * root[j] + f64::from(u8::from(i == j))
        });
        let right = Mat::from_fn(n, 2, |i, k| {
            if k == 0 {
                root[i] * state.values[i] + pull[i] / root[i]
            } else {
                root[i]
            }
        });
        let solved = matrix
            .llt(Side::Lower)
            .map_err(|_| Error::NotPositive)?
            .solve(&right);
        let sum = |k: usize| -> f64 { (0..n).map(|i| root[i] * solved[(i, k)]).sum() };
        let bias = sum(0) / sum(1);
        let coefficients: Vec<f64> = (0..n)
            .map(|i| root[i] * (solved[(i, 0)] - bias * solved[(i, 1)]))
            .collect();
        if bias.is_finite() && coefficients.iter().all(|a| a.is_finite()) {
            Ok((coefficients, bias))
        } else {
            Err(Error::NotPositive)
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `log(1 + exp(x))`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
