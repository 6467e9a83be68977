use std::collections::HashMap;
use std::f64::consts::{PI, TAU};

use fluorspar_movie::Footprints;
use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::Error;
use crate::image::{Blurred, Image};
use crate::stats::Rest;

/// Radii of the cells matched, as shares of the expected radius.
const SIZES: [f64; 3] = [0.8, 1.0, 1.25];
/// Radius of the nucleus left out of a ring, and the inner and outer radii of
/// the surround, as shares of the cell's radius.
const NUCLEUS: f64 = 0.45;
const SURROUND: (f64, f64) = (1.15, 1.6);
/// Smallest distance of two cells, as a share of the expected diameter.
const APART: f64 = 0.65;
/// Most rounds of finding cells and taking them away.
const ROUNDS: usize = 6;
/// Radii tried for each direction of an outline, from and to these shares of
/// the cell's radius.
const OUTLINE: (usize, f64, f64) = (19, 0.5, 1.5);

/// Footprints drawn by hand or by another program.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// One footprint per label and plane, all weights 1: labels ascending,
    /// then planes.
    pub footprints: Footprints,
    /// The label of each footprint.
    pub labels: Vec<u32>,
}

/// Footprints from a label image `(y, x)`: the pixels of each number but 0.
///
/// # Errors
/// As [`footprints_from_label_volume`], with `shape` `(y, x)`.
pub fn footprints_from_labels(
    labels: ArrayView2<'_, u32>,
    shape: (usize, usize),
) -> Result<Labelled, Error> {
    footprints_from_label_volume(labels.insert_axis(Axis(0)), (1, shape.0, shape.1))
}

/// Footprints from a label volume `(plane, y, x)`: the pixels of each number
/// but 0. A label seen in several planes gives a footprint in each.
///
/// Labels may have gaps and may be any numbers; parts of one label need not
/// touch.
///
/// # Errors
/// [`Error::Movie`] if the volume does not have the movie's `shape
/// (plane, y, x)`, has no label, or has planes of more than 2³² pixels.
pub fn footprints_from_label_volume(
    labels: ArrayView3<'_, u32>,
    shape: (usize, usize, usize),
) -> Result<Labelled, Error> {
    let misuse = |message: String| Error::Movie(fluorspar_movie::Error::misuse(message));
    if labels.dim() != shape {
        return Err(misuse(format!(
            "labels of shape {:?} for a movie of shape {shape:?} (plane, y, x)",
            labels.dim()
        )));
    }
    let (_, height, width) = shape;
    if u32::try_from(height * width).is_err() {
        return Err(misuse(format!("planes of {height} × {width} pixels")));
    }
    let mut entries: Vec<(u32, u32, u32)> = labels
        .indexed_iter()
        .filter(|&(_, &label)| label != 0)
        .map(|((plane, y, x), &label)| (label, plane as u32, (y * width + x) as u32))
        .collect();
    if entries.is_empty() {
        return Err(misuse("no pixel has a label other than 0".into()));
    }
    entries.par_sort_unstable();
    let mut footprints = Footprints::new(height, width);
    let mut found = Vec::new();
    for roi in entries.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let pixels: Vec<u32> = roi.iter().map(|entry| entry.2).collect();
        footprints.push(&pixels, &vec![1.0; pixels.len()], roi[0].1)?;
        found.push(roi[0].0);
    }
    Ok(Labelled {
        footprints,
        labels: found,
    })
}

/// What cells to look for in a still image.
#[derive(Clone, Debug, PartialEq)]
pub struct Anatomy {
    /// Diameter of a typical cell (pixels).
    pub diameter: f64,
    /// Number of cells that an image of texture alone may show, on average.
    pub false_cells: f64,
    /// The plane that the footprints are put in.
    pub plane: u32,
}

impl Default for Anatomy {
    fn default() -> Self {
        Self {
            diameter: 11.0,
            false_cells: 1.0,
            plane: 0,
        }
    }
}

impl Anatomy {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value, range, rule) in [
            (
                "diameter",
                self.diameter,
                3.0..=200.0,
                "from 3 to 200 pixels",
            ),
            (
                "false_cells",
                self.false_cells,
                1e-9..=1e6,
                "from 1e-9 to 1000000",
            ),
        ] {
            if !range.contains(&value) {
                return Err(Error::Parameter { name, value, rule });
            }
        }
        Ok(())
    }
}

/// Cells seen in a still image.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Their outlines, filled, all weights 1, clearest first.
    pub footprints: Footprints,
    /// How far each stands out from its surround, in standard deviations of
    /// what the image's texture shows at such places.
    pub contrast_to_noise: Vec<f32>,
    /// What `contrast_to_noise` had to reach.
    pub threshold: f32,
}

/// Looks for bright discs and rings in an image `(y, x)`, such as the mean
/// of a movie, whether they are active or not.
///
/// 1. The background, a Gaussian mean as wide as a cell, is taken away, and
///    what is left divided by its mean magnitude over two diameters.
/// 2. The contrast of a place is the mean over a disc, or over a disc without
///    its nucleus, less that over a ring around it, for three sizes.
/// 3. Its scale is the distance from the median to the 16th percentile over
///    the image: cells stand out upwards. If the image were a Gaussian texture
///    of the same spectrum, there would be
///    `A √det Λ (2π)^(−3/2) u exp(−u²/2)` maxima above `u` scales in an area
///    `A`, where `Λ` is the covariance of the gradient (Adler 1981, The Geometry
///    of Random Fields; Worsley et al. 1996, Hum. Brain Mapp. 4:58). `u` is set so
///    that over all sizes and shapes this is [`Anatomy::false_cells`].
/// 4. Cells found are taken out of the image by their mean radial profile,
///    and scale and threshold are taken again: where cells are dense they are
///    most of what makes the scale. An image without cells stays as it is.
/// 5. The outline is the closed curve about the seed over which brightness
///    falls most, found by dynamic programming over radii, its radius changing
///    little from one direction to the next.
///
/// The statement about false cells holds for texture; bright vessels and blobs
/// of a cell's size are cells as far as a still image can tell. Outlines may
/// overlap. Values that are not finite and constant borders do
/// not count. The result does not depend on the number of threads.
///
/// ```
/// use fluorspar_segment::{Anatomy, find_in_image};
///
/// // One ring on a rough background.
/// let image = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| {
///     let distance = (y as f32 - 30.0).hypot(x as f32 - 25.0);
///     let rough = ((y * 7919 + x * 104_729) % 1009) as f32 / 1009.0;
///     rough + if (2.0..5.5).contains(&distance) { 1.0 } else { 0.0 }
/// });
/// let seen = find_in_image(image.view(), &Anatomy { diameter: 11.0, ..Anatomy::default() })?;
/// let (y, x) = seen.footprints.centroid(0);
/// assert!((y - 30.0).abs() < 1.0 && (x - 25.0).abs() < 1.0);
/// # Ok::<(), fluorspar_segment::Error>(())
/// ```
///
/// # Errors
/// [`Error::Parameter`] from [`Anatomy::validate`]; [`Error::Movie`] if the
/// image has more than 2³² pixels.
pub fn find_in_image(image: ArrayView2<'_, f32>, parameters: &Anatomy) -> Result<Seen, Error> {
    parameters.validate()?;
    let (height, width) = image.dim();
    if u32::try_from(height * width).is_err() {
        return Err(Error::Movie(fluorspar_movie::Error::misuse(format!(
            "an image of {height} × {width} pixels"
        ))));
    }
    let mut seen = Seen {
        footprints: Footprints::new(height, width),
        contrast_to_noise: Vec::new(),
        threshold: f32::INFINITY,
    };
    let Some(image) = Image::new(image) else {
        return Ok(seen);
    };
    let flat = flattened(&image, parameters.diameter);
    let (mut seeds, threshold) = seeds(&flat, parameters);
    seen.threshold = threshold;
    seeds.sort_by(Seed::order);
    let smooth = smoothed(&flat, 0.08 * parameters.diameter);
    let outlines: Vec<Vec<u32>> = seeds
        .par_iter()
        .map(|seed| filled(&flat, seed, &outline(&smooth, seed)))
        .collect();
    for (seed, pixels) in seeds.iter().zip(outlines) {
        if !pixels.is_empty() {
            let weights = vec![1.0; pixels.len()];
            seen.footprints.push(&pixels, &weights, parameters.plane)?;
            seen.contrast_to_noise.push(seed.clear);
        }
    }
    Ok(seen)
}

/// The image without its background, in units of its local contrast.
fn flattened(image: &Image, diameter: f64) -> Image {
    let mut background = Blurred::new(image);
    background.blur(diameter);
    let mut flat = image.clone();
    for (pixel, (value, mean)) in flat.values.iter_mut().zip(background.mean()).enumerate() {
        *value = if image.usable(pixel) {
            *value - mean
        } else {
            0.0
        };
    }
    let mut magnitude = flat.clone();
    for value in &mut magnitude.values {
        *value = value.abs();
    }
    let mut contrast = Blurred::new(&magnitude);
    contrast.blur(2.0 * diameter);
    let contrast = contrast.mean();
    let mut known: Vec<f32> = (0..contrast.len())
        .filter(|&pixel| image.usable(pixel))
        .map(|pixel| contrast[pixel])
        .collect();
    let middle = known.len() / 2;
    let typical = *known.select_nth_unstable_by(middle, f32::total_cmp).1;
    // Where there is nothing, rounding would become texture.
    let least = (0.1 * typical).max(f32::MIN_POSITIVE);
    for (value, contrast) in flat.values.iter_mut().zip(contrast) {
        *value /= contrast.max(least);
    }
    flat
}

fn smoothed(image: &Image, sigma: f64) -> Image {
    let mut blurred = Blurred::new(image);
    blurred.blur(sigma);
    let mut smooth = image.clone();
    for (pixel, (value, mean)) in smooth.values.iter_mut().zip(blurred.mean()).enumerate() {
        *value = if image.usable(pixel) { mean } else { 0.0 };
    }
    smooth
}

/// Where a cell is, and how large and clear.
#[derive(Clone, Copy, Debug)]
struct Seed {
    y: usize,
    x: usize,
    radius: f64,
    /// Contrast in units of its scale.
    clear: f32,
    /// Contrast in units of the flat image.
    contrast: f32,
}

impl Seed {
    /// Clearest first; equal ones by place.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other
            .clear
            .total_cmp(&self.clear)
            .then((self.y, self.x).cmp(&(other.y, other.x)))
    }
}

/// All seeds, and the threshold of the last round.
fn seeds(flat: &Image, parameters: &Anatomy) -> (Vec<Seed>, f32) {
    let mut left = flat.clone();
    let mut found: Vec<Seed> = Vec::new();
    let mut threshold = f32::INFINITY;
    let apart = APART * parameters.diameter;
    let mut taken: HashMap<(usize, usize), Vec<(usize, usize)>> = HashMap::new();
    let areas: Vec<Areas> = SIZES
        .iter()
        .map(|size| Areas::new(flat, size * parameters.diameter / 2.0))
        .collect();
    for _ in 0..ROUNDS {
        let (candidates, limit) = candidates(&left, &areas, parameters.false_cells);
        threshold = limit;
        let before = found.len();
        for seed in candidates {
            let bin = |v: usize| (v as f64 / apart) as usize;
            let (row, column) = (bin(seed.y), bin(seed.x));
            let free = (row.saturating_sub(1)..=row + 1)
                .flat_map(|r| (column.saturating_sub(1)..=column + 1).map(move |c| (r, c)))
                .filter_map(|key| taken.get(&key))
                .flatten()
                .all(|&(y, x): &(usize, usize)| {
                    let (dy, dx) = (y.abs_diff(seed.y) as f64, x.abs_diff(seed.x) as f64);
                    dy.hypot(dx) >= apart
                });
            if free {
                taken
                    .entry((row, column))
                    .or_default()
                    .push((seed.y, seed.x));
                found.push(seed);
            }
        }
        if found.len() == before {
            break;
        }
        for seed in &found[before..] {
            take_away(&mut left, seed);
        }
    }
    (found, threshold)
}

/// Numbers of usable pixels in the parts of one size of cell.
struct Areas {
    radius: f64,
    nucleus: Vec<f32>,
    body: Vec<f32>,
    inner: Vec<f32>,
    outer: Vec<f32>,
}

impl Areas {
    fn new(image: &Image, radius: f64) -> Self {
        let ones = image
            .mask
            .clone()
            .unwrap_or_else(|| vec![1.0; image.values.len()]);
        let count = |share: f64| disc_sums(&ones, image.height, image.width, share * radius);
        Self {
            radius,
            nucleus: count(NUCLEUS),
            body: count(1.0),
            inner: count(SURROUND.0),
            outer: count(SURROUND.1),
        }
    }

    /// Contrast of discs and of rings, shrunk by as much as its error is
    /// greater where pixels are missing; NaN where too little of the cell
    /// or of its surround is usable.
    fn contrasts(&self, image: &Image) -> [Vec<f32>; 2] {
        let sum = |share: f64| {
            disc_sums(
                &image.values,
                image.height,
                image.width,
                share * self.radius,
            )
        };
        let (nucleus, body) = (sum(NUCLEUS), sum(1.0));
        let (inner, outer) = (sum(SURROUND.0), sum(SURROUND.1));
        let area = PI * self.radius * self.radius;
        let ring = area * (SURROUND.1 * SURROUND.1 - SURROUND.0 * SURROUND.0);
        let contrast = |pixel: usize, nucleus: (f32, f32)| {
            let count = self.body[pixel] - nucleus.1;
            let around = self.outer[pixel] - self.inner[pixel];
            let enough = f64::from(self.body[pixel]) >= 0.7 * area
                && f64::from(around) >= 0.5 * ring
                && count > 0.0
                && image.usable(pixel);
            if enough {
                let contrast =
                    (body[pixel] - nucleus.0) / count - (outer[pixel] - inner[pixel]) / around;
                // Fewer pixels at a border are a greater error, not a cell.
                let full = (area as f32, ring as f32);
                contrast
                    * ((full.0.recip() + full.1.recip()) / (count.recip() + around.recip())).sqrt()
            } else {
                f32::NAN
            }
        };
        let pixels = 0..image.values.len();
        [
            pixels.clone().map(|p| contrast(p, (0.0, 0.0))).collect(),
            pixels
                .map(|p| contrast(p, (nucleus[p], self.nucleus[p])))
                .collect(),
        ]
    }
}

/// Sums over the disc of `radius` about every pixel, as far as it lies inside
/// the image.
fn disc_sums(values: &[f32], height: usize, width: usize, radius: f64) -> Vec<f32> {
    let mut sums = vec![0.0_f64; height * (width + 1)];
    sums.par_chunks_mut(width + 1)
        .zip(values.par_chunks(width))
        .for_each(|(sums, row)| {
            let mut sum = 0.0;
            for (slot, &value) in sums[1..].iter_mut().zip(row) {
                sum += f64::from(value);
                *slot = sum;
            }
        });
    let reach = radius.floor() as usize;
    let mut out = vec![0.0_f32; height * width];
    out.par_chunks_mut(width).enumerate().for_each_init(
        || vec![0.0_f64; width],
        |total, (y, out)| {
            total.fill(0.0);
            for row in y.saturating_sub(reach)..(y + reach + 1).min(height) {
                let off = row.abs_diff(y) as f64;
                let half = (radius * radius - off * off).max(0.0).sqrt() as usize;
                let sums = &sums[row * (width + 1)..][..=width];
                // Where the row of the disc lies inside the image, and where not.
                let inside = half.min(width)..width.saturating_sub(half).max(half.min(width));
                if !inside.is_empty() {
                    let count = inside.len();
                    add_difference(
                        &mut total[inside.clone()],
                        &sums[2 * half + 1..],
                        &sums[..count],
                    );
                }
                for x in (0..inside.start).chain(inside.end..width) {
                    total[x] += sums[(x + half + 1).min(width)] - sums[x.saturating_sub(half)];
                }
            }
            for (slot, &total) in out.iter_mut().zip(&*total) {
                *slot = total as f32;
            }
        },
    );
    out
}

fluorspar_movie::vectorised! {
    /// `sums += a − b`.
    fn add_difference<'a>(sums: &'a mut [f64], a: &'a [f64], b: &'a [f64]) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a - b;
        }
    }
}

/// Maxima beyond the threshold, clearest first, and the threshold.
fn candidates(left: &Image, areas: &[Areas], false_cells: f64) -> (Vec<Seed>, f32) {
    let mut scratch = Vec::new();
    let mut places = 0.0;
    // The clearest of all sizes and shapes, and the radius and scale of it.
    let mut clearest = vec![f32::NEG_INFINITY; left.values.len()];
    let mut which = vec![0_u8; left.values.len()];
    let mut kinds = Vec::new();
    for areas in areas {
        for contrasts in areas.contrasts(left) {
            let known: Vec<f32> = contrasts.iter().copied().filter(|v| !v.is_nan()).collect();
            let rest = Rest::of(&known, &mut scratch);
            if rest.noise <= 0.0 {
                continue;
            }
            let detail = detail(&contrasts, left.width, &mut scratch);
            places += known.len() as f64 * detail / f64::from(rest.noise).powi(2);
            for (pixel, contrast) in contrasts.iter().enumerate() {
                let clear = (contrast - rest.level) / rest.noise;
                if clear > clearest[pixel] {
                    clearest[pixel] = clear;
                    which[pixel] = kinds.len() as u8;
                }
            }
            kinds.push((areas.radius, rest.noise));
        }
    }
    let limit = threshold(places, false_cells);
    let (height, width) = (left.height, left.width);
    let mut found: Vec<Seed> = (0..clearest.len())
        .filter(|&pixel| clearest[pixel] >= limit)
        .map(|pixel| {
            let (radius, noise) = kinds[which[pixel] as usize];
            Seed {
                y: pixel / width,
                x: pixel % width,
                radius,
                clear: clearest[pixel],
                contrast: clearest[pixel] * noise,
            }
        })
        .filter(|seed| {
            let columns = seed.x.saturating_sub(1)..(seed.x + 2).min(width);
            (seed.y.saturating_sub(1)..(seed.y + 2).min(height))
                .flat_map(|y| &clearest[y * width..][columns.clone()])
                .all(|&other| other <= seed.clear)
        })
        .collect();
    found.sort_by(Seed::order);
    (found, limit)
}

/// `√det Λ` of a field: the product of the two standard deviations of its
/// differences, each measured as the scale of the field is.
fn detail(field: &[f32], width: usize, scratch: &mut Vec<f32>) -> f64 {
    let mut spread = |step: usize, ends: bool| {
        let steps: Vec<f32> = (0..field.len().saturating_sub(step))
            .filter(|&pixel| !ends || pixel % width + 1 < width)
            .map(|pixel| field[pixel + step] - field[pixel])
            .filter(|step| !step.is_nan())
            .collect();
        f64::from(Rest::of(&steps, scratch).noise)
    };
    spread(width, false) * spread(1, true)
}

/// The height that `expected` maxima exceed in Gaussian fields of `places`
/// `= Σ A √det Λ`.
fn threshold(places: f64, expected: f64) -> f32 {
    let above = |u: f64| places * TAU.powf(-1.5) * u * (-0.5 * u * u).exp();
    // Below 1 the formula no longer falls.
    let (mut low, mut high) = (1.0, 40.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if above(middle) > expected {
            low = middle;
        } else {
            high = middle;
        }
    }
    high as f32
}

/// Takes a cell's mean radial profile, as far as it exceeds the surround, out
/// of the image.
fn take_away(left: &mut Image, seed: &Seed) {
    let outer = SURROUND.1 * seed.radius;
    let rings = outer.ceil() as usize + 2;
    let reach = rings as i64;
    let mut places = Vec::new();
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let (y, x) = (seed.y as i64 + dy, seed.x as i64 + dx);
            let distance = ((dy * dy + dx * dx) as f64).sqrt();
            let inside =
                (0..left.height as i64).contains(&y) && (0..left.width as i64).contains(&x);
            if inside && distance <= outer {
                let pixel = y as usize * left.width + x as usize;
                if left.usable(pixel) {
                    places.push((pixel, distance));
                }
            }
        }
    }
    let mut sums = vec![(0.0_f64, 0.0_f64); rings];
    let mut around = (0.0, 0.0);
    for &(pixel, distance) in &places {
        let value = f64::from(left.values[pixel]);
        if distance <= SURROUND.0 * seed.radius {
            let ring = &mut sums[distance.round() as usize];
            *ring = (ring.0 + value, ring.1 + 1.0);
        } else {
            around = (around.0 + value, around.1 + 1.0);
        }
    }
    if around.1 == 0.0 {
        return;
    }
    let level = around.0 / around.1;
    for &(pixel, distance) in &places {
        if distance <= SURROUND.0 * seed.radius {
            let ring = sums[distance.round() as usize];
            left.values[pixel] -= (ring.0 / ring.1 - level) as f32;
        }
    }
}

/// Radius of the outline in each of evenly spaced directions, from that of
/// growing columns towards that of growing rows.
fn outline(smooth: &Image, seed: &Seed) -> Vec<f64> {
    let (count, from, to) = OUTLINE;
    let directions = ((4.0 * seed.radius) as usize).clamp(16, 96);
    let radius = |k: usize| seed.radius * (from + (to - from) * k as f64 / (count - 1) as f64);
    let across = (0.15 * seed.radius).max(0.75);
    let costs: Vec<Vec<f64>> = (0..directions)
        .map(|direction| {
            let (sin, cos) = (TAU * direction as f64 / directions as f64).sin_cos();
            let at = |r: f64| smooth.at(seed.y as f64 + r * sin, seed.x as f64 + r * cos);
            (0..count)
                .map(|k| {
                    let r = radius(k);
                    let fall = match (at(r - across), at(r + across)) {
                        (Some(inside), Some(outside)) => f64::from(inside - outside),
                        // Nothing is seen there: the expected size decides.
                        _ => 0.0,
                    };
                    (r / seed.radius - 1.0).powi(2) - fall / f64::from(seed.contrast)
                })
                .collect()
        })
        .collect();
    // The curve must end where it began: each beginning is tried.
    let closed = |first: usize| {
        let mut total = vec![f64::INFINITY; count];
        total[first] = costs[0][first];
        let mut steps: Vec<Vec<usize>> = Vec::with_capacity(directions);
        let neighbours = |k: usize| k.saturating_sub(1)..(k + 2).min(count);
        for costs in &costs[1..] {
            let step: Vec<usize> = (0..count)
                .map(|k| neighbours(k).fold(k, |a, b| if total[b] < total[a] { b } else { a }))
                .collect();
            total = (0..count).map(|k| total[step[k]] + costs[k]).collect();
            steps.push(step);
        }
        let end = neighbours(first).fold(first, |a, b| if total[b] < total[a] { b } else { a });
        let mut path = vec![end];
        for step in steps.iter().rev() {
            path.push(step[path[path.len() - 1]]);
        }
        path.reverse();
        (total[end], path)
    };
    let best = (0..count)
        .map(closed)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(Vec::new, |best| best.1);
    best.into_iter().map(radius).collect()
}

/// Usable pixels within an outline, ascending.
fn filled(image: &Image, seed: &Seed, outline: &[f64]) -> Vec<u32> {
    let reach = outline.iter().copied().fold(0.0, f64::max).ceil() as usize;
    let mut pixels = Vec::new();
    for y in seed.y.saturating_sub(reach)..(seed.y + reach + 1).min(image.height) {
        for x in seed.x.saturating_sub(reach)..(seed.x + reach + 1).min(image.width) {
            let (dy, dx) = (y as f64 - seed.y as f64, x as f64 - seed.x as f64);
            let direction = dy.atan2(dx).rem_euclid(TAU) / TAU * outline.len() as f64;
            let (index, part) = (direction as usize, direction.fract());
            let radius = (1.0 - part) * outline[index % outline.len()]
                + part * outline[(index + 1) % outline.len()];
            if dy.hypot(dx) <= radius && image.usable(y * image.width + x) {
                pixels.push((y * image.width + x) as u32);
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disc_sums_count_the_lattice_points_of_a_disc() {
        let (height, width) = (23, 31);
        let values: Vec<f32> = (0..height * width).map(|p| (p * 7 % 11) as f32).collect();
        for radius in [0.0, 1.0, 2.5, 7.0, 40.0] {
            let sums = disc_sums(&values, height, width, radius);
            for (y, x) in [(0, 0), (11, 15), (22, 3), (5, 30)] {
                let expected: f32 = (0..height * width)
                    .filter(|p| {
                        let (dy, dx) = ((p / width).abs_diff(y), (p % width).abs_diff(x));
                        (dy * dy + dx * dx) as f64 <= radius * radius
                    })
                    .map(|p| values[p])
                    .sum();
                assert_eq!(sums[y * width + x], expected, "{radius} {y} {x}");
            }
        }
    }

    #[test]
    fn the_threshold_solves_its_equation() {
        for (places, expected) in [(1e4, 1.0), (3e6, 0.01), (50.0, 0.5)] {
            let u = f64::from(threshold(places, expected));
            let above = places * TAU.powf(-1.5) * u * (-0.5 * u * u).exp();
            assert!((above / expected - 1.0).abs() < 1e-4);
        }
        assert_eq!(threshold(0.0, 1.0), 1.0);
    }

    #[test]
    fn an_outline_follows_an_ellipse() {
        let (a, b) = (9.0, 6.5);
        let drawn = ndarray::Array2::from_shape_fn((41, 41), |(y, x)| {
            let q = ((y as f64 - 20.0) / a).hypot((x as f64 - 20.0) / b);
            (1.0 / (1.0 + (12.0 * (q - 1.0)).exp())) as f32 + 1e-6 * ((3 * y + x) % 7) as f32
        });
        let image = Image::new(drawn.view()).unwrap();
        let seed = Seed {
            y: 20,
            x: 20,
            radius: 8.0,
            clear: 9.0,
            contrast: 1.0,
        };
        let pixels = filled(&image, &seed, &outline(&image, &seed));
        let inside = |p: &&u32| drawn[[(**p / 41) as usize, (**p % 41) as usize]] > 0.5;
        let both = pixels.iter().filter(inside).count() as f64;
        let truth = drawn.iter().filter(|v| **v > 0.5).count() as f64;
        assert!(both / (truth + pixels.len() as f64 - both) > 0.85);
    }
}
