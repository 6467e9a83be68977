//! All tables of a drift analysis.

mod cells;
mod code;
mod confounds;
mod confounds_behaviour;
mod context;
mod crystallization;
mod decoding;
mod geometry;
mod identity;
mod informative;
mod laws;
mod maps;
mod planted;
mod population;
mod readout;
mod second_order;
mod single_cells;
mod study;
mod trend;

use code::Codes;
use context::{Context, Topic};
use informative::informative;
use maps::Maps;
pub use planted::planted_drift;
use population::Population;
use second_order::SecondOrder;
use single_cells::SingleCells;
pub use study::study;
use trend::Trends;

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
    check(sessions, epochs, parameters)?;
    let informative = informative(sessions, epochs, parameters);
    let context = Context::new(sessions, parameters, informative);
    let mut out = Drift::default();
    let mut checks = confounds::Checks::new(&context);
    let mut single_cells = SingleCells::new(&context);
    let mut maps = Maps::default();
    let mut trends = Trends::default();
    let mut number = 0;
    for epoch in epochs {
        let window = context.window(epoch);
        single_cells.add(&context, &window);
        maps.add(&context, &window);
        let topic = |metric, variable| Topic {
            metric,
            epoch: &epoch.name,
            variable,
        };
        let whole = [String::new()];
        for variable in whole.iter().chain(&parameters.variables) {
            let population = Population::new(&context, &window, variable);
            let metrics = population.similarity(&context);
            for metric in &metrics {
                let topic = topic(metric.name, variable);
                let rows = metric.pairs.iter();
                out.metrics
                    .extend(rows.map(|pair| context.row_of(topic, pair, metric.null)));
                trends.over_days(&context, topic, trend::values(&metric.pairs));
                if metric.name == "pv_correlation_corrected" && variable.is_empty() {
                    let reliability = trend::diagonal(&metrics, "pv_reliability", &context);
                    trends.follow(&context, topic, &metric.pairs, &reliability);
                }
            }
            let second_order = SecondOrder::new(&context, &window, variable);
            let rows = second_order.rows(&context, |metric| topic(metric, variable));
            out.metrics.extend(rows);
            if variable.is_empty() {
                continue;
            }
            let moves = |metric| topic(metric, variable);
            out.metrics
                .extend(geometry::rows(&context, &window, variable, moves));
            checks.add(&window, variable);
            let codes = Codes::new(&context, &window, variable);
            let pairs = codes.similarity(&context);
            let coded = topic("code_similarity", variable);
            out.metrics.extend(
                pairs
                    .iter()
                    .map(|pair| context.row_of(coded, pair, context::SAME_CODE)),
            );
            trends.over_days(&context, coded, trend::values(&pairs));
            trends.follow(&context, coded, &pairs, &codes.reliability(&context));
            let drawn = topic("code_similarity_drawn_identities", variable);
            out.metrics
                .extend(identity::rows(&context, drawn, |context| {
                    codes.similarity(context)
                }));
            let decoded = decoding::rows(&context, &window, variable, number);
            let accuracy = decoded.iter().filter(|row| row.metric == "decoding");
            let accuracy = accuracy.map(|row| (row.session_i - 1, row.session_j - 1, row.value));
            trends.over_days(&context, topic("decoding", variable), accuracy.collect());
            out.metrics.extend(decoded);
            out.metrics
                .extend(readout::axes(&context, &window, variable));
            out.metrics
                .extend(readout::sessions(&context, &window, variable));
            out.metrics
                .extend(readout::parts(&context, &window, variable));
            number += 1;
            progress(1);
        }
        progress(1);
    }
    trends.finish(&context, &mut out);
    out.confounds = confounds(&context);
    out.more.extend(checks.tables());
    out.more.extend(single_cells.tables(&context));
    out.more.extend(maps.tables());
    out.more.push(readout::CrossTemporal::new(&context).table());
    // A table must be reproducible by itself.
    for table in &mut out.more {
        table.note_seed(parameters.seed);
    }
    Ok(out)
}

/// The rows of decoding alone, which [`analyse`] has among its metrics: for
/// callers who want nothing else. Works on the caller's rayon pool.
///
/// # Errors
/// As [`analyse`].
pub fn decode(
    sessions: &[Session],
    epochs: &[Epoch],
    parameters: &Parameters,
) -> Result<Vec<MetricRow>, Error> {
    check(sessions, epochs, parameters)?;
    let context = Context::new(
        sessions,
        parameters,
        informative(sessions, epochs, parameters),
    );
    let mut out = Vec::new();
    let mut number = 0;
    for epoch in epochs {
        let window = context.window(epoch);
        for variable in &parameters.variables {
            out.extend(decoding::rows(&context, &window, variable, number));
            number += 1;
        }
    }
    Ok(out)
}

/// Refuses malformed input.
fn check(sessions: &[Session], epochs: &[Epoch], parameters: &Parameters) -> Result<(), Error> {
    parameters.validate()?;
    if sessions.is_empty() {
        return Err(Error::Nothing("sessions"));
    }
    if epochs.is_empty() {
        return Err(Error::Nothing("epochs"));
    }
    for (k, epoch) in epochs.iter().enumerate() {
        epoch.check()?;
        if epochs[..k].iter().any(|other| other.name == epoch.name) {
            return Err(Error::Epoch {
                name: epoch.name.clone(),
                reason: "appears twice".into(),
            });
        }
    }
    for (index, session) in sessions.iter().enumerate() {
        session.check(index + 1, &parameters.variables)?;
        let before = index.checked_sub(1).and_then(|k| sessions[k].practice);
        if let (Some(before), Some(now)) = (before, session.practice)
            && now <= before
        {
            return Err(Error::Session {
                session: index + 1,
                reason: format!("practice session {now} does not come after {before}"),
            });
        }
        if index > 0 && session.day <= sessions[index - 1].day {
            return Err(Error::Session {
                session: index + 1,
                reason: "sessions must come in the order of days".into(),
            });
        }
    }
    Ok(())
}

fn confounds(context: &Context<'_>) -> Vec<ConfoundRow> {
    context
        .sessions
        .iter()
        .enumerate()
        .map(|(index, session)| {
            let seen: Vec<usize> = context.roster.of(index).map(|(_, cell)| cell).collect();
            let mean = |values: &mut dyn Iterator<Item = f64>| {
                let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
                sum / n
            };
            let activity = &session.activity;
            let of = |&cell: &usize| activity.index_axis(ndarray::Axis(1), cell);
            ConfoundRow {
                session: index + 1,
                day: session.day,
                n_cells: context.roster.count(index),
                n_trials: activity.dim().0,
                mean_activity: mean(&mut seen.iter().flat_map(|cell| {
                    of(cell)
                        .into_iter()
                        .map(|&v| f64::from(v))
                        .collect::<Vec<_>>()
                })),
                mean_p_same: session.p_same.as_ref().map_or(1.0, |p| {
                    mean(&mut seen.iter().map(|&cell| f64::from(p[cell])))
                }),
                seed: context.parameters.seed,
            }
        })
        .collect()
}
