//! How far F0 is from the truth, for three baselines on simulated traces.
//!
//! ```sh
//! cargo run --release -p fluorspar-trace --example compare_baselines
//! ```
//!
//! 20 minutes at 30 Hz, a cell of so many photons per frame at rest, active in
//! epochs (exponential, 20 s on average unless said) that fill the given share
//! of the time; in an epoch one transient per second of 50 %
//! ΔF/F, rise 0.1 s, decay 1 s.

#![allow(missing_docs, clippy::print_stdout, reason = "an example")]

use fluorspar_trace::{Baseline, BaselineParameters, delta_f_over_f};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Poisson};

const RATE: f64 = 30.0;
const FRAMES: usize = 36_000;
const CELLS: usize = 8;

fn calcium(rng: &mut ChaCha8Rng, duty: f64, epoch_s: f64) -> Vec<f64> {
    let mut active = vec![false; FRAMES];
    if duty > 0.0 {
        let rest = Exp::new(duty / (epoch_s * (1.0 - duty) * RATE)).expect("a rate");
        let epoch = Exp::new(1.0 / (epoch_s * RATE)).expect("a rate");
        let mut t = rest.sample(rng) as usize;
        while t < FRAMES {
            let end = (t + epoch.sample(rng) as usize).min(FRAMES);
            active[t..end].fill(true);
            t = end + rest.sample(rng) as usize + 1;
        }
    }
    // The difference of two decays, scaled to a peak of 1.
    let (slow, fast) = ((-1.0 / RATE).exp(), (-1.0 / (0.1 * RATE)).exp());
    let peak = (0..90)
        .map(|k| slow.powi(k) - fast.powi(k))
        .fold(0.0, f64::max);
    let (mut a, mut b) = (0.0, 0.0);
    active
        .iter()
        .map(|&active| {
            let spike = active && rng.random_bool(1.0 / RATE);
            let step = f64::from(u8::from(spike));
            (a, b) = (slow * a + step, fast * b + step);
            0.5 * (a - b) / peak
        })
        .collect()
}

fn level(kind: &str, t: usize) -> f64 {
    let seconds = t as f64 / RATE;
    match kind {
        "bleaching" => 0.6 + 0.4 * (-seconds / 300.0).exp(),
        "drift in 3 min" => 1.0 + 0.1 * (seconds * std::f64::consts::TAU / 180.0).sin(),
        "slow drift" => 1.0 + 0.2 * (seconds * std::f64::consts::TAU / 600.0 + 1.0).sin(),
        _ => 1.0,
    }
}

fn main() {
    let methods = [
        Baseline::default(),
        Baseline::percentile(),
        Baseline::maximin(),
    ];
    println!("| F0 | photons | active | rest | percentile | maximin |");
    println!("|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for photons in [20.0, 200.0] {
        for kind in ["steady", "bleaching", "slow drift", "offset −50 %"] {
            for duty in [0.0, 0.05, 0.2, 0.6] {
                rows.push((photons, kind, duty, 20.0));
            }
        }
    }
    rows.extend([0.0, 0.2].map(|duty| (200.0, "drift in 3 min", duty, 20.0)));
    for (name, epoch_s) in [("60 s epochs", 60.0), ("3 min epochs", 180.0)] {
        rows.extend([0.2, 0.6].map(|duty| (200.0, name, duty, epoch_s)));
    }
    for (photons, kind, duty, epoch_s) in rows {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let offset = if kind.starts_with("offset") { 0.5 } else { 0.0 };
        let mut f = Array2::zeros((CELLS, FRAMES));
        for mut row in f.rows_mut() {
            let calcium = calcium(&mut rng, duty, epoch_s);
            for (t, value) in row.iter_mut().enumerate() {
                let mean = photons * level(kind, t) * (1.0 + calcium[t]);
                let count: f64 = Poisson::new(mean).expect("a mean").sample(&mut rng);
                *value = (count - offset * photons) as f32;
            }
        }
        let errors = methods.map(|baseline| {
            let parameters = BaselineParameters {
                baseline,
                ..BaselineParameters::default()
            };
            let found = delta_f_over_f(f.view(), f.view(), &parameters, RATE).expect("ΔF/F");
            let (mut mean, mut square) = (0.0, 0.0);
            for row in found.f0.rows() {
                for (t, &f0) in row.iter().enumerate() {
                    let truth = photons * (level(kind, t) - offset);
                    let error = f64::from(f0) / truth - 1.0;
                    mean += error / f.len() as f64;
                    square += error * error / f.len() as f64;
                }
            }
            format!("{:+.1} ± {:.1}", 100.0 * mean, 100.0 * square.sqrt())
        });
        println!(
            "| {kind} | {photons} | {:.0} % | {} |",
            100.0 * duty,
            errors.join(" | ")
        );
    }
}
