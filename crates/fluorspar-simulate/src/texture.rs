use rand::RngExt;

use crate::random::{Domain, normal, stream};
use crate::scene::catmull_rom;

/// Blurs rows of `width` in place along both axes by a Gaussian; edges repeat.
fn blur(image: &mut [f32], width: usize, sigma: f64) {
    let reach = (3.0 * sigma).ceil() as i64;
    let kernel: Vec<f64> = (-reach..=reach)
        .map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp())
        .collect();
    let total: f64 = kernel.iter().sum();
    let height = image.len() / width;
    for (stride, length, lines, step) in [(1, width, height, width), (width, height, width, 1)] {
        let mut copy = vec![0.0_f64; length];
        for line in 0..lines {
            for (k, value) in copy.iter_mut().enumerate() {
                *value = f64::from(image[line * step + k * stride]);
            }
            for k in 0..length {
                let sum: f64 = kernel
                    .iter()
                    .zip(-reach..)
                    .map(|(w, j)| w * copy[(k as i64 + j).clamp(0, length as i64 - 1) as usize])
                    .sum();
                image[line * step + k * stride] = (sum / total) as f32;
            }
        }
    }
}

/// The lasting texture of the tissue about a mean of 1: vessels, lumps and
/// grain, in the first session's frame extended by `margin` on each side.
#[derive(Clone, Debug)]
pub(crate) struct Texture {
    pub(crate) margin: usize,
    pub(crate) width: usize,
    pub(crate) image: Vec<f32>,
}

impl Texture {
    /// The texture of one `plane` under a field of `height × width` pixels.
    pub(crate) fn new(seed: u64, plane: usize, margin: usize, height: usize, width: usize) -> Self {
        let (height, width) = (height + 2 * margin, width + 2 * margin);
        let mut image = vec![1.0_f32; height * width];
        for (index, (sigma, amplitude)) in [(1.3, 0.12), (8.0, 0.12)].into_iter().enumerate() {
            let mut rng = stream(seed, Domain::Texture, 0, 3 * plane + index);
            let mut noise: Vec<f32> = (0..image.len()).map(|_| normal(&mut rng) as f32).collect();
            blur(&mut noise, width, sigma);
            // White noise blurred by a Gaussian keeps 1/(4πσ²) of its variance.
            let scale = (amplitude * 2.0 * std::f64::consts::PI.sqrt() * sigma) as f32;
            for (pixel, noise) in image.iter_mut().zip(noise) {
                *pixel += scale * noise;
            }
        }
        let mut rng = stream(seed, Domain::Texture, 0, 3 * plane + 2);
        let vessels = 2 + height * width / 12_000;
        for _ in 0..vessels {
            let (cy, cx) = (
                rng.random::<f64>() * height as f64,
                rng.random::<f64>() * width as f64,
            );
            let (sin, cos) = rng.random_range(0.0..std::f64::consts::PI).sin_cos();
            let (bend, phase) = (rng.random_range(2.0..6.0), rng.random_range(0.0..6.0));
            let period = rng.random_range(25.0..50.0);
            let (radius, depth) = (rng.random_range(1.2..2.8), rng.random_range(0.3..0.6));
            let span = |centre: f64, length: usize| {
                (centre - VESSEL).max(0.0) as usize..length.min((centre + VESSEL) as usize)
            };
            for y in span(cy, height) {
                for x in span(cx, width) {
                    let (v, u) = (y as f64 - cy, x as f64 - cx);
                    let (along, across) = (cos * u + sin * v, cos * v - sin * u);
                    let off: f64 = across - bend * (along / period + phase).sin();
                    if off.abs() < 4.0 * radius && along.abs() < VESSEL {
                        let taper = 1.0 - (along / VESSEL).powi(2);
                        let shade = depth * taper * (-0.5 * (off / radius).powi(2)).exp();
                        image[y * width + x] *= (1.0 - shade) as f32;
                    }
                }
            }
        }
        for pixel in &mut image {
            *pixel = pixel.max(0.1);
        }
        Self {
            margin,
            width,
            image,
        }
    }
}

impl Texture {
    /// The texture at `(y, x)` of the field, its nearest edge beyond its end.
    pub(crate) fn at(&self, (y, x): (f32, f32)) -> f32 {
        let height = self.image.len() / self.width;
        let inside = |value: f32, length: usize| {
            (value + self.margin as f32).clamp(1.0, length as f32 - 3.0)
        };
        let (y, x) = (inside(y, height), inside(x, self.width));
        let (wy, wx) = (catmull_rom(y.fract()), catmull_rom(x.fract()));
        let (top, left) = (y as usize - 1, x as usize - 1);
        let row = |k: usize| {
            let row = &self.image[(top + k) * self.width + left..][..4];
            wx[0] * row[0] + wx[1] * row[1] + wx[2] * row[2] + wx[3] * row[3]
        };
        wy[0] * row(0) + wy[1] * row(1) + wy[2] * row(2) + wy[3] * row(3)
    }
}

/// Half the length of a vessel (pixels).
const VESSEL: f64 = 150.0;

/// Light reaching the detector from every pixel of a field: 1 in the centre,
/// less by `loss` in the corners.
pub(crate) fn vignette(height: usize, width: usize, loss: f64) -> Vec<f32> {
    let (cy, cx) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    let corner = cy * cy + cx * cx;
    (0..height * width)
        .map(|index| {
            let y = (index / width) as f64 - cy;
            let x = (index % width) as f64 - cx;
            (1.0 - loss * (y * y + x * x) / corner) as f32
        })
        .collect()
}
