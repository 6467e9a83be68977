use std::io::Write;
use std::time::Duration;

use super::Face;
use super::event::Event;

/// For a pipe or a cluster's log: a line for every step that is done, and one
/// each half minute.
#[derive(Debug)]
pub(super) struct Lines<W> {
    out: W,
}

impl<W: Write> Lines<W> {
    pub(super) fn to(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Face for Lines<W> {
    fn show(&mut self, event: &Event<'_>) {
        if let Some(line) = sentence(event) {
            // Whoever closed the log does not want to read it.
            let _ = writeln!(self.out, "{line}");
        }
    }

    fn period(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// An event in a line of text, if it is worth one.
pub(super) fn sentence(event: &Event<'_>) -> Option<String> {
    let with = |parts: Vec<Option<String>>| {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(", ")
    };
    Some(match event {
        Event::Plan(_) | Event::Start(..) => return None,
        Event::Progress(now) => {
            let frames = (now.units > 0).then(|| {
                let percent = 100 * u128::from(now.done) / u128::from(now.units);
                format!("{} of {} frames ({percent} %)", now.done, now.units)
            });
            let said = with(vec![
                frames.or_else(|| Some(format!("{:.0} s so far", now.seconds))),
                now.throughput(),
                now.memory(),
                now.left_in_words(),
            ]);
            format!("  {:28} {said}", now.step)
        }
        Event::Finish(now) => {
            let line = format!("  {:28} {:6.1} s", now.step, now.seconds);
            match now.throughput() {
                Some(throughput) => format!("{line}  {throughput}"),
                None => line,
            }
        }
        Event::Skip(step) => format!("  {step:28} is up to date"),
        Event::Warn(message) => format!("  warning: {message}"),
        Event::Note(message) | Event::Stopping(message) => format!("  {message}"),
    })
}
