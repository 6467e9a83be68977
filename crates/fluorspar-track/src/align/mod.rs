//! Lays the sessions' fields on each other.
//!
//! 1. Rotation and shift from what both fields look like, with a verdict:
//!    wrong orientations say what accident reaches.
//! 2. The plane of one stack that shows a plane of the other.
//! 3. Bending, coarse to fine, from parts of the fields.
//! 4. The last pixels from the centres of ROIs.
//!
//! A session that does not fit the reference session is aligned through
//! others that fit both.

mod bend;
mod correlator;
mod points;
mod search;
mod tree;
mod view;

use rayon::prelude::*;

use self::search::{Found, Orientation};
use self::tree::{Edge, Parent, direct, fits, limits, tree};
use self::view::{MOST_PLANES, View, sampled};
use crate::alignment::{Alignment, Verdict};
use crate::hash::Place;
use crate::transform::Transform;
use crate::{Parameters, SessionRois};

/// Pixels of the longer side of the views that orientation is found in, and
/// of those for the rest, at most.
const SIDES: (f64, f64) = (160.0, 512.0);
/// The same as pixels of a cell's diameter.
const CELL: (f64, f64) = (3.0, 6.0);

/// What is common to all alignments.
struct Setting<'s, 'a> {
    sessions: &'s [SessionRois<'a>],
    parameters: &'s Parameters,
    /// Of a cell, pixels of the reference session.
    diameter: f64,
    /// Pixel size of the reference session.
    pixel: f64,
    /// Centres of all ROIs, pixels of their own session.
    centres: Vec<Vec<Place>>,
}

/// The reference session and the alignment of each. `diameter` is that of a
/// cell in units of the sessions' pixel sizes.
pub(crate) fn align(
    sessions: &[SessionRois<'_>],
    parameters: &Parameters,
    diameter: f64,
) -> (usize, Vec<Alignment>) {
    let middle = parameters.reference.unwrap_or(sessions.len() / 2);
    let mut reference = middle;
    let mut edges = direct(sessions, parameters, diameter, reference);
    let number = |edges: &[Edge]| edges.iter().filter(|edge| fits(edge)).count();
    if parameters.reference.is_none() && 2 * number(&edges) < sessions.len() {
        // The middle session may be the bad one: its neighbours are tried.
        for other in [middle.checked_sub(1), Some(middle + 1)]
            .into_iter()
            .flatten()
        {
            if other < sessions.len() {
                let found = direct(sessions, parameters, diameter, other);
                if number(&found) > number(&edges) {
                    (reference, edges) = (other, found);
                }
            }
        }
    }
    let pixel = sessions[reference].pixel_size;
    let setting = Setting {
        sessions,
        parameters,
        diameter: diameter / pixel,
        pixel,
        centres: sessions.iter().map(centres).collect(),
    };
    let parents = tree(sessions, parameters, diameter, reference, &edges);
    let laid = lay(&setting, reference, &parents);
    let alignments = laid
        .into_iter()
        .enumerate()
        .map(|(session, transform)| Alignment {
            verdict: verdict(sessions, session, transform.is_some(), &edges[session]),
            through: parents[session].map(|parent| parent.session),
            significance: parents[session].map_or(edges[session].significance, |p| p.significance),
            transform: transform.unwrap_or_else(Transform::identity),
        })
        .collect();
    (reference, alignments)
}

/// Side of a pixel of both views, in units of pixel sizes: `cell` of them are
/// a cell wide, unless the field then has more than `side`; no smaller than a
/// pixel of either session.
fn pitch(
    fixed: &SessionRois<'_>,
    moving: &SessionRois<'_>,
    diameter: f64,
    (cell, side): (f64, f64),
) -> f64 {
    let (height, width) = fixed.size();
    let longest = height.max(width) as f64 * fixed.pixel_size;
    let pixel = fixed.pixel_size.max(moving.pixel_size);
    (diameter / cell).max(longest / side).max(pixel)
}

fn verdict(sessions: &[SessionRois<'_>], session: usize, laid: bool, edge: &Edge) -> Verdict {
    if !laid {
        return match edge.orientation {
            Orientation::Turned => Verdict::Turned,
            Orientation::Mirrored => Verdict::Mirrored,
            _ => Verdict::Unaligned,
        };
    }
    let this = sessions[session].footprints;
    let twin = (0..session).find(|&k| !this.is_empty() && sessions[k].footprints == this);
    twin.map_or(Verdict::Aligned, Verdict::Duplicate)
}

/// The transform of each session that hangs on the tree.
fn lay(
    setting: &Setting<'_, '_>,
    reference: usize,
    parents: &[Option<Parent>],
) -> Vec<Option<Transform>> {
    let mut out: Vec<Option<Transform>> = vec![None; parents.len()];
    let fixed = &setting.sessions[reference];
    out[reference] = Some(start(fixed));
    loop {
        // Those whose parents are laid, all at once.
        let laid: Vec<(usize, Transform)> = parents
            .par_iter()
            .enumerate()
            .filter_map(|(session, parent)| {
                let parent = (*parent).filter(|_| out[session].is_none())?;
                let through = out[parent.session].as_ref()?;
                let found = lay_one(setting, session, parent);
                let direct = parent.session == reference;
                let found = if direct {
                    found
                } else {
                    chained(setting, reference, through, &found)
                };
                Some((session, found))
            })
            .collect();
        if laid.is_empty() {
            return out;
        }
        for (session, transform) in laid {
            out[session] = Some(transform);
        }
    }
}

/// The reference session on itself.
fn start(fixed: &SessionRois<'_>) -> Transform {
    let (height, width) = fixed.size();
    let centre = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    Transform {
        centre,
        offset: centre,
        ..Transform::identity()
    }
}

/// One session on the one it is aligned to.
fn lay_one(setting: &Setting<'_, '_>, session: usize, parent: Parent) -> Transform {
    let (fixed, moving) = (
        &setting.sessions[parent.session],
        &setting.sessions[session],
    );
    let diameter = setting.diameter * setting.pixel / fixed.pixel_size;
    let ratio = fixed.pixel_size / moving.pixel_size;
    let ours = sampled(fixed.planes(), MOST_PLANES);
    let theirs: Vec<i64> = ours
        .iter()
        .map(|p| p + i64::from(parent.plane_offset))
        .collect();
    let views = |size| {
        let unit = pitch(fixed, moving, setting.diameter * setting.pixel, size);
        let pitch = unit / fixed.pixel_size;
        (
            View::new(fixed, &ours, pitch, diameter),
            View::new(moving, &theirs, pitch * ratio, diameter * ratio),
        )
    };
    let (coarse, fine) = (views((CELL.0, SIDES.0)), views((CELL.1, SIDES.1)));
    let limits = limits(setting.parameters);
    let best = search::search((&coarse.0, &coarse.1), (&fine.0, &fine.1), limits);
    let mut found = rigid(fixed, &fine, best);
    if fixed.planes() > 1 {
        found.plane_offset = parent.plane_offset;
        found.plane_shift = vec![(0.0, 0.0); fixed.planes()];
    }
    let farthest = setting.parameters.max_distance * setting.pixel / fixed.pixel_size;
    if setting.parameters.bend {
        points::grid(&mut found, fixed.size(), farthest);
        bend::bend(&mut found, &fine.0, &fine.1, diameter);
    }
    points::refine(
        &mut found,
        &setting.centres[parent.session],
        &setting.centres[session],
        fixed.size(),
        farthest,
        setting.parameters.bend,
    );
    found
}

/// Rotation and shift.
fn rigid(fixed: &SessionRois<'_>, (a, b): &(View, View), found: Found) -> Transform {
    let (sin, cos) = found.angle.sin_cos();
    let scale = b.pitch / a.pitch;
    let start = start(fixed);
    // Where the centre of the reference lies on the turned view, then on the view itself.
    let (y, x) = a.inward(start.centre);
    let middle = b.centre();
    let (v, u) = (y + found.shift.0 - middle.0, x + found.shift.1 - middle.1);
    let on_view = (middle.0 + cos * v - sin * u, middle.1 + sin * v + cos * u);
    Transform {
        matrix: [[scale * cos, -scale * sin], [scale * sin, scale * cos]],
        offset: b.outward(on_view),
        ..start
    }
}

/// `second` after `first`, its field sampled on a grid over the reference session.
fn chained(
    setting: &Setting<'_, '_>,
    reference: usize,
    first: &Transform,
    second: &Transform,
) -> Transform {
    let fixed = &setting.sessions[reference];
    let both = |place| second.to_session(first.to_session(place));
    let mut out = start(fixed);
    let unit = 0.25 * (fixed.size().0.min(fixed.size().1) as f64).max(4.0);
    let (cy, cx) = out.centre;
    let slope = |dy: f64, dx: f64| {
        let (high, low) = (both((cy + dy, cx + dx)), both((cy - dy, cx - dx)));
        (
            (high.0 - low.0) / (2.0 * unit),
            (high.1 - low.1) / (2.0 * unit),
        )
    };
    let (down, across) = (slope(unit, 0.0), slope(0.0, unit));
    out.matrix = [[down.0, across.0], [down.1, across.1]];
    out.offset = both(out.centre);
    out.plane_offset = first.plane_offset + second.plane_offset;
    out.plane_shift = first
        .plane_shift
        .iter()
        .enumerate()
        .map(|(plane, &(y, x))| {
            // Small shifts, hardly turned on the way.
            let (dy, dx) = second.shift_of(plane as i64 + i64::from(first.plane_offset));
            (y + dy, x + dx)
        })
        .collect();
    if setting.parameters.bend {
        points::grid(&mut out, fixed.size(), setting.parameters.max_distance);
        let affine = out.clone();
        let (_, rows, columns) = out.field.dim();
        for row in 0..rows {
            for column in 0..columns {
                let place = (row as f64 * out.spacing, column as f64 * out.spacing);
                let (to, flat) = (both(place), affine.to_session(place));
                out.field[[0, row, column]] = to.0 - flat.0;
                out.field[[1, row, column]] = to.1 - flat.1;
            }
        }
    }
    out
}

/// Centres of a session's ROIs.
fn centres(session: &SessionRois<'_>) -> Vec<Place> {
    (0..session.footprints.len())
        .map(|roi| {
            let (y, x) = session.footprints.centroid(roi);
            let plane = session.footprints.planes()[roi] as i32;
            Place { plane, y, x }
        })
        .collect()
}
