//! Raw calcium movies to an answer about representational drift: the
//! fluorspar crates under one name.
//!
//! Each module is a crate of its own and can be used without the others; each
//! has a feature of its name here, all on by default.
//!
//! ```
//! use fluorspar::movie::{ArrayMovie, Budget, silent};
//! use fluorspar::register::{Parameters, Reference, Registrar, register};
//!
//! let movie = ArrayMovie::new(ndarray::Array3::from_shape_fn((20, 32, 32), |(_, y, x)| {
//!     ((y * y * 3 + x * x * 5 + y * x) % 97) as i16
//! }));
//! let parameters = Parameters::default();
//! let reference = Reference::build(&movie, &parameters)?;
//! let registrar = Registrar::new(&reference, &parameters)?;
//! let motion = register(&movie, &registrar, None, Budget::default(), &silent)?.motion;
//! assert_eq!(motion.dy.len(), 20);
//! # Ok::<(), fluorspar::register::Error>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "decode")]
pub use fluorspar_decode as decode;
#[cfg(feature = "deconvolve")]
pub use fluorspar_deconvolve as deconvolve;
#[cfg(feature = "denoise")]
pub use fluorspar_denoise as denoise;
#[cfg(feature = "drift")]
pub use fluorspar_drift as drift;
pub use fluorspar_movie as movie;
#[cfg(feature = "pipeline")]
pub use fluorspar_pipeline as pipeline;
#[cfg(feature = "register")]
pub use fluorspar_register as register;
#[cfg(feature = "report")]
pub use fluorspar_report as report;
#[cfg(feature = "segment")]
pub use fluorspar_segment as segment;
#[cfg(feature = "simulate")]
pub use fluorspar_simulate as simulate;
#[cfg(feature = "tiff")]
pub use fluorspar_tiff as tiff;
#[cfg(feature = "trace")]
pub use fluorspar_trace as trace;
#[cfg(feature = "track")]
pub use fluorspar_track as track;
#[cfg(feature = "zarr")]
pub use fluorspar_zarr as zarr;
