//! Drift vectors: how far and in which directions mean patterns move.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use crate::Error;
use crate::similarity::linear::{finite, inner, orthonormal_rows, square_norm};

/// Trials of one condition `(trial, cell)` in an earlier and in a later session.
pub type ConditionTrials<'a> = (ArrayView2<'a, f64>, ArrayView2<'a, f64>);

/// How far a condition's mean pattern moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftMagnitude {
    /// `‖ȳ − x̄‖²`, in squared units of activity; trial noise adds `Σσ²/R` of
    /// both sessions to it.
    pub naive_square: f64,
    /// The same without that share; may be negative where nothing moves.
    pub unbiased_square: f64,
    /// Length of the earlier session's mean pattern, squared, without its noise.
    pub first_square: f64,
    /// `√(unbiased_square/first_square)`: the move in lengths of the earlier
    /// pattern; NaN where either is not above 0.
    pub relative: f64,
}

/// The drift vector `ȳ − x̄` over cells of one condition.
///
/// # Errors
/// If there are no trials, the cells differ in number, or a value is not finite.
pub fn drift_vector(
    first: ArrayView2<'_, f64>,
    second: ArrayView2<'_, f64>,
) -> Result<Array1<f64>, Error> {
    check(first, second, 1)?;
    Ok(mean_of(second) - mean_of(first))
}

/// Squared length of the drift vector without trial noise, in closed form: the
/// variance over trials of each session tells how much noise its mean holds.
/// Trials must be independent of each other.
///
/// # Errors
/// If a session has fewer than two trials, the cells differ in number, or a
/// value is not finite.
pub fn drift_magnitude(
    first: ArrayView2<'_, f64>,
    second: ArrayView2<'_, f64>,
) -> Result<DriftMagnitude, Error> {
    check(first, second, 2)?;
    let (before, after) = (mean_of(first), mean_of(second));
    let (noise_before, noise_after) = (noise_of_mean(first), noise_of_mean(second));
    let naive_square = square_norm(&(&after - &before));
    let unbiased_square = naive_square - noise_before.sum() - noise_after.sum();
    let first_square = square_norm(&before) - noise_before.sum();
    let relative = if unbiased_square > 0.0 && first_square > 0.0 {
        (unbiased_square / first_square).sqrt()
    } else {
        f64::NAN
    };
    Ok(DriftMagnitude {
        naive_square,
        unbiased_square,
        first_square,
        relative,
    })
}

/// The same squared length from the mean patterns of disjoint halves of the
/// trials: `⟨y₁ − x₁, y₂ − x₂⟩`, each over cells. Needs no variance, so it
/// also holds if trials within a half depend on each other.
///
/// # Errors
/// If the cells differ in number or a value is not finite.
pub fn halves_magnitude(
    first: [ArrayView1<'_, f64>; 2],
    second: [ArrayView1<'_, f64>; 2],
) -> Result<f64, Error> {
    let cells = first[0].len();
    for half in first.iter().chain(&second) {
        finite(*half, "the mean patterns")?;
        if half.len() != cells {
            return Err(Error::Shape(format!("{} cells beside {cells}", half.len())));
        }
    }
    if cells == 0 {
        return Err(Error::Nothing("cells"));
    }
    Ok((&second[0] - &first[0]).dot(&(&second[1] - &first[1])))
}

/// How much of the drift lies in a subspace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftShare {
    /// Squared drift inside over all of it, both without trial noise; by
    /// chance below 0 or above 1, NaN if the whole is not above 0.
    pub share: f64,
    /// The same with trial noise left in.
    pub naive_share: f64,
    /// Expected of a drift in a random direction: dimensions over cells.
    pub chance: f64,
    /// Squared drift inside, without trial noise, summed over conditions.
    pub inside_square: f64,
    /// Squared drift, without trial noise, summed over conditions.
    pub total_square: f64,
    /// Dimensions of the subspace.
    pub dimensions: usize,
}

/// Share of the drift of all `conditions` that lies in the space spanned by
/// the rows of `basis (direction, cell)`, such as decoder axes or differences
/// of condition means (coding; the rest is null space), or the first principal
/// components (γ of Aitken et al. 2022, PLoS Comput Biol 18:e1010716, eq. 12).
///
/// The basis must come from other trials than those given: a mean and an axis
/// of the same trials share their noise, which looks like drift along the axis.
///
/// # Errors
/// If there are no conditions, one has fewer than two trials in a session,
/// cells differ in number, a value is not finite, or the basis spans nothing.
pub fn drift_in_subspace(
    conditions: &[ConditionTrials<'_>],
    basis: ArrayView2<'_, f64>,
) -> Result<DriftShare, Error> {
    let basis = orthonormal_rows(basis)?;
    let (dimensions, cells) = basis.dim();
    if conditions.is_empty() {
        return Err(Error::Nothing("conditions"));
    }
    let [mut inside, mut total, mut inside_naive, mut total_naive] = [0.0; 4];
    for &(first, second) in conditions {
        check_cells(first, cells)?;
        let all = drift_magnitude(first, second)?;
        let projected = drift_magnitude(
            inner(first, basis.view()).view(),
            inner(second, basis.view()).view(),
        )?;
        total += all.unbiased_square;
        total_naive += all.naive_square;
        inside += projected.unbiased_square;
        inside_naive += projected.naive_square;
    }
    let over = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { f64::NAN };
    Ok(DriftShare {
        share: over(inside, total),
        naive_share: over(inside_naive, total_naive),
        chance: dimensions as f64 / cells as f64,
        inside_square: inside,
        total_square: total,
        dimensions,
    })
}

/// Squared drift along each direction, without trial noise, summed over
/// `conditions`: rows of `directions (direction, cell)` are orthonormal, such
/// as principal components of other trials.
///
/// # Errors
/// As [`drift_in_subspace`], or if a direction has not length 1.
pub fn drift_per_direction(
    conditions: &[ConditionTrials<'_>],
    directions: ArrayView2<'_, f64>,
) -> Result<Vec<f64>, Error> {
    finite(directions, "the directions")?;
    if directions
        .rows()
        .into_iter()
        .any(|d| (square_norm(d) - 1.0).abs() > 1e-6)
    {
        return Err(Error::Shape("the directions must have length 1".into()));
    }
    if conditions.is_empty() {
        return Err(Error::Nothing("conditions"));
    }
    let mut out = Array1::zeros(directions.nrows());
    for &(first, second) in conditions {
        check_cells(first, directions.ncols())?;
        check(first, second, 2)?;
        let (first, second) = (inner(first, directions), inner(second, directions));
        let moved = mean_of(second.view()) - mean_of(first.view());
        out +=
            &(moved.mapv(|m| m * m) - noise_of_mean(first.view()) - noise_of_mean(second.view()));
    }
    Ok(out.to_vec())
}

fn mean_of(trials: ArrayView2<'_, f64>) -> Array1<f64> {
    trials.sum_axis(Axis(0)) / trials.nrows() as f64
}

/// Variance of the mean over trials, per cell.
fn noise_of_mean(trials: ArrayView2<'_, f64>) -> Array1<f64> {
    let count = trials.nrows() as f64;
    let around: Array2<f64> = &trials - &mean_of(trials);
    around.map_axis(Axis(0), square_norm) / (count * (count - 1.0))
}

fn check(
    first: ArrayView2<'_, f64>,
    second: ArrayView2<'_, f64>,
    least_trials: usize,
) -> Result<(), Error> {
    finite(first, "the trials")?;
    finite(second, "the trials")?;
    check_cells(second, first.ncols())?;
    let fewest = first.nrows().min(second.nrows());
    if fewest < least_trials {
        return Err(Error::Undefined(format!(
            "a condition has {fewest} trials in a session and needs {least_trials} or more"
        )));
    }
    Ok(())
}

fn check_cells(trials: ArrayView2<'_, f64>, cells: usize) -> Result<(), Error> {
    if trials.ncols() != cells {
        return Err(Error::Shape(format!(
            "{} cells beside {cells}",
            trials.ncols()
        )));
    }
    if cells == 0 {
        return Err(Error::Nothing("cells"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn hand_values() {
        // Means (1, 0) and (4, 4); each cell's variance of the mean is 1 and 0, then 0 and 4.
        let first = array![[0.0, 0.0], [2.0, 0.0]];
        let second = array![[4.0, 2.0], [4.0, 6.0]];
        let found = drift_magnitude(first.view(), second.view()).unwrap();
        assert_eq!(found.naive_square, 25.0);
        assert_eq!(found.unbiased_square, 20.0);
        assert_eq!(found.first_square, 0.0);
        assert!(found.relative.is_nan());
        assert_eq!(
            drift_vector(first.view(), second.view()).unwrap(),
            array![3.0, 4.0]
        );
        let share =
            drift_in_subspace(&[(first.view(), second.view())], array![[0.0, 7.0]].view()).unwrap();
        assert_eq!(
            (share.share, share.naive_share, share.chance),
            (0.6, 0.64, 0.5)
        );
        let each =
            drift_per_direction(&[(first.view(), second.view())], Array2::eye(2).view()).unwrap();
        assert_eq!(each, [8.0, 12.0]);
        let halves =
            halves_magnitude([first.row(0), first.row(1)], [second.row(0), second.row(1)]).unwrap();
        assert_eq!(halves, 4.0 * 2.0 + 2.0 * 6.0);
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        let one = array![[1.0, 2.0]];
        let two = array![[1.0, 2.0], [2.0, 1.0]];
        assert!(drift_magnitude(one.view(), two.view()).is_err());
        assert!(drift_magnitude(two.view(), array![[1.0], [2.0]].view()).is_err());
        assert!(
            drift_magnitude(Array2::zeros((2, 0)).view(), Array2::zeros((2, 0)).view()).is_err()
        );
        assert!(drift_in_subspace(&[], two.view()).is_err());
        assert!(
            drift_in_subspace(&[(two.view(), two.view())], Array2::zeros((1, 2)).view()).is_err()
        );
        assert!(drift_per_direction(&[(two.view(), two.view())], two.view()).is_err());
    }
}
