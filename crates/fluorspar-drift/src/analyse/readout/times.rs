use fluorspar_decode::{cross_temporal, cross_temporal_across};
use ndarray::Array2;
use rayon::prelude::*;

use super::{kernel, machine, standardised, validation};
use crate::analyse::context::{Context, coarse};
use crate::table::{Table, Tabular, row};

/// Most time bins of a trial, and most cells (evenly spaced among all).
const TIMES: usize = 12;
const CELLS: usize = 5_000;

row! {
    /// A decoder of one time read at another; a row of `cross_temporal.csv`.
    CrossTemporalRow in "cross_temporal" {
        /// Label.
        variable: String,
        /// Session trained on, from 1.
        session_i: usize,
        /// Session read, from 1: the same (cross-validated) or the next.
        session_j: usize,
        /// Middle of the time bin trained on, seconds.
        time_train_s: f64,
        /// Middle of the time bin read, seconds.
        time_test_s: f64,
        /// Balanced accuracy.
        value: f64,
        /// Cells used, evenly spaced among those of the rule.
        n_cells: usize,
        /// Trials read.
        n_trials: usize,
        /// Seed of the folds.
        seed: u64,
        /// Which cells were used.
        inclusion: &'static str,
        /// Why the value is NaN, or empty.
        reason: String,
    }
}

/// Decoders over the course of the trial.
pub(crate) struct CrossTemporal(Vec<CrossTemporalRow>);

impl CrossTemporal {
    /// Trains at each time of a session and reads at each time of the same
    /// session and of the next one. A code that stands still is square, one
    /// that moves on is diagonal.
    pub(crate) fn new(context: &Context<'_>) -> Self {
        let n = context.sessions.len();
        let pairs: Vec<(usize, usize)> = (0..n)
            .flat_map(|i| [(i, i), (i, i + 1)])
            .filter(|&(_, j)| j < n)
            .collect();
        let mut out = Vec::new();
        for variable in &context.parameters.variables {
            let found: Vec<Vec<CrossTemporalRow>> = pairs
                .par_iter()
                .map(|&pair| of_pair(context, variable, pair))
                .collect();
            out.extend(found.into_iter().flatten());
        }
        Self(out)
    }

    pub(crate) fn table(&self) -> Table {
        CrossTemporalRow::table(&self.0)
    }
}

fn of_pair(context: &Context<'_>, variable: &str, (i, j): (usize, usize)) -> Vec<CrossTemporalRow> {
    let empty = CrossTemporalRow {
        variable: variable.to_owned(),
        session_i: i + 1,
        session_j: j + 1,
        time_train_s: f64::NAN,
        time_test_s: f64::NAN,
        value: f64::NAN,
        n_cells: 0,
        n_trials: context.sessions[j].activity.dim().0,
        seed: context.parameters.seed,
        inclusion: context.parameters.inclusion.name(),
        reason: String::new(),
    };
    match read(context, variable, (i, j)) {
        Ok((cells, accuracy)) => {
            let (train, test) = (middles(context, i), middles(context, j));
            accuracy
                .indexed_iter()
                .map(|((a, b), &value)| CrossTemporalRow {
                    time_train_s: train[a],
                    time_test_s: test[b],
                    value,
                    n_cells: cells,
                    ..empty.clone()
                })
                .collect()
        }
        Err(reason) => vec![CrossTemporalRow { reason, ..empty }],
    }
}

fn bins(context: &Context<'_>, session: usize) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..context.sessions[session].time_s.len()).collect();
    coarse(&all, TIMES)
}

fn middles(context: &Context<'_>, session: usize) -> Vec<f64> {
    let times = &context.sessions[session].time_s;
    bins(context, session)
        .iter()
        .map(|bins| bins.iter().map(|&b| times[b]).sum::<f64>() / bins.len() as f64)
        .collect()
}

fn read(
    context: &Context<'_>,
    variable: &str,
    (i, j): (usize, usize),
) -> Result<(usize, Array2<f64>), String> {
    let classes = context.classes(variable);
    for session in [i, j] {
        if let Some(reason) = context.shortage(session, variable, &classes) {
            return Err(reason);
        }
    }
    let shared = context.roster.shared(i, j);
    if shared.len() < context.parameters.min_cells {
        return Err(crate::analyse::population::few(
            shared.len(),
            context.parameters.min_cells,
        ));
    }
    let kept = shared.len().min(CELLS);
    let cells = |second: bool| -> Vec<usize> {
        (0..kept)
            .map(|k| &shared[k * shared.len() / kept])
            .map(|s| if second { s.j } else { s.i })
            .collect()
    };
    let first = means(context, i, &cells(false));
    let all: Vec<usize> = (0..kept).collect();
    let labels = context.labels(i, variable);
    let decoder = machine(context);
    let say = |e: fluorspar_decode::Error| e.to_string();
    let times = bins(context, i).len();
    if i == j {
        let kernel = kernel(standardised(&[(&first, all)]).view())?;
        let found = cross_temporal(&decoder, &kernel, labels, times, &validation(context));
        return Ok((kept, found.map_err(say)?));
    }
    let second = means(context, j, &cells(true));
    let both = standardised(&[(&first, all.clone()), (&second, all)]);
    let kernel = kernel(both.view())?;
    let read = (context.labels(j, variable), bins(context, j).len());
    let found = cross_temporal_across(&decoder, &kernel, (labels, times), read);
    Ok((kept, found.map_err(say)?))
}

/// Trials at times `(cell, time · trials + trial)`.
fn means(context: &Context<'_>, session: usize, cells: &[usize]) -> Array2<f32> {
    let activity = &context.sessions[session].activity;
    let trials = activity.dim().0;
    let bins = bins(context, session);
    Array2::from_shape_fn((cells.len(), bins.len() * trials), |(k, sample)| {
        let (bins, trial) = (&bins[sample / trials], sample % trials);
        let sum: f32 = bins.iter().map(|&b| activity[[trial, cells[k], b]]).sum();
        sum / bins.len() as f32
    })
}
