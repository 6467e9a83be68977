use fluorspar_movie::Footprints;
use ndarray::{Array2, ArrayView2};

use crate::{Epoch, code};

/// What a cell is in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellState {
    /// In the field and spiking.
    Active,
    /// In the field, bright, without a spike.
    Silent,
    /// In the field and spiking, but too dim to be found.
    Undetected,
    /// Not in the plane, or its centre outside the field.
    Absent,
}

/// What was planted, to be compared with what an analysis finds.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Elapsed day of every session.
    pub days: Vec<f64>,
    /// The truth of every session.
    pub sessions: Vec<SessionTruth>,
    /// Centre `(y, x)` of every cell in the first session's reference frame
    /// (pixels); may lie outside the field.
    pub centres: Vec<(f64, f64)>,
    /// Steps between sessions, from the first on, in which the late-delay code changes.
    pub drifting_steps: usize,
    /// One array per epoch in the order of [`Epoch::ALL`].
    pub(crate) tuning: Vec<Array2<f32>>,
    /// The same, expected correlations.
    pub(crate) expected: Vec<Array2<f64>>,
}

impl Truth {
    /// Planted tuning in `epoch`, axes `(cell, session)`: positive prefers A,
    /// C or lick, negative B, D or withhold, 0 is untuned.
    pub fn tuning(&self, epoch: Epoch) -> ArrayView2<'_, f32> {
        self.tuning[epoch as usize].view()
    }

    /// Correlation of the code of `epoch` that the plan asks for, axes
    /// `(session, session)`: over `k` drifting steps `ρ^k`, otherwise 1.
    pub fn expected_correlation(&self, epoch: Epoch) -> ArrayView2<'_, f64> {
        self.expected[epoch as usize].view()
    }

    /// Pearson correlation over all cells of the tuning that was drawn, axes
    /// `(session, session)`: scatters about
    /// [`Truth::expected_correlation`] because cells are few; NaN where no
    /// cell is tuned.
    pub fn realised_correlation(&self, epoch: Epoch) -> Array2<f64> {
        code::correlation(&self.tuning[epoch as usize])
    }

    /// The true tracks, axes `(cell, session)`: which of a session's ROIs
    /// ([`SessionTruth::footprints`]) a cell is, −1 where it has none.
    pub fn roi_index(&self) -> Array2<i32> {
        let mut all = Array2::from_elem((self.centres.len(), self.sessions.len()), -1);
        for (index, session) in self.sessions.iter().enumerate() {
            for (roi, &cell) in session.cell.iter().enumerate() {
                all[[cell as usize, index]] = roi as i32;
            }
        }
        all
    }
}

/// The truth of one session.
#[derive(Clone, Debug)]
pub struct SessionTruth {
    /// Footprints of all cells with their centre in the field, silent and
    /// undetected ones included, in this session's own reference frame: moved
    /// by [`SessionTruth::field_shift`], not by frame motion. A footprint
    /// ends where the weight falls below one half.
    pub footprints: Footprints,
    /// Which cell each ROI is.
    pub cell: Vec<i64>,
    /// Whether an analysis can be expected to find each ROI: its state is
    /// [`CellState::Active`], it has at least the planned number of spikes,
    /// and motion leaves on average 90 % of it inside the field.
    pub active: Vec<bool>,
    /// What every cell is.
    pub states: Vec<CellState>,
    /// `(dy, dx)` in pixels: what lies at `(y, x)` in the first session's
    /// reference frame lies at `(y + dy, x + dx)` in this session's.
    pub field_shift: (f32, f32),
    /// `(dy, dx)` of every frame in pixels: `registered[y, x] = raw[y + dy, x + dx]`
    /// puts a frame onto this session's reference frame.
    pub motion: Vec<(f32, f32)>,
    /// Spike counts, axes `(cell, frame)`.
    pub spikes: Array2<f32>,
    /// ΔF/F without noise, axes `(cell, frame)`.
    pub dff: Array2<f32>,
}
