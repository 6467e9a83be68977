//! The ROIs of many sessions of one tissue, with known identities and
//! without movies, to test the tracking of cells at any size.

mod image;
mod placement;
mod plan;
mod roi;
mod session;
mod tissue;

use ndarray::Array2;
use rayon::prelude::*;

use crate::Error;
use image::Images;
use tissue::Tissue;

pub use placement::Placement;
pub use plan::FieldsPlan;
pub use session::{FieldSession, RoiKind};

/// The sessions of a [`FieldsPlan`] and who is who in them.
///
/// ```
/// use fluorspar_simulate::{Fields, FieldsPlan};
///
/// let fields = Fields::build(&FieldsPlan { sessions: 3, ..FieldsPlan::default() })?;
/// let tracks = fields.roi_index(); // (cell, session), −1 where there is no ROI
/// let (first, third) = (&fields.sessions[0], &fields.sessions[2]);
/// for (cell, track) in tracks.outer_iter().enumerate().filter(|(_, track)| track[2] >= 0) {
///     assert_eq!(third.cell[track[2] as usize], cell as i64);
///     // Where the third session should show it, but for its own displacement.
///     let (y, x) = fields.to_session(2, fields.centres[cell]);
///     let (seen_y, seen_x) = third.centres[cell];
///     assert!((y - seen_y).hypot(x - seen_x) < 6.0 * fields.plan().jitter_px);
/// }
/// assert_eq!(first.footprints.len(), first.cell.len());
/// # Ok::<(), fluorspar_simulate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fields {
    plan: FieldsPlan,
    /// The sessions in order; the field of the first is the tissue's frame.
    pub sessions: Vec<FieldSession>,
    /// Place `(y, x)` of every cell in the tissue (cell; pixels of the first
    /// session's field, may lie outside it).
    pub centres: Vec<(f64, f64)>,
    /// Plane of every cell in the first session's stack (cell); negative or
    /// beyond its last plane where only a displaced stack shows it.
    pub planes: Vec<i32>,
}

impl Fields {
    /// Draws the tissue and all sessions; the same at any number of threads.
    ///
    /// # Errors
    /// As [`FieldsPlan::validate`]; [`Error::Crowded`] if the cells of a plane
    /// do not fit into it.
    pub fn build(plan: &FieldsPlan) -> Result<Self, Error> {
        plan.validate()?;
        let tissue = Tissue::draw(plan)?;
        let images = plan.mean_images.then(|| Images::new(plan));
        let sessions = (0..plan.sessions)
            .into_par_iter()
            .map(|session| FieldSession::draw(plan, &tissue, images.as_ref(), session))
            .collect::<Result<_, _>>()?;
        let planes = tissue.starts.windows(2).zip(-plan.axial_planes..);
        Ok(Self {
            sessions,
            planes: planes
                .flat_map(|(range, plane)| std::iter::repeat_n(plane, range[1] - range[0]))
                .collect(),
            centres: tissue.cells.iter().map(|cell| (cell.y, cell.x)).collect(),
            plan: plan.clone(),
        })
    }

    /// The plan they were built from.
    pub fn plan(&self) -> &FieldsPlan {
        &self.plan
    }

    /// The true tracks, axes `(cell, session)`: which of a session's ROIs a
    /// cell is, −1 where it has none.
    pub fn roi_index(&self) -> Array2<i32> {
        let mut all = Array2::from_elem((self.centres.len(), self.sessions.len()), -1);
        for (index, session) in self.sessions.iter().enumerate() {
            for (roi, &cell) in session.cell.iter().enumerate() {
                if cell >= 0 {
                    all[[cell as usize, index]] = roi as i32;
                }
            }
        }
        all
    }

    /// Where a place `(y, x)` of the tissue is seen in `session` (pixels).
    ///
    /// # Panics
    /// If there is no such session, as a slice would.
    pub fn to_session(&self, session: usize, place: (f64, f64)) -> (f64, f64) {
        self.sessions[session].placement.to_session(place)
    }

    /// Which place of the tissue is seen at `(y, x)` of `session` (pixels).
    ///
    /// # Panics
    /// If there is no such session, as a slice would.
    pub fn to_tissue(&self, session: usize, place: (f64, f64)) -> (f64, f64) {
        self.sessions[session].placement.to_tissue(place)
    }

    /// Plane `p` of `session` shows what plane `p + axial` of the first one does.
    ///
    /// # Panics
    /// If there is no such session, as a slice would.
    pub fn axial(&self, session: usize) -> i32 {
        self.sessions[session].placement.axial
    }
}
