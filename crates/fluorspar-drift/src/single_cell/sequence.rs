use ndarray::ArrayView2;

use super::peaks::peak_bins;
use super::{kendall_tau_b, spearman};
use crate::Error;

/// Cells in the order of their peaks in one set of trials, and their peaks in another.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Cells, earliest peak first.
    pub order: Vec<usize>,
    /// Their peak bins in the trials sorted on, ascending.
    pub sorted: Vec<usize>,
    /// Their peak bins in the trials shown.
    pub shown: Vec<usize>,
    /// Spearman correlation of the two; NaN below two cells.
    pub spearman: f64,
    /// Kendall's τ-b of the two; NaN below two cells.
    pub kendall: f64,
}

/// Sorts cells by their peak in `sorted_on` and judges the order in `shown`,
/// both mean activity `(cell, time)` of the same cells.
///
/// The two must come from different trials (odd and even of one session, or
/// two sessions): a map sorted on the trials that it shows is a diagonal even
/// in noise. Cells that are not in `keep`, or do not vary in either, are left
/// out; cells with the same peak stay in the order of the input.
///
/// # Errors
/// [`Error::Shape`] if the arrays differ in shape or `keep` in length.
pub fn sequence(
    sorted_on: ArrayView2<'_, f64>,
    shown: ArrayView2<'_, f64>,
    keep: Option<&[bool]>,
) -> Result<Sequence, Error> {
    if sorted_on.dim() != shown.dim() {
        return Err(Error::Shape(format!(
            "sorted on {:?} values, shown on {:?}",
            sorted_on.dim(),
            shown.dim()
        )));
    }
    if keep.is_some_and(|k| k.len() != shown.nrows()) {
        return Err(Error::Shape("keep must hold one entry per cell".into()));
    }
    let mut peaks: Vec<(usize, usize, usize)> = peak_bins(sorted_on)
        .into_iter()
        .zip(peak_bins(shown))
        .enumerate()
        .filter(|&(cell, _)| keep.is_none_or(|k| k[cell]))
        .filter_map(|(cell, (a, b))| Some((a?, cell, b?)))
        .collect();
    peaks.sort_unstable();
    let sorted: Vec<usize> = peaks.iter().map(|p| p.0).collect();
    let shown: Vec<usize> = peaks.iter().map(|p| p.2).collect();
    let number = |bins: &[usize]| -> Vec<f64> { bins.iter().map(|&b| b as f64).collect() };
    let (x, y) = (number(&sorted), number(&shown));
    Ok(Sequence {
        order: peaks.iter().map(|p| p.1).collect(),
        sorted,
        shown,
        spearman: spearman(&x, &y)?,
        kendall: kendall_tau_b(&x, &y)?,
    })
}

/// How many bins the peak of each cell moved; NaN where either has none. With
/// `circular`, the last bin is next to the first.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ or a peak is not below `bins`.
pub fn peak_shift(
    a: &[Option<usize>],
    b: &[Option<usize>],
    bins: usize,
    circular: bool,
) -> Result<Vec<f64>, Error> {
    if a.len() != b.len() {
        return Err(Error::Shape(format!(
            "peaks of {} cells and of {}",
            a.len(),
            b.len()
        )));
    }
    if a.iter().chain(b).flatten().any(|&peak| peak >= bins) {
        return Err(Error::Shape(format!("a peak is not one of {bins} bins")));
    }
    Ok(a.iter()
        .zip(b)
        .map(|pair| match pair {
            (Some(a), Some(b)) => {
                let shift = a.abs_diff(*b);
                (if circular {
                    shift.min(bins - shift)
                } else {
                    shift
                }) as f64
            }
            _ => f64::NAN,
        })
        .collect())
}

/// Mean shift of peaks that are independent and equally likely in every bin:
/// `(T² − 1) / 3T`; with `circular`, `T / 4` for even `T` and `(T² − 1) / 4T` for odd.
pub fn peak_shift_chance(bins: usize, circular: bool) -> f64 {
    let t = bins as f64;
    match (circular, bins % 2) {
        (false, _) => (t * t - 1.0) / (3.0 * t),
        (true, 0) => t / 4.0,
        (true, _) => (t * t - 1.0) / (4.0 * t),
    }
}

/// Mean activity within `half_width` bins of each cell's peak, divided by the
/// mean elsewhere, both pooled over cells. About 1 if the peaks mean nothing.
///
/// `shown` is `(cell, time)` and must come from other trials than `peaks`. A
/// baseline that is not 0 pulls the ratio towards 1; NaN if the background is
/// not above 0 or there is none.
///
/// # Errors
/// [`Error::Shape`] if the numbers of cells differ.
pub fn ridge_to_background(
    shown: ArrayView2<'_, f64>,
    peaks: &[Option<usize>],
    half_width: usize,
) -> Result<f64, Error> {
    if shown.nrows() != peaks.len() {
        return Err(Error::Shape(format!(
            "{} cells, {} peaks",
            shown.nrows(),
            peaks.len()
        )));
    }
    let [mut ridge, mut elsewhere] = [(0.0, 0.0); 2];
    for (row, peak) in shown.rows().into_iter().zip(peaks) {
        let Some(peak) = peak else { continue };
        for (bin, value) in row.iter().enumerate() {
            let part = if bin.abs_diff(*peak) <= half_width {
                &mut ridge
            } else {
                &mut elsewhere
            };
            part.0 += value;
            part.1 += 1.0;
        }
    }
    let background = elsewhere.0 / elsewhere.1;
    if background > 0.0 && ridge.1 > 0.0 {
        Ok(ridge.0 / ridge.1 / background)
    } else {
        Ok(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, stream};
    use ndarray::Array2;
    use rand::RngExt;

    #[test]
    fn chance_shift_is_the_mean_over_all_pairs() {
        assert!((peak_shift_chance(20, false) - 6.65).abs() < 1e-12);
        for bins in [1_usize, 2, 7, 20] {
            for circular in [false, true] {
                let all: Vec<(usize, usize)> =
                    (0..bins * bins).map(|k| (k / bins, k % bins)).collect();
                let side = |f: fn(&(usize, usize)) -> usize| -> Vec<Option<usize>> {
                    all.iter().map(|p| Some(f(p))).collect()
                };
                let shifts = peak_shift(&side(|p| p.0), &side(|p| p.1), bins, circular).unwrap();
                let mean = shifts.iter().sum::<f64>() / shifts.len() as f64;
                assert!((mean - peak_shift_chance(bins, circular)).abs() < 1e-12);
            }
        }
        assert!(peak_shift(&[Some(3)], &[None], 3, false).is_err());
        assert!(peak_shift(&[None], &[Some(2)], 3, false).unwrap()[0].is_nan());
    }

    #[test]
    fn noise_has_no_sequence_in_held_out_trials() {
        let mut rng = stream(1, Domain::Planted, 0);
        let mut noise = || Array2::from_shape_fn((2000, 20), |_| rng.random::<f64>());
        let (odd, even) = (noise(), noise());
        let same = sequence(odd.view(), odd.view(), None).unwrap();
        assert!((same.spearman - 1.0).abs() < 1e-12 && (same.kendall - 1.0).abs() < 1e-12);
        let held_out = sequence(odd.view(), even.view(), None).unwrap();
        // Four standard errors.
        assert!(held_out.spearman.abs() < 4.0 / 2000_f64.sqrt());
        assert!(held_out.kendall.abs() < 4.0 / 2000_f64.sqrt());
        let peaks = peak_bins(odd.view());
        assert!(ridge_to_background(odd.view(), &peaks, 0).unwrap() > 1.5);
        assert!((ridge_to_background(even.view(), &peaks, 1).unwrap() - 1.0).abs() < 0.05);
    }

    #[test]
    fn odd_shapes_are_answered() {
        let none = Array2::<f64>::zeros((0, 5));
        let found = sequence(none.view(), none.view(), None).unwrap();
        assert!(found.order.is_empty() && found.spearman.is_nan());
        assert!(ridge_to_background(none.view(), &[], 1).unwrap().is_nan());
        let two = Array2::<f64>::zeros((2, 5));
        assert!(sequence(none.view(), two.view(), None).is_err());
        assert!(sequence(two.view(), two.view(), Some(&[true])).is_err());
    }
}
