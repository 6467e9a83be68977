use std::collections::HashMap;

use fluorspar_denoise::{LowRank, Neighbours, Variability};
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::Error;
use crate::image::{Blurred, Image};

/// Ratio of successive scales: four to the octave.
const STEP: f64 = 1.189_207_115_002_721;
/// Radii of the smallest and largest blobs looked for (pixels).
const RADII: (f64, f64) = (1.5, 36.0);
/// Half the width of the vote for a scale (octaves).
const OCTAVES: f64 = 0.5;
/// Bright blobs must outweigh dark ones by this many standard errors.
const SIGNIFICANT: f64 = 3.5;
/// Samples of the mean profile per radius, and angles it is sampled at.
const PROFILE: (usize, usize) = (24, 24);

/// How large the cells of a field are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Diameter of a typical cell (pixels).
    pub diameter: f64,
    /// How much blobs differ: 1.4826 times the weighted median distance of
    /// their diameters from `diameter` (pixels).
    pub spread: f64,
    /// Number of blobs that `diameter` was measured on.
    pub blobs: usize,
}

/// Diameter of cells from an image `(y, x)` in which active cells stand out,
/// such as a local-correlation image; nothing if there is no scale at which
/// bright blobs outweigh dark ones.
///
/// Blobs are extrema over place and scale of differences of Gaussians, the
/// approximation of the normalised Laplacian `σ²∇²G` by Lowe (2004, IJCV
/// 60:91); Lindeberg (1998, IJCV 30:79) tells why they show a size. With
/// `G(σ) − G(kσ)` the response at the centre of a disc of radius `r` is
/// `exp(−r²/2k²σ²) − exp(−r²/2σ²)`, largest at
/// `r = σ √(2k² ln k² / (k² − 1))`; for `k → 1` that is `√2 σ`.
///
/// 1. An extremum counts by the root of the Hessian's determinant at its
///    scale, which is that of the Laplacian for a round blob and nothing for a
///    line: bits of a ring's rim and vessels drop out. Of blobs over each
///    other the strongest stays.
/// 2. Noise and background have as many dark extrema as bright ones. The scale
///    is where bright outweigh dark by most standard errors.
/// 3. A dark nucleus makes a blob look larger. The mean radial profile of the
///    chosen blobs, each in units of its own radius, tells where the outer flank
///    falls to one half, and that is the edge.
///
/// Diameters from about 4 to 60 pixels and to a third of the smaller side of
/// the image are measured; about a dozen cells of similar brightness are
/// needed. Values that are not finite and constant borders do not count. The
/// result does not depend on the number of threads.
pub fn estimate_diameter(activity: ArrayView2<'_, f32>) -> Option<Scale> {
    let image = Image::new(activity)?;
    let blobs = extrema(&image);
    let bright = strongest(&blobs, 1.0);
    let dark = strongest(&blobs, -1.0);
    let octave = vote(&bright, &dark)?;
    let near: Vec<&Blob> = bright
        .iter()
        .filter(|blob| (blob.radius.log2() - octave).abs() <= OCTAVES)
        .collect();
    // Weak ones are as likely noise: the dark ones told how many there are.
    let squares: f64 = near.iter().map(|blob| blob.weight * blob.weight).sum();
    let typical = squares / near.iter().map(|blob| blob.weight).sum::<f64>();
    let chosen: Vec<&Blob> = near
        .into_iter()
        .filter(|blob| blob.weight >= 0.5 * typical)
        .collect();
    let edge = edge(&image, &chosen);
    let radius = median(chosen.iter().map(|blob| (blob.radius, blob.weight)))?;
    let spread = median(
        chosen
            .iter()
            .map(|blob| ((blob.radius - radius).abs(), blob.weight)),
    )?;
    Some(Scale {
        diameter: 2.0 * edge * radius,
        spread: 1.4826 * 2.0 * edge * spread,
        blobs: chosen.len(),
    })
}

/// Diameter of cells in one plane of a low-rank movie, measured by
/// [`estimate_diameter`] on the local correlation of what the raw movie would
/// show (eight neighbours, noise included, so that faint things stay faint).
///
/// # Errors
/// [`Error::Movie`] if the movie has no such plane.
pub fn estimate_diameter_in(movie: &LowRank, plane: usize) -> Result<Option<Scale>, Error> {
    if plane >= movie.planes() {
        return Err(Error::Movie(fluorspar_movie::Error::misuse(format!(
            "plane {plane} asked of a movie of {}",
            movie.planes()
        ))));
    }
    let image = movie.correlation_image(Neighbours::Eight, Variability::WithNoise);
    Ok(estimate_diameter(image.index_axis(Axis(0), plane)))
}

/// An extremum over place and scale.
#[derive(Clone, Copy)]
struct Blob {
    y: f64,
    x: f64,
    radius: f64,
    /// 1 for bright, −1 for dark.
    sign: f32,
    weight: f64,
}

fn extrema(image: &Image) -> Vec<Blob> {
    let (height, width) = (image.height, image.width);
    let square = STEP * STEP;
    let radius_per_sigma = (2.0 * square * square.ln() / (square - 1.0)).sqrt();
    let largest = RADII.1.min(height.min(width) as f64 / 4.0);
    let mut sigma = RADII.0 / radius_per_sigma;
    let mut blurred = Blurred::new(image);
    blurred.blur(sigma);
    // One blurred image and the three differences about it are kept.
    let mut level = blurred.mean();
    let mut differences: Vec<(Vec<f32>, Vec<f32>, f64)> = Vec::new();
    let mut blobs = Vec::new();
    while sigma * radius_per_sigma <= largest * STEP {
        blurred.blur(sigma * (square - 1.0).sqrt());
        let next = blurred.mean();
        let difference = level.iter().zip(&next).map(|(a, b)| a - b).collect();
        differences.push((difference, std::mem::replace(&mut level, next), sigma));
        if differences.len() == 3 {
            let around = [&differences[0].0, &differences[1].0, &differences[2].0];
            let (at, sigma) = (&differences[1].1, differences[1].2);
            let rows: Vec<Vec<Blob>> = (1..height.saturating_sub(1))
                .into_par_iter()
                .map(|y| {
                    (1..width.saturating_sub(1))
                        .filter(|&x| image.usable(y * width + x))
                        .filter_map(|x| {
                            let (sign, place, octaves) = extremum(around, width, y, x)?;
                            let weight = roundness(at, width, y, x, sign)? * sigma * sigma;
                            Some(Blob {
                                y: place.0,
                                x: place.1,
                                radius: sigma * radius_per_sigma * STEP.powf(octaves),
                                sign,
                                weight,
                            })
                        })
                        .collect()
                })
                .collect();
            blobs.extend(rows.into_iter().flatten());
            differences.remove(0);
        }
        sigma *= STEP;
    }
    blobs
}

/// Sign of an extremum among its 26 neighbours, its place, and its scale in
/// steps from the middle one, each by the parabola through three values.
fn extremum(
    around: [&Vec<f32>; 3],
    width: usize,
    y: usize,
    x: usize,
) -> Option<(f32, (f64, f64), f64)> {
    let at = y * width + x;
    let value = around[1][at];
    let sign = if value > 0.0 { 1.0 } else { -1.0 };
    for scale in around {
        for row in [at - width, at, at + width] {
            for other in &scale[row - 1..=row + 1] {
                if !std::ptr::eq(other, &raw const around[1][at]) && sign * other >= sign * value {
                    return None;
                }
            }
        }
    }
    let peak = |before: f32, after: f32| {
        let (before, middle, after) = (f64::from(before), f64::from(value), f64::from(after));
        0.5 * (before - after) / (before - 2.0 * middle + after)
    };
    let place = (
        y as f64 + peak(around[1][at - width], around[1][at + width]),
        x as f64 + peak(around[1][at - 1], around[1][at + 1]),
    );
    Some((sign, place, peak(around[0][at], around[2][at])))
}

/// Twice the root of the Hessian's determinant where both curvatures have
/// the blob's sign: the Laplacian's magnitude for a round blob.
fn roundness(level: &[f32], width: usize, y: usize, x: usize, sign: f32) -> Option<f64> {
    let at = |dy: usize, dx: usize| f64::from(level[(y + dy - 1) * width + x + dx - 1]);
    let yy = at(0, 1) - 2.0 * at(1, 1) + at(2, 1);
    let xx = at(1, 0) - 2.0 * at(1, 1) + at(1, 2);
    let xy = 0.25 * (at(0, 0) + at(2, 2) - at(0, 2) - at(2, 0));
    let determinant = yy * xx - xy * xy;
    (determinant > 0.0 && f64::from(sign) * (yy + xx) < 0.0).then(|| 2.0 * determinant.sqrt())
}

/// Blobs of one sign, strongest first, of which none lies over another.
fn strongest(blobs: &[Blob], sign: f32) -> Vec<Blob> {
    let mut sorted: Vec<Blob> = blobs.iter().copied().filter(|b| b.sign == sign).collect();
    sorted.sort_by(|a, b| {
        let place = |blob: &Blob| (blob.y, blob.x);
        let ((ay, ax), (by, bx)) = (place(a), place(b));
        b.weight
            .total_cmp(&a.weight)
            .then(ay.total_cmp(&by))
            .then(ax.total_cmp(&bx))
    });
    let bin = |v: f64| (v / RADII.1).floor() as i64;
    let mut kept: HashMap<(i64, i64), Vec<Blob>> = HashMap::new();
    sorted.retain(|blob| {
        let (row, column) = (bin(blob.y), bin(blob.x));
        let free = (row - 1..=row + 1)
            .flat_map(|r| (column - 1..=column + 1).map(move |c| (r, c)))
            .filter_map(|key| kept.get(&key))
            .flatten()
            .all(|other| {
                let apart = (blob.y - other.y).hypot(blob.x - other.x);
                apart >= 0.7 * blob.radius.max(other.radius)
            });
        if free {
            kept.entry((row, column)).or_default().push(*blob);
        }
        free
    });
    sorted
}

/// Where on the axis of log₂ radius bright blobs outweigh dark ones most.
fn vote(bright: &[Blob], dark: &[Blob]) -> Option<f64> {
    let (from, to) = (RADII.0.log2(), RADII.1.log2());
    let places = ((to - from) * 16.0) as usize;
    let significance = |octave: f64| {
        let (mut sum, mut squares) = (0.0, 0.0);
        for blob in bright.iter().chain(dark) {
            let near = 1.0 - (blob.radius.log2() - octave).abs() / OCTAVES;
            if near > 0.0 {
                sum += f64::from(blob.sign) * near * blob.weight;
                squares += (near * blob.weight).powi(2);
            }
        }
        if squares > 0.0 {
            sum / squares.sqrt()
        } else {
            0.0
        }
    };
    (0..=places)
        .map(|k| {
            let octave = from + k as f64 / 16.0;
            (octave, significance(octave))
        })
        .filter(|vote| vote.1 >= SIGNIFICANT)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|vote| vote.0)
}

/// Where the outer flank of the mean profile falls to one half, in radii; 1 if
/// it does not within two radii.
fn edge(image: &Image, blobs: &[&Blob]) -> f64 {
    let (per_radius, angles) = PROFILE;
    let profiles: Vec<Vec<(f64, f64)>> = blobs
        .par_iter()
        .map(|blob| {
            let mut profile = vec![(0.0, 0.0); 2 * per_radius + 1];
            for (k, sums) in profile.iter_mut().enumerate() {
                let distance = blob.radius * k as f64 / per_radius as f64;
                for angle in 0..angles {
                    let angle = std::f64::consts::TAU * angle as f64 / angles as f64;
                    let (sin, cos) = angle.sin_cos();
                    let place = (blob.y + distance * sin, blob.x + distance * cos);
                    if let Some(value) = image.at(place.0, place.1) {
                        sums.0 += f64::from(value);
                        sums.1 += 1.0;
                    }
                }
            }
            profile
        })
        .collect();
    let mean: Vec<f64> = (0..=2 * per_radius)
        .map(|k| {
            let (sum, count) = profiles
                .iter()
                .fold((0.0, 0.0), |s, p| (s.0 + p[k].0, s.1 + p[k].1));
            if count > 0.0 { sum / count } else { 0.0 }
        })
        .collect();
    let mut top = 0;
    for (k, value) in mean.iter().enumerate() {
        if *value > mean[top] {
            top = k;
        }
    }
    let bottom = mean[top..].iter().copied().fold(f64::INFINITY, f64::min);
    let half = 0.5 * (mean[top] + bottom);
    (top..2 * per_radius)
        .find(|&k| mean[k] >= half && mean[k + 1] < half)
        .map_or(1.0, |k| {
            let part = (mean[k] - half) / (mean[k] - mean[k + 1]);
            (k as f64 + part) / per_radius as f64
        })
}

/// Weighted median.
fn median(values: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut values: Vec<(f64, f64)> = values.collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * values.iter().map(|value| value.1).sum::<f64>();
    let mut sum = 0.0;
    values.iter().find_map(|&(value, weight)| {
        sum += weight;
        (sum >= half).then_some(value)
    })
}
