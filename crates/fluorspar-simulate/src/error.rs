/// Why an experiment cannot be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of the plan is outside its range.
    #[error("plan: {field} is {value}, but must be {rule}")]
    Plan {
        /// The field, as written in the source.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// The plan is sound, but what must be kept of it does not fit in memory.
    #[error(
        "plan: its truth takes {bytes} bytes, more than the {limit} allowed; \
         plan fewer cells, trials, sessions or pixels"
    )]
    TooLarge {
        /// Bytes needed.
        bytes: u128,
        /// The most that is allowed.
        limit: u128,
    },
    /// The cells do not fit into the field without touching.
    #[error(
        "only {placed} of {asked} cells of {diameter_px} px fit into the field; \
         plan fewer or smaller cells, or a larger field"
    )]
    Crowded {
        /// Cells that found a place.
        placed: usize,
        /// Cells asked for.
        asked: usize,
        /// Their diameter in pixels.
        diameter_px: f64,
    },
    /// Building a footprint or reading a frame failed.
    #[error(transparent)]
    Movie(#[from] fluorspar_movie::Error),
}
