//! Sums of time courses: the one place where pixels of the movie are computed.
//!
//! Whatever is asked for, a pixel in a frame is the sum over its components
//! in ascending order, then plus its mean, so that its bits do not depend on
//! what is computed beside it. (A weight of zero may be added anywhere: the
//! sums start at `+0`, which adding `±0` never changes.)

use std::ops::Range;

use fluorspar_movie::pulp::{Arch, Simd, WithSimd};
use fluorspar_movie::vectorised;

use super::LowRank;

/// Neighbouring pixels computed together: one vector of AVX-512.
pub(super) const LANES: usize = 16;
/// Frames computed together: as many sums as fit the registers.
const TOGETHER: usize = 8;
/// Frames computed before they are handed on.
const CHUNK: usize = 64;
/// Pixels of a strip, about: a chunk of its frames stays in the second cache.
const STRIP: usize = 1024;
/// Most image rows of a strip. Neighbours below mostly have the same
/// components, whose courses are then laid out once.
const ROWS: usize = 8;

/// Image rows of `width` pixels that are best computed together.
pub(super) fn rows_together(width: usize) -> usize {
    (STRIP / width.max(1)).clamp(1, ROWS)
}

/// One pixel in neighbouring lanes.
pub(super) type Lanes = [f32; LANES];

/// Sums over components: `weights (component)(lane)`, and `courses`
/// `(frames together)(component)(frame)` into `sums (frame)(lane)`, whose
/// frames lie `stride` apart.
///
/// Written with explicit vectors: the compiler would rather gather along frames.
struct Combine<'a> {
    weights: &'a [Lanes],
    courses: &'a [[f32; TOGETHER]],
    sums: &'a mut [Lanes],
    stride: usize,
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Vectors of a row of lanes, and frames whose sums fit the registers.
        match LANES / (size_of::<S::f32s>() / size_of::<f32>()) {
            1 => self.run::<S, 1, 8>(simd),
            2 => self.run::<S, 2, 4>(simd),
            4 => self.run::<S, 4, 2>(simd),
            _ => self.run::<S, LANES, 1>(simd),
        }
    }
}

impl Combine<'_> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const FRAMES: usize>(self, simd: S) {
        let rank = self.weights.len();
        for (k, sums) in self.sums.chunks_mut(TOGETHER * self.stride).enumerate() {
            let courses = &self.courses[k * rank..(k + 1) * rank];
            for (part, sums) in sums.chunks_mut(FRAMES * self.stride).enumerate() {
                let mut all = [[simd.splat_f32s(0.0); VECTORS]; FRAMES];
                for (weights, course) in self.weights.iter().zip(courses) {
                    let weights = S::as_simd_f32s(weights).0;
                    for (frame, all) in all.iter_mut().enumerate() {
                        let value = simd.splat_f32s(course[part * FRAMES + frame]);
                        for (sum, &weight) in all.iter_mut().zip(weights) {
                            *sum = simd.add_f32s(*sum, simd.mul_f32s(weight, value));
                        }
                    }
                }
                for (sums, all) in sums.iter_mut().step_by(self.stride).zip(all) {
                    S::as_mut_simd_f32s(sums).0.copy_from_slice(&all);
                }
            }
        }
    }
}

vectorised! {
    /// `sums += weight · course`.
    pub(super) fn accumulate<'a>(sums: &'a mut [f32], weight: f32, course: &'a [f32]) {
        for (sum, &value) in sums.iter_mut().zip(course) {
            *sum += weight * value;
        }
    }
}

/// Neighbouring pixels of one row: the components that any of them has.
#[derive(Clone, Debug, Default)]
struct Segment {
    components: Vec<u32>,
    weights: Vec<Lanes>,
}

impl Segment {
    fn load(&mut self, movie: &LowRank, pixels: Range<usize>) {
        let first = movie.row(pixels.start).0;
        let alike = pixels.clone().all(|pixel| movie.row(pixel).0 == first);
        self.components.clear();
        self.components.extend_from_slice(first);
        if !alike {
            for pixel in pixels.clone().skip(1) {
                self.components.extend_from_slice(movie.row(pixel).0);
            }
            self.components.sort_unstable();
            self.components.dedup();
        }
        self.weights.clear();
        self.weights.resize(self.components.len(), [0.0; LANES]);
        for (lane, pixel) in pixels.enumerate() {
            let (components, weights) = movie.row(pixel);
            if alike {
                for (place, &weight) in self.weights.iter_mut().zip(weights) {
                    place[lane] = weight;
                }
                continue;
            }
            let mut places = self.components.iter().zip(&mut self.weights);
            for (component, &weight) in components.iter().zip(weights) {
                if let Some((_, place)) = places.find(|(k, _)| *k == component) {
                    place[lane] = weight;
                }
            }
        }
    }
}

/// Memory that computing a strip of rows needs; kept from strip to strip.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    segments: Vec<Segment>,
    packed: Vec<[f32; TOGETHER]>,
    sums: Vec<Lanes>,
}

/// Some frames of a strip, without the mean.
pub(super) struct Chunk<'a> {
    /// The first frame, counted within the range asked for.
    pub(super) start: usize,
    /// Number of frames.
    pub(super) frames: usize,
    sums: &'a [Lanes],
    stride: usize,
    width: usize,
}

impl Chunk<'_> {
    /// The pixels of one frame and row, both counted within the chunk.
    pub(super) fn row(&self, frame: usize, row: usize) -> &[f32] {
        let across = self.width.div_ceil(LANES);
        let first = frame * self.stride + row * across;
        &self.sums[first..first + across].as_flattened()[..self.width]
    }
}

impl Scratch {
    /// Lays out some frames of the time courses as [`Combine`] reads them;
    /// frames beyond the range are zero.
    fn pack(
        packed: &mut Vec<[f32; TOGETHER]>,
        movie: &LowRank,
        components: &[u32],
        frames: &Range<usize>,
    ) {
        let rank = components.len();
        packed.clear();
        packed.resize(frames.len().div_ceil(TOGETHER) * rank, [0.0; TOGETHER]);
        for (k, &component) in components.iter().enumerate() {
            let course = &movie.course(component as usize)[frames.clone()];
            for (block, values) in course.chunks(TOGETHER).enumerate() {
                packed[block * rank + k][..values.len()].copy_from_slice(values);
            }
        }
    }

    /// Computes some frames of pieces of image rows of equal width, given by
    /// their first pixels, and hands them on chunk by chunk.
    pub(super) fn strip(
        &mut self,
        movie: &LowRank,
        rows: &[usize],
        width: usize,
        frames: &Range<usize>,
        mut take: impl FnMut(Chunk<'_>),
    ) {
        let across = width.div_ceil(LANES);
        let count = rows.len() * across;
        self.segments
            .resize_with(count.max(self.segments.len()), Segment::default);
        for (at, segment) in self.segments[..count].iter_mut().enumerate() {
            let x = at % across * LANES;
            let first = rows[at / across] + x;
            segment.load(movie, first..first + LANES.min(width - x));
        }
        // One more, lest frames fall into the same places of a cache.
        let stride = count + 1;
        let most = CHUNK.min(frames.len().next_multiple_of(TOGETHER));
        self.sums.resize(most * stride, [0.0; LANES]);
        let arch = Arch::new();
        for start in frames.clone().step_by(CHUNK) {
            let now = start..frames.end.min(start + CHUNK);
            let end = now.len().next_multiple_of(TOGETHER) * stride;
            let mut ready: Option<usize> = None;
            for x in 0..across {
                for at in (x..count).step_by(across) {
                    let segment = &self.segments[at];
                    if ready.is_none_or(|r| self.segments[r].components != segment.components) {
                        Self::pack(&mut self.packed, movie, &segment.components, &now);
                        ready = Some(at);
                    }
                    arch.dispatch(Combine {
                        weights: &segment.weights,
                        courses: &self.packed,
                        sums: &mut self.sums[at..end],
                        stride,
                    });
                }
            }
            take(Chunk {
                start: start - frames.start,
                frames: now.len(),
                sums: &self.sums,
                stride,
                width,
            });
        }
    }
}
