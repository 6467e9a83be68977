//! How sure the parameters of a law are, and how long a code lasts under it.

use rayon::prelude::*;

use super::fit::{Fit, Grid, Problem};
use super::shape::Law;
use super::table::{Axis, Options, Table};
use crate::Error;
use crate::statistics::interval;

/// Resamples that are refitted; more would move the ends of an interval by
/// less than a tenth of its width.
const REFITS: usize = 300;

/// A law fitted to a table and again to its resamples.
#[derive(Clone, Debug, PartialEq)]
pub struct Refitted {
    /// The fit to the table.
    pub fit: Fit,
    /// Parameters fitted to the resamples, at most 300 of them, `[resample][parameter]`.
    pub resampled: Vec<Vec<f64>>,
    /// Time of every session on the chosen axis.
    pub times: Vec<f64>,
}

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

/// Fits `law` to the table and to its resamples.
///
/// # Errors
/// As [`super::fit`].
pub fn refit(table: &Table, law: Law, options: &Options) -> Result<Refitted, Error> {
    options.check()?;
    let problem = Problem::new(table, options)?;
    let grid = Grid::new(&problem, law);
    let observed = &problem.points.observed;
    let (inner, chi_squared) = problem.search(law, observed, &grid, None);
    let fit = problem.describe(law, &inner, chi_squared)?;
    let noise = &problem.points.noise;
    let resampled = noise[..noise.len().min(REFITS)]
        .par_iter()
        .map(|noise| {
            let drawn: Vec<f64> = noise.iter().zip(observed).map(|(n, y)| y + n).collect();
            law.natural(&problem.search(law, &drawn, &grid, Some(&inner)).0)
        })
        .collect();
    let times = match options.axis {
        Axis::Days => table.days.clone(),
        Axis::Practice => table.practice.clone(),
    };
    Ok(Refitted {
        fit,
        resampled,
        times,
    })
}

impl Refitted {
    /// Interval of every parameter over resamples; NaN without resamples.
    pub fn intervals(&self, confidence: f64) -> Vec<(f64, f64)> {
        (0..self.fit.parameters.len())
            .map(|k| {
                let values: Vec<f64> = self.resampled.iter().map(|p| p[k]).collect();
                interval(&values, confidence)
            })
            .collect()
    }

    /// Half-life `ln 2 / k(t)` of the code at every session, with intervals
    /// over resamples (NaN without resamples).
    pub fn half_lives(&self, confidence: f64) -> Vec<HalfLife> {
        let law = self.fit.law;
        let first = self.times.first().copied().unwrap_or(0.0);
        self.times
            .iter()
            .enumerate()
            .map(|(session, &time)| {
                let rate = law.rate(&self.fit.parameters, time - first);
                let rates: Vec<f64> = self
                    .resampled
                    .iter()
                    .map(|p| law.rate(p, time - first))
                    .collect();
                let (rate_lo, rate_hi) = interval(&rates, confidence);
                let half = |rate: f64| std::f64::consts::LN_2 / rate;
                HalfLife {
                    session,
                    time,
                    rate,
                    rate_lo,
                    rate_hi,
                    half_life: half(rate),
                    lo: half(rate_hi),
                    hi: half(rate_lo),
                }
            })
            .collect()
    }
}
