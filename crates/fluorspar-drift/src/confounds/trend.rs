//! Does a number change from session to session, or with the days between two?

use ndarray::Array2;
use rand::seq::SliceRandom;

use crate::Error;
use crate::inference::{Alternative, add_one_p, mantel};
use crate::random::{Domain, stream};
use crate::statistics::{mean, pearson};

/// With fewer sessions not even the rarest order has p < 0.05: two of `n!` orders are extreme.
pub(crate) const FEWEST: usize = 5;

/// A number against days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Least-squares change per unit of `x`.
    pub slope: f64,
    /// Pearson correlation.
    pub correlation: f64,
    /// Two-sided permutation p: share of orders with at least this |correlation|.
    pub p: f64,
    /// Points used.
    pub n: usize,
}

/// Trend of `y` against `x` over sessions; points with a NaN are left out.
/// The null: any order of `y` is as likely.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::Undefined`] below five
/// points or if either does not vary, [`Error::Parameter`] without permutations.
pub fn trend(x: &[f64], y: &[f64], permutations: usize, seed: u64) -> Result<Trend, Error> {
    if x.len() != y.len() {
        return Err(Error::Shape(format!(
            "{} days for {} values",
            x.len(),
            y.len()
        )));
    }
    drawn(permutations)?;
    let (x, mut y): (Vec<f64>, Vec<f64>) = x
        .iter()
        .zip(y)
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .map(|(&a, &b)| (a, b))
        .unzip();
    enough(x.len())?;
    let correlation = pearson(&x, &y);
    if correlation.is_nan() {
        return Err(Error::Undefined(
            "the number is the same in all sessions".into(),
        ));
    }
    let slope = slope(&x, &y);
    let mut rng = stream(seed, Domain::Sessions, 0);
    let reached = (0..permutations)
        .filter(|_| {
            y.shuffle(&mut rng);
            pearson(&x, &y).abs() >= correlation.abs() - 1e-12
        })
        .count();
    Ok(Trend {
        slope,
        correlation,
        p: add_one_p(reached, permutations),
        n: x.len(),
    })
}

/// Trend of a number per session pair `(i, j, value)` against the days
/// between the two sessions; its p is that of [`mantel`], two-sided, because
/// pairs that share a session are not independent.
///
/// # Errors
/// [`Error::Shape`] if a pair names a session beyond `days`,
/// [`Error::Undefined`] if fewer than five sessions have values or either
/// side does not vary, [`Error::Parameter`] without permutations.
pub fn lag_trend(
    pairs: &[(usize, usize, f64)],
    days: &[f64],
    permutations: usize,
    seed: u64,
) -> Result<Trend, Error> {
    let table = table_of(pairs, days.len())?;
    let lags = Array2::from_shape_fn(table.dim(), |(i, j)| (days[i] - days[j]).abs());
    enough(
        table
            .rows()
            .into_iter()
            .filter(|row| row.iter().any(|v| v.is_finite()))
            .count(),
    )?;
    let found = mantel(
        table.view(),
        lags.view(),
        Alternative::TwoSided,
        permutations,
        seed,
    )?;
    let known: Vec<_> = pairs.iter().filter(|pair| pair.2.is_finite()).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = known
        .iter()
        .map(|&&(i, j, value)| (lags[[i, j]], value))
        .unzip();
    Ok(Trend {
        slope: slope(&x, &y),
        correlation: found.r,
        p: found.p,
        n: found.n_pairs,
    })
}

/// Pairs as a table `(session, session)`, NaN where there is none.
pub(crate) fn table_of(pairs: &[(usize, usize, f64)], n: usize) -> Result<Array2<f64>, Error> {
    let mut table = Array2::from_elem((n, n), f64::NAN);
    for &(i, j, value) in pairs {
        if i.max(j) >= n {
            return Err(Error::Shape(
                "a pair names a session that has no day".into(),
            ));
        }
        table[[i, j]] = value;
        table[[j, i]] = value;
    }
    Ok(table)
}

/// Whether groups of values have one mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constancy {
    /// Share of the variance that lies between groups, freed of what noise
    /// within them adds (ω², Hays 1963), not below 0.
    pub between: f64,
    /// Permutation p of one-way F. Trials close in time resemble each other,
    /// which makes it smaller than it should be: read `between` first.
    pub p: f64,
    /// Values used.
    pub n: usize,
}

/// Compares the means of groups (the trials of each session); NaN are left out.
///
/// # Errors
/// [`Error::Undefined`] if fewer than two groups have two values or nothing
/// varies, [`Error::Parameter`] without permutations.
pub fn constancy(groups: &[Vec<f64>], permutations: usize, seed: u64) -> Result<Constancy, Error> {
    drawn(permutations)?;
    let finite: Vec<Vec<f64>> = groups
        .iter()
        .map(|group| group.iter().copied().filter(|v| v.is_finite()).collect())
        .filter(|group: &Vec<f64>| group.len() > 1)
        .collect();
    if finite.len() < 2 {
        return Err(Error::Undefined(
            "fewer than two sessions have two values".into(),
        ));
    }
    let sizes: Vec<usize> = finite.iter().map(Vec::len).collect();
    let mut all: Vec<f64> = finite.concat();
    let (n, k) = (all.len() as f64, sizes.len() as f64);
    let middle = mean(&all);
    for value in &mut all {
        *value -= middle;
    }
    let total: f64 = all.iter().map(|v| v * v).sum();
    if total <= 1e-24 * n * middle * middle || total == 0.0 {
        return Err(Error::Undefined(
            "the number is the same in all trials".into(),
        ));
    }
    // Between groups; with the total fixed, F rises with it.
    let between = |values: &[f64]| {
        let mut from = 0;
        sizes
            .iter()
            .map(|&size| {
                let sum: f64 = values[from..from + size].iter().sum();
                from += size;
                sum * sum / size as f64
            })
            .sum::<f64>()
    };
    let observed = between(&all);
    let within = ((total - observed) / (n - k)).max(0.0);
    let mut rng = stream(seed, Domain::Trials, 0);
    let reached = (0..permutations)
        .filter(|_| {
            all.shuffle(&mut rng);
            between(&all) >= observed - 1e-9 * total
        })
        .count();
    Ok(Constancy {
        between: ((observed - (k - 1.0) * within) / (total + within)).max(0.0),
        p: add_one_p(reached, permutations),
        n: all.len(),
    })
}

/// Least-squares slope of `y` on `x`; NaN if `x` does not vary.
pub(crate) fn slope(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    let xy: f64 = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum();
    let xx: f64 = x.iter().map(|a| (a - mx).powi(2)).sum();
    if xx > 0.0 { xy / xx } else { f64::NAN }
}

fn enough(sessions: usize) -> Result<(), Error> {
    if sessions < FEWEST {
        return Err(Error::Undefined(format!(
            "with {sessions} sessions no order of them is rarer than 1 in 20"
        )));
    }
    Ok(())
}

fn drawn(permutations: usize) -> Result<(), Error> {
    if permutations == 0 {
        return Err(Error::Parameter {
            name: "permutations",
            value: 0.0,
            rule: "must be at least 1",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_trend_and_a_zigzag_is_not() {
        let days: Vec<f64> = (0..8).map(f64::from).collect();
        let line: Vec<f64> = days.iter().map(|d| 3.0 - 0.5 * d).collect();
        let found = trend(&days, &line, 999, 1).unwrap();
        assert!((found.slope + 0.5).abs() < 1e-12 && found.p < 0.01);
        let zigzag = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        assert!(trend(&days, &zigzag, 999, 1).unwrap().p > 0.5);
        assert!(trend(&days[..4], &line[..4], 999, 1).is_err());
        assert!(trend(&days, &[2.0; 8], 999, 1).is_err());
    }

    #[test]
    fn omega_squared_by_hand() {
        // Groups (0, 2) and (4, 6): between 16, within 4/2 = 2, total 20, ω² = (16 − 2)/(20 + 2).
        let found = constancy(&[vec![0.0, 2.0], vec![4.0, f64::NAN, 6.0]], 999, 1).unwrap();
        assert!((found.between - 14.0 / 22.0).abs() < 1e-12);
        // Two of the six divisions are as extreme: p near 1/3.
        assert!((found.p - 1.0 / 3.0).abs() < 0.06, "{}", found.p);
    }

    #[test]
    fn pairs_are_compared_by_their_distance() {
        let days = [1.0, 2.0, 4.0, 7.0, 11.0, 16.0];
        let pairs: Vec<_> = (0..6)
            .flat_map(|i| (i + 1..6).map(move |j| (i, j, 1.0 - 0.02 * (days[j] - days[i]))))
            .collect();
        let found = lag_trend(&pairs, &days, 999, 1).unwrap();
        assert!((found.slope + 0.02).abs() < 1e-12 && found.p < 0.02);
        assert!(lag_trend(&[(0, 9, 1.0)], &days, 99, 1).is_err());
        assert!(lag_trend(&[], &days, 99, 1).is_err());
    }
}
