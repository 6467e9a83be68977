//! Known motion is found again.

use fluorspar_movie::{ArrayMovie, Budget, MemorySink, MovieExt, MovieShape, silent};
use fluorspar_register::{
    Error, Parameters, Reference, Registrar, Shift, phase_correlation, register,
};
use ndarray::{Array2, Array3, Axis};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

mod scene;
use scene::{Scene, noisy};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_known_shift_is_found(dy in -5.5_f64..5.5, dx in -5.5_f64..5.5, seed in 0_u64..1000) {
        let scene = Scene::new(seed);
        let size = (72, 90);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let moving = noisy(scene.frame((dy, dx), size), 40.0, &mut rng);
        let shift = phase_correlation(scene.frame((0.0, 0.0), size).view(), moving.view(), (8, 8), &Parameters::default()).unwrap();
        prop_assert!((f64::from(shift.dy) - dy).abs() < 0.3, "{shift:?} {dy}");
        prop_assert!((f64::from(shift.dx) - dx).abs() < 0.3, "{shift:?} {dx}");
    }
}

#[test]
fn an_image_matches_itself_perfectly() {
    let image = Scene::new(3).frame((0.0, 0.0), (64, 80));
    let shift =
        phase_correlation(image.view(), image.view(), (5, 5), &Parameters::default()).unwrap();
    assert!(shift.dy.abs() < 0.05 && shift.dx.abs() < 0.05, "{shift:?}");
    assert!(shift.quality > 0.5, "the taper costs some: {shift:?}");
}

fn wandering(
    frames: usize,
    size: (usize, usize),
    sigma: f64,
) -> (ArrayMovie<f32>, Vec<(f64, f64)>) {
    let scene = Scene::new(11);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let motion: Vec<(f64, f64)> = (0..frames)
        .map(|t| {
            let t = t as f64;
            (2.0 * (t / 9.0).sin(), 1.5 * (t / 5.0).cos())
        })
        .collect();
    let mut data = Array3::zeros((frames, size.0, size.1));
    for (mut slot, &shift) in data.axis_iter_mut(Axis(0)).zip(&motion) {
        slot.assign(&noisy(scene.frame(shift, size), sigma, &mut rng));
    }
    (ArrayMovie::new(data), motion)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn a_wandering_movie_is_registered_to_a_tenth_of_a_pixel() {
    let (movie, motion) = wandering(120, (64, 72), 150.0);
    let parameters = Parameters::default();
    let reference = Reference::build(&movie, &parameters).unwrap();
    let registrar = Registrar::new(&reference, &parameters).unwrap();
    let found = register(&movie, &registrar, None, Budget::default(), &silent)
        .unwrap()
        .motion;
    for (values, truth) in [
        (&found.dy, motion.iter().map(|m| m.0).collect::<Vec<_>>()),
        (&found.dx, motion.iter().map(|m| m.1).collect()),
    ] {
        // The reference's own place is free: compare after taking off the constant.
        let difference: Vec<f64> = values
            .iter()
            .zip(&truth)
            .map(|(&a, b)| f64::from(a) - b)
            .collect();
        let constant = median(difference.clone());
        let error = median(difference.iter().map(|d| (d - constant).abs()).collect());
        assert!(error < 0.1, "{error}");
    }
    assert!(found.untrusted.iter().filter(|&&u| u).count() < 6);
}

#[test]
fn threads_and_blocks_do_not_change_a_byte() {
    let (movie, _) = wandering(60, (48, 40), 80.0);
    let run = |threads: usize, bytes: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| {
                let parameters = Parameters::default();
                let reference = Reference::build(&movie, &parameters).unwrap();
                let registrar = Registrar::new(&reference, &parameters).unwrap();
                let mut sink = MemorySink::new(MovieShape::new(60, 1, 48, 40));
                let motion = register(
                    &movie,
                    &registrar,
                    Some(&mut sink),
                    Budget { bytes },
                    &silent,
                )
                .unwrap();
                (motion, sink.into_array())
            })
    };
    let one = run(1, 1 << 30);
    assert_eq!(one, run(3, 1 << 30));
    assert_eq!(one, run(2, 48 * 40 * 8 * 7));
}

#[test]
fn gaps_and_empty_frames_do_no_harm() {
    let (movie, _) = wandering(40, (40, 40), 20.0);
    let mut data = movie.read_array(0..40).unwrap();
    data.index_axis_mut(Axis(0), 7).fill(123.0);
    data.index_axis_mut(Axis(0), 9).fill(f32::NAN);
    data[[11, 20, 20]] = f32::NAN;
    let movie = ArrayMovie::new(data);
    let parameters = Parameters::default();
    let reference = Reference::build(&movie, &parameters).unwrap();
    let registrar = Registrar::new(&reference, &parameters).unwrap();
    let mut sink = MemorySink::new(MovieShape::new(40, 1, 40, 40));
    let found = register(
        &movie,
        &registrar,
        Some(&mut sink),
        Budget::default(),
        &silent,
    )
    .unwrap();
    let motion = &found.motion;
    assert!(sink.into_array().iter().all(|v| v.is_finite()));
    assert!(
        motion.untrusted[7],
        "a constant frame has no shift to trust"
    );
    // It stays where the frame before it was.
    assert_eq!((motion.dy[7], motion.quality[7]), (motion.dy[6], 0.0));
    assert_eq!(found.nan_frames, 2);
    assert!(!motion.untrusted[11]);
}

#[test]
fn a_constant_movie_stays_where_it_is() {
    let movie = ArrayMovie::new(Array3::<i16>::from_elem((10, 32, 32), 5));
    let parameters = Parameters::default();
    let reference = Reference::build(&movie, &parameters).unwrap();
    let registrar = Registrar::new(&reference, &parameters).unwrap();
    let motion = register(&movie, &registrar, None, Budget::default(), &silent)
        .unwrap()
        .motion;
    assert!(motion.dy.iter().chain(&motion.dx).all(|&v| v == 0.0));
    assert!(motion.untrusted.iter().all(|&u| u));
}

#[test]
fn what_cannot_be_registered_is_refused() {
    let parameters = Parameters::default();
    let none = ArrayMovie::new(Array3::<i16>::zeros((0, 32, 32)));
    assert!(matches!(
        Reference::build(&none, &parameters),
        Err(Error::Image(_))
    ));
    let small = ArrayMovie::new(Array3::<i16>::zeros((5, 8, 32)));
    assert!(matches!(
        Reference::build(&small, &parameters),
        Err(Error::Image(_))
    ));
    let wrong = Parameters {
        max_shift_fraction: 0.9,
        ..Parameters::default()
    };
    assert!(matches!(wrong.validate(), Err(Error::Parameter { .. })));
    let image = Array2::from_shape_fn((32, 32), |(y, x)| (y * x) as f32);
    let other = Array2::zeros((32, 33));
    assert!(phase_correlation(image.view(), other.view(), (3, 3), &parameters).is_err());
    let flat = Array2::zeros((32, 32));
    let shift = phase_correlation(image.view(), flat.view(), (3, 3), &parameters).unwrap();
    assert_eq!(shift, Shift::default());
}
