//! Cells drawn by hand, and cells hidden in texture.

use fluorspar_movie::iou;
use fluorspar_segment::{
    Anatomy, Error, Seen, find_in_image, footprints_from_label_volume, footprints_from_labels,
};
use ndarray::{Array2, Array3, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

#[test]
fn labels_become_footprints_in_their_order() {
    let labels = array![[0, 7, 7, 0], [u32::MAX, 0, 7, 3]];
    let found = footprints_from_labels(labels.view(), (2, 4)).unwrap();
    assert_eq!(found.labels, [3, 7, u32::MAX]);
    assert_eq!(found.footprints.get(0).indices, [7]);
    assert_eq!(found.footprints.get(1).indices, [1, 2, 6]);
    assert_eq!(found.footprints.get(1).weights, [1.0; 3]);
    assert_eq!(found.footprints.get(2).indices, [4]);
}

#[test]
fn a_label_in_several_planes_has_a_footprint_in_each() {
    let mut labels = Array3::zeros((3, 2, 2));
    labels[[0, 1, 1]] = 5;
    labels[[2, 0, 0]] = 5;
    labels[[2, 0, 1]] = 2;
    let found = footprints_from_label_volume(labels.view(), (3, 2, 2)).unwrap();
    assert_eq!(found.labels, [2, 5, 5]);
    assert_eq!(found.footprints.planes(), [2, 0, 2]);
    assert_eq!(found.footprints.get(1).indices, [3]);
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let labels = array![[0, 1], [1, 0]];
    for shape in [(2, 3), (1, 2), (0, 0)] {
        let error = footprints_from_labels(labels.view(), shape).unwrap_err();
        assert!(matches!(error, Error::Movie(_)) && error.to_string().contains("shape"));
    }
    let empty = Array2::zeros((4, 4));
    let error = footprints_from_labels(empty.view(), (4, 4)).unwrap_err();
    assert!(error.to_string().contains("no pixel"));
    assert!(footprints_from_labels(Array2::zeros((0, 4)).view(), (0, 4)).is_err());
}

/// Gaussian texture of standard deviation 1, correlated over `grain` pixels.
fn texture(side: usize, grain: f64, rng: &mut ChaCha8Rng) -> Array2<f64> {
    let reach = (4.0 * grain).ceil() as usize;
    let wide = side + 2 * reach;
    let white = Array2::from_shape_simple_fn((wide, wide), || StandardNormal.sample(rng));
    if grain == 0.0 {
        return white;
    }
    let mut kernel: Vec<f64> = (0..=2 * reach)
        .map(|k| (-0.5 * ((k as f64 - reach as f64) / grain).powi(2)).exp())
        .collect();
    let norm = kernel.iter().map(|k| k * k).sum::<f64>().sqrt();
    for weight in &mut kernel {
        *weight /= norm;
    }
    let blur = |image: &Array2<f64>| {
        Array2::from_shape_fn((image.ncols() - 2 * reach, image.nrows()), |(x, y)| {
            (0..kernel.len())
                .map(|k| kernel[k] * image[[y, x + k]])
                .sum::<f64>()
        })
    };
    blur(&blur(&white))
}

/// An image of rings and discs in texture, and the pixels of each.
fn field(side: usize, diameter: f64, cells: usize, seed: u64) -> (Array2<f32>, Vec<Vec<u32>>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut image = 0.2 * texture(side, 0.12 * diameter, &mut rng);
    let slow = texture(side, 2.0 * diameter, &mut rng);
    image.zip_mut_with(&slow, |value, slow| *value += 1.0 + 0.2 * slow);
    let mut centres: Vec<(f64, f64)> = Vec::new();
    let mut masks = Vec::new();
    for _ in 0..20_000 {
        if centres.len() == cells {
            break;
        }
        let range = diameter..side as f64 - diameter;
        let place = (rng.random_range(range.clone()), rng.random_range(range));
        let apart = |c: &(f64, f64)| (c.0 - place.0).hypot(c.1 - place.1);
        if centres.iter().any(|c| apart(c) < 0.95 * diameter) {
            continue;
        }
        centres.push(place);
        let radius = diameter * rng.random_range(0.42..0.58);
        let nucleus = if centres.len().is_multiple_of(2) {
            0.0
        } else {
            0.6
        };
        let bright = rng.random_range(0.6..1.4);
        let mut mask = Vec::new();
        for ((y, x), value) in image.indexed_iter_mut() {
            let q = (y as f64 - place.0).hypot(x as f64 - place.1) / radius;
            if q < 1.0 {
                *value += bright * (1.0 - nucleus * (-(q / 0.5).powi(2)).exp());
                mask.push((y * side + x) as u32);
            }
        }
        masks.push(mask);
    }
    (image.mapv(|v| v as f32), masks)
}

/// Precision and recall at an intersection over union of one half.
fn score(seen: &Seen, masks: &[Vec<u32>]) -> (f64, f64) {
    let (height, width) = (seen.footprints.height(), seen.footprints.width());
    let mut truth = fluorspar_movie::Footprints::new(height, width);
    for mask in masks {
        truth.push(mask, &vec![1.0; mask.len()], 0).unwrap();
    }
    // Above one half a match can be to one only.
    let hits = seen
        .footprints
        .iter()
        .filter(|found| truth.iter().any(|cell| iou(cell, *found) > 0.5))
        .count() as f64;
    (
        hits / seen.footprints.len() as f64,
        hits / masks.len() as f64,
    )
}

fn look(image: &Array2<f32>, diameter: f64) -> Seen {
    let parameters = Anatomy {
        diameter,
        ..Anatomy::default()
    };
    find_in_image(image.view(), &parameters).unwrap()
}

#[test]
fn planted_cells_are_seen() {
    for (diameter, cells, seed) in [(8.0, 60, 1), (12.0, 20, 2), (12.0, 90, 3), (24.0, 30, 4)] {
        let side = if diameter > 20.0 { 300 } else { 180 };
        let (image, masks) = field(side, diameter, cells, seed);
        let seen = look(&image, diameter);
        let (precision, recall) = score(&seen, &masks);
        assert!(
            precision >= 0.85 && recall >= 0.85,
            "{diameter}, {cells}: {precision} {recall}"
        );
        assert!(
            seen.contrast_to_noise
                .windows(2)
                .all(|pair| pair[0] >= pair[1])
        );
        assert!(
            seen.contrast_to_noise
                .iter()
                .all(|&c| c > 0.9 * seen.threshold)
        );
    }
}

#[test]
fn texture_alone_shows_no_more_cells_than_stated() {
    // The mean over 24 images, with three standard errors of a Poisson count.
    for grain in [0.0, 1.3, 3.0] {
        for expected in [1.0, 8.0] {
            let found: usize = (0..24)
                .map(|seed| {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    let image = texture(160, grain, &mut rng).mapv(|v| v as f32);
                    let parameters = Anatomy {
                        false_cells: expected,
                        ..Anatomy::default()
                    };
                    find_in_image(image.view(), &parameters)
                        .unwrap()
                        .footprints
                        .len()
                })
                .sum();
            let total = 24.0 * expected;
            assert!(found > 0, "{grain}: the threshold is not the one stated");
            assert!(
                (found as f64) < total + 3.0 * total.sqrt(),
                "{grain}: {found} of {total}"
            );
        }
    }
}

#[test]
fn missing_pixels_borders_and_units_change_little() {
    let (image, masks) = field(180, 12.0, 60, 5);
    let whole = look(&image, 12.0);
    let scaled = look(&image.mapv(|v| 1e30 * v), 12.0);
    assert_eq!(scaled.footprints.len(), whole.footprints.len());
    let mut broken = image.clone();
    for ((y, x), value) in broken.indexed_iter_mut() {
        if x < 40 || y >= 170 {
            *value = 0.0;
        } else if (y * 5 + x) % 83 == 0 {
            *value = f32::NAN;
        }
    }
    let seen = look(&broken, 12.0);
    let dead = |p: &u32| {
        p % 180 < 40 || p / 180 >= 170 || broken[[*p as usize / 180, *p as usize % 180]].is_nan()
    };
    assert!(!seen.footprints.indices().iter().any(dead));
    let inside: Vec<Vec<u32>> = masks
        .into_iter()
        .filter(|mask| mask.iter().all(|p| p % 180 >= 44 && p / 180 < 166))
        .collect();
    let (_, recall) = score(&seen, &inside);
    assert!(recall >= 0.8, "{recall}");
}

#[test]
fn images_of_nothing_show_nothing() {
    for (height, width) in [(0, 0), (0, 5), (1, 1), (1, 300), (4, 4), (60, 60)] {
        for value in [0.0, 3.0, f32::NAN, f32::INFINITY, f32::MIN] {
            let image = Array2::from_elem((height, width), value);
            assert!(look(&image, 11.0).footprints.is_empty());
        }
        let checks = Array2::from_shape_fn((height, width), |(y, x)| {
            if (y + x) % 2 == 0 { f32::MAX } else { f32::MIN }
        });
        look(&checks, 11.0);
        look(&checks, 200.0);
    }
}

#[test]
fn wrong_parameters_are_refused() {
    let image = Array2::zeros((9, 9));
    for (diameter, false_cells) in [(f64::NAN, 1.0), (0.0, 1.0), (11.0, 0.0), (11.0, f64::NAN)] {
        let parameters = Anatomy {
            diameter,
            false_cells,
            plane: 0,
        };
        assert!(matches!(
            find_in_image(image.view(), &parameters),
            Err(Error::Parameter { .. })
        ));
    }
}

#[test]
fn threads_change_nothing() {
    let (image, _) = field(120, 12.0, 30, 6);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| look(&image, 12.0))
    };
    assert_eq!(run(1), run(3));
}
