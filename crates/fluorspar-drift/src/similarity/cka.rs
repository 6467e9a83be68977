//! Linear centred kernel alignment.

use ndarray::{Array2, ArrayView2};

use super::linear::{centred, finite, gram};
use crate::Error;

/// Debiased linear CKA of `x (sample, cell)` and `y (sample, cell)`, whose
/// rows are the same samples (conditions, time bins or matched trials) and
/// whose cells may be different ones.
///
/// `HSIC(K, L)/√(HSIC(K, K)·HSIC(L, L))` with `K = xxᵀ`, `L = yyᵀ` and the
/// unbiased estimator of HSIC (Song et al. 2012, J Mach Learn Res 13:1393):
/// its expectation is 0 for independent data, where the plain ratio (Kornblith
/// et al. 2019, ICML) of `m` samples of `n` cells is about `n/(n + m)`. It does
/// not correct for noise that makes samples less reliable: compare with a
/// split-half value. 1 means the same geometry up to rotation and scale.
///
/// # Errors
/// If the numbers of samples differ or are below four, a value is not finite,
/// or the samples of one side do not vary more than by chance, so that the
/// ratio has no denominator.
pub fn linear_cka(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Result<f64, Error> {
    let (k, l) = kernels(x, y)?;
    if k.nrows() < 4 {
        return Err(Error::Undefined(format!(
            "debiased CKA needs four samples or more, not {}",
            k.nrows()
        )));
    }
    let (k, l) = (u_centred(k), u_centred(l));
    ratio(
        sum_of_products(&k, &l),
        sum_of_products(&k, &k),
        sum_of_products(&l, &l),
    )
}

/// Linear CKA without correction: `‖xᵀy‖²/(‖xᵀx‖·‖yᵀy‖)` (Frobenius) of
/// centred columns. High for independent data if cells are many; use
/// [`linear_cka`] unless to compare with such values.
///
/// # Errors
/// If the numbers of samples differ or are below two, a value is not finite,
/// or one side does not vary.
pub fn biased_linear_cka(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Result<f64, Error> {
    let (k, l) = kernels(x, y)?;
    ratio(
        sum_of_products(&k, &l),
        sum_of_products(&k, &k),
        sum_of_products(&l, &l),
    )
}

fn kernels(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
) -> Result<(Array2<f64>, Array2<f64>), Error> {
    finite(x, "the samples")?;
    finite(y, "the samples")?;
    if x.nrows() != y.nrows() {
        return Err(Error::Shape(format!(
            "{} samples beside {}",
            x.nrows(),
            y.nrows()
        )));
    }
    if x.nrows() < 2 {
        return Err(Error::Undefined("CKA needs two samples or more".into()));
    }
    Ok((gram(centred(x).1.view()), gram(centred(y).1.view())))
}

/// The kernel without its diagonal, centred so that the mean of products of
/// two such is the unbiased HSIC (Székely and Rizzo 2014, Ann Stat 42:2382).
fn u_centred(mut kernel: Array2<f64>) -> Array2<f64> {
    let n = kernel.nrows();
    kernel.diag_mut().fill(0.0);
    let by_row: Vec<f64> = kernel.rows().into_iter().map(|r| r.sum()).collect();
    let total: f64 = by_row.iter().sum();
    let (less_one, less_two) = ((n - 1) as f64, (n - 2) as f64);
    Array2::from_shape_fn((n, n), |(i, j)| {
        if i == j {
            0.0
        } else {
            kernel[[i, j]] - (by_row[i] + by_row[j]) / less_two + total / (less_one * less_two)
        }
    })
}

fn sum_of_products(k: &Array2<f64>, l: &Array2<f64>) -> f64 {
    k.iter().zip(l).map(|(k, l)| k * l).sum()
}

fn ratio(between: f64, first: f64, second: f64) -> Result<f64, Error> {
    let value = between / (first.sqrt() * second.sqrt());
    if value.is_finite() {
        Ok(value.clamp(-1.0, 1.0))
    } else {
        Err(Error::Undefined(
            "the samples of one side do not vary".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_lost_dimension_leaves_one_over_root_two() {
        let x = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        let y = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
        let cka = biased_linear_cka(x.view(), y.view()).unwrap();
        assert!((cka - 0.5_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        let x = array![[1.0], [2.0], [3.0], [5.0]];
        let flat = Array2::from_elem((4, 2), 0.25);
        assert!(linear_cka(x.view(), flat.view()).is_err());
        assert!(biased_linear_cka(x.view(), flat.view()).is_err());
        assert!(linear_cka(x.view(), x.view().split_at(ndarray::Axis(0), 3).0).is_err());
        let three = x.view().split_at(ndarray::Axis(0), 3).0;
        assert!(linear_cka(three, three).is_err());
        assert!((linear_cka(x.view(), x.view()).unwrap() - 1.0).abs() < 1e-12);
        let empty = Array2::<f64>::zeros((0, 0));
        assert!(linear_cka(empty.view(), empty.view()).is_err());
    }
}
