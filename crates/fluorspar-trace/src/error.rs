/// Why traces could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is out of its range.
    #[error("parameter `{name}` is {value}: it must be {rule}")]
    Parameter {
        /// Field of the parameter struct.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// Footprints and movie, or two arrays, differ in extent.
    #[error("{what} is {found}, but {against} is {expected}: they must belong together")]
    Shape {
        /// What was looked at.
        what: &'static str,
        /// Its extent.
        found: String,
        /// What it was compared with.
        against: &'static str,
        /// The extent of that.
        expected: String,
    },
    /// A footprint lies in a plane that the movie does not have.
    #[error("ROI {roi} lies in plane {plane}, but the movie has {planes}")]
    Plane {
        /// Index of the ROI.
        roi: usize,
        /// Its plane.
        plane: u32,
        /// Planes of the movie.
        planes: usize,
    },
    /// An entry of the overlap matrix that no two footprints can have.
    #[error(
        "entry ({row}, {column}) of the overlap matrix is {value}: no two footprints have that"
    )]
    Overlap {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// Its value.
        value: f64,
    },
    /// The movie could not be read.
    #[error(transparent)]
    Movie(#[from] fluorspar_movie::Error),
}
