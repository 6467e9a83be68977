//! What decoders say beyond pairs of sessions: their axes, all sessions
//! together, times within a trial, error trials, few cells, groups of cells.

mod axes;
mod parts;
mod sessions;
mod times;

pub(crate) use axes::rows as axes;
pub(crate) use parts::rows as parts;
pub(crate) use sessions::rows as sessions;
pub(crate) use times::CrossTemporal;

use fluorspar_decode::{CrossValidation, Kernel, LinearSvm};
use ndarray::{Array2, ArrayView2};

use super::context::Context;

/// Cross-validation where many decoders are trained.
fn validation(context: &Context<'_>) -> CrossValidation {
    CrossValidation {
        folds: 5,
        repeats: 1,
        seed: context.parameters.seed,
    }
}

fn machine(context: &Context<'_>) -> LinearSvm {
    LinearSvm {
        c: context.parameters.c,
        // libsvm's own: tighter changes no label that is not in doubt anyway.
        tolerance: 1e-3,
        ..LinearSvm::default()
    }
}

/// The trials of several sessions one after the other, `(trial, cell)`: of each
/// session its means `(cell, trial)` and the cells, as many of each. A cell is
/// given less its mean and over its standard deviation in the session; one that
/// does not vary is 0. Cells lie together in memory.
fn standardised(sessions: &[(&Array2<f32>, Vec<usize>)]) -> Array2<f32> {
    let cells = sessions.iter().map(|s| s.1.len()).min().unwrap_or(0);
    let trials = sessions.iter().map(|s| s.0.ncols()).sum();
    let mut out = Array2::zeros((cells, trials));
    for (k, mut row) in out.rows_mut().into_iter().enumerate() {
        let mut slots = row.iter_mut();
        for (means, cells) in sessions {
            let own = means.row(cells[k]);
            let n = own.len() as f64;
            let mean = own.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let squares: f64 = own.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
            let sd = (squares / n).sqrt();
            let scale = if sd > 0.0 && sd.is_finite() {
                1.0 / sd
            } else {
                0.0
            };
            for (&v, slot) in own.iter().zip(&mut slots) {
                *slot = ((f64::from(v) - mean) * scale) as f32;
            }
        }
    }
    out.reversed_axes()
}

/// Inner products of trials `(trial, cell)`.
fn kernel(activity: ArrayView2<'_, f32>) -> Result<Kernel, String> {
    let features = fluorspar_decode::Features::new(activity);
    let gram = fluorspar_decode::gram(&features).map_err(|e| e.to_string())?;
    Kernel::new(gram.view()).map_err(|e| e.to_string())
}
