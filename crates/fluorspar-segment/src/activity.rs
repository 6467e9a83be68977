//! The low-rank movie of one plane, prepared for detection.

use fluorspar_denoise::LowRank;
use ndarray::ArrayView1;
use rayon::prelude::*;

use crate::Parameters;
use crate::stats::gathered;

/// Longest prepared movie, in bins: beyond it bins grow longer.
pub(crate) const MOST_BINS: usize = 4000;

/// Time courses of all components, averaged in time and without slow changes.
/// Both steps are linear in time, so they are done on the few courses and not
/// on the pixels.
pub(crate) struct Courses {
    /// `(component, bin)`.
    values: Vec<f32>,
    /// Frames per bin.
    pub(crate) bin: usize,
    pub(crate) bins: usize,
}

impl Courses {
    pub(crate) fn new(movie: &LowRank, parameters: &Parameters, frame_rate: f64) -> Self {
        let frames = movie.frames();
        let bin = ((parameters.bin_s * frame_rate).round() as usize)
            .max(frames.div_ceil(MOST_BINS))
            .max(1);
        // The last bin takes the frames that are left over.
        let bins = (frames / bin).max(1);
        let window = (parameters.high_pass_s * frame_rate / bin as f64).round() as usize;
        let v = movie.v();
        let values = (0..movie.rank())
            .into_par_iter()
            .flat_map_iter(|component| high_passed(&averaged(v.row(component), bin, bins), window))
            .collect();
        Self { values, bin, bins }
    }

    pub(crate) fn of(&self, component: usize) -> &[f32] {
        &self.values[component * self.bins..(component + 1) * self.bins]
    }
}

/// A weighted sum of components, ascending.
pub(crate) type Combination = Vec<(u32, f32)>;

/// One plane in units of its noise: `Z = U · courses / noise`. Pixels are
/// counted row by row within the plane.
pub(crate) struct Activity<'a> {
    movie: &'a LowRank,
    pub(crate) courses: &'a Courses,
    /// Where the plane starts among the movie's pixels.
    first: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// 1 / noise of each pixel; 0 where it cannot be used.
    pub(crate) scale: Vec<f32>,
}

impl<'a> Activity<'a> {
    pub(crate) fn new(movie: &'a LowRank, courses: &'a Courses, plane: usize) -> Self {
        let (height, width) = (movie.height(), movie.width());
        let noise = movie.noise();
        let scale = noise
            .index_axis(ndarray::Axis(0), plane)
            .iter()
            .map(|&noise| {
                let scale = 1.0 / noise;
                if noise > 0.0 && scale.is_finite() {
                    scale
                } else {
                    0.0
                }
            })
            .collect();
        Self {
            movie,
            courses,
            first: plane * height * width,
            height,
            width,
            scale,
        }
    }

    pub(crate) fn bins(&self) -> usize {
        self.courses.bins
    }

    pub(crate) fn rank(&self) -> usize {
        self.movie.rank()
    }

    /// The components of one pixel, in units of its noise.
    pub(crate) fn row(&self, pixel: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let (components, weights) = self.movie.row(self.first + pixel);
        let scale = self.scale[pixel];
        components
            .iter()
            .zip(weights)
            .map(move |(&k, &w)| (k as usize, w * scale))
            .filter(|(_, w)| w.is_finite() && *w != 0.0)
    }

    /// Writes one pixel's activity.
    pub(crate) fn pixel(&self, pixel: usize, out: &mut [f32]) {
        out.fill(0.0);
        let (components, weights) = self.movie.row(self.first + pixel);
        let scale = self.scale[pixel];
        gathered(&self.courses.values, components, weights, scale, out);
    }

    /// The sum of `weight · row` over pixels.
    pub(crate) fn combination(
        &self,
        pixels: impl Iterator<Item = (usize, f32)>,
        gather: &mut Gather,
    ) -> Combination {
        for (pixel, weight) in pixels {
            for (component, value) in self.row(pixel) {
                gather.add(component, weight * value);
            }
        }
        gather.take()
    }

    /// The time course of a combination.
    pub(crate) fn course(&self, combination: &[(u32, f32)]) -> Vec<f32> {
        let mut out = vec![0.0; self.bins()];
        let (components, weights): (Vec<u32>, Vec<f32>) = combination.iter().copied().unzip();
        let courses = &self.courses.values;
        gathered(courses, &components, &weights, 1.0, &mut out);
        out
    }
}

/// Sums per component, kept dense while they grow and handed out sparse.
pub(crate) struct Gather {
    sums: Vec<f32>,
    seen: Vec<bool>,
    touched: Vec<u32>,
}

impl Gather {
    pub(crate) fn new(rank: usize) -> Self {
        Self {
            sums: vec![0.0; rank],
            seen: vec![false; rank],
            touched: Vec::new(),
        }
    }

    fn add(&mut self, component: usize, value: f32) {
        if !self.seen[component] {
            self.seen[component] = true;
            self.touched.push(component as u32);
        }
        self.sums[component] += value;
    }

    fn take(&mut self) -> Combination {
        self.touched.sort_unstable();
        let out = self
            .touched
            .iter()
            .map(|&k| (k, self.sums[k as usize]))
            .collect();
        for &k in &self.touched {
            self.sums[k as usize] = 0.0;
            self.seen[k as usize] = false;
        }
        self.touched.clear();
        out
    }
}

/// Means of `bin` samples; the last also takes the remainder.
fn averaged(course: ArrayView1<'_, f32>, bin: usize, bins: usize) -> Vec<f64> {
    let frames = course.len();
    (0..bins)
        .map(|index| {
            let end = if index + 1 == bins {
                frames
            } else {
                (index + 1) * bin
            };
            let range = index * bin..end;
            let count = range.len().max(1) as f64;
            let sum: f64 = range
                .map(|t| f64::from(course[t]))
                .filter(|v| v.is_finite())
                .sum();
            sum / count
        })
        .collect()
}

/// Subtracts the mean of a window about each sample; at the ends the window
/// keeps its length and stays inside.
fn high_passed(course: &[f64], window: usize) -> Vec<f32> {
    let length = course.len();
    let window = window.clamp(1, length.max(1));
    let mut sums = Vec::with_capacity(length + 1);
    sums.push(0.0);
    let mut sum = 0.0;
    for &value in course {
        sum += value;
        sums.push(sum);
    }
    (0..length)
        .map(|t| {
            let start = t.saturating_sub(window / 2).min(length - window);
            (course[t] - (sums[start + window] - sums[start]) / window as f64) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_changes_vanish_and_fast_ones_stay() {
        let course: Vec<f64> = (0..1000)
            .map(|t| 0.01 * f64::from(t) + if t == 500 { 10.0 } else { 0.0 })
            .collect();
        let passed = high_passed(&course, 101);
        assert!(passed[100].abs() < 1e-9);
        assert!((f64::from(passed[500]) - 10.0 * (1.0 - 1.0 / 101.0)).abs() < 1e-5);
    }

    #[test]
    fn the_last_bin_takes_the_remainder() {
        let course = ndarray::Array1::from_iter((0..11).map(|t| t as f32));
        assert_eq!(averaged(course.view(), 4, 2), [1.5, 7.0]);
    }

    #[test]
    fn what_is_gathered_is_handed_out_once() {
        let mut gather = Gather::new(5);
        gather.add(3, 1.0);
        gather.add(1, 2.0);
        gather.add(3, 0.5);
        assert_eq!(gather.take(), [(1, 2.0), (3, 1.5)]);
        assert!(gather.take().is_empty());
    }
}
