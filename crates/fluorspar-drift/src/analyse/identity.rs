//! What unsure identities of cells make of a similarity.

use rayon::prelude::*;

use super::cells::Pair;
use super::context::{Basis, Context, Topic};
use crate::statistics::{interval, mean};
use crate::table::MetricRow;

/// Draws of which identities hold.
const DRAWS: u64 = 25;

/// Rows of a similarity over drawn identities: the mean, and the interval in
/// which draws lie. It belongs beside the interval over cells: where the two
/// differ in place, unsure matches carry the result. Empty if all identities
/// are certain.
pub(crate) fn rows(
    context: &Context<'_>,
    topic: Topic<'_>,
    similarity: impl Fn(&Context<'_>) -> Vec<Pair> + Sync,
) -> Vec<MetricRow> {
    if !context.unsure() {
        return Vec::new();
    }
    let drawn: Vec<Vec<Pair>> = (0..DRAWS)
        .into_par_iter()
        .map(|draw| similarity(&context.with_sampled_identity(draw)))
        .collect();
    let basis = Basis {
        unit: "drawn identities",
        null: "",
    };
    context
        .pairs(false)
        .into_iter()
        .map(|(i, j)| {
            let mut row = context.row(topic, basis, i, j);
            let here: Vec<&Pair> = drawn
                .iter()
                .flatten()
                .filter(|pair| (pair.i, pair.j) == (i, j))
                .collect();
            let values: Vec<f64> = here
                .iter()
                .map(|pair| pair.value)
                .filter(|v| v.is_finite())
                .collect();
            row.n_cells = here.iter().map(|pair| pair.n_cells).min().unwrap_or(0);
            if 2 * values.len() > here.len() {
                row.value = mean(&values);
                (row.lo, row.hi) = interval(&values, context.parameters.confidence);
            } else {
                row.reason = here
                    .iter()
                    .find(|pair| !pair.reason.is_empty())
                    .map_or_else(String::new, |pair| pair.reason.clone());
            }
            row
        })
        .collect()
}
