//! Trials and conditions drawn in few dimensions.
//!
//! | function | axes are | use it to |
//! |---|---|---|
//! | [`principal`] | directions of most variance | see what dominates |
//! | [`demixed`] | directions of most variance *of one variable* | see time, label and their interaction apart |
//! | [`neighbours`] | none: only who is near whom | see clusters of trials; distances between clusters mean nothing |
//!
//! All work on inner products of observations, so their cost is in trials,
//! not in cells. They are pictures: no test and no drift number comes from them.

mod demixed;
mod neighbours;
mod principal;

pub use demixed::{Demixed, demixed};
pub use neighbours::{NeighbourOptions, neighbours};
pub use principal::{Principal, principal};

use ndarray::{Array2, ArrayView2, Axis};

/// Inner products of observations less their mean, from plain ones.
fn centred(gram: ArrayView2<'_, f64>) -> Array2<f64> {
    let n = gram.nrows() as f64;
    let rows = gram.sum_axis(Axis(1)) / n;
    let all = rows.sum() / n;
    Array2::from_shape_fn(gram.dim(), |(i, j)| gram[[i, j]] - rows[i] - rows[j] + all)
}

/// Turns each column so that its largest entry is positive: decompositions
/// leave the sign open.
fn fix_signs(scores: &mut Array2<f64>) {
    for mut column in scores.columns_mut() {
        let largest = column.iter().copied().fold(
            0.0,
            |best: f64, v| if v.abs() > best.abs() { v } else { best },
        );
        if largest < 0.0 {
            column.mapv_inplace(|v| -v);
        }
    }
}
