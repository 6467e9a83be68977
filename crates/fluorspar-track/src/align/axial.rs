//! Which plane of one stack shows a plane of another.

use super::bend::warped;
use super::correlator::Correlator;
use super::view::{Planes, View};
use crate::SessionRois;
use crate::transform::Transform;

/// Planes of the reference session that are looked at, at most.
const MOST_PLANES: usize = 8;

/// What sets the size of the views.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Side of a pixel of the views, pixels of the reference session.
    pub(super) pitch: f64,
    /// Of a cell, pixels of the reference session.
    pub(super) diameter: f64,
    /// Pixels of the moving session per pixel of the reference.
    pub(super) ratio: f64,
}

/// The plane of `moving` that shows plane 0 of `fixed`, within `most` either
/// way: where the planes of both correlate best on average, each at its best
/// shift within a cell.
pub(super) fn plane_offset(
    fixed: &SessionRois<'_>,
    moving: &SessionRois<'_>,
    transform: &Transform,
    scale: Scale,
    most: u32,
) -> i32 {
    let (ours, theirs) = (fixed.planes(), moving.planes());
    let view = |session: &SessionRois<'_>, plane: usize, factor: f64| {
        View::new(
            session,
            Planes::One(plane),
            scale.pitch * factor,
            scale.diameter * factor,
        )
    };
    let count = ours.min(MOST_PLANES);
    let picked: Vec<usize> = (0..count)
        .map(|k| (2 * k + 1) * ours / (2 * count))
        .collect();
    let fixed_views: Vec<View> = picked
        .iter()
        .map(|&plane| view(fixed, plane, 1.0))
        .collect();
    let Some(first) = fixed_views.first() else {
        return 0;
    };
    let reach = (scale.diameter / scale.pitch).ceil() as usize;
    let correlator = Correlator::new((first.image.height, first.image.width), (reach, reach));
    let spectra: Vec<_> = fixed_views
        .iter()
        .map(|v| correlator.spectrum(&v.image))
        .collect();
    // Sum and number of correlations for each offset.
    let mut sums = vec![(0.0_f64, 0_u32); 2 * most as usize + 1];
    for plane in 0..theirs {
        let wanted: Vec<(usize, usize)> = picked
            .iter()
            .enumerate()
            .filter_map(|(k, &ours)| {
                let slot = plane as i64 - ours as i64 + i64::from(most);
                usize::try_from(slot)
                    .ok()
                    .filter(|&s| s < sums.len())
                    .map(|s| (k, s))
            })
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let moved = warped(transform, first, &view(moving, plane, scale.ratio));
        let energy = moved.energy();
        let spectrum = correlator.spectrum(&moved);
        for (k, slot) in wanted {
            let (peak, _) = correlator
                .correlate(&spectra[k], &spectrum, (reach, reach))
                .peak();
            let norm = (energy * fixed_views[k].image.energy()).sqrt();
            if norm > 0.0 {
                sums[slot].0 += f64::from(peak) / norm;
                sums[slot].1 += 1;
            }
        }
    }
    // An offset that only few planes share is judged by few.
    let enough = picked.len().div_ceil(2) as u32;
    let mut best = (0, f64::NEG_INFINITY);
    for (slot, &(sum, n)) in sums.iter().enumerate() {
        let offset = slot as i32 - most as i32;
        let mean = sum / f64::from(n.max(1));
        let nearer = offset.abs() < i32::abs(best.0);
        if n >= enough && (mean > best.1 || (mean == best.1 && nearer)) {
            best = (offset, mean);
        }
    }
    best.0
}
