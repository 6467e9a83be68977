//! Is a component smoother than noise could be?
//!
//! Roughness is the mean squared step over the mean square: in time von
//! Neumann's ratio (1941, Ann. Math. Stat. 12:367), in space Geary's (1954,
//! Incorp. Stat. 5:115). What noise gives is found by taking apart blocks of
//! simulated noise of the same shape, as penalised matrix decomposition does
//! (Buchanan et al. 2018, bioRxiv 334706).

use faer::Mat;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::block::{FAILURES, Leading, Shape, Start, leading};
use crate::linear::Products;
use crate::parallel::few_at_once;

/// Blocks of noise taken apart.
const SIMULATED: usize = 48;
/// Strongest components looked at in each.
const COMPONENTS: usize = 4;
/// Level of the test in space. It is not relied upon for the level of the
/// whole, since registration correlates noise between neighbours.
const SPATIAL_LEVEL: f64 = 0.05;
/// A smooth image with a singular value so many times the largest of noise is
/// signal even if its course looks white: signals may be faster than a bin.
/// Interpolation, which averages four pixels at most, makes noise stand out
/// twice as far.
const BEYOND: f64 = 4.0;

/// Roughness of a component in time and in space; noise has about 2 in both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roughness {
    pub(crate) temporal: f64,
    pub(crate) spatial: f64,
}

impl Roughness {
    pub(crate) fn of(leading: &Leading, component: usize, shape: Shape) -> Self {
        let column = |of: &Mat<f32>| -> Vec<f64> {
            (0..of.nrows())
                .map(|i| f64::from(of[(i, component)]))
                .collect()
        };
        Self {
            temporal: temporal(&column(&leading.temporal)),
            spatial: spatial(&column(&leading.spatial), shape),
        }
    }
}

fn temporal(course: &[f64]) -> f64 {
    let power: f64 = course.iter().map(|v| v * v).sum();
    let steps: f64 = course
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).powi(2))
        .sum();
    ratio(steps, course.len().saturating_sub(1), power, course.len())
}

/// Steps between neighbours in y and in x. Pixels that are zero (unusable)
/// are left out.
fn spatial(image: &[f64], shape: Shape) -> f64 {
    let [_, rows, columns] = shape;
    let (mut steps, mut pairs, mut power, mut used) = (0.0, 0.0, 0.0, 0.0);
    // Unusable pixels are exactly zero.
    let usable = |v: f64| f64::from(u8::from(v != 0.0));
    let mut add = |values: &[f64], others: &[f64]| {
        for (&value, &other) in values.iter().zip(others) {
            let both = usable(value) * usable(other);
            steps += both * (value - other).powi(2);
            pairs += both;
        }
    };
    for (k, line) in image.chunks_exact(columns).enumerate() {
        add(line, &line[1..]);
        if (k + 1) % rows != 0 {
            add(line, &image[(k + 1) * columns..]);
        }
    }
    for &value in image {
        power += value * value;
        used += usable(value);
    }
    ratio(steps, pairs as usize, power, used as usize)
}

/// Mean step over mean square; as rough as can be where there is nothing.
fn ratio(steps: f64, pairs: usize, power: f64, used: usize) -> f64 {
    if pairs == 0 || power <= 0.0 {
        return f64::INFINITY;
    }
    steps / pairs as f64 / (power / used as f64)
}

/// What tells a component from noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    /// The roughness below which it is signal.
    limit: Roughness,
    /// The singular value above which it is signal whatever its course.
    beyond_noise: f64,
}

impl Thresholds {
    /// Takes apart blocks of noise of this shape and number of bins. A block
    /// of noise keeps a component with a chance of at most `significance`:
    /// several may fail before the search ends, so each is tested at a
    /// fraction of it. `None` if a decomposition does not converge.
    pub(crate) fn simulate(
        shape: Shape,
        bins: usize,
        significance: f64,
        start: &Start,
        seed: u64,
        at_once: usize,
    ) -> Option<Self> {
        let pixels = shape.iter().product();
        let found: Vec<Option<(f64, Vec<Roughness>)>> = few_at_once(
            0..SIMULATED,
            at_once,
            || (),
            |(), block| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(1 + block as u64);
                let noise: Mat<f32> =
                    Mat::from_fn(pixels, bins, |_, _| StandardNormal.sample(&mut rng));
                let count = COMPONENTS.min(bins).min(pixels);
                let leading = leading(
                    noise.as_ref(),
                    shape,
                    count,
                    start,
                    &mut Products::default(),
                )?;
                let of = |k| Roughness::of(&leading, k, shape);
                let largest = leading.values.first().copied().unwrap_or(0.0);
                Some((largest, (0..leading.values.len()).map(of).collect()))
            },
        );
        let mut all = Vec::new();
        let mut largest = 0.0_f64;
        for block in found {
            let (value, roughness) = block?;
            largest = largest.max(value);
            all.extend(roughness);
        }
        let per_test = significance / FAILURES as f64;
        Some(Self {
            limit: Roughness {
                temporal: quantile(all.iter().map(|r| r.temporal), per_test),
                spatial: quantile(all.iter().map(|r| r.spatial), SPATIAL_LEVEL),
            },
            beyond_noise: BEYOND * largest,
        })
    }

    /// Is a component of this singular value and roughness signal?
    pub(crate) fn passes(&self, value: f64, roughness: Roughness) -> bool {
        let slow = roughness.temporal < self.limit.temporal;
        roughness.spatial < self.limit.spatial && (slow || value > self.beyond_noise)
    }
}

/// Low quantile of a normal distribution with the mean and spread of `values`.
fn quantile(values: impl Iterator<Item = f64>, level: f64) -> f64 {
    let values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    Normal::new(mean, variance.sqrt()).map_or(mean, |normal| normal.inverse_cdf(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(pixels: usize, bins: usize, seed: u64) -> Mat<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Mat::from_fn(pixels, bins, |_, _| StandardNormal.sample(&mut rng))
    }

    #[test]
    fn ratios_of_noise_have_their_known_moments() {
        // Von Neumann's ratio of white noise: mean 2 n/(n − 1) as a sum over
        // n − 1 steps and n squares around the mean; variance 4 (n − 2)/(n² − 1).
        let n = 200;
        let ratios: Vec<f64> = (0..400)
            .map(|seed| {
                let noise = noise(n, 1, seed);
                let course: Vec<f64> = (0..n).map(|t| f64::from(noise[(t, 0)])).collect();
                temporal(&course)
            })
            .collect();
        let mean = ratios.iter().sum::<f64>() / 400.0;
        let variance = ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 400.0;
        assert!((mean - 2.0).abs() < 0.03, "{mean}");
        let expected = 4.0 * (n as f64 - 2.0) / (n as f64 * n as f64 - 1.0);
        assert!(
            (variance / expected - 1.0).abs() < 0.25,
            "{variance} {expected}"
        );
    }

    #[test]
    fn smooth_images_and_courses_are_not_rough() {
        let shape = [2, 8, 9];
        let image: Vec<f64> = (0..144).map(|p| 2.0 + f64::from(p / 9) * 0.01).collect();
        assert!(spatial(&image, shape) < 0.01);
        let course: Vec<f64> = (0..100).map(|t| (f64::from(t) / 9.0).sin()).collect();
        assert!(temporal(&course) < 0.05);
        assert!(spatial(&[0.0; 144], shape).is_infinite());
    }
}
