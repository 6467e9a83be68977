//! `fluorspar drift`: whoever's files it starts from.

mod common;
#[path = "common/drift.rs"]
mod data;

use std::fs;
use std::path::Path;

use common::{files, fluorspar, json, refused, said, small};
use data::{QUICK, days, experiment, nwb, suite2p, tensor_file, tensors};
use ndarray::Array1;

/// Analyses `input` and gives the metrics.
fn metrics(here: &Path, input: &str, more: &[&str]) -> String {
    let out = format!("out-{}", input.replace(['/', '.'], "-"));
    let output = fluorspar(&[&["drift", input, &out, "-q"][..], more].concat(), here);
    assert!(output.status.success(), "{input}: {}", said(&output));
    assert!(here.join(&out).join("report.html").is_file());
    fs::read_to_string(here.join(out).join("metrics.csv")).unwrap()
}

#[test]
fn the_same_activity_gives_the_same_tables() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let days = days();
    tensors(here, &days);
    suite2p(here, &days);
    nwb(here, &days);
    fs::write(here.join("epochs.toml"), "all = [0.0, 3.0]\n").unwrap();
    let quick = [
        "--bootstrap=20",
        "--permutations=20",
        "--epochs=epochs.toml",
    ];
    let expected = metrics(here, "tensors", &quick);
    assert!(
        expected
            .lines()
            .any(|line| line.starts_with("decoding,all,odour,"))
    );
    let from_suite2p = "suite2p = \"day{n}/suite2p/plane0\"\ntrials = \"trials{n}.csv\"";
    let tracks = "frame_rate = 10\ntracks = \"tracks.csv\"";
    experiment(here, "s2p.toml", tracks, from_suite2p, QUICK);
    // The folder above the planes will do too.
    let above = from_suite2p.replace("/plane0", "");
    experiment(here, "planes.toml", tracks, &above, QUICK);
    experiment(here, "nwb.toml", "", "nwb = \"day{n}.nwb\"", QUICK);
    let by_table = "nwb = \"day{n}.nwb\"\ntrials = \"trials{n}.csv\"";
    experiment(here, "table.toml", tracks, by_table, QUICK);
    let from_tensor = "tensor = \"tensors/session-0{n}.npz\"";
    experiment(here, "tensors.toml", "", from_tensor, QUICK);
    for name in [
        "s2p.toml",
        "planes.toml",
        "nwb.toml",
        "table.toml",
        "tensors.toml",
    ] {
        assert!(metrics(here, name, &[]) == expected, "{name}");
    }
}

#[test]
fn trials_are_chosen_and_what_is_known_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let days = days();
    suite2p(here, &days);
    nwb(here, &days);
    for k in 1..=3 {
        let rows: Vec<String> = (0..1200)
            .map(|t| format!("{},{t}", f64::from(t) / 10.0))
            .collect();
        let rows = rows.join("\n");
        fs::write(
            here.join(format!("pupil{k}.csv")),
            format!("time_s,pupil\n{rows}"),
        )
        .unwrap();
    }
    let session = "nwb = \"day{n}.nwb\"\ntrials = \"trials{n}.csv\"\nbehaviour = \"pupil{n}.csv\"";
    let tail = "lick = { event = \"lick_s\", start = 2.0, stop = 2.5 }\n\
                [trials]\nexclude = { laser = [\"on\"] }\n[nwb]\ngroup = \"area\"\n\
                [drift]\nbehaviour = [\"speed\"]\nbootstrap = 20\npermutations = 20\n";
    experiment(here, "chosen.toml", "", session, tail);
    let done = json(&fluorspar(&["drift", "chosen.toml", "out", "--json"], here));
    let first = &done["sessions"][0];
    // Two of 20 trials have the laser on, and lack a lick; two more lack a lick.
    assert_eq!(first["trials"], 16, "{done}");
    assert_eq!(first["cells"], data::CELLS);
    assert_eq!(first["behaviour"], serde_json::json!(["pupil", "speed"]));
    let groups = &first["groups"];
    let of = |name: &str| groups[name].as_u64().unwrap();
    assert_eq!(of("M2") + of("RSA"), data::CELLS as u64);
    assert_eq!(done["epochs"], serde_json::json!(["all", "lick"]));
    // The notes differ in every trial and the lick is no label.
    assert_eq!(done["variables"], serde_json::json!(["laser", "odour"]));
    // What is asked on the command line comes first.
    let asked = [
        "drift",
        "chosen.toml",
        "asked",
        "--json",
        "--variables=odour",
        "--group=M2",
    ];
    let asked = json(&fluorspar(
        &[&asked[..], &["--activity=dff", "--inclusion=tracked"]].concat(),
        here,
    ));
    assert_eq!(asked["variables"], serde_json::json!(["odour"]));
    assert!(asked["sessions"][0]["covariates"]["mean_fluorescence"].as_f64() > Some(100.0));
    let metrics = fs::read_to_string(here.join("asked/metrics.csv")).unwrap();
    assert!(
        metrics.contains("tracked") && !metrics.contains("active-in-both"),
        "{metrics}"
    );
}

#[test]
fn a_finished_run_is_analysed_again() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    small(here);
    let run = ["run", "raw/experiment.toml", "--out", "run", "-q"];
    assert!(fluorspar(&run, here).status.success());
    let again = metrics(here, "run", &[]);
    assert!(again == fs::read_to_string(here.join("run/drift/metrics.csv")).unwrap());
    // And so are its parts, named one by one.
    let text = fs::read_to_string(here.join("raw/experiment.toml")).unwrap();
    let mut number = 0;
    let parts: Vec<String> = text
        .lines()
        .map(|line| match line.split_once('=') {
            Some((key, _)) if key.trim() == "movie" => {
                number += 1;
                format!("rois = \"../run/session-{number:02}\"")
            }
            Some((key, _)) if key.trim() == "name" => {
                format!("{line}\ntracks = \"../run/tracks.zarr\"")
            }
            _ => line.to_owned(),
        })
        .collect();
    fs::write(here.join("raw/parts.toml"), parts.join("\n")).unwrap();
    assert!(metrics(here, "raw/parts.toml", &[]) == again);
    let done = json(&fluorspar(&["drift", "run", "more", "--json"], here));
    let covariates = &done["sessions"][0]["covariates"];
    for name in [
        "mean_fluorescence",
        "motion_px",
        "noise",
        "registration_quality",
        "snr",
    ] {
        assert!(covariates[name].is_number(), "{name}: {done}");
    }
    // A movie has to be analysed before.
    refused(
        here,
        &["drift", "raw/experiment.toml", "none"],
        2,
        &["fluorspar run", "session 1"],
    );
    refused(
        here,
        &["run", "raw/parts.toml", "--out", "none"],
        2,
        &["fluorspar drift", "session 1"],
    );
    assert!(!here.join("none").exists());
}

#[test]
fn tensors_may_say_more() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("t")).unwrap();
    for (k, day) in days().iter().enumerate() {
        let path = here.join(format!("t/session-{:02}.npz", k + 1));
        let mut file = tensor_file(&path, day);
        let per_cell = |value: &dyn Fn(usize) -> f64| Array1::from_shape_fn(data::CELLS, value);
        file.add_array(
            "present",
            &per_cell(&|c| f64::from(u8::from(c > 1))).mapv(|v| v > 0.0),
        )
        .unwrap();
        file.add_array("p_same", &per_cell(&|_| 0.9).mapv(|v| v as f32))
            .unwrap();
        file.add_array("group", &per_cell(&|c| (c % 3) as f64).mapv(|v| v as i32))
            .unwrap();
        file.add_array("practice", &ndarray::arr0(k as i64 + 5))
            .unwrap();
        file.add_array("covariate_snr", &ndarray::arr0(3.5))
            .unwrap();
        let speed = Array1::from_shape_fn(data::TRIALS, |t| t as f64);
        file.add_array("behaviour_speed", &speed).unwrap();
        file.finish().unwrap();
    }
    let quick = [
        "drift",
        "t",
        "out",
        "--json",
        "--bootstrap=20",
        "--permutations=20",
        "--format=both",
    ];
    let done = json(&fluorspar(&quick, here));
    let first = &done["sessions"][0];
    assert_eq!(first["present"], data::CELLS - 2);
    assert_eq!(first["groups"]["0"], 10);
    assert_eq!(first["covariates"]["snr"], 3.5);
    assert_eq!(first["behaviour"][0], "speed");
    let out = files(&here.join("out"));
    let parquet = out
        .iter()
        .filter(|(name, _)| name.extension().is_some_and(|e| e == "parquet"));
    assert!(parquet.clone().count() >= 4);
    assert!(
        parquet
            .clone()
            .all(|(_, bytes)| bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"))
    );
}
