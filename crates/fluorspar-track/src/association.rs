//! Probabilities of pairs when every ROI has at most one partner.
//!
//! The marginals of all one-to-one matchings, each weighing the product of its
//! pairs' odds, by belief propagation on the graph of candidates (Williams and
//! Lau 2014, IEEE Trans. Aerosp. Electron. Syst. 50:2942, "Approximate
//! evaluation of marginal association probabilities with belief
//! propagation"). Exact where the graph has no loops; it always converges.

use crate::candidates::Candidate;

/// Rounds of messages, at most.
const ROUNDS: usize = 60;
/// Messages that change less have settled.
const SETTLED: f64 = 1e-6;

/// The probability of each candidate, from the odds of each by itself against
/// both ROIs being unmatched. Candidates are sorted by ROI of `ours`.
pub(crate) fn marginals(candidates: &[Candidate], odds: &[f64], theirs: usize) -> Vec<f64> {
    let mut sent = odds.to_vec();
    let mut heard = vec![1.0_f64; odds.len()];
    let mut sums = vec![0.0_f64; theirs];
    for _ in 0..ROUNDS {
        sums.fill(0.0);
        for (candidate, message) in candidates.iter().zip(&sent) {
            sums[candidate.theirs as usize] += message;
        }
        for ((candidate, message), heard) in candidates.iter().zip(&sent).zip(&mut heard) {
            // The others' claims on this partner; rounding may leave less than none.
            let others = (sums[candidate.theirs as usize] - message).max(0.0);
            *heard = 1.0 / (1.0 + others);
        }
        let mut change = 0.0_f64;
        for_each_roi(candidates, |range| {
            let claim = |k: usize| odds[k] * heard[k];
            let total: f64 = range.clone().map(claim).sum();
            for k in range {
                let new = odds[k] / (1.0 + (total - claim(k)).max(0.0));
                change = change.max((new - sent[k]).abs() / (1.0 + new));
                sent[k] = new;
            }
        });
        if change < SETTLED {
            break;
        }
    }
    let mut out = vec![0.0; odds.len()];
    for_each_roi(candidates, |range| {
        let total: f64 = range.clone().map(|k| odds[k] * heard[k]).sum();
        for k in range {
            out[k] = odds[k] * heard[k] / (1.0 + total);
        }
    });
    out
}

/// Calls `visit` with the candidates of each ROI.
fn for_each_roi(candidates: &[Candidate], mut visit: impl FnMut(std::ops::Range<usize>)) {
    let mut start = 0;
    while start < candidates.len() {
        let roi = candidates[start].ours;
        let length = candidates[start..]
            .iter()
            .take_while(|c| c.ours == roi)
            .count();
        visit(start..start + length);
        start += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Marginals by going through all matchings.
    fn exact(candidates: &[Candidate], odds: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; odds.len()];
        let mut total = 0.0;
        for chosen in 0_u32..1 << odds.len() {
            let picked: Vec<usize> = (0..odds.len()).filter(|k| chosen >> k & 1 == 1).collect();
            let clash = picked.iter().enumerate().any(|(n, &i)| {
                picked[n + 1..].iter().any(|&j| {
                    candidates[i].ours == candidates[j].ours
                        || candidates[i].theirs == candidates[j].theirs
                })
            });
            if !clash {
                let weight: f64 = picked.iter().map(|&k| odds[k]).product();
                total += weight;
                for k in picked {
                    sums[k] += weight;
                }
            }
        }
        sums.iter().map(|sum| sum / total).collect()
    }

    fn candidate(ours: u32, theirs: u32) -> Candidate {
        Candidate {
            ours,
            theirs,
            distance: 0.0,
            shape: 0.0,
            area: 0.0,
            correlation: 0.0,
            containment: 0.0,
            planes: 0,
            density: 0.0,
        }
    }

    proptest! {
        /// A chain of ROIs, each with two possible partners, has no loop.
        #[test]
        fn exact_without_loops(logs in prop::collection::vec(-4.0_f64..6.0, 1..=9)) {
            let candidates: Vec<_> = (0..logs.len() as u32)
                .map(|k| candidate(k.div_ceil(2), k / 2))
                .collect();
            let odds: Vec<f64> = logs.iter().map(|l| l.exp()).collect();
            let found = marginals(&candidates, &odds, 6);
            for (a, b) in found.iter().zip(exact(&candidates, &odds)) {
                prop_assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }

        /// With loops the marginals are near, and never promise a ROI twice.
        #[test]
        fn near_with_loops(logs in prop::collection::vec(-4.0_f64..4.0, 9)) {
            let candidates: Vec<_> = (0..9).map(|k| candidate(k / 3, k % 3)).collect();
            let odds: Vec<f64> = logs.iter().map(|l| l.exp()).collect();
            let found = marginals(&candidates, &odds, 3);
            let misses = found.iter().zip(exact(&candidates, &odds)).map(|(a, b)| (a - b).abs());
            let misses: Vec<f64> = misses.collect();
            prop_assert!(misses.iter().all(|miss| *miss < 0.3), "{misses:?}");
            prop_assert!(misses.iter().sum::<f64>() / 9.0 < 0.1, "{misses:?}");
            for roi in 0..3 {
                let of: f64 = (0..9).filter(|k| k / 3 == roi).map(|k| found[k]).sum();
                prop_assert!(of <= 1.0 + 1e-9);
            }
        }
    }
}
