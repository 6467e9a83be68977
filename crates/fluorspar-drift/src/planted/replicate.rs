use rayon::prelude::*;
use statrs::distribution::{Beta, ContinuousCDF, StudentsT};

use super::law::Plan;
use super::template::Template;
use crate::statistics::{mean, variance};
use crate::{Error, Session};

/// What an analysis says of one planted experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Its estimate; NaN if it refuses.
    pub estimate: f64,
    /// Whether its test rejects its null; `None` if it has none or refuses.
    pub rejected: Option<bool>,
}

/// What an analysis says of many.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicates {
    /// Every answer, in order.
    pub answers: Vec<Answer>,
    /// Mean of the estimates that are finite.
    pub mean: f64,
    /// Their standard deviation.
    pub sd: f64,
    /// 95 % interval of the mean (Student's t): the bias is known this well.
    pub mean_interval: (f64, f64),
    /// Experiments without an estimate.
    pub refused: usize,
    /// Experiments tested.
    pub tested: usize,
    /// Share of the tested in which the null was rejected: power, or the rate
    /// of false alarms if the null is what was planted.
    pub rejection: f64,
    /// Its 95 % interval ([`binomial_interval`]).
    pub rejection_interval: (f64, f64),
}

/// Runs `analysis` on `repetitions` experiments planted by `plan`, on the
/// caller's rayon pool; what it returns does not depend on the order.
///
/// # Errors
/// [`Error::Parameter`] without repetitions or for an impossible plan.
pub fn replicate(
    template: &Template,
    plan: &Plan,
    repetitions: usize,
    seed: u64,
    analysis: impl Fn(&[Session]) -> Answer + Sync,
) -> Result<Replicates, Error> {
    let [out] = replicate_several(template, plan, repetitions, seed, |sessions| {
        [analysis(sessions)]
    })?;
    Ok(out)
}

/// [`replicate`] for an analysis that gives several answers at once.
///
/// # Errors
/// As [`replicate`].
pub fn replicate_several<const N: usize>(
    template: &Template,
    plan: &Plan,
    repetitions: usize,
    seed: u64,
    analysis: impl Fn(&[Session]) -> [Answer; N] + Sync,
) -> Result<[Replicates; N], Error> {
    if repetitions == 0 {
        return Err(Error::Parameter {
            name: "repetitions",
            value: 0.0,
            rule: "must be at least 1",
        });
    }
    let answers: Vec<[Answer; N]> = (0..repetitions as u64)
        .into_par_iter()
        .map(|index| Ok(analysis(&template.sessions(plan, seed, index)?)))
        .collect::<Result<_, Error>>()?;
    Ok(std::array::from_fn(|k| {
        Replicates::of(answers.iter().map(|all| all[k]).collect())
    }))
}

impl Replicates {
    fn of(answers: Vec<Answer>) -> Self {
        let estimates: Vec<f64> = answers
            .iter()
            .map(|a| a.estimate)
            .filter(|v| v.is_finite())
            .collect();
        let verdicts: Vec<bool> = answers.iter().filter_map(|a| a.rejected).collect();
        let rejected = verdicts.iter().filter(|&&rejected| rejected).count();
        let (middle, sd) = (mean(&estimates), variance(&estimates).sqrt());
        Self {
            mean: middle,
            sd,
            mean_interval: of_mean(middle, sd, estimates.len()),
            refused: answers.len() - estimates.len(),
            tested: verdicts.len(),
            rejection: rejected as f64 / verdicts.len() as f64,
            rejection_interval: binomial_interval(rejected, verdicts.len(), 0.95),
            answers,
        }
    }
}

fn of_mean(middle: f64, sd: f64, n: usize) -> (f64, f64) {
    match StudentsT::new(0.0, 1.0, n.saturating_sub(1) as f64) {
        Ok(t) if sd.is_finite() => {
            let reach = t.inverse_cdf(0.975) * sd / (n as f64).sqrt();
            (middle - reach, middle + reach)
        }
        _ => (f64::NAN, f64::NAN),
    }
}

/// Interval of a share of which `hits` of `n` were seen (Clopper and Pearson
/// 1934, Biometrika 26:404): at least the coverage asked for. NaN if there is
/// no such interval (`n` = 0, more hits than that, a `confidence` outside 0 to 1).
pub fn binomial_interval(hits: usize, n: usize, confidence: f64) -> (f64, f64) {
    if n == 0 || hits > n || !(confidence > 0.0 && confidence < 1.0) {
        return (f64::NAN, f64::NAN);
    }
    let tail = (1.0 - confidence) / 2.0;
    let (k, misses) = (hits as f64, (n - hits) as f64);
    let bound = |a: f64, b: f64, q: f64| Beta::new(a, b).map_or(f64::NAN, |d| d.inverse_cdf(q));
    let lo = if hits == 0 {
        0.0
    } else {
        bound(k, misses + 1.0, tail)
    };
    let hi = if hits == n {
        1.0
    } else {
        bound(k + 1.0, misses, 1.0 - tail)
    };
    (lo, hi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_shares_are_those_of_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(method="exact")
        for (hits, n, lo, hi) in [
            (0, 20, 0.0, 0.168433),
            (1, 20, 0.001265, 0.248733),
            (10, 20, 0.271958, 0.728042),
            (20, 20, 0.831567, 1.0),
        ] {
            let (a, b) = binomial_interval(hits, n, 0.95);
            assert!(
                (a - lo).abs() < 1e-5 && (b - hi).abs() < 1e-5,
                "{hits}/{n}: {a} {b}"
            );
        }
        assert!(binomial_interval(0, 0, 0.95).0.is_nan());
        assert!(binomial_interval(3, 2, 0.95).0.is_nan());
        assert!(binomial_interval(1, 2, 1.0).0.is_nan());
    }
}
