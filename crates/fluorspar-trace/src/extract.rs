use std::ops::Range;

use fluorspar_movie::{Budget, Footprints, Movie, MovieShape, Progress, frame_blocks};
use ndarray::{Array2, ArrayViewMut2};
use rayon::prelude::*;

use crate::annulus::annuli;
use crate::sums::{RunningSums, Sample, Sums};
use crate::{Error, NeuropilParameters, Overlaps, Valid};

/// Frames of this size together are read at once.
const BLOCK_BYTES: usize = 16 << 20;

/// Traces of all ROIs of one session, in the movie's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Weighted mean over each footprint's own pixels, axes `(roi, frame)`.
    pub f: Array2<f32>,
    /// Mean over each ROI's ring, axes `(roi, frame)`.
    pub neuropil: Array2<f32>,
    /// Weighted sum over each whole footprint, `Aᵀ Y`, axes `(roi, frame)`:
    /// what [`demix`](crate::demix) takes apart.
    pub projections: Array2<f32>,
    /// Share of each footprint's weight in pixels that no other ROI has,
    /// axis `(roi)`, 0 to 1.
    pub alone: Vec<f64>,
    /// Share of each footprint's weight that lies in the valid field, axis
    /// `(roi)`, 0 to 1.
    pub inside: Vec<f64>,
}

/// Reads the movie once and returns, for every footprint, its fluorescence,
/// that of the neuropil around it, and its product with the movie.
///
/// - `f` is `Σ w·pixel / Σ w` over the pixels that belong to no other ROI, as
///   Suite2p has it (Pachitariu et al., bioRxiv 061507, 2017). A ROI with less
///   than a tenth of its weight in such pixels is averaged over all of them
///   and thus never empty; `alone` tells how much there was.
/// - `neuropil` is the plain mean over the ring drawn by
///   [`annuli`](crate::annuli).
/// - `projections` is `Σ w·pixel` over all pixels, shared ones included.
///
/// Pixels that are NaN or infinite are left out of a frame's means, and a
/// projection is scaled up to the weight of the whole footprint; a frame in
/// which no pixel of an ROI is finite gives NaN. A ROI without a pixel in the
/// valid field is NaN throughout. Where a ROI fills the whole image its ring
/// is empty and its neuropil 0: nothing is known that could be subtracted.
///
/// Frames are read in blocks that fit `budget`; besides those, the three
/// results are held. `progress` counts frames.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Plane`] if the footprints or the mask do not
/// belong to the movie, [`Error::Parameter`] for parameters out of range, and
/// whatever reading the movie reports.
pub fn extract(
    movie: &dyn Movie,
    footprints: &Footprints,
    valid: &Valid<'_>,
    parameters: &NeuropilParameters,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Traces, Error> {
    let shape = movie.shape();
    let extractor = Extractor::new(shape, footprints, valid, parameters)?;
    let empty = || Array2::zeros((footprints.len(), shape.frames));
    let (mut f, mut neuropil, mut projections) = (empty(), empty(), empty());
    let into = Block {
        f: f.view_mut(),
        neuropil: neuropil.view_mut(),
        projections: Some(projections.view_mut()),
    };
    extractor.read(movie, 0..shape.frames, into, budget, progress)?;
    let Extractor { alone, inside, .. } = extractor;
    Ok(Traces {
        f,
        neuropil,
        projections,
        alone,
        inside,
    })
}

/// Extracts traces some frames at a time, for traces that do not fit into
/// memory: what [`extract`] does in one go.
///
/// ```
/// use fluorspar_movie::{ArrayMovie, Budget, Footprints, Movie, silent};
/// use fluorspar_trace::{Block, Extractor, NeuropilParameters, Valid};
/// use ndarray::{Array2, Array3};
///
/// let movie = ArrayMovie::new(Array3::from_shape_fn((100, 20, 20), |(t, _, _)| t as f32));
/// let mut footprints = Footprints::new(20, 20);
/// footprints.push(&[84, 85, 104, 105], &[1.0; 4], 0)?;
/// let parameters = NeuropilParameters::default();
/// let extractor = Extractor::new(movie.shape(), &footprints, &Valid::everywhere(), &parameters)?;
/// let (mut f, mut neuropil) = (Array2::zeros((1, 10)), Array2::zeros((1, 10)));
/// let block = Block { f: f.view_mut(), neuropil: neuropil.view_mut(), projections: None };
/// extractor.read(&movie, 40..50, block, Budget::default(), &silent)?;
/// assert_eq!(f[[0, 3]], 43.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Extractor {
    shape: MovieShape,
    sums: Vec<Sums>,
    alone: Vec<f64>,
    inside: Vec<f64>,
    /// Rings hold more pixels than a frame does.
    running: bool,
}

/// Where traces of some frames are put, axes `(roi, frame)` throughout.
#[derive(Debug)]
pub struct Block<'a> {
    /// As [`Traces::f`].
    pub f: ArrayViewMut2<'a, f32>,
    /// As [`Traces::neuropil`].
    pub neuropil: ArrayViewMut2<'a, f32>,
    /// As [`Traces::projections`], if they are wanted.
    pub projections: Option<ArrayViewMut2<'a, f32>>,
}

impl Extractor {
    /// Draws the rings and finds which pixels ROIs share, for movies of `shape`.
    ///
    /// # Errors
    /// As [`extract`], but for reading.
    pub fn new(
        shape: MovieShape,
        footprints: &Footprints,
        valid: &Valid<'_>,
        parameters: &NeuropilParameters,
    ) -> Result<Self, Error> {
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
        valid.check(footprints, Some(shape))?;
        let rings = annuli(footprints, parameters)?;
        let overlaps = Overlaps::within(footprints, valid)?;
        let pixels = shape.height * shape.width;
        let mut all = Self {
            shape,
            sums: Vec::with_capacity(rings.len()),
            alone: Vec::with_capacity(rings.len()),
            inside: Vec::with_capacity(rings.len()),
            running: false,
        };
        for (roi, ring) in rings.into_iter().enumerate() {
            let near: Vec<&[u32]> = overlaps
                .neighbours(roi)
                .iter()
                .map(|&(other, _)| footprints.get(other).indices)
                .collect();
            let shared = |index: u32| near.iter().any(|list| list.binary_search(&index).is_ok());
            let (one, alone, inside) =
                Sums::new(footprints.get(roi), &ring.indices, pixels, &shared, valid);
            all.sums.push(one);
            all.alone.push(alone);
            all.inside.push(inside);
        }
        let in_rings: usize = all.sums.iter().map(|sums| sums.ring.len()).sum();
        all.running = in_rings > shape.frame_len();
        Ok(all)
    }

    /// Number of ROIs.
    pub fn rois(&self) -> usize {
        self.sums.len()
    }

    /// As [`Traces::alone`].
    pub fn alone(&self) -> &[f64] {
        &self.alone
    }

    /// As [`Traces::inside`].
    pub fn inside(&self) -> &[f64] {
        &self.inside
    }

    /// Pixels of the ring around `roi` that lie in the valid field, flat
    /// indices in its plane, ascending.
    ///
    /// # Panics
    /// If there is no such ROI, like indexing a slice.
    pub fn ring(&self, roi: usize) -> &[u32] {
        &self.sums[roi].ring
    }

    /// Bytes that [`Extractor::read`] takes beside its arguments, for images
    /// of `frame_len` pixels, all planes together; `budget` as it is given to
    /// it. At least one frame is held for each.
    pub fn workspace(frame_len: usize, rois: usize, budget: Budget) -> usize {
        let per_frame = per_frame(frame_len, rois);
        block_budget(per_frame, budget).bytes.max(per_frame)
    }

    /// Reads `frames` of the movie and puts their traces into `block`, whose
    /// first column is the first of them. `progress` counts frames.
    ///
    /// # Errors
    /// [`Error::Shape`] if movie or block are of another size, and whatever
    /// reading the movie reports.
    pub fn read(
        &self,
        movie: &dyn Movie,
        frames: Range<usize>,
        mut block: Block<'_>,
        budget: Budget,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        if movie.shape() != self.shape {
            return Err(Error::Shape {
                what: "the movie",
                found: movie.shape().to_string(),
                against: "the movie that traces were prepared for",
                expected: self.shape.to_string(),
            });
        }
        let rois = self.rois();
        let Block {
            f,
            neuropil,
            projections,
        } = &mut block;
        for array in [Some(&*f), Some(&*neuropil), projections.as_ref()] {
            if let Some(array) = array
                && array.dim() != (rois, frames.len())
            {
                return Err(Error::Shape {
                    what: "a block of traces",
                    found: format!("{} × {}", array.nrows(), array.ncols()),
                    against: "ROIs and frames",
                    expected: format!("{rois} × {}", frames.len()),
                });
            }
        }
        if rois == 0 {
            progress(frames.len() as u64);
            return Ok(());
        }
        let (pixels, length) = (self.shape.height * self.shape.width, self.shape.frame_len());
        let per_frame = per_frame(length, rois);
        let budget = block_budget(per_frame, budget);
        let (mut images, mut samples) = (Vec::new(), Vec::new());
        for part in frame_blocks(frames.len(), per_frame, budget, 1) {
            images.resize(part.len() * length, 0.0_f32);
            samples.resize(part.len() * rois, Sample::default());
            let here = frames.start + part.start..frames.start + part.end;
            movie.read(here, &mut images)?;
            samples
                .par_chunks_exact_mut(rois)
                .zip(images.par_chunks_exact(length))
                .for_each_init(RunningSums::default, |running, (samples, frame)| {
                    running.set(frame, self.running);
                    for (sample, sums) in samples.iter_mut().zip(&self.sums) {
                        *sample = sums.of(frame, pixels, running);
                    }
                });
            let put = |array: &mut ArrayViewMut2<'_, f32>, pick: fn(&Sample) -> f32| {
                let rows: Vec<_> = array.rows_mut().into_iter().enumerate().collect();
                rows.into_par_iter().for_each(|(roi, mut row)| {
                    for (t, samples) in part.clone().zip(samples.chunks_exact(rois)) {
                        row[t] = pick(&samples[roi]);
                    }
                });
            };
            put(f, |sample| sample.f);
            put(neuropil, |sample| sample.neuropil);
            if let Some(projections) = projections {
                put(projections, |sample| sample.projection);
            }
            progress(part.len() as u64);
        }
        Ok(())
    }
}

/// What is held of each frame: its pixels, and what they say of each ROI.
fn per_frame(frame_len: usize, rois: usize) -> usize {
    4 * frame_len + size_of::<Sample>() * rois
}

/// Longer blocks would not be faster, but leave the caches.
fn block_budget(per_frame: usize, budget: Budget) -> Budget {
    Budget {
        bytes: budget.bytes.min(BLOCK_BYTES.max(16 * per_frame)),
    }
}
