//! The tables of `fluorspar track`. Cells, sessions and ROIs are counted from
//! 0, as arrays are.

use std::fmt::Write as _;
use std::io::Cursor;

use fluorspar_track::{Alignment, Fit, Tracks, Transferred};
use ndarray::aview1;
use ndarray_npy::{NpzWriter, WriteNpzError};

use super::{Agreement, Session};
use crate::artefact::verdict_word;

/// Nothing for what is not a number.
fn number(value: f64) -> String {
    if value.is_nan() {
        String::new()
    } else {
        value.to_string()
    }
}

fn single(value: f32) -> String {
    if value.is_nan() {
        String::new()
    } else {
        value.to_string()
    }
}

fn index(value: Option<usize>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

/// `tracks.csv`: one row per cell and session.
pub(super) fn tracks(tracks: &Tracks) -> String {
    let mut out = String::from("cell,session,roi,state,p_same\n");
    for ((cell, session), &roi) in tracks.roi_index.indexed_iter() {
        let state = tracks.presence[[cell, session]].name();
        // Writing to a String does not fail.
        let _ = if roi >= 0 {
            let p_same = tracks.p_same[[cell, session]];
            writeln!(out, "{cell},{session},{roi},{state},{p_same}")
        } else {
            writeln!(out, "{cell},{session},,{state},")
        };
    }
    out
}

/// `cells.csv`: one row per cell.
pub(super) fn cells(tracks: &Tracks) -> String {
    let mut out = String::from("cell,sessions,confidence,plane,y,x\n");
    for (cell, confidence) in tracks.confidence().into_iter().enumerate() {
        let row = tracks.roi_index.row(cell);
        let seen = row.iter().filter(|&&roi| roi >= 0).count();
        let place = tracks.place.row(cell);
        let place: Vec<String> = place.iter().map(|&v| single(v)).collect();
        let _ = writeln!(out, "{cell},{seen},{confidence},{}", place.join(","));
    }
    out
}

/// `pairs.csv`: one row per pair of ROIs that may be one cell.
pub(super) fn pairs(tracks: &Tracks) -> String {
    let mut owners: Vec<std::collections::HashMap<i32, usize>> = Vec::new();
    for column in tracks.roi_index.columns() {
        let seen = column.iter().enumerate().filter(|&(_, &roi)| roi >= 0);
        owners.push(seen.map(|(cell, &roi)| (roi, cell)).collect());
    }
    let owner = |session: u32, roi: u32| {
        let rois = owners.get(session as usize)?;
        rois.get(&(roi as i32)).copied()
    };
    let mut out =
        String::from("session_a,roi_a,session_b,roi_b,distance,correlation,shape,p_same,cell\n");
    for pair in &tracks.pairs {
        let ([a, b], [i, j]) = (pair.sessions, pair.rois);
        let cell = owner(a, i).filter(|&cell| owner(b, j) == Some(cell));
        let _ = writeln!(
            out,
            "{a},{i},{b},{j},{},{},{},{},{}",
            single(pair.distance),
            single(pair.correlation),
            single(pair.shape),
            single(pair.p_same),
            index(cell)
        );
    }
    out
}

/// What an alignment does to a field, in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moved {
    /// Where the centre of the reference session's field lies in the session,
    /// less that centre, pixels.
    pub(super) dy: f64,
    pub(super) dx: f64,
    /// Degrees, from y towards x.
    pub(super) rotation: f64,
    pub(super) scale: f64,
    /// Root mean square of the bent part, pixels.
    pub(super) bend: f64,
}

pub(super) fn moved(alignment: &Alignment) -> Moved {
    let transform = &alignment.transform;
    let [[yy, yx], [xy, xx]] = transform.matrix;
    let nodes = transform.field.len() / 2;
    let squares: f64 = transform.field.iter().map(|v| v * v).sum();
    Moved {
        dy: transform.offset.0 - transform.centre.0,
        dx: transform.offset.1 - transform.centre.1,
        rotation: (xy - yx).atan2(yy + xx).to_degrees(),
        scale: (yy * xx - yx * xy).abs().sqrt(),
        bend: if nodes == 0 {
            0.0
        } else {
            (squares / nodes as f64).sqrt()
        },
    }
}

/// `alignment.csv`: one row per session.
pub(super) fn alignments(tracks: &Tracks, sessions: &[Session]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "session",
        "file",
        "verdict",
        "through",
        "significance",
        "dy",
        "dx",
        "rotation_deg",
        "scale",
        "bend_px",
        "plane_offset",
    ])?;
    for (k, (alignment, session)) in tracks.alignments.iter().zip(sessions).enumerate() {
        let moved = moved(alignment);
        out.write_record([
            k.to_string(),
            session.path.display().to_string(),
            verdict_word(alignment.verdict).to_owned(),
            index(alignment.through),
            number(alignment.significance),
            number(moved.dy),
            number(moved.dx),
            number(moved.rotation),
            number(moved.scale),
            number(moved.bend),
            alignment.transform.plane_offset.to_string(),
        ])?;
    }
    out.into_inner().map_err(|error| error.into_error().into())
}

/// `fits.csv`: one row per pair of aligned sessions.
pub(super) fn fits(fits: &[Fit]) -> String {
    let mut out = String::from(
        "session_a,session_b,overlap,aligned_share,expected_matches,matched_share,\
         median_distance,expected_false,false_by_chance\n",
    );
    for fit in fits {
        let (a, b) = fit.sessions;
        let _ = writeln!(
            out,
            "{a},{b},{},{},{},{},{},{},{}",
            number(fit.overlap),
            number(fit.aligned_share),
            number(fit.expected_matches),
            number(fit.matched_share),
            number(fit.median_distance),
            number(fit.expected_false),
            number(fit.false_by_chance)
        );
    }
    out
}

/// `agreement.csv`: one row per pair of ROIs that either result joins.
pub(super) fn agreement(agreement: &Agreement) -> String {
    let mut out = String::from("session_a,roi_a,session_b,roi_b,ours,theirs,state\n");
    for pair in &agreement.pairs {
        let ([a, b], [i, j]) = (pair.sessions, pair.rois);
        let ours = pair.p_same.map(single).unwrap_or_default();
        let (theirs, state) = (u8::from(pair.theirs), pair.state());
        let _ = writeln!(out, "{a},{i},{b},{j},{ours},{theirs},{state}");
    }
    out
}

/// `agreement-cells.csv`: one row per cell of at least two ROIs.
pub(super) fn agreement_cells(agreement: &Agreement) -> String {
    let mut out = String::from("cell,their_cell,state\n");
    for &(ours, theirs, state) in &agreement.cells {
        let _ = writeln!(out, "{},{},{}", index(ours), index(theirs), state.name());
    }
    out
}

/// `session-NN-undetected.npz`: footprints as [`super::input`] reads them, and
/// the cell of each.
pub(super) fn undetected(found: &Transferred) -> Result<Vec<u8>, WriteNpzError> {
    let all = &found.footprints;
    let cells: Vec<i64> = found.cells.iter().map(|&cell| cell as i64).collect();
    let shape = [all.height() as u64, all.width() as u64];
    let mut out = NpzWriter::new_compressed(Cursor::new(Vec::new()));
    out.add_array("cell", &aview1(&cells))?;
    out.add_array("indptr", &aview1(all.indptr()))?;
    out.add_array("indices", &aview1(all.indices()))?;
    out.add_array("weights", &aview1(all.weights()))?;
    out.add_array("plane", &aview1(all.planes()))?;
    out.add_array("shape", &aview1(&shape))?;
    Ok(out.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluorspar_track::{Transform, Verdict};
    use ndarray::Array3;

    #[test]
    fn an_alignment_is_told_in_a_few_numbers() {
        let (sin, cos) = 10_f64.to_radians().sin_cos();
        let alignment = Alignment {
            transform: Transform {
                matrix: [[1.1 * cos, -1.1 * sin], [1.1 * sin, 1.1 * cos]],
                centre: (10.0, 10.0),
                offset: (13.0, 6.0),
                field: Array3::from_elem((2, 2, 2), 0.5),
                ..Transform::identity()
            },
            through: None,
            verdict: Verdict::Aligned,
            significance: 9.0,
        };
        let moved = moved(&alignment);
        assert_eq!((moved.dy, moved.dx), (3.0, -4.0));
        assert!((moved.rotation - 10.0).abs() < 1e-9 && (moved.scale - 1.1).abs() < 1e-9);
        assert!((moved.bend - 0.5_f64.sqrt()).abs() < 1e-9);
    }
}
