//! How long a code lasts.

use rayon::prelude::*;

use super::fit::{Grid, Problem};
use super::shape::Law;
use super::table::{Options, Table};
use crate::Error;
use crate::statistics::interval;

/// Rate of loss and half-life at one session.
#[derive(Clone, Debug, PartialEq)]
pub struct HalfLife {
    /// Session, counted from 0.
    pub session: usize,
    /// Its time on the chosen axis.
    pub time: f64,
    /// Share of what is shared that is lost per unit of time ([`Law::rate`]).
    pub rate: f64,
    /// Lower end of the rate's interval over resamples.
    pub rate_lo: f64,
    /// Upper end of the rate's interval.
    pub rate_hi: f64,
    /// `ln 2 / rate`, infinite if nothing is lost.
    pub half_life: f64,
    /// Lower end of its interval.
    pub lo: f64,
    /// Upper end of its interval.
    pub hi: f64,
}

/// Half-life `ln 2 / k(t)` of a code at every session under `law`, with
/// intervals from fits to the resamples (NaN without resamples).
///
/// # Errors
/// As [`super::fit`].
pub fn half_lives(table: &Table, law: Law, options: &Options) -> Result<Vec<HalfLife>, Error> {
    options.check()?;
    let problem = Problem::new(table, options)?;
    let grid = Grid::new(&problem, law);
    let (inner, chi_squared) = problem.search(law, &problem.points.observed, &grid, None);
    let fit = problem.describe(law, &inner, chi_squared)?;
    let resampled = refits(&problem, law, &grid, &inner);
    let origin = match options.axis {
        super::Axis::Days => table.days[0],
        super::Axis::Practice => table.practice[0],
    };
    Ok(problem
        .points
        .times
        .iter()
        .enumerate()
        .map(|(session, &t)| {
            let rate = law.rate(&fit.parameters, t);
            let rates: Vec<f64> = resampled.iter().map(|p| law.rate(p, t)).collect();
            let (rate_lo, rate_hi) = interval(&rates, options.confidence);
            let half = |rate: f64| std::f64::consts::LN_2 / rate;
            HalfLife {
                session,
                time: origin + t,
                rate,
                rate_lo,
                rate_hi,
                half_life: half(rate),
                lo: half(rate_hi),
                hi: half(rate_lo),
            }
        })
        .collect())
}

/// Parameters of `law` fitted to every resample.
pub(crate) fn refits(problem: &Problem, law: Law, grid: &Grid, near: &[f64]) -> Vec<Vec<f64>> {
    problem
        .points
        .noise
        .par_iter()
        .map(|noise| {
            let observed: Vec<f64> = noise
                .iter()
                .zip(&problem.points.observed)
                .map(|(n, y)| y + n)
                .collect();
            law.natural(&problem.search(law, &observed, grid, Some(near)).0)
        })
        .collect()
}
