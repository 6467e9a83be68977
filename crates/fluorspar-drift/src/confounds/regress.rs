//! Activity with what behaviour predicts of it taken away.

use fluorspar_decode::CrossValidation;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::Error;

/// Penalties tried, in units of the number of trials.
const PENALTIES: [f64; 6] = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0];
/// The penalty is chosen on this many cells.
const CELLS: usize = 500;

/// Cells are fitted this many at a time.
const BLOCK: usize = 512;

/// Activity without behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct WithoutBehaviour {
    /// Activity `(cell, trial)` less what behaviour predicts, mean behaviour kept.
    pub activity: Array2<f32>,
    /// Share of each cell's variance within labels that behaviour explains in
    /// trials not fitted; below 0 if it predicts worse than nothing, NaN for a
    /// cell that does not vary.
    pub explained: Vec<f64>,
}

/// Regresses behaviour `(trial, variable)` out of the activity `(cell, trial)`
/// of one session by ridge regression (Hoerl and Kennard 1970,
/// Technometrics 12:55). Every trial is predicted by weights fitted without
/// it: on the other `folds − 1` parts, the penalty chosen by cross-validation
/// within those. Weights come from differences within a label, so that a
/// behaviour that goes with the label does not take the code away unless it
/// predicts activity at a given label too. Cells with a value that is not
/// finite stay as they are.
///
/// # Errors
/// [`Error::Shape`] if the numbers of trials differ, [`Error::NotFinite`] for
/// the behaviour, [`Error::Nothing`] without variables, [`Error::Undefined`]
/// if a label has fewer trials than folds.
pub fn without_behaviour(
    activity: ArrayView2<'_, f32>,
    behaviour: ArrayView2<'_, f64>,
    labels: &[i64],
    folds: usize,
    seed: u64,
) -> Result<WithoutBehaviour, Error> {
    let (cells, trials) = activity.dim();
    if behaviour.nrows() != trials || labels.len() != trials {
        return Err(Error::Shape(format!(
            "{trials} trials of activity, {} of behaviour, {} labels",
            behaviour.nrows(),
            labels.len()
        )));
    }
    if behaviour.ncols() == 0 {
        return Err(Error::Nothing("variables of behaviour"));
    }
    if behaviour.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite("the behaviour"));
    }
    let finite: Vec<usize> = (0..cells)
        .filter(|&k| activity.row(k).iter().all(|v| v.is_finite()))
        .collect();
    let step = finite.len().div_ceil(CELLS).max(1);
    let some: Vec<usize> = finite.iter().copied().step_by(step).collect();
    let folds = parts(labels, folds, seed, &block(activity, &some), behaviour)?;
    let blocks: Vec<&[usize]> = finite.chunks(BLOCK).collect();
    let cleaned: Vec<Cleaned> = blocks
        .par_iter()
        .map(|cells| clean(&block(activity, cells), behaviour, labels, &folds))
        .collect();
    let mut out = WithoutBehaviour {
        activity: activity.to_owned(),
        explained: vec![f64::NAN; cells],
    };
    for (cells, cleaned) in blocks.iter().zip(cleaned) {
        for (k, &cell) in cells.iter().enumerate() {
            let column = cleaned.activity.column(k);
            out.activity
                .row_mut(cell)
                .zip_mut_with(&column, |target, &value| *target = value as f32);
            if cleaned.all[k] > 0.0 {
                out.explained[cell] = 1.0 - cleaned.left[k] / cleaned.all[k];
            }
        }
    }
    Ok(out)
}

/// The activity of `cells` as `(trial, cell)`.
fn block(activity: ArrayView2<'_, f32>, cells: &[usize]) -> Array2<f64> {
    Array2::from_shape_fn((activity.ncols(), cells.len()), |(trial, k)| {
        f64::from(activity[[cells[k], trial]])
    })
}

/// Training and test trials, and the penalty that suits the training trials.
struct Part {
    train: Vec<usize>,
    test: Vec<usize>,
    penalty: f64,
}

fn parts(
    labels: &[i64],
    folds: usize,
    seed: u64,
    some: &Array2<f64>,
    behaviour: ArrayView2<'_, f64>,
) -> Result<Vec<Part>, Error> {
    let cut = |labels: &[i64], seed: u64| {
        let cut = CrossValidation {
            folds,
            repeats: 1,
            seed,
        };
        cut.splits(labels)
            .map_err(|why| Error::Undefined(why.to_string()))
    };
    Ok(cut(labels, seed)?
        .into_iter()
        .map(|split| {
            let within: Vec<i64> = split.train.iter().map(|&t| labels[t]).collect();
            let back = |picked: &[usize]| picked.iter().map(|&k| split.train[k]).collect();
            // A label too rare to be cut again leaves the mildest penalty.
            let inner: Vec<(Vec<usize>, Vec<usize>)> = cut(&within, seed.wrapping_add(1))
                .unwrap_or_default()
                .iter()
                .map(|part| (back(&part.train), back(&part.test)))
                .collect();
            Part {
                penalty: choose(some.view(), behaviour, labels, &inner),
                train: split.train,
                test: split.test,
            }
        })
        .collect())
}

/// A block of cells without behaviour `(trial, cell)`, and the squares left
/// and in all within labels.
struct Cleaned {
    activity: Array2<f64>,
    left: Vec<f64>,
    all: Vec<f64>,
}

fn clean(
    activity: &Array2<f64>,
    behaviour: ArrayView2<'_, f64>,
    labels: &[i64],
    folds: &[Part],
) -> Cleaned {
    let cells = activity.ncols();
    let middle = behaviour.mean_axis(Axis(0)).unwrap_or_default();
    let mut out = Cleaned {
        activity: activity.clone(),
        left: vec![0.0; cells],
        all: vec![0.0; cells],
    };
    for part in folds {
        for fit in Ridge::fit(
            activity.view(),
            behaviour,
            labels,
            &part.train,
            &[part.penalty],
        ) {
            for &trial in &part.test {
                let Some((x, y)) = fit.means_of(labels[trial]) else {
                    continue;
                };
                let here = behaviour.row(trial);
                let predicted = (&here - x).dot(&fit.weights);
                let shift = (&here - &middle).dot(&fit.weights);
                for cell in 0..cells {
                    let residual = activity[[trial, cell]] - y[cell];
                    out.all[cell] += residual * residual;
                    out.left[cell] += (residual - predicted[cell]).powi(2);
                    out.activity[[trial, cell]] -= shift[cell];
                }
            }
        }
    }
    out
}

/// The penalty with the least squared error on the inner test parts.
fn choose(
    activity: ArrayView2<'_, f64>,
    behaviour: ArrayView2<'_, f64>,
    labels: &[i64],
    inner: &[(Vec<usize>, Vec<usize>)],
) -> f64 {
    let mut errors = [0.0; PENALTIES.len()];
    for (train, test) in inner {
        let fits = Ridge::fit(activity, behaviour, labels, train, &PENALTIES);
        for (error, fit) in errors.iter_mut().zip(&fits) {
            for &trial in test {
                if let Some((x, y)) = fit.means_of(labels[trial]) {
                    let left =
                        &activity.row(trial) - y - (&behaviour.row(trial) - x).dot(&fit.weights);
                    *error += left.dot(&left);
                }
            }
        }
    }
    let mut best = 0;
    for k in 1..PENALTIES.len() {
        if errors[k] < errors[best] {
            best = k;
        }
    }
    PENALTIES[best]
}

/// A ridge regression within labels.
struct Ridge {
    /// Each label with its means of behaviour and of activity.
    means: Vec<(i64, Array1<f64>, Array1<f64>)>,
    /// `(variable, cell)`.
    weights: Array2<f64>,
}

impl Ridge {
    /// Fits the trials `train`, once per penalty. Variables count in units of
    /// their standard deviation.
    fn fit(
        activity: ArrayView2<'_, f64>,
        behaviour: ArrayView2<'_, f64>,
        labels: &[i64],
        train: &[usize],
        penalties: &[f64],
    ) -> Vec<Self> {
        let mut classes: Vec<i64> = train.iter().map(|&t| labels[t]).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut x = behaviour.select(Axis(0), train);
        let mut y = activity.select(Axis(0), train);
        let mut means = Vec::new();
        for class in classes {
            let rows: Vec<usize> = (0..train.len())
                .filter(|&k| labels[train[k]] == class)
                .collect();
            let middle = |values: &Array2<f64>| {
                values
                    .select(Axis(0), &rows)
                    .mean_axis(Axis(0))
                    .unwrap_or_default()
            };
            let (mx, my) = (middle(&x), middle(&y));
            for &row in &rows {
                x.row_mut(row).zip_mut_with(&mx, |v, m| *v -= m);
                y.row_mut(row).zip_mut_with(&my, |v, m| *v -= m);
            }
            means.push((class, mx, my));
        }
        let scale: Array1<f64> = x.map_axis(Axis(0), |column| {
            (column.dot(&column) / train.len() as f64).sqrt()
        });
        for (mut column, &s) in x.columns_mut().into_iter().zip(&scale) {
            // A variable that does not vary within labels predicts nothing.
            let unit = if s > 1e-12 { 1.0 / s } else { 0.0 };
            column.mapv_inplace(|v| v * unit);
        }
        let (inner, cross) = (x.t().dot(&x), x.t().dot(&y));
        penalties
            .iter()
            .map(|penalty| {
                let mut matrix = inner.clone();
                for k in 0..matrix.nrows() {
                    matrix[[k, k]] += penalty * train.len() as f64;
                }
                let mut weights = solve(matrix, cross.clone());
                for (mut row, &s) in weights.rows_mut().into_iter().zip(&scale) {
                    let unit = if s > 1e-12 { 1.0 / s } else { 0.0 };
                    row.mapv_inplace(|v| v * unit);
                }
                Self {
                    means: means.clone(),
                    weights,
                }
            })
            .collect()
    }

    fn means_of(&self, label: i64) -> Option<(&Array1<f64>, &Array1<f64>)> {
        let found = self.means.iter().find(|(class, ..)| *class == label)?;
        Some((&found.1, &found.2))
    }
}

/// Solves `matrix · w = right` for a symmetric positive definite matrix by
/// Cholesky factors, a few variables of behaviour at a time.
fn solve(mut matrix: Array2<f64>, mut right: Array2<f64>) -> Array2<f64> {
    let n = matrix.nrows();
    for j in 0..n {
        for k in 0..j {
            let factor = matrix[[j, k]];
            for i in j..n {
                let product = matrix[[i, k]] * factor;
                matrix[[i, j]] -= product;
            }
        }
        let root = matrix[[j, j]].sqrt();
        for i in j..n {
            matrix[[i, j]] /= root;
        }
    }
    let reduce = |right: &mut Array2<f64>, row: usize, other: usize, factor: f64| {
        let taken = right.row(other).mapv(|v| factor * v);
        right.row_mut(row).zip_mut_with(&taken, |v, t| *v -= t);
    };
    for i in 0..n {
        for k in 0..i {
            reduce(&mut right, i, k, matrix[[i, k]]);
        }
        right.row_mut(i).mapv_inplace(|v| v / matrix[[i, i]]);
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            reduce(&mut right, i, k, matrix[[k, i]]);
        }
        right.row_mut(i).mapv_inplace(|v| v / matrix[[i, i]]);
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_equations_by_hand() {
        // 4a + 2b = 10, 2a + 3b = 9: a = 1.5, b = 2.
        let found = solve(
            ndarray::arr2(&[[4.0, 2.0], [2.0, 3.0]]),
            ndarray::arr2(&[[10.0], [9.0]]),
        );
        assert!((found[[0, 0]] - 1.5).abs() < 1e-12 && (found[[1, 0]] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_linear_effect_is_taken_away_and_the_code_stays() {
        let labels: Vec<i64> = (0..40).map(|t| t % 2).collect();
        // Running goes with the label, and activity with running and the label.
        let speed =
            Array2::from_shape_fn((40, 1), |(t, _)| ((t * 7) % 11) as f64 + labels[t] as f64);
        let activity = Array2::from_shape_fn((3, 40), |(cell, t)| {
            let code = if cell == 1 { 5 * labels[t] } else { 0 };
            (cell as f64 * speed[[t, 0]] + code as f64) as f32
        });
        let found = without_behaviour(activity.view(), speed.view(), &labels, 5, 1).unwrap();
        let gap = |cell: usize| {
            let mean = |label| {
                let rows: Vec<usize> = (0..40).filter(|&t| labels[t] == label).collect();
                let sum: f32 = rows.iter().map(|&t| found.activity[[cell, t]]).sum();
                f64::from(sum) / rows.len() as f64
            };
            mean(1) - mean(0)
        };
        assert!(gap(0).abs() < 1e-6 && (gap(1) - 5.0).abs() < 0.01 && gap(2).abs() < 0.01);
        assert!(found.explained[1] > 0.999 && found.explained[0].is_nan());
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let x = Array2::<f32>::zeros((3, 6));
        let (none, flat) = (Array2::zeros((6, 0)), Array2::zeros((6, 2)));
        let labels = [0, 1, 0, 1, 0, 1];
        assert!(without_behaviour(x.view(), none.view(), &labels, 2, 1).is_err());
        assert!(without_behaviour(x.view(), flat.view(), &labels[..5], 2, 1).is_err());
        assert!(without_behaviour(x.view(), flat.view(), &labels, 4, 1).is_err());
        assert!(without_behaviour(x.view(), flat.view(), &labels, 1, 1).is_err());
        let nan = Array2::from_elem((6, 1), f64::NAN);
        assert!(without_behaviour(x.view(), nan.view(), &labels, 2, 1).is_err());
        // Behaviour that never varies changes nothing; nor are there cells to change.
        let found = without_behaviour(x.view(), flat.view(), &labels, 2, 1).unwrap();
        assert_eq!(found.activity, x);
        let empty = Array2::<f32>::zeros((0, 6));
        assert!(without_behaviour(empty.view(), flat.view(), &labels, 2, 1).is_ok());
    }
}
