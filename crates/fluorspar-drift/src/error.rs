/// Why something could not be computed.
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
    /// Arrays whose shapes do not fit together.
    #[error("{0}")]
    Shape(String),
    /// An input holds a value that is not a finite number.
    #[error("{0} holds a value that is not a finite number")]
    NotFinite(&'static str),
    /// The input is sound, but the number asked for does not exist or would mean nothing.
    #[error("{0}")]
    Undefined(String),
}
