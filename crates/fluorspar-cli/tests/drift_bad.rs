//! `fluorspar drift`: input that is poor, or none.

mod common;
#[path = "common/drift.rs"]
mod data;

use std::fs;
use std::path::Path;

use common::{fluorspar, refused, said};
use data::{Day, QUICK, days, experiment, noise, nwb, nwb_bytes, suite2p, tensor_of, tensors};
use ndarray::{Array3, Axis, concatenate, s};

const FAST: [&str; 2] = ["--bootstrap=20", "--permutations=20"];

/// Tensors whose second session is what `change` makes of it.
fn changed(here: &Path, change: impl Fn(&mut Day, &mut Array3<f32>, &mut Vec<i64>)) {
    let mut days = days();
    tensors(here, &days);
    let (mut activity, mut cell) = days[1].tensor();
    change(&mut days[1], &mut activity, &mut cell);
    let path = here.join("tensors/session-02.npz");
    tensor_of(&path, &days[1], &activity, &cell)
        .finish()
        .unwrap();
}

/// The metrics of tensors that can be analysed.
fn analysed(here: &Path) -> Vec<String> {
    let output = fluorspar(
        &[&["drift", "tensors", "out", "-q"][..], &FAST].concat(),
        here,
    );
    assert!(output.status.success(), "{}", said(&output));
    let text = fs::read_to_string(here.join("out/metrics.csv")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Value and reason of the row of a metric, its variable and two sessions.
fn row(metrics: &[String], metric: &str, variable: &str, pair: [&str; 2]) -> (String, String) {
    let header: Vec<&str> = metrics[0].split(',').collect();
    let place = |name: &str| header.iter().position(|known| *known == name).unwrap();
    let wanted = [
        ("metric", metric),
        ("variable", variable),
        ("session_i", pair[0]),
        ("session_j", pair[1]),
    ];
    let fields = metrics.iter().find_map(|line| {
        let fields: Vec<&str> = line.splitn(header.len(), ',').collect();
        let is = |&(name, value): &(&str, &str)| fields[place(name)] == value;
        wanted.iter().all(is).then_some(fields)
    });
    let fields = fields.unwrap();
    let get = |name: &str| fields[place(name)].to_owned();
    (get("value"), get("reason"))
}

/// Nothing is said of sessions 1 and 2, with a reason; 1 and 3 are as they were.
fn only_the_second_is_empty(here: &Path, metrics: &[(&str, &str)]) {
    let all = analysed(here);
    for (metric, variable) in metrics {
        let (value, reason) = row(&all, metric, variable, ["1", "2"]);
        assert!(
            value.is_empty() && !reason.is_empty(),
            "{metric}: {value:?} {reason:?}"
        );
        let (value, reason) = row(&all, metric, variable, ["1", "3"]);
        assert!(!value.is_empty(), "{metric}: {reason}");
    }
}

const CODE: [(&str, &str); 2] = [("decoding", "odour"), ("code_similarity", "odour")];
const PLAIN: (&str, &str) = ("pv_correlation", "");

#[test]
fn a_session_with_one_class_is_an_explained_gap() {
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), |day, _, _| day.odour.fill(1));
    only_the_second_is_empty(folder.path(), &CODE);
}

#[test]
fn a_session_with_three_trials_is_an_explained_gap() {
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), |_, activity, _| {
        *activity = activity.slice(s![..3, .., ..]).to_owned();
    });
    only_the_second_is_empty(folder.path(), &CODE);
}

#[test]
fn cells_with_nan_are_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    changed(here, |_, activity, _| activity[[3, 4, 5]] = f32::NAN);
    let with = analysed(here);
    changed(here, |_, activity, cell| {
        let (left, right) = (
            activity.slice(s![.., ..4, ..]),
            activity.slice(s![.., 5.., ..]),
        );
        *activity = concatenate(Axis(1), &[left, right]).unwrap();
        cell.remove(4);
    });
    let without = analysed(here);
    let of_two = |lines: &[String]| -> Vec<String> {
        let starts = ["pv_correlation,", "decoding,"];
        let wanted = |line: &&String| starts.iter().any(|start| line.starts_with(start));
        lines.iter().filter(wanted).cloned().collect()
    };
    assert!(of_two(&with) == of_two(&without));
    // All of them: nothing is left, and it says so.
    changed(here, |_, activity, _| activity.fill(f32::NAN));
    only_the_second_is_empty(here, &[PLAIN, CODE[0]]);
}

#[test]
fn sessions_without_a_common_cell_are_an_explained_gap() {
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), |_, _, cell| {
        for cell in cell {
            *cell += 1000;
        }
    });
    only_the_second_is_empty(folder.path(), &[PLAIN, CODE[0], CODE[1]]);
}

#[test]
fn a_single_session_is_analysed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    tensors(here, &days()[..1]);
    let all = analysed(here);
    assert!(!row(&all, "decoding", "odour", ["1", "1"]).0.is_empty());
}

#[test]
fn what_contradicts_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let drift = ["drift", "tensors", "out"];
    changed(here, |_, _, cell| cell[1] = cell[0]);
    refused(here, &drift, 3, &["appears twice"]);
    changed(here, |day, _, _| day.elapsed = 1.0);
    refused(here, &drift, 3, &["session-02.npz", "does not come after"]);
    changed(here, |day, _, _| day.elapsed = f64::NAN);
    refused(here, &drift, 3, &["session-02.npz", "day"]);
    changed(here, |_, activity, _| {
        *activity = activity.slice(s![.., ..5, ..]).to_owned();
    });
    refused(here, &drift, 3, &["session-02.npz", "cell", "5"]);
    changed(here, |_, _, _| {});
    fs::write(here.join("epochs.toml"), "late = [50, 60]\n").unwrap();
    let late = ["drift", "tensors", "out", "--epochs", "epochs.toml"];
    refused(here, &late, 3, &["session-01.npz", "late", "2.95"]);
    refused(
        here,
        &["drift", "tensors", "out", "--variables=odor"],
        3,
        &["odor", "columns: odour"],
    );
    refused(
        here,
        &["drift", "tensors", "out", "--min-p-same=2"],
        2,
        &["min-p-same"],
    );
    refused(
        here,
        &["drift", "nothing", "out"],
        3,
        &["nothing", "no such file"],
    );
    refused(here, &["drift", "epochs.toml", "out"], 2, &["epochs.toml"]);
    fs::create_dir(here.join("empty")).unwrap();
    refused(
        here,
        &["drift", "empty", "out"],
        3,
        &["session-NN.npz", "run.json"],
    );
    refused(
        here,
        &["drift", "tensors/session-01.npz", "out"],
        2,
        &["experiment.toml"],
    );
    assert!(!here.join("out").exists());
}

#[test]
fn experiments_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let days = days();
    suite2p(here, &days);
    nwb(here, &days);
    let tracks = "frame_rate = 10\ntracks = \"tracks.csv\"";
    let session = "suite2p = \"day{n}\"\ntrials = \"trials{n}.csv\"";
    let mut number = 0;
    let mut bad = |head: &str, session: &str, tail: &str, code: i32, says: &[&str]| {
        number += 1;
        let name = format!("bad-{number}.toml");
        experiment(here, &name, head, session, tail);
        refused(here, &["drift", &name, "out"], code, says);
        assert!(!here.join("out").exists());
    };
    bad(
        "frame_rate = 10",
        session,
        QUICK,
        3,
        &["day1", "name tracks"],
    );
    bad(
        "tracks = \"tracks.csv\"",
        session,
        QUICK,
        3,
        &["experiment.frame_rate"],
    );
    bad(
        "tracks = \"none.csv\"",
        session,
        QUICK,
        3,
        &["none.csv", "experiment.tracks"],
    );
    bad(
        tracks,
        "suite2p = \"day{n}\"",
        QUICK,
        2,
        &["session 1", "no trials"],
    );
    bad(
        tracks,
        "trials = \"trials{n}.csv\"",
        QUICK,
        2,
        &["session 1", "no recording"],
    );
    let two = format!("{session}\nnwb = \"day{{n}}.nwb\"");
    bad(tracks, &two, QUICK, 2, &["session 1", "several recordings"]);
    bad(
        tracks,
        &session.replace("suite2p", "suit2p"),
        QUICK,
        2,
        &["did you mean `suite2p`"],
    );
    bad(
        tracks,
        &session.replace("day{n}", "none{n}"),
        QUICK,
        3,
        &["none1", "no such folder"],
    );
    bad(
        tracks,
        &session.replace("trials{n}", "none{n}"),
        QUICK,
        3,
        &["none1.csv"],
    );
    let far = format!("far = [500.0, 600.0]\n{QUICK}");
    bad(tracks, session, &far, 3, &["trials1.csv", "[epochs]"]);
    let never = format!("lick = {{ event = \"note\", start = 0, stop = 1 }}\n{QUICK}");
    bad(
        tracks,
        session,
        &never,
        3,
        &["trials1.csv", "note", "not a number"],
    );
    let nothing = format!("{QUICK}[trials]\nexclude = {{ laser = [\"on\", \"off\"] }}\n");
    bad(
        tracks,
        session,
        &nothing,
        3,
        &["trials1.csv", "leaves none"],
    );
    let nwb = "nwb = \"day{n}.nwb\"";
    bad(
        "",
        nwb,
        &format!("{QUICK}[nwb]\nseries = \"a/b\"\n"),
        3,
        &["day1.nwb", "nwb.series", "Deconvolved/plane0"],
    );
    bad(
        "",
        nwb,
        &format!("{QUICK}[nwb]\ncell = \"name\"\n"),
        3,
        &["day1.nwb", "nwb.cell"],
    );
    bad(
        "",
        nwb,
        &format!("{QUICK}inclusion = \"all\"\n"),
        2,
        &["drift.inclusion", "active-in-both"],
    );
    bad(
        "areas = \"plane\"",
        nwb,
        QUICK,
        3,
        &["day1.nwb", "nwb] group"],
    );
    let table = fs::read_to_string(here.join("trials2.csv")).unwrap();
    fs::write(here.join("trials2.csv"), table.replace("note", "odour")).unwrap();
    bad(tracks, session, QUICK, 3, &["trials2.csv", "twice"]);
}

#[test]
fn damaged_files_are_refused_or_read_but_never_worse() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let days = days();
    tensors(here, &days);
    suite2p(here, &days);
    nwb(here, &days);
    experiment(here, "nwb.toml", "", "nwb = \"day{n}.nwb\"", QUICK);
    let session = "suite2p = \"day{n}\"\ntrials = \"trials{n}.csv\"";
    experiment(
        here,
        "s2p.toml",
        "frame_rate = 10\ntracks = \"tracks.csv\"",
        session,
        QUICK,
    );
    let mut draw = noise(11);
    for (file, input) in [
        ("tensors/session-02.npz", "tensors"),
        ("day2.nwb", "nwb.toml"),
        ("day2/suite2p/plane0/spks.npy", "s2p.toml"),
        ("trials2.csv", "s2p.toml"),
        ("tracks.csv", "s2p.toml"),
    ] {
        let path = here.join(file);
        let good = fs::read(&path).unwrap();
        let mut cases = vec![
            Vec::new(),
            good[..good.len() / 2].to_vec(),
            good[..20].to_vec(),
        ];
        cases.push((0..3000).map(|_| (draw() * 256.0) as u8).collect());
        for _ in 0..8 {
            let mut bytes = good.clone();
            for _ in 0..4 {
                let at = (draw() * bytes.len().min(4000) as f64) as usize;
                bytes[at] = (draw() * 256.0) as u8;
            }
            cases.push(bytes);
        }
        for (case, bytes) in cases.iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let output = fluorspar(&[&["drift", input, "out", "-q"][..], &FAST].concat(), here);
            let message = said(&output);
            let out = here.join("out");
            match output.status.code() {
                Some(0) if case >= 4 => fs::remove_dir_all(&out).unwrap(),
                Some(2 | 3) => assert!(!out.exists(), "{file}: {message}"),
                other => panic!("{file}, {case}: {other:?} {message}"),
            }
            assert!(!message.contains("panicked"), "{file}, {case}: {message}");
        }
        fs::write(&path, good).unwrap();
    }
    // Not by name, but by what it holds.
    fs::write(here.join("day2.nwb"), nwb_bytes(&days[1], true)).unwrap();
    let output = fluorspar(
        &[&["drift", "nwb.toml", "out", "-q"][..], &FAST].concat(),
        here,
    );
    assert!(output.status.success(), "{}", said(&output));
}
