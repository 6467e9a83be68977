use std::ops::Range;

use fluorspar_movie::{Footprints, vectorised};
use ndarray::Array2;
use rayon::prelude::*;

use super::LowRank;
use super::dense::{PIECE, courses, product, symmetric, view};
use super::symmetric::Symmetric;
use super::window::within;
use crate::Error;

vectorised! {
    /// `sums += weight · course`.
    fn accumulate<'a>(sums: &'a mut [f64], weight: f64, course: &'a [f32]) {
        for (sum, &value) in sums.iter_mut().zip(course) {
            *sum += weight * f64::from(value);
        }
    }
}

impl LowRank {
    /// The denoised movie (mean included) summed over the pixels of each
    /// footprint with its weights `(roi, frame)`: `(Aᵀ U) V + Aᵀ mean`, in
    /// the movie's units times the footprint's. Divide by the sum of a
    /// footprint's weights for a weighted mean.
    ///
    /// # Errors
    /// [`Error::Input`] if the footprints are of images of another size or
    /// lie in a plane that the movie does not have.
    pub fn project(&self, footprints: &Footprints) -> Result<Array2<f32>, Error> {
        let (height, width) = (self.height(), self.width());
        if (footprints.height(), footprints.width()) != (height, width) {
            return Err(Error::Input(format!(
                "footprints in images of {} × {} px do not fit a movie of {height} × {width} px",
                footprints.height(),
                footprints.width()
            )));
        }
        if let Some(plane) = footprints
            .planes()
            .iter()
            .find(|&&plane| plane as usize >= self.planes())
        {
            return Err(Error::Input(format!(
                "a footprint lies in plane {plane} of {}",
                self.planes()
            )));
        }
        let mut out = Array2::zeros((footprints.len(), self.frames()));
        let Some(values) = out.as_slice_mut().filter(|values| !values.is_empty()) else {
            return Ok(out);
        };
        values
            .par_chunks_mut(self.frames())
            .enumerate()
            .for_each_init(
                || (vec![0.0; self.rank()], vec![0.0; self.frames()]),
                |(dense, sums), (roi, out)| {
                    let footprint = footprints.get(roi);
                    let offset = footprint.plane as usize * height * width;
                    let pixels = footprint.indices.iter().map(|&at| offset + at as usize);
                    let mean = self.gather(pixels, footprint.weights, dense);
                    for (k, weight) in dense.iter_mut().enumerate() {
                        if *weight != 0.0 {
                            accumulate(sums, *weight, self.course(k));
                            *weight = 0.0;
                        }
                    }
                    for (value, sum) in out.iter_mut().zip(sums) {
                        *value = (std::mem::take(sum) + mean) as f32;
                    }
                },
            );
        Ok(out)
    }

    /// Adds the weighted rows of U to `dense (component)`; gives the weighted mean.
    fn gather(
        &self,
        pixels: impl Iterator<Item = usize>,
        weights: &[f32],
        dense: &mut [f64],
    ) -> f64 {
        let mut mean = 0.0;
        for (pixel, &weight) in pixels.zip(weights) {
            let weight = f64::from(weight);
            mean += weight * f64::from(self.mean_values()[pixel]);
            let (components, entries) = self.row(pixel);
            for (&k, &entry) in components.iter().zip(entries) {
                dense[k as usize] += weight * f64::from(entry);
            }
        }
        mean
    }

    /// Inner products over pixels of the components' images `UᵀU`
    /// `(component, component)`, in the movie's units squared.
    ///
    /// Stored are the pairs that meet in a pixel. Sums are in double
    /// precision, in the order of pixels.
    pub fn gram_of_components(&self) -> Symmetric {
        let rank = self.rank();
        // U by columns: pixels of each component, ascending.
        let mut pixels: Vec<Vec<u32>> = vec![Vec::new(); rank];
        for pixel in 0..self.pixels() {
            for &k in self.row(pixel).0 {
                pixels[k as usize].push(pixel as u32);
            }
        }
        let upper: Vec<Vec<(u32, f64)>> = pixels
            .par_iter()
            .enumerate()
            .map_init(
                || (vec![0.0; rank], vec![false; rank]),
                |(sums, seen), (i, pixels)| {
                    let mut met = Vec::new();
                    for &pixel in pixels {
                        let (components, weights) = self.row(pixel as usize);
                        let from = components.partition_point(|&k| (k as usize) < i);
                        let own = weights.get(from).map_or(0.0, |&w| f64::from(w));
                        for (&j, &weight) in components.iter().zip(weights).skip(from) {
                            if !seen[j as usize] {
                                seen[j as usize] = true;
                                met.push(j);
                            }
                            sums[j as usize] += own * f64::from(weight);
                        }
                    }
                    met.sort_unstable();
                    met.into_iter()
                        .map(|j| {
                            seen[j as usize] = false;
                            (j, std::mem::take(&mut sums[j as usize]))
                        })
                        .collect()
                },
            )
            .collect();
        Symmetric::from_upper(&upper)
    }

    /// Inner products over pixels of some frames of the movie without its
    /// mean image `(frame, frame)`, in the movie's units squared:
    /// `Vᵀ (UᵀU) V`, in double precision.
    ///
    /// Takes a number of operations of about half the number of components
    /// times that of frames squared.
    ///
    /// # Errors
    /// [`Error::Input`] if the range leaves the movie.
    pub fn gram_of_frames(&self, frames: Range<usize>) -> Result<Array2<f64>, Error> {
        within("frames", &frames, self.frames())?;
        let (rank, gram) = (self.rank(), self.gram_of_components());
        let range = |k: usize| {
            let start = frames.start + k * PIECE;
            start..frames.end.min(start + PIECE)
        };
        Ok(symmetric(frames.len(), |i| {
            let rows = range(i).len();
            let images = gram.product(&courses(self, 0..rank, range(i)), rows);
            let images = view(&images, rank, rows).transpose();
            (0..=i)
                .map(|j| {
                    let columns = courses(self, 0..rank, range(j));
                    product(images, view(&columns, rank, range(j).len()))
                })
                .collect()
        }))
    }
}
