//! Which pixels are a cell.
//!
//! ```text
//! LowRank ── Detector::detect ──► Segmentation { footprints, evidence, activity_image }
//! ```
//!
//! Cells are found by their activity in a denoised movie, through its
//! components, and refined together with a smooth background. Every ROI comes
//! with what speaks for and against its being a cell in focus; none is deleted.
//!
//! | question | answer |
//! |---|---|
//! | where are the cells? | [`Detector::detect`] |
//! | and beside those that I know? | [`Detector::detect_beside`] |
//! | is this one a cell? | [`Evidence`], [`Evidence::is_cell`] |
//! | how large are cells here? | [`estimate_diameter_in`] |
//! | boutons, dendrites? | [`Parameters::of`] with [`Class::Process`] |
//! | the same cell in several planes? | [`merge_planes`] |
//! | cells in an image, silent ones too? | [`find_in_image`], [`footprints_from_labels`] |
//!
//! ```
//! use fluorspar_denoise::{Denoiser, Parameters as Denoise};
//! use fluorspar_movie::{ArrayMovie, Budget, silent};
//! use fluorspar_segment::{Detector, Parameters};
//!
//! // One cell of nine pixels that fires every forty frames.
//! let movie = ArrayMovie::new(ndarray::Array3::from_shape_fn((400, 40, 40), |(t, y, x)| {
//!     let inside = (y as f32 - 20.0).hypot(x as f32 - 18.0) < 4.5;
//!     let calcium = (-((t % 40) as f32) / 8.0).exp();
//!     let noise = ((t * 7919 + y * 104_729 + x * 1_299_709) % 1009) as f32 / 50.0;
//!     100.0 + noise + if inside { 80.0 * calcium } else { 0.0 }
//! }));
//! let lowrank = Denoiser::new(Denoise::default())?.fit(&movie, Budget::default(), &silent)?;
//! let detector = Detector::new(Parameters { diameter: 9.0, ..Parameters::default() })?;
//! let found = detector.detect(&lowrank, 20.0, Budget::default(), &silent)?;
//! let (y, x) = found.footprints.centroid(0);
//! assert!((y - 20.0).abs() < 1.0 && (x - 18.0).abs() < 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod activity;
mod anatomy;
mod background;
mod cell;
mod detector;
mod error;
mod evidence;
mod image;
mod model;
mod outline;
mod parameters;
mod planes;
mod scale;
mod search;
mod signal;
mod stats;
mod tile;

pub use anatomy::{
    Anatomy, Labelled, Seen, find_in_image, footprints_from_label_volume, footprints_from_labels,
};
pub use detector::{Detector, Segmentation};
pub use error::Error;
pub use evidence::Evidence;
pub use parameters::{Class, Parameters};
pub use planes::{Cell, Merge, merge_planes, merge_planes_by};
pub use scale::{Scale, estimate_diameter, estimate_diameter_in};
pub use signal::{PairSums, Signal};
