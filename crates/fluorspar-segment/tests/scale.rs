//! Diameters that are known.

use std::f64::consts::PI;

use fluorspar_denoise::{Blocks, LowRank, Parts};
use fluorspar_segment::{estimate_diameter, estimate_diameter_in};
use ndarray::{Array2, Array3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A field of cells, drawn with edges about a pixel soft.
#[derive(Clone)]
struct Field {
    side: usize,
    diameter: f64,
    /// Depth of a nucleus of half the radius, 0 for a disc.
    nucleus: f64,
    cells: usize,
    /// Smallest distance of centres in diameters.
    spacing: f64,
    /// Relative spread of diameters.
    spread: f64,
    noise: f64,
    /// Height of a background that varies over the field.
    background: f64,
    /// Out-of-focus blobs of a third of the brightness.
    blobs: usize,
    seed: u64,
}

impl Field {
    fn new(diameter: f64) -> Self {
        Self {
            side: 256,
            diameter,
            nucleus: 0.0,
            cells: 20,
            spacing: 1.5,
            spread: 0.0,
            noise: 0.0,
            background: 0.0,
            blobs: 0,
            seed: 1,
        }
    }

    fn draw(&self) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let side = self.side as f64;
        let mut image = Array2::zeros((self.side, self.side));
        let mut centres: Vec<(f64, f64)> = Vec::new();
        let mut tries = 0;
        while centres.len() < self.cells && tries < 20_000 {
            tries += 1;
            let margin = 0.6 * self.diameter;
            let place = (
                rng.random_range(margin..side - margin),
                rng.random_range(margin..side - margin),
            );
            let apart = |c: &(f64, f64)| (c.0 - place.0).hypot(c.1 - place.1);
            if centres
                .iter()
                .any(|c| apart(c) < self.spacing * self.diameter)
            {
                continue;
            }
            centres.push(place);
            let size: f64 = StandardNormal.sample(&mut rng);
            let radius = 0.5 * self.diameter * (1.0 + self.spread * size);
            let bright = rng.random_range(0.6..1.4);
            add(&mut image, place, 1.2 * radius + 2.0, |d| {
                let soft = |r: f64| 1.0 / (1.0 + ((d - r) / 0.35).exp());
                bright * (soft(radius) - self.nucleus * soft(0.5 * radius))
            });
        }
        for _ in 0..self.blobs {
            let place = (rng.random_range(0.0..side), rng.random_range(0.0..side));
            let sigma: f64 = rng.random_range(5.0..8.0);
            add(&mut image, place, 4.0 * sigma, |d| {
                (-0.5 * (d / sigma).powi(2)).exp() / 3.0
            });
        }
        for ((y, x), value) in image.indexed_iter_mut() {
            let (y, x) = (y as f64 / side, x as f64 / side);
            let wave = (2.0 * PI * y + 1.0).sin() + (3.0 * PI * x).cos();
            let noise: f64 = StandardNormal.sample(&mut rng);
            *value += self.background * wave + self.noise * noise;
        }
        image.mapv(|value| value as f32)
    }

    /// Relative error of the estimate.
    fn error(&self) -> f64 {
        let scale = estimate_diameter(self.draw().view());
        scale.map_or(f64::INFINITY, |s| (s.diameter / self.diameter - 1.0).abs())
    }
}

fn add(image: &mut Array2<f64>, at: (f64, f64), reach: f64, height: impl Fn(f64) -> f64) {
    let (rows, columns) = image.dim();
    let range = |v: f64, n: usize| (v - reach).max(0.0) as usize..((v + reach) as usize + 1).min(n);
    for y in range(at.0, rows) {
        for x in range(at.1, columns) {
            let d = (y as f64 - at.0).hypot(x as f64 - at.1);
            if d < reach {
                image[[y, x]] += height(d);
            }
        }
    }
}

/// Discs and rings of five sizes.
fn kinds() -> impl Iterator<Item = Field> {
    [5.0, 8.0, 13.0, 22.0, 40.0]
        .into_iter()
        .flat_map(|diameter| {
            [0.0, 0.6].map(|nucleus| Field {
                side: 400,
                nucleus,
                ..Field::new(diameter)
            })
        })
}

/// Every kind of field, changed, must be measured to `tolerance`.
fn holds(tolerance: f64, change: impl Fn(&mut Field)) {
    for mut field in kinds() {
        change(&mut field);
        let error = field.error();
        let (diameter, nucleus) = (field.diameter, field.nucleus);
        assert!(error < tolerance, "{diameter}, {nucleus}: {error}");
    }
}

#[test]
fn twenty_cells_show_their_diameter() {
    holds(0.1, |_| ());
}

#[test]
fn cells_that_touch_show_their_diameter() {
    holds(0.1, |field| {
        field.cells = 4000;
        field.spacing = 1.0;
    });
}

#[test]
fn noise_background_and_varied_sizes_matter_little() {
    holds(0.12, |field| {
        field.cells = 40;
        field.noise = 0.3;
        field.background = 0.5;
        field.spread = 0.1;
        field.seed = 2;
    });
}

#[test]
fn wide_faint_blobs_do_not_deceive() {
    holds(0.12, |field| {
        field.cells = 40;
        field.blobs = 25;
        field.noise = 0.2;
        field.seed = 3;
    });
}

#[test]
fn the_spread_is_that_of_the_cells() {
    let spread = |spread: f64| {
        let field = Field {
            side: 400,
            cells: 100,
            spread,
            ..Field::new(12.0)
        };
        estimate_diameter(field.draw().view()).unwrap()
    };
    let (equal, varied) = (spread(0.0), spread(0.12));
    assert!(equal.spread < 0.4 && equal.blobs == 100, "{equal:?}");
    assert!((varied.spread - 0.12 * 12.0).abs() < 0.5, "{varied:?}");
}

#[test]
fn noise_and_background_are_not_cells() {
    let found = (0..40)
        .filter(|&seed| {
            let field = Field {
                side: 128,
                cells: 0,
                noise: 1.0,
                background: if seed % 2 == 0 { 0.0 } else { 1.0 },
                seed,
                ..Field::new(10.0)
            };
            estimate_diameter(field.draw().view()).is_some()
        })
        .count();
    assert!(found <= 3, "{found} of 40");
}

#[test]
fn units_and_missing_pixels_change_nothing() {
    let mut image = Field {
        noise: 0.1,
        cells: 40,
        ..Field::new(11.0)
    }
    .draw();
    let whole = estimate_diameter(image.view()).unwrap().diameter;
    let other = estimate_diameter(image.mapv(|v| 1e30 * v - 3e30).view()).unwrap();
    assert!((other.diameter - whole).abs() < 0.05);
    for ((y, x), value) in image.indexed_iter_mut() {
        if y < 20 || x >= 240 {
            *value = 0.0;
        } else if (y + 3 * x) % 97 == 0 {
            *value = f32::NAN;
        }
    }
    let part = estimate_diameter(image.view()).unwrap();
    assert!((part.diameter - whole).abs() < 0.5, "{part:?} {whole}");
}

#[test]
fn images_of_nothing_have_no_diameter() {
    for (height, width) in [(0, 0), (0, 9), (1, 1), (1, 500), (3, 3), (40, 40)] {
        for value in [0.0, 7.0, f32::NAN, f32::INFINITY, f32::MAX] {
            let image = Array2::from_elem((height, width), value);
            assert!(estimate_diameter(image.view()).is_none());
        }
        let image = Array2::from_shape_fn((height, width), |(y, x)| {
            if (y + x) % 2 == 0 { f32::MAX } else { f32::MIN }
        });
        assert!(estimate_diameter(image.view()).is_none());
    }
}

#[test]
fn threads_change_nothing() {
    let image = Field {
        noise: 0.3,
        ..Field::new(9.0)
    }
    .draw();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| estimate_diameter(image.view()))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_low_rank_movie_is_measured_plane_by_plane() {
    let side = 200;
    let planes = [8.0, 14.0].map(|diameter| {
        Field {
            side,
            cells: 30,
            ..Field::new(diameter)
        }
        .draw()
    });
    // One component that flickers with each plane's image; a dead row.
    let weights: Vec<f32> = planes.iter().flatten().copied().collect();
    let pixels = weights.len();
    let mut noise = Array3::from_elem((2, side, side), 0.5);
    noise.slice_mut(ndarray::s![.., 7, ..]).fill(0.0);
    let movie = LowRank::from_parts(Parts {
        u_indptr: (0..=pixels as u64).collect(),
        u_indices: vec![0; pixels],
        u_weights: weights,
        v: Array2::from_shape_fn((1, 50), |(_, t)| if t % 2 == 0 { 1.0 } else { -1.0 }),
        mean: Array3::zeros((2, side, side)),
        noise,
        blocks: Blocks::default(),
        component_block: vec![0],
        frame_rate: None,
    })
    .unwrap();
    let found = estimate_diameter_in(&movie);
    assert_eq!(found.len(), 2);
    for (found, diameter) in found.into_iter().zip([8.0, 14.0]) {
        let found = found.unwrap();
        assert!((found.diameter / diameter - 1.0).abs() < 0.12, "{found:?}");
    }
}
