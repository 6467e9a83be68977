//! Calcium-imaging movies and arrays in Zarr v2 and v3.
//!
//! [`MovieReader`] is a [`Movie`](fluorspar_movie::Movie) over a Zarr array;
//! [`MovieWriter`] and [`BlockWriter`] are [`MovieSink`](fluorspar_movie::MovieSink)s
//! that make one, the latter from many threads and over interruptions.
//! [`GroupWriter`] and [`GroupReader`] keep named arrays and attributes together.
//! What is written is read by zarr-python 3, tensorstore and every other
//! implementation of the v3 format.
//!
//! ```text
//! movie.zarr/
//!   zarr.json      shape, type, attributes frame_rate (Hz), pixel_size_um ([y, x] or [z, y, x])
//!   c/0/0/0        shard: some tens of frames = inner chunks of a few images + index
//!   c/1/0/0
//! ```
//!
//! | you have or want | use |
//! |---|---|
//! | a movie on disk: v2, v3, OME-Zarr 0.4 and 0.5, sharded or not, in a zip archive | [`MovieReader::open`] |
//! | an array or image inside a group | [`MovieReader::open`] of `movie.zarr/0`, `movie.zip/0` |
//! | one of several channels | [`OpenOptions::channel`] |
//! | the output of a writer that leaves out empty chunks | [`MissingChunks::Fill`] |
//! | a few pixels through time | [`MovieReader::read_window`] |
//! | a movie to disk, in one go | [`MovieWriter::create`] |
//! | the same in blocks from many threads, to be resumed | [`BlockWriter::create`], [`BlockWriter::resume`] |
//! | another codec, chunks for pixel access, scales, OME-Zarr 0.5 | [`WriteOptions`] |
//! | traces, footprints, images to disk and back | [`GroupWriter::create`], [`GroupReader::open`] |
//! | arrays larger than memory, some rows at a time | [`GroupWriter::begin_rows`], [`GroupReader::rows`] |
//!
//! Writers put everything into a hidden sibling folder and rename it on
//! `finish`: a reader sees the old data or the new, never a mixture, and the
//! old data are deleted last. The bytes depend on the data only, not on the
//! number of threads, the order of blocks, or interruptions.
//!
//! Nothing in a file is trusted: sizes are checked against [`Limits`] before
//! memory is taken, no chunk decodes to more than its size, and each [`Error`]
//! names the file, and the chunk, at fault.
//!
//! # Read a range as an array
//! ```
//! use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType};
//! use fluorspar_zarr::{MovieReader, MovieWriter};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("movie.zarr");
//! # let shape = MovieShape::new(20, 1, 32, 48);
//! # let mut writer = MovieWriter::create(&path, shape, PixelType::U16, Some(30.0))?;
//! # writer.write(0, &vec![7.0; 20 * 32 * 48])?;
//! # writer.finish()?;
//! let movie = MovieReader::open(&path)?;
//! println!("{:?}, {:?} Hz, {:?}", movie.shape(), movie.frame_rate(), movie.pixel_size());
//! let frames = movie.read_array(5..9)?; // (frame, y, x), f32
//! assert_eq!(frames.dim(), (4, 32, 48));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Go through a movie in blocks
//! ```
//! use fluorspar_movie::{Budget, Movie, MovieShape, MovieSink, PixelType, frame_blocks};
//! use fluorspar_zarr::{MovieReader, MovieWriter};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("movie.zarr");
//! # let shape = MovieShape::new(200, 1, 16, 16);
//! # let mut writer = MovieWriter::create(&path, shape, PixelType::U16, Some(30.0))?;
//! # writer.write(0, &vec![7.0; 200 * 256])?;
//! # writer.finish()?;
//! let movie = MovieReader::open(&path)?;
//! let shape = movie.shape();
//! let (mut block, mut sum) = (Vec::new(), 0.0);
//! // Cut where chunks end, so that nothing is decoded twice.
//! for frames in frame_blocks(shape.frames, shape.frame_len() * 4, Budget::default(), movie.chunk_frames()) {
//!     block.resize(frames.len() * shape.frame_len(), 0.0);
//!     movie.read(frames, &mut block)?;
//!     sum += block.iter().map(|&pixel| f64::from(pixel)).sum::<f64>();
//! }
//! assert_eq!(sum, 7.0 * 200.0 * 256.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Write, and go on after an interruption
//! ```
//! use fluorspar_movie::{MovieShape, PixelType};
//! use fluorspar_zarr::{BlockWriter, PixelSize, WriteOptions};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("movie.zarr");
//! let shape = MovieShape::new(300, 1, 16, 16); // frames, planes, height, width
//! let options = WriteOptions {
//!     frame_rate: Some(30.0),
//!     pixel_size: Some(PixelSize { y: 1.1, x: 1.1, z: None }),
//!     ome: true, // shown with its scales by image viewers
//!     ..WriteOptions::default()
//! };
//! // A second run of this program does only what the first one left undone.
//! let writer = BlockWriter::resume_or_create(&path, shape, PixelType::I16, &options)?;
//! std::thread::scope(|scope| {
//!     for missing in writer.missing() {
//!         for start in missing.clone().step_by(writer.shard_frames()) {
//!             let stop = (start + writer.shard_frames()).min(missing.end);
//!             let writer = &writer;
//!             scope.spawn(move || writer.write(start, &vec![1.0; (stop - start) * 256]));
//!         }
//!     }
//! });
//! writer.finish()?;
//! # assert_eq!(fluorspar_zarr::MovieReader::open(&path)?.pixel_size(), options.pixel_size);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Format: the [Zarr core specification](https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html)
//! and [OME-Zarr](https://ngff.openmicroscopy.org/) (Moore et al. 2021, Nature Methods 18, 1496).
//!
//! # What is read and written
#![doc = include_str!("../COMPATIBILITY.md")]
#![deny(unsafe_code)]

mod array;
mod axes;
mod block;
mod blosc;
mod codec;
mod element;
mod error;
mod flush;
mod group;
mod layout;
mod metadata;
mod ome;
mod options;
mod reader;
mod rows;
mod source;
mod staging;
mod unfinished;
mod writer;

pub use block::BlockWriter;
pub use element::{Element, ElementType};
pub use error::Error;
pub use group::{GroupReader, GroupWriter};
pub use options::{Codec, Limits, MissingChunks, OpenOptions, PixelSize, WriteOptions};
pub use reader::MovieReader;
pub use rows::RowWriter;
pub use writer::MovieWriter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
