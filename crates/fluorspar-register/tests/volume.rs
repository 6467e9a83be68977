//! Planes recorded together, and depth.

use fluorspar_movie::{
    ArrayMovie, Budget, ImageOrder, MemorySink, Movie as _, MovieExt, MovieShape, Volumes, silent,
};
use fluorspar_register::{
    DepthFinder, Error, Motion, Parameters, Registrar, Shift, VolumePart, VolumeReference,
    VolumeRegistrar, VolumeRegistration, plane_offsets, reapply_volumes, register_volumes,
    register_volumes_part,
};
use ndarray::{Array2, Array3, Axis, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

mod scene;
use scene::{Scene, noisy};

const SIZE: (usize, usize) = (80, 88);

type Planes = Volumes<ArrayMovie<f32>>;

fn motion(frame: usize) -> (f64, f64) {
    let t = frame as f64;
    (2.5 * (t / 6.0).sin(), 2.0 * (t / 9.0).cos())
}

/// Lateral motion that grows with depth, about the middle plane.
fn sheared(frame: usize, plane: usize, planes: usize) -> (f64, f64) {
    let (dy, dx) = motion(frame);
    let depth = plane as f64 / (planes as f64 - 1.0) - 0.5;
    let t = frame as f64;
    (
        dy + 2.4 * depth * (t / 4.0).sin(),
        dx + 1.6 * depth * (t / 5.0 + 1.0).sin(),
    )
}

fn as_volumes(images: Array3<f32>, planes: usize) -> Planes {
    let frames = images.len_of(Axis(0)) / planes;
    let order = ImageOrder {
        first: 0,
        frame_step: planes,
        plane_step: 1,
    };
    Volumes::new(ArrayMovie::new(images), frames, planes, order).unwrap()
}

/// Planes of a scene each, of so many photons per unit of brightness, with
/// the noise of photons and of a detector.
fn recorded(
    frames: usize,
    photons: &[f64],
    place: impl Fn(usize, usize) -> (f64, f64),
    seed: u64,
) -> Planes {
    let planes = photons.len();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scenes: Vec<Scene> = (0..planes as u64)
        .map(|k| Scene::new(10 * seed + k))
        .collect();
    let mut images = Array3::zeros((frames * planes, SIZE.0, SIZE.1));
    for (k, mut image) in images.outer_iter_mut().enumerate() {
        let (frame, plane) = (k / planes, k % planes);
        let bright = scenes[plane].drawn(place(frame, plane), SIZE);
        let counts = bright.mapv(|v| {
            let mean = f64::from(v) * photons[plane];
            Poisson::new(mean.max(1e-9)).unwrap().sample(&mut rng) as f32
        });
        image.assign(&noisy(counts, 0.3, &mut rng));
    }
    as_volumes(images, planes)
}

fn registered(movie: &Planes) -> (VolumeRegistrar, VolumeRegistration) {
    let registrar = VolumeRegistrar::build(movie, &Parameters::default()).unwrap();
    let found = register_volumes(movie, &registrar, None, Budget::default(), &silent).unwrap();
    (registrar, found)
}

/// Root mean square distance from the truth, pixels, but for a constant: the
/// reference's own place is free.
fn error(shifts: impl Iterator<Item = (f32, f32)>, truth: impl Fn(usize) -> (f64, f64)) -> f64 {
    let difference: Vec<(f64, f64)> = shifts
        .enumerate()
        .map(|(frame, (dy, dx))| {
            let (ty, tx) = truth(frame);
            (f64::from(dy) - ty, f64::from(dx) - tx)
        })
        .collect();
    let n = difference.len() as f64;
    let my = difference.iter().map(|d| d.0).sum::<f64>() / n;
    let mx = difference.iter().map(|d| d.1).sum::<f64>() / n;
    let squares = difference
        .iter()
        .map(|d| (d.0 - my).powi(2) + (d.1 - mx).powi(2));
    (squares.sum::<f64>() / n).sqrt()
}

fn own(motion: &Motion) -> impl Iterator<Item = (f32, f32)> {
    motion.dy.iter().copied().zip(motion.dx.iter().copied())
}

fn shared(found: &VolumeRegistration) -> impl Iterator<Item = (f32, f32)> {
    found.shared.iter().map(|s| (s.dy, s.dx))
}

/// The same photons in every scene times one of these: from planes that
/// cannot be located alone to planes without noise to speak of.
const LIGHT: [(u64, f64); 4] = [(1, 0.001), (2, 0.003), (3, 0.02), (4, 0.2)];

#[test]
fn planes_that_move_as_one_stay_together() {
    // Measured at these four lights: 0.36, 0.19, 0.08, 0.05 px.
    for ((seed, light), most) in LIGHT.into_iter().zip([0.5, 0.26, 0.12, 0.08]) {
        let photons = [1.0, 0.7, 0.5, 0.25, 0.1, 0.05].map(|p| p * light);
        let movie = recorded(240, &photons, |frame, _| motion(frame), seed);
        let (registrar, found) = registered(&movie);
        assert_eq!(registrar.spread(), (0.0, 0.0), "light {light}");
        assert_eq!(registrar.shear(), (0.0, 0.0), "light {light}");
        let together = error(shared(&found), motion);
        assert!(together < most, "light {light}: {together}");
        for plane in &found.planes {
            let tied = error(own(&plane.motion), motion);
            assert!(tied <= together + 1e-6, "light {light}: {tied} {together}");
        }
        let weights = registrar.weights();
        assert!(weights[0] > weights[4] && weights[4] > 0.0, "{weights:?}");
    }
}

/// Every plane with a motion of its own besides.
fn scattered(frame: usize, plane: usize) -> (f64, f64) {
    let (dy, dx) = motion(frame);
    let (t, z) = (frame as f64, plane as f64);
    (
        dy + 0.9 * (t / (2.0 + 0.6 * z) + z * z).sin(),
        dx + 0.6 * (t / (2.3 + 0.5 * z) + 2.0 * z).sin(),
    )
}

#[test]
fn planes_that_deviate_are_followed_where_they_are_seen() {
    // Plane 2 has a fiftieth of the photons.
    for ((seed, light), most) in [(1, 0.002), (2, 0.01), (3, 0.1)]
        .into_iter()
        .zip([0.75, 0.4, 0.2])
    {
        let photons = [1.0, 0.8, 0.02, 0.7, 0.9, 0.6].map(|p| p * light);
        let movie = recorded(240, &photons, scattered, seed);
        let (registrar, found) = registered(&movie);
        let planted = between(&movie, scattered);
        let (sy, sx) = registrar.spread();
        assert!(
            (f64::from(sy) / planted.0 - 1.0).abs() < 0.25,
            "{sy} {planted:?}"
        );
        assert!(
            (f64::from(sx) / planted.1 - 1.0).abs() < 0.25,
            "{sx} {planted:?}"
        );
        for plane in 0..photons.len() {
            let truth = |frame| scattered(frame, plane);
            let tied = error(own(&found.planes[plane].motion), truth);
            let together = error(shared(&found), truth);
            if plane == 2 {
                // The dim one stays where the others are.
                assert!(tied < together + 0.1, "light {light}: {tied} {together}");
            } else {
                assert!(
                    tied < most * together,
                    "light {light}, plane {plane}: {tied} {together}"
                );
            }
        }
    }
}

#[test]
fn tilting_tissue_takes_dim_planes_along() {
    for ((seed, light), most) in [(1, 0.002), (2, 0.01), (3, 0.1)]
        .into_iter()
        .zip([0.6, 0.3, 0.15])
    {
        // The first plane moves most and is hardly seen.
        let photons = [0.02, 0.8, 1.0, 0.7, 0.9, 0.6].map(|p| p * light);
        let planes = photons.len();
        let place = |frame, plane| sheared(frame, plane, planes);
        let movie = recorded(240, &photons, place, seed);
        let (registrar, found) = registered(&movie);
        let (sy, sx) = registrar.shear();
        // Sines of amplitudes 2.4 and 1.6.
        assert!(
            (sy - 1.70).abs() < 0.25 && (sx - 1.13).abs() < 0.2,
            "{sy} {sx}"
        );
        for plane in 0..planes {
            let truth = |frame| place(frame, plane);
            let tied = error(own(&found.planes[plane].motion), truth);
            assert!(tied < most, "light {light}, plane {plane}: {tied}");
        }
        // Half of 2.4 · sin and 1.6 · sin: about 1 px, which the shared shift leaves.
        let first = error(shared(&found), |frame| place(frame, 0));
        assert!(first > 0.9, "{first}");
    }
}

/// Standard deviation between planes of planted motion, along y and x.
fn between(movie: &Planes, place: impl Fn(usize, usize) -> (f64, f64)) -> (f64, f64) {
    let shape = movie.shape();
    let axis = |pick: fn((f64, f64)) -> f64| {
        let variance = (0..shape.frames).map(|frame| {
            let all: Vec<f64> = (0..shape.planes).map(|z| pick(place(frame, z))).collect();
            let n = all.len() as f64;
            let mean = all.iter().sum::<f64>() / n;
            all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
        });
        (variance.sum::<f64>() / shape.frames as f64).sqrt()
    };
    (axis(|p| p.0), axis(|p| p.1))
}

#[test]
fn dim_planes_borrow_from_bright_ones() {
    let photons = [0.01, 0.004, 0.001, 0.0003];
    let movie = recorded(120, &photons, |frame, _| motion(frame), 7);
    let (registrar, found) = registered(&movie);
    let last = photons.len() - 1;
    let tied = error(own(&found.planes[last].motion), motion);
    // The dimmest plane on its own, against the same reference.
    let reference = registrar.references().last().unwrap().to_owned();
    let reference = fluorspar_register::Reference::from_image(reference);
    let alone = Registrar::new(&reference, &Parameters::default()).unwrap();
    let mut scratch = alone.scratch();
    let shifts: Vec<(f32, f32)> = (0..120)
        .map(|frame| {
            let all = movie.read_array(frame..frame + 1).unwrap();
            let image = all.index_axis(Axis(0), 0);
            let shift = alone.estimate(image.slice(s![last * SIZE.0.., ..]), &mut scratch);
            (shift.dy, shift.dx)
        })
        .collect();
    let alone = error(shifts.into_iter(), motion);
    assert!(tied < 0.2 && 5.0 * tied < alone, "{tied} {alone}");
}

#[test]
fn threads_and_blocks_do_not_change_a_byte() {
    let photons = [0.1, 0.05, 0.02];
    let movie = recorded(60, &photons, |frame, plane| sheared(frame, plane, 3), 5);
    let run = |threads: usize, bytes: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let registrar = VolumeRegistrar::build(&movie, &Parameters::default()).unwrap();
            let mut sink = MemorySink::new(MovieShape::new(60, 3, SIZE.0, SIZE.1));
            let budget = Budget { bytes };
            let found =
                register_volumes(&movie, &registrar, Some(&mut sink), budget, &silent).unwrap();
            (found, sink.into_array())
        })
    };
    let one = run(1, 1 << 30);
    assert!(one == run(3, 1 << 30), "threads");
    assert!(one == run(2, 0), "budget");
    assert!(one.0.planes[0].motion.dy != one.0.planes[2].motion.dy);
    // And moved again.
    let motions: Vec<Motion> = one
        .0
        .planes
        .iter()
        .map(|plane| plane.motion.clone())
        .collect();
    let mut sink = MemorySink::new(MovieShape::new(60, 3, SIZE.0, SIZE.1));
    reapply_volumes(&movie, &motions, &mut sink, Budget::default(), &silent).unwrap();
    assert!(one.1 == sink.into_array(), "moved again");
    for motions in [&motions[..2], &[]] {
        let mut sink = MemorySink::new(MovieShape::new(60, 3, SIZE.0, SIZE.1));
        let refused = reapply_volumes(&movie, motions, &mut sink, Budget::default(), &silent);
        assert!(matches!(refused, Err(Error::Image(_))));
    }
}

#[test]
fn poor_volumes_stay_where_the_last_good_one_was() {
    let movie = recorded(60, &[0.1, 0.05], |frame, _| motion(frame), 8);
    let all = movie.read_array(0..60).unwrap();
    let mut images = Array3::zeros((120, SIZE.0, SIZE.1));
    for (k, mut image) in images.outer_iter_mut().enumerate() {
        let plane = k % 2 * SIZE.0;
        image.assign(&all.slice(s![k / 2, plane..plane + SIZE.0, ..]));
    }
    // Both planes of a volume dark; one plane of another; gaps.
    for (image, value) in [(14, 3.0), (15, 3.0), (41, 3.0), (60, f32::NAN)] {
        images.index_axis_mut(Axis(0), image).fill(value);
    }
    images[[80, 20, 20]] = f32::NAN;
    let movie = as_volumes(images, 2);
    let registrar = VolumeRegistrar::build(&movie, &Parameters::default()).unwrap();
    let mut sink = MemorySink::new(MovieShape::new(60, 2, SIZE.0, SIZE.1));
    let budget = Budget::default();
    let found = register_volumes(&movie, &registrar, Some(&mut sink), budget, &silent).unwrap();
    let [first, second] = &found.planes[..] else {
        panic!("two planes")
    };
    assert!(sink.into_array().iter().all(|v| v.is_finite()));
    for plane in [first, second] {
        let motion = &plane.motion;
        assert!(motion.untrusted[7] && !motion.untrusted[8]);
        assert_eq!((motion.dy[7], motion.dx[7]), (motion.dy[6], motion.dx[6]));
        assert_eq!(motion.quality[7], 0.0);
    }
    // A dark plane goes with the other.
    assert!(second.motion.untrusted[20] && !first.motion.untrusted[20]);
    assert!((second.motion.dy[20] - found.shared[20].dy).abs() < 1e-6);
    assert!((second.motion.dy[20] - second.motion.dy[19]).abs() > 0.05);
    assert_eq!((first.nan_frames, second.nan_frames), (2, 0));
    assert_eq!((first.images.frames, second.images.frames), (58, 58));
}

#[test]
fn references_of_another_session_serve() {
    let photons = [0.05, 0.05, 0.02];
    let movie = recorded(60, &photons, |frame, _| motion(frame), 6);
    let scenes: Vec<Scene> = (60..63).map(Scene::new).collect();
    let mut stack = Array3::zeros((3, SIZE.0, SIZE.1));
    for (mut image, scene) in stack.outer_iter_mut().zip(&scenes) {
        image.assign(&scene.drawn((0.0, 0.0), SIZE));
    }
    let parameters = Parameters::default();
    let registrar = VolumeRegistrar::new(stack.view(), &parameters).unwrap();
    let registrar = registrar.learn(&movie, &parameters).unwrap();
    let found = register_volumes(&movie, &registrar, None, Budget::default(), &silent).unwrap();
    for (frame, shift) in found.shared.iter().enumerate() {
        // The references are the truth: no constant is free.
        let (dy, dx) = motion(frame);
        assert!((f64::from(shift.dy) - dy).hypot(f64::from(shift.dx) - dx) < 0.3);
    }
    let few = stack.slice(s![..2, .., ..]);
    let few = VolumeRegistrar::new(few, &parameters).unwrap();
    assert!(matches!(
        few.learn(&movie, &parameters),
        Err(Error::Image(_))
    ));
    let none = Array3::zeros((0, SIZE.0, SIZE.1));
    assert!(VolumeRegistrar::new(none.view(), &parameters).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_moved_volume_is_found_again(dy in -4.5_f64..4.5, dx in -4.5_f64..4.5, seed in 0_u64..1000) {
        let scenes: Vec<Scene> = (seed..seed + 3).map(Scene::new).collect();
        let stack = |place: (f64, f64)| {
            let mut all = Array3::zeros((3, SIZE.0, SIZE.1));
            for (mut image, scene) in all.outer_iter_mut().zip(&scenes) {
                image.assign(&scene.drawn(place, SIZE));
            }
            all
        };
        let registrar = VolumeRegistrar::new(stack((0.0, 0.0)).view(), &Parameters::default()).unwrap();
        let mut shifts = [Shift::default(); 3];
        let mut scratch = registrar.scratch();
        let shared = registrar.estimate(stack((dy, dx)).view(), &mut scratch, &mut shifts);
        prop_assert!((f64::from(shared.dy) - dy).abs() < 0.15, "{shared:?} {dy}");
        prop_assert!((f64::from(shared.dx) - dx).abs() < 0.15, "{shared:?} {dx}");
        for shift in shifts {
            prop_assert_eq!((shift.dy, shift.dx), (shared.dy, shared.dx));
            prop_assert!(shift.quality > 0.2 && shift.quality <= 1.0);
        }
    }
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
fn planes_with_nothing_in_common_are_in_line() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut stack = Array3::zeros((8, SIZE.0, SIZE.1));
    for (seed, mut image) in stack.outer_iter_mut().enumerate() {
        let scene = Scene::new(200 + seed as u64);
        image.assign(&noisy(scene.drawn((0.0, 0.0), SIZE), 20.0, &mut rng));
    }
    // The last two are one scene, moved.
    let scene = Scene::new(207);
    stack
        .index_axis_mut(Axis(0), 6)
        .assign(&scene.drawn((-3.0, 1.0), SIZE));
    let found = plane_offsets(stack.view(), (16, 16), &Parameters::default()).unwrap();
    for shift in &found[1..7] {
        assert_eq!(*shift, Shift::default());
    }
    assert!((found[7].dy - 3.0).abs() < 0.3 && (found[7].dx + 1.0).abs() < 0.3);
    assert!(found[7].quality > 0.0);
}

/// Every cell is brightest at a depth of its own.
fn at_depth(scenes: &[Scene], z: f64, shift: (f64, f64)) -> Array2<f32> {
    let mut sum = Array2::zeros(SIZE);
    for (k, scene) in scenes.iter().enumerate() {
        let weight = (-(z - k as f64).powi(2) / 2.0).exp() as f32;
        sum = sum + scene.drawn(shift, SIZE) * weight;
    }
    sum
}

#[test]
fn depth_is_found_between_planes() {
    let scenes: Vec<Scene> = (0..9).map(|k| Scene::new(50 + k)).collect();
    let mut stack = Array3::zeros((9, SIZE.0, SIZE.1));
    for (z, mut image) in stack.outer_iter_mut().enumerate() {
        image.assign(&at_depth(&scenes, z as f64, (0.0, 0.0)));
    }
    let finder = DepthFinder::new(stack.view(), &Parameters::default()).unwrap();
    let mut scratch = finder.scratch();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for z in [2.0, 3.3, 4.5, 5.8] {
        let frame = noisy(at_depth(&scenes, z, (1.0, -2.0)), 60.0, &mut rng);
        let found = finder.find(frame.view(), &mut scratch).unwrap();
        assert!((f64::from(found.z) - z).abs() < 0.3, "{found:?} {z}");
        assert!((found.shift.dy - 1.0).abs() < 0.3 && (found.shift.dx + 2.0).abs() < 0.3);
    }
    assert!(
        finder
            .find(Array2::zeros(SIZE).view(), &mut scratch)
            .is_none()
    );
    // A volume of the same planes, all deeper or less deep by the same.
    let mut last = f32::NEG_INFINITY;
    for by in [-0.4, -0.2, 0.0, 0.2, 0.4] {
        let mut volume = Array3::zeros((9, SIZE.0, SIZE.1));
        for (z, mut image) in volume.outer_iter_mut().enumerate() {
            let plane = at_depth(&scenes, z as f64 + by, (-1.0, 0.5));
            image.assign(&noisy(plane, 60.0, &mut rng));
        }
        let found = finder.find_volume(volume.view()).unwrap();
        assert!((f64::from(found) - by).abs() < 0.12, "{found} {by}");
        assert!(found > last);
        last = found;
    }
    assert!(
        finder
            .find_volume(Array3::zeros((9, SIZE.0, SIZE.1)).view())
            .is_none()
    );
    assert!(
        finder
            .find_volume(Array3::zeros((8, SIZE.0, SIZE.1)).view())
            .is_none()
    );
}

#[test]
fn a_sinking_focus_is_seen_over_the_movie() {
    let scenes: Vec<Scene> = (0..6).map(|k| Scene::new(70 + k)).collect();
    let (frames, planes) = (200, 4);
    let depth = |frame: usize| 0.5 * frame as f64 / frames as f64;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut images = Array3::zeros((frames * planes, SIZE.0, SIZE.1));
    for (k, mut image) in images.outer_iter_mut().enumerate() {
        let (frame, plane) = (k / planes, k % planes);
        let z = 1.0 + plane as f64 + depth(frame);
        let bright = at_depth(&scenes, z, motion(frame));
        image.assign(&noisy(bright, 150.0, &mut rng));
    }
    let (_, found) = registered(&as_volumes(images, planes));
    assert_eq!(found.drift.len(), 20);
    let middle = |k: usize| {
        let frames = &found.drift[k].frames;
        depth(usize::midpoint(frames.start, frames.end))
    };
    let n = found.drift.len() as f64;
    let mean = found.drift.iter().map(|d| f64::from(d.z)).sum::<f64>() / n;
    let truth = (0..found.drift.len()).map(middle).sum::<f64>() / n;
    for (k, drift) in found.drift.iter().enumerate() {
        let (z, planted) = (f64::from(drift.z) - mean, middle(k) - truth);
        assert!((z - planted).abs() < 0.1, "{k}: {z} {planted}");
    }
}

#[test]
fn volumes_in_parts_are_registered_as_in_one_go() {
    // Every seventh volume shows nothing, and a run of them where the movie is cut.
    let planes = 3;
    let movie = recorded(90, &[0.5, 0.3, 0.1], |frame, _| motion(frame), 9);
    let mut images = Array3::zeros((90 * planes, SIZE.0, SIZE.1));
    for (k, mut image) in images.outer_iter_mut().enumerate() {
        let frame = k / planes;
        if frame % 7 == 3 || (28..35).contains(&frame) {
            image.fill(2.0);
        } else {
            let mut volume = vec![0.0; planes * SIZE.0 * SIZE.1];
            movie.read(frame..frame + 1, &mut volume).unwrap();
            let pixels = SIZE.0 * SIZE.1;
            let own = &volume[(k % planes) * pixels..(k % planes + 1) * pixels];
            image.as_slice_mut().unwrap().copy_from_slice(own);
        }
    }
    let movie = as_volumes(images, planes);
    let parameters = Parameters::default();
    let registrar = VolumeRegistrar::build(&movie, &parameters).unwrap();
    // As it comes from another machine.
    let text = serde_json::to_vec(&registrar.reference()).unwrap();
    let reference: VolumeReference = serde_json::from_slice(&text).unwrap();
    let other = VolumeRegistrar::from_reference(&reference, &parameters).unwrap();
    let whole = register_volumes(&movie, &registrar, None, Budget::default(), &silent).unwrap();
    assert!(whole.planes[0].motion.untrusted[30]);
    assert!(!whole.drift.is_empty());
    for cuts in [vec![30], vec![1, 2, 33, 34, 35], vec![10, 20, 25, 45, 89]] {
        let edges = [vec![0], cuts, vec![90]].concat();
        let mut parts: Vec<Result<VolumePart, Error>> = edges
            .windows(2)
            .rev()
            .map(|edge| {
                let budget = Budget { bytes: 1 };
                register_volumes_part(&movie, &other, edge[0]..edge[1], None, budget, &silent)
            })
            .collect();
        parts.reverse();
        let found = VolumeRegistration::from_parts(&other, parts).unwrap();
        assert_eq!(found.shared, whole.shared, "{edges:?}");
        assert_eq!(found.drift.len(), whole.drift.len());
        for (a, b) in found.drift.iter().zip(&whole.drift) {
            assert_eq!(a.frames, b.frames, "{edges:?}");
            assert!((a.z - b.z).abs() < 1e-3, "{edges:?} {a:?} {b:?}");
        }
        for (a, b) in found.planes.iter().zip(&whole.planes) {
            assert_eq!(a.motion, b.motion, "{edges:?}");
            assert_eq!(a.images.max, b.images.max);
            for (a, b) in a.images.mean.iter().zip(&b.images.mean) {
                assert!((a - b).abs() <= 1e-6 * b.abs());
            }
        }
    }
    let missing = register_volumes_part(&movie, &other, 5..90, None, Budget::default(), &silent);
    assert!(matches!(
        VolumeRegistration::from_parts(&other, [missing]),
        Err(Error::Image(_))
    ));
}
