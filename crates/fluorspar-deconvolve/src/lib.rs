//! From ΔF/F to events.
//!
//! A calcium trace is read as `y_t = b + c_t + noise`, `c_t = g · c_{t−1} + s_t`
//! with events `s_t ≥ 0`. OASIS (Friedrich, Zhou, Paninski 2017, PLoS Comput.
//! Biol. 13:e1005423) finds the best calcium in one pass; the sparsity is set
//! so that what is left over has the noise's variance and no less.
//!
//! | to | use |
//! |---|---|
//! | deconvolve a trace with everything estimated | [`Oasis`] |
//! | solve with your own g and λ | [`oasis_ar1`] |
//! | estimate a trace's noise | [`noise::standard_deviation`] |
//! | estimate its decay | [`time_constant::from_autocovariance`] |
//!
//! Samples that are not finite are skipped: they pull on nothing.
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
pub use oasis::{Deconvolved, Events, Flag, Learned, Oasis, Report, calcium};
pub use online::Online;
pub use parameters::{Baseline, Parameters, Sparsity};
pub use plain::nonnegative_ar1;
pub use pools::{Ar1, Cast};
pub use solver::{Solution, oasis_ar1};
