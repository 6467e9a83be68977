//! Parts of drift: what stays, how steps add up, how heavy their tails are.

use crate::Error;
use crate::similarity::linear::finite;
use crate::statistics::{mean, variance};

/// Similarity that decays to a plateau.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StablePart {
    /// Similarity left after any time, `c_∞`.
    pub plateau: f64,
    /// Similarity at no distance, `c_0`.
    pub start: f64,
    /// Days in which the drifting part falls to 1/e.
    pub tau_days: f64,
    /// `c_∞/c_0`, the share that stays; NaN if the start is not above 0.
    pub stable_share: f64,
    /// Sum of squared residuals.
    pub residual: f64,
}

/// Least-squares fit of `C(Δ) = c_∞ + (c_0 − c_∞) e^{−Δ/τ}` to the similarities
/// of session pairs `lag_days` apart, corrected for reliability. Lag 0 (split
/// halves) may be among them. `τ` is searched from a tenth of the shortest
/// to ten times the longest lag.
///
/// # Errors
/// If the lengths differ, a value is not finite, a lag is negative, there are
/// fewer than four different lags, or the lags do not show where the decay
/// ends or how fast it is (`τ` at an end of its range, or no fall).
pub fn fit_stable_part(lag_days: &[f64], similarity: &[f64]) -> Result<StablePart, Error> {
    same_length(lag_days, similarity)?;
    let lags = different(lag_days);
    if lags.len() < 4 || lags[0] < 0.0 {
        return Err(Error::Undefined(format!(
            "{} different lags, of which none may be negative, do not tell a plateau from a slow decay: four or more are needed",
            lags.len()
        )));
    }
    let shortest = lags.iter().copied().find(|&l| l > 0.0).unwrap_or(1.0);
    let (low, high) = ((shortest / 10.0).ln(), (lags[lags.len() - 1] * 10.0).ln());
    let at = |log_tau: f64| with_tau(lag_days, similarity, log_tau.exp());
    let error = |log_tau: f64| at(log_tau).residual;
    let place = |k: usize| low + (high - low) * k as f64 / GRID as f64;
    let best = (0..=GRID)
        .min_by(|&a, &b| error(place(a)).total_cmp(&error(place(b))))
        .unwrap_or(0);
    let found = at(golden(
        error,
        place(best.saturating_sub(1)),
        place((best + 1).min(GRID)),
    ));
    if best == 0 || best == GRID || found.start <= found.plateau {
        return Err(Error::Undefined(
            "the similarities do not fall to a plateau within the lags observed".into(),
        ));
    }
    Ok(found)
}

const GRID: usize = 200;

/// Linear regression on `e^{−Δ/τ}`.
fn with_tau(lags: &[f64], similarity: &[f64], tau: f64) -> StablePart {
    let decay: Vec<f64> = lags.iter().map(|l| (-l / tau).exp()).collect();
    let (middle, level) = (mean(&decay), mean(similarity));
    let [mut xy, mut xx] = [0.0; 2];
    for (d, s) in decay.iter().zip(similarity) {
        xy += (d - middle) * (s - level);
        xx += (d - middle) * (d - middle);
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    let plateau = level - slope * middle;
    let start = plateau + slope;
    let residual = decay
        .iter()
        .zip(similarity)
        .map(|(d, s)| (s - plateau - slope * d).powi(2))
        .sum();
    StablePart {
        plateau,
        start,
        tau_days: tau,
        stable_share: if start > 0.0 {
            plateau / start
        } else {
            f64::NAN
        },
        residual,
    }
}

/// The place of the least value between two places, by golden sections.
fn golden(value: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = f64::midpoint(5.0_f64.sqrt(), -1.0);
    for _ in 0..80 {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if value(a) <= value(b) {
            high = b;
        } else {
            low = a;
        }
    }
    f64::midpoint(low, high)
}

/// Exponent `b` of mean squared displacement `∝ lag^b`, by regression of the
/// logarithms: 1 for a random walk, below 1 where drift is drawn back (for an
/// Ornstein-Uhlenbeck code, `2s²(1 − e^{−Δ/τ})`, it falls from 1 to 0), 2 for a steady
/// course. Give displacements without trial noise
/// ([`drift_magnitude`](super::drift_magnitude)): noise alone has exponent 0.
///
/// # Errors
/// If the lengths differ, a value is not finite, a lag or a displacement is
/// not above 0, or there are fewer than three different lags.
pub fn displacement_exponent(lag_days: &[f64], square_displacement: &[f64]) -> Result<f64, Error> {
    same_length(lag_days, square_displacement)?;
    if lag_days
        .iter()
        .chain(square_displacement)
        .any(|&v| v <= 0.0)
    {
        return Err(Error::Undefined(
            "a lag or a squared displacement is not above 0, so it has no logarithm".into(),
        ));
    }
    let lags = different(lag_days);
    if lags.len() < 3 {
        return Err(Error::Undefined(format!(
            "an exponent needs three different lags or more, not {}",
            lags.len()
        )));
    }
    let x: Vec<f64> = lag_days.iter().map(|l| l.ln()).collect();
    let y: Vec<f64> = square_displacement.iter().map(|d| d.ln()).collect();
    let (middle, level) = (mean(&x), mean(&y));
    let [mut xy, mut xx] = [0.0; 2];
    for (x, y) in x.iter().zip(&y) {
        xy += (x - middle) * (y - level);
        xx += (x - middle) * (x - middle);
    }
    Ok(xy / xx)
}

/// Excess kurtosis of single cells' steps between sessions, around their mean:
/// 0 for a Gaussian walk, above 0 where few cells move far. `noise_variance`
/// is the share of the steps' variance that is trial noise (mean over cells of
/// `σ²/R + σ²/R'`): Gaussian noise dilutes the kurtosis by the squared share of the
/// rest, which is taken back.
///
/// # Errors
/// If there are fewer than four steps, one is not finite, the noise variance
/// is negative, or the steps do not vary more than their noise.
pub fn step_kurtosis(steps: &[f64], noise_variance: f64) -> Result<f64, Error> {
    finite(steps, "the steps")?;
    if !(noise_variance >= 0.0 && noise_variance.is_finite()) {
        return Err(Error::Parameter {
            name: "noise_variance",
            value: noise_variance,
            rule: "must not be negative",
        });
    }
    if steps.len() < 4 {
        return Err(Error::Undefined(format!(
            "a kurtosis needs four steps or more, not {}",
            steps.len()
        )));
    }
    let middle = mean(steps);
    let all = variance(steps);
    let signal = all - noise_variance;
    let rounding = 1e-24 * middle * middle;
    if signal <= rounding {
        return Err(Error::Undefined(
            "the steps do not vary more than their noise".into(),
        ));
    }
    let second = mean(
        &steps
            .iter()
            .map(|s| (s - middle).powi(2))
            .collect::<Vec<_>>(),
    );
    let fourth = mean(
        &steps
            .iter()
            .map(|s| (s - middle).powi(4))
            .collect::<Vec<_>>(),
    );
    Ok((fourth / (second * second) - 3.0) * (all / signal).powi(2))
}

fn same_length(lags: &[f64], values: &[f64]) -> Result<(), Error> {
    finite(lags, "the lags")?;
    finite(values, "the values")?;
    if lags.len() == values.len() {
        Ok(())
    } else {
        Err(Error::Shape(format!(
            "{} lags beside {} values",
            lags.len(),
            values.len()
        )))
    }
}

/// Ascending, each once.
fn different(lags: &[f64]) -> Vec<f64> {
    let mut sorted = lags.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_plateau_is_found() {
        let lags = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0];
        let c: Vec<f64> = lags
            .iter()
            .map(|l: &f64| 0.3 + 0.5 * (-l / 4.0).exp())
            .collect();
        let found = fit_stable_part(&lags, &c).unwrap();
        assert!((found.plateau - 0.3).abs() < 1e-6 && (found.start - 0.8).abs() < 1e-6);
        assert!((found.tau_days - 4.0).abs() < 1e-4 && (found.stable_share - 0.375).abs() < 1e-6);
        let line: Vec<f64> = lags.iter().map(|l| 0.9 - 0.01 * l).collect();
        assert!(fit_stable_part(&lags, &line).is_err());
        assert!(fit_stable_part(&lags, &[0.5; 6]).is_err());
        assert!(fit_stable_part(&lags[..3], &c[..3]).is_err());
        assert!(fit_stable_part(&[], &[]).is_err());
        assert!(fit_stable_part(&[0.0; 4], &[0.5; 4]).is_err());
    }

    #[test]
    fn powers_are_found() {
        let lags = [1.0, 2.0, 4.0];
        assert!((displacement_exponent(&lags, &[3.0, 6.0, 12.0]).unwrap() - 1.0).abs() < 1e-12);
        assert!((displacement_exponent(&lags, &[3.0, 12.0, 48.0]).unwrap() - 2.0).abs() < 1e-12);
        assert!(displacement_exponent(&lags, &[3.0, -1.0, 4.0]).is_err());
        assert!(displacement_exponent(&[1.0, 1.0, 2.0], &[3.0, 1.0, 4.0]).is_err());
    }

    #[test]
    fn kurtosis_by_hand() {
        // Half are ±1 and half 0: fourth moment 1/2, variance 1/2, so 2 − 3.
        let steps = [1.0, -1.0, 0.0, 0.0];
        assert!((step_kurtosis(&steps, 0.0).unwrap() + 1.0).abs() < 1e-12);
        assert!(step_kurtosis(&steps, 1.0).is_err());
        assert!(step_kurtosis(&[0.1; 9], 0.0).is_err());
        assert!(step_kurtosis(&steps, f64::NAN).is_err());
    }
}
