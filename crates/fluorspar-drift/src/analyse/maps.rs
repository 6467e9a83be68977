//! Whether the trials of a session hold one code or switch between several.

use std::collections::BTreeMap;

use ndarray::Array3;

use super::context::{Context, Window};
use crate::maps::{
    MapAlignment, MapParameters, MapSession, Pattern, SessionMaps, align_maps, find_maps,
};
use crate::table::{Table, Tabular, row};

/// Cells looked at, the same in all sessions: a switch concerns all of them.
const CELLS: usize = 512;
const ONE: &str = "one map";
const SWITCH: &str = "trials switch between maps: not drift";
/// Least corrected similarity of the same map in two sessions.
const SAME_MAP: f64 = 0.25;

row! {
    /// How many codes the trials of one session and condition hold.
    MapRow in "maps" {
        /// Epoch of the trial.
        epoch: String,
        /// Labels that the trials have in common, such as `odour = 1`, or empty.
        condition: String,
        /// Session, from 1.
        session: usize,
        /// Elapsed days.
        day: f64,
        /// Cells looked at.
        n_cells: usize,
        /// Trials of the condition.
        n_trials: usize,
        /// Maps found in the session.
        maps: usize,
        /// `one`, `step`, `alternating`.
        pattern: &'static str,
        /// Similarity between the two sets of the best division, 1 for one map.
        similarity: f64,
        /// Probability of so large a difference under `null`; empty if not small enough a similarity.
        p: f64,
        /// The null hypothesis.
        null: &'static str,
        /// Seed of the surrogates.
        seed: u64,
        /// Mean similarity of two trials of the same map.
        reliability: f64,
        /// Map of each trial of the condition, numbered over sessions from 1, `-` where none.
        map_of_trial: String,
        /// What this means for drift.
        verdict: &'static str,
        /// Why nothing could be found, or empty.
        reason: String,
    }
}

row! {
    /// Similarity of two maps, or of all trials of two sessions.
    SimilarityRow in "map_similarity" {
        /// Epoch of the trial.
        epoch: String,
        /// Labels that the trials have in common, or empty.
        condition: String,
        /// `same map`, `different maps`, `mixture`.
        relation: &'static str,
        /// First session, from 1.
        session_i: usize,
        /// Its map, from 1; 0 for a mixture.
        map_i: usize,
        /// Second session, from 1.
        session_j: usize,
        /// Its map, from 1; 0 for a mixture.
        map_j: usize,
        /// Elapsed days between them.
        days: f64,
        /// Population-vector correlation of the means over trials.
        raw: f64,
        /// Divided by the reliability of both.
        corrected: f64,
        /// Cells compared.
        n_cells: usize,
        /// Trials of the first.
        trials_i: usize,
        /// Trials of the second.
        trials_j: usize,
        /// Why a value is empty.
        reason: String,
    }
}

/// Tables about maps, filled epoch by epoch.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    maps: Vec<MapRow>,
    similarity: Vec<SimilarityRow>,
}

/// The trials of one session that have all labels in common.
struct Part {
    activity: Array3<f32>,
    cell: Vec<i64>,
    found: Result<SessionMaps, String>,
}

impl Maps {
    /// Adds one epoch. Trials are compared with trials of the same labels
    /// only: that other odours have other codes is no switch.
    pub(crate) fn add(&mut self, context: &Context<'_>, window: &Window<'_>) {
        for (condition, members) in conditions(context) {
            let parts: Vec<Part> = members
                .iter()
                .enumerate()
                .map(|(session, trials)| part(context, window, session, trials))
                .collect();
            self.add_condition(context, &window.epoch.name, &condition, &parts);
        }
    }

    fn add_condition(
        &mut self,
        context: &Context<'_>,
        epoch: &str,
        condition: &str,
        parts: &[Part],
    ) {
        // Sessions in which maps could be looked for, and those by their place among them.
        let known: Vec<(usize, &Part, &SessionMaps)> = parts
            .iter()
            .enumerate()
            .filter_map(|(s, part)| Some((s, part, part.found.as_ref().ok()?)))
            .collect();
        let sessions: Vec<MapSession<'_>> = known
            .iter()
            .map(|&(s, part, found)| MapSession {
                activity: part.activity.view(),
                cell: &part.cell,
                day: context.sessions[s].day,
                map: &found.map,
            })
            .collect();
        let aligned = align_maps(&sessions, SAME_MAP);
        for (s, part) in parts.iter().enumerate() {
            let place = known.iter().position(|k| k.0 == s);
            let mut row = MapRow {
                epoch: epoch.into(),
                condition: condition.into(),
                session: s + 1,
                day: context.sessions[s].day,
                n_cells: part.cell.len(),
                n_trials: part.activity.dim().0,
                maps: 0,
                pattern: "",
                similarity: f64::NAN,
                p: f64::NAN,
                null: "",
                seed: context.parameters.seed,
                reliability: f64::NAN,
                map_of_trial: String::new(),
                verdict: "",
                reason: String::new(),
            };
            match (&part.found, &aligned, place) {
                (Ok(found), Ok(aligned), Some(place)) => fill(&mut row, found, aligned, place),
                (Err(reason), ..) => row.reason.clone_from(reason),
                (_, Err(error), _) => row.reason = error.to_string(),
                (_, _, None) => {}
            }
            self.maps.push(row);
        }
        // With one map throughout, the other tables say all there is.
        let rows = &self.maps[self.maps.len() - parts.len()..];
        let several = |row: &MapRow| !row.verdict.is_empty() && row.verdict != ONE;
        let Some(aligned) = aligned.ok().filter(|_| rows.iter().any(several)) else {
            return;
        };
        let number = |map: Option<usize>| map.map_or(0, |m| m + 1);
        self.similarity
            .extend(aligned.similarity.iter().map(|pair| SimilarityRow {
                epoch: epoch.into(),
                condition: condition.into(),
                relation: pair.relation.name(),
                session_i: known[pair.first.0].0 + 1,
                map_i: number(pair.first.1),
                session_j: known[pair.second.0].0 + 1,
                map_j: number(pair.second.1),
                days: pair.days,
                raw: pair.raw,
                corrected: pair.corrected,
                n_cells: pair.n_cells,
                trials_i: pair.n_traversals[0],
                trials_j: pair.n_traversals[1],
                reason: pair.reason.clone(),
            }));
    }

    /// Both tables.
    pub(crate) fn tables(self) -> Vec<Table> {
        vec![
            MapRow::table(&self.maps),
            SimilarityRow::table(&self.similarity),
        ]
    }
}

/// Every combination of labels that occurs, and its trials in each session.
fn conditions(context: &Context<'_>) -> Vec<(String, Vec<Vec<usize>>)> {
    let variables = &context.parameters.variables;
    let sessions = context.sessions.len();
    let mut out: BTreeMap<Vec<i64>, Vec<Vec<usize>>> = BTreeMap::new();
    for (s, session) in context.sessions.iter().enumerate() {
        for trial in 0..session.activity.dim().0 {
            let labels = variables
                .iter()
                .map(|variable| context.labels(s, variable)[trial])
                .collect();
            out.entry(labels)
                .or_insert_with(|| vec![Vec::new(); sessions])[s]
                .push(trial);
        }
    }
    out.into_iter()
        .map(|(labels, members)| {
            let named = variables.iter().zip(labels);
            let parts: Vec<String> = named.map(|(v, label)| format!("{v} = {label}")).collect();
            (parts.join(", "), members)
        })
        .collect()
}

fn part(context: &Context<'_>, window: &Window<'_>, session: usize, trials: &[usize]) -> Part {
    let every = context.roster.cells.div_ceil(CELLS).max(1);
    let cells: Vec<(usize, usize)> = context
        .roster
        .of(session)
        .filter(|(global, _)| global % every == 0)
        .collect();
    let bins = &window.bins[session];
    let of = &context.sessions[session].activity;
    let activity = Array3::from_shape_fn((trials.len(), cells.len(), bins.len()), |(t, c, b)| {
        let values = bins[b]
            .iter()
            .map(|&bin| f64::from(of[[trials[t], cells[c].1, bin]]));
        (values.sum::<f64>() / bins[b].len() as f64) as f32
    });
    let parameters = MapParameters {
        seed: context.parameters.seed,
        ..MapParameters::default()
    };
    let found = find_maps(activity.view(), &parameters).map_err(|e| e.to_string());
    Part {
        activity,
        cell: cells.iter().map(|&(global, _)| global as i64).collect(),
        found,
    }
}

fn fill(row: &mut MapRow, found: &SessionMaps, aligned: &MapAlignment, place: usize) {
    row.maps = found.count;
    row.pattern = found.pattern.name();
    if let Some(split) = found.splits.first() {
        (row.similarity, row.p) = (split.similarity, split.p);
    }
    row.null = found.null;
    row.reliability = found.within.first().copied().unwrap_or(f64::NAN);
    let numbers = found
        .map
        .iter()
        .map(|map| map.map_or("-".to_owned(), |m| (aligned.map[place][m] + 1).to_string()));
    row.map_of_trial = numbers.collect::<Vec<_>>().join(" ");
    let here = &aligned.map[place];
    let before = |map: usize| aligned.sessions[map].iter().any(|&s| s < place);
    let after = |map: usize| aligned.sessions[map].iter().any(|&s| s > place);
    row.verdict = match found.pattern {
        Pattern::Alternating => SWITCH,
        // The first map of a lasting change does not come back, its last was not there before.
        Pattern::Step if after(here[0]) || here.last().is_some_and(|&last| before(last)) => SWITCH,
        Pattern::Step => "an abrupt change: a switch, or lasting",
        Pattern::One => {
            let missing =
                (0..aligned.count).find(|map| !here.contains(map) && before(*map) && after(*map));
            if missing.is_some() {
                "one of several maps that come and go: not drift"
            } else {
                ONE
            }
        }
    };
}
