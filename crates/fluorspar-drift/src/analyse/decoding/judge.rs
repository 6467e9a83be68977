//! Balanced accuracy with an interval over trials and a p value.

use fluorspar_decode::{
    CrossValidation, Kernel, PermutationTest, Workspace, balanced_accuracy, predictions,
};
use ndarray::Array2;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::prepared::machine;
use super::{FOLDS, REPEATS};
use crate::Parameters;
use crate::inference::add_one_p;
use crate::random::{Domain, stream};
use crate::statistics::interval;

/// A balanced accuracy and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) value: f64,
    pub(super) lo: f64,
    pub(super) hi: f64,
    pub(super) p: f64,
}

/// Cross-validated within a session; p from refits with shuffled labels.
pub(super) fn refitted(
    parameters: &Parameters,
    gram: &Array2<f64>,
    labels: &[i64],
    task: u64,
) -> Result<Judged, String> {
    let say = |e: fluorspar_decode::Error| e.to_string();
    let validation = CrossValidation {
        folds: FOLDS,
        repeats: REPEATS,
        seed: parameters.seed,
    };
    let test = PermutationTest {
        permutations: parameters.permutations,
        seed: parameters.seed,
    };
    let decoder = machine(parameters);
    let kernel = Kernel::new(gram.view()).map_err(say)?;
    let (_, tested) = test
        .in_kernel(&validation, &decoder, &kernel, labels)
        .map_err(say)?;
    let splits = validation.splits(labels).map_err(say)?;
    let guesses = predictions(
        &decoder,
        &kernel,
        labels,
        &splits,
        &mut Workspace::default(),
    );
    let guesses: Vec<Vec<i64>> = guesses
        .map_err(say)?
        .into_iter()
        .map(|row| row.into_iter().flatten().collect())
        .collect();
    let (lo, hi) = over_trials(parameters, labels, &guesses, task);
    Ok(Judged {
        value: tested.observed,
        lo,
        hi,
        p: tested.p,
    })
}

/// Predictions of a decoder that never saw the labels; p from shuffling them.
pub(super) fn read(
    parameters: &Parameters,
    labels: &[i64],
    guesses: &[i64],
    task: u64,
) -> Result<Judged, String> {
    let value = balanced_accuracy(labels, guesses).map_err(|e| e.to_string())?;
    let mut rng = stream(parameters.seed, Domain::Labels, task);
    let mut shuffled = labels.to_vec();
    let reached = (0..parameters.permutations)
        .filter(|_| {
            shuffled.shuffle(&mut rng);
            balanced_accuracy(&shuffled, guesses).is_ok_and(|v| v >= value - 1e-12)
        })
        .count();
    let (lo, hi) = over_trials(parameters, labels, &[guesses.to_vec()], task);
    Ok(Judged {
        value,
        lo,
        hi,
        p: add_one_p(reached, parameters.permutations),
    })
}

/// The interval over resampled test trials, repeats together.
fn over_trials(
    parameters: &Parameters,
    labels: &[i64],
    guesses: &[Vec<i64>],
    task: u64,
) -> (f64, f64) {
    let mut rng = stream(parameters.seed, Domain::Trials, task);
    let resampled: Vec<f64> = (0..parameters.bootstrap)
        .map(|_| {
            let drawn: Vec<usize> = (0..labels.len())
                .map(|_| rng.random_range(0..labels.len()))
                .collect();
            let truth: Vec<i64> = drawn.iter().map(|&t| labels[t]).collect();
            let sum: f64 = guesses
                .iter()
                .map(|guess| {
                    let picked: Vec<i64> = drawn.iter().map(|&t| guess[t]).collect();
                    balanced_accuracy(&truth, &picked).unwrap_or(f64::NAN)
                })
                .sum();
            sum / guesses.len() as f64
        })
        .collect();
    interval(&resampled, parameters.confidence)
}
