use ndarray::{Array2, ArrayView2, Axis};

use super::{centred, fix_signs};
use crate::Error;
use crate::similarity::linear::{finite, product, symmetric_eigen};

/// Demixed components of one part of the variance.
#[derive(Clone, Debug, PartialEq)]
pub struct Demixed {
    /// Which part: `"time"`, `"label"` (constant differences and those that
    /// change with time together).
    pub part: &'static str,
    /// Share of the variance of the condition means in this part.
    pub share: f64,
    /// `(label · times + time, component)`: the condition means along each component.
    pub scores: Array2<f64>,
}

/// Demixed principal components (Kobak et al. 2016, eLife 5:e10989) of
/// condition means from their inner products `gram` `(label · times + time,
/// label · times + time)` over cells.
///
/// The means are cut into what all labels share at a time (`time`) and the
/// rest (`label`); for each part, reduced-rank regression finds directions in
/// which the whole activity tells that part, with a ridge of `ridge` times the
/// mean diagonal of the centred `gram`. Solved among the observations:
/// `D X = √λ v` where `λ, v` are the eigenpairs of `K P G P K`, `G` the
/// centred products, `P` the projection onto the part and `K = G (G + ridge)⁻¹`.
///
/// # Errors
/// [`Error::Shape`] if `gram` is not `labels · times` square,
/// [`Error::NotFinite`], [`Error::Parameter`] for a negative ridge,
/// [`Error::Undefined`] below two labels or if the means do not differ.
pub fn demixed(
    gram: ArrayView2<'_, f64>,
    labels: usize,
    components: usize,
    ridge: f64,
) -> Result<Vec<Demixed>, Error> {
    let points = gram.nrows();
    if gram.ncols() != points || labels == 0 || !points.is_multiple_of(labels) {
        return Err(Error::Shape(format!(
            "inner products of {:?} for {labels} labels",
            gram.dim()
        )));
    }
    finite(gram, "the Gram matrix")?;
    if !(ridge >= 0.0 && ridge.is_finite()) {
        return Err(Error::Parameter {
            name: "ridge",
            value: ridge,
            rule: "must not be negative",
        });
    }
    if labels < 2 {
        return Err(Error::Undefined("demixing needs two labels".into()));
    }
    let times = points / labels;
    let centred = centred(gram);
    let total = centred.diag().sum();
    let (values, vectors) = symmetric_eigen(centred.view())?;
    let least = 1e-12 * values.first().copied().unwrap_or(0.0);
    if total <= 0.0 || least <= 0.0 {
        return Err(Error::Undefined("the condition means do not differ".into()));
    }
    let floor = ridge * total / points as f64;
    let shrunk = spectral(&values, &vectors, |v| {
        if v > least { v / (v + floor) } else { 0.0 }
    });
    let shared = Array2::from_shape_fn((points, points), |(a, b)| {
        if a % times == b % times {
            1.0 / labels as f64
        } else {
            0.0
        }
    });
    let rest = Array2::eye(points) - &shared;
    [("time", shared), ("label", rest)]
        .into_iter()
        .map(|(part, projection)| {
            let inside = product(
                product(projection.view(), centred.view()).view(),
                projection.view(),
            );
            let fitted = product(product(shrunk.view(), inside.view()).view(), shrunk.view());
            let symmetric = (&fitted + &fitted.t()) * 0.5;
            let (values, vectors) = symmetric_eigen(symmetric.view())?;
            let largest = values.first().copied().unwrap_or(0.0);
            let count = values
                .iter()
                .take_while(|&&v| v > 1e-12 * largest && v > 1e-12 * total)
                .count()
                .min(components);
            let mut scores =
                Array2::from_shape_fn((points, count), |(p, k)| vectors[[p, k]] * values[k].sqrt());
            fix_signs(&mut scores);
            Ok(Demixed {
                part,
                share: inside.diag().sum() / total,
                scores,
            })
        })
        .collect()
}

/// The matrix with the same eigenvectors and `f` of the eigenvalues.
fn spectral(values: &[f64], vectors: &Array2<f64>, f: impl Fn(f64) -> f64) -> Array2<f64> {
    let mut scaled = vectors.clone();
    for (mut column, &value) in scaled.axis_iter_mut(Axis(1)).zip(values) {
        let factor = f(value);
        column.mapv_inplace(|v| v * factor);
    }
    product(scaled.view(), vectors.t())
}
