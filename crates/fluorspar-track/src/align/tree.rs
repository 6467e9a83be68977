//! Which session each is aligned to.

use rayon::prelude::*;

use super::search::{self, Limits, Orientation};
use super::view::{MOST_PLANES, View, sampled};
use super::{CELL, SIDES, pitch};
use crate::{Parameters, SessionRois};

/// Sessions so many places apart are tried, where the reference does not fit.
const CHAIN: usize = 3;
/// Planes that stand for a stack when its offset is looked for.
const FEW_PLANES: usize = 3;

/// One session laid on another.
pub(super) struct Edge {
    pub(super) significance: f64,
    pub(super) orientation: Orientation,
    /// Plane of the second that shows plane 0 of the first.
    pub(super) plane_offset: i32,
}

pub(super) fn fits(edge: &Edge) -> bool {
    edge.orientation == Orientation::AsItIs
}

/// Every session against the reference session.
pub(super) fn direct(
    sessions: &[SessionRois<'_>],
    parameters: &Parameters,
    diameter: f64,
    reference: usize,
) -> Vec<Edge> {
    let all = 0..sessions.len();
    all.into_par_iter()
        .map(|session| {
            if session == reference {
                return Edge {
                    significance: f64::INFINITY,
                    orientation: Orientation::AsItIs,
                    plane_offset: 0,
                };
            }
            edge(
                &sessions[reference],
                &sessions[session],
                parameters,
                diameter,
            )
        })
        .collect()
}

/// Whether one session fits another. `diameter` in units of pixel sizes.
fn edge(
    fixed: &SessionRois<'_>,
    moving: &SessionRois<'_>,
    parameters: &Parameters,
    diameter: f64,
) -> Edge {
    let pitch = pitch(fixed, moving, diameter, (CELL.0, SIDES.0));
    let look = |session: &SessionRois<'_>, offset: i32, count: usize| {
        let size = session.pixel_size;
        let planes = sampled(fixed.planes(), count).into_iter();
        let planes: Vec<i64> = planes.map(|plane| plane + i64::from(offset)).collect();
        View::new(session, &planes, pitch / size, diameter / size)
    };
    let limits = limits(parameters);
    let most = match (fixed.planes(), moving.planes()) {
        (1, 1) => 0,
        (ours, theirs) => parameters.max_plane_offset.min(ours.max(theirs) as u32 - 1) as i32,
    };
    // The offset at which the stacks correlate best; of equals the smallest.
    let mut offsets: Vec<i32> = (-most..=most).collect();
    offsets.sort_by_key(|offset| offset.abs());
    let few = look(fixed, 0, FEW_PLANES);
    let score = |offset: i32| match most {
        0 => 0.0,
        _ => search::coarse(&few, &look(moving, offset, FEW_PLANES), limits).score,
    };
    let scores: Vec<f64> = offsets.par_iter().map(|&offset| score(offset)).collect();
    let best = (0..scores.len()).fold(0, |best, k| if scores[k] > scores[best] { k } else { best });
    let plane_offset = offsets[best];
    let views = (
        look(fixed, 0, MOST_PLANES),
        look(moving, plane_offset, MOST_PLANES),
    );
    let (orientation, significance) = search::orientation(&views.0, &views.1, limits);
    Edge {
        significance,
        orientation,
        plane_offset,
    }
}

pub(super) fn limits(parameters: &Parameters) -> Limits {
    Limits {
        angle: parameters.max_rotation.to_radians(),
        shift: parameters.max_shift_fraction,
    }
}

/// What a session is aligned to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent {
    pub(super) session: usize,
    pub(super) significance: f64,
    pub(super) plane_offset: i32,
}

impl Parent {
    fn new(session: usize, edge: &Edge) -> Self {
        Self {
            session,
            significance: edge.significance,
            plane_offset: edge.plane_offset,
        }
    }
}

/// The session that each is aligned to, and how significantly; none for the
/// reference session and for what fits nothing.
///
/// Sessions that fit the reference session are aligned to it. The others are
/// tried against sessions recorded near them, the most significant first.
pub(super) fn tree(
    sessions: &[SessionRois<'_>],
    parameters: &Parameters,
    diameter: f64,
    reference: usize,
    edges: &[Edge],
) -> Vec<Option<Parent>> {
    let count = sessions.len();
    let mut parents: Vec<Option<Parent>> = edges
        .iter()
        .enumerate()
        .map(|(s, edge)| (s != reference && fits(edge)).then(|| Parent::new(reference, edge)))
        .collect();
    let lost = (0..count).filter(|&s| s != reference && parents[s].is_none());
    let tries: Vec<(usize, usize)> = lost
        .flat_map(|s| (0..count).map(move |other| (s, other)))
        .filter(|&(s, other)| other != s && other != reference && s.abs_diff(other) <= CHAIN)
        .collect();
    let mut found: Vec<(usize, Parent)> = tries
        .into_par_iter()
        .filter_map(|(s, other)| {
            let edge = edge(&sessions[other], &sessions[s], parameters, diameter);
            fits(&edge).then(|| (s, Parent::new(other, &edge)))
        })
        .collect();
    found.sort_by(|a, b| {
        let surer = b.1.significance.total_cmp(&a.1.significance);
        surer.then((a.0, a.1.session).cmp(&(b.0, b.1.session)))
    });
    // Each round hangs the most significant of those that touch the tree.
    while let Some(&(s, parent)) = found
        .iter()
        .find(|(s, parent)| parents[*s].is_none() && parents[parent.session].is_some())
    {
        parents[s] = Some(parent);
    }
    parents
}
