use ndarray::{Array2, Axis, CowArray, Ix2};

use crate::{Epoch, Error, Inclusion, Session};

/// The trials of one session averaged over an epoch, with the labels of one variable.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochTrials<'a> {
    /// Mean activity `(cell, trial)`; anything for a cell that was not seen.
    pub activity: CowArray<'a, f32, Ix2>,
    /// One label per trial.
    pub labels: Vec<i64>,
    /// Identity of each cell, shared by all sessions.
    pub cell: Vec<i64>,
    /// Whether each cell was seen, all its values finite.
    pub seen: Vec<bool>,
    /// Whether each cell is ever active in the session, in this epoch or another.
    pub active: Vec<bool>,
    /// Whether each cell is selective, if an inclusion rule asks for it.
    pub selective: Option<Vec<bool>>,
    /// How probable each cell's identity is, if that is known.
    pub p_same: Option<Vec<f64>>,
    /// Elapsed days.
    pub day: f64,
}

impl EpochTrials<'_> {
    /// The epoch of every session.
    ///
    /// # Errors
    /// [`Error::Session`], [`Error::Epoch`] for malformed input,
    /// [`Error::Nothing`] without sessions, [`Error::Undefined`] if a session
    /// has no time bin in the epoch.
    pub fn of(
        sessions: &[Session],
        epoch: &Epoch,
        variable: &str,
    ) -> Result<Vec<EpochTrials<'static>>, Error> {
        epoch.check()?;
        if sessions.is_empty() {
            return Err(Error::Nothing("sessions"));
        }
        sessions
            .iter()
            .enumerate()
            .map(|(index, session)| {
                session.check(index + 1, &[variable.to_owned()])?;
                let bins = session.bins(epoch);
                if bins.is_empty() {
                    return Err(Error::Undefined(format!(
                        "session {} has no time bin in the epoch {:?}",
                        index + 1,
                        epoch.name
                    )));
                }
                Ok(one(session, &bins, variable))
            })
            .collect()
    }

    /// Probability of a cell's identity, 1 if it is not known.
    pub(crate) fn sure(&self, cell: usize) -> f64 {
        self.p_same.as_ref().map_or(1.0, |p| p[cell])
    }

    /// Refuses arrays that do not fit together: the fields are public.
    pub(crate) fn check(all: &[EpochTrials<'_>], inclusion: Inclusion) -> Result<(), Error> {
        use Inclusion::{InformativeInBoth, InformativeInEither};
        if all.is_empty() {
            return Err(Error::Nothing("sessions"));
        }
        for (index, one) in all.iter().enumerate() {
            let (cells, trials) = one.activity.dim();
            let p = one.p_same.as_ref().map_or(cells, Vec::len);
            let selective = one.selective.as_ref().map_or(cells, Vec::len);
            let lengths = [
                one.cell.len(),
                one.seen.len(),
                one.active.len(),
                p,
                selective,
            ];
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
            if one.selective.is_none()
                && matches!(inclusion, InformativeInBoth | InformativeInEither)
            {
                return Err(Error::Undefined(
                    "which cells are selective is not known".into(),
                ));
            }
        }
        Ok(())
    }
}

fn one(session: &Session, bins: &[usize], variable: &str) -> EpochTrials<'static> {
    let (trials, cells, _) = session.activity.dim();
    let active = |cell: usize| {
        let values = session.activity.index_axis(Axis(1), cell);
        values.iter().any(|&v| v != 0.0)
    };
    let activity = Array2::from_shape_fn((cells, trials), |(cell, trial)| {
        let of_bin = |&bin: &usize| f64::from(session.activity[[trial, cell, bin]]);
        (bins.iter().map(of_bin).sum::<f64>() / bins.len() as f64) as f32
    });
    EpochTrials {
        activity: activity.into(),
        labels: session.labels.get(variable).cloned().unwrap_or_default(),
        cell: session.cell.clone(),
        seen: (0..cells).map(|cell| session.seen(cell)).collect(),
        active: (0..cells).map(active).collect(),
        selective: None,
        p_same: session
            .p_same
            .as_ref()
            .map(|p| p.iter().map(|&p| f64::from(p)).collect()),
        day: session.day,
    }
}
