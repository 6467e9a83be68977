//! Finds active cells in a denoised calcium-imaging movie.
//!
//! ```text
//! LowRank ── high-pass and bin V ── tiles ── seeds ── grow ── refine, merge ──► Segmentation
//! ```
//!
//! Detection looks at activity, never at the mean image. [`Detector`] takes
//! one seed after another, strongest first, grows a weighted footprint by
//! regressing pixels on the seed's transients, takes its share away and goes
//! on; then all footprints are refined together, so that overlapping
//! neighbours are told apart by their time courses. ROIs come in the order of
//! falling signal-to-noise ratio; the result is the same at any thread count.

#![forbid(unsafe_code)]

mod activity;
mod component;
mod detector;
mod error;
mod parameters;
mod search;
mod stats;
mod tile;

pub use detector::{Detector, Segmentation};
pub use error::Error;
pub use parameters::Parameters;
