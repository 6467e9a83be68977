//! Motion that is left shows in principal components, and nothing else does.

use fluorspar_movie::{ArrayMovie, Budget, silent};
use fluorspar_register::{
    Parameters, PrincipalMotion, Quality, Reference, Registrar, Registration, register,
};
use ndarray::{Array3, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

mod scene;
use scene::Scene;

/// Photons of a pixel of usual brightness.
const PHOTONS: f64 = 4.0;

/// Frames of photons; `shift(t, y, x)` moves the scene and a few cells are
/// active as they like.
fn photons(
    frames: usize,
    side: usize,
    active: bool,
    shift: impl Fn(usize, f64, f64) -> (f64, f64),
) -> ArrayMovie<f32> {
    let scene = Scene::new(31);
    // The scene is about a hundred pixels wide; beyond, it begins again, turned.
    let at = |y: f64, x: f64| {
        let (y, x) = if (x / 90.0).floor() % 2.0 == 0.0 {
            (y, x)
        } else {
            (x, y + 40.0)
        };
        scene.at(y.rem_euclid(90.0), x.rem_euclid(90.0)) / 200.0
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let cells: Vec<(f64, f64)> = (0..8)
        .map(|k| (8.0 + f64::from(k * 37 % 80), 10.0 + f64::from(k * 53 % 80)))
        .collect();
    let mut movie = Array3::zeros((frames, side, side));
    for (t, mut frame) in movie.axis_iter_mut(Axis(0)).enumerate() {
        let height: Vec<f64> = (0..8)
            .map(|k| {
                let phase = (t as f64 / (11.0 + 3.0 * f64::from(k)) + f64::from(k)).sin();
                if active {
                    3.0 * phase.max(0.0).powi(6)
                } else {
                    0.0
                }
            })
            .collect();
        for ((y, x), value) in frame.indexed_iter_mut() {
            let (y, x) = (y as f64, x as f64);
            let (dy, dx) = shift(t, y, x);
            let mut rate = at(y - dy, x - dx);
            for (&(cy, cx), height) in cells.iter().zip(&height) {
                let square = (y - dy - cy).powi(2) + (x - dx - cx).powi(2);
                rate += height * (-square / 18.0).exp();
            }
            *value = Poisson::new(PHOTONS * rate).unwrap().sample(&mut rng) as f32;
        }
    }
    ArrayMovie::new(movie)
}

fn registered(movie: &ArrayMovie<f32>) -> Registration {
    let parameters = Parameters::default();
    let reference = Reference::build(movie, &parameters).unwrap();
    let registrar = Registrar::new(&reference, &parameters).unwrap();
    register(movie, &registrar, None, Budget::default(), &silent).unwrap()
}

fn assess(movie: &ArrayMovie<f32>, like: &Registration) -> Quality {
    Quality::assess(movie, like, &Parameters::default()).unwrap()
}

fn show(found: &PrincipalMotion) -> String {
    format!("{:?} by chance {:?}", found.components, found.by_chance)
}

#[test]
fn motion_that_is_left_shows() {
    let still = photons(300, 80, true, |_, _, _| (0.0, 0.0));
    let like = registered(&still);
    // A third of a pixel beside activity: nothing a median over frames would tell.
    let sway = |t: usize, _: f64, _: f64| (0.2, 0.5 * (t as f64 / 13.0).sin());
    let moved = assess(&photons(300, 80, true, sway), &like);
    let found = moved.principal.as_ref().unwrap();
    assert_eq!((found.frames, found.components.len()), (300, 15));
    // Means of the outer 15 % of a sine of half a pixel are about 0.96 apart.
    let largest = found.largest();
    assert!((0.75..1.15).contains(&largest), "{}", show(found));
    let most = found.components.iter().map(|c| c.displacement);
    let most = most.max_by(|a, b| a.distance().total_cmp(&b.distance()));
    let most = most.unwrap();
    assert!(most.dy.abs() < 0.15 && most.dx.abs() > 0.7, "{most:?}");
    assert!(
        moved.verdict().contains("principal component"),
        "{}",
        moved.verdict()
    );

    let calm = assess(&still, &like);
    let found = calm.principal.as_ref().unwrap();
    assert!(found.largest() < 0.2, "{}", show(found));
    assert!(!calm.verdict().contains("principal component"));
}

#[test]
fn noise_has_components_but_no_motion() {
    let still = photons(120, 80, false, |_, _, _| (0.0, 0.0));
    let quality = assess(&still, &registered(&still));
    let found = quality.principal.unwrap();
    assert_eq!((found.frames, found.components.len()), (120, 6));
    assert!(found.components.iter().all(|c| c.share < 0.05));
    assert!(found.largest() < 0.25, "{}", show(&found));
}

#[test]
fn parts_that_move_show_as_parts() {
    // The left half goes to and fro, the right half the other way.
    let bend = |t: usize, _: f64, x: f64| {
        let by = 0.6 * (t as f64 / 9.0).sin();
        (if x < 100.0 { by } else { -by }, 0.0)
    };
    let still = photons(100, 200, false, |_, _, _| (0.0, 0.0));
    let like = registered(&still);
    let calm = assess(&still, &like).principal.unwrap();
    assert!(calm.largest_parts() < 0.15, "{}", show(&calm));
    let found = assess(&photons(100, 200, false, bend), &like);
    let found = found.principal.unwrap();
    assert!(found.largest() < 0.3, "{}", show(&found));
    assert!(found.largest_parts() > 0.3, "{}", show(&found));
}

#[test]
fn it_is_the_same_on_any_number_of_threads() {
    let movie = photons(90, 64, true, |t, _, _| ((t as f64).sin(), 0.0));
    let like = registered(&movie);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| assess(&movie, &like))
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn few_frames_say_nothing() {
    let movie = photons(39, 64, false, |_, _, _| (0.0, 0.0));
    assert_eq!(assess(&movie, &registered(&movie)).principal, None);
    let constant = ArrayMovie::new(Array3::<f32>::from_elem((60, 64, 64), 4.0));
    let mut like = registered(&photons(60, 64, false, |_, _, _| (0.0, 0.0)));
    assert_eq!(assess(&constant, &like).principal, None);
    like.motion.untrusted.fill(true);
    assert_eq!(assess(&constant, &like).principal, None);
}
