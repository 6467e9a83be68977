//! Is drift aligned with the axes on which activity varies anyway?

use ndarray::{ArrayView1, ArrayView2};
use rand_distr::{ChiSquared, Distribution, StandardNormal};

use crate::Error;
use crate::inference::add_one_p;
use crate::random::{Domain, stream};
use crate::similarity::linear::{centred, finite, gram, square_norm, symmetric_eigen};
use crate::statistics::quantile;

/// Alignment of a direction with the axes of a covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseAlignment {
    /// `√(ΔᵀΣΔ)` of the unit vector `Δ`, with `Σ` scaled to a largest eigenvalue of 1.
    pub rho: f64,
    /// `√(tr Σ/cells)`, of a random direction.
    pub rho_random: f64,
    /// `(rho − rho_random)/(1 − rho_random)`: 0 for a random direction, 1 along
    /// the first axis.
    pub alignment: f64,
    /// 95th percentile of `alignment` over random directions.
    pub null_95: f64,
    /// Add-one probability of as much alignment in a random direction.
    pub p: f64,
}

/// Alignment of a drift vector with the covariance of `observations
/// (observation, cell)`: trials around their condition's mean (noise), or
/// changes of the mean along the stimulus (coding) (Rule et al. 2020, eLife
/// 9:e51121). Random directions are `draws` unit vectors; 300 in that paper.
///
/// If the direction is a naive drift vector of few trials, its noise is
/// aligned with the noise covariance by itself: compare with the difference
/// between halves of one session.
///
/// # Errors
/// If the numbers of cells differ, a value is not finite, the direction is
/// zero, fewer than two observations are given or they do not vary, or the
/// covariance is the same in all directions, where no alignment exists.
pub fn noise_alignment(
    direction: ArrayView1<'_, f64>,
    observations: ArrayView2<'_, f64>,
    draws: usize,
    seed: u64,
) -> Result<NoiseAlignment, Error> {
    finite(direction, "the direction")?;
    finite(observations, "the observations")?;
    let cells = direction.len();
    if observations.ncols() != cells {
        return Err(Error::Shape(format!(
            "{cells} cells beside {}",
            observations.ncols()
        )));
    }
    let (_, around) = centred(observations);
    let length = square_norm(direction).sqrt();
    if !(length > 0.0 && length.is_finite()) {
        return Err(Error::Undefined(
            "a direction of zeros is aligned with nothing".into(),
        ));
    }
    // Observations are fewer than cells or more: the smaller Gram matrix has the eigenvalues.
    let small = if around.nrows() <= cells {
        around.view()
    } else {
        around.t()
    };
    let (values, _) = symmetric_eigen(gram(small).view())?;
    let largest = values.first().copied().unwrap_or(0.0);
    if around.nrows() < 2 || largest <= 1e-24 * square_norm(observations) {
        return Err(Error::Undefined("the observations do not vary".into()));
    }
    let rho_square = square_norm(&around.dot(&direction)) / largest / (length * length);
    alignment_of(rho_square, &values, cells, draws, seed)
}

/// Alignment from `ΔᵀΣΔ` of a unit vector, with `Σ` scaled to a largest
/// eigenvalue of 1, and the descending eigenvalues on any scale.
pub(crate) fn alignment_of(
    rho_square: f64,
    values: &[f64],
    cells: usize,
    draws: usize,
    seed: u64,
) -> Result<NoiseAlignment, Error> {
    let largest = values.first().copied().unwrap_or(0.0);
    let spectrum: Vec<f64> = values
        .iter()
        .map(|v| v / largest)
        .take_while(|&v| v > 1e-12)
        .collect();
    let rho_random = (spectrum.iter().sum::<f64>() / cells as f64).sqrt();
    if rho_random > 1.0 - 1e-9 {
        return Err(Error::Undefined(
            "the covariance is the same in all directions, so none is aligned with it".into(),
        ));
    }
    // Without trial noise the square may fall below 0 by chance, which is no alignment.
    let rho = rho_square.max(0.0).sqrt();
    let scaled = |rho: f64| (rho - rho_random) / (1.0 - rho_random);
    let mut null = random_rhos(&spectrum, cells, draws, seed);
    let reached = null.iter().filter(|&&r| r >= rho).count();
    null.sort_by(f64::total_cmp);
    Ok(NoiseAlignment {
        rho,
        rho_random,
        alignment: scaled(rho),
        null_95: scaled(quantile(&null, 0.95)),
        p: add_one_p(reached, draws),
    })
}

/// `√(uᵀΣu)` of random unit vectors `u`. Only their parts along the
/// eigenvectors matter; the squares of all others add up to one draw of χ².
fn random_rhos(spectrum: &[f64], cells: usize, draws: usize, seed: u64) -> Vec<f64> {
    let others = ChiSquared::new((cells.saturating_sub(spectrum.len())) as f64).ok();
    (0..draws)
        .map(|draw| {
            let mut rng = stream(seed, Domain::Cells, draw as u64);
            let [mut inside, mut total] = [0.0; 2];
            for value in spectrum {
                let along: f64 = StandardNormal.sample(&mut rng);
                inside += value * along * along;
                total += along * along;
            }
            total += others
                .as_ref()
                .map_or(0.0, |others| others.sample(&mut rng));
            (inside / total).sqrt()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn the_first_axis_is_fully_aligned() {
        let x = array![
            [2.0, 0.0, 0.0],
            [-2.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, -1.0, 0.0]
        ];
        let found = noise_alignment(array![3.0, 0.0, 0.0].view(), x.view(), 300, 1).unwrap();
        assert!((found.alignment - 1.0).abs() < 1e-12);
        // tr Σ = 1.25 over three cells.
        assert!((found.rho_random - (1.25_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(found.p < 0.1 && found.null_95 < 1.0);
        let second = noise_alignment(array![0.0, 1.0, 0.0].view(), x.view(), 0, 1).unwrap();
        assert!((second.rho - 0.5).abs() < 1e-12 && second.p == 1.0 && second.null_95.is_nan());
    }

    #[test]
    fn no_alignment_with_a_round_covariance() {
        let x = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        let error = noise_alignment(array![1.0, 0.0].view(), x.view(), 9, 1).unwrap_err();
        assert!(error.to_string().contains("all directions"));
        assert!(noise_alignment(array![0.0, 0.0].view(), x.view(), 9, 1).is_err());
        assert!(
            noise_alignment(array![1.0, 0.0].view(), Array2::zeros((0, 2)).view(), 9, 1).is_err()
        );
        assert!(
            noise_alignment(array![1.0, 0.0].view(), Array2::ones((3, 2)).view(), 9, 1).is_err()
        );
    }
}
