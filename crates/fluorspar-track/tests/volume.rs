//! Stacks of planes.

mod common;

use common::{Score, Truth, planted};
use fluorspar_simulate::FieldsPlan;
use fluorspar_track::{Presence, Verdict};

fn plan(planes: usize, axial_planes: i32, seed: u64) -> FieldsPlan {
    FieldsPlan {
        sessions: 4,
        cells: 90 * planes,
        planes,
        axial_planes,
        height: 160,
        width: 160,
        shift_px: 6.0,
        seed,
        ..FieldsPlan::default()
    }
}

#[test]
fn displaced_stacks() {
    let mut displaced = 0;
    let mut score = Score::default();
    let (mut absent, mut agree) = (0, 0);
    for (planes, seed) in [(4, 1), (5, 2), (6, 3)] {
        let (fields, tracks) = planted(&plan(planes, 1, seed));
        let truth = Truth::of(&fields);
        let axial = |session| fields.axial(session) - fields.axial(tracks.reference);
        for (session, alignment) in tracks.alignments.iter().enumerate() {
            assert_eq!(
                alignment.verdict,
                Verdict::Aligned,
                "seed {seed}, session {session}"
            );
            // Plane 0 of the reference session is plane −axial of this one.
            assert_eq!(
                alignment.transform.plane_offset,
                -axial(session),
                "seed {seed}, session {session}"
            );
            displaced += usize::from(axial(session) != 0);
        }
        score.add(Score::of(&truth, &tracks));
        for (rois, presence) in tracks
            .roi_index
            .rows()
            .into_iter()
            .zip(tracks.presence.rows())
        {
            let seen = rois.iter().enumerate().filter(|(_, roi)| **roi >= 0);
            let mut cells: Vec<i64> = seen.map(|(s, &roi)| truth.cell[s][roi as usize]).collect();
            cells.dedup();
            let &[cell @ 0..=i64::MAX] = &cells[..] else {
                continue;
            };
            for session in (0..4).filter(|&session| rois[session] < 0) {
                let plane = fields.planes[cell as usize] - fields.axial(session);
                if !(0..planes as i32).contains(&plane) {
                    absent += 1;
                    agree += usize::from(presence[session] == Presence::Absent);
                }
            }
        }
    }
    assert!(displaced >= 3, "{displaced}");
    assert!(absent > 50 && agree == absent, "{agree} of {absent}");
    score.at_least(0.96, 0.98, 0.9);
}

#[test]
fn stacks_that_stay() {
    let (fields, tracks) = planted(&plan(4, 0, 5));
    for alignment in &tracks.alignments {
        assert_eq!(alignment.transform.plane_offset, 0);
        // The stack moved as one.
        let shifts = &alignment.transform.plane_shift;
        assert!(shifts.iter().all(|(y, x)| y.hypot(*x) < 1.0), "{shifts:?}");
    }
    let truth = Truth::of(&fields);
    Score::of(&truth, &tracks).at_least(0.96, 0.98, 0.9);
    // Cells of neighbouring planes are not taken for one.
    let plane =
        |session: usize, roi: i32| fields.sessions[session].footprints.planes()[roi as usize];
    let mut across = 0;
    for row in tracks.roi_index.rows() {
        let seen = row.iter().enumerate().filter(|(_, roi)| **roi >= 0);
        let mut planes: Vec<u32> = seen.map(|(s, &roi)| plane(s, roi)).collect();
        planes.dedup();
        across += usize::from(planes.len() > 1);
    }
    assert!(across * 50 < tracks.roi_index.nrows(), "{across}");
}
