//! What must hold whatever the movie.

use fluorspar_movie::{ArrayMovie, Budget, FrameRange, MemorySink, MovieShape, silent};
use fluorspar_register::{
    Error, Mode, Parameters, Reference, Registrar, Registration, reapply, register,
};
use ndarray::{Array2, Array3, Array4, Axis, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

mod scene;
use scene::{Scene, noisy};

fn parameters(mode: Mode) -> Parameters {
    Parameters {
        mode,
        ..Parameters::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn brightness_and_offset_do_not_matter(
        dy in -4.0_f64..4.0,
        gain in 0.01_f32..100.0,
        offset in -1000.0_f32..1000.0,
        seed in 0_u64..100,
    ) {
        let scene = Scene::new(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let reference = Reference::from_image(scene.frame((0.0, 0.0), (80, 88)));
        let registrar = Registrar::new(&reference, &parameters(Mode::Rigid)).unwrap();
        let mut scratch = registrar.scratch();
        let frame = noisy(scene.frame((dy, -dy / 2.0), (80, 88)), 40.0, &mut rng);
        let one = registrar.estimate(frame.view(), &mut scratch);
        let other = registrar.estimate(frame.mapv(|v| v * gain + offset).view(), &mut scratch);
        prop_assert!((one.dy - other.dy).abs() < 0.02, "{one:?} {other:?}");
        prop_assert!((one.dx - other.dx).abs() < 0.02, "{one:?} {other:?}");
        prop_assert!((one.quality - other.quality).abs() < 0.02, "{one:?} {other:?}");
    }
}

/// A movie whose frames wander and bend, and the displacement `(frame, component, y, x)`.
fn bending(frames: usize, side: usize, sigma: f64) -> (Array3<f32>, Array4<f64>) {
    let scene = Scene::new(21);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let truth = Array4::from_shape_fn((frames, 2, side, side), |(t, c, y, x)| {
        let (t, y, x) = (t as f64, y as f64 / side as f64, x as f64 / side as f64);
        let whole = 2.0 * (t / 7.0 + c as f64).sin();
        let part = (t / 5.0 + 3.0 * c as f64).sin() * (3.0 * y - 2.0 * x).sin();
        whole + 1.2 * part
    });
    let mut movie = Array3::zeros((frames, side, side));
    for (t, mut slot) in movie.outer_iter_mut().enumerate() {
        let frame = Array2::from_shape_fn((side, side), |(y, x)| {
            let d = |c| truth[[t, c, y, x]];
            scene.at(y as f64 - d(0), x as f64 - d(1)) as f32
        });
        slot.assign(&noisy(frame, sigma, &mut rng));
    }
    (movie, truth)
}

fn run(
    movie: &ArrayMovie<f32>,
    parameters: &Parameters,
    bytes: usize,
) -> (Registration, Array3<f32>) {
    let reference = Reference::build(movie, parameters).unwrap();
    let registrar = Registrar::new(&reference, parameters).unwrap();
    let shape = fluorspar_movie::Movie::shape(movie);
    let mut sink = MemorySink::new(shape);
    let budget = Budget { bytes };
    let found = register(movie, &registrar, Some(&mut sink), budget, &silent).unwrap();
    (found, sink.into_array())
}

/// Median distance between estimate and truth at the nodes, a constant per node taken off.
fn error(found: &Registration, truth: &Array4<f64>, use_field: bool) -> f64 {
    let motion = &found.motion;
    let field = motion.field.as_ref().unwrap();
    let mut distances = Vec::new();
    for (i, &y) in field.grid.y().iter().enumerate() {
        for (j, &x) in field.grid.x().iter().enumerate() {
            let mut differences: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
            for t in 0..motion.dy.len() {
                for (c, whole) in [motion.dy[t], motion.dx[t]].into_iter().enumerate() {
                    let part = if use_field {
                        field.nodes[[t, c, i, j]]
                    } else {
                        0.0
                    };
                    let true_one = truth[[t, c, y.round() as usize, x.round() as usize]];
                    differences[c].push(f64::from(whole + part) - true_one);
                }
            }
            for values in &mut differences {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let middle = sorted[sorted.len() / 2];
                for value in values.iter_mut() {
                    *value -= middle;
                }
            }
            distances
                .extend((0..motion.dy.len()).map(|t| differences[0][t].hypot(differences[1][t])));
        }
    }
    distances.sort_by(f64::total_cmp);
    distances[distances.len() / 2]
}

#[test]
fn parts_that_move_beside_the_whole_are_found() {
    let (movie, truth) = bending(80, 96, 60.0);
    let movie = ArrayMovie::new(movie);
    let (found, _) = run(&movie, &parameters(Mode::Piecewise), 1 << 30);
    let (whole, parts) = (error(&found, &truth, false), error(&found, &truth, true));
    assert!(whole > 0.3, "the parts do move: {whole}");
    assert!(parts < 0.15, "{parts}");
}

#[test]
fn piecewise_bytes_do_not_depend_on_threads_or_blocks() {
    let movie = ArrayMovie::new(bending(40, 64, 80.0).0);
    let on = |threads: usize, bytes: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build()
            .unwrap()
            .install(|| run(&movie, &parameters(Mode::Piecewise), bytes))
    };
    let one = on(1, 1 << 30);
    assert_eq!(one, on(3, 1 << 30));
    assert_eq!(one, on(2, 64 * 64 * 12 * 7));
}

#[test]
fn registering_again_moves_little_and_reapplying_nothing_else() {
    for mode in [Mode::Rigid, Mode::Piecewise] {
        let movie = ArrayMovie::new(bending(60, 96, 60.0).0);
        let (found, registered) = run(&movie, &parameters(mode), 1 << 30);
        let mut again = MemorySink::new(MovieShape::new(60, 1, 96, 96));
        reapply(
            &movie,
            &found.motion,
            &mut again,
            Budget::default(),
            &silent,
        )
        .unwrap();
        assert_eq!(again.into_array(), registered);

        let (second, _) = run(&ArrayMovie::new(registered), &parameters(mode), 1 << 30);
        let mut left: Vec<f32> = second
            .motion
            .dy
            .iter()
            .zip(&second.motion.dx)
            .map(|(dy, dx)| dy.hypot(*dx))
            .collect();
        left.sort_by(f32::total_cmp);
        assert!(left[30] < 0.2, "{mode:?}: {}", left[30]);
    }
}

#[test]
fn a_given_image_learns_before_it_serves() {
    let (movie, truth) = bending(60, 96, 60.0);
    let image = Scene::new(21).frame((0.0, 0.0), (96, 96));
    let movie = ArrayMovie::new(movie);
    let parameters = parameters(Mode::Piecewise);
    let reference = Reference::from_image(image.clone());
    assert!(matches!(
        Registrar::new(&reference, &parameters),
        Err(Error::Image(_))
    ));
    let reference = reference.learn(&movie, &parameters).unwrap();
    assert_eq!(reference.image(), image);
    let registrar = Registrar::new(&reference, &parameters).unwrap();
    let found = register(&movie, &registrar, None, Budget::default(), &silent).unwrap();
    assert!(error(&found, &truth, true) < 0.15);

    let wrong = Reference::from_image(Array2::zeros((96, 95)));
    assert!(matches!(
        wrong.learn(&movie, &parameters),
        Err(Error::Image(_))
    ));
}

#[test]
fn odd_lines_are_brought_back() {
    let (straight, _) = bending(40, 96, 30.0);
    let mut shifted = straight.clone();
    for mut frame in shifted.outer_iter_mut() {
        for y in (1..96).step_by(2) {
            let line = frame.row(y).to_owned();
            frame.slice_mut(s![y, 3..]).assign(&line.slice(s![..93]));
        }
    }
    let reference = Reference::build(&ArrayMovie::new(shifted.clone()), &parameters(Mode::Rigid));
    let offset = reference.unwrap().line_offset().unwrap();
    assert!((offset - 3.0).abs() < 0.5, "{offset}");
    let (_, plain) = run(
        &ArrayMovie::new(straight),
        &parameters(Mode::Rigid),
        1 << 30,
    );
    let (found, mended) = run(&ArrayMovie::new(shifted), &parameters(Mode::Rigid), 1 << 30);
    assert_eq!(found.motion.line_offset, 3);
    let inside = s![.., 12..84, 12..84];
    let difference = (&plain.slice(inside) - &mended.slice(inside)).mapv(|d| d * d);
    let spread = plain.slice(inside).std(0.0).powi(2);
    assert!(difference.mean().unwrap() < 0.02 * spread);
}

#[test]
fn bad_frames_are_marked_and_stay_with_the_last_good_one() {
    let (mut movie, _) = bending(60, 64, 30.0);
    movie.index_axis_mut(Axis(0), 20).fill(0.0);
    movie.index_axis_mut(Axis(0), 21).fill(32767.0);
    movie.index_axis_mut(Axis(0), 22).fill(f32::NAN);
    // Another place altogether.
    let far = Scene::new(77).frame((0.0, 0.0), (64, 64));
    movie.index_axis_mut(Axis(0), 23).assign(&far);
    for mode in [Mode::Rigid, Mode::Piecewise] {
        let movie = ArrayMovie::new(movie.clone());
        let (found, registered) = run(&movie, &parameters(mode), 1 << 30);
        let motion = &found.motion;
        assert!(registered.iter().all(|v| v.is_finite()));
        for bad in 20..24 {
            assert!(
                motion.untrusted[bad],
                "{mode:?} {bad} {}",
                motion.quality[bad]
            );
            assert_eq!(
                (motion.dy[bad], motion.dx[bad]),
                (motion.dy[19], motion.dx[19])
            );
        }
        assert!(!motion.untrusted[19] && !motion.untrusted[24]);
        let images = [
            &found.images.mean,
            &found.images.max,
            &found.images.standard_deviation,
            &found.images.local_correlation,
        ];
        assert!(images.iter().all(|i| i.iter().all(|v| v.is_finite())));
        let trusted = motion.untrusted.iter().filter(|u| !**u).count();
        assert_eq!(found.images.frames as usize, trusted);
    }
}

#[test]
fn odd_sizes_are_no_matter() {
    // A tile larger than the image, one frame, sides that no number likes.
    for (frames, height, width, tile) in [(1, 17, 16, 32), (3, 16, 211, 16), (5, 101, 67, 512)] {
        let scene = Scene::new(4);
        let mut movie = Array3::zeros((frames, height, width));
        for (t, mut frame) in movie.outer_iter_mut().enumerate() {
            frame.assign(&scene.frame((t as f64 * 0.4, 0.0), (height, width)));
        }
        let parameters = Parameters {
            tile,
            ..parameters(Mode::Piecewise)
        };
        let (found, registered) = run(&ArrayMovie::new(movie), &parameters, 1 << 30);
        assert_eq!(found.motion.dy.len(), frames);
        assert!(registered.iter().all(|v| v.is_finite()));
    }
    let thin = ArrayMovie::new(Array3::<i16>::zeros((5, 1, 300)));
    assert!(matches!(
        Reference::build(&thin, &parameters(Mode::Piecewise)),
        Err(Error::Image(_))
    ));
}

#[test]
fn movies_without_structure_stay_where_they_are() {
    for value in [0.0, 7.0, f32::NAN, f32::INFINITY] {
        for mode in [Mode::Rigid, Mode::Piecewise] {
            let movie = ArrayMovie::new(Array3::from_elem((12, 40, 40), value));
            let reference = Reference::build(&movie, &parameters(mode)).unwrap();
            // Nothing can be learnt from nothing: refused, or registered to no avail.
            let Ok(registrar) = Registrar::new(&reference, &parameters(mode)) else {
                continue;
            };
            let found = register(&movie, &registrar, None, Budget::default(), &silent).unwrap();
            assert!(found.motion.untrusted.iter().all(|&u| u));
            assert!(found.motion.dy.iter().all(|&d| d == 0.0));
        }
    }
}

/// Differences between the shifts of two runs beside the difference that all
/// frames share, sorted.
fn changes(a: &Registration, b: &Registration) -> Vec<f32> {
    let mut out = Vec::new();
    for (a, b) in [(&a.motion.dy, &b.motion.dy), (&a.motion.dx, &b.motion.dx)] {
        let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let mut sorted = difference.clone();
        sorted.sort_by(f32::total_cmp);
        let shared = sorted[sorted.len() / 2];
        out.extend(difference.iter().map(|d| (d - shared).abs()));
    }
    out.sort_by(f32::total_cmp);
    out
}

#[test]
fn what_is_registered_stays_where_it_is() {
    let (movie, _) = bending(60, 96, 20.0);
    let movie = ArrayMovie::new(movie);
    for mode in [Mode::Rigid, Mode::Piecewise] {
        let parameters = parameters(mode);
        let reference = Reference::build(&movie, &parameters).unwrap();
        let registrar = Registrar::new(&reference, &parameters).unwrap();
        let mut sink = MemorySink::new(MovieShape::new(60, 1, 96, 96));
        register(
            &movie,
            &registrar,
            Some(&mut sink),
            Budget::default(),
            &silent,
        )
        .unwrap();
        // Lines are where they belong already, and the reference is the same.
        let registered = ArrayMovie::new(sink.into_array());
        let second = register(&registered, &registrar, None, Budget::default(), &silent).unwrap();
        let motion = &second.motion;
        // Whole and part together in the middle, beside what all frames share: at
        // the border, pixels were repeated, and the field bends with them.
        let along = |c: usize, whole: &[f32]| -> Vec<f32> {
            let part = |t: usize| {
                let field = motion.field.as_ref();
                field.map_or(0.0, |field| field.nodes[[t, c, 1, 1]])
            };
            let all: Vec<f32> = whole.iter().enumerate().map(|(t, d)| d + part(t)).collect();
            let mut sorted = all.clone();
            sorted.sort_by(f32::total_cmp);
            all.iter().map(|d| d - sorted[30]).collect()
        };
        let (dy, dx) = (along(0, &motion.dy), along(1, &motion.dx));
        let mut left: Vec<f32> = dy.iter().zip(&dx).map(|(dy, dx)| dy.hypot(*dx)).collect();
        left.sort_by(f32::total_cmp);
        let (median, p95) = (left[30], left[57]);
        assert!(median < 0.1 && p95 < 0.2, "{mode:?} {median} {p95}");
    }
}

#[test]
fn gain_offset_and_bleaching_of_a_movie_do_not_matter() {
    let (movie, _) = bending(80, 80, 40.0);
    for mode in [Mode::Rigid, Mode::Piecewise] {
        let register =
            |movie: Array3<f32>| run(&ArrayMovie::new(movie), &parameters(mode), 1 << 30).0;
        let plain = register(movie.clone());
        let other = register(movie.mapv(|v| 0.25 * v - 70.0));
        let change = changes(&plain, &other);
        assert!(
            change[change.len() - 1] < 0.02,
            "{mode:?} {:?}",
            change.last()
        );
        if let (Some(a), Some(b)) = (&plain.motion.field, &other.motion.field) {
            let most = (&a.nodes - &b.nodes).fold(0.0_f32, |m, d| m.max(d.abs()));
            assert!(most < 0.05, "{most}");
        }
        // To a third over the movie.
        let mut fading = movie.clone();
        for (t, mut frame) in fading.outer_iter_mut().enumerate() {
            let left = (-3.0_f32.ln() * t as f32 / 79.0).exp();
            frame.mapv_inplace(|v| v * left);
        }
        // Against one reference …
        let reference =
            Reference::build(&ArrayMovie::new(movie.clone()), &parameters(mode)).unwrap();
        let registrar = Registrar::new(&reference, &parameters(mode)).unwrap();
        let against = |movie: &Array3<f32>| {
            let movie = ArrayMovie::new(movie.clone());
            fluorspar_register::register(&movie, &registrar, None, Budget::default(), &silent)
                .unwrap()
        };
        let change = changes(&against(&movie), &against(&fading));
        assert!(
            change[change.len() - 1] < 0.02,
            "{mode:?} {:?}",
            change.last()
        );
        // … and each against its own, which is another mean of the same frames.
        let change = changes(&plain, &register(fading));
        let at = |share: f64| change[(share * (change.len() - 1) as f64) as usize];
        let most = if mode == Mode::Rigid { 0.02 } else { 0.05 };
        assert!(
            at(0.5) < 0.02 && at(0.95) < most,
            "{mode:?} {} {}",
            at(0.5),
            at(0.95)
        );
    }
}

#[test]
fn frames_beyond_the_largest_shift_are_not_trusted() {
    let (mut movie, _) = bending(50, 80, 20.0);
    let scene = Scene::new(21);
    movie
        .index_axis_mut(Axis(0), 30)
        .assign(&scene.frame((20.0, -3.0), (80, 80)));
    for mode in [Mode::Rigid, Mode::Piecewise] {
        let (found, _) = run(&ArrayMovie::new(movie.clone()), &parameters(mode), 1 << 30);
        let motion = &found.motion;
        assert!(motion.untrusted[30], "{mode:?} {}", motion.quality[30]);
        assert_eq!(
            (motion.dy[30], motion.dx[30]),
            (motion.dy[29], motion.dx[29])
        );
        assert!(motion.dy.iter().chain(&motion.dx).all(|d| d.abs() <= 8.0));
    }
}

#[test]
fn saturated_frames_are_registered_by_what_is_left() {
    let (mut movie, truth) = bending(60, 96, 20.0);
    let mut values: Vec<f32> = movie.iter().copied().collect();
    values.sort_by(f32::total_cmp);
    let ceiling = values[values.len() * 9 / 10];
    // One pixel of ten at the ceiling in every other frame.
    for mut frame in movie.axis_iter_mut(Axis(0)).step_by(2) {
        frame.mapv_inplace(|v| v.min(ceiling));
    }
    let (found, registered) = run(
        &ArrayMovie::new(movie),
        &parameters(Mode::Piecewise),
        1 << 30,
    );
    assert!(registered.iter().all(|v| v.is_finite()));
    let left = error(&found, &truth, true);
    assert!(left < 0.2, "{left}");
    assert!(found.motion.untrusted.iter().filter(|&&u| u).count() < 3);
}

#[test]
fn a_few_frames_are_registered_like_the_whole() {
    let (movie, _) = bending(40, 64, 30.0);
    let all = ArrayMovie::new(movie);
    for mode in [Mode::Rigid, Mode::Piecewise] {
        let parameters = parameters(mode);
        let reference = Reference::build(&all, &parameters).unwrap();
        let registrar = Registrar::new(&reference, &parameters).unwrap();
        let whole = register(&all, &registrar, None, Budget::default(), &silent).unwrap();
        for frames in [0..1, 7..9, 37..40] {
            let part = FrameRange::new(&all, frames.clone()).unwrap();
            let part = register(&part, &registrar, None, Budget::default(), &silent).unwrap();
            assert_eq!(part.motion.dy, whole.motion.dy[frames.clone()]);
            assert_eq!(part.motion.dx, whole.motion.dx[frames.clone()]);
            if let (Some(a), Some(b)) = (&part.motion.field, &whole.motion.field) {
                assert_eq!(a.nodes, b.nodes.slice(s![frames, .., .., ..]));
            }
        }
        // No frame at all is no error, and moves nothing.
        let none = FrameRange::new(&all, 3..3).unwrap();
        let none = register(&none, &registrar, None, Budget::default(), &silent).unwrap();
        assert!(none.motion.dy.is_empty());
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let (movie, _) = bending(20, 64, 30.0);
    let movie = ArrayMovie::new(movie);
    for mode in [Mode::Rigid, Mode::Piecewise] {
        let parameters = parameters(mode);
        let reference = Reference::build(&movie, &parameters).unwrap();
        let registrar = Registrar::new(&reference, &parameters).unwrap();
        let found = register(&movie, &registrar, None, Budget::default(), &silent).unwrap();
        for (height, width) in [(64, 63), (1, 64), (64, 1), (128, 128)] {
            let other = ArrayMovie::new(Array3::<f32>::ones((20, height, width)));
            let refused = register(&other, &registrar, None, Budget::default(), &silent);
            assert!(
                matches!(refused, Err(Error::Image(_))),
                "{height} × {width}"
            );
            let mut sink = MemorySink::new(MovieShape::new(20, 1, height, width));
            let refused = reapply(&other, &found.motion, &mut sink, Budget::default(), &silent);
            assert!(
                matches!(refused, Err(Error::Image(_))),
                "{height} × {width}"
            );
            let frame = Array2::ones((height, width));
            let shift = registrar.estimate(frame.view(), &mut registrar.scratch());
            assert_eq!(shift, fluorspar_register::Shift::default());
        }
        let shorter = FrameRange::new(&movie, 0..19).unwrap();
        let mut sink = MemorySink::new(MovieShape::new(19, 1, 64, 64));
        let refused = reapply(
            &shorter,
            &found.motion,
            &mut sink,
            Budget::default(),
            &silent,
        );
        assert!(matches!(refused, Err(Error::Image(_))));
    }
}
