//! Cells that were not detected because they were silent.

use super::code::{Codes, Decline, Shared};
use super::finding::{Finding, Status};
use super::trials::EpochTrials;
use crate::{Error, Parameters};

/// The cells of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct PresenceRow {
    /// Cells seen.
    pub seen: usize,
    /// Cells seen that are never active.
    pub silent: usize,
    /// Cells seen in another session and not in this one.
    pub missing: usize,
}

/// What the choice of cells does to the similarity.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// One row per session.
    pub sessions: Vec<PresenceRow>,
    /// Cells seen in both sessions of a pair, `(i, j, cells)`.
    pub pairs: Vec<(usize, usize, usize)>,
    /// Cells seen in every session.
    pub in_all: usize,
    /// Similarity on the cells that each pair shares.
    pub pairwise: Decline,
    /// Similarity on the cells seen in all sessions.
    pub everywhere: Decline,
    /// `undetected_cells`, `cells_in_all_sessions`.
    pub findings: Vec<Finding>,
}

/// Undetected is not silent. Finding cells by their activity drops those that
/// fell silent; asking for presence in all sessions keeps the steady ones and
/// under-estimates drift.
///
/// # Errors
/// [`Error::Session`], [`Error::Nothing`], [`Error::NotFinite`] for malformed input.
pub fn presence(sessions: &[EpochTrials<'_>], parameters: &Parameters) -> Result<Presence, Error> {
    Ok(of(&Codes::of(sessions, None, parameters)?, parameters))
}

pub(crate) fn of(codes: &Codes<'_, '_>, parameters: &Parameters) -> Presence {
    let (sessions, times) = (codes.sessions, &codes.times_seen);
    let in_all = times.iter().filter(|&&n| n == sessions.len()).count();
    let known = times.iter().filter(|&&n| n > 0).count();
    let rows: Vec<PresenceRow> = sessions
        .iter()
        .map(|session| {
            let seen: Vec<usize> = (0..session.cell.len())
                .filter(|&k| session.seen[k])
                .collect();
            PresenceRow {
                seen: seen.len(),
                silent: seen.iter().filter(|&&k| !session.active[k]).count(),
                missing: known.saturating_sub(seen.len()),
            }
        })
        .collect();
    let sure = |i: usize, j: usize, cell: Shared| {
        let least = parameters.min_p_same;
        sessions[i].sure(cell.i) >= least && sessions[j].sure(cell.j) >= least
    };
    let shared = codes.pairs(&sure);
    let everywhere =
        codes.pairs(&|i, j, cell| sure(i, j, cell) && times[cell.rank] == sessions.len());
    let pairs = shared
        .iter()
        .map(|pair| (pair.i, pair.j, pair.n_cells))
        .collect();
    let (pairwise, everywhere) = Decline::both(&shared, &everywhere);
    let findings = vec![
        undetected(&rows, known),
        rule(&pairwise, &everywhere, in_all, parameters),
    ];
    Presence {
        sessions: rows,
        pairs,
        in_all,
        pairwise,
        everywhere,
        findings,
    }
}

fn undetected(rows: &[PresenceRow], known: usize) -> Finding {
    const CHECK: &str = "undetected_cells";
    let slots = known * rows.len();
    if slots == 0 {
        return Finding::not_checked(CHECK, "no cell was seen");
    }
    let missing: usize = rows.iter().map(|row| row.missing).sum();
    let silent: usize = rows.iter().map(|row| row.silent).sum();
    let share = missing as f64 / slots as f64;
    let finding = Finding::new(CHECK, share, slots);
    if missing == 0 {
        return finding.says(Status::Fine, "Every cell was seen in every session.".into());
    }
    let missing = format!(
        "{:.0} % of the cells are missing from a session",
        100.0 * share
    );
    if silent == 0 {
        return finding.says(
            Status::Look,
            format!(
                "{missing} and none is present but silent: if cells are found by their activity, those that fell silent are missing, and drift is under-estimated."
            ),
        );
    }
    let status = if share < 0.3 {
        Status::Fine
    } else {
        Status::Look
    };
    finding.says(
        status,
        format!("{missing}; silent ones are told apart from them."),
    )
}

fn rule(
    pairwise: &Decline,
    everywhere: &Decline,
    in_all: usize,
    parameters: &Parameters,
) -> Finding {
    const CHECK: &str = "cells_in_all_sessions";
    let (difference, (lo, hi)) = everywhere.mean_difference(pairwise, parameters.confidence);
    if !lo.is_finite() {
        let why = format!("the {in_all} cells seen in all sessions give no similarity to compare");
        return Finding::not_checked(CHECK, why);
    }
    let differs = lo > 0.0 || hi < 0.0;
    let status = match difference.abs() {
        _ if !differs => Status::Fine,
        d if d < 0.1 => Status::Look,
        _ => Status::Problem,
    };
    Finding::new(CHECK, difference, pairwise.pairs).within((lo, hi)).says(
        status,
        format!(
            "Mean similarity is {:.3} on the cells that each pair of sessions shares and {:.3} on the {in_all} seen in all sessions{}.",
            pairwise.mean,
            everywhere.mean,
            if differs { ": the choice of cells changes the answer" } else { ", the same within the error" }
        ),
    )
}
