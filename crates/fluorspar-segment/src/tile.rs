//! One part of the field, its activity written out pixel by pixel.

use std::ops::Range;

use rayon::prelude::*;

use crate::Parameters;
use crate::activity::Activity;
use crate::component::Component;
use crate::stats::{Rest, axpy};

/// A rectangle of pixels, rows and columns of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rectangle {
    pub(crate) y: Range<usize>,
    pub(crate) x: Range<usize>,
}

impl Rectangle {
    pub(crate) fn holds(&self, y: f64, x: f64) -> bool {
        let inside = |v: f64, range: &Range<usize>| {
            v >= range.start as f64 - 0.5 && v < range.end as f64 - 0.5
        };
        inside(y, &self.y) && inside(x, &self.x)
    }
}

/// How the field is cut: cores that tile it, and the margin read around each.
pub(crate) struct Grid {
    pub(crate) cores: Vec<Rectangle>,
    pub(crate) margin: usize,
    height: usize,
    width: usize,
    /// How many tiles the budget holds at once.
    pub(crate) at_once: usize,
}

impl Grid {
    /// Depends on the movie's shape, the parameters and the budget only.
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
        // Activity and its blurred copy, and the box means.
        let need = |core: usize| {
            let rows = (core + 2 * margin).min(height);
            let columns = (core + 2 * margin).min(width);
            rows * columns * bins.max(1) * 9
        };
        while core > smallest && need(core) > bytes {
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
            height,
            width,
            at_once: (bytes / need(core)).max(1),
        }
    }

    pub(crate) fn with_margin(&self, core: &Rectangle) -> Rectangle {
        let wider = |range: &Range<usize>, end: usize| {
            range.start.saturating_sub(self.margin)..(range.end + self.margin).min(end)
        };
        Rectangle {
            y: wider(&core.y, self.height),
            x: wider(&core.x, self.width),
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
    pub(crate) left: Vec<f32>,
    /// `(pixel, bin)`: the same, blurred by `kernel`.
    pub(crate) blurred: Vec<f32>,
    /// Noise of each pixel in the movie's units; 0 where it cannot be used.
    pub(crate) noise: Vec<f32>,
    /// Resting level and noise of each blurred pixel at the start.
    pub(crate) rest: Vec<Rest>,
    /// How many components' footprints hold each pixel.
    pub(crate) claims: Vec<u16>,
    kernel: Vec<f32>,
}

impl Tile {
    pub(crate) fn new(
        activity: &Activity<'_>,
        width: usize,
        area: Rectangle,
        parameters: &Parameters,
        height: usize,
    ) -> Self {
        let (rows, columns) = (area.y.len(), area.x.len());
        let bins = activity.bins;
        let place = |pixel: usize| {
            (
                area.y.start + pixel / columns,
                area.x.start + pixel % columns,
            )
        };
        let scale: Vec<f32> = (0..rows * columns)
            .map(|pixel| {
                let (y, x) = place(pixel);
                activity.scale[y * width + x]
            })
            .collect();
        let background = Background::new(activity, &area, parameters, (height, width));
        let mut left = vec![0.0_f32; rows * columns * bins];
        left.par_chunks_exact_mut(bins)
            .enumerate()
            .filter(|(pixel, _)| scale[*pixel] > 0.0)
            .for_each(|(pixel, out)| {
                let (y, x) = place(pixel);
                activity.pixel(y * width + x, out);
                background.subtract(y, x, out);
            });
        let kernel = kernel(parameters.diameter / 4.0);
        let blurred = blur(&left, rows, columns, bins, &kernel);
        // Of white noise as large as the raw movie's, this would be left.
        let floor = RAW_NOISE / (activity.bin as f32).sqrt();
        let rest = blurred
            .par_chunks_exact(bins)
            .map_init(Vec::new, |scratch, trace| {
                let mut rest = Rest::of(trace, scratch);
                rest.noise = rest.noise.max(floor);
                rest
            })
            .collect();
        Self {
            noise: scale
                .iter()
                .map(|&s| if s > 0.0 { 1.0 / s } else { 0.0 })
                .collect(),
            area,
            rows,
            columns,
            bins,
            left,
            blurred,
            rest,
            claims: vec![0; rows * columns],
            kernel,
        }
    }

    pub(crate) fn left(&self, pixel: usize) -> &[f32] {
        &self.left[pixel * self.bins..(pixel + 1) * self.bins]
    }

    pub(crate) fn blurred(&self, pixel: usize) -> &[f32] {
        &self.blurred[pixel * self.bins..(pixel + 1) * self.bins]
    }

    /// Adds `factor · trace` to what is left of a pixel.
    pub(crate) fn add(&mut self, pixel: usize, factor: f32, trace: &[f32]) {
        axpy(
            factor,
            trace,
            &mut self.left[pixel * self.bins..(pixel + 1) * self.bins],
        );
    }

    /// The square of pixels at most `reach` rows and columns away.
    pub(crate) fn window(&self, pixel: usize, reach: usize) -> Rectangle {
        let (y, x) = (pixel / self.columns, pixel % self.columns);
        Rectangle {
            y: y.saturating_sub(reach)..(y + reach + 1).min(self.rows),
            x: x.saturating_sub(reach)..(x + reach + 1).min(self.columns),
        }
    }

    /// Takes a component out of what is left and out of its blurred copy.
    /// Returns the pixels whose blurred copy changed.
    pub(crate) fn subtract(&mut self, cell: &Component) -> Rectangle {
        cell.take(self);
        let (pixels, weights, trace) = (&cell.pixels, &cell.weights, &cell.trace);
        let reach = self.kernel.len() / 2;
        let (mut top, mut bottom, mut first, mut last) = (self.rows, 0, self.columns, 0);
        for &pixel in pixels {
            let (y, x) = (pixel / self.columns, pixel % self.columns);
            (top, bottom) = (top.min(y), bottom.max(y));
            (first, last) = (first.min(x), last.max(x));
        }
        let window = Rectangle {
            y: top.saturating_sub(reach)..(bottom + reach + 1).min(self.rows),
            x: first.saturating_sub(reach)..(last + reach + 1).min(self.columns),
        };
        let (rows, columns) = (window.y.len(), window.x.len());
        let mut image = vec![0.0; rows * columns];
        for (&pixel, &weight) in pixels.iter().zip(weights) {
            let (y, x) = (pixel / self.columns, pixel % self.columns);
            image[(y - window.y.start) * columns + x - window.x.start] = weight;
        }
        let image = blur(&image, rows, columns, 1, &self.kernel);
        for (k, &weight) in image.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            let pixel =
                (window.y.start + k / columns) * self.columns + window.x.start + k % columns;
            axpy(
                -weight,
                trace,
                &mut self.blurred[pixel * self.bins..(pixel + 1) * self.bins],
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

/// Blurs an image of time courses along both axes; nothing lies outside.
fn blur(image: &[f32], rows: usize, columns: usize, bins: usize, kernel: &[f32]) -> Vec<f32> {
    let reach = kernel.len() / 2;
    let mut across = vec![0.0_f32; image.len()];
    across
        .par_chunks_exact_mut(bins)
        .enumerate()
        .for_each(|(pixel, out)| {
            let (y, x) = (pixel / columns, pixel % columns);
            for u in x.saturating_sub(reach)..(x + reach + 1).min(columns) {
                let from = (y * columns + u) * bins;
                axpy(kernel[u + reach - x], &image[from..from + bins], out);
            }
        });
    let mut both = vec![0.0_f32; image.len()];
    both.par_chunks_exact_mut(bins)
        .enumerate()
        .for_each(|(pixel, out)| {
            let (y, x) = (pixel / columns, pixel % columns);
            for v in y.saturating_sub(reach)..(y + reach + 1).min(rows) {
                let from = (v * columns + x) * bins;
                axpy(kernel[v + reach - y], &across[from..from + bins], out);
            }
        });
    both
}

/// What many cells' widths share: means over boxes three diameters wide, on
/// knots half a diameter apart, interpolated between.
struct Background {
    step: usize,
    /// First knot `(row, column)`, in steps.
    first: (usize, usize),
    columns: usize,
    means: Vec<Vec<f32>>,
}

impl Background {
    fn new(
        activity: &Activity<'_>,
        area: &Rectangle,
        parameters: &Parameters,
        (height, width): (usize, usize),
    ) -> Self {
        let step = ((parameters.diameter / 2.0) as usize).max(1);
        let half = (1.5 * parameters.diameter).ceil() as usize;
        let first = (area.y.start / step, area.x.start / step);
        let rows = (area.y.end - 1) / step + 2 - first.0;
        let columns = (area.x.end - 1) / step + 2 - first.1;
        let means = (0..rows * columns)
            .into_par_iter()
            .map(|knot| {
                let y = (first.0 + knot / columns) * step;
                let x = (first.1 + knot % columns) * step;
                // A knot beyond the edge looks at the edge.
                let (y, x) = (y.min(height - 1), x.min(width - 1));
                let mut out = vec![0.0; activity.bins];
                activity.mean(
                    y.saturating_sub(half)..(y + half + 1).min(height),
                    x.saturating_sub(half)..(x + half + 1).min(width),
                    &mut out,
                );
                out
            })
            .collect();
        Self {
            step,
            first,
            columns,
            means,
        }
    }

    fn subtract(&self, y: usize, x: usize, out: &mut [f32]) {
        let (row, column) = (y / self.step - self.first.0, x / self.step - self.first.1);
        let part = |v: usize| (v % self.step) as f32 / self.step as f32;
        let (fy, fx) = (part(y), part(x));
        for (dy, dx, weight) in [
            (0, 0, (1.0 - fy) * (1.0 - fx)),
            (0, 1, (1.0 - fy) * fx),
            (1, 0, fy * (1.0 - fx)),
            (1, 1, fy * fx),
        ] {
            if weight > 0.0 {
                axpy(
                    -weight,
                    &self.means[(row + dy) * self.columns + column + dx],
                    out,
                );
            }
        }
    }
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
        let blurred = blur(&image, rows, columns, 1, &kernel);
        let energy: f32 = blurred.iter().map(|v| v * v).sum();
        assert!((energy - 1.0).abs() < 1e-5);
    }
}
