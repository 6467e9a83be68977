use std::sync::Mutex;

use fluorspar_pipeline::Observer;
use indicatif::{ProgressBar, ProgressStyle};

/// Draws one bar at a time on stderr, and one line for each finished step.
#[derive(Debug)]
pub(crate) struct Bars {
    quiet: bool,
    current: Mutex<ProgressBar>,
}

impl Bars {
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            current: Mutex::new(ProgressBar::hidden()),
        }
    }

    fn with_bar(&self, act: impl FnOnce(&mut ProgressBar)) {
        // A poisoned lock only means that another thread failed while drawing.
        let mut bar = self
            .current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut bar);
    }

    fn line(&self, text: &str) {
        self.with_bar(|bar| {
            if bar.is_hidden() {
                eprintln!("{text}");
            } else {
                bar.suspend(|| eprintln!("{text}"));
            }
        });
    }
}

impl Observer for Bars {
    fn start(&self, step: &str, units: u64) {
        if self.quiet {
            return;
        }
        let (bar, template) = if units > 0 {
            (
                ProgressBar::new(units),
                "  {msg:28} {bar:30.cyan} {pos}/{len} frames  {per_sec}  {eta} left",
            )
        } else {
            (ProgressBar::new_spinner(), "  {msg:28} {spinner} {elapsed}")
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(step.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        self.with_bar(|current| *current = bar);
    }

    fn advance(&self, units: u64) {
        if !self.quiet {
            self.with_bar(|bar| bar.inc(units));
        }
    }

    fn finish(&self, step: &str, seconds: f64) {
        if self.quiet {
            return;
        }
        self.with_bar(|bar| {
            bar.finish_and_clear();
            *bar = ProgressBar::hidden();
        });
        eprintln!("  {step:28} {seconds:6.1} s");
    }

    fn skip(&self, step: &str) {
        if !self.quiet {
            eprintln!("  {step:28} is up to date");
        }
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            self.line(&format!("  {message}"));
        }
    }

    fn warn(&self, message: &str) {
        self.line(&format!("  warning: {message}"));
    }
}
