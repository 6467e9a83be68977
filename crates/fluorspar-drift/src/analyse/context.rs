//! What all parts of an analysis share: sessions, parameters, cells, resamples.

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::cells::{Draws, Pair, Roster};
use crate::statistics::interval;
use crate::table::MetricRow;
use crate::{Epoch, Parameters, Session};

/// Sessions that were checked, and which cells they share.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// In the order of days, checked.
    pub(crate) sessions: &'a [Session],
    /// Checked.
    pub(crate) parameters: &'a Parameters,
    /// Cells and where they are.
    pub(crate) roster: Roster,
    /// The resamples of cells, the same for every metric.
    pub(crate) draws: Draws,
}

/// One epoch in all sessions.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    pub(crate) epoch: &'a Epoch,
    /// For each session the epoch's coarse time bins, each a list of bins of
    /// `activity`; none where the epoch lies outside the recording.
    pub(crate) bins: Vec<Vec<Vec<usize>>>,
    /// For each session the mean over the epoch `(cell, trial)`; without
    /// columns where the epoch lies outside. Cells that were not seen hold anything.
    pub(crate) means: Vec<Array2<f32>>,
}

/// What a row is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic<'a> {
    pub(crate) metric: &'static str,
    pub(crate) epoch: &'a str,
    /// Label, or empty.
    pub(crate) variable: &'a str,
}

/// What is resampled for the interval and what p is a probability under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis {
    pub(crate) unit: &'static str,
    pub(crate) null: &'static str,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        sessions: &'a [Session],
        parameters: &'a Parameters,
        informative: Vec<Vec<bool>>,
    ) -> Self {
        let roster = Roster::new(sessions, parameters, informative);
        let draws = Draws::new(parameters.bootstrap, roster.cells, parameters.seed);
        Self {
            sessions,
            parameters,
            roster,
            draws,
        }
    }

    /// The same with identities drawn from their probabilities and no resamples.
    pub(crate) fn with_sampled_identity(&self, draw: u64) -> Self {
        let seed = self.parameters.seed;
        Self {
            sessions: self.sessions,
            parameters: self.parameters,
            roster: self.roster.sampled(self.sessions, seed, draw),
            draws: Draws::new(0, self.roster.cells, seed),
        }
    }

    /// Whether any cell's identity is less than certain.
    pub(crate) fn unsure(&self) -> bool {
        self.sessions.iter().any(|s| {
            s.p_same
                .as_ref()
                .is_some_and(|p| p.iter().any(|&p| p < 1.0))
        })
    }

    pub(crate) fn window(&self, epoch: &'a Epoch) -> Window<'a> {
        let bins: Vec<Vec<Vec<usize>>> = self
            .sessions
            .iter()
            .map(|s| coarse(&s.bins(epoch), self.parameters.time_bins))
            .collect();
        let means = self
            .sessions
            .par_iter()
            .zip(&bins)
            .map(|(session, bins)| epoch_means(session, bins))
            .collect();
        Window { epoch, bins, means }
    }

    /// All pairs `i < j`, or `i ≤ j` with the diagonal.
    pub(crate) fn pairs(&self, diagonal: bool) -> Vec<(usize, usize)> {
        let n = self.sessions.len();
        (0..n)
            .flat_map(|i| (i + usize::from(!diagonal)..n).map(move |j| (i, j)))
            .collect()
    }

    /// The labels of `variable` in `session`; checked to be there.
    pub(crate) fn labels(&self, session: usize, variable: &str) -> &[i64] {
        self.sessions[session]
            .labels
            .get(variable)
            .map_or(&[], Vec::as_slice)
    }

    /// The distinct labels of `variable` over all sessions, ascending.
    pub(crate) fn classes(&self, variable: &str) -> Vec<i64> {
        let mut out: Vec<i64> = (0..self.sessions.len())
            .flat_map(|s| self.labels(s, variable).iter().copied())
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// For each of `classes` which trials of `session` carry it.
    pub(crate) fn members(
        &self,
        session: usize,
        variable: &str,
        classes: &[i64],
    ) -> Vec<Vec<usize>> {
        let labels = self.labels(session, variable);
        classes
            .iter()
            .map(|class| (0..labels.len()).filter(|&t| labels[t] == *class).collect())
            .collect()
    }

    /// Why the labels of `variable` in `session` do not suffice, if they do not.
    pub(crate) fn shortage(
        &self,
        session: usize,
        variable: &str,
        classes: &[i64],
    ) -> Option<String> {
        let number = session + 1;
        if classes.len() < 2 {
            return Some(format!("{variable:?} has one label only"));
        }
        let members = self.members(session, variable, classes);
        classes.iter().zip(&members).find_map(|(class, trials)| {
            (trials.len() < self.parameters.min_trials).then(|| {
                format!(
                    "session {number} has {} trials with {variable} = {class}; {} are needed",
                    trials.len(),
                    self.parameters.min_trials
                )
            })
        })
    }

    /// Trials of the session with fewer.
    pub(crate) fn trials(&self, i: usize, j: usize) -> usize {
        let count = |s: usize| self.sessions[s].activity.dim().0;
        count(i).min(count(j))
    }

    /// A row about sessions `i` and `j` without a value yet.
    pub(crate) fn row(&self, topic: Topic<'_>, basis: Basis, i: usize, j: usize) -> MetricRow {
        MetricRow {
            metric: topic.metric,
            epoch: topic.epoch.into(),
            variable: topic.variable.into(),
            group: self.parameters.group.clone().unwrap_or_default(),
            session_i: i + 1,
            session_j: j + 1,
            day_i: self.sessions[i].day,
            day_j: self.sessions[j].day,
            value: f64::NAN,
            lo: f64::NAN,
            hi: f64::NAN,
            n_cells: 0,
            n_trials: self.trials(i, j),
            p: f64::NAN,
            unit: basis.unit,
            null: basis.null,
            seed: self.parameters.seed,
            inclusion: self.parameters.inclusion.name(),
            reason: String::new(),
        }
    }

    /// The row of a pair whose cells were resampled. For the null "same code",
    /// p is the share of resamples that reach 1.
    pub(crate) fn row_of(&self, topic: Topic<'_>, pair: &Pair, null: &'static str) -> MetricRow {
        let (lo, hi) = interval(&pair.resampled, self.parameters.confidence);
        let basis = Basis {
            unit: "cells",
            null,
        };
        let mut row = self.row(topic, basis, pair.i, pair.j);
        (row.value, row.lo, row.hi) = (pair.value, lo, hi);
        row.n_cells = pair.n_cells;
        row.reason.clone_from(&pair.reason);
        if null == SAME_CODE && pair.value.is_finite() {
            let reached = pair.resampled.iter().filter(|&&v| v >= 1.0).count();
            row.p = crate::inference::add_one_p(reached, pair.resampled.len());
        }
        row
    }
}

/// The null of corrected similarities: the code is the same in both sessions.
pub(crate) const SAME_CODE: &str = "same code";

/// Consecutive bins put together so that at most `most` remain, as equal in size as can be.
pub(crate) fn coarse(bins: &[usize], most: usize) -> Vec<Vec<usize>> {
    let parts = bins.len().min(most.max(1));
    (0..parts)
        .map(|k| bins[k * bins.len() / parts..(k + 1) * bins.len() / parts].to_vec())
        .collect()
}

fn epoch_means(session: &Session, bins: &[Vec<usize>]) -> Array2<f32> {
    let (trials, cells, _) = session.activity.dim();
    let wanted: Vec<usize> = bins.iter().flatten().copied().collect();
    if wanted.is_empty() {
        return Array2::zeros((cells, 0));
    }
    let mut out = Array2::zeros((cells, trials));
    for (trial, activity) in session.activity.axis_iter(Axis(0)).enumerate() {
        for (cell, course) in activity.rows().into_iter().enumerate() {
            let sum: f64 = wanted.iter().map(|&b| f64::from(course[b])).sum();
            out[[cell, trial]] = (sum / wanted.len() as f64) as f32;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::coarse;

    #[test]
    fn coarse_bins_hold_every_bin_once() {
        let bins: Vec<usize> = (3..20).collect();
        let parts = coarse(&bins, 5);
        assert_eq!(parts.len(), 5);
        assert_eq!(parts.concat(), bins);
        assert!(parts.iter().all(|p| (3..=4).contains(&p.len())));
        assert!(coarse(&[], 5).is_empty());
        assert_eq!(coarse(&bins, 100).len(), 17);
    }
}
