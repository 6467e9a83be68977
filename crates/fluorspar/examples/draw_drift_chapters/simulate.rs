//! Codes with known drift, and recordings of them.

use fluorspar::drift::planted::Law;
use fluorspar::drift::similarity::{Correlations, Tuning, correlations};
use ndarray::{Array2, Array3};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::Result;

/// Random numbers of one picture.
pub(crate) fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// One value of mean 0 and variance 1.
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Gaussian values `(row, column)`.
pub(crate) fn gaussian(shape: (usize, usize), rng: &mut ChaCha8Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn(shape, || normal(rng))
}

/// Gaussian codes `(cell, bin)` of each day that drift by a law.
pub(crate) fn drifting(
    law: Law,
    days: usize,
    shape: (usize, usize),
    rng: &mut ChaCha8Rng,
) -> Vec<Array2<f64>> {
    let mut codes = vec![gaussian(shape, rng)];
    for day in 1..days {
        let step = gaussian(shape, rng);
        let before = &codes[day - 1];
        codes.push(if let Law::RandomWalk { variance_per_day } = law {
            // Its variance grows; the others keep theirs.
            before + &(step * variance_per_day.sqrt())
        } else {
            let kept = law.similarity(day as f64 - 1.0, day as f64);
            before * kept + &(step * (1.0 - kept * kept).sqrt())
        });
    }
    codes
}

/// What `trials` trials of a code show, each with noise of this standard deviation.
pub(crate) fn recorded(
    code: &Array2<f64>,
    trials: usize,
    noise: f64,
    rng: &mut ChaCha8Rng,
) -> Result<Tuning> {
    let (cells, bins) = code.dim();
    let activity = Array3::from_shape_fn((trials, cells, bins), |(_, cell, bin)| {
        (code[[cell, bin]] + noise * normal(rng)) as f32
    });
    let all: Vec<usize> = (0..trials).collect();
    let times: Vec<Vec<usize>> = (0..bins).map(|bin| vec![bin]).collect();
    Ok(Tuning::new(activity.view(), &[all], &times)?)
}

/// Compares two sessions of the same cells.
pub(crate) fn compared(a: &Tuning, b: &Tuning, matched: Option<f64>) -> Result<Correlations> {
    let cells: Vec<(usize, usize)> = (0..a.mean.nrows()).map(|cell| (cell, cell)).collect();
    Ok(correlations(a, b, &cells, matched, false)?)
}

/// The mean over all pairs of sessions that lie 1, 2, … days apart.
pub(crate) fn by_lag(
    days: usize,
    mut value: impl FnMut(usize, usize) -> Result<f64>,
) -> Result<Vec<f64>> {
    (1..days)
        .map(|lag| {
            let mut sum = 0.0;
            for day in 0..days - lag {
                sum += value(day, day + lag)?;
            }
            Ok(sum / (days - lag) as f64)
        })
        .collect()
}
