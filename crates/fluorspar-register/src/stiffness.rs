//! How smooth a displacement field is expected to be.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::{Mat, Par, Spec};

use crate::Grid;

/// Precision of each node's displacement whatever its neighbours, px⁻²: so
/// little that it only matters where there is no information at all.
const ANCHOR: f64 = 1e-3;

/// The bending energy of a thin plate on the nodes of a grid: `dᵀ Q d` is the
/// sum of squared second differences of one component of a field `d`, zero
/// for shifts, stretches, rotations and shears.
pub(crate) fn bending(grid: &Grid) -> Mat<f64> {
    let (rows, columns) = grid.dim();
    let n = rows * columns;
    let mut q = Mat::<f64>::zeros(n, n);
    let mut add = |terms: &[(usize, f64)], weight: f64| {
        for &(i, a) in terms {
            for &(j, b) in terms {
                q[(i, j)] += weight * a * b;
            }
        }
    };
    let at = |y: usize, x: usize| y * columns + x;
    for y in 0..rows {
        for x in 0..columns {
            if y + 2 < rows {
                add(
                    &[(at(y, x), 1.0), (at(y + 1, x), -2.0), (at(y + 2, x), 1.0)],
                    1.0,
                );
            }
            if x + 2 < columns {
                add(
                    &[(at(y, x), 1.0), (at(y, x + 1), -2.0), (at(y, x + 2), 1.0)],
                    1.0,
                );
            }
            if y + 1 < rows && x + 1 < columns {
                let twist = [
                    (at(y, x), 1.0),
                    (at(y, x + 1), -1.0),
                    (at(y + 1, x), -1.0),
                    (at(y + 1, x + 1), 1.0),
                ];
                add(&twist, 2.0);
            }
        }
    }
    q
}

/// The inverse of `information + stiffness · Q`, the covariance of a field
/// given the images. `information` holds per node the precision
/// `[yy, xx, yx]` in px⁻²; the order of the unknowns is all dy, then all dx.
/// `None` if the matrix is not positive definite.
pub(crate) fn covariance(
    information: &[[f64; 3]],
    bending: &Mat<f64>,
    stiffness: f64,
) -> Option<Mat<f64>> {
    let n = information.len();
    let mut matrix = Mat::<f64>::zeros(2 * n, 2 * n);
    for i in 0..n {
        for j in 0..n {
            let energy = stiffness * bending[(i, j)];
            matrix[(i, j)] = energy;
            matrix[(n + i, n + j)] = energy;
        }
        let [yy, xx, yx] = information[i];
        matrix[(i, i)] += yy + ANCHOR;
        matrix[(n + i, n + i)] += xx + ANCHOR;
        matrix[(n + i, i)] += yx;
        matrix[(i, n + i)] += yx;
    }
    let size = 2 * n;
    let request = llt::factor::cholesky_in_place_scratch::<f64>(size, Par::Seq, Spec::default())
        .or(llt::inverse::inverse_scratch::<f64>(size, Par::Seq));
    let mut memory = MemBuffer::new(request);
    llt::factor::cholesky_in_place(
        matrix.as_mut(),
        llt::factor::LltRegularization::default(),
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .ok()?;
    let mut inverse = Mat::<f64>::zeros(size, size);
    llt::inverse::inverse(
        inverse.as_mut(),
        matrix.as_ref(),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    // Only the lower triangle was filled.
    for i in 0..size {
        for j in i + 1..size {
            inverse[(i, j)] = inverse[(j, i)];
        }
    }
    Some(inverse)
}

/// What the fields found so far say about the stiffness: the reciprocal of
/// their mean squared bending per degree of freedom, the part that their
/// uncertainty hides included (one step of expectation maximisation).
pub(crate) fn reestimate(fields: &[Vec<f32>], covariance: &Mat<f64>, bending: &Mat<f64>) -> f64 {
    let n = bending.nrows();
    let mut hidden = 0.0;
    for part in [0, n] {
        for i in 0..n {
            for j in 0..n {
                hidden += bending[(i, j)] * covariance[(part + i, part + j)];
            }
        }
    }
    let mut seen = 0.0;
    for field in fields {
        for component in field.chunks_exact(n) {
            for (i, &a) in component.iter().enumerate() {
                let row: f64 = component
                    .iter()
                    .enumerate()
                    .map(|(j, &b)| bending[(i, j)] * f64::from(b))
                    .sum();
                seen += f64::from(a) * row;
            }
        }
    }
    // Three of a component's directions do not bend.
    let freedom = 2.0 * n.saturating_sub(3) as f64;
    let mean = (seen / fields.len().max(1) as f64 + hidden) / freedom.max(1.0);
    (1.0 / mean.max(1e-9)).clamp(SOFTEST, STIFFEST)
}

/// Standard deviation of a second difference of 1 px.
pub(crate) const SOFTEST: f64 = 1.0;
/// And of 0.001 px: no motion but shifts, stretches and rotations.
pub(crate) const STIFFEST: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_do_not_bend_and_saddles_do() {
        let grid = Grid::new(160, 128, 32);
        let (rows, columns) = grid.dim();
        let q = bending(&grid);
        let energy = |f: &dyn Fn(f64, f64) -> f64| {
            let d: Vec<f64> = (0..rows * columns)
                .map(|k| f((k / columns) as f64, (k % columns) as f64))
                .collect();
            (0..d.len())
                .flat_map(|i| (0..d.len()).map(move |j| (i, j)))
                .map(|(i, j)| d[i] * q[(i, j)] * d[j])
                .sum::<f64>()
        };
        assert!(energy(&|y, x| 3.0 + 2.0 * y - x).abs() < 1e-9);
        // d = y·x has a twist of 1 in every cell, counted twice.
        assert!((energy(&|y, x| y * x) - 2.0 * 4.0 * 3.0).abs() < 1e-9);
        // d = x² has second differences of 2.
        assert!((energy(&|_, x| x * x) - 4.0 * 5.0 * 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_covariance_inverts_the_precision() {
        let grid = Grid::new(96, 96, 32);
        let q = bending(&grid);
        let information = vec![[4.0, 9.0, 1.5]; grid.len()];
        let c = covariance(&information, &q, 7.0).unwrap();
        let n = grid.len();
        let precision = |i: usize, j: usize| {
            let mut value = if i / n == j / n {
                7.0 * q[(i % n, j % n)]
            } else {
                0.0
            };
            if i % n == j % n {
                value += match (i / n, j / n) {
                    (0, 0) => 4.0 + ANCHOR,
                    (1, 1) => 9.0 + ANCHOR,
                    _ => 1.5,
                };
            }
            value
        };
        for i in 0..2 * n {
            for j in 0..2 * n {
                let product: f64 = (0..2 * n).map(|k| c[(i, k)] * precision(k, j)).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9);
            }
        }
    }
}
