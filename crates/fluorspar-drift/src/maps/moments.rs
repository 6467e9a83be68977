//! Population-vector correlation of single traversals, from the few values that are not zero.

use ndarray::{Array2, ArrayView3, Axis};

use crate::Error;

/// Activity of one cell in one bin: traversals in which it is not zero, and how much.
pub(super) type Entries = Vec<(u32, f64)>;

/// The activity of a session `(traversal, cell, bin)`, zeros left out.
pub(super) struct Sparse {
    pub(super) traversals: usize,
    /// `[cell][bin]`.
    pub(super) cells: Vec<Vec<Entries>>,
    pub(super) bins: usize,
}

impl Sparse {
    /// # Errors
    /// [`Error::NotFinite`], [`Error::Nothing`] for an axis without length.
    pub(super) fn new(activity: ArrayView3<'_, f32>) -> Result<Self, Error> {
        let (traversals, cells, bins) = activity.dim();
        for (length, name) in [(traversals, "traversals"), (cells, "cells"), (bins, "bins")] {
            if length == 0 {
                return Err(Error::Nothing(name));
            }
        }
        if activity.iter().any(|v| !v.is_finite()) {
            return Err(Error::NotFinite("activity"));
        }
        let entries = |cell: usize, bin: usize| -> Entries {
            activity
                .index_axis(Axis(1), cell)
                .index_axis(Axis(1), bin)
                .iter()
                .enumerate()
                .filter(|(_, v)| **v != 0.0)
                .map(|(traversal, &v)| (traversal as u32, f64::from(v)))
                .collect()
        };
        Ok(Self {
            traversals,
            cells: (0..cells)
                .map(|cell| (0..bins).map(|bin| entries(cell, bin)).collect())
                .collect(),
            bins,
        })
    }

    /// The traversals of `group` alone, numbered by their place in it.
    pub(super) fn of(&self, group: &[usize]) -> Self {
        let mut place = vec![None; self.traversals];
        for (rank, &traversal) in group.iter().enumerate() {
            place[traversal] = Some(rank as u32);
        }
        let keep = |entries: &Entries| -> Entries {
            let mut kept: Entries = entries
                .iter()
                .filter_map(|&(t, v)| place[t as usize].map(|rank| (rank, v)))
                .collect();
            kept.sort_by_key(|&(rank, _)| rank);
            kept
        };
        Self {
            traversals: group.len(),
            cells: self
                .cells
                .iter()
                .map(|bins| bins.iter().map(keep).collect())
                .collect(),
            bins: self.bins,
        }
    }

    /// Mean over bins of the correlation over cells of every two traversals;
    /// the diagonal is NaN, as is a pair without a bin in which both vary.
    ///
    /// `moved(cell, traversal)` says which traversal a cell's response is
    /// taken for: the identity, or a surrogate's.
    pub(super) fn similarity(&self, moved: impl Fn(usize, usize) -> usize) -> Array2<f64> {
        let n = self.traversals;
        let cells = self.cells.len() as f64;
        let mut total = Array2::<f64>::zeros((n, n));
        let mut counted = Array2::<f64>::zeros((n, n));
        let mut products = vec![0.0; n * n];
        let mut sums = vec![0.0; n];
        let mut responses: Entries = Vec::with_capacity(n);
        for bin in 0..self.bins {
            products.fill(0.0);
            sums.fill(0.0);
            for (cell, bins) in self.cells.iter().enumerate() {
                responses.clear();
                responses.extend(
                    bins[bin]
                        .iter()
                        .map(|&(t, v)| (moved(cell, t as usize) as u32, v)),
                );
                for &(a, v) in &responses {
                    sums[a as usize] += v;
                    let row = &mut products[a as usize * n..][..n];
                    for &(b, w) in &responses {
                        row[b as usize] += v * w;
                    }
                }
            }
            // Sums of squares about the mean; 0 where rounding is all there is.
            let varies: Vec<f64> = (0..n)
                .map(|a| {
                    let square = products[a * n + a];
                    let about = square - sums[a] * sums[a] / cells;
                    if about > 1e-12 * square { about } else { 0.0 }
                })
                .collect();
            for a in 0..n {
                for b in 0..n {
                    if a != b && varies[a] > 0.0 && varies[b] > 0.0 {
                        let covariance = products[a * n + b] - sums[a] * sums[b] / cells;
                        // Two roots: a product of two sums of squares may overflow.
                        total[[a, b]] += covariance / varies[a].sqrt() / varies[b].sqrt();
                        counted[[a, b]] += 1.0;
                    }
                }
            }
        }
        total / counted
    }
}

/// How alike every two traversals of a session are: the population-vector
/// correlation, Pearson over cells within each bin, mean over the bins in
/// which both traversals vary.
///
/// Activity `(traversal, cell, bin)` to `(traversal, traversal)`. The diagonal
/// is NaN, for a traversal says nothing of its own noise; so is a pair without
/// a bin in which both vary. Units of activity do not matter.
///
/// # Errors
/// [`Error::NotFinite`]; [`Error::Nothing`] for an axis without length.
///
/// ```
/// use fluorspar_drift::maps::traversal_similarity;
/// use ndarray::arr3;
///
/// // One bin, three cells: the second traversal is twice the first, the third its opposite.
/// let activity = arr3(&[[[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]], [[3.0], [2.0], [1.0]]]);
/// let similarity = traversal_similarity(activity.view())?;
/// assert!((similarity[[0, 1]] - 1.0).abs() < 1e-12);
/// assert!((similarity[[0, 2]] + 1.0).abs() < 1e-12);
/// # Ok::<(), fluorspar_drift::Error>(())
/// ```
pub fn traversal_similarity(activity: ArrayView3<'_, f32>) -> Result<Array2<f64>, Error> {
    Ok(Sparse::new(activity)?.similarity(|_, traversal| traversal))
}
