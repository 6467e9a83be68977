//! Ctrl-C and SIGTERM: what is finished stays whole, and the next run goes on.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use common::{files, fluorspar, said, small};
use serde_json::Value;

fn run(out: &str) -> [&str; 7] {
    [
        "run",
        "raw/experiment.toml",
        "--out",
        out,
        "--resume",
        "--log",
        "json",
    ]
}

/// Sends a signal; `kill` is a builtin of every shell.
fn send(signal: &str, child: &Child) {
    let line = format!("kill -{signal} {}", child.id());
    let status = Command::new("sh").args(["-c", &line]).status().unwrap();
    assert!(status.success(), "{line}");
}

/// Reads the log up to the first line that `is_it`.
fn wait_for(log: &mut BufReader<ChildStderr>, is_it: impl Fn(&Value) -> bool) -> bool {
    let mut line = String::new();
    while log.read_line(&mut line).unwrap() > 0 {
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        if is_it(&value) {
            return true;
        }
        line.clear();
    }
    false
}

/// Starts a run, sends `signals` while `step` is in work, and gives its exit code.
fn stopped_in(folder: &Path, step: &str, signals: &[&str]) -> Option<i32> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fluorspar"))
        .args(run("out"))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let begins = |value: &Value| value["event"] == "start" && value["step"] == step;
    assert!(wait_for(&mut log, begins), "{step} does not begin");
    for (number, signal) in signals.iter().enumerate() {
        send(signal, &child);
        if number == 0 {
            assert!(wait_for(&mut log, |value| value["event"] == "stop"));
        }
    }
    // All that is still said is read, so that nothing waits for the pipe.
    let ended = wait_for(&mut log, |value| value["exit_code"] == 130);
    assert!(ended || signals.len() > 1, "no line tells of the end");
    child.wait().unwrap().code()
}

#[test]
fn a_stopped_run_leaves_whole_artefacts_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let output = fluorspar(&run("whole"), folder);
    assert!(output.status.success(), "{}", said(&output));
    let whole = files(&folder.join("whole"));

    for (step, signals) in [
        ("session-01/register", &["INT"][..]),
        ("session-01/denoise", &["TERM"]),
        ("session-01/cells", &["TERM", "TERM"]),
        ("session-02/denoise", &["INT", "INT"]),
        ("track", &["TERM", "INT"]),
    ] {
        assert_eq!(stopped_in(folder, step, signals), Some(130), "{step}");
        // Whatever has its final name is what an uninterrupted run writes.
        let so_far = files(&folder.join("out"));
        for (path, bytes) in &so_far {
            let hidden = path.iter().any(|part| part.as_encoded_bytes()[0] == b'.');
            if !hidden {
                let same = whole.iter().any(|(p, b)| p == path && b == bytes);
                assert!(same, "{step}: {} is not whole", path.display());
            }
        }
        assert!(so_far.len() < whole.len(), "{step}: nothing was left to do");
    }
    let output = fluorspar(&run("out"), folder);
    assert!(output.status.success(), "{}", said(&output));
    assert!(whole == files(&folder.join("out")));
}

/// A command that cannot go on later does not wait either.
#[test]
fn other_commands_end_at_the_first_signal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(
        folder.join("spec.toml"),
        "[experiment]\nsessions = 3\ntrials = 40\nheight = 256\nwidth = 256\n",
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fluorspar"))
        .args(["simulate", "spec.toml", "raw", "--log", "json"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    assert!(wait_for(&mut log, |value| value["event"] == "start"));
    // Not INT: whoever runs this in the background may have it ignored.
    send("TERM", &child);
    assert!(!wait_for(&mut log, |value| value["event"] == "finish"
        && value["step"]
            .as_str()
            .is_some_and(|step| step.contains('3'))));
    assert!(!child.wait().unwrap().success());
}
