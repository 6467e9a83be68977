//! Which law describes a code best, judged on sessions it was not fitted to.

use rayon::prelude::*;

use super::fit::{Fit, Grid, Problem};
use super::shape::Law;
use super::table::{Options, Table};
use crate::Error;
use crate::statistics::{mean, quantile};

/// A law with its scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The law.
    pub law: Law,
    /// Its fit to each animal.
    pub fits: Vec<Fit>,
    /// Log-likelihood of pairs of sessions, each predicted by a fit without it; the mean over pairs.
    pub by_pair: f64,
    /// Log-likelihood of sessions, each predicted (all its pairs at once) by a
    /// fit without it; the mean over sessions.
    pub by_session: f64,
    /// Whether this law is chosen.
    pub chosen: bool,
}

/// Fits `laws` to every animal and compares them by cross-validation. Each
/// animal has its own parameters; scores are taken over all animals.
///
/// A pair of sessions that is left out can be guessed from others that share
/// its sessions; a session that is left out cannot, so `by_session` ranks the
/// laws. Of the best law and those whose scores are typically close to it the one with
/// the fewest parameters is chosen, the better of two with as many. Close is: the
/// median over sessions of the differences is below two standard errors (from the
/// median deviation, so that no single session decides).
///
/// # Errors
/// As [`super::fit`] for any animal; [`Error::Nothing`] without animals or laws.
pub fn choose(tables: &[Table], laws: &[Law], options: &Options) -> Result<Vec<Scored>, Error> {
    options.check()?;
    if tables.is_empty() {
        return Err(Error::Nothing("animals"));
    }
    if laws.is_empty() {
        return Err(Error::Nothing("laws"));
    }
    let problems = tables
        .iter()
        .map(|table| Problem::new(table, options))
        .collect::<Result<Vec<_>, _>>()?;
    let mut scored = Vec::new();
    let mut scores = Vec::new();
    for &law in laws {
        let (mut fits, mut by_pair, mut by_session) = (Vec::new(), Vec::new(), Vec::new());
        for problem in &problems {
            let fit = problem.fit(law)?;
            by_pair.extend(held_out(problem, law, &fit, &pairs(problem)));
            by_session.extend(held_out(problem, law, &fit, &all_sessions(problem)));
            fits.push(fit);
        }
        scored.push(Scored {
            law,
            fits,
            by_pair: mean(&by_pair),
            by_session: mean(&by_session),
            chosen: false,
        });
        scores.push(by_session);
    }
    if let Some(best) = best(&scored, &scores) {
        scored[best].chosen = true;
    }
    Ok(scored)
}

fn best(scored: &[Scored], scores: &[Vec<f64>]) -> Option<usize> {
    let top = (0..scored.len())
        .filter(|&k| scored[k].by_session.is_finite())
        .max_by(|&a, &b| scored[a].by_session.total_cmp(&scored[b].by_session))?;
    let close = |k: usize| {
        let mut behind: Vec<f64> = scores[top]
            .iter()
            .zip(&scores[k])
            .map(|(t, v)| t - v)
            .collect();
        behind.retain(|v| v.is_finite());
        let middle = median(&behind);
        let away: Vec<f64> = behind.iter().map(|v| (v - middle).abs()).collect();
        // Of a normal distribution: sd = 1.48 median deviations, and the
        // median varies 1.25 times as much as the mean.
        let error = 1.48 * 1.25 * median(&away) / (behind.len() as f64).sqrt();
        middle < 2.0 * error
    };
    (0..scored.len())
        .filter(|&k| k == top || close(k))
        .min_by(|&a, &b| {
            let size = |k: usize| scored[k].law.parameters().len();
            size(a)
                .cmp(&size(b))
                .then(scored[b].by_session.total_cmp(&scored[a].by_session))
        })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

fn pairs(problem: &Problem) -> Vec<Vec<usize>> {
    (0..problem.points.pairs.len()).map(|k| vec![k]).collect()
}

fn all_sessions(problem: &Problem) -> Vec<Vec<usize>> {
    let pairs = &problem.points.pairs;
    (0..problem.points.times.len())
        .map(|s| {
            (0..pairs.len())
                .filter(|&k| pairs[k].0 == s || pairs[k].1 == s)
                .collect::<Vec<usize>>()
        })
        .filter(|out| !out.is_empty())
        .collect()
}

/// Log-likelihood of each group of pairs under the fit to the others; NaN
/// where the others are too few.
fn held_out(problem: &Problem, law: Law, whole: &Fit, groups: &[Vec<usize>]) -> Vec<f64> {
    groups
        .par_iter()
        .map(|out| {
            let rest: Vec<usize> = (0..problem.points.pairs.len())
                .filter(|k| !out.contains(k))
                .collect();
            if rest.len() <= whole.parameters.len() {
                return f64::NAN;
            }
            let (Ok(train), Ok(test)) = (problem.subset(&rest), problem.subset(out)) else {
                return f64::NAN;
            };
            let grid = Grid::new(&train, law);
            let (inner, _) = train.search(law, &train.points.observed, &grid, None);
            let mut r = test.expected(law, &inner);
            for (r, y) in r.iter_mut().zip(&test.points.observed) {
                *r -= y;
            }
            test.root.whiten(&mut r);
            let squares: f64 = r.iter().map(|v| v * v).sum();
            // One dispersion for all laws would favour none; each has to pay for its own.
            let spread = whole.dispersion;
            -0.5 * (squares / spread
                + r.len() as f64 * (std::f64::consts::TAU * spread).ln()
                + test.root.log_determinant())
        })
        .collect()
}
