use fluorspar_movie::Footprints;
use fluorspar_register::phase_correlation;
use ndarray::{Array2, ArrayView2};

use crate::matching::{Candidate, assign};
use crate::model::MatchModel;
use crate::place::{Placed, Squares, place};
use crate::{Error, Parameters};

/// What is known of one session.
#[derive(Clone, Copy, Debug)]
pub struct SessionRois<'a> {
    /// Its ROIs.
    pub footprints: &'a Footprints,
    /// Mean of its motion-corrected frames, `(y, x)`.
    pub mean_image: ArrayView2<'a, f32>,
}

/// How a session's field of view lies on the reference session's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Alignment {
    /// Along y, pixels: `reference[y, x] ≈ session[y + dy, x + dx]`.
    pub dy: f64,
    /// Along x, pixels.
    pub dx: f64,
    /// Height of the correlation peak, 0 to 1; 1 for the reference itself.
    pub quality: f64,
}

/// Cells across sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracks {
    /// ROI of each cell in each session `(cell, session)`, −1 where none.
    /// Cells of the reference session come first, in the order of its ROIs.
    pub roi_index: Array2<i32>,
    /// Probability that the ROI is this cell `(cell, session)`: 1 in the
    /// session where the cell was first seen, 0 where there is none.
    pub p_same: Array2<f32>,
    /// One alignment per session.
    pub alignments: Vec<Alignment>,
    /// How scores became probabilities.
    pub model: MatchModel,
}

/// Matches the ROIs of all sessions.
///
/// Sessions without ROIs are allowed. Every ROI belongs to exactly one cell.
///
/// # Errors
/// [`Error::Session`] if there are no sessions, sizes differ or an image has
/// pixels that are not finite; [`Error::Alignment`]; [`Error::Parameter`].
pub fn track(sessions: &[SessionRois<'_>], parameters: &Parameters) -> Result<Tracks, Error> {
    parameters.validate(sessions.len())?;
    let alignments = align(sessions, parameters)?;
    let placed: Vec<Vec<Placed>> = sessions
        .iter()
        .zip(&alignments)
        .map(|(session, alignment)| place(session.footprints, (alignment.dy, alignment.dx)))
        .collect();
    let model = fit_model(&placed, parameters);

    // For each cell: where it was last seen, and its ROI per session.
    let mut cells: Vec<Placed> = Vec::new();
    let mut members: Vec<Vec<(i32, f32)>> = Vec::new();
    let absent = (-1, 0.0);
    let mut order: Vec<usize> = (0..sessions.len()).collect();
    order.sort_by_key(|&s| (s.abs_diff(parameters.reference), s));
    for session in order {
        let rois = &placed[session];
        let squares = Squares::new(&cells, parameters.max_distance);
        let mut candidates = Vec::new();
        for (roi, one) in rois.iter().enumerate() {
            for cell in squares.near(&cells, one) {
                let score = one.score(&cells[cell], parameters.max_distance);
                if model.p_same(score) >= parameters.min_p_same {
                    candidates.push(Candidate { roi, cell, score });
                }
            }
        }
        let mut free = vec![true; rois.len()];
        for (roi, cell) in assign(&candidates, rois.len(), cells.len()) {
            let score = rois[roi].score(&cells[cell], parameters.max_distance);
            members[cell][session] = (roi as i32, model.p_same(score) as f32);
            cells[cell] = rois[roi].clone();
            free[roi] = false;
        }
        for (roi, one) in rois.iter().enumerate().filter(|(roi, _)| free[*roi]) {
            let mut row = vec![absent; sessions.len()];
            row[session] = (roi as i32, 1.0);
            members.push(row);
            cells.push(one.clone());
        }
    }
    let size = (members.len(), sessions.len());
    Ok(Tracks {
        roi_index: Array2::from_shape_fn(size, |(cell, session)| members[cell][session].0),
        p_same: Array2::from_shape_fn(size, |(cell, session)| members[cell][session].1),
        alignments,
        model,
    })
}

fn align(sessions: &[SessionRois<'_>], parameters: &Parameters) -> Result<Vec<Alignment>, Error> {
    let Some(reference) = sessions.get(parameters.reference) else {
        return Err(Error::Session {
            session: 0,
            reason: "there are no sessions to track".into(),
        });
    };
    let size = reference.mean_image.dim();
    let max_shift = (
        (parameters.max_shift_fraction * size.0 as f64) as usize,
        (parameters.max_shift_fraction * size.1 as f64) as usize,
    );
    let mut out = Vec::new();
    for (index, session) in sessions.iter().enumerate() {
        let bad = |reason: String| Error::Session {
            session: index,
            reason,
        };
        let footprints = (session.footprints.height(), session.footprints.width());
        if session.mean_image.dim() != size || footprints != size {
            return Err(bad(format!(
                "its mean image is {:?} px and its footprints lie on {footprints:?}, but the \
                 reference session is {size:?}",
                session.mean_image.dim()
            )));
        }
        if session.mean_image.iter().any(|v| !v.is_finite()) {
            return Err(bad("its mean image has pixels that are not numbers".into()));
        }
        if index == parameters.reference {
            out.push(Alignment {
                quality: 1.0,
                ..Alignment::default()
            });
            continue;
        }
        let shift = phase_correlation(
            reference.mean_image,
            session.mean_image,
            max_shift,
            &fluorspar_register::Parameters::default(),
        )
        .map_err(|source| Error::Alignment {
            session: index,
            source,
        })?;
        out.push(Alignment {
            dy: f64::from(shift.dy),
            dx: f64::from(shift.dx),
            quality: f64::from(shift.quality),
        });
    }
    Ok(out)
}

fn fit_model(placed: &[Vec<Placed>], parameters: &Parameters) -> MatchModel {
    let (mut across, mut within) = (Vec::new(), Vec::new());
    let (mut compared_across, mut compared_within) = (0.0, 0.0);
    for (i, rois) in placed.iter().enumerate() {
        let squares = Squares::new(rois, parameters.max_distance);
        for (j, others) in placed.iter().enumerate() {
            if j < i {
                continue;
            }
            for (index, one) in others.iter().enumerate() {
                let near = squares.near(rois, one);
                let scores = near
                    .iter()
                    .filter(|&&other| i != j || other != index)
                    .map(|&other| one.score(&rois[other], parameters.max_distance));
                if i == j {
                    within.extend(scores);
                    compared_within += 1.0;
                } else {
                    across.extend(scores);
                    compared_across += 1.0;
                }
            }
        }
    }
    let ratio = compared_across / f64::max(compared_within, 1.0);
    MatchModel::fit(&across, &within, ratio)
}
