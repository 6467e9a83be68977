//! Single cells: the same at any thread count, no surprise from any input.

use fluorspar_drift::single_cell::{
    Permutations, Statistic, effect_sizes, half_turnover, selectivity,
};
use ndarray::Array2;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ALL: [Statistic; 4] = [
    Statistic::Index,
    Statistic::DPrime,
    Statistic::AuRoc,
    Statistic::EtaSquared,
];

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let activity = Array2::from_shape_simple_fn((700, 30), || rng.random::<f32>());
    let labels: Vec<i64> = (0..30).map(|t| i64::from(t % 3 == 0)).collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let drawn = Permutations::new(&labels, None, 1100, 5).unwrap();
            ALL.map(|statistic| {
                let found = selectivity(activity.view(), &drawn, statistic).unwrap();
                [bits(&found.value), bits(&found.p), bits(&found.q)]
            })
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn permutations_come_near_the_exact_test() {
    // 4 against 4: all 70 labellings, two of which are as extreme as 0 to 3 | 4 to 7.
    let activity = Array2::from_shape_fn((1, 8), |(_, t)| t as f32);
    let labels = [0, 0, 0, 0, 1, 1, 1, 1];
    let drawn = Permutations::new(&labels, None, 20_000, 1).unwrap();
    for statistic in ALL {
        let p = selectivity(activity.view(), &drawn, statistic).unwrap().p[0];
        assert!((p - 2.0 / 70.0).abs() < 0.006, "{statistic:?} {p}");
    }
}

/// Values as recordings have them: noise, counts, constants, gaps, extremes.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -3.0_f32..3.0,
        4 => (0_u8..3).prop_map(f32::from),
        1 => Just(f32::NAN),
        1 => Just(f32::MAX),
        1 => Just(f32::MIN_POSITIVE),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_activity_gives_probabilities_or_nothing(
        rows in prop::collection::vec(prop::collection::vec(value(), 9), 0..6),
        labels in prop::collection::vec(0_i64..3, 9),
        strata in prop::collection::vec(0_i64..2, 9),
    ) {
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        let activity = Array2::from_shape_vec((rows.len(), 9), flat).unwrap();
        for strata in [None, Some(&strata[..])] {
            let Ok(drawn) = Permutations::new(&labels, strata, 40, 2) else { continue };
            for statistic in ALL {
                let Ok(found) = selectivity(activity.view(), &drawn, statistic) else { continue };
                for ((value, p), q) in found.value.iter().zip(&found.p).zip(&found.q) {
                    prop_assert_eq!(value.is_nan(), p.is_nan());
                    prop_assert_eq!(p.is_nan(), q.is_nan());
                    prop_assert!(p.is_nan() || (*p > 0.0 && p <= q && *q <= 1.0));
                }
                let again = effect_sizes(activity.view(), &labels, statistic).unwrap();
                prop_assert_eq!(bits(&again), bits(&found.value));
            }
        }
        let _ = half_turnover(activity.view(), &labels, Statistic::AuRoc, 1, 20, 0.5, 1);
    }

    #[test]
    fn scale_offset_and_order_of_cells_do_not_matter(
        values in prop::collection::vec(0_u16..50, 20),
        scale in 1_u8..5,
    ) {
        let labels: Vec<i64> = (0..20).map(|t| i64::from(t < 8)).collect();
        let drawn = Permutations::new(&labels, None, 300, 1).unwrap();
        let scale = f32::from(scale);
        let activity = Array2::from_shape_fn((2, 20), |(cell, trial)| {
            let v = f32::from(values[trial]);
            if cell == 0 { v } else { v * scale + 7.0 }
        });
        for statistic in [Statistic::DPrime, Statistic::AuRoc, Statistic::EtaSquared] {
            let found = selectivity(activity.view(), &drawn, statistic).unwrap();
            if !found.p[0].is_nan() {
                prop_assert_eq!(found.p[0], found.p[1]);
                prop_assert!((found.value[0] - found.value[1]).abs() < 1e-6 || found.value[0] == found.value[1]);
            }
        }
    }
}
