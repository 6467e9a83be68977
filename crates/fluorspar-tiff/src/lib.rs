//! Calcium-imaging movies in TIFF, without copying where the bytes allow it.
//!
//! | the file is | how its frames are read |
//! |---|---|
//! | uncompressed, native byte order, one block per page | lent from the mapping, no copy |
//! | uncompressed, other byte order | swapped on the way into your buffer |
//! | ImageJ's one directory for a whole stack, beyond 4 GB too | from the proven stride |
//! | compressed (PackBits, LZW, deflate, zstd), predicted, tiled or in scattered strips | page by page through the `tiff` crate, pages in parallel |
//! | several files | one movie, [`natural_order`] sorts `_2` before `_10` |
//!
//! Classic TIFF and BigTIFF, either byte order; one grey sample per pixel of
//! 8, 16 or 32 bits or a float. The frame rate of ScanImage, ImageJ and OME
//! files is in [`Metadata`].
//!
//! A mapped file that another program shortens is noticed before each read.
//! For files that may shrink *while* they are read (network drives), open
//! with [`Backend::Positioned`], which never maps.
//!
//! ```
//! use fluorspar_movie::{Movie as _, MovieExt, MovieShape, MovieSink, PixelType};
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
//! assert_eq!(movie.view::<i16>(2..3).unwrap()[[0, 7, 7]], 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codec;
mod compress;
mod decode;
mod describe;
mod directory;
mod directory_writer;
mod error;
mod index;
mod metadata;
mod movie;
mod options;
mod order;
mod page;
mod regular;
mod sidecar;
mod source;
mod template;
mod widen;
mod writer;

pub use compress::Compression;
pub use error::Error;
pub use metadata::{Dialect, Metadata};
pub use movie::Movie;
pub use options::{Backend, OpenOptions, Search};
pub use order::natural_order;
pub use writer::{Writer, WriterOptions};
