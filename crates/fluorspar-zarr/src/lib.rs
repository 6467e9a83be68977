//! Calcium-imaging movies and arrays in Zarr.
//!
//! | to | use |
//! |---|---|
//! | read a movie: v2 or v3, `(t, y, x)` or `(t, z, y, x)`, OME-Zarr level 0 | [`MovieReader`] |
//! | write a movie: v3, sharded, compressed without loss | [`MovieWriter`] |
//! | write several named arrays and attributes | [`GroupWriter`] |
//! | read them back (v2 or v3) | [`GroupReader`] |
//!
//! Writers fill a temporary sibling folder and rename it when everything is
//! on disk: a reader sees the old content or the new, never a part. The bytes
//! written do not depend on the number of threads.
//!
//! ```
//! use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType};
//! use fluorspar_zarr::{MovieReader, MovieWriter};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("movie.zarr");
//! let shape = MovieShape::new(100, 1, 16, 16);
//! let mut writer = MovieWriter::create(&path, shape, PixelType::I16, Some(30.0))?;
//! writer.write(0, &vec![7.0; 100 * 256])?;
//! Box::new(writer).finish()?;
//!
//! let movie = MovieReader::open(&path)?;
//! assert_eq!(movie.frame_rate(), Some(30.0));
//! assert_eq!(movie.read_array(99..100)?[[0, 15, 15]], 7.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod error;
mod group;
mod replace;
mod reader;
mod store;
mod writer;

pub use error::Error;
pub use group::{Element, GroupReader, GroupWriter};
pub use reader::MovieReader;
pub use writer::MovieWriter;
