//! Fluorescence, neuropil, demixed and ΔF/F traces from footprints and a movie.
//!
//! ```text
//!                   ┌ f, neuropil ── neuropil_coefficients ── r ± error ─┐
//! Movie + ── extract┤                                                    ├─ demix ── delta_f_over_f ── presence
//! Footprints        └ projections (or those of a low-rank movie) ────────┘           ΔF/F, F0          absent,
//!            one pass                                                                                  silent, active
//! ```
//!
//! [`measure`] goes the whole way; each step can be called by itself.
//!
//! | question | answer |
//! |---|---|
//! | what would Suite2p call `F` and `Fneu`? | [`extract`]: the mean over a footprint's own pixels, and over a ring that keeps away from all ROIs ([`annuli`]) |
//! | whose light is it where ROIs overlap? | [`demix`]: non-negative least squares, exact, all frames of a group at once |
//! | how much neuropil is in a cell? | [`neuropil_coefficients`]: a fixed share, or measured with its standard error |
//! | how large is a transient, relative to rest? | [`delta_f_over_f`]: against a baseline that is positive by construction ([`Baseline`]) |
//! | was the cell silent, or not there to be seen? | [`presence`], with the smallest transient that would have been seen |
//! | and if the traces of all ROIs do not fit into memory? | [`Extractor`] and [`Demixer`] take some frames at a time, [`neuropil_slopes`] and [`measure_apart`] some ROIs |
//! | can I believe this trace? | [`Flag`], [`Contamination`]; no ROI is ever dropped |
//!
//! Results have axes `(roi, frame)` and are the same to the byte at any
//! number of threads and in any budget: frames and ROIs are spread over the
//! caller's rayon pool, and every sum runs in a fixed order in `f64`.
//!
//! ```
//! use fluorspar_movie::{ArrayMovie, Budget, Footprints, silent};
//! use fluorspar_trace::{Coefficient, Parameters, State, Valid, measure};
//! use ndarray::Array3;
//!
//! // A cell of 3 × 3 pixels that lights up once, on a background of 100.
//! let movie = Array3::from_shape_fn((600, 40, 40), |(t, y, x)| {
//!     let cell = (18..21).contains(&y) && (18..21).contains(&x);
//!     let calcium = if t >= 300 { 0.5 * (-(t as f32 - 300.0) / 10.0).exp() } else { 0.0 };
//!     100.0 + if cell { 50.0 * (1.0 + calcium) } else { 0.0 }
//! });
//! let pixels: Vec<u32> = (18..21).flat_map(|y| (18..21).map(move |x| y * 40 + x)).collect();
//! let mut footprints = Footprints::new(40, 40);
//! footprints.push(&pixels, &[1.0; 9], 0)?;
//!
//! // The neuropil never changes, so how much of it is in the cell cannot be measured.
//! let parameters = Parameters { coefficient: Coefficient::Fixed(1.0), ..Parameters::default() };
//! let cells = measure(
//!     &ArrayMovie::new(movie),
//!     &footprints,
//!     &Valid::everywhere(),
//!     &parameters,
//!     10.0, // frames per second
//!     Budget::default(),
//!     &silent,
//! )?;
//! assert_eq!(cells.traces.f[[0, 0]], 150.0);
//! assert_eq!(cells.traces.neuropil[[0, 0]], 100.0);
//! assert!((cells.delta.f0[[0, 0]] - 50.0).abs() < 0.1);
//! assert!((cells.delta.dff[[0, 300]] - 0.5).abs() < 0.01);
//! assert_eq!(cells.presence[0].state, State::Active);
//! assert!(cells.flags[0].is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod annulus;
mod baseline;
mod coefficient;
mod demix;
mod envelope;
mod error;
mod extract;
mod filters;
mod measure;
mod nnls;
mod overlaps;
mod presence;
mod rest;
mod shape;
mod statistics;
mod summary;
mod sums;
mod valid;
mod whittaker;

pub use annulus::{Annulus, NeuropilParameters, annuli};
pub use baseline::{Baseline, BaselineParameters, DeltaF, delta_f_over_f};
pub use coefficient::{
    Coefficient, CoefficientSource, Coefficients, neuropil_coefficients, neuropil_slopes,
    subtract_neuropil,
};
pub use demix::{Apart, Demixed, Demixer, demix};
pub use error::Error;
pub use extract::{Block, Extractor, Traces, extract};
pub use measure::{
    Before, Cells, Contamination, Flag, Measured, Parameters, Sharing, measure, measure_apart,
    measure_traces, measure_with,
};
pub use overlaps::Overlaps;
pub use presence::{Presence, PresenceParameters, State, presence};
pub use summary::{Summary, summaries};
pub use valid::Valid;
