use fluorspar_movie::{Budget, Footprint, Footprints, Movie, Progress, frame_blocks};
use ndarray::Array2;
use rayon::prelude::*;

use crate::annulus::annuli;
use crate::{Error, NeuropilParameters, Overlaps, Valid};

/// A ROI with less than this share of its weight in pixels of its own is
/// averaged over all its pixels: few pixels are noisier than a leak is wrong.
const LEAST_ALONE: f64 = 0.1;

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

/// Pixels and weights of one ROI, those that no other ROI has first.
struct Sums {
    plane: usize,
    pixels: Vec<(u32, f32)>,
    own: usize,
    /// Weight of all pixels, and of the part that `f` is averaged over.
    total: f64,
    averaged: f64,
    /// Whether `f` is averaged over the own pixels only.
    only_own: bool,
    ring: Vec<u32>,
    /// The ring as stretches of neighbouring pixels, `[first, end)`.
    stretches: Vec<(u32, u32)>,
}

/// Running sums over the pixels of a frame, so that a stretch of pixels is
/// summed by one difference however long it is.
#[derive(Default)]
struct RunningSums {
    /// `sums[k]` is the sum of the first `k` pixels; empty if not in use.
    sums: Vec<f64>,
}

impl RunningSums {
    /// Only worth it where rings hold more pixels than the frame does.
    fn set(&mut self, frame: &[f32], wanted: bool) {
        self.sums.clear();
        if !wanted {
            return;
        }
        self.sums.reserve(frame.len() + 1);
        let mut sum = 0.0;
        self.sums.push(sum);
        self.sums.extend(frame.iter().map(|&value| {
            sum += f64::from(value);
            sum
        }));
        // One pixel that is not finite spoils all sums after it.
        if !sum.is_finite() {
            self.sums.clear();
        }
    }

    fn of(&self, from: usize, stretches: &[(u32, u32)]) -> Option<f64> {
        let at = |pixel: u32| self.sums[from + pixel as usize];
        (!self.sums.is_empty()).then(|| stretches.iter().map(|&(a, b)| at(b) - at(a)).sum())
    }
}

/// Neighbouring pixels put together.
fn stretches(pixels: &[u32]) -> Vec<(u32, u32)> {
    pixels
        .chunk_by(|a, b| a + 1 == *b)
        .map(|run| (run[0], run[run.len() - 1] + 1))
        .collect()
}

/// What one frame says about one ROI.
#[derive(Clone, Copy, Default)]
struct Sample {
    f: f32,
    neuropil: f32,
    projection: f32,
}

/// Four sums side by side, so that an addition need not wait for the one
/// before; added up in this order always.
#[inline]
fn weighted(pixels: &[(u32, f32)], frame: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 4];
    let fours = pixels.chunks_exact(4);
    let rest = fours.remainder();
    for four in fours {
        for (lane, &(index, weight)) in lanes.iter_mut().zip(four) {
            *lane += f64::from(weight) * f64::from(frame[index as usize]);
        }
    }
    for (lane, &(index, weight)) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(weight) * f64::from(frame[index as usize]);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

#[inline]
fn plain(pixels: &[u32], frame: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 4];
    let fours = pixels.chunks_exact(4);
    let rest = fours.remainder();
    for four in fours {
        for (lane, &index) in lanes.iter_mut().zip(four) {
            *lane += f64::from(frame[index as usize]);
        }
    }
    for (lane, &index) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(frame[index as usize]);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

/// Weighted mean of the finite pixels; NaN without any.
fn finite_mean(pixels: impl Iterator<Item = (u32, f32)>, frame: &[f32]) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (index, weight) in pixels {
        let value = f64::from(frame[index as usize]);
        if value.is_finite() {
            sum += f64::from(weight) * value;
            total += f64::from(weight);
        }
    }
    sum / total
}

impl Sums {
    fn new(
        footprint: Footprint<'_>,
        ring: &[u32],
        frame_len: usize,
        shared: &dyn Fn(u32) -> bool,
        valid: &Valid<'_>,
    ) -> (Self, f64, f64) {
        let all: f64 = footprint.weights.iter().map(|&w| f64::from(w)).sum();
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            if valid.at(footprint.plane, index) {
                let list = if shared(index) { &mut others } else { &mut own };
                list.push((index, weight));
            }
        }
        let weight = |list: &[(u32, f32)]| list.iter().map(|&(_, w)| f64::from(w)).sum::<f64>();
        let (alone, total) = (weight(&own), weight(&own) + weight(&others));
        let only_own = alone >= LEAST_ALONE * total;
        let count = own.len();
        own.append(&mut others);
        let ring: Vec<u32> = ring
            .iter()
            .copied()
            .filter(|&index| valid.at(footprint.plane, index))
            .collect();
        let sums = Self {
            plane: footprint.plane as usize * frame_len,
            pixels: own,
            own: count,
            total,
            averaged: if only_own { alone } else { total },
            only_own,
            stretches: stretches(&ring),
            ring,
        };
        let share = |part: f64| if total > 0.0 { part / total } else { 0.0 };
        (sums, share(alone), total / all)
    }

    fn of(&self, frame: &[f32], pixels: usize, running: &RunningSums) -> Sample {
        if self.pixels.is_empty() {
            return Sample {
                f: f32::NAN,
                neuropil: f32::NAN,
                projection: f32::NAN,
            };
        }
        let frame = &frame[self.plane..self.plane + pixels];
        let own = weighted(&self.pixels[..self.own], frame);
        let projection = own + weighted(&self.pixels[self.own..], frame);
        let (f, projection) = if projection.is_finite() {
            let sum = if self.only_own { own } else { projection };
            (sum / self.averaged, projection)
        } else {
            let whole = finite_mean(self.pixels.iter().copied(), frame);
            let part = finite_mean(self.pixels[..self.own].iter().copied(), frame);
            let f = if self.only_own && part.is_finite() {
                part
            } else {
                whole
            };
            (f, whole * self.total)
        };
        let neuropil = if self.ring.is_empty() {
            0.0
        } else {
            let stretches = running.of(self.plane, &self.stretches);
            let sum = stretches.unwrap_or_else(|| plain(&self.ring, frame));
            if sum.is_finite() {
                sum / self.ring.len() as f64
            } else {
                finite_mean(self.ring.iter().map(|&i| (i, 1.0)), frame)
            }
        };
        Sample {
            f: f as f32,
            neuropil: neuropil as f32,
            projection: projection as f32,
        }
    }
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
    let rois = footprints.len();
    let mut traces = Traces {
        f: Array2::zeros((rois, shape.frames)),
        neuropil: Array2::zeros((rois, shape.frames)),
        projections: Array2::zeros((rois, shape.frames)),
        alone: Vec::with_capacity(rois),
        inside: Vec::with_capacity(rois),
    };
    if rois == 0 {
        progress(shape.frames as u64);
        return Ok(traces);
    }
    let pixels = shape.height * shape.width;
    let mut sums = Vec::with_capacity(rois);
    for (roi, ring) in rings.iter().enumerate() {
        let near: Vec<&[u32]> = overlaps
            .neighbours(roi)
            .iter()
            .map(|&(other, _)| footprints.get(other).indices)
            .collect();
        let shared = |index: u32| near.iter().any(|list| list.binary_search(&index).is_ok());
        let (one, alone, inside) =
            Sums::new(footprints.get(roi), &ring.indices, pixels, &shared, valid);
        sums.push(one);
        traces.alone.push(alone);
        traces.inside.push(inside);
    }

    let length = shape.frame_len();
    let in_rings: usize = sums.iter().map(|sums| sums.ring.len()).sum();
    let per_frame = 4 * length + size_of::<Sample>() * rois;
    // Longer blocks would not be faster, but leave the caches.
    let budget = Budget {
        bytes: budget.bytes.min(BLOCK_BYTES.max(16 * per_frame)),
    };
    let (mut block, mut samples) = (Vec::new(), Vec::new());
    for frames in frame_blocks(shape.frames, per_frame, budget, 1) {
        block.resize(frames.len() * length, 0.0_f32);
        samples.resize(frames.len() * rois, Sample::default());
        movie.read(frames.clone(), &mut block)?;
        samples
            .par_chunks_exact_mut(rois)
            .zip(block.par_chunks_exact(length))
            .for_each_init(RunningSums::default, |running, (samples, frame)| {
                running.set(frame, in_rings > length);
                for (sample, sums) in samples.iter_mut().zip(&sums) {
                    *sample = sums.of(frame, pixels, running);
                }
            });
        for (frame, samples) in frames.clone().zip(samples.chunks_exact(rois)) {
            for (roi, sample) in samples.iter().enumerate() {
                traces.f[[roi, frame]] = sample.f;
                traces.neuropil[[roi, frame]] = sample.neuropil;
                traces.projections[[roi, frame]] = sample.projection;
            }
        }
        progress(frames.len() as u64);
    }
    Ok(traces)
}
