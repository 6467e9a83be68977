use fluorspar_movie::{Budget, Footprints, Movie, Progress, frame_blocks};
use ndarray::Array2;
use rayon::prelude::*;

use crate::annulus::annuli;
use crate::{Error, NeuropilParameters};

/// Traces of all ROIs of one session, in the movie's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Weighted mean over each footprint, axes `(roi, frame)`.
    pub f: Array2<f32>,
    /// Mean over each ROI's ring, axes `(roi, frame)`.
    pub neuropil: Array2<f32>,
}

/// Pixels and weights of one mean; weights sum to 1.
struct Mean {
    pixels: Vec<(usize, f64)>,
}

impl Mean {
    fn new(plane: usize, weights: impl Iterator<Item = (u32, f64)> + Clone) -> Self {
        let total: f64 = weights.clone().map(|(_, weight)| weight).sum();
        Self {
            pixels: weights
                .map(|(index, weight)| (plane + index as usize, weight / total))
                .collect(),
        }
    }

    /// The mean over one frame. Pixels that are not finite are left out and
    /// the other weights rescaled; NaN if none is finite.
    fn of(&self, frame: &[f32], empty: f32) -> f32 {
        if self.pixels.is_empty() {
            return empty;
        }
        let sum: f64 = self
            .pixels
            .iter()
            .map(|&(index, weight)| weight * f64::from(frame[index]))
            .sum();
        if sum.is_finite() {
            return sum as f32;
        }
        let (mut sum, mut total) = (0.0, 0.0);
        for &(index, weight) in &self.pixels {
            let value = f64::from(frame[index]);
            if value.is_finite() {
                sum += weight * value;
                total += weight;
            }
        }
        (sum / total) as f32
    }
}

/// Reads the movie once and returns the fluorescence of every footprint and
/// of the neuropil around it.
///
/// `f` is `Σ w·pixel / Σ w` over the footprint, `neuropil` the plain mean
/// over the ring drawn by [`annuli`](crate::annuli). Pixels that are NaN or
/// infinite are left out of a frame's means; a frame in which no pixel of an
/// ROI is finite gives NaN. Where a ROI fills the whole image its ring is
/// empty and its neuropil 0: nothing is known that could be subtracted.
///
/// Frames are read in blocks that fit `budget`; besides those, the two
/// results are held. `progress` counts frames.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Plane`] if the footprints do not belong to
/// the movie, [`Error::Parameter`] for parameters out of range, and whatever
/// reading the movie reports.
pub fn extract(
    movie: &dyn Movie,
    footprints: &Footprints,
    parameters: &NeuropilParameters,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Traces, Error> {
    let shape = movie.shape();
    if (footprints.height(), footprints.width()) != (shape.height, shape.width) {
        return Err(Error::Shape {
            what: "the footprints' image",
            found: format!("{} × {}", footprints.height(), footprints.width()),
            against: "the movie",
            expected: format!("{} × {}", shape.height, shape.width),
        });
    }
    for (roi, &plane) in footprints.planes().iter().enumerate() {
        if plane as usize >= shape.planes {
            return Err(Error::Plane {
                roi,
                plane,
                planes: shape.planes,
            });
        }
    }
    let rings = annuli(footprints, parameters)?;
    let mut means = Vec::with_capacity(2 * rings.len());
    for (footprint, ring) in footprints.iter().zip(&rings) {
        let plane = footprint.plane as usize * shape.height * shape.width;
        let weights = footprint.weights.iter().map(|&w| f64::from(w));
        means.push(Mean::new(
            plane,
            footprint.indices.iter().copied().zip(weights),
        ));
        means.push(Mean::new(plane, ring.indices.iter().map(|&i| (i, 1.0))));
    }

    let rois = footprints.len();
    let mut traces = Traces {
        f: Array2::zeros((rois, shape.frames)),
        neuropil: Array2::zeros((rois, shape.frames)),
    };
    if rois == 0 {
        progress(shape.frames as u64);
        return Ok(traces);
    }
    let length = shape.frame_len();
    let per_frame = 4 * (length + means.len());
    let (mut block, mut values) = (Vec::new(), Vec::new());
    for frames in frame_blocks(shape.frames, per_frame, budget, 1) {
        block.resize(frames.len() * length, 0.0_f32);
        values.resize(frames.len() * means.len(), 0.0_f32);
        movie.read(frames.clone(), &mut block)?;
        values
            .par_chunks_exact_mut(means.len())
            .zip(block.par_chunks_exact(length))
            .for_each(|(values, frame)| {
                for (value, mean) in values.iter_mut().zip(&means) {
                    *value = mean.of(frame, 0.0);
                }
            });
        for (frame, values) in frames.clone().zip(values.chunks_exact(means.len())) {
            for (roi, pair) in values.chunks_exact(2).enumerate() {
                traces.f[[roi, frame]] = pair[0];
                traces.neuropil[[roi, frame]] = pair[1];
            }
        }
        progress(frames.len() as u64);
    }
    Ok(traces)
}
