//! What denoising a 512 × 512 movie costs: the machine's rate of products, the
//! search in a block (per second: multiplications and additions in matrix
//! products), and whole movies (frames per second; 2 ms a frame is 500).
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use fluorspar_denoise::{BlockSearch, Denoiser, Parameters};
use fluorspar_movie::{ArrayMovie, Budget, silent};
use ndarray::{Array2, Array3, ShapeBuilder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move || StandardNormal.sample(&mut rng)
}

/// One core and all: products of 1500 × 1500 in `f32`.
fn limit(c: &mut Criterion) {
    let n = 1500;
    let mut next = random(1);
    let a: Mat<f32> = Mat::from_fn(n, n, |_, _| next());
    let threads = rayon::current_num_threads();
    let mut group = c.benchmark_group("limit");
    group.sample_size(20);
    for cores in [1, threads] {
        let mut outs: Vec<Mat<f32>> = (0..cores).map(|_| Mat::zeros(n, n)).collect();
        group.throughput(Throughput::Elements((cores * 2 * n * n * n) as u64));
        group.bench_function(format!("product_{cores}_cores"), |b| {
            b.iter(|| {
                outs.par_iter_mut().for_each(|out| {
                    matmul(out.as_mut(), Accum::Replace, &a, &a, 1.0, Par::Seq);
                });
            });
        });
    }
    group.finish();
}

/// Blocks of 32 × 32 pixels with eight smooth components, on all cores.
fn blocks(c: &mut Criterion) {
    let parameters = Parameters::default();
    let mut group = c.benchmark_group("block_32x32");
    group.sample_size(20);
    for bins in [125, 500, 2000] {
        let mut next = random(2);
        let block = Array2::from_shape_fn((1024, bins).f(), |(p, t)| {
            let (y, x, t) = ((p / 32) as f32, (p % 32) as f32, t as f32);
            let waves = (1..=8).map(|k| {
                let k = k as f32;
                (t / (3.0 + k)).sin() * (y * k / 20.0 + x / (4.0 + k)).cos()
            });
            next() + waves.sum::<f32>()
        });
        let Ok(search) = BlockSearch::new([1, 32, 32], bins, &parameters) else {
            return;
        };
        let shape = [1, 32, 32];
        let Ok(found) = search.components(block.view(), shape) else {
            return;
        };
        let count = 8 * rayon::current_num_threads();
        group.throughput(Throughput::Elements(count as u64 * found.operations));
        group.bench_function(format!("{bins}_bins"), |b| {
            b.iter(|| {
                (0..count)
                    .into_par_iter()
                    .map(|_| search.components(block.view(), shape).is_ok())
                    .collect::<Vec<_>>()
            });
        });
    }
    group.finish();
}

/// Movies in memory, of cells that decay over a second.
fn movies(c: &mut Criterion) {
    let mut group = c.benchmark_group("movie_512x512");
    group.sample_size(10);
    for frames in [500, 1500] {
        let mut next = random(3);
        let mut cells = vec![0.0_f32; 32 * 32];
        let mut data = Array3::zeros((frames, 512, 512));
        for mut frame in data.outer_iter_mut() {
            for cell in &mut cells {
                *cell = 0.97 * *cell + if next() > 2.5 { 30.0 } else { 0.0 };
            }
            for ((y, x), v) in frame.indexed_iter_mut() {
                let inside = y % 16 < 10 && x % 16 < 10;
                let signal = if inside {
                    cells[y / 16 * 32 + x / 16]
                } else {
                    0.0
                };
                *v = (200.0 + signal + 20.0 * next()) as i16;
            }
        }
        let movie = ArrayMovie::new(data);
        let Ok(denoiser) = Denoiser::new(Parameters::default()) else {
            return;
        };
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(format!("{frames}_frames"), |b| {
            b.iter(|| denoiser.fit(&movie, Budget::default(), &silent).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, limit, blocks, movies);
criterion_main!(benches);
