//! Runs that are stopped, killed, damaged, cut into tasks: nothing is lost, and the bytes are those
//! of a run that went through.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{files, fluorspar, json, refused, said, small};

const RUN: [&str; 5] = ["run", "raw/experiment.toml", "--out", "out", "-q"];

fn resume() -> Vec<&'static str> {
    let mut arguments = RUN.to_vec();
    arguments.push("--resume");
    arguments
}

fn start(arguments: &[&str], folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fluorspar"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs the experiment into `whole`, without a break.
fn whole(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let arguments = ["run", "raw/experiment.toml", "--out", "whole", "-q"];
    let output = fluorspar(&arguments, folder);
    assert!(output.status.success(), "{}", said(&output));
    files(&folder.join("whole"))
}

fn same(found: &[(PathBuf, Vec<u8>)], expected: &[(PathBuf, Vec<u8>)], what: &str) {
    let names = |files: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
        files.iter().map(|(path, _)| path.clone()).collect()
    };
    assert_eq!(names(found), names(expected), "{what}");
    for ((name, a), (_, b)) in found.iter().zip(expected) {
        assert!(a == b, "{what}: {} has other bytes", name.display());
    }
}

/// Hidden files and folders that a finished run has no use for.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut stack = vec![folder.to_path_buf()];
    while let Some(here) = stack.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let expected = [".lock", ".tasks"].contains(&name.as_str());
            if name.starts_with('.') && !expected {
                out.push(path);
            } else if path.is_dir() {
                stack.push(path);
            }
        }
    }
    out
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
    same(&files(&folder.join("two")), &one, "threads");
    for name in ["session-01/motion.csv", "drift/metrics.csv", "report.html"] {
        assert!(folder.join("one").join(name).is_file(), "{name}");
    }
    assert_eq!(leftovers(&folder.join("one")), Vec::<PathBuf>::new());

    // A second run over the first has nothing to do.
    let again = ["run", "raw/experiment.toml", "--out", "one"];
    let output = fluorspar(&again, folder);
    assert!(output.status.success());
    let told = said(&output);
    assert!(told.contains("11 of 11 tasks stand as they are"), "{told}");

    // What is lost is named, and comes back the same where that is asked for.
    fs::remove_dir_all(folder.join("one/tracks.zarr")).unwrap();
    fs::remove_file(folder.join("one/drift/metrics.csv")).unwrap();
    let says = [
        "track: tracks.zarr is missing",
        "drift: drift has",
        "--resume",
        "--overwrite",
    ];
    refused(folder, &again, 2, &says);
    assert!(!folder.join("one/tracks.zarr").exists());
    let output = fluorspar(&[&again[..], &["--resume"]].concat(), folder);
    assert!(output.status.success());
    same(&files(&folder.join("one")), &one, "what was lost");
}

/// A little generator of numbers (Marsaglia's xorshift), so that a failure can be had again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// How often to kill: more where there is time, as `FLUORSPAR_TEST_KILLS=100`.
fn kills() -> u32 {
    let asked = std::env::var("FLUORSPAR_TEST_KILLS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(20)
}

#[test]
fn a_killed_run_is_finished_by_the_next_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let begun = Instant::now();
    let whole = whole(folder);
    let takes = begun.elapsed().as_millis() as u64;
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut killed = 0;
    while killed < kills() {
        let mut child = start(&RUN, folder);
        // Short lives: many are needed for one run.
        let life = Duration::from_millis(numbers.below(takes / 2));
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begun.elapsed() >= life {
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if let Some(status) = ended {
            assert!(status.success(), "after {killed} kills");
            same(&files(&folder.join("out")), &whole, "killed");
            assert_eq!(leftovers(&folder.join("out")), Vec::<PathBuf>::new());
            fs::remove_dir_all(folder.join("out")).unwrap();
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
    }
    let output = fluorspar(&RUN, folder);
    assert!(output.status.success(), "{}", said(&output));
    same(&files(&folder.join("out")), &whole, "killed");
    assert_eq!(leftovers(&folder.join("out")), Vec::<PathBuf>::new());
}

/// The tasks of a plan, with what each waits for.
fn tasks(plan: &serde_json::Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let list = |value: &serde_json::Value| value.as_array().unwrap().iter().map(text).collect();
    let tasks = plan["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| (text(&task["id"]), list(&task["after"])))
        .collect()
}

#[test]
fn four_workers_one_of_them_killed_make_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let whole = whole(folder);
    let planned = [
        "plan",
        "raw/experiment.toml",
        "--out",
        "out",
        "--frames-per-task",
        "500",
        "--json",
    ];
    let plan = json(&fluorspar(&planned, folder));
    let tasks = tasks(&plan);
    assert!(
        tasks.iter().any(|(id, _)| id.contains("register-0001")),
        "{tasks:?}"
    );
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut working: Vec<(&str, Child)> = Vec::new();
    let mut killed = 0;
    while done.len() < tasks.len() {
        for (id, after) in &tasks {
            let at_work = working.iter().any(|(task, _)| task == id);
            let ready = after.iter().all(|before| done.contains(before.as_str()));
            if working.len() < 4 && ready && !at_work && !done.contains(id.as_str()) {
                let arguments = ["task", "out/plan.json", id, "-q", "--threads", "1"];
                let mut child = start(&arguments, folder);
                if killed < 3 && (id.contains("register-") || id.ends_with("cells")) {
                    std::thread::sleep(Duration::from_millis(30));
                    child.kill().unwrap();
                    child.wait().unwrap();
                    killed += 1;
                } else {
                    working.push((id, child));
                }
            }
        }
        working.retain_mut(|(id, child)| match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "{id}");
                done.insert(id);
                false
            }
            None => true,
        });
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(killed, 3);
    same(&files(&folder.join("out")), &whole, "tasks");
    assert_eq!(leftovers(&folder.join("out")), Vec::<PathBuf>::new());
    assert!(folder.join("out/run.json").is_file());
    // One process takes over what many have done.
    let output = fluorspar(&RUN[..4], folder);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("0 are to be done, 0 to be done again"));
}

#[test]
fn tasks_know_what_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let planned = fluorspar(&["plan", "raw/experiment.toml", "--out", "out"], folder);
    assert!(planned.status.success(), "{}", said(&planned));
    let table = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(
        table.contains("session-02/cells") && table.contains("11 tasks"),
        "{table}"
    );
    let task = |id: &'static str| ["task", "out/plan.json", id];
    refused(
        folder,
        &task("session-01/denoise"),
        2,
        &["session-01/register must be done before"],
    );
    refused(
        folder,
        &task("session-1/denoise"),
        2,
        &["no task", "did you mean session-01/denoise"],
    );
    refused(
        folder,
        &["task", "raw/experiment.toml", "x"],
        3,
        &["is not a plan"],
    );
    let reference = task("session-01/reference");
    assert!(fluorspar(&reference, folder).status.success());
    let again = fluorspar(&reference, folder);
    assert!(String::from_utf8_lossy(&again.stdout).contains("up to date"));
    // Two at the same task, and a run beside a task.
    let lock = fs::File::create(folder.join("out/.tasks/session-01/register.lock")).unwrap();
    lock.lock().unwrap();
    refused(
        folder,
        &task("session-01/register"),
        2,
        &["by another process"],
    );
    drop(lock);
    let lock = fs::File::create(folder.join("out/.lock")).unwrap();
    lock.lock_shared().unwrap();
    refused(folder, &RUN, 2, &["in use by another run"]);
    drop(lock);
    // A plan that was edited, and one of another version.
    let path = folder.join("out/plan.json");
    let plan = fs::read_to_string(&path).unwrap();
    let edited = plan.replacen("\"block\": 32", "\"block\": 16", 1);
    assert_ne!(edited, plan);
    fs::write(&path, edited).unwrap();
    refused(
        folder,
        &task("session-01/register"),
        3,
        &["was changed after it was made", "fluorspar plan"],
    );
    let own = format!("\"fluorspar\": \"{}\"", env!("CARGO_PKG_VERSION"));
    fs::write(&path, plan.replacen(&own, "\"fluorspar\": \"0.0.1\"", 1)).unwrap();
    refused(
        folder,
        &task("session-01/register"),
        3,
        &["made by fluorspar 0.0.1"],
    );
    fs::write(&path, &plan[..plan.len() / 2]).unwrap();
    refused(folder, &task("session-01/register"), 3, &["is not a plan"]);
    fs::write(&path, plan).unwrap();
    assert!(
        fluorspar(&task("session-01/register"), folder)
            .status
            .success()
    );
    // Inputs that changed since, or are gone.
    let movie = folder.join("raw/session-02/movie.tif");
    let bytes = fs::read(&movie).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&movie, other).unwrap();
    refused(
        folder,
        &task("session-02/reference"),
        3,
        &["movie.tif", "changed since the plan was made"],
    );
    fs::remove_file(&movie).unwrap();
    refused(
        folder,
        &task("session-02/reference"),
        3,
        &["movie.tif", "no such movie file"],
    );
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    assert!(fluorspar(&RUN, folder).status.success());
    let before = files(&folder.join("out"));
    let toml = folder.join("raw/experiment.toml");
    let config = fs::read_to_string(&toml).unwrap();

    // Another configuration.
    fs::write(
        &toml,
        config.replace("[segment]\n", "[denoise]\nblock = 24\n\n[segment]\n"),
    )
    .unwrap();
    let says = [
        "does not fit any more",
        "session-01/denoise: denoise.block was 32, is 24",
        "session-02/cells: session-02/denoise is made anew",
        "--resume",
    ];
    refused(folder, &RUN, 2, &says);
    fs::write(&toml, &config).unwrap();

    // Another version.
    let record = folder.join("out/.tasks/session-02/denoise.json");
    let text = fs::read_to_string(&record).unwrap();
    let own = format!("\"fluorspar\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let other = text
        .replace(&own, "\"fluorspar\": \"0.0.1\"")
        .replace("\"fingerprint\": \"", "\"fingerprint\": \"0");
    assert_ne!(other, text);
    fs::write(&record, other).unwrap();
    refused(
        folder,
        &RUN,
        2,
        &["session-02/denoise: was made by fluorspar 0.0.1"],
    );
    fs::write(&record, &text).unwrap();

    // A table of trials that was edited: only drift and the report follow from it.
    let trials = folder.join("raw/session-01/trials.csv");
    let table = fs::read(&trials).unwrap();
    fs::write(&trials, [&table[..], b"\n"].concat()).unwrap();
    refused(
        folder,
        &RUN,
        2,
        &["drift: ", "trials.csv", "changed", "9 of 11 tasks stand"],
    );
    fs::write(&trials, table).unwrap();

    // A truncated artefact, and one of the same length with another byte.
    let shard = folder.join("out/session-01/lowrank.zarr/zarr.json");
    let whole = fs::read(&shard).unwrap();
    fs::write(&shard, &whole[..whole.len() / 2]).unwrap();
    refused(
        folder,
        &RUN,
        2,
        &["session-01/denoise: session-01/lowrank.zarr has"],
    );
    refused(folder, &["verify", "out"], 3, &["1 artefacts are damaged"]);
    let mut flipped = whole.clone();
    flipped[10] ^= 1;
    fs::write(&shard, flipped).unwrap();
    let output = fluorspar(&["verify", "out"], folder);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        told.contains("✗ session-01/lowrank.zarr has other content"),
        "{told}"
    );
    fs::write(&shard, &whole).unwrap();
    let output = fluorspar(&["verify", "out", "--json"], folder);
    assert_eq!(json(&output)["damaged"], 0);
    same(&files(&folder.join("out")), &before, "refused");

    // A record that is cut off is none: its task is done again, with the same bytes.
    fs::write(&record, &text[..text.len() / 2]).unwrap();
    assert!(fluorspar(&RUN, folder).status.success());
    same(&files(&folder.join("out")), &before, "a cut record");
    refused(folder, &["verify", "raw"], 3, &["no records of a run"]);
}

/// A limit on the size of files stands for a full disk: writes fail in the middle.
#[cfg(unix)]
#[test]
fn a_failed_write_is_one_error_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    assert!(fluorspar(&RUN, folder).status.success());
    let before = files(&folder.join("out"));
    // Another configuration needs all of it again.
    let toml = folder.join("raw/experiment.toml");
    let config = fs::read_to_string(&toml).unwrap();
    let other = config.replace("[register]\n", "[register]\nmax_shift_fraction = 0.2\n");
    assert_ne!(config, other);
    fs::write(&toml, other).unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 48; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_fluorspar"))
        .args(resume())
        .current_dir(folder)
        .output()
        .unwrap();
    let message = said(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("session-01"), "{message}");
    assert!(message.contains("large"), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    same(&files(&folder.join("out")), &before, "the old artefacts");
    // With room again the run goes on.
    let output = fluorspar(&resume(), folder);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(leftovers(&folder.join("out")), Vec::<PathBuf>::new());
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    fs::create_dir(folder.join("out")).unwrap();
    let held = fs::File::create(folder.join("out/.lock")).unwrap();
    held.lock().unwrap();
    refused(folder, &RUN, 2, &["in use by another run", "out"]);
    drop(held);
    assert!(fluorspar(&RUN, folder).status.success());
}
