//! What the whole analysis says of planted drift.

use std::collections::BTreeMap;

use fluorspar_drift::planted::{Law, Plan, Planting};
use fluorspar_drift::{Epoch, Parameters, Session, Tabular, planted_drift};
use ndarray::Array3;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn epoch(name: &str, from: f64) -> Epoch {
    Epoch {
        name: name.into(),
        start_s: from,
        stop_s: from + 1.0,
    }
}

/// Eight days of 120 cells; no code in the second of two time bins.
fn recording() -> Vec<Session> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut normal = move || -> f64 { StandardNormal.sample(&mut rng) };
    let code: Vec<f64> = (0..120).map(|_| 0.6 * normal()).collect();
    (1..=8)
        .map(|day| {
            let labels: Vec<i64> = (0..30).map(|t| t % 2).collect();
            Session {
                activity: Array3::from_shape_fn((30, 120, 2), |(t, n, bin)| {
                    let sign = [1.0, -1.0][labels[t] as usize] * [1.0, 0.0][bin];
                    (sign * code[n] + normal()) as f32
                }),
                cell: (0..120).collect(),
                time_s: vec![0.0, 1.0],
                day: f64::from(day),
                labels: BTreeMap::from([("odour".into(), labels)]),
                ..Session::default()
            }
        })
        .collect()
}

fn parameters() -> Parameters {
    Parameters {
        variables: vec!["odour".into()],
        ..Parameters::default()
    }
}

const EXPERIMENTS: usize = 30;

#[test]
fn bias_is_small_and_power_is_where_it_should_be() {
    let sessions = recording();
    let planting = Planting {
        plans: vec![
            Plan::default(),
            Plan {
                law: Law::Exponential { tau_days: 4.0 },
                ..Plan::default()
            },
            Plan {
                law: Law::Crystallizing {
                    first_per_day: 1.0,
                    last_per_day: 0.02,
                    tau_days: 2.0,
                },
                ..Plan::default()
            },
        ],
        repetitions: EXPERIMENTS,
        bootstrap: 60,
        ..Planting::usual(&sessions)
    };
    let rows = planted_drift(&sessions, &[epoch("delay", 0.0)], &parameters(), &planting).unwrap();
    assert_eq!(rows.len(), 12);
    let row = |law: &str, quantity: &str| {
        rows.iter()
            .find(|r| r.law == law && r.quantity == quantity)
            .unwrap()
    };
    for law in ["constant", "exponential", "crystallizing"] {
        let near = row(law, "similarity_of_neighbours");
        assert!(near.bias.abs() < 0.03, "{near:?}");
        let test = row(law, "late_minus_early_similarity");
        assert!(
            test.bias.abs() < 0.06 && test.n_tested == EXPERIMENTS,
            "{test:?}"
        );
    }
    let rate = row("exponential", "rate_per_day");
    assert!(
        (rate.planted - 0.25).abs() < 0.01 && rate.bias.abs() < 0.03,
        "{rate:?}"
    );
    let test = |law| row(law, "late_minus_early_similarity");
    assert!(
        test("constant").planted.abs() < 1e-12 && test("constant").rejected_lo <= 0.05,
        "{:?}",
        test("constant")
    );
    assert!(
        test("exponential").planted.abs() < 1e-12 && test("exponential").rejected_lo <= 0.05,
        "{:?}",
        test("exponential")
    );
    assert!(
        test("crystallizing").rejected > 0.9,
        "{:?}",
        test("crystallizing")
    );
    // The answer itself: rarely given where nothing crystallizes.
    for law in ["constant", "exponential"] {
        let answer = row(law, "crystallization");
        assert!(
            answer.rejected_lo <= 0.05 && answer.n_tested > EXPERIMENTS / 2,
            "{answer:?}"
        );
    }
    let answer = row("crystallizing", "crystallization");
    assert!(
        answer.rejected > row("constant", "crystallization").rejected,
        "{answer:?}"
    );
    assert!(answer.planted < 0.0 && answer.mean < 0.0, "{answer:?}");
}

#[test]
fn seeds_repeat() {
    let sessions = recording();
    let planting = Planting {
        repetitions: 3,
        bootstrap: 30,
        ..Planting::usual(&sessions)
    };
    let table = || {
        let rows =
            planted_drift(&sessions, &[epoch("delay", 0.0)], &parameters(), &planting).unwrap();
        fluorspar_drift::planted::PlantedRow::table(&rows).csv()
    };
    assert_eq!(table(), table());
}

#[test]
fn an_epoch_without_a_code_is_explained() {
    let sessions = recording();
    let planting = Planting {
        repetitions: 2,
        ..Planting::usual(&sessions)
    };
    let epochs = [epoch("after", 1.0), epoch("outside", 9.0)];
    let rows = planted_drift(&sessions, &epochs, &parameters(), &planting).unwrap();
    for name in ["after", "outside"] {
        let of: Vec<_> = rows.iter().filter(|r| r.epoch == name).collect();
        assert!(of.len() >= planting.plans.len());
        // Noise may look like a code by a hair; then the analysis refuses.
        assert!(
            of.iter().all(|r| r.mean.is_nan() != r.reason.is_empty()),
            "{of:?}"
        );
    }
    assert!(
        rows.iter()
            .filter(|r| r.epoch == "outside")
            .all(|r| !r.reason.is_empty())
    );
}

#[test]
fn few_cells_and_groups_are_enough_and_bad_input_is_refused() {
    let mut sessions = recording();
    let planting = Planting {
        plans: vec![Plan::default()],
        repetitions: 2,
        max_cells: 50,
        ..Planting::usual(&sessions)
    };
    let epochs = [epoch("delay", 0.0)];
    let rows = planted_drift(&sessions, &epochs, &parameters(), &planting).unwrap();
    assert!(rows.iter().all(|r| r.n_cells == 50));
    for session in &mut sessions {
        session.group = Some((0..120).map(|n| ["M2", "M1"][n % 2].to_owned()).collect());
    }
    let one_area = Parameters {
        group: Some("M1".into()),
        ..parameters()
    };
    let all = Planting {
        max_cells: 2000,
        ..planting.clone()
    };
    let rows = planted_drift(&sessions, &epochs, &one_area, &all).unwrap();
    assert!(
        rows.iter().all(|r| r.n_cells == 60 && r.mean.is_finite()),
        "{rows:?}"
    );
    assert!(planted_drift(&[], &epochs, &parameters(), &planting).is_err());
    assert!(planted_drift(&sessions, &[], &parameters(), &planting).is_err());
    for bad in [
        Planting {
            plans: Vec::new(),
            ..planting.clone()
        },
        Planting {
            repetitions: 0,
            ..planting.clone()
        },
        Planting {
            bootstrap: 1,
            ..planting.clone()
        },
    ] {
        assert!(planted_drift(&sessions, &epochs, &parameters(), &bad).is_err());
    }
    assert!(Planting::usual(&[]).validate().is_ok());
    assert!(Planting::usual(&sessions[..1]).validate().is_ok());
}
