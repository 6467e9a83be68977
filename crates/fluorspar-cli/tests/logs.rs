//! What a run says in JSON, and what of memory the program accepts.

mod common;

use std::collections::BTreeMap;

use common::{fluorspar, refused, said, small};
use serde_json::Value;

/// First columns of the tables in docs/logs.md.
fn documented() -> Vec<String> {
    let text = include_str!("../../../docs/logs.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let first = rows.filter_map(|row| row.split(" |").next());
    first
        .map(|cell| cell.trim_matches('`').to_owned())
        .collect()
}

fn is_rfc3339(time: &str) -> bool {
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00.000Z"
}

#[test]
fn every_line_of_a_run_follows_the_documented_schema() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let run = [
        "run",
        "raw/experiment.toml",
        "--out",
        "out",
        "--log",
        "json",
    ];
    let output = fluorspar(&run, folder);
    assert!(output.status.success(), "{}", said(&output));
    let known = documented();
    let (mut open, mut done) = (None, Vec::new());
    let mut last = String::new();
    for line in said(&output).lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        for key in value.as_object().unwrap().keys() {
            assert!(known.contains(key), "{key} is not in docs/logs.md");
        }
        let event = value["event"].as_str().unwrap();
        assert!(known.iter().any(|k| k == event), "{event}");
        let time = value["time"].as_str().unwrap();
        assert!(is_rfc3339(time), "{time}");
        assert!(*time >= *last, "{time} comes before {last}");
        time.clone_into(&mut last);
        let step = value["step"].as_str().map(str::to_owned);
        match event {
            "start" => open = step,
            "progress" => assert_eq!(step, open, "{line}"),
            "finish" => {
                assert_eq!(step, open, "{line}");
                done.extend(open.take());
                assert!(value["seconds"].as_f64().unwrap() >= 0.0);
                assert_eq!(
                    value.get("units"),
                    value.get("units").and(value.get("units_done"))
                );
                if cfg!(target_os = "linux") {
                    let bytes = ["resident_bytes", "peak_bytes", "budget_bytes"]
                        .map(|key| value[key].as_u64().unwrap());
                    assert!(bytes[0] <= bytes[1] && bytes[1] <= bytes[2], "{line}");
                }
            }
            _ => {}
        }
    }
    assert!(
        done.iter().any(|step| step == "session-02/cells"),
        "{done:?}"
    );

    // Again: nothing to do, and an error that is an object too.
    let resumed = [&run[..], &["--resume"]].concat();
    let mut events: BTreeMap<String, usize> = BTreeMap::new();
    for line in said(&fluorspar(&resumed, folder)).lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        *events
            .entry(value["event"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    assert!(
        events["skip"] >= 8 && !events.contains_key("start"),
        "{events:?}"
    );
    let wrong = ["run", "nowhere.toml", "--log", "json"];
    let output = fluorspar(&wrong, folder);
    let value: Value = serde_json::from_str(said(&output).trim()).unwrap();
    assert_eq!(
        (&value["event"], &value["exit_code"]),
        (&"error".into(), &2.into())
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn without_a_terminal_there_are_lines_and_no_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let output = fluorspar(&["run", "raw/experiment.toml", "--out", "out"], folder);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("frames/s"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
}

#[test]
fn wrong_memory_is_refused_with_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for memory in [
        "0",
        "1MiB",
        "-4GiB",
        "lots",
        "nan",
        "123456789TiB",
        "99999999999999999999999999999999999999999999GiB",
    ] {
        let arguments = ["run", "experiment.toml", "--memory", memory];
        refused(
            folder,
            &arguments,
            2,
            &["--memory", memory, "such as --memory"],
        );
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}
