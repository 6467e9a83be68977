//! Similarity of population activity, as plain time courses and by label.

use rayon::prelude::*;

use super::cells::{Pair, Shared};
use super::context::{Context, SAME_CODE, Window};
use crate::Error;
use crate::similarity::{Correlations, Terms, Tuning};

/// One metric of all pairs of sessions.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) null: &'static str,
    pub(crate) pairs: Vec<Pair>,
}

/// A metric's name, how it is read off, and whether its diagonal means anything.
struct Reading {
    name: &'static str,
    null: &'static str,
    read: fn(&Correlations) -> f64,
    diagonal: bool,
}

const READINGS: [Reading; 8] = [
    raw("pv_correlation", |c| c.population_vector.raw),
    corrected("pv_correlation_corrected", |c| {
        c.population_vector.corrected
    }),
    raw("pv_correlation_centred", |c| {
        c.population_vector_centred.raw
    }),
    corrected("pv_correlation_centred_corrected", |c| {
        c.population_vector_centred.corrected
    }),
    raw("tuning_correlation", |c| c.tuning_curve.raw),
    corrected("tuning_correlation_corrected", |c| c.tuning_curve.corrected),
    raw("ensemble_rate_correlation", |c| c.ensemble_rate.raw),
    corrected("ensemble_rate_correlation_corrected", |c| {
        c.ensemble_rate.corrected
    }),
];

const fn raw(name: &'static str, read: fn(&Correlations) -> f64) -> Reading {
    Reading {
        name,
        null: "",
        read,
        diagonal: true,
    }
}

const fn corrected(name: &'static str, read: fn(&Correlations) -> f64) -> Reading {
    Reading {
        name,
        null: SAME_CODE,
        read,
        diagonal: false,
    }
}

/// What every session's cells do in an epoch, as far as it can be told.
pub(crate) struct Population {
    tunings: Vec<Result<Tuning, String>>,
    /// Raw correlations are those of means over this many trials of every condition.
    matched: f64,
}

impl Population {
    /// Bins are the epoch's time bins, by label if `variable` is not empty.
    pub(crate) fn new(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Self {
        let classes = context.classes(variable);
        let tunings: Vec<Result<Tuning, String>> = (0..context.sessions.len())
            .into_par_iter()
            .map(|session| tuning(context, window, session, variable, &classes))
            .collect();
        let fewest = tunings
            .iter()
            .filter_map(|t| t.as_ref().ok().map(Tuning::fewest_trials))
            .min()
            .unwrap_or(0);
        Self {
            tunings,
            matched: fewest as f64 / 2.0,
        }
    }

    /// The correlations of all pairs `i ≤ j`. The diagonal holds split halves,
    /// and in `pv_reliability` the reliability of each session's means.
    pub(crate) fn similarity(&self, context: &Context<'_>) -> Vec<Metric> {
        let all: Vec<Vec<Pair>> = context
            .pairs(true)
            .par_iter()
            .map(|&(i, j)| {
                let shared = context.roster.shared(i, j);
                self.compare(context, (i, j), &shared)
                    .unwrap_or_else(|reason| {
                        let pair = Pair::undefined(i, j, shared.len(), reason);
                        vec![pair; READINGS.len() + RELIABILITY.len()]
                    })
            })
            .collect();
        let column = |k: usize, name, null, keep: &dyn Fn(&Pair) -> bool| Metric {
            name,
            null,
            pairs: all
                .iter()
                .map(|pairs| pairs[k].clone())
                .filter(|pair| keep(pair))
                .collect(),
        };
        let mut out = Vec::new();
        for (k, reading) in READINGS.iter().enumerate() {
            out.push(column(k, reading.name, reading.null, &|pair| {
                reading.diagonal || pair.i != pair.j
            }));
        }
        for (k, name) in RELIABILITY.into_iter().enumerate() {
            let diagonal = |pair: &Pair| pair.i == pair.j;
            out.push(column(READINGS.len() + k, name, "", &diagonal));
        }
        out.push(at_lowest_reliability(&out));
        out
    }

    fn compare(
        &self,
        context: &Context<'_>,
        (i, j): (usize, usize),
        shared: &[Shared],
    ) -> Result<Vec<Pair>, String> {
        if shared.len() < context.parameters.min_cells {
            return Err(few(shared.len(), context.parameters.min_cells));
        }
        let (a, b) = match (&self.tunings[i], &self.tunings[j]) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(reason), _) | (_, Err(reason)) => return Err(reason.clone()),
        };
        let terms =
            Terms::new(a, b, Some(self.matched), i == j).map_err(|e: Error| e.to_string())?;
        let sums = context.draws.sums(shared, terms.width(), |cell, out| {
            terms.of_cell(cell.i, cell.j, out);
        });
        let rows = || sums.rows().into_iter().map(|row| row.to_vec());
        let found: Vec<Correlations> = rows().map(|row| terms.correlate(&row)).collect();
        let reliability: Vec<[f64; 2]> = rows().map(|row| terms.reliability(&row)).collect();
        let mut out = Vec::new();
        for reading in &READINGS {
            let values = found.iter().map(reading.read).collect();
            out.push(guarded((i, j), shared.len(), values, !reading.diagonal));
        }
        for k in 0..RELIABILITY.len() {
            let values = reliability.iter().map(|r| r[k]).collect();
            out.push(guarded((i, j), shared.len(), values, false));
        }
        Ok(out)
    }
}

/// Population-vector correlations as they would be measured if every session
/// were as noisy as the noisiest: the corrected value times the lowest
/// reliability of a session. Raw values at one number of trials still differ
/// where the signal-to-noise ratio of single trials does.
fn at_lowest_reliability(metrics: &[Metric]) -> Metric {
    let pairs = |name: &str| metrics.iter().find(|m| m.name == name).map(|m| &m.pairs);
    let lowest = pairs("pv_reliability")
        .into_iter()
        .flatten()
        .map(|pair| pair.value)
        .fold(f64::NAN, f64::min);
    Metric {
        name: "pv_correlation_snr_matched",
        null: "",
        pairs: pairs("pv_correlation_corrected")
            .into_iter()
            .flatten()
            .map(|pair| {
                let mut pair = pair.clone();
                pair.value *= lowest;
                pair.resampled.iter_mut().for_each(|v| *v *= lowest);
                if pair.reason.is_empty() && !pair.value.is_finite() {
                    pair.reason = "no session has a reliability".into();
                }
                pair
            })
            .collect(),
    }
}

/// The share of variance over cells that is not noise, with all trials: of
/// population vectors, and of those without the cells' mean rates.
const RELIABILITY: [&str; 2] = ["pv_reliability", "pv_centred_reliability"];

fn tuning(
    context: &Context<'_>,
    window: &Window<'_>,
    session: usize,
    variable: &str,
    classes: &[i64],
) -> Result<Tuning, String> {
    if window.bins[session].is_empty() {
        return Err(outside(session));
    }
    let activity = context.sessions[session].activity.view();
    let conditions = if variable.is_empty() {
        vec![(0..activity.dim().0).collect()]
    } else {
        if let Some(reason) = context.shortage(session, variable, classes) {
            return Err(reason);
        }
        context.members(session, variable, classes)
    };
    Tuning::new(activity, &conditions, &window.bins[session])
        .map_err(|e| format!("session {}: {e}", session + 1))
}

/// The first of `values` with the others as its resamples. One that divides by
/// a reliability (`divides`) is refused if that is not clearly above 0.
fn guarded((i, j): (usize, usize), n_cells: usize, values: Vec<f64>, divides: bool) -> Pair {
    let (value, resampled) = (values[0], values[1..].to_vec());
    let failed = resampled.iter().filter(|v| !v.is_finite()).count();
    if !value.is_finite() || (divides && 20 * failed > resampled.len()) {
        let reason = "activity of a session is not reliably above its trial noise";
        return Pair::undefined(i, j, n_cells, reason.into());
    }
    Pair {
        i,
        j,
        value,
        resampled,
        n_cells,
        reason: String::new(),
    }
}

/// Why an epoch has no value in a session.
pub(crate) fn outside(session: usize) -> String {
    format!(
        "the epoch lies outside the trials of session {}",
        session + 1
    )
}

/// Why a pair of sessions is not compared.
pub(crate) fn few(shared: usize, least: usize) -> String {
    format!("the sessions share {shared} cells; {least} are needed")
}
