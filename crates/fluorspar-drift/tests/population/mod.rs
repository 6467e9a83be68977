//! Populations that drift by a known law, seen through noisy trials.

use fluorspar_drift::law::Table;
use ndarray::{Array2, Array3};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What happens between two sessions: tuning is multiplied by `keep` and gets steps of sd `step`.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) keep: f64,
    pub(crate) step: f64,
}

/// A step of stationary drift that loses `rate`.
pub(crate) fn stationary(rate: f64) -> Step {
    let keep = (-rate).exp();
    Step {
        keep,
        step: (1.0 - keep * keep).sqrt(),
    }
}

/// How one animal is recorded.
#[derive(Clone)]
pub(crate) struct Recording {
    pub(crate) cells: usize,
    /// Of each session.
    pub(crate) trials: Vec<usize>,
    /// Share of wrong matches of each session, or empty.
    pub(crate) wrong: Vec<f64>,
    /// Size of what never drifts.
    pub(crate) fixed: f64,
    pub(crate) resamples: usize,
}

/// Similarities of every epoch, of the same cells and resamples. Each epoch has
/// its own tuning and `steps[epoch]`; similarities are disattenuated in closed form.
pub(crate) fn tables(
    steps: &[Vec<Step>],
    recording: &Recording,
    rng: &mut ChaCha8Rng,
) -> Vec<Table> {
    let sessions = recording.trials.len();
    let cells = recording.cells;
    let weights: Vec<Vec<f64>> = (0..recording.resamples)
        .map(|_| {
            let mut weights = vec![0.0; cells];
            for _ in 0..cells {
                weights[rng.random_range(0..cells)] += 1.0;
            }
            weights
        })
        .collect();
    steps
        .iter()
        .map(|steps| {
            let (seen, noise) = responses(steps, recording, rng);
            let plain = vec![1.0; cells];
            let reliability = (0..sessions)
                .map(|s| {
                    let all: f64 = seen[s].iter().map(|v| v * v).sum();
                    1.0 - noise[s].iter().sum::<f64>() / all
                })
                .collect();
            let mut resampled = Array3::zeros((weights.len(), sessions, sessions));
            for (mut one, w) in resampled.outer_iter_mut().zip(&weights) {
                one.assign(&similarity(&seen, &noise, w));
            }
            Table {
                similarity: similarity(&seen, &noise, &plain),
                resampled,
                days: (0..sessions).map(|s| s as f64).collect(),
                practice: (0..sessions).map(|s| s as f64 + 1.0).collect(),
                amplitude: None,
                reliability: Some(reliability),
                n_cells: cells,
            }
        })
        .collect()
}

/// Difference of two stimuli's mean responses and the variance noise adds to it, `[session][cell]`.
fn responses(
    steps: &[Step],
    recording: &Recording,
    rng: &mut ChaCha8Rng,
) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let effect = 0.6;
    let cells = recording.cells;
    let mut normal = || -> f64 { StandardNormal.sample(&mut *rng) };
    let stable: Vec<f64> = (0..cells).map(|_| recording.fixed * normal()).collect();
    let mut tuning: Vec<f64> = (0..cells).map(|_| normal()).collect();
    let (mut seen, mut noise) = (Vec::new(), Vec::new());
    for (s, &trials) in recording.trials.iter().enumerate() {
        if s > 0 {
            let Step { keep, step } = steps[s - 1];
            for x in &mut tuning {
                *x = keep * *x + step * normal();
            }
        }
        let variance = 4.0 / trials as f64;
        let wrong = recording
            .wrong
            .get(s)
            .map_or(0, |w| (w * cells as f64) as usize);
        let mut means = Vec::with_capacity(cells);
        let mut variances = Vec::with_capacity(cells);
        for n in 0..cells {
            let code = if n < cells - wrong {
                stable[n] + tuning[n]
            } else {
                // Another cell, as tuned as this one.
                (stable[n].powi(2) + tuning[n].powi(2)).sqrt() * normal().signum()
            };
            means.push(effect * code + variance.sqrt() * normal());
            let freedom = (trials - 2) as f64;
            variances.push(variance * (1.0 + (2.0 / freedom).sqrt() * normal()));
        }
        seen.push(means);
        noise.push(variances);
    }
    (seen, noise)
}

fn similarity(seen: &[Vec<f64>], noise: &[Vec<f64>], weights: &[f64]) -> Array2<f64> {
    let sum = |f: &dyn Fn(usize) -> f64| -> f64 {
        weights.iter().enumerate().map(|(n, w)| w * f(n)).sum()
    };
    let own: Vec<f64> = (0..seen.len())
        .map(|s| sum(&|n| seen[s][n].powi(2) - noise[s][n]))
        .collect();
    Array2::from_shape_fn((seen.len(), seen.len()), |(i, j)| {
        if i >= j {
            return f64::NAN;
        }
        sum(&|n| seen[i][n] * seen[j][n]) / (own[i] * own[j]).sqrt()
    })
}

/// Drift that slows: k0 = 0.6, k∞ = 0.05 per day, τ = 3 days.
pub(crate) fn crystallizing(n: usize) -> Vec<Step> {
    (0..n)
        .map(|s| {
            let (a, b) = (s as f64, s as f64 + 1.0);
            stationary(0.05 + 0.55 * 3.0 * ((-a / 3.0).exp() - (-b / 3.0).exp()))
        })
        .collect()
}

/// A rate with a chance factor for every step.
pub(crate) fn varying(rate: f64, sd: f64, n: usize, rng: &mut ChaCha8Rng) -> Vec<Step> {
    (0..n)
        .map(|_| {
            let z: f64 = StandardNormal.sample(&mut *rng);
            stationary(rate * (sd * z).exp())
        })
        .collect()
}

/// `trials` in each of `sessions`, all matches right, nothing fixed.
pub(crate) fn plain(cells: usize, trials: usize, sessions: usize) -> Recording {
    Recording {
        cells,
        trials: vec![trials; sessions],
        wrong: Vec::new(),
        fixed: 0.0,
        resamples: 200,
    }
}
