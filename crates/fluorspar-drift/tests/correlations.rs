//! Correlations between sessions against their closed forms.

use fluorspar_drift::Error;
use fluorspar_drift::similarity::{
    Correlations, Tuning, ceiling, correlations, disattenuate, split_half_reliability,
};
use ndarray::{Array2, Array3, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const BINS: usize = 6;

fn normal(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move || StandardNormal.sample(&mut rng)
}

/// Trials `(trial, cell, bin)` around `tuning` `(cell, bin)`: noise with
/// standard deviation `sd`, half of its variance shared by all bins of a trial.
fn trials(
    tuning: &Array2<f64>,
    trials: usize,
    sd: f64,
    draw: &mut impl FnMut() -> f64,
) -> Array3<f32> {
    let (cells, bins) = tuning.dim();
    let mut out = Array3::zeros((trials, cells, bins));
    for trial in 0..trials {
        for cell in 0..cells {
            let shared = draw();
            for bin in 0..bins {
                let noise = (0.5_f64).sqrt() * (shared + draw());
                out[[trial, cell, bin]] = (tuning[[cell, bin]] + sd * noise) as f32;
            }
        }
    }
    out
}

fn matrix(cells: usize, draw: &mut impl FnMut() -> f64) -> Array2<f64> {
    Array2::from_shape_simple_fn((cells, BINS), &mut *draw)
}

fn tuned(activity: &Array3<f32>) -> Tuning {
    let all: Vec<usize> = (0..activity.dim().0).collect();
    let times: Vec<Vec<usize>> = (0..activity.dim().2).map(|b| vec![b]).collect();
    Tuning::new(activity.view(), &[all], &times).unwrap()
}

fn compare(a: &Array3<f32>, b: &Array3<f32>) -> Correlations {
    let cells: Vec<(usize, usize)> = (0..a.dim().1).map(|c| (c, c)).collect();
    correlations(&tuned(a), &tuned(b), &cells, None, false).unwrap()
}

/// Tuning that forgets with time constant `tau` around a fixed part of variance `fixed`.
fn wandering(
    cells: usize,
    days: &[f64],
    tau: f64,
    fixed: f64,
    draw: &mut impl FnMut() -> f64,
) -> Vec<Array2<f64>> {
    let base = matrix(cells, draw) * fixed.sqrt();
    let mut now = matrix(cells, draw);
    let mut before = days[0];
    days.iter()
        .map(|&day| {
            let keep = (-(day - before) / tau).exp();
            before = day;
            let fresh = matrix(cells, draw);
            now = &now * keep + fresh * (1.0 - keep * keep).sqrt();
            &base + &now
        })
        .collect()
}

#[test]
fn drift_with_a_time_constant_gives_its_exponential() {
    let mut draw = normal(1);
    let (days, tau) = ([0.0, 1.0, 3.0, 6.0], 3.0);
    let codes = wandering(20_000, &days, tau, 0.0, &mut draw);
    let (n, sd) = (10, 1.0);
    let sessions: Vec<Array3<f32>> = codes.iter().map(|c| trials(c, n, sd, &mut draw)).collect();
    let reliability = 1.0 / (1.0 + sd * sd / n as f64);
    for (k, day) in days.iter().enumerate().skip(1) {
        let found = compare(&sessions[0], &sessions[k]);
        let expected = (-day / tau).exp();
        let pv = found.population_vector;
        assert!(
            (pv.raw - reliability * expected).abs() < 0.01,
            "{pv:?} {expected}"
        );
        assert!((pv.corrected - expected).abs() < 0.01, "{pv:?} {expected}");
        let centred = found.population_vector_centred.corrected;
        assert!((centred - expected).abs() < 0.015, "{centred} {expected}");
        let curve = found.tuning_curve.corrected;
        // A correlation over six bins is low on average.
        assert!((curve - expected).abs() < 0.06, "{curve} {expected}");
        let rate = found.ensemble_rate.corrected;
        assert!((rate - expected).abs() < 0.03, "{rate} {expected}");
    }
}

#[test]
fn a_fixed_component_stays() {
    let mut draw = normal(2);
    let codes = wandering(20_000, &[0.0, 5.0], 5.0, 1.0, &mut draw);
    let sessions: Vec<Array3<f32>> = codes.iter().map(|c| trials(c, 8, 1.0, &mut draw)).collect();
    let found = compare(&sessions[0], &sessions[1])
        .population_vector
        .corrected;
    let expected = f64::midpoint(1.0, (-1.0_f64).exp());
    assert!((expected - 0.684).abs() < 5e-4);
    assert!((found - expected).abs() < 0.01, "{found}");
}

#[test]
fn a_random_walk_looks_as_if_it_settled() {
    let mut draw = normal(3);
    let (cells, q) = (20_000, 0.2_f64);
    let mut now = matrix(cells, &mut draw);
    let mut codes = vec![now.clone()];
    for _ in 0..10 {
        now = &now + &(matrix(cells, &mut draw) * q.sqrt());
        codes.push(now.clone());
    }
    for (s, t, expected) in [(0, 5, 0.707), (5, 10, 0.816)] {
        let a = trials(&codes[s], 6, 1.0, &mut draw);
        let b = trials(&codes[t], 6, 1.0, &mut draw);
        let found = compare(&a, &b).population_vector.corrected;
        assert!((found - expected).abs() < 0.01, "{found} {expected}");
    }
}

#[test]
fn wrong_matches_lower_the_correlation_by_their_share() {
    let mut draw = normal(4);
    let codes = wandering(10_000, &[0.0, 1.0], 4.48, 0.0, &mut draw);
    let a = trials(&codes[0], 8, 1.0, &mut draw);
    let b = trials(&codes[1], 8, 1.0, &mut draw);
    let wrong = 2_000;
    let cells: Vec<(usize, usize)> = (0..10_000)
        .map(|c| (c, if c < wrong { (c + 1) % wrong } else { c }))
        .collect();
    let found = correlations(&tuned(&a), &tuned(&b), &cells, None, false).unwrap();
    let expected = 0.8 * (-1.0_f64 / 4.48).exp();
    assert!(
        (found.population_vector.corrected - expected).abs() < 0.02,
        "{found:?}"
    );
}

#[test]
fn rates_that_change_leave_tuning_alone() {
    let mut draw = normal(9);
    let code = matrix(6_000, &mut draw);
    let mut session = || {
        let gains: Vec<f64> = (0..6_000).map(|_| draw().exp()).collect();
        let tuning = Array2::from_shape_fn(code.dim(), |(c, b)| gains[c] * (3.0 + code[[c, b]]));
        trials(&tuning, 10, 0.5, &mut draw)
    };
    let (a, b) = (session(), session());
    let found = compare(&a, &b);
    assert!(
        (found.tuning_curve.corrected - 1.0).abs() < 0.05,
        "{found:?}"
    );
    assert!(found.ensemble_rate.corrected < 0.2, "{found:?}");
}

#[test]
fn the_diagonal_is_the_correlation_of_split_halves() {
    let mut draw = normal(5);
    let code = matrix(5_000, &mut draw);
    let activity = trials(&code, 12, 2.0, &mut draw);
    let cells: Vec<(usize, usize)> = (0..5_000).map(|c| (c, c)).collect();
    let whole = tuned(&activity);
    let diagonal = correlations(&whole, &whole, &cells, Some(6.0), true).unwrap();
    // Halves of the same trials, compared as two sessions.
    let (first, second) = (
        activity.slice(s![..6, .., ..]).to_owned(),
        activity.slice(s![6.., .., ..]).to_owned(),
    );
    let halves = compare(&first, &second);
    // A single cell's variance over six bins is noisy, and a mean of ratios
    // shows it; sums over cells are not touched.
    for (a, b, tolerance) in [
        (diagonal.population_vector, halves.population_vector, 0.02),
        (diagonal.tuning_curve, halves.tuning_curve, 0.06),
        (diagonal.ensemble_rate, halves.ensemble_rate, 0.04),
        (
            diagonal.population_vector_centred,
            halves.population_vector_centred,
            0.02,
        ),
    ] {
        assert!((a.raw - b.raw).abs() < tolerance, "{a:?} {b:?}");
    }
    let expected = 1.0 / (1.0 + 4.0 / 6.0);
    assert!((diagonal.population_vector.raw - expected).abs() < 0.02);
    let reliability = split_half_reliability(diagonal.population_vector.raw);
    assert!((reliability - 1.0 / (1.0 + 4.0 / 12.0)).abs() < 0.02);
    assert!((ceiling(reliability, reliability) - reliability).abs() < 1e-12);
}

#[test]
fn conditions_with_different_numbers_of_trials_are_corrected_each_by_its_own() {
    let mut draw = normal(6);
    let (cells, counts) = (8_000, [4, 30]);
    let codes = [matrix(cells, &mut draw), matrix(cells, &mut draw)];
    let mut session = |scale: f64| {
        let mut out = Array3::zeros((34, cells, BINS));
        let mut from = 0;
        for (code, n) in codes.iter().zip(counts) {
            let part = trials(&(code * scale), n, 1.5, &mut draw);
            out.slice_mut(s![from..from + n, .., ..]).assign(&part);
            from += n;
        }
        let conditions = [(0..4).collect::<Vec<_>>(), (4..34).collect()];
        let times: Vec<Vec<usize>> = (0..BINS).map(|b| vec![b]).collect();
        Tuning::new(out.view(), &conditions, &times).unwrap()
    };
    let (a, b) = (session(1.0), session(1.0));
    let pairs: Vec<(usize, usize)> = (0..cells).map(|c| (c, c)).collect();
    let found = correlations(&a, &b, &pairs, None, false).unwrap();
    assert!(
        (found.tuning_curve.corrected - 1.0).abs() < 0.06,
        "{found:?}"
    );
    for value in [
        found.population_vector.corrected,
        found.population_vector_centred.corrected,
        found.ensemble_rate.corrected,
    ] {
        assert!((value - 1.0).abs() < 0.03, "{found:?}");
    }
}

#[test]
fn halves_disattenuate_any_pattern() {
    let mut draw = normal(7);
    let (features, tau) = (4_000, 5.0_f64);
    let first: Vec<f64> = (0..features).map(|_| draw()).collect();
    let keep = (-5.0 / tau).exp();
    let second: Vec<f64> = first
        .iter()
        .map(|v| keep * v + (1.0 - keep * keep).sqrt() * draw())
        .collect();
    let mut session =
        |code: &[f64]| Array2::from_shape_fn((20, features), |(_, k)| code[k] + draw());
    let (a, b) = (session(&first), session(&second));
    let found = disattenuate(a.view(), b.view(), 20, 1).unwrap();
    assert!((found.corrected - keep).abs() < 0.03, "{found:?}");
    assert!((found.within_a - 1.0 / 1.1).abs() < 0.02, "{found:?}");
    let noise = session(&vec![0.0; features]);
    let refused = disattenuate(a.view(), noise.view(), 20, 1);
    assert!(
        matches!(&refused, Err(Error::Undefined(why)) if why.contains("second")),
        "{refused:?}"
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut draw = normal(8);
    let activity = trials(&matrix(5, &mut draw), 4, 1.0, &mut draw);
    let times: Vec<Vec<usize>> = (0..BINS).map(|b| vec![b]).collect();
    let all = vec![0, 1, 2, 3];
    assert!(matches!(
        Tuning::new(activity.view(), &[vec![0]], &times),
        Err(Error::Undefined(_))
    ));
    assert!(matches!(
        Tuning::new(activity.view(), std::slice::from_ref(&all), &[]),
        Err(Error::Undefined(_))
    ));
    assert!(matches!(
        Tuning::new(activity.view(), &[vec![0, 9]], &times),
        Err(Error::Shape(_))
    ));
    assert!(matches!(
        Tuning::new(activity.view(), std::slice::from_ref(&all), &[vec![99]]),
        Err(Error::Shape(_))
    ));
    let a = tuned(&activity);
    let short = Tuning::new(activity.view(), &[all], &times[..2]).unwrap();
    assert!(matches!(
        correlations(&a, &short, &[(0, 0), (1, 1)], None, false),
        Err(Error::Shape(_))
    ));
    assert!(matches!(
        correlations(&a, &a, &[(0, 0), (1, 77)], None, false),
        Err(Error::Shape(_))
    ));
    assert!(matches!(
        correlations(&a, &a, &[(0, 0)], None, false),
        Err(Error::Undefined(_))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A session against a copy of itself scaled by a gain is the same code,
    /// and the order of sessions does not matter.
    #[test]
    fn gains_do_not_matter_and_pairs_are_symmetric(seed in 0_u64..1_000_000, gain in 0.1_f64..10.0) {
        let mut draw = normal(seed);
        let code = matrix(60, &mut draw);
        let a = trials(&code, 10, 0.3, &mut draw);
        let b = trials(&(&code * gain), 10, 0.3 * gain, &mut draw);
        let (ab, ba) = (compare(&a, &b), compare(&b, &a));
        for (x, y) in [
            (ab.population_vector.raw, ba.population_vector.raw),
            (ab.population_vector.corrected, ba.population_vector.corrected),
            (ab.tuning_curve.corrected, ba.tuning_curve.corrected),
            (ab.ensemble_rate.raw, ba.ensemble_rate.raw),
        ] {
            prop_assert!((x - y).abs() < 1e-9);
            prop_assert!((x - 1.0).abs() < 0.1, "{x}");
        }
        // A baseline of its own for each session changes only what depends on no baseline.
        let lifted = compare(&a.mapv(|v| v + 50.0), &b);
        prop_assert!((lifted.population_vector.corrected - ab.population_vector.corrected).abs() < 1e-2);
    }
}
