/// Why registration failed.
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
    /// The images cannot be registered.
    #[error("{0}")]
    Image(String),
    /// The movie could not be read or written.
    #[error(transparent)]
    Movie(#[from] fluorspar_movie::Error),
}
