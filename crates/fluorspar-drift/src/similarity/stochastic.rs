//! Shape distances that regard the trial-to-trial covariance beside the means.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use super::linear::{centred, finite, inner, product, singular, singular_of_rank, square_norm};
use super::subspace::same_cells;
use crate::Error;

/// Bures distance `√(tr A + tr B − 2 tr (A½ B A½)½)` of the covariances
/// `A = aᵀa/n`, `B = bᵀb/m` of residuals `a (trial, cell)`, `b (trial, cell)`
/// without their means (Bhatia, Jain and Lim 2019, Expo Math 37:165), from a
/// matrix of trials × trials: the last trace is `‖a bᵀ‖_*/√(nm)`.
///
/// Covariances of few trials differ by chance: compare with two halves of one session.
///
/// # Errors
/// If the numbers of cells differ, a side is empty or a value is not finite.
pub fn bures_distance(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Result<f64, Error> {
    same_cells(a.ncols(), b.ncols())?;
    for side in [a, b] {
        finite(side, "the residuals")?;
        if side.is_empty() {
            return Err(Error::Nothing("residuals"));
        }
    }
    let (n, m) = (a.nrows() as f64, b.nrows() as f64);
    let shared: f64 = singular(inner(a, b).view())?.values.iter().sum();
    let square = square_norm(a) / n + square_norm(b) / m - 2.0 * shared / (n * m).sqrt();
    Ok(square.max(0.0).sqrt())
}

/// Distance of two sessions as Gaussian clouds per condition (Duong et al.
/// 2023, ICLR): the root of the mean over conditions of `‖μ_x − μ_y‖² +
/// Bures(Σ_x, Σ_y)²`, after one rotation of the space of activity if `rotate`.
///
/// `x[c] (trial, cell)` and `y[c] (trial, cell)` are the trials of condition
/// `c`; means are taken as they are, not centred. Covariances have the number
/// of trials as divisor. The rotation is found by turns with the matching of trials
/// from two starts; it may be a local optimum, so the distance may be too large.
///
/// # Errors
/// If the numbers of conditions or cells differ, a condition has no trials, or
/// a value is not finite.
pub fn stochastic_shape_distance(
    x: &[ArrayView2<'_, f64>],
    y: &[ArrayView2<'_, f64>],
    rotate: bool,
) -> Result<f64, Error> {
    if x.len() != y.len() {
        return Err(Error::Shape(format!(
            "{} conditions beside {}",
            x.len(),
            y.len()
        )));
    }
    let Some(cells) = x.first().map(ndarray::ArrayBase::ncols) else {
        return Err(Error::Nothing("conditions"));
    };
    for trials in x.iter().chain(y) {
        same_cells(trials.ncols(), cells)?;
        finite(*trials, "the trials")?;
        if trials.is_empty() {
            return Err(Error::Nothing("trials of a condition"));
        }
    }
    let mut x: Vec<Cloud> = x.iter().map(|trials| Cloud::of(*trials)).collect();
    let mut y: Vec<Cloud> = y.iter().map(|trials| Cloud::of(*trials)).collect();
    let total = |clouds: &[Cloud]| -> f64 {
        clouds
            .iter()
            .map(|c| square_norm(&c.mean) + square_norm(&c.spread))
            .sum()
    };
    let both = total(&x) + total(&y);
    let mut shared = agreement(&x, &y, None)?;
    if rotate {
        let axes_x = into_own_axes(&mut x)?;
        let axes_y = into_own_axes(&mut y)?;
        // From no rotation, and from the one that fits the means.
        let plain = product(axes_x.t(), axes_y.view());
        for start in [plain, turn_of_means(&x, &y)?] {
            shared = shared.max(best_agreement(&x, &y, start, both)?);
        }
    }
    Ok(((both - 2.0 * shared) / x.len() as f64).max(0.0).sqrt())
}

/// What is reached from `turn` by turns with the trials' matching.
fn best_agreement(
    x: &[Cloud],
    y: &[Cloud],
    mut turn: Array2<f64>,
    both: f64,
) -> Result<f64, Error> {
    let mut shared = agreement(x, y, Some(&turn))?;
    for _ in 0..MOST_TURNS {
        turn = better_turn(x, y, &turn)?;
        let now = agreement(x, y, Some(&turn))?;
        let gained = now - shared;
        shared = shared.max(now);
        if gained <= 1e-12 * both {
            break;
        }
    }
    Ok(shared)
}

/// Steps after which the search for a rotation ends in any case.
const MOST_TURNS: usize = 500;

/// Mean, and residuals over the root of their number.
struct Cloud {
    mean: Array1<f64>,
    spread: Array2<f64>,
}

impl Cloud {
    fn of(trials: ArrayView2<'_, f64>) -> Self {
        let (mean, around) = centred(trials);
        Self {
            mean,
            spread: around / (trials.nrows() as f64).sqrt(),
        }
    }

    /// Mean and residuals as rows.
    fn rows(&self) -> Array2<f64> {
        let mean = self.mean.view().insert_axis(Axis(0));
        concatenate(Axis(0), &[mean, self.spread.view()]).unwrap_or_default()
    }
}

/// Coordinates in the space that a session's means and trials span: a rotation loses nothing outside it.
fn into_own_axes(clouds: &mut [Cloud]) -> Result<Array2<f64>, Error> {
    let rows: Vec<Array2<f64>> = clouds.iter().map(Cloud::rows).collect();
    let views: Vec<ArrayView2<'_, f64>> = rows.iter().map(|r| r.view()).collect();
    let all = concatenate(Axis(0), &views).map_err(|e| Error::Shape(e.to_string()))?;
    let axes = singular_of_rank(all.view())?.right;
    for cloud in clouds {
        cloud.mean = axes.t().dot(&cloud.mean);
        cloud.spread = product(cloud.spread.view(), axes.view());
    }
    Ok(axes)
}

/// Rotation from the means alone.
fn turn_of_means(x: &[Cloud], y: &[Cloud]) -> Result<Array2<f64>, Error> {
    let (a, b) = (axes_of(x), axes_of(y));
    let mut between = Array2::zeros((a, b));
    for (x, y) in x.iter().zip(y) {
        add_outer(
            &mut between,
            x.mean.view().insert_axis(Axis(0)),
            y.mean.view().insert_axis(Axis(0)),
        );
    }
    procrustes(&between)
}

/// Given the matching of trials under `turn`, the rotation that fits means and trials best.
fn better_turn(x: &[Cloud], y: &[Cloud], turn: &Array2<f64>) -> Result<Array2<f64>, Error> {
    let mut between = Array2::zeros((axes_of(x), axes_of(y)));
    for (x, y) in x.iter().zip(y) {
        add_outer(
            &mut between,
            x.mean.view().insert_axis(Axis(0)),
            y.mean.view().insert_axis(Axis(0)),
        );
        let parts = singular(
            inner(
                product(x.spread.view(), turn.view()).view(),
                y.spread.view(),
            )
            .view(),
        )?;
        let matched = product(
            inner(parts.left.view(), parts.right.view()).view(),
            y.spread.view(),
        );
        add_outer(&mut between, x.spread.view(), matched.view());
    }
    procrustes(&between)
}

/// `Σ ⟨μ_x, μ_y⟩ + tr (A½ B A½)½` under a rotation of x.
fn agreement(x: &[Cloud], y: &[Cloud], turn: Option<&Array2<f64>>) -> Result<f64, Error> {
    let mut sum = 0.0;
    for (x, y) in x.iter().zip(y) {
        let mean = x.mean.view().insert_axis(Axis(0)).to_owned();
        sum += turned(&mean, turn).row(0).dot(&y.mean);
        let between = inner(turned(&x.spread, turn).view(), y.spread.view());
        sum += singular(between.view())?.values.iter().sum::<f64>();
    }
    Ok(sum)
}

fn turned(rows: &Array2<f64>, turn: Option<&Array2<f64>>) -> Array2<f64> {
    turn.map_or_else(|| rows.clone(), |turn| product(rows.view(), turn.view()))
}

fn procrustes(between: &Array2<f64>) -> Result<Array2<f64>, Error> {
    let parts = singular(between.view())?;
    Ok(inner(parts.left.view(), parts.right.view()))
}

fn add_outer(sum: &mut Array2<f64>, x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) {
    *sum += &product(x.t(), y);
}

fn axes_of(clouds: &[Cloud]) -> usize {
    clouds.first().map_or(0, |c| c.mean.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn bures_of_commuting_covariances_is_the_distance_of_their_roots() {
        // diag(4, 1) and diag(1, 1).
        let a = array![[2.0, 1.0], [-2.0, 1.0], [2.0, -1.0], [-2.0, -1.0]];
        let b = array![[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]];
        assert!((bures_distance(a.view(), b.view()).unwrap() - 1.0).abs() < 1e-12);
        assert!(bures_distance(a.view(), a.view()).unwrap() < 1e-7);
        assert!(bures_distance(a.view(), Array2::zeros((0, 2)).view()).is_err());
    }

    #[test]
    fn a_turned_cloud_is_found_again() {
        let cloud = |k: usize| {
            Array2::from_shape_fn((5, 3), |(t, j)| {
                ((t * 7 + j * 3 + k * 5 + t * j * (k + 1)) % 11) as f64 / 4.0
            })
        };
        let x: Vec<Array2<f64>> = (0..4).map(cloud).collect();
        let turn = array![[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]];
        let y: Vec<Array2<f64>> = x.iter().map(|x| x.dot(&turn)).collect();
        let x: Vec<_> = x.iter().map(|x| x.view()).collect();
        let y: Vec<_> = y.iter().map(|y| y.view()).collect();
        assert!(stochastic_shape_distance(&x, &y, false).unwrap() > 0.5);
        assert!(stochastic_shape_distance(&x, &y, true).unwrap() < 1e-5);
        assert!(stochastic_shape_distance(&x, &y[..3], true).is_err());
        assert!(stochastic_shape_distance(&[], &[], true).is_err());
    }
}
