//! From trials to cells and back: the weights of decoders, and what they read.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use ndarray::{Array2, ArrayView2};

use crate::features::BLOCK;
use crate::{Error, Features};

/// Weights of decoders in the space of cells, `(cell, decoder)`: the trials of
/// `features` added up with `coefficients` `(trial, decoder)`. In units of the
/// scaled features.
///
/// With them a decoder reads any number of other trials without their inner
/// products ([`read_out`]): two passes over the cells instead of a product of
/// all pairs of trials.
///
/// # Errors
/// [`Error::Shape`] if there is not one coefficient per trial,
/// [`Error::Empty`], [`Error::NotFinite`] (cell, decoder).
pub fn weights(
    features: &Features<'_>,
    coefficients: ArrayView2<'_, f64>,
) -> Result<Array2<f64>, Error> {
    let (trials, decoders) = coefficients.dim();
    if trials != features.trials() {
        return Err(Error::Shape(format!(
            "coefficients of {trials} trials for {} trials",
            features.trials()
        )));
    }
    if trials == 0 || features.is_empty() || decoders == 0 {
        return Err(Error::Empty);
    }
    let small = Mat::from_fn(trials, decoders, |t, k| coefficients[[t, k]] as f32);
    let mut out = Array2::zeros((features.len(), decoders));
    let mut buffer = Vec::new();
    for start in (0..features.len()).step_by(BLOCK) {
        let width = BLOCK.min(features.len() - start);
        let mut product = Mat::<f32>::zeros(width, decoders);
        matmul(
            product.as_mut(),
            Accum::Replace,
            features.block(start, width, &mut buffer).transpose(),
            small.as_ref(),
            1.0,
            Par::Seq,
        );
        for k in 0..decoders {
            for cell in 0..width {
                out[[start + cell, k]] = f64::from(product[(cell, k)]);
            }
        }
    }
    finite(out)
}

/// What decoders with `weights` `(cell, decoder)` read in each trial of
/// `features`, `(trial, decoder)`, without bias. Products of a block of cells
/// are taken in single precision and added up in double.
///
/// # Errors
/// [`Error::Shape`] if there is not one weight per cell, [`Error::Empty`],
/// [`Error::NotFinite`] (trial, decoder).
pub fn read_out(
    features: &Features<'_>,
    weights: ArrayView2<'_, f64>,
) -> Result<Array2<f64>, Error> {
    let (cells, decoders) = weights.dim();
    if cells != features.len() {
        return Err(Error::Shape(format!(
            "weights of {cells} cells for {} cells",
            features.len()
        )));
    }
    let trials = features.trials();
    if trials == 0 || cells == 0 || decoders == 0 {
        return Err(Error::Empty);
    }
    let mut out = Array2::zeros((trials, decoders));
    let mut buffer = Vec::new();
    for start in (0..cells).step_by(BLOCK) {
        let width = BLOCK.min(cells - start);
        let mut product = Mat::<f32>::zeros(trials, decoders);
        matmul(
            product.as_mut(),
            Accum::Replace,
            features.block(start, width, &mut buffer),
            Mat::from_fn(width, decoders, |c, k| weights[[start + c, k]] as f32).as_ref(),
            1.0,
            Par::Seq,
        );
        for ((trial, k), sum) in out.indexed_iter_mut() {
            *sum += f64::from(product[(trial, k)]);
        }
    }
    finite(out)
}

fn finite(out: Array2<f64>) -> Result<Array2<f64>, Error> {
    match out.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), _)) => Err(Error::NotFinite { row, column }),
        None => Ok(out),
    }
}
