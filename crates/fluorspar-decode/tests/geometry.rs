//! Axes, transfer and abstraction against closed forms.

use fluorspar_decode::{
    Axis, AxisKind, CrossValidation, Decoder, EqualCounts, Error, Generalisation, Kernel,
    LinearSvm, Template, across, apart, axis_angle, balanced_accuracy, concatenated,
    cosine_of_blocks, cosine_without_drift, cross_temporal, cross_temporal_across,
    leave_one_session_out, linear_gram, parallelism, rotated_accuracy,
};
use ndarray::{Array2, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn normals(shape: (usize, usize), seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn(shape, || StandardNormal.sample(&mut rng))
}

fn alternating(trials: usize) -> Vec<i64> {
    (0..trials as i64).map(|t| t % 2).collect()
}

/// 500 cells that differ by 0.2 each, 40 trials per class, no drift: the cosine
/// is 0.4405 by the closed form, 64 degrees.
#[test]
fn noise_turns_axes_and_the_floor_says_so() {
    let (cells, trials) = (500, 80);
    assert!((cosine_without_drift(0.2, 1.0, cells, 40) - 0.4444).abs() < 1e-3);
    let labels: Vec<i64> = alternating(2 * trials);
    let first: Vec<usize> = (0..trials).collect();
    let second: Vec<usize> = (trials..2 * trials).collect();
    let (mut raw, mut floor, mut corrected) = (0.0, 0.0, 0.0);
    let runs = 20;
    for seed in 0..runs {
        let mut x = normals((2 * trials, cells), seed);
        for (t, mut row) in x.rows_mut().into_iter().enumerate() {
            row += 0.2 * labels[t] as f64;
        }
        let kernel = Kernel::new(linear_gram(x.view()).view()).unwrap();
        let angle = axis_angle(
            AxisKind::MeanDifference,
            &kernel,
            &labels,
            &first,
            &second,
            10,
            1,
        )
        .unwrap();
        raw += angle.cosine / runs as f64;
        floor += angle.floor / runs as f64;
        corrected += angle.corrected / runs as f64;
    }
    assert!((raw - 0.4405).abs() < 0.03, "{raw}");
    assert!((floor - 0.4405).abs() < 0.04, "{floor}");
    assert!((corrected - 1.0).abs() < 0.08, "{corrected}");
}

#[test]
fn a_rotated_axis_reads_as_the_closed_form() {
    // Classes at ±d'/2 along one axis of session 1, turned by θ in session 2.
    let (cells, trials, d) = (2, 4000, 2.5);
    let labels = alternating(trials);
    let session = |angle: f64, seed: u64| {
        let mut x = normals((trials, cells), seed);
        for (t, mut row) in x.rows_mut().into_iter().enumerate() {
            let side = if labels[t] == 0 { -d / 2.0 } else { d / 2.0 };
            row[0] += side * angle.cos();
            row[1] += side * angle.sin();
        }
        x
    };
    let a = session(0.0, 1);
    let own = linear_gram(a.slice(s![..400, ..]));
    for (degrees, expected) in [
        (0.0_f64, 0.8944),
        (30.0, 0.8605),
        (60.0, 0.7340),
        (90.0, 0.5),
    ] {
        let b = session(degrees.to_radians(), 2);
        let cross = b.dot(&a.slice(s![..400, ..]).t());
        let guesses = across(
            &Template::Euclidean,
            own.view(),
            &labels[..400],
            cross.view(),
        )
        .unwrap();
        let found = balanced_accuracy(&labels, &guesses).unwrap();
        assert!((rotated_accuracy(d, degrees.to_radians().cos()) - expected).abs() < 1e-3);
        assert!((found - expected).abs() < 0.03, "{degrees}: {found}");
    }
}

#[test]
fn axes_are_those_of_explicit_weights() {
    let x = normals((40, 12), 3);
    let labels = alternating(40);
    let kernel = Kernel::new(linear_gram(x.view()).view()).unwrap();
    let parts: [Vec<usize>; 2] = [(0..20).collect(), (20..40).collect()];
    let weights = |axis: &Axis| x.t().dot(&ndarray::Array1::from(axis.coefficients.clone()));
    let svm = LinearSvm::default();
    for kind in [
        AxisKind::MeanDifference,
        AxisKind::Weights(&svm),
        AxisKind::Pattern(&svm),
    ] {
        let axes = parts
            .each_ref()
            .map(|p| Axis::new(kind, &kernel, &labels, p).unwrap());
        let [a, b] = axes.each_ref().map(weights);
        let cosine = a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt();
        assert!((axes[0].cosine(&axes[1], &kernel).unwrap() - cosine).abs() < 1e-9);
        let own = |p: &[usize]| x.select(ndarray::Axis(0), p);
        let (x1, x2) = (own(&parts[0]), own(&parts[1]));
        let blocks = cosine_of_blocks(
            &axes[0].coefficients[..20],
            &axes[1].coefficients[20..],
            linear_gram(x1.view()).view(),
            linear_gram(x2.view()).view(),
            x1.dot(&x2.t()).view(),
        );
        assert!((blocks.unwrap() - cosine).abs() < 1e-9);
        if let AxisKind::Pattern(_) = kind {
            // The covariance of the trials, times the weights.
            let centred = &x1 - &x1.mean_axis(ndarray::Axis(0)).unwrap();
            let w =
                weights(&Axis::new(AxisKind::Weights(&svm), &kernel, &labels, &parts[0]).unwrap());
            let expected = centred.t().dot(&centred.dot(&w)) / 19.0;
            assert!((expected - a).iter().all(|d| d.abs() < 1e-9));
        }
    }
}

/// Two sessions, a code that stays and one that moves to other cells.
fn two_sessions(stays: bool, seed: u64) -> (Array2<f64>, Vec<i64>, Vec<usize>) {
    let mut x = normals((160, 60), seed);
    let labels = alternating(160);
    let session: Vec<usize> = (0..160).map(|t| t / 80).collect();
    for (t, mut row) in x.rows_mut().into_iter().enumerate() {
        let from = if stays || session[t] == 0 { 0 } else { 30 };
        for cell in from..from + 10 {
            row[cell] += 1.5 * labels[t] as f64;
        }
    }
    (x, labels, session)
}

#[test]
fn a_common_decoder_finds_what_is_common() {
    let validation = CrossValidation {
        folds: 5,
        repeats: 1,
        seed: 1,
    };
    for stays in [true, false] {
        let (x, labels, session) = two_sessions(stays, 4);
        let kernel = Kernel::new(linear_gram(x.view()).view()).unwrap();
        let svm = LinearSvm {
            c: 0.1,
            ..LinearSvm::default()
        };
        let left = leave_one_session_out(&svm, &kernel, &labels, &session).unwrap();
        let both = concatenated(&svm, &kernel, &labels, &session, &validation, 3).unwrap();
        assert_eq!(both.trials, 20);
        for number in [0, 1] {
            assert_eq!(left[&number] > 0.9, stays, "{left:?}");
            // Codes in different cells add up: a stable subspace exists either way.
            assert!(
                both.together[&number] > 0.85 && both.alone[&number] > 0.9,
                "{both:?}"
            );
        }
    }
    let (x, labels, _) = two_sessions(true, 5);
    let kernel = Kernel::new(linear_gram(x.view()).view()).unwrap();
    let one = vec![0; 160];
    assert_eq!(
        leave_one_session_out(&LinearSvm::default(), &kernel, &labels, &one),
        Err(Error::Empty)
    );
}

#[test]
fn generalisation_and_parallelism_tell_contexts_apart() {
    for stays in [true, false] {
        let (x, labels, session) = two_sessions(stays, 6);
        let kernel = Kernel::new(linear_gram(x.view()).view()).unwrap();
        let score = parallelism(&kernel, &labels, &session, 10, 1).unwrap();
        let found = Generalisation {
            resamples: 3,
            permutations: 30,
            seed: 1,
        }
        .measure(
            &LinearSvm::default(),
            x.mapv(|v| v as f32).view(),
            &labels,
            &session,
        )
        .unwrap();
        assert_eq!(found.trials, 40);
        if stays {
            assert!(
                (score.corrected - 1.0).abs() < 0.1 && score.raw < score.corrected,
                "{score:?}"
            );
            assert!(found.tested.observed > 0.9, "{found:?}");
            // Two held-out conditions named anew scatter widely around one half.
            assert!((found.tested.chance() - 0.5).abs() < 0.15, "{found:?}");
            assert!(found.tested.p < 0.1);
        } else {
            assert!(score.corrected.abs() < 0.3, "{score:?}");
            assert!(found.tested.observed < 0.8, "{found:?}");
        }
    }
    let (x, labels, _) = two_sessions(true, 7);
    let one = vec![0; 160];
    let odd = Generalisation::default().measure(
        &LinearSvm::default(),
        x.mapv(|v| v as f32).view(),
        &labels,
        &one,
    );
    assert_eq!(odd, Err(Error::Empty));
}

#[test]
fn a_moving_code_is_diagonal_in_time() {
    let (trials, times) = (40, 3);
    let labels = alternating(trials);
    let session = |seed: u64| {
        let mut x = normals((trials * times, 30), seed);
        for (sample, mut row) in x.rows_mut().into_iter().enumerate() {
            let (time, trial) = (sample / trials, sample % trials);
            for cell in 10 * time..10 * time + 10 {
                row[cell] += 2.0 * labels[trial] as f64;
            }
        }
        x
    };
    let (a, b) = (session(1), session(2));
    let svm = LinearSvm::default();
    let validation = CrossValidation {
        folds: 4,
        repeats: 1,
        seed: 1,
    };
    let kernel = Kernel::new(linear_gram(a.view()).view()).unwrap();
    let within = cross_temporal(&svm, &kernel, &labels, times, &validation).unwrap();
    let both = ndarray::concatenate![ndarray::Axis(0), a, b];
    let kernel = Kernel::new(linear_gram(both.view()).view()).unwrap();
    let across = cross_temporal_across(&svm, &kernel, (&labels, times), (&labels, times)).unwrap();
    for table in [within, across] {
        for ((i, j), &value) in table.indexed_iter() {
            assert_eq!(value > 0.85, i == j, "{table}");
        }
    }
    assert!(cross_temporal(&svm, &kernel, &labels, 5, &validation).is_err());
    assert!(cross_temporal_across(&svm, &kernel, (&labels, 1), (&labels, 1)).is_err());
}

#[test]
fn error_trials_are_read_by_a_decoder_of_correct_ones() {
    // In error trials the code holds the other label.
    let labels = alternating(60);
    let mut x = normals((60, 20), 9);
    for (t, mut row) in x.rows_mut().into_iter().enumerate() {
        let held = if t < 45 { labels[t] } else { 1 - labels[t] };
        row += 1.5 * held as f64;
    }
    let kernel = Kernel::new(linear_gram(x.view()).view()).unwrap();
    let (correct, error): (Vec<usize>, Vec<usize>) = (0..60).partition(|&t| t < 45);
    let confusion = apart(&LinearSvm::default(), &kernel, &labels, &correct, &error).unwrap();
    assert!(confusion.balanced_accuracy() < 0.1, "{confusion:?}");
    assert!(matches!(
        apart(&LinearSvm::default(), &kernel, &labels, &correct, &[0]),
        Err(Error::Shape(_))
    ));
    assert_eq!(
        apart(&LinearSvm::default(), &kernel, &labels, &correct, &[]),
        Err(Error::Empty)
    );
}

#[test]
fn a_larger_area_is_not_a_better_one() {
    // The same information per cell: with all cells the larger area wins, with
    // equal numbers neither does.
    let mut x = normals((60, 220), 10).mapv(|v| v as f32);
    let labels = alternating(60);
    for (t, mut row) in x.rows_mut().into_iter().enumerate() {
        row += 0.4 * labels[t] as f32;
    }
    let group: Vec<String> = (0..220)
        .map(|c| if c < 200 { "large" } else { "small" }.to_owned())
        .collect();
    let equal = EqualCounts {
        draws: 30,
        ..EqualCounts::default()
    };
    let decoder: &dyn Decoder = &LinearSvm::default();
    let found = equal.compare(decoder, x.view(), &labels, &group).unwrap();
    assert_eq!((found["large"].cells, found["small"].cells), (20, 20));
    assert!(
        (found["large"].mean - found["small"].mean).abs() < 0.15,
        "{found:?}"
    );
    let (low, high) = found["large"].interval;
    assert!(low < found["large"].mean && found["large"].mean < high);
    let greedy = EqualCounts {
        cells: Some(21),
        ..equal
    };
    assert!(matches!(
        greedy.compare(decoder, x.view(), &labels, &group),
        Err(Error::Parameter { .. })
    ));
}
