//! Selectivity of all cells of a session, and of two halves of its trials.

use ndarray::{Array2, Axis};

use super::super::context::{Context, Window};
use super::super::population::outside;
use super::places::Places;
use crate::Error;
use crate::single_cell::{Permutations, Statistic, effect_sizes, selectivity, split_halves};

/// Effects and test of one variable, by member of the session.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) index: Vec<f64>,
    pub(super) d_prime: Vec<f64>,
    pub(super) au_roc: Vec<f64>,
    pub(super) eta_squared: Vec<f64>,
    pub(super) p: Vec<f64>,
    pub(super) q: Vec<f64>,
}

/// What p is a probability of: ranks where there are two labels, as they do
/// not depend on the scale of the activity, otherwise variance between labels.
pub(super) fn statistic(labels: usize) -> Statistic {
    if labels == 2 {
        Statistic::AuRoc
    } else {
        Statistic::EtaSquared
    }
}

/// The name of the test in tables.
pub(super) fn name(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Index => "index",
        Statistic::DPrime => "d_prime",
        Statistic::AuRoc => "au_roc",
        Statistic::EtaSquared => "eta_squared",
    }
}

/// The session's epoch means `(member, trial)`, or why there are none.
pub(super) fn means(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    session: usize,
    variable: &str,
) -> Result<Array2<f32>, String> {
    if window.bins[session].is_empty() {
        return Err(outside(session));
    }
    let classes = context.classes(variable);
    if let Some(reason) = context.shortage(session, variable, &classes) {
        return Err(reason);
    }
    let members: Vec<usize> = places.members(session).iter().map(|m| m.index).collect();
    Ok(window.means[session].select(Axis(0), &members))
}

pub(super) fn test(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    session: usize,
    variable: &str,
) -> Result<Tested, String> {
    let means = means(context, window, places, session, variable)?;
    let labels = context.labels(session, variable);
    let run = || -> Result<Tested, Error> {
        let parameters = context.parameters;
        let drawn = Permutations::new(labels, None, parameters.permutations, parameters.seed)?;
        let kinds = drawn.labels().len();
        let found = selectivity(means.view(), &drawn, statistic(kinds))?;
        let of_two = |statistic| {
            if kinds == 2 {
                effect_sizes(means.view(), labels, statistic)
            } else {
                Ok(vec![f64::NAN; means.nrows()])
            }
        };
        let (au_roc, eta_squared) = if kinds == 2 {
            let eta = effect_sizes(means.view(), labels, Statistic::EtaSquared)?;
            (found.value, eta)
        } else {
            (vec![f64::NAN; means.nrows()], found.value)
        };
        Ok(Tested {
            index: of_two(Statistic::Index)?,
            d_prime: of_two(Statistic::DPrime)?,
            au_roc,
            eta_squared,
            p: found.p,
            q: found.q,
        })
    };
    run().map_err(|e| format!("session {}: {e}", session + 1))
}

/// Which cells are selective in each of two halves of every session's trials,
/// with as many trials of each label in all halves of all sessions.
#[derive(Debug)]
pub(super) struct Halves {
    /// Trials of each label in a half; 0 if no session has enough.
    pub(super) per_label: usize,
    /// For each session, by member: on in the first and in the second half.
    pub(super) on: Vec<Result<[Vec<bool>; 2], String>>,
}

impl Halves {
    pub(super) fn new(
        context: &Context<'_>,
        window: &Window<'_>,
        places: &Places,
        variable: &str,
    ) -> Self {
        let sessions = 0..context.sessions.len();
        let classes = context.classes(variable);
        let per_label = sessions
            .clone()
            .filter(|&s| context.shortage(s, variable, &classes).is_none())
            .flat_map(|s| context.members(s, variable, &classes))
            .map(|trials| trials.len() / 2)
            .min()
            .unwrap_or(0);
        let parameters = context.parameters;
        // Trials of a half are sorted by label, so the same exchanges serve all.
        let labels: Vec<i64> = classes
            .iter()
            .flat_map(|&label| std::iter::repeat_n(label, per_label))
            .collect();
        let drawn = Permutations::new(&labels, None, parameters.permutations, parameters.seed)
            .map_err(|e| e.to_string());
        let on = sessions
            .map(|s| {
                let means = means(context, window, places, s, variable)?;
                let drawn = drawn.as_ref().map_err(Clone::clone)?;
                let members = context.members(s, variable, &classes);
                let halves = split_halves(&members, per_label, parameters.seed, s as u64)
                    .map_err(|e| e.to_string())?;
                let half = |trials: &[usize]| -> Result<Vec<bool>, String> {
                    let chosen = means.select(Axis(1), trials);
                    let found = selectivity(chosen.view(), drawn, statistic(classes.len()))
                        .map_err(|e| e.to_string())?;
                    Ok(found
                        .q
                        .iter()
                        .map(|&q| q <= parameters.false_discovery)
                        .collect())
                };
                Ok([half(&halves[0])?, half(&halves[1])?])
            })
            .collect();
        Self { per_label, on }
    }
}
