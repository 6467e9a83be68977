//! Which cells join and leave, beside what two halves of one day show.

use rayon::prelude::*;

use super::super::context::{Context, Window};
use super::places::Places;
use super::tested::{Halves, name, statistic};
use crate::single_cell::{Turnover, chance_jaccard, turnover};
use crate::table::row;

row! {
    /// Selective cells of two sessions; a row of `turnover.csv`. Each half of
    /// one session is compared with each half of the other, the diagonal with
    /// itself, so that all rows rest on as many trials.
    TurnoverRow in "turnover" {
        /// Epoch of the trial.
        epoch: String,
        /// Label.
        variable: String,
        /// First session, from 1.
        session_i: usize,
        /// Second session, from 1; the same as the first on the diagonal, which is the floor.
        session_j: usize,
        /// Elapsed days of the first.
        day_i: f64,
        /// Elapsed days of the second.
        day_j: f64,
        /// Cells seen in both.
        n_cells: usize,
        /// Trials of each label in a half.
        half_trials_per_label: usize,
        /// Selective in both, mean over the comparisons.
        both: f64,
        /// In the first only.
        first_only: f64,
        /// In the second only.
        second_only: f64,
        /// Share of the second's that the first had not.
        gained: f64,
        /// Share of the first's that the second has not.
        lost: f64,
        /// On in both as a share of on in either.
        jaccard: f64,
        /// The same between halves of one session, mean of the two.
        jaccard_floor: f64,
        /// The same for independent sets with the mean share of cells.
        jaccard_chance: f64,
        /// On in both as a share of the mean number on.
        dice: f64,
        /// `(both − expected) / (greatest − expected)`.
        corrected_overlap: f64,
        /// The same between halves of one session, mean of the two.
        corrected_overlap_floor: f64,
        /// Share of the first's that are selective in the second.
        recurrence: f64,
        /// The same between halves of one session, mean of the two.
        recurrence_floor: f64,
        /// Share of all cells that are selective in the second.
        recurrence_chance: f64,
        /// What p is a probability of.
        test: &'static str,
        /// Seed of halves and exchanges.
        seed: u64,
        /// Why there is no value, or empty.
        reason: String,
    }
}

pub(super) fn rows(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    variable: &str,
    halves: &Halves,
) -> Vec<TurnoverRow> {
    let pairs = context.pairs(true);
    let mut out: Vec<TurnoverRow> = pairs
        .par_iter()
        .map(|&(i, j)| row(context, window, places, variable, halves, (i, j)))
        .collect();
    let of_diagonal = |read: fn(&TurnoverRow) -> f64| -> Vec<f64> {
        out.iter()
            .filter(|row| row.session_i == row.session_j)
            .map(read)
            .collect()
    };
    let jaccard = of_diagonal(|row| row.jaccard);
    let overlap = of_diagonal(|row| row.corrected_overlap);
    let recurrence = of_diagonal(|row| row.recurrence);
    for (row, (i, j)) in out.iter_mut().zip(pairs) {
        row.jaccard_floor = f64::midpoint(jaccard[i], jaccard[j]);
        row.corrected_overlap_floor = f64::midpoint(overlap[i], overlap[j]);
        row.recurrence_floor = f64::midpoint(recurrence[i], recurrence[j]);
    }
    out
}

fn row(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    variable: &str,
    halves: &Halves,
    (i, j): (usize, usize),
) -> TurnoverRow {
    let found = compare(context, places, halves, (i, j));
    let (found, reason) = match found {
        Ok(found) => (found, String::new()),
        Err(reason) => (None, reason),
    };
    let half = |count: fn(&Turnover) -> usize| found.map_or(f64::NAN, |t| count(&t) as f64 / 2.0);
    let read = |of: fn(&Turnover) -> f64| found.as_ref().map_or(f64::NAN, of);
    let share = |only: fn(&Turnover) -> usize| {
        found.map_or(f64::NAN, |t| (t.both + only(&t)) as f64 / t.cells as f64)
    };
    let (first, second) = (share(|t| t.first_only), share(|t| t.second_only));
    TurnoverRow {
        epoch: window.epoch.name.clone(),
        variable: variable.into(),
        session_i: i + 1,
        session_j: j + 1,
        day_i: context.sessions[i].day,
        day_j: context.sessions[j].day,
        n_cells: found.map_or(0, |t| t.cells / 2),
        half_trials_per_label: halves.per_label,
        both: half(|t| t.both),
        first_only: half(|t| t.first_only),
        second_only: half(|t| t.second_only),
        gained: read(Turnover::gained),
        lost: read(Turnover::lost),
        jaccard: read(Turnover::jaccard),
        jaccard_floor: f64::NAN,
        jaccard_chance: chance_jaccard(f64::midpoint(first, second)),
        dice: read(Turnover::dice),
        corrected_overlap: read(Turnover::corrected_overlap),
        corrected_overlap_floor: f64::NAN,
        recurrence: 1.0 - read(Turnover::lost),
        recurrence_floor: f64::NAN,
        recurrence_chance: second,
        test: name(statistic(context.classes(variable).len())),
        seed: context.parameters.seed,
        reason,
    }
}

/// Both crossed comparisons of halves, added up; an error says why there is none.
fn compare(
    context: &Context<'_>,
    places: &Places,
    halves: &Halves,
    (i, j): (usize, usize),
) -> Result<Option<Turnover>, String> {
    let first = halves.on[i].as_ref().map_err(Clone::clone)?;
    let second = halves.on[j].as_ref().map_err(Clone::clone)?;
    let shared: Vec<(usize, usize)> = places.shared(i, j).collect();
    let least = context.parameters.min_cells;
    if shared.len() < least {
        return Err(super::super::population::few(shared.len(), least));
    }
    let mut sum: Option<Turnover> = None;
    for (one, other) in [(0, 1), (1, 0)] {
        let a: Vec<Option<bool>> = shared.iter().map(|s| Some(first[one][s.0])).collect();
        let b: Vec<Option<bool>> = shared.iter().map(|s| Some(second[other][s.1])).collect();
        let found = turnover(&a, &b).map_err(|e| e.to_string())?;
        sum = Some(sum.map_or(found, |sum| Turnover {
            cells: sum.cells + found.cells,
            both: sum.both + found.both,
            first_only: sum.first_only + found.first_only,
            second_only: sum.second_only + found.second_only,
        }));
    }
    if sum.is_some_and(|t| t.both + t.first_only + t.second_only == 0) {
        return Err("no cell is selective in either half of either session".into());
    }
    Ok(sum)
}
