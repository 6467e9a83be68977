//! Similarity of population activity, as plain time courses and by label.

use rayon::prelude::*;

use super::cells::{Draws, Pair, Shared};
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

/// The correlations of all pairs `i ≤ j`. Bins are the epoch's time bins, by
/// label if `variable` is not empty. The diagonal holds split halves, and in
/// `pv_reliability` the reliability of each session's means.
pub(crate) fn similarity(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
) -> Vec<Metric> {
    let tunings = tunings(context, window, variable);
    // Raw correlations are those of means over this many trials in every session.
    let fewest = tunings
        .iter()
        .filter_map(|t| t.as_ref().ok().map(Tuning::fewest_trials))
        .min()
        .unwrap_or(0);
    let matched = fewest as f64 / 2.0;
    let all: Vec<Vec<Pair>> = context
        .pairs(true)
        .par_iter()
        .map(|&(i, j)| {
            let shared = context.roster.shared(i, j);
            compare(context, &tunings, matched, (i, j), &shared).unwrap_or_else(|reason| {
                let pair = Pair::undefined(i, j, shared.len(), reason);
                vec![pair; READINGS.len() + 2]
            })
        })
        .collect();
    let mut out: Vec<Metric> = READINGS
        .iter()
        .enumerate()
        .map(|(k, reading)| Metric {
            name: reading.name,
            null: reading.null,
            pairs: all
                .iter()
                .map(|pairs| pairs[k].clone())
                .filter(|pair| reading.diagonal || pair.i != pair.j)
                .collect(),
        })
        .collect();
    for (k, name) in [
        (READINGS.len(), "pv_reliability"),
        (READINGS.len() + 1, "pv_centred_reliability"),
    ] {
        out.push(Metric {
            name,
            null: "",
            pairs: all
                .iter()
                .map(|pairs| pairs[k].clone())
                .filter(|pair| pair.i == pair.j)
                .collect(),
        });
    }
    out
}

fn tunings(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
) -> Vec<Result<Tuning, String>> {
    let classes = context.classes(variable);
    (0..context.sessions.len())
        .into_par_iter()
        .map(|s| {
            if window.bins[s].is_empty() {
                return Err(outside(s));
            }
            let activity = context.sessions[s].activity.view();
            let conditions = if variable.is_empty() {
                vec![(0..activity.dim().0).collect()]
            } else {
                if let Some(reason) = context.shortage(s, variable, &classes) {
                    return Err(reason);
                }
                context.members(s, variable, &classes)
            };
            Tuning::new(activity, &conditions, &window.bins[s])
                .map_err(|e| format!("session {}: {e}", s + 1))
        })
        .collect()
}

/// Why an epoch has no value in a session.
pub(crate) fn outside(session: usize) -> String {
    format!(
        "the epoch lies outside the trials of session {}",
        session + 1
    )
}

fn compare(
    context: &Context<'_>,
    tunings: &[Result<Tuning, String>],
    matched: f64,
    (i, j): (usize, usize),
    shared: &[Shared],
) -> Result<Vec<Pair>, String> {
    if shared.len() < context.parameters.min_cells {
        return Err(few(shared.len(), context.parameters.min_cells));
    }
    let (a, b) = match (&tunings[i], &tunings[j]) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(reason), _) | (_, Err(reason)) => return Err(reason.clone()),
    };
    let terms = Terms::new(a, b, Some(matched), i == j).map_err(|e: Error| e.to_string())?;
    let draws: &Draws = &context.draws;
    let sums = draws.sums(shared, terms.width(), |cell, out| {
        terms.of_cell(cell.i, cell.j, out);
    });
    let found: Vec<Correlations> = sums
        .rows()
        .into_iter()
        .map(|row| terms.correlate(row.as_slice().unwrap_or(&[])))
        .collect();
    let pair = |values: Vec<f64>, guarded: bool| {
        let (value, resampled) = (values[0], values[1..].to_vec());
        let failed = resampled.iter().filter(|v| !v.is_finite()).count();
        // A division by a reliability that may be zero says nothing.
        if !value.is_finite() || (guarded && 20 * failed > resampled.len()) {
            let reason = "activity of a session is not reliably above its trial noise";
            return Pair::undefined(i, j, shared.len(), reason.into());
        }
        Pair {
            i,
            j,
            value,
            resampled,
            n_cells: shared.len(),
            reason: String::new(),
        }
    };
    let mut out: Vec<Pair> = READINGS
        .iter()
        .map(|reading| pair(found.iter().map(reading.read).collect(), !reading.diagonal))
        .collect();
    let reliability: Vec<[f64; 2]> = sums
        .rows()
        .into_iter()
        .map(|row| terms.reliability(row.as_slice().unwrap_or(&[])))
        .collect();
    for k in 0..2 {
        out.push(pair(reliability.iter().map(|r| r[k]).collect(), false));
    }
    Ok(out)
}

/// Why a pair of sessions is not compared.
pub(crate) fn few(shared: usize, least: usize) -> String {
    format!("the sessions share {shared} cells; {least} are needed")
}
