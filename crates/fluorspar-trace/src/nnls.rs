use crate::envelope::{Envelope, narrow};

/// Relative size below which a value counts as not negative.
const TOLERANCE: f64 = 1e-9;

/// Up to this many members the inverse is kept (8 MB).
const LARGEST_INVERSE: usize = 1024;

/// Up to this many members at zero are taken out of the whole solution with
/// the inverse; beyond, the system without them is solved afresh.
const FEW: usize = 64;

/// Least squares of one group of ROIs that hang together, some of them not
/// allowed below zero; scaled to a unit diagonal and in a narrow order.
#[derive(Debug)]
pub(crate) struct Group {
    /// Members in the order of the matrix.
    pub(crate) rois: Vec<usize>,
    /// Per row, ascending: all entries off the diagonal.
    rows: Vec<Vec<(usize, f64)>>,
    whole: Envelope,
    /// Columns of the inverse one after the other, of groups not too large.
    inverse: Option<Vec<f64>>,
}

/// What each ROI is in one frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Solved for.
    Passive,
    /// Held at zero.
    Zero,
    /// Not observed.
    Missing,
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
        let whole = Envelope::factor(&lower(&rows, &all));
        let size = order.len();
        let inverse = (size <= LARGEST_INVERSE).then(|| {
            let mut unit = vec![0.0; size * size];
            for i in 0..size {
                unit[i * size + i] = 1.0;
            }
            whole.solve(&mut unit, size);
            unit
        });
        Self {
            rois: order.iter().map(|&node| members[node]).collect(),
            rows,
            whole,
            inverse,
        }
    }

    /// How many times noisier each member is than it would be alone: root of
    /// the diagonal of the inverse.
    pub(crate) fn inflation(&self) -> Vec<f64> {
        let size = self.rois.len();
        if let Some(inverse) = &self.inverse {
            let diagonal = inverse.iter().step_by(size + 1);
            return diagonal.map(|&v| v.max(0.0).sqrt()).collect();
        }
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
        let right = values.to_vec();
        for value in values.iter_mut().filter(|v| v.is_nan()) {
            *value = 0.0;
        }
        self.whole.solve(values, frames);
        let free = vec![true; self.rois.len()];
        self.bounded(&right, values, frames, &gaps, &free);
    }

    /// Solves the chosen `frames` of `right`, axes `(member, frame)` with
    /// `columns` frames, with members that are not `free` held at zero or
    /// above, and writes the solutions into `values`. Returns how many frames
    /// did not come to an end; those are cut off at zero.
    pub(crate) fn bounded(
        &self,
        right: &[f64],
        values: &mut [f64],
        columns: usize,
        frames: &[usize],
        free: &[bool],
    ) -> usize {
        let size = self.rois.len();
        // Solutions with all members, from which the search starts.
        let mut whole = Vec::with_capacity(size * frames.len());
        for i in 0..size {
            let row = &right[i * columns..(i + 1) * columns];
            whole.extend(
                frames
                    .iter()
                    .map(|&t| if row[t].is_nan() { 0.0 } else { row[t] }),
            );
        }
        self.whole.solve(&mut whole, frames.len());
        let mut open = 0;
        for (at, &column) in frames.iter().enumerate() {
            let pick = |from: &[f64], start: usize, stride: usize| -> Vec<f64> {
                from.iter().skip(start).step_by(stride).copied().collect()
            };
            let right = pick(right, column, columns);
            let (solution, settled) = self.frame(&right, &pick(&whole, at, frames.len()), free);
            for (i, value) in solution.into_iter().enumerate() {
                values[i * columns + column] = value;
            }
            open += usize::from(!settled);
        }
        open
    }

    /// One frame, and whether its search came to an end.
    ///
    /// Block principal pivoting (Kim & Park, SIAM J. Sci. Comput. 33:3261,
    /// 2011): guess who is at zero, solve for the rest, exchange all who
    /// violate the conditions of an optimum, and where that does not get them
    /// fewer, only the last, which is known to end (Murty 1974).
    fn frame(&self, right: &[f64], whole: &[f64], free: &[bool]) -> (Vec<f64>, bool) {
        let size = right.len();
        let mut places: Vec<Place> = right
            .iter()
            .map(|v| {
                if v.is_nan() {
                    Place::Missing
                } else {
                    Place::Passive
                }
            })
            .collect();
        let scale = right
            .iter()
            .filter(|v| !v.is_nan())
            .fold(0.0, |m: f64, v| m.max(v.abs()));
        let bound = -TOLERANCE * scale;
        // Fewest violations so far, and how often to exchange all of them
        // without getting fewer.
        let (mut fewest, mut patience) = (size + 1, 3_u32);
        let mut solution = Vec::new();
        for _ in 0..100 + 5 * size {
            let gradient;
            (solution, gradient) = self.passive(&places, right, whole);
            // Karush, Kuhn and Tucker: who is solved for is not negative, and
            // more of who is at zero would not fit better.
            let wrong: Vec<usize> = (0..size)
                .filter(|&i| match places[i] {
                    Place::Passive => !free[i] && solution[i] < bound,
                    Place::Zero => gradient[i] < bound,
                    Place::Missing => false,
                })
                .collect();
            if wrong.is_empty() {
                return (cut(solution, &places, free), true);
            }
            let exchanged = if wrong.len() < fewest {
                (fewest, patience) = (wrong.len(), 3);
                &wrong[..]
            } else if patience > 0 {
                patience -= 1;
                &wrong[..]
            } else {
                &wrong[wrong.len() - 1..]
            };
            for &i in exchanged {
                places[i] = match places[i] {
                    Place::Passive => Place::Zero,
                    _ => Place::Passive,
                };
            }
        }
        (cut(solution, &places, free), false)
    }

    /// The solution with only the passive members, zero for the others, and
    /// for those at zero the gradient of half the squared error.
    fn passive(&self, places: &[Place], right: &[f64], whole: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let size = places.len();
        let out: Vec<usize> = (0..size).filter(|&i| places[i] != Place::Passive).collect();
        let mut gradient = vec![0.0; size];
        if out.is_empty() {
            return (whole.to_vec(), gradient);
        }
        if let Some(inverse) = self.inverse.as_ref().filter(|_| out.len() <= FEW) {
            // Multipliers that take those out to zero: columns of the inverse
            // are subtracted from the whole solution.
            let column = |i: usize| &inverse[i * size..(i + 1) * size];
            let block = out
                .iter()
                .map(|&i| out.iter().map(|&j| column(i)[j]).collect());
            let values = out.iter().map(|&i| whole[i]).collect();
            let multipliers = dense(block.collect(), values);
            let mut solution = whole.to_vec();
            for (&i, multiplier) in out.iter().zip(multipliers) {
                for (value, entry) in solution.iter_mut().zip(column(i)) {
                    *value -= multiplier * entry;
                }
                gradient[i] = -multiplier;
            }
            for &i in &out {
                solution[i] = 0.0;
            }
            return (solution, gradient);
        }
        let chosen: Vec<usize> = (0..size).filter(|&i| places[i] == Place::Passive).collect();
        let mut part: Vec<f64> = chosen.iter().map(|&i| right[i]).collect();
        Envelope::factor(&lower(&self.rows, &chosen)).solve(&mut part, 1);
        let mut solution = vec![0.0; size];
        for (&i, value) in chosen.iter().zip(part) {
            solution[i] = value;
        }
        for &i in &out {
            let fitted: f64 = self.rows[i]
                .iter()
                .map(|&(j, entry)| entry * solution[j])
                .sum();
            gradient[i] = fitted - right[i];
        }
        (solution, gradient)
    }
}

/// Sets what the tolerance or an end before the optimum left below zero to
/// zero, and what is missing to NaN.
fn cut(mut solution: Vec<f64>, places: &[Place], free: &[bool]) -> Vec<f64> {
    for (i, value) in solution.iter_mut().enumerate() {
        if places[i] == Place::Missing {
            *value = f64::NAN;
        } else if !free[i] && *value < 0.0 {
            *value = 0.0;
        }
    }
    solution
}

/// Solves a small positive definite system by Cholesky's decomposition.
fn dense(mut matrix: Vec<Vec<f64>>, mut values: Vec<f64>) -> Vec<f64> {
    let size = values.len();
    for i in 0..size {
        for j in 0..=i {
            let mut sum = matrix[i][j];
            for k in 0..j {
                sum -= matrix[i][k] * matrix[j][k];
            }
            matrix[i][j] = if i == j {
                sum.max(f64::MIN_POSITIVE).sqrt()
            } else {
                sum / matrix[j][j]
            };
        }
    }
    for i in 0..size {
        for j in 0..i {
            values[i] -= matrix[i][j] * values[j];
        }
        values[i] /= matrix[i][i];
    }
    for i in (0..size).rev() {
        for j in i + 1..size {
            values[i] -= matrix[j][i] * values[j];
        }
        values[i] /= matrix[i][i];
    }
    values
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
            without_inverse: bool,
        ) {
            let matrix = problem(size, &vectors[..size * 10]);
            let diagonal: Vec<f64> = (0..size).map(|i| matrix[i][i]).collect();
            let rows: Vec<Vec<(usize, f64)>> = (0..size)
                .map(|i| (0..size).filter(|&j| j != i).map(|j| (j, matrix[i][j])).collect())
                .collect();
            let members: Vec<usize> = (0..size).collect();
            let mut group = Group::new(&members, &diagonal, |i| &rows[i]);
            if without_inverse {
                group.inverse = None;
            }
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

    /// A long chain, so that hundreds of members are at zero in every frame.
    #[test]
    fn the_conditions_of_an_optimum_hold_in_large_groups() {
        let (size, frames) = (400, 6);
        let rows: Vec<Vec<(usize, f64)>> = (0..size)
            .map(|i: usize| {
                let near = [i.wrapping_sub(2), i.wrapping_sub(1), i + 1, i + 2];
                let entry = |j: usize| if i.abs_diff(j) == 1 { 0.45 } else { 0.2 };
                let inside = near.into_iter().filter(|&j| j < size);
                inside.map(|j| (j, entry(j))).collect()
            })
            .collect();
        let members: Vec<usize> = (0..size).collect();
        let group = Group::new(&members, &vec![1.0; size], |i| &rows[i]);
        let right: Vec<f64> = (0..size * frames)
            .map(|k| ((k * 7919) % 1013) as f64 / 1013.0 - 0.4)
            .collect();
        let mut values = vec![0.0; size * frames];
        let all: Vec<usize> = (0..frames).collect();
        let mut free = vec![false; size];
        free[7] = true;
        assert_eq!(group.bounded(&right, &mut values, frames, &all, &free), 0);
        for t in 0..frames {
            let mut at_zero = 0;
            for i in 0..size {
                let row = group.rows[i].iter();
                let others: f64 = row.map(|&(j, g)| g * values[j * frames + t]).sum();
                let value = values[i * frames + t];
                let gradient = value * (1.0 + 1e-6) + others - right[i * frames + t];
                if value == 0.0 && !free[i] {
                    at_zero += 1;
                    assert!(gradient > -1e-8);
                } else {
                    assert!(free[i] || value > 0.0);
                    assert!(gradient.abs() < 1e-8, "{gradient}");
                }
            }
            assert!(at_zero > FEW, "{at_zero}");
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
