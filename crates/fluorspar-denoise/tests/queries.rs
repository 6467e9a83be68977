//! Every query against the same quantity computed plainly in double precision
//! from the rebuilt movie.

mod factors;

use factors::{Looks, close, dense, looks, movie, parts};
use fluorspar_denoise::{LowRank, Neighbours, Projection, Symmetric, Variability};
use fluorspar_movie::{Footprints, Movie, MovieExt};
use ndarray::{Array2, Array3};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn flat(image: &Array3<f32>) -> Vec<f64> {
    image.iter().map(|&v| f64::from(v)).collect()
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
