//! Which ROIs of all sessions are one cell.
//!
//! Of all ways to sort ROIs into cells with at most one ROI a session, the one
//! with the largest sum of log odds over the pairs within cells is looked for
//! (correlation clustering): first the surest pairs are joined, then single
//! ROIs move, change places and cells join as long as the sum grows.

use std::collections::{BTreeMap, BTreeSet};

use crate::tracks::Pair;

/// A pair's log odds count at most so much, either way.
const SUREST: f64 = 7.0;
/// Log odds of a pair that is no candidate.
const NEVER: f64 = -SUREST;
/// Rounds of improvement, at most.
const ROUNDS: usize = 12;

/// ROIs of all sessions, numbered through: those of session `s` start at
/// `first[s]`.
#[derive(Clone, Debug)]
pub(crate) struct Numbering {
    pub(crate) first: Vec<usize>,
}

impl Numbering {
    pub(crate) fn new(counts: impl Iterator<Item = usize>) -> Self {
        let mut first = vec![0];
        for count in counts {
            first.push(first[first.len() - 1] + count);
        }
        Self { first }
    }

    pub(crate) fn len(&self) -> usize {
        self.first[self.first.len() - 1]
    }

    pub(crate) fn number(&self, session: usize, roi: usize) -> usize {
        self.first[session] + roi
    }

    pub(crate) fn session(&self, number: usize) -> usize {
        self.first.partition_point(|&first| first <= number) - 1
    }
}

/// Edges of the graph of ROIs: for each, its partners and their probabilities.
pub(crate) struct Graph {
    starts: Vec<usize>,
    edges: Vec<Edge>,
}

#[derive(Clone, Copy, Default)]
struct Edge {
    to: u32,
    p: f32,
    log_odds: f32,
}

impl Graph {
    pub(crate) fn new(pairs: &[Pair], numbering: &Numbering) -> Self {
        let ends = |pair: &Pair| {
            [0, 1].map(|k| numbering.number(pair.sessions[k] as usize, pair.rois[k] as usize))
        };
        let mut starts = vec![0_usize; numbering.len() + 1];
        for pair in pairs {
            for end in ends(pair) {
                starts[end + 1] += 1;
            }
        }
        for k in 1..starts.len() {
            starts[k] += starts[k - 1];
        }
        let mut next = starts.clone();
        let mut edges = vec![Edge::default(); 2 * pairs.len()];
        for pair in pairs {
            let [a, b] = ends(pair);
            for (from, to) in [(a, b), (b, a)] {
                edges[next[from]] = Edge {
                    to: to as u32,
                    p: pair.p_same,
                    log_odds: log_odds(f64::from(pair.p_same)) as f32,
                };
                next[from] += 1;
            }
        }
        // Each ROI's by partner, to be found by bisection.
        for k in 0..numbering.len() {
            edges[starts[k]..starts[k + 1]].sort_by_key(|edge| edge.to);
        }
        Self { starts, edges }
    }

    fn of(&self, roi: usize) -> &[Edge] {
        &self.edges[self.starts[roi]..self.starts[roi + 1]]
    }

    fn edge(&self, a: usize, b: usize) -> Option<&Edge> {
        let edges = self.of(a);
        let found = edges.binary_search_by_key(&(b as u32), |edge| edge.to);
        found.ok().map(|k| &edges[k])
    }

    /// Log odds of a pair.
    fn between(&self, a: usize, b: usize) -> f64 {
        self.edge(a, b)
            .map_or(NEVER, |edge| f64::from(edge.log_odds))
    }

    /// Probability of a pair; 0 if it is no candidate.
    pub(crate) fn p(&self, a: usize, b: usize) -> f64 {
        self.edge(a, b).map_or(0.0, |edge| f64::from(edge.p))
    }
}

fn log_odds(p: f64) -> f64 {
    (p / (1.0 - p).max(1e-12))
        .max(1e-12)
        .ln()
        .clamp(-SUREST, SUREST)
}

/// Cells as they grow: members of each, none for those that joined another.
struct Cells<'a> {
    graph: &'a Graph,
    numbering: &'a Numbering,
    members: Vec<Vec<u32>>,
    cell: Vec<u32>,
}

impl Cells<'_> {
    /// Sum of log odds between a ROI and a cell, but for its members `except`.
    fn pull(&self, roi: usize, cell: usize, except: Option<usize>) -> f64 {
        self.members[cell]
            .iter()
            .map(|&member| member as usize)
            .filter(|&member| member != roi && Some(member) != except)
            .map(|member| self.graph.between(roi, member))
            .sum()
    }

    fn session(&self, roi: u32) -> usize {
        self.numbering.session(roi as usize)
    }

    /// The member of a cell in a session.
    fn in_session(&self, cell: usize, session: usize) -> Option<usize> {
        let range = self.numbering.first[session]..self.numbering.first[session + 1];
        self.members[cell]
            .iter()
            .map(|&m| m as usize)
            .find(|m| range.contains(m))
    }

    fn disjoint(&self, a: usize, b: usize) -> bool {
        let sessions: BTreeSet<usize> = self.members[a].iter().map(|&m| self.session(m)).collect();
        self.members[b]
            .iter()
            .all(|&m| !sessions.contains(&self.session(m)))
    }

    fn join(&mut self, a: usize, b: usize) {
        let moved = std::mem::take(&mut self.members[b]);
        for &member in &moved {
            self.cell[member as usize] = a as u32;
        }
        self.members[a].extend(moved);
    }

    fn move_to(&mut self, roi: usize, cell: usize) {
        let old = self.cell[roi] as usize;
        self.members[old].retain(|&member| member as usize != roi);
        self.members[cell].push(roi as u32);
        self.cell[roi] = cell as u32;
    }

    /// A cell without members.
    fn empty(&mut self) -> usize {
        self.members.push(Vec::new());
        self.members.len() - 1
    }

    /// Cells that a ROI has candidates in.
    fn around(&self, roi: usize) -> BTreeSet<usize> {
        let edges = self.graph.of(roi).iter();
        edges
            .map(|edge| self.cell[edge.to as usize] as usize)
            .collect()
    }

    /// Moves a ROI to where it belongs best; whether the sum grew.
    fn improve(&mut self, roi: usize) -> bool {
        let own = self.cell[roi] as usize;
        let session = self.session(roi as u32);
        let stays = self.pull(roi, own, None);
        // Alone it adds nothing.
        let mut best = (0.0 - stays, None, None);
        for cell in self.around(roi) {
            if cell == own {
                continue;
            }
            let occupant = self.in_session(cell, session);
            let gain = self.pull(roi, cell, occupant) - stays;
            let (gain, to) = match occupant {
                None => (gain, None),
                Some(other) => {
                    // The one that gives way goes to the other's place, or alone.
                    let gives = self.pull(other, cell, None);
                    let takes = self.pull(other, own, Some(roi));
                    let swap = takes > 0.0;
                    (gain - gives + takes.max(0.0), Some((other, swap)))
                }
            };
            if gain > best.0 {
                best = (gain, Some(cell), to);
            }
        }
        let (gain, cell, other) = best;
        if gain <= 1e-6 || (cell.is_none() && self.members[own].len() == 1) {
            return false;
        }
        let cell = cell.unwrap_or_else(|| self.empty());
        self.move_to(roi, cell);
        if let Some((other, swap)) = other {
            let place = if swap { own } else { self.empty() };
            self.move_to(other, place);
        }
        true
    }

    /// Joins a ROI's cell to the one it gains most with; whether it did.
    fn unite(&mut self, roi: usize) -> bool {
        let own = self.cell[roi] as usize;
        let mut best = (1e-6, None);
        for cell in self.around(roi) {
            if cell == own || !self.disjoint(own, cell) {
                continue;
            }
            let gain: f64 = self.members[own]
                .iter()
                .map(|&member| self.pull(member as usize, cell, None))
                .sum();
            if gain > best.0 {
                best = (gain, Some(cell));
            }
        }
        best.1.inspect(|&cell| self.join(own, cell)).is_some()
    }
}

/// The ROIs of each cell, as numbers, in no particular order. `rank` is the
/// order in which ROIs are looked at; it must not depend on the order of the
/// sessions if the result shall not.
pub(crate) fn cluster(
    pairs: &[Pair],
    graph: &Graph,
    numbering: &Numbering,
    rank: &[u32],
) -> Vec<Vec<usize>> {
    let mut cells = Cells {
        graph,
        numbering,
        members: (0..numbering.len() as u32).map(|roi| vec![roi]).collect(),
        cell: (0..numbering.len() as u32).collect(),
    };
    let mut order: Vec<usize> = (0..pairs.len())
        .filter(|&k| pairs[k].p_same > 0.5)
        .collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&pairs[a], &pairs[b]);
        let nearer = a.distance.total_cmp(&b.distance);
        b.p_same
            .total_cmp(&a.p_same)
            .then(nearer)
            .then((a.sessions, a.rois).cmp(&(b.sessions, b.rois)))
    });
    for k in order {
        let pair = &pairs[k];
        let [a, b] = [0, 1].map(|k| {
            let roi = numbering.number(pair.sessions[k] as usize, pair.rois[k] as usize);
            cells.cell[roi] as usize
        });
        if a != b && cells.disjoint(a, b) {
            let gain: f64 = cells.members[a]
                .iter()
                .map(|&m| cells.pull(m as usize, b, None))
                .sum();
            if gain > 0.0 {
                cells.join(a.min(b), a.max(b));
            }
        }
    }
    // Only ROIs with a choice are looked at, and those around what changed.
    let ranked = |roi: usize| (rank[roi], roi);
    let mut waiting: BTreeSet<(u32, usize)> = (0..numbering.len())
        .filter(|&roi| graph.of(roi).len() > 1)
        .map(ranked)
        .collect();
    for _ in 0..ROUNDS {
        let mut changed = BTreeSet::new();
        for (_, roi) in waiting {
            if cells.improve(roi) || cells.unite(roi) {
                changed.extend(graph.of(roi).iter().map(|edge| ranked(edge.to as usize)));
                changed.insert(ranked(roi));
            }
        }
        if changed.is_empty() {
            break;
        }
        waiting = changed;
    }
    let mut out: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (roi, &cell) in cells.cell.iter().enumerate() {
        out.entry(cell as usize).or_default().push(roi);
    }
    out.into_values().collect()
}
