//! Optimality, published numbers and planted events.

use fluorspar_deconvolve::{Error, Oasis, Parameters, noise, oasis_ar1, time_constant};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

const Y: [f64; 10] = [0.0, 1.0, 0.9, 0.81, 0.2, 0.1, 1.5, 1.4, 0.3, 0.2];

#[test]
fn a_small_trace_has_its_known_solution() {
    let found = oasis_ar1(&Y, 0.9, 0.0).unwrap();
    for (t, &s) in found.events.iter().enumerate() {
        let expected = match t {
            1 => 0.7811,
            6 => 0.5892,
            _ => 0.0,
        };
        assert!((s - expected).abs() < 1e-4, "{t} {s}");
    }
}

fn cost(y: &[f64], s: &[f64], g: f64, lambda: f64) -> f64 {
    let mut c = 0.0;
    let mut out = 0.0;
    for (y, s) in y.iter().zip(s) {
        c = g * c + s;
        if y.is_finite() {
            out += 0.5 * (y - c) * (y - c);
        }
        out += lambda * s;
    }
    out
}

proptest! {
    /// The problem is convex: where no feasible step of one event lowers the
    /// cost, and its derivative has the right sign everywhere, it is solved.
    #[test]
    fn the_solution_is_optimal(y in prop::collection::vec(-1.0_f64..3.0, 3..40), g in 0.3_f64..0.98, lambda in 0.0_f64..1.0, gap in 0_usize..40) {
        let mut y = y;
        if gap < y.len() && gap > 0 {
            y[gap] = f64::NAN;
        }
        let found = oasis_ar1(&y, g, lambda).unwrap();
        let mut c = 0.0;
        for (t, &s) in found.events.iter().enumerate() {
            c = g * c + s;
            prop_assert!(s >= 0.0);
            prop_assert!((c - found.calcium[t]).abs() < 1e-9);
        }
        let base = cost(&y, &found.events, g, lambda);
        for t in 0..y.len() {
            let mut slope = lambda;
            let mut decay = 1.0;
            for (&y, &c) in y[t..].iter().zip(&found.calcium[t..]) {
                if y.is_finite() {
                    slope -= (y - c) * decay;
                }
                decay *= g;
            }
            prop_assert!(slope > -1e-7, "event {t} should grow: {slope}");
            if found.events[t] > 1e-9 {
                prop_assert!(slope.abs() < 1e-6, "event {t}: {slope}");
            }
        }
        prop_assert!(base.is_finite());
    }

    #[test]
    fn white_noise_is_measured(sigma in 0.01_f64..100.0, seed in 0_u64..100) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let normal = Normal::new(3.0 * sigma, sigma).unwrap();
        let trace: Vec<f32> = (0..4000).map(|_| normal.sample(&mut rng) as f32).collect();
        let found = noise::standard_deviation(&trace).unwrap();
        prop_assert!((found / sigma - 1.0).abs() < 0.08, "{found} {sigma}");
    }
}

fn simulated(frames: usize, g: f64, sigma: f64, seed: u64) -> (Vec<f32>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(0.0, sigma).unwrap();
    let mut c = 0.0;
    let mut spikes = Vec::new();
    let trace = (0..frames)
        .map(|_| {
            let s = if rng.random::<f64>() < 0.02 { 1.0 } else { 0.0 };
            spikes.push(s);
            c = g * c + s;
            (0.2 + c + normal.sample(&mut rng)) as f32
        })
        .collect();
    (trace, spikes)
}

#[test]
fn planted_events_come_back() {
    let (trace, spikes) = simulated(3000, 0.9, 0.1, 4);
    let oasis = Oasis::new(Parameters {
        tau_s: None,
        frame_rate: Some(10.0),
        ..Parameters::default()
    })
    .unwrap();
    let found = oasis.deconvolve(&trace).unwrap();
    assert!(
        (found.report.baseline - 0.2).abs() < 0.06,
        "{}",
        found.report.baseline
    );
    assert!(
        (found.report.kernel.decay() - 0.9).abs() < 0.05,
        "{:?}",
        found.report.kernel
    );
    // Correlation of both in bins of three samples.
    let bin = |v: &[f64]| {
        v.chunks(3)
            .map(|c| c.iter().sum::<f64>())
            .collect::<Vec<_>>()
    };
    let events: Vec<f64> = found.events.iter().map(|&v| f64::from(v)).collect();
    let (a, b) = (bin(&events), bin(&spikes));
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(&a), mean(&b));
    let dot = |u: &[f64], m: f64, v: &[f64], n: f64| {
        u.iter().zip(v).map(|(x, y)| (x - m) * (y - n)).sum::<f64>()
    };
    let r = dot(&a, ma, &b, mb) / (dot(&a, ma, &a, ma) * dot(&b, mb, &b, mb)).sqrt();
    assert!(r > 0.9, "{r}");
}

#[test]
fn the_decay_is_estimated_despite_noise() {
    let (trace, _) = simulated(100_000, 0.95, 0.3, 1);
    let g = time_constant::from_autocovariance(&trace, 0.3).unwrap();
    assert!((g - 0.949).abs() < 0.01, "{g}");
}

#[test]
fn empty_and_constant_traces() {
    let oasis = Oasis::new(Parameters {
        frame_rate: Some(30.0),
        ..Parameters::default()
    })
    .unwrap();
    let found = oasis.deconvolve(&[2.0; 100]).unwrap();
    assert!(found.events.iter().all(|&s| s == 0.0));
    assert_eq!((found.report.baseline, found.report.noise), (2.0, 0.0));
    assert!(matches!(oasis.deconvolve(&[]), Err(Error::TooShort { .. })));
    assert!(matches!(
        oasis.deconvolve(&[f32::NAN; 50]),
        Err(Error::TooShort { finite: 0, .. })
    ));
    assert!(
        Oasis::new(Parameters {
            tau_s: Some(0.0),
            ..Parameters::default()
        })
        .is_err()
    );
    assert!(oasis_ar1(&Y, 1.0, 0.0).is_err());
    assert!(oasis_ar1(&Y, 0.9, -1.0).is_err());
    let mut gaps = vec![0.0_f32; 200];
    gaps[50..80].fill(f32::NAN);
    gaps[100] = 5.0;
    assert!(
        oasis
            .deconvolve(&gaps)
            .unwrap()
            .events
            .iter()
            .all(|s| s.is_finite())
    );
}
