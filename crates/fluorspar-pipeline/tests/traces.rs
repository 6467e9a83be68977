//! From simulated traces to what is said of their code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fluorspar_pipeline::{DriftOptions, TrackOptions, drift, track};
use serde_json::Value;

#[path = "../examples/write_traces/experiment.rs"]
mod experiment;

use experiment::{Size, write};

fn size(cells: usize, sessions: usize) -> Size {
    Size {
        cells,
        sessions,
        trials: 40,
        frame_rate: 4.0,
        seed: 5,
    }
}

fn options() -> DriftOptions {
    DriftOptions {
        bootstrap: Some(100),
        permutations: Some(100),
        ..DriftOptions::default()
    }
}

fn sessions(out: &Path, count: usize) -> Vec<PathBuf> {
    let names = 1..=count;
    let names = names.map(|number| out.join(format!("session-{number:02}/rois.zarr")));
    names.collect()
}

/// Similarity of the code for odour 1 in an epoch, by pairs of sessions from 0.
fn similarity(out: &Path, epoch: &str) -> BTreeMap<(usize, usize), f64> {
    let mut table = csv::Reader::from_path(out.join("metrics.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|known| known == name).unwrap();
    let (i, j, value) = (column("session_i"), column("session_j"), column("value"));
    let about = [column("metric"), column("epoch"), column("variable")];
    let rows = table.records().map(Result::unwrap);
    rows.filter(|row| about.map(|k| &row[k]) == ["code_similarity", epoch, "odour1"])
        .map(|row| {
            let session = |k: usize| row[k].parse::<usize>().unwrap() - 1;
            ((session(i), session(j)), row[value].parse().unwrap())
        })
        .collect()
}

#[test]
fn cells_are_followed_and_their_planted_code_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    write(out, &size(1_500, 6)).unwrap();
    let asked = TrackOptions {
        compare: Some(out.join("identities.csv")),
        ..TrackOptions::default()
    };
    let tracked = track(&sessions(out, 6), &out.join("tracks"), &asked, &()).unwrap();
    let agreement = tracked.agreement.unwrap();
    let share = |other: usize| {
        let both = agreement.both as f64;
        both / (both + other as f64)
    };
    assert!(share(agreement.only_ours) > 0.95, "{agreement:?}");
    assert!(share(agreement.only_theirs) > 0.95, "{agreement:?}");

    let found = out.join("drift");
    drift(&out.join("experiment.toml"), &found, &options(), &()).unwrap();
    assert!(found.join("report.html").is_file());
    let truth = std::fs::read(out.join("truth.json")).unwrap();
    let truth: Value = serde_json::from_slice(&truth).unwrap();
    let planted = |epoch: &str, (i, j): (usize, usize)| {
        truth["expected_correlation"][epoch][i][j].as_f64().unwrap()
    };
    assert_eq!(planted("late_delay", (0, 5)), 0.8_f64.powi(3));
    for epoch in ["odour1", "late_delay"] {
        let found = similarity(&found, epoch);
        assert_eq!(found.len(), 15);
        for (pair, value) in found {
            let planted = planted(epoch, pair);
            // Two in a hundred matches are wrong, cells and trials are few.
            assert!(
                (value - planted).abs() < 0.2,
                "{epoch} {pair:?}: {value}, not {planted}"
            );
        }
    }
    let late = similarity(&found, "late_delay");
    let mean = |pairs: &[(usize, usize)]| {
        pairs.iter().map(|pair| late[pair]).sum::<f64>() / pairs.len() as f64
    };
    // The code drifts up to the fourth session and not after it.
    let (drifting, fixed) = (
        mean(&[(0, 3), (0, 4), (0, 5)]),
        mean(&[(3, 4), (3, 5), (4, 5)]),
    );
    assert!(fixed - drifting > 0.3, "{late:?}");
}

#[test]
fn what_does_not_fit_into_memory_is_refused_before_traces_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    write(out, &size(300, 3)).unwrap();
    track(
        &sessions(out, 3),
        &out.join("tracks"),
        &TrackOptions::default(),
        &(),
    )
    .unwrap();
    // Traces that cannot be read: a refusal comes first.
    let chunks = out.join("session-03/rois.zarr/events/c");
    let hidden = out.join("chunks");
    std::fs::rename(&chunks, &hidden).unwrap();
    let asked = |memory: usize| DriftOptions {
        memory: Some(memory),
        ..options()
    };
    let input = out.join("experiment.toml");
    let found = out.join("drift");
    let error = drift(&input, &found, &asked(1 << 20), &()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(
        message.contains("experiment.toml") && message.contains("--memory"),
        "{message}"
    );
    assert!(!found.exists());
    // What the message asks for is accepted.
    let (_, rest) = message.split_once("--memory ").unwrap();
    let mebibytes = rest.split_once("MiB").unwrap().0.parse::<usize>().unwrap();
    let enough = asked(mebibytes << 20);
    let error = drift(&input, &found, &enough, &()).unwrap_err().to_string();
    assert!(error.contains("session-03"), "{error}");
    std::fs::rename(&hidden, &chunks).unwrap();
    drift(&input, &found, &enough, &()).unwrap();
}

#[test]
fn the_same_bytes_at_any_number_of_threads() {
    let files = |threads: usize| -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let written =
            pool.install(|| write(folder.path(), &size(150, 2)).map_err(|e| e.to_string()));
        written.unwrap();
        let mut all = BTreeMap::new();
        let mut open = vec![folder.path().to_path_buf()];
        while let Some(path) = open.pop() {
            for entry in std::fs::read_dir(&path).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(folder.path()).unwrap().to_path_buf();
                    all.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        all
    };
    let one = files(1);
    assert!(one.len() > 10);
    assert!(one == files(3));
}
