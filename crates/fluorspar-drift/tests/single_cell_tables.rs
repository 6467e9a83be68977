//! Tables about single cells of populations whose cells are known.

use std::collections::BTreeMap;

use fluorspar_drift::{Drift, Epoch, Parameters, Session, Table, Values, analyse};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const CELLS: usize = 120;
const TRIALS: usize = 48;
const BINS: usize = 8;

/// Sessions two days apart. Each cell fires at a time of its own; the first 40
/// tell odours apart. With `drift`, times and selective cells are drawn anew
/// in every session.
fn population(sessions: usize, drift: bool, seed: u64) -> Vec<Session> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut peak: Vec<usize> = (0..CELLS).map(|cell| cell % BINS).collect();
    let mut tells: Vec<bool> = (0..CELLS).map(|cell| cell < 40).collect();
    (0..sessions)
        .map(|s| {
            if drift && s > 0 {
                for cell in 0..CELLS {
                    peak[cell] = rng.random_range(0..BINS);
                    tells[cell] = rng.random_range(0..3) == 0;
                }
            }
            let odour: Vec<i64> = (0..TRIALS as i64).map(|t| t % 2).collect();
            let choice: Vec<i64> = (0..TRIALS as i64).map(|t| t / 2 % 2).collect();
            let activity = Array3::from_shape_fn((TRIALS, CELLS, BINS), |(t, n, b)| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                let fires = if b == peak[n] { 3.0 } else { 0.0 };
                let odour = if tells[n] && t % 2 == 0 { 1.0 } else { 0.0 };
                // The first twenty tell the choice apart as well.
                let choice = if n < 20 && t / 2 % 2 == 0 { 1.0 } else { 0.0 };
                (noise + fires + odour + choice) as f32
            });
            Session {
                activity,
                cell: (0..CELLS as i64).map(|c| 1000 + c).collect(),
                time_s: (0..BINS).map(|b| b as f64 * 0.5).collect(),
                day: 2.0 * s as f64,
                labels: BTreeMap::from([("odour".into(), odour), ("choice".into(), choice)]),
                ..Session::default()
            }
        })
        .collect()
}

fn run(sessions: &[Session], epochs: &[Epoch]) -> Drift {
    let parameters = Parameters {
        variables: vec!["odour".into(), "choice".into()],
        bootstrap: 20,
        permutations: 400,
        ..Parameters::default()
    };
    analyse(sessions, epochs, &parameters, &|_| {}).unwrap()
}

fn delay() -> Epoch {
    Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: 4.0,
    }
}

fn table<'a>(drift: &'a Drift, name: &str) -> &'a Table {
    drift.more.iter().find(|t| t.name == name).unwrap()
}

fn values<'a>(table: &'a Table, name: &str) -> &'a Values {
    &table
        .columns
        .iter()
        .find(|c| c.name == name)
        .unwrap()
        .values
}

fn numbers(table: &Table, name: &str) -> Vec<f64> {
    match values(table, name) {
        Values::Number(v) => v.clone(),
        Values::Single(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Values::Integer(v) => v.iter().map(|&v| v as f64).collect(),
        Values::Flag(v) => v.iter().map(|&v| f64::from(u8::from(v))).collect(),
        other => panic!("{name} holds {other:?}"),
    }
}

fn texts(table: &Table, name: &str) -> Vec<String> {
    match values(table, name) {
        Values::Text(v) => v.clone(),
        Values::Category { index, names } => index
            .iter()
            .map(|&k| names[usize::from(k)].clone())
            .collect(),
        other => panic!("{name} holds {other:?}"),
    }
}

/// The rows of a table about one variable.
fn of<'a>(table: &'a Table, variable: &'a str) -> impl Iterator<Item = usize> + 'a {
    let variables = texts(table, "variable");
    (0..table.len()).filter(move |&row| variables[row] == variable)
}

#[test]
fn selective_cells_are_found_and_classed() {
    let drift = run(&population(2, false, 1), &[delay()]);
    let cells = table(&drift, "cells");
    assert_eq!(cells.len(), 2 * 2 * CELLS);
    let (id, selective) = (numbers(cells, "cell"), numbers(cells, "selective"));
    let (class, peak) = (texts(cells, "class"), numbers(cells, "peak_s"));
    let (auc, p, q) = (
        numbers(cells, "au_roc"),
        numbers(cells, "p"),
        numbers(cells, "q"),
    );
    let mut wrong = 0;
    for row in of(cells, "odour") {
        let cell = id[row] as usize - 1000;
        wrong += usize::from((selective[row] == 1.0) != (cell < 40));
        assert!(cell >= 40 || auc[row] > 0.2);
        assert!(p[row] <= q[row] + 1e-7);
        let expected = match cell {
            0..20 => "mixed",
            20..40 => "pure",
            _ => "unselective",
        };
        wrong += usize::from(class[row] != expected);
        assert!((peak[row] - 0.5 * (cell % BINS) as f64).abs() < 1e-6);
    }
    assert!(wrong < 40, "{wrong}");
    let fractions = table(&drift, "selective_fractions");
    let selective = numbers(fractions, "selective");
    let (pure, mixed) = (numbers(fractions, "pure"), numbers(fractions, "mixed"));
    for row in of(fractions, "odour") {
        assert!((selective[row] - 1.0 / 3.0).abs() < 0.06);
        assert!((pure[row] + mixed[row] - selective[row]).abs() < 1e-12);
    }
    assert_eq!(of(fractions, "").count(), 2);
    let sets = table(&drift, "selectivity_sets");
    assert!(texts(sets, "variables").contains(&"odour+choice".to_owned()));
    assert!(numbers(sets, "n_cells").iter().sum::<f64>() == 2.0 * CELLS as f64);
}

#[test]
fn turnover_is_at_its_floor_without_drift_and_at_chance_with_it() {
    for drifts in [false, true] {
        let drift = run(&population(3, drifts, 2), &[delay()]);
        let turnover = table(&drift, "turnover");
        let read = |name| numbers(turnover, name);
        let (i, j) = (read("session_i"), read("session_j"));
        let (jaccard, floor) = (read("jaccard"), read("jaccard_floor"));
        let (overlap, recurrence) = (read("corrected_overlap"), read("recurrence"));
        let chance = read("recurrence_chance");
        for row in of(turnover, "odour") {
            if i[row] == j[row] {
                assert_eq!(jaccard[row], floor[row]);
            } else if drifts {
                assert!(
                    jaccard[row] < floor[row] - 0.2,
                    "{} {}",
                    jaccard[row],
                    floor[row]
                );
                assert!(overlap[row].abs() < 0.35, "{}", overlap[row]);
                assert!((recurrence[row] - chance[row]).abs() < 0.25);
            } else {
                assert!((jaccard[row] - floor[row]).abs() < 0.2);
            }
        }
        let survival = table(&drift, "survival");
        let kinds = texts(survival, "spells");
        let (days, share) = (
            numbers(survival, "time_days"),
            numbers(survival, "survival"),
        );
        let at = of(survival, "odour").find(|&r| kinds[r] == "all" && days[r] == 2.0);
        let lasting = at.map_or(1.0, |row| share[row]);
        assert!(
            if drifts { lasting < 0.6 } else { lasting > 0.7 },
            "{lasting}"
        );
    }
}

#[test]
fn order_is_kept_without_drift_and_lost_with_it() {
    for drifts in [false, true] {
        let drift = run(&population(2, drifts, 3), &[delay()]);
        let sequences = table(&drift, "sequences");
        let read = |name| numbers(sequences, name);
        let (i, j) = (read("session_i"), read("session_j"));
        let (rho, floor) = (read("spearman"), read("spearman_floor"));
        let (shift, chance) = (read("peak_shift_s"), read("peak_shift_chance_s"));
        let ridge = read("ridge_to_background");
        // All trials, and both labels of either variable.
        assert_eq!(sequences.len(), 3 * 5);
        for row in of(sequences, "") {
            assert!(floor[row] > 0.9, "{}", floor[row]);
            if i[row] == j[row] {
                continue;
            }
            if drifts {
                assert!(rho[row].abs() < 0.4 && (ridge[row] - 1.0).abs() < 0.4);
                assert!((shift[row] - chance[row]).abs() < 0.4);
            } else {
                assert!(rho[row] > 0.9 && shift[row] < 0.2 && ridge[row] > 1.5);
            }
        }
        let index = table(&drift, "drift_index");
        let (found, control) = (numbers(index, "index"), numbers(index, "index_control"));
        for row in of(index, "") {
            assert!(control[row].abs() < 0.05);
            assert!(if drifts {
                found[row] > 0.8
            } else {
                found[row].abs() < 0.05
            });
        }
        let information = table(&drift, "information");
        let (raw, bias) = (
            numbers(information, "mutual_information_raw"),
            numbers(information, "mutual_information_bias"),
        );
        assert!(
            raw.iter()
                .zip(&bias)
                .all(|(raw, bias)| raw > bias && *bias > 0.0)
        );
    }
}

#[test]
fn noise_has_no_sequence_and_no_ridge() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut sessions = population(1, false, 1);
    let cells = 1500;
    // An offset, so that there is a background to divide by.
    let noise = || 2.0 + rng.random::<f32>();
    sessions[0].activity = Array3::from_shape_simple_fn((24, cells, BINS), noise);
    sessions[0].cell = (0..cells as i64).collect();
    for labels in sessions[0].labels.values_mut() {
        labels.truncate(24);
    }
    let drift = run(&sessions, &[delay()]);
    let sequences = table(&drift, "sequences");
    let (rho, n) = (
        numbers(sequences, "spearman"),
        numbers(sequences, "n_cells"),
    );
    let ridge = numbers(sequences, "ridge_to_background");
    for row in 0..sequences.len() {
        // Some cells always pass the choice; those that do have no order.
        assert!(n[row] > 40.0, "{}", n[row]);
        assert!(rho[row].abs() < 4.0 / n[row].sqrt(), "{}", rho[row]);
        assert!((ridge[row] - 1.0).abs() < 0.03, "{}", ridge[row]);
    }
}

#[test]
fn what_is_missing_is_explained() {
    let mut sessions = population(3, false, 4);
    // One label only in the second session, hardly any cells in the third.
    sessions[1].labels.insert("odour".into(), vec![1; TRIALS]);
    sessions[2].present = Some((0..CELLS).map(|c| c < 3).collect());
    let outside = Epoch {
        name: "after".into(),
        start_s: 90.0,
        stop_s: 91.0,
    };
    let drift = run(&sessions, &[delay(), outside]);
    for name in [
        "turnover",
        "sequences",
        "drift_index",
        "selective_fractions",
        "information",
    ] {
        let table = table(&drift, name);
        let epoch = texts(table, "epoch");
        let reason = texts(table, "reason");
        let value = match name {
            "turnover" => numbers(table, "jaccard"),
            "sequences" => numbers(table, "spearman"),
            "drift_index" => numbers(table, "index"),
            "selective_fractions" => numbers(table, "selective"),
            _ => numbers(table, "mutual_information"),
        };
        for row in 0..table.len() {
            assert_eq!(
                value[row].is_nan(),
                !reason[row].is_empty(),
                "{name} {}",
                reason[row]
            );
            assert!(epoch[row] == "delay" || value[row].is_nan());
        }
        assert!(value.iter().any(|v| v.is_finite()), "{name}");
    }
    let alone = run(&population(1, false, 5), &[delay()]);
    assert!(table(&alone, "drift_index").is_empty());
    assert_eq!(table(&alone, "sequences").len(), 5);
}

#[test]
fn tables_do_not_depend_on_threads() {
    let sessions = population(2, true, 6);
    let csv = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let drift = pool.install(|| run(&sessions, &[delay()]));
        drift.more.iter().map(Table::csv).collect::<String>()
    };
    assert_eq!(csv(1), csv(3));
}
