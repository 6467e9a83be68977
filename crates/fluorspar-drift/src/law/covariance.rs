//! How the similarities of different pairs of sessions vary together.

use super::points::Points;
use super::solve::Root;

/// How pairs of sessions depend on each other in a fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Covariance {
    /// The covariance of correlations over the same cells (Pearson and Filon
    /// 1898, Philos Trans R Soc A 191:229), with the reliability of each session, scaled to
    /// the variance of the resamples. It is smooth, so it can be inverted when
    /// there are as many pairs as cells.
    #[default]
    Correlations,
    /// That of the resamples, shrunk towards independence as far as the number
    /// of cells demands (Schäfer and Strimmer 2005, Stat Appl Genet Mol Biol 4:32).
    Resampled,
    /// Pairs weighted by the variance of their resamples, as if independent.
    Independent,
}

/// Share by which every covariance leans to its diagonal: what rounding and
/// a smooth law's own error would make singular.
const LEAN: f64 = 0.02;

impl Covariance {
    /// Covariance of `points`, positive definite, `(pair, pair)` row after row;
    /// `smooth` is what a law expects of every pair of sessions, `(session,
    /// session)` row after row.
    pub(crate) fn matrix(self, points: &Points, smooth: &[f64]) -> Vec<f64> {
        let m = points.pairs.len();
        let variances = points.variances();
        let floor = 1e-6_f64.max(1e-3 * variances.iter().sum::<f64>() / m as f64);
        let mut matrix = match self {
            Self::Independent => vec![0.0; m * m],
            Self::Resampled => shrunk(points),
            Self::Correlations => correlations(points, smooth),
        };
        if self == Self::Independent {
            for k in 0..m {
                matrix[k * m + k] = variances[k];
            }
        } else {
            for a in 0..m {
                for b in 0..m {
                    if a != b {
                        matrix[a * m + b] *= 1.0 - LEAN;
                    }
                }
            }
        }
        let mut lift = floor;
        loop {
            let mut lifted = matrix.clone();
            for k in 0..m {
                lifted[k * m + k] += lift;
            }
            if Root::new(&lifted, m).is_some() {
                return lifted;
            }
            // Ends at the latest when the diagonal is all that counts.
            lift = if lift.is_finite() { lift * 4.0 } else { 1.0 };
            if lift > 1e6 {
                matrix.fill(0.0);
                lift = 1.0;
            }
        }
    }
}

fn correlations(points: &Points, smooth: &[f64]) -> Vec<f64> {
    let n = points.times.len();
    // Correlation of what is measured, the similarity of what is meant.
    let measured: Vec<f64> = (0..n * n)
        .map(|k| {
            let (i, j) = (k / n, k % n);
            if i == j {
                1.0 / points.reliability[i].clamp(0.05, 1.0)
            } else {
                smooth[k].clamp(-0.98, 0.98)
            }
        })
        .collect();
    let g = |a: usize, b: usize| measured[a * n + b];
    let product = |a: usize, b: usize, c: usize, d: usize| g(a, c) * g(b, d) + g(a, d) * g(b, c);
    let m = points.pairs.len();
    let mut matrix = vec![0.0; m * m];
    for (row, &(i, j)) in points.pairs.iter().enumerate() {
        for (column, &(k, l)) in points.pairs.iter().enumerate().skip(row) {
            let (c, d) = (g(i, j), g(k, l));
            let value = product(i, j, k, l)
                - 0.5 * c * (product(i, i, k, l) + product(j, j, k, l))
                - 0.5 * d * (product(i, j, k, k) + product(i, j, l, l))
                + 0.25
                    * c
                    * d
                    * (product(i, i, k, k)
                        + product(i, i, l, l)
                        + product(j, j, k, k)
                        + product(j, j, l, l));
            matrix[row * m + column] = value;
            matrix[column * m + row] = value;
        }
    }
    let trace: f64 = (0..m).map(|k| matrix[k * m + k]).sum();
    let scale = points.variances().iter().sum::<f64>() / trace;
    if scale.is_finite() {
        for value in &mut matrix {
            *value *= scale;
        }
    }
    matrix
}

fn shrunk(points: &Points) -> Vec<f64> {
    let m = points.pairs.len();
    let variances = points.variances();
    let mut matrix = vec![0.0; m * m];
    for noise in &points.noise {
        for a in 0..m {
            for b in 0..=a {
                matrix[a * m + b] += noise[a] * noise[b];
            }
        }
    }
    let count = points.noise.len().max(2) as f64 - 1.0;
    // Cells, not resamples, are what the covariance is learnt from.
    let units = (points.n_cells.min(points.noise.len()).max(3) - 1) as f64;
    let (mut error, mut strength) = (0.0, 0.0);
    for a in 0..m {
        for b in 0..a {
            matrix[a * m + b] /= count;
            let r = matrix[a * m + b] / (variances[a] * variances[b]).sqrt();
            if r.is_finite() {
                error += (1.0 - r * r).powi(2) / units;
                strength += r * r;
            }
        }
        matrix[a * m + a] = variances[a];
    }
    let share = if strength > 0.0 {
        (error / strength).clamp(0.0, 1.0)
    } else {
        1.0
    };
    for a in 0..m {
        for b in 0..a {
            let value = (1.0 - share) * matrix[a * m + b];
            matrix[a * m + b] = value;
            matrix[b * m + a] = value;
        }
    }
    matrix
}
