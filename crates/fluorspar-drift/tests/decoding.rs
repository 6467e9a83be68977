//! Decoding between sessions: what is planted is found, what cannot be is explained.

use std::collections::BTreeMap;

use fluorspar_drift::{Epoch, MetricRow, Parameters, Session, decode};
use ndarray::{Array3, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CELLS: usize = 40;

/// A third of the cells fire more for the second odour, from `first` on.
fn session(day: f64, first: usize, seed: u64) -> Session {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<i64> = (0..40).map(|t| t % 2).collect();
    Session {
        activity: Array3::from_shape_fn((40, CELLS, 2), |(trial, cell, _)| {
            let tuned = (first..first + CELLS / 3).contains(&cell);
            let noise: f32 = rng.random();
            noise
                + if tuned {
                    0.5 * labels[trial] as f32
                } else {
                    0.0
                }
        }),
        cell: (0..CELLS as i64).collect(),
        time_s: vec![0.0, 0.5],
        day,
        labels: BTreeMap::from([("odour".to_owned(), labels)]),
        ..Session::default()
    }
}

fn parameters() -> Parameters {
    Parameters {
        variables: vec!["odour".into()],
        bootstrap: 100,
        permutations: 99,
        ..Parameters::default()
    }
}

fn rows(sessions: &[Session]) -> Vec<MetricRow> {
    let epoch = Epoch {
        name: "odour".into(),
        start_s: 0.0,
        stop_s: 1.0,
    };
    decode(sessions, &[epoch], &parameters()).unwrap()
}

fn row<'a>(rows: &'a [MetricRow], metric: &str, i: usize, j: usize) -> &'a MetricRow {
    rows.iter()
        .find(|r| r.metric == metric && (r.session_i, r.session_j) == (i, j))
        .unwrap()
}

#[test]
fn a_code_that_stays_is_read_and_one_that_moves_is_not() {
    let rows = rows(&[session(0.0, 0, 1), session(1.0, 0, 2), session(2.0, 20, 3)]);
    for (i, j) in [(1, 1), (2, 2), (3, 3), (1, 2), (2, 1)] {
        let found = row(&rows, "decoding", i, j);
        assert!(found.value > 0.9 && found.p == 0.01, "{found:?}");
        assert!(found.lo <= found.value && found.value <= found.hi);
    }
    assert_eq!(
        row(&rows, "decoding", 1, 1).null,
        "shuffled labels, refitted"
    );
    assert_eq!(row(&rows, "decoding", 1, 2).null, "shuffled test labels");
    assert!(row(&rows, "decoding", 1, 3).value < 0.75);
    assert!(row(&rows, "decoding_relative", 1, 2).value > 0.8);
    assert!(row(&rows, "decoding_relative", 1, 3).value < 0.5);
}

#[test]
fn baseline_and_gain_are_told_from_tuning() {
    let mut brighter = session(1.0, 0, 5);
    brighter.activity.mapv_inplace(|v| 3.0 * v + 5.0);
    let rows = rows(&[session(0.0, 0, 4), brighter]);
    assert!(row(&rows, "decoding", 1, 2).value < 0.75);
    assert!(row(&rows, "decoding_renormalised", 1, 2).value > 0.9);
}

#[test]
fn cells_that_are_missing_in_one_session_are_left_out_of_both() {
    // The decoder of session 1 must not rest on cells that session 2 lacks:
    // as if they had never been seen.
    let (a, mut b) = (session(0.0, 0, 6), session(1.0, 0, 7));
    b.present = Some((0..CELLS).map(|c| c % 7 != 0).collect());
    let found = rows(&[a.clone(), b]);
    let kept: Vec<usize> = (0..CELLS).filter(|c| c % 7 != 0).collect();
    let fewer = |s: &Session| Session {
        activity: s.activity.select(Axis(1), &kept),
        cell: kept.iter().map(|&c| c as i64).collect(),
        ..s.clone()
    };
    let direct = rows(&[fewer(&a), fewer(&session(1.0, 0, 7))]);
    for metric in ["decoding", "decoding_renormalised"] {
        let (one, other) = (row(&found, metric, 1, 2), row(&direct, metric, 1, 2));
        assert_eq!((one.n_cells, one.value), (other.n_cells, other.value));
    }
}

#[test]
fn what_cannot_be_decoded_says_why() {
    let mut one_class = session(1.0, 0, 8);
    one_class.labels.insert("odour".into(), vec![0; 40]);
    let mut strangers = session(2.0, 0, 9);
    strangers.cell = (1000..1000 + CELLS as i64).collect();
    let mut flat = session(3.0, 0, 10);
    flat.activity.fill(1.0);
    let found = rows(&[session(0.0, 0, 11), one_class, strangers, flat]);
    for (i, j) in [(1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (4, 4), (4, 1)] {
        for metric in ["decoding", "decoding_renormalised", "decoding_relative"] {
            if i == j && metric != "decoding" {
                continue;
            }
            let row = row(&found, metric, i, j);
            assert!(row.value.is_nan() && !row.reason.is_empty(), "{row:?}");
        }
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let sessions = [session(0.0, 0, 12), session(1.0, 3, 13)];
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        format!("{:?}", pool.install(|| rows(&sessions)))
    };
    assert_eq!(run(1), run(3));
}
