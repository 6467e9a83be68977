//! What was thrown away, where it is known.

use std::ops::Range;

use fluorspar_denoise::{Blocks, Error, LowRank, Parts, Residual, residual};
use fluorspar_movie::{ArrayMovie, Budget, Movie, MovieShape, PixelType, silent};
use ndarray::{Array2, Array3};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

const NOISE: f32 = 4.0;

/// A cell's pixels and weights: a disc of radius 5.
fn disc(centre: (usize, usize), width: usize) -> Vec<(usize, f32)> {
    let mut out = Vec::new();
    for y in centre.0 - 5..=centre.0 + 5 {
        for x in centre.1 - 5..=centre.1 + 5 {
            let square =
                (y as f32 - centre.0 as f32).powi(2) + (x as f32 - centre.1 as f32).powi(2);
            if square <= 25.0 {
                out.push((y * width + x, 1.5 * NOISE));
            }
        }
    }
    out
}

/// Transients of two components that decay by `0.9` a frame.
fn courses(frames: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let normal = Normal::new(0.0, 0.4359).unwrap();
    let mut v = Array2::zeros((2, frames));
    for k in 0..2 {
        for t in 1..frames {
            v[[k, t]] = 0.9 * v[[k, t - 1]] + normal.sample(&mut rng) as f32;
        }
    }
    v
}

/// Two cells of a plane; the model knows the first, and the second if `both`.
fn model(shape: MovieShape, both: bool) -> LowRank {
    let cells = [disc((20, 24), shape.width), disc((60, 71), shape.width)];
    let (mut indptr, mut indices, mut weights) = (vec![0], Vec::new(), Vec::new());
    for pixel in 0..shape.frame_len() {
        for (k, cell) in cells.iter().enumerate().take(if both { 2 } else { 1 }) {
            if let Some(&(_, weight)) = cell.iter().find(|(p, _)| *p == pixel) {
                indices.push(k as u32);
                weights.push(weight);
            }
        }
        indptr.push(indices.len() as u64);
    }
    let dim = (shape.planes, shape.height, shape.width);
    LowRank::from_parts(Parts {
        u_indptr: indptr,
        u_indices: indices,
        u_weights: weights,
        v: courses(shape.frames),
        mean: Array3::from_elem(dim, 100.0),
        noise: Array3::from_elem(dim, NOISE),
        blocks: Blocks::default(),
        component_block: vec![0, 1],
        frame_rate: None,
    })
    .unwrap()
}

/// The full model's movie plus noise of standard deviation [`NOISE`], the
/// mean of 2 × 2 pixels if `smooth`.
fn noisy(shape: MovieShape, smooth: bool) -> Array3<f32> {
    let truth = model(shape, true);
    let mut pixels = vec![0.0; shape.frames * shape.frame_len()];
    truth.read(0..shape.frames, &mut pixels).unwrap();
    let rows = shape.planes * shape.height;
    let mut out = Array3::from_shape_vec((shape.frames, rows, shape.width), pixels).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let normal = Normal::new(0.0, NOISE).unwrap();
    for mut frame in out.outer_iter_mut() {
        let noise = Array2::from_shape_fn((rows + 1, shape.width + 1), |_| normal.sample(&mut rng));
        for ((y, x), value) in frame.indexed_iter_mut() {
            *value += if smooth {
                // Four of a quarter have half the deviation.
                0.5 * (noise[[y, x]]
                    + noise[[y, x + 1]]
                    + noise[[y + 1, x]]
                    + noise[[y + 1, x + 1]])
            } else {
                noise[[y, x]]
            };
        }
    }
    out
}

/// Planes, stacked above each other in an array.
struct Planes(ArrayMovie<f32>, MovieShape);

impl Movie for Planes {
    fn shape(&self) -> MovieShape {
        self.1
    }
    fn pixel_type(&self) -> PixelType {
        PixelType::F32
    }
    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        self.0.read(frames, into)
    }
    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        self.0.read_native(frames, into)
    }
}

fn look(pixels: Array3<f32>, lowrank: &LowRank) -> Residual {
    residual(
        &ArrayMovie::new(pixels),
        lowrank,
        Budget::default(),
        &silent,
    )
    .unwrap()
}

const SHAPE: MovieShape = MovieShape::new(700, 1, 96, 112);

fn is_null(found: &Residual) {
    assert_eq!((found.frames, found.pairs), (256, 248));
    assert_eq!(found.ratio.dim(), (1, 6, 7));
    assert_eq!(found.tiles(), 42);
    assert_eq!(found.beyond(), 0, "{found:?}");
    assert_eq!(found.strongest(), 0.0);
    assert!(found.is_noise() && found.verdict().contains("is noise"));
    let whole = found.whole;
    assert!((whole.ratio - 1.0).abs() < 0.01, "{whole:?}");
    assert!(whole.temporal_z.abs() < 3.5, "{whole:?}");
    assert!(whole.shared_z.abs() < 3.5, "{whole:?}");
    assert!(whole.spatial.abs() < 0.005, "{whole:?}");
    assert!(whole.lost < 4.0 * whole.lost_error, "{whole:?}");
    assert!(whole.lost_error < 0.001, "{whole:?}");
    for z in found.temporal_z.iter().chain(&found.shared_z) {
        assert!(z.abs() < 4.0);
    }
    // The scores have the spread that they state.
    let squares: f32 = found.temporal_z.iter().map(|z| z * z).sum();
    assert!((0.5..1.7).contains(&(squares / 42.0)), "{squares}");
    // Where transients rise from frame to frame, differences are not noise alone.
    for (at, spatial) in found.spatial.indexed_iter() {
        let cell = [(0, 1, 1), (0, 3, 4), (0, 4, 4)].contains(&at);
        let limit = if cell { 0.1 } else { 0.03 };
        assert!(spatial.abs() < limit, "{at:?}: {spatial}");
    }
    assert_eq!(found.autocorrelation.len(), 8);
    for lag in &found.autocorrelation {
        assert!(lag.value.abs() < 4.0 * lag.error, "{lag:?}");
    }
}

#[test]
fn noise_is_noise() {
    let found = look(noisy(SHAPE, false), &model(SHAPE, true));
    is_null(&found);
    assert!(found.whole.noise_spatial.abs() < 0.01);
    // White in space as well, the error is the one of independent pixels.
    let independent = 1.0 / (248.0 * SHAPE.frame_len() as f64).sqrt();
    let error = found.autocorrelation[0].error;
    assert!(
        (error / independent - 1.0).abs() < 0.15,
        "{error} {independent}"
    );
}

#[test]
fn noise_correlated_in_space_is_noise() {
    let found = look(noisy(SHAPE, true), &model(SHAPE, true));
    is_null(&found);
    assert!((found.whole.noise_spatial - 0.5).abs() < 0.02);
}

#[test]
fn a_cell_that_was_thrown_away_stands_out() {
    for smooth in [false, true] {
        let found = look(noisy(SHAPE, smooth), &model(SHAPE, false));
        // The second cell lies around (60, 71), in tiles of 16 pixels.
        for ((_, y, x), &z) in found.temporal_z.indexed_iter() {
            let inside = (3..=4).contains(&y) && (4..=4).contains(&x);
            let near = (3..=4).contains(&y) && (3..=5).contains(&x);
            let shared = found.shared_z[[0, y, x]];
            if inside && y == 3 {
                assert!(z > 8.0 && shared > 8.0, "{z} {shared}");
            } else if !near {
                assert!(z.abs() < 4.0 && shared.abs() < 4.0, "{y} {x}: {z} {shared}");
            }
        }
        assert!(found.beyond() >= 1 && found.beyond() <= 4);
        assert!(!found.is_noise());
        assert!((0.2..1.2).contains(&found.strongest()), "{found:?}");
        assert!(found.verdict().starts_with("Signal was removed"));
        // 81 pixels of 2.25 times the noise's variance (less what the sample
        // has of it), 0.9 of it at a lag of one.
        let planted = 81.0 * 2.25 * 0.9 / SHAPE.frame_len() as f64;
        let lost = found.whole.lost / planted;
        assert!((0.6..1.5).contains(&lost), "{lost}");
    }
}

#[test]
fn one_tile_is_enough_if_it_lost_a_cell() {
    let mut found = look(noisy(SHAPE, false), &model(SHAPE, true));
    found.temporal_z[[0, 2, 2]] = 5.0;
    found.temporal[[0, 2, 2]] = 0.02;
    assert!(found.is_noise(), "{}", found.verdict());
    found.temporal_z[[0, 2, 2]] = 15.0;
    found.temporal[[0, 2, 2]] = 0.2;
    assert!(!found.is_noise());
    assert!(found.verdict().starts_with("Signal was removed: 1 of 42"));
}

#[test]
fn gaps_and_dead_pixels_are_left_out() {
    let mut pixels = noisy(SHAPE, false);
    pixels.slice_mut(ndarray::s![.., 5, 7]).fill(f32::NAN);
    pixels
        .slice_mut(ndarray::s![300..310, .., ..])
        .fill(f32::NAN);
    pixels[[20, 50, 50]] = f32::INFINITY;
    let mut parts = model(SHAPE, true).into_parts();
    parts.noise.slice_mut(ndarray::s![0, 80.., 96..]).fill(0.0);
    let found = look(pixels, &LowRank::from_parts(parts).unwrap());
    assert_eq!(found.pixels[[0, 5, 6]], 0.0);
    assert_eq!(found.ratio[[0, 5, 6]], 0.0);
    assert_eq!(found.tiles(), 41);
    assert_eq!(found.beyond(), 0);
    assert!((found.whole.ratio - 1.0).abs() < 0.01);
    assert!(found.pixels[[0, 0, 0]] < found.pixels[[0, 1, 1]]);
}

#[test]
fn one_frame_says_nothing_about_time() {
    let shape = MovieShape::new(1, 2, 96, 112);
    let movie = Planes(ArrayMovie::new(noisy(shape, false)), shape);
    let found = residual(&movie, &model(shape, true), Budget::default(), &silent).unwrap();
    assert_eq!((found.frames, found.pairs), (1, 0));
    assert_eq!(found.ratio.dim(), (2, 6, 7));
    assert!(found.autocorrelation.is_empty());
    assert_eq!((found.whole.temporal_z, found.whole.lost_error), (0.0, 0.0));
    assert!(found.spatial.iter().all(|&v| v == 0.0));
    assert!(found.verdict().starts_with("Not judged"));
}

#[test]
fn neither_threads_nor_memory_change_it() {
    let shape = MovieShape::new(90, 2, 80, 90);
    let (pixels, lowrank) = (noisy(shape, true), model(shape, true));
    let movie = Planes(ArrayMovie::new(pixels), shape);
    let run = |threads, bytes| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| residual(&movie, &lowrank, Budget { bytes }, &silent).unwrap())
    };
    assert_eq!(run(1, 1 << 30), run(2, 1 << 18));
}

#[test]
fn another_movie_is_refused() {
    let movie = ArrayMovie::new(Array3::<f32>::zeros((700, 96, 111)));
    let found = residual(&movie, &model(SHAPE, true), Budget::default(), &silent);
    assert!(matches!(found, Err(Error::Input(_))));
}
