//! Which cells are selective for a label, where the rule of inclusion asks.

use rayon::prelude::*;

use super::context::Context;
use crate::inference::false_discovery;
use crate::single_cell::{Permutations, Statistic, selectivity};
use crate::{Epoch, Inclusion, Parameters, Session};

/// For each session and cell whether it is selective, by d′ and label
/// permutation at the parameters' false discovery rate, for any variable in
/// any epoch. Empty if the rule of inclusion does not ask.
///
/// The same trials select the cells and are compared afterwards, which favours
/// similarity within the sessions that selected; tables name the rule.
pub(crate) fn informative(
    sessions: &[Session],
    epochs: &[Epoch],
    parameters: &Parameters,
) -> Vec<Vec<bool>> {
    if !matches!(
        parameters.inclusion,
        Inclusion::InformativeInEither | Inclusion::InformativeInBoth
    ) {
        return Vec::new();
    }
    let everyone = Parameters {
        inclusion: Inclusion::Tracked,
        bootstrap: 0,
        ..parameters.clone()
    };
    let context = Context::new(sessions, &everyone, Vec::new());
    let mut out: Vec<Vec<bool>> = sessions.iter().map(|s| vec![false; s.cell.len()]).collect();
    for epoch in epochs {
        let window = context.window(epoch);
        for variable in &parameters.variables {
            out.par_iter_mut().enumerate().for_each(|(session, flags)| {
                let labels = context.labels(session, variable);
                let permutations =
                    Permutations::new(labels, None, parameters.permutations, parameters.seed);
                // One label only, or an epoch outside the trials: nothing is selective.
                let Ok(permutations) = permutations else {
                    return;
                };
                let means = window.means[session].view();
                let Ok(found) = selectivity(means, &permutations, Statistic::DPrime) else {
                    return;
                };
                for (flag, q) in flags.iter_mut().zip(false_discovery(&found.p)) {
                    *flag |= q <= parameters.false_discovery;
                }
            });
        }
    }
    out
}
