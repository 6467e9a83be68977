//! Cells chosen by how well they tell labels apart.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use crate::{
    CrossValidation, Decoder, Error, Features, Kernel, Predictions, Score, Workspace, gram, score,
};

/// How selective each cell is: between two classes the absolute Welch `t`,
/// between more the square root of the `F` of an analysis of variance. Only
/// the trials `train` are looked at. A cell that does not vary has 0.
///
/// # Errors
/// [`Error::Shape`] if there is not one label per trial or a trial does not
/// exist, [`Error::OneClass`], [`Error::Empty`], [`Error::NotFinite`].
pub fn selectivity(
    activity: ArrayView2<'_, f32>,
    labels: &[i64],
    train: &[usize],
) -> Result<Vec<f64>, Error> {
    let (trials, cells) = activity.dim();
    if labels.len() != trials {
        return Err(Error::Shape(format!(
            "{trials} trials and {} labels",
            labels.len()
        )));
    }
    if let Some(outside) = train.iter().find(|&&t| t >= trials) {
        return Err(Error::Shape(format!("there is no trial {outside}")));
    }
    let mut classes: Vec<i64> = train.iter().map(|&t| labels[t]).collect();
    classes.sort_unstable();
    classes.dedup();
    match classes[..] {
        [] => return Err(Error::Empty),
        [only] => return Err(Error::OneClass(only)),
        _ => {}
    }
    // Sums about the first trial, so that a large baseline does not cancel.
    let origin = activity.row(train[0]);
    let mut sums = Array2::<f64>::zeros((classes.len(), cells));
    let mut squares = sums.clone();
    let mut sizes = vec![0.0; classes.len()];
    for &trial in train {
        let class = classes.binary_search(&labels[trial]).unwrap_or(0);
        sizes[class] += 1.0;
        let row = activity.row(trial);
        let (mut sum, mut square) = (sums.row_mut(class), squares.row_mut(class));
        for (cell, (&value, &zero)) in row.iter().zip(origin).enumerate() {
            let value = f64::from(value) - f64::from(zero);
            if !value.is_finite() {
                return Err(Error::NotFinite {
                    row: trial,
                    column: cell,
                });
            }
            sum[cell] += value;
            square[cell] += value * value;
        }
    }
    Ok((0..cells)
        .map(|cell| {
            let moments: Vec<(f64, f64, f64)> = (0..classes.len())
                .map(|c| {
                    let mean = sums[[c, cell]] / sizes[c];
                    let rest = (squares[[c, cell]] - sizes[c] * mean * mean).max(0.0);
                    (sizes[c], mean, rest)
                })
                .collect();
            let value = statistic(&moments);
            if value.is_finite() { value } else { 0.0 }
        })
        .collect())
}

/// From `(trials, mean, sum of squares about it)` of each class.
fn statistic(moments: &[(f64, f64, f64)]) -> f64 {
    if let [(n, m, s), (k, l, r)] = moments[..] {
        let error = s / ((n - 1.0).max(1.0) * n) + r / ((k - 1.0).max(1.0) * k);
        return (m - l).abs() / error.sqrt();
    }
    let total: f64 = moments.iter().map(|m| m.0).sum();
    let mean = moments.iter().map(|m| m.0 * m.1).sum::<f64>() / total;
    let between: f64 = moments.iter().map(|m| m.0 * (m.1 - mean).powi(2)).sum();
    let within: f64 = moments.iter().map(|m| m.2).sum();
    let groups = moments.len() as f64;
    (between / (groups - 1.0) / (within / (total - groups).max(1.0))).sqrt()
}

/// How accuracy grows with the number of most selective cells.
#[derive(Clone, Debug, PartialEq)]
pub struct MostSelective {
    /// Numbers of cells, ascending; larger ones than there are stand for all.
    pub counts: Vec<usize>,
    /// The splits.
    pub validation: CrossValidation,
}

impl MostSelective {
    /// The score for each count. In every fold the cells are ranked on the
    /// training trials alone, by [`selectivity`] and standardised by them:
    /// the same cells chosen on all trials decode pure noise.
    ///
    /// # Errors
    /// [`Error::Parameter`] without counts, for 0 or if they do not ascend; as
    /// [`selectivity`] and [`CrossValidation::score`].
    pub fn scores(
        &self,
        decoder: &dyn Decoder,
        activity: ArrayView2<'_, f32>,
        labels: &[i64],
    ) -> Result<Vec<Score>, Error> {
        let mut last = 0;
        for &count in &self.counts {
            if count <= last {
                return Err(Error::Parameter {
                    name: "counts",
                    value: count as f64,
                    rule: "must be positive and ascend",
                });
            }
            last = count;
        }
        if self.counts.is_empty() || activity.ncols() == 0 {
            return Err(Error::Empty);
        }
        let splits = self.validation.splits(labels)?;
        let mut guesses: Vec<Predictions> =
            vec![vec![vec![None; labels.len()]; self.validation.repeats]; self.counts.len()];
        let mut workspace = Workspace::default();
        for split in &splits {
            let strength = selectivity(activity, labels, &split.train)?;
            let mut order: Vec<usize> = (0..strength.len()).collect();
            order.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]));
            // Each count adds its further cells to the matrix of the last.
            let mut sum = Array2::<f64>::zeros((labels.len(), labels.len()));
            let mut done = 0;
            for (guesses, &count) in guesses.iter_mut().zip(&self.counts) {
                let upto = count.min(order.len());
                if upto > done {
                    sum += &standardised(activity, &order, done..upto, &split.train)?;
                    done = upto;
                }
                let kernel = Kernel::new(sum.view())?;
                let classifier = decoder.fit(&kernel, labels, &split.train, &mut workspace)?;
                let found = classifier.predict_in(&kernel, &split.train, &split.test)?;
                for (&trial, label) in split.test.iter().zip(found) {
                    guesses[split.repeat][trial] = Some(label);
                }
            }
        }
        guesses
            .iter()
            .map(|guesses| score(labels, guesses))
            .collect()
    }
}

/// The Gram matrix of some cells, in units of the training trials.
fn standardised(
    activity: ArrayView2<'_, f32>,
    order: &[usize],
    range: Range<usize>,
    train: &[usize],
) -> Result<Array2<f64>, Error> {
    let cells = &order[range];
    let training = activity.select(ndarray::Axis(0), train);
    let scaling = crate::Scaling::standardise(&Features::new(training.view()).of_cells(cells)?)?;
    gram(&Features::new(activity).of_cells(cells)?.scaled(&scaling)?)
}
