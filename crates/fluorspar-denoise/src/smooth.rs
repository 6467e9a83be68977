//! Smoothing images as far as they are noise.

use fluorspar_movie::vectorised;

use crate::block::Shape;

/// Times that the binomial kernel is applied: standard deviations of 0, 0.7,
/// 1, 1.4, 2 and 2.8 pixels. Each but the first two doubles the one before.
const TIMES: [usize; 6] = [0, 1, 2, 4, 8, 16];

/// Smooths every plane of an image once with the kernel `(1 2 1)/4` along y
/// and x, mirrored at the borders; `room` is scratch.
pub(crate) fn smooth(image: &mut [f32], shape: Shape, room: &mut Vec<f32>) {
    let [_, rows, columns] = shape;
    let plane = rows * columns;
    room.resize(plane.max(columns + 2), 0.0);
    for image in image.chunks_exact_mut(plane) {
        along_y(image, &mut room[..plane], columns);
        along_x(&room[..plane], image, columns);
    }
}

vectorised! {
    fn along_y<'a>(image: &'a [f32], out: &'a mut [f32], columns: usize) {
        let rows = image.len() / columns;
        for y in 0..rows {
            let line = |y: usize| &image[y * columns..(y + 1) * columns];
            let (above, own, below) = (line(y.saturating_sub(1)), line(y), line((y + 1).min(rows - 1)));
            let out = &mut out[y * columns..(y + 1) * columns];
            for (((out, &a), &b), &c) in out.iter_mut().zip(above).zip(own).zip(below) {
                *out = 0.25 * (a + c) + 0.5 * b;
            }
        }
    }

    fn along_x<'a>(image: &'a [f32], out: &'a mut [f32], columns: usize) {
        for (line, out) in image.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
            let last = columns - 1;
            if last == 0 {
                out[0] = line[0];
                continue;
            }
            out[0] = 0.75 * line[0] + 0.25 * line[1];
            out[last] = 0.75 * line[last] + 0.25 * line[last - 1];
            let inner = line[..last - 1].iter().zip(&line[1..last]).zip(&line[2..]);
            for (out, ((&a, &b), &c)) in out[1..last].iter_mut().zip(inner) {
                *out = 0.25 * (a + c) + 0.5 * b;
            }
        }
    }
}

/// Smooths images of one shape by the amount that their noise, of standard
/// deviation 1 and white, calls for.
pub(crate) struct Smoother<'a> {
    shape: Shape,
    usable: &'a [bool],
    /// For each of [`TIMES`]: the trace of the smoothing operator, and, where
    /// pixels cannot be used, the weight that reaches each pixel from those
    /// that can.
    kernels: Vec<(f64, Option<Vec<f32>>)>,
}

impl<'a> Smoother<'a> {
    pub(crate) fn new(shape: Shape, usable: &'a [bool]) -> Self {
        let complete = usable.iter().all(|&u| u);
        let mask: Vec<f32> = usable.iter().map(|&u| f32::from(u8::from(u))).collect();
        let mut reached = mask.clone();
        let mut room = Vec::new();
        let mut done = 0;
        let (along_y, along_x) = (traces(shape[1]), traces(shape[2]));
        let kernels = TIMES
            .iter()
            .enumerate()
            .map(|(k, &times)| {
                if !complete {
                    for _ in done..times {
                        smooth(&mut reached, shape, &mut room);
                    }
                    done = times;
                }
                let trace = shape[0] as f64 * along_y[k] * along_x[k];
                (trace, (!complete).then(|| reached.clone()))
            })
            .collect();
        Self {
            shape,
            usable,
            kernels,
        }
    }

    /// Replaces `image` by its smoothed version of least expected error.
    pub(crate) fn denoise(&self, image: &mut [f32]) {
        let mut smoothed = image.to_vec();
        let mut now = image.to_vec();
        let mut best = (f64::INFINITY, image.to_vec());
        let mut room = Vec::new();
        let mut done = 0;
        for (&times, (trace, reached)) in TIMES.iter().zip(&self.kernels) {
            for _ in done..times {
                smooth(&mut now, self.shape, &mut room);
            }
            done = times;
            smoothed.copy_from_slice(&now);
            if let Some(reached) = reached {
                for ((value, &weight), &usable) in smoothed.iter_mut().zip(reached).zip(self.usable)
                {
                    *value = if usable { *value / weight } else { 0.0 };
                }
            }
            let changed: f64 = image
                .iter()
                .zip(&smoothed)
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum();
            let risk = changed + 2.0 * trace;
            if risk < best.0 {
                best.0 = risk;
                best.1.copy_from_slice(&smoothed);
            }
        }
        image.copy_from_slice(&best.1);
    }
}

/// Traces of the kernel along one axis, applied as often as each of [`TIMES`]
/// says: the cosine transform diagonalises it, with eigenvalues `cos²(π k / 2 n)`.
fn traces(length: usize) -> [f64; TIMES.len()] {
    let mut sums = [0.0; TIMES.len()];
    for k in 0..length {
        let angle = std::f64::consts::PI * k as f64 / (2.0 * length as f64);
        // Times double from one to the next.
        let mut eigenvalue = angle.cos().powi(2);
        sums[0] += 1.0;
        for sum in &mut sums[1..] {
            *sum += eigenvalue;
            eigenvalue *= eigenvalue;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_that_of_the_operator() {
        let shape = [2, 5, 7];
        for (k, times) in TIMES.into_iter().enumerate().take(4) {
            let mut sum = 0.0;
            for pixel in 0..70 {
                let mut image = vec![0.0; 70];
                image[pixel] = 1.0;
                for _ in 0..times {
                    smooth(&mut image, shape, &mut Vec::new());
                }
                sum += f64::from(image[pixel]);
            }
            let expected = 2.0 * traces(5)[k] * traces(7)[k];
            assert!((sum - expected).abs() < 1e-4, "{sum} {expected}");
        }
    }

    #[test]
    fn constants_stay() {
        for shape in [[1, 1, 1], [2, 1, 5], [1, 6, 2]] {
            let mut image = vec![3.0; shape.iter().product()];
            smooth(&mut image, shape, &mut Vec::new());
            assert!(image.iter().all(|v| (v - 3.0_f32).abs() < 1e-6));
        }
    }

    #[test]
    fn noise_goes_and_strong_edges_stay() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let usable = vec![true; 1024];
        let smoother = Smoother::new([1, 32, 32], &usable);
        let noise: Vec<f32> = (0..1024).map(|_| StandardNormal.sample(&mut rng)).collect();
        let mut image = noise.clone();
        smoother.denoise(&mut image);
        let power: f32 = image.iter().map(|v| v * v).sum();
        assert!(power < 60.0, "{power}");
        let square = |p: usize| if p % 32 / 16 == 1 { 200.0 } else { 0.0 };
        let mut image: Vec<f32> = noise
            .iter()
            .enumerate()
            .map(|(p, n)| n + square(p))
            .collect();
        smoother.denoise(&mut image);
        assert!((0..1024).all(|p| (image[p] - square(p)).abs() < 5.0));
    }
}
