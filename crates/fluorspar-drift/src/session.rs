use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array3, Axis};

use crate::Error;

/// One recording session: its trials, its cells and what else is known of it.
///
/// Only the first five fields are needed; the others are empty or `None` by
/// [`Default`]. *Not seen*, *silent* and *unsure* are three things: a cell
/// that was not seen is left out of `cell` or has `present` false, a silent
/// one is present with activity 0, an unsure one has a low `p_same`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// Activity `(trial, cell, time)`: events, ΔF/F, rates or z-scores. A cell
    /// with a value that is not finite counts as not seen.
    pub activity: Array3<f32>,
    /// Identity of each cell, shared by all sessions.
    pub cell: Vec<i64>,
    /// Time of each bin, seconds from trial onset (or any other coordinate, such as position).
    pub time_s: Vec<f64>,
    /// Elapsed days.
    pub day: f64,
    /// One label per trial, by variable.
    pub labels: BTreeMap<String, Vec<i64>>,
    /// How probable each cell's identity is, 0 to 1; certain if `None`.
    pub p_same: Option<Vec<f32>>,
    /// Whether each cell could be seen at all; all of them if `None`. What
    /// `activity` holds for a cell that is not present is ignored.
    pub present: Option<Vec<bool>>,
    /// Which practice session of the animal this is, from 1, sessions without
    /// a recording counted; the place among the recorded ones if `None`.
    pub practice: Option<usize>,
    /// Area, layer or other group of each cell.
    pub group: Option<Vec<String>>,
    /// Centre of each cell `(z, y, x)` in µm, for finding duplicates between planes.
    pub place_um: Option<Vec<[f64; 3]>>,
    /// Behaviour, one number per trial, by name: running speed, licks, pupil.
    pub behaviour: BTreeMap<String, Vec<f64>>,
    /// Numbers of the whole session that could explain a change, by name:
    /// signal-to-noise ratio, mean fluorescence, offset in z.
    pub covariates: BTreeMap<String, f64>,
}

/// A named part of the trial, `[start_s, stop_s)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Name, as it appears in the tables.
    pub name: String,
    /// Start, seconds from trial onset.
    pub start_s: f64,
    /// Stop, seconds from trial onset.
    pub stop_s: f64,
}

impl Session {
    pub(crate) fn check(&self, number: usize, variables: &[String]) -> Result<(), Error> {
        let bad = |reason: String| Error::Session {
            session: number,
            reason,
        };
        let (trials, cells, bins) = self.activity.dim();
        if self.cell.len() != cells {
            return Err(bad(format!(
                "{} identities for {cells} cells",
                self.cell.len()
            )));
        }
        if self.time_s.len() != bins {
            return Err(bad(format!(
                "{} times for {bins} time bins",
                self.time_s.len()
            )));
        }
        if let Some(p) = &self.p_same
            && (p.len() != cells || p.iter().any(|p| !(0.0..=1.0).contains(p)))
        {
            return Err(bad(format!(
                "p_same must hold {cells} probabilities, one per cell"
            )));
        }
        if !self.day.is_finite() || self.time_s.iter().any(|t| !t.is_finite()) {
            return Err(bad("the day or a time is not a finite number".into()));
        }
        let per_cell = [
            ("present", self.present.as_ref().map(Vec::len)),
            ("group", self.group.as_ref().map(Vec::len)),
            ("place_um", self.place_um.as_ref().map(Vec::len)),
        ];
        for (name, length) in per_cell {
            if length.is_some_and(|n| n != cells) {
                return Err(bad(format!(
                    "{name} must hold one entry for each of {cells} cells"
                )));
            }
        }
        for (name, values) in &self.behaviour {
            if values.len() != trials {
                return Err(bad(format!(
                    "{} values of the behaviour {name:?} for {trials} trials",
                    values.len()
                )));
            }
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.cell.iter().find(|id| !seen.insert(**id)) {
            return Err(bad(format!("the cell {twice} appears twice")));
        }
        for variable in variables {
            let labels = self
                .labels
                .get(variable)
                .ok_or_else(|| bad(format!("has no labels {variable:?}")))?;
            if labels.len() != trials {
                return Err(bad(format!(
                    "{} labels {variable:?} for {trials} trials",
                    labels.len()
                )));
            }
        }
        Ok(())
    }

    /// Whether a cell was seen and all its values are finite.
    pub(crate) fn seen(&self, cell: usize) -> bool {
        self.present.as_ref().is_none_or(|p| p[cell])
            && self
                .activity
                .index_axis(Axis(1), cell)
                .iter()
                .all(|v| v.is_finite())
    }

    /// Time bins of an epoch.
    pub(crate) fn bins(&self, epoch: &Epoch) -> Vec<usize> {
        (0..self.time_s.len())
            .filter(|&k| self.time_s[k] >= epoch.start_s && self.time_s[k] < epoch.stop_s)
            .collect()
    }
}

impl Epoch {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.start_s.is_finite() && self.stop_s.is_finite() && self.start_s < self.stop_s {
            return Ok(());
        }
        Err(Error::Epoch {
            name: self.name.clone(),
            reason: format!("[{}, {}] is not a window", self.start_s, self.stop_s),
        })
    }
}
