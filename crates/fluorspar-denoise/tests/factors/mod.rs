//! Random sparse movies, and the same rebuilt plainly in double precision.
#![allow(dead_code, reason = "no test needs all of it")]

use fluorspar_denoise::{Blocks, LowRank, Parts};
use ndarray::{Array2, Array3};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a movie under test looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    /// Planes, rows and columns.
    pub(crate) size: (usize, usize, usize),
    pub(crate) rank: usize,
    pub(crate) frames: usize,
    /// Whether neighbouring pixels share their components, as in blocks;
    /// otherwise each pixel has any.
    pub(crate) tiled: bool,
    pub(crate) seed: u64,
}

pub(crate) fn looks() -> impl Strategy<Value = Looks> {
    (
        (1..4_usize, 1..9_usize, 1..40_usize),
        0..12_usize,
        1..40_usize,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(size, rank, frames, tiled, seed)| Looks {
            size,
            rank,
            frames,
            tiled,
            seed,
        })
}

pub(crate) fn parts(looks: Looks) -> Parts {
    let mut rng = ChaCha8Rng::seed_from_u64(looks.seed);
    let (planes, height, width) = looks.size;
    let (mut indptr, mut indices, mut weights) = (vec![0], Vec::new(), Vec::new());
    let mut list: Vec<u32> = Vec::new();
    for pixel in 0..planes * height * width {
        if !looks.tiled || pixel % width % 5 == 0 {
            let any = 0..looks.rank as u32;
            list = any.filter(|_| rng.random_bool(0.4)).collect();
        }
        indices.extend(&list);
        weights.extend(list.iter().map(|_| rng.random_range(-2.0_f32..2.0)));
        indptr.push(indices.len() as u64);
    }
    let v = Array2::from_shape_simple_fn((looks.rank, looks.frames), || {
        rng.random_range(-1.0_f32..1.3)
    });
    Parts {
        u_indptr: indptr,
        u_indices: indices,
        u_weights: weights,
        v,
        mean: Array3::from_shape_simple_fn(looks.size, || rng.random_range(50.0..150.0)),
        noise: Array3::from_shape_simple_fn(looks.size, || rng.random_range(0.0..3.0)),
        blocks: Blocks::default(),
        component_block: vec![0; looks.rank],
        frame_rate: None,
    }
}

pub(crate) fn movie(looks: Looks) -> LowRank {
    LowRank::from_parts(parts(looks)).unwrap()
}

/// `U · V` in double precision, `(pixel, frame)`.
pub(crate) fn dense(movie: &LowRank) -> Array2<f64> {
    let mut out = Array2::zeros((movie.mean().len(), movie.frames()));
    for (pixel, mut row) in out.outer_iter_mut().enumerate() {
        let (components, weights) = movie.row(pixel);
        for (&k, &weight) in components.iter().zip(weights) {
            for (slot, &value) in row.iter_mut().zip(movie.v().row(k as usize)) {
                *slot += f64::from(weight) * f64::from(value);
            }
        }
    }
    out
}

#[track_caller]
pub(crate) fn close(
    found: impl IntoIterator<Item = f64>,
    expected: impl IntoIterator<Item = f64>,
    by: f64,
) {
    let (found, expected): (Vec<f64>, Vec<f64>) =
        (found.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(&expected).enumerate() {
        assert!((a - b).abs() <= by, "{a} instead of {b} at {at}");
    }
}

/// Larger than the pieces that tasks are cut into, with more components than
/// frames and the other way round.
pub(crate) fn large() -> [Looks; 2] {
    let looks = Looks {
        size: (2, 21, 50),
        rank: 150,
        frames: 610,
        tiled: true,
        seed: 5,
    };
    [
        looks,
        Looks {
            rank: 300,
            frames: 170,
            ..looks
        },
    ]
}
