//! Known spikes of simulated indicators that are not what the model assumes:
//! supralinear or saturating, with photon noise and a drifting baseline.

use fluorspar_deconvolve::{Kernel, Oasis, Parameters, nonnegative_ar1};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const RATE: f64 = 30.0;

/// How brightness depends on calcium, in units of one spike's.
#[derive(Clone, Copy, Debug)]
enum Response {
    Linear,
    /// Hill's equation with coefficient 1.8 and half of its range at 6 spikes.
    Supralinear,
    /// Half of its range at 8 spikes.
    Saturating,
}

impl Response {
    fn of(self, c: f64) -> f64 {
        match self {
            Self::Linear => c,
            Self::Supralinear => 6.0 * c.powf(1.8) / (c.powf(1.8) + 6.0_f64.powf(1.8)),
            Self::Saturating => 8.0 * c / (c + 8.0),
        }
    }
}

/// Trace and spike counts per frame: a rate that comes and goes, spikes in bursts.
fn simulate(
    tau: f64,
    rise: f64,
    noise: f64,
    response: Response,
    seed: u64,
) -> (Vec<f32>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal = move |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
    let kernel = Kernel::from_seconds(tau, rise, RATE).unwrap();
    let (g1, g2) = kernel.coefficients();
    let (mut drive, mut drift, mut c, mut before) = (0.0, 0.0, 0.0, 0.0);
    let mut spikes = Vec::new();
    let trace = (0..9000)
        .map(|_| {
            drive = 0.98 * drive + 0.2 * normal(&mut rng);
            drift += 0.002 * noise * normal(&mut rng);
            let mut count = 0.0;
            if rng.random::<f64>() < 0.3 / RATE * f64::exp(1.2 * drive - 0.7) {
                count = 1.0;
                while rng.random::<f64>() < 0.4 {
                    count += 1.0;
                }
            }
            spikes.push(count);
            (c, before) = (g1 * c + g2 * before + count / kernel.peak(), c);
            let bright = response.of(c);
            (0.5 + bright + drift + noise * (1.0 + bright).sqrt() * normal(&mut rng)) as f32
        })
        .collect();
    (trace, spikes)
}

/// Pearson's correlation after Gaussian smoothing of both.
fn correlation(events: &[f32], spikes: &[f64], sigma_s: f64) -> f64 {
    let sigma = sigma_s * RATE;
    let reach = (4.0 * sigma).ceil() as isize;
    let smooth = |v: Vec<f64>| -> Vec<f64> {
        (0..v.len() as isize)
            .map(|t| {
                (-reach..=reach)
                    .filter(|k| (0..v.len() as isize).contains(&(t + k)))
                    .map(|k| v[(t + k) as usize] * (-0.5 * (k as f64 / sigma).powi(2)).exp())
                    .sum()
            })
            .collect()
    };
    let a = smooth(events.iter().map(|&v| f64::from(v)).collect());
    let b = smooth(spikes.to_vec());
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(&a), mean(&b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(&b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    ab / (aa * bb).sqrt()
}

#[test]
fn spikes_are_found_as_well_as_with_a_fixed_decay_of_one_second() {
    let oasis = Oasis::new(Parameters {
        frame_rate: Some(RATE),
        ..Parameters::default()
    })
    .unwrap();
    let mut sums = (0.0, 0.0, 0.0);
    for (tau, rise, noise) in [(0.4, 0.02, 0.15), (0.7, 0.04, 0.3), (1.6, 0.12, 0.15)] {
        for response in [
            Response::Linear,
            Response::Supralinear,
            Response::Saturating,
        ] {
            let (trace, spikes) = simulate(tau, rise, noise, response, 5);
            let found = oasis.deconvolve(&trace).unwrap();
            let level = found.report.baseline;
            let plain = Array2::from_shape_fn((1, trace.len()), |(_, t)| trace[t] - level);
            let mut fixed = Array2::zeros(plain.dim());
            nonnegative_ar1(plain.view(), (-1.0 / RATE).exp(), fixed.view_mut()).unwrap();
            let (ours, theirs) = (
                correlation(&found.events, &spikes, 0.05),
                correlation(&fixed.row(0).to_vec(), &spikes, 0.05),
            );
            let slow = correlation(&found.events, &spikes, 0.2);
            assert!(slow > 0.85, "{tau} {response:?}: {slow}");
            assert!(ours > theirs - 0.01, "{tau} {response:?}: {ours} {theirs}");
            sums = (
                sums.0 + ours / 9.0,
                sums.1 + theirs / 9.0,
                sums.2 + slow / 9.0,
            );
            // The lag is less than a frame.
            let best = (-5..=5_isize)
                .max_by(|&a, &b| {
                    let moved = |k: isize| -> Vec<f32> {
                        (0..trace.len() as isize)
                            .map(|t| *found.events.get((t - k) as usize).unwrap_or(&0.0))
                            .collect()
                    };
                    let r = |k| correlation(&moved(k), &spikes, 0.05);
                    r(a).total_cmp(&r(b))
                })
                .unwrap();
            assert!(best.abs() <= 1, "{tau} {response:?}: {best}");
        }
    }
    assert!(sums.0 > sums.1 + 0.03 && sums.2 > 0.9, "{sums:?}");
}
