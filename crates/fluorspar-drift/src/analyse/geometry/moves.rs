//! The move of every label's mean pattern between two sessions.
//!
//! Whatever is squared is the product of two moves from disjoint trials, and
//! the axes they are held against come from a third part of the trials, so that
//! trial noise enters no expectation, not even noise that cells share.

use ndarray::{Array2, ArrayView2, Axis};

use super::super::cells::Shared;
use super::super::context::{Context, Window};
use crate::Error;
use crate::geometry::{NoiseAlignment, alignment_of};
use crate::similarity::linear::{first_columns, gram, inner, product, symmetric_eigen};
use crate::similarity::participation_ratio;

/// For every class the trials that are used for the axes and for two moves.
pub(super) struct Parts {
    axes: Vec<Vec<usize>>,
    before: [Vec<Vec<usize>>; 2],
    after: [Vec<Vec<usize>>; 2],
}

impl Parts {
    /// Trials in turn: of the first session a third each to the axes and to
    /// two moves, of the second a half to each move. Within one session the
    /// first half of the trials is before, the second after.
    pub(super) fn new(
        i: usize,
        j: usize,
        first: &[Vec<usize>],
        second: &[Vec<usize>],
    ) -> Result<Self, String> {
        let every = |of: &[Vec<usize>], from: usize, step: usize| -> Vec<Vec<usize>> {
            of.iter()
                .map(|trials| trials.iter().copied().skip(from).step_by(step).collect())
                .collect()
        };
        let parts = if i == j {
            let early: Vec<Vec<usize>> = first.iter().map(|t| t[..t.len() / 2].to_vec()).collect();
            let late: Vec<Vec<usize>> = first.iter().map(|t| t[t.len() / 2..].to_vec()).collect();
            Self {
                axes: every(first, 0, 1),
                before: [every(&early, 0, 2), every(&early, 1, 2)],
                after: [every(&late, 0, 2), every(&late, 1, 2)],
            }
        } else {
            Self {
                axes: every(first, 0, 3),
                before: [every(first, 1, 3), every(first, 2, 3)],
                after: [every(second, 0, 2), every(second, 1, 2)],
            }
        };
        let all = parts.before.iter().chain(&parts.after).chain([&parts.axes]);
        if all.flatten().any(Vec::is_empty) {
            return Err("a label has too few trials to be split into parts".into());
        }
        Ok(parts)
    }
}

/// What is known of the axes that a move is held against.
pub(super) struct InSpaces {
    pub(super) variational_share: f64,
    pub(super) variational_chance: f64,
    pub(super) alignment: Result<NoiseAlignment, String>,
}

/// The move of all labels between two sessions.
pub(super) struct Move {
    pub(super) n_cells: usize,
    labels: usize,
    /// `(label, cell)`, from disjoint trials.
    moves: [Array2<f64>; 2],
    /// Trials for the axes `(trial, cell)`, and their label's mean.
    trials: Array2<f64>,
    residuals: Array2<f64>,
    /// `(resample, term)`: the products of moves, of the first session's
    /// patterns, the number of cells, then what [`Self::coding_share`] needs.
    sums: Array2<f64>,
}

impl Move {
    pub(super) fn new(
        context: &Context<'_>,
        window: &Window<'_>,
        (i, j): (usize, usize),
        shared: &[Shared],
        parts: Parts,
    ) -> Self {
        let (first, second) = (&window.means[i], &window.means[j]);
        let pattern = |of: &[Vec<usize>], means: &Array2<f32>, index: fn(&Shared) -> usize| {
            Array2::from_shape_fn((of.len(), shared.len()), |(label, n)| {
                let row = means.row(index(&shared[n]));
                let sum: f64 = of[label].iter().map(|&t| f64::from(row[t])).sum();
                sum / of[label].len() as f64
            })
        };
        let before = [0, 1].map(|k| pattern(&parts.before[k], first, |s| s.i));
        let after = [0, 1].map(|k| pattern(&parts.after[k], second, |s| s.j));
        let moves = [0, 1].map(|k| &after[k] - &before[k]);
        let middle = pattern(&parts.axes, first, |s| s.i);
        let labels = middle.nrows();
        let axes = coding_axes(&middle);
        let order: Vec<(usize, usize)> = parts
            .axes
            .iter()
            .enumerate()
            .flat_map(|(label, trials)| trials.iter().map(move |&t| (label, t)))
            .collect();
        let trials = Array2::from_shape_fn((order.len(), shared.len()), |(t, n)| {
            f64::from(first[[shared[n].i, order[t].1]])
        });
        let residuals = Array2::from_shape_fn(trials.dim(), |(t, n)| {
            trials[[t, n]] - middle[[order[t].0, n]]
        });
        let mut at = 0;
        let sums = context.draws.sums(shared, width(labels), |_, out| {
            fill(
                out,
                [&moves[0], &moves[1]],
                [&before[0], &before[1]],
                &axes,
                at,
            );
            at += 1;
        });
        Self {
            n_cells: shared.len(),
            labels,
            moves,
            trials,
            residuals,
            sums,
        }
    }

    /// Mean square of the move per cell and label, and its resamples.
    pub(super) fn square(&self) -> Vec<f64> {
        self.read(|row| row[0] / (row[2] * self.labels as f64))
    }

    /// Length of the move in lengths of the first session's patterns.
    pub(super) fn relative(&self) -> Vec<f64> {
        self.read(|row| {
            if row[0] > 0.0 && row[1] > 0.0 {
                (row[0] / row[1]).sqrt()
            } else {
                f64::NAN
            }
        })
    }

    /// Share of the squared move that lies in the space of differences between labels.
    pub(super) fn coding_share(&self) -> Vec<f64> {
        let axes = self.labels - 1;
        self.read(|row| {
            let Some((known, rest)) = row.split_at_checked(FIXED) else {
                return f64::NAN;
            };
            let (metric, along) = rest.split_at(axes * axes);
            let (one, two) = along.split_at(axes * self.labels);
            let shape = (axes, self.labels);
            let parts = (
                ArrayView2::from_shape((axes, axes), metric),
                ArrayView2::from_shape(shape, one),
                ArrayView2::from_shape(shape, two),
            );
            let (Ok(metric), Ok(one), Ok(two)) = parts else {
                return f64::NAN;
            };
            if known[0] > 0.0 {
                projected(metric, one, two).map_or(f64::NAN, |inside| inside / known[0])
            } else {
                f64::NAN
            }
        })
    }

    /// The share expected of a move in a random direction.
    pub(super) fn coding_chance(&self) -> f64 {
        (self.labels - 1) as f64 / self.n_cells as f64
    }

    /// Share in the first principal components of trials, and alignment with trial noise.
    pub(super) fn in_spaces(&self, draws: usize, seed: u64) -> Result<InSpaces, String> {
        let total = self.sums[[0, 0]];
        let resampled = self.sums.column(0);
        let failed = resampled.iter().skip(1).filter(|&&v| v <= 0.0).count();
        if total <= 0.0 || 20 * failed > resampled.len() {
            return Err("the move is not above what trial noise makes of it".into());
        }
        let run = || -> Result<InSpaces, Error> {
            let middle = self.trials.mean_axis(Axis(0)).unwrap_or_default();
            let around = &self.trials - &middle;
            let (values, vectors) = symmetric_eigen(gram(around.view()).view())?;
            let positive: Vec<f64> = values.iter().map(|v| v.max(0.0)).collect();
            let kept = (participation_ratio(&positive)?.ceil() as usize).min(values.len());
            let basis = first_columns(&vectors, kept);
            let on_axes = |moves: &Array2<f64>| {
                let seen = inner(around.view(), moves.view());
                product(basis.t(), seen.view())
            };
            let (one, two) = (on_axes(&self.moves[0]), on_axes(&self.moves[1]));
            let inside: f64 = (0..kept)
                .filter(|&k| positive[k] > 1e-12 * positive[0])
                .map(|k| one.row(k).dot(&two.row(k)) / positive[k])
                .sum();
            let noise = symmetric_eigen(gram(self.residuals.view()).view())?.0;
            let largest = noise.first().copied().unwrap_or(0.0);
            let alignment = if largest > 0.0 {
                let seen = |k: usize| inner(self.residuals.view(), self.moves[k].view());
                let along: f64 = seen(0).iter().zip(&seen(1)).map(|(a, b)| a * b).sum();
                let square = along / largest / total;
                alignment_of(square, &noise, self.n_cells, draws, seed).map_err(|e| e.to_string())
            } else {
                Err("trials of one label do not vary".into())
            };
            Ok(InSpaces {
                variational_share: inside / total,
                variational_chance: kept as f64 / self.n_cells as f64,
                alignment,
            })
        };
        run().map_err(|e| e.to_string())
    }

    fn read(&self, of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        self.sums
            .rows()
            .into_iter()
            .map(|row| of(&row.to_vec()))
            .collect()
    }
}

/// Terms before those of the coding axes.
const FIXED: usize = 3;

fn width(labels: usize) -> usize {
    let axes = labels - 1;
    FIXED + axes * axes + 2 * axes * labels
}

/// Patterns of all labels but the first, without the first.
fn coding_axes(patterns: &Array2<f64>) -> Array2<f64> {
    let (first, others) = patterns.view().split_at(Axis(0), 1);
    &others - &first.row(0)
}

/// The terms of one cell: products that add up over cells.
fn fill(
    out: &mut [f64],
    moves: [&Array2<f64>; 2],
    before: [&Array2<f64>; 2],
    axes: &Array2<f64>,
    cell: usize,
) {
    let (labels, count) = (moves[0].nrows(), axes.nrows());
    for label in 0..labels {
        out[0] += moves[0][[label, cell]] * moves[1][[label, cell]];
        out[1] += before[0][[label, cell]] * before[1][[label, cell]];
    }
    out[2] = 1.0;
    let (metric, along) = out[FIXED..].split_at_mut(count * count);
    let (one, two) = along.split_at_mut(count * labels);
    for k in 0..count {
        let axis = axes[[k, cell]];
        for l in 0..count {
            metric[k * count + l] = axis * axes[[l, cell]];
        }
        for label in 0..labels {
            one[k * labels + label] = axis * moves[0][[label, cell]];
            two[k * labels + label] = axis * moves[1][[label, cell]];
        }
    }
}

/// `Σ` over labels of `d₁ᵀ P d₂`, with the projection `P` on axes whose
/// products are `metric` and whose products with the moves are `one` and `two`.
fn projected(
    metric: ArrayView2<'_, f64>,
    one: ArrayView2<'_, f64>,
    two: ArrayView2<'_, f64>,
) -> Result<f64, Error> {
    let (values, vectors) = symmetric_eigen(metric)?;
    let least = 1e-10 * values.first().copied().unwrap_or(0.0);
    let (one, two) = (product(vectors.t(), one), product(vectors.t(), two));
    let mut sum = 0.0;
    for (k, &value) in values.iter().enumerate() {
        if value > least && value > 0.0 {
            sum += one.row(k).dot(&two.row(k)) / value;
        }
    }
    Ok(sum)
}
