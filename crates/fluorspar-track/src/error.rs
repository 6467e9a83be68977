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
    /// The sessions do not fit together.
    #[error("session {session}: {reason}")]
    Session {
        /// The session, counted from 0.
        session: usize,
        /// What does not fit.
        reason: String,
    },
    /// Two mean images could not be aligned.
    #[error("session {session} could not be aligned: {source}")]
    Alignment {
        /// The session, counted from 0.
        session: usize,
        /// Why.
        source: fluorspar_register::Error,
    },
}
