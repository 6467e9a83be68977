//! How long refits of the support vector machine take, by number of cells.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::time::Instant;

use fluorspar_decode::{Decoder, Kernel, LinearSvm, Workspace, linear_gram};
use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let trials = 200;
    let train: Vec<usize> = (0..trials).filter(|t| t % 5 != 0).collect();
    for (cells, scale) in [(20, 8.0), (50, 1.0), (150, 1.0), (500, 1.0), (5000, 1.0)] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
        let x = Array2::from_shape_fn((trials, cells), |(t, _)| {
            let noise: f64 = StandardNormal.sample(&mut rng);
            scale * (noise + 0.1 * labels[t] as f64)
        });
        let kernel = Kernel::new(linear_gram(x.view()).view())?;
        for tolerance in [1e-2, 1e-3, 1e-6] {
            let svm = LinearSvm {
                tolerance,
                ..LinearSvm::default()
            };
            let mut workspace = Workspace::default();
            let start = Instant::now();
            let refits = 100;
            for _ in 0..refits {
                labels.shuffle(&mut rng);
                svm.fit(&kernel, &labels, &train, &mut workspace)?;
            }
            let each = start.elapsed().as_secs_f64() / f64::from(refits);
            println!(
                "{cells} cells, tolerance {tolerance}: {:.0} us a refit",
                1e6 * each
            );
        }
    }
    Ok(())
}
