//! Laws of whole deconvolutions: what must not matter, what must scale, and bad input.

use fluorspar_deconvolve::{
    Baseline, Error, Flag, Kernel, Oasis, Parameters, Sparsity, calcium, nonnegative_ar1,
};
use ndarray::{Array2, ArrayView2, Axis, s};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Traces with spikes of 1 in 2 % of frames and Gaussian noise, in steps of
/// 2⁻¹⁰ so that constants can be added without rounding.
fn traces(rois: usize, frames: usize, kernel: Kernel, sigma: f64, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut out = Array2::zeros((rois, frames));
    for mut row in out.rows_mut() {
        let spikes: Vec<f32> = (0..frames)
            .map(|_| f32::from(u8::from(rng.random::<f64>() < 0.02)))
            .collect();
        for (slot, c) in row.iter_mut().zip(calcium(&spikes, kernel)) {
            let noise: f64 = StandardNormal.sample(&mut rng);
            *slot = ((f64::from(c) + sigma * noise) * 1024.0).round() as f32 / 1024.0;
        }
    }
    out
}

fn kernel_of(rising: bool) -> Kernel {
    Kernel::new(0.9, if rising { 0.5 } else { 0.0 }).unwrap()
}

fn all(parameters: Parameters, traces: ArrayView2<'_, f32>) -> Array2<f32> {
    Oasis::new(parameters)
        .unwrap()
        .deconvolve_all(traces)
        .unwrap()
        .events
}

fn assert_close(a: &Array2<f32>, b: &Array2<f32>, tolerance: f32) {
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= tolerance, "{i}: {x} {y}");
    }
}

fn sparsities() -> impl Strategy<Value = Sparsity> {
    prop_oneof![
        Just(Sparsity::NonNegative),
        (0.0_f64..3.0).prop_map(|lambda| Sparsity::Penalty { lambda }),
        Just(Sparsity::Noise),
        (0.0_f64..4.0).prop_map(|s_min| Sparsity::Smallest { s_min }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_constant_leaves_events_alone(rising: bool, sparsity in sparsities(), constant in -50_i16..50, seed in 0_u64..100) {
        // Which of two almost equal solutions a minimum size leads to may depend on rounding.
        prop_assume!(!matches!(sparsity, Sparsity::Smallest { .. }));
        let kernel = kernel_of(rising);
        let parameters = Parameters { kernel: Some(kernel), sparsity, ..Parameters::default() };
        let y = traces(3, 400, kernel, 0.2, seed);
        let events = all(parameters, y.view());
        prop_assert!(events.iter().any(|&s| s > 0.3));
        assert_close(&events, &all(parameters, (&y + f32::from(constant)).view()), 2e-3);
    }

    #[test]
    fn scaling_scales(rising: bool, sparsity in sparsities(), power in -8_i32..8, seed in 0_u64..100) {
        let kernel = kernel_of(rising);
        let parameters = Parameters { kernel: Some(kernel), sparsity, ..Parameters::default() };
        let y = traces(3, 400, kernel, 0.2, seed);
        let factor = 2.0_f32.powi(power);
        let events = all(parameters, y.view());
        let scaled = all(parameters, (&y * factor).view()) / factor;
        assert_close(&events, &scaled, 1e-4);
    }

    #[test]
    fn the_order_of_rois_does_not_matter(rising: bool, learn: bool, sparsity in sparsities(), seed in 0_u64..100) {
        let kernel = kernel_of(rising);
        let parameters = Parameters {
            kernel: (!learn).then_some(kernel),
            frame_rate: Some(10.0),
            learning_traces: 5,
            sparsity,
            ..Parameters::default()
        };
        let mut y = traces(19, 300, kernel, 0.2, seed);
        y[[3, 50]] = f32::NAN;
        y.row_mut(7).fill(2.0);
        let order: Vec<usize> = (0..19).map(|i| (i * 7 + 3) % 19).collect();
        let events = all(parameters, y.view()).select(Axis(0), &order);
        prop_assert_eq!(events, all(parameters, y.select(Axis(0), &order).view()));
    }

    #[test]
    fn gaps_are_bridged_by_decay(rising: bool, sparsity in sparsities(), start in 0_usize..390, length in 1_usize..60, seed in 0_u64..100) {
        let kernel = kernel_of(rising);
        let parameters = Parameters { kernel: Some(kernel), sparsity, ..Parameters::default() };
        let mut y = traces(2, 400, kernel, 0.2, seed);
        let end = (start + length).min(400);
        y.slice_mut(s![0, start..end]).fill(f32::NAN);
        y.slice_mut(s![1, start..end]).fill(f32::INFINITY);
        let events = all(parameters, y.view());
        prop_assert!(events.iter().all(|s| s.is_finite() && *s >= 0.0));
        // With a rise, an event just before a gap's end may explain the samples after it.
        if !rising {
            prop_assert!(events.slice(s![.., start + 1..end]).iter().all(|&s| s == 0.0));
        }
    }
}

#[test]
fn threads_lanes_and_layout_do_not_matter() {
    for rising in [false, true] {
        let kernel = kernel_of(rising);
        let y = traces(21, 700, kernel, 0.2, 3);
        let parameters = Parameters {
            frame_rate: Some(10.0),
            ..Parameters::default()
        };
        let pool = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
        };
        let one = pool(1).install(|| all(parameters, y.view()));
        for threads in [2, 5] {
            assert_eq!(one, pool(threads).install(|| all(parameters, y.view())));
        }
        // Frame-major memory, seen through a transposed view.
        let columns = y.t().as_standard_layout().into_owned();
        assert_eq!(one, all(parameters, columns.t()));
        // One at a time there are no lanes.
        let given = Parameters {
            kernel: Some(kernel),
            ..Parameters::default()
        };
        let together = all(given, y.view());
        for (roi, trace) in y.rows().into_iter().enumerate() {
            let alone = Oasis::new(given)
                .unwrap()
                .deconvolve(&trace.to_vec())
                .unwrap();
            assert_eq!(together.row(roi).to_vec(), alone.events, "{roi}");
        }
    }
}

#[test]
fn lanes_agree_with_the_solver_of_one_trace() {
    let kernel = kernel_of(false);
    let mut y = traces(24, 1000, kernel, 0.4, 9);
    y[[20, 100]] = f32::NAN;
    let mut events = Array2::zeros(y.dim());
    nonnegative_ar1(y.view(), 0.9, events.view_mut()).unwrap();
    for (roi, trace) in y.rows().into_iter().enumerate() {
        let trace: Vec<f64> = trace.iter().map(|&v| f64::from(v)).collect();
        let one = fluorspar_deconvolve::oasis_ar1(&trace, 0.9, 0.0).unwrap();
        for (a, b) in events.row(roi).iter().zip(&one.events) {
            assert_eq!(*a, *b as f32);
        }
    }
    assert!(nonnegative_ar1(y.view(), 1.0, events.view_mut()).is_err());
    let mut small = Array2::zeros((24, 10));
    assert!(matches!(
        nonnegative_ar1(y.view(), 0.9, small.view_mut()),
        Err(Error::Shape { .. })
    ));
}

#[test]
fn each_sparsity_keeps_its_word() {
    for rising in [false, true] {
        let kernel = kernel_of(rising);
        let y = traces(5, 1500, kernel, 0.2, 11);
        let run = |sparsity, baseline| {
            Oasis::new(Parameters {
                kernel: Some(kernel),
                sparsity,
                baseline,
                ..Parameters::default()
            })
            .unwrap()
            .deconvolve_all(y.view())
            .unwrap()
        };
        let smallest = run(Sparsity::Smallest { s_min: 3.0 }, Baseline::default());
        let noise = run(Sparsity::Noise, Baseline::default());
        let joint = run(Sparsity::Noise, Baseline::Joint);
        let plain = run(Sparsity::NonNegative, Baseline::default());
        let mut constrained = 0;
        for roi in 0..5 {
            // The first event of AR(1) is the calcium itself, of whatever size.
            let report = smallest.reports[roi];
            assert!(
                smallest
                    .events
                    .row(roi)
                    .iter()
                    .skip(1)
                    .all(|&s| s == 0.0 || s >= 2.99 * report.noise),
                "{roi}"
            );
            let report = joint.reports[roi];
            let fitted = calcium(&joint.events.row(roi).to_vec(), kernel);
            let left: f32 = y
                .row(roi)
                .iter()
                .zip(&fitted)
                .map(|(y, c)| (y - c - report.baseline).powi(2))
                .sum();
            let variance = left / 1500.0;
            let ratio = variance / report.noise.powi(2);
            // Where even no penalty leaves more than the noise, there is none.
            if report.lambda > 0.0 {
                constrained += 1;
                assert!((ratio - 1.0).abs() < 0.001, "{ratio} {report:?}");
            } else {
                assert!(ratio >= 0.999, "{ratio} {report:?}");
            }
            assert!((report.noise / 0.2 - 1.0).abs() < 0.15, "{report:?}");
            assert!(
                (joint.reports[roi].baseline).abs() < 0.08,
                "{:?}",
                joint.reports[roi]
            );
            let count = |events: &Array2<f32>| events.row(roi).iter().filter(|&&s| s > 0.0).count();
            assert!(count(&smallest.events) < count(&noise.events));
            assert!(count(&noise.events) <= count(&plain.events));
            // About 30 spikes of size 1 were planted.
            assert!((10..60).contains(&count(&smallest.events)));
        }
        assert!(constrained >= 3, "{constrained}");
    }
}

#[test]
fn the_kernel_is_learnt() {
    for (tau, rise, rate) in [(0.5, 0.0, 30.0), (1.2, 0.1, 30.0), (0.8, 0.05, 60.0)] {
        let kernel = Kernel::from_seconds(tau, rise, rate).unwrap();
        let y = traces(12, 4000, kernel, 0.1, 2);
        let oasis = Oasis::new(Parameters {
            frame_rate: Some(rate),
            ..Parameters::default()
        })
        .unwrap();
        let learned = oasis.learn(y.view()).unwrap();
        let found = learned.kernel;
        let ratio = found.decay_samples() / rate / tau;
        assert!((0.75..1.45).contains(&ratio), "{tau} {rise}: {found:?}");
        assert!(
            (found.rise_samples() / rate - rise).abs() < 0.04,
            "{tau} {rise}: {found:?}"
        );
        // Without the shift towards long decays and what is known before.
        let mut alone: Vec<f64> = learned.traces.iter().map(|t| t.1.log_tau.exp()).collect();
        alone.sort_by(f64::total_cmp);
        assert!((alone[6] / tau - 1.0).abs() < 0.25, "{tau}: {alone:?}");
    }
    // Noise says nothing: what is known before remains.
    let mut noise = traces(6, 2000, kernel_of(false), 1.0, 5);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    noise.mapv_inplace(|_| StandardNormal.sample(&mut rng));
    let oasis = Oasis::new(Parameters {
        frame_rate: Some(10.0),
        ..Parameters::default()
    })
    .unwrap();
    let learned = oasis.learn(noise.view()).unwrap();
    assert!(
        (learned.kernel.decay_samples() / 10.0 - 0.7).abs() < 0.3,
        "{:?}",
        learned.kernel
    );
}

#[test]
fn bad_traces_are_flagged_and_nothing_is_lost() {
    for rising in [false, true] {
        let kernel = kernel_of(rising);
        let mut y = traces(10, 300, kernel, 0.2, 4);
        y.row_mut(0).fill(f32::NAN);
        y.row_mut(3).fill(-4.0);
        y.row_mut(4).fill(f32::NAN);
        y[[4, 10]] = 3.0;
        y.row_mut(5).mapv_inplace(|v| v - 1e4);
        y.row_mut(6).mapv_inplace(|v| v * 1e30);
        y.row_mut(8).fill(f32::INFINITY);
        for sparsity in [
            Sparsity::NonNegative,
            Sparsity::Noise,
            Sparsity::Smallest { s_min: 2.0 },
        ] {
            let oasis = Oasis::new(Parameters {
                kernel: Some(kernel),
                sparsity,
                ..Parameters::default()
            })
            .unwrap();
            let found = oasis.deconvolve_all(y.view()).unwrap();
            let flags: Vec<Flag> = found.reports.iter().map(|r| r.flag).collect();
            for (roi, flag) in flags.iter().enumerate() {
                let expected = match roi {
                    0 | 4 | 8 => Flag::TooFewSamples,
                    3 => Flag::Constant,
                    _ => Flag::Deconvolved,
                };
                assert_eq!(*flag, expected, "{roi}");
                let events = found.events.row(roi);
                assert!(events.iter().all(|s| s.is_finite()), "{roi}");
                assert_eq!(
                    events.iter().any(|&s| s > 0.0),
                    expected == Flag::Deconvolved,
                    "{roi}"
                );
            }
        }
    }
    // Shorter than any indicator's decay.
    let short = Oasis::new(Parameters {
        frame_rate: Some(100.0),
        ..Parameters::default()
    })
    .unwrap();
    assert!(short.deconvolve(&[0.0, 1.0, 0.5].repeat(8)).is_ok());
    let oasis = Oasis::new(Parameters {
        kernel: Some(kernel_of(false)),
        ..Parameters::default()
    })
    .unwrap();
    assert_eq!(
        oasis
            .deconvolve_all(Array2::zeros((0, 100)).view())
            .unwrap()
            .events
            .dim(),
        (0, 100)
    );
    assert!(oasis.deconvolve(&[f32::NAN; 40]).is_err());
}

#[test]
fn absurd_parameters_are_named() {
    let rate = Some(30.0);
    let named = |parameters: Parameters| match Oasis::new(parameters) {
        Err(error) => error.to_string(),
        Ok(oasis) => oasis
            .deconvolve(&[0.0, 1.0].repeat(50))
            .unwrap_err()
            .to_string(),
    };
    for tau in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.001, 1e9, 100.0] {
        let error = named(Parameters {
            frame_rate: rate,
            tau_s: Some(tau),
            ..Parameters::default()
        });
        assert!(error.starts_with("tau_s"), "{tau}: {error}");
    }
    for frame_rate in [Some(0.0), Some(-3.0), Some(f64::NAN), None] {
        let error = named(Parameters {
            frame_rate,
            ..Parameters::default()
        });
        assert!(error.starts_with("frame_rate"), "{error}");
    }
    for rise in [-0.1, f64::NAN, 2.0] {
        let error = named(Parameters {
            frame_rate: rate,
            tau_s: Some(1.0),
            rise_s: Some(rise),
            ..Parameters::default()
        });
        assert!(error.starts_with("rise_s"), "{error}");
    }
    let kernel = Some(kernel_of(false));
    for sparsity in [
        Sparsity::Penalty { lambda: -1.0 },
        Sparsity::Smallest { s_min: f64::NAN },
    ] {
        assert!(
            Oasis::new(Parameters {
                kernel,
                sparsity,
                ..Parameters::default()
            })
            .is_err()
        );
    }
    assert!(
        Oasis::new(Parameters {
            kernel,
            baseline: Baseline::Joint,
            ..Parameters::default()
        })
        .is_err()
    );
    assert!(
        Oasis::new(Parameters {
            kernel,
            baseline: Baseline::Given(f64::NAN),
            ..Parameters::default()
        })
        .is_err()
    );
    assert!(Kernel::from_coefficients(1.2, -0.5).is_err());
    let ar2 = Kernel::from_coefficients(1.7, -0.71).unwrap();
    let (g1, g2) = ar2.coefficients();
    assert!((g1 - 1.7).abs() < 1e-12 && (g2 + 0.71).abs() < 1e-12);
}

#[test]
fn kernels_peak_and_norm_as_sums_say() {
    for (d, r) in [(0.9, 0.0), (0.95, 0.6), (0.99, 0.9), (0.3, 0.1)] {
        let kernel = Kernel::new(d, r).unwrap();
        let (g1, g2) = kernel.coefficients();
        let (mut h, mut before) = (1.0, 0.0);
        let (mut squares, mut peak, mut at) = (0.0, 0.0_f64, 0);
        for k in 0..5000 {
            assert!((kernel.at(k) - h).abs() < 1e-9);
            squares += h * h;
            if h > peak {
                (peak, at) = (h, k);
            }
            (h, before) = (g1 * h + g2 * before, h);
        }
        assert!((kernel.norm() - f64::sqrt(squares)).abs() < 1e-9 * squares);
        assert_eq!((kernel.peak_samples(), kernel.peak()), (at, kernel.at(at)));
    }
}
