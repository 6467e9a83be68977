use fluorspar_movie::vectorised;
use ndarray::Array3;
use rayon::prelude::*;

use super::LowRank;
use super::covariance::{Covariance, course_means};
use super::groups::Groups;
use super::kernel::{Scratch, rows_together};

/// What becomes of a pixel's time course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Its largest value.
    Max,
    /// Its smallest value.
    Min,
    /// Its mean.
    Mean,
    /// Its standard deviation, dividing by the number of frames.
    StandardDeviation,
}

vectorised! {
    fn raise<'a>(most: &'a mut [f32], values: &'a [f32]) {
        for (most, &value) in most.iter_mut().zip(values) {
            *most = if value > *most { value } else { *most };
        }
    }

    fn lower<'a>(least: &'a mut [f32], values: &'a [f32]) {
        for (least, &value) in least.iter_mut().zip(values) {
            *least = if value < *least { value } else { *least };
        }
    }
}

impl LowRank {
    /// Variance over frames of every pixel of the denoised movie
    /// `(plane, y, x)`, in the movie's units squared, dividing by the number
    /// of frames.
    ///
    /// A pixel with weights `u` has `uᵀ C u`, where `C` is the covariance of
    /// the time courses; only entries of components that meet in a pixel are
    /// computed. Zero for pixels without components and for movies of one frame.
    pub fn variance_image(&self) -> Array3<f32> {
        self.image(self.variances().into_iter().map(|v| v as f32).collect())
    }

    fn variances(&self) -> Vec<f64> {
        let groups = Groups::new(self);
        Covariance::new(self, &groups, &[]).variances(self, &groups)
    }

    /// One value of every pixel's denoised time course `(plane, y, x)`, in the
    /// movie's units, mean included. A movie without frames gives its mean
    /// (and no standard deviation).
    ///
    /// [`Projection::Max`] and [`Projection::Min`] compute every pixel in
    /// every frame, but keep none of them; the others do not.
    pub fn projection(&self, projection: Projection) -> Array3<f32> {
        match projection {
            Projection::Max => self.extremes(raise, f32::NEG_INFINITY),
            Projection::Min => self.extremes(lower, f32::INFINITY),
            Projection::Mean => {
                let means = course_means(self);
                let pixels = self.mean_values().par_iter().enumerate();
                let image = pixels.map(|(pixel, &mean)| {
                    let (components, weights) = self.row(pixel);
                    let sum: f64 = components
                        .iter()
                        .zip(weights)
                        .map(|(&k, &w)| f64::from(w) * means[k as usize])
                        .sum();
                    (f64::from(mean) + sum) as f32
                });
                self.image(image.collect())
            }
            Projection::StandardDeviation => self.image(
                self.variances()
                    .into_iter()
                    .map(|v| v.sqrt() as f32)
                    .collect(),
            ),
        }
    }

    /// Folds every time course. Rounding keeps the order of numbers, so the
    /// mean may be added last.
    fn extremes(&self, fold: fn(&mut [f32], &[f32]), start: f32) -> Array3<f32> {
        let mut image = self.mean_values().to_vec();
        if self.frames() == 0 || image.is_empty() {
            return self.image(image);
        }
        let width = self.width();
        let frames = 0..self.frames();
        let strip_len = rows_together(width) * width;
        image.par_chunks_mut(strip_len).enumerate().for_each_init(
            Scratch::default,
            |scratch, (strip, image)| {
                let first = strip * strip_len;
                let rows: Vec<usize> = (first..first + image.len()).step_by(width).collect();
                let mut found = vec![start; image.len()];
                scratch.strip(self, &rows, width, &frames, |chunk| {
                    for frame in 0..chunk.frames {
                        for (row, found) in found.chunks_exact_mut(width).enumerate() {
                            fold(found, chunk.row(frame, row));
                        }
                    }
                });
                for (mean, found) in image.iter_mut().zip(found) {
                    *mean += found;
                }
            },
        );
        self.image(image)
    }

    /// An image `(plane, y, x)` from one value per pixel.
    pub(super) fn image(&self, values: Vec<f32>) -> Array3<f32> {
        let shape = self.mean().raw_dim();
        Array3::from_shape_vec(shape, values).unwrap_or_else(|_| Array3::zeros(shape))
    }
}
