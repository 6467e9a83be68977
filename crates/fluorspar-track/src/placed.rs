//! ROIs as they lie in the reference session.

use fluorspar_movie::Footprints;
use rayon::prelude::*;

use crate::hash::{Place, Squares};
use crate::transform::Transform;

/// Pixels along a side of a stamp.
const SIDE: usize = 16;
/// Half the side of a stamp, in diameters of a cell.
const HALF: f64 = 1.25;

/// The ROIs of one session in the reference session.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Centres, pixels of the reference session.
    pub(crate) places: Vec<Place>,
    /// Logarithm of the area, square pixels of the reference session.
    pub(crate) log_area: Vec<f32>,
    /// One image of each, centred, of unit norm, one after the other.
    stamps: Vec<f32>,
    /// Side of a pixel of a stamp, pixels of the reference session.
    pitch: f64,
    pub(crate) squares: Squares,
}

impl Placed {
    /// `diameter` is that of a cell, `side` of the squares that neighbours
    /// are looked for in; pixels of the reference session.
    pub(crate) fn new(
        footprints: &Footprints,
        transform: &Transform,
        diameter: f64,
        side: f64,
    ) -> Self {
        let pitch = 2.0 * HALF * diameter / SIDE as f64;
        let mut stamps = vec![0.0; footprints.len() * SIDE * SIDE];
        let (places, log_area): (Vec<Place>, Vec<f32>) = stamps
            .par_chunks_exact_mut(SIDE * SIDE)
            .enumerate()
            .map(|(roi, stamp)| place_one(footprints, roi, transform, pitch, stamp))
            .unzip();
        Self {
            squares: Squares::new(&places, side),
            places,
            log_area,
            stamps,
            pitch,
        }
    }

    /// The chosen ROIs, in the order given.
    pub(crate) fn select(&self, rois: &[usize]) -> Self {
        let places: Vec<Place> = rois.iter().map(|&roi| self.places[roi]).collect();
        let stamps = rois.iter().flat_map(|&roi| self.stamp(roi).iter().copied());
        Self {
            squares: Squares::new(&places, self.squares.side()),
            places,
            log_area: rois.iter().map(|&roi| self.log_area[roi]).collect(),
            stamps: stamps.collect(),
            pitch: self.pitch,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    fn stamp(&self, roi: usize) -> &[f32] {
        &self.stamps[roi * SIDE * SIDE..(roi + 1) * SIDE * SIDE]
    }

    /// Correlation of two footprints laid centre on centre, 0 to 1.
    pub(crate) fn shape(&self, roi: usize, other: &Self, theirs: usize) -> f32 {
        let pairs = self.stamp(roi).iter().zip(other.stamp(theirs));
        pairs.map(|(a, b)| a * b).sum::<f32>().clamp(0.0, 1.0)
    }

    /// Share of the smaller of two footprints that lies in the larger, 0 to 1,
    /// from their correlation where they lie.
    pub(crate) fn containment(correlation: f32, log_area_ratio: f32) -> f32 {
        (correlation * (0.5 * log_area_ratio.abs()).exp()).min(1.0)
    }

    /// Correlation of two footprints where they lie, 0 to 1.
    /// `here` is where the first is taken to lie.
    pub(crate) fn correlation(&self, roi: usize, here: &Place, other: &Self, theirs: usize) -> f32 {
        let there = other.places[theirs];
        let shift = (
            (there.y - here.y) / self.pitch,
            (there.x - here.x) / self.pitch,
        );
        let (a, b) = (self.stamp(roi), other.stamp(theirs));
        // Interpolation blurs the one that is moved: each is, in turn.
        let both = product(a, b, shift) + product(b, a, (-shift.0, -shift.1));
        (0.5 * both).clamp(0.0, 1.0)
    }
}

/// Sum of products of `a` and of `b` moved by a shift, pixels of stamps.
fn product(a: &[f32], b: &[f32], (dy, dx): (f64, f64)) -> f32 {
    let (iy, ix) = (dy.floor(), dx.floor());
    let (fy, fx) = ((dy - iy) as f32, (dx - ix) as f32);
    // `a` at its pixel meets `b` at that pixel less the shift, between four of its pixels.
    let shifted = |sy: isize, sx: isize| -> f32 {
        let rows = 0.max(sy)..(SIDE as isize).min(SIDE as isize + sy);
        let columns = 0.max(sx)..(SIDE as isize).min(SIDE as isize + sx);
        if rows.is_empty() || columns.is_empty() {
            return 0.0;
        }
        rows.map(|y| {
            let (ours, theirs) = (y as usize * SIDE, (y - sy) as usize * SIDE);
            let ours = &a[ours + columns.start as usize..ours + columns.end as usize];
            let theirs = &b[theirs + (columns.start - sx) as usize..];
            ours.iter().zip(theirs).map(|(p, q)| p * q).sum::<f32>()
        })
        .sum()
    };
    let (iy, ix) = (iy as isize, ix as isize);
    (1.0 - fy) * ((1.0 - fx) * shifted(iy, ix) + fx * shifted(iy, ix + 1))
        + fy * ((1.0 - fx) * shifted(iy + 1, ix) + fx * shifted(iy + 1, ix + 1))
}

/// Where a ROI lies and the logarithm of its area; draws its stamp.
fn place_one(
    footprints: &Footprints,
    roi: usize,
    transform: &Transform,
    pitch: f64,
    stamp: &mut [f32],
) -> (Place, f32) {
    let footprint = footprints.get(roi);
    let (y, x) = footprints.centroid(roi);
    let from = Place {
        plane: footprint.plane as i32,
        y,
        x,
    };
    let place = from.to_reference(transform);
    // How the map turns and stretches a small thing here.
    let slope = |dy: f64, dx: f64| {
        let moved = |sign: f64| {
            transform.to_reference_from(i64::from(from.plane), (y + sign * dy, x + sign * dx))
        };
        let (high, low) = (moved(1.0), moved(-1.0));
        (0.5 * (high.0 - low.0), 0.5 * (high.1 - low.1))
    };
    let (down, across) = (slope(1.0, 0.0), slope(0.0, 1.0));
    let stretch = (down.0 * across.1 - down.1 * across.0).abs();
    // Pixels larger than those of the stamp are drawn as several.
    let parts = (stretch.sqrt() / pitch).ceil().clamp(1.0, 8.0) as usize;
    let width = footprints.width();
    let middle = (SIDE as f64 - 1.0) / 2.0;
    let mut square = 0.0_f64;
    for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
        square += f64::from(weight).powi(2);
        let v = (index as usize / width) as f64 - y;
        let u = (index as usize % width) as f64 - x;
        for k in 0..parts * parts {
            let offset = |k: usize| (k as f64 + 0.5) / parts as f64 - 0.5;
            let (v, u) = (v + offset(k / parts), u + offset(k % parts));
            let at = (
                (v * down.0 + u * across.0) / pitch + middle,
                (v * down.1 + u * across.1) / pitch + middle,
            );
            splat(stamp, at, weight);
        }
    }
    let norm = stamp.iter().map(|v| v * v).sum::<f32>().sqrt();
    if norm > 0.0 {
        for value in stamp {
            *value /= norm;
        }
    }
    // That of pixels of full weight with the same energy.
    (place, (stretch * square).max(1e-6).ln() as f32)
}

/// Adds a weight between four pixels of a stamp.
fn splat(stamp: &mut [f32], (y, x): (f64, f64), weight: f32) {
    let (fy, fx) = (y.floor(), x.floor());
    if !(fy >= 0.0 && fx >= 0.0 && fy < (SIDE - 1) as f64 && fx < (SIDE - 1) as f64) {
        return;
    }
    let (iy, ix) = (fy as usize, fx as usize);
    let (wy, wx) = ((y - fy) as f32, (x - fx) as f32);
    stamp[iy * SIDE + ix] += weight * (1.0 - wy) * (1.0 - wx);
    stamp[iy * SIDE + ix + 1] += weight * (1.0 - wy) * wx;
    stamp[(iy + 1) * SIDE + ix] += weight * wy * (1.0 - wx);
    stamp[(iy + 1) * SIDE + ix + 1] += weight * wy * wx;
}

/// Median diameter of the ROIs of all sessions, in units of their pixel sizes;
/// none without ROIs.
pub(crate) fn typical_diameter<'a>(
    sessions: impl Iterator<Item = (&'a Footprints, f64)>,
) -> Option<f64> {
    let mut all: Vec<f64> = Vec::new();
    for (footprints, pixel) in sessions {
        for footprint in footprints.iter() {
            let (sum, square) = footprint.weights.iter().fold((0.0, 0.0), |(s, q), &w| {
                (s + f64::from(w), q + f64::from(w).powi(2))
            });
            all.push(2.0 * (sum * sum / square / std::f64::consts::PI).sqrt() * pixel);
        }
    }
    if all.is_empty() {
        return None;
    }
    let middle = all.len() / 2;
    Some(*all.select_nth_unstable_by(middle, f64::total_cmp).1)
}
