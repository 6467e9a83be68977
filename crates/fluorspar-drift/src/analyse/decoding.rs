//! Can a decoder trained on one session read another?

use fluorspar_decode::{CrossValidation, Decoder as _, LinearSvm, balanced_accuracy, linear_gram};
use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::cells::Shared;
use super::context::{Context, Window};
use super::population::{few, outside};
use crate::Parameters;
use crate::statistics::interval;

/// Balanced accuracy of one pair of sessions.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub(crate) i: usize,
    pub(crate) j: usize,
    pub(crate) value: f64,
    pub(crate) lo: f64,
    pub(crate) hi: f64,
    pub(crate) p: f64,
    pub(crate) n_cells: usize,
    pub(crate) reason: String,
}

const FOLDS: usize = 5;
const REPEATS: usize = 4;

/// Trains on session `i`, tests on `j`, for all pairs in both directions; on
/// the diagonal, cross-validates. Cells are scaled by the training session.
pub(crate) fn all_pairs(
    context: &Context<'_>,
    window: &Window<'_>,
    variable: &str,
    stream: u64,
) -> Vec<Decoded> {
    let parameters = context.parameters;
    let pairs: Vec<(usize, usize)> = (0..context.sessions.len())
        .flat_map(|i| (0..context.sessions.len()).map(move |j| (i, j)))
        .collect();
    pairs
        .par_iter()
        .enumerate()
        .map(|(number, &(i, j))| {
            let shared = context.roster.shared(i, j);
            let (train, test) = (context.labels(i, variable), context.labels(j, variable));
            let mut rng = ChaCha8Rng::seed_from_u64(parameters.seed);
            rng.set_stream((stream << 32) | number as u64);
            let recorded = if window.bins[i].is_empty() {
                Err(outside(i))
            } else if window.bins[j].is_empty() {
                Err(outside(j))
            } else {
                Ok(())
            };
            let enough = recorded.and_then(|()| enough(train, test, &shared, parameters));
            let result = enough.and_then(|()| {
                let x = scaled(&window.means[i], &window.means[j], &shared);
                if i == j {
                    within(&x, train, parameters)
                } else {
                    across(&x, train, test, parameters).map(|guess| vec![guess])
                }
            });
            match result {
                Ok(guesses) => judge(i, j, test, &guesses, shared.len(), parameters, &mut rng),
                Err(reason) => Decoded {
                    i,
                    j,
                    value: f64::NAN,
                    lo: f64::NAN,
                    hi: f64::NAN,
                    p: f64::NAN,
                    n_cells: shared.len(),
                    reason,
                },
            }
        })
        .collect()
}

fn enough(
    train: &[i64],
    test: &[i64],
    shared: &[Shared],
    parameters: &Parameters,
) -> Result<(), String> {
    if shared.len() < parameters.min_cells {
        return Err(few(shared.len(), parameters.min_cells));
    }
    for labels in [train, test] {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 {
            return Err("a session has one label only".into());
        }
        for class in classes {
            let n = labels.iter().filter(|&&l| l == class).count();
            if n < parameters.min_trials.max(FOLDS) {
                return Err(format!("{n} trials with label {class} are too few"));
            }
        }
    }
    Ok(())
}

/// Trials of both sessions `(trials of i, then of j; cell)`, cells centred
/// and scaled by the first session.
fn scaled(a: &Array2<f32>, b: &Array2<f32>, shared: &[Shared]) -> Array2<f64> {
    let mut out = Array2::zeros((a.ncols() + b.ncols(), shared.len()));
    for (k, cell) in shared.iter().enumerate() {
        let row = a.row(cell.i);
        let n = row.len() as f64;
        let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let squares: f64 = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
        let sd = (squares / n).sqrt();
        let scale = if sd > 0.0 { 1.0 / sd } else { 0.0 };
        for (t, &v) in row.iter().chain(b.row(cell.j)).enumerate() {
            out[[t, k]] = (f64::from(v) - mean) * scale;
        }
    }
    out
}

fn machine(parameters: &Parameters) -> LinearSvm {
    LinearSvm {
        c: parameters.c,
        ..LinearSvm::default()
    }
}

fn across(
    x: &Array2<f64>,
    train: &[i64],
    test: &[i64],
    parameters: &Parameters,
) -> Result<Vec<i64>, String> {
    let gram = linear_gram(x.view());
    let mut labels = train.to_vec();
    labels.extend_from_slice(test);
    let members: Vec<usize> = (0..train.len()).collect();
    let model = machine(parameters)
        .train(gram.view(), &labels, &members)
        .map_err(|e| e.to_string())?;
    let (_, below) = gram.view().split_at(Axis(0), train.len());
    let (cross, _) = below.split_at(Axis(1), train.len());
    model.predict(cross).map_err(|e| e.to_string())
}

fn within(
    x: &Array2<f64>,
    labels: &[i64],
    parameters: &Parameters,
) -> Result<Vec<Vec<i64>>, String> {
    let (own, _) = x.view().split_at(Axis(0), labels.len());
    let gram = linear_gram(own);
    let validation = CrossValidation {
        folds: FOLDS,
        repeats: REPEATS,
        seed: parameters.seed,
    };
    let mut guesses = vec![vec![0; labels.len()]; REPEATS];
    for split in validation.splits(labels).map_err(|e| e.to_string())? {
        let model = machine(parameters)
            .train(gram.view(), labels, &split.train)
            .map_err(|e| e.to_string())?;
        let cross = Array2::from_shape_fn((split.test.len(), split.train.len()), |(a, b)| {
            gram[[split.test[a], split.train[b]]]
        });
        let predicted = model.predict(cross.view()).map_err(|e| e.to_string())?;
        for (&trial, label) in split.test.iter().zip(predicted) {
            guesses[split.repeat][trial] = label;
        }
    }
    Ok(guesses)
}

/// Accuracy with an interval over test trials and a p value over shuffled labels.
fn judge(
    i: usize,
    j: usize,
    truth: &[i64],
    guesses: &[Vec<i64>],
    n_cells: usize,
    parameters: &Parameters,
    rng: &mut ChaCha8Rng,
) -> Decoded {
    let score = |truth: &[i64], pick: &dyn Fn(usize) -> usize| {
        let sum: f64 = guesses
            .iter()
            .map(|guess| {
                let picked: Vec<i64> = (0..truth.len()).map(|t| guess[pick(t)]).collect();
                balanced_accuracy(truth, &picked).unwrap_or(f64::NAN)
            })
            .sum();
        sum / guesses.len() as f64
    };
    let value = score(truth, &|t| t);
    let resampled: Vec<f64> = (0..parameters.bootstrap)
        .map(|_| {
            let drawn: Vec<usize> = truth
                .iter()
                .map(|_| rng.random_range(0..truth.len()))
                .collect();
            let labels: Vec<i64> = drawn.iter().map(|&t| truth[t]).collect();
            score(&labels, &|t| drawn[t])
        })
        .collect();
    let mut shuffled = truth.to_vec();
    let exceeded = (0..parameters.permutations)
        .filter(|_| {
            shuffled.shuffle(rng);
            score(&shuffled, &|t| t) >= value - 1e-12
        })
        .count();
    let (lo, hi) = interval(&resampled, parameters.confidence);
    Decoded {
        i,
        j,
        value,
        lo,
        hi,
        p: (exceeded + 1) as f64 / (parameters.permutations + 1) as f64,
        n_cells,
        reason: String::new(),
    }
}
