use std::collections::BTreeMap;

use crate::envelope::{Envelope, narrow};

/// Relative size below which a value counts as not negative.
const TOLERANCE: f64 = 1e-9;

/// Least squares of one group of ROIs that hang together, some of them not
/// allowed below zero; scaled to a unit diagonal and in a narrow order.
pub(crate) struct Group {
    /// Members in the order of the matrix.
    pub(crate) rois: Vec<usize>,
    /// Per row, ascending: all entries off the diagonal.
    rows: Vec<Vec<(usize, f64)>>,
    whole: Envelope,
}

/// What each ROI is in one frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Solved for.
    Passive,
    /// Held at zero.
    Zero,
    /// Not observed.
    Missing,
}

/// One frame on its way to a solution.
struct Frame {
    column: usize,
    places: Vec<Place>,
    /// Fewest violations so far, and how often to flip all of them without
    /// getting fewer.
    fewest: usize,
    patience: u32,
}

impl Group {
    /// `members` with the entries `neighbours(roi)` of a matrix whose diagonal
    /// is `diagonal`.
    pub(crate) fn new<'a>(
        members: &[usize],
        diagonal: &[f64],
        neighbours: impl Fn(usize) -> &'a [(usize, f64)],
    ) -> Self {
        let scaled: Vec<Vec<(usize, f64)>> = members
            .iter()
            .map(|&roi| {
                let entries = neighbours(roi).iter();
                entries
                    .filter_map(|&(other, value)| {
                        let place = members.binary_search(&other).ok()?;
                        Some((place, value / (diagonal[roi] * diagonal[other]).sqrt()))
                    })
                    .collect()
            })
            .collect();
        let order = narrow(&scaled);
        let mut place = vec![0; members.len()];
        for (at, &node) in order.iter().enumerate() {
            place[node] = at;
        }
        let rows: Vec<Vec<(usize, f64)>> = order
            .iter()
            .map(|&node| {
                let mut row: Vec<_> = scaled[node].iter().map(|&(j, v)| (place[j], v)).collect();
                row.sort_unstable_by_key(|&(j, _)| j);
                row
            })
            .collect();
        let all: Vec<usize> = (0..order.len()).collect();
        Self {
            rois: order.iter().map(|&node| members[node]).collect(),
            whole: Envelope::factor(&lower(&rows, &all)),
            rows,
        }
    }

    /// How many times noisier each member is than it would be alone: root of
    /// the diagonal of the inverse.
    pub(crate) fn inflation(&self) -> Vec<f64> {
        let size = self.rois.len();
        let mut unit = vec![0.0; size];
        (0..size)
            .map(|i| {
                unit.fill(0.0);
                unit[i] = 1.0;
                self.whole.solve(&mut unit, 1);
                unit[i].max(0.0).sqrt()
            })
            .collect()
    }

    /// Solves all frames without bounds, in place; axes `(member, frame)`.
    /// NaN marks members that a frame does not show: the others are solved
    /// without them.
    pub(crate) fn unbounded(&self, values: &mut [f64], frames: usize) {
        let gaps: Vec<usize> = (0..frames)
            .filter(|t| values.iter().skip(*t).step_by(frames).any(|v| v.is_nan()))
            .collect();
        if gaps.is_empty() {
            self.whole.solve(values, frames);
            return;
        }
        let free = vec![true; self.rois.len()];
        let right = values.to_vec();
        for &t in &gaps {
            for value in values.iter_mut().skip(t).step_by(frames) {
                *value = 0.0;
            }
        }
        self.whole.solve(values, frames);
        self.bounded(&right, values, frames, &gaps, &free);
    }

    /// Solves the chosen `frames` of `right`, axes `(member, frame)`, with
    /// members that are not `free` held at zero or above, and writes the
    /// solutions into `values`. Returns how many frames did not come to an
    /// end; those are cut off at zero.
    ///
    /// Block principal pivoting (Kim & Park, SIAM J. Sci. Comput. 33:3261,
    /// 2011): guess who is at zero, solve for the rest, exchange all who
    /// violate the conditions of an optimum, and where that does not get them
    /// fewer, only the last, which is known to end (Murty 1974). Frames with
    /// the same guess share one factor.
    pub(crate) fn bounded(
        &self,
        right: &[f64],
        values: &mut [f64],
        columns: usize,
        frames: &[usize],
        free: &[bool],
    ) -> usize {
        let size = self.rois.len();
        let mut open: Vec<Frame> = frames
            .iter()
            .map(|&column| Frame {
                column,
                places: (0..size)
                    .map(|i| {
                        if right[i * columns + column].is_nan() {
                            Place::Missing
                        } else {
                            Place::Passive
                        }
                    })
                    .collect(),
                fewest: size + 1,
                patience: 3,
            })
            .collect();
        for _ in 0..100 + 5 * size {
            let mut alike: BTreeMap<Vec<Place>, Vec<Frame>> = BTreeMap::new();
            for frame in open.drain(..) {
                alike.entry(frame.places.clone()).or_default().push(frame);
            }
            for (places, together) in alike {
                let solution = self.passive(&places, right, columns, &together);
                let width = together.len();
                for (at, mut frame) in together.into_iter().enumerate() {
                    let column = |i: usize| solution[i * width + at];
                    let wrong = self.violations(&places, free, right, columns, &frame, &column);
                    if wrong.is_empty() {
                        for i in 0..size {
                            // What the tolerance let pass.
                            let below = column(i) < 0.0 && !free[i];
                            values[i * columns + frame.column] =
                                if below { 0.0 } else { column(i) };
                        }
                        continue;
                    }
                    frame.exchange(&wrong);
                    open.push(frame);
                }
            }
            if open.is_empty() {
                return 0;
            }
        }
        for frame in &open {
            for i in 0..size {
                let value = &mut values[i * columns + frame.column];
                *value = match frame.places[i] {
                    Place::Missing => f64::NAN,
                    _ if free[i] => *value,
                    _ => value.max(0.0),
                };
            }
        }
        open.len()
    }

    /// The solution of `frames` with only the passive members, axes
    /// `(member, frame)`; zero or NaN for the others.
    fn passive(
        &self,
        places: &[Place],
        right: &[f64],
        columns: usize,
        frames: &[Frame],
    ) -> Vec<f64> {
        let chosen: Vec<usize> = (0..places.len())
            .filter(|&i| places[i] == Place::Passive)
            .collect();
        let mut part = Vec::with_capacity(chosen.len() * frames.len());
        for &i in &chosen {
            part.extend(frames.iter().map(|f| right[i * columns + f.column]));
        }
        if chosen.len() == places.len() {
            self.whole.solve(&mut part, frames.len());
            return part;
        }
        Envelope::factor(&lower(&self.rows, &chosen)).solve(&mut part, frames.len());
        let mut all = Vec::with_capacity(places.len() * frames.len());
        let mut solved = part.chunks_exact(frames.len());
        for place in places {
            match place {
                Place::Passive => all.extend_from_slice(solved.next().unwrap_or_default()),
                Place::Zero => all.resize(all.len() + frames.len(), 0.0),
                Place::Missing => all.resize(all.len() + frames.len(), f64::NAN),
            }
        }
        all
    }

    /// Members for whom the conditions of an optimum (Karush, Kuhn and Tucker)
    /// do not hold: solved for and negative, or at zero although more would
    /// fit better.
    fn violations(
        &self,
        places: &[Place],
        free: &[bool],
        right: &[f64],
        columns: usize,
        frame: &Frame,
        solution: &dyn Fn(usize) -> f64,
    ) -> Vec<usize> {
        let entry = |i: usize| right[i * columns + frame.column];
        let scale = (0..places.len())
            .map(|i| entry(i).abs())
            .fold(0.0, f64::max);
        let bound = -TOLERANCE * scale;
        (0..places.len())
            .filter(|&i| match places[i] {
                Place::Passive => !free[i] && solution(i) < bound,
                Place::Missing => false,
                Place::Zero => {
                    let row = self.rows[i].iter();
                    let fitted: f64 = row
                        .filter(|&&(j, _)| places[j] == Place::Passive)
                        .map(|&(j, value)| value * solution(j))
                        .sum();
                    fitted - entry(i) < bound
                }
            })
            .collect()
    }
}

impl Frame {
    fn exchange(&mut self, wrong: &[usize]) {
        if wrong.len() < self.fewest {
            self.fewest = wrong.len();
            self.patience = 3;
        } else if self.patience > 0 {
            self.patience -= 1;
        } else {
            self.flip(wrong[wrong.len() - 1]);
            return;
        }
        for &i in wrong {
            self.flip(i);
        }
    }

    fn flip(&mut self, member: usize) {
        self.places[member] = match self.places[member] {
            Place::Passive => Place::Zero,
            _ => Place::Passive,
        };
    }
}

/// Entries left of the diagonal among the `chosen` rows, ascending.
fn lower(rows: &[Vec<(usize, f64)>], chosen: &[usize]) -> Vec<Vec<(usize, f64)>> {
    let mut place = vec![usize::MAX; rows.len()];
    for (at, &row) in chosen.iter().enumerate() {
        place[row] = at;
    }
    chosen
        .iter()
        .enumerate()
        .map(|(at, &row)| {
            rows[row]
                .iter()
                .map(|&(j, value)| (place[j], value))
                .filter(|&(j, _)| j < at)
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook way: the best of all choices of who is at zero.
    fn by_enumeration(matrix: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
        let size = right.len();
        let mut best = (f64::INFINITY, vec![0.0; size]);
        for choice in 0_usize..1 << size {
            let chosen: Vec<usize> = (0..size).filter(|i| choice >> i & 1 == 1).collect();
            let Some(part) = gauss(matrix, right, &chosen) else {
                continue;
            };
            if part.iter().any(|&v| v < -1e-12) {
                continue;
            }
            let mut x = vec![0.0; size];
            for (&i, &v) in chosen.iter().zip(&part) {
                x[i] = v;
            }
            let cost: f64 = (0..size)
                .map(|i| {
                    let fitted: f64 = (0..size).map(|j| matrix[i][j] * x[j]).sum();
                    x[i] * (0.5 * fitted - right[i])
                })
                .sum();
            if cost < best.0 {
                best = (cost, x);
            }
        }
        best.1
    }

    fn gauss(matrix: &[Vec<f64>], right: &[f64], chosen: &[usize]) -> Option<Vec<f64>> {
        let n = chosen.len();
        let mut a: Vec<Vec<f64>> = chosen
            .iter()
            .map(|&i| {
                let row = chosen.iter().map(|&j| matrix[i][j]);
                row.chain([right[i]]).collect()
            })
            .collect();
        for k in 0..n {
            let pivot = (k..n).max_by(|&p, &q| a[p][k].abs().total_cmp(&a[q][k].abs()))?;
            a.swap(k, pivot);
            if a[k][k].abs() < 1e-12 {
                return None;
            }
            for i in 0..n {
                if i != k {
                    let factor = a[i][k] / a[k][k];
                    for j in k..=n {
                        a[i][j] -= factor * a[k][j];
                    }
                }
            }
        }
        Some((0..n).map(|i| a[i][n] / a[i][i]).collect())
    }

    /// Products of random vectors without negative entries.
    fn problem(size: usize, vectors: &[f64]) -> Vec<Vec<f64>> {
        let length = vectors.len() / size;
        let row = |i: usize| &vectors[i * length..(i + 1) * length];
        (0..size)
            .map(|i| {
                (0..size)
                    .map(|j| row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum())
                    .collect()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_optimum_is_found(
            size in 1_usize..7,
            vectors in prop::collection::vec(0.01..1.0_f64, 70),
            right in prop::collection::vec(-2.0..4.0_f64, 7 * 5),
        ) {
            let matrix = problem(size, &vectors[..size * 10]);
            let diagonal: Vec<f64> = (0..size).map(|i| matrix[i][i]).collect();
            let rows: Vec<Vec<(usize, f64)>> = (0..size)
                .map(|i| (0..size).filter(|&j| j != i).map(|j| (j, matrix[i][j])).collect())
                .collect();
            let members: Vec<usize> = (0..size).collect();
            let group = Group::new(&members, &diagonal, |i| &rows[i]);
            let frames = 5;
            // Into the group's order and scale.
            let mut scaled = vec![0.0; size * frames];
            for (at, &roi) in group.rois.iter().enumerate() {
                for t in 0..frames {
                    scaled[at * frames + t] = right[roi * frames + t] / diagonal[roi].sqrt();
                }
            }
            let mut values = vec![f64::NAN; size * frames];
            let all: Vec<usize> = (0..frames).collect();
            let open = group.bounded(&scaled, &mut values, frames, &all, &vec![false; size]);
            prop_assert_eq!(open, 0);
            for t in 0..frames {
                let b: Vec<f64> = (0..size).map(|i| right[i * frames + t]).collect();
                // The ridge belongs to the problem.
                let mut ridged = matrix.clone();
                for i in 0..size {
                    ridged[i][i] *= 1.0 + 1e-6;
                }
                let truth = by_enumeration(&ridged, &b);
                let scale = truth.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
                for (at, &roi) in group.rois.iter().enumerate() {
                    let found = values[at * frames + t] / diagonal[roi].sqrt();
                    prop_assert!(
                        (found - truth[roi]).abs() < 1e-5 * scale,
                        "{} {}", found, truth[roi]
                    );
                }
            }
        }
    }

    #[test]
    fn twins_share_and_gaps_leave_the_others_whole() {
        let rows = [vec![(1, 4.0)], vec![(0, 4.0)]];
        let group = Group::new(&[0, 1], &[4.0, 4.0], |i| &rows[i]);
        let mut values = vec![5.0, 5.0, 5.0, f64::NAN];
        group.unbounded(&mut values, 2);
        assert!((values[0] - 2.5).abs() < 1e-3 && (values[2] - 2.5).abs() < 1e-3);
        assert!((values[1] - 5.0).abs() < 1e-3 && values[3].is_nan());
        assert!(group.inflation()[0] > 100.0);
    }
}
