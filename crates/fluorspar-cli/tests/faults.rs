//! Disks, networks and clocks that fail in the middle of a run: one clear error, nothing lost, and
//! the same bytes once they work again.
//!
//! The calls that fail do so in a library between the program and the system (`common/faults.c`).
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use common::{files, fluorspar, refused, said, small};

const RUN: [&str; 5] = ["run", "raw/experiment.toml", "--out", "out", "-q"];
/// What the system answers (Linux, all processors).
const NOT_THERE: i32 = 2;
const INPUT_OUTPUT: i32 = 5;
const NO_SPACE: i32 = 28;
const READ_ONLY: i32 = 30;

/// The library that lets calls fail.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/faults.c");
        // The crates that hold C need a compiler already.
        let built = Command::new(std::env::var_os("CC").unwrap_or("cc".into()))
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&path)
            .args([source, "-ldl"])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", said(&built));
        (folder, path)
    });
    path
}

/// What is to fail.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    path: &'static str,
    /// Calls that go well first.
    from: u64,
    /// Calls that fail then; `None` for all.
    times: Option<u64>,
    error: i32,
}

/// The program with a fault in its way, and whether it met it.
fn hurt(arguments: &[&str], folder: &Path, fault: Fault) -> (Output, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluorspar"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("LD_PRELOAD", library())
        .env("FAULT_CALL", fault.call)
        .env("FAULT_PATH", fault.path)
        .env("FAULT_FROM", fault.from.to_string())
        .env("FAULT_ERROR", fault.error.to_string());
    if let Some(times) = fault.times {
        command.env("FAULT_TIMES", times.to_string());
    }
    let output = command.output().unwrap();
    let met = said(&output).contains("[fault]");
    (output, met)
}

/// Where the small experiment lies, and what a run without faults makes of it.
struct Bench {
    folder: tempfile::TempDir,
    whole: Vec<(PathBuf, Vec<u8>)>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let output = fluorspar(&RUN, folder.path());
        assert!(output.status.success(), "{}", said(&output));
        let whole = files(&folder.path().join("out"));
        fs::remove_dir_all(folder.path().join("out")).unwrap();
        Self { folder, whole }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What is in `out` is whole.
    fn check(&self, what: &str) {
        let found = files(&self.path().join("out"));
        let names = |files: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
            files.iter().map(|(path, _)| path.clone()).collect()
        };
        assert_eq!(names(&found), names(&self.whole), "{what}");
        for ((name, a), (_, b)) in found.iter().zip(&self.whole) {
            assert!(a == b, "{what}: {} has other bytes", name.display());
        }
    }

    /// Runs into the fault, then without it; says whether the first run failed.
    fn survives(&self, fault: Fault) -> bool {
        let what = format!("{fault:?}");
        let (output, met) = hurt(&RUN, self.path(), fault);
        let message = said(&output);
        assert!(!message.contains("panicked"), "{what}: {message}");
        let failed = !output.status.success();
        if failed {
            assert!(met, "{what}: {message}");
            let code = output.status.code();
            // What is gone may be what another task has to make first.
            let usage = code == Some(2) && fault.error == NOT_THERE;
            assert!(
                usage || matches!(code, Some(1 | 3)),
                "{what}: {code:?} {message}"
            );
            let error = message.lines().find(|line| line.starts_with("error"));
            let error = error.unwrap_or_else(|| panic!("{what}: {message}"));
            // Which file it was.
            assert!(
                error.contains("raw") || error.contains("out"),
                "{what}: {message}"
            );
            let output = fluorspar(&RUN, self.path());
            assert!(output.status.success(), "{what}: {}", said(&output));
        }
        self.check(&what);
        fs::remove_dir_all(self.path().join("out")).unwrap();
        failed
    }
}

/// Calls of each kind that fail one after the other, from the first on and late in a run.
fn survive_all(call: &'static str, path: &'static str, error: i32, times: Option<u64>) {
    let bench = Bench::new();
    let mut failed = 0;
    let tries = [0, 1, 3, 8, 21, 55];
    for from in tries {
        let fault = Fault {
            call,
            path,
            from,
            times,
            error,
        };
        failed += u32::from(bench.survives(fault));
    }
    // Late ones may lie behind the last call; no fault that was met may have passed unseen.
    assert!(
        failed >= 6,
        "{call} {path}: {failed} of {} failed",
        tries.len()
    );
}

#[test]
fn a_disk_that_cannot_be_read_is_named() {
    survive_all("read", "/raw/", INPUT_OUTPUT, None);
}

#[test]
fn a_read_that_fails_once_is_not_passed_over() {
    survive_all("read", "/out/", INPUT_OUTPUT, Some(1));
}

#[test]
fn a_disk_that_is_full_loses_nothing() {
    survive_all("write", "/out/", NO_SPACE, None);
}

#[test]
fn a_write_that_fails_once_is_not_passed_over() {
    survive_all("write", "/out/", INPUT_OUTPUT, Some(1));
}

#[test]
fn what_did_not_reach_the_disk_does_not_count() {
    survive_all("sync", "/out/", INPUT_OUTPUT, Some(1));
}

#[test]
fn a_rename_that_fails_leaves_the_old_name() {
    survive_all("rename", "out/", INPUT_OUTPUT, None);
}

#[test]
fn a_folder_that_becomes_read_only_loses_nothing() {
    survive_all("create", "out/", READ_ONLY, None);
}

#[test]
fn files_that_vanish_are_named() {
    survive_all("open", "out/session", NOT_THERE, None);
}

#[test]
fn a_recording_that_vanishes_in_the_middle_is_named_and_may_come_back() {
    let bench = Bench::new();
    let here = bench.path();
    let mut failed = 0;
    for from in 0..5 {
        failed += u32::from(bench.survives(Fault {
            call: "open",
            path: "/raw/session-02",
            from,
            times: None,
            error: NOT_THERE,
        }));
    }
    assert!(failed >= 2, "{failed}");
    // For good: the first session stands, and the second is said to be missing.
    let gone = here.join("raw/session-02");
    let movie = fs::read_dir(&gone).unwrap().map(|e| e.unwrap().path());
    let movie = movie
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "tif"));
    let movie = movie.unwrap();
    assert!(fluorspar(&RUN, here).status.success());
    fs::rename(&movie, here.join("away")).unwrap();
    let before = files(&here.join("out"));
    refused(here, &RUN, 3, &["session-02"]);
    assert_eq!(files(&here.join("out")), before);
    fs::rename(here.join("away"), &movie).unwrap();
    assert!(fluorspar(&RUN, here).status.success());
    bench.check("come back");
}

/// Part of a raw movie is cut off while it is read: an error, not the end of the process.
#[test]
fn a_recording_that_is_cut_while_it_is_read_is_an_error() {
    let bench = Bench::new();
    let here = bench.path();
    let movie = here.join("raw/session-01/movie.tif");
    let whole = fs::read(&movie).unwrap();
    let plan = ["plan", "raw/experiment.toml", "--out", "out", "-q"];
    assert!(fluorspar(&plan, here).status.success());
    fs::write(&movie, &whole[..whole.len() / 2]).unwrap();
    let task = ["task", "out/plan.json", "session-01/reference", "-q"];
    refused(here, &task, 3, &["session-01"]);
    fs::write(&movie, &whole).unwrap();
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    let bench = Bench::new();
    let here = bench.path();
    let jumps = Fault {
        call: "clock",
        path: "",
        from: 0,
        times: None,
        error: 0,
    };
    let (output, _) = hurt(&[&RUN[..4], &["--log", "json"]].concat(), here, jumps);
    assert!(output.status.success(), "{}", said(&output));
    bench.check("a clock that jumps");
    // All is still current by the right clock.
    let output = fluorspar(&RUN[..4], here);
    assert!(
        said(&output).contains("0 are to be done, 0 to be done again"),
        "{}",
        said(&output)
    );
}

/// Inputs that were written tomorrow, or before 1970.
#[test]
fn the_times_of_files_may_be_anything() {
    let bench = Bench::new();
    let here = bench.path();
    let movie = here.join("raw/session-01/movie.tif");
    let day = Duration::from_hours(24);
    for time in [
        SystemTime::now() + 400 * day,
        SystemTime::UNIX_EPOCH - 400 * day,
    ] {
        fs::File::options()
            .write(true)
            .open(&movie)
            .unwrap()
            .set_modified(time)
            .unwrap();
        let output = fluorspar(&RUN, here);
        assert!(output.status.success(), "{}", said(&output));
        bench.check("other times");
        let output = fluorspar(&RUN[..4], here);
        assert!(
            said(&output).contains("0 are to be done, 0 to be done again"),
            "{}",
            said(&output)
        );
        fs::remove_dir_all(here.join("out")).unwrap();
    }
}
