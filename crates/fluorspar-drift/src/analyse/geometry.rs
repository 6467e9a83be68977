//! Where codes move between two sessions: how far, inside or beside the
//! coding axes, inside the space of the most variance, along the trial noise.

mod moves;

use rayon::prelude::*;

use super::cells::Pair;
use super::context::{Basis, Context, Topic, Window};
use super::population::{few, outside};
use crate::table::MetricRow;
use moves::{Move, Parts};

/// Rows of all pairs `i < j`; of `drift_square` also the diagonal, with the
/// move from the first to the second half of a session.
pub(super) fn rows<'a>(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
    topic: impl Fn(&'static str) -> Topic<'a> + Sync,
) -> Vec<MetricRow> {
    let classes = context.classes(variable);
    let trials: Vec<Result<Vec<Vec<usize>>, String>> = (0..context.sessions.len())
        .map(|session| {
            if window.bins[session].is_empty() {
                return Err(outside(session));
            }
            match context.shortage(session, variable, &classes) {
                Some(reason) => Err(reason),
                None => Ok(context.members(session, variable, &classes)),
            }
        })
        .collect();
    let by_pair: Vec<Vec<MetricRow>> = context
        .pairs(true)
        .par_iter()
        .map(|&(i, j)| {
            let shared = context.roster.shared(i, j);
            let parts = match (&trials[i], &trials[j]) {
                (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
                _ if shared.len() < context.parameters.min_cells => {
                    Err(few(shared.len(), context.parameters.min_cells))
                }
                (Ok(first), Ok(second)) => Parts::new(i, j, first, second),
            };
            let moved = parts.map(|parts| Move::new(context, window, (i, j), &shared, parts));
            match moved {
                Ok(moved) => rows_of(context, &topic, (i, j), &moved),
                Err(reason) => refused(context, &topic, (i, j), shared.len(), &reason),
            }
        })
        .collect();
    by_pair.into_iter().flatten().collect()
}

const SQUARE: &str = "drift_square";
const RELATIVE: &str = "drift_relative";
const CODING: &str = "drift_coding_share";
const CODING_CHANCE: &str = "drift_coding_share_chance";
const VARIATIONAL: &str = "drift_variational_share";
const VARIATIONAL_CHANCE: &str = "drift_variational_share_chance";
const ALIGNMENT: &str = "drift_noise_alignment";

fn rows_of<'a>(
    context: &Context<'_>,
    topic: &impl Fn(&'static str) -> Topic<'a>,
    (i, j): (usize, usize),
    moved: &Move,
) -> Vec<MetricRow> {
    let n_cells = moved.n_cells;
    let magnitude = |name: &'static str, values: Vec<f64>, reason: &str| {
        let pair = pair_of((i, j), n_cells, values, reason);
        context.row_of(topic(name), &pair, "")
    };
    let mut out = vec![magnitude(
        SQUARE,
        moved.square(),
        "the session has no cells",
    )];
    if i == j {
        return out;
    }
    let still = "the move is not above what trial noise makes of it";
    out.push(magnitude(RELATIVE, moved.relative(), still));
    out.push(magnitude(CODING, moved.coding_share(), still));
    let plain = Basis { unit: "", null: "" };
    let mut chance = context.row(topic(CODING_CHANCE), plain, i, j);
    (chance.n_cells, chance.value) = (n_cells, moved.coding_chance());
    out.push(chance);
    let random = Basis {
        unit: "random directions",
        null: "a random direction",
    };
    let mut variational = context.row(topic(VARIATIONAL), plain, i, j);
    let mut variational_chance = context.row(topic(VARIATIONAL_CHANCE), plain, i, j);
    let mut alignment = context.row(topic(ALIGNMENT), random, i, j);
    for row in [&mut variational, &mut variational_chance, &mut alignment] {
        row.n_cells = n_cells;
    }
    match moved.in_spaces(context.parameters.permutations, context.parameters.seed) {
        Ok(found) => {
            variational.value = found.variational_share;
            variational_chance.value = found.variational_chance;
            match found.alignment {
                Ok(found) => (alignment.value, alignment.p) = (found.alignment, found.p),
                Err(reason) => alignment.reason = reason,
            }
        }
        Err(reason) => {
            for row in [&mut variational, &mut variational_chance, &mut alignment] {
                row.reason.clone_from(&reason);
            }
        }
    }
    out.extend([variational, variational_chance, alignment]);
    out
}

/// The first of `values` with the others as resamples; refused with `reason`
/// if more than one in twenty has no value.
fn pair_of((i, j): (usize, usize), n_cells: usize, values: Vec<f64>, reason: &str) -> Pair {
    let resampled = values[1..].to_vec();
    let failed = resampled.iter().filter(|v| !v.is_finite()).count();
    if !values[0].is_finite() || 20 * failed > resampled.len() {
        return Pair::undefined(i, j, n_cells, reason.into());
    }
    Pair {
        i,
        j,
        value: values[0],
        resampled,
        n_cells,
        reason: String::new(),
    }
}

fn refused<'a>(
    context: &Context<'_>,
    topic: &impl Fn(&'static str) -> Topic<'a>,
    (i, j): (usize, usize),
    n_cells: usize,
    reason: &str,
) -> Vec<MetricRow> {
    let names: &[&'static str] = if i == j {
        &[SQUARE]
    } else {
        &[
            SQUARE,
            RELATIVE,
            CODING,
            CODING_CHANCE,
            VARIATIONAL,
            VARIATIONAL_CHANCE,
            ALIGNMENT,
        ]
    };
    let plain = Basis { unit: "", null: "" };
    names
        .iter()
        .map(|name| {
            let mut row = context.row(topic(name), plain, i, j);
            row.n_cells = n_cells;
            reason.clone_into(&mut row.reason);
            row
        })
        .collect()
}
