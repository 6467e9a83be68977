//! One cell as the product of a footprint and a time course.

use crate::Parameters;
use crate::stats::{Rest, axpy, dot};
use crate::tile::{Rectangle, Tile};

/// A footprint and its activity. Pixels ascend.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(crate) pixels: Vec<usize>,
    /// Activity of each pixel per unit of `trace`, in units of its noise.
    pub(crate) weights: Vec<f32>,
    pub(crate) trace: Vec<f32>,
}

/// The part of a trace that rises out of its noise, without its mean. A
/// pixel's regression on the trace by way of this instrument, `⟨pixel,
/// p⟩/⟨trace, p⟩`, sees transients only: neither noise nor a shared slow
/// background pulls pixels in.
fn instrument(trace: &[f32], scratch: &mut Vec<f32>) -> Option<Vec<f32>> {
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

impl Component {
    /// Grows a cell from a seed: the blurred trace at the seed says when it
    /// is active, regression says which pixels join in, their weighted mean
    /// is a better trace, and so on.
    pub(crate) fn grow(tile: &Tile, seed: usize, parameters: &Parameters) -> Option<Self> {
        let reach = (1.25 * parameters.diameter).ceil() as usize;
        let window = tile.window(seed, reach);
        let mut scratch = Vec::new();
        let mut found = Self {
            pixels: vec![seed],
            weights: vec![1.0],
            trace: tile.blurred(seed).to_vec(),
        };
        for _ in 0..ROUNDS {
            let p = instrument(&found.trace, &mut scratch)?;
            let image = image(tile, &window, |pixel| dot(tile.left(pixel), &p));
            let near = tile.window(seed, (parameters.diameter / 3.0).ceil() as usize);
            let before = found.pixels;
            (found.pixels, found.weights) =
                trimmed(tile, &window, &image, &near, parameters.support)?;
            found.trace = found.project(tile)?;
            if before == found.pixels {
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

    /// One step of alternating least squares against what all components
    /// together leave; `tile.left` is kept up to date. Returns `false` if
    /// nothing remains, after giving its share back.
    pub(crate) fn refine(&mut self, tile: &mut Tile, parameters: &Parameters) -> bool {
        let mut scratch = Vec::new();
        self.give_back(tile);
        let step = self.project(tile).and_then(|mut trace| {
            self.without_surround(tile, parameters, &mut trace);
            let p = instrument(&trace, &mut scratch)?;
            let (window, near) = self.surroundings(tile);
            let image = image(tile, &window, |pixel| dot(tile.left(pixel), &p));
            let (pixels, weights) = trimmed(tile, &window, &image, &near, parameters.support)?;
            Some(Self {
                pixels,
                weights,
                trace,
            })
        });
        let Some(next) = step else {
            return false;
        };
        *self = next;
        self.take(tile);
        true
    }

    /// Takes the component's share out of what is left.
    pub(crate) fn take(&self, tile: &mut Tile) {
        for (&pixel, &weight) in self.pixels.iter().zip(&self.weights) {
            tile.add(pixel, -weight, &self.trace);
            tile.claims[pixel] += 1;
        }
    }

    /// Undoes [`Component::take`].
    pub(crate) fn give_back(&self, tile: &mut Tile) {
        for (&pixel, &weight) in self.pixels.iter().zip(&self.weights) {
            tile.add(pixel, weight, &self.trace);
            tile.claims[pixel] -= 1;
        }
    }

    /// Takes from a trace what the unclaimed pixels around the footprint do
    /// on average: the neuropil that lies over the cell as well.
    fn without_surround(&self, tile: &Tile, parameters: &Parameters, trace: &mut [f32]) {
        let (y, x) = self.centre(tile);
        let middle = y.round() as usize * tile.columns + x.round() as usize;
        let window = tile.window(middle, (1.1 * parameters.diameter).ceil() as usize);
        let mut sum = vec![0.0; tile.bins];
        let mut count = 0_u32;
        for v in window.y {
            for u in window.x.clone() {
                let pixel = v * tile.columns + u;
                if tile.noise[pixel] > 0.0
                    && tile.claims[pixel] == 0
                    && self.pixels.binary_search(&pixel).is_err()
                {
                    axpy(1.0, tile.left(pixel), &mut sum);
                    count += 1;
                }
            }
        }
        // Fewer pixels than a cell has would be a noisy surround.
        if f64::from(count) < 0.5 * parameters.disc() {
            return;
        }
        let energy: f32 = self.weights.iter().map(|w| w * w).sum();
        let total: f32 = self.weights.iter().sum();
        axpy(-total / (energy * count as f32), &sum, trace);
    }

    /// The footprint's bounding box, as it is and two pixels wider.
    fn surroundings(&self, tile: &Tile) -> (Rectangle, Rectangle) {
        let (mut top, mut bottom, mut first, mut last) = (tile.rows, 0, tile.columns, 0);
        for &pixel in &self.pixels {
            let (y, x) = (pixel / tile.columns, pixel % tile.columns);
            (top, bottom) = (top.min(y), bottom.max(y));
            (first, last) = (first.min(x), last.max(x));
        }
        let wider = Rectangle {
            y: top.saturating_sub(2)..(bottom + 3).min(tile.rows),
            x: first.saturating_sub(2)..(last + 3).min(tile.columns),
        };
        let tight = Rectangle {
            y: top..bottom + 1,
            x: first..last + 1,
        };
        (wider, tight)
    }

    /// How high its transients rise above its noise: the third largest bin
    /// over the resting level, divided by the noise of the lower half, or by
    /// a tenth of the raw movie's noise if that is larger.
    pub(crate) fn snr(&self, frames_per_bin: usize) -> f32 {
        let mut scratch = Vec::new();
        let rest = Rest::of(&self.trace, &mut scratch);
        let Some(rank) = self.trace.len().checked_sub(3) else {
            return 0.0;
        };
        scratch.clear();
        scratch.extend_from_slice(&self.trace);
        let (_, &mut peak, _) = scratch.select_nth_unstable_by(rank, f32::total_cmp);
        let energy: f32 = self.weights.iter().map(|w| w * w).sum();
        let raw = 1.0 / (energy * frames_per_bin as f32).sqrt();
        let noise = rest.noise.max(0.1 * raw);
        let snr = (peak - rest.level) / noise;
        if snr.is_finite() { snr } else { 0.0 }
    }

    /// Weighted centre in the tile's rows and columns.
    pub(crate) fn centre(&self, tile: &Tile) -> (f64, f64) {
        let (mut y, mut x, mut total) = (0.0, 0.0, 0.0);
        for (&pixel, &weight) in self.pixels.iter().zip(&self.weights) {
            let weight = f64::from(weight * tile.noise[pixel]);
            y += weight * (pixel / tile.columns) as f64;
            x += weight * (pixel % tile.columns) as f64;
            total += weight;
        }
        (y / total, x / total)
    }

    /// Mean squared radius over that of a disc with as many pixels.
    pub(crate) fn spread(&self, tile: &Tile) -> f64 {
        let n = self.pixels.len() as f64;
        let place = |pixel: usize| ((pixel / tile.columns) as f64, (pixel % tile.columns) as f64);
        let (mut y, mut x) = (0.0, 0.0);
        for &pixel in &self.pixels {
            let (v, u) = place(pixel);
            y += v / n;
            x += u / n;
        }
        let square: f64 = self
            .pixels
            .iter()
            .map(|&pixel| {
                let (v, u) = place(pixel);
                (v - y).powi(2) + (u - x).powi(2)
            })
            .sum();
        // A disc of n pixels has ⟨r²⟩ = n / 2π.
        (square / n + 1.0 / 6.0) / (n / (2.0 * std::f64::consts::PI))
    }

    /// Number of shared pixels.
    pub(crate) fn shared(&self, other: &Self) -> usize {
        let (mut i, mut j, mut count) = (0, 0, 0);
        while i < self.pixels.len() && j < other.pixels.len() {
            match self.pixels[i].cmp(&other.pixels[j]) {
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
}

/// Rounds of growth at most.
const ROUNDS: usize = 8;

/// Evaluates `weight` at every usable pixel of a window, times the pixel's
/// noise: weights in the movie's units.
fn image(tile: &Tile, window: &Rectangle, weight: impl Fn(usize) -> f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(window.y.len() * window.x.len());
    for y in window.y.clone() {
        for x in window.x.clone() {
            let pixel = y * tile.columns + x;
            let noise = tile.noise[pixel];
            out.push(if noise > 0.0 {
                weight(pixel) * noise
            } else {
                0.0
            });
        }
    }
    out
}

/// Cuts the footprint out of an image of weights: from the largest weight in
/// `near`, the connected pixels above `share` of the plateau, holes filled.
/// Returns pixels of the tile and weights in units of noise.
fn trimmed(
    tile: &Tile,
    window: &Rectangle,
    image: &[f32],
    near: &Rectangle,
    share: f64,
) -> Option<(Vec<usize>, Vec<f32>)> {
    let columns = window.x.len();
    let rows = window.y.len();
    let smooth = soften(image, rows, columns);
    let mut start = None;
    let mut best = 0.0;
    for k in 0..image.len() {
        let (y, x) = (window.y.start + k / columns, window.x.start + k % columns);
        if near.y.contains(&y) && near.x.contains(&x) && smooth[k] > best {
            best = smooth[k];
            start = Some(k);
        }
    }
    let start = start?;
    // The plateau depends on the footprint and the footprint on the plateau.
    let mut plateau = best;
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside = connected(&smooth, rows, columns, start, share as f32 * plateau);
        let mut values: Vec<f32> = (0..image.len())
            .filter(|&k| inside[k])
            .map(|k| smooth[k])
            .collect();
        let quarter = values.len().div_ceil(4);
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        let top: f32 = values.iter().take(quarter).sum::<f32>() / quarter as f32;
        plateau = top;
    }
    fill_holes(&mut inside, rows, columns);
    let mut pixels = Vec::new();
    let mut weights = Vec::new();
    for k in (0..image.len()).filter(|&k| inside[k]) {
        let pixel = (window.y.start + k / columns) * tile.columns + window.x.start + k % columns;
        let noise = tile.noise[pixel];
        let weight = image[k].max(0.5 * smooth[k]) / noise;
        if weight.is_finite() && weight > 0.0 {
            pixels.push(pixel);
            weights.push(weight);
        }
    }
    (!pixels.is_empty()).then_some((pixels, weights))
}

/// A light blur (1 2 1 along both axes) so that single noisy pixels do not
/// fray the outline.
fn soften(image: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let at = |y: usize, x: usize| image[y * columns + x];
    let mut across = vec![0.0; image.len()];
    for y in 0..rows {
        for x in 0..columns {
            let (a, b) = (x.saturating_sub(1), (x + 1).min(columns - 1));
            across[y * columns + x] = 0.15 * (at(y, a) + at(y, b)) + 0.7 * at(y, x);
        }
    }
    let mut out = vec![0.0; image.len()];
    for y in 0..rows {
        let (a, b) = (y.saturating_sub(1), (y + 1).min(rows - 1));
        for x in 0..columns {
            out[y * columns + x] = 0.15 * (across[a * columns + x] + across[b * columns + x])
                + 0.7 * across[y * columns + x];
        }
    }
    out
}

/// Pixels above `level` that are connected to `start` along rows and columns.
fn connected(image: &[f32], rows: usize, columns: usize, start: usize, level: f32) -> Vec<bool> {
    let mut inside = vec![false; image.len()];
    let mut todo = vec![start];
    inside[start] = true;
    while let Some(k) = todo.pop() {
        let (y, x) = (k / columns, k % columns);
        let mut visit = |k: usize| {
            if !inside[k] && image[k] > level {
                inside[k] = true;
                todo.push(k);
            }
        };
        if y > 0 {
            visit(k - columns);
        }
        if y + 1 < rows {
            visit(k + columns);
        }
        if x > 0 {
            visit(k - 1);
        }
        if x + 1 < columns {
            visit(k + 1);
        }
    }
    inside
}

/// Adds what cannot be reached from the window's border.
fn fill_holes(inside: &mut [bool], rows: usize, columns: usize) {
    // Padded by one pixel on each side, so that the outside is connected.
    let (wide, high) = (columns + 2, rows + 2);
    let mut outside = vec![0.0_f32; wide * high];
    for y in 0..high {
        for x in 0..wide {
            let free = y == 0
                || x == 0
                || y == high - 1
                || x == wide - 1
                || !inside[(y - 1) * columns + x - 1];
            outside[y * wide + x] = f32::from(u8::from(free));
        }
    }
    let reached = connected(&outside, high, wide, 0, 0.5);
    for y in 0..rows {
        for x in 0..columns {
            if !reached[(y + 1) * wide + x + 1] {
                inside[y * columns + x] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_filled_and_a_bay_is_not() {
        let rows = [
            ".....", //
            ".###.", ".#.#.", ".###.", ".#.#.",
        ];
        let mut inside: Vec<bool> = rows.concat().chars().map(|c| c == '#').collect();
        fill_holes(&mut inside, 5, 5);
        let text: String = inside.iter().map(|&i| if i { '#' } else { '.' }).collect();
        assert_eq!(
            text,
            ".....\
                          .###.\
                          .###.\
                          .###.\
                          .#.#."
        );
    }

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
}
