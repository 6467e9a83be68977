//! The few pieces of linear algebra that blocks are taken apart with: products
//! by `faer`, always sequential, so that neither threads nor their number
//! change a bit.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};
use fluorspar_movie::vectorised;

/// Matrix products, and the multiplications and additions spent on them.
#[derive(Debug, Default)]
pub(crate) struct Products {
    pub(crate) operations: u64,
}

impl Products {
    /// `a · b`.
    pub(crate) fn product(&mut self, a: MatRef<'_, f32>, b: MatRef<'_, f32>) -> Mat<f32> {
        self.operations += 2 * (a.nrows() * a.ncols() * b.ncols()) as u64;
        let mut out = Mat::zeros(a.nrows(), b.ncols());
        product_into(out.as_mut(), a, b);
        out
    }

    /// `bᵀ · a` for a narrow `a` and a large `b`, which is never copied to be transposed.
    pub(crate) fn transposed(&mut self, a: MatRef<'_, f32>, b: MatRef<'_, f32>) -> Mat<f32> {
        self.product(a.transpose(), b).transpose().to_owned()
    }

    /// `a · aᵀ`, of which only one half is computed.
    pub(crate) fn outer(&mut self, a: MatRef<'_, f32>) -> Mat<f32> {
        use triangular::BlockStructure::{Rectangular, TriangularLower};
        let n = a.nrows();
        self.operations += (n * (n + 1) * a.ncols()) as u64;
        let mut out = Mat::zeros(n, n);
        triangular::matmul(
            out.as_mut(),
            TriangularLower,
            Accum::Replace,
            a,
            Rectangular,
            a.transpose(),
            Rectangular,
            1.0,
            Par::Seq,
        );
        for j in 0..n {
            for i in 0..j {
                out[(i, j)] = out[(j, i)];
            }
        }
        out
    }
}

/// `a · b` into `out`.
pub(crate) fn product_into(out: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
}

/// Makes the columns of `a` orthonormal, first to last, by Gram and Schmidt's
/// method; columns that depend on earlier ones become zero.
pub(crate) fn orthonormalise(a: &mut Mat<f32>) {
    // Columns of whole vectors, filled up with zeros.
    let rows = a.nrows().next_multiple_of(2 * LANES);
    let mut values = vec![0.0; rows * a.ncols()];
    for (column, values) in a.col_iter().zip(values.chunks_exact_mut(rows.max(1))) {
        for (slot, &value) in values.iter_mut().zip(column.iter()) {
            *slot = value;
        }
    }
    orthonormalise_columns(&mut values, rows);
    for (column, values) in a.col_iter_mut().zip(values.chunks_exact(rows.max(1))) {
        for (slot, &value) in column.iter_mut().zip(values) {
            *slot = value;
        }
    }
}

const LANES: usize = 16;

vectorised! {
    fn orthonormalise_columns<'a>(values: &'a mut [f32], rows: usize) {
        let columns = values.len() / rows.max(1);
        for column in 0..columns {
            let (before, rest) = values.split_at_mut(column * rows);
            let own = &mut rest[..rows];
            let first = dot(own, own);
            let mut left = first;
            // Once more where much was taken away, since rounding is left behind
            // (Daniel, Gragg, Kaufman, Stewart 1976, Math. Comp. 30:772).
            for _ in 0..3 {
                for other in before.chunks_exact(rows) {
                    let along = dot(own, other);
                    for (own, other) in own.iter_mut().zip(other) {
                        *own -= along * other;
                    }
                }
                let before = left;
                left = dot(own, own);
                if left > 0.25 * before {
                    break;
                }
            }
            // What is left of a dependent column is rounding.
            let keep = left > 1e-12 * first && left > 0.0;
            let scale = if keep { 1.0 / left.sqrt() } else { 0.0 };
            for value in own.iter_mut() {
                *value *= scale;
            }
        }
    }
}

/// `Σ a·b`, in a fixed order.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    let mut others = [0.0_f32; LANES];
    let (a_pairs, a_last) = a.as_chunks::<2>();
    let (b_pairs, b_last) = b.as_chunks::<2>();
    for ([a, c], [b, d]) in a_pairs.iter().zip(b_pairs) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
            others[lane] += c[lane] * d[lane];
        }
    }
    for (a, b) in a_last.iter().zip(b_last) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    for lane in 0..LANES {
        sums[lane] += others[lane];
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums[0] + rest
}

/// `aᵀ a` of a few columns, with sums of blocks in double precision.
pub(crate) fn gram(a: MatRef<'_, f32>) -> Mat<f64> {
    let n = a.ncols();
    let mut out = Mat::zeros(n, n);
    for j in 0..n {
        for i in 0..=j {
            let (Some(x), Some(y)) = (a.col(i).try_as_col_major(), a.col(j).try_as_col_major())
            else {
                continue;
            };
            let (x, y) = (x.as_slice(), y.as_slice());
            let sum: f64 = x
                .chunks(256)
                .zip(y.chunks(256))
                .map(|(x, y)| f64::from(dot(x, y)))
                .sum();
            out[(i, j)] = sum;
            out[(j, i)] = sum;
        }
    }
    out
}

/// Eigenvalues, descending, and eigenvectors of a symmetric matrix; `None` if
/// the iteration does not converge.
pub(crate) fn symmetric_eigen(a: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let n = a.nrows();
    let mut vectors = Mat::zeros(n, n);
    let mut values = faer::diag::Diag::zeros(n);
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(
        n,
        ComputeEigenvectors::Yes,
        Par::Seq,
        Spec::default(),
    ));
    self_adjoint_evd(
        a.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .ok()?;
    // The solver's eigenvalues ascend.
    let descending = (0..n).rev().map(|k| values[k]).collect();
    Some((descending, vectors.reverse_cols().to_owned()))
}

/// The same with eigenvectors as blocks use them.
pub(crate) fn eigen(a: &Mat<f64>) -> Option<(Vec<f64>, Mat<f32>)> {
    let (values, vectors) = symmetric_eigen(a)?;
    let n = a.nrows();
    Some((values, Mat::from_fn(n, n, |i, k| vectors[(i, k)] as f32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize) -> Mat<f32> {
        Mat::from_fn(rows, columns, |i, j| {
            ((i * 7919 + j * 104_729 + i * j * 31) % 1009) as f32 / 1009.0 - 0.5
        })
    }

    #[test]
    fn outer_is_a_times_its_transpose() {
        let a = matrix(70, 33);
        let mut products = Products::default();
        let half = products.outer(a.as_ref());
        let whole = products.product(a.as_ref(), a.transpose());
        assert_eq!(
            products.operations,
            (70 * 71 * 33 + 2 * 70 * 70 * 33) as u64
        );
        for i in 0..70 {
            for j in 0..70 {
                assert!((half[(i, j)] - whole[(i, j)]).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn columns_become_orthonormal_and_dependent_ones_vanish() {
        let mut a = matrix(100, 8);
        for i in 0..100 {
            a[(i, 5)] = 2.0 * a[(i, 1)] - a[(i, 3)];
        }
        orthonormalise(&mut a);
        let gram = gram(a.as_ref());
        for i in 0..8 {
            for j in 0..8 {
                let expected = f64::from(u8::from(i == j && i != 5));
                assert!((gram[(i, j)] - expected).abs() < 1e-5, "{i} {j}");
            }
        }
    }

    #[test]
    fn eigenvalues_descend_and_diagonalise() {
        let a = gram(matrix(50, 6).as_ref());
        let (values, vectors) = eigen(&a).unwrap();
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        for k in 0..6 {
            for i in 0..6 {
                let image: f64 = (0..6).map(|j| a[(i, j)] * f64::from(vectors[(j, k)])).sum();
                assert!((image - values[k] * f64::from(vectors[(i, k)])).abs() < 1e-4);
            }
        }
    }
}
