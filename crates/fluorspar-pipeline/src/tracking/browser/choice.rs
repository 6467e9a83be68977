//! Which cells, in which planes, a browser shows.

use std::collections::BTreeMap;

use ndarray::{ArrayView1, Axis};

use super::super::Session;
use crate::artefact::TrackTable;
use crate::figures::spread;

/// Cells in all browsers of a page: more make it slow.
const MOST_CELLS: usize = 2000;
/// Browsers of a page, one for each plane shown.
const MOST_PLANES: usize = 3;

/// The cells of one plane that a browser shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chosen {
    /// The plane, counted in the reference session.
    pub(super) level: i64,
    /// The cells, ascending.
    pub(super) cells: Vec<usize>,
    /// How many of them were taken since they are the least sure.
    pub(super) doubtful: usize,
    /// Cells of the plane in all.
    pub(super) all: usize,
}

/// The planes with most cells, ascending, and which of their cells are shown;
/// and how many cells lie in other planes. Only ROIs of sessions in `columns`
/// count.
pub(super) fn choose(
    sessions: &[Session],
    columns: &[usize],
    table: &TrackTable,
) -> (Vec<Chosen>, usize) {
    choose_among(sessions, columns, table, MOST_CELLS)
}

fn choose_among(
    sessions: &[Session],
    columns: &[usize],
    table: &TrackTable,
    most: usize,
) -> (Vec<Chosen>, usize) {
    let mut levels: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (cell, row) in table.roi_index.axis_iter(Axis(0)).enumerate() {
        if let Some(level) = level(row, sessions, columns, table) {
            levels.entry(level).or_default().push(cell);
        }
    }
    let mut levels: Vec<(i64, Vec<usize>)> = levels.into_iter().collect();
    levels.sort_by_key(|(level, cells)| (std::cmp::Reverse(cells.len()), *level));
    let elsewhere = levels
        .iter()
        .skip(MOST_PLANES)
        .map(|(_, cells)| cells.len());
    let elsewhere = elsewhere.sum();
    levels.truncate(MOST_PLANES);
    levels.sort_by_key(|&(level, _)| level);
    let most = most / levels.len().max(1);
    let chosen = levels.into_iter();
    let chosen = chosen.map(|(level, cells)| thinned(level, cells, table, most));
    (chosen.collect(), elsewhere)
}

/// The plane of the reference session that a cell lies in: the mean over its ROIs.
fn level(
    row: ArrayView1<'_, i32>,
    sessions: &[Session],
    columns: &[usize],
    table: &TrackTable,
) -> Option<i64> {
    let (mut sum, mut count) = (0, 0);
    for &session in columns {
        let Some(roi) = sessions[session].followed(row[session]) else {
            continue;
        };
        let plane = i64::from(sessions[session].footprints.planes()[roi]);
        sum += plane - i64::from(table.transforms[session].plane_offset);
        count += 1;
    }
    (count > 0).then(|| (sum as f64 / f64::from(count)).round() as i64)
}

/// Half of them the least sure of those seen more than once, half an even
/// sample of the others.
fn thinned(level: i64, cells: Vec<usize>, table: &TrackTable, most: usize) -> Chosen {
    let all = cells.len();
    if all <= most {
        return Chosen {
            level,
            cells,
            doubtful: 0,
            all,
        };
    }
    let seen = |cell: usize| {
        table
            .roi_index
            .row(cell)
            .iter()
            .filter(|&&r| r >= 0)
            .count()
    };
    let mut doubtful: Vec<usize> = cells.iter().copied().filter(|&c| seen(c) > 1).collect();
    doubtful.sort_by(|&a, &b| {
        let confidence = &table.confidence;
        confidence[a].total_cmp(&confidence[b]).then(a.cmp(&b))
    });
    doubtful.truncate(most / 2);
    let count = doubtful.len();
    doubtful.sort_unstable();
    let others: Vec<usize> = cells
        .into_iter()
        .filter(|cell| doubtful.binary_search(cell).is_err())
        .collect();
    let sample = spread(others.len(), most - count);
    doubtful.extend(sample.into_iter().map(|at| others[at]));
    doubtful.sort_unstable();
    Chosen {
        level,
        cells: doubtful,
        doubtful: count,
        all,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{session, table};
    use super::*;
    use ndarray::Array2;

    #[test]
    fn of_many_cells_the_least_sure_and_an_even_sample_of_the_others() {
        let sessions = [session(&[0; 100]), session(&[0; 100])];
        let roi_index = Array2::from_shape_fn((100, 2), |(cell, session)| {
            // Every tenth was seen once.
            if session == 1 && cell % 10 == 0 {
                -1
            } else {
                cell as i32
            }
        });
        let mut table = table(roi_index);
        for (cell, confidence) in table.confidence.iter_mut().enumerate() {
            *confidence = if (41..46).contains(&cell) { 0.6 } else { 0.9 };
        }
        table.confidence[50] = 0.0; // seen once: there is nothing to doubt
        let (chosen, _) = choose_among(&sessions, &[0, 1], &table, 10);
        assert_eq!(chosen.len(), 1);
        assert_eq!((chosen[0].doubtful, chosen[0].all), (5, 100));
        assert_eq!(chosen[0].cells, [0, 23, 41, 42, 43, 44, 45, 52, 75, 99]);
        let (all, _) = choose(&sessions, &[0, 1], &table);
        assert_eq!((all[0].cells.len(), all[0].doubtful), (100, 0));
        // Cells that only a session without a column saw are not shown.
        assert_eq!(choose(&sessions, &[1], &table).0[0].all, 90);
        assert!(choose(&sessions, &[], &table).0.is_empty());
    }

    #[test]
    fn planes_with_most_cells_are_shown() {
        let planes = [0, 1, 1, 1, 2, 2, 3, 3, 3];
        let sessions = [session(&planes), session(&planes)];
        let roi_index = Array2::from_shape_fn((9, 2), |(cell, _)| cell as i32);
        let mut table = table(roi_index);
        let levels = |table: &TrackTable| -> Vec<(i64, usize)> {
            let (chosen, elsewhere) = choose(&sessions, &[0, 1], table);
            assert_eq!(elsewhere, 1);
            chosen.iter().map(|c| (c.level, c.all)).collect()
        };
        assert_eq!(levels(&table), [(1, 3), (2, 2), (3, 3)]);
        // All of it lies one plane higher in both sessions.
        for transform in &mut table.transforms {
            transform.plane_offset = 1;
        }
        assert_eq!(levels(&table), [(0, 3), (1, 2), (2, 3)]);
    }
}
