use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::Error;
use crate::statistics::pearson;

/// When each cell fires most, and whether that can be relied on.
#[derive(Clone, Debug, PartialEq)]
pub struct Peaks {
    /// Time bin of the greatest mean over all trials; `None` if the cell does
    /// not vary or falls short of the requirement.
    pub bin: Vec<Option<usize>>,
    /// Correlation over time between the mean of odd and of even trials.
    pub reliability: Vec<f64>,
    /// Share of the circular shifts of one half against the other that
    /// correlate at least as well; at least `1 / bins`.
    pub p: Vec<f64>,
}

/// Mean activity `(cell, time)` over some trials of `activity` `(trial, cell, time)`.
///
/// # Errors
/// [`Error::Nothing`] without trials, [`Error::Shape`] for a trial that does not exist.
pub fn mean_over_trials(
    activity: ArrayView3<'_, f32>,
    trials: &[usize],
) -> Result<Array2<f64>, Error> {
    let (all, cells, bins) = activity.dim();
    if trials.is_empty() {
        return Err(Error::Nothing("trials"));
    }
    if let Some(trial) = trials.iter().find(|&&t| t >= all) {
        return Err(Error::Shape(format!("trial {trial} of {all}")));
    }
    let mut sum = Array2::<f64>::zeros((cells, bins));
    for &trial in trials {
        for (sum, &v) in sum.iter_mut().zip(activity.index_axis(Axis(0), trial)) {
            *sum += f64::from(v);
        }
    }
    Ok(sum / trials.len() as f64)
}

/// Means `(cell, time)` over every other trial of the list: the first, third, …
/// and the second, fourth, …
///
/// Slow change within the session falls on both halves alike. Order the list
/// by label if both halves must hold as many of each.
///
/// # Errors
/// As [`mean_over_trials`]; [`Error::Nothing`] below two trials.
pub fn half_means(
    activity: ArrayView3<'_, f32>,
    trials: &[usize],
) -> Result<[Array2<f64>; 2], Error> {
    let half =
        |from: usize| -> Vec<usize> { trials.iter().copied().skip(from).step_by(2).collect() };
    Ok([
        mean_over_trials(activity, &half(0))?,
        mean_over_trials(activity, &half(1))?,
    ])
}

/// The bin of each cell's greatest mean, the first of equals; `None` if the
/// cell does not vary or a value is not finite. `means` is `(cell, time)`.
pub fn peak_bins(means: ArrayView2<'_, f64>) -> Vec<Option<usize>> {
    means
        .rows()
        .into_iter()
        .map(|row| {
            let mut best: Option<(usize, f64)> = None;
            let mut varies = false;
            for (bin, &value) in row.iter().enumerate() {
                if !value.is_finite() {
                    return None;
                }
                varies |= value != row[0];
                if best.is_none_or(|(_, most)| value > most) {
                    best = Some((bin, value));
                }
            }
            best.filter(|_| varies).map(|(bin, _)| bin)
        })
        .collect()
}

/// Correlation over time of each cell in two sets of trials, both
/// `(cell, time)`; NaN for a cell that does not vary.
///
/// # Errors
/// [`Error::Shape`] if the arrays differ in shape.
pub fn time_reliability(
    first: ArrayView2<'_, f64>,
    second: ArrayView2<'_, f64>,
) -> Result<Vec<f64>, Error> {
    if first.dim() != second.dim() {
        return Err(Error::Shape(format!(
            "halves of {:?} and {:?} values",
            first.dim(),
            second.dim()
        )));
    }
    Ok((0..first.nrows())
        .into_par_iter()
        .map(|cell| {
            let row = |half: &ArrayView2<'_, f64>| half.index_axis(Axis(0), cell).to_vec();
            pearson(&row(&first), &row(&second))
        })
        .collect())
}

/// Peaks of the mean over the listed trials of `activity` `(trial, cell, time)`.
///
/// The argmax of noise is a time as well: a peak is given only if the two
/// halves of the trials correlate by `least_reliability` or more and the p of
/// that correlation under circular shifts is at most `greatest_p` (1 switches
/// this off; the least p there is is `1 / bins`).
///
/// # Errors
/// As [`half_means`].
pub fn peaks(
    activity: ArrayView3<'_, f32>,
    trials: &[usize],
    least_reliability: f64,
    greatest_p: f64,
) -> Result<Peaks, Error> {
    let [odd, even] = half_means(activity, trials)?;
    let means = mean_over_trials(activity, trials)?;
    let reliability = time_reliability(odd.view(), even.view())?;
    let p: Vec<f64> = (0..means.nrows())
        .into_par_iter()
        .map(|cell| shift_p(&odd.row(cell).to_vec(), &even.row(cell).to_vec()))
        .collect();
    let bin = peak_bins(means.view())
        .into_iter()
        .zip(reliability.iter().zip(&p))
        .map(|(bin, (&r, &p))| bin.filter(|_| r >= least_reliability && p <= greatest_p))
        .collect();
    Ok(Peaks {
        bin,
        reliability,
        p,
    })
}

/// Share of circular shifts of `b` that go along with `a` at least as well as
/// no shift; NaN if either does not vary.
fn shift_p(a: &[f64], b: &[f64]) -> f64 {
    if pearson(a, b).is_nan() {
        return f64::NAN;
    }
    let product = |shift: usize| -> f64 {
        let (head, tail) = b.split_at(shift);
        a.iter()
            .zip(tail.iter().chain(head))
            .map(|(a, b)| a * b)
            .sum()
    };
    let observed = product(0);
    let slack = 1e-12 * a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum::<f64>();
    let reached = (0..b.len())
        .filter(|&s| product(s) >= observed - slack)
        .count();
    reached as f64 / b.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, arr2};

    #[test]
    fn a_peak_is_where_the_mean_is_greatest() {
        let means = arr2(&[[0.0, 2.0, 2.0], [1.0, 1.0, 1.0], [f64::NAN, 1.0, 0.0]]);
        assert_eq!(peak_bins(means.view()), [Some(1), None, None]);
        assert!(peak_bins(Array2::zeros((1, 0)).view()) == [None]);
    }

    #[test]
    fn a_reliable_cell_passes_and_a_random_one_does_not() {
        let activity = Array3::from_shape_fn((8, 2, 10), |(trial, cell, bin)| {
            if cell == 0 {
                f32::from(u8::from(bin == 4)) + ((trial * 7 + bin * 3) % 5) as f32 * 0.02
            } else {
                // Odd trials fire early, even ones late.
                f32::from(u8::from(bin == if trial % 2 == 0 { 1 } else { 8 }))
            }
        });
        let trials: Vec<usize> = (0..8).collect();
        let found = peaks(activity.view(), &trials, 0.5, 0.1).unwrap();
        assert_eq!(found.bin, [Some(4), None]);
        assert!((found.p[0] - 0.1).abs() < 1e-12);
        assert!(peaks(activity.view(), &[0], 0.5, 1.0).is_err());
        assert!(peaks(activity.view(), &[0, 9], 0.5, 1.0).is_err());
    }
}
