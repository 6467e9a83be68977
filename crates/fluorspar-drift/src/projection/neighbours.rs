use ndarray::{Array2, ArrayView2};

use super::principal;
use crate::Error;

/// How [`neighbours`] draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeighbourOptions {
    /// How many neighbours count, smoothly.
    pub perplexity: f64,
    /// Steps of the descent.
    pub steps: usize,
}

impl Default for NeighbourOptions {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            steps: 1000,
        }
    }
}

/// Most observations: every pair is held.
const MOST: usize = 20_000;
/// Steps in which attraction is exaggerated, and by how much (van der Maaten 2014).
const EARLY: usize = 250;
const EXAGGERATION: f64 = 12.0;

/// t-SNE of observations in the plane, exact (van der Maaten and Hinton 2008,
/// J Mach Learn Res 9:2579), from inner products `gram` `(observation,
/// observation)`. Returns `(observation, 2)`, unit free.
///
/// It starts from the first two principal components (Kobak and Berens 2019,
/// Nat Commun 10:5416), so there is no seed and the same input gives the same
/// picture. The perplexity is lowered to a third of the observations if it is
/// larger. Memory and time grow with their square.
///
/// # Errors
/// As [`principal`]; [`Error::Undefined`] below four observations or above
/// 20,000, [`Error::Parameter`] for a perplexity that is not above 1.
pub fn neighbours(
    gram: ArrayView2<'_, f64>,
    options: NeighbourOptions,
) -> Result<Array2<f64>, Error> {
    let n = gram.nrows();
    if !(options.perplexity > 1.0 && options.perplexity.is_finite()) {
        return Err(Error::Parameter {
            name: "perplexity",
            value: options.perplexity,
            rule: "must be above 1",
        });
    }
    if !(4..=MOST).contains(&n) {
        return Err(Error::Undefined(format!(
            "{n} observations; 4 to {MOST} can be drawn"
        )));
    }
    let start = principal(gram, 2)?;
    let squared = Array2::from_shape_fn((n, n), |(i, j)| {
        (gram[[i, i]] + gram[[j, j]] - 2.0 * gram[[i, j]]).max(0.0)
    });
    let near = affinities(
        &squared,
        options.perplexity.min((n - 1) as f64 / 3.0).max(1.0 + 1e-9),
    );
    let spread = start.scores.column(0).iter().map(|v| v * v).sum::<f64>() / n as f64;
    let scale = 1e-4 / spread.sqrt();
    let mut place: Vec<[f64; 2]> = (0..n)
        .map(|i| [0, 1].map(|k| start.scores.get((i, k)).map_or(0.0, |v| v * scale)))
        .collect();
    descend(&mut place, &near, options.steps);
    Ok(Array2::from_shape_fn((n, 2), |(i, k)| place[i][k]))
}

/// Symmetric probabilities that two observations are neighbours; each one's
/// width is set so that its neighbours have the wanted perplexity.
fn affinities(squared: &Array2<f64>, perplexity: f64) -> Array2<f64> {
    let n = squared.nrows();
    let wanted = perplexity.ln();
    let mut given = Array2::zeros((n, n));
    for i in 0..n {
        let least = (0..n)
            .filter(|&j| j != i)
            .map(|j| squared[[i, j]])
            .fold(f64::INFINITY, f64::min);
        let mean = squared.row(i).sum() / (n - 1) as f64;
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut precision = if mean > 0.0 { 1.0 / mean } else { 1.0 };
        for _ in 0..64 {
            let (mut sum, mut moment) = (0.0, 0.0);
            for j in (0..n).filter(|&j| j != i) {
                let distance = squared[[i, j]] - least;
                let weight = (-precision * distance).exp();
                given[[i, j]] = weight;
                sum += weight;
                moment += weight * distance;
            }
            let entropy = sum.ln() + precision * moment / sum;
            given.row_mut(i).mapv_inplace(|w| w / sum);
            if (entropy - wanted).abs() < 1e-5 {
                break;
            }
            if entropy > wanted {
                low = precision;
                precision = if high.is_finite() {
                    f64::midpoint(low, high)
                } else {
                    2.0 * precision
                };
            } else {
                high = precision;
                precision = f64::midpoint(low, high);
            }
        }
        given[[i, i]] = 0.0;
    }
    Array2::from_shape_fn((n, n), |(i, j)| {
        ((given[[i, j]] + given[[j, i]]) / (2.0 * n as f64)).max(1e-12)
    })
}

/// Gradient descent with momentum and a gain per coordinate.
fn descend(place: &mut [[f64; 2]], near: &Array2<f64>, steps: usize) {
    let n = place.len();
    let rate = (n as f64 / EXAGGERATION).max(50.0);
    let mut velocity = vec![[0.0_f64; 2]; n];
    let mut gain = vec![[1.0_f64; 2]; n];
    let mut kernel = Array2::<f64>::zeros((n, n));
    for step in 0..steps {
        let exaggeration = if step < EARLY { EXAGGERATION } else { 1.0 };
        let momentum = if step < EARLY { 0.5 } else { 0.8 };
        let mut total = 0.0;
        for i in 0..n {
            for j in 0..i {
                let (dx, dy) = (place[i][0] - place[j][0], place[i][1] - place[j][1]);
                let value = 1.0 / (1.0 + dx * dx + dy * dy);
                kernel[[i, j]] = value;
                kernel[[j, i]] = value;
                total += 2.0 * value;
            }
        }
        for i in 0..n {
            let mut gradient = [0.0; 2];
            for j in (0..n).filter(|&j| j != i) {
                let value = kernel[[i, j]];
                let pull = (exaggeration * near[[i, j]] - value / total) * value;
                for (k, sum) in gradient.iter_mut().enumerate() {
                    *sum += 4.0 * pull * (place[i][k] - place[j][k]);
                }
            }
            for k in 0..2 {
                let turns = (gradient[k] > 0.0) == (velocity[i][k] > 0.0);
                gain[i][k] = if turns {
                    (gain[i][k] * 0.8).max(0.01)
                } else {
                    gain[i][k] + 0.2
                };
                velocity[i][k] = momentum * velocity[i][k] - rate * gain[i][k] * gradient[k];
            }
        }
        for (place, velocity) in place.iter_mut().zip(&velocity) {
            place[0] += velocity[0];
            place[1] += velocity[1];
        }
        for k in 0..2 {
            let middle = place.iter().map(|p| p[k]).sum::<f64>() / n as f64;
            for p in place.iter_mut() {
                p[k] -= middle;
            }
        }
    }
}
