//! Dense products and decompositions in double precision. Every product is
//! cut into the same pieces whatever the number of threads, and each piece is
//! sequential, so that results do not depend on it.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder;
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::{Accum, Conj, Mat, MatMut, MatRef, Par, Spec};
use ndarray::Array2;
use rayon::prelude::*;

use super::LowRank;
use crate::Error;
use crate::linear::symmetric_eigen;

/// Rows or columns of a product that one task computes.
pub(super) const PIECE: usize = 128;

/// A row-major matrix as the solver sees it.
pub(super) fn view(values: &[f64], rows: usize, columns: usize) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(values, rows, columns)
}

/// `a · b`, row-major.
pub(super) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Vec<f64> {
    let mut out = vec![0.0; a.nrows() * b.ncols()];
    if !out.is_empty() && a.ncols() > 0 {
        let slots = MatMut::from_row_major_slice_mut(&mut out, a.nrows(), b.ncols());
        matmul(slots, Accum::Replace, a, b, 1.0, Par::Seq);
    }
    out
}

/// Some time courses and frames `(component, frame)`, row-major.
pub(super) fn courses(
    movie: &LowRank,
    components: std::ops::Range<usize>,
    frames: std::ops::Range<usize>,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(components.len() * frames.len());
    for k in components {
        out.extend(
            movie.course(k)[frames.clone()]
                .iter()
                .map(|&v| f64::from(v)),
        );
    }
    out
}

/// `V · right`, with `right (frame, column)`.
pub(super) fn courses_times(movie: &LowRank, right: &[f64], columns: usize) -> Vec<f64> {
    let (rank, frames) = (movie.rank(), movie.frames());
    let right = view(right, frames, columns);
    let pieces: Vec<Vec<f64>> = (0..rank)
        .step_by(PIECE)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|start| {
            let components = start..rank.min(start + PIECE);
            let count = components.len();
            let left = courses(movie, components, 0..frames);
            product(view(&left, count, frames), right)
        })
        .collect();
    pieces.concat()
}

/// `Vᵀ · right`, with `right (component, column)`.
pub(super) fn courses_transposed_times(movie: &LowRank, right: &[f64], columns: usize) -> Vec<f64> {
    let (rank, frames) = (movie.rank(), movie.frames());
    let right = view(right, rank, columns);
    let pieces: Vec<Vec<f64>> = (0..frames)
        .step_by(PIECE)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|start| {
            let now = start..frames.min(start + PIECE);
            let count = now.len();
            let left = courses(movie, 0..rank, now);
            product(view(&left, rank, count).transpose(), right)
        })
        .collect();
    pieces.concat()
}

/// A symmetric matrix from blocks of [`PIECE`] rows and columns: `block(i, j)`
/// is row-major, of the rows of `i` and columns of `j`, asked for `j <= i` only.
pub(super) fn symmetric(
    size: usize,
    blocks: impl Fn(usize) -> Vec<Vec<f64>> + Sync + Send,
) -> Array2<f64> {
    let found: Vec<Vec<Vec<f64>>> = (0..size.div_ceil(PIECE))
        .into_par_iter()
        .map(blocks)
        .collect();
    let mut out = Array2::zeros((size, size));
    for (i, row) in found.into_iter().enumerate() {
        for (j, block) in row.into_iter().enumerate() {
            let (top, left) = (i * PIECE, j * PIECE);
            let width = PIECE.min(size - left);
            for (at, value) in block.into_iter().enumerate() {
                let (i, j) = (top + at / width, left + at % width);
                // Rounding may differ across the diagonal.
                if j <= i {
                    out[[i, j]] = value;
                    out[[j, i]] = value;
                }
            }
        }
    }
    out
}

/// What rounding left of the symmetry of a square row-major matrix, restored.
pub(super) fn symmetrised(values: &[f64], size: usize) -> Array2<f64> {
    Array2::from_shape_fn((size, size), |(i, j)| {
        f64::midpoint(values[i * size + j], values[j * size + i])
    })
}

/// Eigenvalues, descending, and eigenvectors `(row, column)` of a symmetric matrix.
pub(super) fn eigen(matrix: &Array2<f64>) -> Result<(Vec<f64>, Mat<f64>), Error> {
    let size = matrix.nrows();
    let matrix = Mat::from_fn(size, size, |i, j| matrix[[i, j]]);
    symmetric_eigen(&matrix).ok_or(Error::Eigenvalues { size })
}

/// Orthonormal columns that span those of a row-major `(row, column)` matrix
/// with no more columns than rows (Householder reflections).
pub(super) fn orthonormal(values: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    if columns == 0 {
        return Vec::new();
    }
    let mut factor = view(values, rows, columns).to_owned();
    let block = recommended_block_size::<f64>(rows, columns);
    let mut reflections = Mat::zeros(block, columns);
    let mut memory = MemBuffer::new(
        qr_in_place_scratch::<f64>(rows, columns, block, Par::Seq, Spec::default()).or(
            householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(
                rows, block, columns,
            ),
        ),
    );
    qr_in_place(
        factor.as_mut(),
        reflections.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    );
    let mut basis = Mat::<f64>::from_fn(rows, columns, |i, j| f64::from(u8::from(i == j)));
    householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
        factor.as_ref(),
        reflections.as_ref(),
        Conj::No,
        basis.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    (0..rows)
        .flat_map(|i| (0..columns).map(move |j| (i, j)))
        .map(|at| basis[at])
        .collect()
}
