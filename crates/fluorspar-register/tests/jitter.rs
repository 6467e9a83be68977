//! Lines that jitter are found, and lines that do not stay where they are.

use fluorspar_register::{Error, line_jitter, straighten};
use ndarray::{Array2, Array3, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Poisson};

mod scene;
use scene::Scene;

const FRAMES: usize = 40;
const SIDE: usize = 80;

/// A frame of photons whose line `y` lies `by(y)` further right.
fn photons(
    scene: &Scene,
    light: f64,
    rng: &mut ChaCha8Rng,
    by: impl Fn(usize) -> (f64, f64),
) -> Array2<f32> {
    Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
        let (dy, dx) = by(y);
        let rate = light * scene.at(y as f64 - dy, x as f64 - dx) / 200.0;
        Poisson::new(rate).unwrap().sample(rng) as f32
    })
}

fn reference(scene: &Scene) -> Array2<f32> {
    Array2::from_shape_fn((SIDE, SIDE), |(y, x)| scene.at(y as f64, x as f64) as f32)
}

/// Frames of `light` photons with jitter of deviation `sigma`, and the jitter.
/// Brightness, place and bend of frames change as those of registered ones do.
fn jittering(light: f64, sigma: f64) -> (Array3<f32>, Array2<f64>) {
    let scene = Scene::new(31);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let normal = Normal::new(0.0, sigma).unwrap();
    let truth = Array2::from_shape_simple_fn((FRAMES, SIDE), || normal.sample(&mut rng));
    let mut frames = Array3::zeros((FRAMES, SIDE, SIDE));
    for (t, mut frame) in frames.axis_iter_mut(Axis(0)).enumerate() {
        let bend = |y: usize| 0.1 * (t as f64 + y as f64 / 25.0).sin();
        let light = light * (1.0 + 0.3 * (t as f64).cos());
        let by = |y: usize| (bend(y + 30), bend(y) + truth[[t, y]]);
        frame.assign(&photons(&scene, light, &mut rng, by));
    }
    (frames, truth)
}

#[test]
fn planted_jitter_is_found_and_taken_back() {
    for (light, sigma) in [(20.0, 0.4), (4.0, 0.6), (100.0, 0.1)] {
        let (frames, truth) = jittering(light, sigma);
        let reference = reference(&Scene::new(31));
        let found = line_jitter(frames.view(), reference.view()).unwrap();
        let summary = format!(
            "{light} photons, {sigma} px: {} {} {}",
            found.deviation, found.variance_error, found.noise
        );
        assert!(found.distinguishable, "{summary}");
        assert!(
            (f64::from(found.deviation) / sigma - 1.0).abs() < 0.2,
            "{summary}"
        );
        // Better than leaving lines where they are, and than their own estimates.
        let left: f64 = truth
            .iter()
            .zip(&found.displacement)
            .map(|(a, b)| (a - f64::from(*b)).powi(2))
            .sum();
        let (left, before) = ((left / truth.len() as f64).sqrt(), sigma);
        assert!(left < 0.75 * before, "{summary}: {left}");
        assert!(left < 1.1 * f64::from(found.noise), "{summary}: {left}");

        let scene = Scene::new(31);
        let (mut straight, mut crooked) = (0.0, 0.0);
        for (t, (frame, by)) in frames
            .outer_iter()
            .zip(found.displacement.outer_iter())
            .enumerate()
        {
            // The same lines without noise tell how much better they lie.
            let bend = |y: usize| 0.1 * (t as f64 + y as f64 / 25.0).sin();
            let clean = |jitter: f64| {
                Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
                    scene.at(
                        y as f64 - bend(y + 30),
                        x as f64 - bend(y) - jitter * truth[[t, y]],
                    ) as f32
                })
            };
            let (mut moved, wanted) = (clean(1.0), clean(0.0));
            crooked += (&moved - &wanted).mapv(|d| f64::from(d * d)).sum();
            straighten(moved.view_mut(), by.as_slice().unwrap());
            straight += (&moved - &wanted).mapv(|d| f64::from(d * d)).sum();
            assert_eq!(frame.dim(), moved.dim());
        }
        assert!(
            straight < 0.6 * crooked,
            "{summary}: {straight} of {crooked}"
        );
    }
}

#[test]
fn without_jitter_nothing_moves() {
    for light in [1.0, 4.0, 20.0, 100.0] {
        let (mut frames, _) = jittering(light, 0.0);
        let found = line_jitter(frames.view(), reference(&Scene::new(31)).view()).unwrap();
        let summary = format!(
            "{light} photons: {} {} {}",
            found.deviation, found.variance_error, found.noise
        );
        assert!(!found.distinguishable, "{summary}");
        assert!(found.deviation < 0.35 * found.noise, "{summary}");
        assert!(found.displacement.iter().all(|&d| d == 0.0));
        let before = frames.clone();
        for (frame, by) in frames
            .axis_iter_mut(Axis(0))
            .zip(found.displacement.outer_iter())
        {
            straighten(frame, by.as_slice().unwrap());
        }
        assert_eq!(frames, before);
    }
}

#[test]
fn activity_and_gaps_are_no_jitter() {
    let (mut frames, _) = jittering(20.0, 0.0);
    for (t, mut frame) in frames.axis_iter_mut(Axis(0)).enumerate() {
        for cell in 0..6 {
            let (cy, cx) = (10 + 11 * cell, 8 + 29 * cell % 64);
            let height = 60.0 * ((t * (cell + 3)) as f64 / 9.0).sin().max(0.0);
            for ((y, x), value) in frame.indexed_iter_mut() {
                let square = (y as f64 - cy as f64).powi(2) + (x as f64 - cx as f64).powi(2);
                *value += (height * (-square / 12.0).exp()) as f32;
            }
        }
    }
    frames[[3, 20, 20]] = f32::NAN;
    frames.index_axis_mut(Axis(0), 5).fill(f32::NAN);
    frames.index_axis_mut(Axis(0), 6).fill(7.0);
    let found = line_jitter(frames.view(), reference(&Scene::new(31)).view()).unwrap();
    assert!(
        found.deviation < 0.4 * found.noise && !found.distinguishable,
        "{} {} {}",
        found.deviation,
        found.variance_error,
        found.noise
    );
    assert!(found.displacement.iter().all(|d| d.is_finite()));
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let frames = Array3::<f32>::zeros((10, 20, 20));
    let refused = |frames: &Array3<f32>, image: &Array2<f32>| {
        matches!(
            line_jitter(frames.view(), image.view()),
            Err(Error::Image(_))
        )
    };
    assert!(refused(&frames, &Array2::zeros((20, 20))), "no structure");
    assert!(refused(&frames, &Array2::zeros((20, 21))), "another size");
    assert!(refused(&frames, &Array2::from_elem((20, 20), f32::NAN)));
    assert!(refused(
        &Array3::zeros((3, 20, 20)),
        &Array2::zeros((20, 20))
    ));
    assert!(refused(
        &Array3::zeros((10, 1, 300)),
        &Array2::zeros((1, 300))
    ));
    let image = Array2::from_shape_fn((20, 20), |(y, x)| ((y * 7 + x * 5) % 11) as f32);
    assert!(refused(&frames, &image), "dark frames");
}
