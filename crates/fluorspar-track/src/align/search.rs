//! Rotation and shift of one field against another, and whether to believe them.

use rustfft::num_complex::Complex32;

use super::correlator::{Correlator, TwoChannel};
use super::view::View;

/// The ways in which an image can be flipped and turned by quarters:
/// `[[yy, yx], [xy, xx]]`, the one that does nothing first.
const ORIENTATIONS: [[[f64; 2]; 2]; 8] = [
    [[1.0, 0.0], [0.0, 1.0]],
    [[-1.0, 0.0], [0.0, -1.0]],
    [[0.0, 1.0], [-1.0, 0.0]],
    [[0.0, -1.0], [1.0, 0.0]],
    [[-1.0, 0.0], [0.0, 1.0]],
    [[1.0, 0.0], [0.0, -1.0]],
    [[0.0, 1.0], [1.0, 0.0]],
    [[0.0, -1.0], [-1.0, 0.0]],
];
/// The first so many orientations are turns, the others mirror images.
const TURNS: usize = 4;

/// How two fields lie best on each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    /// Angle by which the moving view is turned, radians.
    pub(super) angle: f64,
    /// A place `p` of the fixed view lies at `p + shift` on the turned one.
    pub(super) shift: (f64, f64),
    /// Correlation times the root of the common area: about the number of
    /// standard deviations above an accidental one.
    pub(super) score: f64,
}

/// What the search over all orientations says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Orientation {
    AsItIs,
    Turned,
    Mirrored,
    Nothing,
}

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Radians, either way.
    pub(super) angle: f64,
    /// Share of the fixed view's sides, either way.
    pub(super) shift: f64,
}

/// How far above the best accidental alignments a true one must lie, in their
/// standard deviations and as a factor. Seven searches in wrong orientations
/// say what accident does; their spread is known to a third only, so the bar
/// is high.
const DEVIATIONS: f64 = 6.0;
const FACTOR: f64 = 1.25;
/// The spread of accidental maxima is held to be at least this share of their height.
const LEAST_SPREAD: f64 = 0.04;

/// Looks through all orientations; returns the verdict and how many standard
/// deviations the fields as they are stand above wrong orientations.
pub(super) fn orientation(fixed: &View, moving: &View, limits: Limits) -> (Orientation, f64) {
    let scores: Vec<f64> = ORIENTATIONS
        .iter()
        .map(|orientation| {
            let layers = moving.layers.iter();
            let turned: Vec<_> = layers.map(|layer| oriented(layer, *orientation)).collect();
            let angles = angles(fixed.size(), limits.angle);
            sweep(&fixed.layers, &turned, limits, &angles).score
        })
        .collect();
    let best = (0..scores.len()).fold(0, |best, k| if scores[k] > scores[best] { k } else { best });
    let others = |except: usize| {
        let rest: Vec<f64> = (0..scores.len())
            .filter(|&k| k != except)
            .map(|k| scores[k])
            .collect();
        let n = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / n;
        let variance = rest.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let highest = rest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = variance.sqrt().max(LEAST_SPREAD * mean.abs());
        (mean, spread, highest)
    };
    let (mean, spread, highest) = others(best);
    let height = if spread > 0.0 {
        (scores[best] - mean) / spread
    } else {
        0.0
    };
    let clear = height >= DEVIATIONS && scores[best] >= FACTOR * highest;
    let verdict = match best {
        _ if !clear => Orientation::Nothing,
        0 => Orientation::AsItIs,
        k if k < TURNS => Orientation::Turned,
        _ => Orientation::Mirrored,
    };
    let significance = if best == 0 {
        height
    } else {
        // Others include the better orientation: far below it, so not above accident.
        let (mean, spread, _) = others(0);
        if spread > 0.0 {
            (scores[0] - mean) / spread
        } else {
            0.0
        }
    };
    (verdict, significance)
}

/// The best angle and shift among angles that move the view's edge by three
/// pixels.
pub(super) fn coarse(fixed: &View, moving: &View, limits: Limits) -> Found {
    let angles = angles(fixed.size(), limits.angle);
    sweep(&fixed.layers, &moving.layers, limits, &angles)
}

/// The best angle and shift, the angle to about a tenth of what moves the
/// view's edge by a pixel: among all angles between coarse views, then about
/// the best between fine ones.
pub(super) fn search(coarse: (&View, &View), fine: (&View, &View), limits: Limits) -> Found {
    let all = angles(coarse.0.size(), limits.angle);
    let mut found = sweep(&coarse.0.layers, &coarse.1.layers, limits, &all);
    let mut step = all.get(1).map_or(0.0, |second| second - all[0]);
    for _ in 0..3 {
        step /= 3.0;
        let near: Vec<f64> = (-2..=2)
            .map(|k| found.angle + f64::from(k) * step)
            .collect();
        found = sweep(&fine.0.layers, &fine.1.layers, limits, &near);
    }
    found
}

/// Angles so close to each other that the edges of the view, half a step off,
/// are moved by about a pixel and a half.
fn angles((height, width): (usize, usize), most: f64) -> Vec<f64> {
    let radius = 0.5 * (height.max(width) as f64);
    let step = (3.0 / radius).min(0.1);
    let count = (most / step).ceil() as i32;
    (-count..=count)
        .map(|k| f64::from(k) * most / f64::from(count.max(1)))
        .collect()
}

fn sweep(fixed: &[TwoChannel], moving: &[TwoChannel], limits: Limits, angles: &[f64]) -> Found {
    let mut best = Found {
        angle: 0.0,
        shift: (0.0, 0.0),
        score: f64::NEG_INFINITY,
    };
    let (Some(a), Some(b)) = (fixed.first(), moving.first()) else {
        return best;
    };
    let largest = (a.height.max(b.height), a.width.max(b.width));
    let reach = (
        (limits.shift * a.height as f64) as usize + a.height.abs_diff(b.height),
        (limits.shift * a.width as f64) as usize + a.width.abs_diff(b.width),
    );
    let correlator = Correlator::new(largest, reach);
    let spectra: Vec<_> = fixed
        .iter()
        .map(|layer| correlator.spectrum(layer))
        .collect();
    let roots = common_area((a, b), reach, fixed.len());
    for &angle in angles {
        let turned = moving
            .iter()
            .map(|layer| correlator.spectrum(&turned(layer, angle)));
        let turned: Vec<_> = turned.collect();
        let layers = spectra.iter().zip(&turned).map(|(a, b)| (&**a, &**b));
        let mut surface = correlator.correlate(layers, reach);
        for (value, root) in surface.values.iter_mut().zip(&roots) {
            *value = root.map_or(f32::NEG_INFINITY, |root| *value / root);
        }
        let (score, shift) = surface.peak();
        if f64::from(score) > best.score {
            best = Found {
                angle,
                shift,
                score: f64::from(score),
            };
        }
    }
    best
}

/// The root of the number of pixels that two views share at each shift, the
/// size of an accidental correlation of views of unit variance; none where
/// they share too few.
fn common_area(
    (a, b): (&TwoChannel, &TwoChannel),
    reach: (usize, usize),
    layers: usize,
) -> Vec<Option<f32>> {
    let common = |fixed: usize, moving: usize, shift: isize| {
        let (fixed, moving) = (fixed as isize, moving as isize);
        (fixed.min(moving - shift) - 0.max(-shift)).max(0) as f64
    };
    let least = LEAST_COMMON * (a.pixels.len().min(b.pixels.len()) as f64);
    let mut out = Vec::with_capacity((2 * reach.0 + 1) * (2 * reach.1 + 1));
    for dy in -(reach.0 as isize)..=reach.0 as isize {
        let rows = common(a.height, b.height, dy);
        for dx in -(reach.1 as isize)..=reach.1 as isize {
            let area = rows * common(a.width, b.width, dx);
            out.push((area > least).then(|| (area * layers as f64).sqrt() as f32));
        }
    }
    out
}

/// Share of the smaller view that two views have in common at least.
const LEAST_COMMON: f64 = 0.1;

/// The image turned about its centre: `out[p] = image[centre + R (p − centre)]`.
fn turned(image: &TwoChannel, angle: f64) -> TwoChannel {
    if angle == 0.0 {
        return image.clone();
    }
    let (sin, cos) = angle.sin_cos();
    let (cy, cx) = (
        (image.height as f64 - 1.0) / 2.0,
        (image.width as f64 - 1.0) / 2.0,
    );
    let mut out = TwoChannel::zeros(image.height, image.width);
    for (y, row) in out.pixels.chunks_exact_mut(image.width).enumerate() {
        let v = y as f64 - cy;
        for (x, value) in row.iter_mut().enumerate() {
            let u = x as f64 - cx;
            *value = image.sample(cy + cos * v - sin * u, cx + sin * v + cos * u);
        }
    }
    out
}

/// The image flipped or turned by quarters.
fn oriented(image: &TwoChannel, [[yy, yx], [xy, xx]]: [[f64; 2]; 2]) -> TwoChannel {
    let (height, width) = if yy == 0.0 {
        (image.width, image.height)
    } else {
        (image.height, image.width)
    };
    let (ty, tx) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    let (cy, cx) = (
        (image.height as f64 - 1.0) / 2.0,
        (image.width as f64 - 1.0) / 2.0,
    );
    let pixel = |index: usize| -> Complex32 {
        let (v, u) = ((index / width) as f64 - ty, (index % width) as f64 - tx);
        let y = (cy + yy * v + yx * u).round() as usize;
        let x = (cx + xy * v + xx * u).round() as usize;
        image.pixels[y * image.width + x]
    };
    TwoChannel {
        height,
        width,
        pixels: (0..height * width).map(pixel).collect(),
    }
}
