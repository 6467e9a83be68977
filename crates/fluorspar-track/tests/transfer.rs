//! Footprints of cells where they were not detected.

mod common;

use std::collections::HashSet;

use common::{Owned, misses, owned, planted, quantile, run};
use fluorspar_movie::Footprints;
use fluorspar_simulate::{Fields, FieldsPlan};
use fluorspar_track::{Error, Parameters, Presence, SessionRois, Tracks, track, transfer};

fn views(sessions: &[Owned]) -> Vec<SessionRois<'_>> {
    sessions.iter().map(Owned::rois).collect()
}

fn undetected(tracks: &Tracks, session: usize) -> Vec<usize> {
    let column = tracks.presence.column(session);
    let cells = column.iter().enumerate();
    cells
        .filter(|(_, presence)| **presence == Presence::Undetected)
        .map(|(cell, _)| cell)
        .collect()
}

/// The cell that a row is, if its ROIs agree.
fn identity(fields: &Fields, tracks: &Tracks, row: usize) -> Option<usize> {
    let seen = tracks.roi_index.row(row).into_iter().enumerate();
    let cells: HashSet<i64> = seen
        .filter(|(_, roi)| **roi >= 0)
        .map(|(session, &roi)| fields.sessions[session].cell[roi as usize])
        .collect();
    let mut cells = cells.into_iter();
    match (cells.next(), cells.next()) {
        (Some(cell @ 0..), None) => Some(cell as usize),
        _ => None,
    }
}

/// All undetected cells and no others, each where the tissue has it and of the
/// size of its ROI elsewhere.
#[test]
fn footprints_lie_where_the_cells_are() {
    let (fields, tracks) = planted(&FieldsPlan {
        seed: 1,
        ..FieldsPlan::default()
    });
    let sessions = owned(&fields);
    let mut off = Vec::new();
    for session in 0..sessions.len() {
        let moved = transfer(&views(&sessions), &tracks, session).unwrap();
        assert_eq!(moved.cells, undetected(&tracks, session));
        assert!(moved.cells.len() > 20, "{}", moved.cells.len());
        assert_eq!(moved.footprints.len(), moved.cells.len());
        let size = (moved.footprints.height(), moved.footprints.width());
        assert_eq!(size, (256, 256));
        for (k, &row) in moved.cells.iter().enumerate() {
            let Some(cell) = identity(&fields, &tracks, row) else {
                continue;
            };
            let (y, x) = fields.sessions[session].centres[cell];
            // At the border a part is cut off, and the centre with it.
            if y.min(x).min(255.0 - y).min(255.0 - x) < 8.0 {
                continue;
            }
            let (v, u) = moved.footprints.centroid(k);
            off.push((v - y).hypot(u - x));
            let weight = |of: &Footprints, roi: usize| of.get(roi).weights.iter().sum::<f32>();
            let areas = tracks.roi_index.row(row);
            let areas = areas.iter().enumerate().filter(|(_, roi)| **roi >= 0);
            let (mut least, mut most) = (f32::INFINITY, 0.0_f32);
            for (other, &roi) in areas {
                let area = weight(&sessions[other].footprints, roi as usize);
                (least, most) = (least.min(area), most.max(area));
            }
            let area = weight(&moved.footprints, k);
            assert!(
                (0.7 * least..=1.4 * most).contains(&area),
                "{area} of {least} to {most}"
            );
        }
    }
    // Jitter of 0.7 pixel on both sides, parts of cells, and the alignment.
    off.sort_by(f64::total_cmp);
    assert!(off.len() > 200, "{}", off.len());
    assert!(quantile(&off, 0.5) < 2.0, "{}", quantile(&off, 0.5));
    assert!(quantile(&off, 0.95) < 5.0, "{}", quantile(&off, 0.95));
}

/// One recording, shifted by whole pixels from session to session, in which one
/// cell's ROI is whole in the second session and cut in later ones: the first
/// session, where it is missing, gets the one of the second.
#[test]
fn the_nearest_session_is_taken() {
    let fields = Fields::build(&FieldsPlan {
        seed: 2,
        sessions: 1,
        ..FieldsPlan::default()
    })
    .unwrap();
    let whole = Owned::of(&fields.sessions[0]);
    let mut sessions: Vec<Owned> = [0, 3, 5, 9]
        .into_iter()
        .map(|shift| whole.cropped((shift, 240 + shift), (4, 244)))
        .collect();
    let off = |roi: usize| {
        let (y, x) = sessions[0].footprints.centroid(roi);
        (y - 120.0).hypot(x - 120.0)
    };
    let all = 0..sessions[0].footprints.len();
    let chosen = all.min_by(|&a, &b| off(a).total_cmp(&off(b))).unwrap();
    let chosen = sessions[0].origin[chosen];
    let at = |session: &Owned| session.origin.iter().position(|&roi| roi == chosen);
    let rest: Vec<usize> = (0..sessions[0].footprints.len())
        .filter(|&roi| sessions[0].origin[roi] != chosen)
        .collect();
    sessions[0] = sessions[0].select(&rest);
    for session in &mut sessions[2..] {
        let roi = at(session).unwrap();
        let middle = session.footprints.centroid(roi).1;
        let mut cut = Footprints::new(240, 240);
        for (k, footprint) in session.footprints.iter().enumerate() {
            let pixels = footprint.indices.iter().zip(footprint.weights);
            let (indices, weights): (Vec<u32>, Vec<f32>) = pixels
                .filter(|&(&index, _)| k != roi || f64::from(index % 240) < middle + 1.5)
                .unzip();
            cut.push(&indices, &weights, footprint.plane).unwrap();
        }
        session.footprints = cut;
    }
    let tracks = run(&sessions, &Parameters::default());
    let rois: Vec<usize> = sessions[1..].iter().map(|s| at(s).unwrap()).collect();
    let row = (0..tracks.roi_index.nrows())
        .find(|&row| tracks.roi_index[[row, 1]] == rois[0] as i32)
        .unwrap();
    let expected: Vec<i32> = rois.iter().map(|&roi| roi as i32).collect();
    assert_eq!(tracks.roi_index.row(row).to_vec()[1..], expected[..]);

    let moved = transfer(&views(&sessions), &tracks, 0).unwrap();
    let k = moved.cells.iter().position(|&cell| cell == row).unwrap();
    let found = moved.footprints.get(k);
    assert_eq!(found.plane, 0);
    // The first session has it so many rows below where another does.
    let alike = |session: usize, rows: u32| {
        let other = sessions[session].footprints.get(rois[session - 1]);
        let square = |weights: &[f32]| weights.iter().map(|w| w * w).sum::<f32>();
        let mut both = 0.0;
        for (&index, &weight) in other.indices.iter().zip(other.weights) {
            if let Ok(j) = found.indices.binary_search(&(index + rows * 240)) {
                both += weight * found.weights[j];
            }
        }
        both / (square(other.weights) * square(found.weights)).sqrt()
    };
    let (nearest, other) = (alike(1, 3), alike(2, 5));
    assert!(
        nearest > 0.95 && nearest > other + 0.02,
        "{nearest} {other}"
    );
}

/// Nothing is undetected in a session that was not aligned.
#[test]
fn nothing_moves_to_an_unaligned_session() {
    let plan = |seed| FieldsPlan {
        seed,
        sessions: 3,
        ..FieldsPlan::default()
    };
    let mut sessions = owned(&Fields::build(&plan(3)).unwrap());
    sessions[2] = Owned::of(&Fields::build(&plan(1003)).unwrap().sessions[2]);
    let tracks = run(&sessions, &Parameters::default());
    let moved = transfer(&views(&sessions), &tracks, 2).unwrap();
    assert!(moved.cells.is_empty() && moved.footprints.is_empty());
}

/// A session without ROIs gets all cells in its field.
#[test]
fn a_session_without_rois_gets_all() {
    let fields = Fields::build(&FieldsPlan {
        seed: 4,
        ..FieldsPlan::default()
    })
    .unwrap();
    let mut sessions = owned(&fields);
    sessions[3] = sessions[3].without_rois();
    let tracks = run(&sessions, &Parameters::default());
    let miss = misses(&fields, &tracks, 3);
    assert!(quantile(&miss, 0.5) < 1.5);
    let moved = transfer(&views(&sessions), &tracks, 3).unwrap();
    assert_eq!(moved.cells, undetected(&tracks, 3));
    assert!(moved.cells.len() > 250, "{}", moved.cells.len());
}

/// Planes and pixel sizes of the session itself.
#[test]
fn into_the_sessions_own_planes_and_pixels() {
    let (fields, tracks) = planted(&FieldsPlan {
        sessions: 4,
        cells: 400,
        planes: 4,
        axial_planes: 1,
        height: 160,
        width: 160,
        seed: 5,
        ..FieldsPlan::default()
    });
    let sessions = owned(&fields);
    let mut checked = 0;
    for session in 0..4 {
        let moved = transfer(&views(&sessions), &tracks, session).unwrap();
        assert_eq!(moved.cells, undetected(&tracks, session));
        for (k, &row) in moved.cells.iter().enumerate() {
            if let Some(cell) = identity(&fields, &tracks, row) {
                let plane = fields.planes[cell] - fields.axial(session);
                assert_eq!(moved.footprints.get(k).plane as i32, plane);
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");

    let fields = Fields::build(&FieldsPlan {
        sessions: 3,
        seed: 6,
        ..FieldsPlan::default()
    })
    .unwrap();
    let mut sessions = owned(&fields);
    sessions[2] = sessions[2].binned();
    let tracks = run(&sessions, &Parameters::default());
    let moved = transfer(&views(&sessions), &tracks, 2).unwrap();
    assert_eq!(
        (moved.footprints.height(), moved.footprints.width()),
        (128, 128)
    );
    let mut off: Vec<f64> = moved
        .cells
        .iter()
        .enumerate()
        .filter_map(|(k, &row)| {
            let (y, x) = fields.sessions[2].centres[identity(&fields, &tracks, row)?];
            let (v, u) = moved.footprints.centroid(k);
            // The middle of two pixels.
            Some((2.0 * v + 0.5 - y).hypot(2.0 * u + 0.5 - x))
        })
        .collect();
    off.sort_by(f64::total_cmp);
    assert!(off.len() > 20, "{}", off.len());
    assert!(quantile(&off, 0.5) < 2.0, "{}", quantile(&off, 0.5));
}

#[test]
fn no_such_session() {
    let mut all = Footprints::new(32, 32);
    all.push(&[33, 34, 65, 66], &[1.0; 4], 0).unwrap();
    let sessions = [SessionRois::new(&all)];
    let tracks = track(&sessions, &Parameters::default()).unwrap();
    assert!(matches!(
        transfer(&sessions, &tracks, 1),
        Err(Error::Session { session: 1, .. })
    ));
    assert!(transfer(&sessions, &tracks, 0).unwrap().cells.is_empty());
}
