//! Subspaces of activity: principal components, angles, overlaps, dimension.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::linear::{
    centred, finite, gram, inner, orthonormal_rows, product, singular, square_norm, symmetric_eigen,
};
use crate::Error;

/// How many principal components to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Components {
    /// All with variance.
    All,
    /// So many, or fewer if there are no more with variance.
    Count(usize),
    /// The fewest that hold this share of the variance, between 0 and 1.
    Share(f64),
    /// The participation ratio rounded up: the "variational space" of Aitken,
    /// Garrett, Olsen and Mihalas (2022, PLoS Comput Biol 18:e1010716).
    ParticipationRatio,
}

/// Principal components of observations.
#[derive(Clone, Debug)]
pub struct PrincipalComponents {
    /// Mean of each cell.
    pub mean: Array1<f64>,
    /// `(component, cell)`, orthonormal rows; of each the largest entry is positive.
    pub directions: Array2<f64>,
    /// Variance along each component kept, descending, with observations − 1 as divisor.
    pub variances: Vec<f64>,
    /// Variance of all components together.
    pub total_variance: f64,
    /// Participation ratio of all components.
    pub participation_ratio: f64,
}

impl PrincipalComponents {
    /// Observations in the space of the components, `(observation, component)`.
    ///
    /// # Errors
    /// If the number of cells differs.
    pub fn project(&self, observations: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        same_cells(observations.ncols(), self.mean.len())?;
        Ok(inner(
            (&observations - &self.mean).view(),
            self.directions.view(),
        ))
    }
}

/// Principal components of `observations (observation, cell)`: trials, or the
/// mean patterns of conditions.
///
/// # Errors
/// If there are fewer than two observations, a value is not finite, nothing
/// varies, or [`Components::Share`] is not above 0 and at most 1, or a count is 0.
pub fn principal_components(
    observations: ArrayView2<'_, f64>,
    keep: Components,
) -> Result<PrincipalComponents, Error> {
    finite(observations, "the observations")?;
    let count = observations.nrows();
    if count < 2 {
        return Err(Error::Undefined(format!(
            "principal components need two observations or more, not {count}"
        )));
    }
    let (mean, around) = centred(observations);
    // From the smaller of the two Gram matrices: the work is in the fewer, not in the cells squared.
    let (values, directions) = if count <= observations.ncols() {
        let (values, left) = symmetric_eigen(gram(around.view()).view())?;
        (values, product(left.t(), around.view()))
    } else {
        let (values, right) = symmetric_eigen(gram(around.t()).view())?;
        (values, right.reversed_axes())
    };
    let offset = square_norm(&mean) * count as f64;
    let variances: Vec<f64> = values.iter().map(|v| v / (count - 1) as f64).collect();
    // Squared singular values: rounding is relative to the largest, or to the mean taken away.
    let least = 1e-14 * values.first().copied().unwrap_or(0.0).max(1e-10 * offset);
    let rank = values.iter().take_while(|&&v| v > least).count();
    if rank == 0 {
        return Err(Error::Undefined("the observations do not vary".into()));
    }
    let variances = &variances[..rank];
    let total_variance: f64 = variances.iter().sum();
    let participation_ratio = participation_ratio(variances)?;
    let kept = match keep {
        Components::All => rank,
        Components::Count(0) => return Err(Error::Nothing("components to keep")),
        Components::Count(count) => count.min(rank),
        Components::ParticipationRatio => (participation_ratio.ceil() as usize).clamp(1, rank),
        Components::Share(share) => {
            if !(share > 0.0 && share <= 1.0) {
                return Err(Error::Parameter {
                    name: "share of variance",
                    value: share,
                    rule: "must be above 0 and at most 1",
                });
            }
            let mut held = 0.0;
            let fewer = variances.iter().take_while(|&&v| {
                held += v;
                held < share * total_variance * (1.0 - 1e-12)
            });
            (fewer.count() + 1).min(rank)
        }
    };
    let mut directions = directions.view().split_at(Axis(0), kept).0.to_owned();
    for mut direction in directions.rows_mut() {
        let length = square_norm(&direction).sqrt();
        let largest = direction
            .iter()
            .fold(0.0_f64, |m, &v| if v.abs() > m.abs() { v } else { m });
        direction /= length * largest.signum();
    }
    Ok(PrincipalComponents {
        mean,
        directions,
        variances: variances[..kept].to_vec(),
        total_variance,
        participation_ratio,
    })
}

/// `(Σv)²/Σv²`: how many components share the variance. (.5, .25, .25) → 2.667.
///
/// # Errors
/// If a variance is negative or not finite, or none is above 0.
pub fn participation_ratio(variances: &[f64]) -> Result<f64, Error> {
    finite(variances, "the variances")?;
    let largest = variances.iter().copied().fold(0.0, f64::max);
    if variances.iter().any(|&v| v < 0.0) || largest <= 0.0 {
        return Err(Error::Undefined(
            "variances must not be negative, and one must be above 0".into(),
        ));
    }
    let sum: f64 = variances.iter().map(|v| v / largest).sum();
    let squares: f64 = variances.iter().map(|v| (v / largest).powi(2)).sum();
    Ok(sum * sum / squares)
}

/// Principal angles, ascending, in radians, between the spaces spanned by the
/// rows of `a (direction, cell)` and of `b (direction, cell)`; as many as the
/// smaller space has dimensions (Björck and Golub 1973, Math Comput 27:579,
/// small angles from their sines).
///
/// # Errors
/// If the numbers of cells differ, a value is not finite, or a side spans nothing.
pub fn principal_angles(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Result<Vec<f64>, Error> {
    same_cells(a.ncols(), b.ncols())?;
    let (a, b) = (orthonormal_rows(a)?, orthonormal_rows(b)?);
    let (large, small) = if a.nrows() >= b.nrows() {
        (a, b)
    } else {
        (b, a)
    };
    let along = inner(small.view(), large.view());
    let cosines = singular(along.view())?.values;
    let outside = &small - &product(along.view(), large.view());
    let mut sines = singular(outside.view())?.values;
    sines.reverse();
    Ok(cosines
        .iter()
        .zip(sines)
        .map(|(&cosine, sine)| {
            if cosine * cosine > 0.5 {
                sine.clamp(0.0, 1.0).asin()
            } else {
                cosine.clamp(0.0, 1.0).acos()
            }
        })
        .collect())
}

/// How much of the smaller of two subspaces lies in the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubspaceOverlap {
    /// From 0 (orthogonal) to 1 (contained).
    pub overlap: f64,
    /// Expected of random subspaces of the same dimensions.
    pub chance: f64,
    /// Dimensions of the first and of the second subspace.
    pub dimensions: (usize, usize),
}

/// Variational-space overlap `Γ = ‖W_AᵀW_B‖²/min(d_A, d_B)`, the mean squared
/// cosine of the principal angles, with its chance level `max(d_A, d_B)/cells`
/// (Aitken et al. 2022, PLoS Comput Biol 18:e1010716, eq. 10), of the spaces
/// spanned by the rows of `a` and `b (direction, cell)`.
///
/// # Errors
/// As [`principal_angles`].
pub fn subspace_overlap(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
) -> Result<SubspaceOverlap, Error> {
    same_cells(a.ncols(), b.ncols())?;
    let cells = a.ncols();
    let (a, b) = (orthonormal_rows(a)?, orthonormal_rows(b)?);
    let (first, second) = (a.nrows(), b.nrows());
    let shared = square_norm(&inner(a.view(), b.view()));
    Ok(SubspaceOverlap {
        overlap: (shared / first.min(second) as f64).clamp(0.0, 1.0),
        chance: first.max(second) as f64 / cells as f64,
        dimensions: (first, second),
    })
}

/// Alignment index `tr(D C Dᵀ)/Σ_{k≤d} λ_k(C)` (Elsayed et al. 2016, Nat
/// Commun 7:13239): the variance of `observations (observation, cell)` inside
/// the space spanned by the `d` rows of `directions (direction, cell)`, over
/// the most that any `d` directions could hold.
///
/// # Errors
/// If the numbers of cells differ, there are fewer than two observations, a
/// value is not finite, the directions span nothing, or nothing varies.
pub fn alignment_index(
    directions: ArrayView2<'_, f64>,
    observations: ArrayView2<'_, f64>,
) -> Result<f64, Error> {
    same_cells(directions.ncols(), observations.ncols())?;
    let directions = orthonormal_rows(directions)?;
    let own = principal_components(observations, Components::All)?;
    let most: f64 = own.variances.iter().take(directions.nrows()).sum();
    let projected = inner((&observations - &own.mean).view(), directions.view());
    let inside = square_norm(&projected) / (observations.nrows() - 1) as f64;
    Ok((inside / most).clamp(0.0, 1.0))
}

/// Angle between two vectors over cells, in radians, from 0 to π.
///
/// # Errors
/// If the lengths differ, a value is not finite, or a vector is zero.
pub fn vector_angle(x: ArrayView1<'_, f64>, y: ArrayView1<'_, f64>) -> Result<f64, Error> {
    same_cells(x.len(), y.len())?;
    finite(x, "the vector")?;
    finite(y, "the vector")?;
    let largest = |v: ArrayView1<'_, f64>| v.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let (x_largest, y_largest) = (largest(x), largest(y));
    if x_largest == 0.0 || y_largest == 0.0 {
        return Err(Error::Undefined("a vector of zeros has no angle".into()));
    }
    let (x, y) = (&x / x_largest, &y / y_largest);
    let (x, y) = (&x / square_norm(&x).sqrt(), &y / square_norm(&y).sqrt());
    // Exact near 0 and π, where the arc cosine is not (Kahan 2006).
    Ok(2.0
        * f64::atan2(
            square_norm(&(&x - &y)).sqrt(),
            square_norm(&(&x + &y)).sqrt(),
        ))
}

/// Standard deviation, around 0, of the cosine between random directions of
/// that many cells: `1/√cells`.
pub fn chance_cosine_sd(cells: usize) -> f64 {
    1.0 / (cells as f64).sqrt()
}

pub(crate) fn same_cells(a: usize, b: usize) -> Result<(), Error> {
    if a == b {
        Ok(())
    } else {
        Err(Error::Shape(format!("{a} cells beside {b}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn hand_values() {
        assert!((participation_ratio(&[0.5, 0.25, 0.25]).unwrap() - 8.0 / 3.0).abs() < 1e-12);
        // Covariance diag(0, 1, 4, 0), directions e1 and e2.
        let x = array![
            [0.0, 1.0, 2.0, 0.0],
            [0.0, -1.0, -2.0, 0.0],
            [0.0, 1.0, -2.0, 0.0],
            [0.0, -1.0, 2.0, 0.0]
        ];
        let d = array![[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]];
        assert!((alignment_index(d.view(), x.view()).unwrap() - 0.2).abs() < 1e-12);
    }

    #[test]
    fn six_dimensions_that_share_three() {
        let unit = |from: usize| {
            Array2::from_shape_fn((6, 20), |(i, j)| f64::from(u8::from(j == i + from)))
        };
        let found = subspace_overlap(unit(0).view(), unit(3).view()).unwrap();
        assert!((found.overlap - 0.5).abs() < 1e-12);
        assert_eq!((found.chance, found.dimensions), (0.3, (6, 6)));
        let angles = principal_angles(unit(0).view(), unit(3).view()).unwrap();
        for (k, angle) in angles.iter().enumerate() {
            let expected = if k < 3 {
                0.0
            } else {
                std::f64::consts::FRAC_PI_2
            };
            assert!((angle - expected).abs() < 1e-12, "{k} {angle}");
        }
    }

    #[test]
    fn small_angles_keep_their_digits() {
        let turned = |by: f64| array![[by.cos(), by.sin(), 0.0]];
        let angle = principal_angles(turned(0.0).view(), turned(1e-9).view()).unwrap()[0];
        assert!((angle / 1e-9 - 1.0).abs() < 1e-6);
        let angle = vector_angle(turned(0.0).row(0), turned(1e-9).row(0)).unwrap();
        assert!((angle / 1e-9 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn components_keep_as_asked() {
        let x = array![
            [3.0, 0.0, 1.0],
            [-3.0, 0.0, 1.0],
            [0.0, 1.0, 1.0],
            [0.0, -1.0, 1.0]
        ];
        for x in [x.view(), x.clone().reversed_axes().view()] {
            let all = principal_components(x, Components::All).unwrap();
            assert_eq!(all.directions.nrows(), all.variances.len());
            let identity = inner(all.directions.view(), all.directions.view());
            assert!(
                (identity - Array2::<f64>::eye(all.variances.len()))
                    .iter()
                    .all(|v| v.abs() < 1e-12)
            );
        }
        let kept = |keep| principal_components(x.view(), keep).unwrap().variances;
        assert_eq!(kept(Components::Share(0.9)).len(), 1);
        assert_eq!(kept(Components::Share(1.0)).len(), 2);
        assert_eq!(kept(Components::Count(9)).len(), 2);
        // (9 + 1)²/(81 + 1) = 1.2
        assert_eq!(kept(Components::ParticipationRatio).len(), 2);
        assert!((kept(Components::All)[0] - 6.0).abs() < 1e-12);
        let flat = Array2::from_elem((4, 3), 0.1);
        assert!(principal_components(flat.view(), Components::All).is_err());
        assert!(principal_components(x.view(), Components::Count(0)).is_err());
        assert!(principal_components(x.view(), Components::Share(f64::NAN)).is_err());
    }
}
