//! Can a decoder trained on one session read another?
//!
//! A decoder is trained on a Gram matrix over trials and turned into weights of
//! cells, with which any other session is read in one pass over its cells.

mod judge;
mod prepared;

use fluorspar_decode::relative_accuracy;
use rayon::prelude::*;

use super::context::{Basis, Context, Topic, Window};
use super::population::few;
use crate::table::MetricRow;
use judge::Judged;
use prepared::{Prepared, Reader};

/// Cross-validation within a session.
const FOLDS: usize = 5;
const REPEATS: usize = 2;

/// Labels of the test session are shuffled: the decoder never saw them.
const READ: Basis = Basis {
    unit: "test trials",
    null: "shuffled test labels",
};

/// The whole cross-validation is done again with shuffled labels.
const REFITTED: Basis = Basis {
    unit: "trials",
    null: "shuffled labels, refitted",
};

/// One pair of sessions, read with both normalisations.
struct Read {
    cells: usize,
    /// Cells in units of the training session.
    raw: Result<Judged, String>,
    /// Each session in its own units; nothing on the diagonal.
    renormalised: Option<Result<Judged, String>>,
}

/// Trains on session `i`, tests on `j`, for all pairs in both directions; on
/// the diagonal, cross-validates. Rows of
/// * `decoding`: balanced accuracy, cells in units of the training session;
/// * `decoding_renormalised`: the test session in its own units. What it gains
///   over `decoding` is drift of gain and baseline, not of tuning;
/// * `decoding_relative`: how much of what the training session's own decoder
///   knows is left, `(A_ij − chance) / (A_ii − chance)`.
pub(crate) fn rows(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
    number: u64,
) -> Vec<MetricRow> {
    let sessions = context.sessions.len();
    let classes = context.classes(variable);
    let prepared: Vec<Result<Prepared<'_>, String>> = (0..sessions)
        .into_par_iter()
        .map(|session| Prepared::new(context, window, session, variable, &classes))
        .collect();
    // Pairs i ≤ j, both directions at once: they share the list of cells.
    let found: Vec<Vec<(usize, usize, Read)>> = context
        .pairs(true)
        .into_par_iter()
        .map(|(i, j)| {
            let shared = context.roster.shared(i, j);
            let mut out = Vec::with_capacity(2);
            let cells: [Vec<usize>; 2] = [
                shared.iter().map(|s| s.i).collect(),
                shared.iter().map(|s| s.j).collect(),
            ];
            let task = number * (sessions * sessions) as u64;
            let here = |a: usize, b: usize| task + (a * sessions + b) as u64;
            if i == j {
                out.push((i, i, within(context, &prepared[i], &cells[0], here(i, i))));
            } else {
                let (a, b) = (&prepared[i], &prepared[j]);
                let forth = across(context, [a, b], [&cells[0], &cells[1]], here(i, j));
                let back = across(context, [b, a], [&cells[1], &cells[0]], here(j, i));
                out.push((i, j, forth));
                out.push((j, i, back));
            }
            out
        })
        .collect();
    let mut found: Vec<(usize, usize, Read)> = found.into_iter().flatten().collect();
    found.sort_by_key(|&(i, j, _)| (i, j));
    tables(context, window, variable, &classes, &found)
}

fn tables(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
    classes: &[i64],
    found: &[(usize, usize, Read)],
) -> Vec<MetricRow> {
    let topic = |metric| Topic {
        metric,
        epoch: &window.epoch.name,
        variable,
    };
    let mut out = Vec::with_capacity(3 * found.len());
    for (i, j, read) in found {
        let basis = if i == j { REFITTED } else { READ };
        let mut row = context.row(topic("decoding"), basis, *i, *j);
        fill(&mut row, read.cells, &read.raw);
        out.push(row);
    }
    for (i, j, read) in found {
        if let Some(renormalised) = &read.renormalised {
            let mut row = context.row(topic("decoding_renormalised"), READ, *i, *j);
            fill(&mut row, read.cells, renormalised);
            out.push(row);
        }
    }
    let chance = 1.0 / classes.len() as f64;
    for (i, j, read) in found.iter().filter(|(i, j, _)| i != j) {
        let own = found
            .iter()
            .find(|(a, b, _)| a == i && b == i)
            .map_or(Err(String::new()), |(_, _, own)| own.raw.clone());
        let basis = Basis { unit: "", null: "" };
        let mut row = context.row(topic("decoding_relative"), basis, *i, *j);
        row.n_cells = read.cells;
        match (&read.raw, &own) {
            // Without a lower end above chance the ratio means nothing.
            (Ok(raw), Ok(own)) if own.lo > chance => {
                row.value = relative_accuracy(raw.value, own.value, chance);
            }
            (Ok(_), Ok(_)) => {
                row.reason = "the training session is not reliably decoded itself".into();
            }
            (Err(reason), _) | (_, Err(reason)) => row.reason.clone_from(reason),
        }
        out.push(row);
    }
    out
}

fn fill(row: &mut MetricRow, cells: usize, judged: &Result<Judged, String>) {
    row.n_cells = cells;
    match judged {
        Ok(judged) => {
            (row.value, row.lo, row.hi, row.p) = (judged.value, judged.lo, judged.hi, judged.p);
        }
        Err(reason) => row.reason.clone_from(reason),
    }
}

fn within(
    context: &Context<'_>,
    own: &Result<Prepared<'_>, String>,
    cells: &[usize],
    task: u64,
) -> Read {
    let read = || {
        let own = own.as_ref().map_err(Clone::clone)?;
        let least = context.parameters.min_cells;
        if cells.len() < least {
            return Err(few(cells.len(), least));
        }
        judge::refitted(context.parameters, &own.gram(cells)?, own.labels, task)
    };
    Read {
        cells: cells.len(),
        raw: read(),
        renormalised: None,
    }
}

fn across(
    context: &Context<'_>,
    [train, test]: [&Result<Prepared<'_>, String>; 2],
    [cells_train, cells_test]: [&[usize]; 2],
    task: u64,
) -> Read {
    let least = context.parameters.min_cells;
    let reader = || {
        let train = train.as_ref().map_err(Clone::clone)?;
        let test = test.as_ref().map_err(Clone::clone)?;
        if cells_train.len() < least {
            return Err(few(cells_train.len(), least));
        }
        let reader = Reader::new(context.parameters, train, cells_train)?;
        Ok((reader, test))
    };
    let (raw, renormalised) = match reader() {
        Ok((reader, test)) => {
            let read = |own_units: bool| {
                let guesses = reader.read(test, cells_test, own_units)?;
                judge::read(context.parameters, test.labels, &guesses, task)
            };
            (read(false), read(true))
        }
        Err(reason) => (Err(reason.clone()), Err(reason)),
    };
    Read {
        cells: cells_train.len(),
        raw,
        renormalised: Some(renormalised),
    }
}
