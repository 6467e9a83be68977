//! From ΔF/F to events.
//!
//! A calcium trace is read as `y_t = b + c_t + noise`, where calcium `c` is the
//! sum of events `s_t ≥ 0`, each followed by the same transient: a jump or an
//! exponential rise, and an exponential decay ([`Kernel`]). With a jump that
//! is `c_t = g c_{t−1} + s_t` (AR(1)), and OASIS (Friedrich, Zhou, Paninski
//! 2017, PLoS Comput. Biol. 13:e1005423) finds the best events in one pass;
//! with a rise (AR(2)) an interior-point method of linear cost does. Both reach
//! the optimum of the same convex problem. The kernel is learnt from the traces
//! unless it is given.
//!
//! | to | use |
//! |---|---|
//! | deconvolve one trace with everything learnt from it | [`Oasis::deconvolve`] |
//! | deconvolve many in memory | [`Oasis::deconvolve_all`] |
//! | deconvolve more than fit, block after block | [`Oasis::learning`], [`Oasis::deconvolve_block`], [`Oasis::workspace`] |
//! | deconvolve while recording | [`Online`] |
//! | nothing but non-negative AR(1), as fast as can be | [`nonnegative_ar1`] |
//! | solve with your own g and λ; raise λ from there | [`oasis_ar1`], [`Ar1`] |
//! | the same for a kernel with a rise | [`exact`](exact()), [`exact_constrained`] |
//! | estimate noise, level, kernel | [`noise`], [`level`], [`estimate`](estimate()), [`time_constant`] |
//!
//! Events are in units of the trace (ΔF/F): the height that calcium would reach
//! after this one alone. Multiply nothing by the frame rate. They stand at the
//! sample where calcium begins to rise, so that with the right kernel there is
//! no lag; with a jump for a kernel that rises, they come about a rise late.
//!
//! Samples that are not finite are gaps: they pull on nothing.
//!
//! The feature `parallel`, on by default, spreads traces over cores (rayon).
//! Results do not depend on the number of threads, the order of the ROIs or
//! the processor.
//!
//! ```
//! use fluorspar_deconvolve::{Oasis, Parameters};
//!
//! let mut trace = vec![0.0_f32; 300];
//! for onset in [50, 120, 200] {
//!     for t in onset..300 {
//!         trace[t] += (-((t - onset) as f32) / 10.0).exp();
//!     }
//! }
//! // A little pseudo-noise.
//! for (t, v) in trace.iter_mut().enumerate() {
//!     *v += ((t * 7919) % 101) as f32 / 1000.0 - 0.05;
//! }
//! let oasis = Oasis::new(Parameters { tau_s: Some(1.0), frame_rate: Some(10.0), ..Parameters::default() })?;
//! let found = oasis.deconvolve(&trace)?;
//! let strong: Vec<usize> = (0..300).filter(|&t| found.events[t] > 0.5).collect();
//! assert_eq!(strong, [50, 120, 200]);
//! # Ok::<(), fluorspar_deconvolve::Error>(())
//! ```

#![forbid(unsafe_code)]

mod error;
mod estimate;
mod exact;
mod interior;
mod kernel;
mod learning;
pub mod level;
mod lockstep;
pub mod noise;
mod oasis;
mod online;
mod parameters;
mod plain;
mod pools;
mod solver;
pub mod time_constant;

pub use error::Error;
pub use estimate::{DECAY_S, Estimate, estimate};
pub use exact::{exact, exact_constrained};
pub use kernel::Kernel;
pub use learning::Learning;
pub use oasis::{Deconvolved, Events, Flag, Learned, Oasis, Report, calcium};
pub use online::Online;
pub use parameters::{Baseline, Parameters, Sparsity};
pub use plain::nonnegative_ar1;
pub use pools::{Ar1, Cast};
pub use solver::{Solution, oasis_ar1};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
