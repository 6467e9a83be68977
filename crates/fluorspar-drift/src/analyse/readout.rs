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
        ..LinearSvm::default()
    }
}

/// The chosen cells of `means` `(cell, trial)` as `(trial, cell)`, each less
/// its mean and over its standard deviation; cells that do not vary are 0.
fn standardised(means: &Array2<f32>, cells: impl ExactSizeIterator<Item = usize>) -> Array2<f32> {
    let trials = means.ncols();
    let mut out = Array2::zeros((trials, cells.len()));
    for (k, cell) in cells.enumerate() {
        let row = means.row(cell);
        let n = trials as f64;
        let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let squares: f64 = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
        let sd = (squares / n).sqrt();
        if sd > 0.0 && sd.is_finite() {
            for (out, &v) in out.column_mut(k).iter_mut().zip(row) {
                *out = ((f64::from(v) - mean) / sd) as f32;
            }
        }
    }
    out
}

/// Inner products of trials `(trial, cell)`.
fn kernel(activity: ArrayView2<'_, f32>) -> Result<Kernel, String> {
    let features = fluorspar_decode::Features::new(activity);
    let gram = fluorspar_decode::gram(&features).map_err(|e| e.to_string())?;
    Kernel::new(gram.view()).map_err(|e| e.to_string())
}
