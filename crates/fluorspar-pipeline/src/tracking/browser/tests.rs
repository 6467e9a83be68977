use std::path::Path;

use fluorspar_movie::Footprints;
use fluorspar_report::{Report, Section};
use fluorspar_track::Transform;
use ndarray::array;

use super::*;

/// One ROI of 2 × 2 pixels for each of `planes`, in a row of its own.
pub(super) fn session(planes: &[u32]) -> Session {
    let mut footprints = Footprints::new(4 * planes.len().max(1), 12);
    for (roi, &plane) in planes.iter().enumerate() {
        let at = (4 * roi as u32 + 1) * 12 + 5;
        let pixels = [at, at + 1, at + 12, at + 13];
        footprints.push(&pixels, &[2.0; 4], plane).unwrap();
    }
    Session::new(Path::new("a"), footprints)
}

/// Sessions that all lie as they are on the first.
pub(super) fn table(roi_index: Array2<i32>) -> TrackTable {
    let (cells, sessions) = roi_index.dim();
    TrackTable {
        p_same: roi_index.mapv(|roi| if roi >= 0 { 0.75 } else { 0.0 }),
        presence: roi_index.mapv(|roi| match roi {
            0.. => Presence::Matched,
            _ => Presence::Undetected,
        }),
        roi_index,
        confidence: vec![0.75; cells],
        verdicts: vec!["aligned".into(); sessions],
        transforms: vec![Transform::identity(); sessions],
        reference: 0,
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|k| format!("day {k}")).collect()
}

fn html(blocks: Vec<Block>) -> String {
    let section = blocks.into_iter().fold(Section::new("a"), Section::block);
    Report::new("a").section(section).render()
}

#[test]
fn rois_are_found_by_their_numbers_among_all() {
    // Of the second session ROIs 1 and 3 alone are followed.
    let sessions = [session(&[0; 4]), session(&[0; 4]).only(vec![1, 3])];
    let mut tracks = table(array![[0, -1], [1, 1], [2, -1], [3, 3]]);
    tracks.p_same[[3, 1]] = 0.25;
    let page = html(cell_by_cell(&names(2), &sessions, &tracks).unwrap());
    // State, index of the outline, probability in thousandths, note.
    assert!(page.contains(r#"[0,1,750,"ROI 1"],[0,0,750,"ROI 1"]"#));
    assert!(page.contains(r#"[0,3,750,"ROI 3"],[0,1,250,"ROI 3"]"#));
    // A cell seen once was not matched: it has no probability.
    assert!(page.contains(r#"[0,0,null,"ROI 0"],[1,null,null,""]"#));
    assert!(page.contains(r#""states":["matched","undetected"]"#));
    assert!(page.contains("maps of the footprints") && !page.contains("not aligned"));
    // ROI 1 spans 5..7 × 5..7, steps are quarters.
    assert!(page.contains(r#""place":[24,24]"#));
}

#[test]
fn there_is_no_browser_of_nothing() {
    let empty = |sessions| {
        let all = vec![session(&[]); sessions];
        let tracks = table(Array2::zeros((0, sessions)));
        cell_by_cell(&names(sessions), &all, &tracks).unwrap()
    };
    assert!(empty(2).is_empty() && empty(1).is_empty() && empty(0).is_empty());
    let sessions = [session(&[0]), session(&[0])];
    let mut tracks = table(array![[0, -1], [-1, 0]]);
    assert_eq!(
        cell_by_cell(&names(2), &sessions, &tracks).unwrap().len(),
        2
    );
    tracks.verdicts[1] = "unaligned".into();
    assert!(
        cell_by_cell(&names(2), &sessions, &tracks)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn sessions_that_are_not_aligned_are_named_and_left_out() {
    let sessions = [session(&[0]), session(&[0]), session(&[0])];
    let mut tracks = table(array![[0, -1, 0], [-1, 0, -1]]);
    tracks.verdicts[1] = "mirrored".into();
    let page = html(cell_by_cell(&names(3), &sessions, &tracks).unwrap());
    assert!(page.contains("day 1 is not aligned and therefore not shown"));
    assert!(page.contains("cell 0") && !page.contains("cell 1"));
}

#[test]
fn each_plane_has_its_browser() {
    let sessions = [session(&[0, 1]), session(&[0, 1])];
    let tracks = table(array![[0, 0], [1, 1]]);
    let page = html(cell_by_cell(&names(2), &sessions, &tracks).unwrap());
    assert_eq!(page.matches("class=\"browser\"").count(), 2);
    assert!(page.contains("Cells of plane 1") && page.contains("ROI 1, plane 1"));
}
