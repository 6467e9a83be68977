//! Probabilities of all pairs of ROIs of all sessions.

use rayon::prelude::*;

use crate::alignment::Fit;
use crate::association::marginals;
use crate::candidates::{Candidate, Reach, candidates, raise_sparse};
use crate::hash::Place;
use crate::model::{MatchModel, Sharing};
use crate::placed::Placed;
use crate::regions::{self, Surroundings};
use crate::tracks::Pair;

/// Pairs less probable than this are not kept.
pub(crate) const LEAST: f64 = 1e-3;
/// Rounds of learning, at most.
const ROUNDS: usize = 40;
/// ROIs of a session that chance is measured with.
const CHANCE: usize = 2_000;

/// One session as it takes part: none if it could not be aligned.
pub(crate) type Sessions<'a> = &'a [Option<Placed>];

/// What is the same for all pairs of sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) reach: Reach,
    /// Of a cell, pixels of the reference session.
    pub(crate) diameter: f64,
}

/// Pairs of sessions that take part.
pub(crate) fn couples(sessions: Sessions<'_>) -> Vec<(usize, usize)> {
    let there: Vec<usize> = (0..sessions.len())
        .filter(|&s| sessions[s].is_some())
        .collect();
    let mut out = Vec::new();
    for (n, &a) in there.iter().enumerate() {
        out.extend(there[n + 1..].iter().map(|&b| (a, b)));
    }
    out
}

pub(crate) fn both(sessions: Sessions<'_>, (a, b): (usize, usize)) -> Option<(&Placed, &Placed)> {
    Some((sessions[a].as_ref()?, sessions[b].as_ref()?))
}

/// Probabilities of candidates of two sessions, the second of `theirs` ROIs.
pub(crate) fn probabilities(
    candidates: &[Candidate],
    model: &MatchModel,
    sharing: Sharing,
    theirs: usize,
) -> Vec<f64> {
    // Hopeless ones only take time.
    let (mut kept, mut odds, mut index) = (Vec::new(), Vec::new(), Vec::new());
    for (k, candidate) in candidates.iter().enumerate() {
        let value = model.odds(candidate, sharing);
        if value > HOPELESS {
            kept.push(*candidate);
            odds.push(value);
            index.push(k);
        }
    }
    let mut out = vec![0.0; candidates.len()];
    for (k, p) in index.into_iter().zip(marginals(&kept, &odds, theirs)) {
        out[k] = p;
    }
    out
}

/// Odds that no competition can raise to where a pair is kept.
const HOPELESS: f64 = 0.1 * LEAST;

/// What two sessions share, from the probabilities of their pairs. Two ROIs'
/// worth of belief in half and half keeps it off the ends.
pub(crate) fn share(p: &[f64], (ours, theirs): (f64, f64)) -> Sharing {
    let sum: f64 = p.iter().sum();
    Sharing {
        found: ((sum + 1.0) / (ours + 2.0)).clamp(0.01, 0.99),
        free: (1.0 - (sum + 1.0) / (theirs + 2.0)).clamp(0.01, 0.99),
        balance: ((ours + 2.0) / (theirs + 2.0)).sqrt(),
    }
}

/// How far sessions are displaced so that no cell meets itself, in largest
/// distances of one cell.
pub(crate) const AWAY: f64 = 3.0;

/// All pairs of two sessions that may be the same cell.
struct Couple {
    pairs: Vec<Pair>,
    fit: Fit,
}

/// Probabilities of all pairs of sessions, by session, then ROI, and how well
/// each two sessions fit. `seen` says whether a place of the reference session
/// lies in the field of a session.
pub(crate) fn all_pairs(
    sessions: Sessions<'_>,
    setting: Setting,
    model: &MatchModel,
    seen: impl Fn(usize, &Place) -> bool + Sync,
) -> (Vec<Pair>, Vec<Fit>) {
    let distance = setting.reach.distance;
    let surroundings: Vec<Option<Surroundings>> = sessions
        .par_iter()
        .map(|placed| Some(Surroundings::new(placed.as_ref()?, distance)))
        .collect();
    let couples: Vec<Couple> = couples(sessions)
        .into_par_iter()
        .filter_map(|couple| {
            let ours = (
                sessions[couple.0].as_ref()?,
                surroundings[couple.0].as_ref()?,
            );
            let theirs = (
                sessions[couple.1].as_ref()?,
                surroundings[couple.1].as_ref()?,
            );
            Some(one_couple([ours, theirs], couple, setting, model, &seen))
        })
        .collect();
    let mut pairs = Vec::with_capacity(couples.iter().map(|couple| couple.pairs.len()).sum());
    let mut fits = Vec::with_capacity(couples.len());
    for couple in couples {
        pairs.extend(couple.pairs);
        fits.push(couple.fit);
    }
    (pairs, fits)
}

fn one_couple(
    [(a, around_a), (b, around_b)]: [(&Placed, &Surroundings); 2],
    (first, second): (usize, usize),
    setting: Setting,
    model: &MatchModel,
    seen: impl Fn(usize, &Place) -> bool,
) -> Couple {
    let mut found = candidates(a, b, setting.reach, (0.0, 0.0), |_| true);
    raise_sparse(&mut found);
    let number =
        |of: &Placed, by: usize| of.places.iter().filter(|place| seen(by, place)).count() as f64;
    let numbers = (number(a, second), number(b, first));
    let mut sharing = Sharing::default();
    let mut p = Vec::new();
    let mut aligned = vec![1.0; a.len()];
    let swapped = swapped(&found);
    for _ in 0..ROUNDS {
        p = probabilities(&found, model, sharing, b.len());
        aligned = regions::aligned(around_a, &found, model, sharing, setting.reach.distance);
        let around = regions::aligned(
            around_b,
            &swapped,
            model,
            sharing.swapped(),
            setting.reach.distance,
        );
        for (p, candidate) in p.iter_mut().zip(&found) {
            let (ours, theirs) = (candidate.ours as usize, candidate.theirs as usize);
            *p *= 0.5 * (aligned[ours] + around[theirs]);
        }
        // Where the fields do not lie on each other nothing is shared.
        let new = share(&p, (mean(&aligned) * numbers.0, mean(&around) * numbers.1));
        let change = (new.found - sharing.found).abs() + (new.free - sharing.free).abs();
        sharing = new;
        if change < 1e-3 {
            break;
        }
    }
    let expected: f64 = p.iter().sum();
    let matched: Vec<(f32, f64)> = found
        .iter()
        .zip(&p)
        .filter(|&(_, &p)| p > 0.5)
        .map(|(candidate, &p)| (candidate.distance, p))
        .collect();
    let mut distances: Vec<f32> = matched.iter().map(|&(distance, _)| distance).collect();
    let middle = distances.len() / 2;
    let median_distance = if distances.is_empty() {
        f64::NAN
    } else {
        f64::from(*distances.select_nth_unstable_by(middle, f32::total_cmp).1)
    };
    let fewer = numbers.0.min(numbers.1);
    let smaller = a.len().min(b.len()).max(1) as f64;
    let fit = Fit {
        sessions: (first, second),
        overlap: (fewer / smaller).min(1.0),
        aligned_share: mean(&aligned),
        expected_matches: expected,
        matched_share: if fewer > 0.0 { expected / fewer } else { 0.0 },
        median_distance,
        expected_false: matched.iter().map(|(_, p)| 1.0 - p).sum(),
        false_by_chance: false_matches((a, b), &found, &p, setting, model, sharing),
    };
    let pairs = found
        .iter()
        .zip(p)
        .filter(|&(_, p)| p >= LEAST)
        .map(|(candidate, p)| Pair {
            sessions: [first as u32, second as u32],
            rois: [candidate.ours, candidate.theirs],
            distance: candidate.distance,
            correlation: candidate.correlation,
            shape: candidate.shape,
            p_same: p as f32,
        })
        .collect();
    Couple { pairs, fit }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The same candidates as the other session sees them.
fn swapped(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = candidates
        .iter()
        .map(|candidate| Candidate {
            ours: candidate.theirs,
            theirs: candidate.ours,
            area: -candidate.area,
            ..*candidate
        })
        .collect();
    out.sort_by(|a, b| {
        let nearer = a.distance.total_cmp(&b.distance);
        a.ours
            .cmp(&b.ours)
            .then(nearer)
            .then(a.theirs.cmp(&b.theirs))
    });
    out
}

/// Matches to expect between ROIs that have no partner: those without a match
/// on both sides, one side displaced by several cells, four ways.
fn false_matches(
    (a, b): (&Placed, &Placed),
    found: &[Candidate],
    p: &[f64],
    setting: Setting,
    model: &MatchModel,
    sharing: Sharing,
) -> f64 {
    let mut matched = (vec![false; a.len()], vec![false; b.len()]);
    for (candidate, _) in found.iter().zip(p).filter(|&(_, &p)| p > 0.5) {
        matched.0[candidate.ours as usize] = true;
        matched.1[candidate.theirs as usize] = true;
    }
    let free = |matched: &[bool]| -> Vec<usize> {
        (0..matched.len()).filter(|&roi| !matched[roi]).collect()
    };
    let ours = free(&matched.0);
    let every = ours.len().div_ceil(CHANCE).max(1);
    let thinned: Vec<usize> = ours.iter().copied().step_by(every).collect();
    let (part, others) = (a.select(&thinned), b.select(&free(&matched.1)));
    // Densities are those of free ROIs already.
    let sharing = Sharing {
        free: 1.0,
        ..sharing
    };
    let far = AWAY * setting.reach.distance;
    let mut count = 0_usize;
    for shift in [(far, 0.0), (-far, 0.0), (0.0, far), (0.0, -far)] {
        let mut near = candidates(&part, &others, setting.reach, shift, |_| true);
        raise_sparse(&mut near);
        let p = probabilities(&near, model, sharing, others.len());
        count += p.iter().filter(|&&p| p > 0.5).count();
    }
    0.25 * count as f64 * ours.len() as f64 / thinned.len().max(1) as f64
}
