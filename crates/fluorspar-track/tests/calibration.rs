//! Whether probabilities are what they say.

mod common;

use std::sync::OnceLock;

use common::{Matched, Truth, matched, planted, probabilities};
use fluorspar_simulate::FieldsPlan;

const BINS: usize = 10;
/// Pairs that a share right is told from.
const FEWEST: f64 = 200.0;

/// What is pooled over the seeds of the moderate plan.
#[derive(Default)]
struct Pool {
    /// Number, sum of the probabilities, and number right of the pairs in
    /// equal bins of probability, without merged ROIs.
    bins: [(f64, f64, f64); BINS],
    /// Sum of the probabilities and number right of the pairs within cells.
    within: (f64, f64),
    /// The same without merged ROIs.
    within_unmerged: (f64, f64),
    /// Pairs more probable than not that are wrong.
    wrong: f64,
    expected_false: f64,
    false_by_chance: f64,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut pool = Pool::default();
        for seed in 101..113 {
            let (fields, tracks) = planted(&FieldsPlan {
                seed,
                ..FieldsPlan::default()
            });
            let truth = Truth::of(&fields);
            let p_same = probabilities(&tracks);
            for (&(sessions, rois), &p) in &p_same {
                let right = f64::from(u8::from(truth.same(sessions, rois)));
                if p > 0.5 {
                    pool.wrong += 1.0 - right;
                }
                if truth.unmerged(sessions, rois) {
                    let bin = &mut pool.bins[((p * BINS as f64) as usize).min(BINS - 1)];
                    *bin = (bin.0 + 1.0, bin.1 + p, bin.2 + right);
                }
            }
            let pairs: Vec<Matched> = matched(&tracks);
            for (sessions, rois) in pairs {
                let p = p_same.get(&(sessions, rois)).copied().unwrap_or(0.0);
                let right = f64::from(u8::from(truth.same(sessions, rois)));
                pool.within = (pool.within.0 + p, pool.within.1 + right);
                if truth.unmerged(sessions, rois) {
                    let sum = &mut pool.within_unmerged;
                    *sum = (sum.0 + p, sum.1 + right);
                }
            }
            for fit in &tracks.fits {
                pool.expected_false += fit.expected_false;
                pool.false_by_chance += fit.false_by_chance;
            }
        }
        pool
    })
}

/// Bins with few pairs are joined with the next, so that none is passed over:
/// most pairs are sure, and a model that is wrong about the others would hide
/// among them.
#[test]
fn probabilities_are_reliable() {
    let mut joined: Vec<(f64, f64, f64)> = Vec::new();
    let mut rest = (0.0, 0.0, 0.0);
    for bin in pool().bins {
        rest = (rest.0 + bin.0, rest.1 + bin.1, rest.2 + bin.2);
        if rest.0 >= FEWEST {
            joined.push(std::mem::take(&mut rest));
        }
    }
    assert!(joined.len() >= 4 && rest.0 == 0.0, "{joined:?} {rest:?}");
    let mut wrong = Vec::new();
    for (number, sum, right) in joined {
        let (said, found) = (sum / number, right / number);
        let error = (said * (1.0 - said) / number).sqrt();
        if (said - found).abs() >= 0.07 + 2.0 * error {
            wrong.push((number, said, found));
        }
    }
    assert!(wrong.is_empty(), "(pairs, said, found): {wrong:?}");
}

/// If every pair were held to be sure, this would be off by 0.008 without
/// merged ROIs and by 0.015 with them.
#[test]
fn as_many_matches_are_right_as_promised() {
    for (said, right) in [pool().within, pool().within_unmerged] {
        assert!((said / right - 1.0).abs() < 0.006, "{said} of {right}");
    }
}

#[test]
fn as_many_matches_are_wrong_as_foretold() {
    let pool = pool();
    for foretold in [pool.expected_false, pool.false_by_chance] {
        let factor = foretold / pool.wrong;
        assert!(
            (0.5..=2.0).contains(&factor),
            "{} are wrong, {foretold} foretold",
            pool.wrong
        );
    }
}
