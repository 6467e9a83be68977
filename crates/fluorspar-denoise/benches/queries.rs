//! Asking a low-rank movie of 1,000 frames of 128 × 128 pixels, about 10 components a pixel.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, criterion_group, criterion_main};
use fluorspar_denoise::{Blocks, LowRank, Neighbours, Parts, Projection, Variability};
use fluorspar_movie::{Footprints, Movie};
use ndarray::{Array2, Array3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FRAMES: usize = 1000;
const SIDE: usize = 128;
/// Half a block.
const TILE: usize = 16;
/// Components of a block.
const RANK: usize = 3;

/// Blocks of 32 × 32 pixels, half a block apart: a pixel lies in up to four.
fn movie() -> Option<LowRank> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let across = SIDE / TILE - 1;
    let (mut indptr, mut indices, mut weights) = (vec![0], Vec::new(), Vec::new());
    for y in 0..SIDE {
        for x in 0..SIDE {
            let around = |at: usize| (at / TILE).saturating_sub(1)..(at / TILE + 1).min(across);
            for row in around(y) {
                for column in around(x) {
                    for k in 0..RANK {
                        indices.push(((row * across + column) * RANK + k) as u32);
                        weights.push(rng.random_range(-1.0..1.0));
                    }
                }
            }
            indptr.push(indices.len() as u64);
        }
    }
    let rank = across * across * RANK;
    LowRank::from_parts(Parts {
        u_indptr: indptr,
        u_indices: indices,
        u_weights: weights,
        v: Array2::from_shape_simple_fn((rank, FRAMES), || rng.random_range(-1.0..1.0)),
        mean: Array3::from_elem((1, SIDE, SIDE), 100.0),
        noise: Array3::from_elem((1, SIDE, SIDE), 10.0),
        blocks: Blocks::default(),
        component_block: (0..rank).map(|k| (k / RANK) as u32).collect(),
        frame_rate: None,
    })
    .ok()
}

/// A hundred squares of 9 × 9 pixels.
fn footprints() -> Footprints {
    let mut footprints = Footprints::new(SIDE, SIDE);
    for k in 0..100 {
        let first = (k / 10 * 12 * SIDE + k % 10 * 12) as u32;
        let pixels: Vec<u32> = (0..81)
            .map(|at| first + at / 9 * SIDE as u32 + at % 9)
            .collect();
        let _ = footprints.push(&pixels, &[1.0; 81], 0);
    }
    footprints
}

fn queries(c: &mut Criterion) {
    let Some(movie) = movie() else { return };
    let mut group = c.benchmark_group("queries_1000x128x128");
    group.sample_size(10);
    let mut frames = vec![0.0; FRAMES * SIDE * SIDE];
    group.bench_function("read", |b| b.iter(|| movie.read(0..FRAMES, &mut frames)));
    let one = &mut frames[..SIDE * SIDE];
    group.bench_function("read_frame", |b| b.iter(|| movie.read(500..501, one)));
    for (name, projection) in [
        ("maximum", Projection::Max),
        ("mean", Projection::Mean),
        ("standard_deviation", Projection::StandardDeviation),
    ] {
        group.bench_function(name, |b| b.iter(|| movie.projection(projection)));
    }
    group.bench_function("variance", |b| b.iter(|| movie.variance_image()));
    group.bench_function("correlation", |b| {
        b.iter(|| movie.correlation_image(Neighbours::Eight, Variability::WithNoise));
    });
    let footprints = footprints();
    group.bench_function("project_100", |b| b.iter(|| movie.project(&footprints)));
    group.bench_function("gram_of_components", |b| {
        b.iter(|| movie.gram_of_components());
    });
    group.bench_function("principal_10", |b| b.iter(|| movie.principal(10, 1)));
    group.bench_function("orthogonal", |b| b.iter(|| movie.orthogonal()));
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
