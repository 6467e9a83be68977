//! How alike two ROIs look at a distance: a distribution over three numbers.

use std::f64::consts::PI;

use crate::candidates::Candidate;

/// Numbers that say how alike two ROIs look.
const NUMBERS: usize = 3;
/// Degrees of freedom: tails heavier than a normal distribution's, so that a
/// single odd number does not decide.
const FREEDOM: f64 = 8.0;

/// Three numbers of a pair, each about normally distributed:
/// `ln(1.01 − shape)`, `ln(1.05 − containment)` and `ln(0.05 + |ln area ratio|)`.
type Numbers = [f64; NUMBERS];

fn numbers(candidate: &Candidate) -> Numbers {
    let within = |value: f32| f64::from(value).clamp(0.0, 1.0);
    [
        (1.01 - within(candidate.shape)).ln(),
        (1.05 - within(candidate.containment)).ln(),
        (0.05 + f64::from(candidate.area).abs()).ln(),
    ]
}

/// Weighted sums of the numbers and of their products.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    weight: f64,
    sum: Numbers,
    product: [Numbers; NUMBERS],
}

impl Moments {
    pub(crate) fn add(&mut self, candidate: &Candidate, weight: f64) {
        let x = numbers(candidate);
        self.weight += weight;
        for i in 0..NUMBERS {
            self.sum[i] += weight * x[i];
            for j in 0..NUMBERS {
                self.product[i][j] += weight * x[i] * x[j];
            }
        }
    }

    pub(crate) fn plus(mut self, other: &Self, factor: f64) -> Self {
        self.weight += factor * other.weight;
        for i in 0..NUMBERS {
            self.sum[i] += factor * other.sum[i];
            for j in 0..NUMBERS {
                self.product[i][j] += factor * other.product[i][j];
            }
        }
        self
    }

    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// What `weight` pairs of independent numbers would give.
    pub(crate) fn guess(weight: f64, mean: Numbers, deviation: Numbers) -> Self {
        let mut out = Self {
            weight,
            sum: mean.map(|m| weight * m),
            ..Self::default()
        };
        for i in 0..NUMBERS {
            for j in 0..NUMBERS {
                let spread = if i == j {
                    deviation[i] * deviation[i]
                } else {
                    0.0
                };
                out.product[i][j] = weight * (mean[i] * mean[j] + spread);
            }
        }
        out
    }
}

/// A multivariate t distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Looks {
    mean: Numbers,
    /// Inverse of the lower Cholesky factor of the scale matrix.
    inverse: [Numbers; NUMBERS],
    /// Density at the mean.
    height: f64,
}

impl Looks {
    /// With the mean and covariance of the pairs.
    pub(crate) fn new(moments: &Moments) -> Self {
        let n = moments.weight.max(1e-9);
        let mean = moments.sum.map(|sum| sum / n);
        let mut scale = [[0.0; NUMBERS]; NUMBERS];
        for i in 0..NUMBERS {
            for j in 0..NUMBERS {
                let covariance = moments.product[i][j] / n - mean[i] * mean[j];
                let floor = if i == j { 0.02 } else { 0.0 };
                scale[i][j] = (covariance + floor) * (FREEDOM - 2.0) / FREEDOM;
            }
        }
        let factor = cholesky(&scale);
        let inverse = invert(&factor);
        let root: f64 = (0..NUMBERS).map(|i| factor[i][i]).product();
        // Γ((ν+3)/2) / (Γ(ν/2) (νπ)^{3/2}) for ν = 8: Γ(5.5) = 945 √π / 32, Γ(4) = 6.
        let gammas = 945.0 * PI.sqrt() / 32.0 / 6.0;
        Self {
            mean,
            inverse,
            height: gammas / ((FREEDOM * PI).powf(1.5) * root),
        }
    }

    pub(crate) fn density(&self, candidate: &Candidate) -> f64 {
        let x = numbers(candidate);
        let mut square = 0.0;
        for i in 0..NUMBERS {
            let z: f64 = (0..=i)
                .map(|j| self.inverse[i][j] * (x[j] - self.mean[j]))
                .sum();
            square += z * z;
        }
        // To the power of −(ν + 3) / 2 = −5.5.
        let far = 1.0 + square / FREEDOM;
        self.height / (far.powi(5) * far.sqrt())
    }
}

/// The lower factor; the matrix is positive definite but for rounding.
fn cholesky(matrix: &[Numbers; NUMBERS]) -> [Numbers; NUMBERS] {
    let mut factor = [[0.0; NUMBERS]; NUMBERS];
    for i in 0..NUMBERS {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
            let rest = matrix[i][j] - known;
            factor[i][j] = if i == j {
                rest.max(1e-6).sqrt()
            } else {
                rest / factor[j][j]
            };
        }
    }
    factor
}

/// The inverse of a lower triangular matrix.
fn invert(factor: &[Numbers; NUMBERS]) -> [Numbers; NUMBERS] {
    let mut inverse = [[0.0; NUMBERS]; NUMBERS];
    for column in 0..NUMBERS {
        for i in column..NUMBERS {
            let unit = if i == column { 1.0 } else { 0.0 };
            let known: f64 = (column..i).map(|k| factor[i][k] * inverse[k][column]).sum();
            inverse[i][column] = (unit - known) / factor[i][i];
        }
    }
    inverse
}
