//! Similarity of population activity, time bin by time bin.

use rayon::prelude::*;

use super::cells::{Draws, Pair, Roster, Shared};
use crate::{Epoch, Parameters, Session};

/// Trial means of one session in the bins of an epoch.
struct Rates {
    /// `(bin, cell)`.
    mean: Vec<Vec<f64>>,
    /// Variance over trials `(bin, cell)`.
    variance: Vec<Vec<f64>>,
    trials: f64,
}

/// The four population metrics; each pair `i ≤ j`, but for the corrected
/// correlation, which has no diagonal.
pub(crate) struct Population {
    pub(crate) plain: Vec<Pair>,
    pub(crate) corrected: Vec<Pair>,
    pub(crate) rate: Vec<Pair>,
    pub(crate) tuning: Vec<Pair>,
}

pub(crate) fn similarity(
    sessions: &[Session],
    epoch: &Epoch,
    parameters: &Parameters,
    roster: &Roster,
    draws: &Draws,
) -> Population {
    let rates: Vec<Rates> = sessions.iter().map(|s| rates(s, epoch)).collect();
    let fewest = sessions
        .iter()
        .map(|s| s.activity.dim().0)
        .min()
        .unwrap_or(0);
    // Plain correlations are those of means over this many trials in every session.
    let matched = (fewest / 2) as f64;
    let pairs: Vec<(usize, usize)> = (0..sessions.len())
        .flat_map(|i| (i..sessions.len()).map(move |j| (i, j)))
        .collect();
    let all: Vec<[Pair; 4]> = pairs
        .par_iter()
        .map(|&(i, j)| {
            let shared = roster.shared(i, j);
            let refuse = |reason: &str| {
                std::array::from_fn(|_| Pair::undefined(i, j, shared.len(), reason.to_owned()))
            };
            if shared.len() < parameters.min_cells {
                return refuse("too few shared cells");
            }
            if matched < 1.0 {
                return refuse("a session has fewer than two trials");
            }
            if rates[i].mean.is_empty() || rates[i].mean.len() != rates[j].mean.len() {
                return refuse("the epoch has no, or other, time bins");
            }
            compare(i, j, &rates[i], &rates[j], &shared, matched, draws)
        })
        .collect();
    let mut out = Population {
        plain: Vec::new(),
        corrected: Vec::new(),
        rate: Vec::new(),
        tuning: Vec::new(),
    };
    for [plain, corrected, rate, tuning] in all {
        if plain.i != plain.j {
            out.corrected.push(corrected);
            out.rate.push(rate);
            out.tuning.push(tuning);
        }
        out.plain.push(plain);
    }
    out
}

fn rates(session: &Session, epoch: &Epoch) -> Rates {
    let (trials, cells, _) = session.activity.dim();
    let n = trials as f64;
    let bins = session.bins(epoch);
    let mut mean = Vec::new();
    let mut variance = Vec::new();
    for &bin in &bins {
        let column = |cell: usize| {
            (0..trials).map(move |trial| f64::from(session.activity[[trial, cell, bin]]))
        };
        let means: Vec<f64> = (0..cells)
            .map(|cell| column(cell).sum::<f64>() / n)
            .collect();
        variance.push(
            (0..cells)
                .map(|cell| {
                    let squares: f64 = column(cell).map(|v| (v - means[cell]).powi(2)).sum();
                    squares / (n - 1.0).max(1.0)
                })
                .collect(),
        );
        mean.push(means);
    }
    Rates {
        mean,
        variance,
        trials: n,
    }
}

fn compare(
    i: usize,
    j: usize,
    a: &Rates,
    b: &Rates,
    shared: &[Shared],
    matched: f64,
    draws: &Draws,
) -> [Pair; 4] {
    let whole = values(a, b, shared, matched, i == j, |_| 1.0);
    let mut resampled: [Vec<f64>; 4] = Default::default();
    for resample in 0..draws.len() {
        let drawn = values(a, b, shared, matched, i == j, |cell| {
            draws.weight(resample, cell)
        });
        for (list, value) in resampled.iter_mut().zip(drawn) {
            list.push(value);
        }
    }
    let mut lists = resampled.into_iter();
    whole.map(|value| Pair {
        i,
        j,
        value,
        resampled: lists.next().unwrap_or_default(),
        n_cells: shared.len(),
        reason: if value.is_finite() {
            String::new()
        } else {
            "activity is not above its noise".into()
        },
    })
}

/// Plain and corrected population-vector correlation, ensemble-rate
/// correlation and tuning-curve correlation, cells weighted.
fn values(
    a: &Rates,
    b: &Rates,
    shared: &[Shared],
    matched: f64,
    same: bool,
    weight: impl Fn(usize) -> f64,
) -> [f64; 4] {
    let weights: Vec<f64> = shared.iter().map(|cell| weight(cell.global)).collect();
    let total: f64 = weights.iter().sum();
    let bins = a.mean.len();
    let (mut plain, mut counted) = (0.0, 0.0);
    let (mut cross, mut own_a, mut own_b) = (0.0, 0.0, 0.0);
    for bin in 0..bins {
        let [mut x, mut y, mut xy, mut xx, mut yy, mut ex, mut ey] = [0.0; 7];
        for (cell, w) in shared.iter().zip(&weights) {
            let (p, q) = (a.mean[bin][cell.i], b.mean[bin][cell.j]);
            x += w * p;
            y += w * q;
            xy += w * p * q;
            xx += w * p * p;
            yy += w * q * q;
            ex += w * a.variance[bin][cell.i];
            ey += w * b.variance[bin][cell.j];
        }
        let covariance = xy / total - x * y / (total * total);
        // Variance over cells of the true means, and what m trials add to it.
        let va = xx / total - (x / total).powi(2) - ex / total / a.trials;
        let vb = yy / total - (y / total).powi(2) - ey / total / b.trials;
        let (ea, eb) = (ex / total / matched, ey / total / matched);
        // Within a session the halves are independent, as are two sessions.
        let numerator = if same { va } else { covariance };
        // A bin in which no cell was ever active has no correlation.
        let r = numerator / ((va.max(0.0) + ea) * (vb.max(0.0) + eb)).sqrt();
        if r.is_finite() {
            plain += r;
            counted += 1.0;
        }
        cross += covariance;
        own_a += va;
        own_b += vb;
    }
    let corrected = if own_a > 0.0 && own_b > 0.0 {
        cross / (own_a * own_b).sqrt()
    } else {
        f64::NAN
    };
    let (rate, tuning) = if same {
        (f64::NAN, f64::NAN)
    } else {
        (
            ensemble_rate(a, b, shared, &weights),
            tuning_curves(a, b, shared, &weights),
        )
    };
    [plain / counted, corrected, rate, tuning]
}

/// Correlation over cells of the mean over bins.
fn ensemble_rate(a: &Rates, b: &Rates, shared: &[Shared], weights: &[f64]) -> f64 {
    let mean = |rates: &Rates, cell: usize| rates.mean.iter().map(|bin| bin[cell]).sum::<f64>();
    let pairs = shared.iter().map(|cell| (mean(a, cell.i), mean(b, cell.j)));
    correlation(pairs.zip(weights.iter().copied()))
}

/// Mean over cells of the correlation over bins; cells that do not vary are left out.
fn tuning_curves(a: &Rates, b: &Rates, shared: &[Shared], weights: &[f64]) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (cell, &w) in shared.iter().zip(weights) {
        if w > 0.0 {
            let pairs = a
                .mean
                .iter()
                .zip(&b.mean)
                .map(|(p, q)| (p[cell.i], q[cell.j]));
            let r = correlation(pairs.map(|pair| (pair, 1.0)));
            if r.is_finite() {
                sum += w * r;
                total += w;
            }
        }
    }
    sum / total
}

fn correlation(pairs: impl Iterator<Item = ((f64, f64), f64)>) -> f64 {
    let [mut n, mut x, mut y, mut xy, mut xx, mut yy] = [0.0; 6];
    for ((p, q), w) in pairs {
        n += w;
        x += w * p;
        y += w * q;
        xy += w * p * q;
        xx += w * p * p;
        yy += w * q * q;
    }
    let (vx, vy) = (xx / n - (x / n).powi(2), yy / n - (y / n).powi(2));
    if vx > 1e-300 && vy > 1e-300 {
        (xy / n - x * y / (n * n)) / (vx * vy).sqrt()
    } else {
        f64::NAN
    }
}
