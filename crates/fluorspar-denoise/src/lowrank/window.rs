use std::ops::Range;

use fluorspar_movie::vectorised;
use ndarray::Array4;
use rayon::prelude::*;

use super::LowRank;
use super::kernel::{Scratch, accumulate, rows_together};
use crate::Error;

/// Frames that one task computes.
const TASK: usize = 512;

impl LowRank {
    /// Any sub-volume `(frame, plane, y, x)` in the movie's units, mean included.
    ///
    /// Only what is asked for is computed, and it is to the bit what
    /// [`Movie::read`](fluorspar_movie::Movie::read) gives there. Ranges may be empty.
    ///
    /// # Errors
    /// [`Error::Input`] if a range leaves the movie.
    pub fn window(
        &self,
        frames: Range<usize>,
        planes: Range<usize>,
        y: Range<usize>,
        x: Range<usize>,
    ) -> Result<Array4<f32>, Error> {
        for (name, range, length) in [
            ("frames", &frames, self.frames()),
            ("planes", &planes, self.planes()),
            ("rows", &y, self.height()),
            ("columns", &x, self.width()),
        ] {
            within(name, range, length)?;
        }
        let rows: Vec<usize> = planes
            .clone()
            .flat_map(|plane| y.clone().map(move |y| plane * self.height() + y))
            .map(|row| row * self.width() + x.start)
            .collect();
        let mut out = Array4::zeros((frames.len(), planes.len(), y.len(), x.len()));
        if let Some(values) = out.as_slice_mut() {
            self.fill(&rows, x.len(), &frames, values);
        }
        Ok(out)
    }

    /// The time course `(frame)` of one pixel in the movie's units, mean
    /// included. Pixels count `(plane · height + y) · width + x`.
    ///
    /// # Errors
    /// [`Error::Input`] if the movie has no such pixel.
    pub fn trace(&self, pixel: usize) -> Result<Vec<f32>, Error> {
        let mean = *self
            .mean_values()
            .get(pixel)
            .ok_or_else(|| Error::Input(format!("the movie has no pixel {pixel}")))?;
        let (components, weights) = self.row(pixel);
        let mut trace = vec![0.0; self.frames()];
        for (&k, &weight) in components.iter().zip(weights) {
            accumulate(&mut trace, weight, self.course(k as usize));
        }
        for value in &mut trace {
            *value += mean;
        }
        Ok(trace)
    }

    /// Computes `(frame, row, x)`: pieces of image rows of equal width, given
    /// by their first pixels.
    pub(super) fn fill(
        &self,
        rows: &[usize],
        width: usize,
        frames: &Range<usize>,
        into: &mut [f32],
    ) {
        let frame_len = rows.len() * width;
        if frame_len == 0 {
            return;
        }
        let together = rows_together(width);
        let tasks = into.par_chunks_mut(TASK * frame_len).enumerate();
        tasks.for_each(|(task, into)| {
            let start = frames.start + task * TASK;
            let now = start..start + into.len() / frame_len;
            // Each strip of rows with its part of every frame.
            let mut strips: Vec<(&[usize], Vec<&mut [f32]>)> = rows
                .chunks(together)
                .map(|rows| (rows, Vec::new()))
                .collect();
            for frame in into.chunks_exact_mut(frame_len) {
                for (strip, part) in strips.iter_mut().zip(frame.chunks_mut(together * width)) {
                    strip.1.push(part);
                }
            }
            strips
                .into_par_iter()
                .for_each_init(Scratch::default, |scratch, (rows, mut parts)| {
                    scratch.strip(self, rows, width, &now, |chunk| {
                        let parts = &mut parts[chunk.start..chunk.start + chunk.frames];
                        for (frame, part) in parts.iter_mut().enumerate() {
                            for (row, slots) in part.chunks_exact_mut(width).enumerate() {
                                let mean = &self.mean_values()[rows[row]..][..width];
                                add_mean(slots, chunk.row(frame, row), mean);
                            }
                        }
                    });
                });
        });
    }
}

vectorised! {
    fn add_mean<'a>(slots: &'a mut [f32], sums: &'a [f32], mean: &'a [f32]) {
        for ((slot, &sum), &mean) in slots.iter_mut().zip(sums).zip(mean) {
            *slot = sum + mean;
        }
    }
}

/// Checks a range that a caller asks for.
pub(super) fn within(name: &str, range: &Range<usize>, length: usize) -> Result<(), Error> {
    if range.start > range.end || range.end > length {
        return Err(Error::Input(format!(
            "{name} {}..{} asked of a movie of {length}",
            range.start, range.end
        )));
    }
    Ok(())
}
