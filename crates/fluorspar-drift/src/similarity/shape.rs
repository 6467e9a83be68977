//! Generalised shape metrics: distances after the best alignment of a family.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use super::linear::{
    centred, finite, first_columns, product, singular, singular_of_rank, square_norm,
};
use super::subspace::same_cells;
use crate::Error;

/// How far two aligned sets of patterns are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeScore {
    /// Angle between them as vectors, in radians; scale does not count.
    Angular,
    /// Length of their difference (Frobenius), in units of activity.
    Euclidean,
}

/// The best alignment of two sets of patterns of a family between rotations
/// and all linear maps (Williams et al. 2021, Adv Neural Inf Process Syst 34:4738).
///
/// Each side is centred and partially whitened: an axis of variance `λ` is
/// scaled by `α + (1 − α)/√λ`, all by one factor that keeps the total variance.
/// Then the rotation is found that fits best. `α = 1` allows rotations only
/// (Procrustes), `α = 0` every invertible map (canonical correlation). On the
/// patterns it was fitted to the distance is a metric.
///
/// Nothing is known about axes on which the fitted patterns do not vary (with
/// more cells than patterns there are always some). For `α = 1` they count as
/// a rotation leaves them: length without agreement. For `α < 1`, or with a
/// number of dimensions given, they are left out.
#[derive(Clone, Debug)]
pub struct ShapeAlignment {
    first: Side,
    second: Side,
    whole_length: bool,
}

#[derive(Clone, Debug)]
struct Side {
    mean: Array1<f64>,
    /// `(cell, axis)`: centring and this give whitened patterns.
    whiten: Array2<f64>,
    /// `(axis, aligned axis)`, orthonormal columns.
    turn: Array2<f64>,
}

impl ShapeAlignment {
    /// Fits to `x (pattern, cell)` and `y (pattern, cell)`: the same
    /// conditions or trials in one order; the cells may be others. With
    /// `dimensions`, each side is first reduced to so many principal components.
    ///
    /// # Errors
    /// If `alpha` is not within 0 to 1, the numbers of patterns differ, a
    /// value is not finite, or a side does not vary.
    pub fn fit(
        x: ArrayView2<'_, f64>,
        y: ArrayView2<'_, f64>,
        alpha: f64,
        dimensions: Option<usize>,
    ) -> Result<Self, Error> {
        same_patterns(x, y)?;
        if !(0.0..=1.0).contains(&alpha) {
            return Err(Error::Parameter {
                name: "alpha",
                value: alpha,
                rule: "must be from 0 to 1",
            });
        }
        let (mut first, patterns_x) = Side::whitened(x, alpha, dimensions)?;
        let (mut second, patterns_y) = Side::whitened(y, alpha, dimensions)?;
        let between = singular(product(patterns_x.t(), patterns_y.view()).view())?;
        first.turn = between.left;
        second.turn = between.right;
        Ok(Self {
            first,
            second,
            whole_length: alpha == 1.0 && dimensions.is_none(),
        })
    }

    /// Distance of other patterns, or those it was fitted to, in the aligned
    /// space; centred by the means of the fit.
    ///
    /// # Errors
    /// If the numbers of patterns differ, those of cells are not those of the
    /// fit, a value is not finite, or the angle of patterns without length is asked for.
    pub fn score(
        &self,
        x: ArrayView2<'_, f64>,
        y: ArrayView2<'_, f64>,
        score: ShapeScore,
    ) -> Result<f64, Error> {
        same_patterns(x, y)?;
        let (aligned_x, square_x) = self.first.transform(x, self.whole_length)?;
        let (aligned_y, square_y) = self.second.transform(y, self.whole_length)?;
        distance(&aligned_x, &aligned_y, square_x, square_y, score)
    }

    /// Patterns of the first session in the aligned space, `(pattern, axis)`.
    ///
    /// # Errors
    /// If the number of cells is not that of the fit.
    pub fn transform_first(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        Ok(self.first.transform(x, false)?.0)
    }

    /// Patterns of the second session in the aligned space, `(pattern, axis)`.
    ///
    /// # Errors
    /// If the number of cells is not that of the fit.
    pub fn transform_second(&self, y: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        Ok(self.second.transform(y, false)?.0)
    }
}

impl Side {
    /// Without its turn yet, and the whitened patterns.
    fn whitened(
        x: ArrayView2<'_, f64>,
        alpha: f64,
        dimensions: Option<usize>,
    ) -> Result<(Self, Array2<f64>), Error> {
        let (mean, around) = centred(x);
        if square_norm(&around) <= 1e-24 * square_norm(x) {
            return Err(Error::Undefined("the patterns do not vary".into()));
        }
        let parts = singular_of_rank(around.view())?;
        let kept = dimensions.unwrap_or(usize::MAX).min(parts.values.len());
        if kept == 0 {
            return Err(Error::Nothing("dimensions to align"));
        }
        let values = &parts.values[..kept];
        let mut scale: Array1<f64> = values.iter().map(|s| alpha + (1.0 - alpha) / s).collect();
        let before = square_norm(values);
        let after: f64 = values
            .iter()
            .zip(&scale)
            .map(|(s, d)| (s * d).powi(2))
            .sum();
        scale *= (before / after).sqrt();
        let patterns =
            first_columns(&parts.left, kept) * &(&scale * &Array1::from(values.to_vec()));
        let side = Self {
            mean,
            whiten: first_columns(&parts.right, kept) * &scale,
            turn: Array2::zeros((kept, 0)),
        };
        Ok((side, patterns))
    }

    /// Aligned patterns, and the square of the patterns' length.
    fn transform(
        &self,
        x: ArrayView2<'_, f64>,
        whole_length: bool,
    ) -> Result<(Array2<f64>, f64), Error> {
        same_cells(x.ncols(), self.mean.len())?;
        finite(x, "the patterns")?;
        let around = &x - &self.mean;
        let whitened = product(around.view(), self.whiten.view());
        let square = square_norm(if whole_length { &around } else { &whitened });
        Ok((product(whitened.view(), self.turn.view()), square))
    }
}

/// Distance of patterns whose squared lengths may be more than what is seen of
/// them: the rest agrees with nothing.
pub(super) fn distance(
    x: &Array2<f64>,
    y: &Array2<f64>,
    square_x: f64,
    square_y: f64,
    score: ShapeScore,
) -> Result<f64, Error> {
    // Less than rounding of the lengths is nothing.
    let outside = |square: f64, seen: &Array2<f64>| {
        let rest = square - square_norm(seen);
        if rest > 1e-13 * square { rest } else { 0.0 }
    };
    let (rest_x, rest_y) = (outside(square_x, x), outside(square_y, y));
    let apart = |a: &Array2<f64>, b: &Array2<f64>, rest: f64, sign: f64| {
        let squares = a
            .iter()
            .zip(b)
            .map(|(a, b)| (a + sign * b).powi(2))
            .sum::<f64>();
        (squares + rest).sqrt()
    };
    match score {
        ShapeScore::Euclidean => Ok(apart(x, y, rest_x + rest_y, -1.0)),
        ShapeScore::Angular => {
            if !(square_x > 0.0 && square_y > 0.0) {
                return Err(Error::Undefined(
                    "patterns without length have no angle".into(),
                ));
            }
            let (a, b) = (x / square_x.sqrt(), y / square_y.sqrt());
            let rest = rest_x / square_x + rest_y / square_y;
            // Exact near 0, where the arc cosine is not (Kahan 2006).
            Ok(2.0 * f64::atan2(apart(&a, &b, rest, -1.0), apart(&a, &b, rest, 1.0)))
        }
    }
}

/// Angle without alignment between `test_x` and `test_y`, centred by the means
/// of `x` and `y`.
pub(crate) fn unaligned_distance(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
    test_x: ArrayView2<'_, f64>,
    test_y: ArrayView2<'_, f64>,
) -> Result<f64, Error> {
    let (mean_x, mean_y) = (centred(x).0, centred(y).0);
    unaligned(
        test_x,
        test_y,
        mean_x.view(),
        mean_y.view(),
        ShapeScore::Angular,
    )
}

/// Distance without alignment, of patterns centred by `mean_x` and `mean_y`.
pub(super) fn unaligned(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
    mean_x: ArrayView1<'_, f64>,
    mean_y: ArrayView1<'_, f64>,
    score: ShapeScore,
) -> Result<f64, Error> {
    let (x, y) = (&x - &mean_x, &y - &mean_y);
    distance(&x, &y, square_norm(&x), square_norm(&y), score)
}

pub(super) fn same_patterns(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Result<(), Error> {
    finite(x, "the patterns")?;
    finite(y, "the patterns")?;
    if x.nrows() != y.nrows() {
        return Err(Error::Shape(format!(
            "{} patterns beside {}",
            x.nrows(),
            y.nrows()
        )));
    }
    if x.is_empty() || y.is_empty() {
        return Err(Error::Nothing("patterns"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_lost_dimension_is_an_eighth_of_a_turn() {
        let x = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        let y = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
        let found = ShapeAlignment::fit(x.view(), y.view(), 1.0, None).unwrap();
        let angle = found
            .score(x.view(), y.view(), ShapeScore::Angular)
            .unwrap();
        assert!((angle.cos() - 0.5_f64.sqrt()).abs() < 1e-12);
        let length = found
            .score(x.view(), y.view(), ShapeScore::Euclidean)
            .unwrap();
        assert!((length - 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        let x = array![[1.0, 0.0], [-1.0, 0.5]];
        let flat = Array2::from_elem((2, 2), 0.3);
        assert!(ShapeAlignment::fit(x.view(), flat.view(), 1.0, None).is_err());
        assert!(ShapeAlignment::fit(x.view(), x.view(), 1.5, None).is_err());
        assert!(ShapeAlignment::fit(x.view(), x.view(), f64::NAN, None).is_err());
        assert!(ShapeAlignment::fit(x.view(), x.view(), 0.5, Some(0)).is_err());
        let empty = Array2::zeros((0, 2));
        assert!(ShapeAlignment::fit(empty.view(), empty.view(), 1.0, None).is_err());
        let fitted = ShapeAlignment::fit(x.view(), x.view(), 0.0, None).unwrap();
        assert!(
            fitted
                .score(Array2::zeros((2, 3)).view(), x.view(), ShapeScore::Angular)
                .is_err()
        );
        assert_eq!(
            fitted.transform_first(x.view()).unwrap(),
            fitted.transform_second(x.view()).unwrap()
        );
    }
}
