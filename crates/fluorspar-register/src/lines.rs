use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use realfft::num_complex::Complex64;
use realfft::{RealFftPlanner, RealToComplex};

/// Largest offset of lines looked for, pixels.
const REACH: usize = 10;
/// Lines that agree less than this, of 1, have nothing in common.
const CLEAR: f64 = 0.25;
/// A frequency counts by how much the power of its sum exceeds this many
/// times what lines without anything in common would make.
const CHANCE: f64 = 4.0;
/// Part of a line on each side that is tapered.
const TAPER: usize = 4;
/// Rounds of moving lines by what was found, which the taper makes too small.
const ROUNDS: usize = 3;
/// Smoothing of the correlation, pixels.
const SMOOTHING: f64 = 1.0;

/// How far odd lines lie to the right of even ones in frames `(frame, y, x)`
/// that were scanned back and forth, in pixels, from the lines `rows`; 0 for
/// frames without structure that neighbouring lines share.
///
/// The cross-spectrum of every odd line with the mean of its two neighbours
/// is summed over lines and frames before it is whitened, so that dim frames
/// add up. Lines are tapered: their ends do not fit together, and the leap
/// between them stays where it is however the lines are moved, which matters
/// the more the narrower the strip. The peak is found to a five-hundredth of a
/// pixel within ±10 pixels. Lines of one direction that belong to different strips of a
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
    let spectra = Spectra::new(width);
    // Odd lines of the frame, whatever row the strip begins with.
    let first = rows.start + 1 + rows.start % 2;
    let lines = (first..rows.end - 1).step_by(2);
    let reach = REACH.min(width / 4) as i32;
    let mut whole = 0;
    let mut found = 0.0;
    for _ in 0..ROUNDS {
        let parts: Vec<Vec<Cross>> = (0..frames.len_of(Axis(0)))
            .into_par_iter()
            .map(|k| spectra.cross(frames.index_axis(Axis(0), k), lines.clone(), whole))
            .collect();
        let Some(more) = spectra.offset(&parts, reach) else {
            return 0.0;
        };
        let limit = f64::from(reach);
        found = (f64::from(whole) + more).clamp(-limit, limit);
        let next = found.round() as i32;
        if next == whole {
            break;
        }
        whole = next;
    }
    found as f32
}

/// Products of the spectra of lines, and their power.
type Cross = (Complex64, f64);

/// What the spectra of lines of one length need.
struct Spectra {
    plan: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
}

impl Spectra {
    fn new(width: usize) -> Self {
        let side = (width / TAPER).max(1);
        let window = (0..width).map(|x| {
            let depth = (x.min(width - 1 - x) as f64 + 0.5) / side as f64;
            (TAU / 4.0 * depth.min(1.0)).sin().powi(2)
        });
        Self {
            plan: RealFftPlanner::new().plan_fft_forward(width),
            window: window.collect(),
        }
    }

    /// Summed over the odd `lines` of a frame, those moved to the left by
    /// `whole` pixels, against their neighbours.
    fn cross(
        &self,
        frame: ArrayView2<'_, f32>,
        lines: impl Iterator<Item = usize>,
        whole: i32,
    ) -> Vec<Cross> {
        let width = self.window.len();
        let mut sum = vec![(Complex64::default(), 0.0); width / 2 + 1];
        let mut near = self.plan.make_output_vec();
        let mut here = self.plan.make_output_vec();
        let mut line = self.plan.make_input_vec();
        let total: f64 = self.window.iter().sum();
        let mut transform = |value: &dyn Fn(usize) -> f64, out: &mut [Complex64]| {
            let weighed = self.window.iter().enumerate();
            let mean = weighed.map(|(x, w)| w * value(x)).sum::<f64>() / total;
            for (x, (slot, w)) in line.iter_mut().zip(&self.window).enumerate() {
                *slot = w * (value(x) - mean);
            }
            // Lengths come from the plan, so it cannot fail.
            let _ = self.plan.process(&mut line, out);
        };
        let value = |y: usize, x: usize| {
            let v = f64::from(frame[[y, x]]);
            if v.is_finite() { v } else { 0.0 }
        };
        let last = width as i32 - 1;
        for y in lines {
            transform(&|x| 0.5 * (value(y - 1, x) + value(y + 1, x)), &mut near);
            transform(
                &|x| value(y, (x as i32 + whole).clamp(0, last) as usize),
                &mut here,
            );
            for ((sum, a), b) in sum.iter_mut().zip(&here).zip(&near) {
                let product = a * b.conj();
                sum.0 += product;
                sum.1 += product.norm_sqr();
            }
        }
        sum
    }

    /// Where lines agree best; `None` if they have nothing in common.
    fn offset(&self, parts: &[Vec<Cross>], reach: i32) -> Option<f64> {
        let width = self.window.len() as f64;
        let mut cross = vec![(Complex64::default(), 0.0); self.window.len() / 2 + 1];
        for part in parts {
            for (sum, value) in cross.iter_mut().zip(part) {
                sum.0 += value.0;
                sum.1 += value.1;
            }
        }
        let mut perfect = 0.0;
        // The mean brightness says nothing about place.
        let phases: Vec<Complex64> = cross
            .iter()
            .enumerate()
            .skip(1)
            .map(|(k, &(sum, power))| {
                let weight = (-0.5 * (TAU * k as f64 / width * SMOOTHING).powi(2)).exp();
                perfect += weight;
                let norm = sum.norm_sqr();
                if norm == 0.0 {
                    return Complex64::default();
                }
                let sure = (1.0 - CHANCE * power / norm).max(0.0);
                sum * (weight * sure / norm.sqrt())
            })
            .collect();
        let correlation = |offset: f64| -> f64 {
            let turn = TAU * offset / width;
            let terms = phases.iter().zip(1_u32..);
            terms
                .map(|(v, k)| (v * Complex64::cis(turn * f64::from(k))).re)
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
        let whole = best(&mut (-reach..=reach).map(f64::from));
        let fine = best(&mut (-20..=20).map(|k| whole + f64::from(k) / 20.0));
        let found = best(&mut (-25..=25).map(|k| fine + f64::from(k) / 500.0));
        (correlation(found) >= CLEAR * perfect).then_some(found)
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

    /// Spots that do not go on at the other end of a line, as in tissue.
    fn tissue(width: usize, first: usize, offset: f64, noise: f64) -> Array3<f32> {
        let spot = |k: i64, j: i64| {
            let mixed = (k * 7919 + j * 104_729).rem_euclid(1009) * 31 + k * j;
            mixed.rem_euclid(997) as f64 / 997.0
        };
        let at = |y: f64, x: f64| {
            let (row, column) = ((y / 8.0).floor() as i64, (x / 8.0).floor() as i64);
            let near =
                (row - 1..=row + 1).flat_map(|k| (column - 1..=column + 1).map(move |j| (k, j)));
            near.map(|(k, j)| {
                let (cy, cx) = (k as f64 + spot(k, j), j as f64 + spot(j + 50, k));
                let square = (y - 8.0 * cy).powi(2) + (x - 8.0 * cx).powi(2);
                spot(k + 9, j) * (-square / 8.0).exp()
            })
            .sum::<f64>()
        };
        let mut state = first as u64 + 1;
        Array3::from_shape_fn((10, 96, width), |(t, y, x)| {
            let late = if y % 2 == 1 { offset } else { 0.0 };
            let sway = 2.0 * (t as f64 / 4.0).sin();
            let chance: f64 = (0..4)
                .map(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
                })
                .sum();
            (at(y as f64 - sway, (x + first) as f64 - late + sway) + noise * 1.7 * chance) as f32
        })
    }

    #[test]
    fn narrow_strips_of_tissue_are_no_matter() {
        for (width, most) in [(32, 0.35), (64, 0.2), (200, 0.1)] {
            for first in [0, 64, 300] {
                for offset in [-4.0, -1.0, 0.0, 1.0, 2.0, 5.0] {
                    let frames = tissue(width, first, offset, 0.1);
                    let found = f64::from(line_offset(frames.view(), 0..96));
                    let summary = format!("{width} wide, from {first}: {offset}, found {found}");
                    assert!((found - offset).abs() < most, "{summary}");
                }
            }
        }
    }

    #[test]
    fn noise_moves_no_lines() {
        for width in [16, 32, 64, 200] {
            for seed in 0..10 {
                let mut frames = tissue(width, seed, 0.0, 1e6);
                assert_eq!(line_offset(frames.view(), 0..96), 0.0);
                // One frame alone.
                frames.slice_axis_inplace(Axis(0), (0..1).into());
                assert_eq!(line_offset(frames.view(), 0..96), 0.0);
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
