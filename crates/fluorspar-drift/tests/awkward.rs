//! The whole analysis on sessions of any size and kind: tables or a clear error, never a panic.

use std::collections::BTreeMap;

use fluorspar_drift::{Epoch, Inclusion, Parameters, Session, analyse};
use ndarray::Array3;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    None,
    SilentCells,
    Nan,
}

#[derive(Clone, Debug)]
struct Kind {
    trials: usize,
    cells: usize,
    bins: usize,
    classes: i64,
    damage: Damage,
    unsure: bool,
    grouped: bool,
    scale: f32,
}

fn kind() -> impl Strategy<Value = Kind> {
    (
        (0_usize..14, 0_usize..16, 0_usize..5, 1_i64..4),
        prop_oneof![
            Just(Damage::None),
            Just(Damage::SilentCells),
            Just(Damage::Nan)
        ],
        (any::<bool>(), any::<bool>()),
        prop_oneof![Just(1.0_f32), Just(0.0), Just(1e-30), Just(1e30)],
    )
        .prop_map(|(size, damage, (unsure, grouped), scale)| Kind {
            trials: size.0,
            cells: size.1,
            bins: size.2,
            classes: size.3,
            damage,
            unsure,
            grouped,
            scale,
        })
}

fn session(kind: &Kind, day: usize, seed: u64) -> Session {
    let value = |t: usize, n: usize, b: usize| {
        let hash = (t * 7919 + n * 104_729 + b * 31 + day * 17) as u64 ^ seed;
        let noise = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / 16_777_216.0;
        if kind.damage == Damage::SilentCells && n.is_multiple_of(3) {
            0.0
        } else if kind.damage == Damage::Nan && n == 1 && t == 0 {
            f32::NAN
        } else {
            kind.scale * (noise + f32::from(u8::from((t + n).is_multiple_of(2))))
        }
    };
    Session {
        activity: Array3::from_shape_fn((kind.trials, kind.cells, kind.bins), |(t, n, b)| {
            value(t, n, b)
        }),
        cell: (0..kind.cells as i64)
            .map(|c| c + (day % 2) as i64)
            .collect(),
        time_s: (0..kind.bins).map(|b| b as f64).collect(),
        day: day as f64,
        labels: BTreeMap::from([
            (
                "odour".into(),
                (0..kind.trials as i64).map(|t| t % kind.classes).collect(),
            ),
            (
                "correct".into(),
                (0..kind.trials as i64)
                    .map(|t| i64::from(t % 3 > 0))
                    .collect(),
            ),
        ]),
        p_same: kind.unsure.then(|| {
            (0..kind.cells)
                .map(|c| 0.3 + 0.7 * (c % 2) as f32)
                .collect()
        }),
        present: kind
            .unsure
            .then(|| (0..kind.cells).map(|c| c != 2).collect()),
        group: kind.grouped.then(|| {
            (0..kind.cells)
                .map(|c| ["M2", "M1"][c % 2].to_owned())
                .collect()
        }),
        behaviour: BTreeMap::from([("speed".into(), (0..kind.trials).map(|t| t as f64).collect())]),
        ..Session::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_comes_is_answered(
        kinds in prop::collection::vec(kind(), 1..8),
        alike in any::<bool>(),
        rule in 0_usize..6,
        seed in any::<u64>(),
    ) {
        let sessions: Vec<Session> = kinds
            .iter()
            .enumerate()
            .map(|(day, kind)| session(if alike { &kinds[0] } else { kind }, day, seed))
            .collect();
        let epochs = [("early", 0.0, 2.0), ("late", 2.0, 4.0), ("never", 90.0, 91.0)]
            .map(|(name, start_s, stop_s)| Epoch { name: name.into(), start_s, stop_s });
        let parameters = Parameters {
            variables: vec!["odour".into(), "correct".into()],
            bootstrap: 20,
            permutations: 20,
            min_cells: 3,
            min_trials: 2,
            inclusion: Inclusion::ALL[rule],
            seed,
            ..Parameters::default()
        };
        if let Ok(drift) = analyse(&sessions, &epochs, &parameters, &|_| {}) {
            for row in &drift.metrics {
                prop_assert!(row.value.is_finite() || !row.reason.is_empty(), "{row:?}");
            }
            for table in drift.tables() {
                prop_assert!(table.columns.iter().any(|c| c.name == "seed"), "{}", table.name);
            }
        }
    }
}
