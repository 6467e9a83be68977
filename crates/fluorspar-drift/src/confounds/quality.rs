//! Recording quality over days.

use std::collections::BTreeSet;

use super::code::Codes;
use super::finding::{Finding, Status};
use super::trend::{Trend, constancy, trend};
use super::trials::EpochTrials;
use crate::inference::false_discovery;
use crate::statistics::mean;
use crate::{Error, Parameters, Session};

/// One number per session, followed over days.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityRow {
    /// Name of the covariate, or one of `mean_activity`, `trial_noise`,
    /// `signal_to_noise`, `reliability`.
    pub name: String,
    /// One value per session; NaN where there is none.
    pub values: Vec<f64>,
    /// Its trend over days, or why there is none.
    pub trend: Result<Trend, Error>,
    /// False discovery rate of the trend among all rows.
    pub q: f64,
}

/// Whether the recording got better or worse.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// The covariates, then what the activity itself tells.
    pub rows: Vec<QualityRow>,
    /// `recording_quality` for each row, `constant_activity`.
    pub findings: Vec<Finding>,
}

/// Follows every covariate of the sessions over days, and four numbers from
/// the trials themselves (`trials` as from [`EpochTrials::of`] on the same
/// sessions): mean activity of the cells seen; trial noise, the root of the
/// mean variance over trials of one label; signal-to-noise ratio of the code,
/// mean squared pattern over that variance, which the number of trials does
/// not touch; reliability of the code, which it does.
///
/// # Errors
/// [`Error::Shape`] if `trials` are not those of `sessions`; otherwise as
/// [`super::tracking()`].
pub fn quality(
    sessions: &[Session],
    trials: &[EpochTrials<'_>],
    parameters: &Parameters,
) -> Result<Quality, Error> {
    if sessions.len() != trials.len() {
        return Err(Error::Shape(
            "the trials are not those of the sessions".into(),
        ));
    }
    Ok(of(
        sessions,
        &Codes::of(trials, None, parameters)?,
        parameters,
    ))
}

pub(crate) fn of(sessions: &[Session], codes: &Codes<'_, '_>, parameters: &Parameters) -> Quality {
    let trials = codes.sessions;
    let names: BTreeSet<&String> = sessions.iter().flat_map(|s| s.covariates.keys()).collect();
    let mut numbers: Vec<(String, Vec<f64>)> = names
        .into_iter()
        .map(|name| {
            let value = |s: &Session| s.covariates.get(name).copied().unwrap_or(f64::NAN);
            (name.clone(), sessions.iter().map(value).collect())
        })
        .collect();
    let activity: Vec<Vec<f64>> = trials.iter().map(mean_activity).collect();
    numbers.push((
        "mean_activity".into(),
        activity.iter().map(|a| mean(a)).collect(),
    ));
    let mut own: [Vec<f64>; 3] = Default::default();
    for session in 0..trials.len() {
        let found = code_quality(codes, session);
        for (list, value) in own.iter_mut().zip(found) {
            list.push(value);
        }
    }
    for (name, values) in ["trial_noise", "signal_to_noise", "reliability"]
        .into_iter()
        .zip(own)
    {
        numbers.push((name.into(), values));
    }
    let days = codes.days();
    let mut rows: Vec<QualityRow> = numbers
        .into_iter()
        .map(|(name, values)| QualityRow {
            trend: trend(&days, &values, parameters.permutations, parameters.seed),
            name,
            values,
            q: f64::NAN,
        })
        .collect();
    let p: Vec<f64> = rows
        .iter()
        .map(|row| row.trend.as_ref().map_or(f64::NAN, |t| t.p))
        .collect();
    for (row, q) in rows.iter_mut().zip(false_discovery(&p)) {
        row.q = q;
    }
    let span = days.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
        - days.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    let mut findings: Vec<Finding> = rows.iter().map(|row| judge(row, span)).collect();
    findings.push(constant(&activity, parameters));
    Quality { rows, findings }
}

/// Mean over the cells seen, per trial.
fn mean_activity(session: &EpochTrials<'_>) -> Vec<f64> {
    let mut sums = vec![0.0; session.labels.len()];
    let mut cells = 0.0;
    let seen = session.activity.rows().into_iter().zip(&session.seen);
    for (row, _) in seen.filter(|(_, seen)| **seen) {
        cells += 1.0;
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.into_iter().map(|sum| sum / cells).collect()
}

/// Trial noise, signal-to-noise ratio, reliability.
fn code_quality(codes: &Codes<'_, '_>, session: usize) -> [f64; 3] {
    let Ok(response) = codes.response(session) else {
        return [f64::NAN; 3];
    };
    let cells = codes.shared(session, session);
    let sum = |values: &[f64]| cells.iter().map(|cell| values[cell.i]).sum::<f64>();
    let (own, noise, scatter) = (
        sum(&response.code.own),
        sum(&response.code.noise),
        sum(&response.code.scatter),
    );
    let patterns = response.classes().len() as f64;
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { f64::NAN };
    [
        ratio(scatter, cells.len() as f64).sqrt(),
        ratio(own / patterns, scatter),
        ratio(own, own + noise),
    ]
}

fn judge(row: &QualityRow, span: f64) -> Finding {
    const CHECK: &str = "recording_quality";
    let trend = match &row.trend {
        Ok(trend) => trend,
        Err(why) => return Finding::not_checked(CHECK, why.to_string()).about(&row.name),
    };
    let finite: Vec<f64> = row
        .values
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    let change = trend.slope * span / mean(&finite).abs();
    let finding = Finding::new(CHECK, trend.correlation, trend.n)
        .tested(trend.p, "any order of the sessions is as likely")
        .about(&row.name);
    let name = row.name.replace('_', " ");
    if row.q >= 0.05 {
        let sentence = format!(
            "{name} shows no trend over days (r = {:+.2}, false discovery rate {:.2}).",
            trend.correlation, row.q
        );
        return finding.says(Status::Fine, sentence);
    }
    let status = if change.abs() > 0.3 {
        Status::Problem
    } else {
        Status::Look
    };
    finding.says(
        status,
        format!(
            "{name} {} over the days, by {:.0} % of its mean (r = {:+.2}): a drift could be its doing.",
            if trend.slope > 0.0 { "rises" } else { "falls" },
            100.0 * change.abs(),
            trend.correlation
        ),
    )
}

fn constant(activity: &[Vec<f64>], parameters: &Parameters) -> Finding {
    const CHECK: &str = "constant_activity";
    match constancy(activity, parameters.permutations, parameters.seed) {
        Err(why) => Finding::not_checked(CHECK, why.to_string()),
        Ok(found) => {
            let small = found.p >= 0.05 || found.between < 0.1;
            Finding::new(CHECK, found.between, found.n)
                .tested(found.p, "all trials come from one distribution")
                .says(
                    if small { Status::Fine } else { Status::Look },
                    format!(
                        "{:.0} % of the variance of mean activity over trials lies between sessions.",
                        100.0 * found.between
                    ),
                )
        }
    }
}
