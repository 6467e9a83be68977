//! Diameters that are known.

use std::f64::consts::PI;

use fluorspar_segment::estimate_diameter;
use ndarray::{Array2, s};
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
        while centres.len() < self.cells && tries < 200_000 {
            tries += 1;
            let margin = 0.6 * self.diameter;
            let place = (
                rng.random_range(margin..side - margin),
                rng.random_range(margin..side - margin),
            );
            let apart = |c: &(f64, f64)| (c.0 - place.0).hypot(c.1 - place.1);
            if centres.iter().any(|c| apart(c) < self.spacing * self.diameter) {
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
        image.indexed_map_inplace(|(y, x), value| {
            let (y, x) = (y as f64 / side, x as f64 / side);
            let wave = (2.0 * PI * y + 1.0).sin() + (3.0 * PI * x).cos();
            let noise: f64 = StandardNormal.sample(&mut rng);
            *value += self.background * wave + self.noise * noise;
        });
        image.mapv(|value| value as f32)
    }

    /// Relative error of the estimate.
    fn error(&self) -> f64 {
        let scale = estimate_diameter(self.draw().view());
        scale.map_or(f64::INFINITY, |s| (s.diameter / self.diameter - 1.0).abs())
    }
}

trait IndexedMap {
    fn indexed_map_inplace(&mut self, change: impl FnMut((usize, usize), &mut f64));
}

impl IndexedMap for Array2<f64> {
    fn indexed_map_inplace(&mut self, mut change: impl FnMut((usize, usize), &mut f64)) {
        for (place, value) in self.indexed_iter_mut() {
            change(place, value);
        }
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

#[test]
fn probe() {
    let mut out = String::new();
    for diameter in [5.0, 7.0, 11.0, 16.0, 25.0, 40.0] {
        for nucleus in [0.0, 0.6, 1.0] {
            out += &format!("d {diameter} nucleus {nucleus}:");
            for (name, f) in [
                ("sparse", Field { side: 400, ..Field::new(diameter) }),
                ("dense", Field { cells: 4000, spacing: 0.95, side: 400, ..Field::new(diameter) }),
                ("noise.3", Field { noise: 0.3, cells: 40, side: 400, ..Field::new(diameter) }),
                ("noise1", Field { noise: 1.0, cells: 40, side: 400, ..Field::new(diameter) }),
                ("dn.5", Field { noise: 0.5, cells: 4000, spacing: 0.95, side: 400, ..Field::new(diameter) }),
                ("bg", Field { background: 1.0, cells: 40, noise: 0.2, side: 400, ..Field::new(diameter) }),
                ("blobs", Field { blobs: 20, cells: 40, noise: 0.2, side: 400, ..Field::new(diameter) }),
                ("spread", Field { spread: 0.12, cells: 40, noise: 0.2, side: 400, ..Field::new(diameter) }),
            ] {
                let f = Field { nucleus, ..f };
                let scale = estimate_diameter(f.draw().view());
                out += &match scale {
                    None => format!(" {name} -"),
                    Some(s) => format!(" {name} {:.2}({:.1},{})", s.diameter / diameter, s.spread, s.blobs),
                };
            }
            out += "\n";
        }
    }
    std::fs::write("/tmp/segside_scale.txt", out).unwrap();
}
