//! Linear decoders on Gram matrices.
//!
//! With many more cells than trials, everything a linear decoder needs is in
//! the trial × trial matrix of inner products: computed once, it serves every
//! fold, permutation and resample.
//!
//! | to | use |
//! |---|---|
//! | compute inner products | [`linear_gram`] |
//! | train a soft-margin SVM, two or more classes | [`LinearSvm`] |
//! | decode other trials | [`Classifier::predict`] |
//! | score fairly with unequal classes | [`balanced_accuracy`] |
//! | cross-validate | [`CrossValidation`] |
//!
//! The machine is the C-SVM of Cortes and Vapnik (1995) with hinge loss and a
//! bias that is not penalised, as in libsvm and MATLAB's `fitcsvm`; several
//! classes vote pair by pair.
//!
//! ```
//! use fluorspar_decode::{CrossValidation, LinearSvm, linear_gram};
//! use ndarray::Array2;
//!
//! // 40 trials of 10 cells; the first cell tells the classes apart.
//! let labels: Vec<i64> = (0..40).map(|trial| trial % 2).collect();
//! let features = Array2::from_shape_fn((40, 10), |(trial, cell)| {
//!     if cell == 0 { 2.0 * labels[trial] as f64 } else { ((trial * 7 + cell * 3) % 5) as f64 * 0.1 }
//! });
//! let gram = linear_gram(features.view());
//! let score = CrossValidation::default().score(&LinearSvm::default(), gram.view(), &labels)?;
//! assert!(score.mean > 0.95);
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
mod gram;
mod kernel;
mod logistic;
mod permutation;
mod score;
mod selection;
mod svm;
mod template;
mod transfer;
mod tuned;
mod validation;

pub use abstraction::{Generalisation, Generalised, Parallelism, parallelism};
pub use axis::{Axis, AxisAngle, AxisKind, axis_angle, cosine_of_blocks, cosine_without_drift};
pub use bellafard::{Bellafard2024, Window};
pub use classifier::Classifier;
pub use counts::{Drawn, EqualCounts};
pub use decoder::{Decoder, Workspace};
pub use discriminant::Discriminant;
pub use error::Error;
pub use gram::{Features, Scaling, centre_over_cells, cross_gram, gram, gram_of_some, linear_gram};
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
