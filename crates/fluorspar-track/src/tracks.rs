use ndarray::Array2;

use crate::{Alignment, Fit, MatchModel};

/// Whether a cell was seen in a session, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Presence {
    /// The session's field shows the cell's place, but no ROI there is this cell.
    Undetected = 0,
    /// A ROI is this cell.
    Matched = 1,
    /// The cell's place lies outside the session's field.
    Absent = 2,
    /// The session could not be aligned: nothing is known.
    Unknown = 3,
}

impl Presence {
    /// The word for it, as written to tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Undetected => "undetected",
            Self::Matched => "matched",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

/// Two ROIs of different sessions that lie near each other once aligned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The two sessions, the lower first.
    pub sessions: [u32; 2],
    /// The ROI in each.
    pub rois: [u32; 2],
    /// Distance of the centres, pixels of the reference session.
    pub distance: f32,
    /// Correlation of the footprints where they lie, 0 to 1.
    pub correlation: f32,
    /// Correlation of the footprints laid centre on centre, 0 to 1: how alike
    /// their shapes are.
    pub shape: f32,
    /// Probability that they are the same cell.
    pub p_same: f32,
}

/// Cells across sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracks {
    /// ROI of each cell in each session `(cell, session)`, −1 where none.
    /// Cells of the reference session come first, in the order of its ROIs,
    /// then those of the next session that were not seen there, and so on.
    pub roi_index: Array2<i32>,
    /// Whether each cell was seen in each session `(cell, session)`.
    pub presence: Array2<Presence>,
    /// Probability that the ROI is the same cell as the cell's other ROIs
    /// `(cell, session)`: mean over the others; 1 where it is the only one, 0
    /// where there is none.
    pub p_same: Array2<f32>,
    /// Where each cell lies `(cell, 3)`: plane, y, x of the reference session,
    /// mean over its ROIs; NaN for a cell of a session that was not aligned.
    pub place: Array2<f32>,
    /// All pairs of ROIs whose probability is at least 0.001, by session, then ROI.
    pub pairs: Vec<Pair>,
    /// One per session.
    pub alignments: Vec<Alignment>,
    /// One per pair of aligned sessions.
    pub fits: Vec<Fit>,
    /// How distances and shapes became probabilities.
    pub model: MatchModel,
    /// The session that the others were aligned to.
    pub reference: usize,
    /// Entries less probable than this were cut off their cells.
    pub min_p_same: f64,
    /// Share of matched pairs that are right, as the probabilities say.
    pub expected_precision: f64,
}

impl Tracks {
    /// Mean of the probabilities of all pairs of a cell's ROIs; 1 for a cell
    /// seen once.
    pub fn confidence(&self) -> Vec<f32> {
        let rows = self.roi_index.rows().into_iter().zip(self.p_same.rows());
        rows.map(|(rois, p)| {
            let seen = rois.iter().zip(p).filter(|&(&roi, _)| roi >= 0);
            let (sum, n) = seen.fold((0.0, 0.0), |(sum, n), (_, p)| (sum + p, n + 1.0_f32));
            sum / n.max(1.0)
        })
        .collect()
    }
}
