//! A movie registered in parts is registered as in one go.

use fluorspar_movie::{ArrayMovie, Budget, MemorySink, Movie, silent};
use fluorspar_register::{
    Error, Mode, Parameters, Part, Reference, Registrar, Registration, register, register_part,
};
use ndarray::{Array3, Axis};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

mod scene;
use scene::{Scene, noisy};

const SIZE: (usize, usize) = (64, 80);
const FRAMES: usize = 60;

/// Frames that move; those numbered in `dark` show nothing.
fn movie(dark: &[usize]) -> ArrayMovie<f32> {
    let scene = Scene::new(3);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut frames = Array3::zeros((FRAMES, SIZE.0, SIZE.1));
    for (t, mut frame) in frames.outer_iter_mut().enumerate() {
        let shift = (2.0 * (t as f64 * 0.7).sin(), 1.5 * (t as f64 * 0.3).cos());
        if dark.contains(&t) {
            frame.fill(7.0);
        } else {
            frame.assign(&noisy(scene.drawn(shift, SIZE), 20.0, &mut rng));
        }
    }
    ArrayMovie::new(frames)
}

fn registrar(movie: &dyn Movie, mode: Mode) -> Registrar {
    let parameters = Parameters {
        mode,
        reference_frames: 30,
        ..Parameters::default()
    };
    let reference = Reference::build(movie, &parameters).unwrap();
    // As it comes from another machine.
    let bytes = serde_json::to_vec(&reference).unwrap();
    let reference: Reference = serde_json::from_slice(&bytes).unwrap();
    Registrar::new(&reference, &parameters).unwrap()
}

fn parts(
    movie: &dyn Movie,
    registrar: &Registrar,
    cuts: &[usize],
) -> (Registration, Array3<f32>, Vec<Part>) {
    let mut sink = MemorySink::new(movie.shape());
    let mut edges = vec![0];
    edges.extend(cuts);
    edges.push(FRAMES);
    // The last part first: each stands alone.
    let mut parts: Vec<Part> = edges
        .windows(2)
        .rev()
        .map(|edge| {
            let frames = edge[0]..edge[1];
            let sink = Some(&mut sink as &mut dyn fluorspar_movie::MovieSink);
            let budget = Budget { bytes: 200_000 };
            register_part(movie, registrar, frames, sink, budget, &silent).unwrap()
        })
        .collect();
    parts.reverse();
    let each = parts.iter().cloned().map(Ok::<_, Error>);
    let whole = Registration::from_parts(registrar, each).unwrap();
    (whole, sink.into_array(), parts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn cuts_do_not_show(
        cuts in prop::collection::btree_set(1..FRAMES, 0..5),
        dark in prop::collection::btree_set(0..FRAMES, 0..30),
        piecewise in any::<bool>(),
    ) {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let dark: Vec<usize> = dark.into_iter().collect();
        let movie = movie(&dark);
        let registrar = registrar(&movie, if piecewise { Mode::Piecewise } else { Mode::Rigid });
        let mut sink = MemorySink::new(movie.shape());
        let whole = register(&movie, &registrar, Some(&mut sink), Budget::default(), &silent).unwrap();
        for &t in &dark {
            prop_assert!(whole.motion.untrusted[t]);
        }
        let (found, frames, _) = parts(&movie, &registrar, &cuts);
        prop_assert_eq!(&found.motion, &whole.motion);
        prop_assert_eq!(frames, sink.into_array());
        prop_assert_eq!(found.images.frames, whole.images.frames);
        prop_assert_eq!(&found.images.max, &whole.images.max);
        for (a, b) in found.images.mean.iter().zip(&whole.images.mean) {
            prop_assert!((a - b).abs() <= 1e-6 * b.abs(), "{} {}", a, b);
        }
        let correlations = found.images.local_correlation.iter();
        for (a, b) in correlations.zip(&whole.images.local_correlation) {
            prop_assert!((a - b).abs() < 1e-5, "{} {}", a, b);
        }
    }
}

#[test]
fn what_was_seen_long_ago_is_forgotten() {
    let scene = Scene::new(3);
    let size = (32, 32);
    let count = 1100;
    let mut frames = Array3::from_elem((count, size.0, size.1), 7.0);
    for t in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(t as u64);
        let frame = noisy(scene.drawn((2.0, -1.0), size), 5.0, &mut rng);
        frames.index_axis_mut(Axis(0), t).assign(&frame);
    }
    let movie = ArrayMovie::new(frames);
    let image = scene.drawn((0.0, 0.0), size);
    let registrar = Registrar::new(&Reference::from_image(image), &Parameters::default()).unwrap();
    let whole = register(&movie, &registrar, None, Budget::default(), &silent).unwrap();
    let motion = &whole.motion;
    assert!((motion.dy[39] - 2.0).abs() < 0.2 && motion.untrusted[40]);
    // Frame 39 was the last to be trusted.
    assert_eq!(motion.dy[1039].to_bits(), motion.dy[39].to_bits());
    assert_eq!(motion.dy[1040].to_bits(), 0.0_f32.to_bits());
    let late = register_part(
        &movie,
        &registrar,
        1030..1100,
        None,
        Budget::default(),
        &silent,
    );
    let early = register_part(
        &movie,
        &registrar,
        0..1030,
        None,
        Budget::default(),
        &silent,
    );
    let found = Registration::from_parts(&registrar, [early, late]).unwrap();
    assert_eq!(&found.motion, motion);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let movie = movie(&[]);
    let rigid = registrar(&movie, Mode::Rigid);
    let (_, _, good) = parts(&movie, &rigid, &[20, 40]);
    let of = |registrar: &Registrar, which: &[usize]| {
        let each = which.iter().map(|&k| Ok::<_, Error>(good[k].clone()));
        Registration::from_parts(registrar, each)
    };
    assert!(of(&rigid, &[0, 1, 2]).is_ok());
    for wrong in [&[][..], &[0, 2], &[1, 2], &[0, 1, 1, 2], &[1, 0, 2]] {
        assert!(
            matches!(of(&rigid, wrong), Err(Error::Image(_))),
            "{wrong:?}"
        );
    }
    let piecewise = registrar(&movie, Mode::Piecewise);
    assert!(matches!(of(&piecewise, &[0, 1, 2]), Err(Error::Image(_))));
    for frames in [50..FRAMES + 1, FRAMES + 1..FRAMES + 2] {
        let found = register_part(&movie, &rigid, frames, None, Budget::default(), &silent);
        assert!(matches!(found, Err(Error::Image(_))));
    }
}
