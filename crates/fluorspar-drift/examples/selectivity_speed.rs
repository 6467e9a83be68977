//! How long permutation tests of selectivity take: `selectivity_speed
//! [cells] [trials] [permutations]`, 73,307 cells, 200 trials and 10,000
//! permutations unless given.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::time::Instant;

use fluorspar_drift::single_cell::{Permutations, Statistic, selectivity};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1);
    let mut next = |default: usize| -> Result<usize, std::num::ParseIntError> {
        numbers.next().map_or(Ok(default), |text| text.parse())
    };
    let (cells, trials, permutations) = (next(73_307)?, next(200)?, next(10_000)?);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Events: most trials silent, as deconvolved activity is.
    let activity =
        Array2::from_shape_simple_fn((cells, trials), || (rng.random::<f32>() - 0.6).max(0.0));
    println!("{cells} cells, {trials} trials, {permutations} permutations");
    let even: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
    let uneven: Vec<i64> = (0..trials as i64).map(|t| i64::from(t % 5 < 2)).collect();
    let four: Vec<i64> = (0..trials as i64).map(|t| t % 4).collect();
    for (name, labels, statistic) in [
        ("index", &even, Statistic::Index),
        ("d' of equal classes", &even, Statistic::DPrime),
        ("d' of unequal classes", &uneven, Statistic::DPrime),
        ("auROC", &even, Statistic::AuRoc),
        ("eta squared of four classes", &four, Statistic::EtaSquared),
    ] {
        let start = Instant::now();
        let drawn = Permutations::new(labels, None, permutations, 1)?;
        let found = selectivity(activity.view(), &drawn, statistic)?;
        let seconds = start.elapsed().as_secs_f64();
        let small = found.p.iter().filter(|&&p| p <= 0.05).count();
        println!("{name}: {seconds:.1} s, {small} cells with p <= 0.05");
    }
    Ok(())
}
