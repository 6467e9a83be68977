//! Times a permutation test: reads `x.npy` (float32, trial × cell) and
//! `labels.npy` (int64) from a folder, and prints the seconds of what is done
//! once, the seconds of one permutation, and the p value.
//!
//! ```text
//! decode_permutations FOLDER FOLDS PERMUTATIONS
//! ```
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::path::PathBuf;
use std::time::Instant;

use fluorspar_decode::{
    CrossValidation, Features, Kernel, LinearSvm, PermutationTest, Scaling, gram,
};
use ndarray::{Array1, Array2};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let folds = arguments.next().ok_or("how many folds?")?.parse()?;
    let permutations = arguments.next().ok_or("how many permutations?")?.parse()?;
    let x: Array2<f32> = ndarray_npy::read_npy(folder.join("x.npy"))?;
    let labels: Array1<i64> = ndarray_npy::read_npy(folder.join("labels.npy"))?;

    let start = Instant::now();
    let features = Features::new(x.view());
    let scaling = Scaling::standardise(&features)?;
    let kernel = Kernel::new(gram(&features.scaled(&scaling)?)?.view())?;
    let once = start.elapsed().as_secs_f64();
    let validation = CrossValidation {
        folds,
        repeats: 1,
        seed: 1,
    };
    let svm = LinearSvm {
        tolerance: 1e-3,
        ..LinearSvm::default()
    };
    let test = PermutationTest {
        permutations,
        seed: 1,
    };
    let start = Instant::now();
    let (_, tested) = test.in_kernel(&validation, &svm, &kernel, &labels.to_vec())?;
    let each = start.elapsed().as_secs_f64() / permutations as f64;
    println!("{once} {each} {}", tested.p);
    Ok(())
}
