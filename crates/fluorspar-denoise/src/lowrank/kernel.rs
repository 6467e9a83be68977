//! Sums of time courses: the one place where pixels of the movie are computed.
//!
//! Whatever is asked for, a pixel in a frame is the sum over its components
//! in ascending order, then plus its mean, so that its bits do not depend on
//! what is computed beside it. (A weight of zero may be added anywhere: the
//! sums start at `+0`, which adding `±0` never changes.)

use std::ops::Range;

use fluorspar_movie::vectorised;

use super::LowRank;

/// Neighbouring pixels computed together: one vector of AVX-512.
pub(super) const LANES: usize = 16;
/// Frames computed together: as many sums as fit the registers.
const TOGETHER: usize = 8;
/// Frames whose time courses are laid out anew at a time; 40 components of
/// them stay in the first cache.
pub(super) const CHUNK: usize = 128;
/// Image rows of a strip: neighbours below have mostly the same components.
pub(super) const ROWS: usize = 8;

/// One pixel in neighbouring lanes.
pub(super) type Lanes = [f32; LANES];

vectorised! {
    /// Sums over components: `weights (component)(lane)`, and `courses`
    /// `(frames together)(component)(frame)` into `sums (frame)(lane)`.
    fn combine<'a>(
        weights: &'a [Lanes],
        courses: &'a [[f32; TOGETHER]],
        sums: &'a mut [Lanes],
    ) {
        let rank = weights.len();
        for (k, sums) in sums.chunks_exact_mut(TOGETHER).enumerate() {
            let mut all = [[0.0_f32; LANES]; TOGETHER];
            for (w, c) in weights.iter().zip(&courses[k * rank..(k + 1) * rank]) {
                for t in 0..TOGETHER {
                    for lane in 0..LANES {
                        all[t][lane] += w[lane] * c[t];
                    }
                }
            }
            sums.copy_from_slice(&all);
        }
    }

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
        self.components.clear();
        self.components.extend_from_slice(first);
        if pixels.clone().any(|pixel| movie.row(pixel).0 != first) {
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
#[derive(Debug)]
pub(super) struct Scratch {
    segments: Vec<Segment>,
    packed: Vec<[f32; TOGETHER]>,
    sums: Vec<Lanes>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            segments: vec![Segment::default(); ROWS],
            packed: Vec::new(),
            sums: vec![[0.0; LANES]; CHUNK],
        }
    }

    /// Lays out some frames of the time courses as [`combine`] reads them;
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

    /// Computes some frames, without the mean, of up to [`ROWS`] pieces of
    /// image rows of equal width, given by their first pixels.
    ///
    /// `take(row, x, frame, sums)` receives `sums (frame)(lane)` of the pixels
    /// from `x` on, counted within the piece; `frame` counts within the
    /// range. Lanes beyond the width are meaningless.
    pub(super) fn strip(
        &mut self,
        movie: &LowRank,
        rows: &[usize],
        width: usize,
        frames: &Range<usize>,
        mut take: impl FnMut(usize, usize, usize, &[Lanes]),
    ) {
        for x in (0..width).step_by(LANES) {
            let count = LANES.min(width - x);
            for (segment, first) in self.segments.iter_mut().zip(rows) {
                segment.load(movie, first + x..first + x + count);
            }
            for start in frames.clone().step_by(CHUNK) {
                let now = start..frames.end.min(start + CHUNK);
                let mut ready: Option<usize> = None;
                for row in 0..rows.len().min(ROWS) {
                    let segment = &self.segments[row];
                    if ready.is_none_or(|r| self.segments[r].components != segment.components) {
                        Self::pack(&mut self.packed, movie, &segment.components, &now);
                        ready = Some(row);
                    }
                    let sums = &mut self.sums[..now.len().next_multiple_of(TOGETHER)];
                    combine(&segment.weights, &self.packed, sums);
                    take(row, x, start - frames.start, &sums[..now.len()]);
                }
            }
        }
    }
}
