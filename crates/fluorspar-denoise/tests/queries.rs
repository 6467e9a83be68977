//! Every query against the same quantity computed plainly in double precision
//! from the rebuilt movie.

use faer::Mat;
use fluorspar_denoise::{
    Blocks, Error, LowRank, Neighbours, Parts, Projection, Symmetric, Variability,
};
use fluorspar_movie::{Footprints, Movie, MovieExt};
use ndarray::{Array2, Array3};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a movie under test looks like.
#[derive(Clone, Copy, Debug)]
struct Looks {
    /// Planes, rows and columns.
    size: (usize, usize, usize),
    rank: usize,
    frames: usize,
    /// Whether neighbouring pixels share their components, as in blocks;
    /// otherwise each pixel has any.
    tiled: bool,
    seed: u64,
}

fn looks() -> impl Strategy<Value = Looks> {
    (
        (1..4_usize, 1..9_usize, 1..40_usize),
        0..12_usize,
        1..40_usize,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(size, rank, frames, tiled, seed)| Looks {
            size,
            rank,
            frames,
            tiled,
            seed,
        })
}

fn parts(looks: Looks) -> Parts {
    let mut rng = ChaCha8Rng::seed_from_u64(looks.seed);
    let (planes, height, width) = looks.size;
    let (mut indptr, mut indices, mut weights) = (vec![0], Vec::new(), Vec::new());
    let mut list: Vec<u32> = Vec::new();
    for pixel in 0..planes * height * width {
        if !looks.tiled || pixel % width % 5 == 0 {
            let any = 0..looks.rank as u32;
            list = any.filter(|_| rng.random_bool(0.4)).collect();
        }
        indices.extend(&list);
        weights.extend(list.iter().map(|_| rng.random_range(-2.0_f32..2.0)));
        indptr.push(indices.len() as u64);
    }
    let v = Array2::from_shape_simple_fn((looks.rank, looks.frames), || {
        rng.random_range(-1.0_f32..1.3)
    });
    Parts {
        u_indptr: indptr,
        u_indices: indices,
        u_weights: weights,
        v,
        mean: Array3::from_shape_simple_fn(looks.size, || rng.random_range(50.0..150.0)),
        noise: Array3::from_shape_simple_fn(looks.size, || rng.random_range(0.0..3.0)),
        blocks: Blocks::default(),
        component_block: vec![0; looks.rank],
        frame_rate: None,
    }
}

fn movie(looks: Looks) -> LowRank {
    LowRank::from_parts(parts(looks)).unwrap()
}

/// `U · V` in double precision, `(pixel, frame)`.
fn dense(movie: &LowRank) -> Array2<f64> {
    let mut out = Array2::zeros((movie.mean().len(), movie.frames()));
    for (pixel, mut row) in out.outer_iter_mut().enumerate() {
        let (components, weights) = movie.row(pixel);
        for (&k, &weight) in components.iter().zip(weights) {
            for (slot, &value) in row.iter_mut().zip(movie.v().row(k as usize)) {
                *slot += f64::from(weight) * f64::from(value);
            }
        }
    }
    out
}

fn flat(image: &Array3<f32>) -> Vec<f64> {
    image.iter().map(|&v| f64::from(v)).collect()
}

#[track_caller]
fn close(found: impl IntoIterator<Item = f64>, expected: impl IntoIterator<Item = f64>, by: f64) {
    let (found, expected): (Vec<f64>, Vec<f64>) =
        (found.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(&expected).enumerate() {
        assert!((a - b).abs() <= by, "{a} instead of {b} at {at}");
    }
}

fn covariance(a: ndarray::ArrayView1<'_, f64>, b: ndarray::ArrayView1<'_, f64>) -> f64 {
    let (mean_a, mean_b) = (a.mean().unwrap(), b.mean().unwrap());
    let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
    products.sum::<f64>() / a.len() as f64
}

fn full(matrix: &Symmetric) -> Array2<f64> {
    Array2::from_shape_fn((matrix.size(), matrix.size()), |(i, j)| matrix.get(i, j))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn frames_windows_and_traces_are_the_same_movie(
        looks in looks(), a in any::<[usize; 4]>(), b in any::<[usize; 4]>()
    ) {
        let movie = movie(looks);
        let all = movie.read_array(0..looks.frames).unwrap();
        let rebuilt = dense(&movie);
        let mean = movie.mean();
        let length = movie.shape().frame_len();
        for (t, frame) in all.outer_iter().enumerate() {
            let expected = mean.iter().enumerate().map(|(p, &m)| f64::from(m) + rebuilt[[p, t]]);
            close(frame.iter().map(|&v| f64::from(v)), expected, 1e-4);
        }
        // Any sub-volume has the same bits.
        let lengths = [looks.frames, looks.size.0, looks.size.1, looks.size.2];
        let mut ranges = (0..4).map(|k| {
            let (a, b) = (a[k] % (lengths[k] + 1), b[k] % (lengths[k] + 1));
            a.min(b)..a.max(b)
        });
        let [t, z, y, x] = [(); 4].map(|()| ranges.next().unwrap());
        let part = movie.window(t.clone(), z.clone(), y.clone(), x.clone()).unwrap();
        prop_assert_eq!(part.dim(), (t.len(), z.len(), y.len(), x.len()));
        for ((at, dz, dy, dx), value) in part.indexed_iter() {
            let row = (z.start + dz) * looks.size.1 + y.start + dy;
            prop_assert_eq!(value.to_bits(), all[[t.start + at, row, x.start + dx]].to_bits());
        }
        let read = movie.read_array(t.clone()).unwrap();
        prop_assert!(read.iter().zip(&all.as_slice().unwrap()[t.start * length..])
            .all(|(a, b)| a.to_bits() == b.to_bits()));
        for pixel in (0..length).step_by(7) {
            let trace = movie.trace(pixel).unwrap();
            for (t, value) in trace.iter().enumerate() {
                prop_assert_eq!(value.to_bits(), all.as_slice().unwrap()[t * length + pixel].to_bits());
            }
        }
    }

    #[test]
    fn images_are_those_of_the_rebuilt_movie(looks in looks()) {
        let movie = movie(looks);
        let rebuilt = dense(&movie);
        let variances: Vec<f64> = rebuilt.outer_iter().map(|t| covariance(t, t)).collect();
        close(flat(&movie.variance_image()), variances.iter().copied(), 1e-4);
        let fold = |f: fn(f64, f64) -> f64, start: f64| -> Vec<f64> {
            rebuilt.outer_iter().zip(movie.mean())
                .map(|(t, &m)| f64::from(m) + t.iter().copied().fold(start, f))
                .collect()
        };
        let projection = |p| flat(&movie.projection(p));
        close(projection(Projection::Max), fold(f64::max, f64::NEG_INFINITY), 1e-4);
        close(projection(Projection::Min), fold(f64::min, f64::INFINITY), 1e-4);
        let means = rebuilt.outer_iter().zip(movie.mean())
            .map(|(t, &m)| f64::from(m) + t.mean().unwrap());
        close(projection(Projection::Mean), means, 1e-4);
        close(projection(Projection::StandardDeviation), variances.iter().map(|v| v.sqrt()), 1e-4);
    }

    #[test]
    fn correlations_are_those_of_the_rebuilt_movie(looks in looks(), noisy: bool, eight: bool) {
        let movie = movie(looks);
        let rebuilt = dense(&movie);
        let (planes, height, width) = looks.size;
        let noise = |p: usize| {
            let noise = f64::from(movie.noise().as_slice().unwrap()[p]);
            if noisy { noise * noise } else { 0.0 }
        };
        let expected: Vec<f64> = (0..planes * height * width).map(|p| {
            let (z, y, x) = (p / (height * width), p / width % height, p % width);
            let mut all = Vec::new();
            for dy in -1..=1_isize {
                for dx in -1..=1_isize {
                    let inside = (0..height as isize).contains(&(y as isize + dy))
                        && (0..width as isize).contains(&(x as isize + dx));
                    let steps = dy.abs() + dx.abs();
                    if inside && (steps == 1 || steps == 2 && eight) {
                        let q = (z * height + y.wrapping_add_signed(dy)) * width
                            + x.wrapping_add_signed(dx);
                        let (a, b) = (rebuilt.row(p), rebuilt.row(q));
                        let product =
                            (covariance(a, a) + noise(p)) * (covariance(b, b) + noise(q));
                        let correlation = covariance(a, b) / product.sqrt();
                        all.push(if product > 1e-20 { correlation } else { 0.0 });
                    }
                }
            }
            all.iter().sum::<f64>() / all.len().max(1) as f64
        }).collect();
        let image = movie.correlation_image(
            if eight { Neighbours::Eight } else { Neighbours::Four },
            if noisy { Variability::WithNoise } else { Variability::Denoised },
        );
        close(flat(&image), expected, 1e-5);
    }

    #[test]
    fn products_are_those_of_the_rebuilt_movie(looks in looks()) {
        let movie = movie(looks);
        let rebuilt = dense(&movie);
        let (planes, height, width) = looks.size;
        let mut rng = ChaCha8Rng::seed_from_u64(looks.seed);
        let mut footprints = Footprints::new(height, width);
        for _ in 0..5 {
            let pixels: Vec<u32> = (0..(height * width) as u32)
                .filter(|&p| p == 0 || rng.random_bool(0.2))
                .collect();
            let weights: Vec<f32> = pixels.iter().map(|_| rng.random_range(0.1..1.0)).collect();
            footprints.push(&pixels, &weights, rng.random_range(0..planes as u32)).unwrap();
        }
        let projected = movie.project(&footprints).unwrap();
        for (footprint, row) in footprints.iter().zip(projected.outer_iter()) {
            let expected = (0..looks.frames).map(|t| {
                let pixels = footprint.indices.iter().zip(footprint.weights);
                pixels.map(|(&at, &weight)| {
                    let p = footprint.plane as usize * height * width + at as usize;
                    let mean = f64::from(movie.mean().as_slice().unwrap()[p]);
                    f64::from(weight) * (mean + rebuilt[[p, t]])
                }).sum::<f64>()
            });
            close(row.iter().map(|&v| f64::from(v)), expected, 1e-2);
        }
        let u = Array2::from_shape_fn((planes * height * width, looks.rank), |(p, k)| {
            let (components, weights) = movie.row(p);
            components.iter().zip(weights)
                .find(|(c, _)| **c as usize == k)
                .map_or(0.0, |(_, &w)| f64::from(w))
        });
        close(full(&movie.gram_of_components()), u.t().dot(&u), 1e-9);
        let range = looks.frames / 4..looks.frames;
        let frames = rebuilt.slice_axis(ndarray::Axis(1), range.clone().into());
        close(movie.gram_of_frames(range).unwrap(), frames.t().dot(&frames), 1e-8);
    }

    #[test]
    fn components_become_orthogonal(looks in looks()) {
        let movie = movie(looks);
        let rebuilt = dense(&movie);
        let orthogonal = movie.orthogonal().unwrap();
        let (mixing, courses) = (
            orthogonal.mixing.mapv(f64::from), orthogonal.courses.mapv(f64::from)
        );
        let count = orthogonal.values.len();
        let images = Array2::from_shape_fn((rebuilt.nrows(), count), |(p, r)| {
            let (components, weights) = movie.row(p);
            components.iter().zip(weights)
                .map(|(&k, &w)| f64::from(w) * mixing[[k as usize, r]])
                .sum::<f64>()
        });
        let eye = Array2::<f64>::eye(count);
        close(images.t().dot(&images), eye.iter().copied(), 1e-4);
        close(courses.dot(&courses.t()), eye.iter().copied(), 1e-4);
        prop_assert!(orthogonal.values.windows(2).all(|pair| pair[0] >= pair[1]));
        let scaled = images * ndarray::arr1(&orthogonal.values);
        close(scaled.dot(&courses), rebuilt, 1e-3);
    }

    #[test]
    fn principal_components_are_singular_vectors(looks in looks(), count in 0..8_usize) {
        let movie = movie(looks);
        let rebuilt = dense(&movie);
        let principal = movie.principal(count, 7).unwrap();
        check_principal(&rebuilt, &principal, count);
    }
}

/// Against the singular value decomposition of the dense movie.
fn check_principal(rebuilt: &Array2<f64>, principal: &fluorspar_denoise::Principal, count: usize) {
    let matrix = Mat::from_fn(rebuilt.nrows(), rebuilt.ncols(), |i, j| rebuilt[[i, j]]);
    let svd = matrix.thin_svd().unwrap();
    let values: Vec<f64> = svd.S().column_vector().iter().copied().collect();
    let largest = values.first().copied().unwrap_or(0.0);
    let there = values
        .iter()
        .filter(|&&v| v > 1e-5 * largest && v > 0.0)
        .count();
    let found = principal.values.len();
    assert!(found <= count && found >= count.min(there), "{found}");
    close(
        principal.values.iter().copied(),
        values[..found].iter().copied(),
        1e-6 * largest.max(1.0),
    );
    for component in 0..found {
        let image = principal.images.index_axis(ndarray::Axis(0), component);
        let norm: f64 = image.iter().map(|&v| f64::from(v).powi(2)).sum();
        assert!((norm - 1.0).abs() < 1e-4);
        let most = image.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(image.iter().any(|&v| v == most));
        // Vectors are only defined where the values differ.
        let value = values[component];
        let gap = values
            .iter()
            .enumerate()
            .filter(|(k, _)| *k != component)
            .map(|(_, v)| (v - value).abs())
            .fold(value, f64::min);
        if gap > 0.02 * largest {
            let along: f64 = image
                .iter()
                .enumerate()
                .map(|(p, &v)| f64::from(v) * svd.U()[(p, component)])
                .sum();
            assert!(along.abs() > 1.0 - 1e-4, "{along}");
            let along: f64 = principal
                .courses
                .row(component)
                .iter()
                .enumerate()
                .map(|(t, &v)| f64::from(v) * svd.V()[(t, component)])
                .sum();
            assert!(along.abs() > 1.0 - 1e-4, "{along}");
        }
    }
}

/// Larger than the pieces that tasks are cut into, with more components than
/// frames and the other way round.
fn large() -> [Looks; 2] {
    let looks = Looks {
        size: (2, 21, 50),
        rank: 150,
        frames: 610,
        tiled: true,
        seed: 5,
    };
    [
        looks,
        Looks {
            rank: 300,
            frames: 170,
            ..looks
        },
    ]
}

#[test]
fn pieces_fit_together() {
    for looks in large() {
        let movie = movie(looks);
        let rebuilt = dense(&movie);
        let frames = movie.read_array(0..looks.frames).unwrap();
        let expected = frames.len();
        let means = movie.mean();
        let means: Vec<f64> = means.iter().map(|&m| f64::from(m)).collect();
        let rows = means.len();
        close(
            frames.iter().map(|&v| f64::from(v)),
            (0..expected).map(|at| means[at % rows] + rebuilt[[at % rows, at / rows]]),
            1e-3,
        );
        close(
            movie.gram_of_frames(3..160).unwrap(),
            {
                let part = rebuilt.slice_axis(ndarray::Axis(1), (3..160).into());
                part.t().dot(&part)
            },
            1e-6,
        );
        let orthogonal = movie.orthogonal().unwrap();
        let values = &orthogonal.values;
        assert_eq!(values.len(), looks.rank.min(looks.frames));
        check_principal(&rebuilt, &movie.principal(5, 1).unwrap(), 5);
        close(
            movie.principal(5, 2).unwrap().values,
            values[..5].iter().copied(),
            1e-5 * values[0],
        );
        let courses = orthogonal.courses.mapv(f64::from);
        close(
            courses.dot(&courses.t()),
            Array2::<f64>::eye(values.len()),
            1e-4,
        );
        let kept = rebuilt.dot(&courses.t()).dot(&courses);
        close(kept, rebuilt, 1e-3);
    }
}

#[test]
fn threads_change_nothing() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            large().map(|looks| {
                let movie = movie(looks);
                let mut footprints = Footprints::new(21, 50);
                footprints
                    .push(&[3, 60, 61, 700], &[0.3, 1.0, 0.5, 0.1], 1)
                    .unwrap();
                let projections = [
                    Projection::Max,
                    Projection::Min,
                    Projection::Mean,
                    Projection::StandardDeviation,
                ];
                (
                    movie.read_array(0..looks.frames).unwrap(),
                    projections.map(|p| movie.projection(p)),
                    movie.correlation_image(Neighbours::Eight, Variability::WithNoise),
                    movie.project(&footprints).unwrap(),
                    movie.gram_of_components(),
                    movie.gram_of_frames(0..150).unwrap(),
                    movie.principal(3, 9).unwrap(),
                    movie.orthogonal().unwrap(),
                )
            })
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn movies_of_nothing_answer() {
    let usual = Looks {
        size: (2, 3, 4),
        rank: 2,
        frames: 5,
        tiled: true,
        seed: 1,
    };
    for (size, rank, frames) in [
        ((2, 3, 4), 0, 5),
        ((2, 3, 4), 2, 0),
        ((2, 3, 4), 0, 0),
        ((2, 3, 4), 2, 1),
        ((0, 3, 4), 2, 5),
        ((2, 0, 4), 2, 5),
        ((2, 3, 0), 2, 5),
        ((1, 1, 1), 2, 5),
    ] {
        let mut parts = parts(Looks {
            size,
            rank,
            frames,
            ..usual
        });
        // A constant course has no variance, and pixels of it no correlation.
        if rank > 0 {
            parts.v.row_mut(0).fill(0.1);
        }
        let movie = LowRank::from_parts(parts).unwrap();
        let finite = |image: Array3<f32>| {
            assert_eq!(image.dim(), size);
            assert!(image.iter().all(|v| v.is_finite()));
        };
        finite(movie.variance_image());
        for projection in [
            Projection::Max,
            Projection::Min,
            Projection::Mean,
            Projection::StandardDeviation,
        ] {
            finite(movie.projection(projection));
        }
        finite(movie.correlation_image(Neighbours::Eight, Variability::Denoised));
        assert_eq!(
            movie
                .project(&Footprints::new(size.1, size.2))
                .unwrap()
                .dim(),
            (0, frames)
        );
        assert_eq!(movie.gram_of_components().size(), rank);
        assert_eq!(
            movie.gram_of_frames(0..frames).unwrap().dim(),
            (frames, frames)
        );
        let principal = movie.principal(3, 1).unwrap();
        assert!(principal.images.iter().all(|v| v.is_finite()));
        let orthogonal = movie.orthogonal().unwrap();
        assert!(orthogonal.mixing.iter().all(|v| v.is_finite()));
        let all = movie
            .window(0..frames, 0..size.0, 0..size.1, 0..size.2)
            .unwrap();
        assert_eq!(all.len(), frames * size.0 * size.1 * size.2);
    }
}

#[test]
fn pixels_that_do_not_vary_have_no_variance() {
    let mut parts = parts(Looks {
        size: (1, 2, 3),
        rank: 3,
        frames: 30,
        tiled: false,
        seed: 1,
    });
    // Two courses that cancel, and one that is constant.
    let first = parts.v.row(0).mapv(|v| 3.0 * v);
    parts.v.row_mut(1).assign(&first);
    parts.v.row_mut(2).fill(0.3);
    parts.u_indptr = vec![0, 2, 3, 4, 4, 5, 6];
    parts.u_indices = vec![0, 1, 2, 0, 0, 1];
    parts.u_weights = vec![3.0, -1.0, 1.0, 1.0, 1.0, -2.0];
    let movie = LowRank::from_parts(parts).unwrap();
    let variance = flat(&movie.variance_image());
    assert!(variance[2] > 0.1);
    let correlation = flat(&movie.correlation_image(Neighbours::Four, Variability::Denoised));
    assert!(variance[0] < 1e-12 && variance[1] == 0.0 && variance[3] == 0.0);
    assert_eq!((correlation[1], correlation[3]), (0.0, 0.0));
    // Pixel 4 against 5; its other neighbours 3 and 1 do not vary.
    assert!(
        (correlation[4] + 1.0 / 3.0).abs() < 1e-6,
        "{}",
        correlation[4]
    );
}

#[test]
fn what_the_movie_does_not_have_is_refused() {
    let movie = movie(Looks {
        size: (2, 3, 4),
        rank: 2,
        frames: 5,
        tiled: true,
        seed: 1,
    });
    let refused = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Input(_))));
    refused(movie.window(0..6, 0..1, 0..1, 0..1).map(drop));
    refused(movie.window(0..1, 0..3, 0..1, 0..1).map(drop));
    refused(movie.window(0..1, 0..1, 0..4, 0..1).map(drop));
    refused(movie.window(0..1, 0..1, 0..1, 5..5).map(drop));
    #[expect(clippy::reversed_empty_ranges, reason = "what a caller might ask")]
    let backwards = 3..2;
    refused(movie.window(backwards, 0..1, 0..1, 0..1).map(drop));
    refused(movie.trace(24).map(drop));
    refused(movie.gram_of_frames(2..6).map(drop));
    refused(movie.project(&Footprints::new(4, 3)).map(drop));
    let mut footprints = Footprints::new(3, 4);
    footprints.push(&[1], &[1.0], 2).unwrap();
    refused(movie.project(&footprints).map(drop));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let good = parts(Looks {
        size: (1, 3, 4),
        rank: 4,
        frames: 5,
        tiled: true,
        seed: 3,
    });
    type Spoil = fn(&mut Parts);
    let spoils: [Spoil; 10] = [
        |p| p.u_indptr[3] = u64::MAX,
        |p| p.u_indptr.truncate(1),
        |p| p.u_indptr.clear(),
        |p| p.u_indices[0] = 4,
        |p| p.u_indices.swap(0, 1),
        |p| p.u_weights[0] = f32::NAN,
        |p| p.u_weights[0] = 1e39_f64 as f32,
        |p| p.noise[[0, 0, 0]] = -1.0,
        |p| p.u_weights[0] = 3e38,
        |p| p.component_block.truncate(1),
    ];
    assert!(good.u_indptr[1] >= 2);
    assert!(LowRank::from_parts(good.clone()).is_ok());
    for (k, spoil) in spoils.iter().enumerate() {
        let mut bad = good.clone();
        if k == 8 {
            bad.v *= 10.0;
        }
        spoil(&mut bad);
        assert!(
            matches!(LowRank::from_parts(bad), Err(Error::Input(_))),
            "{k}"
        );
    }
}
