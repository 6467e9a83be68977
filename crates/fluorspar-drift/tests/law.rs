//! Laws of drift: recovered, told apart, and not found where they are not.

mod population;

use fluorspar_drift::Error;
use fluorspar_drift::law::{
    Axis, Covariance, Law, Options, Table, Verdict, choose, conclude, fit, likelihood_test,
    rate_slope, rate_slope_difference, refit,
};
use ndarray::{Array2, Array3, s};
use population::{Recording, Step, crystallizing, plain, stationary, tables, varying};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const KNOWN: [(Law, &[f64]); 6] = [
    (Law::Constant, &[0.8]),
    (Law::Exponential, &[0.9, 0.2]),
    (Law::Plateau, &[0.95, 0.4, 3.0]),
    (Law::RandomWalk, &[0.9, 0.6]),
    (Law::SteadySteps, &[0.9, 0.1, 8.0]),
    (Law::Crystallizing, &[1.0, 0.6, 0.05, 3.0]),
];

fn exact(law: Law, p: &[f64], sessions: usize) -> Table {
    Table {
        similarity: Array2::from_shape_fn((sessions, sessions), |(i, j)| {
            law.value(p, i.min(j) as f64, i.max(j) as f64)
        }),
        resampled: Array3::zeros((0, 0, 0)),
        days: (0..sessions).map(|s| s as f64 + 3.0).collect(),
        practice: (0..sessions).map(|s| s as f64 + 1.0).collect(),
        n_cells: 300,
        ..Table::default()
    }
}

fn quick(seed: u64) -> Options {
    Options {
        simulations: 99,
        permutations: 99,
        seed,
        ..Options::default()
    }
}

#[test]
fn every_law_finds_its_own_parameters() {
    for (law, planted) in KNOWN {
        for covariance in [Covariance::Independent, Covariance::Correlations] {
            let options = Options {
                covariance,
                ..Options::default()
            };
            let found = fit(&exact(law, planted, 12), law, &options).unwrap();
            for (f, p) in found.parameters.iter().zip(planted) {
                assert!(
                    (f - p).abs() < 0.01 * p,
                    "{law:?} {covariance:?} {:?}",
                    found.parameters
                );
            }
        }
    }
}

#[test]
fn amplitudes_of_sessions_are_taken_into_account() {
    let amplitude: Vec<f64> = (0..10).map(|s| 0.5 + 0.05 * s as f64).collect();
    let mut table = exact(Law::Exponential, &[1.0, 0.2], 10);
    table.similarity = Array2::from_shape_fn((10, 10), |(i, j)| {
        table.similarity[[i, j]] * amplitude[i] * amplitude[j]
    });
    table.amplitude = Some(amplitude);
    let found = fit(&table, Law::Exponential, &Options::default()).unwrap();
    assert!((found.parameters[1] - 0.2).abs() < 1e-3, "{found:?}");
}

#[test]
fn time_is_days_or_practice() {
    let mut table = exact(Law::Exponential, &[1.0, 0.2], 8);
    table.days = (0..8).map(|s| 2.0 * s as f64).collect();
    let rate = |axis| {
        let options = Options {
            axis,
            ..Options::default()
        };
        fit(&table, Law::Exponential, &options).unwrap().parameters[1]
    };
    assert!((rate(Axis::Practice) - 0.2).abs() < 1e-4);
    assert!((rate(Axis::Days) - 0.1).abs() < 1e-4);
}

#[test]
fn held_out_sessions_choose_the_law() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let how = plain(400, 80, 14);
    let walk = vec![
        Step {
            keep: 1.0,
            step: 0.7
        };
        13
    ];
    let fixed = Recording {
        fixed: 1.0,
        ..how.clone()
    };
    let cases = [
        (
            tables(&[vec![stationary(0.15); 13]], &how, &mut rng),
            Law::Exponential,
        ),
        (tables(&[walk], &how, &mut rng), Law::RandomWalk),
        (
            tables(&[vec![stationary(0.6); 13]], &fixed, &mut rng),
            Law::Plateau,
        ),
        (
            tables(&[crystallizing(13)], &how, &mut rng),
            Law::Crystallizing,
        ),
    ];
    for (tables, planted) in cases {
        let scored = choose(&tables, &Law::ALL, &Options::default()).unwrap();
        let chosen = scored.iter().find(|s| s.chosen).unwrap();
        let scores: Vec<_> = scored.iter().map(|s| (s.law, s.by_session)).collect();
        assert_eq!(chosen.law, planted, "{scores:?}");
    }
}

#[test]
fn half_lives_grow_as_planted() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let table = tables(&[crystallizing(13)], &plain(600, 80, 14), &mut rng).remove(0);
    let found = refit(&table, Law::Crystallizing, &Options::default())
        .unwrap()
        .half_lives(0.95);
    for (session, t) in [(1, 1.0_f64), (6, 6.0)] {
        let planted = 0.05 + 0.55 * (-t / 3.0).exp();
        let h = &found[session];
        assert!(
            h.rate_lo < planted && planted < h.rate_hi,
            "{h:?} {planted}"
        );
        assert!((h.half_life - std::f64::consts::LN_2 / h.rate).abs() < 1e-12);
        assert!(h.lo <= h.half_life && h.half_life <= h.hi, "{h:?}");
    }
    assert!(found[12].half_life > 3.0 * found[1].half_life);
}

/// How many of `experiments` are called crystallization.
fn called(experiments: u64, make: impl Fn(&mut ChaCha8Rng) -> Vec<Table>) -> usize {
    (0..experiments)
        .filter(|&seed| {
            let tables = make(&mut ChaCha8Rng::seed_from_u64(seed));
            let options = quick(seed);
            let finding = conclude(
                &likelihood_test(&tables, &options),
                &rate_slope(&tables, &options),
                0.95,
                seed,
            );
            finding.verdict == Verdict::Shown
        })
        .count()
}

// One in twenty is expected at most; six of thirty have a probability of 0.003.
#[test]
fn constant_drift_with_more_trials_each_session_is_not_crystallization() {
    let how = Recording {
        trials: (0..8).map(|s| 20 + 25 * s).collect(),
        ..plain(150, 40, 8)
    };
    let found = called(30, |rng| tables(&[vec![stationary(0.2); 7]], &how, rng));
    assert!(found <= 5, "{found} of 30");
}

#[test]
fn steps_that_vary_by_chance_are_not_crystallization() {
    let how = plain(150, 40, 8);
    let found = called(30, |rng| {
        let steps = varying(0.2, 0.4, 7, rng);
        tables(&[steps], &how, rng)
    });
    assert!(found <= 5, "{found} of 30");
}

#[test]
fn a_random_walk_is_not_crystallization_though_it_looks_more_stable() {
    let walk = vec![
        Step {
            keep: 1.0,
            step: 1.0
        };
        9
    ];
    let how = plain(150, 40, 10);
    let first = tables(
        std::slice::from_ref(&walk),
        &how,
        &mut ChaCha8Rng::seed_from_u64(1),
    )
    .remove(0);
    assert!(first.similarity[[8, 9]] > first.similarity[[0, 1]]);
    let found = called(20, |rng| tables(std::slice::from_ref(&walk), &how, rng));
    assert!(found <= 4, "{found} of 20");
}

#[test]
fn planted_crystallization_is_found() {
    let how = plain(500, 60, 14);
    let found = called(10, |rng| tables(&[crystallizing(13)], &how, rng));
    assert!(found >= 8, "{found} of 10");
}

#[test]
fn an_epoch_that_slows_beside_one_that_does_not() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut both = tables(
        &[crystallizing(11), vec![stationary(0.1); 11]],
        &plain(300, 60, 12),
        &mut rng,
    );
    let (other, asked) = (both.pop().unwrap(), both.pop().unwrap());
    let options = Options::default();
    let test = rate_slope_difference(
        std::slice::from_ref(&asked),
        &[vec![other.clone()]],
        &options,
    )
    .unwrap();
    assert!(test.slope < 0.0 && test.p < 0.05, "{test:?}");
    let finding = test.finding(0.95, true);
    assert_eq!(finding.verdict, Verdict::Shown);
    assert!(finding.sentence.contains("300 cells") && finding.sentence.contains("one animal"));
    let alone = rate_slope(&[other], &options).unwrap();
    assert!(alone.p > 0.05 || alone.slope > 0.0, "{alone:?}");
    let mut fewer = asked.clone();
    fewer.resampled = fewer.resampled.slice(s![..50, .., ..]).to_owned();
    assert!(matches!(
        rate_slope_difference(&[asked], &[vec![fewer]], &options),
        Err(Error::Shape(_))
    ));
}

#[test]
fn too_few_sessions_are_undetermined_with_a_reason() {
    let table = exact(Law::Exponential, &[1.0, 0.2], 4);
    let options = quick(1);
    let (law, slope) = (
        likelihood_test(std::slice::from_ref(&table), &options),
        rate_slope(&[table], &options),
    );
    let finding = conclude(&law, &slope, 0.95, 1);
    assert_eq!(finding.verdict, Verdict::Undetermined);
    assert!(
        finding.reason.contains("4 sessions") && finding.p.is_nan(),
        "{finding:?}"
    );
    assert!(likelihood_test(&[], &options).is_err());
    assert!(fit(&Table::default(), Law::Constant, &options).is_err());
}

#[test]
fn threads_change_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let table = tables(&[crystallizing(7)], &plain(80, 40, 8), &mut rng);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            (
                likelihood_test(&table, &quick(4)).unwrap(),
                rate_slope(&table, &quick(4)).unwrap(),
                refit(&table[0], Law::Crystallizing, &quick(4)).unwrap(),
            )
        })
    };
    assert_eq!(run(1), run(3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn no_table_makes_it_panic(
        sessions in 0_usize..9,
        values in prop::collection::vec(
            prop_oneof![5 => -0.5..1.2_f64, 1 => Just(f64::NAN), 1 => Just(1.0), 1 => Just(1e300)], 81),
        resamples in prop_oneof![Just(0_usize), Just(1), Just(25)],
        gap in prop_oneof![Just(1e-6_f64), Just(1.0), Just(1e9)],
    ) {
        let at = |i: usize, j: usize| values[(i * 9 + j) % 81];
        let table = Table {
            similarity: Array2::from_shape_fn((sessions, sessions), |(i, j)| at(i, j)),
            resampled: Array3::from_shape_fn((resamples, sessions, sessions), |(b, i, j)| at(i + b, j)),
            days: (0..sessions).map(|s| gap * s as f64).collect(),
            practice: (0..sessions).map(|s| s as f64).collect(),
            reliability: Some(vec![values[3]; sessions]),
            n_cells: 3,
            ..Table::default()
        };
        let options = Options { simulations: 19, permutations: 19, ..Options::default() };
        let tables = [table];
        for law in Law::ALL {
            let _ = fit(&tables[0], law, &options);
            let _ = refit(&tables[0], law, &options).map(|r| (r.intervals(0.95), r.half_lives(0.95)));
        }
        let _ = choose(&tables, &[Law::Plateau, Law::Crystallizing], &options);
        let _ = conclude(&likelihood_test(&tables, &options), &rate_slope(&tables, &options), 0.95, 1);
    }
}
