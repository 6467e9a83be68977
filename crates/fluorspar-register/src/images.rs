use fluorspar_movie::{PixelType, from_native, vectorised};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

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
const BAND: usize = 4;
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

/// Adds up [`Images`] block by block; the result does not depend on how the
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
    /// The rows of two frames and the one below, the centre taken off; two,
    /// so that every sum is fetched and put back half as often.
    lines: [Vec<f32>; 2],
    /// How many of the two are waiting.
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
                    lines: [vec![0.0; (rows + 1) * width], vec![0.0; (rows + 1) * width]],
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

    pub(crate) fn finish(mut self) -> Images {
        let (height, width) = self.centre.dim();
        for band in &mut self.bands {
            band.flush(band.first + band.rows == height, width);
            band.keep();
        }
        let n = self.frames.max(1) as f64;
        let at = |kind: usize, y: usize, x: usize| {
            let band = &self.bands[y / BAND];
            band.sums[(kind * band.rows + y - band.first) * width + x] / n
        };
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
            let band = &self.bands[y / BAND];
            let value = band.max[(y - band.first) * width + x];
            if value.is_finite() {
                value
            } else {
                self.centre[[y, x]]
            }
        });
        let centre = &self.centre;
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

impl Band {
    /// Adds the band's rows of one frame.
    fn add(&mut self, pixel_type: PixelType, bytes: &[u8], centre: &[f32], width: usize) {
        let lines = &mut self.lines[self.waiting];
        from_native(pixel_type, bytes, lines);
        centre_and_max(lines, centre, &mut self.max);
        self.waiting += 1;
        if self.waiting == 2 {
            self.flush(centre.len() == self.rows * width, width);
        }
    }

    /// Adds the frames that are waiting; `bottom` if there is no row below.
    fn flush(&mut self, bottom: bool, width: usize) {
        if self.waiting == 0 {
            return;
        }
        if self.waiting == 1 {
            self.lines[1].fill(0.0);
        }
        self.waiting = 0;
        let plane = self.rows * width;
        let [first, second] = &self.lines;
        let mut kinds = self.run.chunks_exact_mut(plane);
        let mut next = || kinds.next().unwrap_or_default();
        let (value, square, right) = (next(), next(), next());
        let (below, below_right, below_left) = (next(), next(), next());
        for row in 0..self.rows {
            let span = row * width..(row + 1) * width;
            let here = [&first[span.clone()], &second[span.clone()]];
            add_row(
                here,
                &mut value[span.clone()],
                &mut square[span.clone()],
                &mut right[span.clone()],
            );
            if row + 1 < self.rows || !bottom {
                let next = (row + 1) * width..(row + 2) * width;
                add_below(
                    here,
                    [&first[next.clone()], &second[next]],
                    &mut below[span.clone()],
                    &mut below_right[span.clone()],
                    &mut below_left[span],
                );
            }
        }
        self.in_run += 1;
        if self.in_run == RUN / 2 {
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
        for (top, &value) in max.iter_mut().zip(lines.iter()) {
            *top = top.max(value);
        }
        for (value, &middle) in lines.iter_mut().zip(centre) {
            *value -= middle;
        }
    }

    fn add_row<'a>(
        here: [&'a [f32]; 2],
        value: &'a mut [f32],
        square: &'a mut [f32],
        right: &'a mut [f32],
    ) {
        let [a, b] = here;
        products(right, here, [&a[1..], &b[1..]]);
        products(square, here, here);
        for (sum, (a, b)) in value.iter_mut().zip(a.iter().zip(b)) {
            *sum += a + b;
        }
    }

    fn add_below<'a>(
        here: [&'a [f32]; 2],
        under: [&'a [f32]; 2],
        below: &'a mut [f32],
        below_right: &'a mut [f32],
        below_left: &'a mut [f32],
    ) {
        products(below, here, under);
        products(below_right, here, under.map(|line| &line[1..]));
        products(&mut below_left[1..], here.map(|line| &line[1..]), under);
    }
}

/// `sums += a · b` for two frames.
#[inline(always)]
fn products(sums: &mut [f32], [a0, a1]: [&[f32]; 2], [b0, b1]: [&[f32]; 2]) {
    let pairs = a0.iter().zip(b0).zip(a1.iter().zip(b1));
    for (sum, ((a0, b0), (a1, b1))) in sums.iter_mut().zip(pairs) {
        *sum += a0 * b0 + a1 * b1;
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
        let images = accumulator.finish();
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
