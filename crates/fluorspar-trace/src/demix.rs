use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::nnls::Group;
use crate::shape::same_shape;
use crate::{Error, Overlaps};

/// Frames solved together: a group's right-hand sides stay in the cache.
const TOGETHER: usize = 128;

/// Batches whose results wait to be put in place.
const BATCHES: usize = 16;

/// A ROI below zero in more than this share of frames is not held above it.
const MOST_BELOW: f64 = 0.1;

/// Fluorescence of each ROI without its neighbours' and without neuropil.
#[derive(Clone, Debug, PartialEq)]
pub struct Demixed {
    /// Fluorescence, axes `(roi, frame)`, in the movie's units, on the scale
    /// of a weighted mean over the footprint.
    pub f: Array2<f32>,
    /// How many times noisier overlaps make each trace than it would be
    /// alone, axis `(roi)`, 1 or more; NaN for ROIs without a valid pixel. Two
    /// ROIs with the same pixels reach 700.
    pub inflation: Vec<f64>,
    /// Which ROIs were allowed below zero, axis `(roi)`.
    pub free: Vec<bool>,
    /// Share of each ROI's mean fluorescence that its neighbours bring in,
    /// axis `(roi)`; NaN where the mean is not positive.
    pub from_neighbours: Vec<f64>,
    /// Frames and groups for which the search for the optimum was given up
    /// and negative values cut off; 0 but for overflowing numbers.
    pub unsettled: usize,
}

/// Takes overlapping footprints apart by non-negative least squares.
///
/// In every frame the movie is taken to be `y(p) = Σ_i a_i(p)·c_i + b(p)` plus
/// noise, with footprints `a_i` and a background `b` that is `r_i·n_i` all over
/// footprint `i`: the neuropil `n_i` of its ring times its coefficient `r_i`.
/// From projections `P_i = Σ_p a_i(p)·y(p)` (of the
/// movie, [`Traces::projections`](crate::Traces), or of a low-rank one) it
/// follows that `Σ_j G_ij c_j = P_i − r_i·n_i·Σ_p a_i(p)` with `G = AᵀA`, which
/// is solved exactly for all ROIs that hang together by overlaps. The result
/// is `f_i = c_i · Σa_i² / Σa_i`: of a ROI that overlaps no other it is
/// `P_i / Σa_i − r_i·n_i`, to the letter its classical trace less neuropil.
///
/// `f` is held at zero or above. That bounds the whole fluorescence, baseline
/// included, so a cell is at the bound only where it is dark and not whenever
/// noise takes it below its rest. A ROI that would be below zero in more than
/// a tenth of the frames even without the bound (darker than what surrounds
/// it, or the movie's offset was taken away) has no such baseline; its
/// transients would be lost, so it is left free and marked.
///
/// A sample that is NaN stays NaN, and the other ROIs are solved without it.
/// Axes of both arrays: `(roi, frame)`; of `coefficients`: `(roi)`.
///
/// # Errors
/// [`Error::Shape`] if the inputs do not belong together.
pub fn demix(
    projections: ArrayView2<'_, f32>,
    neuropil: ArrayView2<'_, f32>,
    coefficients: &[f64],
    overlaps: &Overlaps,
) -> Result<Demixed, Error> {
    same_shape(
        "the neuropil array",
        &neuropil,
        "the projections",
        &projections,
    )?;
    let (rois, frames) = projections.dim();
    for (what, length) in [
        ("the list of neuropil coefficients", coefficients.len()),
        ("the overlap matrix", overlaps.len()),
    ] {
        if length != rois {
            return Err(Error::Shape {
                what,
                found: format!("for {length} ROIs"),
                against: "the projections",
                expected: format!("for {rois}"),
            });
        }
    }
    let known = |roi: &usize| overlaps.diagonal()[*roi] > 0.0;
    let groups: Vec<Group> = overlaps
        .groups()
        .into_par_iter()
        .filter(|group| group.iter().all(known))
        .map(|group| Group::new(&group, overlaps.diagonal(), |roi| overlaps.neighbours(roi)))
        .collect();
    let mut demixed = Demixed {
        f: Array2::from_elem((rois, frames), f32::NAN),
        inflation: vec![f64::NAN; rois],
        free: vec![false; rois],
        from_neighbours: vec![f64::NAN; rois],
        unsettled: 0,
    };
    let inflations: Vec<Vec<f64>> = groups.par_iter().map(Group::inflation).collect();
    for (group, inflations) in groups.iter().zip(inflations) {
        for (&roi, inflation) in group.rois.iter().zip(inflations) {
            demixed.inflation[roi] = inflation.max(1.0);
        }
    }

    // Right-hand sides of a group, scaled to its unit diagonal.
    let right = |group: &Group, start: usize, length: usize| -> Vec<f64> {
        let mut values = Vec::with_capacity(group.rois.len() * length);
        for &roi in &group.rois {
            let scale = 1.0 / overlaps.diagonal()[roi].sqrt();
            let subtracted = coefficients[roi] * overlaps.sums()[roi];
            values.extend((start..start + length).map(|t| {
                let value =
                    f64::from(projections[[roi, t]]) - subtracted * f64::from(neuropil[[roi, t]]);
                // An infinity would spread through its group.
                if value.is_finite() {
                    scale * value
                } else {
                    f64::NAN
                }
            }));
        }
        values
    };
    // From the unit diagonal to the movie's units.
    let unit = |roi: usize| overlaps.diagonal()[roi].sqrt() / overlaps.sums()[roi];
    let put = |f: &mut Array2<f32>, group: &Group, start: usize, length: usize, from: &[f64]| {
        for (&roi, values) in group.rois.iter().zip(from.chunks_exact(length)) {
            for (t, &value) in (start..).zip(values) {
                f[[roi, t]] = (unit(roi) * value) as f32;
            }
        }
    };

    let tasks: Vec<(usize, usize, usize)> = (0..frames)
        .step_by(TOGETHER)
        .flat_map(|start| {
            let length = TOGETHER.min(frames - start);
            (0..groups.len()).map(move |group| (group, start, length))
        })
        .collect();
    let at_once = BATCHES * groups.len().max(1);
    let (mut below, mut seen) = (vec![0_usize; rois], vec![0_usize; rois]);
    let mut with_negatives = Vec::new();
    for tasks in tasks.chunks(at_once) {
        let solved: Vec<Vec<f64>> = tasks
            .par_iter()
            .map(|&(group, start, length)| {
                let mut values = right(&groups[group], start, length);
                groups[group].unbounded(&mut values, length);
                values
            })
            .collect();
        for (&(group, start, length), values) in tasks.iter().zip(&solved) {
            let mut negative = false;
            for (&roi, values) in groups[group].rois.iter().zip(values.chunks_exact(length)) {
                let count = values.iter().filter(|v| **v < 0.0).count();
                below[roi] += count;
                seen[roi] += values.iter().filter(|v| v.is_finite()).count();
                negative |= count > 0;
            }
            put(&mut demixed.f, &groups[group], start, length, values);
            if negative {
                with_negatives.push((group, start, length));
            }
        }
    }
    for (roi, free) in demixed.free.iter_mut().enumerate() {
        *free = below[roi] as f64 > MOST_BELOW * seen[roi] as f64;
    }

    for tasks in with_negatives.chunks(at_once) {
        let solved: Vec<(Vec<f64>, usize)> = tasks
            .par_iter()
            .map(|&(group, start, length)| {
                let group = &groups[group];
                let free: Vec<bool> = group.rois.iter().map(|&roi| demixed.free[roi]).collect();
                let right = right(group, start, length);
                let mut values = Vec::with_capacity(right.len());
                for &roi in &group.rois {
                    values.extend(
                        (start..start + length).map(|t| f64::from(demixed.f[[roi, t]]) / unit(roi)),
                    );
                }
                let wrong: Vec<usize> = (0..length)
                    .filter(|t| {
                        let frame = values.iter().skip(*t).step_by(length);
                        frame.zip(&free).any(|(&value, free)| !free && value < 0.0)
                    })
                    .collect();
                let open = group.bounded(&right, &mut values, length, &wrong, &free);
                (values, open)
            })
            .collect();
        for (&(group, start, length), (values, open)) in tasks.iter().zip(&solved) {
            put(&mut demixed.f, &groups[group], start, length, values);
            demixed.unsettled += open;
        }
    }

    let means: Vec<f64> = (0..rois)
        .into_par_iter()
        .map(|roi| mean(demixed.f.row(roi)))
        .collect();
    for roi in (0..rois).filter(known) {
        let whole = mean(projections.row(roi));
        let others: f64 = overlaps
            .neighbours(roi)
            .iter()
            .filter(|(other, _)| means[*other].is_finite())
            .map(|&(other, entry)| {
                // A neighbour's c, from its f.
                entry * means[other] * overlaps.sums()[other] / overlaps.diagonal()[other]
            })
            .sum();
        if whole > 0.0 {
            demixed.from_neighbours[roi] = others / whole;
        }
    }
    Ok(demixed)
}

/// Mean of the finite samples.
fn mean(row: ndarray::ArrayView1<'_, f32>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for &value in row.iter().filter(|v| v.is_finite()) {
        sum += f64::from(value);
        count += 1.0;
    }
    sum / count
}
