use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

use crate::Error;
use crate::baseline::median;
use crate::shape::same_shape;

/// What one ROI's traces come to over all frames; samples that are not finite
/// are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Median of its fluorescence, 0 without a sample; units of the movie.
    pub median: f64,
    /// Mean of its fluorescence; NaN without a sample.
    pub mean: f64,
    /// Variance of its fluorescence over frames.
    pub variance: f64,
    /// Mean of its neuropil.
    pub neuropil_mean: f64,
    /// Variance of its neuropil over frames.
    pub neuropil_variance: f64,
}

/// Sums up traces, axes `(roi, frame)`: [`Traces::f`](crate::Traces::f) and
/// [`Traces::neuropil`](crate::Traces::neuropil).
///
/// # Errors
/// [`Error::Shape`] if the two arrays differ.
pub fn summaries(
    f: ArrayView2<'_, f32>,
    neuropil: ArrayView2<'_, f32>,
) -> Result<Vec<Summary>, Error> {
    same_shape("the neuropil array", &neuropil, "the fluorescence", &f)?;
    Ok((0..f.nrows())
        .into_par_iter()
        .map(|roi| {
            let (mean, variance) = moments(f.row(roi));
            let (neuropil_mean, neuropil_variance) = moments(neuropil.row(roi));
            Summary {
                median: median(f.row(roi)),
                mean,
                variance,
                neuropil_mean,
                neuropil_variance,
            }
        })
        .collect())
}

/// Mean and variance of the finite samples; NaN without any.
fn moments(row: ArrayView1<'_, f32>) -> (f64, f64) {
    let finite = row.iter().map(|&v| f64::from(v)).filter(|v| v.is_finite());
    let count = finite.clone().count() as f64;
    let mean = finite.clone().sum::<f64>() / count;
    let square: f64 = finite.map(|v| (v - mean).powi(2)).sum();
    (mean, square / count)
}
