//! How much of the reproducible tuning of single cells is lost between sessions.

use rayon::prelude::*;

use super::super::context::{Context, Window};
use super::super::population::few;
use super::places::Places;
use super::quarters::Quarters;
use crate::single_cell::drift_index;
use crate::statistics::quantile;
use crate::table::row;

row! {
    /// Representational drift index of Marks and Goard 2021; a row of
    /// `drift_index.csv`. Halves of the trials on both sides.
    StabilityRow in "drift_index" {
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty: responses are time courses, for a label those of
        /// all its values side by side.
        variable: String,
        /// First session, from 1.
        session_i: usize,
        /// Second session, from 1.
        session_j: usize,
        /// Elapsed days of the first.
        day_i: f64,
        /// Elapsed days of the second.
        day_j: f64,
        /// Mean correlation between halves of one session.
        within: f64,
        /// Mean correlation between halves of different sessions.
        between: f64,
        /// `(within − between) / (within + between)` of these means.
        index: f64,
        /// Median of the index over the cells in which it exists.
        index_median: f64,
        /// Share of cells in which it exists.
        index_share: f64,
        /// The index between interleaved halves of the same session, halves of
        /// them on either side, mean of both sessions: without drift 0.
        index_control: f64,
        /// Cells that vary in every half.
        n_cells: usize,
        /// Fewest trials of a label in a half.
        half_trials: usize,
        /// Why there is no value, or empty.
        reason: String,
    }
}

/// Responses of one session with mean 0 and length 1, `(member, feature)`.
struct Responses {
    halves: [Vec<f32>; 2],
    features: usize,
    within: Vec<f32>,
    /// The index of quarters.
    control: f64,
}

pub(super) fn rows(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    variable: &str,
    quarters: &[Result<Quarters, String>],
) -> Vec<StabilityRow> {
    let responses: Vec<Option<Responses>> = quarters
        .par_iter()
        .map(|q| Some(Responses::new(q.as_ref().ok()?)))
        .collect();
    context
        .pairs(false)
        .par_iter()
        .map(|&(i, j)| {
            let mut row = StabilityRow {
                epoch: window.epoch.name.clone(),
                variable: variable.into(),
                session_i: i + 1,
                session_j: j + 1,
                day_i: context.sessions[i].day,
                day_j: context.sessions[j].day,
                within: f64::NAN,
                between: f64::NAN,
                index: f64::NAN,
                index_median: f64::NAN,
                index_share: f64::NAN,
                index_control: f64::NAN,
                n_cells: 0,
                half_trials: 0,
                reason: String::new(),
            };
            if let Err(reason) = fill(&mut row, context, places, quarters, &responses) {
                row.reason = reason;
            }
            row
        })
        .collect()
}

impl Responses {
    fn new(quarters: &Quarters) -> Self {
        let (cells, features) = quarters.means[0].dim();
        let mut halves = [0, 1].map(|_| Vec::with_capacity(cells * features));
        let mut within = Vec::with_capacity(cells);
        let (mut inside, mut across) = (0.0, 0.0);
        for member in 0..cells {
            let [a, b] = quarters.halves(member).map(|half| unit(&half));
            within.push(dot(&a, &b) as f32);
            halves[0].extend(a);
            halves[1].extend(b);
            let [q0, q1, q2, q3] = quarters.means.each_ref().map(|of| {
                let course: Vec<f64> = of.row(member).iter().map(|&v| f64::from(v)).collect();
                unit(&course)
            });
            let w = f64::midpoint(dot(&q0, &q1), dot(&q2, &q3));
            let b = f64::midpoint(dot(&q0, &q3), dot(&q1, &q2));
            if (w + b).is_finite() {
                inside += w;
                across += b;
            }
        }
        Self {
            halves,
            features,
            within,
            control: drift_index(inside, across, false),
        }
    }

    fn row(&self, half: usize, member: usize) -> &[f32] {
        &self.halves[half][member * self.features..(member + 1) * self.features]
    }
}

/// Mean 0 and length 1; NaN if it does not vary.
fn unit(course: &[f64]) -> Vec<f32> {
    let n = course.len() as f64;
    let middle = course.iter().sum::<f64>() / n;
    let square: f64 = course.iter().map(|v| (v - middle) * (v - middle)).sum();
    // What rounding to single precision leaves of a constant is not a response.
    let varies = square > 1e-12 * n * middle * middle;
    let scale = if varies {
        1.0 / square.sqrt()
    } else {
        f64::NAN
    };
    course
        .iter()
        .map(|v| ((v - middle) * scale) as f32)
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
}

fn fill(
    row: &mut StabilityRow,
    context: &Context<'_>,
    places: &Places,
    quarters: &[Result<Quarters, String>],
    responses: &[Option<Responses>],
) -> Result<(), String> {
    let (i, j) = (row.session_i - 1, row.session_j - 1);
    let first = quarters[i].as_ref().map_err(Clone::clone)?;
    let second = quarters[j].as_ref().map_err(Clone::clone)?;
    let (Some(one), Some(two)) = (&responses[i], &responses[j]) else {
        return Ok(());
    };
    row.half_trials = 2 * first.trials.min(second.trials);
    if one.features != two.features || one.features < 3 {
        return Err(format!(
            "a response needs as many features in both sessions, at least 3; there are {} and {}",
            one.features, two.features
        ));
    }
    let (mut inside, mut across, mut cells) = (0.0, 0.0, 0_usize);
    let mut each = Vec::new();
    for (a, b) in places.shared(i, j) {
        let within = f64::from(f32::midpoint(one.within[a], two.within[b]));
        let between = f64::midpoint(
            dot(one.row(0, a), two.row(1, b)),
            dot(one.row(1, a), two.row(0, b)),
        );
        if !(within + between).is_finite() {
            continue;
        }
        inside += within;
        across += between;
        cells += 1;
        let index = drift_index(within, between, false);
        if index.is_finite() {
            each.push(index);
        }
    }
    row.n_cells = cells;
    let least = context.parameters.min_cells;
    if cells < least {
        return Err(few(cells, least));
    }
    each.sort_by(f64::total_cmp);
    row.within = inside / cells as f64;
    row.between = across / cells as f64;
    row.index = drift_index(inside, across, false);
    row.index_median = quantile(&each, 0.5);
    row.index_share = each.len() as f64 / cells as f64;
    row.index_control = f64::midpoint(one.control, two.control);
    if row.index.is_nan() {
        return Err("responses do not repeat within sessions".into());
    }
    Ok(())
}
