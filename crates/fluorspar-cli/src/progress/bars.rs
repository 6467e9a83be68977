use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::event::{Event, Snapshot};
use super::lines::sentence;
use super::{Face, TICK};

/// Marks on the bar of the whole run.
const MARKS: u64 = 1000;

/// For a terminal: a bar for the whole run, one for the step in work, and a
/// line for every step that is done.
#[derive(Debug, Default)]
pub(super) struct Bars {
    all: MultiProgress,
    run: Option<ProgressBar>,
    step: Option<ProgressBar>,
    planned: bool,
}

impl Bars {
    fn add(&self, bar: ProgressBar, template: &str) -> ProgressBar {
        let bar = self.all.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    }

    fn start(&mut self, step: &str, units: u64) {
        self.clear();
        if self.planned {
            let bar = ProgressBar::new(MARKS);
            let bar = self.add(bar, "  {prefix:28} {bar:30.green} {percent:>3} %  {msg}");
            bar.set_prefix("whole run");
            self.run = Some(bar);
        }
        let bar = if units > 0 {
            self.add(
                ProgressBar::new(units),
                "  {prefix:28} {bar:30.cyan} {pos}/{len} frames  {msg}",
            )
        } else {
            self.add(
                ProgressBar::new_spinner(),
                "  {prefix:28} {spinner} {elapsed}  {msg}",
            )
        };
        bar.set_prefix(step.to_owned());
        bar.tick();
        self.step = Some(bar);
    }

    fn progress(&self, now: &Snapshot) {
        let joined = |parts: [Option<String>; 2]| {
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            parts.join(", ")
        };
        if let (Some(bar), Some(share)) = (&self.run, now.share) {
            bar.set_position((share * MARKS as f64) as u64);
            bar.set_message(joined([now.left_in_words(), now.memory()]));
        }
        if let Some(bar) = &self.step {
            bar.set_position(now.done);
            bar.set_message(match self.run {
                Some(_) => now.throughput().unwrap_or_default(),
                None => joined([now.throughput(), now.left_in_words()]),
            });
        }
    }

    /// Takes the bars away, so that results on stdout do not run into them.
    fn clear(&mut self) {
        for bar in [self.step.take(), self.run.take()].into_iter().flatten() {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

impl Face for Bars {
    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Plan(steps) => self.planned = !steps.is_empty(),
            Event::Start(step, units) => self.start(step, *units),
            Event::Progress(now) => self.progress(now),
            Event::Finish(_) => self.clear(),
            Event::Skip(_) | Event::Warn(_) | Event::Stopping(_) => {}
        }
        if let Some(line) = sentence(event).filter(|_| !matches!(event, Event::Progress(_))) {
            self.all.suspend(|| eprintln!("{line}"));
        }
    }

    fn period(&self) -> Duration {
        TICK
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}
