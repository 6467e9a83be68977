//! Places sorted into squares, to find neighbours without looking at all pairs.

use crate::transform::Transform;

/// A place in a plane, pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) plane: i32,
    pub(crate) y: f64,
    pub(crate) x: f64,
}

impl Place {
    /// A place of a session in the reference session.
    pub(crate) fn to_reference(self, transform: &Transform) -> Self {
        let (y, x) = transform.to_reference_from(i64::from(self.plane), (self.y, self.x));
        Self {
            plane: self.plane - transform.plane_offset,
            y,
            x,
        }
    }

    /// Distance in the plane.
    pub(crate) fn distance(&self, other: &Self) -> f64 {
        ((self.y - other.y).powi(2) + (self.x - other.x).powi(2)).sqrt()
    }
}

/// Indices of places, sorted by plane, row and column of squares.
///
/// Rows that follow each other lie side by side, and so do squares of a row:
/// a neighbourhood is found by one search among rows and a short one in each.
/// No memory is spent on empty squares, however far apart the places are.
#[derive(Clone, Debug)]
pub(crate) struct Squares {
    side: f64,
    rows: Vec<Row>,
    /// Column and index of each place, by plane, row, column and index.
    sorted: Vec<(i64, u32)>,
}

/// A row of squares with places in it.
#[derive(Clone, Debug)]
struct Row {
    plane: i32,
    y: i64,
    /// Where its places end among the sorted.
    end: usize,
}

impl Squares {
    pub(crate) fn new(places: &[Place], side: f64) -> Self {
        let key = |place: &Place| {
            let (row, column) = square(place, side);
            (place.plane, row, column)
        };
        let mut sorted: Vec<((i32, i64, i64), u32)> = places
            .iter()
            .enumerate()
            .map(|(index, place)| (key(place), index as u32))
            .collect();
        sorted.sort_unstable();
        let mut rows: Vec<Row> = Vec::new();
        for (k, &((plane, row, _), _)) in sorted.iter().enumerate() {
            match rows.last_mut() {
                Some(last) if (last.plane, last.y) == (plane, row) => last.end = k + 1,
                _ => rows.push(Row {
                    plane,
                    y: row,
                    end: k + 1,
                }),
            }
        }
        let columns = sorted.into_iter();
        Self {
            side,
            rows,
            sorted: columns
                .map(|((_, _, column), index)| (column, index))
                .collect(),
        }
    }

    /// Side of a square.
    pub(crate) fn side(&self) -> f64 {
        self.side
    }

    /// Calls `visit` with those of `places` (the ones given to
    /// [`Squares::new`]) nearer to `place` than `reach`, in the plane `plane`,
    /// and their distance.
    pub(crate) fn near(
        &self,
        places: &[Place],
        place: &Place,
        plane: i32,
        reach: f64,
        mut visit: impl FnMut(usize, f64),
    ) {
        let (row, column) = square(place, self.side);
        let squares = (reach / self.side).ceil() as i64;
        let (least, most) = (
            (plane, row.saturating_sub(squares)),
            (plane, row.saturating_add(squares)),
        );
        let first = self.rows.partition_point(|row| (row.plane, row.y) < least);
        let mut start = first.checked_sub(1).map_or(0, |k| self.rows[k].end);
        for row in &self.rows[first..] {
            if (row.plane, row.y) > most {
                break;
            }
            let inside = &self.sorted[start..row.end];
            start = row.end;
            let from = column.saturating_sub(squares);
            let to = column.saturating_add(squares);
            for &(at, index) in &inside[inside.partition_point(|&(at, _)| at < from)..] {
                if at > to {
                    break;
                }
                let distance = places[index as usize].distance(place);
                if distance < reach {
                    visit(index as usize, distance);
                }
            }
        }
    }

    /// The nearest in the place's own plane, within the side of a square; of
    /// several as near, the first.
    pub(crate) fn nearest(&self, places: &[Place], place: &Place) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        self.near(places, place, place.plane, self.side, |index, distance| {
            let better = best.is_none_or(|(first, least)| {
                distance < least || (distance == least && index < first)
            });
            if better {
                best = Some((index, distance));
            }
        });
        best.map(|(index, _)| index)
    }
}

fn square(place: &Place, side: f64) -> (i64, i64) {
    (
        (place.y / side).floor() as i64,
        (place.x / side).floor() as i64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn neighbours_are_those_of_all_pairs(
            places in prop::collection::vec((-1..3_i32, -40.0..40.0_f64, -40.0..40.0_f64), 0..80),
            side in 1.0..20.0_f64,
            reach in 0.1..50.0_f64,
            plane in -2..4_i32,
        ) {
            let place = |(plane, y, x)| Place { plane, y, x };
            let places: Vec<Place> = places.into_iter().map(place).collect();
            let squares = Squares::new(&places, side);
            for from in &places {
                let mut found = Vec::new();
                squares.near(&places, from, plane, reach, |index, distance| {
                    assert_eq!(distance, places[index].distance(from));
                    found.push(index);
                });
                found.sort_unstable();
                let near = |k: &usize| {
                    places[*k].plane == plane && places[*k].distance(from) < reach
                };
                let expected: Vec<usize> = (0..places.len()).filter(near).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
