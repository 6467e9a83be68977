//! ROIs in the coordinates of the reference session.

use std::collections::BTreeMap;

use fluorspar_movie::Footprints;

/// One ROI: its centre and its pixels, both moved onto the reference.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) y: f64,
    pub(crate) x: f64,
    pub(crate) plane: u32,
    /// Pixels `(y, x)`, ascending.
    pixels: Vec<(i32, i32)>,
}

/// Moves every ROI of a session by minus its shift.
pub(crate) fn place(footprints: &Footprints, (dy, dx): (f64, f64)) -> Vec<Placed> {
    let width = footprints.width() as i32;
    (0..footprints.len())
        .map(|roi| {
            let footprint = footprints.get(roi);
            let (y, x) = footprints.centroid(roi);
            let (oy, ox) = (dy.round() as i32, dx.round() as i32);
            Placed {
                y: y - dy,
                x: x - dx,
                plane: footprint.plane,
                pixels: footprint
                    .indices
                    .iter()
                    .map(|&index| (index as i32 / width - oy, index as i32 % width - ox))
                    .collect(),
            }
        })
        .collect()
}

impl Placed {
    pub(crate) fn distance(&self, other: &Self) -> f64 {
        (self.y - other.y).hypot(self.x - other.x)
    }

    /// Intersection over union of the pixels.
    fn overlap(&self, other: &Self) -> f64 {
        let (mut i, mut j, mut shared) = (0, 0, 0_usize);
        while i < self.pixels.len() && j < other.pixels.len() {
            match self.pixels[i].cmp(&other.pixels[j]) {
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
                std::cmp::Ordering::Equal => {
                    shared += 1;
                    i += 1;
                    j += 1;
                }
            }
        }
        let union = self.pixels.len() + other.pixels.len() - shared;
        if union == 0 {
            0.0
        } else {
            shared as f64 / union as f64
        }
    }

    /// How alike two ROIs are, 0 to 1: the mean of overlap and nearness.
    pub(crate) fn score(&self, other: &Self, max_distance: f64) -> f64 {
        let nearness = 1.0 - self.distance(other) / max_distance;
        0.5 * (self.overlap(other) + nearness.max(0.0))
    }
}

/// ROIs sorted into squares, to find neighbours without looking at all pairs.
#[derive(Debug)]
pub(crate) struct Squares {
    side: f64,
    squares: BTreeMap<(i64, i64), Vec<usize>>,
}

impl Squares {
    pub(crate) fn new(all: &[Placed], side: f64) -> Self {
        let mut squares: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
        for (index, one) in all.iter().enumerate() {
            squares.entry(key(one, side)).or_default().push(index);
        }
        Self { side, squares }
    }

    /// Those of `all` (the ROIs given to [`Squares::new`]) nearer to `one`
    /// than the side of a square, in its plane, in ascending order.
    pub(crate) fn near(&self, all: &[Placed], one: &Placed) -> Vec<usize> {
        let (y, x) = key(one, self.side);
        let mut out = Vec::new();
        for row in y - 1..=y + 1 {
            for column in x - 1..=x + 1 {
                if let Some(members) = self.squares.get(&(row, column)) {
                    out.extend(members.iter().copied().filter(|&index| {
                        all[index].plane == one.plane && all[index].distance(one) < self.side
                    }));
                }
            }
        }
        out.sort_unstable();
        out
    }
}

fn key(one: &Placed, side: f64) -> (i64, i64) {
    ((one.y / side).floor() as i64, (one.x / side).floor() as i64)
}
