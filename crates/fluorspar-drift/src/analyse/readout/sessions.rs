use fluorspar_decode::{
    Decoder, Generalisation, Template, concatenated, leave_one_session_out, parallelism,
};
use ndarray::{Array2, Axis};

use super::{kernel, machine, standardised, validation};
use crate::analyse::context::{Basis, Context, Topic, Window};
use crate::analyse::population::{few, outside};
use crate::table::MetricRow;

const BASIS: Basis = Basis { unit: "", null: "" };

/// Draws of matched trials, and halvings for lengths of axes.
const DRAWS: usize = 5;

/// The trials of all sessions over the cells seen in every one of them.
struct Together {
    /// `(trial, cell)`, each session in its own units.
    activity: Array2<f32>,
    labels: Vec<i64>,
    session: Vec<usize>,
}

/// Trials of all sessions together that decoders are trained on, about: their
/// cost grows with the third power where labels cannot be told apart.
const MOST_TRIALS: usize = 1_000;

/// Decoders over all sessions at once, on the cells seen in all of them:
/// * `decoding_other_sessions`: trained on all other sessions, read in this one;
/// * `decoding_common`: one decoder of all sessions, and `decoding_alone_matched`:
///   the session's own with as many training trials. As good together as
///   alone means that some subspace carries the label on all days (Rule et al. 2020);
/// * `generalisation` (`i`, `j`): trained on the other sessions, read between the lower label of
///   session `i` and the higher of `j` (Bernardi et al. 2020, sessions as contexts; nearest template);
/// * `parallelism` and `parallelism_corrected`, first and last session named: mean cosine of the
///   sessions' coding vectors.
///
/// Of many sessions with many trials, the same number of each label is taken from each, evenly spaced.
pub(crate) fn rows(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Vec<MetricRow> {
    let n = context.sessions.len();
    if n < 2 {
        return Vec::new();
    }
    let topic = |metric| Topic {
        metric,
        epoch: &window.epoch.name,
        variable,
    };
    let found = together(context, window, variable);
    let cells = found.as_ref().map_or(0, |t| t.activity.ncols());
    let row = |metric, i: usize, j: usize, value: Result<f64, String>| {
        let mut row = context.row(topic(metric), BASIS, i, j);
        row.n_cells = cells;
        row.inclusion = "tracked-in-all";
        match value {
            Ok(value) if value.is_finite() => row.value = value,
            Ok(_) => row.reason = "the codes of the sessions are not above their noise".into(),
            Err(reason) => row.reason = reason,
        }
        row
    };
    let mut out = Vec::new();
    let decoder = machine(context);
    let whole = found.and_then(|t| Ok((kernel(t.activity.view())?, t)));
    let all = whole.as_ref().map_err(Clone::clone);
    let others = all.clone().and_then(|(kernel, t)| {
        leave_one_session_out(&decoder, kernel, &t.labels, &t.session).map_err(|e| e.to_string())
    });
    let common = all.clone().and_then(|(kernel, t)| {
        let validation = validation(context);
        concatenated(&decoder, kernel, &t.labels, &t.session, &validation, DRAWS)
            .map_err(|e| e.to_string())
    });
    for s in 0..n {
        let of =
            |map: &std::collections::BTreeMap<usize, f64>| map.get(&s).copied().unwrap_or(f64::NAN);
        let other = others.as_ref().map(of).map_err(Clone::clone);
        let together = common
            .as_ref()
            .map(|c| of(&c.together))
            .map_err(Clone::clone);
        let alone = common.as_ref().map(|c| of(&c.alone)).map_err(Clone::clone);
        out.push(row("decoding_other_sessions", s, s, other));
        out.push(row("decoding_common", s, s, together));
        out.push(row("decoding_alone_matched", s, s, alone));
    }
    if context.classes(variable).len() == 2 {
        let template: &dyn Decoder = &Template::Euclidean;
        let general = all.clone().and_then(|(_, t)| {
            let measure = Generalisation {
                resamples: DRAWS,
                permutations: 0,
                seed: context.parameters.seed,
            };
            measure
                .measure(template, t.activity.view(), &t.labels, &t.session)
                .map_err(|e| e.to_string())
        });
        for i in 0..n {
            for j in 0..n {
                let of = general.as_ref().map_err(Clone::clone);
                let value = of.map(|g| g.pairs.get(&(i, j)).copied().unwrap_or(f64::NAN));
                out.push(row("generalisation", i, j, value));
            }
        }
        let parallel = all.and_then(|(kernel, t)| {
            let seed = context.parameters.seed;
            parallelism(kernel, &t.labels, &t.session, DRAWS, seed).map_err(|e| e.to_string())
        });
        let raw = parallel.as_ref().map(|p| p.raw).map_err(Clone::clone);
        out.push(row("parallelism", 0, n - 1, raw));
        let corrected = parallel.map(|p| p.corrected);
        out.push(row("parallelism_corrected", 0, n - 1, corrected));
    }
    out
}

fn together(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
) -> Result<Together, String> {
    let classes = context.classes(variable);
    let n = context.sessions.len();
    for session in 0..n {
        if window.bins[session].is_empty() {
            return Err(outside(session));
        }
        if let Some(reason) = context.shortage(session, variable, &classes) {
            return Err(reason);
        }
    }
    let common: Vec<usize> = context
        .roster
        .of(0)
        .map(|(global, _)| global)
        .filter(|&global| (1..n).all(|s| context.roster.find(s, global).is_some()))
        .collect();
    if common.len() < context.parameters.min_cells {
        return Err(few(common.len(), context.parameters.min_cells));
    }
    let most = (MOST_TRIALS / n / classes.len()).max(context.parameters.min_trials);
    let picked: Vec<Vec<usize>> = (0..n)
        .map(|s| {
            let members = context.members(s, variable, &classes);
            let mut out: Vec<usize> = members.iter().flat_map(|m| spaced(m, most)).collect();
            out.sort_unstable();
            out
        })
        .collect();
    let means: Vec<Array2<f32>> = picked
        .iter()
        .zip(&window.means)
        .map(|(trials, means)| means.select(Axis(1), trials))
        .collect();
    let parts: Vec<(&Array2<f32>, Vec<usize>)> = (0..n)
        .map(|s| {
            let cells = common.iter();
            let cells = cells.filter_map(|&global| context.roster.find(s, global));
            (&means[s], cells.collect())
        })
        .collect();
    let label = |(s, trials): (usize, &Vec<usize>)| -> Vec<i64> {
        let all = context.labels(s, variable);
        trials.iter().map(|&t| all[t]).collect()
    };
    Ok(Together {
        activity: standardised(&parts),
        labels: picked.iter().enumerate().flat_map(label).collect(),
        session: picked
            .iter()
            .enumerate()
            .flat_map(|(s, trials)| vec![s; trials.len()])
            .collect(),
    })
}

/// At most `most` of `all`, evenly spaced.
fn spaced(all: &[usize], most: usize) -> Vec<usize> {
    let kept = all.len().min(most);
    (0..kept).map(|k| all[k * all.len() / kept]).collect()
}
