//! All decoders through the same door: closed forms, equalities between them, refusals.

use fluorspar_decode::{
    CrossValidation, Decoder, Discriminant, Error, Kernel, LinearSvm, Logistic, Template, Tuned,
    Workspace, centre_over_cells, linear_gram,
};
use ndarray::{Array2, array};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn problem(
    trials: usize,
    cells: usize,
    classes: usize,
    effect: f64,
    seed: u64,
) -> (Array2<f64>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let labels: Vec<i64> = (0..trials).map(|t| (t % classes) as i64).collect();
    let centres = Array2::from_shape_simple_fn((classes, cells), &mut normal) * effect;
    let x = Array2::from_shape_fn((trials, cells), |(t, c)| {
        normal() + centres[[t % classes, c]]
    });
    (x, labels)
}

fn decoders() -> Vec<Box<dyn Decoder>> {
    vec![
        Box::new(LinearSvm::default()),
        Box::new(Logistic::default()),
        Box::new(Discriminant::default()),
        Box::new(Template::Euclidean),
        Box::new(Template::Cosine),
        Box::new(Tuned {
            candidates: vec![
                LinearSvm {
                    c: 0.01,
                    ..LinearSvm::default()
                },
                LinearSvm::default(),
            ],
            inner: CrossValidation {
                folds: 3,
                repeats: 1,
                seed: 2,
            },
        }),
    ]
}

#[test]
fn all_decode_a_clear_code_and_none_decodes_noise() {
    for decoder in decoders() {
        for (effect, least, most) in [(1.0, 0.95, 1.0), (0.0, 0.17, 0.33)] {
            let score = (0..5)
                .map(|seed| {
                    let (x, labels) = problem(60, 40, 4, effect, seed);
                    CrossValidation {
                        folds: 5,
                        repeats: 2,
                        seed,
                    }
                    .score(decoder.as_ref(), linear_gram(x.view()).view(), &labels)
                    .unwrap()
                    .mean
                })
                .sum::<f64>()
                / 5.0;
            assert!((least..=most).contains(&score), "{score}");
        }
    }
}

#[test]
fn logistic_coefficients_are_the_residuals() {
    // At the optimum a = C (y − p) and the residuals sum to zero.
    let (x, labels) = problem(50, 8, 2, 0.3, 4);
    let gram = linear_gram(x.view());
    let all: Vec<usize> = (0..50).collect();
    for c in [0.01, 1.0, 100.0] {
        let model = Logistic {
            c,
            ..Logistic::default()
        }
        .train(gram.view(), &labels, &all)
        .unwrap();
        let decision = model.decision(gram.view()).unwrap();
        let coefficients = model.coefficients(0).unwrap();
        for t in 0..50 {
            let p = 1.0 / (1.0 + (-decision[[t, 0]]).exp());
            let y = if labels[t] == 0 { 1.0 } else { 0.0 };
            assert!((coefficients[t] - c * (y - p)).abs() < 1e-6 * c);
        }
        assert!(coefficients.iter().sum::<f64>().abs() < 1e-6 * c);
    }
}

#[test]
fn a_fully_shrunk_discriminant_is_the_nearest_mean() {
    let (x, labels) = problem(60, 12, 3, 0.5, 5);
    let gram = linear_gram(x.view());
    let all: Vec<usize> = (0..60).collect();
    let predicted = |decoder: &dyn Decoder| {
        decoder
            .train(gram.view(), &labels, &all)
            .unwrap()
            .predict(gram.view())
            .unwrap()
    };
    let full = Discriminant {
        shrinkage: 1.0,
        cells: None,
    };
    assert_eq!(predicted(&full), predicted(&Template::Euclidean));
}

#[test]
fn a_cosine_of_centred_trials_is_a_correlation() {
    let (x, labels) = problem(30, 15, 3, 0.7, 6);
    let means: Vec<f64> = x.rows().into_iter().map(|r| r.mean().unwrap()).collect();
    let centred = centre_over_cells(linear_gram(x.view()).view(), &means, 15).unwrap();
    let all: Vec<usize> = (0..30).collect();
    let found = Template::Cosine
        .train(centred.view(), &labels, &all)
        .unwrap()
        .predict(centred.view())
        .unwrap();
    let correlation = |a: &[f64], b: &[f64]| {
        let n = a.len() as f64;
        let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
        let dot = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
            x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
        };
        dot(a, ma, b, mb) / (dot(a, ma, a, ma) * dot(b, mb, b, mb)).sqrt()
    };
    for t in 0..30 {
        let row = x.row(t).to_vec();
        let values: Vec<f64> = (0..3)
            .map(|class| {
                let members: Vec<usize> = (0..30).filter(|&t| labels[t] == class).collect();
                let template = x
                    .select(ndarray::Axis(0), &members)
                    .mean_axis(ndarray::Axis(0))
                    .unwrap();
                correlation(&row, &template.to_vec())
            })
            .collect();
        let best = (0..3)
            .max_by(|&a, &b| values[a].total_cmp(&values[b]))
            .unwrap();
        assert_eq!(found[t], best as i64);
    }
}

#[test]
fn few_cells_and_overlap_converge() {
    // Pairs alone need hundreds of thousands of steps for these.
    for seed in 0..5 {
        let (x, labels) = problem(200, 20, 2, 0.05, seed);
        let x = x * 8.0;
        let gram = linear_gram(x.view());
        let all: Vec<usize> = (0..200).collect();
        let svm = LinearSvm {
            max_steps: 100_000,
            ..LinearSvm::default()
        };
        svm.train(gram.view(), &labels, &all).unwrap();
    }
}

#[test]
fn trials_that_coincide_do_not_stall() {
    // Five distinct trials, each many times over and with both labels.
    let labels: Vec<i64> = (0..40).map(|t| t % 2).collect();
    let x = Array2::from_shape_fn((40, 10), |(t, c)| ((t * 7 + c * 3) % 5) as f64);
    let all: Vec<usize> = (0..40).collect();
    for gram in [
        linear_gram(x.view()),
        linear_gram(x.view()).mapv(|v| f64::from((v as f32) * 1.000_000_1)),
        Array2::zeros((40, 40)),
    ] {
        let svm = LinearSvm {
            max_steps: 100_000,
            ..LinearSvm::default()
        };
        svm.train(gram.view(), &labels, &all).unwrap();
    }
}

#[test]
fn a_choice_never_sees_the_test_trials() {
    let (mut x, labels) = problem(40, 10, 2, 0.5, 8);
    let tuned = Tuned {
        candidates: [0.001, 0.01, 0.1, 1.0]
            .map(|c| LinearSvm {
                c,
                ..LinearSvm::default()
            })
            .to_vec(),
        inner: CrossValidation {
            folds: 4,
            repeats: 2,
            seed: 3,
        },
    };
    let train: Vec<usize> = (0..32).collect();
    let choose = |x: &Array2<f64>| {
        let kernel = Kernel::new(linear_gram(x.view()).view()).unwrap();
        tuned
            .choose(&kernel, &labels, &train, &mut Workspace::default())
            .unwrap()
    };
    let before = choose(&x);
    x.slice_mut(ndarray::s![32.., ..]).fill(77.0);
    assert_eq!(before, choose(&x));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Trials outside the training set and the order of training do not matter.
    #[test]
    fn only_training_trials_count(seed in 0_u64..500, trials in 12_usize..40, cells in 2_usize..30) {
        let (x, labels) = problem(trials, cells, 2, 0.4, seed);
        let train: Vec<usize> = (0..trials).filter(|t| t % 3 != 0).collect();
        let gram = linear_gram(x.view());
        let part = gram.select(ndarray::Axis(0), &train).select(ndarray::Axis(1), &train);
        let cross = gram.select(ndarray::Axis(1), &train);
        let own: Vec<i64> = train.iter().map(|&t| labels[t]).collect();
        let all: Vec<usize> = (0..train.len()).collect();
        for decoder in decoders() {
            let (Ok(a), Ok(b)) = (decoder.train(gram.view(), &labels, &train), decoder.train(part.view(), &own, &all)) else {
                continue;
            };
            let difference = a.decision(cross.view()).unwrap() - b.decision(cross.view()).unwrap();
            prop_assert!(difference.iter().all(|d| d.abs() < 1e-5), "{difference}");
        }
    }
}

#[test]
fn nothing_panics_on_bad_input() {
    let gram = array![[1.0, 0.2, 0.1], [0.2, 1.0, 0.3], [0.1, 0.3, 1.0]];
    let flat = Array2::<f64>::zeros((4, 4));
    let minus = -Array2::<f64>::eye(4);
    let huge = Array2::from_elem((4, 4), 1e300);
    for decoder in decoders() {
        assert!(matches!(
            decoder.train(gram.view(), &[1, 1, 1], &[0, 1]),
            Err(Error::OneClass(1))
        ));
        assert_eq!(
            decoder.train(gram.view(), &[0, 1, 1], &[]),
            Err(Error::Empty)
        );
        assert!(matches!(
            decoder.train(gram.view(), &[0, 1], &[0]),
            Err(Error::Shape(_))
        ));
        assert!(matches!(
            decoder.train(gram.view(), &[0, 1, 1], &[0, 3]),
            Err(Error::Shape(_))
        ));
        for odd in [&flat, &minus, &huge] {
            // An error or a model, never a panic, and no value that is not finite.
            if let Ok(model) = decoder.train(odd.view(), &[0, 1, 0, 1], &[0, 1, 2, 3])
                && let Ok(decision) = model.decision(flat.view())
            {
                assert!(decision.iter().all(|d| d.is_finite()), "{decision}");
            }
        }
    }
    let train = |d: &dyn Decoder| d.train(gram.view(), &[0, 1, 1], &[0, 1]);
    for wrong in [0.0, f64::NAN, 1.5] {
        assert!(matches!(
            train(&Discriminant {
                shrinkage: wrong,
                cells: None
            }),
            Err(Error::Parameter { .. })
        ));
    }
    assert!(matches!(
        train(&Logistic {
            c: -1.0,
            ..Logistic::default()
        }),
        Err(Error::Parameter { .. })
    ));
    let nothing: Tuned<LinearSvm> = Tuned {
        candidates: vec![],
        inner: CrossValidation {
            folds: 2,
            repeats: 1,
            seed: 1,
        },
    };
    assert!(nothing.train(gram.view(), &[0, 1, 1], &[0, 1, 2]).is_err());
}
