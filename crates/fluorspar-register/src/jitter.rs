use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayView3, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::Error;
use crate::warp::keys;

/// Largest displacement of a line that is believed, pixels.
const LARGEST: f64 = 2.0;
/// Steps of Gauss and Newton, for lines with more information than this, px⁻².
const STEPS: usize = 3;
const WORTH_STEPS: f64 = 10.0;
/// Lines on each side whose common displacement is the frame's, not the line's.
const AROUND: usize = 16;
/// Columns on each side that no displaced line may reach beyond.
const MARGIN: usize = 4;
/// Half the side of the squares that noise is averaged over.
const SQUARE: usize = 2;
/// Rounds of expectation maximisation.
const ROUNDS: usize = 500;
/// Fewest frames, rows and columns.
const FEWEST: (usize, usize, usize) = (8, 16, 16);
/// Jitter is told from none beyond so many standard errors of its variance …
const CLEAR: f64 = 4.0;
/// … and this share of the variance of a line's own estimate, which is how
/// well that is known.
const KNOWN: f64 = 0.05;

/// Displacements along x of single lines beside their neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct LineJitter {
    /// What must be added to the x of each line's pixels to bring it onto the
    /// reference beside its neighbours, `(frame, y)`, pixels: the mean of the
    /// posterior. 0 throughout if jitter cannot be told from none.
    pub displacement: Array2<f32>,
    /// Standard deviation of the jitter, learnt from the frames, pixels.
    pub deviation: f32,
    /// Standard error of that deviation's square, pixels².
    pub variance_error: f32,
    /// Standard deviation of the error of a line's own estimate (median over
    /// lines), pixels: less jitter than a fraction of this goes unseen.
    pub noise: f32,
    /// Whether the jitter is told from none.
    pub distinguishable: bool,
}

/// The displacement along x of each line of registered `frames` `(frame, y,
/// x)` against the `reference` `(y, x)`, beside the common displacement of
/// about 16 lines on each side: the jitter of a resonant scanner, whose lines
/// do not all begin at the same place.
///
/// A line's own estimate is that of least squares along the slope of the
/// reference, gain and offset left free, each pixel weighed by its noise
/// (what frames have beyond the reference there); its information is the
/// energy of the slope over the noise. Lines are then taken as draws from a
/// normal distribution about 0 whose variance is learnt from all of them by
/// expectation maximisation (Dempster, Laird and Rubin 1977, J. R. Stat. Soc.
/// B 39:1), and `displacement` is the mean of the posterior: a line that shows
/// little stays where it is. How much the noise really displaces lines is seen
/// along y, where scanners do not jitter: the same estimate with the slope
/// along y gives a factor for all informations.
///
/// A line of a registered frame is a mixture of two recorded ones unless the
/// shift along y is whole, so that jitter is seen to be up to a third smaller
/// than it was; what all frames share is in the reference and not seen at all.
/// Works on the caller's rayon pool, with the same result on any number of threads.
///
/// # Errors
/// [`Error::Image`] for fewer than 8 frames, images below 16 × 16 pixels,
/// frames and a reference of different sizes, a reference with pixels that
/// are not finite, or a reference or frames without structure.
pub fn line_jitter(
    frames: ArrayView3<'_, f32>,
    reference: ArrayView2<'_, f32>,
) -> Result<LineJitter, Error> {
    let (count, height, width) = frames.dim();
    let (few, short, narrow) = FEWEST;
    if reference.dim() != (height, width) || count < few || height < short || width < narrow {
        return Err(Error::Image(format!(
            "the jitter of lines needs {few} frames or more of at least {short} × {narrow} px and \
             a reference of their size, not {count} of {height} × {width} with one of {} × {}",
            reference.nrows(),
            reference.ncols()
        )));
    }
    if reference.iter().any(|v| !v.is_finite()) {
        return Err(Error::Image(
            "the reference has pixels that are not numbers".into(),
        ));
    }
    let gains: Vec<(f64, f64)> = (0..count)
        .into_par_iter()
        .map(|k| gain(frames.index_axis(Axis(0), k), reference))
        .collect();
    let weights = weights(frames, reference, &gains);
    let inside = MARGIN..width - MARGIN;
    let slopes = [
        Slope::new(reference, &weights, &inside, Axis(1)),
        Slope::new(reference, &weights, &inside, Axis(0)),
    ];
    if slopes[0].lines.iter().all(|line| line.information == 0.0) {
        return Err(Error::Image(
            "lines of the reference or the frames have no structure".into(),
        ));
    }
    let found: Vec<[Vec<f64>; 2]> = (0..count)
        .into_par_iter()
        .map(|k| {
            let frame = frames.index_axis(Axis(0), k);
            let gain = gains[k].1;
            [
                slopes[0].displacements(frame, gain, true),
                slopes[1].displacements(frame, gain, false),
            ]
        })
        .collect();
    let usual = gains.iter().map(|g| g.1.max(0.0)).sum::<f64>() / count as f64;
    let beside = |axis: usize| {
        let mut lines = slopes[axis].beside(found.iter().map(|found| &found[axis]));
        for (lines, gain) in lines.iter_mut().zip(&gains) {
            for line in lines {
                // Photons: a frame half as bright has half the information.
                line.noise *= usual / gain.1.max(1e-3 * usual);
            }
        }
        lines
    };
    // How much more than it should the noise displaces lines along y.
    let across = beside(1);
    let (mut excess, mut seen) = (0.0, 0.0);
    for line in across.iter().flatten().filter(|line| line.noise > 0.0) {
        excess += line.value * line.value / line.noise;
        seen += 1.0;
    }
    let factor = if excess > 0.0 { excess / seen } else { 1.0 };
    let mut lines = beside(0);
    for line in lines.iter_mut().flatten() {
        line.noise *= factor;
    }
    Ok(learn(&lines, height))
}

/// Moves each line of a frame `(y, x)` along x by cubic convolution (Keys
/// 1981): `out[y, x] = frame[y, x + displacement[y]]`, the border repeated.
/// Lines that are not displaced keep their pixels to the bit; nothing is done
/// if there are not as many displacements as lines.
///
/// ```
/// use fluorspar_register::straighten;
/// use ndarray::array;
///
/// let mut frame = array![[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]];
/// straighten(frame.view_mut(), &[0.0, 1.0]);
/// assert_eq!(frame, array![[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 4.0]]);
/// ```
pub fn straighten(mut frame: ArrayViewMut2<'_, f32>, displacement: &[f32]) {
    if frame.nrows() != displacement.len() {
        return;
    }
    let mut old = Vec::new();
    for (mut line, &by) in frame.rows_mut().into_iter().zip(displacement) {
        if by == 0.0 || !by.is_finite() || line.is_empty() {
            continue;
        }
        old.clear();
        old.extend(line.iter().copied());
        let sampler = Sampler::new(by);
        for (x, slot) in line.iter_mut().enumerate() {
            *slot = sampler.at(&old, x);
        }
    }
}

/// Samples lines at pixels displaced by as much each, the border repeated.
struct Sampler {
    /// The first neighbour of pixel 0 that counts, and their weights.
    first: isize,
    weights: [f32; 4],
}

impl Sampler {
    fn new(by: f32) -> Self {
        let whole = by.floor();
        Self {
            first: whole as isize - 1,
            weights: keys(by - whole),
        }
    }

    /// The line at the displaced pixel `x`.
    #[inline]
    fn at(&self, line: &[f32], x: usize) -> f32 {
        let first = x as isize + self.first;
        let [a, b, c, d] = self.weights;
        let within = usize::try_from(first).ok().and_then(|at| line.get(at..));
        if let Some([p, q, r, s]) = within.and_then(|line| line.first_chunk()) {
            return a * p + b * q + c * r + d * s;
        }
        let last = line.len() as isize - 1;
        let taps = self.weights.iter().zip(first..);
        taps.map(|(w, at)| w * line[at.clamp(0, last) as usize])
            .sum()
    }
}

/// Offset and gain that make the reference most like a frame.
fn gain(frame: ArrayView2<'_, f32>, reference: ArrayView2<'_, f32>) -> (f64, f64) {
    let (mut n, mut f, mut r, mut rr, mut fr) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (&a, &b) in frame.iter().zip(reference).filter(|(a, _)| a.is_finite()) {
        let (a, b) = (f64::from(a), f64::from(b));
        n += 1.0;
        f += a;
        r += b;
        rr += b * b;
        fr += a * b;
    }
    let spread = n * rr - r * r;
    if spread <= 0.0 {
        return (0.0, 0.0);
    }
    let gain = (n * fr - f * r) / spread;
    ((f - gain * r) / n, gain)
}

/// The reciprocal of what frames have beyond the reference at each pixel,
/// averaged over a small square; activity counts as noise.
fn weights(
    frames: ArrayView3<'_, f32>,
    reference: ArrayView2<'_, f32>,
    gains: &[(f64, f64)],
) -> Array2<f64> {
    let (height, width) = reference.dim();
    let rows: Vec<Vec<f64>> = (0..height)
        .into_par_iter()
        .map(|y| {
            let mut power = vec![0.0; width];
            let mut seen = vec![0.0; width];
            for (frame, &(offset, gain)) in frames.outer_iter().zip(gains) {
                for (x, (power, seen)) in power.iter_mut().zip(&mut seen).enumerate() {
                    let value = f64::from(frame[[y, x]]);
                    if value.is_finite() && gain > 0.0 {
                        let beyond = value - offset - gain * f64::from(reference[[y, x]]);
                        *power += (beyond / gain).powi(2);
                        *seen += 1.0;
                    }
                }
            }
            power
                .iter()
                .zip(&seen)
                .map(|(p, n)| p / f64::max(*n, 1.0))
                .collect()
        })
        .collect();
    let whole: f64 = rows.iter().flatten().sum::<f64>() / (height * width) as f64;
    Array2::from_shape_fn((height, width), |(y, x)| {
        let ys = y.saturating_sub(SQUARE)..(y + SQUARE + 1).min(height);
        let xs = x.saturating_sub(SQUARE)..(x + SQUARE + 1).min(width);
        let count = (ys.len() * xs.len()) as f64;
        let sum: f64 = ys.map(|y| rows[y][xs.clone()].iter().sum::<f64>()).sum();
        // Nothing is without noise.
        let floor = 1e-3 * whole;
        let noise = (sum / count).max(floor);
        if noise > 0.0 { 1.0 / noise } else { 0.0 }
    })
}

/// How lines change when they are displaced along one axis.
struct Slope {
    lines: Vec<LineSlope>,
    inside: Range<usize>,
}

struct LineSlope {
    /// Times a line, this is its displacement.
    projection: Vec<f64>,
    /// Reciprocal of the variance of that, for a frame of gain 1.
    information: f64,
}

/// A line's displacement beside its neighbours.
#[derive(Clone, Copy)]
struct Beside {
    value: f64,
    /// Its variance without jitter.
    noise: f64,
    /// Share of the jitter's variance that is left in it.
    share: f64,
}

impl Slope {
    fn new(
        reference: ArrayView2<'_, f32>,
        weights: &Array2<f64>,
        inside: &Range<usize>,
        axis: Axis,
    ) -> Self {
        let height = reference.nrows();
        let line = |y: usize| {
            let at = |y: usize, x: usize| f64::from(reference[[y, x]]);
            let weight: Vec<f64> = inside.clone().map(|x| weights[[y, x]]).collect();
            let slope = inside.clone().map(|x| {
                if axis == Axis(1) {
                    (at(y, x + 1) - at(y, x - 1)) / 2.0
                } else {
                    let (above, below) = (y.saturating_sub(1), (y + 1).min(height - 1));
                    (at(below, x) - at(above, x)) / (below - above) as f64
                }
            });
            let product = |a: &[f64], b: &[f64]| -> f64 {
                let terms = weight.iter().zip(a.iter().zip(b));
                terms.map(|(w, (a, b))| w * a * b).sum()
            };
            // What offset and gain explain is taken out.
            let mut basis: Vec<Vec<f64>> = Vec::new();
            let mut free = |mut values: Vec<f64>| -> Vec<f64> {
                for other in &basis {
                    let along = product(&values, other);
                    for (v, o) in values.iter_mut().zip(other) {
                        *v -= along * o;
                    }
                }
                let energy = product(&values, &values);
                if energy > 0.0 {
                    let scale = energy.sqrt().recip();
                    basis.push(values.iter().map(|v| v * scale).collect());
                }
                values
            };
            free(vec![1.0; inside.len()]);
            free(inside.clone().map(|x| at(y, x)).collect());
            let left = free(slope.collect());
            let information = product(&left, &left);
            let projection = left.iter().zip(&weight);
            LineSlope {
                projection: projection
                    .map(|(v, w)| {
                        if information > 0.0 {
                            v * w / information
                        } else {
                            0.0
                        }
                    })
                    .collect(),
                information,
            }
        };
        Self {
            lines: (0..height).into_par_iter().map(line).collect(),
            inside: inside.clone(),
        }
    }

    /// What must be added to the coordinates of each line of a frame; NaN for
    /// lines that show nothing. `iterate` where the lines can be moved along.
    fn displacements(&self, frame: ArrayView2<'_, f32>, gain: f64, iterate: bool) -> Vec<f64> {
        let lines = self.lines.iter().zip(frame.rows());
        lines
            .map(|(slope, line)| {
                let line = line.to_vec();
                let unseen = line.iter().any(|v| !v.is_finite());
                if slope.information == 0.0 || gain <= 0.0 || unseen {
                    return f64::NAN;
                }
                // Where there is more noise than this, further steps follow the noise.
                let steps = if iterate && slope.information > WORTH_STEPS {
                    STEPS
                } else {
                    1
                };
                let mut by = 0.0_f64;
                for _ in 0..steps {
                    let sampler = Sampler::new(by as f32);
                    let values = self.inside.clone().zip(&slope.projection);
                    let ahead: f64 = values
                        .map(|(x, p)| p * f64::from(sampler.at(&line, x)))
                        .sum();
                    by = (by - ahead / gain).clamp(-LARGEST, LARGEST);
                }
                by
            })
            .collect()
    }

    /// Displacements of the lines of each frame beside those around them,
    /// weighed by their information.
    fn beside<'a>(&self, found: impl Iterator<Item = &'a Vec<f64>>) -> Vec<Vec<Beside>> {
        let height = self.lines.len();
        found
            .map(|found| {
                let weight = |y: usize| {
                    if found[y].is_finite() {
                        self.lines[y].information
                    } else {
                        0.0
                    }
                };
                (0..height)
                    .map(|y| {
                        let own = weight(y);
                        let (mut sum, mut squares, mut mean) = (0.0, 0.0, 0.0);
                        for k in y.saturating_sub(AROUND)..(y + AROUND + 1).min(height) {
                            let w = weight(k);
                            if w > 0.0 {
                                sum += w;
                                squares += w * w;
                                mean += w * found[k];
                            }
                        }
                        if own == 0.0 || own >= 0.5 * sum {
                            return Beside {
                                value: 0.0,
                                noise: 0.0,
                                share: 0.0,
                            };
                        }
                        Beside {
                            value: found[y] - mean / sum,
                            noise: 1.0 / own - 1.0 / sum,
                            share: 1.0 - 2.0 * own / sum + squares / (sum * sum),
                        }
                    })
                    .collect()
            })
            .collect()
    }
}

/// The variance that makes the displacements most probable, and what they are then.
fn learn(lines: &[Vec<Beside>], height: usize) -> LineJitter {
    let seen = || lines.iter().flatten().filter(|line| line.noise > 0.0);
    let count = seen().count().max(1) as f64;
    let mut noises: Vec<f64> = seen().map(|line| line.noise).collect();
    let noise = median(&mut noises).unwrap_or(0.0);
    // From above, so that the first maximum is not missed at 0.
    let mut variance = seen().map(|l| l.value * l.value / l.share).sum::<f64>() / count;
    for _ in 0..ROUNDS {
        let total: f64 = seen()
            .map(|line| {
                let spread = line.share * variance + line.noise;
                let mean = variance * line.share.sqrt() * line.value / spread;
                mean * mean + variance * line.noise / spread
            })
            .sum();
        let next = total / count;
        let change = (next - variance).abs();
        variance = next;
        if change <= 1e-6 * noise || variance <= 0.0 {
            break;
        }
    }
    // The same by moments frame by frame, for an error that needs no model.
    let each: Vec<f64> = lines
        .iter()
        .map(|frame| {
            let (mut top, mut bottom) = (0.0, 0.0);
            for line in frame.iter().filter(|line| line.noise > 0.0) {
                let weight = (line.share * variance + line.noise).powi(-2);
                top += weight * line.share * (line.value * line.value - line.noise);
                bottom += weight * line.share * line.share;
            }
            if bottom > 0.0 { top / bottom } else { 0.0 }
        })
        .collect();
    let frames = each.len().max(2) as f64;
    let mean = each.iter().sum::<f64>() / frames;
    let spread: f64 = each.iter().map(|v| (v - mean).powi(2)).sum();
    let error = (spread / (frames - 1.0) / frames).sqrt();
    let distinguishable = mean > CLEAR * error && variance > KNOWN * noise && variance > 0.0;
    let displacement = Array2::from_shape_fn((lines.len(), height), |(k, y)| {
        let line = lines[k][y];
        if !distinguishable || line.noise == 0.0 {
            return 0.0;
        }
        (variance * line.value / (line.share * variance + line.noise)) as f32
    });
    LineJitter {
        displacement,
        deviation: variance.max(0.0).sqrt() as f32,
        variance_error: error as f32,
        noise: noise.sqrt() as f32,
        distinguishable,
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
