//! One part of the field, its unexplained activity written out pixel by pixel.

use std::ops::Range;

use rayon::prelude::*;

use crate::Parameters;
use crate::model::Model;
use crate::outline::Rectangle;
use crate::stats::{Rest, axpy, dots, spaced};

/// A tile is not larger than this unless its margins are: smaller ones leave
/// more for others to do at once, larger ones spend less on margins.
pub(crate) const TILE_BYTES: usize = 256 << 20;

/// How the field is cut: cores that tile it, and the margin read around each.
pub(crate) struct Grid {
    pub(crate) cores: Vec<Rectangle>,
    pub(crate) margin: usize,
    /// How many tiles the budget holds at once.
    pub(crate) at_once: usize,
}

impl Grid {
    /// Cores depend on the movie's shape and the parameters only.
    pub(crate) fn new(
        height: usize,
        width: usize,
        bins: usize,
        parameters: &Parameters,
        bytes: usize,
    ) -> Self {
        let diameter = parameters.diameter;
        let margin = (1.5 * diameter).ceil() as usize;
        let smallest = (2.0 * diameter).ceil() as usize;
        let mut core = (12.0 * diameter).ceil() as usize;
        // Activity, and its blurred copy on a coarser grid.
        let need = |core: usize| {
            let rows = (core + 2 * margin).min(height);
            let columns = (core + 2 * margin).min(width);
            rows * columns * bins.max(1) * 8
        };
        while core > smallest && need(core) > TILE_BYTES {
            core = (core * 3 / 4).max(smallest);
        }
        let cut = |length: usize| -> Vec<Range<usize>> {
            let parts = length.div_ceil(core).max(1);
            (0..parts)
                .map(|part| part * length / parts..(part + 1) * length / parts)
                .collect()
        };
        let columns = cut(width);
        let cores = cut(height)
            .into_iter()
            .flat_map(|y| {
                columns.iter().map(move |x| Rectangle {
                    y: y.clone(),
                    x: x.clone(),
                })
            })
            .collect();
        Self {
            cores,
            margin,
            at_once: (bytes / need(core).max(1)).max(1),
        }
    }
}

/// The activity of one tile. Pixels are counted row by row within `area`.
pub(crate) struct Tile {
    pub(crate) area: Rectangle,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) bins: usize,
    /// `(pixel, bin)`: activity not yet explained, in units of the pixel's noise.
    left: Vec<f32>,
    /// Noise of each pixel in the movie's units; 0 where it cannot be used.
    pub(crate) noise: Vec<f32>,
    /// Where seeds are looked for.
    pub(crate) coarse: Coarse,
}

/// Every `step`-th pixel's neighbourhood: blurred activity, which needs no
/// finer grid.
pub(crate) struct Coarse {
    pub(crate) step: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    bins: usize,
    /// `(point, bin)`.
    values: Vec<f32>,
    /// Resting level and noise of each point at the start.
    pub(crate) rest: Vec<Rest>,
    kernel: Vec<f32>,
}

impl Coarse {
    pub(crate) fn at(&self, point: usize) -> &[f32] {
        &self.values[point * self.bins..(point + 1) * self.bins]
    }

    /// The pixel of a tile that a point stands on.
    pub(crate) fn pixel(&self, point: usize, tile_columns: usize) -> usize {
        let (row, column) = (point / self.columns, point % self.columns);
        row * self.step * tile_columns + column * self.step
    }

    /// The points on or next to a rectangle of the tile's pixels.
    pub(crate) fn points(&self, window: &Rectangle) -> impl Iterator<Item = usize> + use<> {
        let span = |range: &Range<usize>, end: usize| {
            range.start / self.step..range.end.div_ceil(self.step).min(end)
        };
        let (y, x) = (span(&window.y, self.rows), span(&window.x, self.columns));
        let columns = self.columns;
        y.flat_map(move |y| x.clone().map(move |x| y * columns + x))
    }
}

impl Tile {
    /// What the model leaves in `area`, and its blurred copy.
    pub(crate) fn new(model: &Model<'_>, area: Rectangle, parameters: &Parameters) -> Self {
        let activity = model.activity;
        let (rows, columns) = (area.y.len(), area.x.len());
        let bins = activity.bins();
        let place = |pixel: usize| {
            (
                area.y.start + pixel / columns,
                area.x.start + pixel % columns,
            )
        };
        let mut left = vec![0.0_f32; rows * columns * bins];
        left.par_chunks_exact_mut(bins)
            .enumerate()
            .for_each(|(pixel, out)| {
                let (y, x) = place(pixel);
                model.residual(y, x, out);
            });
        let noise: Vec<f32> = (0..rows * columns)
            .map(|pixel| {
                let (y, x) = place(pixel);
                let scale = activity.scale[y * activity.width + x];
                if scale > 0.0 { 1.0 / scale } else { 0.0 }
            })
            .collect();
        let step = ((parameters.diameter / 5.0) as usize).max(1);
        let kernel = kernel(parameters.diameter / 4.0);
        let values = blur(&left, rows, columns, bins, step, &kernel);
        // Of white noise as large as the raw movie's, this would be left.
        let raw = 1.0 / (activity.courses.bin as f32).sqrt();
        let rest = values
            .par_chunks_exact(bins)
            .map_init(Vec::new, |scratch, trace| {
                let mut rest = Rest::of(trace, scratch);
                rest.noise = rest.noise.clamp(RAW_NOISE * raw, raw);
                rest
            })
            .collect();
        Self {
            coarse: Coarse {
                step,
                rows: rows.div_ceil(step),
                columns: columns.div_ceil(step),
                bins,
                values,
                rest,
                kernel,
            },
            area,
            rows,
            columns,
            bins,
            left,
            noise,
        }
    }

    pub(crate) fn left(&self, pixel: usize) -> &[f32] {
        &self.left[pixel * self.bins..(pixel + 1) * self.bins]
    }

    /// What is left of a window, regressed on `p`: products row by row, times
    /// the noise of each pixel.
    pub(crate) fn regression(&self, window: &Rectangle, p: &[f32]) -> Vec<f32> {
        let mut image = vec![0.0; window.y.len() * window.x.len()];
        for (y, out) in window.y.clone().zip(image.chunks_exact_mut(window.x.len())) {
            let first = y * self.columns + window.x.start;
            let end = first + window.x.len();
            dots(&self.left[first * self.bins..end * self.bins], p, out);
            for (value, &noise) in out.iter_mut().zip(&self.noise[first..end]) {
                *value *= noise;
            }
        }
        image
    }

    /// The square of pixels at most `reach` rows and columns away.
    pub(crate) fn window(&self, pixel: usize, reach: usize) -> Rectangle {
        Rectangle::around(std::iter::once(pixel), self.columns).wider(
            reach,
            self.rows,
            self.columns,
        )
    }

    /// Takes `weights · trace` out of what is left and out of its blurred
    /// copy. Returns the pixels whose blurred copy changed.
    pub(crate) fn subtract(
        &mut self,
        pixels: &[usize],
        weights: &[f32],
        trace: &[f32],
    ) -> Rectangle {
        for (&pixel, &weight) in pixels.iter().zip(weights) {
            axpy(
                -weight,
                trace,
                &mut self.left[pixel * self.bins..(pixel + 1) * self.bins],
            );
        }
        let reach = self.coarse.kernel.len() / 2;
        let window = Rectangle::around(pixels.iter().copied(), self.columns).wider(
            reach,
            self.rows,
            self.columns,
        );
        let columns = window.x.len();
        let mut image = vec![0.0; window.y.len() * columns];
        for (&pixel, &weight) in pixels.iter().zip(weights) {
            let (y, x) = (pixel / self.columns, pixel % self.columns);
            image[(y - window.y.start) * columns + x - window.x.start] = weight;
        }
        let image = blur(&image, window.y.len(), columns, 1, 1, &self.coarse.kernel);
        let points: Vec<usize> = self.coarse.points(&window).collect();
        for point in points {
            let pixel = self.coarse.pixel(point, self.columns);
            let (y, x) = (pixel / self.columns, pixel % self.columns);
            if !(window.y.contains(&y) && window.x.contains(&x)) {
                continue;
            }
            let weight = image[(y - window.y.start) * columns + x - window.x.start];
            let bins = self.bins;
            axpy(
                -weight,
                trace,
                &mut self.coarse.values[point * bins..(point + 1) * bins],
            );
        }
        window
    }
}

/// Share of the raw movie's noise that denoised activity must at least rise
/// above: the denoiser's own errors are of that order.
const RAW_NOISE: f32 = 0.2;

/// Gaussian over `±2.5 σ`, scaled so that blurring along both axes keeps the
/// variance of white noise.
fn kernel(sigma: f64) -> Vec<f32> {
    let reach = (2.5 * sigma).ceil() as i64;
    let kernel: Vec<f64> = (-reach..=reach)
        .map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp())
        .collect();
    let norm = kernel.iter().map(|k| k * k).sum::<f64>().sqrt();
    kernel.iter().map(|k| (k / norm) as f32).collect()
}

/// Blurs an image of time courses along both axes, every `step`-th row and
/// column of it; nothing lies outside.
fn blur(
    image: &[f32],
    rows: usize,
    columns: usize,
    bins: usize,
    step: usize,
    kernel: &[f32],
) -> Vec<f32> {
    let reach = kernel.len() / 2;
    let (few_rows, few_columns) = (rows.div_ceil(step), columns.div_ceil(step));
    let mut across = vec![0.0_f32; rows * few_columns * bins];
    across
        .par_chunks_exact_mut(bins)
        .enumerate()
        .for_each(|(point, out)| {
            let (y, x) = (point / few_columns, point % few_columns * step);
            let (first, end) = (x.saturating_sub(reach), (x + reach + 1).min(columns));
            let taps = &kernel[first + reach - x..end + reach - x];
            // Fresh memory that is read before it is written costs two faults.
            out.fill(0.0);
            spaced(&image[(y * columns + first) * bins..], bins, taps, out);
        });
    let mut both = vec![0.0_f32; few_rows * few_columns * bins];
    both.par_chunks_exact_mut(bins)
        .enumerate()
        .for_each(|(point, out)| {
            let (y, x) = (point / few_columns * step, point % few_columns);
            let (first, end) = (y.saturating_sub(reach), (y + reach + 1).min(rows));
            let taps = &kernel[first + reach - y..end + reach - y];
            out.fill(0.0);
            let from = (first * few_columns + x) * bins;
            spaced(&across[from..], few_columns * bins, taps, out);
        });
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_tile_the_field_at_any_budget() {
        for bytes in [1 << 30, 1 << 20, 0] {
            let grid = Grid::new(100, 317, 500, &Parameters::default(), bytes);
            let mut hits = vec![0; 100 * 317];
            for core in &grid.cores {
                for y in core.y.clone() {
                    for x in core.x.clone() {
                        hits[y * 317 + x] += 1;
                        assert!(core.holds(y as f64, x as f64));
                    }
                }
            }
            assert!(hits.iter().all(|&n| n == 1));
        }
    }

    #[test]
    fn blurring_keeps_the_variance_of_white_noise() {
        let kernel = kernel(2.75);
        let (rows, columns) = (41, 41);
        let mut image = vec![0.0; rows * columns];
        image[20 * columns + 20] = 1.0;
        let blurred = blur(&image, rows, columns, 1, 1, &kernel);
        let energy: f32 = blurred.iter().map(|v| v * v).sum();
        assert!((energy - 1.0).abs() < 1e-5);
        // The coarser grid holds the same values.
        let coarse = blur(&image, rows, columns, 1, 2, &kernel);
        for (point, &value) in coarse.iter().enumerate() {
            assert_eq!(value, blurred[point / 21 * 2 * columns + point % 21 * 2]);
        }
    }
}
