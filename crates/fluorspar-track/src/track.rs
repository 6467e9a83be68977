use ndarray::Array2;
use rayon::prelude::*;

use crate::align::align;
use crate::alignment::{Alignment, Fit};
use crate::candidates::Reach;
use crate::cluster::{Graph, Numbering, cluster};
use crate::fit::fit;
use crate::hash::Place;
use crate::pairs::{Setting, all_pairs};
use crate::placed::{Placed, typical_diameter};
use crate::{Error, Parameters, Presence, SessionRois, Tracks, Verdict};

/// Matches the ROIs of all sessions.
///
/// Sessions are aligned, each two compared, and ROIs sorted into cells so that
/// the sum of log odds over all pairs within cells is as large as can be
/// found. Every ROI belongs to exactly one cell. Sessions without ROIs are
/// allowed; ROIs of a session that cannot be aligned are cells of their own.
///
/// Work runs on the caller's rayon pool; the result does not depend on it.
///
/// # Errors
/// [`Error::Session`] if there are no sessions, or the mean image of one does
/// not fit its footprints or has infinite pixels, or its pixel size is not
/// positive; [`Error::Parameter`].
pub fn track(sessions: &[SessionRois<'_>], parameters: &Parameters) -> Result<Tracks, Error> {
    parameters.validate(sessions.len())?;
    if sessions.is_empty() {
        return Err(Error::Session {
            session: 0,
            reason: "there are no sessions to track".into(),
        });
    }
    for (index, session) in sessions.iter().enumerate() {
        session.check(index)?;
    }
    let sizes = sessions
        .iter()
        .map(|session| (session.footprints, session.pixel_size));
    // Without ROIs the largest distance says how large a cell is.
    let middle = parameters.reference.unwrap_or(sessions.len() / 2);
    let diameter =
        typical_diameter(sizes).unwrap_or(parameters.max_distance * sessions[middle].pixel_size);
    let (reference, alignments) = align(sessions, parameters, diameter);
    let diameter = diameter / sessions[reference].pixel_size;
    let mut placed: Vec<Option<Placed>> = sessions
        .par_iter()
        .zip(&alignments)
        .map(|(session, alignment)| {
            let place = || {
                let (footprints, transform) = (session.footprints, &alignment.transform);
                Placed::new(footprints, transform, diameter, parameters.max_distance)
            };
            alignment.verdict.is_aligned().then(place)
        })
        .collect();
    let setting = Setting {
        reach: Reach {
            distance: parameters.max_distance,
            planes: parameters.plane_tolerance.min(3) as u8,
        },
        diameter,
    };
    let fields = Fields {
        sessions,
        planes: sessions.iter().map(SessionRois::planes).collect(),
        alignments: &alignments,
    };
    let matched = |placed: &[Option<Placed>]| {
        let model = fit(placed, setting);
        let seen = |session: usize, place: &Place| fields.show(session, place);
        let (pairs, fits) = all_pairs(placed, setting, &model, seen);
        (model, pairs, fits)
    };
    let (mut model, mut pairs, mut fits) = matched(&placed);
    let strange = strangers(&placed, &fits, reference);
    if !strange.is_empty() {
        for &session in &strange {
            placed[session] = None;
        }
        (model, pairs, fits) = matched(&placed);
    }

    let numbering = Numbering::new(sessions.iter().map(|session| session.footprints.len()));
    let graph = Graph::new(&pairs, &numbering);
    let mut cells = cluster(&pairs, &graph, &numbering, &ranks(&placed, sessions));
    let min_p_same = cut(&mut cells, &graph, parameters.target_precision);
    order(&mut cells, &numbering, reference);
    let (right, number) = pairs_within(&cells, &graph);
    let table = Table::new(&cells, &graph, &numbering, sessions.len());
    let places: Vec<Option<Place>> = cells
        .iter()
        .map(|cell| place(cell, &placed, &numbering))
        .collect();
    let coordinate = |(cell, k): (usize, usize)| {
        places[cell].map_or(f32::NAN, |place| {
            [f64::from(place.plane), place.y, place.x][k] as f32
        })
    };
    let presence = Array2::from_shape_fn(table.roi_index.dim(), |(cell, session)| {
        let aligned = placed[session].is_some();
        match &places[cell] {
            _ if table.roi_index[[cell, session]] >= 0 => Presence::Matched,
            Some(place) if aligned && fields.show(session, place) => Presence::Undetected,
            Some(_) if aligned => Presence::Absent,
            _ => Presence::Unknown,
        }
    });
    let mut alignments = alignments;
    for session in strange {
        alignments[session].verdict = Verdict::Unaligned;
    }
    Ok(Tracks {
        presence,
        place: Array2::from_shape_fn((cells.len(), 3), coordinate),
        roi_index: table.roi_index,
        p_same: table.p_same,
        expected_precision: if number > 0 {
            right / number as f64
        } else {
            1.0
        },
        pairs,
        alignments,
        fits,
        model,
        reference,
        min_p_same,
    })
}

/// Sessions that looked alike but share no more cells with any other than
/// chance would have it: their alignment was wrong after all. Of very few ROIs
/// nothing can be said.
fn strangers(placed: &[Option<Placed>], fits: &[Fit], reference: usize) -> Vec<usize> {
    let shares = |fit: &&Fit| fit.expected_matches > 2.0 * fit.false_by_chance + FEWEST_SHARED;
    let enough = |session: usize| {
        let rois = placed[session].as_ref().map_or(0, Placed::len);
        rois >= FEWEST_ROIS && session != reference
    };
    (0..placed.len())
        .filter(|&session| enough(session))
        .filter(|&session| {
            let others = fits.iter().filter(|fit| {
                let (a, b) = fit.sessions;
                let other = if a == session { b } else { a };
                (a == session || b == session)
                    && placed[other]
                        .as_ref()
                        .is_some_and(|other| other.len() >= FEWEST_ROIS)
            });
            let mut others = others.peekable();
            others.peek().is_some() && !others.any(|fit| shares(&fit))
        })
        .collect()
}

/// ROIs that a session needs to be judged, and matches that are more than chance.
const FEWEST_ROIS: usize = 10;
const FEWEST_SHARED: f64 = 3.0;

/// The sessions' fields, in the reference session.
struct Fields<'s, 'a> {
    sessions: &'s [SessionRois<'a>],
    planes: Vec<usize>,
    alignments: &'s [Alignment],
}

impl Fields<'_, '_> {
    /// Whether a session's field shows a place of the reference session.
    fn show(&self, index: usize, place: &Place) -> bool {
        let (session, transform) = (&self.sessions[index], &self.alignments[index].transform);
        let plane = i64::from(place.plane) + i64::from(transform.plane_offset);
        if plane < 0 || plane >= self.planes[index] as i64 {
            return false;
        }
        let (y, x) = transform.to_session_in(i64::from(place.plane), (place.y, place.x));
        let (y, x) = (y.round(), x.round());
        let (height, width) = session.size();
        if !(y >= 0.0 && x >= 0.0 && y < height as f64 && x < width as f64) {
            return false;
        }
        let at = [plane as usize, y as usize, x as usize];
        session.mean_image.is_none_or(|image| image[at].is_finite())
    }
}

/// The order of all ROIs by where they lie.
fn ranks(placed: &[Option<Placed>], sessions: &[SessionRois<'_>]) -> Vec<u32> {
    let mut keys: Vec<(i32, f64, f64, usize)> = Vec::new();
    for (placed, session) in placed.iter().zip(sessions) {
        for roi in 0..session.footprints.len() {
            let place = placed.as_ref().map(|placed| placed.places[roi]);
            let (plane, y, x) = place.map_or((0, 0.0, 0.0), |p| (p.plane, p.y, p.x));
            keys.push((plane, y, x, keys.len()));
        }
    }
    keys.par_sort_by(|a, b| {
        let across = a.1.total_cmp(&b.1).then(a.2.total_cmp(&b.2));
        a.0.cmp(&b.0).then(across).then(a.3.cmp(&b.3))
    });
    let mut ranks = vec![0; keys.len()];
    for (rank, key) in keys.iter().enumerate() {
        ranks[key.3] = rank as u32;
    }
    ranks
}

/// Mean probability of a ROI with the other members of its cell; 1 alone.
fn belonging(roi: usize, cell: &[usize], graph: &Graph) -> f64 {
    if cell.len() < 2 {
        return 1.0;
    }
    let others = cell.iter().filter(|&&other| other != roi);
    others.map(|&other| graph.p(roi, other)).sum::<f64>() / (cell.len() - 1) as f64
}

/// Sum of the probabilities of all pairs within cells, and their number.
fn pairs_within(cells: &[Vec<usize>], graph: &Graph) -> (f64, usize) {
    let (mut sum, mut number) = (0.0, 0);
    for cell in cells {
        for (n, &a) in cell.iter().enumerate() {
            for &b in &cell[n + 1..] {
                sum += graph.p(a, b);
                number += 1;
            }
        }
    }
    (sum, number)
}

/// Cuts the least sure ROIs off their cells until the share `target` of the
/// pairs within cells is expected to be right; they become cells of their
/// own. Returns the least probability that was not cut.
fn cut(cells: &mut Vec<Vec<usize>>, graph: &Graph, target: f64) -> f64 {
    // A pair goes with the less sure of its two ROIs.
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for cell in cells.iter() {
        let sure: Vec<f64> = cell
            .iter()
            .map(|&roi| belonging(roi, cell, graph))
            .collect();
        for i in 0..cell.len() {
            for j in i + 1..cell.len() {
                pairs.push((sure[i].min(sure[j]), graph.p(cell[i], cell[j])));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let (mut sum, mut least) = (0.0, f64::INFINITY);
    for (n, &(sure, p)) in pairs.iter().enumerate() {
        sum += p;
        let last = pairs.get(n + 1).is_none_or(|next| next.0 < sure);
        if last && sum >= target * (n + 1) as f64 {
            least = sure;
        }
    }
    if least.is_infinite() && pairs.is_empty() {
        return 0.0;
    }
    let mut alone = Vec::new();
    for cell in cells.iter_mut() {
        let whole = cell.clone();
        cell.retain(|&roi| {
            let stays = whole.len() < 2 || belonging(roi, &whole, graph) >= least;
            if !stays {
                alone.push(vec![roi]);
            }
            stays
        });
    }
    cells.extend(alone);
    cells.retain(|cell| !cell.is_empty());
    least.min(1.0)
}

/// Cells with a ROI in the reference session first, then those of the next
/// session that were not seen there, and so on; each group by ROI.
fn order(cells: &mut [Vec<usize>], numbering: &Numbering, reference: usize) {
    for cell in cells.iter_mut() {
        cell.sort_unstable();
    }
    cells.sort_by_key(|cell| {
        let first = |&roi: &usize| {
            let session = numbering.session(roi);
            (session != reference, session, roi)
        };
        cell.iter().map(first).min()
    });
}

/// Mean place of a cell's ROIs; none if its session was not aligned.
fn place(cell: &[usize], placed: &[Option<Placed>], numbering: &Numbering) -> Option<Place> {
    let mut sum = (0.0, 0.0, 0.0);
    for &roi in cell {
        let session = numbering.session(roi);
        let place = placed[session].as_ref()?.places[roi - numbering.number(session, 0)];
        sum.0 += f64::from(place.plane);
        sum.1 += place.y;
        sum.2 += place.x;
    }
    let n = cell.len() as f64;
    Some(Place {
        plane: (sum.0 / n).round() as i32,
        y: sum.1 / n,
        x: sum.2 / n,
    })
}

/// Cells as rows.
struct Table {
    roi_index: Array2<i32>,
    p_same: Array2<f32>,
}

impl Table {
    fn new(cells: &[Vec<usize>], graph: &Graph, numbering: &Numbering, sessions: usize) -> Self {
        let mut roi_index = Array2::from_elem((cells.len(), sessions), -1);
        let mut p_same = Array2::zeros((cells.len(), sessions));
        for (row, cell) in cells.iter().enumerate() {
            for &roi in cell {
                let session = numbering.session(roi);
                roi_index[[row, session]] = (roi - numbering.number(session, 0)) as i32;
                p_same[[row, session]] = belonging(roi, cell, graph) as f32;
            }
        }
        Self { roi_index, p_same }
    }
}
