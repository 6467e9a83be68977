//! Tests of a session × session table against another.

use ndarray::ArrayView2;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::{Alternative, add_one_p, factorial_within, next_order};
use crate::Error;
use crate::random::{Domain, stream};
use crate::statistics::mean;

/// Outcome of a Mantel test.
#[derive(Clone, Debug, PartialEq)]
pub struct Mantel {
    /// Correlation over pairs of sessions (partial if there are controls).
    pub r: f64,
    /// Probability of a correlation as extreme if the order of sessions did not matter.
    pub p: f64,
    /// Sessions with at least one value.
    pub n_sessions: usize,
    /// Pairs of sessions with a value.
    pub n_pairs: usize,
    /// Orders compared with the observed one.
    pub orders: usize,
    /// Whether these are all orders there are; then `p` is exact and no seed matters.
    pub exact: bool,
    /// The seed of the orders.
    pub seed: u64,
}

/// Mantel test (Mantel 1967, Cancer Res 27:209): Pearson correlation of
/// `similarity` with `distance` over pairs of sessions, both `(session,
/// session)`, against the same with the sessions of `similarity` reordered.
///
/// Pairs that share a session are not independent, so no p value of an
/// ordinary regression holds for them; reordering whole sessions keeps that
/// dependence. A table that is not symmetric (decoding from i to j) enters
/// with the mean of both directions; the diagonal is not used. A pair that is
/// NaN in either table is left out. All orders are compared if there are at
/// most `orders` of them, else `orders` at random.
///
/// # Errors
/// [`Error::Shape`] if the tables are not square and of one size,
/// [`Error::Undefined`] with fewer than 4 sessions, or if either table does
/// not vary, [`Error::Parameter`] if `orders` is 0.
pub fn mantel(
    similarity: ArrayView2<'_, f64>,
    distance: ArrayView2<'_, f64>,
    alternative: Alternative,
    orders: usize,
    seed: u64,
) -> Result<Mantel, Error> {
    mantel_partial(similarity, distance, &[], alternative, orders, seed)
}

/// Partial Mantel test (Smouse, Long and Sokal 1986, Syst Zool 35:627): as
/// [`mantel`], with what the tables in `controls` explain linearly taken out of
/// both (distance in behaviour, difference in trial numbers, practice).
///
/// What is reordered is the residual of `similarity` given the controls
/// (Freedman and Lane 1983; Legendre 2000, J Stat Comput Simul 67:37), and the
/// controls are taken out again in every order.
///
/// # Errors
/// As [`mantel`]; also [`Error::Undefined`] if the controls leave nothing.
pub fn mantel_partial(
    similarity: ArrayView2<'_, f64>,
    distance: ArrayView2<'_, f64>,
    controls: &[ArrayView2<'_, f64>],
    alternative: Alternative,
    orders: usize,
    seed: u64,
) -> Result<Mantel, Error> {
    let sessions = similarity.nrows();
    for table in [&similarity, &distance].into_iter().chain(controls) {
        if table.dim() != (sessions, sessions) {
            return Err(Error::Shape(format!(
                "a table of {:?} beside one of {:?}: all must be (session, session)",
                table.dim(),
                similarity.dim()
            )));
        }
    }
    if orders == 0 {
        return Err(Error::Parameter {
            name: "orders",
            value: 0.0,
            rule: "must be at least 1",
        });
    }
    let both = |table: &ArrayView2<'_, f64>, i: usize, j: usize| {
        let known: Vec<f64> = [table[[i, j]], table[[j, i]]]
            .into_iter()
            .filter(|v| v.is_finite())
            .collect();
        mean(&known)
    };
    let used: Vec<usize> = (0..sessions)
        .filter(|&i| (0..sessions).any(|j| i != j && both(&similarity, i, j).is_finite()))
        .collect();
    let n = used.len();
    if n < 4 {
        return Err(Error::Undefined(format!(
            "{n} sessions with a value: a Mantel test needs 4"
        )));
    }
    let square = |table: &ArrayView2<'_, f64>| -> Vec<f64> {
        (0..n * n)
            .map(|k| both(table, used[k / n], used[k % n]))
            .collect()
    };
    let (mut table, fixed) = (square(&similarity), square(&distance));
    let controls: Vec<Vec<f64>> = controls.iter().map(square).collect();
    let identity: Vec<usize> = (0..n).collect();
    if !controls.is_empty() {
        let pairs = complete(&table, &fixed, &controls, &identity);
        let mut residual = values(&table, &identity, &pairs, n);
        take_out(&mut residual, &basis(&controls, &pairs, n));
        table.fill(f64::NAN);
        for (&(i, j), value) in pairs.iter().zip(residual) {
            table[i * n + j] = value;
            table[j * n + i] = value;
        }
    }
    let correlate = |order: &[usize]| {
        let pairs = complete(&table, &fixed, &controls, order);
        let basis = basis(&controls, &pairs, n);
        let mut x = values(&table, order, &pairs, n);
        let mut y = values(&fixed, &identity, &pairs, n);
        take_out(&mut x, &basis);
        take_out(&mut y, &basis);
        crate::statistics::pearson(&x, &y)
    };
    let n_pairs = complete(&table, &fixed, &controls, &identity).len();
    let r = correlate(&identity);
    if !r.is_finite() || n_pairs < controls.len() + 3 {
        return Err(Error::Undefined(format!(
            "over {n_pairs} pairs of sessions one of the tables does not vary"
        )));
    }
    let exact = factorial_within(n, orders);
    let p = if let Some(all) = exact {
        let mut order = identity.clone();
        let mut reached = 1;
        while next_order(&mut order) {
            reached += usize::from(alternative.reaches(correlate(&order), r));
        }
        reached as f64 / all as f64
    } else {
        let reached = (0..orders)
            .into_par_iter()
            .filter(|&k| {
                let mut order = identity.clone();
                order.shuffle(&mut stream(seed, Domain::Sessions, k as u64));
                alternative.reaches(correlate(&order), r)
            })
            .count();
        add_one_p(reached, orders)
    };
    Ok(Mantel {
        r,
        p,
        n_sessions: n,
        n_pairs,
        orders: exact.unwrap_or(orders),
        exact: exact.is_some(),
        seed,
    })
}

/// Pairs `(i, j)` with a value everywhere when `table` is reordered.
fn complete(
    table: &[f64],
    fixed: &[f64],
    controls: &[Vec<f64>],
    order: &[usize],
) -> Vec<(usize, usize)> {
    let n = order.len();
    (0..n)
        .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
        .filter(|&(i, j)| {
            table[order[i] * n + order[j]].is_finite()
                && fixed[i * n + j].is_finite()
                && controls.iter().all(|c| c[i * n + j].is_finite())
        })
        .collect()
}

fn values(table: &[f64], order: &[usize], pairs: &[(usize, usize)], n: usize) -> Vec<f64> {
    pairs
        .iter()
        .map(|&(i, j)| table[order[i] * n + order[j]])
        .collect()
}

/// Orthonormal directions of a constant and the controls; those that add nothing are left out.
fn basis(controls: &[Vec<f64>], pairs: &[(usize, usize)], n: usize) -> Vec<Vec<f64>> {
    if controls.is_empty() {
        return Vec::new();
    }
    let constant = vec![1.0 / (pairs.len() as f64).sqrt(); pairs.len()];
    let mut out = vec![constant];
    for control in controls {
        let raw: Vec<f64> = pairs.iter().map(|&(i, j)| control[i * n + j]).collect();
        let before = raw.iter().map(|v| v * v).sum::<f64>();
        let mut column = raw;
        // Twice, for what rounding left the first time.
        take_out(&mut column, &out);
        take_out(&mut column, &out);
        let length = column.iter().map(|v| v * v).sum::<f64>();
        if length > 1e-20 * before && length > 0.0 {
            let scale = length.sqrt();
            for value in &mut column {
                *value /= scale;
            }
            out.push(column);
        }
    }
    out
}

fn take_out(column: &mut [f64], basis: &[Vec<f64>]) {
    let before: f64 = column.iter().map(|v| v * v).sum();
    for direction in basis {
        let along: f64 = direction
            .iter()
            .zip(column.iter())
            .map(|(d, v)| d * v)
            .sum();
        for (value, d) in column.iter_mut().zip(direction) {
            *value -= along * d;
        }
    }
    // A column that lies in the basis leaves rounding, not a direction.
    let after: f64 = column.iter().map(|v| v * v).sum();
    if !basis.is_empty() && after < 1e-20 * before {
        column.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn days(n: usize) -> Array2<f64> {
        Array2::from_shape_fn((n, n), |(i, j)| (i as f64 - j as f64).abs())
    }

    #[test]
    fn four_sessions_are_enumerated() {
        // Of 24 orders of a table that falls exactly with distance, only the
        // order and its mirror reach it.
        let found = mantel(
            days(4).mapv(|d| 1.0 - 0.1 * d).view(),
            days(4).view(),
            Alternative::Less,
            1000,
            1,
        )
        .unwrap();
        assert!((found.r + 1.0).abs() < 1e-12);
        assert!(found.exact && found.orders == 24);
        assert!((found.p - 2.0 / 24.0).abs() < 1e-12, "{}", found.p);
    }

    #[test]
    fn a_control_that_is_the_distance_leaves_nothing() {
        let table = days(6).mapv(|d| (-d / 3.0).exp());
        let wrong = mantel_partial(
            table.view(),
            days(6).view(),
            &[days(6).view()],
            Alternative::Less,
            100,
            1,
        );
        assert!(matches!(wrong, Err(Error::Undefined(_))), "{wrong:?}");
    }

    #[test]
    fn the_partial_correlation_is_the_textbook_one() {
        let n = 7;
        let other = Array2::from_shape_fn((n, n), |(i, j)| {
            let value = |k: usize| ((k * 37 + 11) % 17) as f64;
            (value(i) - value(j)).abs()
        });
        let table = Array2::from_shape_fn((n, n), |(i, j)| {
            -days(n)[[i, j]] + 0.3 * other[[i, j]] + ((i * j * 13 + (i + j) * 5) % 7) as f64
        });
        let upper = |m: &Array2<f64>| -> Vec<f64> {
            (0..n)
                .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
                .map(|(i, j)| m[[i, j]])
                .collect()
        };
        let (x, y, z) = (upper(&table), upper(&days(n)), upper(&other));
        let r = crate::statistics::pearson;
        let (xy, xz, yz) = (r(&x, &y), r(&x, &z), r(&y, &z));
        let expected = (xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt();
        let found = mantel_partial(
            table.view(),
            days(n).view(),
            &[other.view()],
            Alternative::TwoSided,
            200,
            3,
        )
        .unwrap();
        assert!((found.r - expected).abs() < 1e-12, "{} {expected}", found.r);
    }

    #[test]
    fn missing_entries_are_left_out() {
        let mut table = days(6).mapv(|d| (-d / 3.0).exp());
        for k in 0..6 {
            table[[5, k]] = f64::NAN;
            table[[k, 5]] = f64::NAN;
        }
        table[[0, 1]] = f64::NAN;
        table[[1, 0]] = f64::NAN;
        let found = mantel(table.view(), days(6).view(), Alternative::Less, 1000, 1).unwrap();
        assert_eq!((found.n_sessions, found.n_pairs), (5, 9));
        let empty = Array2::from_elem((5, 5), f64::NAN);
        assert!(mantel(empty.view(), days(5).view(), Alternative::Less, 10, 1).is_err());
        let none = Array2::<f64>::zeros((0, 0));
        assert!(mantel(none.view(), none.view(), Alternative::Less, 10, 1).is_err());
    }
}
