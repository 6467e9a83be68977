//! How long a whole drift analysis takes on random trials.
//!
//! ```sh
//! cargo run --release -p fluorspar-drift --example analyse_speed -- [CELLS] [SESSIONS] [TRIALS] [BINS]
//! ```

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::collections::BTreeMap;
use std::time::Instant;

use fluorspar_drift::{Epoch, Parameters, Session, analyse};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), fluorspar_drift::Error> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let number = |k: usize, default| numbers.get(k).copied().unwrap_or(default);
    let (cells, days) = (number(0, 73_307), number(1, 14));
    let (trials, bins) = (number(2, 200), number(3, 4));
    let sessions: Vec<Session> = (0..days)
        .map(|day| {
            let mut rng = ChaCha8Rng::seed_from_u64(day as u64);
            Session {
                activity: Array3::from_shape_simple_fn((trials, cells, bins), || rng.random()),
                cell: (0..cells as i64).collect(),
                time_s: (0..bins).map(|b| b as f64).collect(),
                day: day as f64,
                labels: BTreeMap::from([(
                    "odour1".to_owned(),
                    (0..trials as i64).map(|t| t % 2).collect(),
                )]),
                ..Session::default()
            }
        })
        .collect();
    let epochs: Vec<Epoch> = (0..4)
        .map(|k| Epoch {
            name: format!("epoch {k}"),
            start_s: (k * bins / 4) as f64,
            stop_s: ((k + 1) * bins / 4) as f64,
        })
        .collect();
    let parameters = Parameters {
        variables: vec!["odour1".into()],
        ..Parameters::default()
    };
    let begun = Instant::now();
    let drift = analyse(&sessions, &epochs, &parameters, &|_| {
        println!("{:7.1} s", begun.elapsed().as_secs_f64());
    })?;
    let rows: usize = drift.tables().iter().map(fluorspar_drift::Table::len).sum();
    println!(
        "{rows} rows of {cells} cells, {days} sessions, {trials} trials, {bins} bins: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
