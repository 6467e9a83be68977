use faer::MatRef;
use ndarray::{Array2, ArrayView2, Axis};

use crate::Error;

/// Cells that are multiplied at once: single-precision products of so many
/// are added up in double precision, and memory is bounded by them.
pub(crate) const BLOCK: usize = 4096;

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
            let [first, sum, square] = activity.sums(start, width);
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
                centre.push((first + mean) as f32);
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

    /// The same activity, of which only these columns take part, as they are.
    pub(crate) fn choose<'b>(&self, columns: &'b [usize]) -> Features<'b>
    where
        'a: 'b,
    {
        Features {
            activity: self.activity,
            cells: Some(columns),
            scaling: None,
        }
    }

    /// Column of a chosen cell in the activity.
    pub(crate) fn column(&self, cell: usize) -> usize {
        self.cells.map_or(cell, |cells| cells[cell])
    }

    pub(crate) fn scaling(&self) -> Option<&'a Scaling> {
        self.scaling
    }

    fn value(&self, trial: usize, cell: usize) -> f32 {
        self.activity[[trial, self.column(cell)]]
    }

    /// First value, and sums of values and of squares about it, of a block of
    /// cells: sums about the first trial do not cancel on a large baseline.
    fn sums(&self, start: usize, width: usize) -> [Vec<f64>; 3] {
        let mut first = vec![0.0; width];
        let mut sum = vec![0.0; width];
        let mut square = vec![0.0; width];
        if self.activity.strides()[0] == 1 {
            for k in 0..width {
                let course = self.activity.column(self.column(start + k));
                first[k] = f64::from(course[0]);
                for &value in course {
                    let value = f64::from(value) - first[k];
                    sum[k] += value;
                    square[k] += value * value;
                }
            }
            return [first, sum, square];
        }
        let mut values = vec![0.0_f32; width];
        for trial in 0..self.trials() {
            self.raw(trial, start, &mut values);
            if trial == 0 {
                for (first, value) in first.iter_mut().zip(&values) {
                    *first = f64::from(*value);
                }
            }
            for (((sum, square), value), first) in
                sum.iter_mut().zip(&mut square).zip(&values).zip(&first)
            {
                let value = f64::from(*value) - first;
                *sum += value;
                *square += value * value;
            }
        }
        [first, sum, square]
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

    /// All trials of a block of cells, centred and weighted, `(trial, cell)`;
    /// in the order in which the activity lies in memory.
    pub(crate) fn block<'b>(
        &self,
        start: usize,
        width: usize,
        out: &'b mut Vec<f32>,
    ) -> MatRef<'b, f32> {
        let trials = self.trials();
        out.resize(trials * width, 0.0);
        if self.activity.strides()[0] != 1 {
            for (trial, row) in out.chunks_exact_mut(width).enumerate() {
                self.fill(trial, start, row);
            }
            return MatRef::from_row_major_slice(out, trials, width);
        }
        for (k, course) in out.chunks_exact_mut(trials).enumerate() {
            let cell = start + k;
            let source = self.column(cell);
            let (centre, weight) = self
                .scaling
                .map_or((0.0, 1.0), |s| (s.centre[cell], s.weight[cell]));
            // Its trials lie next to each other here.
            if let Some(values) = self.activity.column(source).as_slice() {
                for (out, value) in course.iter_mut().zip(values) {
                    *out = (value - centre) * weight;
                }
            }
        }
        MatRef::from_column_major_slice(out, trials, width)
    }
}
