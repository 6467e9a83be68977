//! How smooth a displacement field is expected to be.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, Par, Spec};
use rayon::prelude::*;

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

/// `information + stiffness · Q`, the precision of a field given the images.
/// `information` holds per node the precision `[yy, xx, yx]` in px⁻²; the
/// order of the unknowns is all dy, then all dx.
fn precision(information: &[[f64; 3]], bending: &Mat<f64>, stiffness: f64) -> Mat<f64> {
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
    matrix
}

/// The Cholesky factor of a matrix in its lower triangle; `None` if it is not
/// positive definite.
fn factor(mut matrix: Mat<f64>) -> Option<Mat<f64>> {
    let request =
        llt::factor::cholesky_in_place_scratch::<f64>(matrix.nrows(), Par::Seq, Spec::default());
    llt::factor::cholesky_in_place(
        matrix.as_mut(),
        llt::factor::LltRegularization::default(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(request)),
        Spec::default(),
    )
    .ok()?;
    Some(matrix)
}

/// The covariance of a field given the images, the inverse of its
/// [`precision`]; `None` if that is not positive definite.
pub(crate) fn covariance(
    information: &[[f64; 3]],
    bending: &Mat<f64>,
    stiffness: f64,
) -> Option<Mat<f64>> {
    let matrix = factor(precision(information, bending, stiffness))?;
    let size = matrix.nrows();
    let mut inverse = Mat::<f64>::zeros(size, size);
    let request = llt::inverse::inverse_scratch::<f64>(size, Par::Seq);
    llt::inverse::inverse(
        inverse.as_mut(),
        matrix.as_ref(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(request)),
    );
    // Only the lower triangle was filled.
    for i in 0..size {
        for j in i + 1..size {
            inverse[(i, j)] = inverse[(j, i)];
        }
    }
    Some(inverse)
}

/// The stiffness under which what the images say of the fields is most
/// probable, from fields found with stiffness `before` on the same
/// `information`.
///
/// A field `d` found by Gauss–Newton steps maximises `hᵀd − dᵀ(I + κQ)d / 2`
/// where `h = (I + κQ)d` is what the images say, whatever the stiffness `κ`.
/// The marginal likelihood of `h`, with the size of the noise beside what `I`
/// expects left open (it differs where activity is no noise of the model), is
/// up to a constant
///
/// ```text
/// f/2 · (ln κ − ln R(κ)) − ln|I + κQ| / 2,   R(κ) = mean of hᵀI⁻¹h − hᵀ(I + κQ)⁻¹h
/// ```
///
/// with `f` the directions in which a field can bend (empirical Bayes, as in
/// MacKay 1992, Neural Computation 4:415). It is evaluated on a grid of κ,
/// four values a decade, and its highest place refined by a parabola. `None`
/// if a matrix is not positive definite or nothing bends.
pub(crate) fn most_probable(
    fields: &[Vec<f32>],
    information: &[[f64; 3]],
    bending: &Mat<f64>,
    before: f64,
) -> Option<f64> {
    let n = bending.nrows();
    // Three of a component's directions do not bend.
    let freedom = 2.0 * n.checked_sub(3)? as f64;
    if fields.is_empty() || freedom <= 0.0 {
        return None;
    }
    let found = Mat::from_fn(2 * n, fields.len(), |i, k| f64::from(fields[k][i]));
    let told = &precision(information, bending, before) * &found;
    // Mean of hᵀ M⁻¹ h, and ln|M|.
    let explained = |stiffness: f64| -> Option<(f64, f64)> {
        let lower = factor(precision(information, bending, stiffness))?;
        let mut solved = told.clone();
        solve_lower_triangular_in_place(lower.as_ref(), solved.as_mut(), Par::Seq);
        let logarithm: f64 = (0..2 * n).map(|i| 2.0 * lower[(i, i)].ln()).sum();
        Some((solved.squared_norm_l2() / fields.len() as f64, logarithm))
    };
    let (all, _) = explained(0.0)?;
    let decades = (STIFFEST / SOFTEST).log10();
    let steps = (PER_DECADE * decades).round() as usize;
    let at = |k: f64| SOFTEST * 10.0_f64.powf(k / PER_DECADE);
    let likelihood: Option<Vec<f64>> = (0..=steps)
        .into_par_iter()
        .map(|k| {
            let (left, logarithm) = explained(at(k as f64))?;
            let rest = (all - left).max(f64::MIN_POSITIVE);
            let scale = (rest / freedom).clamp(1.0 / LOUDER, LOUDER);
            Some(0.5 * (freedom * (at(k as f64) / scale).ln() - logarithm - rest / scale))
        })
        .collect();
    let likelihood = likelihood?;
    let best = (0..=steps).max_by(|&a, &b| likelihood[a].total_cmp(&likelihood[b]))?;
    if best == 0 || best == steps {
        return Some(at(best as f64));
    }
    let [low, top, high] = [best - 1, best, best + 1].map(|k| likelihood[k]);
    let bend = 2.0 * top - low - high;
    let offset = if bend > 0.0 {
        (high - low) / (2.0 * bend)
    } else {
        0.0
    };
    Some(at(best as f64 + offset.clamp(-0.5, 0.5)))
}

/// Largest factor by which the variance of the noise may differ from what is expected.
const LOUDER: f64 = 4.0;
/// Values of the stiffness that are tried per factor of ten.
const PER_DECADE: f64 = 4.0;
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

    #[test]
    fn the_stiffness_of_random_fields_is_found() {
        // Fields drawn from the prior, seen through noise twice as large as expected.
        use rand_chacha::ChaCha8Rng;
        use rand_chacha::rand_core::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let grid = Grid::new(256, 256, 32);
        let n = grid.len();
        let q = bending(&grid);
        let information: Vec<[f64; 3]> = (0..n)
            .map(|k| {
                [
                    60.0 + (k % 7) as f64 * 20.0,
                    90.0,
                    ((k % 3) as f64 - 1.0) * 20.0,
                ]
            })
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for truth in [20.0, 200.0, 5000.0] {
            // d = L⁻ᵀ z has covariance (κQ + a small anchor)⁻¹.
            let prior = factor(precision(&vec![[0.0; 3]; n], &q, truth)).unwrap();
            let noise = factor(precision(&information, &q, 0.0)).unwrap();
            let mut draw = |lower: &Mat<f64>| {
                let mut z = Mat::from_fn(2 * n, 1, |_, _| StandardNormal.sample(&mut rng));
                faer::linalg::triangular_solve::solve_upper_triangular_in_place(
                    lower.transpose(),
                    z.as_mut(),
                    Par::Seq,
                );
                z
            };
            let before = 50.0;
            let posterior = covariance(&information, &q, before).unwrap();
            let precise = precision(&information, &q, 0.0);
            let fields: Vec<Vec<f32>> = (0..40)
                .map(|_| {
                    let seen = draw(&prior) + draw(&noise) * faer::Scale(2.0);
                    let field = &posterior * (&precise * seen);
                    (0..2 * n).map(|i| field[(i, 0)] as f32).collect()
                })
                .collect();
            let found = most_probable(&fields, &information, &q, before).unwrap();
            // κ is learnt relative to the noise that was expected: four times
            // its variance makes the same fields four times as stiff beside it.
            let ratio = found / (4.0 * truth);
            assert!((0.75..1.33).contains(&ratio), "{truth}: {found}");
        }
        // Nothing bends: as stiff as can be.
        let still = vec![vec![0.25_f32; 2 * n]; 10];
        assert_eq!(
            most_probable(&still, &information, &q, 50.0),
            Some(STIFFEST)
        );
    }
}
