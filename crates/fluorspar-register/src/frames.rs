//! The frames that a reference is built from.

use fluorspar_movie::{Movie, PixelType, from_native};
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use crate::correlate::check_size;
use crate::{Error, Parameters, line_offset, shift_lines};

/// Most bytes of frames held while the reference is built, as `f32`.
const MEMORY: usize = 512 << 20;
/// Fewest frames it is built from, where the movie has them.
const FEWEST: usize = 20;
/// Frames that the offset of odd lines is found from.
const STRAIGHTENED: usize = 48;

/// Frames spread evenly over a movie, in its own type, gaps filled: lent where
/// the movie lends them, so that they cost no memory, else held.
pub(crate) struct Frames<'a> {
    pixel_type: PixelType,
    raw: Vec<&'a [u8]>,
    size: (usize, usize),
    /// Whole pixels by which odd lines are moved to the left.
    line_offset: i32,
}

impl<'a> Frames<'a> {
    /// At most `most` frames of `movie`; `held` keeps what is not lent.
    pub(crate) fn spread(
        movie: &'a dyn Movie,
        most: usize,
        held: &'a mut Vec<u8>,
    ) -> Result<Self, Error> {
        let shape = movie.shape();
        if shape.frames == 0 {
            return Err(Error::Image("the movie has no frames".into()));
        }
        if shape.planes != 1 {
            return Err(Error::Image(format!(
                "the movie has {} planes; register them one by one",
                shape.planes
            )));
        }
        check_size(shape.height, shape.width)?;
        let length = shape.frame_len();
        let fits = (MEMORY / (4 * length)).max(FEWEST);
        let count = most.min(fits).min(shape.frames);
        let number = |k: usize| k * shape.frames / count;
        let mut pixel_type = movie.pixel_type();
        let floats = matches!(pixel_type, PixelType::F32 | PixelType::F64);
        let lent = || (0..count).map(|k| movie.view_bytes(number(k)..number(k) + 1));
        let lent: Option<Vec<&[u8]>> = if floats { None } else { lent().collect() };
        let raw = if let Some(lent) = lent {
            lent
        } else if floats {
            pixel_type = PixelType::F32;
            let mut frames = Array3::zeros((count, shape.height, shape.width));
            if let Some(all) = frames.as_slice_mut() {
                all.par_chunks_exact_mut(length)
                    .enumerate()
                    .map(|(k, slot)| movie.read(number(k)..number(k) + 1, slot))
                    .collect::<Result<Vec<()>, fluorspar_movie::Error>>()?;
            }
            fill_gaps(&mut frames);
            *held = bytemuck::cast_slice(frames.as_slice().unwrap_or_default()).to_vec();
            held.chunks_exact(4 * length).collect()
        } else {
            let bytes = length * pixel_type.bytes();
            held.resize(count * bytes, 0);
            held.par_chunks_exact_mut(bytes)
                .enumerate()
                .map(|(k, slot)| movie.read_native(number(k)..number(k) + 1, slot))
                .collect::<Result<Vec<()>, fluorspar_movie::Error>>()?;
            held.chunks_exact(bytes).collect()
        };
        Ok(Self {
            pixel_type,
            raw,
            size: (shape.height, shape.width),
            line_offset: 0,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    /// Height and width.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Room for a frame.
    pub(crate) fn room(&self) -> Array2<f32> {
        Array2::zeros(self.size)
    }

    /// Frame `k`, its lines straight, into `out`.
    pub(crate) fn load(&self, k: usize, out: &mut Array2<f32>) {
        let width = self.size.1;
        if let Some(out) = out.as_slice_mut() {
            from_native(self.pixel_type, self.raw[k], out);
            shift_lines(out, width, self.line_offset);
        }
    }

    /// Corrects the offset of odd lines from now on, found out if it is not
    /// given; returns it.
    pub(crate) fn straighten(&mut self, parameters: &Parameters) -> f32 {
        let offset = parameters.line_offset.unwrap_or_else(|| {
            let step = self.len().div_ceil(STRAIGHTENED).max(1);
            let (height, width) = self.size;
            let mut some = Array3::zeros((self.len().div_ceil(step), height, width));
            for (slot, raw) in some
                .axis_iter_mut(Axis(0))
                .zip(self.raw.iter().step_by(step))
            {
                if let Some(slot) = slot.into_slice() {
                    from_native(self.pixel_type, raw, slot);
                }
            }
            line_offset(some.view(), 0..height)
        });
        self.line_offset = offset.round() as i32;
        offset
    }
}

/// Replaces pixels that are not finite by the mean of that pixel in the other
/// frames, or by 0 where no frame has it.
fn fill_gaps(frames: &mut Array3<f32>) {
    if frames.iter().all(|v| v.is_finite()) {
        return;
    }
    let mean = frames.map_axis(Axis(0), |values| {
        let (mut sum, mut n) = (0.0, 0_u32);
        for &v in values.iter().filter(|v| v.is_finite()) {
            sum += f64::from(v);
            n += 1;
        }
        (sum / f64::from(n.max(1))) as f32
    });
    for mut frame in frames.axis_iter_mut(Axis(0)) {
        frame.zip_mut_with(&mean, |v, &m| {
            if !v.is_finite() {
                *v = m;
            }
        });
    }
}
