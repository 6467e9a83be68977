//! Alignment of latent activity by canonical correlation, which needs no
//! tracked cells: every session is reduced to few latents of its own.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::super::context::{Basis, Context, Topic, Window};
use super::patterns::trials_of_halves;
use crate::Error;
use crate::similarity::{Components, align_latents, normalised_correlations, principal_components};
use crate::table::MetricRow;

/// Most latents, most time bins and most trials of a class that enter.
const MOST_LATENTS: usize = 6;
const MOST_BINS: usize = 5;
const MOST_TRIALS: usize = 12;

/// Latents `(sample, latent)` of the two halves of a session; samples are
/// trials × time bins, in the same order of labels in all.
type Halves = [Array2<f64>; 2];

pub(super) struct Latents {
    sessions: Vec<Result<Halves, String>>,
    bins: usize,
}

impl Latents {
    pub(super) fn new(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Self {
        let bins = window
            .bins
            .iter()
            .map(Vec::len)
            .filter(|&bins| bins > 0)
            .min()
            .unwrap_or(0)
            .min(MOST_BINS);
        let sessions = trials_of_halves(context, window, variable)
            .par_iter()
            .enumerate()
            .map(|(session, halves)| {
                let halves = halves.as_ref().map_err(Clone::clone)?;
                if context.roster.count(session) < context.parameters.min_cells {
                    return Err(format!("session {} has too few cells", session + 1));
                }
                let of = |half: &[Vec<usize>]| {
                    latents(context, session, &window.bins[session], bins, half)
                        .map_err(|e| format!("session {}: {e}", session + 1))
                };
                Ok([of(&halves[0])?, of(&halves[1])?])
            })
            .collect();
        Self { sessions, bins }
    }

    /// Mean canonical correlation on trials held out, within and between
    /// sessions. Those trials show the same labels and times as the ones fitted
    /// to, so with few labels and time bins even unrelated courses correlate.
    pub(super) fn rows<'a>(
        &self,
        context: &Context<'_>,
        topic: &(impl Fn(&'static str) -> Topic<'a> + Sync),
    ) -> Vec<MetricRow> {
        let pairs = context.pairs(true);
        let found: Vec<Result<f64, String>> = pairs
            .par_iter()
            .map(|&(i, j)| match (&self.sessions[i], &self.sessions[j]) {
                (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
                (Ok(a), Ok(b)) => self.correlation(a, b, i == j).map_err(|e| e.to_string()),
            })
            .collect();
        let within = |session: usize| {
            let at = pairs.iter().position(|&pair| pair == (session, session));
            at.and_then(|at| found[at].as_ref().ok().copied())
        };
        let basis = Basis { unit: "", null: "" };
        let mut out = Vec::new();
        for (&(i, j), found) in pairs.iter().zip(&found) {
            let mut row = context.row(topic("latent_correlation"), basis, i, j);
            row.n_cells = context.roster.count(i).min(context.roster.count(j));
            let mut corrected = context.row(topic("latent_correlation_corrected"), basis, i, j);
            corrected.n_cells = row.n_cells;
            match found {
                Ok(value) => {
                    row.value = *value;
                    let own = [i, j].map(|s| within(s).unwrap_or(f64::NAN));
                    let over = normalised_correlations(&[*value], &[own[0]], &[own[1]]);
                    corrected.value = over.first().copied().unwrap_or(f64::NAN);
                    if !corrected.value.is_finite() {
                        corrected.reason =
                            "latents of two halves of a session do not correlate".into();
                    }
                }
                Err(reason) => {
                    row.reason.clone_from(reason);
                    corrected.reason.clone_from(reason);
                }
            }
            out.push(row);
            if i != j {
                out.push(corrected);
            }
        }
        out
    }

    fn correlation(&self, a: &Halves, b: &Halves, one_session: bool) -> Result<f64, Error> {
        let pairs: &[(usize, usize)] = if one_session {
            &[(0, 1)]
        } else {
            &[(0, 0), (0, 1), (1, 0), (1, 1)]
        };
        let mut sum = 0.0;
        for &(p, q) in pairs {
            sum += self.held_out(a[p].view(), b[q].view())?;
        }
        Ok(sum / pairs.len() as f64)
    }

    /// Fitted on every second trial, scored on the others, both ways.
    fn held_out(&self, a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Result<f64, Error> {
        let samples = a.nrows().min(b.nrows());
        let trial = |sample: usize| sample / self.bins.max(1);
        let of = |parity: usize| {
            (0..samples)
                .filter(|&s| trial(s) % 2 == parity)
                .collect::<Vec<usize>>()
        };
        let parts = [of(0), of(1)];
        let dimensions = a
            .ncols()
            .min(b.ncols())
            .min(parts[0].len().min(parts[1].len()) / 5);
        if dimensions == 0 {
            return Err(Error::Undefined(format!(
                "{samples} samples are too few to fit and to score canonical correlations"
            )));
        }
        let mut sum = 0.0;
        for (fit, test) in [(0, 1), (1, 0)] {
            let rows = |x: ArrayView2<'_, f64>, part: usize| x.select(Axis(0), &parts[part]);
            let found = align_latents(rows(a, fit).view(), rows(b, fit).view(), dimensions)?;
            let scored = found.score(rows(a, test).view(), rows(b, test).view())?;
            sum += scored.iter().sum::<f64>() / scored.len() as f64;
        }
        if sum.is_finite() {
            Ok(sum / 2.0)
        } else {
            Err(Error::Undefined(
                "latents do not vary on the trials held out".into(),
            ))
        }
    }
}

/// Trials and time bins of all cells of a session, along the first principal
/// components of their means over trials.
fn latents(
    context: &Context<'_>,
    session: usize,
    bins: &[Vec<usize>],
    parts: usize,
    classes: &[Vec<usize>],
) -> Result<Array2<f64>, Error> {
    let activity = &context.sessions[session].activity;
    let cells: Vec<usize> = context.roster.of(session).map(|(_, cell)| cell).collect();
    // Neighbouring bins together, so that samples stay few.
    let joined: Vec<Vec<usize>> = (0..parts)
        .map(|k| bins[k * bins.len() / parts..(k + 1) * bins.len() / parts].concat())
        .collect();
    let trials: Vec<usize> = classes
        .iter()
        .flat_map(|trials| trials.iter().copied().take(MOST_TRIALS))
        .collect();
    let mut x = Array2::zeros((trials.len() * parts, cells.len()));
    for (t, &trial) in trials.iter().enumerate() {
        let of_trial = activity.index_axis(Axis(0), trial);
        for (n, &cell) in cells.iter().enumerate() {
            let course = of_trial.index_axis(Axis(0), cell);
            for (k, bins) in joined.iter().enumerate() {
                let sum: f64 = bins.iter().map(|&b| f64::from(course[b])).sum();
                x[[t * parts + k, n]] = sum / bins.len() as f64;
            }
        }
    }
    // Axes from means over trials, which hold less noise than single trials.
    let each = classes
        .iter()
        .map(Vec::len)
        .min()
        .unwrap_or(0)
        .min(MOST_TRIALS);
    let middle = Array2::from_shape_fn((classes.len() * parts, cells.len()), |(condition, n)| {
        let (class, part) = (condition / parts, condition % parts);
        let sum: f64 = (0..each)
            .map(|t| x[[(class * each + t) * parts + part, n]])
            .sum();
        sum / each as f64
    });
    let mut axes = principal_components(middle.view(), Components::ParticipationRatio)?;
    let kept = axes.directions.nrows().min(MOST_LATENTS);
    axes.directions = axes.directions.view().split_at(Axis(0), kept).0.to_owned();
    axes.project(x.view())
}
