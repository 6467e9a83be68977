use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::check::size;
use crate::plan::BYTES;
use crate::random::{Domain, normal, stream};
use crate::{Epoch, Error, Plan, TrialRecord, activity, code, task};

/// Trials and events of an experiment without places and pixels, for analyses
/// that begin with traces, at any number of cells.
///
/// Nothing of a session is kept: it is drawn when it is asked for, for as many
/// cells as fit. Of the [`Plan`], space, motion and optics do not count, and
/// all cells are seen in all sessions: who is missed when is another matter,
/// such as that of [`Fields`](crate::Fields).
///
/// ```
/// use fluorspar_simulate::{Epoch, Events, Plan};
///
/// let plan = Plan { sessions: 14, cells: 80_000, frame_rate: 4.0, ..Plan::default() };
/// let events = Events::build(&plan)?;
/// let some = events.of(13, &[79_999, 5]); // (cell, frame)
/// assert_eq!(some.dim(), (2, plan.frames()));
/// assert_eq!(some.row(1), events.of(13, &[5]).row(0));
/// // Four drifting steps, then none.
/// let expected = events.expected_correlation(Epoch::LateDelay);
/// assert!((expected[[0, 13]] - 0.4_f64.powi(4)).abs() < 1e-12);
/// # Ok::<(), fluorspar_simulate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Events {
    plan: Plan,
    /// One array `(cell, session)` per epoch in the order of [`Epoch::ALL`].
    tuning: Vec<Array2<f32>>,
}

/// Standard deviation of the logarithm of an event's size about that of its spikes.
const SCATTER: f64 = 0.3;

impl Events {
    /// Draws the codes.
    ///
    /// # Errors
    /// [`Error::Plan`] as [`Plan::validate`]; [`Error::TooLarge`] if the codes
    /// do not fit in memory.
    pub fn build(plan: &Plan) -> Result<Self, Error> {
        plan.check_fields()?;
        let values = Epoch::ALL.len() * plan.cells * plan.sessions;
        size(4 * values as u128, BYTES)?;
        Ok(Self {
            tuning: Epoch::ALL
                .par_iter()
                .map(|&epoch| code::tuning(plan, epoch))
                .collect(),
            plan: plan.clone(),
        })
    }

    /// The plan they were built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The trials of session `index`, counted from 0, in the order of time.
    pub fn trials(&self, index: usize) -> Vec<TrialRecord> {
        task::trials(&self.plan, index)
    }

    /// The same as the text of a `trials.csv`; columns as
    /// [`Experiment::trials_csv`](crate::Experiment::trials_csv).
    pub fn trials_csv(&self, index: usize) -> String {
        task::csv(&self.trials(index))
    }

    /// Events of some `cells` in session `index`, axes `(cell, frame)`: in a
    /// frame with spikes their number times
    /// [`spike_dff`](crate::ActivityPlan::spike_dff), scattered by about 30 %
    /// as the events of a deconvolution are, else 0. The same at any number of
    /// threads, whichever other cells are asked for.
    ///
    /// # Panics
    /// If there is no such session or cell, as a slice would.
    pub fn of(&self, index: usize, cells: &[usize]) -> Array2<f32> {
        let plan = &self.plan;
        let trials = self.trials(index);
        let mut all = Array2::<f32>::zeros((cells.len(), plan.frames()));
        let rows: Vec<_> = all.outer_iter_mut().collect();
        rows.into_par_iter()
            .zip(cells)
            .for_each(|(mut row, &cell)| {
                let tuning = |epoch: Epoch| self.tuning[epoch as usize][[cell, index]];
                activity::add_spikes(plan, index, &trials, cell, tuning, row.view_mut());
                let mut rng = stream(plan.seed, Domain::Amplitudes, index, cell);
                for value in row.iter_mut().filter(|value| **value > 0.0) {
                    let scatter = (SCATTER * normal(&mut rng)).exp();
                    *value = (f64::from(*value) * plan.activity.spike_dff * scatter) as f32;
                }
            });
        all
    }

    /// Planted tuning in `epoch`, axes `(cell, session)`; as
    /// [`Truth::tuning`](crate::Truth::tuning).
    pub fn tuning(&self, epoch: Epoch) -> ArrayView2<'_, f32> {
        self.tuning[epoch as usize].view()
    }

    /// Correlation of the code of `epoch` that the plan asks for, axes
    /// `(session, session)`; as
    /// [`Truth::expected_correlation`](crate::Truth::expected_correlation).
    pub fn expected_correlation(&self, epoch: Epoch) -> Array2<f64> {
        code::expected(&self.plan, epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Experiment;

    #[test]
    fn events_lie_where_an_experiment_with_movies_has_spikes() {
        let mut plan = Plan {
            sessions: 3,
            trials: 6,
            cells: 30,
            height: 64,
            width: 96,
            ..Plan::default()
        };
        plan.field.absent_fraction = 0.0;
        plan.field.silent_fraction = 0.0;
        let experiment = Experiment::build(&plan).unwrap();
        let events = Events::build(&plan).unwrap();
        let cells: Vec<usize> = (0..plan.cells).collect();
        for session in 0..plan.sessions {
            let found = events.of(session, &cells);
            let spikes = &experiment.truth().sessions[session].spikes;
            assert!(spikes.iter().any(|&count| count > 0.0));
            for (event, count) in found.iter().zip(spikes) {
                assert_eq!(*event > 0.0, *count > 0.0);
            }
            assert_eq!(events.trials_csv(session), experiment.trials_csv(session));
            // The mean of a log-normal scatter of 0.3 is exp(0.3² / 2).
            let size = found.sum() / spikes.sum() / plan.activity.spike_dff as f32;
            assert!((size - 1.046).abs() < 0.05, "{size}");
        }
        for epoch in Epoch::ALL {
            assert_eq!(events.tuning(epoch), experiment.truth().tuning(epoch));
        }
    }

    #[test]
    fn what_does_not_make_sense_is_refused() {
        let wrong = Plan {
            cells: 0,
            ..Plan::default()
        };
        assert!(matches!(Events::build(&wrong), Err(Error::Plan { .. })));
        let large = Plan {
            cells: 1_000_000,
            sessions: 1_000,
            ..Plan::default()
        };
        assert!(matches!(Events::build(&large), Err(Error::TooLarge { .. })));
    }
}
