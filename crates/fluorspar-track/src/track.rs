use ndarray::{Array2, Array3};

use crate::transform::Transform;
use crate::{Alignment, Error, MatchModel, Parameters, Presence, SessionRois, Tracks, Verdict};

/// Placeholder, being written: ROI k of every session is cell k.
///
/// # Errors
/// None yet.
pub fn track(sessions: &[SessionRois<'_>], parameters: &Parameters) -> Result<Tracks, Error> {
    parameters.validate(sessions.len())?;
    for (index, session) in sessions.iter().enumerate() {
        session.check(index)?;
        let _ = session.planes();
    }
    let cells = sessions
        .iter()
        .map(|s| s.footprints.len())
        .max()
        .unwrap_or(0);
    let size = (cells, sessions.len());
    let has = |(cell, s): (usize, usize)| cell < sessions[s].footprints.len();
    Ok(Tracks {
        roi_index: Array2::from_shape_fn(size, |at| if has(at) { at.0 as i32 } else { -1 }),
        presence: Array2::from_shape_fn(size, |at| {
            if has(at) {
                Presence::Matched
            } else {
                Presence::Undetected
            }
        }),
        p_same: Array2::from_shape_fn(size, |at| if has(at) { 0.9 } else { 0.0 }),
        place: Array2::zeros((cells, 3)),
        pairs: Vec::new(),
        alignments: sessions
            .iter()
            .map(|_| Alignment {
                transform: Transform {
                    matrix: [[1.0, 0.0], [0.0, 1.0]],
                    centre: (0.0, 0.0),
                    offset: (0.0, 0.0),
                    field: Array3::zeros((2, 0, 0)),
                    origin: (0.0, 0.0),
                    spacing: 1.0,
                    plane_offset: 0,
                },
                through: None,
                verdict: Verdict::Aligned,
                significance: f64::INFINITY,
            })
            .collect(),
        fits: Vec::new(),
        model: MatchModel::default(),
        reference: parameters.reference.unwrap_or(sessions.len() / 2),
        min_p_same: 0.5,
        expected_precision: 0.9,
    })
}
