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

mod error;
mod score;
mod svm;
mod validation;

pub use error::Error;
pub use score::balanced_accuracy;
pub use svm::{Classifier, LinearSvm, linear_gram};
pub use validation::{CrossValidation, Score, Split};
