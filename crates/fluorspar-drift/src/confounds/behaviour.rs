//! Behaviour that differs between sessions.

use std::collections::BTreeSet;

use ndarray::Array2;

use super::code::{Codes, Decline};
use super::finding::{Finding, Status};
use super::trend::{Constancy, Trend, constancy, trend};
use super::trials::EpochTrials;
use crate::statistics::{mean, variance};
use crate::{Error, Parameters, Session};

/// One variable of behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct BehaviourRow {
    /// Its name.
    pub name: String,
    /// Mean over trials, per session; NaN where it was not recorded.
    pub means: Vec<f64>,
    /// Trend of the means over days, or why there is none.
    pub trend: Result<Trend, Error>,
    /// Whether the trials of all sessions have one mean, or why it is not known.
    pub constancy: Result<Constancy, Error>,
    /// `constant_behaviour`.
    pub finding: Finding,
}

/// Every variable of behaviour that a session has.
///
/// # Errors
/// [`Error::Session`] for malformed input, [`Error::Nothing`] without sessions.
pub fn behaviour(
    sessions: &[Session],
    parameters: &Parameters,
) -> Result<Vec<BehaviourRow>, Error> {
    if sessions.is_empty() {
        return Err(Error::Nothing("sessions"));
    }
    for (index, session) in sessions.iter().enumerate() {
        session.check(index + 1, &[])?;
    }
    let days: Vec<f64> = sessions.iter().map(|s| s.day).collect();
    let names: BTreeSet<&String> = sessions.iter().flat_map(|s| s.behaviour.keys()).collect();
    Ok(names
        .into_iter()
        .map(|name| {
            let values: Vec<Vec<f64>> = sessions
                .iter()
                .map(|s| s.behaviour.get(name).map_or(Vec::new(), |v| finite(v)))
                .collect();
            let means: Vec<f64> = values.iter().map(|v| mean(v)).collect();
            let trend = trend(&days, &means, parameters.permutations, parameters.seed);
            let constancy = constancy(&values, parameters.permutations, parameters.seed);
            BehaviourRow {
                finding: judge(name, &trend, &constancy),
                name: name.clone(),
                means,
                trend,
                constancy,
            }
        })
        .collect())
}

fn finite(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|v| v.is_finite()).collect()
}

fn judge(
    name: &str,
    trend: &Result<Trend, Error>,
    constancy: &Result<Constancy, Error>,
) -> Finding {
    const CHECK: &str = "constant_behaviour";
    let found = match constancy {
        Ok(found) => found,
        Err(why) => return Finding::not_checked(CHECK, why.to_string()).about(name),
    };
    let differs = found.p < 0.05 && found.between >= 0.05;
    let goes_with_days = trend.as_ref().is_ok_and(|t| t.p < 0.05);
    let status = match (differs, goes_with_days) {
        (false, _) => Status::Fine,
        (true, false) => Status::Look,
        (true, true) => Status::Problem,
    };
    Finding::new(CHECK, found.between, found.n)
        .about(name)
        .tested(found.p, "all trials come from one distribution")
        .says(
            status,
            format!(
                "{:.0} % of the variance of {} over trials lies between sessions{}.",
                100.0 * found.between,
                name.replace('_', " "),
                match status {
                    Status::Problem => ", and it goes with the days",
                    Status::Look => ", without a trend over days",
                    _ => "",
                }
            ),
        )
}

/// Distance between the behaviour of every two sessions `(session, session)`,
/// for a partial Mantel test: `√Σ_v (m_iv − m_jv)²/s_v²` over the variables
/// that both sessions have, `s_v` the standard deviation over trials within
/// sessions. What the trials' scatter adds to the squares is taken off, and a
/// sum below 0 is 0. NaN if the two have no variable in common; 0 on the diagonal.
///
/// # Errors
/// [`Error::Session`] for malformed input, [`Error::Nothing`] without
/// sessions or if no variable varies within sessions.
pub fn behaviour_distance(sessions: &[Session]) -> Result<Array2<f64>, Error> {
    if sessions.is_empty() {
        return Err(Error::Nothing("sessions"));
    }
    for (index, session) in sessions.iter().enumerate() {
        session.check(index + 1, &[])?;
    }
    let names: BTreeSet<&String> = sessions.iter().flat_map(|s| s.behaviour.keys()).collect();
    let n = sessions.len();
    let (mut squares, mut variables) =
        (Array2::<f64>::zeros((n, n)), Array2::<usize>::zeros((n, n)));
    for name in names {
        let values: Vec<Vec<f64>> = sessions
            .iter()
            .map(|s| s.behaviour.get(name).map_or(Vec::new(), |v| finite(v)))
            .collect();
        let (mut within, mut freedom) = (0.0, 0.0);
        for trials in values.iter().filter(|trials| trials.len() > 1) {
            let degrees = (trials.len() - 1) as f64;
            within += variance(trials) * degrees;
            freedom += degrees;
        }
        if within <= 0.0 {
            continue;
        }
        let scale = within / freedom;
        for i in 0..n {
            for j in (0..n).filter(|&j| j != i && !values[i].is_empty() && !values[j].is_empty()) {
                let noise = 1.0 / values[i].len() as f64 + 1.0 / values[j].len() as f64;
                squares[[i, j]] += (mean(&values[i]) - mean(&values[j])).powi(2) / scale - noise;
                variables[[i, j]] += 1;
            }
        }
    }
    if variables.iter().all(|&v| v == 0) {
        return Err(Error::Nothing(
            "variables of behaviour that two sessions have",
        ));
    }
    Ok(Array2::from_shape_fn((n, n), |(i, j)| {
        match variables[[i, j]] {
            _ if i == j => 0.0,
            0 => f64::NAN,
            _ => squares[[i, j]].max(0.0).sqrt(),
        }
    }))
}

/// Fall of similarity on all trials against its fall with behaviour taken
/// away: by `cleaned` activity ([`super::without_behaviour`]), or on the
/// `picked` trials of each session ([`super::match_trials`]), or both. Which
/// of them is named by `check`. Returns both and what their difference says.
///
/// # Errors
/// As [`super::tracking()`], and [`Error::Shape`] if the sessions differ in number.
pub fn comparison(
    check: &'static str,
    raw: &[EpochTrials<'_>],
    cleaned: &[EpochTrials<'_>],
    picked: Option<&[Vec<usize>]>,
    parameters: &Parameters,
) -> Result<(Decline, Decline, Finding), Error> {
    if raw.len() != cleaned.len() || picked.is_some_and(|p| p.len() != raw.len()) {
        return Err(Error::Shape(
            "other numbers of sessions are to be compared".into(),
        ));
    }
    let pairs = |trials: &[EpochTrials<'_>], picked: Option<&[Vec<usize>]>| {
        Codes::of(trials, picked, parameters).map(|codes| {
            codes.pairs(&|i, j, cell| {
                let least = parameters.min_p_same;
                trials[i].sure(cell.i) >= least && trials[j].sure(cell.j) >= least
            })
        })
    };
    let after = pairs(cleaned, picked)?;
    let (all, without) = Decline::both(&pairs(raw, None)?, &after);
    let (difference, interval) = without.per_day_difference(&all, parameters.confidence);
    let finding = if interval.0.is_finite() {
        let differs = interval.0 > 0.0;
        let status = match difference {
            _ if !differs => Status::Fine,
            d if all.per_day < 0.0 && d > -0.5 * all.per_day => Status::Problem,
            _ => Status::Look,
        };
        let sentence = format!(
            "Similarity changes by {:+.4} per day as recorded and by {:+.4} so{}.",
            all.per_day,
            without.per_day,
            if differs {
                ": part of the drift goes with it"
            } else {
                ", no less within the error"
            }
        );
        Finding::new(check, difference, without.pairs)
            .within(interval)
            .says(status, sentence)
    } else {
        let why = after
            .iter()
            .find(|pair| !pair.reason.is_empty())
            .map_or("too few pairs of sessions have a similarity", |pair| {
                &pair.reason
            });
        Finding::not_checked(check, why)
    };
    Ok((all, without, finding))
}
