//! The components of one block.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Spec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::Parameters;

/// Columns of the random projection beyond the rank asked for.
const OVERSAMPLING: usize = 8;
/// Components of the first attempt; doubled until noise is reached.
const FIRST: usize = 12;
/// Power iterations: each sharpens the strong components against the rest.
const POWER: usize = 2;
/// Components in a row that fail the test before the search ends.
const FAILURES: usize = 3;

/// What is kept of a block: `spatial (pixel, component)`, unit columns, and
/// `temporal (component, frame)`.
#[derive(Clone, Debug)]
pub(crate) struct Components {
    pub(crate) spatial: Mat<f32>,
    pub(crate) temporal: Vec<Vec<f32>>,
}

/// Finds the components of standardised `data` `(pixel, frame)`, row-major.
/// `None` if a decomposition does not converge.
pub(crate) fn decompose(
    data: &[f32],
    frames: usize,
    parameters: &Parameters,
    stream: u64,
) -> Option<Components> {
    let pixels = data.len() / frames;
    let data = MatRef::from_row_major_slice(data, pixels, frames);
    let most = parameters.max_rank.min(pixels).min(frames);
    let mut rank = FIRST.min(most);
    loop {
        let mut rng = ChaCha8Rng::seed_from_u64(parameters.seed);
        rng.set_stream(stream);
        let (spatial, temporal) = partial_svd(data, rank, &mut rng)?;
        let kept = significant(&temporal, parameters.significance);
        // Noise was reached within the components looked at, or there are no more to look at.
        let found_the_end = kept.last().is_none_or(|&last| last + FAILURES < rank);
        if found_the_end || rank == most {
            return Some(select(&spatial, &temporal, &kept));
        }
        rank = (2 * rank).min(most);
    }
}

fn select(spatial: &Mat<f32>, temporal: &Mat<f32>, kept: &[usize]) -> Components {
    Components {
        spatial: Mat::from_fn(spatial.nrows(), kept.len(), |p, k| spatial[(p, kept[k])]),
        temporal: kept
            .iter()
            .map(|&k| (0..temporal.ncols()).map(|t| temporal[(k, t)]).collect())
            .collect(),
    }
}

/// Components, strongest first, whose time course white noise would not give.
///
/// For noise that is white in time (whatever its correlation in space) the
/// direction of a right singular vector is uniformly random, so its lag-one
/// autocorrelation is normal with variance `1 / frames`.
fn significant(temporal: &Mat<f32>, significance: f64) -> Vec<usize> {
    let frames = temporal.ncols();
    let threshold = normal_quantile(1.0 - significance) / (frames as f64).sqrt();
    let mut kept = Vec::new();
    let mut failures = 0;
    for component in 0..temporal.nrows() {
        let value = |t: usize| f64::from(temporal[(component, t)]);
        let power: f64 = (0..frames).map(|t| value(t) * value(t)).sum();
        let lagged: f64 = (1..frames).map(|t| value(t) * value(t - 1)).sum();
        if power > 0.0 && lagged / power > threshold {
            kept.push(component);
            failures = 0;
        } else {
            failures += 1;
            if failures == FAILURES {
                break;
            }
        }
    }
    kept
}

/// Quantile of the standard normal distribution for p > 1/2: Newton's method
/// on the tail integral, which a continued fraction gives to full precision.
fn normal_quantile(p: f64) -> f64 {
    let tail = 1.0 - p;
    let mut z = (-2.0 * tail.ln()).sqrt().max(0.5);
    for _ in 0..30 {
        let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        // Mills' ratio as a continued fraction.
        let mut fraction = z;
        for k in (1..60).rev() {
            fraction = z + f64::from(k) / fraction;
        }
        let step = (density / fraction - tail) / density;
        z = (z + step).max(0.1);
        if step.abs() < 1e-12 {
            break;
        }
    }
    z
}

/// Randomised truncated decomposition: unit left vectors, and right vectors
/// times their singular values, strongest first.
fn partial_svd(
    data: MatRef<'_, f32>,
    rank: usize,
    rng: &mut ChaCha8Rng,
) -> Option<(Mat<f32>, Mat<f32>)> {
    let (pixels, frames) = (data.nrows(), data.ncols());
    let width = (rank + OVERSAMPLING).min(pixels).min(frames);
    let random = Mat::from_fn(frames, width, |_, _| StandardNormal.sample(rng));
    let mut range = orthonormal(&product(data, random.as_ref()))?;
    for _ in 0..POWER {
        let back = orthonormal(&product(data.transpose(), range.as_ref()))?;
        range = orthonormal(&product(data, back.as_ref()))?;
    }
    let small = product(range.transpose(), data);
    let (values, vectors) = eigen(&gram(small.transpose()))?;
    let width = values.len();
    let rank = rank.min(width);
    // Eigenvalues ascend; components descend.
    let chosen = Mat::from_fn(width, rank, |i, k| vectors[(i, width - 1 - k)] as f32);
    let spatial = product(range.as_ref(), chosen.as_ref());
    let temporal = product(chosen.transpose(), small.as_ref());
    Some((spatial, temporal))
}

fn product(a: MatRef<'_, f32>, b: MatRef<'_, f32>) -> Mat<f32> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

/// `AᵀA` in double precision.
fn gram(a: MatRef<'_, f32>) -> Mat<f64> {
    let mut out = Mat::zeros(a.ncols(), a.ncols());
    for i in 0..a.ncols() {
        for j in 0..=i {
            let sum: f64 = (0..a.nrows())
                .map(|k| f64::from(a[(k, i)]) * f64::from(a[(k, j)]))
                .sum();
            out[(i, j)] = sum;
            out[(j, i)] = sum;
        }
    }
    out
}

/// Columns that span the same space and are orthonormal; directions that
/// carry nothing are dropped.
fn orthonormal(a: &Mat<f32>) -> Option<Mat<f32>> {
    let (values, vectors) = eigen(&gram(a.as_ref()))?;
    let largest = values.last().copied().unwrap_or(0.0);
    let kept: Vec<usize> = (0..values.len())
        .filter(|&k| values[k] > 1e-10 * largest)
        .collect();
    let scaled = Mat::from_fn(a.ncols(), kept.len().max(1), |i, k| {
        kept.get(k)
            .map_or(0.0, |&k| (vectors[(i, k)] / values[k].sqrt()) as f32)
    });
    Some(product(a.as_ref(), scaled.as_ref()))
}

/// Eigenvalues, ascending, and eigenvectors of a symmetric matrix; sequential,
/// so that the bytes do not depend on the number of threads.
fn eigen(a: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let n = a.nrows();
    let mut vectors = Mat::zeros(n, n);
    let mut values = faer::diag::Diag::zeros(n);
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(
        n,
        ComputeEigenvectors::Yes,
        Par::Seq,
        Spec::default(),
    ));
    self_adjoint_evd(
        a.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .ok()?;
    let values = (0..n).map(|k| values[k]).collect();
    Some((values, vectors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_have_their_tabled_values() {
        for (p, z) in [
            (0.975, 1.959_963_985),
            (0.999, 3.090_232_306),
            (0.9, 1.281_551_566),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-6, "{p}");
        }
    }

    fn noise(pixels: usize, frames: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..pixels * frames)
            .map(|_| StandardNormal.sample(&mut rng))
            .collect()
    }

    #[test]
    fn noise_has_no_components() {
        let kept: usize = (0..20)
            .map(|seed| {
                let data = noise(64, 500, seed);
                decompose(&data, 500, &Parameters::default(), seed)
                    .unwrap()
                    .temporal
                    .len()
            })
            .sum();
        // Of about 60 tests at one in a thousand, two hits would be rare.
        assert!(kept <= 1, "{kept}");
    }

    #[test]
    fn smooth_components_are_found_and_no_more() {
        let frames = 400;
        let mut data = noise(100, frames, 9);
        for (p, row) in data.chunks_exact_mut(frames).enumerate() {
            for (t, v) in row.iter_mut().enumerate() {
                *v += (p as f32 / 10.0).sin() * (t as f32 / 8.0).sin() * 2.0;
                *v += (p as f32 / 17.0).cos() * (t as f32 / 23.0).cos() * 1.5;
            }
        }
        let components = decompose(&data, frames, &Parameters::default(), 0).unwrap();
        assert_eq!(components.temporal.len(), 2);
        for k in 0..2 {
            let norm: f32 = (0..100).map(|p| components.spatial[(p, k)].powi(2)).sum();
            assert!((norm - 1.0).abs() < 1e-3);
        }
    }
}
