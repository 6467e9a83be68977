use fluorspar_decode::{EqualCounts, MostSelective, apart};
use rayon::prelude::*;

use super::{kernel, machine, standardised, validation};
use crate::analyse::context::{Basis, Context, Topic, Window};
use crate::analyse::population::outside;
use crate::table::MetricRow;

/// Draws of cells from each group.
const DRAWS: usize = 50;
/// Numbers of most selective cells, doubling from this one.
const FEWEST: usize = 5;

/// Within each session:
/// * `decoding_most_selective`: of the `n_cells` most selective cells, chosen on the training
///   trials of each fold;
/// * `decoding_errors`: trained on correct trials, read in error trials, if trials are labelled
///   `correct` (1 and 0);
/// * `decoding_equal_cells`: of each group of cells with as many cells as the smallest has, its
///   interval over draws of cells.
pub(crate) fn rows(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Vec<MetricRow> {
    (0..context.sessions.len())
        .into_par_iter()
        .flat_map_iter(|session| of_session(context, window, variable, session))
        .collect()
}

fn of_session(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
    session: usize,
) -> Vec<MetricRow> {
    let basis = Basis { unit: "", null: "" };
    let empty = |metric| {
        let topic = Topic {
            metric,
            epoch: &window.epoch.name,
            variable,
        };
        let mut row = context.row(topic, basis, session, session);
        row.inclusion = "seen";
        row
    };
    let refused = |metric, reason: String| {
        let mut row = empty(metric);
        row.reason = reason;
        row
    };
    let classes = context.classes(variable);
    let lacking = if window.bins[session].is_empty() {
        Some(outside(session))
    } else {
        context.shortage(session, variable, &classes)
    };
    if let Some(reason) = lacking {
        return vec![refused("decoding_most_selective", reason)];
    }
    let cells: Vec<usize> = context.roster.of(session).map(|(_, cell)| cell).collect();
    let labels = context.labels(session, variable);
    let activity = standardised(&[(&window.means[session], cells.clone())]);
    let decoder = machine(context);
    let mut out = Vec::new();

    let counts: Vec<usize> = std::iter::successors(Some(FEWEST), |n| n.checked_mul(2))
        .take_while(|&n| n < cells.len())
        .collect();
    if !counts.is_empty() {
        let sweep = MostSelective {
            counts: counts.clone(),
            validation: validation(context),
        };
        match sweep.scores(&decoder, activity.view(), labels) {
            Ok(scores) => out.extend(counts.iter().zip(scores).map(|(&count, score)| {
                let mut row = empty("decoding_most_selective");
                (row.value, row.n_cells) = (score.mean, count);
                row
            })),
            Err(error) => out.push(refused("decoding_most_selective", error.to_string())),
        }
    }
    if variable != "correct"
        && let Some(correct) = context.sessions[session].labels.get("correct")
        && correct.len() == labels.len()
    {
        let of = |right: bool| -> Vec<usize> {
            (0..labels.len())
                .filter(|&t| (correct[t] != 0) == right)
                .collect()
        };
        let (train, test) = (of(true), of(false));
        let few = classes.iter().find(|class| {
            test.iter().filter(|&&t| labels[t] == **class).count() < context.parameters.min_trials
        });
        let read = match few {
            Some(class) => Err(format!(
                "fewer than {} error trials with {variable} = {class}",
                context.parameters.min_trials
            )),
            None => kernel(activity.view()).and_then(|kernel| {
                apart(&decoder, &kernel, labels, &train, &test).map_err(|e| e.to_string())
            }),
        };
        let mut row = empty("decoding_errors");
        (row.n_cells, row.n_trials) = (cells.len(), test.len());
        match read {
            Ok(confusion) => row.value = confusion.balanced_accuracy(),
            Err(reason) => row.reason = reason,
        }
        out.push(row);
    }
    if let Some(groups) = &context.sessions[session].group
        && context.parameters.group.is_none()
    {
        let names: Vec<String> = cells.iter().map(|&cell| groups[cell].clone()).collect();
        let draws = EqualCounts {
            draws: DRAWS,
            coverage: context.parameters.confidence,
            validation: validation(context),
            seed: context.parameters.seed,
            ..EqualCounts::default()
        };
        match draws.compare(&decoder, activity.view(), labels, &names) {
            Ok(found) => out.extend(found.into_iter().map(|(name, drawn)| {
                let mut row = empty("decoding_equal_cells");
                (row.value, row.n_cells) = (drawn.mean, drawn.cells);
                (row.lo, row.hi) = drawn.interval;
                (row.group, row.unit) = (name, "draws of cells");
                row
            })),
            Err(error) => out.push(refused("decoding_equal_cells", error.to_string())),
        }
    }
    out
}
