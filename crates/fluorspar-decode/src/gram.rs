use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, Mat, Par};
use ndarray::{Array2, ArrayView2};

use crate::features::BLOCK;
use crate::{Error, Features, Scaling};

/// Inner products of the rows of `features` `(trial, feature)`.
pub fn linear_gram(features: ArrayView2<'_, f64>) -> Array2<f64> {
    features.dot(&features.t())
}

/// Inner products of all pairs of trials, `(trial, trial)`, exactly symmetric.
///
/// Products of a few thousand cells are taken in single precision and added up
/// in double, in order: the bytes do not depend on threads. Memory beyond the
/// result: one block of cells.
///
/// # Errors
/// [`Error::Empty`] without trials or cells, [`Error::NotFinite`].
pub fn gram(features: &Features<'_>) -> Result<Array2<f64>, Error> {
    let trials = features.trials();
    let mut buffer = Vec::new();
    let mut product = Mat::zeros(trials, trials);
    let sum = blocks(features, features, |start, width, sum| {
        use triangular::BlockStructure::{Rectangular, TriangularLower};
        let x = features.block(start, width, &mut buffer);
        triangular::matmul(
            product.as_mut(),
            TriangularLower,
            Accum::Replace,
            x,
            Rectangular,
            x.transpose(),
            Rectangular,
            1.0,
            Par::Seq,
        );
        for i in 0..trials {
            for j in 0..=i {
                sum[[i, j]] += f64::from(product[(i, j)]);
            }
        }
    })?;
    let mut out = sum;
    for i in 0..trials {
        for j in 0..i {
            out[[j, i]] = out[[i, j]];
        }
    }
    finite(out)
}

/// Inner products `(trial of a, trial of b)` over cells in the same order;
/// otherwise as [`gram`].
///
/// # Errors
/// [`Error::Shape`] if the numbers of cells differ, [`Error::Empty`],
/// [`Error::NotFinite`].
pub fn cross_gram(a: &Features<'_>, b: &Features<'_>) -> Result<Array2<f64>, Error> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut product = Mat::zeros(a.trials(), b.trials());
    let out = blocks(a, b, |start, width, sum| {
        matmul(
            product.as_mut(),
            Accum::Replace,
            a.block(start, width, &mut left),
            b.block(start, width, &mut right).transpose(),
            1.0,
            Par::Seq,
        );
        for ((i, j), sum) in sum.indexed_iter_mut() {
            *sum += f64::from(product[(i, j)]);
        }
    })?;
    finite(out)
}

/// The Gram matrix over some of the cells of `features`, `kept` in any order,
/// given that over all of them: the missing ones are taken off if that is
/// less work. Rounding apart, the result is [`gram`] over `kept`.
///
/// # Errors
/// [`Error::Shape`] if a cell does not exist, appears twice, or `full` has
/// another size; as [`gram`].
pub fn gram_of_some(
    full: ArrayView2<'_, f64>,
    features: &Features<'_>,
    kept: &[usize],
) -> Result<Array2<f64>, Error> {
    if full.dim() != (features.trials(), features.trials()) {
        return Err(Error::Shape(format!(
            "a Gram matrix of {:?} for {} trials",
            full.dim(),
            features.trials()
        )));
    }
    let mut inside = vec![false; features.len()];
    for &cell in kept {
        match inside.get_mut(cell) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(Error::Shape(format!("the cell {cell} appears twice"))),
            None => return Err(Error::Shape(format!("there is no cell {cell}"))),
        }
    }
    if kept.is_empty() {
        return Err(Error::Empty);
    }
    if kept.len() == features.len() {
        return Ok(full.to_owned());
    }
    let subtract = kept.len() > features.len() / 2;
    let list: Vec<usize> = (0..features.len())
        .filter(|&c| inside[c] != subtract)
        .collect();
    let columns: Vec<usize> = list.iter().map(|&c| features.column(c)).collect();
    let scaling = features.scaling().map(|s| Scaling {
        centre: list.iter().map(|&c| s.centre[c]).collect(),
        weight: list.iter().map(|&c| s.weight[c]).collect(),
    });
    let mut some = features.choose(&columns);
    if let Some(scaling) = &scaling {
        some = some.scaled(scaling)?;
    }
    let part = gram(&some)?;
    Ok(if subtract { &full - &part } else { part })
}

/// The Gram matrix of trials whose mean over `cells` cells is taken off, from
/// that of trials as they are and their means ([`Features::population_means`]).
/// A cosine on it is a correlation over cells: see
/// [`Template::Cosine`](crate::Template).
///
/// # Errors
/// [`Error::Shape`] if there is not one mean per trial.
pub fn centre_over_cells(
    gram: ArrayView2<'_, f64>,
    means: &[f64],
    cells: usize,
) -> Result<Array2<f64>, Error> {
    if gram.dim() != (means.len(), means.len()) {
        return Err(Error::Shape(format!(
            "{} means for a Gram matrix of {:?}",
            means.len(),
            gram.dim()
        )));
    }
    Ok(Array2::from_shape_fn(gram.dim(), |(i, j)| {
        gram[[i, j]] - cells as f64 * means[i] * means[j]
    }))
}

/// Adds up what `add(start, width, sum)` does with each block of cells.
fn blocks(
    a: &Features<'_>,
    b: &Features<'_>,
    mut add: impl FnMut(usize, usize, &mut Array2<f64>),
) -> Result<Array2<f64>, Error> {
    if a.len() != b.len() {
        return Err(Error::Shape(format!(
            "{} cells on one side, {} on the other",
            a.len(),
            b.len()
        )));
    }
    if a.is_empty() || a.trials() == 0 || b.trials() == 0 {
        return Err(Error::Empty);
    }
    let mut sum = Array2::zeros((a.trials(), b.trials()));
    let mut start = 0;
    while start < a.len() {
        let width = BLOCK.min(a.len() - start);
        add(start, width, &mut sum);
        start += width;
    }
    Ok(sum)
}

fn finite(out: Array2<f64>) -> Result<Array2<f64>, Error> {
    match out.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), _)) => Err(Error::NotFinite { row, column }),
        None => Ok(out),
    }
}
