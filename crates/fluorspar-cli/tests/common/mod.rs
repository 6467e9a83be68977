//! The program, run as its users run it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;
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
