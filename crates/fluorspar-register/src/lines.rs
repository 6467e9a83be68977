use std::f64::consts::TAU;
use std::ops::Range;

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use realfft::num_complex::Complex64;

/// Largest offset of lines looked for, pixels.
const REACH: usize = 10;
/// Lines that agree less than this, of 1, have nothing in common but noise:
/// random phases reach about 0.3 somewhere.
const CLEAR: f64 = 0.4;
/// Smoothing of the correlation, pixels.
const SMOOTHING: f64 = 1.0;

/// How far odd lines lie to the right of even ones in frames `(frame, y, x)`
/// that were scanned back and forth, in pixels, from the lines `rows`; 0 for
/// frames without structure that neighbouring lines share.
///
/// The cross-spectrum of every odd line with the mean of its two neighbours
/// is summed over lines and frames before it is whitened, so that dim frames
/// add up. The peak is found to a five-hundredth of a pixel within
/// ±10 pixels. Lines of one direction that belong to different strips of a
/// mesoscope may have different offsets: call this for the rows of each.
///
/// ```
/// use fluorspar_register::line_offset;
/// use ndarray::Array3;
///
/// // Odd lines come three pixels late.
/// let texture = |x: i64| (x * 7919).pow(2) % 251;
/// let frames = Array3::from_shape_fn((4, 32, 64), |(_, y, x)| {
///     texture(x as i64 - if y % 2 == 1 { 3 } else { 0 }) as f32
/// });
/// assert!((line_offset(frames.view(), 0..32) - 3.0).abs() < 0.1);
/// ```
pub fn line_offset(frames: ArrayView3<'_, f32>, rows: Range<usize>) -> f32 {
    let (_, height, width) = frames.dim();
    let rows = rows.start.min(height)..rows.end.min(height);
    if rows.len() < 3 || width < 4 {
        return 0.0;
    }
    let plan = RealFftPlanner::<f64>::new().plan_fft_forward(width);
    let cross_of = |frame: ArrayView2<'_, f32>| {
        let mut sum = vec![Complex64::default(); width / 2 + 1];
        let mut near = plan.make_output_vec();
        let mut here = plan.make_output_vec();
        let mut line = plan.make_input_vec();
        // Odd lines of the frame, whatever row the strip begins with.
        let first = rows.start + 1 + rows.start % 2;
        for y in (first..rows.end - 1).step_by(2) {
            let value = |y: usize, x: usize| {
                let v = f64::from(frame[[y, x]]);
                if v.is_finite() { v } else { 0.0 }
            };
            for (x, slot) in line.iter_mut().enumerate() {
                *slot = 0.5 * (value(y - 1, x) + value(y + 1, x));
            }
            // Lengths come from the plan, so neither can fail.
            let _ = plan.process(&mut line, &mut near);
            for (x, slot) in line.iter_mut().enumerate() {
                *slot = value(y, x);
            }
            let _ = plan.process(&mut line, &mut here);
            for ((sum, a), b) in sum.iter_mut().zip(&here).zip(&near) {
                *sum += a * b.conj();
            }
        }
        sum
    };
    let parts: Vec<Vec<Complex64>> = (0..frames.len_of(Axis(0)))
        .into_par_iter()
        .map(|k| cross_of(frames.index_axis(Axis(0), k)))
        .collect();
    let mut cross = vec![Complex64::default(); width / 2 + 1];
    for part in &parts {
        for (sum, value) in cross.iter_mut().zip(part) {
            *sum += value;
        }
    }
    // The mean brightness says nothing about place.
    cross[0] = Complex64::default();
    let largest = cross.iter().map(|v| v.norm()).fold(0.0, f64::max);
    if largest == 0.0 {
        return 0.0;
    }
    for (k, value) in cross.iter_mut().enumerate() {
        let frequency = k as f64 / width as f64;
        let weight = (-0.5 * (TAU * frequency * SMOOTHING).powi(2)).exp();
        *value *= weight / (value.norm() + 1e-9 * largest);
    }
    let correlation = |offset: f64| -> f64 {
        let turn = TAU * offset / width as f64;
        let terms = cross.iter().enumerate();
        terms
            .map(|(k, v)| (v * Complex64::cis(turn * k as f64)).re)
            .sum()
    };
    let best = |candidates: &mut dyn Iterator<Item = f64>| {
        candidates
            .map(|offset| (correlation(offset), offset))
            .fold(
                (f64::NEG_INFINITY, 0.0),
                |a, b| if b.0 > a.0 { b } else { a },
            )
            .1
    };
    let reach = REACH.min(width / 4) as i32;
    let whole = best(&mut (-reach..=reach).map(f64::from));
    let fine = best(&mut (-20..=20).map(|k| whole + f64::from(k) / 20.0));
    let found = best(&mut (-25..=25).map(|k| fine + f64::from(k) / 500.0));
    let perfect: f64 = cross.iter().map(|v| v.norm()).sum();
    if correlation(found) < CLEAR * perfect {
        0.0
    } else {
        found as f32
    }
}

/// Moves the odd lines of a frame `(y, x)` (row-major, `width` pixels wide)
/// to the left by `offset` whole pixels, the border repeated: no pixel is
/// interpolated.
pub fn shift_lines(frame: &mut [f32], width: usize, offset: i32) {
    let by = (offset.unsigned_abs() as usize).min(width);
    if by == 0 || width == 0 {
        return;
    }
    for line in frame.chunks_exact_mut(width).skip(1).step_by(2) {
        if offset > 0 {
            let last = line[width - 1];
            line.copy_within(by.., 0);
            line[width - by..].fill(last);
        } else {
            let first = line[0];
            line.copy_within(..width - by, by);
            line[..by].fill(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_planted_offset_is_found(offset in -6.0_f64..6.0, start in 0_usize..3) {
            let texture = |x: f64| (1..40).map(|k| {
                let k = f64::from(k);
                ((k * k * 1.7) + TAU * k * x / 96.0).cos()
            }).sum::<f64>();
            let frames = Array3::from_shape_fn((3, 40, 96), |(_, y, x)| {
                let late = if y % 2 == 1 { offset } else { 0.0 };
                (100.0 + texture(x as f64 - late) * (1.0 + y as f64 / 20.0)) as f32
            });
            let found = line_offset(frames.view(), start..37);
            prop_assert!((f64::from(found) - offset).abs() < 0.02, "{found} {offset}");
        }

        #[test]
        fn shifting_back_and_forth_is_the_inside_again(offset in -5_i32..=5) {
            let frame: Vec<f32> = (0..6 * 20).map(|k| (k * 37 % 101) as f32).collect();
            let mut moved = frame.clone();
            shift_lines(&mut moved, 20, offset);
            for y in 0..6 {
                for x in 5..15 {
                    let from = if y % 2 == 1 { x as i32 + offset } else { x as i32 };
                    prop_assert_eq!(moved[y * 20 + x], frame[y * 20 + from as usize]);
                }
            }
        }
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert_eq!(line_offset(Array3::zeros((2, 8, 8)).view(), 0..8), 0.0);
        assert_eq!(
            line_offset(Array3::from_elem((2, 8, 8), f32::NAN).view(), 0..8),
            0.0
        );
        assert_eq!(line_offset(Array3::zeros((2, 1, 8)).view(), 0..1), 0.0);
    }
}
