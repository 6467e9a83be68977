/// Why sessions could not be analysed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A session is malformed.
    #[error("session {session}: {reason}")]
    Session {
        /// The session, counted from 1.
        session: usize,
        /// Which rule it breaks.
        reason: String,
    },
    /// An epoch is malformed.
    #[error("epoch {name:?}: {reason}")]
    Epoch {
        /// Its name.
        name: String,
        /// Which rule it breaks.
        reason: String,
    },
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
    /// There is nothing to analyse.
    #[error("there are no {0}")]
    Nothing(&'static str),
}
