use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::Error;
use crate::statistics::pearson;

/// How much of each cell's reproducible response is lost between two sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct StabilityIndex {
    /// Correlation of half with half, mean over both sessions.
    pub within: Vec<f64>,
    /// Correlation of a half of one with a half of the other, mean over both crossings.
    pub between: Vec<f64>,
    /// `(within − between) / (within + between)`; NaN where that means nothing.
    pub index: Vec<f64>,
}

/// Representational drift index of every cell (Marks and Goard 2021, Nat
/// Commun 12:5169): 0 for a stable cell, 1 for one that keeps nothing.
///
/// Each array is `(cell, feature)`, the mean response over half of a session's
/// trials; features are time bins, stimuli or both. Both correlations are
/// taken between halves, so trial noise divides out: under drift with time
/// constant τ the index is `tanh(days / 2τ)` whatever the noise. With halves
/// within and whole means between it would be too small.
///
/// The authors set `within ≤ 0` to 0.001 and `between < 0` to 0 (`clamp`);
/// that moves weak cells to 0 or 1. Without it the index is given only where
/// `within` and the sum are positive, and leaves 0 to 1 when noise makes
/// correlations leave it. For a population take [`pooled_index`]. For the
/// control, pass quarters of the first session as if they were two sessions.
///
/// # Errors
/// [`Error::Shape`] if the arrays differ in shape.
pub fn stability_index(
    first: [ArrayView2<'_, f64>; 2],
    second: [ArrayView2<'_, f64>; 2],
    clamp: bool,
) -> Result<StabilityIndex, Error> {
    let shape = first[0].dim();
    if [first[1], second[0], second[1]]
        .iter()
        .any(|half| half.dim() != shape)
    {
        return Err(Error::Shape("halves differ in cells or features".into()));
    }
    let found: Vec<[f64; 3]> = (0..shape.0)
        .into_par_iter()
        .map(|cell| {
            let row = |half: &ArrayView2<'_, f64>| half.index_axis(Axis(0), cell).to_vec();
            let [a, b] = first.each_ref().map(row);
            let [c, d] = second.each_ref().map(row);
            let within = f64::midpoint(pearson(&a, &b), pearson(&c, &d));
            let between = f64::midpoint(pearson(&a, &d), pearson(&b, &c));
            [within, between, index(within, between, clamp)]
        })
        .collect();
    Ok(StabilityIndex {
        within: found.iter().map(|f| f[0]).collect(),
        between: found.iter().map(|f| f[1]).collect(),
        index: found.iter().map(|f| f[2]).collect(),
    })
}

/// The index of a population from sums over its cells: no cell needs to be
/// clamped or dropped. NaN if correlations within sessions are not above 0 on
/// the whole.
pub fn pooled_index(cells: &StabilityIndex) -> f64 {
    let (within, between) = cells
        .within
        .iter()
        .zip(&cells.between)
        .filter(|(w, b)| w.is_finite() && b.is_finite())
        .fold((0.0, 0.0), |(w, b), (x, y)| (w + x, b + y));
    index(within, between, false)
}

pub(crate) fn index(within: f64, between: f64, clamp: bool) -> f64 {
    let (within, between) = if clamp && !(within.is_nan() || between.is_nan()) {
        // The value that the authors put for cells that do not repeat.
        let within = if within <= 0.0 { 0.001 } else { within };
        (within, between.max(0.0))
    } else {
        (within, between)
    };
    if within > 0.0 && within + between > 0.0 {
        (within - between) / (within + between)
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, stream};
    use ndarray::Array2;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn drift_with_a_time_constant_gives_the_hyperbolic_tangent() {
        let mut rng = stream(11, Domain::Planted, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let (cells, features, tau) = (1500, 60, 3.0_f64);
        for (days, expected) in [(1.0, 0.165), (3.0, 0.462), (6.0, 0.762)] {
            let keep = (-days / tau).exp();
            let early = Array2::from_shape_fn((cells, features), |_| normal());
            let late = early.mapv(|v| keep * v + (1.0 - keep * keep).sqrt() * normal());
            let mut half = |of: &Array2<f64>| of.mapv(|v| v + 0.7 * normal());
            let halves = [half(&early), half(&early), half(&late), half(&late)];
            let [a, b, c, d] = halves.each_ref().map(|half| half.view());
            let found = stability_index([a, b], [c, d], false).unwrap();
            let pooled = pooled_index(&found);
            assert!((pooled - expected).abs() < 0.015, "{days}: {pooled}");
            assert!((pooled - (days / (2.0 * tau)).tanh()).abs() < 0.015);
        }
    }

    #[test]
    fn clamping_gives_what_the_authors_give() {
        assert_eq!(index(-0.2, 0.1, true), (0.001 - 0.1) / (0.001 + 0.1));
        assert_eq!(index(0.5, -0.2, true), 1.0);
        assert!(index(-0.2, 0.1, false).is_nan());
        assert!(index(0.2, -0.3, false).is_nan());
        assert!(index(f64::NAN, 0.1, true).is_nan());
    }

    #[test]
    fn silent_cells_and_wrong_shapes() {
        let zero = Array2::<f64>::zeros((2, 5));
        let v = zero.view();
        let found = stability_index([v, v], [v, v], false).unwrap();
        assert!(found.index.iter().all(|i| i.is_nan()) && pooled_index(&found).is_nan());
        let other = Array2::<f64>::zeros((2, 4));
        assert!(stability_index([v, v], [v, other.view()], false).is_err());
        let none = Array2::<f64>::zeros((0, 0));
        let v = none.view();
        assert!(
            stability_index([v, v], [v, v], true)
                .unwrap()
                .index
                .is_empty()
        );
    }
}
