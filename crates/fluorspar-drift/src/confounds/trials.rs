use ndarray::{Array2, Axis};

use crate::{Epoch, Error, Session};

/// The trials of one session averaged over an epoch, with the labels of one variable.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochTrials {
    /// Mean activity `(trial, cell)`; anything for a cell that was not seen.
    pub trials: Array2<f64>,
    /// One label per trial.
    pub labels: Vec<i64>,
    /// Identity of each cell, shared by all sessions.
    pub cell: Vec<i64>,
    /// Whether each cell was seen, all its values finite.
    pub seen: Vec<bool>,
    /// Whether each cell is ever active in the session, in this epoch or another.
    pub active: Vec<bool>,
    /// How probable each cell's identity is, if that is known.
    pub p_same: Option<Vec<f64>>,
    /// Elapsed days.
    pub day: f64,
}

impl EpochTrials {
    /// The epoch of every session.
    ///
    /// # Errors
    /// [`Error::Session`], [`Error::Epoch`] for malformed input,
    /// [`Error::Nothing`] without sessions, [`Error::Undefined`] if a session
    /// has no time bin in the epoch.
    pub fn of(sessions: &[Session], epoch: &Epoch, variable: &str) -> Result<Vec<Self>, Error> {
        epoch.check()?;
        if sessions.is_empty() {
            return Err(Error::Nothing("sessions"));
        }
        sessions
            .iter()
            .enumerate()
            .map(|(index, session)| {
                session.check(index + 1, &[variable.to_owned()])?;
                if session.bins(epoch).is_empty() {
                    return Err(Error::Undefined(format!(
                        "session {} has no time bin in the epoch {:?}",
                        index + 1,
                        epoch.name
                    )));
                }
                Ok(Self::one(session, epoch, variable))
            })
            .collect()
    }

    fn one(session: &Session, epoch: &Epoch, variable: &str) -> Self {
        let cells = session.cell.len();
        let active = |cell: usize| {
            let values = session.activity.index_axis(Axis(1), cell);
            values.iter().any(|&v| v != 0.0)
        };
        Self {
            trials: session.epoch_means(epoch),
            labels: session.labels[variable].clone(),
            cell: session.cell.clone(),
            seen: (0..cells).map(|cell| session.seen(cell)).collect(),
            active: (0..cells).map(active).collect(),
            p_same: session
                .p_same
                .as_ref()
                .map(|p| p.iter().map(|&p| f64::from(p)).collect()),
            day: session.day,
        }
    }

    /// Probability of a cell's identity, 1 if it is not known.
    pub(crate) fn sure(&self, cell: usize) -> f64 {
        self.p_same.as_ref().map_or(1.0, |p| p[cell])
    }

    /// Refuses arrays that do not fit together: the fields are public.
    pub(crate) fn check(all: &[Self]) -> Result<(), Error> {
        if all.is_empty() {
            return Err(Error::Nothing("sessions"));
        }
        for (index, one) in all.iter().enumerate() {
            let (trials, cells) = one.trials.dim();
            let p = one.p_same.as_ref().map_or(cells, Vec::len);
            let lengths = [one.cell.len(), one.seen.len(), one.active.len(), p];
            if one.labels.len() != trials || lengths.iter().any(|&n| n != cells) {
                return Err(Error::Session {
                    session: index + 1,
                    reason: format!(
                        "labels, cells or masks do not fit {trials} trials of {cells} cells"
                    ),
                });
            }
            if !one.day.is_finite() {
                return Err(Error::NotFinite("a day"));
            }
        }
        Ok(())
    }
}
