//! What must hold whatever the movie.

mod common;

use common::{courses, fit, movie, noise, random, spot};
use fluorspar_denoise::{Blocks, Denoiser, Error, LowRank, Parameters};
use fluorspar_movie::{ArrayMovie, Budget, FrameRange, MovieExt, silent};
use ndarray::{Array3, Array4, Axis, s};
use proptest::prelude::*;

fn relative(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    let error: f64 = a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum();
    let mean = f64::from(b.mean().unwrap());
    let power: f64 = b.iter().map(|y| (f64::from(*y) - mean).powi(2)).sum();
    (error / power).sqrt()
}

/// Where source `k` lies.
fn place(k: usize, height: usize, width: usize) -> (f32, f32) {
    (
        ((k * 13 + 5) % height) as f32,
        ((k * 29 + 8) % width) as f32,
    )
}

/// Sources on slopes, no noise; `rank` at most 6.
fn clean(frames: usize, height: usize, width: usize, rank: usize, seed: u64) -> Array3<f32> {
    let courses = courses(rank, frames, 25.0, seed);
    Array3::from_shape_fn((frames, height, width), |(t, y, x)| {
        let mut value = 500.0 + y as f32;
        for (k, course) in courses.iter().enumerate() {
            let (cy, cx) = place(k, height, width);
            value += 40.0 * course[t] * spot(cy, cx, 6.0, (y, x));
        }
        value
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A movie of low rank comes back whole, whatever its size.
    #[test]
    fn low_rank_movies_are_recovered(
        height in 20_usize..70,
        width in 20_usize..70,
        rank in 1_usize..5,
        seed in 0_u64..1000,
    ) {
        // Slow waves: of signals that jump, part would pass for noise.
        let clean = Array3::from_shape_fn((300, height, width), |(t, y, x)| {
            (0..rank).fold(500.0 + y as f32, |value, k| {
                let (cy, cx) = place(k, height, width);
                let phase = t as f32 / (9.0 + 2.0 * k as f32) + (seed + k as u64) as f32;
                value + 40.0 * phase.sin() * spot(cy, cx, 6.0, (y, x))
            })
        });
        let unsmoothed = Parameters {
            smoothing_loss: 0.0,
            ..Parameters::default()
        };
        let lowrank = common::fit_with(&movie(clean.clone()), unsmoothed);
        let back = lowrank.read_array(0..300).unwrap();
        let error = relative(&back, &clean);
        prop_assert!(error < 1e-3, "{error}");
    }

    /// Twice the gain gives twice the movie: same components, same courses.
    #[test]
    fn gain_does_not_matter(exponent in -3_i32..4, seed in 0_u64..1000) {
        let raw = noisy(clean(250, 40, 36, 4, seed), 10.0, seed);
        let gain = 2.0_f32.powi(exponent);
        let (own, scaled) = (fit(&movie(raw.clone())), fit(&movie(raw.mapv(|v| gain * v))));
        prop_assert_eq!(own.v(), scaled.v());
        let weights = own.parts().u_weights.iter().zip(&scaled.parts().u_weights);
        for (a, b) in weights {
            prop_assert_eq!(gain * a, *b);
        }
    }
}

fn noisy(mut clean: Array3<f32>, sigma: f32, seed: u64) -> Array3<f32> {
    let mut rng = random(seed + 7000);
    clean.mapv_inplace(|v| v + sigma * common::normal(&mut rng));
    clean
}

/// Gains that differ from pixel to pixel change the noise's units, not the decisions.
#[test]
fn pixels_may_have_gains_of_their_own() {
    let raw = noisy(clean(400, 64, 64, 6, 1), 10.0, 1);
    let gain = |y: usize, x: usize| 1.0 + ((y * 7 + x * 3) % 11) as f32 / 5.0;
    let gained = Array3::from_shape_fn(raw.dim(), |(t, y, x)| gain(y, x) * raw[[t, y, x]]);
    let (own, other) = (fit(&movie(raw)), fit(&movie(gained)));
    assert_eq!(own.rank(), other.rank());
    let (a, mut b) = (
        own.read_array(0..400).unwrap(),
        other.read_array(0..400).unwrap(),
    );
    for ((_, y, x), v) in b.indexed_iter_mut() {
        *v /= gain(y, x);
    }
    assert!(relative(&b, &a) < 0.02);
}

#[test]
fn signal_keeps_its_height_and_noise_goes() {
    let truth = clean(800, 64, 64, 6, 3);
    let lowrank = fit(&movie(noisy(truth.clone(), 20.0, 3)));
    let back = lowrank.read_array(0..800).unwrap();
    let error: f64 = truth
        .iter()
        .zip(&back)
        .map(|(a, b)| f64::from(a - b).powi(2))
        .sum();
    let error = (error / truth.len() as f64).sqrt();
    // Of the noise's variance, less than one part in a hundred is left.
    assert!(error < 2.0, "{error}");
    // Each spot's brightness, its neighbours' share included, keeps its height.
    for k in 0..6 {
        let (cy, cx) = place(k, 64, 64);
        let footprint: Vec<(usize, f32)> = (0..64 * 64)
            .map(|pixel| (pixel, spot(cy, cx, 6.0, (pixel / 64, pixel % 64))))
            .collect();
        let course = common::seen(&truth, &footprint);
        let slope = common::slope(&lowrank, &footprint, &course);
        assert!((slope - 1.0).abs() < 0.02, "{k}: {slope}");
    }
}

#[test]
fn no_seams_between_blocks() {
    let truth = clean(600, 96, 96, 6, 5);
    let back = fit(&movie(noisy(truth.clone(), 20.0, 5)))
        .read_array(0..600)
        .unwrap();
    let error = back - truth;
    // Blocks begin every 16 pixels: energy of the error's steps there and elsewhere.
    let (mut on, mut off) = ((0.0, 0), (0.0, 0));
    for frame in error.axis_iter(Axis(0)).step_by(5) {
        for y in 1..96 {
            for x in 1..96 {
                for (step, at) in [
                    (frame[[y, x]] - frame[[y - 1, x]], y),
                    (frame[[y, x]] - frame[[y, x - 1]], x),
                ] {
                    let sum = if at % 16 == 0 { &mut on } else { &mut off };
                    sum.0 += f64::from(step).powi(2);
                    sum.1 += 1;
                }
            }
        }
    }
    let ratio = on.0 / f64::from(on.1) / (off.0 / f64::from(off.1));
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
}

#[test]
fn neither_threads_nor_memory_change_a_byte() {
    let movie = movie(noisy(clean(300, 70, 75, 5, 9), 10.0, 9));
    let run = |threads: usize, bytes: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| {
                Denoiser::new(Parameters::default())
                    .unwrap()
                    .fit(&movie, Budget { bytes }, &silent)
                    .unwrap()
            })
    };
    let one = run(1, 1 << 30);
    assert!(one.rank() > 0);
    assert_eq!(one, run(3, 1 << 30));
    assert_eq!(one, run(2, 1 << 12));
}

#[test]
fn new_frames_get_the_courses_they_would_have_had() {
    let movie = movie(noisy(clean(400, 50, 44, 5, 11), 10.0, 11));
    // Smoothing needs the frames that are still to come.
    let unsmoothed = Parameters {
        smoothing_loss: 0.0,
        ..Parameters::default()
    };
    let whole = common::fit_with(&movie, unsmoothed);
    let mut parts = whole.clone().into_parts();
    parts.v = parts.v.slice(s![.., ..300]).to_owned();
    let mut online = LowRank::from_parts(parts).unwrap();
    for start in (300..400).step_by(7) {
        let new = FrameRange::new(&movie, start..(start + 7).min(400)).unwrap();
        online.extend(&new, &silent).unwrap();
    }
    assert_eq!(online.frames(), 400);
    for (a, b) in online.v().iter().zip(whole.v()) {
        // One step of rounding, and the weights' own.
        assert!((a - b).abs() < 0.04 + 1e-3 * b.abs(), "{a} {b}");
    }
    let other = ArrayMovie::new(Array3::<f32>::zeros((3, 50, 45)));
    assert!(matches!(
        online.extend(&other, &silent),
        Err(Error::Input(_))
    ));
    assert_eq!(online.frames(), 400);
}

#[test]
fn planes_alone_or_together() {
    // Cells that reach through three of four planes.
    let flat = clean(400, 40, 40, 5, 13);
    let mut data = Array4::zeros((400, 4, 40, 40));
    for plane in 0..4 {
        let share = [0.3, 1.0, 0.6, 0.0][plane];
        let raw = noise(400, 40, 40, 40 + plane as u64);
        for t in 0..400 {
            for y in 0..40 {
                for x in 0..40 {
                    let signal = flat[[t, y, x]] - 500.0 - y as f32;
                    data[[t, plane, y, x]] = share * signal + 10.0 * raw[[t, y, x]];
                }
            }
        }
    }
    let movie = common::volume(data);
    let fit = |planes| {
        common::fit_with(
            &movie,
            Parameters {
                blocks: Blocks { planes, side: 32 },
                ..Parameters::default()
            },
        )
    };
    let (alone, together) = (fit(1), fit(4));
    assert_eq!((alone.planes(), together.planes()), (4, 4));
    // What is one component through all planes is one in each of three without them.
    assert!(together.rank() > 0 && 2 * together.rank() < alone.rank());
    // The spot at (5, 8) of the second plane.
    let footprint: Vec<(usize, f32)> = (0..1600)
        .map(|p| (1600 + p, spot(5.0, 8.0, 6.0, (p / 40, p % 40))))
        .collect();
    let clean = common::seen(&flat, &footprint);
    for lowrank in [alone, together] {
        let slope = common::slope(&lowrank, &footprint, &clean);
        assert!((slope - 1.0).abs() < 0.03, "{slope}");
    }
}
