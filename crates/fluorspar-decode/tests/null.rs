//! Nothing is decoded from nothing: selection, permutation, presets.

use fluorspar_decode::{
    Bellafard2024, CrossValidation, Decoder, Error, Features, HoldOut, LinearSvm, MostSelective,
    PermutationTest, Tested, balanced_accuracy, gram, linear_gram, selectivity,
};
use ndarray::{Array2, Array3, array};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn noise(trials: usize, cells: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((trials, cells), || StandardNormal.sample(&mut rng))
}

fn alternating(trials: usize) -> Vec<i64> {
    (0..trials as i64).map(|t| t % 2).collect()
}

/// 1000 cells of noise, 40 trials, the best 5 %: chosen on all trials they
/// decode 98 % right, chosen in each training fold half.
#[test]
fn selection_outside_the_folds_decodes_noise() {
    let labels = alternating(40);
    let validation = CrossValidation {
        folds: 5,
        repeats: 2,
        seed: 1,
    };
    let (mut outside, mut nested) = (0.0, 0.0);
    let runs = 12;
    for seed in 0..runs {
        let x = noise(40, 1000, seed);
        let all: Vec<usize> = (0..40).collect();
        let strength = selectivity(x.view(), &labels, &all).unwrap();
        let mut order: Vec<usize> = (0..1000).collect();
        order.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]));
        let chosen = Features::new(x.view()).of_cells(&order[..50]).unwrap();
        let matrix = gram(&chosen).unwrap();
        outside += validation
            .score(&LinearSvm::default(), matrix.view(), &labels)
            .unwrap()
            .mean;
        let sweep = MostSelective {
            counts: vec![50],
            validation,
        };
        nested += sweep
            .scores(&LinearSvm::default(), x.view(), &labels)
            .unwrap()[0]
            .mean;
    }
    let (outside, nested) = (outside / runs as f64, nested / runs as f64);
    assert!(outside > 0.95, "{outside}");
    assert!((0.40..0.56).contains(&nested), "{nested}");
}

#[test]
fn a_sweep_finds_the_cells_that_matter() {
    let labels = alternating(40);
    let mut x = noise(40, 300, 3);
    for (t, &label) in labels.iter().enumerate() {
        for cell in 0..3 {
            x[[t, cell * 100]] += 2.0 * label as f32;
        }
    }
    let all: Vec<usize> = (0..40).collect();
    let strength = selectivity(x.view(), &labels, &all).unwrap();
    let mut order: Vec<usize> = (0..300).collect();
    order.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]));
    let mut best = order[..3].to_vec();
    best.sort_unstable();
    assert_eq!(best, [0, 100, 200]);
    let sweep = MostSelective {
        counts: vec![3, 30, 10_000],
        validation: CrossValidation::default(),
    };
    let scores = sweep
        .scores(&LinearSvm::default(), x.view(), &labels)
        .unwrap();
    assert!(scores[0].mean > 0.9 && scores[0].mean > scores[2].mean);
    let wrong = MostSelective {
        counts: vec![5, 5],
        validation: CrossValidation::default(),
    };
    assert!(matches!(
        wrong.scores(&LinearSvm::default(), x.view(), &labels),
        Err(Error::Parameter { .. })
    ));
}

#[test]
fn selectivity_by_hand() {
    // Welch: means 1 and 4, variances 1 and 4 of three trials each.
    let x = array![[0.0_f32], [1.0], [2.0], [2.0], [4.0], [6.0]];
    let t = selectivity(x.view(), &[0, 0, 0, 1, 1, 1], &[0, 1, 2, 3, 4, 5]).unwrap();
    assert!((t[0] - 3.0 / (1.0_f64 / 3.0 + 4.0 / 3.0).sqrt()).abs() < 1e-12);
    // One-way analysis of variance: F = 27 / 1 for means 0, 3, 6 with variance 1.
    let x = array![
        [-1.0_f32],
        [0.0],
        [1.0],
        [2.0],
        [3.0],
        [4.0],
        [5.0],
        [6.0],
        [7.0]
    ];
    let labels = [0, 0, 0, 1, 1, 1, 2, 2, 2];
    let all: Vec<usize> = (0..9).collect();
    let f = selectivity(x.view(), &labels, &all).unwrap();
    assert!((f[0] - 27.0_f64.sqrt()).abs() < 1e-9, "{f:?}");
}

#[test]
fn p_values_of_noise_are_spread_evenly() {
    let labels = alternating(30);
    let validation = CrossValidation {
        folds: 5,
        repeats: 1,
        seed: 4,
    };
    let test = PermutationTest {
        permutations: 99,
        seed: 5,
    };
    let p: Vec<f64> = (0..60)
        .map(|seed| {
            let x = noise(30, 40, 100 + seed).mapv(f64::from);
            let gram = linear_gram(x.view());
            test.cross_validated(&validation, &LinearSvm::default(), gram.view(), &labels)
                .unwrap()
                .1
                .p
        })
        .collect();
    let mean = p.iter().sum::<f64>() / 60.0;
    // Ties of a discrete score push p up, never down.
    assert!((0.42..0.66).contains(&mean), "{mean}");
    assert!(p.iter().filter(|&&p| p <= 0.1).count() <= 13);
    assert!(p.iter().all(|&p| p >= 0.01));
}

#[test]
fn a_code_is_significant_and_threads_do_not_matter() {
    let labels: Vec<i64> = (0..36).map(|t| t % 3).collect();
    let mut x = noise(36, 20, 6).mapv(f64::from);
    for (t, mut row) in x.rows_mut().into_iter().enumerate() {
        row[t % 3] += 2.0;
    }
    let gram = linear_gram(x.view());
    let validation = CrossValidation {
        folds: 4,
        repeats: 2,
        seed: 7,
    };
    let test = PermutationTest {
        permutations: 199,
        seed: 8,
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            test.cross_validated(&validation, &LinearSvm::default(), gram.view(), &labels)
        })
        .unwrap()
    };
    let (score, tested) = run(1);
    assert_eq!((score.clone(), tested.clone()), run(3));
    assert_eq!(tested.p, 1.0 / 200.0);
    assert!(
        (tested.chance() - 1.0 / 3.0).abs() < 0.03,
        "{}",
        tested.chance()
    );
    assert_eq!(score.mean, tested.observed);
}

#[test]
fn labels_of_read_trials_are_exchangeable() {
    let truth = alternating(20);
    let test = PermutationTest {
        permutations: 999,
        seed: 1,
    };
    let perfect = test
        .of_predictions(&truth, |labels| balanced_accuracy(labels, &truth))
        .unwrap();
    assert_eq!(perfect.p, 0.001);
    let constant = test
        .of_predictions(&truth, |labels| balanced_accuracy(labels, &[0; 20]))
        .unwrap();
    assert_eq!((constant.p, constant.observed), (1.0, 0.5));
    assert!(Tested::new(f64::NAN, vec![0.0]).p.is_nan());
}

#[test]
fn the_published_preset_has_its_traps() {
    // 30 trials of one class, 10 of the other, noise: plain accuracy is at the
    // larger share, not at one half.
    let labels: Vec<i64> = (0..40).map(|t| i64::from(t % 4 == 0)).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut activity =
        Array3::<f32>::from_shape_simple_fn((40, 300, 14), || StandardNormal.sample(&mut rng));
    let windows = Bellafard2024::default()
        .decode(activity.view(), &labels)
        .unwrap();
    assert_eq!(
        windows.iter().map(|w| w.start).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    let mean = windows.iter().map(|w| w.shuffled).sum::<f64>() / 5.0;
    assert!((0.65..0.85).contains(&mean), "{mean}");
    // A code in frame 12 shows only in windows that hold it.
    for t in 0..40 {
        for cell in 0..30 {
            activity[[t, cell, 12]] += 25.0 * labels[t] as f32;
        }
    }
    let windows = Bellafard2024::default()
        .decode(activity.view(), &labels)
        .unwrap();
    assert!(
        windows[2].accuracy < 0.9 && windows[3].accuracy > 0.95,
        "{windows:?}"
    );
    let long = Bellafard2024 {
        window: 15,
        ..Bellafard2024::default()
    };
    assert_eq!(long.decode(activity.view(), &labels), Err(Error::Empty));
}

#[test]
fn hold_out_sizes_are_those_of_the_paper() {
    let hold_out = HoldOut {
        share: 0.9,
        repeats: 3,
        seed: 1,
    };
    for (trials, training) in [(250, 225), (130, 117), (11, 10), (15, 14)] {
        for split in hold_out.splits(trials).unwrap() {
            assert_eq!(
                (split.train.len(), split.test.len()),
                (training, trials - training)
            );
        }
    }
    assert_eq!(hold_out.splits(5), Err(Error::Empty));
    assert_eq!(hold_out.splits(0), Err(Error::Empty));
}

/// Folds stay as even under permuted labels: with the folds left where they
/// were, unequal training classes would push the null below chance.
#[test]
fn the_null_is_centred_on_chance() {
    let mut labels = alternating(24);
    labels.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    let x = noise(24, 200, 11).mapv(f64::from);
    let gram = linear_gram(x.view());
    let validation = CrossValidation {
        folds: 4,
        repeats: 1,
        seed: 1,
    };
    let test = PermutationTest {
        permutations: 400,
        seed: 2,
    };
    let decoder: &dyn Decoder = &LinearSvm::default();
    let (_, tested) = test
        .cross_validated(&validation, decoder, gram.view(), &labels)
        .unwrap();
    assert!((tested.chance() - 0.5).abs() < 0.03, "{}", tested.chance());
}
