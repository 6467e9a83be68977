//! Mean patterns of two halves of the trials, and their inner products.

use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::super::cells::Shared;
use super::super::context::{Context, Window};
use super::super::population::outside;
use crate::random::{Domain, stream};
use crate::similarity::linear::product;

/// Parts into which cells are dealt for the jackknife.
pub(super) const PARTS: usize = 10;

/// Means over the trials of two halves of a session.
pub(super) struct Patterns {
    /// `(cell, half × condition)`.
    values: Array2<f32>,
    pub(super) conditions: usize,
}

/// Every session's patterns, all from the same number of trials.
pub(super) fn all(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
) -> Vec<Result<Patterns, String>> {
    let trials = trials_of_halves(context, window, variable);
    trials
        .par_iter()
        .enumerate()
        .map(|(session, halves)| {
            let halves = halves.as_ref().map_err(Clone::clone)?;
            Ok(means(context, session, &window.bins[session], halves))
        })
        .collect()
}

/// For each session and half the trials of each class, as many of every
/// class, half and session as there are of the scarcest.
pub(super) fn trials_of_halves(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
) -> Vec<Result<[Vec<Vec<usize>>; 2], String>> {
    let classes = context.classes(variable);
    let members: Vec<Result<Vec<Vec<usize>>, String>> = (0..context.sessions.len())
        .map(|session| {
            if window.bins[session].is_empty() {
                return Err(outside(session));
            }
            if variable.is_empty() {
                let trials = context.sessions[session].activity.dim().0;
                return if trials < 2 {
                    Err(format!(
                        "session {} has {trials} trials; two halves are needed",
                        session + 1
                    ))
                } else {
                    Ok(vec![(0..trials).collect()])
                };
            }
            match context.shortage(session, variable, &classes) {
                Some(reason) => Err(reason),
                None => Ok(context.members(session, variable, &classes)),
            }
        })
        .collect();
    let scarcest = members
        .iter()
        .flatten()
        .flatten()
        .map(Vec::len)
        .min()
        .unwrap_or(0);
    let each = scarcest / 2;
    members
        .into_iter()
        .map(|members| {
            // Every second trial, so that a slow change within the session is in both halves.
            let half = |first: usize| -> Result<Vec<Vec<usize>>, String> {
                let members = members.as_ref().map_err(Clone::clone)?;
                Ok(members
                    .iter()
                    .map(|trials| {
                        trials
                            .iter()
                            .copied()
                            .skip(first)
                            .step_by(2)
                            .take(each)
                            .collect()
                    })
                    .collect())
            };
            Ok([half(0)?, half(1)?])
        })
        .collect()
}

fn means(
    context: &Context<'_>,
    session: usize,
    bins: &[Vec<usize>],
    halves: &[Vec<Vec<usize>>; 2],
) -> Patterns {
    let activity = &context.sessions[session].activity;
    let (_, cells, _) = activity.dim();
    let conditions = halves[0].len() * bins.len();
    let mut values = Array2::zeros((cells, 2 * conditions));
    for (place, trials) in halves.iter().flatten().enumerate() {
        for &trial in trials {
            let of_trial = activity.index_axis(Axis(0), trial);
            for (course, mut out) in of_trial.rows().into_iter().zip(values.rows_mut()) {
                for (b, bins_of) in bins.iter().enumerate() {
                    let sum: f32 = bins_of.iter().map(|&t| course[t]).sum();
                    out[place * bins.len() + b] += sum / (bins_of.len() * trials.len()) as f32;
                }
            }
        }
    }
    Patterns { values, conditions }
}

/// Which part of the jackknife each cell of the experiment belongs to.
pub(super) struct Groups(Vec<u8>);

impl Groups {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let mut order: Vec<usize> = (0..context.roster.cells).collect();
        let seed = context.parameters.seed;
        order.shuffle(&mut stream(seed, Domain::Cells, u64::from(u32::MAX) - 1));
        let mut part = vec![0; order.len()];
        for (place, cell) in order.into_iter().enumerate() {
            part[cell] = (place % PARTS) as u8;
        }
        Self(part)
    }
}

/// For each part of the cells the inner products of the patterns
/// `[a half 1, a half 2, b half 1, b half 2]`, or of a's halves alone.
pub(super) fn products(
    groups: &Groups,
    shared: &[Shared],
    a: &Patterns,
    b: Option<&Patterns>,
) -> Result<Vec<Array2<f64>>, String> {
    if b.is_some_and(|b| b.conditions != a.conditions) {
        return Err("the sessions have different numbers of time bins in the epoch".into());
    }
    let width = 2 * a.conditions;
    let columns = if b.is_some() { 2 * width } else { width };
    Ok((0..PARTS)
        .map(|part| {
            let cells: Vec<&Shared> = shared
                .iter()
                .filter(|cell| usize::from(groups.0[cell.global]) == part)
                .collect();
            let mut x = Array2::zeros((cells.len(), columns));
            for (cell, mut row) in cells.iter().zip(x.rows_mut()) {
                let of_b = b.map(|b| b.values.row(cell.j));
                let both = a
                    .values
                    .row(cell.i)
                    .into_iter()
                    .chain(of_b.into_iter().flatten());
                for (slot, &value) in row.iter_mut().zip(both) {
                    *slot = f64::from(value);
                }
            }
            product(x.t(), x.view())
        })
        .collect())
}
