//! Permutation tests, Mantel tests, resampling of nested data, false discovery rate.
