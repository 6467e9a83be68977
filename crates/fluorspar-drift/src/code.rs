//! The code for one label in one session: patterns of class means, and their noise.

use ndarray::{Array2, ArrayView2};

/// Coding patterns of the cells of one session.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// Mean of each class `(cell, class)`, each cell less its mean over classes.
    patterns: Array2<f64>,
    /// What trial noise adds to the squared length of each cell's pattern.
    pub(crate) noise: Vec<f64>,
    /// Squared length of each cell's pattern without that; may be negative.
    pub(crate) own: Vec<f64>,
    /// Trial-to-trial variance of each cell within a class.
    pub(crate) scatter: Vec<f64>,
}

impl Code {
    /// From `activity` `(cell, trial)` and the trials of each class, of which
    /// there are at least two with at least two trials each.
    pub(crate) fn of(activity: ArrayView2<'_, f32>, members: &[Vec<usize>]) -> Self {
        let (cells, classes) = (activity.nrows(), members.len());
        let trials: usize = members.iter().map(Vec::len).sum();
        let freedom = trials.saturating_sub(classes) as f64;
        let share = 1.0 - 1.0 / classes as f64;
        let mut out = Self {
            patterns: Array2::zeros((cells, classes)),
            noise: vec![0.0; cells],
            own: vec![0.0; cells],
            scatter: vec![0.0; cells],
        };
        for (cell, row) in activity.rows().into_iter().enumerate() {
            let mut pattern = out.patterns.row_mut(cell);
            for (members, middle) in members.iter().zip(&mut pattern) {
                let n = members.len() as f64;
                let value = |t: usize| f64::from(row[t]);
                *middle = members.iter().map(|&t| value(t)).sum::<f64>() / n;
                let squares: f64 = members.iter().map(|&t| (value(t) - *middle).powi(2)).sum();
                out.scatter[cell] += squares / freedom;
                out.noise[cell] += share * squares / (n - 1.0) / n;
            }
            let middle = pattern.sum() / classes as f64;
            pattern.mapv_inplace(|v| v - middle);
            out.own[cell] = pattern.dot(&pattern) - out.noise[cell];
        }
        out
    }

    /// Product of a cell's pattern with that of a cell of another session:
    /// across sessions, trial noise is independent and adds nothing on average.
    pub(crate) fn product(&self, cell: usize, other: &Self, cell_there: usize) -> f64 {
        self.patterns.row(cell).dot(&other.patterns.row(cell_there))
    }
}

/// Mean scatter of each of `cells` identities over the sessions that saw it; 0
/// if there is none. `seen` gives for each session its code, if it has one,
/// and `(identity, index)` of its cells.
///
/// A cell counts in units of this. They rest on all sessions, because units
/// that rest on the two compared are the larger the less noise these happen
/// to show, which spoils the correction when trials are few.
pub(crate) fn units<'a, P>(
    seen: impl Iterator<Item = (Option<&'a Code>, P)>,
    cells: usize,
) -> Vec<f64>
where
    P: Iterator<Item = (usize, usize)>,
{
    let (mut sums, mut times) = (vec![0.0; cells], vec![0.0; cells]);
    for (code, places) in seen {
        let Some(code) = code else { continue };
        for (identity, index) in places {
            sums[identity] += code.scatter[index];
            times[identity] += 1.0;
        }
    }
    sums.iter()
        .zip(times)
        .map(|(sum, n)| if n > 0.0 { sum / n } else { 0.0 })
        .collect()
}
