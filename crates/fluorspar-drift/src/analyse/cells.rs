//! Which cells two sessions share, and how often each is drawn in a resample.

use std::collections::BTreeMap;

use ndarray::Array2;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::random::{Domain, stream};
use crate::similarity::linear::product;
use crate::{Inclusion, Parameters, Session};

/// All cells with a sure enough identity, and where they are in each session.
#[derive(Debug)]
pub(crate) struct Roster {
    /// For each session: global number of the cell → index in the session.
    places: Vec<BTreeMap<usize, usize>>,
    /// For each session and index: whether the cell is ever active.
    active: Vec<Vec<bool>>,
    /// For each session and index: whether the cell is selective; empty unless asked for.
    informative: Vec<Vec<bool>>,
    /// For each global number: whether the cell was seen in every session.
    everywhere: Vec<bool>,
    inclusion: Inclusion,
    pub(crate) cells: usize,
}

/// A cell in two sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    /// Its number among all cells of the experiment.
    pub(crate) global: usize,
    /// Its index in the first session.
    pub(crate) i: usize,
    /// Its index in the second session.
    pub(crate) j: usize,
}

impl Roster {
    pub(crate) fn new(
        sessions: &[Session],
        parameters: &Parameters,
        informative: Vec<Vec<bool>>,
    ) -> Self {
        let mut ids: Vec<i64> = sessions
            .iter()
            .flat_map(|s| s.cell.iter().copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let places: Vec<BTreeMap<usize, usize>> = sessions
            .iter()
            .map(|session| {
                (0..session.cell.len())
                    .filter(|&k| usable(session, k, parameters))
                    .filter_map(|k| Some((ids.binary_search(&session.cell[k]).ok()?, k)))
                    .collect()
            })
            .collect();
        let active = sessions
            .iter()
            .map(|session| {
                (0..session.cell.len())
                    .map(|cell| {
                        session
                            .activity
                            .index_axis(ndarray::Axis(1), cell)
                            .iter()
                            .any(|&v| v != 0.0)
                    })
                    .collect()
            })
            .collect();
        let everywhere = (0..ids.len())
            .map(|global| places.iter().all(|here| here.contains_key(&global)))
            .collect();
        Self {
            places,
            active,
            informative,
            everywhere,
            inclusion: parameters.inclusion,
            cells: ids.len(),
        }
    }

    /// The same, each cell kept in a session with the probability of its
    /// identity there: draw number `draw` of which identities hold.
    pub(crate) fn sampled(&self, sessions: &[Session], seed: u64, draw: u64) -> Self {
        let mut rng = stream(seed, Domain::Tracks, draw);
        let places: Vec<BTreeMap<usize, usize>> = self
            .places
            .iter()
            .zip(sessions)
            .map(|(here, session)| {
                here.iter()
                    .map(|(&global, &k)| (global, k))
                    .filter(|&(_, k)| {
                        let p = session.p_same.as_ref().map_or(1.0, |p| f64::from(p[k]));
                        rng.random::<f64>() < p
                    })
                    .collect()
            })
            .collect();
        let everywhere = (0..self.cells)
            .map(|global| places.iter().all(|here| here.contains_key(&global)))
            .collect();
        Self {
            places,
            active: self.active.clone(),
            informative: self.informative.clone(),
            everywhere,
            inclusion: self.inclusion,
            cells: self.cells,
        }
    }

    /// Cells of one session that were seen with a sure enough identity.
    pub(crate) fn count(&self, session: usize) -> usize {
        self.places[session].len()
    }

    /// Global number and index of the cells of one session.
    pub(crate) fn of(&self, session: usize) -> impl Iterator<Item = (usize, usize)> {
        self.places[session].iter().map(|(&global, &k)| (global, k))
    }

    /// Whether each cell of one session is selective, if that was asked for.
    pub(crate) fn informative(&self, session: usize) -> Option<&[bool]> {
        self.informative.get(session).map(Vec::as_slice)
    }

    /// Index in `session` of the cell with this global number.
    pub(crate) fn find(&self, session: usize, global: usize) -> Option<usize> {
        self.places[session].get(&global).copied()
    }

    /// The cells that sessions `i` and `j` are compared on, by global number.
    pub(crate) fn shared(&self, i: usize, j: usize) -> Vec<Shared> {
        self.places[i]
            .iter()
            .filter_map(|(&global, &a)| {
                let b = *self.places[j].get(&global)?;
                let flags = |of: &[Vec<bool>]| (of[i][a], of[j][b]);
                let keep = match self.inclusion {
                    Inclusion::ActiveInBoth => flags(&self.active) == (true, true),
                    Inclusion::ActiveInEither => flags(&self.active) != (false, false),
                    Inclusion::Tracked => true,
                    Inclusion::TrackedInAll => self.everywhere[global],
                    Inclusion::InformativeInEither => flags(&self.informative) != (false, false),
                    Inclusion::InformativeInBoth => flags(&self.informative) == (true, true),
                };
                keep.then_some(Shared { global, i: a, j: b })
            })
            .collect()
    }
}

fn usable(session: &Session, k: usize, parameters: &Parameters) -> bool {
    let sure = session
        .p_same
        .as_ref()
        .is_none_or(|p| f64::from(p[k]) >= parameters.min_p_same);
    let member = match (&parameters.group, &session.group) {
        (None, _) => true,
        (Some(wanted), Some(groups)) => groups[k] == *wanted,
        (Some(_), None) => false,
    };
    sure && member && session.seen(k)
}

/// How often each cell is drawn in each resample.
///
/// Up to [`GROUPS`] cells are drawn one by one. More of them are dealt at
/// random into that many groups of equal size, and groups are drawn: a sum
/// over cells then has the same variance between resamples (but for the few
/// per cent that so many groups leave), at a cost that does not grow with the
/// number of cells.
#[derive(Debug)]
pub(crate) struct Draws {
    /// `(resample + 1, group)`; every group once in row 0.
    counts: Array2<f64>,
    /// Group of each cell, by global number.
    group: Vec<u32>,
}

const GROUPS: usize = 512;

impl Draws {
    pub(crate) fn new(resamples: usize, cells: usize, seed: u64) -> Self {
        let groups = cells.min(GROUPS);
        let mut group = vec![0; cells];
        let mut order: Vec<usize> = (0..cells).collect();
        if cells > groups {
            order.shuffle(&mut stream(seed, Domain::Cells, u64::from(u32::MAX)));
        }
        for (place, &cell) in order.iter().enumerate() {
            group[cell] = (place % groups) as u32;
        }
        let mut counts = Array2::ones((resamples + 1, groups));
        for (resample, mut row) in counts.rows_mut().into_iter().skip(1).enumerate() {
            row.fill(0.0);
            let mut rng = stream(seed, Domain::Cells, resample as u64);
            for _ in 0..groups {
                row[rng.random_range(0..groups)] += 1.0;
            }
        }
        Self { counts, group }
    }

    pub(crate) fn len(&self) -> usize {
        self.counts.nrows() - 1
    }

    /// Sums over `cells` of `width` terms each: as they are in row 0, in
    /// resample `b` in row `b + 1`. `terms` fills in the terms of one cell.
    pub(crate) fn sums(
        &self,
        cells: &[Shared],
        width: usize,
        mut terms: impl FnMut(&Shared, &mut [f64]),
    ) -> Array2<f64> {
        let groups = self.counts.ncols();
        let mut by_group = Array2::zeros((groups, width));
        let mut one = vec![0.0; width];
        for cell in cells {
            one.fill(0.0);
            terms(cell, &mut one);
            let mut row = by_group.row_mut(self.group[cell.global] as usize);
            for (sum, term) in row.iter_mut().zip(&one) {
                *sum += term;
            }
        }
        product(self.counts.view(), by_group.view())
    }
}

/// A metric of one pair of sessions with its resamples.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) i: usize,
    pub(crate) j: usize,
    pub(crate) value: f64,
    pub(crate) resampled: Vec<f64>,
    pub(crate) n_cells: usize,
    /// Why `value` is NaN, or empty.
    pub(crate) reason: String,
}

impl Pair {
    pub(crate) fn undefined(i: usize, j: usize, n_cells: usize, reason: String) -> Self {
        Self {
            i,
            j,
            value: f64::NAN,
            resampled: Vec::new(),
            n_cells,
            reason,
        }
    }
}
