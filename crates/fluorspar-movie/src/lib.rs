//! What a calcium-imaging movie is.
//!
//! This is the ground floor of fluorspar: the one interface between file
//! formats and algorithms. Formats implement [`Movie`]; algorithms read
//! contiguous frame ranges from it in blocks whose size follows from a memory
//! [`Budget`], and hand results to a [`MovieSink`]. No algorithm asks which
//! format it was given.
//!
//! Array axes are always in the order `(frame, plane, y, x)`, row-major, and
//! pixel `(0, 0)` is the centre of the top-left pixel.
//!
//! | you have | use |
//! |---|---|
//! | an array in memory | [`ArrayMovie`] |
//! | several movies that follow each other | [`Concatenated`] |
//! | a part of a movie | [`FrameRange`] |
//! | planes and channels that follow each other as images | [`Volumes`] |
//! | one plane of a volume movie | [`Plane`] |
//! | strips of a page that lie side by side in the tissue | [`Mosaic`] |
//! | bytes that already lie as `T` | [`MovieExt::view`], no copy |
//! | a buffer of your own | [`Movie::read`], converted to `f32` |
//! | `f32` as stored samples, and back | [`to_native`], [`from_native`] |
//! | sparse cell outlines | [`Footprints`] |
//! | work of hours that may be broken off | [`Checkpoints`] |
//! | large scratch in parallel loops | [`Workspaces`] |
//!
//! ```
//! use fluorspar_movie::{ArrayMovie, Budget, Movie, MovieExt, frame_blocks};
//! use ndarray::Array3;
//!
//! let movie = ArrayMovie::new(Array3::<i16>::from_elem((100, 8, 8), 3)).with_frame_rate(30.0);
//! let shape = movie.shape();
//! let mut total = 0.0;
//! let mut block = Vec::new();
//! for frames in frame_blocks(shape.frames, shape.frame_len() * 4, Budget::default(), 1) {
//!     block.resize(frames.len() * shape.frame_len(), 0.0);
//!     movie.read(frames, &mut block)?;
//!     total += block.iter().map(|&v| f64::from(v)).sum::<f64>();
//! }
//! assert_eq!(total, 100.0 * 64.0 * 3.0);
//! assert!(movie.view::<i16>(10..20).is_some());
//! # Ok::<(), fluorspar_movie::Error>(())
//! ```

#![forbid(unsafe_code)]

mod adapter;
mod budget;
mod checkpoints;
mod convert;
mod error;
mod footprint;
mod mosaic;
mod movie;
mod plane;
mod progress;
mod sample;
mod sink;
mod vectorised;
mod volumes;
mod workspaces;

pub use adapter::{ArrayMovie, Concatenated, FrameRange};
pub use budget::{Budget, frame_blocks};
pub use checkpoints::{Checkpoints, MemoryCheckpoints};
pub use convert::{Lost, from_native, to_native};
pub use error::Error;
pub use footprint::{Footprint, Footprints, iou};
pub use mosaic::{Mosaic, Piece};
pub use movie::{Movie, MovieExt, MovieShape, check_read};
pub use plane::{Plane, check_read_plane};
pub use progress::{Progress, silent};
#[doc(hidden)]
pub use pulp;
pub use sample::{PixelType, Sample};
pub use sink::{MemorySink, MovieSink};
pub use volumes::{ImageOrder, Volumes};
pub use workspaces::{Lent, Workspaces};
