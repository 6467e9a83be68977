//! Geometry of drift against closed forms.

use fluorspar_drift::geometry::{
    displacement_exponent, drift_in_subspace, drift_magnitude, drift_per_direction,
    fit_stable_part, halves_magnitude, noise_alignment, rotated_decoder_accuracies, step_kurtosis,
};
use ndarray::{Array1, Array2, Axis, s};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::{ContinuousCDF, Normal};

fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
}

/// Codes of variance 1 after `lag` of a decay with `tau`, and trials of noise sd 2 around both.
fn drifting(cells: usize, lag: f64, tau: f64, trials: usize) -> (Array2<f64>, Array2<f64>) {
    let keep = (-lag / tau).exp();
    let before = normal(1, cells, 1);
    let after = &before * keep + &(normal(1, cells, 2) * (1.0 - keep * keep).sqrt());
    (
        normal(trials, cells, 3) * 2.0 + &before,
        normal(trials, cells, 4) * 2.0 + &after,
    )
}

#[test]
fn squared_drift_has_no_noise_share() {
    let cells = 20_000;
    let (first, second) = drifting(cells, 3.0, 4.0, 20);
    let truth = 2.0 * (1.0 - (-0.75_f64).exp());
    let found = drift_magnitude(first.view(), second.view()).unwrap();
    let per_cell = |square: f64| square / cells as f64;
    assert!(
        (per_cell(found.unbiased_square) - truth).abs() < 0.04,
        "{found:?}"
    );
    assert!(
        (per_cell(found.naive_square) - truth - 0.4).abs() < 0.04,
        "{found:?}"
    );
    assert!((found.relative - truth.sqrt()).abs() < 0.04);
    let half = |trials: &Array2<f64>, from: usize| {
        trials.slice(s![from..;2, ..]).mean_axis(Axis(0)).unwrap()
    };
    let (x, y) = (
        [half(&first, 0), half(&first, 1)],
        [half(&second, 0), half(&second, 1)],
    );
    let halves = halves_magnitude([x[0].view(), x[1].view()], [y[0].view(), y[1].view()]).unwrap();
    assert!((per_cell(halves) - truth).abs() < 0.05, "{halves}");
}

#[test]
fn the_share_inside_is_free_of_noise_and_has_its_chance() {
    // Drift of length 10 along the first axis and 10 along the second of 400 cells.
    let cells = 400;
    let move_by = Array1::from_shape_fn(cells, |n| if n < 2 { 10.0 } else { 0.0 });
    let basis = Array2::from_shape_fn((1, cells), |(_, n)| f64::from(u8::from(n == 0)));
    let (mut shares, mut naive) = (Vec::new(), Vec::new());
    for seed in 0..20 {
        let first = normal(10, cells, 100 + 2 * seed) * 2.0;
        let second = normal(10, cells, 101 + 2 * seed) * 2.0 + &move_by;
        let found = drift_in_subspace(&[(first.view(), second.view())], basis.view()).unwrap();
        assert_eq!(found.chance, 1.0 / 400.0);
        shares.push(found.share);
        naive.push(found.naive_share);
        let each = drift_per_direction(&[(first.view(), second.view())], basis.view()).unwrap();
        assert!((each[0] - found.inside_square).abs() < 1e-9);
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    assert!((mean(&shares) - 0.5).abs() < 0.05, "{}", mean(&shares));
    // 100/(200 + 400 · 4 · 2/10) with noise left in.
    assert!((mean(&naive) - 0.19).abs() < 0.03, "{}", mean(&naive));
    // Drift in all directions alike: dimensions over cells.
    let (first, second) = drifting(2000, 3.0, 4.0, 10);
    let basis = normal(200, 2000, 9);
    let found = drift_in_subspace(&[(first.view(), second.view())], basis.view()).unwrap();
    assert!(
        (found.share - 0.1).abs() < 0.05 && found.chance == 0.1,
        "{found:?}"
    );
}

#[test]
fn the_null_of_alignment_is_that_of_unit_vectors() {
    let cells = 40;
    let scales = Array1::from_shape_fn(cells, |n| 1.0 / (1.0 + n as f64));
    let observations = normal(25, cells, 5) * &scales;
    let vectors = normal(3000, cells, 6);
    let of =
        |v: &Array1<f64>, draws| noise_alignment(v.view(), observations.view(), draws, 7).unwrap();
    let null_95 = of(&vectors.row(0).to_owned(), 3000).null_95;
    let mut drawn: Vec<f64> = vectors
        .rows()
        .into_iter()
        .map(|v| of(&v.to_owned(), 0).alignment)
        .collect();
    drawn.sort_by(f64::total_cmp);
    assert!(
        (drawn[2850] - null_95).abs() < 0.02,
        "{} {null_95}",
        drawn[2850]
    );
    // A random direction reaches p ≤ 0.05 in about one of twenty.
    let low = (0..200)
        .filter(|&k| of(&vectors.row(k).to_owned(), 199).p <= 0.05)
        .count();
    assert!((2..=22).contains(&low), "{low}");
    let first = of(
        &Array1::from_shape_fn(cells, |n| f64::from(u8::from(n == 0))),
        300,
    );
    assert!(first.alignment > 0.9 && first.p < 0.01);
}

#[test]
fn a_fixed_part_of_equal_variance_is_half_of_the_code() {
    // (m² + s²e^{−Δ/τ})/(m² + s²), here .684 at Δ = τ.
    let lags: Vec<f64> = (0..=20).map(f64::from).collect();
    let c: Vec<f64> = lags.iter().map(|l| 0.5 + 0.5 * (-l / 5.0).exp()).collect();
    assert!((c[5] - 0.684).abs() < 1e-3);
    let found = fit_stable_part(&lags, &c).unwrap();
    assert!((found.stable_share - 0.5).abs() < 1e-6 && (found.tau_days - 5.0).abs() < 1e-4);
}

#[test]
fn walks_add_up_and_returning_ones_do_not() {
    let lags = [1.0_f64, 2.0, 4.0, 8.0];
    let walk: Vec<f64> = lags.iter().map(|l| 0.2 * l).collect();
    assert!((displacement_exponent(&lags, &walk).unwrap() - 1.0).abs() < 1e-12);
    let returning: Vec<f64> = lags
        .iter()
        .map(|l| 2.0 * (1.0 - (-l / 3.0).exp()))
        .collect();
    let exponent = displacement_exponent(&lags, &returning).unwrap();
    assert!((0.3..0.8).contains(&exponent), "{exponent}");
}

#[test]
fn heavy_tails_are_seen_through_noise() {
    // Laplace steps of variance 2 have excess kurtosis 3; Gaussian noise of variance 2 hides part.
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let steps: Vec<f64> = (0..200_000)
        .map(|_| {
            let u: f64 = rng.random::<f64>() - 0.5;
            let step = -u.signum() * (1.0 - 2.0 * u.abs()).max(1e-300).ln();
            let noise: f64 = StandardNormal.sample(&mut rng);
            step + noise * 2.0_f64.sqrt()
        })
        .collect();
    assert!((step_kurtosis(&steps, 0.0).unwrap() - 0.75).abs() < 0.08);
    assert!((step_kurtosis(&steps, 2.0).unwrap() - 3.0).abs() < 0.3);
}

#[test]
fn a_turned_decoder_reads_by_its_cosine() {
    let (trials, cells) = (6000, 40);
    let class: Vec<bool> = (0..trials).map(|t| t % 2 == 0).collect();
    let mut x = normal(trials, cells, 10);
    for (t, mut row) in x.rows_mut().into_iter().enumerate() {
        row[0] += if class[t] { 1.25 } else { -1.25 };
    }
    let axis = Array1::from_shape_fn(cells, |n| f64::from(u8::from(n == 0)));
    let gauss = Normal::new(0.0, 1.0).unwrap();
    for degrees in [0.0_f64, 30.0, 60.0, 90.0] {
        let turn = degrees.to_radians();
        let found =
            rotated_decoder_accuracies(x.view(), &class, axis.view(), 0.0, turn, 20, 1).unwrap();
        let found = found.iter().sum::<f64>() / 20.0;
        let expected = gauss.cdf(1.25 * turn.cos());
        assert!(
            (found - expected).abs() < 0.015,
            "{degrees} {found} {expected}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_input_panics(
        rows in 0_usize..5,
        columns in 0_usize..5,
        others in 0_usize..5,
        values in prop::collection::vec(prop::sample::select(vec![
            0.0, 1.0, -1.0, 0.3, f64::NAN, f64::INFINITY, 1e300, -1e-300,
        ]), 50),
    ) {
        let a = Array2::from_shape_fn((rows, columns), |(i, j)| values[i * 5 + j]);
        let b = Array2::from_shape_fn((others, columns), |(i, j)| values[25 + i * 5 + j]);
        let _ = drift_magnitude(a.view(), b.view());
        let _ = drift_in_subspace(&[(a.view(), b.view())], b.view());
        let _ = drift_per_direction(&[(a.view(), a.view())], b.view());
        let direction = Array1::from_shape_fn(columns, |n| values[n]);
        let _ = noise_alignment(direction.view(), a.view(), 5, 1);
        let class: Vec<bool> = (0..rows).map(|t| t % 2 == 0).collect();
        let _ = rotated_decoder_accuracies(a.view(), &class, direction.view(), values[1], 0.5, 3, 1);
        let _ = fit_stable_part(&values[..rows * 5], &values[25..25 + rows * 5]);
        let _ = displacement_exponent(&values[..rows], &values[25..25 + rows]);
        let _ = step_kurtosis(&values[..rows * 5], values[0]);
    }
}
