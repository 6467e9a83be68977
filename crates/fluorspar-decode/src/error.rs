/// Why a decoder could not be trained or scored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arrays disagree in size, or an index leaves them.
    #[error("{0}")]
    Shape(String),
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
    /// A value is not finite.
    #[error("the Gram matrix holds a value that is not finite at ({row}, {column})")]
    NotFinite {
        /// Row.
        row: usize,
        /// Column.
        column: usize,
    },
    /// There is only one class to learn.
    #[error("all training trials have the label {0}; a decoder needs two classes")]
    OneClass(i64),
    /// The solver reached its last step before the optimum.
    #[error("the decoder did not converge in {steps} steps; scale the features")]
    NotConverged {
        /// Steps taken.
        steps: usize,
    },
    /// There is nothing to learn from.
    #[error("there are no trials")]
    Empty,
    /// A class has fewer trials than folds.
    #[error("the label {label} has {trials} trials, fewer than the {folds} folds")]
    TooFewTrials {
        /// The label.
        label: i64,
        /// Its trials.
        trials: usize,
        /// Folds asked for.
        folds: usize,
    },
    /// The matrix of inner products has a negative direction.
    #[error("the Gram matrix is not positive; it must hold inner products")]
    NotPositive,
    /// Trials do not differ where the decoder needs them to.
    #[error("the trials do not vary, or a class mean is zero: there is nothing to scale by")]
    NoVariance,
}
