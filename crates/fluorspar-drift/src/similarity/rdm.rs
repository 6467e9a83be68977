//! Representational dissimilarity matrices.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};

use super::linear::{centred, finite, gram, square_norm};
use super::noise::NoisePrecision;
use crate::Error;

/// How different the patterns of every pair of conditions are
/// (Kriegeskorte, Mur and Bandettini 2008, Front Syst Neurosci 2:4).
#[derive(Clone, Debug, PartialEq)]
pub struct Rdm {
    conditions: usize,
    dissimilarities: Vec<f64>,
}

impl Rdm {
    /// From the pairs `(0,1), (0,2), …, (1,2), …` of `conditions`.
    ///
    /// # Errors
    /// If their number is not `conditions · (conditions − 1) / 2`, or one is not finite.
    pub fn from_pairs(conditions: usize, dissimilarities: Vec<f64>) -> Result<Self, Error> {
        finite(&dissimilarities, "the dissimilarity matrix")?;
        let pairs = conditions
            .checked_sub(1)
            .and_then(|less| conditions.checked_mul(less))
            .map(|twice| twice / 2);
        if pairs != Some(dissimilarities.len()) {
            return Err(Error::Shape(format!(
                "{} dissimilarities are not the pairs of {conditions} conditions",
                dissimilarities.len()
            )));
        }
        Ok(Self {
            conditions,
            dissimilarities,
        })
    }

    /// Number of conditions.
    pub fn conditions(&self) -> usize {
        self.conditions
    }

    /// The pairs `(0,1), (0,2), …, (1,2), …`.
    pub fn dissimilarities(&self) -> &[f64] {
        &self.dissimilarities
    }

    /// `(condition, condition)`, symmetric, zeros on the diagonal.
    pub fn to_square(&self) -> Array2<f64> {
        let mut out = Array2::zeros((self.conditions, self.conditions));
        let mut next = self.dissimilarities.iter();
        for i in 0..self.conditions {
            for j in i + 1..self.conditions {
                let value = next.next().copied().unwrap_or(f64::NAN);
                out[[i, j]] = value;
                out[[j, i]] = value;
            }
        }
        out
    }

    /// Squared distances `gᵢᵢ + gⱼⱼ − 2gᵢⱼ` from inner products, divided by the number of cells.
    fn from_inner(products: &Array2<f64>, cells: usize) -> Self {
        let conditions = products.nrows();
        let pair = |i: usize, j: usize| {
            let between = products[[i, j]] + products[[j, i]];
            (products[[i, i]] + products[[j, j]] - between) / cells as f64
        };
        let dissimilarities = (0..conditions)
            .flat_map(|i| (i + 1..conditions).map(move |j| (i, j)))
            .map(|(i, j)| pair(i, j))
            .collect();
        Self {
            conditions,
            dissimilarities,
        }
    }

    /// Without what rounding left below zero.
    fn non_negative(mut self) -> Self {
        for value in &mut self.dissimilarities {
            *value = value.max(0.0);
        }
        self
    }
}

/// One minus the Pearson correlation over cells of `patterns (condition, cell)`.
///
/// # Errors
/// If there are fewer than two conditions or cells, a value is not finite, or
/// a condition's pattern is the same in all cells.
pub fn correlation_rdm(patterns: ArrayView2<'_, f64>) -> Result<Rdm, Error> {
    check(patterns)?;
    let mut normed = patterns.to_owned();
    for (condition, mut row) in normed.rows_mut().into_iter().enumerate() {
        let largest = square_norm(&row);
        row -= row.mean().unwrap_or(0.0);
        let length = square_norm(&row);
        // What rounding leaves of a constant is not a variance.
        if length <= 1e-24 * largest {
            return Err(Error::Undefined(format!(
                "the pattern of condition {condition} (from 0) is the same in all cells"
            )));
        }
        row /= length.sqrt();
    }
    let correlations = gram(normed.view());
    let conditions = correlations.nrows();
    let dissimilarities = (0..conditions)
        .flat_map(|i| (i + 1..conditions).map(move |j| (i, j)))
        .map(|at| (1.0 - correlations[at]).clamp(0.0, 2.0))
        .collect();
    Rdm::from_pairs(conditions, dissimilarities)
}

/// Squared Euclidean distance per cell, `‖a − b‖²/cells`, of `patterns
/// (condition, cell)`. Trial noise makes it too large: see [`crossnobis_rdm`].
///
/// # Errors
/// If there are fewer than two conditions or no cells, or a value is not finite.
pub fn euclidean_rdm(patterns: ArrayView2<'_, f64>) -> Result<Rdm, Error> {
    check(patterns)?;
    // Around the mean, so that a large offset does not cancel digits.
    let (_, centred) = centred(patterns);
    Ok(Rdm::from_inner(&gram(centred.view()), patterns.ncols()).non_negative())
}

/// Squared Mahalanobis distance per cell, `(a − b)ᵀΣ⁻¹(a − b)/cells`, of
/// `patterns (condition, cell)`. Trial noise makes it too large: see [`crossnobis_rdm`].
///
/// # Errors
/// As [`euclidean_rdm`], or if `noise` has another number of cells.
pub fn mahalanobis_rdm(
    patterns: ArrayView2<'_, f64>,
    noise: &NoisePrecision,
) -> Result<Rdm, Error> {
    check(patterns)?;
    let (_, centred) = centred(patterns);
    let products = noise.inner_products(centred.view())?;
    Ok(Rdm::from_inner(&products, patterns.ncols()).non_negative())
}

/// Cross-validated Mahalanobis distance of `folds (fold, condition, cell)`,
/// each the mean of other trials:
/// `1/(M(M−1)) Σ_m Σ_{n≠m} (b_i,m − b_j,m)ᵀ Σ⁻¹ (b_i,n − b_j,n) / cells`
/// (Walther et al. 2016, NeuroImage 137:188). Its expectation has no share of
/// trial noise, so conditions that do not differ are 0 on average and single
/// values may be negative. Without `noise` all cells count alike.
///
/// # Errors
/// As [`mahalanobis_rdm`], or with fewer than two folds.
pub fn crossnobis_rdm(
    folds: ArrayView3<'_, f64>,
    noise: Option<&NoisePrecision>,
) -> Result<Rdm, Error> {
    let (count, conditions, cells) = folds.dim();
    if count < 2 {
        return Err(Error::Undefined(format!(
            "cross-validation needs two folds or more, not {count}"
        )));
    }
    let products = |x: ArrayView2<'_, f64>| match noise {
        Some(noise) => noise.inner_products(x),
        None => Ok(gram(x)),
    };
    let mut sum = Array2::zeros((conditions, cells));
    let mut own = Array2::zeros((conditions, conditions));
    for fold in folds.axis_iter(Axis(0)) {
        check(fold)?;
        let (_, centred) = centred(fold);
        own += &products(centred.view())?;
        sum += &centred;
    }
    // Σ_{m≠n} B_m B_nᵀ is the square of the sum without the squares of each.
    let crossed = (products(sum.view())? - own) / (count * (count - 1)) as f64;
    Ok(Rdm::from_inner(&crossed, cells))
}

fn check(patterns: ArrayView2<'_, f64>) -> Result<(), Error> {
    finite(patterns, "the patterns")?;
    if patterns.ncols() == 0 {
        return Err(Error::Nothing("cells"));
    }
    if patterns.nrows() < 2 {
        return Err(Error::Undefined(format!(
            "dissimilarities need two conditions or more, not {}",
            patterns.nrows()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    #[test]
    fn hand_values() {
        let x = array![[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 4.0]];
        let r = correlation_rdm(x.view()).unwrap();
        assert!((r.dissimilarities()[0] - 2.0).abs() < 1e-12);
        let e = euclidean_rdm(x.view()).unwrap();
        for (found, expected) in e.dissimilarities().iter().zip([8.0, 1.0, 13.0]) {
            assert!((found - expected / 3.0).abs() < 1e-12);
        }
        assert!((e.to_square()[[2, 1]] - 13.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn two_equal_folds_give_the_plain_distance() {
        let x = array![[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 4.0]];
        let folds = Array3::from_shape_fn((2, 3, 3), |(_, i, j)| x[[i, j]]);
        let crossed = crossnobis_rdm(folds.view(), None).unwrap();
        let plain = euclidean_rdm(x.view()).unwrap();
        for (a, b) in crossed
            .dissimilarities()
            .iter()
            .zip(plain.dissimilarities())
        {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        assert!(correlation_rdm(array![[1.0, 1.0], [1.0, 2.0]].view()).is_err());
        assert!(euclidean_rdm(array![[1.0, f64::NAN], [1.0, 2.0]].view()).is_err());
        assert!(euclidean_rdm(Array2::zeros((0, 3)).view()).is_err());
        assert!(euclidean_rdm(Array2::zeros((3, 0)).view()).is_err());
        assert!(crossnobis_rdm(Array3::zeros((1, 3, 3)).view(), None).is_err());
        assert!(Rdm::from_pairs(0, vec![]).is_err());
        assert!(Rdm::from_pairs(usize::MAX, vec![]).is_err());
    }
}
