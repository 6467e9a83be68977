//! The methods section of a paper, from what was configured.

mod cells;
mod drift;
mod recordings;
mod references;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::config::{ExperimentConfig, Source};
use references::{FLUORSPAR, Reference};

/// What was done to an experiment, as plain text for the methods section of a
/// paper: sentences in the past tense with every parameter that a result
/// depends on, and numbered references.
///
/// It is made of the configuration as resolved (the field `config` of
/// `run.json`) and the `version` of the program, and says the same wherever
/// and with however many threads the run was made. One paragraph is one line.
/// What was not done is not described: no cell finding for ROIs that came
/// from elsewhere, no tracking of a single session, no drift without trials.
///
/// ```
/// use fluorspar_pipeline::{ExperimentConfig, methods};
/// use std::path::Path;
///
/// let text = "[experiment]\nname = \"m12\"\n[[session]]\nday = 1\nmovie = \"day01/*.tif\"\n";
/// let config = ExperimentConfig::parse(text, Path::new("experiment.toml"))?;
/// let methods = methods(&config, "0.1.0");
/// assert!(methods.contains("fluorspar 0.1.0"));
/// assert!(methods.contains("Motion was corrected"));
/// assert!(!methods.contains("Laws of drift"));
/// # Ok::<(), fluorspar_pipeline::Error>(())
/// ```
pub fn methods(config: &ExperimentConfig, version: &str) -> String {
    let mut text = Text::default();
    recordings::describe(&mut text, config, version);
    if config
        .sessions
        .iter()
        .any(|session| matches!(session.source(), Ok(Source::Movie(_))))
    {
        cells::describe(&mut text, config);
    }
    if config.sessions.len() > 1 {
        cells::describe_tracking(&mut text, config);
    }
    if has_trials(config) {
        drift::describe(&mut text, config);
    }
    text.finish()
}

/// Whether trials of every session are known: NWB files and tensors bring their own.
fn has_trials(config: &ExperimentConfig) -> bool {
    config.sessions.iter().all(|session| {
        session.trials.is_some()
            || matches!(session.source(), Ok(Source::Nwb(_) | Source::Tensor(_)))
    })
}

/// Paragraphs, and the references that were cited in them, in order.
#[derive(Debug, Default)]
struct Text {
    paragraphs: Vec<String>,
    cited: Vec<Reference>,
}

impl Text {
    /// Starts a paragraph.
    fn paragraph(&mut self) {
        self.paragraphs.push(String::new());
    }

    /// Adds a sentence to the paragraph.
    fn say(&mut self, sentence: impl AsRef<str>) {
        if self.paragraphs.is_empty() {
            self.paragraph();
        }
        if let Some(paragraph) = self.paragraphs.last_mut() {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(sentence.as_ref());
        }
    }

    /// The mark of a reference, such as `[3]`.
    fn cite(&mut self, reference: Reference) -> String {
        let known = self.cited.iter().position(|cited| *cited == reference);
        let index = known.unwrap_or_else(|| {
            self.cited.push(reference);
            self.cited.len() - 1
        });
        format!("[{}]", index + 1)
    }

    fn finish(self) -> String {
        let mut paragraphs = self.paragraphs;
        paragraphs.retain(|paragraph| !paragraph.is_empty());
        let mut out = paragraphs.join("\n\n");
        out.push_str("\n\nReferences\n");
        for (index, reference) in self.cited.iter().enumerate() {
            // Writing into a string cannot fail.
            let _ = writeln!(out, "{}. {}", index + 1, reference.0);
        }
        out
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.pop() {
        None => String::new(),
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} and {last}", items.join(", ")),
    }
}

/// `1 session`, `2 sessions`.
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A share as a percentage, without the noise of binary fractions.
fn percent(share: f64) -> String {
    let rounded = (share * 1e8).round() / 1e6;
    format!("{rounded} %")
}
