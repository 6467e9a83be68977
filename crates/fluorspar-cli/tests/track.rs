//! `fluorspar track` as its users meet it: what it finds and says.

mod common;
#[path = "common/sessions.rs"]
mod sessions;

use std::fmt::Write as _;
use std::fs;

use common::{files, fluorspar, json, refused};
use fluorspar_zarr::GroupReader;
use ndarray::{Array1, Axis};
use ndarray_npy::NpzReader;
use sessions::{THREE, lines, npz, three_sessions};

#[test]
fn cells_are_followed_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    let done = json(&fluorspar(
        &[&THREE[..], &["--json", "--transfer"]].concat(),
        here,
    ));
    let number = |name: &str| done[name].as_u64().unwrap() as usize;
    let cells = number("cells");
    assert!(
        (40..44).contains(&cells) && number("cells_in_all") >= 36,
        "{done}"
    );
    assert_eq!(done["aligned"], 3);
    assert_eq!(done["sessions"][1]["verdict"], "aligned");
    assert_eq!(done["warnings"], serde_json::json!([]));
    let out = here.join("out");
    // All listed files are there, and no others.
    let mut listed: Vec<String> = done["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap().replace("out/", ""))
        .collect();
    listed.extend(["tracks.zarr".into(), "tracks.html".into()]);
    listed.sort();
    let mut found: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, listed);

    let group = GroupReader::open(out.join("tracks.zarr")).unwrap();
    let roi_index = group.array::<i32>("roi_index").unwrap();
    assert_eq!(roi_index.shape(), [cells, 3]);
    for row in roi_index.axis_iter(Axis(0)) {
        // ROI k is the same cell in all of them.
        let seen: Vec<i32> = row.iter().copied().filter(|&roi| roi >= 0).collect();
        assert!(
            !seen.is_empty() && seen.iter().all(|&roi| roi == seen[0]),
            "{row}"
        );
    }
    assert_eq!(group.attribute("presence_codes").unwrap()["absent"], 2);
    assert_eq!(
        group.array::<f64>("alignment_matrix").unwrap().shape(),
        [3, 2, 2]
    );
    assert_eq!(group.array::<f64>("field").unwrap().shape()[..2], [3, 2]);
    let pairs = group.array::<u32>("pair_roi").unwrap().len() / 2;
    assert_eq!(lines(&out.join("pairs.csv")).len(), pairs + 1);
    let tracks = lines(&out.join("tracks.csv"));
    assert_eq!(tracks[0], "cell,session,roi,state,p_same");
    assert_eq!(tracks.len(), cells * 3 + 1);
    assert!(tracks[1].contains(",matched,"));
    assert_eq!(lines(&out.join("cells.csv")).len(), cells + 1);
    assert_eq!(lines(&out.join("alignment.csv")).len(), 4);
    let page = fs::read_to_string(out.join("tracks.html")).unwrap();
    assert!(page.contains("cells were found in 3 sessions, 3 of which could be aligned"));
    let file = fs::File::open(out.join("session-00-undetected.npz")).unwrap();
    let cells: Array1<i64> = NpzReader::new(file).unwrap().by_name("cell").unwrap();
    assert!(cells.len() < 4);

    // The same bytes at one thread; nothing of a run is overwritten.
    let again = [&THREE[..4], &["again", "--transfer", "--threads", "1"]].concat();
    assert!(fluorspar(&again, here).status.success());
    assert_eq!(files(&here.join("again")), files(&out));
    refused(here, &THREE, 2, &["exists already"]);
    let summary = fluorspar(&[&THREE[..4], &["third"]].concat(), here);
    let summary = String::from_utf8(summary.stdout).unwrap();
    assert!(summary.contains("cells in 3 sessions; 40 seen in two sessions or more"));
}

#[test]
fn other_results_are_compared_and_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    // Half of the cells, one of them torn apart, one wrong.
    let mut table = String::from("roi,session,cell\n");
    for cell in 0..20 {
        for session in 0..3 {
            let other = if (cell, session) == (1, 2) { 100 } else { cell };
            writeln!(table, "{cell},{session},{other}").unwrap();
        }
    }
    fs::write(here.join("theirs.csv"), &table).unwrap();
    let compare = [&THREE[..], &["--compare", "theirs.csv", "--json"]].concat();
    let done = json(&fluorspar(&compare, here));
    let agreement = &done["agreement"];
    let number = |name: &str| agreement[name].as_u64().unwrap() as usize;
    // Theirs are 19 cells of three ROIs and one of two.
    assert_eq!(number("both") + number("only_theirs"), 58, "{agreement}");
    assert!(
        number("both") >= 50 && number("only_ours") >= 50,
        "{agreement}"
    );
    assert!(
        number("identical") >= 16 && number("cells_only_ours") >= 18,
        "{agreement}"
    );
    assert_eq!(number("left_out"), 0);
    let pairs = number("both") + number("only_theirs") + number("only_ours");
    assert_eq!(lines(&here.join("out/agreement.csv")).len(), pairs + 1);
    assert!(here.join("out/agreement-cells.csv").is_file());
    let page = fs::read_to_string(here.join("out/tracks.html")).unwrap();
    assert!(page.contains("Beside the other result"));
    // Our own table says what we say.
    let own = [&THREE[..4], &["own", "--compare", "out", "--json"]].concat();
    let done = json(&fluorspar(&own, here));
    for name in ["only_ours", "only_theirs", "split", "merged"] {
        assert_eq!(done["agreement"][name], 0, "{done}");
    }

    let taken = [
        &THREE[..4],
        &["taken", "--identities", "theirs.csv", "--json"],
    ]
    .concat();
    let done = json(&fluorspar(&taken, here));
    // 20 cells and one torn off, and 20 ROIs of each session that are not named.
    assert_eq!(done["cells"], 21 + 60, "{done}");
    assert_eq!(
        (&done["cells_in_all"], &done["matched_cells"]),
        (&19.into(), &20.into())
    );

    for (text, says) in [
        ("cell,session\n1,1\n", "no column \"roi\""),
        ("cell,session,roi\n0,0,0\n0,0,1\n0,2,0\n", "two ROIs"),
        ("cell,session,roi\n0,0,0\n1,0,0\n0,2,0\n", "to the cells"),
        ("cell,session,roi\n0,0,99\n0,2,1\n", "99"),
        ("cell,session,roi\n0,0,9\n", "1 sessions"),
        ("cell,session,roi\n0,0,x\n", "invalid digit"),
    ] {
        fs::write(here.join("bad.csv"), text).unwrap();
        let bad = [&THREE[..4], &["bad", "--compare", "bad.csv"]].concat();
        refused(here, &bad, 3, &["bad.csv", says]);
        assert!(!here.join("bad").exists());
    }
    let bad = [&THREE[..4], &["bad", "--compare", "none.csv"]].concat();
    refused(here, &bad, 3, &["none.csv", "no such file"]);
    let bad = [&THREE[..4], &["bad", "--compare", "a.npz"]].concat();
    refused(here, &bad, 3, &["a.npz", "is not known"]);
}

#[test]
fn empty_and_single_sessions_are_results() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    npz(&here.join("none.npz"), &[]);
    let done = json(&fluorspar(&["track", "a.npz", "one", "--json"], here));
    assert_eq!(
        (&done["cells"], &done["matched_cells"]),
        (&40.into(), &0.into())
    );
    let done = json(&fluorspar(
        &["track", "a.npz", "none.npz", "two", "--json"],
        here,
    ));
    assert_eq!(
        (&done["cells"], &done["matched_cells"]),
        (&40.into(), &0.into())
    );
    let done = json(&fluorspar(
        &["track", "none.npz", "zero", "--json", "--transfer"],
        here,
    ));
    assert_eq!(done["cells"], 0);
    let page = fs::read_to_string(here.join("zero/tracks.html")).unwrap();
    assert!(
        page.contains("0 cells were found in 1 session."),
        "{}",
        &page[..200]
    );
}
