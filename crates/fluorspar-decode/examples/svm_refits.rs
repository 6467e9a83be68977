//! How long refits of the support vector machine take, by number of cells.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::time::Instant;

use fluorspar_decode::{Decoder, Kernel, LinearSvm, Workspace, linear_gram};
use ndarray::Array2;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let trials = 200;
    for cells in [5000] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
        let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
        let shared: Vec<f64> = (0..trials).map(|_| normal(&mut rng)).collect();
        let x = Array2::from_shape_fn((trials, cells), |(t, c)| {
            normal(&mut rng) + 0.1 * labels[t] as f64 + 0.3 * shared[t] * f64::from(u8::from(c % 3 == 0))
        });
        let kernel = Kernel::new(linear_gram(x.view()).view())?;
        let train: Vec<usize> = (0..trials).filter(|t| t % 5 != 0).collect();
        for tolerance in [1e-2, 1e-3, 1e-6] {
            let svm = LinearSvm { tolerance, ..LinearSvm::default() };
            let mut workspace = Workspace::default();
            let start = Instant::now();
            let refits = 2000;
            for _ in 0..refits {
                labels.shuffle(&mut rng);
                svm.fit(&kernel, &labels, &train, &mut workspace)?;
            }
            println!("{cells} cells, tolerance {tolerance}: {:.1} us a refit", start.elapsed().as_secs_f64() * 1e6 / refits as f64);
        }
    }
    Ok(())
}
