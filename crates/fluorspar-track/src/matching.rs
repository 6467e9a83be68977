//! The best one-to-one assignment of ROIs to cells.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// A pair that may be joined: ROI, cell, worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) roi: usize,
    pub(crate) cell: usize,
    pub(crate) score: f64,
}

/// Worth in integers, so that sums are exact and ties are broken the same way everywhere.
const SCALE: f64 = 1e6;

/// Picks pairs so that no ROI and no cell is used twice and the sum of scores
/// is largest. Groups of ROIs and cells without a candidate between them are
/// solved apart, which keeps each problem small.
pub(crate) fn assign(candidates: &[Candidate], rois: usize, cells: usize) -> Vec<(usize, usize)> {
    let mut parent: Vec<usize> = (0..rois + cells).collect();
    for candidate in candidates {
        let a = root(&mut parent, candidate.roi);
        let b = root(&mut parent, rois + candidate.cell);
        parent[a.max(b)] = a.min(b);
    }
    let mut groups: std::collections::BTreeMap<usize, Vec<Candidate>> =
        std::collections::BTreeMap::new();
    for candidate in candidates {
        let group = root(&mut parent, candidate.roi);
        groups.entry(group).or_default().push(*candidate);
    }
    let mut out: Vec<(usize, usize)> = groups.values().flat_map(|group| solve(group)).collect();
    out.sort_unstable();
    out
}

fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

fn solve(group: &[Candidate]) -> Vec<(usize, usize)> {
    if let [only] = group {
        return vec![(only.roi, only.cell)];
    }
    let distinct = |pick: fn(&Candidate) -> usize| {
        let mut out: Vec<usize> = group.iter().map(pick).collect();
        out.sort_unstable();
        out.dedup();
        out
    };
    let (rois, cells) = (distinct(|c| c.roi), distinct(|c| c.cell));
    // Each ROI may also stay alone: one more column for each, worth nothing.
    let mut worth = Matrix::new(rois.len(), cells.len() + rois.len(), 0_i64);
    for candidate in group {
        let row = rois.binary_search(&candidate.roi).unwrap_or(0);
        let column = cells.binary_search(&candidate.cell).unwrap_or(0);
        worth[(row, column)] = (candidate.score * SCALE).round() as i64;
    }
    let (_, columns) = kuhn_munkres(&worth);
    columns
        .iter()
        .enumerate()
        .filter(|&(row, &column)| column < cells.len() && worth[(row, column)] > 0)
        .map(|(row, &column)| (rois[row], cells[column]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against all possible assignments of up to five ROIs and cells.
        #[test]
        fn no_assignment_is_better(scores in prop::collection::vec(0.0_f64..1.0, 25), n in 1_usize..=5) {
            let candidates: Vec<Candidate> = (0..n * n)
                .filter(|&k| scores[k] > 0.3)
                .map(|k| Candidate { roi: k / n, cell: k % n, score: scores[k] })
                .collect();
            let value = |pairs: &[(usize, usize)]| pairs.iter().map(|&(r, c)| scores[r * n + c]).sum::<f64>();
            let found = assign(&candidates, n, n);
            let mut best = 0.0_f64;
            let mut stack = vec![(0, Vec::new())];
            while let Some((row, pairs)) = stack.pop() {
                if row == n {
                    best = best.max(value(&pairs));
                    continue;
                }
                stack.push((row + 1, pairs.clone()));
                for candidate in candidates.iter().filter(|c| c.roi == row) {
                    if pairs.iter().all(|&(_, c)| c != candidate.cell) {
                        let mut more = pairs.clone();
                        more.push((row, candidate.cell));
                        stack.push((row + 1, more));
                    }
                }
            }
            prop_assert!((value(&found) - best).abs() < 1e-5);
        }
    }
}
