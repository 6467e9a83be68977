//! From displacements at nodes to displacements at pixels, and the warp.

use fluorspar_movie::pulp::{Arch, Simd, WithSimd};
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

/// Displacements along a row of pixels, filled up to whole [`LANES`].
#[derive(Clone, Debug, Default)]
struct Row {
    dy: Vec<f32>,
    dx: Vec<f32>,
}

impl Row {
    fn resize(&mut self, width: usize) {
        for values in [&mut self.dy, &mut self.dx] {
            values.resize(width.next_multiple_of(LANES), 0.0);
        }
    }
}

/// Most values in a vector register.
const LANES: usize = 16;

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
        scratch.out.resize(width.next_multiple_of(LANES), 0.0);
        let (dy, dx) = nodes.split_at(count);
        for (component, extended) in [dy, dx].into_iter().zip(&mut scratch.extended) {
            self.extend(component, extended);
        }
        Arch::new().dispatch(SampleRows {
            warp: self,
            pixels,
            shift,
            scratch,
            take,
        });
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
    fn row<S: Simd>(
        &self,
        simd: S,
        extended: &[f32],
        y: usize,
        shift: f32,
        line: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let wide = self.nodes.1 + 2 * BEYOND;
        let (node, weights) = self.rows[y];
        line.resize(wide, 0.0);
        let near: [&[f32]; 4] = std::array::from_fn(|k| &extended[(node + k) * wide..][..wide]);
        blend_nodes(simd, line, 0.0, weights, near);
        for &(start, end, node) in &self.runs {
            let nodes = [line[node], line[node + 1], line[node + 2], line[node + 3]];
            let weights = self.columns.each_ref().map(|w| &w[start..end]);
            blend_nodes(simd, &mut out[start..end], shift, nodes, weights);
        }
    }
}

/// `out = shift + Σ nodes · weights`.
#[inline(always)]
fn blend_nodes<S: Simd>(
    simd: S,
    out: &mut [f32],
    shift: f32,
    nodes: [f32; 4],
    weights: [&[f32]; 4],
) {
    let shift = simd.splat_f32s(shift);
    let nodes = nodes.map(|node| simd.splat_f32s(node));
    let sum = |weights: [S::f32s; 4]| {
        let [a, b, c, d] = weights;
        let near = simd.mul_add_f32s(b, nodes[1], simd.mul_add_f32s(a, nodes[0], shift));
        simd.mul_add_f32s(d, nodes[3], simd.mul_add_f32s(c, nodes[2], near))
    };
    let (whole, rest) = S::as_mut_simd_f32s(out);
    let [a, b, c, d] = weights.map(|w| S::as_simd_f32s(w));
    let lanes = a.0.iter().zip(b.0).zip(c.0).zip(d.0);
    for (out, (((&a, &b), &c), &d)) in whole.iter_mut().zip(lanes) {
        *out = sum([a, b, c, d]);
    }
    if !rest.is_empty() {
        let last = [a, b, c, d].map(|w| simd.partial_load_f32s(w.1));
        simd.partial_store_f32s(rest, sum(last));
    }
}

/// Samples a frame along a field, row by row.
struct SampleRows<'a, F> {
    warp: &'a Warp,
    pixels: &'a [f32],
    shift: (f32, f32),
    scratch: &'a mut WarpScratch,
    take: F,
}

impl<F: FnMut(usize, &[f32])> WithSimd for SampleRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            warp,
            pixels,
            shift,
            scratch,
            mut take,
        } = self;
        let size = (warp.rows.len(), warp.columns[0].len());
        let WarpScratch {
            extended,
            line,
            row,
            out,
        } = scratch;
        for y in 0..size.0 {
            warp.row(simd, &extended[0], y, shift.0, line, &mut row.dy[..size.1]);
            warp.row(simd, &extended[1], y, shift.1, line, &mut row.dx[..size.1]);
            sample_row(simd, pixels, size, y, row, out);
            take(y, &out[..size.1]);
        }
    }
}

/// Samples row `y`. Displacements change slowly, so that pixels side by side
/// take theirs from the same rows and from as many columns further on, or
/// from one more.
#[inline(always)]
fn sample_row<S: Simd>(
    simd: S,
    pixels: &[f32],
    (height, width): (usize, usize),
    y: usize,
    row: &Row,
    out: &mut [f32],
) {
    let lanes = S::F32_LANES;
    let (dy, _) = S::as_simd_f32s(&row.dy);
    let (dx, _) = S::as_simd_f32s(&row.dx);
    let (out, _) = S::as_mut_simd_f32s(out);
    // Neighbours of pixels at the border, which is repeated.
    let mut near = [0.0; 5 * (LANES + 4)];
    let starts = (0..width).step_by(lanes);
    for ((start, out), (&dy, &dx)) in starts.zip(out).zip(dy.iter().zip(dx)) {
        let (whole_y, wy) = split(simd, dy);
        let (whole_x, wx) = split(simd, dx);
        let ends = |whole| (simd.reduce_min_f32s(whole), simd.reduce_max_f32s(whole));
        let ((low_y, high_y), (low_x, high_x)) = (ends(whole_y), ends(whole_x));
        // The first pixel that any of them takes, and the rows and columns that some do.
        let top = y as isize + low_y as isize - 1;
        let left = start as isize + low_x as isize - 1;
        let taps = if high_y == low_y && high_x == low_x {
            4
        } else {
            5
        };
        if high_y > low_y + 1.0 || high_x > low_x + 1.0 {
            // Torn apart: one by one.
            let mut values = [0.0; LANES];
            for (k, slot) in values[..lanes.min(width - start)].iter_mut().enumerate() {
                let x = start + k;
                *slot = sample(pixels, (height, width), (y, x), (row.dy[x], row.dx[x]));
            }
            *out = S::as_simd_f32s(&values[..lanes]).0[0];
            continue;
        }
        let inside = top >= 0
            && left >= 0
            && top as usize + taps <= height
            && left as usize + lanes + taps - 1 <= width;
        let (corner, stride) = if inside {
            (&pixels[top as usize * width + left as usize..], width)
        } else {
            let columns = lanes + taps - 1;
            for (i, near) in near.chunks_exact_mut(columns).take(taps).enumerate() {
                let v = (top + i as isize).clamp(0, height as isize - 1) as usize;
                for (j, near) in near.iter_mut().enumerate() {
                    let u = (left + j as isize).clamp(0, width as isize - 1) as usize;
                    *near = pixels[v * width + u];
                }
            }
            (&near[..], columns)
        };
        *out = if taps == 4 {
            weigh(simd, corner, stride, wy, wx)
        } else {
            let wy = spread(simd, wy, whole_y, low_y);
            let wx = spread(simd, wx, whole_x, low_x);
            weigh(simd, corner, stride, wy, wx)
        };
    }
}

/// Weights of five neighbours, the first of them at `low`, from those of four
/// at `whole`, which is `low` or one more.
#[inline(always)]
fn spread<S: Simd>(simd: S, weights: [S::f32s; 4], whole: S::f32s, low: f32) -> [S::f32s; 5] {
    let first = simd.equal_f32s(whole, simd.splat_f32s(low));
    let zero = simd.splat_f32s(0.0);
    let [a, b, c, d] = weights;
    let pick = |here, before| simd.select_f32s(first, here, before);
    [
        pick(a, zero),
        pick(b, a),
        pick(c, b),
        pick(d, c),
        pick(zero, d),
    ]
}

/// `Σᵢ wy[i] · Σⱼ wx[j] · pixels[i, x + j]` for pixels side by side.
#[inline(always)]
fn weigh<S: Simd, const N: usize>(
    simd: S,
    corner: &[f32],
    stride: usize,
    wy: [S::f32s; N],
    wx: [S::f32s; N],
) -> S::f32s {
    let mut out = simd.splat_f32s(0.0);
    for i in 0..N {
        let row = &corner[i * stride..][..S::F32_LANES + N - 1];
        let pixels = |j: usize| S::as_simd_f32s(&row[j..][..S::F32_LANES]).0[0];
        let mut along = simd.mul_f32s(wx[0], pixels(0));
        for j in 1..N {
            along = simd.mul_add_f32s(wx[j], pixels(j), along);
        }
        out = simd.mul_add_f32s(wy[i], along, out);
    }
    out
}

/// Added to a number below 2²² and taken off again, this leaves it without a fraction.
const NO_FRACTION: f32 = 12_582_912.0;

/// The whole part of displacements (or one less where there is no more) and
/// the rest as weights.
#[inline(always)]
fn split<S: Simd>(simd: S, displacement: S::f32s) -> (S::f32s, [S::f32s; 4]) {
    let constant = |value: f32| simd.splat_f32s(value);
    let half_less = simd.sub_f32s(displacement, constant(0.5));
    let whole = simd.sub_f32s(
        simd.add_f32s(half_less, constant(NO_FRACTION)),
        constant(NO_FRACTION),
    );
    let t = simd.sub_f32s(displacement, whole);
    // As [`keys`].
    let poly = |[a, b, c]: [f32; 3]| {
        let inner = simd.mul_add_f32s(constant(a), t, constant(b));
        simd.mul_add_f32s(inner, t, constant(c))
    };
    let square = simd.mul_f32s(t, t);
    let weights = [
        simd.mul_f32s(poly([-0.5, 1.0, -0.5]), t),
        simd.mul_add_f32s(poly([0.0, 1.5, -2.5]), square, constant(1.0)),
        simd.mul_f32s(poly([-1.5, 2.0, 0.5]), t),
        simd.mul_f32s(poly([0.0, 0.5, -0.5]), square),
    ];
    (whole, weights)
}

/// Pixel `(y, x)` displaced, the border repeated.
fn sample(
    pixels: &[f32],
    (height, width): (usize, usize),
    (y, x): (usize, usize),
    (dy, dx): (f32, f32),
) -> f32 {
    let place = |at: usize, by: f32| (at as isize + by.floor() as isize - 1, keys(by - by.floor()));
    let ((top, wy), (left, wx)) = (place(y, dy), place(x, dx));
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
            let simd = fluorspar_movie::pulp::Scalar::new();
            warp.row(simd, &extended[0], y, 0.0, &mut Vec::new(), &mut dy);
            warp.row(simd, &extended[1], y, 0.0, &mut Vec::new(), &mut dx);
            for x in 0..77 {
                let pixels = frame.as_slice().unwrap();
                let one = sample(pixels, (64, 77), (y, x), (dy[x], dx[x]));
                assert!((one - out[[y, x]]).abs() < 1e-4);
            }
        }
    }
}
