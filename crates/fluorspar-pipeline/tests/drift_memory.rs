//! A drift analysis takes what a refusal says it takes, and not much less.

mod counting;

use std::path::Path;
use std::sync::atomic::Ordering;

use counting::{NOW, PEAK};
use fluorspar_pipeline::{DriftOptions, drift};

#[path = "../examples/write_traces/experiment.rs"]
mod experiment;

use experiment::{Size, write};

/// Writes `experiment.toml` anew, with identities that are known and changes.
fn configure(out: &Path, changes: &[(&str, &str)]) {
    let path = out.join("experiment.toml");
    let mut text = std::fs::read_to_string(out.join("original.toml")).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn what_a_refusal_asks_for_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let size = Size {
        cells: 4_000,
        sessions: 4,
        trials: 60,
        frame_rate: 4.0,
        seed: 2,
    };
    write(out, &size).unwrap();
    let given = ("tracks/tracks.zarr", "identities.csv");
    std::fs::rename(out.join("experiment.toml"), out.join("original.toml")).unwrap();
    let options = DriftOptions {
        bootstrap: Some(20),
        permutations: Some(20),
        ..DriftOptions::default()
    };
    let of_two = ("[\"odour1\"]", "[\"odour1\", \"outcome\"]");
    let whole = (
        "odour1 = [0.0, 1.0]",
        "odour1 = [0.0, 1.0]\nwhole = [0.0, 10.0]",
    );
    for changes in [
        vec![given],
        vec![given, ("bin_s = 0.5", "")],
        vec![given, of_two, whole],
    ] {
        configure(out, &changes);
        let input = out.join("experiment.toml");
        let asked = |memory: usize| DriftOptions {
            memory: Some(memory),
            ..options.clone()
        };
        let refusal = drift(&input, &out.join("none"), &asked(1 << 20), &()).unwrap_err();
        let refusal = refusal.to_string();
        let (_, rest) = refusal.split_once("--memory ").unwrap();
        let mebibytes: usize = rest.split_once("MiB").unwrap().0.parse().unwrap();

        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        drift(&input, &out.join("drift"), &asked(mebibytes << 20), &()).unwrap();
        let held = PEAK.load(Ordering::Relaxed) - before;
        assert!(
            held <= mebibytes << 20,
            "{changes:?}: {} of {mebibytes} MiB",
            held >> 20
        );
        assert!(
            held >= (mebibytes << 20) / 2,
            "{changes:?}: {} of {mebibytes} MiB",
            held >> 20
        );
        std::fs::remove_dir_all(out.join("drift")).unwrap();
    }
}
