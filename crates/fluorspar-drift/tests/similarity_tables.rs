//! Rows of second-order similarity and of drift vectors for sessions made to be known.

use std::collections::BTreeMap;

use fluorspar_drift::{Drift, Epoch, MetricRow, Parameters, Session, analyse};
use ndarray::{Array2, Array3};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const CELLS: usize = 80;
const BINS: usize = 10;
const TRIALS: usize = 40;

fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
}

/// A session whose patterns `(label × bin, cell)` are seen in trials of noise sd `noise`.
fn session(day: f64, patterns: &Array2<f64>, noise: f64, seed: u64) -> Session {
    let own = normal(TRIALS * BINS, CELLS, seed) * noise;
    Session {
        activity: Array3::from_shape_fn((TRIALS, CELLS, BINS), |(t, n, b)| {
            (patterns[[t % 2 * BINS + b, n]] + own[[t * BINS + b, n]]) as f32
        }),
        cell: (0..CELLS as i64).collect(),
        time_s: (0..BINS).map(|b| b as f64).collect(),
        day,
        labels: BTreeMap::from([(
            "odour".to_owned(),
            (0..TRIALS as i64).map(|t| t % 2).collect(),
        )]),
        ..Session::default()
    }
}

fn run(sessions: &[Session]) -> Drift {
    let epochs = [Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: BINS as f64,
    }];
    let parameters = Parameters {
        variables: vec!["odour".into()],
        bootstrap: 100,
        permutations: 100,
        ..Parameters::default()
    };
    analyse(sessions, &epochs, &parameters, &|_| {}).unwrap()
}

fn row<'a>(drift: &'a Drift, metric: &str, i: usize, j: usize) -> &'a MetricRow {
    let wanted = |m: &&MetricRow| {
        (m.metric, m.variable.as_str(), m.session_i, m.session_j) == (metric, "odour", i, j)
    };
    drift.metrics.iter().find(wanted).unwrap()
}

/// Patterns of three dimensions that move smoothly through time, and three directions over cells.
fn code() -> (Array2<f64>, Array2<f64>) {
    let courses = Array2::from_shape_fn((2 * BINS, 3), |(k, d)| {
        let (label, time) = (k / BINS, (k % BINS) as f64 / BINS as f64);
        let phase = 1.3 * d as f64 + 1.9 * label as f64;
        (std::f64::consts::TAU * (time * (0.7 + 0.4 * d as f64)) + phase).sin()
    });
    (courses, normal(3, CELLS, 1))
}

#[test]
fn a_rotated_code_keeps_its_geometry_and_not_its_axes() {
    let (courses, axes) = code();
    // Cells drawn anew: a rotation of the same courses. The third session has other courses.
    let other = normal(2 * BINS, 3, 2);
    let drift = run(&[
        session(1.0, &courses.dot(&axes), 1.0, 11),
        session(2.0, &courses.dot(&normal(3, CELLS, 3)), 1.0, 12),
        session(3.0, &other.dot(&normal(3, CELLS, 4)), 1.0, 13),
    ]);
    let value = |metric, i, j| row(&drift, metric, i, j).value;
    for metric in [
        "rdm_correlation",
        "cka",
        "shape_rotation",
        "latent_correlation",
    ] {
        let (floor, rotated, unrelated) = (
            value(metric, 1, 1),
            value(metric, 1, 2),
            value(metric, 1, 3),
        );
        assert!(floor > 0.7, "{metric} {floor}");
        assert!(rotated > 0.7 * floor, "{metric} {rotated} {floor}");
        // Ten time points of three latents correlate by chance too.
        let most = if metric == "latent_correlation" {
            0.85
        } else {
            0.5
        };
        assert!(unrelated < most * floor, "{metric} {unrelated} {floor}");
    }
    assert!(value("shape_identity", 1, 1) > 0.7 && value("shape_identity", 1, 2).abs() < 0.3);
    let overlap = row(&drift, "subspace_overlap", 1, 2);
    assert!(overlap.value < 0.2 && value("subspace_overlap", 1, 1) > 0.7);
    assert!(value("subspace_overlap_chance", 1, 2) < 0.1);
    assert!(overlap.lo < overlap.value && overlap.value < overlap.hi);
    for metric in [
        "rdm_correlation_corrected",
        "cka_corrected",
        "latent_correlation_corrected",
    ] {
        assert!(
            (value(metric, 1, 2) - 1.0).abs() < 0.2,
            "{metric} {}",
            value(metric, 1, 2)
        );
    }
}

#[test]
fn halves_that_are_noise_are_not_divided_by() {
    let nothing = Array2::zeros((2 * BINS, CELLS));
    let drift = run(&[
        session(1.0, &nothing, 1.0, 21),
        session(2.0, &nothing, 1.0, 22),
    ]);
    for metric in ["cka_corrected", "rdm_correlation_corrected"] {
        let found = row(&drift, metric, 1, 2);
        assert!(
            found.value.is_nan() && found.reason.contains("not reliably"),
            "{found:?}"
        );
    }
    for metric in [
        "drift_relative",
        "drift_coding_share",
        "drift_variational_share",
    ] {
        let found = row(&drift, metric, 1, 2);
        assert!(
            found.value.is_nan() && found.reason.contains("trial noise"),
            "{found:?}"
        );
    }
    let square = row(&drift, "drift_square", 1, 2);
    assert!(square.lo <= 0.0 && square.hi >= 0.0, "{square:?}");
}

/// Constant patterns of two labels that differ along `axis`, moved by `along · axis + beside`.
fn moved(along: f64, beside: f64, seed: u64) -> Drift {
    let mut axis = normal(1, CELLS, 5);
    let length = axis.iter().map(|v| v * v).sum::<f64>().sqrt();
    axis /= length;
    let mut other = normal(1, CELLS, 6);
    let shared = (&axis * &other).sum();
    other.scaled_add(-shared, &axis);
    other /= other.iter().map(|v| v * v).sum::<f64>().sqrt();
    let level = normal(1, CELLS, 7);
    let patterns = |scale: f64, moved: &Array2<f64>| {
        Array2::from_shape_fn((2 * BINS, CELLS), |(k, n)| {
            let sign = if k < BINS { scale } else { -scale };
            level[[0, n]] + sign * axis[[0, n]] + moved[[0, n]]
        })
    };
    let shift = &axis * along + &other * beside;
    run(&[
        session(1.0, &patterns(4.0, &Array2::zeros((1, CELLS))), 0.5, seed),
        session(2.0, &patterns(4.0, &shift), 0.5, seed + 1),
    ])
}

#[test]
fn drift_is_told_apart_by_where_it_goes() {
    let coding = moved(5.0, 0.0, 31);
    let beside = moved(0.0, 5.0, 41);
    let both = moved(3.0, 4.0, 51);
    for (drift, share) in [(&coding, 1.0), (&beside, 0.0), (&both, 9.0 / 25.0)] {
        let square = row(drift, "drift_square", 1, 2);
        let truth = 25.0 / CELLS as f64;
        assert!((square.value - truth).abs() < 0.05 * truth, "{square:?}");
        assert!(square.lo < truth && truth < square.hi);
        let found = row(drift, "drift_coding_share", 1, 2);
        assert!((found.value - share).abs() < 0.05, "{share} {found:?}");
        let chance = row(drift, "drift_coding_share_chance", 1, 2).value;
        assert_eq!(chance, 1.0 / CELLS as f64);
        // Trials vary most between the two labels, so this space holds the coding axis.
        let found = row(drift, "drift_variational_share", 1, 2);
        assert!((found.value - share).abs() < 0.1, "{share} {found:?}");
        // Noise is the same in all cells and the drift is not along it more than along any direction.
        let alignment = row(drift, "drift_noise_alignment", 1, 2);
        assert!(
            alignment.value.abs() < 0.5 && alignment.p > 0.0,
            "{alignment:?}"
        );
        // Within a session nothing moves.
        let still = row(drift, "drift_square", 1, 1).value;
        assert!(still.abs() < 0.02 * truth, "{still}");
    }
}

#[test]
fn short_sessions_and_few_bins_are_explained() {
    let (courses, axes) = code();
    let mut sessions = [1.0, 2.0].map(|day| session(day, &courses.dot(&axes), 1.0, day as u64));
    // Four trials of one label only.
    for session in &mut sessions {
        for (t, label) in session
            .labels
            .get_mut("odour")
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            *label = i64::from(t < 4);
        }
    }
    let drift = run(&sessions);
    for metric in [
        "rdm_correlation",
        "cka",
        "latent_correlation",
        "drift_square",
        "shape_linear",
    ] {
        let found = row(&drift, metric, 1, 2);
        assert!(
            found.value.is_nan() && found.reason.contains("5 are needed"),
            "{found:?}"
        );
    }
    // Four conditions have six pairs.
    let epochs = [Epoch {
        name: "now".into(),
        start_s: 0.0,
        stop_s: 2.0,
    }];
    let parameters = Parameters {
        variables: vec!["odour".into()],
        bootstrap: 20,
        permutations: 20,
        ..Parameters::default()
    };
    let sessions = [1.0, 2.0].map(|day| session(day, &courses.dot(&axes), 1.0, day as u64));
    let drift = analyse(&sessions, &epochs, &parameters, &|_| {}).unwrap();
    let found = row(&drift, "rdm_correlation", 1, 2);
    assert!(found.reason.contains("6 pairs"), "{found:?}");
}
