//! What similarities say about time: their laws, and whether drift slows.

use ndarray::{Array2, Array3};

use super::cells::Pair;
use super::context::{Context, Topic};
use super::population::Metric;
use super::{crystallization, laws};
use crate::Parameters;
use crate::inference::{Alternative, mantel_partial};
use crate::law::{Covariance, Options, Table};
use crate::table::{
    CrystallizationRow, Drift, HalfLifeRow, MantelRow, RateRow, Similarity, Tabular,
};

/// Rows about time, filled metric by metric.
#[derive(Debug, Default)]
pub(crate) struct Trends {
    mantel: Vec<MantelRow>,
    pub(crate) rates: Vec<RateRow>,
    pub(crate) half_lives: Vec<HalfLifeRow>,
    pub(crate) crystallization: Vec<CrystallizationRow>,
    /// What was followed, population activity first of each epoch.
    pub(crate) followed: Vec<Similarity>,
}

impl Similarity {
    pub(crate) fn new(
        context: &Context<'_>,
        topic: Topic<'_>,
        pairs: &[Pair],
        reliability: &[f64],
    ) -> Self {
        Self {
            metric: topic.metric,
            epoch: topic.epoch.into(),
            variable: topic.variable.into(),
            table: table(context, pairs, reliability),
        }
    }
}

impl Trends {
    /// Whether a metric falls with the days between sessions, by itself and with
    /// what may go with days held fixed.
    pub(crate) fn over_days(
        &mut self,
        context: &Context<'_>,
        topic: Topic<'_>,
        values: Vec<(usize, usize, f64)>,
    ) {
        let n = context.sessions.len();
        let mut table = Array2::from_elem((n, n), f64::NAN);
        let mut any = false;
        for (i, j, value) in values {
            any |= i != j;
            table[[i, j]] = value;
        }
        if !any {
            return;
        }
        let apart = |of: &dyn Fn(usize) -> f64| {
            Array2::from_shape_fn((n, n), |(i, j)| (of(i) - of(j)).abs())
        };
        let days = apart(&|s| context.sessions[s].day);
        let practice = practice(context);
        let trials = |s: usize| (context.sessions[s].activity.dim().0.max(1) as f64).ln();
        let mut controls = vec![("", Vec::new())];
        if proportional(&days, &apart(&|s| practice[s])).is_none() {
            controls.push(("practice", vec![apart(&|s| practice[s])]));
        }
        if (1..n).any(|s| trials(s) != trials(0)) {
            controls.push(("trials", vec![apart(&trials)]));
        }
        let parameters = context.parameters;
        for (control, tables) in controls {
            let views: Vec<_> = tables.iter().map(|t| t.view()).collect();
            let found = mantel_partial(
                table.view(),
                days.view(),
                &views,
                Alternative::Less,
                parameters.permutations,
                parameters.seed,
            );
            let mut row = MantelRow {
                metric: topic.metric,
                epoch: topic.epoch.into(),
                variable: topic.variable.into(),
                group: parameters.group.clone().unwrap_or_default(),
                control,
                r: f64::NAN,
                p: f64::NAN,
                null: "the order of sessions does not matter",
                unit: "sessions",
                n_sessions: 0,
                n_pairs: 0,
                orders: 0,
                exact: false,
                seed: parameters.seed,
                inclusion: parameters.inclusion.name(),
                reason: String::new(),
            };
            match found {
                Ok(test) => {
                    (row.r, row.p) = (test.r, test.p);
                    (row.n_sessions, row.n_pairs) = (test.n_sessions, test.n_pairs);
                    (row.orders, row.exact) = (test.orders, test.exact);
                }
                Err(error) => row.reason = error.to_string(),
            }
            self.mantel.push(row);
        }
    }

    /// Laws and tests of a similarity that is corrected for noise.
    pub(crate) fn follow(
        &mut self,
        context: &Context<'_>,
        topic: Topic<'_>,
        pairs: &[Pair],
        reliability: &[f64],
    ) {
        let followed = Similarity::new(context, topic, pairs, reliability);
        laws::rows(context, &followed, pairs, self);
        crystallization::rows(context, &followed, pairs, &mut self.crystallization);
        self.followed.push(followed);
    }

    /// Compares epochs and hands the rows over.
    pub(crate) fn finish(mut self, context: &Context<'_>, out: &mut Drift) {
        crystallization::differences(context, &self.followed, &mut self.crystallization);
        out.similarities = self.followed;
        out.rates = self.rates;
        out.crystallization = self.crystallization;
        out.more.push(HalfLifeRow::table(&self.half_lives));
        out.more.push(MantelRow::table(&self.mantel));
    }
}

/// How laws are fitted here.
pub(crate) fn options(parameters: &Parameters) -> Options {
    Options {
        covariance: Covariance::Correlations,
        // Each is two fits of a law; more would not change what is called shown.
        simulations: parameters.permutations.clamp(19, 199),
        permutations: parameters.permutations.max(19),
        confidence: parameters.confidence,
        seed: parameters.seed,
        ..Options::default()
    }
}

/// Sessions and values of pairs.
pub(crate) fn values(pairs: &[Pair]) -> Vec<(usize, usize, f64)> {
    pairs.iter().map(|p| (p.i, p.j, p.value)).collect()
}

/// A metric's value of every session with itself; NaN where there is none.
pub(crate) fn diagonal(metrics: &[Metric], name: &str, context: &Context<'_>) -> Vec<f64> {
    let mut out = vec![f64::NAN; context.sessions.len()];
    for pair in metrics
        .iter()
        .filter(|m| m.name == name)
        .flat_map(|m| &m.pairs)
    {
        if pair.i == pair.j {
            out[pair.i] = pair.value;
        }
    }
    out
}

/// The practice session of each recording; its place if that is not known of
/// all, or does not ascend.
fn practice(context: &Context<'_>) -> Vec<f64> {
    let known: Vec<f64> = context
        .sessions
        .iter()
        .filter_map(|s| s.practice.map(|p| p as f64))
        .collect();
    if known.len() == context.sessions.len() && known.windows(2).all(|w| w[0] < w[1]) {
        return known;
    }
    (0..context.sessions.len())
        .map(|s| s as f64 + 1.0)
        .collect()
}

/// The factor from one table of distances to another, if they are proportional.
fn proportional(a: &Array2<f64>, b: &Array2<f64>) -> Option<f64> {
    let factor = b.sum() / a.sum();
    let same = a
        .iter()
        .zip(b)
        .all(|(a, b)| (a * factor - b).abs() <= 1e-9 * (1.0 + b.abs()));
    (factor.is_finite() && same).then_some(factor)
}

fn table(context: &Context<'_>, pairs: &[Pair], reliability: &[f64]) -> Table {
    let n = context.sessions.len();
    let mut similarity = Array2::from_elem((n, n), f64::NAN);
    let mut resampled = Array3::from_elem((context.draws.len(), n, n), f64::NAN);
    for pair in pairs.iter().filter(|p| p.i < p.j) {
        similarity[[pair.i, pair.j]] = pair.value;
        for (b, &value) in pair.resampled.iter().enumerate().take(context.draws.len()) {
            resampled[[b, pair.i, pair.j]] = value;
        }
    }
    Table {
        similarity,
        resampled,
        days: context.sessions.iter().map(|s| s.day).collect(),
        practice: practice(context),
        amplitude: None,
        reliability: Some(
            reliability
                .iter()
                .map(|r| {
                    if r.is_finite() {
                        r.clamp(0.0, 1.0)
                    } else {
                        1.0
                    }
                })
                .collect(),
        ),
        n_cells: pairs
            .iter()
            .filter(|p| p.i < p.j && p.value.is_finite())
            .map(|p| p.n_cells)
            .min()
            .unwrap_or(0),
    }
}
