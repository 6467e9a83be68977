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
/// Squares of one row that lie side by side are found by one binary search;
/// no memory is spent on empty ones, however far apart the places are.
#[derive(Clone, Debug)]
pub(crate) struct Squares {
    side: f64,
    sorted: Vec<(Key, u32)>,
}

/// Plane, row, column.
type Key = (i32, i64, i64);

impl Squares {
    pub(crate) fn new(places: &[Place], side: f64) -> Self {
        let key = |place: &Place| {
            let (row, column) = square(place, side);
            (place.plane, row, column)
        };
        let mut sorted: Vec<(Key, u32)> = places
            .iter()
            .enumerate()
            .map(|(index, place)| (key(place), index as u32))
            .collect();
        sorted.sort_unstable();
        Self { side, sorted }
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
        for y in row - squares..=row + squares {
            let from = (plane, y, column - squares);
            let first = self.sorted.partition_point(|(key, _)| *key < from);
            for &((p, v, u), index) in &self.sorted[first..] {
                if (p, v) != (plane, y) || u > column + squares {
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
