//! Principal and orthogonal components against the dense decomposition; large
//! movies, whose work is cut into pieces.

mod factors;

use factors::{close, dense, large, looks, movie};
use faer::Mat;
use fluorspar_denoise::{Neighbours, Projection, Variability};
use fluorspar_movie::{Footprints, MovieExt};
use ndarray::Array2;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn components_become_orthogonal(looks in looks()) {
        let movie = movie(looks);
        let rebuilt = dense(&movie);
        let orthogonal = movie.orthogonal().unwrap();
        let (mixing, courses) = (&orthogonal.mixing, orthogonal.courses.mapv(f64::from));
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
