//! Performance, and how much data each session has.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, Normal};

use super::code::Codes;
use super::finding::{Finding, Status};
use super::trend::{constancy, trend};
use super::trials::EpochTrials;
use crate::statistics::mean;
use crate::{Error, Parameters};

/// Trials of a go/no-go task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Go, answered.
    pub hits: usize,
    /// Go, not answered.
    pub misses: usize,
    /// No-go, answered.
    pub false_alarms: usize,
    /// No-go, not answered.
    pub correct_rejections: usize,
}

/// Sensitivity `d′ = Φ⁻¹(hit rate) − Φ⁻¹(false-alarm rate)`, a half added to
/// every count so that rates of 0 and 1 stay finite (log-linear rule, Hautus
/// 1995, Behav Res Methods 27:46). NaN without go or without no-go trials.
pub fn sensitivity(outcomes: Outcomes) -> f64 {
    let go = outcomes.hits + outcomes.misses;
    let no_go = outcomes.false_alarms + outcomes.correct_rejections;
    if go == 0 || no_go == 0 {
        return f64::NAN;
    }
    let z = |count: usize, of: usize| {
        let rate = (count as f64 + 0.5) / (of as f64 + 1.0);
        Normal::new(0.0, 1.0).map_or(f64::NAN, |normal| normal.inverse_cdf(rate))
    };
    z(outcomes.hits, go) - z(outcomes.false_alarms, no_go)
}

/// Performance in one session.
#[derive(Clone, Debug, PartialEq)]
pub struct PerformanceRow {
    /// Trials.
    pub trials: usize,
    /// Share of correct trials.
    pub accuracy: f64,
    /// [`sensitivity`], or NaN.
    pub d_prime: f64,
}

/// Performance over days.
#[derive(Clone, Debug, PartialEq)]
pub struct Performance {
    /// One row per session.
    pub sessions: Vec<PerformanceRow>,
    /// `constant_performance`.
    pub finding: Finding,
}

/// Did the animal do better or worse? `correct` says so for each trial of each
/// session, `outcomes` (if known) adds d′.
///
/// # Errors
/// [`Error::Shape`] if the numbers of sessions differ, [`Error::Nothing`] without sessions.
pub fn performance(
    days: &[f64],
    correct: &[Vec<bool>],
    outcomes: Option<&[Outcomes]>,
    parameters: &Parameters,
) -> Result<Performance, Error> {
    const CHECK: &str = "constant_performance";
    if correct.is_empty() {
        return Err(Error::Nothing("sessions"));
    }
    if days.len() != correct.len() || outcomes.is_some_and(|o| o.len() != days.len()) {
        return Err(Error::Shape(
            "days and trials are of other numbers of sessions".into(),
        ));
    }
    let values: Vec<Vec<f64>> = correct
        .iter()
        .map(|trials| {
            trials
                .iter()
                .map(|&right| f64::from(u8::from(right)))
                .collect()
        })
        .collect();
    let sessions: Vec<PerformanceRow> = values
        .iter()
        .enumerate()
        .map(|(k, trials)| PerformanceRow {
            trials: trials.len(),
            accuracy: mean(trials),
            d_prime: outcomes.map_or(f64::NAN, |o| sensitivity(o[k])),
        })
        .collect();
    let accuracy: Vec<f64> = sessions.iter().map(|row| row.accuracy).collect();
    let finding = match trend(days, &accuracy, parameters.permutations, parameters.seed) {
        Ok(found) if found.p < 0.05 => Finding::new(CHECK, found.slope, found.n)
            .tested(found.p, "any order of the sessions is as likely")
            .says(
                Status::Look,
                format!(
                    "The share of correct trials changes by {:+.3} per day: compare correct trials only, equally many in every session.",
                    found.slope
                ),
            ),
        no_trend => match constancy(&values, parameters.permutations, parameters.seed) {
            Ok(found) => {
                let same = found.p >= 0.05;
                Finding::new(CHECK, found.between, found.n)
                    .tested(found.p, "all trials are as likely to be correct")
                    .says(
                        if same { Status::Fine } else { Status::Look },
                        format!(
                            "The share of correct trials {} ({:.0} % of its variance lies between sessions){}.",
                            if same { "is the same in all sessions within the error" } else { "differs between sessions" },
                            100.0 * found.between,
                            if no_trend.is_ok() { ", without a trend over days" } else { "; a trend was not tested" }
                        ),
                    )
            }
            Err(why) => Finding::not_checked(CHECK, why.to_string()),
        },
    };
    Ok(Performance { sessions, finding })
}

/// Trials of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialCountRow {
    /// All trials.
    pub trials: usize,
    /// Trials of each label.
    pub by_label: BTreeMap<i64, usize>,
    /// Reliability of the code from this many trials of this noise:
    /// `own length / (own length + noise)`; NaN if it is not above 0.
    pub reliability: f64,
}

/// What numbers of trials and noise alone do to a raw similarity.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialCounts {
    /// One row per session.
    pub sessions: Vec<TrialCountRow>,
    /// `√(rel_i rel_j)`: the raw similarity that neighbouring sessions `(i, i + 1)`
    /// would show if the code never changed.
    pub expected_raw: Vec<f64>,
    /// `trial_counts`, `pseudo_crystallization`.
    pub findings: Vec<Finding>,
}

/// Trials per session and label, and the similarity that a code which never
/// changed would show without correction: `√(rel_i rel_j)`. More trials late
/// than early raise it and look like a code that settles.
///
/// # Errors
/// As [`super::tracking()`].
pub fn trial_counts(
    sessions: &[EpochTrials<'_>],
    parameters: &Parameters,
) -> Result<TrialCounts, Error> {
    Ok(counts_of(
        &Codes::of(sessions, None, parameters)?,
        parameters,
    ))
}

pub(crate) fn counts_of(codes: &Codes<'_, '_>, parameters: &Parameters) -> TrialCounts {
    let sessions = codes.sessions;
    let rows: Vec<TrialCountRow> = sessions
        .iter()
        .enumerate()
        .map(|(k, session)| {
            let mut by_label = BTreeMap::new();
            for &label in &session.labels {
                *by_label.entry(label).or_default() += 1;
            }
            TrialCountRow {
                trials: session.labels.len(),
                by_label,
                reliability: reliability(codes, k),
            }
        })
        .collect();
    let expected_raw: Vec<f64> = rows
        .windows(2)
        .map(|w| (w[0].reliability * w[1].reliability).sqrt())
        .collect();
    let counts: Vec<f64> = rows.iter().map(|row| row.trials as f64).collect();
    let findings = vec![
        growing(&codes.days(), &counts, parameters),
        settling(&expected_raw),
    ];
    TrialCounts {
        sessions: rows,
        expected_raw,
        findings,
    }
}

fn reliability(codes: &Codes<'_, '_>, session: usize) -> f64 {
    let Ok(response) = codes.response(session) else {
        return f64::NAN;
    };
    let (mut own, mut noise) = (0.0, 0.0);
    for cell in codes.shared(session, session) {
        let unit = codes.unit[cell.rank];
        if unit > 0.0 {
            own += response.code.own[cell.i] / unit;
            noise += response.code.noise[cell.i] / unit;
        }
    }
    if own > 0.0 {
        own / (own + noise)
    } else {
        f64::NAN
    }
}

fn growing(days: &[f64], counts: &[f64], parameters: &Parameters) -> Finding {
    const CHECK: &str = "trial_counts";
    let fewest = counts.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    let most = counts.iter().fold(0.0_f64, |a, &b| a.max(b));
    if counts.len() < 2 || fewest == 0.0 {
        return Finding::not_checked(CHECK, "there is one session only, or one without trials");
    }
    let range = format!("Sessions have {fewest} to {most} trials");
    if most <= 1.1 * fewest {
        return Finding::new(CHECK, most / fewest, counts.len())
            .says(Status::Fine, format!("{range}."));
    }
    match trend(days, counts, parameters.permutations, parameters.seed) {
        Ok(found) => {
            let grows = found.p < 0.05;
            Finding::new(CHECK, found.slope, found.n)
                .tested(found.p, "any order of the sessions is as likely")
                .says(
                    Status::Look,
                    format!(
                        "{range}{}: raw correlations are not comparable between them, corrected ones are.",
                        if grows { ", changing with the days" } else { "" }
                    ),
                )
        }
        Err(_) => Finding::new(CHECK, most / fewest, counts.len()).says(
            Status::Look,
            format!(
                "{range}: raw correlations are not comparable between them, corrected ones are."
            ),
        ),
    }
}

fn settling(expected: &[f64]) -> Finding {
    const CHECK: &str = "pseudo_crystallization";
    let half = expected.len() / 2;
    let (early, late) = (&expected[..half], &expected[expected.len() - half..]);
    let (before, after) = (mean(early), mean(late));
    if !(before.is_finite() && after.is_finite()) {
        let why = "fewer than three sessions, or a session whose code is not above its noise";
        return Finding::not_checked(CHECK, why);
    }
    let change = after - before;
    let status = if change.abs() < 0.05 {
        Status::Fine
    } else {
        Status::Look
    };
    Finding::new(CHECK, change, expected.len()).says(
        status,
        format!(
            "Without correction, the similarity of neighbouring sessions would go from {before:.2} early to {after:.2} late through trial numbers and noise alone, were the code the same all the time."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitivity_by_the_table() {
        // scipy.stats.norm.ppf(15.5 / 21) - scipy.stats.norm.ppf(5.5 / 21)
        let outcomes = Outcomes {
            hits: 15,
            misses: 5,
            false_alarms: 5,
            correct_rejections: 15,
        };
        assert!((sensitivity(outcomes) - 1.274968).abs() < 1e-5);
        let perfect = Outcomes {
            hits: 10,
            correct_rejections: 10,
            ..Outcomes::default()
        };
        assert!(sensitivity(perfect).is_finite());
        assert!(sensitivity(Outcomes::default()).is_nan());
    }

    #[test]
    fn learning_is_seen() {
        let correct: Vec<Vec<bool>> = (0..8)
            .map(|day| (0..40).map(|t| t % 10 < 2 + day).collect())
            .collect();
        let days: Vec<f64> = (0..8).map(f64::from).collect();
        let parameters = Parameters::default();
        let found = performance(&days, &correct, None, &parameters).unwrap();
        assert_eq!(found.finding.status, Status::Look);
        assert!((found.finding.statistic - 0.1).abs() < 1e-9);
        let steady = vec![correct[3].clone(); 8];
        let found = performance(&days, &steady, None, &parameters).unwrap();
        assert_eq!(found.finding.status, Status::Fine);
        let empty = vec![Vec::new(); 8];
        let found = performance(&days, &empty, None, &parameters).unwrap();
        assert_eq!(found.finding.status, Status::NotChecked);
        assert!(performance(&days[..3], &correct, None, &parameters).is_err());
    }
}
