//! A movie as a few components plus noise: `Y ≈ U · V + mean`.
//!
//! Penalised matrix decomposition (Buchanan et al. 2018, bioRxiv 334706) on a
//! processor, in two passes over the movie:
//!
//! ```text
//! a few windows ── how noisy, how slow ──► bin length
//! pass 1 ── mean, noise; average over bins ──► half-overlapping blocks
//!   block ── averaged pixels ── Gram matrix ── leading components ── smoother
//!            than simulated noise? ── images smoothed as far as they are noise
//! pass 2 ── movie along the images ──► time courses ── trend filter ──► V
//! U = images × noise × weights that sum to one everywhere, so no seams remain
//! ```
//!
//! The rank is a decision of each block: a component stays only if its time
//! course and its image are smoother than noise could be, at a stated chance
//! of error.
//!
//! Memory follows a budget, from [`Denoiser::least_budget`] on, and hours of
//! work may be broken off and resumed: [`Denoiser::fit_resumable`].
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

mod advance;
mod assemble;
mod block;
mod decimate;
mod error;
mod extend;
mod find;
mod fit;
mod follow;
mod grid;
mod linear;
mod lowrank;
mod memory;
mod moments;
mod parallel;
mod parameters;
mod parts;
mod piece;
mod probe;
mod project;
mod read;
mod residual;
mod roughness;
mod smooth;
mod standardise;
mod trend;

pub use block::{BlockComponents, BlockSearch};
pub use error::Error;
pub use fit::Denoiser;
pub use lowrank::{
    LowRank, Neighbours, Orthogonal, Parts, Principal, Projection, Symmetric, Variability,
};
pub use parameters::{Blocks, Parameters};
pub use residual::{Lag, Residual, Whole, residual};
