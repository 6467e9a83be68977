//! Volumes of a movie that references are built from.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use fluorspar_movie::{ArrayMovie, Movie, MovieShape, PixelType, check_read};
use ndarray::{Array2, Array3, ArrayView3, Axis};
use rayon::prelude::*;

use crate::{Error, Parameters, Reference, Shift, apply, shift_lines};

/// Most volumes that references are built from.
pub(crate) const VOLUMES: usize = 200;
/// Volumes that the plane of most structure is looked for in.
pub(crate) const FIRST: usize = 20;
/// Most bytes of frames held while references are built, beside some volumes.
pub(crate) const MEMORY: usize = 256 << 20;

/// The shared shift of every volume of a sample, and those of its planes.
pub(crate) type Placed = Vec<(Shift, Vec<Shift>)>;

/// The plane whose frames are most like their own mean.
pub(crate) fn strongest_plane(movie: &dyn Movie, parameters: &Parameters) -> Result<usize, Error> {
    let shape = movie.shape();
    if shape.planes == 1 {
        return Ok(0);
    }
    let few = Parameters {
        reference_frames: FIRST,
        ..parameters.clone()
    };
    let sample = Sample::of(movie, FIRST, 0);
    let count = sample.numbers.len();
    let group = (MEMORY / (4 * count * shape.height * shape.width)).max(1);
    let mut strongest = (0, f32::NEG_INFINITY);
    for first in (0..shape.planes).step_by(group) {
        let group = first..(first + group).min(shape.planes);
        let mut frames: Vec<Array3<f32>> = group
            .clone()
            .map(|_| Array3::zeros((count, shape.height, shape.width)))
            .collect();
        sample.each(|k, volume| {
            for (plane, frames) in group.clone().zip(&mut frames) {
                let mut slot = frames.index_axis_mut(Axis(0), k);
                slot.assign(&volume.index_axis(Axis(0), plane));
            }
        })?;
        for (plane, frames) in group.zip(frames) {
            let reference = Reference::build(&ArrayMovie::new(frames), &few)?;
            let found = reference.usual_quality().unwrap_or(0.0);
            if found > strongest.1 {
                strongest = (plane, found);
            }
        }
    }
    Ok(strongest.0)
}

/// Volumes spread evenly over a movie.
pub(crate) struct Sample<'a> {
    movie: &'a dyn Movie,
    pub(crate) numbers: Vec<usize>,
    line_offset: i32,
}

impl<'a> Sample<'a> {
    pub(crate) fn of(movie: &'a dyn Movie, most: usize, line_offset: i32) -> Self {
        let frames = movie.shape().frames;
        let count = most.min(VOLUMES).min(frames);
        Self {
            movie,
            numbers: (0..count).map(|k| k * frames / count).collect(),
            line_offset,
        }
    }

    /// About `most` of them, by turns from even and odd places.
    pub(crate) fn some(&self, most: usize) -> Self {
        let step = self.numbers.len().div_ceil(most).max(1) | 1;
        Self {
            movie: self.movie,
            numbers: self.numbers.iter().copied().step_by(step).collect(),
            line_offset: self.line_offset,
        }
    }

    /// Hands over every volume `(plane, y, x)` with its place in the sample.
    /// Odd lines are moved; what is not a number becomes the mean of its image.
    pub(crate) fn each(
        &self,
        mut work: impl FnMut(usize, ArrayView3<'_, f32>),
    ) -> Result<(), Error> {
        let shape = self.movie.shape();
        let mut volume = Array3::zeros((shape.planes, shape.height, shape.width));
        for (k, &frame) in self.numbers.iter().enumerate() {
            if let Some(pixels) = volume.as_slice_mut() {
                self.movie.read(frame..frame + 1, pixels)?;
                pixels
                    .par_chunks_exact_mut(shape.height * shape.width)
                    .for_each(|image| {
                        fill_gaps(image);
                        shift_lines(image, shape.width, self.line_offset);
                    });
            }
            work(k, volume.view());
        }
        Ok(())
    }

    /// Means of the better half of the volumes, each plane where it belongs
    /// `(plane, y, x)`: one for each of `parts`, of every so manieth volume.
    /// Each plane's mean shift is taken off.
    pub(crate) fn averages(
        &self,
        shifts: &Placed,
        parts: usize,
    ) -> Result<Vec<Array3<f32>>, Error> {
        let quality = |k: usize| shifts[k].0.quality;
        let mut order: Vec<usize> = Vec::new();
        for part in 0..parts {
            let mut own: Vec<usize> = (part..shifts.len()).step_by(parts).collect();
            own.retain(|&k| quality(k) > 0.0);
            own.sort_by(|&a, &b| quality(b).total_cmp(&quality(a)).then(a.cmp(&b)));
            own.truncate((own.len() / 2).max((FIRST / parts).min(own.len())));
            order.extend(own);
        }
        order.sort_unstable();
        let shape = self.movie.shape();
        let n = order.len().max(1) as f32;
        let middle = |plane: usize| {
            let sum = |part: fn(&Shift) -> f32| {
                order
                    .iter()
                    .map(|&k| part(&shifts[k].1[plane]))
                    .sum::<f32>()
            };
            (sum(|s| s.dy) / n, sum(|s| s.dx) / n)
        };
        let middles: Vec<(f32, f32)> = (0..shape.planes).map(middle).collect();
        let chosen = Self {
            movie: self.movie,
            numbers: order.iter().map(|&k| self.numbers[k]).collect(),
            line_offset: self.line_offset,
        };
        let mut sums = vec![vec![0.0_f64; shape.frame_len()]; parts];
        chosen.each(|place, volume| {
            let shifts = &shifts[order[place]].1;
            sums[order[place] % parts]
                .par_chunks_exact_mut(shape.height * shape.width)
                .enumerate()
                .for_each_init(
                    || Array2::<f32>::zeros((shape.height, shape.width)),
                    |moved, (plane, sums)| {
                        let (shift, (my, mx)) = (shifts[plane], middles[plane]);
                        let image = volume.index_axis(Axis(0), plane);
                        apply(image, (shift.dy - my, shift.dx - mx), moved.view_mut());
                        for (sum, &value) in sums.iter_mut().zip(moved.iter()) {
                            *sum += f64::from(value);
                        }
                    },
                );
        })?;
        let size = (shape.planes, shape.height, shape.width);
        let means = sums.into_iter().enumerate().map(|(part, sums)| {
            let n = order.iter().filter(|&&k| k % parts == part).count().max(1);
            let mean = sums.into_iter().map(|v| (v / n as f64) as f32).collect();
            Array3::from_shape_vec(size, mean).unwrap_or_default()
        });
        Ok(means.collect())
    }
}

/// Gives pixels that are not finite the mean of the others, 0 if there are none.
fn fill_gaps(image: &mut [f32]) {
    if image.iter().all(|v| v.is_finite()) {
        return;
    }
    let (mut sum, mut n) = (0.0, 0.0);
    for &value in image.iter().filter(|v| v.is_finite()) {
        sum += f64::from(value);
        n += 1.0;
    }
    let mean = if n > 0.0 { (sum / n) as f32 } else { 0.0 };
    for value in image.iter_mut().filter(|v| !v.is_finite()) {
        *value = mean;
    }
}

/// One plane of a movie. Volumes are read one at a time.
pub(crate) struct OnePlane<'a> {
    movie: &'a dyn Movie,
    number: usize,
    volume: Mutex<Vec<f32>>,
}

impl<'a> OnePlane<'a> {
    pub(crate) fn new(movie: &'a dyn Movie, plane: usize) -> Self {
        Self {
            movie,
            number: plane,
            volume: Mutex::new(vec![0.0; movie.shape().frame_len()]),
        }
    }
}

impl Movie for OnePlane<'_> {
    fn shape(&self) -> MovieShape {
        MovieShape {
            planes: 1,
            ..self.movie.shape()
        }
    }

    fn pixel_type(&self) -> PixelType {
        self.movie.pixel_type()
    }

    fn frame_rate(&self) -> Option<f64> {
        self.movie.frame_rate()
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape(), &frames, into.len())?;
        let length = self.shape().frame_len();
        // What a panicking thread left is overwritten.
        let mut volume = self.volume.lock().unwrap_or_else(PoisonError::into_inner);
        for (frame, out) in frames.zip(into.chunks_exact_mut(length)) {
            self.movie.read(frame..frame + 1, &mut volume)?;
            out.copy_from_slice(&volume[self.number * length..(self.number + 1) * length]);
        }
        Ok(())
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let length = self.shape().frame_len() * self.pixel_type().bytes();
        let mut volume = vec![0; length * self.movie.shape().planes];
        for (frame, out) in frames.zip(into.chunks_exact_mut(length.max(1))) {
            self.movie.read_native(frame..frame + 1, &mut volume)?;
            out.copy_from_slice(&volume[self.number * length..(self.number + 1) * length]);
        }
        Ok(())
    }
}
