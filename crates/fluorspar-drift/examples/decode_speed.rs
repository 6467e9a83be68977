//! How long decoding takes: sessions of one label and four epochs, all pairs of
//! sessions in both directions, permutations for each.
//!
//! ```text
//! decode_speed [CELLS] [TRIALS] [SESSIONS] [PERMUTATIONS]
//! ```
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::collections::BTreeMap;
use std::time::Instant;

use fluorspar_drift::{Epoch, Parameters, Session, decode};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn session(number: usize, cells: usize, trials: usize) -> Session {
    let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
    let labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
    Session {
        activity: Array3::from_shape_fn((trials, cells, 4), |(trial, cell, _)| {
            let tuned = if cell % 97 == number % 97 { 0.2 } else { 0.0 };
            rng.random::<f32>() + tuned * labels[trial] as f32
        }),
        cell: (0..cells as i64).collect(),
        time_s: vec![0.0, 1.0, 2.0, 3.0],
        day: number as f64,
        labels: BTreeMap::from([("odour".to_owned(), labels)]),
        ..Session::default()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse());
    let mut next = |usual: usize| arguments.next().unwrap_or(Ok(usual));
    let (cells, trials) = (next(73_307)?, next(200)?);
    let (sessions, permutations) = (next(14)?, next(1000)?);
    let sessions: Vec<Session> = (0..sessions).map(|n| session(n, cells, trials)).collect();
    let epochs: Vec<Epoch> = (0..4)
        .map(|k| Epoch {
            name: format!("epoch {k}"),
            start_s: f64::from(k),
            stop_s: f64::from(k + 1),
        })
        .collect();
    let parameters = Parameters {
        variables: vec!["odour".into()],
        permutations,
        ..Parameters::default()
    };
    let start = Instant::now();
    let rows = decode(&sessions, &epochs, &parameters)?;
    let seconds = start.elapsed().as_secs_f64();
    let count = rows.iter().filter(|row| row.metric == "decoding").count();
    println!("{cells} cells, {trials} trials: {count} decoded pairs in {seconds:.1} s");
    Ok(())
}
