use std::fmt;
use std::ops::Range;

use ndarray::Array3;

use crate::plane::check_native_plane;
use crate::{
    Error, Movie, MovieShape, PixelType, Sample, check_read, check_read_plane, from_native,
};

/// A single-plane movie held in memory, axes `(frame, y, x)`.
#[derive(Clone, Debug)]
pub struct ArrayMovie<T: Sample> {
    data: Array3<T>,
    frame_rate: Option<f64>,
}

impl<T: Sample> ArrayMovie<T> {
    /// Takes `data` with axes `(frame, y, x)`; any memory order, kept row-major.
    pub fn new(data: Array3<T>) -> Self {
        let data = if data.is_standard_layout() {
            data
        } else {
            data.as_standard_layout().into_owned()
        };
        Self {
            data,
            frame_rate: None,
        }
    }

    /// States the frame rate in Hz.
    #[must_use]
    pub fn with_frame_rate(mut self, hz: f64) -> Self {
        self.frame_rate = Some(hz);
        self
    }

    fn samples(&self, frames: &Range<usize>) -> &[T] {
        let length = self.shape().frame_len();
        self.data
            .as_slice()
            .and_then(|all| all.get(frames.start * length..frames.end * length))
            .unwrap_or_default()
    }
}

impl<T: Sample> Movie for ArrayMovie<T> {
    fn shape(&self) -> MovieShape {
        let (frames, height, width) = self.data.dim();
        MovieShape::new(frames, 1, height, width)
    }

    fn pixel_type(&self) -> PixelType {
        T::PIXEL_TYPE
    }

    fn frame_rate(&self) -> Option<f64> {
        self.frame_rate
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        check_read(self.shape(), &frames, into.len())?;
        let samples = bytemuck::cast_slice(self.samples(&frames));
        from_native(T::PIXEL_TYPE, samples, into);
        Ok(())
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        check_native(self.shape(), self.pixel_type(), &frames, into.len())?;
        into.copy_from_slice(bytemuck::cast_slice(self.samples(&frames)));
        Ok(())
    }

    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        (frames.start <= frames.end && frames.end <= self.shape().frames)
            .then(|| bytemuck::cast_slice(self.samples(&frames)))
    }
}

pub(crate) fn check_native(
    shape: MovieShape,
    pixel_type: PixelType,
    frames: &Range<usize>,
    bytes: usize,
) -> Result<(), Error> {
    if !bytes.is_multiple_of(pixel_type.bytes()) {
        return Err(Error::misuse(format!(
            "a buffer of {bytes} bytes does not hold whole {pixel_type} samples"
        )));
    }
    check_read(shape, frames, bytes / pixel_type.bytes())
}

/// Several movies that follow each other in time, as one.
pub struct Concatenated {
    parts: Vec<Box<dyn Movie>>,
    /// First frame of each part, then the total.
    starts: Vec<usize>,
    shape: MovieShape,
    pixel_type: PixelType,
}

impl fmt::Debug for Concatenated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concatenated")
            .field("shape", &self.shape)
            .field("pixel_type", &self.pixel_type)
            .field("starts", &self.starts)
            .finish_non_exhaustive()
    }
}

impl Concatenated {
    /// Joins `parts` in the order given.
    ///
    /// # Errors
    /// [`Error::BadData`] if there are no parts, or if one differs from the
    /// first in planes, height, width or pixel type.
    pub fn new(parts: Vec<Box<dyn Movie>>) -> Result<Self, Error> {
        let Some(first) = parts.first() else {
            return Err(Error::bad_data("movie", "there are no files to join"));
        };
        let (mut shape, pixel_type) = (first.shape(), first.pixel_type());
        let mut starts = vec![0];
        let mut frames = 0;
        for (index, part) in parts.iter().enumerate() {
            let other = part.shape();
            if (other.planes, other.height, other.width)
                != (shape.planes, shape.height, shape.width)
            {
                return Err(Error::bad_data(
                    format!("part {index} of the movie"),
                    format!("is {other}, but the first part is {shape}"),
                ));
            }
            if part.pixel_type() != pixel_type {
                return Err(Error::bad_data(
                    format!("part {index} of the movie"),
                    format!(
                        "has {} pixels, but the first part has {pixel_type}",
                        part.pixel_type()
                    ),
                ));
            }
            frames += other.frames;
            starts.push(frames);
        }
        shape.frames = frames;
        Ok(Self {
            parts,
            starts,
            shape,
            pixel_type,
        })
    }

    /// Calls `read(part, range in part, range of the output in frames)` for each part touched.
    fn split(
        &self,
        frames: &Range<usize>,
        mut read: impl FnMut(&dyn Movie, Range<usize>, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = frames.start;
        let mut index = self.starts.partition_point(|&start| start <= at).max(1) - 1;
        while at < frames.end {
            let stop = frames.end.min(self.starts[index + 1]);
            if stop > at {
                let base = self.starts[index];
                read(
                    &*self.parts[index],
                    at - base..stop - base,
                    at - frames.start..stop - frames.start,
                )?;
                at = stop;
            }
            index += 1;
        }
        Ok(())
    }
}

impl Movie for Concatenated {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        self.pixel_type
    }

    fn frame_rate(&self) -> Option<f64> {
        self.parts.iter().find_map(Movie::frame_rate)
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        check_read(self.shape, &frames, into.len())?;
        let length = self.shape.frame_len();
        self.split(&frames, |part, range, out| {
            part.read(range, &mut into[out.start * length..out.end * length])
        })
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        check_native(self.shape, self.pixel_type, &frames, into.len())?;
        let length = self.shape.frame_len() * self.pixel_type.bytes();
        self.split(&frames, |part, range, out| {
            part.read_native(range, &mut into[out.start * length..out.end * length])
        })
    }

    fn read_plane(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        check_read_plane(self.shape, plane, &frames, into.len())?;
        let length = self.shape.height * self.shape.width;
        self.split(&frames, |part, range, out| {
            part.read_plane(
                plane,
                range,
                &mut into[out.start * length..out.end * length],
            )
        })
    }

    fn read_plane_native(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), Error> {
        check_native_plane(self.shape, self.pixel_type, plane, &frames, into.len())?;
        let length = self.shape.height * self.shape.width * self.pixel_type.bytes();
        self.split(&frames, |part, range, out| {
            part.read_plane_native(
                plane,
                range,
                &mut into[out.start * length..out.end * length],
            )
        })
    }

    fn reads_single_frames(&self) -> bool {
        self.parts.iter().all(Movie::reads_single_frames)
    }

    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        if frames.start >= frames.end || frames.end > self.shape.frames {
            return None;
        }
        let index = self.starts.partition_point(|&start| start <= frames.start) - 1;
        if frames.end > self.starts[index + 1] {
            return None;
        }
        let base = self.starts[index];
        self.parts[index].view_bytes(frames.start - base..frames.end - base)
    }
}

/// A contiguous part of another movie.
#[derive(Debug)]
pub struct FrameRange<M: Movie> {
    movie: M,
    frames: Range<usize>,
}

impl<M: Movie> FrameRange<M> {
    /// The frames `frames` of `movie`, renumbered from 0.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the range leaves the movie.
    pub fn new(movie: M, frames: Range<usize>) -> Result<Self, Error> {
        let length = frames.len() * movie.shape().frame_len();
        check_read(movie.shape(), &frames, length)?;
        Ok(Self { movie, frames })
    }

    fn shifted(&self, frames: &Range<usize>) -> Range<usize> {
        frames.start + self.frames.start..frames.end + self.frames.start
    }
}

impl<M: Movie> Movie for FrameRange<M> {
    fn shape(&self) -> MovieShape {
        MovieShape {
            frames: self.frames.len(),
            ..self.movie.shape()
        }
    }

    fn pixel_type(&self) -> PixelType {
        self.movie.pixel_type()
    }

    fn frame_rate(&self) -> Option<f64> {
        self.movie.frame_rate()
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        check_read(self.shape(), &frames, into.len())?;
        self.movie.read(self.shifted(&frames), into)
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        check_native(self.shape(), self.pixel_type(), &frames, into.len())?;
        self.movie.read_native(self.shifted(&frames), into)
    }

    fn read_plane(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        check_read_plane(self.shape(), plane, &frames, into.len())?;
        self.movie.read_plane(plane, self.shifted(&frames), into)
    }

    fn read_plane_native(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), Error> {
        check_native_plane(self.shape(), self.pixel_type(), plane, &frames, into.len())?;
        self.movie
            .read_plane_native(plane, self.shifted(&frames), into)
    }

    fn reads_single_frames(&self) -> bool {
        self.movie.reads_single_frames()
    }

    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        if frames.start > frames.end || frames.end > self.frames.len() {
            return None;
        }
        self.movie.view_bytes(self.shifted(&frames))
    }
}
