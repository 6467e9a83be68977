/// Why cells could not be looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is out of its range.
    #[error("parameter `{name}` is {value}: it must be {rule}")]
    Parameter {
        /// Field of the parameter struct, or argument.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        rule: &'static str,
    },
    /// Footprints that were given do not fit the movie.
    #[error("the given footprints do not fit the movie: {0}")]
    Given(String),
    /// A footprint could not be stored.
    #[error(transparent)]
    Movie(#[from] fluorspar_movie::Error),
}
