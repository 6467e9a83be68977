//! From activity to notes.

use std::collections::HashMap;

use fluorspar_drift::single_cell::{half_means, peak_bins, spearman, time_reliability};

use crate::Outcome;
use crate::sessions::Day;

/// A note of one session.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// When in the trial, 0 to 1.
    pub(crate) at: f64,
    /// Step on the scale, 0 the lowest; a cell's own in all sessions.
    pub(crate) step: usize,
    /// 0 to 1: how alike the cell's two halves of the trials are.
    pub(crate) loudness: f64,
}

/// What is played.
pub(crate) struct Score {
    /// Cells that all sessions have.
    pub(crate) shared: usize,
    /// Per session, one note per cell, the cells in one order.
    pub(crate) notes: Vec<Vec<Note>>,
}

/// A cell in the odd and in the even trials of a session.
#[derive(Clone, Copy)]
struct Halves {
    /// Time of the peak in the odd trials, 0 to 1.
    odd: f64,
    /// And in the even trials.
    even: f64,
    /// Correlation of the two over time.
    alike: f64,
}

/// Every cell that all sessions have and that is reliable enough becomes a
/// note: its pitch is the rank of its peak in the last session's odd trials,
/// and played is its peak in the even trials of each session. So even the last
/// session is in tune only if the code is there in trials that did not choose
/// the pitches.
pub(crate) fn compose(days: &[Day], most: usize) -> Outcome<Score> {
    let Some(last) = days.last() else {
        return Err("no session-NN.npz found".into());
    };
    let known: Vec<HashMap<i64, Halves>> = days.iter().map(halves).collect::<Outcome<_>>()?;
    let mut cells: Vec<(i64, Vec<Halves>)> = last
        .cell
        .iter()
        .filter_map(|cell| {
            let in_all: Option<Vec<Halves>> =
                known.iter().map(|day| day.get(cell).copied()).collect();
            Some((*cell, in_all?))
        })
        .collect();
    let shared = cells.len();
    if shared < 2 {
        return Err("fewer than two cells have activity in all sessions".into());
    }
    let sureness = |halves: &[Halves]| halves.iter().map(|h| h.alike).sum::<f64>();
    cells.sort_by(|a, b| {
        sureness(&b.1)
            .total_cmp(&sureness(&a.1))
            .then(a.0.cmp(&b.0))
    });
    cells.truncate(most);
    let at_last = |halves: &[Halves]| halves.last().map_or(0.0, |h| h.odd);
    cells.sort_by(|a, b| at_last(&a.1).total_cmp(&at_last(&b.1)).then(a.0.cmp(&b.0)));
    let session = |index: usize| {
        let note = |(step, (_, halves)): (usize, &(i64, Vec<Halves>))| Note {
            at: halves[index].even,
            step,
            loudness: halves[index].alike.clamp(0.0, 1.0),
        };
        cells.iter().enumerate().map(note).collect()
    };
    Ok(Score {
        shared,
        notes: (0..days.len()).map(session).collect(),
    })
}

/// The cells of a session by identity, without those that are silent or were
/// not measured in a half of the trials.
fn halves(day: &Day) -> Outcome<HashMap<i64, Halves>> {
    let (trials, _, bins) = day.activity.dim();
    let trials: Vec<usize> = (0..trials).collect();
    let [odd, even] = half_means(day.activity.view(), &trials)?;
    let alike = time_reliability(odd.view(), even.view())?;
    let time = |bin: usize| (bin as f64 + 0.5) / bins as f64;
    let peaks = peak_bins(odd.view())
        .into_iter()
        .zip(peak_bins(even.view()));
    Ok(day
        .cell
        .iter()
        .zip(peaks.zip(alike))
        .filter_map(|(&cell, ((odd, even), alike))| {
            let halves = Halves {
                odd: time(odd?),
                even: time(even?),
                alike,
            };
            alike.is_finite().then_some((cell, halves))
        })
        .collect())
}

/// Rank correlation of two sessions' orders.
pub(crate) fn likeness(a: &[Note], b: &[Note]) -> Outcome<f64> {
    let times = |notes: &[Note]| -> Vec<f64> { notes.iter().map(|note| note.at).collect() };
    Ok(spearman(&times(a), &times(b))?)
}
