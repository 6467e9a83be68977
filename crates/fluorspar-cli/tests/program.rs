//! The program as its users meet it: exit codes, messages, whole artefacts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fluorspar(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fluorspar"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A small simulated experiment, written once and copied by each test.
fn small(folder: &Path) {
    let spec = "[experiment]\nsessions = 2\ntrials = 8\ncells = 25\nheight = 64\nwidth = 64\n";
    fs::write(folder.join("spec.toml"), spec).unwrap();
    let output = fluorspar(&["simulate", "spec.toml", "raw", "--quiet"], folder);
    assert!(output.status.success(), "{}", said(&output));
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    let mut stack = vec![folder.to_path_buf()];
    while let Some(here) = stack.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else if path.file_name().unwrap() != "run.json" {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                out.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

fn refused(folder: &Path, arguments: &[&str], code: i32, says: &[&str]) {
    let output = fluorspar(arguments, folder);
    let message = said(&output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for word in says {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn a_run_is_the_same_at_any_thread_count_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    for (out, threads) in [("one", "1"), ("two", "2")] {
        let arguments = [
            "run",
            "raw/experiment.toml",
            "--out",
            out,
            "--threads",
            threads,
            "-q",
        ];
        let output = fluorspar(&arguments, folder);
        assert!(output.status.success(), "{}", said(&output));
    }
    let one = files(&folder.join("one"));
    assert!(one == files(&folder.join("two")), "threads change bytes");
    for name in ["session-01/motion.csv", "drift/metrics.csv", "report.html"] {
        assert!(folder.join("one").join(name).is_file(), "{name}");
    }
    assert!(
        one.iter()
            .all(|(path, _)| !path.to_string_lossy().contains("partial"))
    );

    // A second run over the first is refused, a resumed one has nothing to do.
    let arguments = ["run", "raw/experiment.toml", "--out", "one"];
    refused(folder, &arguments, 2, &["--resume", "one"]);
    let resume = ["run", "raw/experiment.toml", "--out", "one", "--resume"];
    let output = fluorspar(&resume, folder);
    assert!(output.status.success());
    assert_eq!(
        said(&output).matches("up to date").count(),
        9,
        "{}",
        said(&output)
    );

    // What is lost comes back the same.
    fs::remove_dir_all(folder.join("one/tracks.zarr")).unwrap();
    fs::remove_file(folder.join("one/drift/metrics.csv")).unwrap();
    assert!(fluorspar(&resume, folder).status.success());
    assert!(one == files(&folder.join("one")));
}

#[test]
fn bad_input_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let config = fs::read_to_string(folder.join("raw/experiment.toml")).unwrap();
    let trials = fs::read_to_string(folder.join("raw/session-02/trials.csv")).unwrap();
    let movie = folder.join("raw/session-02/movie.tif");
    let bytes = fs::read(&movie).unwrap();
    let run = ["run", "raw/experiment.toml", "--out", "out"];
    let second = "session-02";

    fs::write(&movie, &bytes[..bytes.len() / 2]).unwrap();
    refused(folder, &run, 3, &["movie.tif", "truncated"]);
    fs::write(&movie, b"").unwrap();
    refused(folder, &run, 3, &["movie.tif", "too few"]);
    fs::write(&movie, b"this is not a movie, it is text").unwrap();
    refused(folder, &run, 3, &["movie.tif", "not a TIFF"]);
    fs::write(&movie, &bytes).unwrap();

    let table = folder.join("raw/session-02/trials.csv");
    fs::write(&table, trials.replace("onset_s", "onset")).unwrap();
    refused(folder, &run, 3, &[second, "onset_s"]);
    fs::write(&table, format!("{trials}99999,A,C,lick,1,hit\n")).unwrap();
    refused(folder, &run, 3, &[second, "past the movie's end", "99999"]);
    fs::write(&table, trials.replace("odour1", "odor1")).unwrap();
    refused(folder, &run, 3, &[second, "odour1"]);
    fs::write(&table, &trials).unwrap();

    let toml = folder.join("raw/experiment.toml");
    fs::write(&toml, format!("{config}\n[segmnt]\n")).unwrap();
    refused(
        folder,
        &run,
        2,
        &["experiment.toml", "segmnt", "did you mean `segment`"],
    );
    fs::write(
        &toml,
        config.replace("session-02/movie.tif", "nowhere/*.tif"),
    )
    .unwrap();
    refused(folder, &run, 3, &["nowhere", "matches nothing"]);
    fs::write(&toml, &config).unwrap();
    assert!(
        !folder.join("out").exists(),
        "checks come before the first artefact"
    );

    fs::write(folder.join("occupied"), "a file").unwrap();
    let output = fluorspar(
        &["run", "raw/experiment.toml", "--out", "occupied/out"],
        folder,
    );
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("occupied"));
    refused(folder, &["run", "missing.toml"], 2, &["missing.toml"]);
    refused(folder, &["info", "missing.tif"], 3, &["missing.tif"]);
    refused(folder, &["frobnicate"], 2, &["frobnicate"]);
}

#[test]
fn movies_are_described_and_converted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let output = fluorspar(&["info", "--json", "raw/session-01/movie.tif"], folder);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let info: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(info[0]["height"], 64);
    assert_eq!(info[0]["pixel_type"], "int16");
    assert_eq!(info[0]["frame_rate"], 10.0);
    assert_eq!(info[0]["dialect"], "ScanImage");
    let both = [
        "convert",
        "-q",
        "raw/session-01/movie.tif",
        "raw/session-02/movie.tif",
        "both.zarr",
    ];
    assert!(fluorspar(&both, folder).status.success());
    let part = [
        "convert",
        "-q",
        "--frames",
        "0..10",
        "both.zarr",
        "part.tif",
    ];
    assert!(fluorspar(&part, folder).status.success());
    let output = fluorspar(&["info", "--json", "both.zarr", "part.tif"], folder);
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info[1]["frames"], 10);
    assert_eq!(info[0]["frame_rate"], 10.0);
    refused(folder, &both, 2, &["exists already"]);
    refused(
        folder,
        &["convert", "part.tif", "x.avi"],
        2,
        &[".zarr or .tif"],
    );
}
