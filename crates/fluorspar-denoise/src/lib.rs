//! A movie as a few components plus noise: `Y ≈ U · V + mean`.
//!
//! The field of view is cut into half-overlapping blocks. In each, the
//! standardised pixels' strongest components are found by a randomised
//! singular value decomposition (Halko, Martinsson, Tropp 2011, SIAM Rev.
//! 53:217); a component stays only if its time course is smoother than white
//! noise could be, so the rank follows from the data, block by block (the
//! idea of penalised matrix decomposition, Buchanan et al. 2018, bioRxiv
//! 334706, with an exact test in place of a simulated threshold). Blocks are
//! blended by weights that sum to one everywhere, so no seams remain.
//!
//! The result, [`LowRank`], is itself a [`Movie`](fluorspar_movie::Movie).
//! Whether what it leaves out looks like noise says [`residual()`].
//!
//! ```
//! use fluorspar_denoise::{Denoiser, Parameters};
//! use fluorspar_movie::{ArrayMovie, Budget, MovieExt, silent};
//! use ndarray::Array3;
//!
//! // One flickering spot and a little pseudo-noise.
//! let movie = ArrayMovie::new(Array3::from_shape_fn((300, 32, 32), |(t, y, x)| {
//!     let spot = if (10..16).contains(&y) && (10..16).contains(&x) { 50.0 } else { 0.0 };
//!     let noise = ((t * 7919 + y * 104_729 + x * 1_299_709) % 1009) as f32 / 100.0;
//!     100.0 + spot * (t as f32 / 20.0).sin() + noise
//! }));
//! let lowrank = Denoiser::new(Parameters::default())?.fit(&movie, Budget::default(), &silent)?;
//! assert!(lowrank.rank() >= 1);
//! assert_eq!(lowrank.read_array(0..10)?.dim(), (10, 32, 32));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod block;
mod error;
mod fit;
mod grid;
mod lowrank;
mod parameters;
mod residual;

pub use error::Error;
pub use fit::Denoiser;
pub use lowrank::{LowRank, Parts};
pub use parameters::{Blocks, Parameters};
pub use residual::{Lag, Residual, Whole, residual};
