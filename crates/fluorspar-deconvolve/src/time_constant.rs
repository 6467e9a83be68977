//! How fast calcium decays.

use crate::Error;
use crate::noise::bridged;

/// Lags of the autocovariance that are used.
const LAGS: usize = 10;

/// The decay per sample `g` of an AR(1) process with additive noise of
/// standard deviation `noise`, from the autocovariance: least squares over
/// `ξ(k) = g · (ξ(k−1) − noise² [k = 1])`, lags 1 to 10 (Pnevmatikakis et al.
/// 2016, Neuron 89:285). Multiply `−1 / ln g` by the sample interval for the
/// time constant. Kept between 0.01 and 0.999.
///
/// # Errors
/// [`Error::TooShort`] below 16 finite samples.
pub fn from_autocovariance(trace: &[f32], noise: f64) -> Result<f64, Error> {
    let values = bridged(trace)?;
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let covariance = |lag: usize| {
        values[lag..]
            .iter()
            .zip(&values)
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum::<f64>()
            / n as f64
    };
    let xi: Vec<f64> = (0..=LAGS.min(n - 1)).map(covariance).collect();
    let (mut above, mut below) = (0.0, 0.0);
    for k in 1..xi.len() {
        let before = xi[k - 1] - if k == 1 { noise * noise } else { 0.0 };
        above += xi[k] * before;
        below += before * before;
    }
    Ok(if below > 0.0 {
        (above / below).clamp(0.01, 0.999)
    } else {
        0.01
    })
}
