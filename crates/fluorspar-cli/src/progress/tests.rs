use std::sync::mpsc::Receiver;

use super::*;

/// Hands on what it is shown.
struct Record(Sender<String>);

impl Face for Record {
    fn show(&mut self, event: &Event<'_>) {
        self.0.send(format!("{event:?}")).unwrap();
    }
    fn period(&self) -> Duration {
        Duration::ZERO
    }
}

fn recorded(quiet: bool, stop: Stop) -> (Progress, Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    let progress = Progress::with_face(Box::new(Record(sender)), quiet, 1 << 30, stop);
    (progress, receiver)
}

fn two_steps() -> [Step; 2] {
    ["a/register", "a/denoise"].map(|name| Step {
        name: name.into(),
        units: 100,
        seconds: 10.0,
        bytes_per_unit: 2000,
    })
}

#[test]
fn what_is_observed_is_shown() {
    let (progress, shown) = recorded(false, Stop::default());
    progress.plan(&two_steps());
    progress.start("a/register", 100);
    progress.advance(40);
    progress.shared.tick();
    progress.shared.with(|state| {
        let now = state.snapshot(40, 7).unwrap();
        assert_eq!((now.done, now.units, now.bytes_per_unit), (40, 100, 2000));
        assert!((now.share.unwrap() - 0.2).abs() < 1e-9);
        assert!(now.left.unwrap() > 0.0);
        // Two passes through a movie are no more than all of it.
        assert_eq!(state.snapshot(180, 7).unwrap().done, 100);
    });
    progress.finish("a/register", 2.0);
    progress.skip("a/denoise");
    progress.warn("beware");
    assert!(!progress.stop());
    drop(progress);
    let shown: Vec<String> = shown.iter().collect();
    let place = |start: &str| shown.iter().position(|line| line.starts_with(start));
    let places = ["Plan", "Start", "Progress", "Finish", "Skip", "Warn"].map(place);
    assert!(places.iter().all(Option::is_some), "{shown:?}");
    assert!(places.is_sorted(), "{shown:?}");
}

#[test]
fn warnings_and_requests_are_all_that_a_quiet_display_shows() {
    let stop = Stop::default();
    let (progress, shown) = recorded(true, stop.clone());
    progress.plan(&two_steps());
    progress.start("a/register", 100);
    progress.warn("beware");
    stop.ask();
    assert!(progress.stop());
    progress.shared.tick();
    progress.shared.tick();
    progress.finish("a/register", 2.0);
    drop(progress);
    let shown: Vec<String> = shown.iter().collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown.iter().any(|line| line.starts_with("Warn")));
    assert!(shown.iter().any(|line| line.starts_with("Stopping")));
}

fn snapshot() -> Snapshot {
    Snapshot {
        step: "a/register".into(),
        done: 100,
        units: 400,
        bytes_per_unit: 1_000_000,
        seconds: 2.0,
        left: Some(720.0),
        share: Some(0.25),
        resident: Some(1 << 29),
        peak: Some(1 << 30),
        budget: 3 << 30,
    }
}

#[test]
fn lines_say_how_far_how_fast_and_how_long() {
    let mut out = Vec::new();
    let mut lines = Lines::to(&mut out);
    lines.show(&Event::Start("a/register", 400));
    lines.show(&Event::Progress(&snapshot()));
    lines.show(&Event::Finish(&snapshot()));
    lines.show(&Event::Skip("b"));
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    for part in [
        "a/register",
        "100 of 400 frames (25 %)",
        "50 frames/s, 50 MB/s",
        "0.5/3.0 GiB",
        "~12 min left",
    ] {
        assert!(lines[0].contains(part), "{part:?} is not in {:?}", lines[0]);
    }
    assert!(lines[1].contains("2.0 s") && lines[2].contains("up to date"));
}

#[test]
fn every_event_is_one_json_object() {
    let mut out = Vec::new();
    let mut log = Json::to(&mut out);
    let steps = two_steps();
    for event in [
        Event::Plan(&steps),
        Event::Start("a/register", 0),
        Event::Progress(&snapshot()),
        Event::Finish(&Snapshot::default()),
        Event::Skip("b"),
        Event::Warn("two\nlines \"quoted\""),
        Event::Stopping(NOTICE),
    ] {
        log.show(&event);
    }
    log.failure(true, "stopped", 130);
    log.failure(false, "no such file", 3);
    let text = String::from_utf8(out).unwrap();
    let values: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<&str> = values
        .iter()
        .map(|v| v["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "plan", "start", "progress", "finish", "skip", "warn", "stop", "stop", "error"
        ]
    );
    assert_eq!(values[0]["steps"][1]["step"], "a/denoise");
    assert_eq!(values[0]["seconds"], 20.0);
    // What is unknown is left out, not 0.
    assert!(values[1].get("units").is_none());
    assert_eq!(values[2]["units_per_second"], 50.0);
    assert_eq!(values[2]["bytes_per_second"], 5e7);
    assert_eq!(values[2]["peak_bytes"], 1 << 30);
    assert!(values[3].get("units_per_second").is_none());
    assert_eq!(values[5]["message"], "two\nlines \"quoted\"");
    assert!(values[6].get("exit_code").is_none());
    assert_eq!(values[7]["exit_code"], 130);
    assert_eq!(values[8]["exit_code"], 3);
    // Every key is in the documentation.
    for value in &values {
        for key in value.as_object().unwrap().keys() {
            let documented = include_str!("../../../../docs/logs.md");
            assert!(documented.contains(&format!("| `{key}` |")), "{key}");
        }
    }
}
