//! One cell as the product of a footprint and a time course.

use crate::Parameters;
use crate::outline::{Rectangle, outline};
use crate::stats::{Rest, axpy, dot};
use crate::tile::Tile;

/// A footprint and its activity. Pixels of the plane, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) pixels: Vec<u32>,
    /// Activity of each pixel per unit of `trace`, in units of its noise.
    pub(crate) weights: Vec<f32>,
    /// One value per bin.
    pub(crate) trace: Vec<f32>,
    /// Its number, if it was given and not found.
    pub(crate) given: Option<u32>,
}

/// The part of a trace that rises out of its noise, without its mean, scaled
/// so that its product with the trace is one. A pixel's product with it is
/// the pixel's regression on the trace by way of this instrument: it sees
/// transients only, so that neither noise nor a shared slow background pulls
/// pixels in.
pub(crate) fn instrument(trace: &[f32], scratch: &mut Vec<f32>) -> Option<Vec<f32>> {
    let rest = Rest::of(trace, scratch);
    let cut = rest.level + 2.5 * rest.noise;
    let mut out: Vec<f32> = trace.iter().map(|&v| (v - cut).max(0.0)).collect();
    let mean = out.iter().map(|&v| f64::from(v)).sum::<f64>() / out.len().max(1) as f64;
    if mean <= 0.0 {
        return None;
    }
    for value in &mut out {
        *value -= mean as f32;
    }
    let spread = dot(trace, &out);
    if !(spread.is_finite() && spread > 0.0) {
        return None;
    }
    for value in &mut out {
        *value /= spread;
    }
    Some(out)
}

/// Rounds of growth at most: what grows is refined later.
const ROUNDS: usize = 4;

/// Share of its pixels by which a footprint may still change when it counts
/// as grown.
const SETTLED: f64 = 0.05;

/// A cell grown in a tile, in the tile's pixels.
pub(crate) struct Grown {
    pub(crate) pixels: Vec<usize>,
    pub(crate) weights: Vec<f32>,
    pub(crate) trace: Vec<f32>,
}

impl Grown {
    /// Grows a cell from a point of the coarse grid: the blurred trace there
    /// says when it is active, regression says which pixels join in, their
    /// weighted mean is a better trace, and so on.
    pub(crate) fn new(tile: &Tile, point: usize, parameters: &Parameters) -> Option<Self> {
        let seed = tile.coarse.pixel(point, tile.columns);
        let window = tile.window(seed, (1.25 * parameters.diameter).ceil() as usize);
        let near = tile.window(seed, (parameters.diameter / 3.0).ceil() as usize);
        let mut scratch = Vec::new();
        let mut found = Self {
            pixels: Vec::new(),
            weights: Vec::new(),
            trace: tile.coarse.at(point).to_vec(),
        };
        for _ in 0..ROUNDS {
            let p = instrument(&found.trace, &mut scratch)?;
            let image = tile.regression(&window, &p);
            let cut = outline(&window, &image, &near, parameters.support)?;
            let before = std::mem::take(&mut found.pixels);
            found.weights.clear();
            for (&k, &weight) in cut.inside.iter().zip(&cut.weights) {
                let pixel = (window.y.start + k / window.x.len()) * tile.columns
                    + window.x.start
                    + k % window.x.len();
                found.pixels.push(pixel);
                found.weights.push(weight / tile.noise[pixel]);
            }
            found.trace = found.project(tile)?;
            let same = shared(&before, &found.pixels) as f64;
            let all = before.len().max(found.pixels.len()) as f64;
            if same >= (1.0 - SETTLED) * all {
                break;
            }
        }
        Some(found)
    }

    /// Least-squares trace of what is left, given the footprint.
    fn project(&self, tile: &Tile) -> Option<Vec<f32>> {
        let energy: f32 = self.weights.iter().map(|w| w * w).sum();
        if !(energy > 0.0 && energy.is_finite()) {
            return None;
        }
        let mut trace = vec![0.0; tile.bins];
        for (&pixel, &weight) in self.pixels.iter().zip(&self.weights) {
            axpy(weight / energy, tile.left(pixel), &mut trace);
        }
        Some(trace)
    }

    /// The same in the plane's pixels.
    pub(crate) fn into_cell(self, tile: &Tile, width: usize) -> Cell {
        let place = |pixel: usize| {
            let (y, x) = (pixel / tile.columns, pixel % tile.columns);
            ((tile.area.y.start + y) * width + tile.area.x.start + x) as u32
        };
        Cell {
            pixels: self.pixels.iter().map(|&pixel| place(pixel)).collect(),
            weights: self.weights,
            trace: self.trace,
            given: None,
        }
    }
}

impl Cell {
    pub(crate) fn bounds(&self, width: usize) -> Rectangle {
        Rectangle::around(self.pixels.iter().map(|&p| p as usize), width)
    }

    pub(crate) fn energy(&self) -> f32 {
        self.weights.iter().map(|w| w * w).sum()
    }

    /// Pixels and weights in the movie's units; `scale` is 1 / noise.
    pub(crate) fn footprint(&self, scale: &[f32]) -> (Vec<u32>, Vec<f32>) {
        let weights = self
            .pixels
            .iter()
            .zip(&self.weights)
            .map(|(&pixel, &weight)| {
                let scale = scale[pixel as usize];
                if scale > 0.0 { weight / scale } else { 0.0 }
            })
            .collect();
        (self.pixels.clone(), weights)
    }

    /// Weighted centre in rows and columns; `scale` is 1 / noise.
    pub(crate) fn centre(&self, scale: &[f32], width: usize) -> (f64, f64) {
        let (mut y, mut x, mut total) = (0.0, 0.0, 0.0);
        for (&pixel, &weight) in self.pixels.iter().zip(&self.weights) {
            let pixel = pixel as usize;
            let weight = f64::from(weight / scale[pixel]);
            y += weight * (pixel / width) as f64;
            x += weight * (pixel % width) as f64;
            total += weight;
        }
        (y / total, x / total)
    }

    /// Number of shared pixels.
    pub(crate) fn shared(&self, other: &Self) -> usize {
        shared(&self.pixels, &other.pixels)
    }
}

/// Number of equal entries of two ascending lists.
fn shared<T: Ord>(a: &[T], b: &[T]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                count += 1;
                i += 1;
                j += 1;
            }
        }
    }
    count
}

/// Mean squared radius of a set of pixels over that of a disc of as many.
pub(crate) fn spread(pixels: impl Iterator<Item = usize> + Clone, width: usize) -> f64 {
    let n = pixels.clone().count() as f64;
    let place = |pixel: usize| ((pixel / width) as f64, (pixel % width) as f64);
    let (mut y, mut x) = (0.0, 0.0);
    for pixel in pixels.clone() {
        let (v, u) = place(pixel);
        y += v / n;
        x += u / n;
    }
    let square: f64 = pixels
        .map(|pixel| {
            let (v, u) = place(pixel);
            (v - y).powi(2) + (u - x).powi(2)
        })
        .sum();
    // A disc of n pixels has ⟨r²⟩ = n / 2π.
    (square / n + 1.0 / 6.0) / (n / (2.0 * std::f64::consts::PI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instrument_is_blind_to_noise_and_offset() {
        let mut trace: Vec<f32> = (0..997).map(|t| (t * 613 % 997) as f32 / 997.0).collect();
        trace[100] = 20.0;
        trace[500] = 10.0;
        let p = instrument(&trace, &mut Vec::new()).unwrap();
        assert!((dot(&trace, &p) - 1.0).abs() < 1e-5);
        let shifted: Vec<f32> = trace.iter().map(|v| v + 5.0).collect();
        assert!((dot(&shifted, &p) - 1.0).abs() < 1e-3);
        assert!(instrument(&[1.0; 50], &mut Vec::new()).is_none());
        assert!(instrument(&[], &mut Vec::new()).is_none());
    }

    #[test]
    fn a_disc_has_a_spread_of_one_and_a_line_more() {
        let disc =
            (0..41 * 41).filter(|p| ((p / 41) as f64 - 20.0).hypot((p % 41) as f64 - 20.0) < 9.0);
        assert!((spread(disc, 41) - 1.0).abs() < 0.02);
        assert!(spread(0..30, 41) > 10.0);
    }
}
