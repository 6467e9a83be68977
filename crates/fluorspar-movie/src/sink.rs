use ndarray::Array3;

use crate::{Error, MovieShape, PixelType};

/// Where a stage writes the frames of a movie.
///
/// What was written becomes visible to readers as a whole, by
/// [`MovieSink::finish`], or not at all.
pub trait MovieSink: Send {
    /// Writes consecutive frames starting at `first_frame`, axes
    /// `(frame, plane, y, x)`.
    ///
    /// # Errors
    /// [`Error::Misuse`] for frames outside the movie or out of the order the
    /// sink accepts; [`Error::Io`] or [`Error::Format`] if they cannot be stored.
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), Error>;

    /// The type of pixel that [`MovieSink::write_native`] takes; `None` for a
    /// sink that takes `f32` only.
    fn native_type(&self) -> Option<PixelType> {
        None
    }

    /// Writes consecutive frames as native-endian bytes of
    /// [`MovieSink::native_type`], unchanged; otherwise as
    /// [`MovieSink::write`]. Integers of 32 bits and doubles pass through
    /// `f32` with loss, and through here without.
    ///
    /// # Errors
    /// As [`MovieSink::write`]; [`Error::Misuse`] for a sink without a native type.
    fn write_native(&mut self, first_frame: usize, frames: &[u8]) -> Result<(), Error> {
        let _ = (first_frame, frames);
        Err(Error::misuse("this sink takes no native bytes"))
    }

    /// Commits the movie.
    ///
    /// # Errors
    /// [`Error::Misuse`] if frames are missing; [`Error::Io`] or
    /// [`Error::Format`] if the movie cannot be stored.
    fn finish(self: Box<Self>) -> Result<(), Error>;

    /// The multiple of frames at which blocks are best cut.
    fn align(&self) -> usize {
        1
    }
}

/// Collects a movie in memory, axes `(frame, plane·y, x)`; for tests and small jobs.
#[derive(Clone, Debug)]
pub struct MemorySink {
    shape: MovieShape,
    data: Array3<f32>,
}

impl MemorySink {
    /// An empty sink for a movie of `shape`; unwritten pixels are NaN.
    pub fn new(shape: MovieShape) -> Self {
        let size = (shape.frames, shape.planes * shape.height, shape.width);
        Self {
            shape,
            data: Array3::from_elem(size, f32::NAN),
        }
    }

    /// The frames so far, `(frame, plane·y, x)`.
    pub fn into_array(self) -> Array3<f32> {
        self.data
    }
}

impl MovieSink for MemorySink {
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), Error> {
        let start = first_frame * self.shape.frame_len();
        let stop = start + frames.len();
        let target = self
            .data
            .as_slice_mut()
            .and_then(|all| all.get_mut(start..stop))
            .ok_or_else(|| {
                Error::misuse(format!(
                    "{} samples at frame {first_frame} do not fit a movie of {}",
                    frames.len(),
                    self.shape
                ))
            })?;
        target.copy_from_slice(frames);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
