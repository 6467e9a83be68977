use faer::Mat;
use ndarray::ArrayView2;

use crate::Error;

/// Rows are filled up with zeros to a multiple of this, the widest vector.
const LANES: usize = 8;

/// A Gram matrix `(trial, trial)`, checked and laid out once for many refits.
///
/// Folds, permutations and pairs of classes are index lists into it: nothing
/// is copied for them. It holds the matrix twice (`16 n²` bytes).
#[derive(Clone, Debug)]
pub struct Kernel {
    trials: usize,
    /// Length of a row in memory.
    stride: usize,
    rows: Vec<f64>,
    /// One over the squared distance of two trials, likewise.
    inverse_distance: Vec<f64>,
}

impl Kernel {
    /// Checks and copies a Gram matrix `(trial, trial)`.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is not square, [`Error::NotFinite`],
    /// [`Error::Empty`] without trials.
    pub fn new(gram: ArrayView2<'_, f64>) -> Result<Self, Error> {
        let trials = gram.nrows();
        if gram.ncols() != trials {
            return Err(Error::Shape(format!(
                "a Gram matrix of {trials} x {}",
                gram.ncols()
            )));
        }
        if trials == 0 {
            return Err(Error::Empty);
        }
        if let Some(((row, column), _)) = gram.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::NotFinite { row, column });
        }
        let stride = trials.next_multiple_of(LANES);
        let mut rows = vec![0.0; trials * stride];
        let mut inverse_distance = rows.clone();
        for i in 0..trials {
            for j in 0..trials {
                rows[i * stride + j] = gram[[i, j]];
                let distance = gram[[i, i]] + gram[[j, j]] - 2.0 * gram[[i, j]];
                // A floor for trials that coincide.
                let floor = 1e-9 * (gram[[i, i]] + gram[[j, j]]);
                inverse_distance[i * stride + j] = 1.0 / distance.max(floor).max(1e-12);
            }
        }
        Ok(Self {
            trials,
            stride,
            rows,
            inverse_distance,
        })
    }

    /// Number of trials.
    pub fn trials(&self) -> usize {
        self.trials
    }

    /// Inner product of two trials, which must exist.
    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.rows[i * self.stride + j]
    }

    /// Length of a row with the zeros that fill it up.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.stride..(i + 1) * self.stride]
    }

    #[inline(always)]
    pub(crate) fn inverse_distance(&self, i: usize) -> &[f64] {
        &self.inverse_distance[i * self.stride..(i + 1) * self.stride]
    }

    /// The part `(row, column)` that some trials make.
    pub(crate) fn part(&self, trials: &[usize]) -> Mat<f64> {
        Mat::from_fn(trials.len(), trials.len(), |a, b| {
            self.at(trials[a], trials[b])
        })
    }

    /// Refuses labels and training trials that do not fit; the sorted labels
    /// of the training trials otherwise.
    pub(crate) fn classes(&self, labels: &[i64], train: &[usize]) -> Result<Vec<i64>, Error> {
        self.check(labels, train)?;
        let mut classes: Vec<i64> = train.iter().map(|&t| labels[t]).collect();
        classes.sort_unstable();
        classes.dedup();
        match classes[..] {
            [] => Err(Error::Empty),
            [only] => Err(Error::OneClass(only)),
            _ => Ok(classes),
        }
    }

    /// Refuses labels and lists of trials that do not fit.
    pub(crate) fn check(&self, labels: &[i64], list: &[usize]) -> Result<(), Error> {
        if labels.len() != self.trials {
            return Err(Error::Shape(format!(
                "a Gram matrix of {} trials for {} labels",
                self.trials,
                labels.len()
            )));
        }
        match list.iter().find(|&&t| t >= self.trials) {
            Some(outside) => Err(Error::Shape(format!(
                "there is no trial {outside} among {}",
                self.trials
            ))),
            None => Ok(()),
        }
    }
}
