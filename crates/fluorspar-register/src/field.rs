//! From displacements at nodes to displacements at pixels, and the warp.

use fluorspar_movie::vectorised;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::Grid;
use crate::warp::keys;

/// Samples frames along a displacement field on one [`Grid`].
#[derive(Clone, Debug)]
pub(crate) struct Warp {
    nodes: (usize, usize),
    /// First node and weights of four, per row.
    rows: Vec<(usize, [f32; 4])>,
    /// Weights of four nodes, per column.
    columns: [Vec<f32>; 4],
    /// First node of the runs of columns that share it: start, end, node.
    runs: Vec<(usize, usize, usize)>,
}

/// Work space of one thread for [`Warp::apply`].
#[derive(Clone, Debug, Default)]
pub(crate) struct WarpScratch {
    /// The nodes of both components, with those beyond the ends.
    extended: [Vec<f32>; 2],
    /// Nodes along a row.
    line: Vec<f32>,
    row: Row,
    out: Vec<f32>,
}

/// Displacements along a row of pixels and the weights of the four neighbours.
#[derive(Clone, Debug, Default)]
struct Row {
    dy: Vec<f32>,
    dx: Vec<f32>,
    wy: [Vec<f32>; 4],
    wx: [Vec<f32>; 4],
}

impl Row {
    fn resize(&mut self, width: usize) {
        let all = [&mut self.dy, &mut self.dx].into_iter();
        for values in all.chain(&mut self.wy).chain(&mut self.wx) {
            values.resize(width, 0.0);
        }
    }
}

/// Nodes added before the first by linear extrapolation, and after the last.
const BEYOND: usize = 2;

impl Warp {
    pub(crate) fn new(grid: &Grid) -> Self {
        let (height, width) = grid.image_dim();
        let place = |centres: &[f32], pixel: usize| {
            // A pixel's position counted in nodes, the end intervals going on outwards.
            let pixel = pixel as f32;
            if centres.len() < 2 {
                return (BEYOND - 1, keys(0.0));
            }
            let right = centres.partition_point(|&c| c <= pixel);
            let left = right.clamp(1, centres.len() - 1) - 1;
            let step = centres[left + 1] - centres[left];
            let u = left as f32 + (pixel - centres[left]) / step;
            let whole = u.floor().clamp(-1.0, centres.len() as f32 - 1.0);
            (
                (whole as isize + BEYOND as isize - 1) as usize,
                keys(u - whole),
            )
        };
        let rows = (0..height).map(|y| place(&grid.y(), y)).collect();
        let across: Vec<(usize, [f32; 4])> = (0..width).map(|x| place(&grid.x(), x)).collect();
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (x, &(node, _)) in across.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if run.2 == node => run.1 = x + 1,
                _ => runs.push((x, x + 1, node)),
            }
        }
        Self {
            nodes: grid.dim(),
            rows,
            columns: std::array::from_fn(|k| across.iter().map(|(_, w)| w[k]).collect()),
            runs,
        }
    }

    /// `out[y, x] = frame[y + dy, x + dx]` with the displacement at every
    /// pixel: `shift` plus the field interpolated from `nodes`
    /// `(component, node y, node x)` by cubic convolution. The frame is
    /// sampled once, by cubic convolution; beyond the border by its nearest pixel.
    pub(crate) fn apply(
        &self,
        frame: ArrayView2<'_, f32>,
        shift: (f32, f32),
        nodes: &[f32],
        mut out: ArrayViewMut2<'_, f32>,
        scratch: &mut WarpScratch,
    ) {
        let (_, width) = frame.dim();
        let (Some(pixels), Some(target)) = (frame.as_slice(), out.as_slice_mut()) else {
            return;
        };
        self.apply_rows(pixels, shift, nodes, scratch, |y, row| {
            target[y * width..(y + 1) * width].copy_from_slice(row);
        });
    }

    /// As [`Warp::apply`], handing every row to `take` while it is at hand.
    pub(crate) fn apply_rows(
        &self,
        pixels: &[f32],
        shift: (f32, f32),
        nodes: &[f32],
        scratch: &mut WarpScratch,
        take: impl FnMut(usize, &[f32]),
    ) {
        let (height, width) = (self.rows.len(), self.columns[0].len());
        let count = self.nodes.0 * self.nodes.1;
        if pixels.len() != height * width || nodes.len() != 2 * count {
            return;
        }
        scratch.row.resize(width);
        scratch.out.resize(width, 0.0);
        let (dy, dx) = nodes.split_at(count);
        for (component, extended) in [dy, dx].into_iter().zip(&mut scratch.extended) {
            self.extend(component, extended);
        }
        sample_rows(self, pixels, shift, scratch, take);
    }

    /// One component with extrapolated nodes all around.
    fn extend(&self, nodes: &[f32], out: &mut Vec<f32>) {
        let (rows, columns) = self.nodes;
        let (tall, wide) = (rows + 2 * BEYOND, columns + 2 * BEYOND);
        // Inside the nearest interval, so that the ends go on straight.
        let along = |k: usize, n: usize| {
            let u = k as f32 - BEYOND as f32;
            let base = u.clamp(0.0, n.saturating_sub(2) as f32).floor();
            (base as usize, if n > 1 { u - base } else { 0.0 })
        };
        out.resize(tall * wide, 0.0);
        for i in 0..tall {
            let (y, fy) = along(i, rows);
            let next_y = (y + 1).min(rows - 1);
            for j in 0..wide {
                let (x, fx) = along(j, columns);
                let next_x = (x + 1).min(columns - 1);
                let at = |y: usize, x: usize| nodes[y * columns + x];
                let top = at(y, x) + fx * (at(y, next_x) - at(y, x));
                let bottom = at(next_y, x) + fx * (at(next_y, next_x) - at(next_y, x));
                out[i * wide + j] = top + fy * (bottom - top);
            }
        }
    }

    /// The displacement along row `y`.
    #[inline(always)]
    fn row(&self, extended: &[f32], y: usize, shift: f32, line: &mut Vec<f32>, out: &mut [f32]) {
        let wide = self.nodes.1 + 2 * BEYOND;
        let (node, weights) = self.rows[y];
        line.clear();
        line.extend((0..wide).map(|j| {
            (0..4)
                .map(|k| weights[k] * extended[(node + k) * wide + j])
                .sum::<f32>()
        }));
        let [a, b, c, d] = &self.columns;
        for &(start, end, node) in &self.runs {
            let [p, q, r, s] = [line[node], line[node + 1], line[node + 2], line[node + 3]];
            let weights = a[start..end]
                .iter()
                .zip(&b[start..end])
                .zip(c[start..end].iter().zip(&d[start..end]));
            for (slot, ((a, b), (c, d))) in out[start..end].iter_mut().zip(weights) {
                *slot = shift + a * p + b * q + c * r + d * s;
            }
        }
    }
}

vectorised! {
    fn sample_rows<'a, F: FnMut(usize, &[f32])>(
        warp: &'a Warp,
        pixels: &'a [f32],
        shift: (f32, f32),
        scratch: &'a mut WarpScratch,
        take: F,
    ) {
        let mut take = take;
        let (height, width) = (warp.rows.len(), warp.columns[0].len());
        let WarpScratch { extended, line, row, out } = scratch;
        for y in 0..height {
            warp.row(&extended[0], y, shift.0, line, &mut row.dy);
            warp.row(&extended[1], y, shift.1, line, &mut row.dx);
            sample_row(pixels, (height, width), y, row, out);
            take(y, out);
        }
    }
}

/// Samples row `y`. Displacements change slowly, so that long runs of pixels
/// take theirs from the same rows and from as many columns further on.
#[inline(always)]
fn sample_row(
    pixels: &[f32],
    (height, width): (usize, usize),
    y: usize,
    row: &mut Row,
    out: &mut [f32],
) {
    let Row { dy, dx, wy, wx } = row;
    split(dy, wy);
    split(dx, wx);
    let mut start = 0;
    while start < width {
        let (fy, fx) = (dy[start], dx[start]);
        let end = run_end(dy, dx, start);
        let top = y as isize + fy as isize - 1;
        let shift = fx as isize - 1;
        // Where all sixteen neighbours are inside.
        let rows_inside = top >= 0 && top + 4 <= height as isize;
        let from = (-shift).clamp(start as isize, end as isize) as usize;
        let to = (width as isize - 3 - shift).clamp(from as isize, end as isize) as usize;
        let (from, to) = if rows_inside { (from, to) } else { (end, end) };
        for x in (start..from).chain(to..end) {
            let weights = (
                [0, 1, 2, 3].map(|k| wy[k][x]),
                [0, 1, 2, 3].map(|k| wx[k][x]),
            );
            let corner = (top, x as isize + shift);
            out[x] = sample(pixels, (height, width), corner, weights);
        }
        if from < to {
            let across = [0, 1, 2, 3].map(|k| &wx[k][from..to]);
            out[from..to].fill(0.0);
            for (i, weight) in wy.iter().enumerate() {
                let at = ((top + i as isize) * width as isize + from as isize + shift) as usize;
                add_row(&mut out[from..to], &weight[from..to], across, &pixels[at..]);
            }
        }
        start = end;
    }
}

/// Where the run of equal displacements that begins at `start` ends.
#[inline(always)]
fn run_end(dy: &[f32], dx: &[f32], start: usize) -> usize {
    const STEP: usize = 16;
    let (fy, fx) = (dy[start], dx[start]);
    let mut end = start + 1;
    while end + STEP <= dy.len() {
        let differ = |values: &[f32], first: f32| {
            let differ = values[end..end + STEP].iter();
            differ.fold(0, |n, &v| n + u32::from(v != first))
        };
        if differ(dy, fy) + differ(dx, fx) > 0 {
            break;
        }
        end += STEP;
    }
    while end < dy.len() && dy[end] == fy && dx[end] == fx {
        end += 1;
    }
    end
}

/// `out[x] += down[x] · Σ across[k][x] · pixels[x + k]`.
#[inline(always)]
fn add_row(out: &mut [f32], down: &[f32], across: [&[f32]; 4], pixels: &[f32]) {
    let n = out.len();
    let [a, b, c, d] = across.map(|w| &w[..n]);
    let [p, q, r, s] = [0, 1, 2, 3].map(|k| &pixels[k..k + n]);
    let down = &down[..n];
    for x in 0..n {
        out[x] += down[x] * (a[x] * p[x] + b[x] * q[x] + c[x] * r[x] + d[x] * s[x]);
    }
}

/// Leaves the whole part of displacements and gives the rest as weights.
#[inline(always)]
fn split(displacement: &mut [f32], [a, b, c, d]: &mut [Vec<f32>; 4]) {
    let weights = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
    for (value, ((a, b), (c, d))) in displacement.iter_mut().zip(weights) {
        let whole = value.floor();
        [*a, *b, *c, *d] = keys(*value - whole);
        *value = whole;
    }
}

/// The pixel whose sixteen neighbours begin at `corner`, the border repeated.
fn sample(
    pixels: &[f32],
    (height, width): (usize, usize),
    (top, left): (isize, isize),
    (wy, wx): ([f32; 4], [f32; 4]),
) -> f32 {
    let mut sum = 0.0;
    for (i, weight) in wy.iter().enumerate() {
        let y = (top + i as isize).clamp(0, height as isize - 1) as usize;
        let mut along = 0.0;
        for (j, weight) in wx.iter().enumerate() {
            let x = (left + j as isize).clamp(0, width as isize - 1) as usize;
            along += weight * pixels[y * width + x];
        }
        sum += weight * along;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn a_field_that_is_a_plane_is_one_at_every_pixel() {
        let grid = Grid::new(96, 128, 32);
        let warp = Warp::new(&grid);
        let (rows, columns) = grid.dim();
        let plane = |y: f32, x: f32| 0.3 + 0.01 * y - 0.02 * x;
        let mut nodes = Vec::new();
        for &y in &grid.y() {
            nodes.extend(grid.x().iter().map(|&x| plane(y, x)));
        }
        nodes.extend(vec![0.0; rows * columns]);
        // A ramp along y: the warped image is the ramp plus the displacement.
        let frame = Array2::from_shape_fn((96, 128), |(y, _)| 10.0 * y as f32);
        let mut out = Array2::zeros((96, 128));
        warp.apply(
            frame.view(),
            (0.5, 0.0),
            &nodes,
            out.view_mut(),
            &mut WarpScratch::default(),
        );
        for ((y, x), &value) in out.indexed_iter() {
            if (4..90).contains(&y) {
                let expected = 10.0 * (y as f32 + 0.5 + plane(y as f32, x as f32));
                assert!(
                    (value - expected).abs() < 1e-2,
                    "{y} {x}: {value} {expected}"
                );
            }
        }
    }

    #[test]
    fn lanes_and_single_pixels_agree() {
        let grid = Grid::new(64, 77, 16);
        let warp = Warp::new(&grid);
        let nodes: Vec<f32> = (0..2 * grid.len())
            .map(|k| ((k * 29 % 17) as f32 - 8.0) / 3.0)
            .collect();
        let frame = Array2::from_shape_fn((64, 77), |(y, x)| ((y * 31 + x * 17) % 101) as f32);
        let mut out = Array2::zeros((64, 77));
        let mut scratch = WarpScratch::default();
        warp.apply(
            frame.view(),
            (0.0, 0.0),
            &nodes,
            out.view_mut(),
            &mut scratch,
        );
        let mut extended = [Vec::new(), Vec::new()];
        for (component, extended) in nodes.chunks(grid.len()).zip(&mut extended) {
            warp.extend(component, extended);
        }
        let (mut dy, mut dx) = (vec![0.0; 77], vec![0.0; 77]);
        for y in 0..64 {
            warp.row(&extended[0], y, 0.0, &mut Vec::new(), &mut dy);
            warp.row(&extended[1], y, 0.0, &mut Vec::new(), &mut dx);
            for x in 0..77 {
                let pixels = frame.as_slice().unwrap();
                let (fy, fx) = (dy[x].floor(), dx[x].floor());
                let corner = (y as isize + fy as isize - 1, x as isize + fx as isize - 1);
                let weights = (keys(dy[x] - fy), keys(dx[x] - fx));
                let one = sample(pixels, (64, 77), corner, weights);
                assert!((one - out[[y, x]]).abs() < 1e-4);
            }
        }
    }
}
