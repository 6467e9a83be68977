//! The checks as tables of a whole analysis.

use std::collections::{BTreeMap, BTreeSet};

use fluorspar_drift::{Drift, Epoch, Parameters, Session, Table, Values, analyse};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Six days of 60 cells with everything that can be known of a session.
fn recording() -> Vec<Session> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let code: Vec<f64> = (0..60).map(|_| StandardNormal.sample(&mut rng)).collect();
    (0..6)
        .map(|k| {
            let trials = 40 + 4 * k;
            let labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
            let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
            let activity = Array3::from_shape_fn((trials, 60, 2), |(t, n, _)| {
                ([1.0, -1.0][labels[t] as usize] * code[n] + normal()) as f32
            });
            let mut speed: Vec<f64> = (0..trials).map(|_| normal()).collect();
            speed[3] = f64::NAN;
            let outcome = (0..trials).map(|_| rng.random_range(0..4)).collect();
            Session {
                activity,
                cell: (0..60).collect(),
                time_s: vec![0.0, 1.0],
                day: k as f64,
                labels: BTreeMap::from([("odour".into(), labels), ("outcome".into(), outcome)]),
                p_same: Some((0..60).map(|n| 1.0 - 0.005 * n as f32).collect()),
                practice: Some([1, 4, 5, 6, 11, 12][k]),
                place_um: Some(
                    (0..60)
                        .map(|n| [16.0 * f64::from(n % 2), 5.0 * f64::from(n), 0.0])
                        .collect(),
                ),
                behaviour: BTreeMap::from([
                    ("speed".into(), speed),
                    (
                        "onset_s".into(),
                        (0..trials).map(|t| 10.0 * t as f64).collect(),
                    ),
                ]),
                covariates: BTreeMap::from([("mean_f".into(), 100.0 - 9.0 * k as f64)]),
                ..Session::default()
            }
        })
        .collect()
}

fn run(sessions: &[Session]) -> Drift {
    let epochs = [(0.0, "odour"), (1.0, "delay"), (7.0, "outside")].map(|(start_s, name)| Epoch {
        name: name.into(),
        start_s,
        stop_s: start_s + 1.0,
    });
    let parameters = Parameters {
        variables: vec!["odour".into()],
        bootstrap: 50,
        permutations: 120,
        ..Parameters::default()
    };
    analyse(sessions, &epochs, &parameters, &|_| {}).unwrap()
}

fn table<'a>(drift: &'a Drift, name: &str) -> &'a Table {
    drift.more.iter().find(|table| table.name == name).unwrap()
}

fn texts<'a>(table: &'a Table, column: &str) -> &'a [String] {
    match &table
        .columns
        .iter()
        .find(|c| c.name == column)
        .unwrap()
        .values
    {
        Values::Text(values) => values,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_check_has_a_row_and_says_something() {
    let drift = run(&recording());
    let checks = table(&drift, "confound_checks");
    let names: BTreeSet<&str> = texts(checks, "check").iter().map(String::as_str).collect();
    for check in [
        "wrong_matches",
        "wrong_matches_over_lag",
        "best_matched_cells",
        "undetected_cells",
        "cells_in_all_sessions",
        "recording_quality",
        "constant_activity",
        "constant_behaviour",
        "session_from_behaviour",
        "behaviour_regressed",
        "behaviour_matched",
        "beyond_behaviour",
        "constant_performance",
        "trial_counts",
        "pseudo_crystallization",
        "trials_matched",
        "time_or_practice",
        "within_session",
        "within_against_between",
        "duplicate_cells",
        "independent_cells",
    ] {
        assert!(names.contains(check), "{check} is missing: {names:?}");
    }
    for (status, sentence) in texts(checks, "status")
        .iter()
        .zip(texts(checks, "sentence"))
    {
        assert!(["fine", "look", "problem", "not checked"].contains(&status.as_str()));
        assert!(
            sentence.ends_with('.') && !sentence.contains("NaN"),
            "{sentence}"
        );
    }
    let row = |check: &str, epoch: &str| {
        (0..checks.len())
            .find(|&k| texts(checks, "check")[k] == check && texts(checks, "epoch")[k] == epoch)
            .map(|k| texts(checks, "status")[k].as_str())
    };
    // The epoch outside is one row; the others are not touched by it.
    assert_eq!(row("all", "outside"), Some("not checked"));
    assert_eq!(row("within_session", "outside"), None);
    assert_ne!(row("within_session", "delay"), Some("not checked"));
    let fading = (0..checks.len())
        .find(|&k| texts(checks, "about")[k] == "mean_f")
        .unwrap();
    assert_eq!(texts(checks, "status")[fading], "problem");
    for (name, rows) in [
        ("confound_numbers", 6 * 10),
        ("wrong_matches", 2 * 15),
        ("identity_sweep", 2 * 7),
    ] {
        assert!(
            table(&drift, name).len() >= rows,
            "{name}: {}",
            table(&drift, name).len()
        );
    }
}

#[test]
fn sessions_that_know_little_are_told_so() {
    let bare: Vec<Session> = recording()
        .into_iter()
        .take(2)
        .map(|session| Session {
            activity: session.activity,
            cell: session.cell,
            time_s: session.time_s,
            day: session.day,
            labels: session.labels,
            ..Session::default()
        })
        .collect();
    let drift = run(&bare);
    let checks = table(&drift, "confound_checks");
    let unchecked = texts(checks, "status")
        .iter()
        .filter(|s| *s == "not checked")
        .count();
    assert!(unchecked > 10, "{unchecked}");
    let lone = run(&bare[..1]);
    assert!(
        texts(table(&lone, "confound_checks"), "sentence")
            .iter()
            .all(|s| !s.contains("NaN"))
    );
}

#[test]
fn threads_change_nothing() {
    let sessions = recording();
    let one = run(&sessions);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    let three = pool.install(|| run(&sessions));
    for (a, b) in one.more.iter().zip(&three.more) {
        assert_eq!(a.csv(), b.csv());
    }
}
