//! A first look at a few windows of frames: about how large each pixel is and
//! how noisy, and how slow the movie's signals are.

use std::ops::Range;

use fluorspar_movie::{Movie, MovieShape, PixelType};
use rayon::prelude::*;

use crate::Error;
use crate::moments::Moments;
use crate::read::read;

/// Windows looked at, and frames in each.
const WINDOWS: usize = 3;
const WINDOW: usize = 128;
/// Side of the boxes whose mean brightness shows how slow signals are, pixels.
const BOX: usize = 8;
/// Longest bin, frames.
const LONGEST_BIN: usize = 16;
/// Fewest bins that a movie is cut into, where it has as many frames.
const FEWEST_BINS: usize = 96;
/// Share of a signal's variance that averaging within bins must keep.
const KEPT: f64 = 0.75;
/// Frames summed before the sums are closed.
const CLOSE: usize = 8;
/// Bytes of frames held at a time, where the room allows it.
const CHUNK: usize = 32 << 20;

/// What a few windows of frames show.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Provisional mean of each pixel.
    pub(crate) mean: Vec<f32>,
    /// Provisional noise of each pixel, never zero.
    pub(crate) noise: Vec<f32>,
    /// May samples be missing?
    pub(crate) gaps: bool,
    /// Frames per bin.
    pub(crate) bin: usize,
}

/// One line of boxes: its pixels' moments, and the boxes' brightness over time.
struct Strip {
    first: usize,
    length: usize,
    moments: Moments,
    low: Vec<f32>,
    high: Vec<f32>,
    /// One course per box and window.
    brightness: Vec<Vec<f32>>,
    /// The pixels' first values, from which brightness is measured.
    base: Vec<f32>,
    /// Deviations of the frames that are being summed, and their number.
    bin: Vec<f32>,
    filled: usize,
}

impl Probe {
    /// Reads up to three windows, spread evenly; more than once if what is
    /// summed up of all pixels does not fit into `room` bytes.
    pub(crate) fn new(movie: &dyn Movie, room: usize) -> Result<Self, Error> {
        let shape = movie.shape();
        let length = shape.frame_len();
        let gaps = matches!(movie.pixel_type(), PixelType::F32 | PixelType::F64);
        let windows = windows(shape.frames);
        let chunk = chunk(shape, room);
        let lines = length / shape.width;
        let step = section(shape, room);
        let mut buffer = vec![0.0; chunk * length];
        let (mut mean, mut noise) = (Vec::with_capacity(length), Vec::with_capacity(length));
        let mut correlation = Correlation::default();
        for first in (0..lines).step_by(step) {
            let section = first * shape.width..(first + step).min(lines) * shape.width;
            let mut strips = Vec::new();
            for window in &windows {
                for start in window.clone().step_by(chunk) {
                    let frames = start..(start + chunk).min(window.end);
                    let buffer = &mut buffer[..frames.len() * length];
                    read(movie, frames, buffer)?;
                    if strips.is_empty() {
                        strips = cut(shape.width, section.clone(), buffer, gaps);
                    }
                    strips.par_iter_mut().for_each(|strip| {
                        if start == window.start {
                            strip.begin_window(shape.width, window.len());
                        }
                        for frame in buffer.chunks_exact(length) {
                            strip.add(frame, shape.width);
                        }
                    });
                }
            }
            for strip in &mut strips {
                strip.close();
                for pixel in 0..strip.length {
                    mean.push(strip.moments.mean(pixel));
                    // A pixel that hardly moves may do so later; its unit follows its range.
                    let range = (strip.high[pixel] - strip.low[pixel]).max(0.0);
                    noise.push(strip.moments.noise(pixel).max(range / 4096.0));
                }
                for course in &strip.brightness {
                    correlation.add(course);
                }
            }
        }
        drop(buffer);
        let mut positive: Vec<f32> = noise.iter().copied().filter(|&n| n > 0.0).collect();
        positive.sort_unstable_by(f32::total_cmp);
        let least = positive.get(positive.len() / 2).map_or(1.0, |n| n / 64.0);
        for noise in &mut noise {
            *noise = noise.max(least);
        }
        Ok(Self {
            mean,
            noise,
            gaps,
            bin: correlation.bin(shape.frames),
        })
    }
}

/// Bytes held beside the result: for `room` bytes, and never less than one
/// frame and one line of boxes take.
pub(crate) fn workspace(shape: MovieShape, room: usize) -> usize {
    let frames = 4 * chunk(shape, room) * shape.frame_len();
    let strips = section(shape, room).div_ceil(BOX);
    // The middle of the noise is looked for when both are gone.
    (frames + strips * strip_bytes(shape)).max(4 * shape.frame_len())
}

fn windows(frames: usize) -> Vec<Range<usize>> {
    if frames <= WINDOWS * WINDOW {
        return std::iter::once(0..frames).collect();
    }
    (0..WINDOWS)
        .map(|k| k * (frames - WINDOW) / (WINDOWS - 1))
        .map(|start| start..start + WINDOW)
        .collect()
}

/// Frames read at a time.
fn chunk(shape: MovieShape, room: usize) -> usize {
    let longest = WINDOW.max(shape.frames.min(WINDOWS * WINDOW));
    ((room / 4).min(CHUNK) / (4 * shape.frame_len())).clamp(1, longest)
}

/// Image lines of all planes that are summed up at a time: whole boxes.
fn section(shape: MovieShape, room: usize) -> usize {
    let left = room.saturating_sub(4 * chunk(shape, room) * shape.frame_len());
    let all = shape.planes * shape.height;
    ((left / strip_bytes(shape)).max(1) * BOX).min(all)
}

/// Bytes of one line of boxes.
fn strip_bytes(shape: MovieShape) -> usize {
    let pixel = Moments::BYTES + 4 * size_of::<f32>();
    let sampled = shape.frames.min(WINDOWS * WINDOW);
    // Lists grow by doubling.
    let course = size_of::<f32>() * sampled + 2 * WINDOWS * size_of::<Vec<f32>>();
    BOX * shape.width * pixel + shape.width.div_ceil(BOX) * course + 2 * size_of::<Strip>()
}
/// Lines of boxes, each with its first values as provisional mean.
fn cut(width: usize, section: Range<usize>, frame: &[f32], gaps: bool) -> Vec<Strip> {
    let step = BOX * width;
    section
        .clone()
        .step_by(step)
        .map(|first| {
            let pixels = &frame[first..(first + step).min(section.end)];
            let base: Vec<f32> = pixels
                .iter()
                .map(|&v| if v.is_finite() { v } else { 0.0 })
                .collect();
            Strip {
                first,
                length: pixels.len(),
                moments: Moments::new(base.clone(), gaps),
                low: vec![f32::INFINITY; pixels.len()],
                high: vec![f32::NEG_INFINITY; pixels.len()],
                brightness: Vec::new(),
                bin: vec![0.0; pixels.len()],
                filled: 0,
                base,
            }
        })
        .collect()
}

impl Strip {
    /// Adds the frames so far to the sums.
    fn close(&mut self) {
        self.moments.close(&self.bin);
        self.bin.fill(0.0);
        self.filled = 0;
    }

    fn begin_window(&mut self, width: usize, frames: usize) {
        self.moments.interrupt();
        let boxes = width.div_ceil(BOX);
        let courses = (0..boxes).map(|_| Vec::with_capacity(frames));
        self.brightness.extend(courses);
    }

    fn add(&mut self, frame: &[f32], width: usize) {
        let values = &frame[self.first..self.first + self.length];
        self.moments.add(0, values, &mut self.bin);
        self.moments.next_frame();
        self.filled += 1;
        if self.filled == CLOSE {
            self.close();
        }
        for ((low, high), &v) in self.low.iter_mut().zip(&mut self.high).zip(values) {
            // What is not finite compares as neither lower nor higher.
            *low = if v < *low && v > f32::NEG_INFINITY {
                v
            } else {
                *low
            };
            *high = if v > *high && v < f32::INFINITY {
                v
            } else {
                *high
            };
        }
        let boxes = width.div_ceil(BOX);
        let mut sums = vec![0.0_f32; boxes];
        let lines = values
            .chunks_exact(width)
            .zip(self.base.chunks_exact(width));
        for (line, base) in lines {
            for ((sum, part), base) in sums.iter_mut().zip(line.chunks(BOX)).zip(base.chunks(BOX)) {
                for (&v, &base) in part.iter().zip(base) {
                    let deviation = v - base;
                    *sum += if deviation.is_finite() {
                        deviation
                    } else {
                        0.0
                    };
                }
            }
        }
        let window = self.brightness.len() - boxes;
        for (course, sum) in self.brightness[window..].iter_mut().zip(sums) {
            course.push(sum);
        }
    }
}

/// Covariance in time of the boxes' brightness, to which noise, white in
/// time, adds nothing but at lag zero.
#[derive(Default)]
struct Correlation {
    /// Sums over boxes, in units of their noise, at each lag.
    covariance: [f64; LONGEST_BIN + 1],
    uncertainty: f64,
}

impl Correlation {
    fn add(&mut self, course: &[f32]) {
        let n = course.len();
        if n < 2 * LONGEST_BIN {
            return;
        }
        let mean = course.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        let centred: Vec<f64> = course.iter().map(|&v| f64::from(v) - mean).collect();
        // Boxes count in units of their own noise.
        let noise = centred
            .windows(3)
            .map(|w| (w[0] - 2.0 * w[1] + w[2]).powi(2));
        let noise = noise.sum::<f64>() / (6 * (n - 2)) as f64;
        if noise <= 0.0 {
            return;
        }
        for (lag, sum) in self.covariance.iter_mut().enumerate() {
            let products: f64 = centred
                .iter()
                .zip(&centred[lag..])
                .map(|(a, b)| a * b)
                .sum();
            *sum += products / (n - lag) as f64 / noise;
        }
        self.uncertainty += 1.0 / n as f64;
    }

    /// Frames that can be averaged before signals suffer.
    fn bin(&self, frames: usize) -> usize {
        let covariance = &self.covariance;
        let most = LONGEST_BIN.min(frames / FEWEST_BINS).max(1);
        // Too little signal to tell: calcium is slow.
        if covariance[1] < 5.0 * self.uncertainty.sqrt() {
            return most.min(8);
        }
        // The signals' own variance: noise hides it at lag zero, but they decay.
        let twice = covariance[1] / covariance[3].max(0.1 * covariance[1]);
        let variance = covariance[1] * twice.sqrt().max(1.0);
        let kept = |bin: usize| {
            let pairs: f64 = (1..bin)
                .map(|lag| (bin - lag) as f64 * covariance[lag])
                .sum();
            (bin as f64 + 2.0 * pairs / variance) / (bin * bin) as f64
        };
        (1..=most).rev().find(|&b| kept(b) >= KEPT).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluorspar_movie::ArrayMovie;
    use ndarray::Array3;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    /// A movie of noise around cells that decay over `decay` frames.
    fn movie(decay: f32, frames: usize) -> ArrayMovie<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let normal = Normal::new(0.0_f32, 1.0).unwrap();
        let mut state = vec![0.0_f32; 16];
        let keep = (-1.0 / decay).exp();
        let mut data = Array3::zeros((frames, 32, 32));
        for mut frame in data.outer_iter_mut() {
            for s in &mut state {
                *s = keep * *s + (1.0 - keep * keep).sqrt() * normal.sample(&mut rng);
            }
            for ((y, x), v) in frame.indexed_iter_mut() {
                *v = 50.0 + state[y / 8 * 4 + x / 8] + normal.sample(&mut rng);
            }
        }
        ArrayMovie::new(data)
    }

    #[test]
    fn bins_follow_the_signals() {
        let bin = |decay| Probe::new(&movie(decay, 3000), usize::MAX).unwrap().bin;
        assert!(bin(30.0) >= 6, "{}", bin(30.0));
        assert!((2..=5).contains(&bin(7.0)), "{}", bin(7.0));
        assert_eq!(bin(1.0), 1);
    }

    #[test]
    fn short_movies_keep_enough_bins() {
        assert_eq!(Probe::new(&movie(30.0, 100), usize::MAX).unwrap().bin, 1);
        assert_eq!(Probe::new(&movie(30.0, 300), usize::MAX).unwrap().bin, 3);
    }

    #[test]
    fn little_room_shows_the_same() {
        let movie = movie(30.0, 500);
        let all = Probe::new(&movie, usize::MAX).unwrap();
        for room in [0, 50_000, 200_000] {
            let few = Probe::new(&movie, room).unwrap();
            assert_eq!((&few.mean, &few.noise), (&all.mean, &all.noise));
            assert_eq!(few.bin, all.bin);
        }
    }

    #[test]
    fn mean_and_noise_are_about_right() {
        let probe = Probe::new(&movie(30.0, 500), usize::MAX).unwrap();
        assert!(probe.mean.iter().all(|m| (m - 50.0).abs() < 2.0));
        assert!(probe.noise.iter().all(|n| (0.7..1.4).contains(n)));
    }
}
