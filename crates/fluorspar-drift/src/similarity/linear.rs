//! Products and decompositions, always sequential and in double precision.
//!
//! Cells are many and observations few, so everything here stays in the space
//! of observations: no matrix of cells × cells is ever formed.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::Error;

/// Share of the largest singular value below which another is rounding.
pub(crate) const RANK_TOLERANCE: f64 = 1e-10;

/// Refuses values that are not finite.
pub(crate) fn finite<'a>(
    values: impl IntoIterator<Item = &'a f64>,
    name: &'static str,
) -> Result<(), Error> {
    if values.into_iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(Error::NotFinite(name))
    }
}

/// `a · b`.
pub(crate) fn product(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
    let (rows, columns, inner) = (a.nrows(), b.ncols(), a.ncols().min(b.nrows()));
    let mut out = vec![0.0; rows * columns];
    if !out.is_empty() && inner > 0 {
        let (a, b) = (Contiguous::of(a), Contiguous::of(b));
        let slots = MatMut::from_row_major_slice_mut(&mut out, rows, columns);
        matmul(slots, Accum::Replace, a.view(), b.view(), 1.0, Par::Seq);
    }
    Array2::from_shape_vec((rows, columns), out).unwrap_or_default()
}

/// `a · bᵀ`, the inner products of all rows.
pub(crate) fn inner(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
    product(a, b.reversed_axes())
}

/// `a · aᵀ`, exactly symmetric.
pub(crate) fn gram(a: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut out = inner(a, a);
    for i in 0..out.nrows() {
        for j in 0..i {
            out[[j, i]] = out[[i, j]];
        }
    }
    out
}

/// A matrix in one piece, row- or column-major, borrowed where it is so already.
struct Contiguous<'a> {
    values: std::borrow::Cow<'a, [f64]>,
    rows: usize,
    columns: usize,
    row_major: bool,
}

impl<'a> Contiguous<'a> {
    fn of(view: ArrayView2<'a, f64>) -> Self {
        let (rows, columns) = view.dim();
        let row_major = view.is_standard_layout();
        let values = if let Some(slice) = view.to_slice() {
            slice.into()
        } else if let Some(slice) = view.reversed_axes().to_slice() {
            slice.into()
        } else {
            return Self {
                values: view.iter().copied().collect::<Vec<f64>>().into(),
                rows,
                columns,
                row_major: true,
            };
        };
        Self {
            values,
            rows,
            columns,
            row_major,
        }
    }

    fn view(&self) -> MatRef<'_, f64> {
        if self.row_major {
            MatRef::from_row_major_slice(&self.values, self.rows, self.columns)
        } else {
            MatRef::from_column_major_slice(&self.values, self.rows, self.columns)
        }
    }
}

/// The columns' means, and the rows without them.
pub(crate) fn centred(a: ArrayView2<'_, f64>) -> (Array1<f64>, Array2<f64>) {
    let mean = a
        .mean_axis(Axis(0))
        .unwrap_or_else(|| Array1::zeros(a.ncols()));
    let centred = &a - &mean;
    (mean, centred)
}

/// Sum of squares.
pub(crate) fn square_norm<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().map(|v| v * v).sum()
}

/// Eigenvalues, descending, and eigenvectors as columns of a symmetric matrix.
pub(crate) fn symmetric_eigen(a: ArrayView2<'_, f64>) -> Result<(Vec<f64>, Array2<f64>), Error> {
    let n = a.nrows();
    if n == 0 {
        return Ok((Vec::new(), Array2::zeros((0, 0))));
    }
    let matrix = Contiguous::of(a);
    let mut vectors = Mat::zeros(n, n);
    let mut values = faer::diag::Diag::zeros(n);
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(
        n,
        ComputeEigenvectors::Yes,
        Par::Seq,
        Spec::default(),
    ));
    self_adjoint_evd(
        matrix.view(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .map_err(|_| Error::Undefined("the eigenvalues did not converge".into()))?;
    // The solver's eigenvalues ascend.
    let descending = (0..n).rev().map(|k| values[k]).collect();
    let columns = Array2::from_shape_fn((n, n), |(i, k)| vectors[(i, n - 1 - k)]);
    Ok((descending, columns))
}

/// `a = left · diag(values) · rightᵀ`, without the directions that are rounding.
pub(crate) struct Singular {
    /// `(row of a, k)`, orthonormal columns.
    pub(crate) left: Array2<f64>,
    /// Descending.
    pub(crate) values: Vec<f64>,
    /// `(column of a, k)`, orthonormal columns.
    pub(crate) right: Array2<f64>,
}

/// All `min(rows, columns)` singular values and vectors.
pub(crate) fn singular(a: ArrayView2<'_, f64>) -> Result<Singular, Error> {
    let (rows, columns) = a.dim();
    let size = rows.min(columns);
    if size == 0 {
        return Ok(Singular {
            left: Array2::zeros((rows, 0)),
            values: Vec::new(),
            right: Array2::zeros((columns, 0)),
        });
    }
    let matrix = Contiguous::of(a);
    let mut left = Mat::zeros(rows, size);
    let mut right = Mat::zeros(columns, size);
    let mut values = faer::diag::Diag::zeros(size);
    let thin = ComputeSvdVectors::Thin;
    let mut memory = MemBuffer::new(svd_scratch::<f64>(
        rows,
        columns,
        thin,
        thin,
        Par::Seq,
        Spec::default(),
    ));
    svd(
        matrix.view(),
        values.as_mut(),
        Some(left.as_mut()),
        Some(right.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .map_err(|_| Error::Undefined("the singular values did not converge".into()))?;
    Ok(Singular {
        left: Array2::from_shape_fn((rows, size), |at| left[at]),
        values: (0..size).map(|k| values[k]).collect(),
        right: Array2::from_shape_fn((columns, size), |at| right[at]),
    })
}

/// The same without directions whose singular value is rounding.
pub(crate) fn singular_of_rank(a: ArrayView2<'_, f64>) -> Result<Singular, Error> {
    let all = singular(a)?;
    let rank = rank(&all.values);
    Ok(Singular {
        left: first_columns(&all.left, rank),
        values: all.values[..rank].to_vec(),
        right: first_columns(&all.right, rank),
    })
}

/// How many of descending singular values are more than rounding.
pub(crate) fn rank(values: &[f64]) -> usize {
    let least = values.first().map_or(0.0, |v| v * RANK_TOLERANCE);
    values.iter().take_while(|&&v| v > least && v > 0.0).count()
}

/// The first `count` columns.
pub(crate) fn first_columns(a: &Array2<f64>, count: usize) -> Array2<f64> {
    let (left, _) = a.view().split_at(Axis(1), count.min(a.ncols()));
    left.to_owned()
}

/// Orthonormal rows that span the rows of `basis`; fewer where those depend on each other.
pub(crate) fn orthonormal_rows(basis: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
    finite(basis, "the basis")?;
    let parts = singular_of_rank(basis)?;
    if parts.values.is_empty() {
        return Err(Error::Undefined("the basis spans nothing".into()));
    }
    Ok(parts
        .right
        .reversed_axes()
        .as_standard_layout()
        .into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn decompositions_compose_again() {
        let a = Array2::from_shape_fn((5, 9), |(i, j)| ((i * 7 + j * 3 + i * j) % 11) as f64 - 4.0);
        for a in [a.view(), a.t()] {
            let s = singular(a).unwrap();
            let scaled = &s.left * &Array1::from(s.values.clone());
            let again = inner(scaled.view(), s.right.view());
            assert!(square_norm(&(&again - &a)) < 1e-20);
            let (values, _) = symmetric_eigen(gram(a).view()).unwrap();
            for (value, singular) in values.iter().zip(&s.values) {
                assert!((value - singular * singular).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn dependent_rows_leave_the_basis() {
        let rows = orthonormal_rows(array![[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]].view()).unwrap();
        assert_eq!(rows.dim(), (1, 3));
        assert!(orthonormal_rows(Array2::zeros((2, 3)).view()).is_err());
    }

    #[test]
    fn strided_views_are_multiplied_too() {
        let a = Array2::from_shape_fn((4, 6), |(i, j)| (i * 6 + j) as f64);
        let mut strided = a.view();
        strided.slice_axis_inplace(Axis(1), ndarray::Slice::new(0, None, 2));
        assert_eq!(gram(strided), strided.dot(&strided.t()));
        assert_eq!(inner(a.view(), Array2::zeros((0, 6)).view()).dim(), (4, 0));
    }
}
