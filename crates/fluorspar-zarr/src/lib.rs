//! Calcium-imaging movies and arrays in Zarr v2 and v3.
//!
//! [`MovieReader`] is a [`Movie`](fluorspar_movie::Movie) over a Zarr array with
//! axes `(t, y, x)` or `(t, z, y, x)`, [`MovieWriter`] a
//! [`MovieSink`](fluorspar_movie::MovieSink) that makes one; [`GroupWriter`] and
//! [`GroupReader`] keep named arrays and attributes together. What is written is
//! read by zarr-python 3 and every other implementation of the v3 format.
//!
//! ```text
//! movie.zarr/
//!   zarr.json      shape, type, attribute frame_rate (Hz)
//!   c/0/0/0        shard: some tens of frames = inner chunks of a few frames + index
//!   c/1/0/0
//! ```
//!
//! | you have or want | use |
//! |---|---|
//! | a movie on disk: v2, v3, OME-Zarr, sharded or not | [`MovieReader::open`] |
//! | the same from a writer that leaves out empty chunks | [`MovieReader::open_with`], [`MissingChunks::Fill`] |
//! | a movie to disk | [`MovieWriter::create`] |
//! | traces, footprints, images to disk | [`GroupWriter::create`] |
//! | the same back | [`GroupReader::open`] |
//!
//! | | read | written |
//! |---|---|---|
//! | format | v2, v3 | v3 |
//! | types | 8- to 64-bit integers, f32, f64, either byte order | the same, little-endian |
//! | codecs | blosc, zstd, gzip, crc32c, transpose, one level of sharding | blosc (lz4, bitshuffle), crc32c |
//!
//! Writers put everything into a hidden sibling folder and rename it on
//! `finish`: a reader sees the old data or the new, never a mixture, and the
//! old data are deleted last. The bytes depend on the data only, not on the
//! number of threads or the order of blocks.
//!
//! Nothing in a file is trusted: sizes are checked against [`Limits`] before
//! memory is taken, and each [`Error`] names the file, and the chunk, at fault.
//!
//! ```
//! use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType};
//! use fluorspar_zarr::{MovieReader, MovieWriter};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("movie.zarr");
//! let shape = MovieShape::new(20, 1, 32, 48);
//! let mut writer = MovieWriter::create(&path, shape, PixelType::U16, Some(30.0))?;
//! writer.write(0, &vec![7.0; 20 * 32 * 48])?;
//! writer.finish()?;
//!
//! let movie = MovieReader::open(&path)?;
//! assert_eq!((movie.shape(), movie.frame_rate()), (shape, Some(30.0)));
//! assert!(movie.read_array(5..9)?.iter().all(|&pixel| pixel == 7.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Format: the [Zarr core specification](https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html)
//! and [OME-Zarr](https://ngff.openmicroscopy.org/) (Moore et al. 2021, Nature Methods 18, 1496).

#![deny(unsafe_code)]

mod array;
mod axes;
mod block;
mod blosc;
mod codec;
mod element;
mod error;
mod group;
mod layout;
mod metadata;
mod ome;
mod options;
mod reader;
mod source;
mod staging;
mod writer;

pub use block::BlockWriter;
pub use element::{Element, ElementType};
pub use error::Error;
pub use group::{GroupReader, GroupWriter};
pub use options::{Codec, Limits, MissingChunks, OpenOptions, PixelSize, WriteOptions};
pub use reader::MovieReader;
pub use writer::MovieWriter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
