use std::collections::BTreeMap;

use rand::RngExt;

use crate::Error;
use crate::inference::add_one_p;
use crate::random::{Domain, stream};
use crate::statistics::mean;

/// How the upward bias of few trials is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// `(Σ_s (R_s − 1) − (R − 1)) / (2 N ln 2)` with `R_s` the responses that
    /// occur with label `s` (Panzeri and Treves 1996, Network 7:87). Responses
    /// that could occur but did not are not counted, so a little bias is left
    /// where trials per label are few.
    PanzeriTreves,
    /// The mean information of labels exchanged at random; also gives a p.
    Shuffle {
        /// Exchanges.
        draws: usize,
        /// Seed of the exchanges.
        seed: u64,
    },
}

/// Information between a label and a response, bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MutualInformation {
    /// From the counts as they are; biased upwards.
    pub raw: f64,
    /// The estimated bias.
    pub bias: f64,
    /// `raw − bias`; may fall below 0 where there is no information.
    pub corrected: f64,
    /// Add-one p of the shuffle; NaN without one.
    pub p: f64,
}

/// Splits values into `bins` bins with equal numbers, equal values together,
/// so that there may be fewer bins than asked for (a cell that is mostly
/// silent has its silence in one).
///
/// # Errors
/// [`Error::Parameter`] without bins, [`Error::NotFinite`].
pub fn equal_bins(values: &[f64], bins: usize) -> Result<Vec<usize>, Error> {
    if bins == 0 {
        return Err(Error::Parameter {
            name: "bins",
            value: 0.0,
            rule: "must be at least 1",
        });
    }
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite("a response"));
    }
    let n = values.len() as f64;
    // Equal values share their mean rank and with it their bin.
    Ok(crate::statistics::ranks(values)
        .iter()
        .map(|rank| (((rank - 0.5) / n * bins as f64) as usize).min(bins - 1))
        .collect())
}

/// Mutual information between a label and a response, one of each per trial.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::Nothing`] without trials
/// or shuffles.
pub fn mutual_information(
    labels: &[i64],
    responses: &[usize],
    bias: Bias,
) -> Result<MutualInformation, Error> {
    if labels.len() != responses.len() {
        return Err(Error::Shape(format!(
            "{} labels, {} responses",
            labels.len(),
            responses.len()
        )));
    }
    if labels.is_empty() {
        return Err(Error::Nothing("trials"));
    }
    let (labels, kinds) = numbered(labels);
    let (responses, answers) = numbered(responses);
    let counts = count(&labels, &responses, kinds, answers);
    let raw = plug_in(&counts, kinds, answers);
    let (bias, p) = match bias {
        Bias::PanzeriTreves => (panzeri_treves(&counts, kinds, answers), f64::NAN),
        Bias::Shuffle { draws, seed } => {
            if draws == 0 {
                return Err(Error::Nothing("shuffles"));
            }
            let mut labels = labels.clone();
            let drawn: Vec<f64> = (0..draws)
                .map(|draw| {
                    let mut rng = stream(seed, Domain::Labels, draw as u64);
                    for last in (1..labels.len()).rev() {
                        labels.swap(last, rng.random_range(0..=last));
                    }
                    plug_in(&count(&labels, &responses, kinds, answers), kinds, answers)
                })
                .collect();
            let reached = drawn.iter().filter(|&&d| d >= raw - 1e-12).count();
            (mean(&drawn), add_one_p(reached, draws))
        }
    };
    Ok(MutualInformation {
        raw,
        bias,
        corrected: raw - bias,
        p,
    })
}

/// Values numbered from 0 in ascending order, and how many there are.
fn numbered<T: Ord + Copy>(values: &[T]) -> (Vec<usize>, usize) {
    let mut numbers: BTreeMap<T, usize> = values.iter().map(|&v| (v, 0)).collect();
    for (number, slot) in numbers.values_mut().enumerate() {
        *slot = number;
    }
    (values.iter().map(|v| numbers[v]).collect(), numbers.len())
}

/// Trials by `(label, response)`.
fn count(labels: &[usize], responses: &[usize], kinds: usize, answers: usize) -> Vec<u32> {
    let mut counts = vec![0; kinds * answers];
    for (&label, &response) in labels.iter().zip(responses) {
        counts[label * answers + response] += 1;
    }
    counts
}

/// The bias of `counts` `(label, response)`; labels and responses that never
/// occur count for nothing.
fn panzeri_treves(counts: &[u32], kinds: usize, answers: usize) -> f64 {
    let occurring =
        |n: usize, hit: &dyn Fn(usize) -> bool| (0..n).filter(|&k| hit(k)).count() as f64;
    let pairs = occurring(counts.len(), &|k| counts[k] > 0);
    let rows = occurring(kinds, &|s| {
        counts[s * answers..(s + 1) * answers]
            .iter()
            .any(|&c| c > 0)
    });
    let columns = occurring(answers, &|r| {
        (0..kinds).any(|s| counts[s * answers + r] > 0)
    });
    let trials: f64 = counts.iter().map(|&c| f64::from(c)).sum();
    ((pairs - rows) - (columns - 1.0)) / (2.0 * trials * std::f64::consts::LN_2)
}

/// Raw information and its Panzeri-Treves bias for `counts` `(label, response)`
/// with `answers` responses.
pub(crate) fn of_counts(counts: &[u32], answers: usize) -> [f64; 2] {
    let kinds = counts.len() / answers.max(1);
    [
        plug_in(counts, kinds, answers),
        panzeri_treves(counts, kinds, answers),
    ]
}

fn plug_in(counts: &[u32], kinds: usize, answers: usize) -> f64 {
    let entropy = |counts: &mut dyn Iterator<Item = u32>| -> (f64, f64) {
        counts.fold((0.0, 0.0), |(sum, n), c| {
            let c = f64::from(c);
            (sum + if c > 0.0 { c * c.log2() } else { 0.0 }, n + c)
        })
    };
    // I = Σ c log c − Σ row log row − Σ column log column + N log N, over N.
    let (joint, n) = entropy(&mut counts.iter().copied());
    let (rows, _) = entropy(&mut counts.chunks(answers).map(|row| row.iter().sum()));
    let (columns, _) =
        entropy(&mut (0..answers).map(|k| (0..kinds).map(|s| counts[s * answers + k]).sum()));
    ((joint - rows - columns + n * n.log2()) / n).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_response_tells_all_of_the_label() {
        let labels: Vec<i64> = (0..40).map(|t| t % 4 - 2).collect();
        let responses: Vec<usize> = (0..40).map(|t| 10 * (t % 4)).collect();
        let found = mutual_information(&labels, &responses, Bias::PanzeriTreves).unwrap();
        assert!((found.raw - 2.0).abs() < 1e-12);
        // Each label has one response: (0 − 3) / (2 · 40 · ln 2).
        assert!((found.bias + 3.0 / (80.0 * std::f64::consts::LN_2)).abs() < 1e-12);
        let shuffle = Bias::Shuffle { draws: 99, seed: 1 };
        assert_eq!(
            mutual_information(&labels, &responses, shuffle).unwrap().p,
            0.01
        );
    }

    #[test]
    fn correction_takes_away_what_chance_adds() {
        let mut rng = stream(3, Domain::Planted, 0);
        let [mut raw, mut analytic, mut shuffled] = [0.0; 3];
        for round in 0..200 {
            let labels: Vec<i64> = (0..60).map(|t| t % 3).collect();
            let responses: Vec<usize> = (0..60).map(|_| rng.random_range(0..4)).collect();
            let found = mutual_information(&labels, &responses, Bias::PanzeriTreves).unwrap();
            raw += found.raw / 200.0;
            analytic += found.corrected / 200.0;
            let shuffle = Bias::Shuffle {
                draws: 30,
                seed: round,
            };
            shuffled += mutual_information(&labels, &responses, shuffle)
                .unwrap()
                .corrected
                / 200.0;
        }
        // (3 · 3 − 3) / (2 · 60 · ln 2) = 0.072 bits of nothing.
        assert!((raw - 0.072).abs() < 0.012, "{raw}");
        assert!(analytic.abs() < 0.012 && shuffled.abs() < 0.012);
    }

    #[test]
    fn silence_stays_in_one_bin() {
        let bins = equal_bins(&[0.0, 0.0, 0.0, 0.0, 1.0, 2.0], 3).unwrap();
        assert!(bins[..4].iter().all(|&b| b == bins[0]));
        assert!(bins[5] > bins[0]);
        assert_eq!(equal_bins(&[4.0, 3.0, 2.0, 1.0], 2).unwrap(), [1, 1, 0, 0]);
        assert!(equal_bins(&[], 2).unwrap().is_empty());
        assert!(equal_bins(&[1.0], 0).is_err());
        assert!(mutual_information(&[], &[], Bias::PanzeriTreves).is_err());
        let alone = mutual_information(&[1], &[1], Bias::PanzeriTreves).unwrap();
        assert_eq!((alone.raw, alone.bias), (0.0, 0.0));
    }
}
