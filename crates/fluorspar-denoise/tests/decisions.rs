//! How many components are kept is a decision, not a setting.

mod common;

use common::{courses, fit, fit_with, movie, noise, normal, random, spot};
use fluorspar_denoise::{LowRank, Parameters};
use ndarray::Array3;

fn blocks_with_components(lowrank: &LowRank) -> usize {
    let mut blocks = lowrank.parts().component_block.clone();
    blocks.dedup();
    blocks.len()
}

/// 49 blocks each; of so many blocks at level 0.05, more than `limit` keep
/// something with a chance below 1 in 1000.
fn false_acceptances(make: impl Fn(u64) -> Array3<f32>) -> (usize, usize) {
    let parameters = Parameters {
        significance: 0.05,
        ..Parameters::default()
    };
    let movies = 6;
    let kept = (0..movies)
        .map(|seed| blocks_with_components(&fit_with(&movie(make(seed)), parameters.clone())))
        .sum();
    (kept, 49 * movies as usize)
}

#[test]
fn noise_keeps_components_no_more_often_than_stated() {
    let (kept, blocks) = false_acceptances(|seed| noise(500, 128, 128, seed));
    assert!(kept as f64 <= 0.05 * blocks as f64 + 3.1 * (0.0475 * blocks as f64).sqrt());
}

#[test]
fn nor_does_noise_that_neighbours_share() {
    // As interpolation leaves it: each pixel the mean of 2 × 2.
    let (kept, blocks) = false_acceptances(|seed| {
        let raw = noise(500, 129, 129, 100 + seed);
        Array3::from_shape_fn((500, 128, 128), |(t, y, x)| {
            (raw[[t, y, x]] + raw[[t, y + 1, x]] + raw[[t, y, x + 1]] + raw[[t, y + 1, x + 1]])
                / 4.0
        })
    });
    assert!(
        kept as f64 <= 0.05 * blocks as f64 + 3.1 * (0.0475 * blocks as f64).sqrt(),
        "{kept} of {blocks}"
    );
}

#[test]
fn nor_does_noise_beside_a_fading_baseline() {
    let raw = noise(600, 64, 64, 7);
    let fading = Array3::from_shape_fn((600, 64, 64), |(t, y, x)| {
        let brightness = 200.0 * (1.0 + (y as f32 / 20.0).sin() * (x as f32 / 13.0).cos());
        raw[[t, y, x]] + brightness * (-(t as f32) / 400.0).exp()
    });
    let lowrank = fit(&movie(fading));
    // Nine blocks: the fading is one component in each.
    assert_eq!(lowrank.rank(), 9);
}

/// One block of `rank` overlapping spots, each of peak signal-to-noise `snr` in a pixel.
fn planted(rank: usize, snr: f32, seed: u64) -> Array3<f32> {
    let frames = 900;
    let mut rng = random(seed);
    let courses = courses(rank, frames, 20.0, seed + 50);
    let places: Vec<(f32, f32)> = (0..rank)
        .map(|k| {
            let (row, column) = (k / 3, k % 3);
            let jitter = |rng: &mut _| 1.5 * normal(rng).clamp(-1.0, 1.0);
            (
                6.0 + 10.0 * row as f32 + jitter(&mut rng),
                6.0 + 10.0 * column as f32 + jitter(&mut rng),
            )
        })
        .collect();
    let mut data = noise(frames, 32, 32, seed + 90);
    for ((t, y, x), v) in data.indexed_iter_mut() {
        for (course, place) in courses.iter().zip(&places) {
            *v += snr * course[t] * spot(place.0, place.1, 5.0, (y, x));
        }
    }
    data
}

#[test]
fn exactly_the_planted_components_are_kept() {
    for rank in 0..=9 {
        for seed in 0..3 {
            let kept = fit(&movie(planted(rank, 1.0, seed))).rank();
            assert_eq!(kept, rank, "seed {seed}");
        }
    }
}

#[test]
fn a_block_may_hold_more_than_the_first_candidates() {
    let frames = 1200;
    let courses = courses(25, frames, 15.0, 3);
    let mut data = noise(frames, 32, 32, 4);
    for ((t, y, x), v) in data.indexed_iter_mut() {
        let square = y / 7 * 5 + x / 7;
        if y < 35 && x < 35 && square < 25 {
            *v += 3.0 * courses[square][t];
        }
    }
    assert_eq!(fit(&movie(data)).rank(), 25);
}

#[test]
fn no_more_are_kept_than_allowed() {
    for max_rank in 1..4 {
        let parameters = Parameters {
            max_rank,
            ..Parameters::default()
        };
        assert_eq!(
            fit_with(&movie(planted(5, 1.0, 1)), parameters).rank(),
            max_rank
        );
    }
}
