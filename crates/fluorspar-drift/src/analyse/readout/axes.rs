use fluorspar_decode::{AxisAngle, AxisKind, axis_angle};
use rayon::prelude::*;

use super::{kernel, machine, standardised};
use crate::analyse::context::{Basis, Context, Topic, Window};
use crate::analyse::population::{few, outside};
use crate::table::MetricRow;

/// Random halvings of each session's trials.
const SPLITS: usize = 10;

const METRICS: [&str; 3] = [
    "decoder_axis_cosine",
    "decoder_axis_cosine_floor",
    "decoder_axis_cosine_corrected",
];

/// For each pair `i < j` the cosine of both decoders' axes (weights of a
/// linear support vector machine, cells in units of their own session):
/// `decoder_axis_cosine` as it is, `decoder_axis_cosine_floor` what trial noise
/// alone would leave without any drift, `decoder_axis_cosine_corrected` the
/// cosine without noise. Two labels only.
pub(crate) fn rows(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Vec<MetricRow> {
    let topic = |metric| Topic {
        metric,
        epoch: &window.epoch.name,
        variable,
    };
    let basis = Basis {
        unit: "halves of trials",
        null: "",
    };
    let found: Vec<(usize, usize, usize, Result<AxisAngle, String>)> = context
        .pairs(false)
        .into_par_iter()
        .map(|(i, j)| {
            let cells = context.roster.shared(i, j).len();
            (i, j, cells, compare(context, window, variable, (i, j)))
        })
        .collect();
    let mut out = Vec::new();
    for (k, metric) in METRICS.into_iter().enumerate() {
        for (i, j, cells, angle) in &found {
            let mut row = context.row(topic(metric), basis, *i, *j);
            row.n_cells = *cells;
            match angle {
                Ok(angle) => {
                    row.value = [angle.cosine, angle.floor, angle.corrected][k];
                    if row.value.is_nan() {
                        row.reason = "halves of a session have no common axis".into();
                    }
                }
                Err(reason) => row.reason.clone_from(reason),
            }
            out.push(row);
        }
    }
    out
}

fn compare(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
    (i, j): (usize, usize),
) -> Result<AxisAngle, String> {
    let classes = context.classes(variable);
    if classes.len() > 2 {
        return Err("an axis lies between two labels; there are more".into());
    }
    for session in [i, j] {
        if window.bins[session].is_empty() {
            return Err(outside(session));
        }
        if let Some(reason) = context.shortage(session, variable, &classes) {
            return Err(reason);
        }
    }
    let shared = context.roster.shared(i, j);
    if shared.len() < context.parameters.min_cells {
        return Err(few(shared.len(), context.parameters.min_cells));
    }
    let both = standardised(&[
        (&window.means[i], shared.iter().map(|s| s.i).collect()),
        (&window.means[j], shared.iter().map(|s| s.j).collect()),
    ]);
    let kernel = kernel(both.view())?;
    let labels = [context.labels(i, variable), context.labels(j, variable)].concat();
    let border = window.means[i].ncols();
    let first: Vec<usize> = (0..border).collect();
    let second: Vec<usize> = (border..both.nrows()).collect();
    let decoder = machine(context);
    let kind = AxisKind::Weights(&decoder);
    let seed = context.parameters.seed;
    axis_angle(kind, &kernel, &labels, &first, &second, SPLITS, seed).map_err(|e| e.to_string())
}
