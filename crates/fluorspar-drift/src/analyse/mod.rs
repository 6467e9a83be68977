//! All tables of a drift analysis.

mod cells;
mod code;
mod decoding;
mod population;
mod trend;

use cells::{Draws, Pair, Roster};
use trend::{Topic, crystallization, rates};

use crate::statistics::interval;
use crate::table::{ConfoundRow, Drift, MetricRow};
use crate::{Epoch, Error, Parameters, Session};

/// Computes all tables.
///
/// Sessions in the order of days; epochs in any order. Works on the caller's
/// rayon pool; the result does not depend on the number of threads.
/// `progress` is called with 1 for each epoch and each epoch's variable done.
///
/// # Errors
/// [`Error::Session`], [`Error::Epoch`], [`Error::Parameter`] for malformed
/// input, [`Error::Nothing`] without sessions or epochs. What cannot be
/// computed from sound input is a row with NaN and a reason.
pub fn analyse(
    sessions: &[Session],
    epochs: &[Epoch],
    parameters: &Parameters,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Drift, Error> {
    parameters.validate()?;
    if sessions.is_empty() {
        return Err(Error::Nothing("sessions"));
    }
    if epochs.is_empty() {
        return Err(Error::Nothing("epochs"));
    }
    for epoch in epochs {
        epoch.check()?;
    }
    for (index, session) in sessions.iter().enumerate() {
        session.check(index + 1, &parameters.variables)?;
        if index > 0 && session.day <= sessions[index - 1].day {
            return Err(Error::Session {
                session: index + 1,
                reason: "sessions must come in the order of days".into(),
            });
        }
    }
    let roster = Roster::new(sessions, parameters);
    let draws = Draws::new(parameters.bootstrap, roster.cells, parameters.seed);
    let mut out = Drift::default();
    let mut stream = 1;
    for epoch in epochs {
        let topic = |metric, variable| Topic {
            metric,
            epoch: &epoch.name,
            variable,
        };
        let found = population::similarity(sessions, epoch, parameters, &roster, &draws);
        for (metric, pairs, null) in [
            ("pv_correlation", &found.plain, ""),
            ("pv_correlation_corrected", &found.corrected, SAME),
            ("ensemble_rate_correlation", &found.rate, ""),
            ("tuning_correlation", &found.tuning, ""),
        ] {
            let topic = topic(metric, "");
            out.metrics.extend(
                pairs
                    .iter()
                    .map(|pair| row(topic, pair, null, sessions, parameters)),
            );
        }
        let corrected = topic("pv_correlation_corrected", "");
        out.rates
            .extend(rates(corrected, &found.corrected, sessions, parameters));
        out.crystallization.push(crystallization(
            corrected,
            &found.corrected,
            sessions,
            parameters,
        ));
        progress(1);
        for variable in &parameters.variables {
            let pairs = code::similarity(sessions, epoch, variable, parameters, &roster, &draws);
            let topic = topic("code_similarity", variable);
            out.metrics.extend(
                pairs
                    .iter()
                    .map(|pair| row(topic, pair, SAME, sessions, parameters)),
            );
            out.rates.extend(rates(topic, &pairs, sessions, parameters));
            out.crystallization
                .push(crystallization(topic, &pairs, sessions, parameters));
            let decoded =
                decoding::all_pairs(sessions, epoch, variable, parameters, &roster, stream);
            stream += 1;
            out.metrics.extend(decoded.into_iter().map(|d| MetricRow {
                metric: "decoding",
                epoch: epoch.name.clone(),
                variable: variable.clone(),
                session_i: d.i + 1,
                session_j: d.j + 1,
                day_i: sessions[d.i].day,
                day_j: sessions[d.j].day,
                value: d.value,
                lo: d.lo,
                hi: d.hi,
                n_cells: d.n_cells,
                n_trials: trials(sessions, d.i, d.j),
                p: d.p,
                null: "shuffled test labels",
                seed: parameters.seed,
                reason: d.reason,
            }));
            progress(1);
        }
    }
    out.confounds = confounds(sessions, &roster);
    Ok(out)
}

const SAME: &str = "same code";

fn trials(sessions: &[Session], i: usize, j: usize) -> usize {
    sessions[i]
        .activity
        .dim()
        .0
        .min(sessions[j].activity.dim().0)
}

fn row(
    topic: Topic<'_>,
    pair: &Pair,
    null: &'static str,
    sessions: &[Session],
    parameters: &Parameters,
) -> MetricRow {
    let (lo, hi) = interval(&pair.resampled, parameters.confidence);
    let p = if null == SAME && pair.value.is_finite() {
        let reached = pair.resampled.iter().filter(|&&v| v >= 1.0).count();
        (reached + 1) as f64 / (pair.resampled.len() + 1) as f64
    } else {
        f64::NAN
    };
    MetricRow {
        metric: topic.metric,
        epoch: topic.epoch.into(),
        variable: topic.variable.into(),
        session_i: pair.i + 1,
        session_j: pair.j + 1,
        day_i: sessions[pair.i].day,
        day_j: sessions[pair.j].day,
        value: pair.value,
        lo,
        hi,
        n_cells: pair.n_cells,
        n_trials: trials(sessions, pair.i, pair.j),
        p,
        null,
        seed: parameters.seed,
        reason: pair.reason.clone(),
    }
}

fn confounds(sessions: &[Session], roster: &Roster) -> Vec<ConfoundRow> {
    sessions
        .iter()
        .enumerate()
        .map(|(index, session)| {
            let total: f64 = session.activity.iter().map(|&v| f64::from(v)).sum();
            let p = session.p_same.as_ref().map_or(1.0, |p| {
                p.iter().map(|&p| f64::from(p)).sum::<f64>() / p.len() as f64
            });
            ConfoundRow {
                session: index + 1,
                day: session.day,
                n_cells: roster.count(index),
                n_trials: session.activity.dim().0,
                mean_activity: total / session.activity.len() as f64,
                mean_p_same: p,
            }
        })
        .collect()
}
