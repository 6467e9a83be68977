//! Traces of movies whose answer is known.

use fluorspar_movie::{ArrayMovie, Budget, Footprints, Movie, silent};
use fluorspar_trace::{
    Baseline, BaselineParameters, Coefficient, DeltaF, Error, NeuropilParameters, Valid, annuli,
    delta_f_over_f, extract, neuropil_coefficients, subtract_neuropil,
};
use ndarray::{Array2, Array3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn footprints(height: usize, width: usize) -> Footprints {
    let mut all = Footprints::new(height, width);
    for (y, x) in [(10, 10), (10, 17), (30, 40)] {
        let mut indices = Vec::new();
        let mut weights = Vec::new();
        for v in y - 3..=y + 3_usize {
            for u in x - 3..=x + 3_usize {
                indices.push((v * width + u) as u32);
                weights.push(1.0 / (1.0 + v.abs_diff(y) as f32 + u.abs_diff(x) as f32));
            }
        }
        all.push(&indices, &weights, 0).expect("sound footprint");
    }
    all
}

fn classical(f: &Array2<f32>, neuropil: &Array2<f32>) -> DeltaF {
    let corrected =
        subtract_neuropil(f.view(), neuropil.view(), &vec![0.7; f.nrows()]).expect("corrected");
    let parameters = BaselineParameters::default();
    delta_f_over_f(corrected.view(), f.view(), &parameters, 10.0).expect("dff")
}

fn movie(frames: usize, height: usize, width: usize) -> Array3<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    Array3::from_shape_simple_fn((frames, height, width), || rng.random_range(50.0..150.0))
}

#[test]
fn traces_are_weighted_means() {
    let data = movie(30, 48, 64);
    let rois = footprints(48, 64);
    let parameters = NeuropilParameters::default();
    let traces = extract(
        &ArrayMovie::new(data.clone()),
        &rois,
        &Valid::everywhere(),
        &parameters,
        Budget::default(),
        &silent,
    )
    .expect("traces");
    let rings = annuli(&rois, &parameters).expect("rings");
    for t in 0..30 {
        let frame = data.index_axis(ndarray::Axis(0), t);
        for roi in 0..rois.len() {
            let footprint = rois.get(roi);
            // Summed backwards and divided last: another order than the crate's.
            let (mut sum, mut total) = (0.0, 0.0);
            for (&i, &w) in footprint.indices.iter().zip(footprint.weights).rev() {
                sum += f64::from(w) * f64::from(frame[[i as usize / 64, i as usize % 64]]);
                total += f64::from(w);
            }
            assert!((f64::from(traces.f[[roi, t]]) - sum / total).abs() < 1e-4);
            let ring = &rings[roi].indices;
            let sum: f64 = ring
                .iter()
                .map(|&i| f64::from(frame[[i as usize / 64, i as usize % 64]]))
                .sum();
            let mean = sum / ring.len() as f64;
            assert!((f64::from(traces.neuropil[[roi, t]]) - mean).abs() < 1e-4);
        }
    }
}

#[test]
fn blocks_and_threads_do_not_change_a_byte() {
    let data = ArrayMovie::new(movie(101, 48, 64));
    let rois = footprints(48, 64);
    let run = |threads: usize, bytes: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(|| {
            let counted = std::sync::atomic::AtomicU64::new(0);
            let progress = |n| {
                counted.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
            };
            let traces = extract(
                &data,
                &rois,
                &Valid::everywhere(),
                &NeuropilParameters::default(),
                Budget { bytes },
                &progress,
            )
            .expect("traces");
            assert_eq!(counted.into_inner(), 101);
            let dff = classical(&traces.f, &traces.neuropil);
            (traces, dff)
        })
    };
    let one = run(1, 1 << 30);
    assert_eq!(one, run(2, 1 << 30));
    assert_eq!(one, run(3, 1 << 17));
    assert_eq!(one, run(1, 0));
}

#[test]
fn nan_pixels_are_left_out() {
    let mut data = Array3::from_elem((3, 48, 64), 80.0_f32);
    data[[1, 10, 10]] = f32::NAN;
    data[[1, 20, 20]] = f32::INFINITY;
    data.index_axis_mut(ndarray::Axis(0), 2).fill(f32::NAN);
    let traces = extract(
        &ArrayMovie::new(data),
        &footprints(48, 64),
        &Valid::everywhere(),
        &NeuropilParameters::default(),
        Budget::default(),
        &silent,
    )
    .expect("traces");
    for roi in 0..3 {
        assert!((traces.f[[roi, 1]] - 80.0).abs() < 1e-4);
        assert!((traces.neuropil[[roi, 1]] - 80.0).abs() < 1e-4);
        assert!(traces.f[[roi, 2]].is_nan() && traces.neuropil[[roi, 2]].is_nan());
    }
    let result = classical(&traces.f, &traces.neuropil);
    assert!(result.f0.iter().all(|&v| v.is_finite() && v > 0.0));
    assert!(result.dff[[0, 1]].abs() < 1e-4 && result.dff[[0, 2]].is_nan());
}

#[test]
fn neuropil_changes_do_not_reach_dff() {
    // A cell at rest under a neuropil that swings; then a transient of +100 %.
    let frames = 2000;
    let wave = |t: usize| 40.0 + 10.0 * (t as f32 / 37.0).sin();
    let neuropil = Array2::from_shape_fn((1, frames), |(_, t)| wave(t));
    let f = Array2::from_shape_fn((1, frames), |(_, t)| {
        let since = t as f32 - 1000.0;
        let transient = if since < 0.0 {
            0.0
        } else {
            (-since / 8.0).exp()
        };
        100.0 * (1.0 + transient) + 0.7 * wave(t)
    });
    let result = classical(&f, &neuropil);
    for t in (0..frames).filter(|t| !(1000..1100).contains(t)) {
        assert!(result.dff[[0, t]].abs() < 1e-3, "{t}");
        assert!((result.f0[[0, t]] - 100.0).abs() < 0.1);
    }
    assert!((result.dff[[0, 1000]] - 1.0).abs() < 1e-3);
}

#[test]
fn dff_recovers_transients_in_noise_and_bleaching() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let frames = 6000;
    let mut calcium = vec![0.0_f32; frames];
    for t in 1..frames {
        let spike = if rng.random_bool(0.005) { 0.8 } else { 0.0 };
        calcium[t] = calcium[t - 1] * (-0.1_f32 / 0.8).exp() + spike;
    }
    let f = Array2::from_shape_fn((1, frames), |(_, t)| {
        let rest = 200.0 * (1.0 - 0.3 * t as f32 / frames as f32);
        let noise: f32 = rng.sample(rand_distr::StandardNormal);
        rest * (1.0 + calcium[t]) + 4.0 * noise
    });
    let neuropil = Array2::zeros((1, frames));
    let result = classical(&f, &neuropil);
    let (mut off, mut square) = (0.0, 0.0);
    for t in 0..frames {
        let error = f64::from(result.dff[[0, t]] - calcium[t]);
        off += error / frames as f64;
        square += error * error / frames as f64;
    }
    // Noise alone is 0.02 to 0.03.
    assert!(off.abs() < 0.02, "bias {off}");
    assert!(square.sqrt() < 0.04, "error {}", square.sqrt());
}

#[test]
fn errors_of_coefficients_are_what_they_say() {
    // One true coefficient, cells firing at three rates: 0, 0.1 and 0.5 Hz.
    let (rois, frames, share) = (300, 2000, 0.8);
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for rate in [0.0, 0.1, 0.5] {
        let mut f = Array2::zeros((rois, frames));
        let mut neuropil = Array2::zeros((rois, frames));
        for roi in 0..rois {
            let (mut fast, mut slow, mut calcium) = (0.0_f32, 0.0_f32, 0.0_f32);
            for t in 0..frames {
                let mut normal = || -> f32 { rng.sample(rand_distr::StandardNormal) };
                fast = 0.93 * fast + 0.37 * normal();
                slow = 0.93 * slow + 0.07 * fast;
                let wave = 100.0 * (1.0 + 0.25 * slow);
                neuropil[[roi, t]] = wave + 3.0 * normal();
                let noise = 15.0 * normal();
                let spike = rng.random_bool(rate / 30.0);
                calcium = 0.967 * calcium + if spike { 0.3 } else { 0.0 };
                f[[roi, t]] = share * wave + 80.0 * (1.0 + calcium) + noise;
            }
        }
        let found =
            neuropil_coefficients(f.view(), neuropil.view(), &Coefficient::per_cell(), 30.0)
                .expect("coefficients");
        let n = rois as f64;
        let off = |v: &f64| v - f64::from(share);
        let bias = found.values.iter().map(off).sum::<f64>() / n;
        let spread = (found.values.iter().map(|v| off(v).powi(2)).sum::<f64>() / n).sqrt();
        let mut errors = found.errors.clone();
        errors.sort_by(f64::total_cmp);
        assert!(bias.abs() < 0.01, "{rate}: {bias}");
        let ratio = spread / errors[rois / 2];
        assert!((0.7..1.4).contains(&ratio), "{rate}: {ratio}");
    }
}

#[test]
fn rest_is_zero_whatever_noise_and_drift() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let frames = 9000;
    // 15 minutes at 10 Hz, bleaching by half, noise of 25 % per frame.
    let f = Array2::from_shape_fn((4, frames), |(roi, t)| {
        let rest = 100.0 * (0.5 + 0.5 * (-(t as f32) / 3000.0).exp());
        let noise: f32 = rng.sample(rand_distr::StandardNormal);
        // The last two are active in half of all half-minutes.
        let busy = roi >= 2 && (t / 300) % 2 == 1;
        rest * (1.0 + if busy { 1.0 } else { 0.0 }) + 25.0 * noise
    });
    for (baseline, low, high) in [
        (Baseline::default(), -0.03, 0.03),
        // The others stay below rest by what noise is.
        (Baseline::percentile(), 0.05, 0.2),
        (Baseline::maximin(), 0.1, 0.4),
    ] {
        let parameters = BaselineParameters {
            baseline,
            ..BaselineParameters::default()
        };
        let result = delta_f_over_f(f.view(), f.view(), &parameters, 10.0).expect("dff");
        for roi in 0..4 {
            let quiet: Vec<f32> = (0..frames)
                .filter(|t| roi < 2 || (t / 300) % 2 == 0)
                .map(|t| result.dff[[roi, t]])
                .collect();
            let mean = quiet.iter().sum::<f32>() / quiet.len() as f32;
            assert!((low..high).contains(&mean), "{baseline:?} {roi}: {mean}");
        }
    }
}

#[test]
fn a_dark_roi_has_a_finite_dff() {
    let f = Array2::from_shape_fn(
        (2, 100),
        |(roi, t)| {
            if roi == 0 { 0.0 } else { -5.0 + (t % 3) as f32 }
        },
    );
    let neuropil = Array2::from_elem((2, 100), 50.0);
    let result = classical(&f, &neuropil);
    assert!(result.f0.iter().all(|&v| v > 0.0));
    assert!(result.dff.row(1).iter().all(|v| v.is_finite()));
}

#[test]
fn misuse_is_named() {
    let data = ArrayMovie::new(Array3::<u16>::zeros((4, 8, 8)));
    let parameters = NeuropilParameters::default();
    let wrong = Footprints::new(8, 9);
    let error = extract(
        &data,
        &wrong,
        &Valid::everywhere(),
        &parameters,
        Budget::default(),
        &silent,
    );
    assert!(matches!(error, Err(Error::Shape { .. })));
    let mut deep = Footprints::new(8, 8);
    deep.push(&[3], &[1.0], 2).expect("sound footprint");
    let error = extract(
        &data,
        &deep,
        &Valid::everywhere(),
        &parameters,
        Budget::default(),
        &silent,
    );
    assert!(matches!(
        error,
        Err(Error::Plane {
            roi: 0,
            plane: 2,
            planes: 1
        })
    ));
    let none = Footprints::new(8, 8);
    let traces = extract(
        &data,
        &none,
        &Valid::everywhere(),
        &parameters,
        Budget::default(),
        &silent,
    )
    .expect("none");
    assert_eq!(traces.f.dim(), (0, data.shape().frames));
    let baseline = BaselineParameters::default();
    let empty = Array2::<f32>::zeros((2, 0));
    let result = delta_f_over_f(empty.view(), empty.view(), &baseline, 10.0).expect("empty");
    assert_eq!(result.dff.dim(), (2, 0));
    let other = Array2::<f32>::zeros((3, 0));
    assert!(delta_f_over_f(empty.view(), other.view(), &baseline, 10.0).is_err());
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(delta_f_over_f(empty.view(), empty.view(), &baseline, rate).is_err());
    }
    let bad = BaselineParameters {
        baseline: Baseline::Rest {
            timescale_s: f64::NAN,
        },
        ..baseline
    };
    assert!(bad.validate().is_err());
}
