//! Alignment of latent activity by canonical correlation.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::seq::SliceRandom;

use super::linear::{centred, finite, product, singular, singular_of_rank, square_norm};
use super::subspace::{Components, PrincipalComponents, principal_components};
use crate::Error;
use crate::random::{Domain, stream};
use crate::statistics::pearson;

/// Maps that make the latent activity of two sessions as correlated as linear maps can.
#[derive(Clone, Debug)]
pub struct LatentAlignment {
    /// Principal components of the first session.
    pub components_a: PrincipalComponents,
    /// Principal components of the second session.
    pub components_b: PrincipalComponents,
    /// `(latent, canonical)`: from the first session's latents.
    pub map_a: Array2<f64>,
    /// `(latent, canonical)`: from the second session's latents.
    pub map_b: Array2<f64>,
    /// Canonical correlations, descending, on the samples they were fitted to.
    pub correlations: Vec<f64>,
}

impl LatentAlignment {
    /// Correlation of each canonical pair on other samples, `(sample, cell)`
    /// of both sessions: what of the fit is not chance. NaN for a pair that
    /// does not vary there.
    ///
    /// # Errors
    /// If the numbers of samples differ or are below three, or those of cells
    /// are not those of the fit.
    pub fn score(&self, a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Result<Vec<f64>, Error> {
        check(a, b)?;
        let a = product(self.components_a.project(a)?.view(), self.map_a.view());
        let b = product(self.components_b.project(b)?.view(), self.map_b.view());
        Ok((0..self.correlations.len())
            .map(|k| pearson(&a.column(k).to_vec(), &b.column(k).to_vec()))
            .collect())
    }
}

/// Latent alignment of Gallego et al. (2020, Nat Neurosci 23:260): each
/// session is reduced to `dimensions` principal components, then canonical
/// correlation finds the linear maps under which they agree. Rows of
/// `a (sample, cell)` and `b (sample, cell)` are matched samples: the same
/// conditions and times, in one order. The sessions need share no cell.
///
/// # Errors
/// If the numbers of samples differ, a value is not finite, a session does not
/// vary, `dimensions` is 0, or there are fewer samples than latents of both
/// sessions and two more: then correlations are 1 whatever the data.
pub fn align_latents(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
    dimensions: usize,
) -> Result<LatentAlignment, Error> {
    check(a, b)?;
    let components_a = principal_components(a, Components::Count(dimensions))?;
    let components_b = principal_components(b, Components::Count(dimensions))?;
    let latent_a = components_a.project(a)?;
    let latent_b = components_b.project(b)?;
    let found = canonical(latent_a.view(), latent_b.view())?;
    Ok(LatentAlignment {
        components_a,
        components_b,
        map_a: found.map_a,
        map_b: found.map_b,
        correlations: found.correlations,
    })
}

/// Canonical correlations, descending, of `a (sample, latent)` and
/// `b (sample, latent)`. Large by chance alone when samples are few: the
/// largest of independent 10-dimensional latents is about .81 for 40 samples
/// and .28 for 400, so compare with [`shuffled_correlations`].
///
/// # Errors
/// As [`align_latents`].
pub fn canonical_correlations(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
) -> Result<Vec<f64>, Error> {
    check(a, b)?;
    Ok(canonical(a, b)?.correlations)
}

/// Canonical correlations `(draw, canonical)` after the samples of `b` were
/// put into random order, `draws` times: the null of no relation between
/// samples. Samples that follow each other in time are not exchangeable; give
/// one sample per trial, or latents averaged over blocks.
///
/// # Errors
/// As [`align_latents`].
pub fn shuffled_correlations(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
    draws: usize,
    seed: u64,
) -> Result<Array2<f64>, Error> {
    check(a, b)?;
    let basis_a = basis(a)?;
    let basis_b = basis(b)?;
    let mut out = Array2::zeros((draws, basis_a.ncols().min(basis_b.ncols())));
    for (draw, mut row) in out.rows_mut().into_iter().enumerate() {
        let mut order: Vec<usize> = (0..b.nrows()).collect();
        order.shuffle(&mut stream(seed, Domain::Trials, draw as u64));
        let shuffled = basis_b.select(Axis(0), &order);
        let found = singular(product(basis_a.t(), shuffled.view()).view())?.values;
        row.assign(&Array1::from(found).mapv(|c| c.clamp(0.0, 1.0)));
    }
    Ok(out)
}

/// Correlations across sessions over the geometric mean of those within the
/// two sessions (between halves of their trials, fitted in the same way with as
/// many samples), one by one. NaN where a session has no correlation within.
pub fn normalised_correlations(across: &[f64], within_a: &[f64], within_b: &[f64]) -> Vec<f64> {
    across
        .iter()
        .zip(within_a.iter().zip(within_b))
        .map(|(&across, (&a, &b))| {
            if a > 0.0 && b > 0.0 {
                across / (a * b).sqrt()
            } else {
                f64::NAN
            }
        })
        .collect()
}

struct Canonical {
    correlations: Vec<f64>,
    map_a: Array2<f64>,
    map_b: Array2<f64>,
}

/// Correlations and maps. `QᵀQ = U S Vᵀ` of orthonormal bases of the centred
/// latents; the maps take latents to `Q_A U` and `Q_B V`.
fn canonical(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Result<Canonical, Error> {
    let parts_a = singular_of_rank(without_offset(a)?.view())?;
    let parts_b = singular_of_rank(without_offset(b)?.view())?;
    let (rank_a, rank_b) = (parts_a.values.len(), parts_b.values.len());
    if a.nrows() < rank_a + rank_b + 2 {
        return Err(Error::Undefined(format!(
            "{} samples of {rank_a} and {rank_b} latents correlate whatever they are: {} samples or more are needed",
            a.nrows(),
            rank_a + rank_b + 2
        )));
    }
    let between = singular(product(parts_a.left.t(), parts_b.left.view()).view())?;
    let map = |right: &Array2<f64>, values: &[f64], turn: &Array2<f64>| {
        let unscaled = right / &Array1::from(values.to_vec());
        product(unscaled.view(), turn.view())
    };
    Ok(Canonical {
        correlations: between.values.iter().map(|c| c.clamp(0.0, 1.0)).collect(),
        map_a: map(&parts_a.right, &parts_a.values, &between.left),
        map_b: map(&parts_b.right, &parts_b.values, &between.right),
    })
}

/// An orthonormal basis `(sample, direction)` of the centred latents.
fn basis(latents: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
    Ok(singular_of_rank(without_offset(latents)?.view())?.left)
}

/// Centred; an error if nothing but rounding is left.
fn without_offset(latents: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
    let (_, around) = centred(latents);
    if square_norm(&around) <= 1e-24 * square_norm(latents) {
        return Err(Error::Undefined("the latents do not vary".into()));
    }
    Ok(around)
}

fn check(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Result<(), Error> {
    finite(a, "the samples")?;
    finite(b, "the samples")?;
    if a.nrows() != b.nrows() {
        return Err(Error::Shape(format!(
            "{} samples beside {}",
            a.nrows(),
            b.nrows()
        )));
    }
    if a.nrows() < 3 {
        return Err(Error::Undefined(
            "canonical correlation needs three samples or more".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_linear_map_correlates_fully() {
        let a = Array2::from_shape_fn((12, 2), |(t, k)| ((t * (3 + 2 * k) + t * t * k) % 7) as f64);
        let b = a.dot(&array![[1.0, 2.0], [-0.5, 1.0]]) + 3.0;
        let found = align_latents(a.view(), b.view(), 2).unwrap();
        for c in found
            .correlations
            .iter()
            .chain(&found.score(a.view(), b.view()).unwrap())
        {
            assert!((c - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn too_few_samples_are_refused() {
        let a = Array2::from_shape_fn((5, 3), |(t, k)| ((t * 7 + k * 5 + t * k) % 5) as f64);
        assert!(canonical_correlations(a.view(), a.view()).is_err());
        let flat = Array2::from_elem((9, 2), 0.1);
        assert!(canonical_correlations(flat.view(), flat.view()).is_err());
        assert!(align_latents(flat.view(), flat.view(), 0).is_err());
    }

    #[test]
    fn division_by_nothing_is_nan() {
        let n = normalised_correlations(&[0.5, 0.5], &[0.8, 0.0], &[0.2, 0.5]);
        assert!((n[0] - 1.25).abs() < 1e-12 && n[1].is_nan());
    }
}
