//! Planes recorded together, and depth.

use fluorspar_movie::{ArrayMovie, Budget, ImageOrder, MemorySink, MovieShape, Volumes, silent};
use fluorspar_register::{
    DepthFinder, Parameters, Registrar, VolumeRegistrar, plane_offsets, register_volumes,
};
use ndarray::{Array2, Array3, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

mod scene;
use scene::{Scene, noisy};

const SIZE: (usize, usize) = (80, 88);

fn motion(frame: usize) -> (f64, f64) {
    let t = frame as f64;
    (2.5 * (t / 6.0).sin(), 2.0 * (t / 9.0).cos())
}

/// Planes of falling brightness beside the same noise, all moving together.
fn volumes(frames: usize, planes: usize, sigma: f64) -> Volumes<ArrayMovie<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut images = Array3::zeros((frames * planes, SIZE.0, SIZE.1));
    for (k, mut image) in images.outer_iter_mut().enumerate() {
        let (frame, plane) = (k / planes, k % planes);
        let bright = Scene::new(plane as u64).frame(motion(frame), SIZE);
        let bright = bright.mapv(|v| v / (1.0 + plane as f32));
        image.assign(&noisy(bright, sigma, &mut rng));
    }
    let order = ImageOrder {
        first: 0,
        frame_step: planes,
        plane_step: 1,
    };
    Volumes::new(ArrayMovie::new(images), frames, planes, order).unwrap()
}

fn median_error(shifts: &[(f32, f32)]) -> f64 {
    let difference = |k: usize, c: usize| {
        let (dy, dx) = shifts[k];
        let truth = motion(k);
        if c == 0 {
            f64::from(dy) - truth.0
        } else {
            f64::from(dx) - truth.1
        }
    };
    let middle = |c: usize| {
        let mut all: Vec<f64> = (0..shifts.len()).map(|k| difference(k, c)).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (my, mx) = (middle(0), middle(1));
    let mut distances: Vec<f64> = (0..shifts.len())
        .map(|k| (difference(k, 0) - my).hypot(difference(k, 1) - mx))
        .collect();
    distances.sort_by(f64::total_cmp);
    distances[distances.len() / 2]
}

#[test]
fn dim_planes_borrow_from_bright_ones() {
    let planes = 4;
    let movie = volumes(60, planes, 250.0);
    let parameters = Parameters::default();
    let registrar = VolumeRegistrar::build(&movie, &parameters).unwrap();
    let weights = registrar.weights();
    assert!(weights[0] > weights[planes - 1], "{weights:?}");
    let mut sink = MemorySink::new(MovieShape::new(60, planes, SIZE.0, SIZE.1));
    let found = register_volumes(
        &movie,
        &registrar,
        Some(&mut sink),
        Budget::default(),
        &silent,
    )
    .unwrap();
    assert_eq!(found.len(), planes);
    assert!(
        found
            .iter()
            .all(|plane| plane.motion.dy == found[0].motion.dy)
    );
    let pairs = |dy: &[f32], dx: &[f32]| {
        dy.iter()
            .copied()
            .zip(dx.iter().copied())
            .collect::<Vec<_>>()
    };
    let together = median_error(&pairs(&found[0].motion.dy, &found[0].motion.dx));

    // The dimmest plane on its own.
    let last = registrar.references().last().unwrap().to_owned();
    let reference = fluorspar_register::Reference::from_image(last);
    let alone = Registrar::new(&reference, &parameters).unwrap();
    let mut scratch = alone.scratch();
    let shifts: Vec<(f32, f32)> = (0..60)
        .map(|frame| {
            let all = fluorspar_movie::MovieExt::read_array(&movie, frame..frame + 1).unwrap();
            let image = all.index_axis(Axis(0), 0);
            let image = image.slice(ndarray::s![(planes - 1) * SIZE.0.., ..]);
            let shift = alone.estimate(image, &mut scratch);
            (shift.dy, shift.dx)
        })
        .collect();
    let alone = median_error(&shifts);
    assert!(together < 0.2, "{together}");
    assert!(together < alone, "{together} {alone}");
    assert!(sink.into_array().iter().all(|v| v.is_finite()));
}

#[test]
fn planes_beside_each_other_are_found() {
    let scene = Scene::new(9);
    let places = [(0.0, 0.0), (1.5, -0.5), (2.0, -2.0)];
    let mut stack = Array3::zeros((3, SIZE.0, SIZE.1));
    for (mut image, place) in stack.outer_iter_mut().zip(places) {
        image.assign(&scene.frame(place, SIZE));
    }
    let found = plane_offsets(stack.view(), (6, 6), &Parameters::default()).unwrap();
    for (shift, (dy, dx)) in found.iter().zip(places) {
        assert!((f64::from(shift.dy) - dy).abs() < 0.3, "{shift:?} {dy}");
        assert!((f64::from(shift.dx) - dx).abs() < 0.3, "{shift:?} {dx}");
    }
}

#[test]
fn depth_is_found_between_planes() {
    // Every cell is brightest at a depth of its own.
    let scenes: Vec<Scene> = (0..9).map(|k| Scene::new(50 + k)).collect();
    let at = |z: f64, shift: (f64, f64)| -> Array2<f32> {
        let mut sum = Array2::zeros(SIZE);
        for (k, scene) in scenes.iter().enumerate() {
            let weight = (-(z - k as f64).powi(2) / 2.0).exp() as f32;
            sum = sum + scene.frame(shift, SIZE) * weight;
        }
        sum
    };
    let mut stack = Array3::zeros((9, SIZE.0, SIZE.1));
    for (z, mut image) in stack.outer_iter_mut().enumerate() {
        image.assign(&at(z as f64, (0.0, 0.0)));
    }
    let finder = DepthFinder::new(stack.view(), &Parameters::default()).unwrap();
    let mut scratch = finder.scratch();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for z in [2.0, 3.3, 4.5, 5.8] {
        let frame = noisy(at(z, (1.0, -2.0)), 60.0, &mut rng);
        let found = finder.find(frame.view(), &mut scratch).unwrap();
        assert!((f64::from(found.z) - z).abs() < 0.3, "{found:?} {z}");
        assert!((found.shift.dy - 1.0).abs() < 0.3 && (found.shift.dx + 2.0).abs() < 0.3);
    }
    assert!(
        finder
            .find(Array2::zeros(SIZE).view(), &mut scratch)
            .is_none()
    );
}
