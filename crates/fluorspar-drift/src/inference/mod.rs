//! Permutation tests, Mantel tests, resampling of nested data, false discovery rate.

mod multiple;

pub use multiple::{add_one_p, false_discovery};
