use std::path::Path;

use fluorspar_movie::{MovieShape, MovieSink, PixelType};

use crate::{BlockWriter, Error, WriteOptions};

/// Writes a movie as a sharded Zarr v3 array, axes `(t, y, x)` or, with more
/// than one plane, `(t, z, y, x)`, in one go.
///
/// Blocks may come in any order. Each must start at a multiple of
/// [`MovieSink::align`] and be a multiple of it long, except the one that ends
/// the movie. A [`BlockWriter`] does the work; other than that, this writer
/// leaves nothing behind: all is written to a hidden sibling folder of its own
/// (`.NAME.….partial`), which [`MovieWriter::finish`] renames to the target
/// and a drop before it removes.
#[derive(Debug)]
pub struct MovieWriter(BlockWriter);

impl MovieWriter {
    /// Prepares to write a movie of `shape` at `path`; `frame_rate` in Hz
    /// becomes the attribute `frame_rate`.
    ///
    /// An existing `path` is untouched until [`MovieWriter::finish`]. If what
    /// stands there is not Zarr, it is then kept as `NAME.replaced-0` beside it.
    ///
    /// # Errors
    /// [`Error::Empty`] for a shape with a zero, [`Error::Limit`] for frames over
    /// 1 GiB, [`Error::Misuse`] for a frame rate that is not a positive number,
    /// [`Error::Io`] if nothing can be written beside `path`.
    pub fn create(
        path: impl AsRef<Path>,
        shape: MovieShape,
        pixel_type: PixelType,
        frame_rate: Option<f64>,
    ) -> Result<Self, Error> {
        let options = WriteOptions {
            frame_rate,
            ..WriteOptions::default()
        };
        Self::create_with(path, shape, pixel_type, &options)
    }

    /// As [`MovieWriter::create`], with codec, chunking, scales and OME-Zarr.
    ///
    /// # Errors
    /// As [`MovieWriter::create`], and [`Error::Misuse`] for options that make no sense.
    pub fn create_with(
        path: impl AsRef<Path>,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriteOptions,
    ) -> Result<Self, Error> {
        BlockWriter::create_private(path.as_ref(), shape, pixel_type, options).map(Self)
    }

    /// As [`MovieSink::write`], from native-endian samples of the movie's
    /// pixel type, without conversion.
    ///
    /// # Errors
    /// As [`BlockWriter::write_native`].
    pub fn write_native(&mut self, first_frame: usize, frames: &[u8]) -> Result<(), Error> {
        self.0.write_native(first_frame, frames)
    }

    /// Samples so far that did not fit the pixel type and took its nearest end.
    pub fn saturated(&self) -> u64 {
        self.0.saturated()
    }

    /// NaN samples so far that an integer type stored as 0.
    pub fn nan(&self) -> u64 {
        self.0.nan()
    }

    /// Commits the movie; see [`MovieSink::finish`].
    ///
    /// # Errors
    /// [`Error::Misuse`] naming the first frame that was never written,
    /// [`Error::Io`] if the movie cannot be put in place. The old target, if
    /// any, is then as it was.
    pub fn finish(self) -> Result<(), Error> {
        self.0.finish()
    }
}

impl MovieSink for MovieWriter {
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), fluorspar_movie::Error> {
        self.0.write(first_frame, frames).map_err(Into::into)
    }

    fn native_type(&self) -> Option<PixelType> {
        self.0.native_type()
    }

    fn write_native(
        &mut self,
        first_frame: usize,
        frames: &[u8],
    ) -> Result<(), fluorspar_movie::Error> {
        MovieWriter::write_native(self, first_frame, frames).map_err(Into::into)
    }

    fn finish(self: Box<Self>) -> Result<(), fluorspar_movie::Error> {
        MovieWriter::finish(*self).map_err(Into::into)
    }

    fn align(&self) -> usize {
        self.0.shard_frames()
    }
}
