//! Cells matched wrongly.

use super::code::{Codes, Decline, Shared};
use super::finding::{Finding, Status};
use super::trend::lag_trend;
use super::trials::EpochTrials;
use crate::statistics::mean;
use crate::{Error, Parameters};

/// Thresholds of `p_same` that are tried.
const SWEEP: [f64; 7] = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99];
/// What counts as best-matched.
const BEST: f64 = 0.95;

/// A pair of sessions, counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackingPair {
    /// First session.
    pub i: usize,
    /// Second session.
    pub j: usize,
    /// Days between them.
    pub days: f64,
    /// Expected share of wrong matches among the cells compared, `1 − mean p_i p_j`.
    pub wrong: f64,
    /// Similarity that a code which never changed would show with these
    /// wrong matches, `1 − wrong`.
    pub expected: f64,
    /// Similarity found.
    pub similarity: f64,
    /// Similarity found, divided by `expected`.
    pub without_wrong: f64,
    /// Cells compared.
    pub n_cells: usize,
}

/// What a stricter threshold does.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackingThreshold {
    /// Least `p_same` in both sessions.
    pub p_same: f64,
    /// Mean similarity over pairs.
    pub similarity: f64,
    /// Change of similarity per day.
    pub per_day: f64,
    /// Mean expected share of wrong matches.
    pub wrong: f64,
    /// Mean number of cells of a pair.
    pub n_cells: f64,
    /// Pairs with a value.
    pub n_pairs: usize,
}

/// How far wrong matches can explain the drift.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracking {
    /// Mean `p_same` of the cells seen, per session; NaN where it is not known.
    pub p_same: Vec<f64>,
    /// Every pair of sessions at the analysis's own threshold.
    pub pairs: Vec<TrackingPair>,
    /// Thresholds 0 to 0.99.
    pub sweep: Vec<TrackingThreshold>,
    /// `wrong_matches`, `wrong_matches_over_lag`, `best_matched_cells`.
    pub findings: Vec<Finding>,
}

/// Wrong matches: a share `f` of them multiplies similarity by `1 − f`. A
/// constant share lowers the level; one that grows with the days between
/// sessions *is* apparent drift.
///
/// # Errors
/// [`Error::Session`], [`Error::Nothing`], [`Error::NotFinite`] for malformed input.
pub fn tracking(sessions: &[EpochTrials<'_>], parameters: &Parameters) -> Result<Tracking, Error> {
    Ok(of(&Codes::of(sessions, None, parameters)?, parameters))
}

pub(crate) fn of(codes: &Codes<'_, '_>, parameters: &Parameters) -> Tracking {
    let sessions = codes.sessions;
    let p_same: Vec<f64> = sessions.iter().map(mean_p).collect();
    let at = |threshold: f64| {
        let keep = move |i: usize, j: usize, cell: Shared| {
            sessions[i].sure(cell.i) >= threshold && sessions[j].sure(cell.j) >= threshold
        };
        codes.pairs(&keep)
    };
    let wrong_at = |i: usize, j: usize, threshold: f64| {
        let right: Vec<f64> = codes
            .shared(i, j)
            .iter()
            .map(|cell| (sessions[i].sure(cell.i), sessions[j].sure(cell.j)))
            .filter(|(p, q)| *p >= threshold && *q >= threshold)
            .map(|(p, q)| p * q)
            .collect();
        1.0 - mean(&right)
    };
    let found = at(parameters.min_p_same);
    let pairs: Vec<TrackingPair> = found
        .iter()
        .map(|pair| {
            let wrong = wrong_at(pair.i, pair.j, parameters.min_p_same);
            let expected = 1.0 - wrong;
            TrackingPair {
                i: pair.i,
                j: pair.j,
                days: pair.days,
                wrong,
                expected,
                similarity: pair.value,
                without_wrong: if expected > 0.0 {
                    pair.value / expected
                } else {
                    f64::NAN
                },
                n_cells: pair.n_cells,
            }
        })
        .collect();
    if p_same.iter().all(|p| p.is_nan()) {
        let why = "no session says how probable its cells' identities are (p_same)";
        let findings = [
            "wrong_matches",
            "wrong_matches_over_lag",
            "best_matched_cells",
        ]
        .map(|check| Finding::not_checked(check, why))
        .into();
        return Tracking {
            p_same,
            pairs,
            sweep: Vec::new(),
            findings,
        };
    }
    let sweep = SWEEP
        .iter()
        .map(|&threshold| {
            let at_threshold = at(threshold);
            let decline = Decline::of(&at_threshold, |_| true);
            let wrong: Vec<f64> = at_threshold
                .iter()
                .map(|pair| wrong_at(pair.i, pair.j, threshold))
                .filter(|f| f.is_finite())
                .collect();
            let cells: Vec<f64> = at_threshold
                .iter()
                .map(|pair| pair.n_cells as f64)
                .collect();
            TrackingThreshold {
                p_same: threshold,
                similarity: decline.mean,
                per_day: decline.per_day,
                wrong: mean(&wrong),
                n_cells: mean(&cells),
                n_pairs: decline.pairs,
            }
        })
        .collect();
    let (all, best) = Decline::both(&found, &at(BEST));
    let findings = vec![
        level(&pairs),
        over_lag(
            &pairs,
            &codes.days(),
            &Decline::of(&found, |_| true),
            parameters,
        ),
        best_matched(&all, &best, parameters),
    ];
    Tracking {
        p_same,
        pairs,
        sweep,
        findings,
    }
}

fn mean_p(session: &EpochTrials<'_>) -> f64 {
    session.p_same.as_ref().map_or(f64::NAN, |p| {
        let seen: Vec<f64> = (0..p.len())
            .filter(|&k| session.seen[k])
            .map(|k| p[k])
            .collect();
        mean(&seen)
    })
}

fn level(pairs: &[TrackingPair]) -> Finding {
    let shares: Vec<f64> = pairs
        .iter()
        .map(|p| p.wrong)
        .filter(|f| f.is_finite())
        .collect();
    if shares.is_empty() {
        return Finding::not_checked("wrong_matches", "no two sessions share a sure enough cell");
    }
    let wrong = mean(&shares);
    let status = match wrong {
        f if f < 0.05 => Status::Fine,
        f if f < 0.2 => Status::Look,
        _ => Status::Problem,
    };
    Finding::new("wrong_matches", wrong, shares.len()).says(
        status,
        format!(
            "{:.1} % of the matches between two sessions are expected to be wrong: a code that never changed would show a similarity of {:.2}.",
            100.0 * wrong,
            1.0 - wrong
        ),
    )
}

fn over_lag(
    pairs: &[TrackingPair],
    days: &[f64],
    decline: &Decline,
    parameters: &Parameters,
) -> Finding {
    const CHECK: &str = "wrong_matches_over_lag";
    const NULL: &str = "wrong matches do not depend on the days between sessions";
    let shares: Vec<f64> = pairs
        .iter()
        .map(|p| p.wrong)
        .filter(|f| f.is_finite())
        .collect();
    let most = shares.iter().fold(0.0_f64, |a, &b| a.max(b));
    let least = shares.iter().fold(1.0_f64, |a, &b| a.min(b));
    if most - least < 1e-9 && !shares.is_empty() {
        return Finding::new(CHECK, 0.0, shares.len()).says(
            Status::Fine,
            "Wrong matches are as frequent at every distance in days.".into(),
        );
    }
    let points: Vec<_> = pairs.iter().map(|p| (p.i, p.j, p.wrong)).collect();
    let trend = match lag_trend(&points, days, parameters.permutations, parameters.seed) {
        Ok(trend) => trend,
        Err(why) => return Finding::not_checked(CHECK, why.to_string()),
    };
    // The share of the decline that such matches make out of a code that stays.
    let apparent = trend.slope * decline.mean / (1.0 - mean(&shares));
    let share = apparent / -decline.per_day;
    let finding = Finding::new(CHECK, trend.slope, trend.n).tested(trend.p, NULL);
    if trend.p >= 0.05 || trend.slope <= 0.0 {
        let sentence = "Wrong matches do not become more frequent with the days between sessions.";
        return finding.says(Status::Fine, sentence.into());
    }
    let growth = format!(
        "Wrong matches become more frequent by {:.2} percentage points per day between sessions",
        100.0 * trend.slope
    );
    if !(decline.per_day < 0.0 && share.is_finite()) {
        let sentence = format!("{growth}, but similarity does not fall with days.");
        return finding.says(Status::Look, sentence);
    }
    let status = if share > 0.25 {
        Status::Problem
    } else {
        Status::Look
    };
    finding.says(
        status,
        format!(
            "{growth}, which would account for {:.0} % of the fall of similarity.",
            100.0 * share.min(1.0)
        ),
    )
}

fn best_matched(all: &Decline, best: &Decline, parameters: &Parameters) -> Finding {
    const CHECK: &str = "best_matched_cells";
    let (difference, (lo, hi)) = best.per_day_difference(all, parameters.confidence);
    if !lo.is_finite() {
        let why = format!("too few pairs of sessions share cells with p_same of at least {BEST}");
        return Finding::not_checked(CHECK, why);
    }
    let status = if lo <= 0.0 {
        Status::Fine
    } else if all.per_day < 0.0 && difference > -0.5 * all.per_day {
        Status::Problem
    } else {
        Status::Look
    };
    Finding::new(CHECK, difference, best.pairs).within((lo, hi)).says(
        status,
        format!(
            "Similarity changes by {:+.4} per day on all cells and by {:+.4} on those matched best (p_same ≥ {BEST}){}.",
            all.per_day,
            best.per_day,
            if lo > 0.0 {
                ": part of the drift goes with doubtful matches"
            } else {
                ", no less within the error"
            }
        ),
    )
}
