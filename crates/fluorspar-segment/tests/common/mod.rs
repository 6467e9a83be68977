//! A small two-photon scene with known cells.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses its part")]

use fluorspar_movie::Footprints;
use ndarray::{Array2, Array3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

/// What to draw.
#[derive(Clone, Debug)]
pub struct Scene {
    pub height: usize,
    pub width: usize,
    pub frames: usize,
    pub frame_rate: f64,
    pub cells: usize,
    /// Pixels.
    pub diameter: f64,
    /// Smallest distance between centres, in diameters; below 1 cells overlap.
    pub spacing: f64,
    /// Spikes per second.
    pub rate: f64,
    /// ΔF/F of a spike.
    pub spike: f64,
    /// Seconds.
    pub tau: f64,
    /// Photons per pixel and frame of a cell at rest.
    pub photons: f64,
    /// Photons of the neuropil.
    pub neuropil: f64,
    /// Its relative fluctuation.
    pub swing: f64,
    pub seed: u64,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            height: 96,
            width: 96,
            frames: 900,
            frame_rate: 15.0,
            cells: 36,
            diameter: 11.0,
            spacing: 0.8,
            rate: 0.15,
            spike: 0.5,
            tau: 0.7,
            photons: 15.0,
            neuropil: 10.0,
            swing: 0.15,
            seed: 1,
        }
    }
}

/// The movie, the cells, and which of them had a few spikes.
pub struct Truth {
    pub movie: Array3<f32>,
    pub footprints: Footprints,
    pub active: Vec<bool>,
    pub calcium: Array2<f32>,
}

impl Scene {
    pub fn draw(&self) -> Truth {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (h, w, d) = (self.height as f64, self.width as f64, self.diameter);
        let mut centres: Vec<(f64, f64)> = Vec::new();
        while centres.len() < self.cells {
            let (y, x) = (
                rng.random_range(0.4 * d..h - 0.4 * d),
                rng.random_range(0.4 * d..w - 0.4 * d),
            );
            if centres
                .iter()
                .all(|c| (c.0 - y).hypot(c.1 - x) >= self.spacing * d)
            {
                centres.push((y, x));
            }
        }
        let mut footprints = Footprints::new(self.height, self.width);
        let mut sparse = Vec::new();
        for &(cy, cx) in &centres {
            let radius = d / 2.0 * rng.random_range(0.85..1.15);
            let stretch: f64 = rng.random_range(1.0..1.25);
            let angle: f64 = rng.random_range(0.0..std::f64::consts::PI);
            let bright: f64 = rng.random_range(0.7..1.4);
            let mut pixels = Vec::new();
            for y in 0..self.height {
                for x in 0..self.width {
                    let (v, u) = (y as f64 - cy, x as f64 - cx);
                    let (s, c) = angle.sin_cos();
                    let rho = ((c * u + s * v) / (radius * stretch))
                        .hypot((c * v - s * u) / (radius / stretch));
                    let outside = (rho - 1.0) * radius;
                    // A soft edge, a dimmer nucleus.
                    let weight = (1.0 - 0.35 * (-(rho / 0.45).powi(2)).exp())
                        / (1.0 + (outside / 0.7).exp());
                    if weight > 0.02 {
                        pixels.push(((y * self.width + x) as u32, weight * bright));
                    }
                }
            }
            let largest = pixels.iter().map(|p| p.1).fold(0.0, f64::max);
            let support: Vec<_> = pixels.iter().filter(|p| p.1 >= 0.3 * largest).collect();
            footprints
                .push(
                    &support.iter().map(|p| p.0).collect::<Vec<_>>(),
                    &support.iter().map(|p| p.1 as f32).collect::<Vec<_>>(),
                    0,
                )
                .expect("a drawn cell has pixels");
            sparse.push(pixels);
        }
        let decay = (-1.0 / (self.tau * self.frame_rate)).exp();
        let mut calcium = Array2::<f32>::zeros((self.cells, self.frames));
        let mut active = Vec::new();
        for cell in 0..self.cells {
            // Bursts: rates differ between cells, spikes come in groups.
            let rate = self.rate * rng.random_range(0.3..1.7) / self.frame_rate;
            let (mut value, mut spikes) = (0.0, 0);
            for t in 0..self.frames {
                value *= decay;
                if rng.random_bool(rate.min(1.0)) {
                    let burst = rng.random_range(1..=3);
                    spikes += burst;
                    value += self.spike * f64::from(burst);
                }
                calcium[[cell, t]] = value as f32;
            }
            active.push(spikes >= 4);
        }
        // Neuropil: broad waves with their own slow walks.
        let waves: Vec<(f64, f64, f64, f64)> = (0..12)
            .map(|_| {
                (
                    rng.random_range(-0.15..0.15),
                    rng.random_range(-0.15..0.15),
                    rng.random_range(0.0..6.3),
                    rng.random_range(0.05..0.5),
                )
            })
            .collect();
        let mut walk = vec![0.0_f64; waves.len()];
        let mut movie = Array3::zeros((self.frames, self.height, self.width));
        let keep: f64 = (-1.0 / self.frame_rate).exp();
        let mut light = vec![0.0_f64; self.height * self.width];
        for t in 0..self.frames {
            for value in &mut walk {
                let step: f64 = rng.sample(StandardNormal);
                *value = keep * *value + (1.0 - keep * keep).sqrt() * step;
            }
            for (pixel, slot) in light.iter_mut().enumerate() {
                let (y, x) = ((pixel / self.width) as f64, (pixel % self.width) as f64);
                let swing: f64 = waves
                    .iter()
                    .zip(&walk)
                    .map(|(&(ky, kx, phase, _), &a)| a * (ky * y + kx * x + phase).cos())
                    .sum();
                *slot = self.neuropil * (1.0 + self.swing * swing / (6.0_f64).sqrt()).max(0.0);
            }
            for (cell, pixels) in sparse.iter().enumerate() {
                let f = self.photons * (1.0 + f64::from(calcium[[cell, t]]));
                for &(pixel, weight) in pixels {
                    light[pixel as usize] += f * weight;
                }
            }
            for (pixel, &photons) in light.iter().enumerate() {
                let count = Poisson::new(photons.max(1e-3)).map_or(0.0, |p| p.sample(&mut rng));
                let read: f64 = rng.sample(StandardNormal);
                movie[[t, pixel / self.width, pixel % self.width]] =
                    (100.0 + 20.0 * count + 10.0 * read) as f32;
            }
        }
        Truth {
            movie,
            footprints,
            active,
            calcium,
        }
    }
}

/// `(precision, recall)` at `IoU ≥ 0.5`, matched greedily by overlap: recall
/// over active cells, precision over everything found.
pub fn score(truth: &Footprints, active: &[bool], found: &Footprints) -> (f64, f64) {
    let mut pairs = Vec::new();
    for i in 0..truth.len() {
        for j in 0..found.len() {
            let overlap = fluorspar_movie::iou(truth.get(i), found.get(j));
            if overlap >= 0.5 {
                pairs.push((overlap, i, j));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hit, mut used) = (vec![false; truth.len()], vec![false; found.len()]);
    for (_, i, j) in pairs {
        if !hit[i] && !used[j] {
            hit[i] = true;
            used[j] = true;
        }
    }
    let wanted = active.iter().filter(|a| **a).count();
    let got = hit.iter().zip(active).filter(|(h, a)| **h && **a).count();
    let right = used.iter().filter(|u| **u).count();
    (
        right as f64 / found.len().max(1) as f64,
        got as f64 / wanted.max(1) as f64,
    )
}
