//! Fits the model of same and different cells to all sessions together.

use std::f64::consts::PI;

use rayon::prelude::*;

use crate::candidates::{AROUND, Candidate, candidates, raise_sparse};
use crate::hash::Place;
use crate::model::{Apart, MatchModel, Sharing};
use crate::pairs::{AWAY, Sessions, Setting, both, couples, probabilities, share};
use crate::placed::Placed;

/// Candidates that the model is fitted to, about; more tell nothing new.
const ENOUGH: usize = 200_000;
/// Rounds of learning, at most.
const ROUNDS: usize = 40;

/// Candidates of two sessions.
struct Couple {
    sessions: (usize, usize),
    candidates: Vec<Candidate>,
    sharing: Sharing,
    /// ROIs of both that are looked at.
    rois: (f64, f64),
    p: Vec<f64>,
}

/// The model, by expectation and maximisation.
///
/// Different cells are learnt from those ROIs of a session that have no
/// partner in others: only these can be mistaken, and among them are more that
/// are no cells and keep no distance from any.
pub(crate) fn fit(sessions: Sessions<'_>, setting: Setting) -> MatchModel {
    let mut model = MatchModel::guess(setting.diameter, setting.reach.distance);
    let couples = couples(sessions);
    let wanted = sample(sessions, &couples, setting);
    let mut sets: Vec<Couple> = couples
        .par_iter()
        .filter_map(|&couple| {
            let (a, b) = both(sessions, couple)?;
            let mut found = candidates(a, b, setting.reach, (0.0, 0.0), &wanted);
            raise_sparse(&mut found);
            let number = |of: &Placed| of.places.iter().filter(|p| wanted(p)).count() as f64;
            Some(Couple {
                sessions: couple,
                p: vec![0.0; found.len()],
                candidates: found,
                sharing: Sharing::default(),
                rois: (number(a), number(b)),
            })
        })
        .collect();
    let strangers = misaligned(sessions, &couples, setting);
    let all = within(sessions, &Free::all(sessions, &wanted), setting);
    let mut before = 0.0;
    for _ in 0..ROUNDS {
        let free = Free::new(sessions, &sets, &wanted);
        let apart = within(sessions, &free, setting);
        model.learn_apart(&apart, &all);
        model.learn_different(strangers.iter().map(|(couple, stranger)| {
            let weight = free.of(couple.0, stranger.ours) * free.of(couple.1, stranger.theirs);
            (stranger, weight)
        }));
        sets.par_iter_mut().for_each(|set| {
            let Some((_, b)) = both(sessions, set.sessions) else {
                return;
            };
            set.p = probabilities(&set.candidates, &model, set.sharing, b.len());
            set.sharing = share(&set.p, set.rois);
        });
        let pairs = || {
            sets.iter()
                .flat_map(|set| set.candidates.iter().zip(set.p.iter().copied()))
        };
        model.learn_same(pairs, setting.diameter);
        let total: f64 = pairs().map(|(_, p)| p).sum();
        if (total - before).abs() < 1e-4 * (total + 1.0) {
            break;
        }
        before = total;
    }
    model
}

/// How probably each ROI has no partner in another session, mean over the
/// sessions; 0 for ROIs that are not looked at.
struct Free(Vec<Vec<f64>>);

impl Free {
    fn new(sessions: Sessions<'_>, sets: &[Couple], wanted: impl Fn(&Place) -> bool) -> Self {
        let count = |placed: &Option<Placed>| placed.as_ref().map_or(0, Placed::len);
        let mut matched: Vec<Vec<f64>> = sessions.iter().map(|s| vec![0.0; count(s)]).collect();
        let mut others = vec![0.0_f64; sessions.len()];
        for set in sets {
            let (a, b) = set.sessions;
            others[a] += 1.0;
            others[b] += 1.0;
            for (candidate, p) in set.candidates.iter().zip(&set.p) {
                matched[a][candidate.ours as usize] += p;
                matched[b][candidate.theirs as usize] += p;
            }
        }
        for ((matched, others), placed) in matched.iter_mut().zip(others).zip(sessions) {
            for (roi, matched) in matched.iter_mut().enumerate() {
                let looked_at = placed
                    .as_ref()
                    .is_some_and(|placed| wanted(&placed.places[roi]));
                *matched = if looked_at {
                    (1.0 - *matched / others.max(1.0)).clamp(0.0, 1.0)
                } else {
                    0.0
                };
            }
        }
        Self(matched)
    }

    /// As if none had a partner.
    fn all(sessions: Sessions<'_>, wanted: impl Fn(&Place) -> bool) -> Self {
        Self::new(sessions, &[], wanted)
    }

    fn of(&self, session: usize, roi: u32) -> f64 {
        self.0[session][roi as usize]
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

/// How near ROIs without partners lie to each other within sessions.
fn within(sessions: Sessions<'_>, free: &Free, setting: Setting) -> Apart {
    let farthest = setting.reach.distance;
    let around = AROUND * farthest;
    let each: Vec<Apart> = sessions
        .par_iter()
        .zip(&free.0)
        .filter_map(|(placed, free)| Some((placed.as_ref()?, free)))
        .map(|(placed, free)| {
            let mut apart = Apart::default();
            for (roi, place) in placed.places.iter().enumerate() {
                let weight = free[roi];
                if weight < 0.01 {
                    continue;
                }
                let mut sum = 0.0;
                let all = &placed.places;
                placed
                    .squares
                    .near(all, place, place.plane, around, |other, distance| {
                        if other != roi {
                            sum += free[other];
                            if distance < farthest {
                                apart.count(distance, farthest, weight * free[other]);
                            }
                        }
                    });
                apart.expect(sum / (PI * around * around), farthest, weight);
            }
            apart
        })
        .collect();
    let mut sum = Apart::default();
    for apart in &each {
        sum.add(apart);
    }
    sum
}

/// Candidates of sessions that were displaced by several cells, and so are
/// pairs of different cells that lie anyhow.
fn misaligned(
    sessions: Sessions<'_>,
    couples: &[(usize, usize)],
    setting: Setting,
) -> Vec<((usize, usize), Candidate)> {
    let far = AWAY * setting.reach.distance;
    let rois: usize = couples
        .iter()
        .filter_map(|&couple| both(sessions, couple))
        .map(|(a, _)| a.len())
        .sum();
    let every = rois.div_ceil(ENOUGH / 16).max(1);
    couples
        .par_iter()
        .filter_map(|&couple| Some((couple, both(sessions, couple)?)))
        .map(|(couple, (a, b))| {
            let picked: Vec<usize> = (0..a.len()).step_by(every).collect();
            let part = a.select(&picked);
            let shifts = [(far, 0.0), (-far, 0.0), (0.0, far), (0.0, -far)];
            let found = shifts.map(|shift| candidates(&part, b, setting.reach, shift, |_| true));
            let found = found.into_iter().flatten().map(|candidate| Candidate {
                ours: picked[candidate.ours as usize] as u32,
                ..candidate
            });
            found
                .map(|candidate| (couple, candidate))
                .collect::<Vec<_>>()
        })
        .collect::<Vec<_>>()
        .concat()
}
