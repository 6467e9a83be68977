//! Outlines of several sessions where they lie in the reference session.

use fluorspar_movie::Footprint;
use fluorspar_report::Figure;
use fluorspar_report::figure::{self, Segment};
use fluorspar_track::{Tracks, Transform};
use ndarray::{Array2, Axis};

use super::Session;
use super::input::plane;
use crate::Error;
use crate::error::Context;
use crate::figures::spread;

/// Sessions that one picture shows: more colours are not told apart.
const MOST_SESSIONS: usize = 4;
/// Largest side of a picture: of larger fields it shows the middle.
const MOST_PIXELS: usize = 512;
/// Planes shown.
const MOST_PLANES: usize = 3;
/// The colours of [`figure::PALETTE`], in words.
const COLOURS: [&str; MOST_SESSIONS] = ["blue", "orange", "green", "pink"];

/// A part of the reference session's field.
#[derive(Clone, Copy)]
struct Window {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

/// One picture for each of a few planes of the reference session.
pub(super) fn overlays(tracks: &Tracks, sessions: &[Session]) -> Result<Vec<Figure>, Error> {
    let Some(reference) = sessions.get(tracks.reference) else {
        return Ok(Vec::new());
    };
    let shown = shown(tracks);
    let size = (reference.footprints.height(), reference.footprints.width());
    let side = |length: usize| {
        (
            length.saturating_sub(MOST_PIXELS) / 2,
            length.min(MOST_PIXELS),
        )
    };
    let ((top, height), (left, width)) = (side(size.0), side(size.1));
    let window = Window {
        top,
        left,
        height,
        width,
    };
    let planes = reference.mean_image.as_ref().map_or_else(
        || {
            let highest = reference.footprints.planes().iter().max();
            highest.map_or(1, |&highest| highest as usize + 1)
        },
        |image| image.len_of(Axis(0)),
    );
    let colours: Vec<String> = shown
        .iter()
        .zip(COLOURS)
        .map(|(session, colour)| format!("{colour}: session {session}"))
        .collect();
    let mut out = Vec::new();
    for level in spread(planes, MOST_PLANES) {
        let outlines: Vec<Vec<Segment>> = shown
            .iter()
            .map(|&k| {
                let transform = &tracks.alignments[k].transform;
                outlines(&sessions[k], transform, level, window)
            })
            .collect();
        let image = background(reference, level, window);
        let title = match planes {
            1 => format!("Session {}", tracks.reference),
            _ => format!("Session {}, plane {level}", tracks.reference),
        };
        let picture = figure::image(image.view(), &outlines).at("report")?;
        let cut = if (height, width) == size {
            ""
        } else {
            " The middle of the field."
        };
        out.push(
            picture
                .titled(title)
                .captioned(format!("{}.{cut}", colours.join(", "))),
        );
    }
    Ok(out)
}

/// The reference session, and others that are aligned, from first to last.
fn shown(tracks: &Tracks) -> Vec<usize> {
    let others: Vec<usize> = (0..tracks.alignments.len())
        .filter(|&k| k != tracks.reference && tracks.alignments[k].verdict.is_aligned())
        .collect();
    let picked = spread(others.len(), MOST_SESSIONS - 1);
    let picked = picked.into_iter().map(|k| others[k]);
    std::iter::once(tracks.reference).chain(picked).collect()
}

/// The mean image, or where the footprints are.
fn background(session: &Session, level: usize, window: Window) -> Array2<f32> {
    let image = session
        .mean_image
        .as_ref()
        .and_then(|image| plane(image, level));
    let mut out = Array2::zeros((window.height, window.width));
    if let Some(image) = image {
        for ((y, x), pixel) in out.indexed_iter_mut() {
            let value = image[[y + window.top, x + window.left]];
            *pixel = if value.is_finite() { value } else { 0.0 };
        }
        return out;
    }
    let columns = session.footprints.width();
    for footprint in session
        .footprints
        .iter()
        .filter(|f| f.plane as usize == level)
    {
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            let (y, x) = (index as usize / columns, index as usize % columns);
            let at = (y.wrapping_sub(window.top), x.wrapping_sub(window.left));
            if let Some(pixel) = out.get_mut(at) {
                *pixel += weight;
            }
        }
    }
    out
}

/// The outlines of a session's ROIs that lie in plane `level` of the reference
/// session, on the corners of its pixels.
fn outlines(
    session: &Session,
    transform: &Transform,
    level: usize,
    window: Window,
) -> Vec<Segment> {
    let mut out = Vec::new();
    for footprint in session.footprints.iter() {
        let lies = i64::from(footprint.plane) - i64::from(transform.plane_offset);
        if lies == level as i64 {
            let pixels = aligned(footprint, session, transform, window);
            out.extend(figure::outline(&pixels, window.width));
        }
    }
    out
}

/// The pixels of the window whose places in the session belong to a ROI; flat
/// within the window, ascending.
fn aligned(
    footprint: Footprint<'_>,
    session: &Session,
    transform: &Transform,
    window: Window,
) -> Vec<u32> {
    let indices = footprint.indices;
    let plane = i64::from(footprint.plane);
    let level = plane - i64::from(transform.plane_offset);
    let (rows, columns) = (session.footprints.height(), session.footprints.width());
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for &index in indices {
        let place = (
            f64::from(index / columns as u32),
            f64::from(index % columns as u32),
        );
        let (y, x) = transform.to_reference_from(plane, place);
        for (axis, v) in [y, x].into_iter().enumerate() {
            low[axis] = low[axis].min(v);
            high[axis] = high[axis].max(v);
        }
    }
    // A pixel more on either side, for what lies between the pixels' centres.
    let range = |axis: usize, start: usize, length: usize| {
        let bound = |v: f64| v.clamp(start as f64, (start + length) as f64) as usize;
        bound(low[axis].floor() - 1.0)..bound(high[axis].ceil() + 2.0)
    };
    let mut out = Vec::new();
    for y in range(0, window.top, window.height) {
        for x in range(1, window.left, window.width) {
            let (sy, sx) = transform.to_session_in(level, (y as f64, x as f64));
            let (sy, sx) = (sy.round(), sx.round());
            if !((0.0..rows as f64).contains(&sy) && (0.0..columns as f64).contains(&sx)) {
                continue;
            }
            let index = (sy as usize * columns + sx as usize) as u32;
            if indices.binary_search(&index).is_ok() {
                let flat = (y - window.top) * window.width + x - window.left;
                out.push(flat as u32);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluorspar_movie::Footprints;
    use std::path::Path;

    #[test]
    fn outlines_lie_where_the_reference_session_shows_the_roi() {
        let mut footprints = Footprints::new(20, 20);
        footprints
            .push(&[5 * 20 + 6, 5 * 20 + 7], &[1.0; 2], 0)
            .unwrap();
        let session = Session::new(Path::new("a"), footprints);
        let moved = Transform {
            offset: (2.0, -3.0),
            ..Transform::identity()
        };
        let window = Window {
            top: 1,
            left: 2,
            height: 10,
            width: 12,
        };
        let found = aligned(session.footprints.get(0), &session, &moved, window);
        // (5, 6) there is (3, 9) here, and (2, 7) in the window.
        assert_eq!(found, [2 * 12 + 7, 2 * 12 + 8]);
        let far = Transform {
            offset: (500.0, f64::NAN),
            ..Transform::identity()
        };
        let roi = session.footprints.get(0);
        assert!(aligned(roi, &session, &far, window).is_empty());
        let shifted = Transform {
            offset: (0.0, 0.0),
            plane_shift: vec![(2.0, -3.0)],
            ..Transform::identity()
        };
        assert_eq!(aligned(roi, &session, &shifted, window), found);
        assert_eq!(outlines(&session, &moved, 0, window).len(), 6);
        assert!(outlines(&session, &moved, 1, window).is_empty());
    }
}
