//! Time courses of the factors, prepared for detection.

use fluorspar_denoise::LowRank;
use ndarray::ArrayView1;
use rayon::prelude::*;

use crate::Parameters;
use crate::stats::axpy;

/// Longest prepared movie, in bins: beyond it bins grow longer.
const MOST_BINS: usize = 4000;

/// The low-rank movie in units of its noise, averaged in time and without
/// slow changes: `Z = U · courses / noise`. Every step is linear in time and
/// is therefore done on the few time courses, not on the pixels.
pub(crate) struct Activity<'a> {
    movie: &'a LowRank,
    /// Of each component, one value per bin.
    courses: Vec<Vec<f32>>,
    /// 1 / noise of each pixel; 0 where it cannot be used.
    pub(crate) scale: Vec<f32>,
    /// Frames per bin.
    pub(crate) bin: usize,
    pub(crate) bins: usize,
}

impl<'a> Activity<'a> {
    pub(crate) fn new(movie: &'a LowRank, parameters: &Parameters, frame_rate: f64) -> Self {
        let frames = movie.frames();
        let bin = ((parameters.bin_s * frame_rate).round() as usize)
            .max(frames.div_ceil(MOST_BINS))
            .max(1);
        // The last bin takes the frames that are left over.
        let bins = if frames == 0 {
            0
        } else {
            (frames / bin).max(1)
        };
        let window = (parameters.high_pass_s * frame_rate / bin as f64).round() as usize;
        let v = movie.v();
        let courses = (0..movie.rank())
            .into_par_iter()
            .map(|component| {
                let binned = averaged(v.row(component), bin, bins);
                high_passed(&binned, window)
            })
            .collect();
        let scale = movie
            .noise()
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
            scale,
            bin,
            bins,
        }
    }

    /// The components of one pixel, scaled by its noise.
    fn row(&self, pixel: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let (components, weights) = self.movie.row(pixel);
        let scale = self.scale[pixel];
        components
            .iter()
            .zip(weights)
            .map(move |(&k, &w)| (k as usize, w * scale))
            .filter(|(_, w)| w.is_finite() && *w != 0.0)
    }

    fn add(&self, component: usize, weight: f32, out: &mut [f32]) {
        axpy(weight, &self.courses[component], out);
    }

    /// Writes one pixel's activity.
    pub(crate) fn pixel(&self, pixel: usize, out: &mut [f32]) {
        out.fill(0.0);
        for (component, weight) in self.row(pixel) {
            self.add(component, weight, out);
        }
    }

    /// Writes the mean activity of usable pixels in a box, by averaging the
    /// components' weights first.
    pub(crate) fn mean(
        &self,
        y: std::ops::Range<usize>,
        x: std::ops::Range<usize>,
        out: &mut [f32],
    ) {
        out.fill(0.0);
        let mut sums = vec![0.0_f64; self.courses.len()];
        let mut count = 0_usize;
        for row in y {
            for column in x.clone() {
                let pixel = row * self.movie.width() + column;
                count += usize::from(self.scale[pixel] > 0.0);
                for (component, weight) in self.row(pixel) {
                    sums[component] += f64::from(weight);
                }
            }
        }
        for (component, &sum) in sums.iter().enumerate().filter(|(_, sum)| **sum != 0.0) {
            self.add(component, (sum / count as f64) as f32, out);
        }
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
            let count = range.len() as f64;
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
}
