//! The inverse of the noise covariance, kept in the space of trials.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::linear::{finite, gram, inner, product, square_norm, symmetric_eigen};
use crate::Error;

/// The inverse `Σ⁻¹` of the covariance of trial-to-trial noise over cells, by
/// which distances are weighted.
///
/// With more cells than trials the sample covariance has no inverse; shrunk
/// estimates have one and are held in the space of trials
/// (Woodbury 1950): `(D + EᵀE)⁻¹ = S(I − QᵀQ)S` with `S = D^(−1/2)` and as
/// many rows in `Q` as there are trials.
#[derive(Clone, Debug)]
pub struct NoisePrecision(Form);

#[derive(Clone, Debug)]
enum Form {
    Full(Array2<f64>),
    Scaled {
        scale: Array1<f64>,
        removed: Array2<f64>,
    },
}

impl NoisePrecision {
    /// A precision matrix `(cell, cell)` computed elsewhere.
    ///
    /// # Errors
    /// If it is not square, not symmetric to 1e-8 of its largest entry, or not finite.
    pub fn given(precision: ArrayView2<'_, f64>) -> Result<Self, Error> {
        finite(precision, "the precision matrix")?;
        let (rows, columns) = precision.dim();
        if rows != columns {
            return Err(Error::Shape(format!(
                "a precision matrix of {rows} x {columns} is not square"
            )));
        }
        let largest = precision.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let skew = (&precision - &precision.t())
            .iter()
            .fold(0.0_f64, |m, v| m.max(v.abs()));
        if skew > 1e-8 * largest {
            return Err(Error::Shape("the precision matrix is not symmetric".into()));
        }
        Ok(Self(Form::Full(precision.to_owned())))
    }

    /// The inverse of each cell's own noise variance; noise shared by cells is not regarded.
    ///
    /// # Errors
    /// If a variance is not above zero.
    pub fn diagonal(variances: ArrayView1<'_, f64>) -> Result<Self, Error> {
        Ok(Self(Form::Scaled {
            scale: scale(variances)?,
            removed: Array2::zeros((0, variances.len())),
        }))
    }

    /// Ledoit and Wolf's covariance (2004, J Multivar Anal 88:365), shrunk
    /// towards one variance for all cells.
    ///
    /// `residuals (trial, cell)`: trials without the mean of their condition,
    /// `degrees_of_freedom` of them (trials − conditions).
    ///
    /// # Errors
    /// If there are no residuals, they do not vary, or the degrees of freedom are not above 0.
    pub fn shrunk_to_identity(
        residuals: ArrayView2<'_, f64>,
        degrees_of_freedom: f64,
    ) -> Result<Self, Error> {
        let n = check(residuals, degrees_of_freedom)?;
        let cells = residuals.ncols() as f64;
        let between = gram(residuals);
        // Traces of S = EᵀE/n and of S², from the Gram matrix of trials.
        let mean_variance = between.diag().sum() / n / cells;
        let square = square_norm(&between) / (n * n);
        let spread = square - cells * mean_variance * mean_variance;
        // Σ over trials of ‖e eᵀ − S‖² / n².
        let error = (between.diag().iter().map(|v| v * v).sum::<f64>() / n - square) / n;
        if !(mean_variance > 0.0 && spread > 0.0) {
            return Err(Error::Undefined("the residuals do not vary".into()));
        }
        let shrinkage = (error / spread).clamp(0.0, 1.0);
        refuse_no_shrinkage(shrinkage)?;
        let rescaled = n / degrees_of_freedom;
        let target = Array1::from_elem(residuals.ncols(), shrinkage * mean_variance * rescaled);
        Self::dual(target.view(), residuals, (1.0 - shrinkage) * rescaled / n)
    }

    /// Schäfer and Strimmer's covariance (2005, Stat Appl Genet Mol Biol
    /// 4:32): every cell keeps its variance, correlations are shrunk to 0.
    ///
    /// Arguments as for [`Self::shrunk_to_identity`].
    ///
    /// # Errors
    /// Also if a cell does not vary.
    pub fn shrunk_to_diagonal(
        residuals: ArrayView2<'_, f64>,
        degrees_of_freedom: f64,
    ) -> Result<Self, Error> {
        let n = check(residuals, degrees_of_freedom)?;
        let variances = residuals.map_axis(Axis(0), |cell| square_norm(cell) / degrees_of_freedom);
        let standard = &residuals * &scale(variances.view())?;
        let by_cell = standard.map_axis(Axis(0), |cell| square_norm(cell) / degrees_of_freedom);
        let between = gram(standard.view());
        // Σ over pairs of different cells of r², and of Σ over trials of the squared products.
        let correlations =
            square_norm(&between) / degrees_of_freedom.powi(2) - square_norm(&by_cell);
        let fourth: f64 = standard.iter().map(|v| v.powi(4)).sum();
        let products = square_norm(&between.diag().to_owned()) - fourth;
        let mean_squares = correlations * degrees_of_freedom.powi(2) / n;
        let error = n * (products - mean_squares) / degrees_of_freedom.powi(3);
        let shrinkage = if correlations > 0.0 {
            (error / correlations).clamp(0.0, 1.0)
        } else {
            1.0
        };
        refuse_no_shrinkage(shrinkage)?;
        let target = &variances * shrinkage;
        Self::dual(
            target.view(),
            residuals,
            (1.0 - shrinkage) / degrees_of_freedom,
        )
    }

    /// The inverse of `diag(target) + weight · EᵀE`.
    fn dual(
        target: ArrayView1<'_, f64>,
        residuals: ArrayView2<'_, f64>,
        weight: f64,
    ) -> Result<Self, Error> {
        let scale = scale(target)?;
        let scaled = &residuals * &(&scale * weight.max(0.0).sqrt());
        let (values, mut vectors) = symmetric_eigen(gram(scaled.view()).view())?;
        for (mut vector, value) in vectors.columns_mut().into_iter().zip(values) {
            vector /= (1.0 + value.max(0.0)).sqrt();
        }
        let removed = product(vectors.t(), scaled.view());
        Ok(Self(Form::Scaled { scale, removed }))
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        match &self.0 {
            Form::Full(matrix) => matrix.nrows(),
            Form::Scaled { scale, .. } => scale.len(),
        }
    }

    /// `x Σ⁻¹ xᵀ` of patterns `(condition, cell)`.
    ///
    /// # Errors
    /// If the number of cells differs.
    pub fn inner_products(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        if x.ncols() != self.cells() {
            return Err(Error::Shape(format!(
                "patterns of {} cells, noise of {}",
                x.ncols(),
                self.cells()
            )));
        }
        Ok(match &self.0 {
            Form::Full(matrix) => inner(product(x, matrix.view()).view(), x),
            Form::Scaled { scale, removed } => {
                let scaled = &x * scale;
                let along = inner(scaled.view(), removed.view());
                gram(scaled.view()) - gram(along.view())
            }
        })
    }
}

/// `1/√variance`.
fn scale(variances: ArrayView1<'_, f64>) -> Result<Array1<f64>, Error> {
    finite(variances, "the noise variances")?;
    match variances.iter().position(|&v| v <= 0.0) {
        Some(cell) => Err(Error::Undefined(format!(
            "the noise of cell {cell} (from 0) has no variance"
        ))),
        None => Ok(variances.mapv(|v| 1.0 / v.sqrt())),
    }
}

/// Two trials, mirror images around their mean, cannot tell how uncertain their covariance is.
fn refuse_no_shrinkage(shrinkage: f64) -> Result<(), Error> {
    if shrinkage > 0.0 {
        Ok(())
    } else {
        Err(Error::Undefined(
            "the residuals suggest no shrinkage, so their covariance may have no inverse".into(),
        ))
    }
}

/// The number of trials.
fn check(residuals: ArrayView2<'_, f64>, degrees_of_freedom: f64) -> Result<f64, Error> {
    finite(residuals, "the residuals")?;
    if residuals.is_empty() {
        return Err(Error::Nothing("residuals"));
    }
    if !(degrees_of_freedom > 0.0 && degrees_of_freedom.is_finite()) {
        return Err(Error::Parameter {
            name: "degrees_of_freedom",
            value: degrees_of_freedom,
            rule: "must be above 0",
        });
    }
    Ok(residuals.nrows() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn one_variance_for_all_is_a_scaled_product() {
        let noise = NoisePrecision::diagonal(array![4.0, 4.0].view()).unwrap();
        let x = array![[2.0, 0.0], [0.0, 4.0]];
        assert_eq!(
            noise.inner_products(x.view()).unwrap(),
            array![[1.0, 0.0], [0.0, 4.0]]
        );
    }

    #[test]
    fn a_silent_cell_is_named() {
        let e = array![[1.0, 0.0], [-1.0, 0.0]];
        let error = NoisePrecision::shrunk_to_diagonal(e.view(), 1.0).unwrap_err();
        assert!(error.to_string().contains("cell 1"));
        assert!(NoisePrecision::shrunk_to_identity(Array2::zeros((0, 3)).view(), 1.0).is_err());
        assert!(NoisePrecision::given(array![[1.0, 2.0], [0.0, 1.0]].view()).is_err());
    }
}
