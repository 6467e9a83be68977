use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array3, ArrayView3};

use crate::plane::{check_native_plane, pick};
use crate::{Error, PixelType, Sample, check_read_plane};

/// Extent of a movie along `(frame, plane, y, x)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MovieShape {
    /// Number of frames (t).
    pub frames: usize,
    /// Number of planes (z); 1 for a single-plane movie.
    pub planes: usize,
    /// Rows (y) in pixels.
    pub height: usize,
    /// Columns (x) in pixels.
    pub width: usize,
}

impl MovieShape {
    /// A shape from its four extents.
    pub const fn new(frames: usize, planes: usize, height: usize, width: usize) -> Self {
        Self {
            frames,
            planes,
            height,
            width,
        }
    }

    /// Pixels in one frame, all planes together.
    pub const fn frame_len(&self) -> usize {
        self.planes * self.height * self.width
    }
}

impl std::fmt::Display for MovieShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} frames × ", self.frames)?;
        if self.planes > 1 {
            write!(f, "{} planes × ", self.planes)?;
        }
        write!(f, "{} × {} px", self.height, self.width)
    }
}

/// A movie that can be read in any contiguous range of frames, from several
/// threads at once.
pub trait Movie: Send + Sync {
    /// The extent.
    fn shape(&self) -> MovieShape;

    /// The stored type of a pixel.
    fn pixel_type(&self) -> PixelType;

    /// Frames per second (Hz), if the source says.
    fn frame_rate(&self) -> Option<f64> {
        None
    }

    /// Reads `frames` as `f32` into a caller's buffer, axes
    /// `(frame, plane, y, x)`.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the range leaves the movie or the buffer's length
    /// is not `frames.len() * shape().frame_len()`; otherwise whatever the
    /// source reports about unreadable data.
    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error>;

    /// Reads `frames` as native-endian bytes of [`Movie::pixel_type`], axes
    /// `(frame, plane, y, x)`.
    ///
    /// # Errors
    /// As [`Movie::read`]; the buffer's length is in bytes.
    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error>;

    /// Reads one plane of `frames` as `f32`, axes `(frame, y, x)`.
    ///
    /// By default whole frames are read, one by one, and the other planes
    /// thrown away; implement it where planes can be reached alone.
    ///
    /// # Errors
    /// As [`Movie::read`], for a buffer of `frames.len() · height · width`
    /// samples; [`Error::Misuse`] if there is no such plane.
    fn read_plane(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        let shape = self.shape();
        check_read_plane(shape, plane, &frames, into.len())?;
        pick((plane, shape.planes), frames, into, |frames, out| {
            self.read(frames, out)
        })
    }

    /// Reads one plane of `frames` as [`Movie::read_native`] would, axes
    /// `(frame, y, x)`.
    ///
    /// # Errors
    /// As [`Movie::read_plane`]; the buffer's length is in bytes.
    fn read_plane_native(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), Error> {
        let shape = self.shape();
        check_native_plane(shape, self.pixel_type(), plane, &frames, into.len())?;
        pick((plane, shape.planes), frames, into, |frames, out| {
            self.read_native(frames, out)
        })
    }

    /// Whether frames read one by one, by several threads, cost no more than
    /// read together: not where several of them are compressed as one.
    fn reads_single_frames(&self) -> bool {
        false
    }

    /// Lends the native-endian bytes of `frames` where they already lie in
    /// memory (or in a mapped file) as [`Movie::read_native`] would give
    /// them, aligned for the pixel type; `None` otherwise.
    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        let _ = frames;
        None
    }
}

/// Conveniences on every [`Movie`].
pub trait MovieExt: Movie {
    /// Lends `frames` without a copy as `(frame, plane·y, x)`, if the stored
    /// type is `T` and the bytes allow it.
    fn view<T: Sample>(&self, frames: Range<usize>) -> Option<ArrayView3<'_, T>> {
        if T::PIXEL_TYPE != self.pixel_type() {
            return None;
        }
        let shape = self.shape();
        let length = frames.len();
        let samples = bytemuck::try_cast_slice(self.view_bytes(frames)?).ok()?;
        ArrayView3::from_shape((length, shape.planes * shape.height, shape.width), samples).ok()
    }

    /// Reads `frames` into a new array `(frame, plane·y, x)`.
    ///
    /// # Errors
    /// As [`Movie::read`].
    fn read_array(&self, frames: Range<usize>) -> Result<Array3<f32>, Error> {
        let shape = self.shape();
        check_range(shape, &frames)?;
        let mut out = Array3::zeros((frames.len(), shape.planes * shape.height, shape.width));
        if let Some(buffer) = out.as_slice_mut() {
            self.read(frames, buffer)?;
        }
        Ok(out)
    }
}

impl<M: Movie + ?Sized> MovieExt for M {}

fn check_range(shape: MovieShape, frames: &Range<usize>) -> Result<(), Error> {
    if frames.start > frames.end || frames.end > shape.frames {
        return Err(Error::misuse(format!(
            "frames {}..{} asked of a movie of {} frames",
            frames.start, frames.end, shape.frames
        )));
    }
    Ok(())
}

/// Checks a read request; for those who implement [`Movie`].
/// `buffer_len` is in samples.
///
/// # Errors
/// [`Error::Misuse`] if the range leaves the movie or the buffer's length does
/// not fit the range.
pub fn check_read(
    shape: MovieShape,
    frames: &Range<usize>,
    buffer_len: usize,
) -> Result<(), Error> {
    check_range(shape, frames)?;
    let needed = frames.len().checked_mul(shape.frame_len());
    if needed != Some(buffer_len) {
        return Err(Error::misuse(format!(
            "a buffer of {buffer_len} samples cannot take {} frames of {} pixels",
            frames.len(),
            shape.frame_len()
        )));
    }
    Ok(())
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<M: Movie + ?Sized> Movie for $t {
            fn shape(&self) -> MovieShape {
                (**self).shape()
            }
            fn pixel_type(&self) -> PixelType {
                (**self).pixel_type()
            }
            fn frame_rate(&self) -> Option<f64> {
                (**self).frame_rate()
            }
            fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
                (**self).read(frames, into)
            }
            fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
                (**self).read_native(frames, into)
            }
            fn read_plane(
                &self,
                plane: usize,
                frames: Range<usize>,
                into: &mut [f32],
            ) -> Result<(), Error> {
                (**self).read_plane(plane, frames, into)
            }
            fn read_plane_native(
                &self,
                plane: usize,
                frames: Range<usize>,
                into: &mut [u8],
            ) -> Result<(), Error> {
                (**self).read_plane_native(plane, frames, into)
            }
            fn reads_single_frames(&self) -> bool {
                (**self).reads_single_frames()
            }
            fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
                (**self).view_bytes(frames)
            }
        }
    )*};
}
forward!(&M, Box<M>, Arc<M>);
