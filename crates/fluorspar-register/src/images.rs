use fluorspar_movie::{PixelType, from_native, vectorised};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Summaries of a registered movie over its trusted frames, each `(y, x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// Mean, in the movie's units.
    pub mean: Array2<f32>,
    /// Maximum.
    pub max: Array2<f32>,
    /// Standard deviation over time.
    pub standard_deviation: Array2<f32>,
    /// Mean Pearson correlation of a pixel with its (up to eight) neighbours
    /// over time; 0 where nothing varies.
    pub local_correlation: Array2<f32>,
    /// Frames that are in them.
    pub frames: u64,
}

/// Rows that one task adds up, frame after frame.
const BAND: usize = 8;
/// Frames whose rows wait for one another, so that every sum is fetched and
/// put back once for all of them.
const GROUP: usize = 4;
/// Frames that are added in single precision before the sums are kept in double.
const RUN: usize = 32;
/// Sums per pixel: value, square, products with the neighbours to the right,
/// below, below right and below left.
const SUMS: usize = 6;
const VALUE: usize = 0;
const SQUARE: usize = 1;
const RIGHT: usize = 2;
const BELOW: usize = 3;
const BELOW_RIGHT: usize = 4;
const BELOW_LEFT: usize = 5;

/// What [`Images`] of a part of a movie are made of; sums of parts add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    height: usize,
    width: usize,
    frames: u64,
    /// `(sum, y, x)`, values less the centre.
    added: Vec<f64>,
    /// `(y, x)`, of the values themselves; minus infinity where there are none.
    max: Vec<f32>,
}

impl Sums {
    /// Whether these are of images of so many rows and columns.
    pub(crate) fn are_of(&self, (height, width): (usize, usize)) -> bool {
        let pixels = height * width;
        (self.height, self.width) == (height, width)
            && (self.added.len(), self.max.len()) == (SUMS * pixels, pixels)
    }

    /// Adds those of the part that follows.
    pub(crate) fn add(&mut self, next: &Self) {
        self.frames += next.frames;
        for (sum, next) in self.added.iter_mut().zip(&next.added) {
            *sum += next;
        }
        for (max, next) in self.max.iter_mut().zip(&next.max) {
            *max = max.max(*next);
        }
    }

    /// The images, given what the sums were taken around.
    pub(crate) fn finish(&self, centre: ArrayView2<'_, f32>) -> Images {
        let (height, width) = (self.height, self.width);
        let n = self.frames.max(1) as f64;
        let at = |kind: usize, y: usize, x: usize| self.added[(kind * height + y) * width + x] / n;
        let mean = Array2::from_shape_fn((height, width), |(y, x)| at(VALUE, y, x));
        let deviation = Array2::from_shape_fn((height, width), |(y, x)| {
            (at(SQUARE, y, x) - mean[[y, x]].powi(2)).max(0.0).sqrt()
        });
        let mut correlation = Array2::<f64>::zeros((height, width));
        let mut neighbours = Array2::<f64>::zeros((height, width));
        for (kind, dy, dx) in [
            (RIGHT, 0, 1_isize),
            (BELOW, 1, 0),
            (BELOW_RIGHT, 1, 1),
            (BELOW_LEFT, 1, -1),
        ] {
            for y in 0..height - dy {
                for x in 0..width {
                    let other = x as isize + dx;
                    if other < 0 || other >= width as isize {
                        continue;
                    }
                    let (a, b) = ([y, x], [y + dy, other as usize]);
                    let scale = deviation[a] * deviation[b];
                    let common = at(kind, y, x) - mean[a] * mean[b];
                    let r = if scale > 0.0 {
                        (common / scale).clamp(-1.0, 1.0)
                    } else {
                        0.0
                    };
                    for place in [a, b] {
                        correlation[place] += r;
                        neighbours[place] += 1.0;
                    }
                }
            }
        }
        let max = Array2::from_shape_fn((height, width), |(y, x)| {
            let value = self.max[y * width + x];
            if value.is_finite() {
                value
            } else {
                centre[[y, x]]
            }
        });
        Images {
            mean: Array2::from_shape_fn((height, width), |at| {
                (mean[at] + f64::from(centre[at])) as f32
            }),
            max,
            standard_deviation: deviation.mapv(|v| v as f32),
            local_correlation: Array2::from_shape_fn((height, width), |at| {
                (correlation[at] / neighbours[at].max(1.0)) as f32
            }),
            frames: self.frames,
        }
    }
}

/// Adds up [`Sums`] block by block; the result does not depend on how the
/// movie is cut into blocks or on the number of threads.
#[derive(Debug)]
pub(crate) struct Accumulator {
    centre: Array2<f32>,
    bands: Vec<Band>,
    frames: u64,
}

#[derive(Debug)]
struct Band {
    first: usize,
    rows: usize,
    /// `(sum, row, x)`.
    sums: Vec<f64>,
    run: Vec<f32>,
    in_run: usize,
    max: Vec<f32>,
    /// The rows of a group of frames and the one below, the centre taken off.
    lines: [Vec<f32>; GROUP],
    /// How many of them are waiting.
    waiting: usize,
}

impl Accumulator {
    /// Sums are taken around `centre`, so that nothing is lost to rounding.
    pub(crate) fn new(centre: ArrayView2<'_, f32>) -> Self {
        let (height, width) = centre.dim();
        let bands = (0..height)
            .step_by(BAND)
            .map(|first| {
                let rows = BAND.min(height - first);
                Band {
                    first,
                    rows,
                    sums: vec![0.0; SUMS * rows * width],
                    run: vec![0.0; SUMS * rows * width],
                    in_run: 0,
                    max: vec![f32::NEG_INFINITY; rows * width],
                    lines: std::array::from_fn(|_| vec![0.0; (rows + 1) * width]),
                    waiting: 0,
                }
            })
            .collect();
        Self {
            centre: centre.as_standard_layout().into_owned(),
            bands,
            frames: 0,
        }
    }

    /// Adds the frames of a block, native-endian, for which `counts` holds.
    pub(crate) fn add(&mut self, pixel_type: PixelType, block: &[u8], counts: &[bool]) {
        self.add_every(pixel_type, block, (0, 1), counts);
    }

    /// Adds of the images of a block the first and then every `step`th.
    pub(crate) fn add_every(
        &mut self,
        pixel_type: PixelType,
        block: &[u8],
        (first, step): (usize, usize),
        counts: &[bool],
    ) {
        let (height, width) = self.centre.dim();
        let length = height * width * pixel_type.bytes();
        let centre = self.centre.as_slice().unwrap_or_default();
        self.bands.par_iter_mut().for_each(|band| {
            let last = (band.first + band.rows + 1).min(height);
            let pixels = band.first * width..last * width;
            let bytes = pixels.start * pixel_type.bytes()..pixels.end * pixel_type.bytes();
            let images = block.chunks_exact(length).skip(first).step_by(step);
            let frames = images.zip(counts);
            for (frame, _) in frames.filter(|(_, counts)| **counts) {
                band.add(
                    pixel_type,
                    &frame[bytes.clone()],
                    &centre[pixels.clone()],
                    width,
                );
            }
        });
        self.frames += counts.iter().filter(|&&c| c).count() as u64;
    }

    /// What was added up.
    pub(crate) fn sums(mut self) -> Sums {
        let (height, width) = self.centre.dim();
        let mut added = vec![0.0; SUMS * height * width];
        let mut max = Vec::with_capacity(height * width);
        for band in &mut self.bands {
            band.flush(band.first + band.rows == height, width);
            band.keep();
            let length = band.rows * width;
            for (kind, part) in band.sums.chunks_exact(length).enumerate() {
                let at = (kind * height + band.first) * width;
                added[at..at + length].copy_from_slice(part);
            }
            max.extend_from_slice(&band.max);
        }
        Sums {
            height,
            width,
            frames: self.frames,
            added,
            max,
        }
    }
}

impl Band {
    /// Adds the band's rows of one frame.
    fn add(&mut self, pixel_type: PixelType, bytes: &[u8], centre: &[f32], width: usize) {
        let lines = &mut self.lines[self.waiting];
        from_native(pixel_type, bytes, lines);
        centre_and_max(lines, centre, &mut self.max);
        self.waiting += 1;
        if self.waiting == GROUP {
            self.flush(centre.len() == self.rows * width, width);
        }
    }

    /// Adds the frames that are waiting; `bottom` if there is no row below.
    fn flush(&mut self, bottom: bool, width: usize) {
        if self.waiting == 0 {
            return;
        }
        for absent in &mut self.lines[self.waiting..] {
            absent.fill(0.0);
        }
        if bottom {
            for lines in &mut self.lines {
                lines[self.rows * width..].fill(0.0);
            }
        }
        self.waiting = 0;
        let plane = self.rows * width;
        let mut kinds = self.run.chunks_exact_mut(plane);
        let mut sums: [&mut [f32]; SUMS] =
            std::array::from_fn(|_| kinds.next().unwrap_or_default());
        for row in 0..self.rows {
            let at = row * width;
            let line = |at: usize| std::array::from_fn(|k| &self.lines[k][at..at + width]);
            let sums = sums.each_mut().map(|sum| &mut sum[at..at + width]);
            add_row(line(at), line(at + width), sums);
        }
        self.in_run += GROUP;
        if self.in_run >= RUN {
            self.keep();
        }
    }

    /// Moves the single-precision sums into the double ones.
    fn keep(&mut self) {
        for (sum, part) in self.sums.iter_mut().zip(&mut self.run) {
            *sum += f64::from(*part);
            *part = 0.0;
        }
        self.in_run = 0;
    }
}

vectorised! {
    fn centre_and_max<'a>(lines: &'a mut [f32], centre: &'a [f32], max: &'a mut [f32]) {
        let (own, next) = lines.split_at_mut(max.len());
        let (middle, middle_next) = centre.split_at(max.len());
        for ((value, top), &middle) in own.iter_mut().zip(max).zip(middle) {
            *top = if *value > *top { *value } else { *top };
            *value -= middle;
        }
        for (value, &middle) in next.iter_mut().zip(middle_next) {
            *value -= middle;
        }
    }

    /// Adds a row of a group of frames, with the row below it.
    fn add_row<'a>(
        here: [&'a [f32]; GROUP],
        under: [&'a [f32]; GROUP],
        sums: [&'a mut [f32]; SUMS],
    ) {
        let [value, square, right, below, below_right, below_left] = sums;
        let width = value.len();
        // The first column has none to its left, the last none to its right.
        for k in 0..GROUP {
            for x in [0, width - 1] {
                let a = here[k][x];
                value[x] += a;
                square[x] += a * a;
                below[x] += a * under[k][x];
                if x + 1 < width {
                    right[x] += a * here[k][x + 1];
                    below_right[x] += a * under[k][x + 1];
                }
                if x > 0 {
                    below_left[x] += a * under[k][x - 1];
                }
                if width == 1 {
                    break;
                }
            }
        }
        let inner = width.saturating_sub(2);
        if inner == 0 {
            return;
        }
        let at = |lines: [&'a [f32]; GROUP], x: usize| lines.map(|line| &line[x..x + inner]);
        let (centre, east) = (at(here, 1), at(here, 2));
        let (west_under, centre_under, east_under) = (at(under, 0), at(under, 1), at(under, 2));
        let [value, square, right] = [value, square, right].map(|sum| &mut sum[1..=inner]);
        let [below, below_right, below_left] =
            [below, below_right, below_left].map(|sum| &mut sum[1..=inner]);
        for x in 0..inner {
            let mut add = [0.0_f32; SUMS];
            for k in 0..GROUP {
                let a = centre[k][x];
                add[VALUE] += a;
                add[SQUARE] += a * a;
                add[RIGHT] += a * east[k][x];
                add[BELOW] += a * centre_under[k][x];
                add[BELOW_RIGHT] += a * east_under[k][x];
                add[BELOW_LEFT] += a * west_under[k][x];
            }
            value[x] += add[VALUE];
            square[x] += add[SQUARE];
            right[x] += add[RIGHT];
            below[x] += add[BELOW];
            below_right[x] += add[BELOW_RIGHT];
            below_left[x] += add[BELOW_LEFT];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn the_images_have_their_textbook_values() {
        let (frames, height, width) = (77, 19, 21);
        let movie = Array3::from_shape_fn((frames, height, width), |(t, y, x)| {
            let common = ((t * t * 7) % 31) as f32;
            1000.0 + common * (y % 3) as f32 + ((t * 13 + y * 5 + x * 3) % 17) as f32
        });
        let bytes: Vec<u8> = movie
            .iter()
            .flat_map(|&v| (v as i16).to_ne_bytes())
            .collect();
        let centre = Array2::from_elem((height, width), 900.0);
        let mut accumulator = Accumulator::new(centre.view());
        let length = height * width * 2;
        for (block, part) in bytes.chunks(10 * length).enumerate() {
            let count = part.len() / length;
            let counts: Vec<bool> = (0..count).map(|k| block * 10 + k != 5).collect();
            accumulator.add(PixelType::I16, part, &counts);
        }
        let images = accumulator.sums().finish(centre.view());
        assert_eq!(images.frames, 76);
        let trace = |y: usize, x: usize| -> Vec<f64> {
            (0..frames)
                .map(|t| movie[[t, y, x]])
                .enumerate()
                .filter(|(t, _)| *t != 5)
                .map(|(_, v)| f64::from(v))
                .collect()
        };
        let moments = |a: &[f64], b: &[f64]| {
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
            let (ma, mb) = (mean(a), mean(b));
            a.iter()
                .zip(b)
                .map(|(a, b)| (a - ma) * (b - mb))
                .sum::<f64>()
                / a.len() as f64
        };
        for (y, x) in [(0, 0), (7, 20), (8, 3), (18, 10), (10, 10)] {
            let here = trace(y, x);
            let mean = here.iter().sum::<f64>() / here.len() as f64;
            assert!((f64::from(images.mean[[y, x]]) - mean).abs() < 1e-3);
            let sd = moments(&here, &here).sqrt();
            assert!((f64::from(images.standard_deviation[[y, x]]) - sd).abs() < 1e-3);
            let max = here.iter().copied().fold(0.0, f64::max);
            assert!((f64::from(images.max[[y, x]]) - max).abs() < 1e-6);
            let mut all = Vec::new();
            for dy in -1..=1_isize {
                for dx in -1..=1_isize {
                    let (v, u) = (y as isize + dy, x as isize + dx);
                    let inside = v >= 0 && u >= 0 && v < height as isize && u < width as isize;
                    if (dy, dx) != (0, 0) && inside {
                        let there = trace(v as usize, u as usize);
                        all.push(moments(&here, &there) / sd / moments(&there, &there).sqrt());
                    }
                }
            }
            let expected = all.iter().sum::<f64>() / all.len() as f64;
            let found = f64::from(images.local_correlation[[y, x]]);
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
}
