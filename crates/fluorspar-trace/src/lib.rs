//! Fluorescence, neuropil and ΔF/F traces from footprints and a movie.
//!
//! ```text
//! Movie + Footprints ── extract ──► Traces { f, neuropil } ── delta_f_over_f ──► DeltaF { dff, f0 }
//!                       one pass                              each ROI by itself
//! ```
//!
//! | question | answer |
//! |---|---|
//! | how bright is an ROI in a frame? | [`extract`]: the footprint's weighted mean |
//! | how bright is what surrounds it? | [`Annulus`]: the mean over a ring that keeps away from all ROIs |
//! | how large is a transient, relative to rest? | [`delta_f_over_f`]: running baseline, positive by construction |
//!
//! Results have axes `(roi, frame)` and are the same to the byte at any
//! number of threads: frames are spread over the caller's rayon pool, and
//! every sum runs in pixel order in `f64`.
//!
//! ```
//! use fluorspar_movie::{ArrayMovie, Budget, Footprints, silent};
//! use fluorspar_trace::{BaselineParameters, NeuropilParameters, delta_f_over_f, extract};
//! use ndarray::Array3;
//!
//! // A cell of 3 × 3 pixels that lights up once, on a background of 100.
//! let movie = Array3::from_shape_fn((600, 40, 40), |(t, y, x)| {
//!     let cell = (18..21).contains(&y) && (18..21).contains(&x);
//!     100.0 + if cell { 50.0 + if t == 300 { 40.0 } else { 0.0 } } else { 0.0_f32 }
//! });
//! let pixels: Vec<u32> = (18..21).flat_map(|y| (18..21).map(move |x| y * 40 + x)).collect();
//! let mut footprints = Footprints::new(40, 40);
//! footprints.push(&pixels, &[1.0; 9], 0)?;
//!
//! let neuropil = NeuropilParameters::default();
//! let traces = extract(&ArrayMovie::new(movie), &footprints, &neuropil, Budget::default(), &silent)?;
//! assert_eq!(traces.f[[0, 0]], 150.0);
//! assert_eq!(traces.neuropil[[0, 0]], 100.0);
//!
//! let baseline = BaselineParameters::default();
//! let result = delta_f_over_f(traces.f.view(), traces.neuropil.view(), &baseline, 10.0)?;
//! // F0 = 150 − 0.7 · 100 = 80, a step of 40 is half of it.
//! assert!((result.dff[[0, 300]] - 0.5).abs() < 1e-6);
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
mod valid;
mod whittaker;

pub use annulus::{Annulus, NeuropilParameters, annuli};
pub use baseline::{Baseline, BaselineParameters, DeltaF, delta_f_over_f};
pub use coefficient::{
    Coefficient, CoefficientSource, Coefficients, neuropil_coefficients, subtract_neuropil,
};
pub use demix::{Demixed, demix};
pub use error::Error;
pub use extract::{Traces, extract};
pub use measure::{Cells, Contamination, Flag, Parameters, Sharing, measure, measure_traces};
pub use overlaps::Overlaps;
pub use presence::{Presence, PresenceParameters, State, presence};
pub use valid::Valid;
