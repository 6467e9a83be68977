//! The checks of what looks like drift, as tables.

use std::collections::BTreeMap;

use ndarray::CowArray;
use rayon::prelude::*;

use super::confounds_behaviour::Behaviour;
use super::context::{Context, Window};
use crate::confounds::{
    Codes, ConfoundCheckRow, ConfoundNumberRow, EpochTrials, Finding, IdentitySweepRow,
    PresenceRow, Tracking, TrialCounts, WithinDayRow, WrongMatchesRow, comparison, counts_of,
    duplicates, experience, match_counts, presence_of, quality_of, tracking_of, within_day_of,
};
use crate::table::{Table, Tabular};
use crate::{Error, Session};

/// Gathers the checks of every epoch and variable.
pub(crate) struct Checks<'c, 's> {
    context: &'c Context<'s>,
    masks: Vec<Mask>,
    behaviour: Behaviour,
    /// Whether what depends on the session alone has been added.
    begun: bool,
    checks: Vec<ConfoundCheckRow>,
    numbers: Vec<ConfoundNumberRow>,
    matches: Vec<WrongMatchesRow>,
    sweep: Vec<IdentitySweepRow>,
}

/// The cells of one session.
struct Mask {
    /// Seen, and of the group that is analysed.
    seen: Vec<bool>,
    active: Vec<bool>,
}

impl Mask {
    /// In one pass over the activity, in the order it lies in memory.
    fn of(session: &Session, group: Option<&String>) -> Self {
        let cells = session.cell.len();
        let (mut seen, mut active) = (vec![true; cells], vec![false; cells]);
        for trial in session.activity.outer_iter() {
            for (cell, course) in trial.rows().into_iter().enumerate() {
                for value in course {
                    seen[cell] &= value.is_finite();
                    active[cell] |= *value != 0.0;
                }
            }
        }
        if let Some(present) = &session.present {
            seen.iter_mut().zip(present).for_each(|(s, p)| *s &= p);
        }
        if let Some(wanted) = group {
            let member = |cell: usize| session.group.as_ref().is_some_and(|g| g[cell] == *wanted);
            for (cell, seen) in seen.iter_mut().enumerate() {
                *seen &= member(cell);
            }
        }
        Self { seen, active }
    }
}

/// What the rows of one call are about.
#[derive(Clone, Copy)]
struct About<'a> {
    epoch: &'a str,
    variable: &'a str,
}

const SESSION: About<'static> = About {
    epoch: "",
    variable: "",
};

impl<'c, 's> Checks<'c, 's> {
    pub(crate) fn new(context: &'c Context<'s>) -> Self {
        let group = context.parameters.group.as_ref();
        Self {
            context,
            masks: context
                .sessions
                .par_iter()
                .map(|s| Mask::of(s, group))
                .collect(),
            behaviour: Behaviour::of(context.sessions),
            begun: false,
            checks: Vec::new(),
            numbers: Vec::new(),
            matches: Vec::new(),
            sweep: Vec::new(),
        }
    }

    /// Adds the checks on one epoch and variable.
    pub(crate) fn add(&mut self, window: &Window<'_>, variable: &str) {
        let about = About {
            epoch: &window.epoch.name,
            variable,
        };
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            self.add_behaviour();
        }
        if let Err(why) = self.add_codes(window, about, first) {
            self.find(about, [Finding::not_checked("all", why.to_string())]);
        }
    }

    pub(crate) fn tables(self) -> Vec<Table> {
        vec![
            ConfoundCheckRow::table(&self.checks),
            ConfoundNumberRow::table(&self.numbers),
            WrongMatchesRow::table(&self.matches),
            IdentitySweepRow::table(&self.sweep),
        ]
    }

    /// Behaviour and performance, which need no activity.
    fn add_behaviour(&mut self) {
        let (findings, numbers) = self.behaviour.checks(self.context);
        self.find(SESSION, findings);
        for (name, values) in numbers {
            self.number(SESSION, &name, values);
        }
    }

    fn add_codes(
        &mut self,
        window: &Window<'_>,
        about: About<'_>,
        first: bool,
    ) -> Result<(), Error> {
        let (context, parameters) = (self.context, self.context.parameters);
        if let Some(outside) = window.bins.iter().position(Vec::is_empty) {
            return Err(Error::Undefined(format!(
                "session {} has no time bin in this epoch",
                outside + 1
            )));
        }
        let trials: Vec<EpochTrials<'_>> = (0..context.sessions.len())
            .map(|k| self.epoch_trials(window, k, about.variable))
            .collect();
        let codes = Codes::of(&trials, None, parameters)?;

        let tracked = tracking_of(&codes, parameters);
        self.add_tracking(about, &tracked);
        let present = presence_of(&codes, parameters);
        let counted = counts_of(&codes, parameters);
        if first {
            let cells = |f: fn(&PresenceRow) -> usize| {
                present.sessions.iter().map(|row| f(row) as f64).collect()
            };
            self.number(SESSION, "mean_p_same", tracked.p_same.clone());
            self.number(SESSION, "cells_seen", cells(|row| row.seen));
            self.number(SESSION, "cells_silent", cells(|row| row.silent));
            self.number(SESSION, "cells_missing", cells(|row| row.missing));
            let all = counted
                .sessions
                .iter()
                .map(|row| row.trials as f64)
                .collect();
            self.number(SESSION, "trials", all);
            self.add_duplicates(&trials)?;
        }
        let similarity: Vec<(usize, usize, f64)> = tracked
            .pairs
            .iter()
            .map(|pair| (pair.i, pair.j, pair.similarity))
            .collect();
        self.find(about, tracked.findings);
        self.find(about, present.findings);

        // Covariates belong to the session and are looked at once.
        let covered = if first { context.sessions } else { &[] };
        let quality = quality_of(covered, &codes, parameters);
        for (row, finding) in quality.rows.into_iter().zip(&quality.findings) {
            let covariate = covered.iter().any(|s| s.covariates.contains_key(&row.name));
            let about = if covariate { SESSION } else { about };
            self.find(about, [finding.clone()]);
            self.number(about, &row.name, row.values);
        }
        self.find(about, quality.findings.last().cloned());

        self.add_counts(about, &counted, &trials)?;
        self.find(about, counted.findings);

        let within = within_day_of(&codes, self.behaviour.onset_s.as_deref(), parameters)?;
        let of = |f: fn(&WithinDayRow) -> f64| within.sessions.iter().map(f).collect();
        self.number(
            about,
            "similarity_of_first_and_last_third",
            of(|row| row.first_last),
        );
        self.number(
            about,
            "similarity_with_the_session_before",
            of(|row| row.to_last_session),
        );
        self.find(about, within.findings);

        let practice: Vec<usize> = context
            .sessions
            .iter()
            .enumerate()
            .map(|(k, session)| session.practice.unwrap_or(k + 1))
            .collect();
        let experienced = experience(&similarity, &codes.days(), &practice, parameters)?;
        self.find(about, [experienced.finding]);

        let findings = self.behaviour.against(&trials, &similarity, parameters)?;
        self.find(about, findings);
        Ok(())
    }

    fn epoch_trials<'w>(
        &self,
        window: &'w Window<'_>,
        session: usize,
        variable: &str,
    ) -> EpochTrials<'w> {
        let (mask, of) = (&self.masks[session], &self.context.sessions[session]);
        EpochTrials {
            activity: CowArray::from(window.means[session].view()),
            labels: self.context.labels(session, variable).to_vec(),
            cell: of.cell.clone(),
            seen: mask.seen.clone(),
            active: mask.active.clone(),
            selective: self
                .context
                .roster
                .informative(session)
                .map(<[bool]>::to_vec),
            p_same: of
                .p_same
                .as_ref()
                .map(|p| p.iter().map(|&p| f64::from(p)).collect()),
            day: of.day,
        }
    }

    fn add_tracking(&mut self, about: About<'_>, found: &Tracking) {
        let far = self.behaviour.distance.as_ref();
        self.matches
            .extend(found.pairs.iter().map(|pair| WrongMatchesRow {
                epoch: about.epoch.into(),
                variable: about.variable.into(),
                session_i: pair.i + 1,
                session_j: pair.j + 1,
                days: pair.days,
                wrong: pair.wrong,
                expected: pair.expected,
                similarity: pair.similarity,
                without_wrong: pair.without_wrong,
                behaviour_distance: far.map_or(f64::NAN, |d| d[[pair.i, pair.j]]),
                n_cells: pair.n_cells,
            }));
        self.sweep
            .extend(found.sweep.iter().map(|point| IdentitySweepRow {
                epoch: about.epoch.into(),
                variable: about.variable.into(),
                p_same: point.p_same,
                similarity: point.similarity,
                per_day: point.per_day,
                wrong: point.wrong,
                n_cells: point.n_cells,
                n_pairs: point.n_pairs,
            }));
    }

    /// Numbers of trials, and similarity on equally many of them.
    fn add_counts(
        &mut self,
        about: About<'_>,
        counted: &TrialCounts,
        trials: &[EpochTrials<'_>],
    ) -> Result<(), Error> {
        let mut by_label: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (k, row) in counted.sessions.iter().enumerate() {
            for (&label, &n) in &row.by_label {
                let counts = by_label.entry(label).or_default();
                counts.resize(counted.sessions.len(), 0.0);
                counts[k] = n as f64;
            }
        }
        let differ = by_label.values().any(|n| n.iter().any(|v| *v != n[0]));
        if !about.variable.is_empty() {
            for (label, counts) in by_label {
                let all = About { epoch: "", ..about };
                let name = format!("trials_with_{label}");
                if !self
                    .numbers
                    .iter()
                    .any(|row| row.name == name && row.variable == all.variable)
                {
                    self.number(all, &name, counts);
                }
            }
        }
        if differ {
            let labels: Vec<Vec<i64>> = trials.iter().map(|t| t.labels.clone()).collect();
            let parameters = self.context.parameters;
            let finding = match match_counts(&labels, parameters.seed) {
                Ok(picked) => {
                    comparison("trials_matched", trials, trials, Some(&picked), parameters)?.2
                }
                Err(why) => Finding::not_checked("trials_matched", why.to_string()),
            };
            self.find(about, [finding]);
        }
        Ok(())
    }

    /// Cells seen twice, session by session, on the first epoch.
    fn add_duplicates(&mut self, trials: &[EpochTrials<'_>]) -> Result<(), Error> {
        let found = self
            .context
            .sessions
            .par_iter()
            .zip(trials)
            .map(|(session, trials)| duplicates(session, trials))
            .collect::<Result<Vec<_>, _>>()?;
        let effective = found.iter().map(|d| d.effective).collect();
        self.number(SESSION, "independent_cells", effective);
        self.number(
            SESSION,
            "duplicate_pairs",
            found.iter().map(|d| d.pairs.len() as f64).collect(),
        );
        for (k, found) in found.into_iter().enumerate() {
            let name = format!("session {}", k + 1);
            self.find(SESSION, found.findings.into_iter().map(|f| f.about(&name)));
        }
        Ok(())
    }

    fn find(&mut self, about: About<'_>, findings: impl IntoIterator<Item = Finding>) {
        let seed = self.context.parameters.seed;
        self.checks
            .extend(findings.into_iter().map(|finding| ConfoundCheckRow {
                check: finding.check,
                about: finding.about,
                epoch: about.epoch.into(),
                variable: about.variable.into(),
                status: finding.status.word(),
                statistic: finding.statistic,
                lo: finding.lo,
                hi: finding.hi,
                p: finding.p,
                null: finding.null,
                n: finding.n,
                seed,
                sentence: finding.sentence,
            }));
    }

    /// One number of every session.
    fn number(&mut self, about: About<'_>, name: &str, values: Vec<f64>) {
        let sessions = self.context.sessions;
        self.numbers
            .extend(
                values
                    .into_iter()
                    .zip(sessions)
                    .enumerate()
                    .map(|(k, (value, session))| ConfoundNumberRow {
                        name: name.to_owned(),
                        epoch: about.epoch.into(),
                        variable: about.variable.into(),
                        session: k + 1,
                        day: session.day,
                        value,
                    }),
            );
    }
}
