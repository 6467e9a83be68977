//! Calcium-imaging movies in TIFF, without copying where the bytes allow it.
//!
//! | the file is | how its frames are read |
//! |---|---|
//! | uncompressed, native byte order, one block per page | lent from the mapping, no copy |
//! | uncompressed, other byte order | swapped on the way into your buffer |
//! | ImageJ's one directory for a whole stack, beyond 4 GB too | from one offset |
//! | pages at equal distances (ScanImage and most others) | from a few dozen directories; each page is checked when it is read |
//! | compressed, predicted, tiled or in scattered strips | pages in parallel |
//! | several files | one movie, [`natural_order`] sorts `_2` before `_10` |
//!
//! The frame rate of ScanImage, ImageJ and OME files is in [`Metadata`]. What
//! is read, type by type, stands at the end of this page.
//!
//! Long scans keep no more of a mapping resident than
//! [`OpenOptions::resident`]. A mapped file that another program shortens is
//! noticed before each read. For files that may shrink *while* they are read
//! (network drives), open with [`Backend::Positioned`], which never maps.
//!
//! Read a range of frames as an array, and block by block:
//!
//! ```
//! use fluorspar_movie::{Budget, Movie as _, MovieExt, MovieShape, MovieSink, PixelType, frame_blocks};
//! use fluorspar_tiff::{Dialect, Movie, Writer, WriterOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("movie.tif");
//! let options = WriterOptions { frame_rate: Some(30.0), dialect: Dialect::ScanImage, ..WriterOptions::default() };
//! let mut writer = Writer::create(&path, MovieShape::new(5, 1, 8, 8), PixelType::I16, &options)?;
//! writer.write(0, &[3.0; 5 * 64])?;
//! Box::new(writer).finish()?;
//!
//! let movie = Movie::open(&path)?;
//! assert_eq!(movie.frame_rate(), Some(30.0));
//! let frames = movie.read_array(1..4)?; // (frame, y, x), f32
//! assert_eq!(frames[[0, 7, 7]], 3.0);
//! assert_eq!(movie.view::<i16>(2..3).unwrap()[[0, 7, 7]], 3); // no copy
//!
//! let shape = movie.shape();
//! let mut block = Vec::new();
//! for frames in frame_blocks(shape.frames, shape.frame_len() * 4, Budget::default(), 1) {
//!     block.resize(frames.len() * shape.frame_len(), 0.0);
//!     movie.read(frames, &mut block)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Formats: [TIFF 6.0](https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf) (Adobe 1992)
//! and [BigTIFF](https://www.awaresystems.be/imaging/tiff/bigtiff.html).
//!
#![doc = include_str!("../COMPATIBILITY.md")]

mod codec;
mod compress;
mod decode;
mod describe;
mod directory;
mod directory_writer;
mod error;
mod index;
mod light_beads;
mod metadata;
mod movie;
mod mroi;
mod options;
mod order;
mod page;
mod regular;
mod sidecar;
mod source;
mod template;
mod texts;
mod widen;
mod writer;

pub use compress::Compression;
pub use error::Error;
pub use light_beads::{PlaneOrder, PlaneTable, plane_order};
pub use metadata::{Dialect, Interleaving, Metadata, OmeFile, OmePixels, ScanImage, Stack};
pub use movie::Movie;
pub use mroi::{MroiLayout, Strip};
pub use options::{Backend, OpenOptions, Search};
pub use order::natural_order;
pub use writer::{Writer, WriterOptions};
