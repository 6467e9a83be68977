//! How alike two sessions' codes are: correlations, dissimilarity matrices, subspaces, shapes.

mod correlations;
mod reliability;

pub(crate) use correlations::Terms;
pub use correlations::{Correlation, Correlations, Tuning, correlations};
pub use reliability::{Disattenuated, ceiling, disattenuate, split_half_reliability};
