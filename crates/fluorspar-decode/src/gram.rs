use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, Mat, MatRef, Par};
use ndarray::{Array2, ArrayView2, Axis};

use crate::Error;

/// Cells that are multiplied at once: single-precision products of so many
/// are added up in double precision, and memory is bounded by them.
const BLOCK: usize = 4096;

/// Inner products of the rows of `features` `(trial, feature)`.
pub fn linear_gram(features: ArrayView2<'_, f64>) -> Array2<f64> {
    features.dot(&features.t())
}

/// Where a cell's activity is zero and in which unit it is measured: the
/// training session's mean and standard deviation, as a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// What is subtracted, per cell.
    pub centre: Vec<f32>,
    /// What is multiplied, per cell; 0 leaves a cell out.
    pub weight: Vec<f32>,
}

impl Scaling {
    /// Mean and one over the (population) standard deviation of each cell of
    /// `activity` `(trial, cell)`. A cell that never changes gets weight 0: it
    /// says nothing, and it has no unit.
    ///
    /// # Errors
    /// [`Error::Empty`] without trials, [`Error::NotFinite`] (trial, cell).
    pub fn standardise(activity: &Features<'_>) -> Result<Self, Error> {
        let trials = activity.trials();
        if trials == 0 {
            return Err(Error::Empty);
        }
        let cells = activity.len();
        let mut centre = Vec::with_capacity(cells);
        let mut weight = Vec::with_capacity(cells);
        let mut start = 0;
        while start < cells {
            let width = BLOCK.min(cells - start);
            let mut sum = vec![0.0_f64; width];
            let mut square = vec![0.0_f64; width];
            let mut values = vec![0.0_f32; width];
            let mut first = vec![0.0_f32; width];
            for trial in 0..trials {
                activity.raw(trial, start, &mut values);
                if trial == 0 {
                    // Sums about the first trial do not cancel on a large baseline.
                    first.copy_from_slice(&values);
                }
                for (((sum, square), value), first) in
                    sum.iter_mut().zip(&mut square).zip(&values).zip(&first)
                {
                    let value = f64::from(*value) - f64::from(*first);
                    *sum += value;
                    *square += value * value;
                }
            }
            let n = trials as f64;
            for ((sum, square), first) in sum.iter().zip(&square).zip(&first) {
                if !(sum.is_finite() && square.is_finite()) {
                    let cell = centre.len();
                    let row = (0..trials)
                        .find(|&t| !activity.value(t, cell).is_finite())
                        .unwrap_or(0);
                    return Err(Error::NotFinite { row, column: cell });
                }
                let mean = sum / n;
                let variance = (square / n - mean * mean).max(0.0);
                let inverse = (1.0 / variance.sqrt()) as f32;
                // Below this the variance is rounding of the sum of squares.
                let real = variance > 1e-12 * square / n && inverse.is_finite();
                centre.push((f64::from(*first) + mean) as f32);
                weight.push(if real { inverse } else { 0.0 });
            }
            start += width;
        }
        Ok(Self { centre, weight })
    }

    /// Cells with a weight.
    pub fn cells(&self) -> usize {
        self.weight.iter().filter(|&&w| w != 0.0).count()
    }
}

/// Activity `(trial, cell)` (for `(cell, trial)`, give its transpose), of
/// which some cells in some order take part, centred and weighted.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    activity: ArrayView2<'a, f32>,
    cells: Option<&'a [usize]>,
    scaling: Option<&'a Scaling>,
}

impl<'a> Features<'a> {
    /// All cells as they are.
    pub fn new(activity: ArrayView2<'a, f32>) -> Self {
        Self {
            activity,
            cells: None,
            scaling: None,
        }
    }

    /// Only these columns, in this order.
    ///
    /// # Errors
    /// [`Error::Shape`] if one does not exist.
    pub fn of_cells(self, cells: &'a [usize]) -> Result<Self, Error> {
        if let Some(outside) = cells.iter().find(|&&c| c >= self.activity.ncols()) {
            return Err(Error::Shape(format!(
                "there is no cell {outside} among {}",
                self.activity.ncols()
            )));
        }
        Ok(Self {
            cells: Some(cells),
            ..self
        })
    }

    /// Centred and weighted; `scaling` has one entry per chosen cell.
    ///
    /// # Errors
    /// [`Error::Shape`] if it has another number of entries.
    pub fn scaled(self, scaling: &'a Scaling) -> Result<Self, Error> {
        if scaling.centre.len() != self.len() || scaling.weight.len() != self.len() {
            return Err(Error::Shape(format!(
                "{} centres and {} weights for {} cells",
                scaling.centre.len(),
                scaling.weight.len(),
                self.len()
            )));
        }
        Ok(Self {
            scaling: Some(scaling),
            ..self
        })
    }

    /// Number of trials.
    pub fn trials(&self) -> usize {
        self.activity.nrows()
    }

    /// Number of chosen cells.
    pub fn len(&self) -> usize {
        self.cells.map_or(self.activity.ncols(), <[usize]>::len)
    }

    /// Whether no cell is chosen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mean over the chosen cells of each trial's centred, weighted activity.
    pub fn population_means(&self) -> Vec<f64> {
        let mut values = vec![0.0_f32; BLOCK.min(self.len())];
        (0..self.trials())
            .map(|trial| {
                let mut sum = 0.0;
                let mut start = 0;
                while start < self.len() {
                    let width = BLOCK.min(self.len() - start);
                    self.fill(trial, start, &mut values[..width]);
                    sum += values[..width].iter().map(|&v| f64::from(v)).sum::<f64>();
                    start += width;
                }
                sum / self.len() as f64
            })
            .collect()
    }

    /// The chosen cells of all trials, centred and weighted, `(trial, cell)`.
    pub fn to_array(&self) -> Array2<f32> {
        let mut out = Array2::zeros((self.trials(), self.len()));
        for (trial, mut row) in out.rows_mut().into_iter().enumerate() {
            if let Some(row) = row.as_slice_mut() {
                self.fill(trial, 0, row);
            }
        }
        out
    }

    fn value(&self, trial: usize, cell: usize) -> f32 {
        self.activity[[trial, self.cells.map_or(cell, |c| c[cell])]]
    }

    /// Chosen cells from `start` on, as they are.
    fn raw(&self, trial: usize, start: usize, out: &mut [f32]) {
        let row = self.activity.index_axis(Axis(0), trial);
        match (self.cells, row.as_slice()) {
            (None, Some(row)) => out.copy_from_slice(&row[start..start + out.len()]),
            (None, None) => {
                for (out, value) in out.iter_mut().zip(row.iter().skip(start)) {
                    *out = *value;
                }
            }
            (Some(cells), _) => {
                for (out, &cell) in out.iter_mut().zip(&cells[start..]) {
                    *out = row[cell];
                }
            }
        }
    }

    /// Chosen cells from `start` on, centred and weighted.
    fn fill(&self, trial: usize, start: usize, out: &mut [f32]) {
        self.raw(trial, start, out);
        if let Some(Scaling { centre, weight }) = self.scaling {
            for ((out, centre), weight) in
                out.iter_mut().zip(&centre[start..]).zip(&weight[start..])
            {
                *out = (*out - centre) * weight;
            }
        }
    }

    /// All trials of a block of cells, trial by trial.
    fn block(&self, start: usize, width: usize, out: &mut Vec<f32>) {
        out.resize(self.trials() * width, 0.0);
        for (trial, row) in out.chunks_exact_mut(width).enumerate() {
            self.fill(trial, start, row);
        }
    }
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
        features.block(start, width, &mut buffer);
        let x = MatRef::from_row_major_slice(&buffer, trials, width);
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
        a.block(start, width, &mut left);
        b.block(start, width, &mut right);
        matmul(
            product.as_mut(),
            Accum::Replace,
            MatRef::from_row_major_slice(&left, a.trials(), width),
            MatRef::from_row_major_slice(&right, b.trials(), width).transpose(),
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
    let columns: Vec<usize> = list
        .iter()
        .map(|&c| features.cells.map_or(c, |cells| cells[c]))
        .collect();
    let scaling = features.scaling.map(|s| Scaling {
        centre: list.iter().map(|&c| s.centre[c]).collect(),
        weight: list.iter().map(|&c| s.weight[c]).collect(),
    });
    let part = gram(&Features {
        activity: features.activity,
        cells: Some(&columns),
        scaling: scaling.as_ref(),
    })?;
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
