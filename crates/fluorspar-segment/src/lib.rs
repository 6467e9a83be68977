//! Finds active cells in a denoised calcium-imaging movie.

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
