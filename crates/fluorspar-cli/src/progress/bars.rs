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
    /// Where the bar of the run was last, and what it said.
    position: u64,
    message: String,
}

impl Bars {
    /// Shows a bar that is complete before it is drawn for the first time.
    fn add(&self, bar: ProgressBar, name: &str, template: &str) -> ProgressBar {
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        self.all.add(bar.with_prefix(name.to_owned()))
    }

    fn start(&mut self, step: &str, units: u64) {
        self.clear();
        if self.planned {
            let bar = ProgressBar::new(MARKS)
                .with_position(self.position)
                .with_message(self.message.clone());
            let template = "  {prefix:20} {bar:18.green} {percent:>3} %  {wide_msg}";
            self.run = Some(self.add(bar, "whole run", template));
        }
        let (bar, template) = if units > 0 {
            let template = "  {prefix:20} {bar:18.cyan} {pos}/{len}  {wide_msg}";
            (ProgressBar::new(units), template)
        } else {
            let template = "  {prefix:20} {spinner} {elapsed}  {wide_msg}";
            (ProgressBar::new_spinner(), template)
        };
        let bar = self.add(bar, step, template);
        bar.tick();
        self.step = Some(bar);
    }

    fn progress(&mut self, now: &Snapshot) {
        let joined = |parts: [Option<String>; 2]| {
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            parts.join(", ")
        };
        if let (Some(bar), Some(share)) = (&self.run, now.share) {
            self.position = (share * MARKS as f64) as u64;
            self.message = joined([now.left_in_words(), now.memory()]);
            bar.set_position(self.position);
            bar.set_message(self.message.clone());
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
            Event::Plan(steps) => {
                self.planned = !steps.is_empty();
                self.position = 0;
                self.message.clear();
            }
            Event::Start(step, units) => self.start(step, *units),
            Event::Progress(now) => self.progress(now),
            Event::Finish(_) => self.clear(),
            Event::Skip(_) | Event::Note(_) | Event::Warn(_) | Event::Stopping(_) => {}
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
