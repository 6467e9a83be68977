//! Optimality conditions, closed forms and chance.

use fluorspar_decode::{
    CrossValidation, Decoder, Error, LinearSvm, balanced_accuracy, linear_gram,
};
use ndarray::{Array2, array};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(trials: usize, features: usize, seed: u64) -> (Array2<f64>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
    let x = Array2::from_shape_fn((trials, features), |(t, _)| {
        rng.random::<f64>() - 0.5 + 0.3 * labels[t] as f64
    });
    (x, labels)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Karush, Kuhn and Tucker: trials beyond the margin have no weight,
    /// those inside it the most, those on it anything between.
    #[test]
    fn the_solution_is_optimal(trials in 6_usize..40, features in 1_usize..30, seed in 0_u64..1000, c in 0.01_f64..100.0) {
        let (x, labels) = random(trials, features, seed);
        let gram = linear_gram(x.view());
        let all: Vec<usize> = (0..trials).collect();
        let svm = LinearSvm { c, ..LinearSvm::default() };
        let model = svm.train(gram.view(), &labels, &all).unwrap();
        let decision = model.decision(gram.view()).unwrap();
        // Coefficients seen through the decision on unit inner products.
        let zero = model.decision(Array2::zeros((1, trials)).view()).unwrap()[[0, 0]];
        let unit = model.decision(Array2::eye(trials).view()).unwrap();
        let mut balance = 0.0;
        for t in 0..trials {
            let sign = if labels[t] == 0 { 1.0 } else { -1.0 };
            let alpha = sign * (unit[[t, 0]] - zero);
            balance += sign * alpha;
            prop_assert!((-1e-9..=c + 1e-9).contains(&alpha));
            let margin = sign * decision[[t, 0]];
            if alpha < 1e-9 * c {
                prop_assert!(margin > 1.0 - 1e-4, "{margin}");
            } else if alpha > c * (1.0 - 1e-9) {
                prop_assert!(margin < 1.0 + 1e-4, "{margin}");
            } else {
                prop_assert!((margin - 1.0).abs() < 1e-4, "{margin}");
            }
        }
        prop_assert!(balance.abs() < 1e-9 * c.max(1.0) * trials as f64);
    }

    #[test]
    fn folds_part_the_trials(trials in 10_usize..60, folds in 2_usize..5, seed in any::<u64>()) {
        let labels: Vec<i64> = (0..trials as i64).map(|t| (t * t) % 2).collect();
        let splits = CrossValidation { folds, repeats: 2, seed }.splits(&labels).unwrap();
        let mut tested = vec![0; trials];
        for split in &splits {
            for &t in &split.test {
                tested[t] += 1;
                prop_assert!(!split.train.contains(&t));
            }
            prop_assert_eq!(split.train.len() + split.test.len(), trials);
        }
        prop_assert!(tested.iter().all(|&n| n == 2));
    }
}

#[test]
fn two_points_have_a_closed_form() {
    // Points at +1 and −1: w = 1 and no bias, α = 1/2 each.
    let gram = linear_gram(array![[1.0], [-1.0]].view());
    let model = LinearSvm {
        c: 10.0,
        ..LinearSvm::default()
    }
    .train(gram.view(), &[0, 1], &[0, 1])
    .unwrap();
    let decision = model
        .decision(array![[3.0, -3.0], [0.0, 0.0]].view())
        .unwrap();
    assert!((decision[[0, 0]] - 3.0).abs() < 1e-9);
    assert!(decision[[1, 0]].abs() < 1e-9);
}

#[test]
fn a_small_penalty_saturates_every_trial() {
    // With C = 0.1 both weights end at C: w = 0.1·(2 + 2), points at ±2.
    let gram = linear_gram(array![[2.0], [-2.0]].view());
    let model = LinearSvm {
        c: 0.1,
        ..LinearSvm::default()
    }
    .train(gram.view(), &[0, 1], &[0, 1])
    .unwrap();
    let decision = model.decision(array![[4.0, -4.0]].view()).unwrap()[[0, 0]];
    assert!((decision - 0.8).abs() < 1e-9, "{decision}");
}

#[test]
fn three_classes_vote() {
    let x = array![
        [0.0, 3.0],
        [0.2, 3.1],
        [3.0, 0.0],
        [3.2, 0.1],
        [-3.0, 0.0],
        [-3.1, 0.2]
    ];
    let labels = [7, 7, 2, 2, 5, 5];
    let gram = linear_gram(x.view());
    let model = LinearSvm::default()
        .train(gram.view(), &labels, &[0, 1, 2, 3, 4, 5])
        .unwrap();
    assert_eq!(model.classes(), [2, 5, 7]);
    assert_eq!(model.predict(gram.view()).unwrap(), labels);
}

#[test]
fn shuffled_labels_are_decoded_at_chance() {
    let mean: f64 = (0..30)
        .map(|seed| {
            let (x, _) = random(40, 60, seed);
            let labels: Vec<i64> = (0..40).map(|t| (t / 20) % 2).collect();
            // Labels 0,1,0,1,… made the features; blocks of 20 are independent of them.
            let validation = CrossValidation {
                folds: 5,
                repeats: 2,
                seed,
            };
            validation
                .score(&LinearSvm::default(), linear_gram(x.view()).view(), &labels)
                .unwrap()
                .mean
        })
        .sum::<f64>()
        / 30.0;
    assert!((mean - 0.5).abs() < 0.05, "{mean}");
}

#[test]
fn wrong_input_is_refused() {
    let gram = array![[1.0, 0.0], [0.0, 1.0]];
    let svm = LinearSvm::default();
    assert_eq!(
        svm.train(gram.view(), &[1, 1], &[0, 1]),
        Err(Error::OneClass(1))
    );
    assert_eq!(svm.train(gram.view(), &[0, 1], &[]), Err(Error::Empty));
    assert!(matches!(
        svm.train(gram.view(), &[0, 1, 1], &[0]),
        Err(Error::Shape(_))
    ));
    assert!(matches!(
        svm.train(gram.view(), &[0, 1], &[0, 5]),
        Err(Error::Shape(_))
    ));
    let holes = array![[1.0, f64::NAN], [0.0, 1.0]];
    assert_eq!(
        svm.train(holes.view(), &[0, 1], &[0, 1]),
        Err(Error::NotFinite { row: 0, column: 1 })
    );
    let wrong = LinearSvm { c: 0.0, ..svm };
    assert!(matches!(
        wrong.train(gram.view(), &[0, 1], &[0, 1]),
        Err(Error::Parameter { .. })
    ));
    let validation = CrossValidation::default();
    assert!(matches!(
        validation.splits(&[0, 0, 1, 1]),
        Err(Error::TooFewTrials { .. })
    ));
    assert_eq!(balanced_accuracy(&[], &[]), Err(Error::Empty));
    assert!(balanced_accuracy(&[1], &[]).is_err());
}
