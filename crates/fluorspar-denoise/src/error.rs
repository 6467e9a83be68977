/// Why denoising failed.
#[derive(Debug, thiserror::Error)]
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
    /// The movie cannot be denoised.
    #[error("{0}")]
    Input(String),
    /// A decomposition did not converge.
    #[error("the decomposition of block {block} did not converge")]
    Decomposition {
        /// Number of the block, row by row.
        block: usize,
    },
    /// An eigenvalue problem of the whole movie did not converge.
    #[error("the eigenvalue problem of size {size} did not converge")]
    Eigenvalues {
        /// Its number of rows.
        size: usize,
    },
    /// The movie could not be read.
    #[error(transparent)]
    Movie(#[from] fluorspar_movie::Error),
}

impl Error {
    /// The same, told of which block it speaks.
    pub(crate) fn in_block(self, block: usize) -> Self {
        match self {
            Self::Decomposition { .. } => Self::Decomposition { block },
            other => other,
        }
    }
}
