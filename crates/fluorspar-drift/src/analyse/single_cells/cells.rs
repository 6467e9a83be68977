//! One row per session, cell, epoch and variable, and what they add up to.

use ndarray::Array2;

use super::super::context::{Context, Window};
use super::places::Places;
use super::quarters::Quarters;
use super::tested::{Halves, Tested, name, statistic};
use crate::single_cell::{Class, Classes, classify};
use crate::statistics::pearson;
use crate::table::{Column, Table, Values, row};

/// Cells whose mean courses of two halves correlate by less have no peak time.
pub(super) const LEAST_RELIABILITY: f64 = 0.5;

row! {
    /// What share of the cells is selective; a row of `selective_fractions.csv`.
    FractionRow in "selective_fractions" {
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty for any of them.
        variable: String,
        /// Session, from 1.
        session: usize,
        /// Elapsed days.
        day: f64,
        /// Cells that could be tested.
        n_cells: usize,
        /// Trials.
        n_trials: usize,
        /// Share of cells selective.
        selective: f64,
        /// Share of cells selective for this and no other variable.
        pure: f64,
        /// Share of cells selective for this and another variable.
        mixed: f64,
        /// Share selective in one half of the trials.
        half_a: f64,
        /// Share selective in the other half: what differs from `half_a` differs within a day.
        half_b: f64,
        /// Trials of each label in a half, the same in all sessions.
        half_trials_per_label: usize,
        /// What p is a probability of.
        test: &'static str,
        /// False discovery rate at or below which a cell is selective.
        false_discovery: f64,
        /// Exchanges of labels.
        permutations: usize,
        /// Their seed.
        seed: u64,
        /// Why there is no value, or empty.
        reason: String,
    }
}

row! {
    /// Cells by the set of variables they are selective for: the numbers of a
    /// Venn diagram; a row of `selectivity_sets.csv`.
    SetRow in "selectivity_sets" {
        /// Epoch of the trial.
        epoch: String,
        /// Session, from 1.
        session: usize,
        /// Elapsed days.
        day: f64,
        /// Variables joined by `+`; empty for unselective cells.
        variables: String,
        /// Cells selective for all of these and no other.
        n_cells: usize,
        /// Cells that could be tested.
        n_tested: usize,
    }
}

/// Classes over the variables of one epoch; none if no variable could be tested.
pub(super) fn classes(
    context: &Context<'_>,
    tested: &[&Result<Tested, String>],
) -> Option<Classes> {
    let cells = tested.iter().find_map(|t| Some(t.as_ref().ok()?.q.len()))?;
    let q = Array2::from_shape_fn((tested.len(), cells), |(variable, cell)| {
        tested[variable].as_ref().map_or(f64::NAN, |t| t.q[cell])
    });
    classify(q.view(), context.parameters.false_discovery).ok()
}

pub(super) fn fractions(
    context: &Context<'_>,
    window: &Window<'_>,
    session: usize,
    tested: &[&Result<Tested, String>],
    halves: &[Halves],
    classes: Option<&Classes>,
) -> Vec<FractionRow> {
    let parameters = context.parameters;
    let blank = |variable: &str| FractionRow {
        epoch: window.epoch.name.clone(),
        variable: variable.to_owned(),
        session: session + 1,
        day: context.sessions[session].day,
        n_cells: 0,
        n_trials: context.trials(session, session),
        selective: f64::NAN,
        pure: f64::NAN,
        mixed: f64::NAN,
        half_a: f64::NAN,
        half_b: f64::NAN,
        half_trials_per_label: 0,
        test: "",
        false_discovery: parameters.false_discovery,
        permutations: parameters.permutations,
        seed: parameters.seed,
        reason: String::new(),
    };
    let mut out = Vec::new();
    for (k, variable) in parameters.variables.iter().enumerate() {
        let mut row = blank(variable);
        row.test = name(statistic(context.classes(variable).len()));
        match tested[k] {
            Err(reason) => row.reason.clone_from(reason),
            Ok(tested) => {
                let n = tested.q.iter().filter(|q| !q.is_nan()).count();
                let share = |count: usize| count as f64 / n as f64;
                let on = tested
                    .q
                    .iter()
                    .filter(|&&q| q <= parameters.false_discovery)
                    .count();
                row.n_cells = n;
                row.selective = share(on);
                if n == 0 {
                    row.reason = "no cell varies".into();
                }
                if let Some(classes) = classes {
                    row.pure = share(classes.pure(k));
                    row.mixed = share(on - classes.pure(k));
                }
                if let Ok([a, b]) = &halves[k].on[session] {
                    let count = |half: &[bool]| half.iter().filter(|&&on| on).count();
                    row.half_a = share(count(a));
                    row.half_b = share(count(b));
                    row.half_trials_per_label = halves[k].per_label;
                }
            }
        }
        out.push(row);
    }
    if let Some(classes) = classes {
        let mut row = blank("");
        row.n_cells = classes.venn.values().sum();
        row.pure = classes.fraction(Class::Pure);
        row.mixed = classes.fraction(Class::Mixed);
        row.selective = row.pure + row.mixed;
        out.push(row);
    }
    out
}

pub(super) fn sets(
    context: &Context<'_>,
    window: &Window<'_>,
    session: usize,
    classes: Option<&Classes>,
) -> Vec<SetRow> {
    let Some(classes) = classes else {
        return Vec::new();
    };
    let names = |set: u64| -> String {
        let variables = context.parameters.variables.iter().enumerate();
        let named: Vec<&str> = variables
            .filter(|&(k, _)| set >> k & 1 == 1)
            .map(|(_, name)| name.as_str())
            .collect();
        named.join("+")
    };
    classes
        .venn
        .iter()
        .map(|(&set, &n_cells)| SetRow {
            epoch: window.epoch.name.clone(),
            session: session + 1,
            day: context.sessions[session].day,
            variables: names(set),
            n_cells,
            n_tested: classes.venn.values().sum(),
        })
        .collect()
}

/// The columns of `cells.csv`: millions of rows, so no text in any of them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    epochs: Vec<String>,
    session: Vec<i64>,
    cell: Vec<i64>,
    epoch: Vec<u16>,
    variable: Vec<u16>,
    index: Vec<f32>,
    d_prime: Vec<f32>,
    au_roc: Vec<f32>,
    eta_squared: Vec<f32>,
    p: Vec<f32>,
    q: Vec<f32>,
    selective: Vec<bool>,
    class: Vec<u16>,
    peak_s: Vec<f32>,
    time_reliability: Vec<f32>,
}

const CLASSES: [Class; 4] = [
    Class::Untested,
    Class::Unselective,
    Class::Pure,
    Class::Mixed,
];

impl Columns {
    #[allow(clippy::too_many_arguments)] // the parts of one session's epoch
    pub(super) fn add(
        &mut self,
        context: &Context<'_>,
        window: &Window<'_>,
        places: &Places,
        session: usize,
        tested: &[&Result<Tested, String>],
        whole: Option<&Quarters>,
        classes: Option<&Classes>,
    ) {
        let level = context.parameters.false_discovery;
        let known = self
            .epochs
            .iter()
            .position(|name| *name == window.epoch.name);
        let epoch = known.unwrap_or(self.epochs.len()) as u16;
        if known.is_none() {
            self.epochs.push(window.epoch.name.clone());
        }
        let members = places.members(session);
        let timing: Vec<[f32; 2]> = (0..members.len())
            .map(|member| whole.map_or([f32::NAN; 2], |whole| peak(whole, member)))
            .collect();
        let class = |member: usize| {
            classes.map_or(0, |c| {
                let of = c.class[member];
                CLASSES.iter().position(|&class| class == of).unwrap_or(0) as u16
            })
        };
        for (variable, tested) in tested.iter().enumerate() {
            let Ok(tested) = tested else { continue };
            let single =
                |values: &[f64]| -> Vec<f32> { values.iter().map(|&v| v as f32).collect() };
            let rows = members.len();
            self.session
                .extend(std::iter::repeat_n(session as i64 + 1, rows));
            self.cell.extend(
                members
                    .iter()
                    .map(|m| context.sessions[session].cell[m.index]),
            );
            self.epoch.extend(std::iter::repeat_n(epoch, rows));
            self.variable
                .extend(std::iter::repeat_n(variable as u16, rows));
            self.index.extend(single(&tested.index));
            self.d_prime.extend(single(&tested.d_prime));
            self.au_roc.extend(single(&tested.au_roc));
            self.eta_squared.extend(single(&tested.eta_squared));
            self.p.extend(single(&tested.p));
            self.q.extend(single(&tested.q));
            self.selective.extend(tested.q.iter().map(|&q| q <= level));
            self.class.extend((0..rows).map(class));
            self.peak_s.extend(timing.iter().map(|t| t[0]));
            self.time_reliability.extend(timing.iter().map(|t| t[1]));
        }
    }

    pub(super) fn table(self, context: &Context<'_>) -> Table {
        let category = |index, names| Values::Category { index, names };
        let classes = CLASSES.map(|class| class.name().to_owned()).to_vec();
        let variables = context.parameters.variables.clone();
        let columns = [
            ("session", Values::Integer(self.session)),
            ("cell", Values::Integer(self.cell)),
            ("epoch", category(self.epoch, self.epochs)),
            ("variable", category(self.variable, variables)),
            ("selectivity_index", Values::Single(self.index)),
            ("d_prime", Values::Single(self.d_prime)),
            ("au_roc", Values::Single(self.au_roc)),
            ("eta_squared", Values::Single(self.eta_squared)),
            ("p", Values::Single(self.p)),
            ("q", Values::Single(self.q)),
            ("selective", Values::Flag(self.selective)),
            ("class", category(self.class, classes)),
            ("peak_s", Values::Single(self.peak_s)),
            ("time_reliability", Values::Single(self.time_reliability)),
        ];
        Table {
            name: "cells",
            columns: columns
                .into_iter()
                .map(|(name, values)| Column { name, values })
                .collect(),
        }
    }
}

/// Peak time of the mean over all trials if it can be relied on, and the
/// correlation of the two halves.
fn peak(whole: &Quarters, member: usize) -> [f32; 2] {
    let [a, b] = whole.halves(member);
    let reliability = pearson(&a, &b);
    let mut best = f64::NEG_INFINITY;
    let mut time = f64::NAN;
    for ((a, b), &at) in a.iter().zip(&b).zip(&whole.time_s) {
        if a + b > best {
            (best, time) = (a + b, at);
        }
    }
    let reliable = reliability >= LEAST_RELIABILITY;
    let time = if reliable { time } else { f64::NAN };
    [time as f32, reliability as f32]
}
