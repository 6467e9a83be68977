//! Which cells two sessions share, and how often each is drawn in a resample.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Inclusion, Parameters, Session};

/// All cells with a sure enough identity, and where they are in each session.
#[derive(Debug)]
pub(crate) struct Roster {
    /// For each session: global number of the cell → index in the session.
    places: Vec<BTreeMap<usize, usize>>,
    /// For each session and index: whether the cell is ever active.
    active: Vec<Vec<bool>>,
    inclusion: Inclusion,
    pub(crate) cells: usize,
}

/// A cell in two sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    pub(crate) global: usize,
    pub(crate) i: usize,
    pub(crate) j: usize,
}

impl Roster {
    pub(crate) fn new(sessions: &[Session], parameters: &Parameters) -> Self {
        let mut ids: Vec<i64> = sessions
            .iter()
            .flat_map(|s| s.cell.iter().copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let places = sessions
            .iter()
            .map(|session| {
                (0..session.cell.len())
                    .filter(|&k| {
                        session.seen(k)
                            && session
                                .p_same
                                .as_ref()
                                .is_none_or(|p| f64::from(p[k]) >= parameters.min_p_same)
                    })
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
        Self {
            places,
            active,
            inclusion: parameters.inclusion,
            cells: ids.len(),
        }
    }

    /// Cells of one session with a sure enough identity.
    pub(crate) fn count(&self, session: usize) -> usize {
        self.places[session].len()
    }

    pub(crate) fn shared(&self, i: usize, j: usize) -> Vec<Shared> {
        self.places[i]
            .iter()
            .filter_map(|(&global, &a)| {
                let b = *self.places[j].get(&global)?;
                let (left, right) = (self.active[i][a], self.active[j][b]);
                let keep = match self.inclusion {
                    Inclusion::ActiveInBoth => left && right,
                    Inclusion::ActiveInEither => left || right,
                    Inclusion::Tracked => true,
                };
                keep.then_some(Shared { global, i: a, j: b })
            })
            .collect()
    }
}

/// How often each cell is drawn in each resample, `(resample, cell)`.
#[derive(Debug)]
pub(crate) struct Draws {
    counts: Vec<u8>,
    cells: usize,
}

impl Draws {
    pub(crate) fn new(resamples: usize, cells: usize, seed: u64) -> Self {
        let mut counts = vec![0_u8; resamples * cells];
        for (resample, row) in counts.chunks_exact_mut(cells.max(1)).enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(resample as u64);
            for _ in 0..cells {
                let cell = rng.random_range(0..cells);
                row[cell] = row[cell].saturating_add(1);
            }
        }
        Self { counts, cells }
    }

    pub(crate) fn len(&self) -> usize {
        self.counts.len().checked_div(self.cells).unwrap_or(0)
    }

    pub(crate) fn weight(&self, resample: usize, cell: usize) -> f64 {
        f64::from(self.counts[resample * self.cells + cell])
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
