use std::io::Write;
use std::time::Duration;

use fluorspar_pipeline::Step;
use serde_json::{Map, Value, json};

use super::Face;
use super::event::{Event, Snapshot};
use super::timestamp;

/// For programs: one JSON object per line; docs/logs.md says what is in it.
#[derive(Debug)]
pub(super) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    pub(super) fn to(out: W) -> Self {
        Self { out }
    }

    /// The line before the program ends with an exit code that is not 0.
    pub(super) fn failure(&mut self, stopped: bool, message: &str, exit_code: u8) {
        let event = if stopped { "stop" } else { "error" };
        self.line(event, json!({ "message": message, "exit_code": exit_code }));
    }

    fn line(&mut self, event: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("event".into(), event.into());
        line.insert("time".into(), timestamp::now().into());
        if let Value::Object(fields) = fields {
            // What is not known is left out.
            line.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        // In one piece, so that lines of several threads do not mix; and
        // whoever closed the log does not want to read it.
        let _ = self
            .out
            .write_all(format!("{}\n", Value::Object(line)).as_bytes());
    }
}

impl<W: Write + Send> Face for Json<W> {
    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Plan(steps) => {
                let seconds: f64 = steps.iter().map(|step| step.seconds).sum();
                let steps: Vec<Value> = steps.iter().map(planned).collect();
                self.line("plan", json!({ "steps": steps, "seconds": seconds }));
            }
            Event::Start(step, units) => {
                self.line("start", json!({ "step": step, "units": known(*units) }));
            }
            Event::Progress(now) => self.line("progress", measured(now)),
            Event::Finish(now) => self.line("finish", measured(now)),
            Event::Skip(step) => self.line("skip", json!({ "step": step })),
            Event::Note(message) => self.line("note", json!({ "message": message })),
            Event::Warn(message) => self.line("warn", json!({ "message": message })),
            Event::Stopping(message) => self.line("stop", json!({ "message": message })),
        }
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn known(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

fn planned(step: &Step) -> Value {
    let mut out = json!({ "step": step.name, "seconds": step.seconds });
    for (key, number) in [
        ("units", step.units),
        ("bytes_per_unit", step.bytes_per_unit),
    ] {
        if number > 0 {
            out[key] = number.into();
        }
    }
    out
}

fn measured(now: &Snapshot) -> Value {
    json!({
        "step": now.step,
        "units_done": now.done,
        "units": known(now.units),
        "seconds": now.seconds,
        "units_per_second": now.units_per_second(),
        "bytes_per_second": now.bytes_per_second(),
        "share": now.share,
        "seconds_left": now.left,
        "resident_bytes": now.resident,
        "peak_bytes": now.peak,
        "budget_bytes": now.budget,
    })
}
