//! Fitting a law to the pairs of a table.

use super::covariance::Covariance;
use super::points::Points;
use super::shape::Law;
use super::solve::{Root, dot, minimise};
use super::table::{Options, Table};
use crate::Error;

/// A law with the parameters that fit best.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The law.
    pub law: Law,
    /// Its parameters, in the order of [`Law::parameters`], per unit of the chosen [`super::Axis`].
    pub parameters: Vec<f64>,
    /// Weighted sum of squared residuals.
    pub chi_squared: f64,
    /// How much more the residuals vary than the resamples say, at least 1;
    /// without resamples, how much more than correlations over that many cells.
    pub dispersion: f64,
    /// Gaussian log-likelihood with the covariance times `dispersion`.
    pub log_likelihood: f64,
    /// Akaike's criterion. Pairs that share a session are dependent, so prefer
    /// the cross-validated scores of [`super::choose`].
    pub aic: f64,
    /// Pairs of sessions fitted.
    pub n_pairs: usize,
}

/// Fits `law` by generalised least squares within bounds, from many
/// starts; the result depends on nothing but its arguments.
///
/// # Errors
/// A malformed table ([`Error::Shape`], [`Error::NotFinite`],
/// [`Error::Nothing`]); [`Error::Undefined`] with fewer than three sessions, fewer
/// than two distances, or no more pairs than parameters; [`Error::Parameter`].
pub fn fit(table: &Table, law: Law, options: &Options) -> Result<Fit, Error> {
    options.check()?;
    let problem = Problem::new(table, options)?;
    problem.fit(law)
}

/// Pairs with the covariance of their errors.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) points: Points,
    matrix: Vec<f64>,
    pub(crate) root: Root,
}

impl Problem {
    pub(crate) fn new(table: &Table, options: &Options) -> Result<Self, Error> {
        let points = Points::new(table, options)?;
        let simple = Self::with(points.clone(), Covariance::Independent.matrix(&points, &[]))?;
        if options.covariance == Covariance::Independent {
            return Ok(simple);
        }
        let smooth = simple.smooth();
        let matrix = options.covariance.matrix(&points, &smooth);
        Self::with(points, matrix)
    }

    fn with(points: Points, matrix: Vec<f64>) -> Result<Self, Error> {
        let root = Root::new(&matrix, points.pairs.len()).ok_or_else(|| {
            Error::Undefined("the similarities' covariance has no inverse".into())
        })?;
        Ok(Self {
            points,
            matrix,
            root,
        })
    }

    /// What the best of the flexible laws expects of every pair of sessions.
    fn smooth(&self) -> Vec<f64> {
        let laws = [Law::Plateau, Law::SteadySteps, Law::Crystallizing];
        let best = laws
            .into_iter()
            .map(|law| {
                (
                    law,
                    self.search(law, &self.points.observed, &Grid::new(self, law), None),
                )
            })
            .min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let n = self.points.times.len();
        let mut out = vec![1.0; n * n];
        if let Some((law, (inner, _))) = best {
            let p = law.natural(&inner);
            let law = law.on(&p, &self.points.times);
            let mut fill = |i: usize, j: usize, amplitude: f64| {
                let value = amplitude * law.value(i, j);
                out[i * n + j] = value;
                out[j * n + i] = value;
            };
            for i in 0..n {
                for j in i + 1..n {
                    fill(i, j, 1.0);
                }
            }
            for (&(i, j), &amplitude) in self.points.pairs.iter().zip(&self.points.amplitude) {
                fill(i, j, amplitude);
            }
        }
        out
    }

    /// Expected similarities of the pairs.
    pub(crate) fn expected(&self, law: Law, inner: &[f64]) -> Vec<f64> {
        expected_at(&self.points, &self.points.times, law, inner)
    }

    /// Best inner parameters for `observed` and the weighted sum of squares,
    /// from the best starts of `grid` and from `near`.
    pub(crate) fn search(
        &self,
        law: Law,
        observed: &[f64],
        grid: &Grid,
        near: Option<&[f64]>,
    ) -> (Vec<f64>, f64) {
        let mut whitened = observed.to_vec();
        self.root.whiten(&mut whitened);
        let mut starts = grid.best(&whitened, if near.is_some() { 1 } else { 3 });
        starts.extend(near.map(<[f64]>::to_vec));
        let mut best = (Vec::new(), f64::INFINITY);
        for start in starts {
            let found = self.descend(law, &whitened, &start);
            if best.0.is_empty() || found.1 < best.1 {
                best = found;
            }
        }
        best
    }

    /// The same from `near` alone, for data made from these parameters.
    pub(crate) fn near(&self, law: Law, observed: &[f64], near: &[f64]) -> (Vec<f64>, f64) {
        let mut whitened = observed.to_vec();
        self.root.whiten(&mut whitened);
        self.descend(law, &whitened, near)
    }

    fn descend(&self, law: Law, whitened: &[f64], start: &[f64]) -> (Vec<f64>, f64) {
        let bounds = law.bounds(self.points.gap, self.points.span);
        minimise(start, &bounds, |inner| {
            let mut r = self.expected(law, inner);
            self.root.whiten(&mut r);
            for (r, y) in r.iter_mut().zip(whitened) {
                *r -= y;
            }
            r
        })
    }

    pub(crate) fn fit(&self, law: Law) -> Result<Fit, Error> {
        let (inner, chi_squared) =
            self.search(law, &self.points.observed, &Grid::new(self, law), None);
        self.describe(law, &inner, chi_squared)
    }

    pub(crate) fn describe(&self, law: Law, inner: &[f64], chi_squared: f64) -> Result<Fit, Error> {
        let (m, p) = (self.points.pairs.len(), inner.len());
        if m <= p {
            return Err(Error::Undefined(format!(
                "{m} pairs of sessions cannot tell the {p} parameters of the law {:?}",
                law.name()
            )));
        }
        let dispersion = (chi_squared / (m - p) as f64).max(1.0);
        let log_likelihood = -0.5
            * (chi_squared / dispersion
                + m as f64 * (std::f64::consts::TAU * dispersion).ln()
                + self.root.log_determinant());
        Ok(Fit {
            law,
            parameters: law.natural(inner),
            chi_squared,
            dispersion,
            log_likelihood,
            aic: 2.0 * p as f64 - 2.0 * log_likelihood,
            n_pairs: m,
        })
    }

    /// The problem of only the pairs in `keep`.
    pub(crate) fn subset(&self, keep: &[usize]) -> Result<Self, Error> {
        let m = self.points.pairs.len();
        let matrix = keep
            .iter()
            .flat_map(|&a| keep.iter().map(move |&b| self.matrix[a * m + b]))
            .collect();
        Self::with(self.points.subset(keep), matrix)
    }
}

/// Expected similarities of the pairs if the sessions were at other times.
pub(crate) fn expected_at(points: &Points, times: &[f64], law: Law, inner: &[f64]) -> Vec<f64> {
    let law = law.on(&law.natural(inner), times);
    points
        .pairs
        .iter()
        .zip(&points.amplitude)
        .map(|(&(i, j), a)| a * law.value(i, j))
        .collect()
}

/// Starting points of a law with what they expect, whitened, at level 1. As
/// the level only multiplies, its best value for each follows from a projection.
#[derive(Debug)]
pub(crate) struct Grid {
    starts: Vec<(Vec<f64>, Vec<f64>, f64)>,
}

impl Grid {
    pub(crate) fn new(problem: &Problem, law: Law) -> Self {
        let starts = law
            .starts(problem.points.gap, problem.points.span)
            .into_iter()
            .map(|inner| {
                let mut unit = problem.expected(law, &inner);
                problem.root.whiten(&mut unit);
                let square = unit.iter().map(|v| v * v).sum();
                (inner, unit, square)
            })
            .collect();
        Self { starts }
    }

    fn best(&self, whitened: &[f64], count: usize) -> Vec<Vec<f64>> {
        let mut ranked: Vec<(f64, Vec<f64>)> = self
            .starts
            .iter()
            .map(|(inner, unit, square)| {
                let dot = dot(unit, whitened);
                let level = (dot / square).clamp(0.0, 1.5);
                let level = if level.is_finite() { level } else { 1.0 };
                let mut start = inner.clone();
                start[0] = level;
                // The sum of squares less that of the observed values.
                (level * (level * square - 2.0 * dot), start)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.truncate(count);
        ranked.into_iter().map(|(_, start)| start).collect()
    }
}
