//! What one frame says about one ROI.

use fluorspar_movie::Footprint;

use crate::Valid;

/// A ROI with less than this share of its weight in pixels of its own is
/// averaged over all its pixels: few pixels are noisier than a leak is wrong.
const LEAST_ALONE: f64 = 0.1;

/// Pixels and weights of one ROI, those that no other ROI has first.
#[derive(Debug)]
pub(crate) struct Sums {
    plane: usize,
    pixels: Vec<(u32, f32)>,
    own: usize,
    /// Weight of all pixels, and of the part that `f` is averaged over.
    total: f64,
    averaged: f64,
    /// Whether `f` is averaged over the own pixels only.
    only_own: bool,
    pub(crate) ring: Vec<u32>,
    /// The ring as stretches of neighbouring pixels, `[first, end)`.
    stretches: Vec<(u32, u32)>,
}

/// Running sums over the pixels of a frame, so that a stretch of pixels is
/// summed by one difference however long it is.
#[derive(Default)]
pub(crate) struct RunningSums {
    /// `sums[k]` is the sum of the first `k` pixels; empty if not in use.
    sums: Vec<f64>,
}

impl RunningSums {
    /// Only worth it where rings hold more pixels than the frame does.
    pub(crate) fn set(&mut self, frame: &[f32], wanted: bool) {
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
pub(crate) struct Sample {
    pub(crate) f: f32,
    pub(crate) neuropil: f32,
    pub(crate) projection: f32,
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
    pub(crate) fn new(
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

    pub(crate) fn of(&self, frame: &[f32], pixels: usize, running: &RunningSums) -> Sample {
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
