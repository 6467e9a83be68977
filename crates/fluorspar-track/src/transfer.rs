use fluorspar_movie::{Footprint, Footprints};

use crate::hash::Place;
use crate::{Error, Presence, SessionRois, Tracks, Transform};

/// Footprints of cells in a session where they were not detected.
#[derive(Clone, Debug, PartialEq)]
pub struct Transferred {
    /// The cells, ascending: rows of [`Tracks::roi_index`].
    pub cells: Vec<usize>,
    /// One footprint for each, in the session's own image.
    pub footprints: Footprints,
}

/// Weights below this share of the largest do not count as part of a cell.
const FAINTEST: f32 = 0.1;

/// Moves footprints of cells to `session` where they were undetected
/// ([`Presence::Undetected`]), each from the nearest session in which the cell
/// was seen, so that its trace there can be extracted.
///
/// Of two sessions as near the earlier is taken. Weights are interpolated
/// linearly between pixels; a cell of which nothing remains inside the image
/// is left out.
///
/// # Errors
/// [`Error::Session`] if `sessions` are not those of the tracks, or there is
/// no such session.
pub fn transfer(
    sessions: &[SessionRois<'_>],
    tracks: &Tracks,
    session: usize,
) -> Result<Transferred, Error> {
    let count = tracks.roi_index.ncols();
    if sessions.len() != count || session >= count {
        let reason = format!(
            "there are {} sessions, and tracks of {count}",
            sessions.len()
        );
        return Err(Error::Session { session, reason });
    }
    let target = &sessions[session];
    let (height, width) = target.size();
    let mut out = Transferred {
        cells: Vec::new(),
        footprints: Footprints::new(height, width),
    };
    let to = &tracks.alignments[session].transform;
    let rows = tracks
        .roi_index
        .rows()
        .into_iter()
        .zip(tracks.presence.rows());
    for (cell, (rois, presence)) in rows.enumerate() {
        if presence[session] != Presence::Undetected {
            continue;
        }
        let seen = (0..count).filter(|&s| rois[s] >= 0);
        let Some(from) = seen.min_by_key(|&s| (s.abs_diff(session), s)) else {
            continue;
        };
        let source = sessions[from].footprints;
        let roi = rois[from] as usize;
        if roi >= source.len() {
            let reason = format!("has {} ROIs, but the tracks name ROI {roi}", source.len());
            return Err(Error::Session {
                session: from,
                reason,
            });
        }
        let transform = &tracks.alignments[from].transform;
        let moved = Moved::new(source.get(roi), source.width(), transform, to);
        let (indices, weights) = moved.drawn(height, width);
        let Ok(plane) = u32::try_from(moved.plane) else {
            continue;
        };
        if !indices.is_empty() && out.footprints.push(&indices, &weights, plane).is_ok() {
            out.cells.push(cell);
        }
    }
    Ok(out)
}

/// A footprint on its way from one session to another.
struct Moved<'a> {
    patch: Patch,
    from: &'a Transform,
    to: &'a Transform,
    /// Plane of the session it came from.
    source_plane: i64,
    /// Plane of the session it goes to.
    plane: i64,
    /// Corners of what it may cover there, `(y, x)`.
    low: (f64, f64),
    high: (f64, f64),
}

impl<'a> Moved<'a> {
    fn new(footprint: Footprint<'_>, width: usize, from: &'a Transform, to: &'a Transform) -> Self {
        let source_plane = i64::from(footprint.plane);
        let reference = source_plane - i64::from(from.plane_offset);
        let mut low = (f64::INFINITY, f64::INFINITY);
        let mut high = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for &index in footprint.indices {
            let place = Place {
                plane: footprint.plane as i32,
                y: (index as usize / width) as f64,
                x: (index as usize % width) as f64,
            };
            let place = place.to_reference(from);
            let (y, x) = to.to_session_in(reference, (place.y, place.x));
            low = (low.0.min(y), low.1.min(x));
            high = (high.0.max(y), high.1.max(x));
        }
        // A pixel of the one session may reach over several of the other.
        let reach = (to.scale() / from.scale()).max(1.0).ceil();
        Self {
            patch: Patch::new(footprint, width),
            from,
            to,
            source_plane,
            plane: reference + i64::from(to.plane_offset),
            low: (low.0 - reach, low.1 - reach),
            high: (high.0 + reach, high.1 + reach),
        }
    }

    /// Pixels and weights in an image of this size.
    fn drawn(&self, height: usize, width: usize) -> (Vec<u32>, Vec<f32>) {
        let span = |low: f64, high: f64, length: usize| {
            (low.floor().max(0.0) as usize)..((high.ceil() + 1.0).max(0.0) as usize).min(length)
        };
        let (mut indices, mut weights) = (Vec::new(), Vec::new());
        for y in span(self.low.0, self.high.0, height) {
            for x in span(self.low.1, self.high.1, width) {
                let place = self.to.to_reference_from(self.plane, (y as f64, x as f64));
                let plane = self.source_plane - i64::from(self.from.plane_offset);
                let weight = self.patch.sample(self.from.to_session_in(plane, place));
                if weight > 0.0 {
                    indices.push((y * width + x) as u32);
                    weights.push(weight);
                }
            }
        }
        let largest = weights.iter().copied().fold(0.0, f32::max);
        let kept = |weight: f32| weight >= FAINTEST * largest;
        let pairs = indices.into_iter().zip(weights);
        pairs.filter(|&(_, weight)| kept(weight)).unzip()
    }
}

/// A footprint as a small image.
struct Patch {
    top: usize,
    left: usize,
    width: usize,
    weights: Vec<f32>,
}

impl Patch {
    fn new(footprint: Footprint<'_>, width: usize) -> Self {
        let rows = || {
            footprint
                .indices
                .iter()
                .map(|&index| index as usize / width)
        };
        let columns = || {
            footprint
                .indices
                .iter()
                .map(|&index| index as usize % width)
        };
        let top = rows().min().unwrap_or(0);
        let left = columns().min().unwrap_or(0);
        let bottom = rows().max().unwrap_or(0);
        let right = columns().max().unwrap_or(0);
        let across = right - left + 1;
        let mut weights = vec![0.0; (bottom - top + 1) * across];
        for ((y, x), &weight) in rows().zip(columns()).zip(footprint.weights) {
            weights[(y - top) * across + x - left] = weight;
        }
        Self {
            top,
            left,
            width: across,
            weights,
        }
    }

    /// Linear interpolation; zero outside.
    fn sample(&self, (y, x): (f64, f64)) -> f32 {
        let (y, x) = (y - self.top as f64, x - self.left as f64);
        let (fy, fx) = (y.floor(), x.floor());
        let (wy, wx) = ((y - fy) as f32, (x - fx) as f32);
        let at = |y: f64, x: f64| {
            let inside = y >= 0.0 && x >= 0.0 && x < self.width as f64;
            let index = if inside {
                y as usize * self.width + x as usize
            } else {
                usize::MAX
            };
            self.weights.get(index).copied().unwrap_or(0.0)
        };
        (1.0 - wy) * ((1.0 - wx) * at(fy, fx) + wx * at(fy, fx + 1.0))
            + wy * ((1.0 - wx) * at(fy + 1.0, fx) + wx * at(fy + 1.0, fx + 1.0))
    }
}
