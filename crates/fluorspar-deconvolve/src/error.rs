/// Why a trace could not be deconvolved.
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
}
