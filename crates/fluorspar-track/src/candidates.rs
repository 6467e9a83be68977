//! Pairs of ROIs that might be one cell.

use crate::hash::Place;
use crate::placed::Placed;

/// Most candidates of one ROI in one other session: the nearest.
const MOST: usize = 16;

/// A pair of ROIs near each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) ours: u32,
    pub(crate) theirs: u32,
    /// Pixels of the reference session.
    pub(crate) distance: f32,
    /// Correlation centre on centre.
    pub(crate) shape: f32,
    /// Logarithm of the ratio of the areas.
    pub(crate) area: f32,
    /// Correlation where they lie.
    pub(crate) correlation: f32,
    /// Share of the smaller that lies in the larger.
    pub(crate) containment: f32,
    /// Planes that they are apart.
    pub(crate) planes: u8,
    /// ROIs per square pixel of a plane, around: geometric mean of what both
    /// sessions show, so that neither comes first.
    pub(crate) density: f32,
}

/// How candidates are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Largest distance, pixels of the reference session.
    pub(crate) distance: f64,
    /// Planes that they may be apart.
    pub(crate) planes: u8,
}

/// Radius in which density is measured, in largest distances.
pub(crate) const AROUND: f64 = 3.0;
/// A sparse corner counts as at least so dense, as a share of the mean: the
/// field's border, not the tissue, may end there.
const SPARSEST: f64 = 0.5;

/// All candidates of `ours` in `theirs`, by ROI of `ours`. `ours` is moved by
/// `shift` first, and only ROIs that `wanted` picks are looked at.
pub(crate) fn candidates(
    ours: &Placed,
    theirs: &Placed,
    reach: Reach,
    shift: (f64, f64),
    wanted: impl Fn(&Place) -> bool,
) -> Vec<Candidate> {
    let mut out = Vec::new();
    let mut near: Vec<(f64, usize, u8)> = Vec::new();
    for (roi, place) in ours.places.iter().enumerate() {
        if !wanted(place) {
            continue;
        }
        let place = Place {
            y: place.y + shift.0,
            x: place.x + shift.1,
            ..*place
        };
        near.clear();
        for apart in 0..=reach.planes {
            for plane in planes_apart(place.plane, apart) {
                theirs
                    .squares
                    .near(&theirs.places, &place, plane, reach.distance, |index, d| {
                        near.push((d, index, apart));
                    });
            }
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.truncate(MOST);
        if near.is_empty() {
            continue;
        }
        let around = density(theirs, &place, reach.distance);
        out.extend(near.iter().map(|&(distance, other, planes)| {
            let correlation = ours.correlation(roi, &place, theirs, other);
            let area = ours.log_area[roi] - theirs.log_area[other];
            // Where the other lies before the shift, in its own session's company.
            let back = Place {
                plane: place.plane,
                y: theirs.places[other].y - shift.0,
                x: theirs.places[other].x - shift.1,
            };
            let of_ours = density(ours, &back, reach.distance);
            Candidate {
                ours: roi as u32,
                theirs: other as u32,
                distance: distance as f32,
                shape: ours.shape(roi, theirs, other),
                area,
                correlation,
                containment: Placed::containment(correlation, area),
                planes,
                density: (around * of_ours).sqrt() as f32,
            }
        }));
    }
    out
}

/// The planes on both sides, or the plane itself.
fn planes_apart(plane: i32, apart: u8) -> impl Iterator<Item = i32> {
    let apart = i32::from(apart);
    let both = [plane.saturating_sub(apart), plane.saturating_add(apart)];
    both.into_iter().take(if apart == 0 { 1 } else { 2 })
}

/// ROIs per square pixel in the plane of `place`.
fn density(of: &Placed, place: &Place, distance: f64) -> f64 {
    let radius = AROUND * distance;
    let mut count = 0_u32;
    of.squares
        .near(&of.places, place, place.plane, radius, |_, _| count += 1);
    f64::from(count.max(1)) / (std::f64::consts::PI * radius * radius)
}

/// Raises densities that the field's border lowers.
pub(crate) fn raise_sparse(candidates: &mut [Candidate]) {
    let n = candidates.len().max(1) as f64;
    let mean = candidates.iter().map(|c| f64::from(c.density)).sum::<f64>() / n;
    let least = (SPARSEST * mean) as f32;
    for candidate in candidates {
        candidate.density = candidate.density.max(least);
    }
}
