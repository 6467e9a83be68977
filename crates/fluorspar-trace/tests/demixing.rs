//! Overlapping cells whose traces are known, and the properties of the whole
//! way from movie to ΔF/F.

use fluorspar_movie::{ArrayMovie, Budget, Footprints, silent};
use fluorspar_trace::{
    Cells, Coefficient, Error, Flag, Overlaps, Parameters, Sharing, State, Valid, demix, measure,
    measure_traces,
};
use ndarray::{Array2, Array3, s};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIDE: usize = 64;
const FRAMES: usize = 1500;

/// Cells with soft edges; the first three overlap one another in turn, the
/// fourth lies inside the fifth, the last is alone.
fn cells() -> Footprints {
    let mut all = Footprints::new(SIDE, SIDE);
    for (y, x, radius) in [
        (20.0, 16.0, 6.0),
        (20.0, 24.0, 6.0),
        (25.0, 31.0, 5.0),
        (46.0, 16.0, 3.0),
        (46.0, 17.0, 6.0),
        (46.0, 46.0, 6.0_f32),
    ] {
        let (mut indices, mut weights) = (Vec::new(), Vec::new());
        for v in 0..SIDE {
            for u in 0..SIDE {
                let distance = (v as f32 - y).hypot(u as f32 - x) / radius;
                if distance < 1.2 {
                    indices.push((v * SIDE + u) as u32);
                    weights.push((1.3 - distance).min(1.0));
                }
            }
        }
        all.push(&indices, &weights, 0).expect("sound footprint");
    }
    all
}

/// Brightness of each cell, axes `(roi, frame)`: each fires at times of its own.
fn brightness(rois: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut out = Array2::zeros((rois, FRAMES));
    for mut row in out.rows_mut() {
        let mut calcium = 0.0_f32;
        for value in &mut row {
            calcium = 0.9 * calcium + if rng.random_bool(0.01) { 1.0 } else { 0.0 };
            *value = 80.0 * (1.0 + calcium);
        }
    }
    out
}

fn movie(footprints: &Footprints, brightness: &Array2<f32>, seed: u64, noise: f32) -> Array3<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut movie = Array3::from_shape_fn((FRAMES, SIDE, SIDE), |(t, _, _)| {
        // Neuropil, the same everywhere.
        let wave = 50.0 + 8.0 * (t as f32 / 23.0).sin() + 5.0 * (t as f32 / 7.3).sin();
        wave + noise * rng.sample::<f32, _>(rand_distr::StandardNormal)
    });
    for (roi, footprint) in footprints.iter().enumerate() {
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            let (y, x) = (index as usize / SIDE, index as usize % SIDE);
            for t in 0..FRAMES {
                movie[[t, y, x]] += weight * brightness[[roi, t]];
            }
        }
    }
    movie
}

fn run(movie: &Array3<f32>, footprints: &Footprints, parameters: &Parameters) -> Cells {
    measure(
        &ArrayMovie::new(movie.clone()),
        footprints,
        &Valid::everywhere(),
        parameters,
        10.0,
        Budget::default(),
        &silent,
    )
    .expect("cells")
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        ab += (a - mean_a) * (b - mean_b);
        aa += (a - mean_a).powi(2);
        bb += (b - mean_b).powi(2);
    }
    ab / (aa * bb).sqrt()
}

fn wide(array: &Array2<f32>, roi: usize) -> Vec<f64> {
    array.row(roi).iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn demixing_recovers_what_the_classical_mean_leaks() {
    let footprints = cells();
    let truth = brightness(footprints.len(), 1);
    let movie = movie(&footprints, &truth, 2, 4.0);
    let demixed = run(&movie, &footprints, &Parameters::default());
    assert!(
        demixed.flags.iter().all(Vec::is_empty),
        "{:?}",
        demixed.flags
    );
    let classical = run(
        &movie,
        &footprints,
        &Parameters {
            overlaps: Sharing::LeaveOut,
            ..Parameters::default()
        },
    );
    let overlaps = Overlaps::new(&footprints);
    assert_eq!(overlaps.groups(), [vec![0, 1, 2], vec![3, 4], vec![5]]);
    for roi in 0..footprints.len() {
        let truth: Vec<f64> = wide(&truth, roi);
        let found = wide(&demixed.corrected, roi);
        assert!(correlation(&found, &truth) > 0.985, "ROI {roi}");
        // In the units of a weighted mean, neuropil gone.
        let unit = overlaps.diagonal()[roi] / overlaps.sums()[roi];
        let mean = found.iter().sum::<f64>() / FRAMES as f64;
        let expected = unit * truth.iter().sum::<f64>() / FRAMES as f64;
        assert!(
            (mean / expected - 1.0).abs() < 0.08,
            "ROI {roi}: {mean} {expected}"
        );
    }
    // The fourth cell has no pixel of its own.
    assert!(demixed.traces.alone[3] < 0.01);
    let leak = |cells: &Cells| correlation(&wide(&cells.corrected, 3), &wide(&truth, 4));
    assert!(leak(&classical) > 0.5, "{}", leak(&classical));
    let chance = correlation(&wide(&truth, 3), &wide(&truth, 4));
    assert!((leak(&demixed) - chance).abs() < 0.05, "{}", leak(&demixed));
    assert!(demixed.contamination[3].neighbours_mean > 0.3);
    assert!(demixed.contamination[5].neighbours_mean.abs() < 1e-6);
    assert!(demixed.inflation[3] > 1.1 && demixed.inflation[5] == 1.0);
}

#[test]
fn a_lone_roi_is_its_classical_trace() {
    let footprints = cells().select(&[5]);
    let movie = movie(&footprints, &brightness(1, 3), 4, 4.0);
    let cells = run(&movie, &footprints, &Parameters::default());
    let r = cells.coefficients.values[0];
    for t in 0..FRAMES {
        let classical =
            f64::from(cells.traces.f[[0, t]]) - r * f64::from(cells.traces.neuropil[[0, t]]);
        let found = f64::from(cells.corrected[[0, t]]);
        assert!((found - classical).abs() < 1e-4 * classical.abs());
    }
}

#[test]
fn coefficients_are_found_within_their_errors() {
    let footprints = cells();
    let truth = brightness(footprints.len(), 5);
    let mut movie = movie(&footprints, &truth, 6, 4.0);
    // A third of the neuropil is missing over the last, lone cell.
    for &index in footprints.get(5).indices {
        let (y, x) = (index as usize / SIDE, index as usize % SIDE);
        for t in 0..FRAMES {
            let wave = 50.0 + 8.0 * (t as f32 / 23.0).sin() + 5.0 * (t as f32 / 7.3).sin();
            movie[[t, y, x]] -= wave / 3.0;
        }
    }
    let found = run(&movie, &footprints, &Parameters::default()).coefficients;
    for (roi, expected) in [(0, 1.0), (1, 1.0), (5, 2.0 / 3.0)] {
        let (value, error) = (found.measured[roi], found.errors[roi]);
        assert!(error > 0.0 && error < 0.1, "{error}");
        assert!(
            (value - expected).abs() < 3.0 * error + 0.02,
            "{roi}: {value} ± {error}"
        );
    }
}

#[test]
fn silent_absent_and_active_are_told_apart() {
    let footprints = cells();
    let mut truth = brightness(footprints.len(), 7);
    truth.row_mut(5).fill(80.0);
    let movie = movie(&footprints, &truth, 8, 4.0);
    let mut mask = Array3::from_elem((1, SIDE, SIDE), true);
    // The first cell lies beyond the edge, so does most of the second.
    mask.slice_mut(s![.., .., ..26]).fill(false);
    mask.slice_mut(s![.., 36.., ..]).fill(true);
    let valid = Valid::mask(mask.view());
    let found = measure(
        &ArrayMovie::new(movie),
        &footprints,
        &valid,
        &Parameters::default(),
        10.0,
        Budget::default(),
        &silent,
    )
    .expect("cells");
    let states: Vec<State> = found.presence.iter().map(|p| p.state).collect();
    assert_eq!(states[0], State::Absent);
    assert!(found.corrected.row(0).iter().all(|v| v.is_nan()));
    assert_eq!(found.flags[0], [Flag::Absent, Flag::Cut]);
    assert!(found.flags[1].contains(&Flag::Cut) && !found.flags[1].contains(&Flag::Absent));
    assert_eq!(states[2..5], [State::Active; 3]);
    assert_eq!(states[5], State::Silent);
    assert!(found.flags[5].contains(&Flag::Silent));
    let needed = found.presence[5].needed;
    assert!(needed > 0.0 && needed < 0.2, "{needed}");
    assert_eq!(found.corrected.nrows(), 6);
}

#[test]
fn awkward_movies_lose_nothing() {
    let footprints = cells();
    let truth = brightness(footprints.len(), 9);
    let whole = movie(&footprints, &truth, 10, 4.0);

    // All NaN.
    let nothing = run(
        &Array3::from_elem((40, SIDE, SIDE), f32::NAN),
        &footprints,
        &Parameters::default(),
    );
    for roi in 0..6 {
        assert_eq!(nothing.flags[roi], [Flag::Absent]);
        assert!(nothing.delta.f0.row(roi).iter().all(|v| *v > 0.0));
        assert!(nothing.delta.dff.row(roi).iter().all(|v| v.is_nan()));
    }
    // Constant.
    let still = run(
        &Array3::from_elem((400, SIDE, SIDE), 90.0),
        &footprints,
        &Parameters::default(),
    );
    for roi in 0..6 {
        assert!(still.flags[roi].contains(&Flag::Constant));
        assert!(still.flags[roi].contains(&Flag::NeuropilFallback));
        let dff = still.delta.dff.row(roi);
        assert!(
            dff.iter()
                .all(|v| v.is_finite() && (v - dff[0]).abs() < 1e-3)
        );
    }
    assert!(still.delta.dff.row(5).iter().all(|v| v.abs() < 1e-3));
    // The offset taken away, and far more: what is measured on fluctuations
    // does not care, and with a fixed share of the neuropil transients survive.
    let below = &whole - 400.0;
    let measured = run(&below, &footprints, &Parameters::default());
    assert!(
        measured.flags.iter().all(Vec::is_empty),
        "{:?}",
        measured.flags
    );
    let fixed = Parameters {
        coefficient: Coefficient::Fixed(0.5),
        ..Parameters::default()
    };
    let below = run(&below, &footprints, &fixed);
    for roi in 0..6 {
        // The fourth cell lies inside the fifth, which takes the offset.
        if roi != 3 {
            assert!(below.flags[roi].contains(&Flag::BelowZero), "ROI {roi}");
            assert!(below.flags[roi].contains(&Flag::Floored), "ROI {roi}");
        }
        assert!(below.delta.dff.row(roi).iter().all(|v| v.is_finite()));
        let r = correlation(&wide(&below.delta.dff, roi), &wide(&truth, roi));
        assert!(r > 0.9, "ROI {roi}: {r}");
    }
    // One giant cell, and no cell.
    let mut giant = Footprints::new(SIDE, SIDE);
    let everywhere: Vec<u32> = (0..(SIDE * SIDE) as u32).collect();
    giant
        .push(&everywhere, &vec![1.0; SIDE * SIDE], 0)
        .expect("sound footprint");
    let one = run(&whole, &giant, &Parameters::default());
    assert!(one.traces.neuropil.iter().all(|&v| v == 0.0));
    assert!(one.flags[0].contains(&Flag::NeuropilFallback));
    let none = run(&whole, &Footprints::new(SIDE, SIDE), &Parameters::default());
    assert_eq!(none.corrected.dim(), (0, FRAMES));
    assert!(none.flags.is_empty());
    // No frames.
    let empty = run(
        &Array3::zeros((0, SIDE, SIDE)),
        &footprints,
        &Parameters::default(),
    );
    assert_eq!(empty.delta.dff.dim(), (6, 0));
}

#[test]
fn misuse_is_named() {
    let footprints = cells();
    let overlaps = Overlaps::new(&footprints);
    let right = Array2::<f32>::zeros((6, 4));
    let wrong = Array2::<f32>::zeros((6, 5));
    let shape = |found: Result<_, Error>| matches!(found, Err(Error::Shape { .. }));
    assert!(shape(demix(
        right.view(),
        wrong.view(),
        &[0.7; 6],
        &overlaps
    )));
    assert!(shape(demix(
        right.view(),
        right.view(),
        &[0.7; 5],
        &overlaps
    )));
    let five = Overlaps::new(&footprints.select(&[0, 1, 2, 3, 4]));
    assert!(shape(demix(right.view(), right.view(), &[0.7; 6], &five)));
    let mask = Array3::from_elem((2, SIDE, SIDE), true);
    let movie = ArrayMovie::new(Array3::<f32>::zeros((4, SIDE, SIDE)));
    for (valid, frame_rate) in [
        (Valid::mask(mask.view()), 10.0),
        (Valid::everywhere(), 0.0),
        (Valid::everywhere(), -3.0),
        (Valid::everywhere(), f64::NAN),
    ] {
        let found = measure(
            &movie,
            &footprints,
            &valid,
            &Parameters::default(),
            frame_rate,
            Budget::default(),
            &silent,
        );
        assert!(matches!(
            found,
            Err(Error::Shape { .. } | Error::Parameter { .. })
        ));
    }
    for coefficient in [Coefficient::Fixed(1.5), Coefficient::Fixed(f64::NAN)] {
        assert!(coefficient.validate().is_err());
    }
}

#[test]
fn threads_and_budgets_do_not_change_a_byte() {
    let footprints = cells();
    let data = ArrayMovie::new(movie(&footprints, &brightness(6, 11), 12, 20.0));
    let run = |threads: usize, bytes: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        let found = pool.install(|| {
            measure(
                &data,
                &footprints,
                &Valid::everywhere(),
                &Parameters::default(),
                10.0,
                Budget { bytes },
                &silent,
            )
        });
        found.expect("cells")
    };
    let one = run(1, 1 << 30);
    for other in [run(3, 1 << 30), run(2, 1 << 17), run(1, 0)] {
        assert_eq!(one.traces, other.traces);
        assert_eq!(one.corrected, other.corrected);
        assert_eq!(one.delta, other.delta);
        assert_eq!(one.presence, other.presence);
        assert_eq!(one.coefficients, other.coefficients);
    }
}

fn close(a: &Array2<f32>, b: &Array2<f32>, scale: f32, tolerance: f32) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| (scale * a - b).abs() <= tolerance * b.abs().max(1e-3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_gain_scales_traces_and_leaves_dff(seed in 0_u64..1000, power in -4_i32..5) {
        let footprints = cells();
        let movie = movie(&footprints, &brightness(6, seed), seed + 1, 6.0);
        let gain = 2.0_f32.powi(power);
        let once = run(&movie, &footprints, &Parameters::default());
        let scaled = run(&(&movie * gain), &footprints, &Parameters::default());
        // A power of two changes exponents only.
        prop_assert_eq!(&once.traces.f * gain, scaled.traces.f);
        prop_assert_eq!(&once.traces.neuropil * gain, scaled.traces.neuropil);
        prop_assert_eq!(&once.corrected * gain, scaled.corrected);
        prop_assert_eq!(once.delta.dff, scaled.delta.dff);
        prop_assert_eq!(once.presence, scaled.presence);
    }

    #[test]
    fn any_gain_scales_nearly(seed in 0_u64..1000, gain in 0.1_f32..50.0) {
        let footprints = cells();
        let movie = movie(&footprints, &brightness(6, seed), seed + 1, 6.0);
        let once = run(&movie, &footprints, &Parameters::default());
        let scaled = run(&(&movie * gain), &footprints, &Parameters::default());
        prop_assert!(close(&once.corrected, &scaled.corrected, gain, 1e-4));
        // Rounding may put a frame on the other side of what counts as rest, which moves F0 by
        // that frame's share.
        prop_assert!(close(&once.delta.f0, &scaled.delta.f0, gain, 1e-3));
    }

    #[test]
    fn permuting_rois_permutes_results(
        seed in 0_u64..1000,
        order in Just(vec![0_usize, 1, 2, 3, 4, 5]).prop_shuffle(),
    ) {
        let footprints = cells();
        let movie = movie(&footprints, &brightness(6, seed), seed + 1, 6.0);
        let plain = run(&movie, &footprints, &Parameters::default());
        let moved = run(&movie, &footprints.select(&order), &Parameters::default());
        for (at, &roi) in order.iter().enumerate() {
            prop_assert_eq!(plain.traces.f.row(roi), moved.traces.f.row(at));
            prop_assert_eq!(plain.traces.neuropil.row(roi), moved.traces.neuropil.row(at));
            prop_assert_eq!(plain.traces.projections.row(roi), moved.traces.projections.row(at));
            prop_assert_eq!(plain.coefficients.values[roi], moved.coefficients.values[at]);
            // The order of elimination is another.
            for (a, b) in plain.corrected.row(roi).iter().zip(moved.corrected.row(at)) {
                prop_assert!((a - b).abs() < 1e-4 * a.abs().max(1.0));
            }
        }
    }

    #[test]
    fn an_offset_goes_into_f_and_neuropil_alike(seed in 0_u64..1000, offset in 1.0_f32..100.0) {
        let footprints = cells();
        let movie = movie(&footprints, &brightness(6, seed), seed + 1, 6.0);
        let parameters = Parameters {
            coefficient: Coefficient::Fixed(0.7),
            ..Parameters::default()
        };
        let once = run(&movie, &footprints, &parameters);
        let raised = run(&(&movie + offset), &footprints, &parameters);
        for (a, b) in once.traces.f.iter().zip(&raised.traces.f) {
            prop_assert!((a + offset - b).abs() < 1e-3);
        }
        for (a, b) in once.traces.neuropil.iter().zip(&raised.traces.neuropil) {
            prop_assert!((a + offset - b).abs() < 1e-3);
        }
        // Of a ROI on its own, 0.3 of the offset stays in the fluorescence.
        for t in 0..FRAMES {
            let difference = raised.corrected[[5, t]] - once.corrected[[5, t]];
            prop_assert!((difference - 0.3 * offset).abs() < 1e-2);
        }
        // At a coefficient of 1 nothing of it stays in any ROI.
        let parameters = Parameters {
            coefficient: Coefficient::Fixed(1.0),
            ..Parameters::default()
        };
        let once = run(&movie, &footprints, &parameters);
        let raised = run(&(&movie + offset), &footprints, &parameters);
        for (a, b) in once.corrected.iter().zip(&raised.corrected) {
            prop_assert!((a - b).abs() < 2e-2);
        }
    }

    #[test]
    fn low_rank_projections_give_the_same_as_the_movie(seed in 0_u64..1000) {
        let footprints = cells();
        let movie = movie(&footprints, &brightness(6, seed), seed + 1, 6.0);
        let whole = run(&movie, &footprints, &Parameters::default());
        // Projections made elsewhere, in another order.
        let mut traces = whole.traces.clone();
        for (roi, footprint) in footprints.iter().enumerate() {
            for t in 0..FRAMES {
                let mut sum = 0.0;
                for (&i, &w) in footprint.indices.iter().zip(footprint.weights).rev() {
                    sum += f64::from(w) * f64::from(movie[[t, i as usize / SIDE, i as usize % SIDE]]);
                }
                traces.projections[[roi, t]] = sum as f32;
            }
        }
        let again = measure_traces(traces, &Overlaps::new(&footprints), &Parameters::default(), 10.0)
            .expect("cells");
        prop_assert!(close(&whole.corrected, &again.corrected, 1.0, 1e-4));
    }
}
