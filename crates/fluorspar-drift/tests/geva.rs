//! The model of Geva et al. 2023 (Neuron 111:2357): rates drift, or tuning
//! does, or both. Which correlation stays flat tells which.

use fluorspar_drift::single_cell::gain_shape_change;
use ndarray::{Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Normal};

const CELLS: usize = 1000;
const BINS: i64 = 20;
const DAYS: usize = 10;

/// A normal step, drawn again while beyond `most`.
fn step(rng: &mut ChaCha8Rng, sd: f64, most: f64) -> f64 {
    let normal = Normal::new(0.0, sd).unwrap();
    loop {
        let drawn = normal.sample(rng);
        if drawn.abs() <= most {
            return drawn;
        }
    }
}

/// Back from a wall at either end.
fn reflect(place: i64) -> i64 {
    let inside = place.rem_euclid(2 * BINS);
    inside.min(2 * BINS - 1 - inside)
}

/// Tuning curves `(cell, bin)` of each day. A cell is active on a day with
/// probability 0.75. Place cells have one field, 2 bins wide; the others fire
/// at new places every day.
fn simulate(
    place_cells: f64,
    tuning_drifts: bool,
    rates_drift: bool,
    seed: u64,
) -> Vec<Array2<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rates = LogNormal::new(0.0275_f64.ln(), 0.75).unwrap();
    let mut days = vec![Array2::zeros((CELLS, BINS as usize)); DAYS];
    for cell in 0..CELLS {
        let place_cell = rng.random::<f64>() < place_cells;
        let first: f64 = rates.sample(&mut rng);
        let mut rate = first;
        let mut field = rng.random_range(0..BINS);
        for day in &mut days {
            if !place_cell {
                field = rng.random_range(0..BINS);
            }
            if rng.random::<f64>() < 0.75 {
                let bump = |bin: i64| (-((bin - field) as f64).powi(2) / 8.0).exp();
                let whole: f64 = (0..BINS).map(bump).sum();
                for bin in 0..BINS {
                    day[[cell, bin as usize]] = rate * BINS as f64 * bump(bin) / whole;
                }
            }
            if tuning_drifts && rng.random::<f64>() < 0.6 {
                field = reflect(field + step(&mut rng, 2.0, 10.0).round() as i64);
            }
            if rates_drift {
                rate = (rate + step(&mut rng, first / 3.0, first)).abs();
            }
        }
    }
    days
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (mx, my) = pairs
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let [mut xy, mut xx, mut yy] = [0.0; 3];
    for (x, y) in pairs {
        xy += (x - mx) * (y - my);
        xx += (x - mx).powi(2);
        yy += (y - my).powi(2);
    }
    xy / (xx * yy).sqrt()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    sum / n
}

/// Ensemble-rate, tuning-curve and population-vector correlation.
fn correlations(a: &Array2<f64>, b: &Array2<f64>) -> [f64; 3] {
    let rates = |of: &Array2<f64>| of.mean_axis(Axis(1)).unwrap();
    let zip = |x: &[f64], y: &[f64]| -> Vec<(f64, f64)> {
        x.iter().copied().zip(y.iter().copied()).collect()
    };
    let ensemble = correlation(&zip(&rates(a).to_vec(), &rates(b).to_vec()));
    let active: Vec<usize> = (0..CELLS)
        .filter(|&cell| a.row(cell).sum() > 0.0 && b.row(cell).sum() > 0.0)
        .collect();
    let tuning = mean(
        active
            .iter()
            .map(|&cell| correlation(&zip(&a.row(cell).to_vec(), &b.row(cell).to_vec()))),
    );
    let vector = mean((0..BINS as usize).map(|bin| {
        let pairs: Vec<(f64, f64)> = active.iter().map(|&c| (a[[c, bin]], b[[c, bin]])).collect();
        correlation(&pairs)
    }));
    [ensemble, tuning, vector]
}

/// Mean of each correlation one day and nine days apart.
fn first_and_last_lag(tuning_drifts: bool, rates_drift: bool) -> [[f64; 3]; 2] {
    [1, DAYS - 1].map(|lag| {
        let mut sum = [0.0; 3];
        let mut n = 0.0;
        for seed in 0..4 {
            let days = simulate(0.4, tuning_drifts, rates_drift, seed);
            for (a, b) in days.iter().zip(&days[lag..]) {
                n += 1.0;
                for (sum, value) in sum.iter_mut().zip(correlations(a, b)) {
                    *sum += value;
                }
            }
        }
        sum.map(|s| s / n)
    })
}

#[test]
fn drift_of_tuning_leaves_the_ensemble_rate_flat() {
    let [near, far] = first_and_last_lag(true, false);
    assert!((near[0] - far[0]).abs() < 0.05, "{near:?} {far:?}");
    assert!(
        near[1] - far[1] > 0.1 && near[2] - far[2] > 0.1,
        "{near:?} {far:?}"
    );
}

#[test]
fn drift_of_rates_leaves_tuning_flat() {
    let [near, far] = first_and_last_lag(false, true);
    assert!((near[1] - far[1]).abs() < 0.03, "{near:?} {far:?}");
    assert!(near[0] - far[0] > 0.1, "{near:?} {far:?}");
    assert!(near[2] - far[2] > 0.05, "{near:?} {far:?}");
}

#[test]
fn drift_of_both_lowers_all_three() {
    let [near, far] = first_and_last_lag(true, true);
    assert!((0..3).all(|k| near[k] - far[k] > 0.1), "{near:?} {far:?}");
}

#[test]
fn gain_and_shape_say_the_same_cell_by_cell() {
    // Place cells alone, as the others have no shape to keep.
    let share = |tuning, rates| {
        let days = simulate(1.0, tuning, rates, 7);
        let (a, b) = (&days[0], &days[5]);
        let cells: Vec<usize> = (0..CELLS)
            .filter(|&c| a.row(c).sum() > 0.0 && b.row(c).sum() > 0.0)
            .collect();
        let (a, b) = (a.select(Axis(0), &cells), b.select(Axis(0), &cells));
        gain_shape_change([a.view(); 2], [b.view(); 2])
            .unwrap()
            .gain_share()
    };
    // A field cut off by the wall is a little longer, so not exactly 0.
    assert!(share(true, false) < 0.1, "{}", share(true, false));
    assert!(share(false, true) > 0.9, "{}", share(false, true));
}
