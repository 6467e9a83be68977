/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arrays of a figure disagree in length or shape.
    #[error("figure {figure:?}: {reason}")]
    Shape {
        /// The figure's kind.
        figure: &'static str,
        /// What disagrees.
        reason: String,
    },
    /// The drawing library failed.
    #[error("figure {figure:?} could not be drawn: {reason}")]
    Drawing {
        /// The figure's kind.
        figure: &'static str,
        /// What the library said.
        reason: String,
    },
}
