use std::collections::{HashMap, VecDeque};

use fluorspar_denoise::LowRank;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::image::{Blurred, Image};

/// Ratio of successive scales: four to the octave.
const STEP: f64 = 1.189_207_115_002_721;
/// Radii of the smallest and largest blobs looked for (pixels).
const RADII: (f64, f64) = (1.5, 32.0);
/// Differences of scale kept: those an octave below, and three about it.
const KEPT: usize = 7;
/// Half the width of the vote for a scale (octaves).
const OCTAVES: f64 = 0.5;
/// Bright blobs must outweigh dark ones by this many standard errors.
const SIGNIFICANT: f64 = 2.5;
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
/// Blobs are extrema over place and scale of differences of Gaussians, which
/// stand for the normalised Laplacian `σ²∇²G` (Lowe 2004, IJCV 60:91);
/// Lindeberg (1998, IJCV 30:79) tells why these show a size. With
/// `G(σ) − G(kσ)` the response at the centre of a disc of radius `r` is
/// `exp(−r²/2k²σ²) − exp(−r²/2σ²)`, largest at
/// `r = σ √(2k² ln k² / (k² − 1))`; for `k → 1` that is `√2 σ`.
///
/// 1. A cell with a dark nucleus is a bright blob and a dark one of half its
///    size on the same place. The response of a place and scale is the energy
///    that a Laplacian and one of half the scale explain together, with the sign
///    of the larger. It counts in proportion to the root of the Hessian's
///    determinant over half its trace: one for a round blob, nothing for
///    a line, so that bits of a ring's rim and vessels drop out. Of blobs
///    over each other the strongest stays.
/// 2. The scale is where bright blobs explain most beyond what dark
///    ones do: noise and background have as many of either.
/// 3. Discs, rings and soft blobs differ in how their edge lies to the
///    extremum. The mean radial profile of the chosen blobs, each in units of
///    its own radius, tells where the outer flank falls to one half; that is
///    the edge.
///
/// Diameters from about 4 to 60 pixels and to half the smaller side of
/// the image are measured; about a dozen cells are needed. Values that are not
/// finite and constant borders do not count. The result does not depend on the
/// number of threads.
///
/// ```
/// use fluorspar_segment::estimate_diameter;
///
/// // Discs of radius 5 on a lattice.
/// let image = ndarray::Array2::from_shape_fn((100, 100), |(y, x)| {
///     let off = |v: usize| (v % 20) as f32 - 10.0;
///     if off(y).hypot(off(x)) < 5.0 { 1.0 } else { 0.0 }
/// });
/// let scale = estimate_diameter(image.view()).unwrap();
/// assert!((scale.diameter - 10.0).abs() < 0.5 && scale.blobs > 10);
/// ```
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

/// Diameter of cells in each plane of a low-rank movie, axis `(plane)`,
/// measured by [`estimate_diameter`] on the root of the ratio of each pixel's
/// standard deviation over frames to its noise.
///
/// The ratio shows what is active; the root keeps a few very active cells from
/// deciding alone. (Local correlation saturates: it widens strong cells and
/// narrows faint ones.) Faint edges count for more under a root: without
/// noise the diameter comes out up to a pixel large.
pub fn estimate_diameter_in(movie: &LowRank) -> Vec<Option<Scale>> {
    let mut images = movie.variance_image();
    images.zip_mut_with(&movie.noise(), |value, &noise| {
        // Without noise a pixel is not usable.
        *value = if noise > 0.0 {
            (value.sqrt() / noise).sqrt()
        } else {
            f32::NAN
        };
    });
    images.axis_iter(Axis(0)).map(estimate_diameter).collect()
}

/// An extremum over place and scale.
#[derive(Clone, Copy)]
struct Blob {
    y: f64,
    x: f64,
    radius: f64,
    /// 1 for bright, −1 for dark.
    sign: f32,
    /// Root of the explained energy per area.
    weight: f64,
}

impl Blob {
    fn energy(&self) -> f64 {
        (self.weight * self.radius).powi(2)
    }
}

/// One scale of the image.
struct Level {
    sigma: f64,
    blurred: Vec<f32>,
    /// Less the next scale, over `STEP − 1`: the normalised Laplacian, negated.
    laplacian: Vec<f32>,
}

fn extrema(image: &Image) -> Vec<Blob> {
    let (height, width) = (image.height, image.width);
    let square = STEP * STEP;
    let radius_per_sigma = (2.0 * square * square.ln() / (square - 1.0)).sqrt();
    let largest = RADII.1.min(height.min(width) as f64 / 4.0) * STEP;
    // Half the scale of the smallest radius is the first needed.
    let mut sigma = 0.5 * RADII.0 / radius_per_sigma;
    let mut scales = Blurs::new(image);
    let mut blurred = scales.next(sigma);
    let mut levels: VecDeque<Level> = VecDeque::new();
    let mut fields: VecDeque<Vec<f32>> = VecDeque::new();
    let mut blobs = Vec::new();
    while sigma * radius_per_sigma <= largest {
        let next = scales.next(sigma * STEP);
        let factor = 1.0 / (STEP as f32 - 1.0);
        let difference = |(a, b): (&f32, &f32)| (a - b) * factor;
        levels.push_back(Level {
            sigma,
            laplacian: blurred.iter().zip(&next).map(difference).collect(),
            blurred: std::mem::replace(&mut blurred, next),
        });
        sigma *= STEP;
        if levels.len() > KEPT {
            levels.pop_front();
        }
        if levels.len() < 5 {
            continue;
        }
        let whole = &levels[levels.len() - 1].laplacian;
        let half = &levels[levels.len() - 5].laplacian;
        fields.push_back(whole.iter().zip(half).map(|(&a, &b)| joint(a, b)).collect());
        if fields.len() > 3 {
            fields.pop_front();
        }
        if fields.len() < 3 {
            continue;
        }
        let Level { sigma, blurred, .. } = &levels[levels.len() - 2];
        let rows: Vec<Vec<Blob>> = (1..height.saturating_sub(1))
            .into_par_iter()
            .map(|y| {
                (1..width.saturating_sub(1))
                    .filter(|&x| image.usable(y * width + x))
                    .filter_map(|x| {
                        let (mut blob, octaves) = extremum(&fields, width, y, x)?;
                        blob.radius = sigma * radius_per_sigma * STEP.powf(octaves);
                        blob.weight *= roundness(blurred, width, y, x, blob.sign)?;
                        Some(blob)
                    })
                    .collect()
            })
            .collect();
        blobs.extend(rows.into_iter().flatten());
    }
    blobs
}

/// The image at ever larger scales.
struct Blurs<'a> {
    image: &'a Image,
    last: Option<(Blurred, f64)>,
}

impl<'a> Blurs<'a> {
    fn new(image: &'a Image) -> Self {
        Self { image, last: None }
    }

    fn next(&mut self, sigma: f64) -> Vec<f32> {
        // A further blur narrower than about a pixel would not be a Gaussian:
        // up to here each scale starts from the image itself.
        let (mut blurred, before) = match self.last.take() {
            Some((blurred, before)) if before >= 2.0 => (blurred, before),
            _ => (Blurred::new(self.image), 0.0),
        };
        blurred.blur((sigma * sigma - before * before).sqrt());
        let mean = blurred.mean();
        self.last = Some((blurred, sigma));
        mean
    }
}

/// Root of the energy per area that a Laplacian of response `whole` and one
/// of half the scale with response `half` explain together, with the sign of
/// the first.
///
/// Laplacians of Gaussians of scales `a` and `b` have the correlation
/// `(2ab / (a² + b²))³`, and a response's share in the energy goes with `a²`.
fn joint(whole: f32, half: f32) -> f32 {
    const CORRELATION: f32 = 0.8 * 0.8 * 0.8;
    let half = 0.5 * half;
    let energy = whole * whole + half * half - 2.0 * CORRELATION * whole * half;
    (energy / (1.0 - CORRELATION * CORRELATION))
        .max(0.0)
        .sqrt()
        .copysign(whole)
}

/// An extremum among its 26 neighbours, and its scale in steps from the
/// middle one; each coordinate by the parabola through three values.
fn extremum(fields: &VecDeque<Vec<f32>>, width: usize, y: usize, x: usize) -> Option<(Blob, f64)> {
    let at = y * width + x;
    let field = &fields[1];
    let value = field[at];
    let sign = 1.0_f32.copysign(value);
    for (scale, values) in fields.iter().enumerate() {
        for row in [at - width, at, at + width] {
            for pixel in row - 1..=row + 1 {
                if (scale, pixel) != (1, at) && sign * values[pixel] >= sign * value {
                    return None;
                }
            }
        }
    }
    let peak = |before: f32, after: f32| {
        let (before, middle, after) = (f64::from(before), f64::from(value), f64::from(after));
        0.5 * (before - after) / (before - 2.0 * middle + after)
    };
    let blob = Blob {
        y: y as f64 + peak(field[at - width], field[at + width]),
        x: x as f64 + peak(field[at - 1], field[at + 1]),
        radius: 0.0,
        sign,
        weight: f64::from(value.abs()),
    };
    Some((blob, peak(fields[0][at], fields[2][at])))
}

/// Root of the Hessian's determinant over half its trace where both
/// curvatures have the blob's sign: 1 for a round blob, 0 for a line.
fn roundness(level: &[f32], width: usize, y: usize, x: usize, sign: f32) -> Option<f64> {
    let at = |dy: usize, dx: usize| f64::from(level[(y + dy - 1) * width + x + dx - 1]);
    let yy = at(0, 1) - 2.0 * at(1, 1) + at(2, 1);
    let xx = at(1, 0) - 2.0 * at(1, 1) + at(1, 2);
    let xy = 0.25 * (at(0, 0) + at(2, 2) - at(0, 2) - at(2, 0));
    let determinant = yy * xx - xy * xy;
    let trace = -f64::from(sign) * (yy + xx);
    (determinant > 0.0 && trace > 0.0).then(|| 2.0 * determinant.sqrt() / trace)
}

/// Blobs of one sign, strongest first, of which none lies over another.
fn strongest(blobs: &[Blob], sign: f32) -> Vec<Blob> {
    let mut sorted: Vec<Blob> = blobs.iter().copied().filter(|b| b.sign == sign).collect();
    // By height alone a rim's brightest bit would hide its cell; by energy
    // a cluster would hide its cells.
    let strength = |blob: &Blob| blob.weight * blob.radius.sqrt();
    sorted.sort_by(|a, b| {
        strength(b)
            .total_cmp(&strength(a))
            .then(a.y.total_cmp(&b.y))
            .then(a.x.total_cmp(&b.x))
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

/// Where on the axis of log₂ radius bright blobs explain most beyond what dark
/// ones do.
fn vote(bright: &[Blob], dark: &[Blob]) -> Option<f64> {
    let (from, to) = (RADII.0.log2(), RADII.1.log2());
    let places = ((to - from) * 16.0) as usize;
    (0..=places)
        .map(|k| {
            let octave = from + k as f64 / 16.0;
            let (mut sum, mut squares) = (0.0, 0.0_f64);
            for blob in bright.iter().chain(dark) {
                let near = 1.0 - (blob.radius.log2() - octave).abs() / OCTAVES;
                if near > 0.0 {
                    let energy = near * blob.energy();
                    sum += f64::from(blob.sign) * energy;
                    squares += energy * energy;
                }
            }
            (octave, sum, squares.sqrt())
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|&(_, sum, error)| sum > 0.0 && sum >= SIGNIFICANT * error)
        .map(|(octave, ..)| octave)
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// The extremum at the centre of a disc is at its radius.
    #[test]
    fn a_disc_answers_at_its_own_radius() {
        for radius in [4.0_f64, 8.0, 16.0] {
            let image = Array2::from_shape_fn((161, 161), |(y, x)| {
                let distance = (y as f64 - 80.0).hypot(x as f64 - 80.0);
                // A faint texture, because constant borders do not count.
                let faint = 1e-6 * ((7 * y + 13 * x) % 17) as f32;
                (radius - distance + 0.5).clamp(0.0, 1.0) as f32 + faint
            });
            let square = STEP * STEP;
            let factor = (2.0 * square * square.ln() / (square - 1.0)).sqrt();
            // In the middle of each step that is √2 σ.
            assert!((factor / STEP.sqrt() - 2.0_f64.sqrt()).abs() < 5e-3);
            let image = Image::new(image.view()).unwrap();
            let response = |r: f64| {
                let at = |sigma: f64| Blurs::new(&image).next(sigma)[80 * 161 + 80];
                at(r / factor) - at(STEP * r / factor)
            };
            assert!(response(radius) > response(0.93 * radius));
            assert!(response(radius) > response(1.07 * radius));
            let expected = (-0.5 * (factor / STEP).powi(2)).exp() - (-0.5 * factor * factor).exp();
            assert!((f64::from(response(radius)) - expected).abs() < 0.02 * expected);
        }
    }

    #[test]
    fn two_laplacians_explain_what_either_does() {
        // A response that is the other's own shadow adds nothing.
        assert!((joint(1.0, 2.0 * 0.512) - 1.0).abs() < 1e-6);
        assert!(joint(0.5, -0.3) > 0.5 && joint(-0.5, 0.3) < -0.5);
    }
}
