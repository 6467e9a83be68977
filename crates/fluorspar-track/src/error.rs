/// Why cells could not be tracked.
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
    /// A session cannot be used.
    #[error("session {}: {reason}", session + 1)]
    Session {
        /// The session, counted from 0.
        session: usize,
        /// What is wrong with it.
        reason: String,
    },
}
