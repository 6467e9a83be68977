//! Behaviour and performance as the checks need them.

use std::collections::BTreeSet;

use ndarray::{Array2, ArrayView2};

use super::context::Context;
use crate::confounds::{
    EpochTrials, Finding, Outcomes, Status, behaviour, behaviour_distance, comparison,
    decode_session, match_trials, performance, table_of, without_behaviour,
};
use crate::inference::{Alternative, mantel, mantel_partial};
use crate::statistics::mean;
use crate::{Error, Parameters, Session};

/// Onset of each trial, seconds; a time, not a behaviour.
const ONSET: &str = "onset_s";
/// Trials without a value of a variable may be this share, else it is not used.
const MISSING: f64 = 0.1;
/// Parts that trials are fitted in.
const FOLDS: usize = 5;

/// Behaviour of all sessions.
pub(crate) struct Behaviour {
    /// For each session `(trial, variable)`: the variables that all sessions
    /// have, missing values set to the session's mean.
    values: Vec<Array2<f64>>,
    /// Distance between sessions, if there is behaviour.
    pub(crate) distance: Option<Array2<f64>>,
    /// Onset of every trial, if all sessions tell.
    pub(crate) onset_s: Option<Vec<Vec<f64>>>,
}

/// A number of every session by name.
type Named = (String, Vec<f64>);

impl Behaviour {
    pub(crate) fn of(sessions: &[Session]) -> Self {
        let finite = |session: &Session, name: &String| -> Vec<f64> {
            let values = session.behaviour.get(name);
            values.map_or(Vec::new(), |v| {
                v.iter().copied().filter(|v| v.is_finite()).collect()
            })
        };
        let names: BTreeSet<&String> = sessions.iter().flat_map(|s| s.behaviour.keys()).collect();
        let used: Vec<&String> = names
            .into_iter()
            .filter(|name| *name != ONSET)
            .filter(|name| {
                sessions.iter().all(|session| {
                    let trials = session.activity.dim().0 as f64;
                    let known = finite(session, name).len() as f64;
                    known > 0.0 && known >= (1.0 - MISSING) * trials
                })
            })
            .collect();
        let values = sessions
            .iter()
            .map(|session| {
                let middle: Vec<f64> = used
                    .iter()
                    .map(|name| mean(&finite(session, name)))
                    .collect();
                Array2::from_shape_fn((session.activity.dim().0, used.len()), |(trial, k)| {
                    let value = session.behaviour[used[k]][trial];
                    if value.is_finite() { value } else { middle[k] }
                })
            })
            .collect();
        let onset = |session: &Session| {
            let onset = session.behaviour.get(ONSET)?;
            onset.iter().all(|v| v.is_finite()).then(|| onset.clone())
        };
        // Time in the session is not what behaviour differs in.
        let without_onset: Vec<Session> = sessions
            .iter()
            .map(|session| Session {
                activity: ndarray::Array3::zeros((session.activity.dim().0, 0, 0)),
                day: session.day,
                behaviour: session
                    .behaviour
                    .iter()
                    .filter(|(name, _)| *name != ONSET)
                    .map(|(name, values)| (name.clone(), values.clone()))
                    .collect(),
                ..Session::default()
            })
            .collect();
        Self {
            values,
            distance: behaviour_distance(&without_onset).ok(),
            onset_s: sessions.iter().map(onset).collect(),
        }
    }

    fn views(&self) -> Vec<ArrayView2<'_, f64>> {
        self.values.iter().map(|values| values.view()).collect()
    }

    fn variables(&self) -> usize {
        self.values.first().map_or(0, Array2::ncols)
    }

    /// What behaviour and performance say without activity.
    pub(crate) fn checks(&self, context: &Context<'_>) -> (Vec<Finding>, Vec<Named>) {
        let (sessions, parameters) = (context.sessions, context.parameters);
        let (mut findings, mut numbers) = (Vec::new(), Vec::new());
        match behaviour(sessions, parameters) {
            Ok(rows) => {
                for row in rows.into_iter().filter(|row| row.name != ONSET) {
                    findings.push(row.finding);
                    numbers.push((row.name, row.means));
                }
            }
            Err(why) => findings.push(Finding::not_checked("constant_behaviour", why.to_string())),
        }
        if self.variables() == 0 {
            let why = "no variable of behaviour was recorded in all sessions";
            findings.push(Finding::not_checked("session_from_behaviour", why));
        } else {
            findings.push(match decode_session(&self.views(), FOLDS, parameters) {
                Ok(found) => found.finding,
                Err(why) => Finding::not_checked("session_from_behaviour", why.to_string()),
            });
        }
        let days: Vec<f64> = sessions.iter().map(|s| s.day).collect();
        match correct(sessions) {
            None => findings.push(Finding::not_checked(
                "constant_performance",
                "no label tells which trials were correct",
            )),
            Some((correct, outcomes)) => {
                match performance(&days, &correct, outcomes.as_deref(), parameters) {
                    Ok(found) => {
                        let rows = &found.sessions;
                        let accuracy = rows.iter().map(|row| row.accuracy).collect();
                        numbers.push(("share_correct".into(), accuracy));
                        if outcomes.is_some() {
                            let d_prime = rows.iter().map(|row| row.d_prime).collect();
                            numbers.push(("d_prime".into(), d_prime));
                        }
                        findings.push(found.finding);
                    }
                    Err(why) => {
                        findings.push(Finding::not_checked(
                            "constant_performance",
                            why.to_string(),
                        ));
                    }
                }
            }
        }
        (findings, numbers)
    }

    /// Drift with behaviour taken out of the activity, on trials of like
    /// behaviour, and beyond the distance in behaviour.
    pub(crate) fn against(
        &self,
        trials: &[EpochTrials<'_>],
        similarity: &[(usize, usize, f64)],
        parameters: &Parameters,
    ) -> Result<Vec<Finding>, Error> {
        const CHECKS: [&str; 3] = [
            "behaviour_regressed",
            "behaviour_matched",
            "beyond_behaviour",
        ];
        let variables = self.variables();
        if variables == 0 {
            let why = "no variable of behaviour was recorded in all sessions";
            return Ok(CHECKS.map(|check| Finding::not_checked(check, why)).into());
        }
        let cleaned: Result<Vec<EpochTrials<'_>>, Error> = trials
            .iter()
            .zip(&self.values)
            .map(|(trials, values)| {
                let (labels, seed) = (&trials.labels, parameters.seed);
                let found =
                    without_behaviour(trials.activity.view(), values.view(), labels, FOLDS, seed)?;
                Ok(EpochTrials {
                    activity: found.activity.into(),
                    ..trials.clone()
                })
            })
            .collect();
        let regressed = match cleaned {
            Ok(cleaned) => comparison(CHECKS[0], trials, &cleaned, None, parameters)?.2,
            Err(why) => Finding::not_checked(CHECKS[0], why.to_string()),
        };
        // Finer cuts of several variables would leave no trials.
        let bins = match variables {
            1 => Some(4),
            2 | 3 => Some(2),
            _ => None,
        };
        let labels: Vec<Vec<i64>> = trials.iter().map(|t| t.labels.clone()).collect();
        let matched = match bins.map(|n| match_trials(&self.views(), &labels, n, parameters.seed)) {
            None => {
                let why = "more than three variables of behaviour cannot be matched at once";
                Finding::not_checked(CHECKS[1], why)
            }
            Some(Err(why)) => Finding::not_checked(CHECKS[1], why.to_string()),
            Some(Ok(picked)) => comparison(CHECKS[1], trials, trials, Some(&picked), parameters)?.2,
        };
        let days: Vec<f64> = trials.iter().map(|t| t.day).collect();
        Ok(vec![
            regressed,
            matched,
            self.beyond(similarity, &days, parameters)?,
        ])
    }

    /// Whether similarity falls with days beyond what behaviour explains.
    fn beyond(
        &self,
        similarity: &[(usize, usize, f64)],
        days: &[f64],
        parameters: &Parameters,
    ) -> Result<Finding, Error> {
        const CHECK: &str = "beyond_behaviour";
        const NULL: &str = "given behaviour, similarity does not fall with days";
        let Some(distance) = &self.distance else {
            return Ok(Finding::not_checked(CHECK, "behaviour does not vary"));
        };
        let table = table_of(similarity, days.len())?;
        let lags = Array2::from_shape_fn(table.dim(), |(i, j)| (days[i] - days[j]).abs());
        let (orders, seed) = (parameters.permutations, parameters.seed);
        let plain = mantel(table.view(), lags.view(), Alternative::Less, orders, seed);
        let given = [distance.view()];
        let partial = mantel_partial(
            table.view(),
            lags.view(),
            &given,
            Alternative::Less,
            orders,
            seed,
        );
        let (plain, partial) = match (plain, partial) {
            (Ok(plain), Ok(partial)) => (plain, partial),
            (Err(why), _) | (_, Err(why)) => {
                return Ok(Finding::not_checked(CHECK, why.to_string()));
            }
        };
        let finding = Finding::new(CHECK, partial.r, partial.n_pairs).tested(partial.p, NULL);
        let (status, says) = if plain.p >= 0.05 {
            (
                Status::Fine,
                "similarity is not shown to fall with days in the first place",
            )
        } else if partial.p < 0.05 {
            (
                Status::Fine,
                "similarity falls with days beyond what behaviour explains",
            )
        } else {
            (
                Status::Look,
                "similarity is not shown to fall with days once behaviour is held",
            )
        };
        Ok(finding.says(
            status,
            format!(
                "Over pairs of sessions {says} (r = {:.2}, {:.2} with behaviour held).",
                plain.r, partial.r
            ),
        ))
    }
}

/// Which trials were correct, and how they ended if the labels `outcome` tell:
/// the labels `correct` (1: yes), or `outcome` with the four ends in
/// alphabetical order from 0 (correct rejection, false alarm, hit, miss).
fn correct(sessions: &[Session]) -> Option<(Vec<Vec<bool>>, Option<Vec<Outcomes>>)> {
    let labels = |name: &str| -> Option<Vec<&Vec<i64>>> {
        let all: Vec<&Vec<i64>> = sessions
            .iter()
            .map(|s| s.labels.get(name))
            .collect::<Option<_>>()?;
        let fits = all
            .iter()
            .zip(sessions)
            .all(|(l, s)| l.len() == s.activity.dim().0);
        fits.then_some(all)
    };
    let values = |all: &[&Vec<i64>]| -> BTreeSet<i64> {
        all.iter()
            .flat_map(|labels| labels.iter().copied())
            .collect()
    };
    let outcomes = labels("outcome").filter(|all| values(all).into_iter().eq(0..4));
    let counted = outcomes.as_ref().map(|all| {
        let count = |labels: &[i64], end: i64| labels.iter().filter(|&&l| l == end).count();
        let of = |labels: &&Vec<i64>| Outcomes {
            correct_rejections: count(labels, 0),
            false_alarms: count(labels, 1),
            hits: count(labels, 2),
            misses: count(labels, 3),
        };
        all.iter().map(of).collect()
    });
    let yes = labels("correct").filter(|all| values(all).into_iter().all(|v| v == 0 || v == 1));
    let right: Vec<Vec<bool>> = match (yes, outcomes) {
        (Some(all), _) => all
            .iter()
            .map(|l| l.iter().map(|&v| v == 1).collect())
            .collect(),
        (None, Some(all)) => all
            .iter()
            .map(|l| l.iter().map(|&v| v == 0 || v == 2).collect())
            .collect(),
        (None, None) => return None,
    };
    Some((right, counted))
}
