//! What sessions vary beyond the noise of cells.

use rand::Rng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};

use super::fit::{Problem, expected_at};
use super::shape::Law;
use super::solve::dot;

/// Variation that resamples of cells do not show, estimated from what a
/// fit leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excess {
    /// Variance of the logarithm of the time that counts in a step: drift
    /// is faster in one night and slower in another, by chance.
    pub(crate) steps: f64,
    /// Steps that tell it, less the parameters of the law.
    freedom: f64,
    /// Variance of whatever else is left, in units of the resamples'.
    pub(crate) spread: f64,
}

impl Excess {
    /// From the residuals of `law` at `inner`, by the method of moments: their projection
    /// on what a longer or shorter step would do, and their length, each less what the
    /// noise of the resamples leaves after a fit with as many parameters.
    pub(crate) fn estimate(problem: &Problem, law: Law, inner: &[f64]) -> Self {
        let points = &problem.points;
        let residual = {
            let mut r = problem.expected(law, inner);
            for (r, y) in r.iter_mut().zip(&points.observed) {
                *r = y - *r;
            }
            problem.root.whiten(&mut r);
            r
        };
        let fitted = orthonormal((0..inner.len()).map(|k| {
            let moved = |by: f64| {
                let mut p = inner.to_vec();
                p[k] += by;
                problem.expected(law, &p)
            };
            change(problem, &moved(1e-4), &moved(-1e-4))
        }));
        let steps: Vec<Vec<f64>> = (1..points.times.len())
            .map(|step| {
                let moved = |by: f64| {
                    let length = points.times[step] - points.times[step - 1];
                    let mut times = points.times.clone();
                    for t in &mut times[step..] {
                        *t += by * length;
                    }
                    expected_at(points, &times, law, inner)
                };
                let mut column = change(problem, &moved(1e-4), &moved(-1e-4));
                remove(&mut column, &fitted);
                column
            })
            .collect();
        let moments = |r: &[f64]| {
            let along: f64 = steps.iter().map(|s| dot(s, r).powi(2)).sum();
            (along, dot(r, r))
        };
        let weight: f64 = steps
            .iter()
            .flat_map(|a| steps.iter().map(move |b| dot(a, b).powi(2)))
            .sum();
        let length: f64 = steps.iter().map(|s| dot(s, s)).sum();
        let (along, square) = moments(&residual);
        let (usual_along, usual_square) = if points.noise.is_empty() {
            (length, (residual.len() - fitted.len()) as f64)
        } else {
            let mut sums = (0.0, 0.0);
            for noise in &points.noise {
                let mut r = noise.clone();
                problem.root.whiten(&mut r);
                remove(&mut r, &fitted);
                let (a, s) = moments(&r);
                sums = (sums.0 + a, sums.1 + s);
            }
            let n = points.noise.len() as f64;
            (sums.0 / n, sums.1 / n)
        };
        let finite = |v: f64, low: f64, high: f64| {
            if v.is_finite() {
                v.clamp(low, high)
            } else {
                low
            }
        };
        let variance = finite((along - usual_along) / weight, 0.0, 2.0);
        Self {
            steps: variance,
            freedom: (steps.len().saturating_sub(fitted.len()) as f64).max(2.0),
            spread: finite((square - variance * length) / usual_square, 1.0, 1e3),
        }
    }

    /// Times of sessions whose steps vary. The variance is drawn too, as a
    /// few steps do not tell it well.
    pub(crate) fn warp(&self, times: &[f64], rng: &mut impl Rng) -> Vec<f64> {
        if self.steps <= 0.0 {
            return times.to_vec();
        }
        let share = ChiSquared::new(self.freedom).map_or(self.freedom, |d| d.sample(rng));
        let variance = (self.steps * self.freedom / share).min(4.0);
        let mut out = times.to_vec();
        for step in 1..times.len() {
            let z: f64 = StandardNormal.sample(rng);
            let factor = (variance.sqrt() * z - 0.5 * variance).exp();
            out[step] = out[step - 1] + factor * (times[step] - times[step - 1]);
        }
        out
    }
}

/// Whitened derivative from values on either side.
fn change(problem: &Problem, above: &[f64], below: &[f64]) -> Vec<f64> {
    let mut column: Vec<f64> = above
        .iter()
        .zip(below)
        .map(|(a, b)| (a - b) / 2e-4)
        .collect();
    problem.root.whiten(&mut column);
    column
}

fn orthonormal(columns: impl Iterator<Item = Vec<f64>>) -> Vec<Vec<f64>> {
    let mut out: Vec<Vec<f64>> = Vec::new();
    for mut column in columns {
        let before = dot(&column, &column);
        remove(&mut column, &out);
        remove(&mut column, &out);
        let square = dot(&column, &column);
        if square > 1e-10 * before && square > 0.0 {
            let scale = square.sqrt();
            for value in &mut column {
                *value /= scale;
            }
            out.push(column);
        }
    }
    out
}

fn remove(column: &mut [f64], basis: &[Vec<f64>]) {
    for direction in basis {
        let along = dot(direction, column);
        for (value, d) in column.iter_mut().zip(direction) {
            *value -= along * d;
        }
    }
}
