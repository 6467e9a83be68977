//! Probabilities of all pairs of ROIs of all sessions.

use std::f64::consts::SQRT_2;

use rayon::prelude::*;

use crate::alignment::Fit;
use crate::association::marginals;
use crate::candidates::{Candidate, Reach, candidates, density, raise_sparse};
use crate::hash::Place;
use crate::model::{Counts, MatchModel, Sharing, count, expect};
use crate::placed::Placed;
use crate::tracks::Pair;

/// Pairs less probable than this are not kept.
pub(crate) const LEAST: f64 = 1e-3;
/// Candidates that the model is fitted to, about; more tell nothing new.
const ENOUGH: usize = 200_000;
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
fn couples(sessions: Sessions<'_>) -> Vec<(usize, usize)> {
    let there: Vec<usize> = (0..sessions.len())
        .filter(|&s| sessions[s].is_some())
        .collect();
    let mut out = Vec::new();
    for (n, &a) in there.iter().enumerate() {
        out.extend(there[n + 1..].iter().map(|&b| (a, b)));
    }
    out
}

fn both<'a>(sessions: Sessions<'a>, (a, b): (usize, usize)) -> Option<(&'a Placed, &'a Placed)> {
    Some((sessions[a].as_ref()?, sessions[b].as_ref()?))
}

/// Fits the model to all sessions together.
pub(crate) fn fit(sessions: Sessions<'_>, setting: Setting) -> MatchModel {
    let mut model = MatchModel::guess(setting.diameter, setting.reach.distance);
    let couples = couples(sessions);
    let wanted = sample(sessions, &couples, setting);
    let mut sets: Vec<(Vec<Candidate>, Sharing, (f64, f64), usize)> = couples
        .par_iter()
        .filter_map(|&couple| {
            let (a, b) = both(sessions, couple)?;
            let mut found = candidates(a, b, setting.reach, (0.0, 0.0), &wanted);
            raise_sparse(&mut found);
            let number = |of: &Placed| of.places.iter().filter(|p| wanted(p)).count() as f64;
            Some((found, Sharing::default(), (number(a), number(b)), b.len()))
        })
        .collect();
    let (near, expected) = within(sessions, setting);
    model.learn_different(&misaligned(sessions, &couples, setting));
    let everything = |sets: &[(Vec<Candidate>, Sharing, (f64, f64), usize)]| -> Vec<Candidate> {
        sets.iter().flat_map(|set| set.0.iter().copied()).collect()
    };
    let all = everything(&sets);
    let mut before = 0.0;
    for _ in 0..ROUNDS {
        model.learn_apart(&near, &expected, SQRT_2 * model.same[0].displacement);
        let p: Vec<Vec<f64>> = sets
            .par_iter_mut()
            .map(|(candidates, sharing, numbers, theirs)| {
                let p = probabilities(candidates, &model, *sharing, *theirs);
                *sharing = share(&p, *numbers);
                p
            })
            .collect();
        let p: Vec<f64> = p.into_iter().flatten().collect();
        model.learn_same(&all, &p, setting.diameter);
        let total: f64 = p.iter().sum();
        if (total - before).abs() < 1e-4 * (total + 1.0) {
            break;
        }
        before = total;
    }
    model
}

fn probabilities(
    candidates: &[Candidate],
    model: &MatchModel,
    sharing: Sharing,
    theirs: usize,
) -> Vec<f64> {
    let odds: Vec<f64> = candidates.iter().map(|c| model.odds(c, sharing)).collect();
    marginals(candidates, &odds, theirs)
}

/// What two sessions share, from the probabilities of their pairs. Two ROIs'
/// worth of belief in half and half keeps it off the ends.
fn share(p: &[f64], (ours, theirs): (f64, f64)) -> Sharing {
    let sum: f64 = p.iter().sum();
    Sharing {
        found: ((sum + 1.0) / (ours + 2.0)).clamp(0.01, 0.99),
        free: (1.0 - (sum + 1.0) / (theirs + 2.0)).clamp(0.01, 0.99),
    }
}

/// Picks blocks of the reference session's field so that about [`ENOUGH`]
/// candidates lie in them; the same blocks in all sessions.
fn sample(
    sessions: Sessions<'_>,
    couples: &[(usize, usize)],
    setting: Setting,
) -> impl Fn(&Place) -> bool + Sync + use<> {
    let rois: usize = couples
        .iter()
        .filter_map(|&couple| both(sessions, couple))
        .map(|(a, _)| a.len())
        .sum();
    // A ROI has about two candidates.
    let every = (2 * rois).div_ceil(ENOUGH).max(1) as u64;
    let side = 8.0 * setting.reach.distance;
    move |place: &Place| {
        if every == 1 {
            return true;
        }
        let row = (place.y / side).floor() as i64 as u64;
        let column = (place.x / side).floor() as i64 as u64;
        // Neighbouring blocks fall apart.
        let mixed = row
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(column.wrapping_mul(0xC2B2_AE3D_27D4_EB4F))
            .wrapping_add((place.plane as u64).wrapping_mul(0x1656_67B1_9E37_79F9));
        (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33 & 0xFFFF
            < 0x1_0000 / every
    }
}

/// How near different cells lie to each other within sessions, by distance,
/// and how near they would if they lay anyhow.
fn within(sessions: Sessions<'_>, setting: Setting) -> (Counts, Counts) {
    let farthest = setting.reach.distance;
    let total: usize = sessions.iter().flatten().map(Placed::len).sum();
    let every = total.div_ceil(ENOUGH / 4).max(1);
    let (mut near, mut expected) = (Counts::default(), Counts::default());
    for placed in sessions.iter().flatten() {
        for (roi, place) in placed.places.iter().enumerate().step_by(every) {
            expect(&mut expected, density(placed, place, farthest), farthest);
            let all = (&placed.places, place, place.plane);
            placed
                .squares
                .near(all.0, all.1, all.2, farthest, |other, distance| {
                    if other != roi {
                        count(&mut near, distance, farthest);
                    }
                });
        }
    }
    (near, expected)
}

/// Candidates of sessions that were displaced by several cells, and so are
/// pairs of different cells that lie anyhow.
fn misaligned(
    sessions: Sessions<'_>,
    couples: &[(usize, usize)],
    setting: Setting,
) -> Vec<Candidate> {
    let far = AWAY * setting.reach.distance;
    let rois: usize = couples
        .iter()
        .filter_map(|&couple| both(sessions, couple))
        .map(|(a, _)| a.len())
        .sum();
    let every = rois.div_ceil(ENOUGH / 8).max(1);
    couples
        .par_iter()
        .filter_map(|&couple| both(sessions, couple))
        .map(|(a, b)| {
            let part = a.thinned(every);
            let shifts = [(far, 0.0), (0.0, -far)];
            let found = shifts.map(|shift| candidates(&part, b, setting.reach, shift, |_| true));
            found.concat()
        })
        .collect::<Vec<_>>()
        .concat()
}

/// How far sessions are displaced so that no cell meets itself, in largest
/// distances of one cell.
const AWAY: f64 = 3.0;

/// All pairs of two sessions that may be the same cell.
struct Couple {
    pairs: Vec<Pair>,
    fit: Fit,
}

/// Probabilities of all pairs of sessions, by session, then ROI, and how well
/// each two sessions fit. `seen` says whether a place of the reference session
/// lies in the field of a session; `fields` is the area of each.
pub(crate) fn all_pairs(
    sessions: Sessions<'_>,
    setting: Setting,
    model: &MatchModel,
    seen: impl Fn(usize, &Place) -> bool + Sync,
) -> (Vec<Pair>, Vec<Fit>) {
    let couples: Vec<Couple> = couples(sessions)
        .into_par_iter()
        .filter_map(|couple| {
            let (a, b) = both(sessions, couple)?;
            Some(one_couple((a, b), couple, setting, model, &seen))
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
    (a, b): (&Placed, &Placed),
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
    for _ in 0..ROUNDS {
        p = probabilities(&found, model, sharing, b.len());
        let new = share(&p, numbers);
        let change = (new.found - sharing.found).abs() + (new.free - sharing.free).abs();
        sharing = new;
        if change < 1e-3 {
            break;
        }
    }
    let expected: f64 = p.iter().sum();
    let mut distances: Vec<f32> = found
        .iter()
        .zip(&p)
        .filter(|&(_, &p)| p > 0.5)
        .map(|(candidate, _)| candidate.distance)
        .collect();
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
        expected_matches: expected,
        matched_share: if fewer > 0.0 { expected / fewer } else { 0.0 },
        median_distance,
        chance_share: chance((a, b), setting, model, sharing),
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

/// The share of ROIs that would be matched if the fields had nothing to do
/// with each other: one is displaced by several cells, four ways.
fn chance(
    (a, b): (&Placed, &Placed),
    setting: Setting,
    model: &MatchModel,
    sharing: Sharing,
) -> f64 {
    let far = AWAY * setting.reach.distance;
    let part = a.thinned(a.len().div_ceil(CHANCE).max(1));
    let mut matched = 0_usize;
    for shift in [(far, 0.0), (-far, 0.0), (0.0, far), (0.0, -far)] {
        let mut found = candidates(&part, b, setting.reach, shift, |_| true);
        raise_sparse(&mut found);
        let p = probabilities(&found, model, sharing, b.len());
        matched += p.iter().filter(|&&p| p > 0.5).count();
    }
    matched as f64 / (4 * part.len()).max(1) as f64
}
