//! Movies whose clean version is known.
#![allow(dead_code, reason = "each test file uses its part")]

use fluorspar_denoise::{Denoiser, LowRank, Parameters};
use fluorspar_movie::{ArrayMovie, Budget, ImageOrder, Movie, Volumes, silent};
use ndarray::{Array3, Array4, ArrayView2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f32 {
    StandardNormal.sample(rng)
}

pub(crate) fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn fit_with(movie: &dyn Movie, parameters: Parameters) -> LowRank {
    Denoiser::new(parameters)
        .unwrap()
        .fit(movie, Budget::default(), &silent)
        .unwrap()
}

pub(crate) fn fit(movie: &dyn Movie) -> LowRank {
    fit_with(movie, Parameters::default())
}

/// White noise of standard deviation 1 around 100, `(frame, y, x)`.
pub(crate) fn noise(frames: usize, height: usize, width: usize, seed: u64) -> Array3<f32> {
    let mut rng = random(seed);
    Array3::from_shape_simple_fn((frames, height, width), || 100.0 + normal(&mut rng))
}

/// Courses of calcium: events that decay over `decay` frames, variance about 1.
pub(crate) fn courses(count: usize, frames: usize, decay: f32, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = random(seed);
    let keep = (-1.0 / decay).exp();
    (0..count)
        .map(|_| {
            let mut now = 0.0;
            let mut course: Vec<f32> = (0..frames)
                .map(|_| {
                    now *= keep;
                    if normal(&mut rng) > 2.2 {
                        now += 1.0;
                    }
                    now
                })
                .collect();
            let n = frames as f32;
            let mean = course.iter().sum::<f32>() / n;
            let variance = course.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            let scale = 1.0 / variance.sqrt().max(1e-6);
            for v in &mut course {
                *v = (*v - mean) * scale;
            }
            course
        })
        .collect()
}

/// A round spot of height 1 `(y, x)`.
pub(crate) fn spot(y: f32, x: f32, radius: f32, at: (usize, usize)) -> f32 {
    let (dy, dx) = (at.0 as f32 - y, at.1 as f32 - x);
    1.0 / (1.0 + ((dy.hypot(dx) - radius) * 2.0).exp())
}

pub(crate) fn movie(data: Array3<f32>) -> ArrayMovie<f32> {
    ArrayMovie::new(data)
}

pub(crate) fn volume(data: Array4<f32>) -> impl Movie {
    let (frames, planes, height, width) = data.dim();
    let images = data
        .into_shape_with_order((frames * planes, height, width))
        .unwrap();
    let order = ImageOrder {
        first: 0,
        frame_step: planes,
        plane_step: 1,
    };
    Volumes::new(ArrayMovie::new(images), frames, planes, order).unwrap()
}

/// Slope of the denoised on the true course, both seen through the same footprint.
pub(crate) fn slope(lowrank: &LowRank, footprint: &[(usize, f32)], course: &[f32]) -> f32 {
    let mut trace = vec![0.0; course.len()];
    let power: f32 = footprint.iter().map(|(_, w)| w * w).sum();
    for &(pixel, weight) in footprint {
        lowrank.add_trace(pixel, weight / power, &mut trace);
    }
    let mean = course.iter().sum::<f32>() / course.len() as f32;
    let product: f32 = trace.iter().zip(course).map(|(a, b)| a * (b - mean)).sum();
    product / course.iter().map(|v| (v - mean).powi(2)).sum::<f32>()
}

/// A movie's course through a footprint of its images, `(frame)`.
pub(crate) fn seen(frames: &Array3<f32>, footprint: &[(usize, f32)]) -> Vec<f32> {
    let power: f32 = footprint.iter().map(|(_, w)| w * w).sum();
    let through = |frame: ArrayView2<'_, f32>| -> f32 {
        frame.iter().zip(footprint).map(|(v, (_, w))| v * w).sum()
    };
    frames
        .outer_iter()
        .map(|frame| through(frame) / power)
        .collect()
}
