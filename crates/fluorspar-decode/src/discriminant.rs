use faer::Mat;
use faer::Side;
use faer::prelude::Solve;

use crate::{Classifier, Decoder, Error, Kernel, Workspace};

/// Fisher's linear discriminant with a shrunk covariance, in trial space.
///
/// The covariance within classes `S` (divided by the number of trials, as
/// scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr", shrinkage)`) is
/// replaced by `(1 − λ) S + λ v 1`, `v` being the mean variance, so that it can
/// be inverted with fewer trials than cells. Classes count by their share of
/// the training trials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discriminant {
    /// `λ`, above 0, up to 1 (1: differences of means with equal variances).
    pub shrinkage: f64,
    /// Number of cells behind the Gram matrix, over which the mean variance is
    /// taken: what scikit-learn does. Without it, the mean is over the
    /// dimensions that the training trials span, which shrinks more.
    pub cells: Option<usize>,
}

impl Default for Discriminant {
    fn default() -> Self {
        Self {
            shrinkage: 0.5,
            cells: None,
        }
    }
}

impl Decoder for Discriminant {
    fn fit(
        &self,
        kernel: &Kernel,
        labels: &[i64],
        train: &[usize],
        _: &mut Workspace,
    ) -> Result<Classifier, Error> {
        if !(self.shrinkage > 0.0 && self.shrinkage <= 1.0) {
            return Err(Error::Parameter {
                name: "shrinkage",
                value: self.shrinkage,
                rule: "must be above 0 and at most 1",
            });
        }
        let classes = kernel.classes(labels, train)?;
        let n = train.len();
        let part = kernel.part(train);
        let class: Vec<usize> = train
            .iter()
            .map(|&t| classes.binary_search(&labels[t]).unwrap_or(0))
            .collect();
        let mut sizes = vec![0.0; classes.len()];
        for &c in &class {
            sizes[c] += 1.0;
        }

        // Trials minus the mean of their class: H K H.
        let centred = |matrix: &Mat<f64>| {
            let mut means = Mat::<f64>::zeros(classes.len(), matrix.ncols());
            for j in 0..matrix.ncols() {
                for i in 0..n {
                    means[(class[i], j)] += matrix[(i, j)] / sizes[class[i]];
                }
            }
            Mat::from_fn(n, matrix.ncols(), |i, j| {
                matrix[(i, j)] - means[(class[i], j)]
            })
        };
        let half = centred(&part);
        let within = centred(&half.transpose().to_owned());
        let total: f64 = (0..n).map(|i| within[(i, i)]).sum();
        let dimensions = self.cells.unwrap_or(n.saturating_sub(classes.len())).max(1) as f64;
        let ridge = self.shrinkage * total / n as f64 / dimensions;
        if !(ridge > 0.0 && ridge.is_finite()) {
            return Err(Error::NoVariance);
        }

        // Class means as sums of trials; Woodbury: the inverse covariance
        // applied to them is again a sum of trials.
        let indicator = Mat::from_fn(n, classes.len(), |i, c| {
            if class[i] == c { 1.0 / sizes[c] } else { 0.0 }
        });
        let mut coefficients = indicator.clone();
        if self.shrinkage < 1.0 {
            let strength = n as f64 * ridge / (1.0 - self.shrinkage);
            let matrix = Mat::from_fn(n, n, |i, j| {
                within[(i, j)] + if i == j { strength } else { 0.0 }
            });
            let right = &half * &indicator;
            let solved = matrix
                .llt(Side::Lower)
                .map_err(|_| Error::NotPositive)?
                .solve(&right);
            coefficients -= centred(&solved);
        }
        let images = &part * &coefficients;
        let scores: Vec<(Vec<f64>, f64)> = (0..classes.len())
            .map(|c| {
                let own: f64 = (0..n).map(|i| indicator[(i, c)] * images[(i, c)]).sum();
                let bias = -0.5 * own / ridge + (sizes[c] / n as f64).ln();
                let column = coefficients.col(c).iter();
                (column.map(|a| a / ridge).collect(), bias)
            })
            .collect();
        if scores.iter().any(|s| !s.1.is_finite()) {
            return Err(Error::NotPositive);
        }
        Ok(Classifier::from_scores(classes, &scores))
    }
}
