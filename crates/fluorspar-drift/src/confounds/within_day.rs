//! Does the code change within a session?

use super::code::{Codes, Decline, GROUPS, PairSimilarity, Response, Sums};
use super::finding::{Finding, Status};
use super::trials::EpochTrials;
use crate::{Error, Parameters};

/// One session.
#[derive(Clone, Debug, PartialEq)]
pub struct WithinDayRow {
    /// Corrected similarity of the first and the last third of the trials, or NaN.
    pub first_last: f64,
    /// Its change per trial between the middles of the two.
    pub per_trial: f64,
    /// Its change per hour, if onsets are known; or NaN.
    pub per_hour: f64,
    /// Corrected similarity with the session before, all trials; NaN for the first.
    pub to_last_session: f64,
    /// Why `first_last` is NaN, or empty.
    pub reason: String,
}

/// Change within sessions and between them.
#[derive(Clone, Debug, PartialEq)]
pub struct WithinDay {
    /// One row per session.
    pub sessions: Vec<WithinDayRow>,
    /// Mean similarity of first and last thirds.
    pub within: f64,
    /// Mean similarity of neighbouring sessions.
    pub between: f64,
    /// `within_session`, `within_against_between`.
    pub findings: Vec<Finding>,
}

/// First against last third of each session, freed of trial noise, beside the
/// gap to the session before. If the code changes as much within a session as
/// from one to the next, days are not what drives it. `onset_s` holds the
/// onset of each trial of each session, seconds, if known.
///
/// # Errors
/// As [`super::tracking()`]; [`Error::Shape`] if the onsets do not fit.
pub fn within_day(
    sessions: &[EpochTrials<'_>],
    onset_s: Option<&[Vec<f64>]>,
    parameters: &Parameters,
) -> Result<WithinDay, Error> {
    of(&Codes::of(sessions, None, parameters)?, onset_s, parameters)
}

pub(crate) fn of(
    codes: &Codes<'_, '_>,
    onset_s: Option<&[Vec<f64>]>,
    parameters: &Parameters,
) -> Result<WithinDay, Error> {
    let sessions = codes.sessions;
    if onset_s.is_some_and(|onsets| {
        onsets.len() != sessions.len()
            || onsets
                .iter()
                .zip(sessions)
                .any(|(o, s)| o.len() != s.labels.len())
    }) {
        return Err(Error::Shape(
            "the onsets are not those of the trials".into(),
        ));
    }
    let thirds: Vec<PairSimilarity> = (0..sessions.len())
        .map(|k| third(codes, k, parameters))
        .collect();
    let all = codes.pairs(&|i, j, cell| {
        let least = parameters.min_p_same;
        j == i + 1 && sessions[i].sure(cell.i) >= least && sessions[j].sure(cell.j) >= least
    });
    let gap = |k: usize| all.iter().find(|pair| pair.i + 1 == k && pair.j == k);
    let rows = thirds
        .iter()
        .enumerate()
        .map(|(k, pair)| {
            let trials = sessions[k].labels.len();
            let apart = (trials - trials / 3) as f64;
            let hours = onset_s.map_or(f64::NAN, |onsets| {
                let onset = &onsets[k];
                let middle = |part: &[f64]| crate::statistics::mean(part) / 3600.0;
                middle(&onset[trials - trials / 3..]) - middle(&onset[..trials / 3])
            });
            let per = |span: f64| {
                if span > 0.0 {
                    (pair.value - 1.0) / span
                } else {
                    f64::NAN
                }
            };
            WithinDayRow {
                first_last: pair.value,
                per_trial: per(apart),
                per_hour: per(hours),
                to_last_session: gap(k).map_or(f64::NAN, |pair| pair.value),
                reason: pair.reason.clone(),
            }
        })
        .collect();
    let within = Decline::of(&thirds, |_| true);
    let between = Decline::of(&all, |k| all[k].j == all[k].i + 1);
    let findings = vec![
        stays(&within, &thirds, parameters),
        against(&within, &between, parameters),
    ];
    Ok(WithinDay {
        sessions: rows,
        within: within.mean,
        between: between.mean,
        findings,
    })
}

/// Similarity of the first and the last third of session `k`.
fn third(codes: &Codes<'_, '_>, k: usize, parameters: &Parameters) -> PairSimilarity {
    let session = &codes.sessions[k];
    let trials = session.labels.len();
    let first: Vec<usize> = (0..trials / 3).collect();
    let last: Vec<usize> = (trials - trials / 3..trials).collect();
    let of = |picked: &[usize]| Response::of(session, picked, parameters.min_trials);
    match (of(&first), of(&last)) {
        (Ok(a), Ok(b)) if a.classes() == b.classes() => Sums::of(
            &a,
            &b,
            &codes.unit,
            codes.shared(k, k).into_iter(),
        )
        .pair(k, k, 0.0, parameters.min_cells),
        (Err(why), _) | (_, Err(why)) => undefined(k, format!("in a third {why}")),
        _ => undefined(k, "the thirds have other labels".into()),
    }
}

fn undefined(k: usize, reason: String) -> PairSimilarity {
    PairSimilarity {
        i: k,
        j: k,
        days: 0.0,
        value: f64::NAN,
        n_cells: 0,
        reason,
        left_out: [f64::NAN; GROUPS],
    }
}

fn stays(within: &Decline, thirds: &[PairSimilarity], parameters: &Parameters) -> Finding {
    const CHECK: &str = "within_session";
    let (lo, hi) = within.mean_interval(parameters.confidence);
    if !lo.is_finite() {
        let why = thirds
            .iter()
            .find(|pair| !pair.reason.is_empty())
            .map_or("there is no session", |pair| &pair.reason);
        return Finding::not_checked(CHECK, why);
    }
    let status = match within.mean {
        _ if hi >= 1.0 => Status::Fine,
        v if v > 0.8 => Status::Look,
        _ => Status::Problem,
    };
    Finding::new(CHECK, within.mean, within.pairs).within((lo, hi)).says(
        status,
        format!(
            "The codes of the first and the last third of a session have a similarity of {:.2}{}.",
            within.mean,
            if status == Status::Fine { ", 1 within the error" } else { ": the code changes within a session" }
        ),
    )
}

fn against(within: &Decline, between: &Decline, parameters: &Parameters) -> Finding {
    const CHECK: &str = "within_against_between";
    let (difference, (lo, hi)) = within.mean_difference(between, parameters.confidence);
    if !lo.is_finite() {
        let why = "thirds of sessions or neighbouring sessions give no similarity";
        return Finding::not_checked(CHECK, why);
    }
    let (lost, gap) = (1.0 - within.mean, 1.0 - between.mean);
    let changes = within.mean_interval(parameters.confidence).1 < 1.0;
    let status = match lost / gap {
        _ if !changes => Status::Fine,
        share if share < 0.5 && gap > 0.0 => Status::Look,
        _ => Status::Problem,
    };
    Finding::new(CHECK, difference, between.pairs).within((lo, hi)).says(
        status,
        format!(
            "Similarity falls by {lost:.2} within a session and by {gap:.2} from one session to the next{}.",
            if status == Status::Problem { ": much of the change does not need a night between" } else { "" }
        ),
    )
}
