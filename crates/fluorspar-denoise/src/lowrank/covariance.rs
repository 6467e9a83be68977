//! How the time courses of components that meet vary together.

use fluorspar_movie::vectorised;
use rayon::prelude::*;

use super::LowRank;
use super::groups::Groups;
use super::symmetric::{Symmetric, add};

/// Variances below this part of what the components would give if they all
/// pulled the same way are rounding, not variance.
const ROUNDING: f64 = 1e-12;

/// Covariance over frames of components that meet.
#[derive(Debug)]
pub(super) struct Covariance {
    matrix: Symmetric,
    /// Standard deviation of each component.
    deviation: Vec<f64>,
}

vectorised! {
    /// Sum of products of deviations from two means. Products of `f32` are
    /// exact in `f64`.
    fn codeviation<'a>(a: &'a [f32], mean_a: f64, b: &'a [f32], mean_b: f64) -> f64 {
        const LANES: usize = 16;
        let mut sums = [0.0_f64; LANES];
        let (left, right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest = left.remainder().iter().zip(right.remainder());
        let rest: f64 = rest
            .map(|(&a, &b)| (f64::from(a) - mean_a) * (f64::from(b) - mean_b))
            .sum();
        for (a, b) in left.zip(right) {
            for lane in 0..LANES {
                sums[lane] += (f64::from(a[lane]) - mean_a) * (f64::from(b[lane]) - mean_b);
            }
        }
        rest + sums.iter().sum::<f64>()
    }
}

/// Mean over frames of each component; zeros without frames.
pub(super) fn course_means(movie: &LowRank) -> Vec<f64> {
    let frames = movie.frames().max(1) as f64;
    (0..movie.rank())
        .into_par_iter()
        .map(|k| movie.course(k).iter().map(|&v| f64::from(v)).sum::<f64>() / frames)
        .collect()
}

impl Covariance {
    /// Of components that are in the same group or in two groups that are
    /// `adjacent`: for each group, the others it touches.
    pub(super) fn new(movie: &LowRank, groups: &Groups<'_>, adjacent: &[Vec<u32>]) -> Self {
        let rank = movie.rank();
        let means = course_means(movie);
        let frames = movie.frames().max(1) as f64;
        let upper: Vec<Vec<(u32, f64)>> = groups
            .having(rank)
            .into_par_iter()
            .enumerate()
            .map_init(
                || vec![false; rank],
                |seen, (i, having)| {
                    let mut met = Vec::new();
                    let mut meet = |group: usize| {
                        for &j in groups.components[group] {
                            if j as usize >= i && !seen[j as usize] {
                                seen[j as usize] = true;
                                met.push(j);
                            }
                        }
                    };
                    for &group in &having {
                        meet(group as usize);
                        let around = adjacent.get(group as usize).into_iter().flatten();
                        around.for_each(|&other| meet(other as usize));
                    }
                    met.sort_unstable();
                    let course = movie.course(i);
                    met.iter()
                        .map(|&j| {
                            seen[j as usize] = false;
                            let (k, other) = (j as usize, movie.course(j as usize));
                            (j, codeviation(course, means[i], other, means[k]) / frames)
                        })
                        .collect()
                },
            )
            .collect();
        let matrix = Symmetric::from_upper(&upper);
        let deviation = (0..rank).map(|k| matrix.get(k, k).sqrt()).collect();
        Self { matrix, deviation }
    }

    /// Covariances `(component, other)` of two groups of components.
    pub(super) fn part(&self, components: &[u32], others: &[u32]) -> Vec<f64> {
        self.matrix.part(components, others)
    }

    /// Variance of each pixel, in order.
    pub(super) fn variances(&self, movie: &LowRank, groups: &Groups<'_>) -> Vec<f64> {
        let mut variances = vec![0.0; movie.pixels()];
        let found: Vec<(Vec<u32>, Vec<f64>)> = groups
            .pieces(1024)
            .into_par_iter()
            .map(|(group, pixels)| {
                let components = groups.components[group];
                let part = self.part(components, components);
                let mut reach = vec![0.0; components.len()];
                let variances = pixels.iter().map(|&pixel| {
                    let weights = movie.row(pixel as usize).1;
                    spread(&mut reach, weights, &part);
                    let variance = dot(weights, &reach);
                    let most: f64 = components
                        .iter()
                        .zip(weights)
                        .map(|(&k, &w)| f64::from(w).abs() * self.deviation[k as usize])
                        .sum();
                    if variance > ROUNDING * most * most {
                        variance
                    } else {
                        0.0
                    }
                });
                let variances = variances.collect();
                (pixels, variances)
            })
            .collect();
        for (pixels, values) in found {
            for (pixel, value) in pixels.into_iter().zip(values) {
                variances[pixel as usize] = value;
            }
        }
        variances
    }
}

/// Covariance of a pixel with each of the other components: `weights · part`.
pub(super) fn spread(reach: &mut [f64], weights: &[f32], part: &[f64]) {
    reach.fill(0.0);
    let width = reach.len().max(1);
    for (&weight, row) in weights.iter().zip(part.chunks_exact(width)) {
        add(reach, f64::from(weight), row);
    }
}

/// Covariance of two pixels, one of which has been [`spread`].
pub(super) fn dot(weights: &[f32], reach: &[f64]) -> f64 {
    weights
        .iter()
        .zip(reach)
        .map(|(&weight, &value)| f64::from(weight) * value)
        .sum()
}
