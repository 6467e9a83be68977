use std::collections::{HashMap, HashSet};

use fluorspar_track::Tracks;
use ndarray::ArrayView2;
use serde::Serialize;

use super::Identities;

/// What two results say of one pair of ROIs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairAgreement {
    /// The two sessions, the lower first, counted from 0.
    pub sessions: [u32; 2],
    /// The ROI in each, counted from 0 among all of the session.
    pub rois: [u32; 2],
    /// Our probability that they are one cell; `None` if below 0.001.
    pub p_same: Option<f32>,
    /// Whether we join them.
    pub ours: bool,
    /// Whether the other result joins them.
    pub theirs: bool,
    /// Whether both ROIs were among those we followed. If not, we could not
    /// have joined them.
    pub followed: bool,
}

impl PairAgreement {
    /// The word for it, as written to tables.
    pub fn state(&self) -> &'static str {
        match (self.ours, self.theirs) {
            (true, true) => "both",
            (true, false) => "only ours",
            _ if self.followed => "only theirs",
            _ => "left out",
        }
    }
}

/// What became of a cell of at least two ROIs in the other result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CellAgreement {
    /// The other result has a cell of the same ROIs.
    Identical,
    /// Its ROIs belong to several cells there, two of them to the same one.
    Split,
    /// All its ROIs belong to one cell there, which has more.
    Merged,
    /// No two of its ROIs are joined there.
    OnlyOurs,
    /// A cell of the other result of whose ROIs we join no two.
    OnlyTheirs,
}

impl CellAgreement {
    /// The word for it, as written to tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Split => "split",
            Self::Merged => "merged",
            Self::OnlyOurs => "only ours",
            Self::OnlyTheirs => "only theirs",
        }
    }
}

/// How far two results agree.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Agreement {
    /// Pairs that either joins, by sessions, then ROIs.
    pub pairs: Vec<PairAgreement>,
    /// Cells of at least two ROIs: our row, their row, and what became of
    /// them. Of ours, the row of theirs that shares most ROIs, if any.
    pub cells: Vec<(Option<usize>, Option<usize>, CellAgreement)>,
}

/// Numbers of an [`Agreement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct AgreementTotals {
    /// Pairs that both join.
    pub both: usize,
    /// Pairs that only we join.
    pub only_ours: usize,
    /// Pairs that only the other result joins, of ROIs that we followed.
    pub only_theirs: usize,
    /// Pairs that the other result joins of ROIs that we did not follow.
    pub left_out: usize,
    /// Cells of the same ROIs in both.
    pub identical: usize,
    /// Our cells that are several there.
    pub split: usize,
    /// Our cells that are parts of larger ones there.
    pub merged: usize,
    /// Our cells that are not joined there.
    pub cells_only_ours: usize,
    /// Their cells that are not joined here.
    pub cells_only_theirs: usize,
}

impl Agreement {
    /// How many of each.
    pub fn totals(&self) -> AgreementTotals {
        let mut out = AgreementTotals::default();
        for pair in &self.pairs {
            *match pair.state() {
                "both" => &mut out.both,
                "only ours" => &mut out.only_ours,
                "only theirs" => &mut out.only_theirs,
                _ => &mut out.left_out,
            } += 1;
        }
        for (.., state) in &self.cells {
            *match state {
                CellAgreement::Identical => &mut out.identical,
                CellAgreement::Split => &mut out.split,
                CellAgreement::Merged => &mut out.merged,
                CellAgreement::OnlyOurs => &mut out.cells_only_ours,
                CellAgreement::OnlyTheirs => &mut out.cells_only_theirs,
            } += 1;
        }
        out
    }
}

/// Compares our cells with those of another program. ROIs of both are counted
/// among all of the session. Sessions beyond the fewer of the two are left out.
pub fn compare_identities(ours: &Tracks, theirs: &Identities) -> Agreement {
    let followed = owners(ours.roi_index.view());
    Agreement {
        pairs: pairs(ours, theirs, &followed),
        cells: cells(ours, theirs, &followed),
    }
}

/// A ROI: its session and its number.
type Roi = (usize, i32);

/// The row that each ROI is in.
fn owners(table: ArrayView2<'_, i32>) -> HashMap<Roi, usize> {
    let seen = table.indexed_iter().filter(|&(_, &roi)| roi >= 0);
    seen.map(|((cell, session), &roi)| ((session, roi), cell))
        .collect()
}

fn pairs(ours: &Tracks, theirs: &Identities, followed: &HashMap<Roi, usize>) -> Vec<PairAgreement> {
    let mut known: Vec<([u32; 4], f32)> = ours
        .pairs
        .iter()
        .map(|p| {
            (
                [p.sessions[0], p.sessions[1], p.rois[0], p.rois[1]],
                p.p_same,
            )
        })
        .collect();
    known.sort_unstable_by_key(|&(key, _)| key);
    let sessions = ours.roi_index.ncols().min(theirs.roi_index.ncols());
    let mut out = Vec::new();
    for a in 0..sessions {
        for b in a + 1..sessions {
            let here = joined(ours.roi_index.view(), a, b);
            let there = joined(theirs.roi_index.view(), a, b);
            let mut all: Vec<[i32; 2]> = here.iter().chain(&there).copied().collect();
            all.sort_unstable();
            all.dedup();
            for rois in all {
                let key = [a as u32, b as u32, rois[0] as u32, rois[1] as u32];
                let found = known.binary_search_by_key(&key, |&(key, _)| key);
                out.push(PairAgreement {
                    sessions: [key[0], key[1]],
                    rois: [key[2], key[3]],
                    p_same: found.ok().map(|at| known[at].1),
                    ours: here.contains(&rois),
                    theirs: there.contains(&rois),
                    followed: followed.contains_key(&(a, rois[0]))
                        && followed.contains_key(&(b, rois[1])),
                });
            }
        }
    }
    out
}

fn joined(table: ArrayView2<'_, i32>, a: usize, b: usize) -> HashSet<[i32; 2]> {
    let rows = table.rows().into_iter().map(|row| [row[a], row[b]]);
    rows.filter(|pair| pair.iter().all(|&roi| roi >= 0))
        .collect()
}

fn cells(
    ours: &Tracks,
    theirs: &Identities,
    followed: &HashMap<Roi, usize>,
) -> Vec<(Option<usize>, Option<usize>, CellAgreement)> {
    let sessions = ours.roi_index.ncols().min(theirs.roi_index.ncols());
    let others = owners(theirs.roi_index.view());
    // Of their cells, what we followed: we cannot have joined anything else.
    let members = |table: ArrayView2<'_, i32>, cell: usize| -> Vec<Roi> {
        let row = table.row(cell);
        (0..sessions)
            .map(|session| (session, row[session]))
            .filter(|roi| roi.1 >= 0 && followed.contains_key(roi))
            .collect()
    };
    let shares = |rois: &[Roi], rows: &HashMap<Roi, usize>| {
        let mut counts = std::collections::BTreeMap::<usize, usize>::new();
        for row in rois.iter().filter_map(|roi| rows.get(roi)) {
            *counts.entry(*row).or_default() += 1;
        }
        // The largest; of equals the first.
        counts
            .into_iter()
            .max_by_key(|&(row, n)| (n, std::cmp::Reverse(row)))
    };
    let mut out = Vec::new();
    for cell in 0..ours.roi_index.nrows() {
        let rois = members(ours.roi_index.view(), cell);
        if rois.len() < 2 {
            continue;
        }
        let (other, state) = match shares(&rois, &others) {
            Some((other, n)) if n >= 2 => {
                let there = members(theirs.roi_index.view(), other).len();
                let state = match (n == rois.len(), n == there) {
                    (true, true) => CellAgreement::Identical,
                    (true, false) => CellAgreement::Merged,
                    (false, _) => CellAgreement::Split,
                };
                (Some(other), state)
            }
            _ => (None, CellAgreement::OnlyOurs),
        };
        out.push((Some(cell), other, state));
    }
    for other in 0..theirs.roi_index.nrows() {
        let rois = members(theirs.roi_index.view(), other);
        let most = shares(&rois, followed).map_or(0, |(_, n)| n);
        if rois.len() >= 2 && most < 2 {
            out.push((None, Some(other), CellAgreement::OnlyTheirs));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking::Counted;
    use fluorspar_movie::Footprints;
    use fluorspar_track::{Parameters, SessionRois, track};
    use ndarray::{Array2, array};

    fn ours(roi_index: Array2<i32>) -> Tracks {
        let none = Footprints::new(4, 4);
        let sessions = vec![SessionRois::new(&none); roi_index.ncols()];
        let mut tracks = track(&sessions, &Parameters::default()).unwrap();
        tracks.roi_index = roi_index;
        tracks
    }

    #[test]
    fn every_kind_of_disagreement_is_told() {
        let ours = ours(array![
            [0, 0, 0],
            [1, 1, 1],
            [2, 2, -1],
            [3, 3, -1],
            [4, -1, -1],
            [-1, 4, -1],
            [-1, -1, 2],
        ]);
        let theirs = Identities {
            roi_index: array![[0, 0, 0], [1, 1, -1], [2, 2, 2], [4, 4, -1], [9, 9, -1],],
            counted: Counted::All,
        };
        let found = compare_identities(&ours, &theirs);
        let states: Vec<&str> = found.cells.iter().map(|cell| cell.2.name()).collect();
        let expected = ["identical", "split", "merged", "only ours", "only theirs"];
        assert_eq!(states, expected);
        let totals = found.totals();
        assert_eq!(
            (
                totals.both,
                totals.only_ours,
                totals.only_theirs,
                totals.left_out
            ),
            (5, 3, 3, 1)
        );
        assert_eq!(totals.identical, 1);
        let last = found.pairs.iter().find(|pair| pair.rois == [9, 9]).unwrap();
        assert_eq!((last.state(), last.p_same), ("left out", None));
    }
}
