//! Level and power of the tests of crystallization on simulated experiments.
//!
//! `cargo run --release -p fluorspar-drift --example calibrate_tests -- [experiments] [cells] [scenario]`
//!
//! Each experiment is a population whose tuning drifts by a known law, seen
//! through trials with noise; similarities are disattenuated in closed form as in
//! the analysis, and resampled over cells. Sessions are one day apart.

#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "../tests/population/mod.rs"]
mod population;

use fluorspar_drift::law::{
    Options, Table, conclude, likelihood_test, rate_slope, rate_slope_difference,
};
use population::{Recording, Step, crystallizing, plain, stationary, tables, varying};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// For each animal its tables: the epoch asked about, and another one.
fn scenario(name: &str, cells: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<Table>> {
    let constant = |rate: f64, n: usize| vec![stationary(rate); n];
    let ten = plain(cells, 40, 10);
    let fourteen = plain(cells, 40, 14);
    let one = |epoch: Vec<Step>, other: Vec<Step>, how: &Recording, rng: &mut ChaCha8Rng| {
        vec![tables(&[epoch, other], how, rng)]
    };
    match name {
        "constant drift" => one(constant(0.2, 9), constant(0.1, 9), &ten, rng),
        "trials grow 20 to 200" => {
            let how = Recording {
                trials: (0..10).map(|s| 20 + 20 * s).collect(),
                ..ten
            };
            one(constant(0.2, 9), constant(0.1, 9), &how, rng)
        }
        "steps vary by chance" => {
            let steps = [varying(0.2, 0.4, 9, rng), varying(0.1, 0.4, 9, rng)];
            vec![tables(&steps, &ten, rng)]
        }
        "nested: 3 animals, steps vary" => (0..3)
            .map(|_| {
                let own: f64 = StandardNormal.sample(rng);
                let rate = 0.2 * (0.3 * own).exp();
                let steps = [varying(rate, 0.4, 9, rng), varying(0.1, 0.4, 9, rng)];
                tables(&steps, &ten, rng)
            })
            .collect(),
        "matches wrong by 0 to 20 %" => {
            let how = Recording {
                wrong: (0..10).map(|_| rng.random_range(0.0..0.2)).collect(),
                ..ten
            };
            one(constant(0.2, 9), constant(0.1, 9), &how, rng)
        }
        "fixed part and drift" => {
            let how = Recording { fixed: 0.8, ..ten };
            one(constant(0.5, 9), constant(0.2, 9), &how, rng)
        }
        "random walk, q = 0.2" => {
            let walk = vec![
                Step {
                    keep: 1.0,
                    step: 0.2_f64.sqrt()
                };
                13
            ];
            one(walk.clone(), walk, &fourteen, rng)
        }
        "random walk, q = 1" => {
            let walk = vec![
                Step {
                    keep: 1.0,
                    step: 1.0
                };
                13
            ];
            one(walk.clone(), walk, &fourteen, rng)
        }
        "steady steps from far off" => {
            let steady = vec![
                Step {
                    keep: 0.85,
                    step: 1.2
                };
                13
            ];
            one(steady.clone(), steady, &fourteen, rng)
        }
        "crystallization, 14 sessions" => one(crystallizing(13), constant(0.1, 13), &fourteen, rng),
        "crystallization, 9 sessions" => {
            let nine = plain(cells, 40, 9);
            one(crystallizing(8), constant(0.1, 8), &nine, rng)
        }
        _ => Vec::new(),
    }
}

const SCENARIOS: [&str; 11] = [
    "constant drift",
    "trials grow 20 to 200",
    "steps vary by chance",
    "nested: 3 animals, steps vary",
    "matches wrong by 0 to 20 %",
    "fixed part and drift",
    "random walk, q = 0.2",
    "random walk, q = 1",
    "steady steps from far off",
    "crystallization, 14 sessions",
    "crystallization, 9 sessions",
];

/// Share in percent and its 95 % interval (Wilson 1927).
fn rate(hits: usize, n: usize) -> String {
    let (p, n) = (hits as f64 / n as f64, n as f64);
    let z2 = 1.96_f64.powi(2);
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = 1.96 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    format!(
        "{:.1} ({:.1}-{:.1})",
        100.0 * p,
        100.0 * (middle - half).max(0.0),
        100.0 * (middle + half)
    )
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        arguments
            .next()
            .and_then(|a| a.parse().ok())
            .unwrap_or(default)
    };
    let (experiments, cells) = (number(1000), number(200));
    let only = std::env::args().nth(3).unwrap_or_default();
    println!(
        "% of {experiments} experiments rejected at 5 % (95 % interval), {cells} cells, 40 trials"
    );
    println!(
        "| scenario | plateau | random walk | steady steps | likelihood ratio | order of steps alone | resamples alone | slope | difference | crystallization |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (index, name) in SCENARIOS.iter().enumerate() {
        if !name.contains(&only) {
            continue;
        }
        let found: Vec<[bool; 9]> = (0..experiments)
            .into_par_iter()
            .map(|k| one_experiment(name, cells, (index * 1_000_003 + k) as u64))
            .collect();
        let shares: Vec<String> = (0..9)
            .map(|c| rate(found.iter().filter(|f| f[c]).count(), experiments))
            .collect();
        println!("| {name} | {} |", shares.join(" | "));
    }
}

fn one_experiment(name: &str, cells: usize, seed: u64) -> [bool; 9] {
    let animals = scenario(name, cells, &mut ChaCha8Rng::seed_from_u64(seed));
    let options = Options {
        simulations: 99,
        permutations: 99,
        seed,
        ..Options::default()
    };
    let asked: Vec<Table> = animals.iter().map(|a| a[0].clone()).collect();
    let other: Vec<Table> = animals.iter().map(|a| a[1].clone()).collect();
    let law = likelihood_test(&asked, &options);
    let slope = rate_slope(&asked, &options);
    let difference = rate_slope_difference(&asked, &[other], &options);
    let conclusion = conclude(&law, &slope, 0.95, seed);
    let (Ok(law), Ok(slope), Ok(difference)) = (law, slope, difference) else {
        return [false; 9];
    };
    let low = |p: f64| p <= 0.05;
    [
        low(law.nulls[0].p),
        low(law.nulls[1].p),
        low(law.nulls[2].p),
        low(law.p),
        low(slope.p_order),
        low(slope.p_resampled),
        low(slope.p),
        low(difference.p),
        low(conclusion.p),
    ]
}
