//! Small bright spots, like cells, for the tests of this crate.
#![allow(dead_code, unreachable_pub, reason = "each test takes a part of it")]

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};

/// A scene that is known at any coordinate.
pub struct Scene(Vec<(f64, f64, f64, f64)>);

impl Scene {
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let place = Uniform::new(-12.0, 105.0).unwrap();
        let size = Uniform::new(1.2, 3.0).unwrap();
        Self(
            (0..300)
                .map(|k| {
                    let (y, x) = (place.sample(&mut rng), place.sample(&mut rng));
                    (y, x, size.sample(&mut rng), 100.0 + f64::from(k))
                })
                .collect(),
        )
    }

    pub fn at(&self, y: f64, x: f64) -> f64 {
        let spots = self.0.iter().map(|&(cy, cx, sigma, height)| {
            let square = ((y - cy).powi(2) + (x - cx).powi(2)) / (2.0 * sigma * sigma);
            if square > 18.0 {
                0.0
            } else {
                height * (-square).exp()
            }
        });
        200.0 + spots.sum::<f64>()
    }

    /// As [`Scene::frame`], spot by spot, which is faster for many frames.
    pub fn drawn(&self, (dy, dx): (f64, f64), size: (usize, usize)) -> Array2<f32> {
        let mut out = Array2::from_elem(size, 200.0);
        for &(cy, cx, sigma, height) in &self.0 {
            let (cy, cx, reach) = (cy + dy, cx + dx, 6.0 * sigma);
            let span = |c: f64, side: usize| {
                let end = (c + reach + 1.0).clamp(0.0, side as f64) as usize;
                ((c - reach).ceil().max(0.0) as usize).min(end)..end
            };
            for y in span(cy, size.0) {
                let fy = height * (-(y as f64 - cy).powi(2) / (2.0 * sigma * sigma)).exp();
                for x in span(cx, size.1) {
                    let fx = (-(x as f64 - cx).powi(2) / (2.0 * sigma * sigma)).exp();
                    out[[y, x]] += (fy * fx) as f32;
                }
            }
        }
        out
    }

    /// A frame that needs `shift` to lie on the scene: `frame[y + dy, x + dx] = scene[y, x]`.
    pub fn frame(&self, (dy, dx): (f64, f64), size: (usize, usize)) -> Array2<f32> {
        Array2::from_shape_fn(size, |(y, x)| self.at(y as f64 - dy, x as f64 - dx) as f32)
    }
}

pub fn noisy(mut frame: Array2<f32>, sigma: f64, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let normal = Normal::new(0.0, sigma).unwrap();
    frame.mapv_inplace(|v| v + normal.sample(rng) as f32);
    frame
}
