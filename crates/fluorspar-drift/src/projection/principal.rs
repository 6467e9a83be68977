use ndarray::{Array2, ArrayView2};

use super::{centred, fix_signs};
use crate::Error;
use crate::similarity::linear::{finite, symmetric_eigen};

/// Principal components of observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Place of each observation `(observation, component)`, in the unit of
    /// the activity times the root of the number of cells.
    pub scores: Array2<f64>,
    /// Share of the variance of each component, descending.
    pub explained: Vec<f64>,
}

/// The first `components` principal components from the inner products `gram`
/// `(observation, observation)` of trials or conditions over cells. The mean
/// is taken off here. Fewer are returned if there are fewer.
///
/// # Errors
/// [`Error::Shape`] if `gram` is not square, [`Error::NotFinite`],
/// [`Error::Undefined`] if the observations do not differ.
pub fn principal(gram: ArrayView2<'_, f64>, components: usize) -> Result<Principal, Error> {
    if gram.nrows() != gram.ncols() {
        return Err(Error::Shape(format!("a Gram matrix of {:?}", gram.dim())));
    }
    finite(gram, "the Gram matrix")?;
    let (values, vectors) = symmetric_eigen(centred(gram).view())?;
    let total: f64 = values.iter().map(|v| v.max(0.0)).sum();
    let least = 1e-12 * values.first().copied().unwrap_or(0.0);
    let count = values.iter().take_while(|&&v| v > least && v > 0.0).count();
    if count == 0 {
        return Err(Error::Undefined("the observations do not differ".into()));
    }
    let count = count.min(components);
    let mut scores = Array2::from_shape_fn((gram.nrows(), count), |(row, k)| {
        vectors[[row, k]] * values[k].sqrt()
    });
    fix_signs(&mut scores);
    Ok(Principal {
        scores,
        explained: values[..count].iter().map(|v| v / total).collect(),
    })
}
