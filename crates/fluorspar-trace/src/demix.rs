use ndarray::{Array2, ArrayView2, ArrayViewMut2};
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
    let mut demixer = Demixer::new(overlaps, coefficients)?;
    demixer.look(projections, neuropil)?;
    let mut f = projections.to_owned();
    demixer.take_apart(f.view_mut(), neuropil)?;
    let apart = demixer.finish();
    Ok(Demixed {
        f,
        inflation: apart.inflation,
        free: apart.free,
        from_neighbours: apart.from_neighbours,
        unsettled: apart.unsettled,
    })
}

/// What is known of each ROI once all are taken apart, axis `(roi)`
/// throughout: [`Demixed`] without its traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Apart {
    /// As [`Demixed::inflation`].
    pub inflation: Vec<f64>,
    /// As [`Demixed::free`].
    pub free: Vec<bool>,
    /// As [`Demixed::from_neighbours`].
    pub from_neighbours: Vec<f64>,
    /// As [`Demixed::unsettled`].
    pub unsettled: usize,
}

impl Apart {
    /// Of ROIs that were not taken apart, because shared pixels were left out.
    pub fn left_out(rois: usize) -> Self {
        Self {
            inflation: vec![1.0; rois],
            free: vec![false; rois],
            from_neighbours: vec![0.0; rois],
            unsettled: 0,
        }
    }

    /// Those of some of the ROIs.
    ///
    /// # Panics
    /// If the range leaves them, like slicing.
    #[must_use]
    pub fn slice(&self, rois: std::ops::Range<usize>) -> Self {
        Self {
            inflation: self.inflation[rois.clone()].to_vec(),
            free: self.free[rois.clone()].to_vec(),
            from_neighbours: self.from_neighbours[rois].to_vec(),
            unsettled: self.unsettled,
        }
    }
}

/// [`demix`] for traces that do not fit into memory: all ROIs, some frames at
/// a time.
///
/// Which ROIs may go below zero is told from all frames, so they are gone
/// through twice: first [`Demixer::look`] for each block of frames, then
/// [`Demixer::take_apart`] for each, in the same order.
/// Blocks whose length is a multiple of 128 give the bytes that [`demix`] gives.
#[derive(Debug)]
pub struct Demixer<'a> {
    overlaps: &'a Overlaps,
    coefficients: &'a [f64],
    groups: Vec<Group>,
    inflation: Vec<f64>,
    /// Per ROI: frames below zero without bounds, and frames seen.
    below: Vec<usize>,
    seen: Vec<usize>,
    /// Per ROI: running sum and count of what projections hold, and of what
    /// was taken apart.
    whole: Vec<(f64, f64)>,
    own: Vec<(f64, f64)>,
    unsettled: usize,
}

impl<'a> Demixer<'a> {
    /// Prepares the groups of ROIs that hang together.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are not as many coefficients as ROIs.
    pub fn new(overlaps: &'a Overlaps, coefficients: &'a [f64]) -> Result<Self, Error> {
        let rois = overlaps.len();
        if coefficients.len() != rois {
            return Err(Error::Shape {
                what: "the list of neuropil coefficients",
                found: format!("for {} ROIs", coefficients.len()),
                against: "the overlap matrix",
                expected: format!("for {rois}"),
            });
        }
        let known = |roi: &usize| overlaps.diagonal()[*roi] > 0.0;
        let groups: Vec<Group> = overlaps
            .groups()
            .into_par_iter()
            .filter(|group| group.iter().all(known))
            .map(|group| Group::new(&group, overlaps.diagonal(), |roi| overlaps.neighbours(roi)))
            .collect();
        let mut inflation = vec![f64::NAN; rois];
        let inflations: Vec<Vec<f64>> = groups.par_iter().map(Group::inflation).collect();
        for (group, inflations) in groups.iter().zip(inflations) {
            for (&roi, value) in group.rois.iter().zip(inflations) {
                inflation[roi] = value.max(1.0);
            }
        }
        Ok(Self {
            overlaps,
            coefficients,
            groups,
            inflation,
            below: vec![0; rois],
            seen: vec![0; rois],
            whole: vec![(0.0, 0.0); rois],
            own: vec![(0.0, 0.0); rois],
            unsettled: 0,
        })
    }

    /// Looks how often each ROI would be below zero in a block of frames;
    /// axes of both arrays: `(roi, frame)`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the arrays do not belong together.
    pub fn look(
        &mut self,
        projections: ArrayView2<'_, f32>,
        neuropil: ArrayView2<'_, f32>,
    ) -> Result<(), Error> {
        self.check(&projections, &neuropil)?;
        for tasks in self.tasks(projections.ncols()).chunks(self.at_once()) {
            let counts: Vec<Vec<(usize, usize)>> = tasks
                .par_iter()
                .map(|&(group, start, length)| {
                    let group = &self.groups[group];
                    let mut values = self.right(group, &projections, &neuropil, start, length);
                    group.unbounded(&mut values, length);
                    values
                        .chunks_exact(length)
                        .map(|values| {
                            let below = values.iter().filter(|v| **v < 0.0).count();
                            (below, values.iter().filter(|v| v.is_finite()).count())
                        })
                        .collect()
                })
                .collect();
            for (&(group, ..), counts) in tasks.iter().zip(&counts) {
                for (&roi, &(below, seen)) in self.groups[group].rois.iter().zip(counts) {
                    self.below[roi] += below;
                    self.seen[roi] += seen;
                }
            }
        }
        self.whole
            .par_iter_mut()
            .enumerate()
            .for_each(|(roi, sum)| add_finite(sum, projections.row(roi)));
        Ok(())
    }

    /// Puts in place of a block's projections the fluorescence of each ROI
    /// alone ([`Demixed::f`]); axes of both arrays: `(roi, frame)`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the arrays do not belong together.
    pub fn take_apart(
        &mut self,
        mut projections: ArrayViewMut2<'_, f32>,
        neuropil: ArrayView2<'_, f32>,
    ) -> Result<(), Error> {
        self.check(&projections.view(), &neuropil)?;
        let free = self.free();
        let mut f = Array2::from_elem(projections.dim(), f32::NAN);
        for tasks in self.tasks(projections.ncols()).chunks(self.at_once()) {
            let solved: Vec<(Vec<f64>, usize)> = tasks
                .par_iter()
                .map(|&(group, start, length)| {
                    let group = &self.groups[group];
                    let right = self.right(group, &projections.view(), &neuropil, start, length);
                    solve(group, right, length, &free)
                })
                .collect();
            for (&(group, start, length), (values, open)) in tasks.iter().zip(&solved) {
                let rois = &self.groups[group].rois;
                for (&roi, values) in rois.iter().zip(values.chunks_exact(length)) {
                    // From the unit diagonal to the movie's units.
                    let unit = self.overlaps.diagonal()[roi].sqrt() / self.overlaps.sums()[roi];
                    for (t, &value) in (start..).zip(values) {
                        f[[roi, t]] = (unit * value) as f32;
                    }
                }
                self.unsettled += open;
            }
        }
        self.own
            .par_iter_mut()
            .enumerate()
            .for_each(|(roi, sum)| add_finite(sum, f.row(roi)));
        projections.assign(&f);
        Ok(())
    }

    /// What is known of each ROI after all frames.
    pub fn finish(self) -> Apart {
        let overlaps = self.overlaps;
        let mean = |sum: (f64, f64)| sum.0 / sum.1;
        let from_neighbours = (0..overlaps.len())
            .map(|roi| {
                let whole = mean(self.whole[roi]);
                if overlaps.diagonal()[roi] <= 0.0 || whole.is_nan() || whole <= 0.0 {
                    return f64::NAN;
                }
                let others: f64 = overlaps
                    .neighbours(roi)
                    .iter()
                    .map(|&(other, entry)| (other, entry, mean(self.own[other])))
                    .filter(|(_, _, mean)| mean.is_finite())
                    .map(|(other, entry, mean)| {
                        // A neighbour's c, from its f.
                        entry * mean * overlaps.sums()[other] / overlaps.diagonal()[other]
                    })
                    .sum();
                others / whole
            })
            .collect();
        Apart {
            free: self.free(),
            inflation: self.inflation,
            from_neighbours,
            unsettled: self.unsettled,
        }
    }

    /// Who is not held above zero.
    fn free(&self) -> Vec<bool> {
        self.below
            .iter()
            .zip(&self.seen)
            .map(|(&below, &seen)| below as f64 > MOST_BELOW * seen as f64)
            .collect()
    }

    fn check(
        &self,
        projections: &ArrayView2<'_, f32>,
        neuropil: &ArrayView2<'_, f32>,
    ) -> Result<(), Error> {
        same_shape(
            "the neuropil array",
            neuropil,
            "the projections",
            projections,
        )?;
        if projections.nrows() == self.overlaps.len() {
            return Ok(());
        }
        Err(Error::Shape {
            what: "the overlap matrix",
            found: format!("for {} ROIs", self.overlaps.len()),
            against: "the projections",
            expected: format!("for {}", projections.nrows()),
        })
    }

    /// Group, first frame and number of frames of what is solved at once.
    fn tasks(&self, frames: usize) -> Vec<(usize, usize, usize)> {
        (0..frames)
            .step_by(TOGETHER)
            .flat_map(|start| {
                let length = TOGETHER.min(frames - start);
                (0..self.groups.len()).map(move |group| (group, start, length))
            })
            .collect()
    }

    fn at_once(&self) -> usize {
        BATCHES * self.groups.len().max(1)
    }

    /// Right-hand sides of a group, scaled to its unit diagonal.
    fn right(
        &self,
        group: &Group,
        projections: &ArrayView2<'_, f32>,
        neuropil: &ArrayView2<'_, f32>,
        start: usize,
        length: usize,
    ) -> Vec<f64> {
        let mut values = Vec::with_capacity(group.rois.len() * length);
        for &roi in &group.rois {
            let scale = 1.0 / self.overlaps.diagonal()[roi].sqrt();
            let subtracted = self.coefficients[roi] * self.overlaps.sums()[roi];
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
    }
}

/// The solution for `length` frames of a group, and in how many of them the
/// search for it was given up.
fn solve(group: &Group, right: Vec<f64>, length: usize, free: &[bool]) -> (Vec<f64>, usize) {
    let mut values = right.clone();
    group.unbounded(&mut values, length);
    let free: Vec<bool> = group.rois.iter().map(|&roi| free[roi]).collect();
    let wrong: Vec<usize> = (0..length)
        .filter(|t| {
            let frame = values.iter().skip(*t).step_by(length);
            frame.zip(&free).any(|(&value, free)| !free && value < 0.0)
        })
        .collect();
    let open = group.bounded(&right, &mut values, length, &wrong, &free);
    (values, open)
}

/// Adds the finite samples of a row, in order, and how many there are.
fn add_finite((sum, count): &mut (f64, f64), row: ndarray::ArrayView1<'_, f32>) {
    for &value in row.iter().filter(|v| v.is_finite()) {
        *sum += f64::from(value);
        *count += 1.0;
    }
}
