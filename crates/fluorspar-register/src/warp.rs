use ndarray::{ArrayView2, ArrayViewMut2};

/// Samples `frame` `(y, x)` at coordinates moved by `shift = (dy, dx)`:
/// `out[y, x] = frame[y + dy, x + dx]`.
///
/// Between pixels, Keys' cubic convolution (a = −1/2; Keys 1981, IEEE Trans.
/// ASSP 29:1153) along each axis; beyond the border the nearest pixel. Whole
/// shifts copy pixels unchanged. Nothing is done if the shapes differ or the rows of
/// `out` are not contiguous.
pub fn apply(frame: ArrayView2<'_, f32>, shift: (f32, f32), mut out: ArrayViewMut2<'_, f32>) {
    let (height, width) = frame.dim();
    if out.dim() != (height, width) || height == 0 || width == 0 {
        return;
    }
    let (y0, wy) = taps(shift.0);
    let (x0, wx) = taps(shift.1);
    let frame = frame.as_standard_layout();
    let Some(pixels) = frame.as_slice() else {
        return;
    };
    let row_at = |y: isize| {
        let y = y.clamp(0, height as isize - 1) as usize;
        &pixels[y * width..(y + 1) * width]
    };
    let mut blended = vec![0.0_f32; width];
    let mut line = vec![0.0_f32; width + 3];
    for y in 0..height {
        let first = y as isize + y0;
        let rows = [
            row_at(first - 1),
            row_at(first),
            row_at(first + 1),
            row_at(first + 2),
        ];
        for (x, slot) in blended.iter_mut().enumerate() {
            *slot =
                wy[0] * rows[0][x] + wy[1] * rows[1][x] + wy[2] * rows[2][x] + wy[3] * rows[3][x];
        }
        // Moved along x by whole pixels, with the border repeated.
        let last = width as isize - 1;
        let inside = (1 - x0).clamp(0, width as isize + 3) as usize;
        let inside_end = (last + 2 - x0).clamp(inside as isize, width as isize + 3) as usize;
        line[..inside].fill(blended[0]);
        let from = (inside as isize + x0 - 1).clamp(0, last + 1) as usize;
        line[inside..inside_end].copy_from_slice(&blended[from..from + inside_end - inside]);
        line[inside_end..].fill(blended[width - 1]);
        let mut target = out.row_mut(y);
        let Some(target) = target.as_slice_mut() else {
            return;
        };
        for (slot, near) in target.iter_mut().zip(line.windows(4)) {
            *slot = wx[0] * near[0] + wx[1] * near[1] + wx[2] * near[2] + wx[3] * near[3];
        }
    }
}

/// The whole part of a shift and the weights of the four pixels around it.
fn taps(shift: f32) -> (isize, [f32; 4]) {
    let whole = shift.floor();
    let t = f64::from(shift - whole);
    let weights = [
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ];
    (whole as isize, weights.map(|w| w as f32))
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
