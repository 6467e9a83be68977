use fluorspar_movie::vectorised;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Samples `frame` `(y, x)` at coordinates moved by `shift = (dy, dx)`:
/// `out[y, x] = frame[y + dy, x + dx]`.
///
/// Between pixels, Keys' cubic convolution (a = −1/2; Keys 1981, IEEE Trans.
/// ASSP 29:1153) along each axis; beyond the border the nearest pixel. Whole
/// shifts copy pixels unchanged. Nothing is done if the shapes differ or `out` is
/// not contiguous.
pub fn apply(frame: ArrayView2<'_, f32>, shift: (f32, f32), mut out: ArrayViewMut2<'_, f32>) {
    let (height, width) = frame.dim();
    if out.dim() != (height, width) || height == 0 || width == 0 {
        return;
    }
    let frame = frame.as_standard_layout();
    if let (Some(pixels), Some(target)) = (frame.as_slice(), out.as_slice_mut()) {
        apply_rows(
            pixels,
            (height, width),
            shift,
            &mut Lines::default(),
            |y, row| {
                target[y * width..(y + 1) * width].copy_from_slice(row);
            },
        );
    }
}

/// Work space of one thread for [`apply_rows`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    blended: Vec<f32>,
    moved: Vec<f32>,
    out: Vec<f32>,
}

vectorised! {
    /// As [`apply`], handing every row to `take` while it is at hand.
    pub(crate) fn apply_rows<'a, F: FnMut(usize, &[f32])>(
        pixels: &'a [f32],
        size: (usize, usize),
        shift: (f32, f32),
        lines: &'a mut Lines,
        take: F,
    ) {
        let mut take = take;
        let (height, width) = size;
        let Lines { blended, moved, out } = lines;
        for (line, length) in [(&mut *blended, width), (&mut *moved, width + 3), (&mut *out, width)] {
            line.resize(length, 0.0);
        }
        let (y0, wy) = taps(shift.0);
        let (x0, wx) = taps(shift.1);
        let row_at = |y: isize| {
            let y = y.clamp(0, height as isize - 1) as usize;
            &pixels[y * width..(y + 1) * width]
        };
        // Moved along x by whole pixels, with the border repeated.
        let last = width as isize - 1;
        let inside = (1 - x0).clamp(0, width as isize + 3) as usize;
        let inside_end = (last + 2 - x0).clamp(inside as isize, width as isize + 3) as usize;
        let from = (inside as isize + x0 - 1).clamp(0, last + 1) as usize;
        for y in 0..height {
            let first = y as isize + y0;
            let [a, b, c, d] = [-1, 0, 1, 2].map(|k| row_at(first + k));
            blend(blended, [a, b, c, d], wy);
            moved[..inside].fill(blended[0]);
            moved[inside..inside_end].copy_from_slice(&blended[from..from + inside_end - inside]);
            moved[inside_end..].fill(blended[width - 1]);
            blend(out, [0, 1, 2, 3].map(|k| &moved[k..k + width]), wx);
            take(y, out);
        }
    }
}

/// The weighted sum of four rows.
#[inline(always)]
fn blend(out: &mut [f32], [a, b, c, d]: [&[f32]; 4], w: [f32; 4]) {
    let rows = a.iter().zip(b).zip(c.iter().zip(d));
    for (slot, ((a, b), (c, d))) in out.iter_mut().zip(rows) {
        *slot = w[0] * a + w[1] * b + w[2] * c + w[3] * d;
    }
}

/// The whole part of a shift and the weights of the four pixels around it.
fn taps(shift: f32) -> (isize, [f32; 4]) {
    let whole = shift.floor();
    (whole as isize, keys(shift - whole))
}

/// Weights of the pixels at −1, 0, 1 and 2 for a place `t` past 0.
#[inline(always)]
pub(crate) fn keys(t: f32) -> [f32; 4] {
    [
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whole_shifts_copy(dy in -5_i32..=5, dx in -5_i32..=5) {
            let frame = Array2::from_shape_fn((12, 15), |(y, x)| (y * 31 + x * 7) as f32);
            let mut out = Array2::zeros((12, 15));
            apply(frame.view(), (dy as f32, dx as f32), out.view_mut());
            for ((y, x), &value) in out.indexed_iter() {
                let from_y = (y as i32 + dy).clamp(0, 11) as usize;
                let from_x = (x as i32 + dx).clamp(0, 14) as usize;
                prop_assert_eq!(value, frame[[from_y, from_x]]);
            }
        }

        #[test]
        fn quadratics_are_kept(dy in -2.0_f32..2.0, dx in -2.0_f32..2.0) {
            // Keys' kernel reproduces polynomials of degree two.
            let f = |y: f32, x: f32| 3.0 + 0.5 * y - 0.25 * x + 0.1 * y * y + 0.05 * x * y;
            let frame = Array2::from_shape_fn((20, 20), |(y, x)| f(y as f32, x as f32));
            let mut out = Array2::zeros((20, 20));
            apply(frame.view(), (dy, dx), out.view_mut());
            for y in 4..16 {
                for x in 4..16 {
                    let expected = f(y as f32 + dy, x as f32 + dx);
                    prop_assert!((out[[y, x]] - expected).abs() < 1e-3);
                }
            }
        }
    }
}
