//! Stacks of planes with known order, as channels of a recording.

use fluorspar_tiff::{PlaneTable, plane_order};
use ndarray::{Array3, Axis};
use proptest::prelude::*;

/// A cheap sequence of numbers in −1 to 1 that look random.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Planes of tissue whose blobs reach over two or three planes, in true order.
fn tissue(planes: usize, strength: f32, seed: u64) -> Array3<f32> {
    let side = 96;
    let mut random = noise(seed);
    let mut out = Array3::from_shape_fn((planes, side, side), |_| random());
    for _ in 0..planes * 40 {
        let centre = f32::midpoint(random(), 1.0) * planes as f32;
        let (cy, cx) = ((random() + 1.0) * 48.0, (random() + 1.0) * 48.0);
        let bright = strength * (1.5 + random());
        for (plane, mut image) in out.axis_iter_mut(Axis(0)).enumerate() {
            let depth = (-(plane as f32 - centre).powi(2) / 2.0).exp();
            if depth < 0.01 {
                continue;
            }
            let reach =
                |c: f32| (c - 6.0).max(0.0) as usize..((c + 6.0).max(0.0) as usize).min(side);
            for y in reach(cy) {
                for x in reach(cx) {
                    let r2 = (y as f32 - cy).powi(2) + (x as f32 - cx).powi(2);
                    image[[y, x]] += bright * depth * (-r2 / 8.0).exp();
                }
            }
        }
    }
    out
}

/// The planes as a recording in the order of `channels` would have them.
fn recorded(planes: &Array3<f32>, channels: &[usize]) -> Array3<f32> {
    let mut out = Array3::zeros(planes.dim());
    for (plane, &channel) in channels.iter().enumerate() {
        out.index_axis_mut(Axis(0), channel)
            .assign(&planes.index_axis(Axis(0), plane));
    }
    out
}

#[test]
fn tables_are_permutations_that_differ_in_one_place() {
    for table in [
        PlaneTable::Maximum30,
        PlaneTable::Maximum15,
        PlaneTable::Suite3d30,
    ] {
        let mut channels = table.channels();
        channels.sort_unstable();
        assert_eq!(channels, (0..channels.len()).collect::<Vec<_>>());
    }
    let mut one = PlaneTable::Maximum30.channels();
    one.reverse();
    let two = PlaneTable::Suite3d30.channels();
    let differ: Vec<(usize, usize)> = one.into_iter().zip(two).filter(|(a, b)| a != b).collect();
    // Channels 2 and 10, counted from 1.
    assert_eq!(differ, [(9, 1), (1, 9)]);
}

#[test]
fn the_table_that_fits_the_images_is_found() {
    for (seed, table) in [
        (1, PlaneTable::Maximum30),
        (2, PlaneTable::Suite3d30),
        (3, PlaneTable::Maximum15),
        (4, PlaneTable::Maximum30),
        (5, PlaneTable::Suite3d30),
    ] {
        let order = table.channels();
        let means = recorded(&tissue(order.len(), 3.0, seed), &order);
        let found = plane_order(means.view()).unwrap();
        assert!(found.is_determined(), "{}", found.evidence);
        assert_eq!(found.table, Some(table));
        assert_eq!(found.channels, order);
    }
}

#[test]
fn images_without_common_tissue_have_no_order() {
    for seed in 1..6 {
        let found = plane_order(tissue(30, 0.0, seed).view()).unwrap();
        assert!(!found.is_determined(), "{}", found.evidence);
        assert_eq!((found.table, found.channels), (None, (0..30).collect()));
    }
    assert!(
        !plane_order(Array3::zeros((5, 40, 40)).view())
            .unwrap()
            .is_determined()
    );
    assert!(
        !plane_order(Array3::from_elem((5, 40, 40), f32::NAN).view())
            .unwrap()
            .is_determined()
    );
    assert!(plane_order(Array3::zeros((3, 40, 40)).view()).is_err());
    assert!(plane_order(Array3::zeros((5, 10, 40)).view()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any other order is found from the images, and no table is claimed.
    #[test]
    fn an_unknown_order_is_found(seed in 1_u64..1000, planes in 6_usize..20) {
        let mut order: Vec<usize> = (0..planes).collect();
        let mut random = noise(seed + 7);
        order.sort_by_key(|_| (random() * 1e6) as i64);
        let means = recorded(&tissue(planes, 3.0, seed), &order);
        let found = plane_order(means.view()).unwrap();
        if order[0] > order[planes - 1] {
            order.reverse();
        }
        prop_assert!(found.is_determined());
        prop_assert_eq!(found.table, None);
        prop_assert_eq!(found.channels, order);
    }
}
