use ndarray::{Array2, Array4};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::LowRank;
use super::dense::{
    courses_times, courses_transposed_times, eigen, orthonormal, product, symmetrised, view,
};
use super::symmetric::Symmetric;
use crate::Error;

/// Directions beyond the components asked for.
const OVERSAMPLING: usize = 10;
/// Most iterations; each multiplies the movie by itself once.
const ITERATIONS: usize = 60;
/// Iterations end when no squared singular value changes by more than this part.
const SETTLED: f64 = 1e-10;
/// Singular values below this part of the largest are rounding.
const SMALLEST: f64 = 1e-6;

/// Leading principal components of a movie, strongest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Images `(component, plane, y, x)` of unit norm; the entry of largest
    /// magnitude is positive.
    pub images: Array4<f32>,
    /// Singular values `(component)`, in the movie's units: a component's
    /// standard deviation over frames is its value over the square root of
    /// the number of frames.
    pub values: Vec<f64>,
    /// Time courses `(component, frame)` of unit norm.
    pub courses: Array2<f32>,
}

impl LowRank {
    /// The leading `count` principal components of the movie without its mean
    /// image, `U · V`: its leading singular vectors and values.
    ///
    /// A randomised subspace iteration (Halko, Martinsson & Tropp 2011, SIAM
    /// Rev. 53:217) multiplies with U and V only, in double precision, until
    /// the values settle to about ten digits or 60 iterations are done; the
    /// random start follows from `seed`, and the result does not depend on
    /// the number of threads. Components of equal strength may mix. There are
    /// fewer than `count` components where the movie has fewer: singular
    /// values below a millionth of the largest count as none.
    ///
    /// # Errors
    /// [`Error::Eigenvalues`] if an eigenvalue problem does not converge.
    pub fn principal(&self, count: usize, seed: u64) -> Result<Principal, Error> {
        let frames = self.frames();
        let most = self.rank().min(frames).min(self.pixels());
        let count = count.min(most);
        let width = (count + OVERSAMPLING + count / 4).min(most);
        let gram = self.gram_of_components();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let random: Vec<f64> = (0..frames * width)
            .map(|_| StandardNormal.sample(&mut rng))
            .collect();
        let mut basis = orthonormal(&random, frames, width);
        let mut last = vec![0.0; count];
        for _ in 0..ITERATIONS {
            let power = self.square(&gram, &basis, width);
            let values = self.ritz(&power, &basis, width)?.0;
            basis = orthonormal(&power, frames, width);
            let settled = values
                .iter()
                .zip(&last)
                .all(|(now, before)| (now - before).abs() <= SETTLED * now.abs());
            last = values[..count].to_vec();
            if settled || count == 0 {
                break;
            }
        }
        let power = self.square(&gram, &basis, width);
        let (squares, vectors) = self.ritz(&power, &basis, width)?;
        let least = SMALLEST * SMALLEST * squares.first().copied().unwrap_or(0.0);
        let values: Vec<f64> = squares
            .into_iter()
            .take(count)
            .take_while(|&square| square > least && square > 0.0)
            .map(f64::sqrt)
            .collect();
        let count = values.len();
        let vectors: Vec<f64> = vectors
            .chunks_exact(width.max(1))
            .flat_map(|row| &row[..count])
            .copied()
            .collect();
        let right = product(view(&basis, frames, width), view(&vectors, width, count));
        Ok(self.principal_from(values, &right))
    }

    /// `(U V)ᵀ (U V) · right`, with `right (frame, column)`.
    fn square(&self, gram: &Symmetric, right: &[f64], columns: usize) -> Vec<f64> {
        let factors = gram.product(&courses_times(self, right, columns), columns);
        courses_transposed_times(self, &factors, columns)
    }

    /// Squared singular values, descending, and vectors (row-major) within a basis.
    fn ritz(
        &self,
        power: &[f64],
        basis: &[f64],
        width: usize,
    ) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let frames = self.frames();
        let small = product(
            view(basis, frames, width).transpose(),
            view(power, frames, width),
        );
        let (values, vectors) = eigen(&symmetrised(&small, width))?;
        let vectors = (0..width * width)
            .map(|at| vectors[(at / width, at % width)])
            .collect();
        Ok((values, vectors))
    }

    /// Images and signs from courses `right (frame, component)`.
    fn principal_from(&self, values: Vec<f64>, right: &[f64]) -> Principal {
        let (count, frames) = (values.len(), self.frames());
        let factors = courses_times(self, right, count);
        let (planes, height, width) = self.mean().dim();
        let mut images = Array4::zeros((count, planes, height, width));
        let mut courses = Array2::zeros((count, frames));
        if let Some(images) = images.as_slice_mut() {
            images
                .par_chunks_mut(self.pixels().max(1))
                .enumerate()
                .for_each(|(component, image)| {
                    for (pixel, slot) in image.iter_mut().enumerate() {
                        let (components, weights) = self.row(pixel);
                        let sum: f64 = components
                            .iter()
                            .zip(weights)
                            .map(|(&k, &w)| f64::from(w) * factors[k as usize * count + component])
                            .sum();
                        *slot = (sum / values[component]) as f32;
                    }
                });
        }
        for (component, (mut image, mut course)) in images
            .outer_iter_mut()
            .zip(courses.outer_iter_mut())
            .enumerate()
        {
            let largest = image.iter().fold(0.0_f32, |largest, &value| {
                if value.abs() > largest.abs() {
                    value
                } else {
                    largest
                }
            });
            let sign = if largest < 0.0 { -1.0 } else { 1.0 };
            image.mapv_inplace(|value| sign * value);
            for (slot, row) in course.iter_mut().zip(right.chunks_exact(count)) {
                *slot = sign * row[component] as f32;
            }
        }
        Principal {
            images,
            values,
            courses,
        }
    }
}
