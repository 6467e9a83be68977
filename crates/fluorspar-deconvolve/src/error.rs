/// Why traces could not be deconvolved.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is out of range.
    #[error("{name} = {value}: {rule}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        rule: &'static str,
    },
    /// A parameter is needed and was not given.
    #[error("{name} is missing: {why}")]
    Missing {
        /// The parameter.
        name: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// The trace has too few finite samples.
    #[error("the trace has {finite} finite samples of {samples}; {needed} are needed")]
    TooShort {
        /// Finite samples.
        finite: usize,
        /// All samples.
        samples: usize,
        /// Samples needed.
        needed: usize,
    },
    /// Arrays that must belong together do not.
    #[error("{name} has shape {found:?}, {expected:?} is needed")]
    Shape {
        /// The array.
        name: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },
}
