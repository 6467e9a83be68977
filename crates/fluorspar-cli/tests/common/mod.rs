//! The program, run as its users run it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the program gives in `folder`.
pub(crate) fn fluorspar(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fluorspar"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// What it said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it said in JSON, having succeeded.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// It ends with `code` and says why, in these words.
pub(crate) fn refused(folder: &Path, arguments: &[&str], code: i32, says: &[&str]) {
    let output = fluorspar(arguments, folder);
    let message = said(&output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for word in says {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

/// A small simulated experiment, written once and copied by each test.
pub(crate) fn small(folder: &Path) {
    let spec = "[experiment]\nsessions = 2\ntrials = 8\ncells = 25\nheight = 64\nwidth = 64\n";
    fs::write(folder.join("spec.toml"), spec).unwrap();
    let output = fluorspar(&["simulate", "spec.toml", "raw", "--quiet"], folder);
    assert!(output.status.success(), "{}", said(&output));
}

/// All files below `folder` but the records of a run, which tell times, and what is hidden;
/// sorted by name.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    let mut stack = vec![folder.to_path_buf()];
    while let Some(here) = stack.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                stack.push(path);
            } else if !["run.json", "plan.json"].contains(&name.as_str()) {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                out.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    out.sort();
    out
}
