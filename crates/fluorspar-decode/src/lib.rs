//! Linear decoders on Gram matrices.
//!
//! With many more cells than trials, everything a linear decoder needs is in
//! the trial × trial matrix of inner products: computed once, it serves every
//! fold, permutation and resample. Cost is in trials, not in cells.
//!
//! | to | use |
//! |---|---|
//! | compute inner products of many cells | [`Features`], [`Scaling`], [`gram`](gram()), [`cross_gram`], [`gram_of_some`] |
//! | choose a decoder | [`LinearSvm`], [`Logistic`], [`Discriminant`], [`Template`], or [`Tuned`] among several |
//! | train one, decode other trials | [`Decoder::train`], [`Classifier::predict`] |
//! | have weights per cell, read many trials with them | [`weights`](weights()), [`read_out`] |
//! | refit thousands of times | [`Kernel`], [`Workspace`], [`Decoder::fit`] |
//! | cross-validate | [`CrossValidation`]; as published: [`Bellafard2024`], [`HoldOut`] |
//! | test against shuffled labels | [`PermutationTest`] |
//! | take the most selective cells, inside the folds | [`MostSelective`] |
//! | read another session, time, or outcome | [`across`], [`cross_temporal`], [`apart`] |
//! | ask for what all sessions share | [`leave_one_session_out`], [`concatenated`], [`Generalisation`], [`parallelism`] |
//! | compare axes with their noise floor | [`axis_angle`], [`Axis`] |
//! | compare areas with equal numbers of cells | [`EqualCounts`] |
//! | score | [`balanced_accuracy`], [`Confusion`], [`area_under_roc`], [`d_prime`] |
//!
//! All trials of interest lie in one Gram matrix, and what is trained on or
//! tested is a list of its rows. Nothing here holds a thread pool: tests run on
//! rayon's current one, and results are the same to the byte at any number of
//! threads.
//!
//! ```
//! use fluorspar_decode::{
//!     CrossValidation, Features, LinearSvm, PermutationTest, Scaling, gram,
//! };
//! use ndarray::Array2;
//!
//! // 40 trials of 10 cells; the first three tell the classes apart.
//! let labels: Vec<i64> = (0..40).map(|trial| trial % 2).collect();
//! let activity = Array2::from_shape_fn((40, 10), |(trial, cell)| {
//!     if cell < 3 { 2.0 * labels[trial] as f32 } else { ((trial * 7 + cell * 3) % 5) as f32 }
//! });
//! let features = Features::new(activity.view());
//! let scaling = Scaling::standardise(&features)?;
//! let gram = gram(&features.scaled(&scaling)?)?;
//! let test = PermutationTest { permutations: 99, seed: 1 };
//! let (score, tested) = test.cross_validated(
//!     &CrossValidation::default(),
//!     &LinearSvm::default(),
//!     gram.view(),
//!     &labels,
//! )?;
//! assert!(score.mean > 0.9 && tested.p == 0.01);
//! # Ok::<(), fluorspar_decode::Error>(())
//! ```

#![forbid(unsafe_code)]

mod abstraction;
mod axis;
mod bellafard;
mod classifier;
mod counts;
mod decoder;
mod discriminant;
mod error;
mod features;
mod gram;
mod kernel;
mod logistic;
mod permutation;
mod random;
mod score;
mod selection;
mod svm;
mod template;
mod transfer;
mod tuned;
mod validation;
mod weights;

pub use abstraction::{Generalisation, Generalised, Parallelism, parallelism};
pub use axis::{Axis, AxisAngle, AxisKind, axis_angle, cosine_of_blocks, cosine_without_drift};
pub use bellafard::{Bellafard2024, Window};
pub use classifier::Classifier;
pub use counts::{Drawn, EqualCounts};
pub use decoder::{Decoder, Workspace};
pub use discriminant::Discriminant;
pub use error::Error;
pub use features::{Features, Scaling};
pub use gram::{centre_over_cells, cross_gram, gram, gram_of_some, linear_gram};
pub use kernel::Kernel;
pub use logistic::Logistic;
pub use permutation::{PermutationTest, Tested};
pub use score::{
    Confusion, accuracy, area_under_roc, balanced_accuracy, d_prime, relative_accuracy,
    rotated_accuracy,
};
pub use selection::{MostSelective, selectivity};
pub use svm::LinearSvm;
pub use template::Template;
pub use transfer::{
    Concatenated, across, apart, concatenated, cross_temporal, cross_temporal_across,
    leave_one_session_out,
};
pub use tuned::Tuned;
pub use validation::{
    CrossValidation, HoldOut, Predictions, Score, Split, plain_score, predictions, score,
};
pub use weights::{read_out, weights};
