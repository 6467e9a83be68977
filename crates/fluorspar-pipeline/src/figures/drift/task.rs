//! The trial and how well the animal did.

use fluorspar_report::figure::{self, Learning, Span};
use fluorspar_report::{Block, Section};

use super::{Tables, words};
use crate::Error;
use crate::error::Context;

/// The epochs as they were analysed.
pub(super) fn epochs(tables: &Tables) -> Vec<Span> {
    tables
        .rows("epochs")
        .filter_map(|row| {
            Some(Span {
                name: words(row.text("epoch")),
                start: row.number("start_s")?,
                end: row.number("stop_s")?,
            })
        })
        .collect()
}

/// Nothing if neither epochs nor performance are known.
pub(super) fn section(tables: &Tables, labels: &[String]) -> Result<Option<Section>, Error> {
    let spans = epochs(tables);
    let mut figures = Vec::new();
    let mut files = Vec::new();
    if !spans.is_empty() {
        let time = tables.maps.as_ref().map(|maps| maps.start_s..maps.stop_s);
        figures.push(
            figure::trial(&spans, &[], time)
                .at("report")?
                .titled("Epochs, as they were analysed"),
        );
        files.push("epochs.csv");
    }
    let (performance, file) = performance(tables, labels);
    if let Some(plot) = &performance {
        figures.push(
            figure::learning(plot)
                .at("report")?
                .titled("Performance per session")
                .captioned("Share of correct trials, with its 95 % interval (Wilson) where it is known; the grey line is 0.5."),
        );
        files.push(file);
    }
    if figures.is_empty() {
        return Ok(None);
    }
    let mut section = Section::new("The task").block(Block::Figures(figures));
    if performance.is_none() {
        section = section.block(Block::Note(
            "There is no learning curve: no label tells which trials were correct.".into(),
        ));
    }
    Ok(Some(section.block(Block::Note(files.join(", ")))))
}

/// Accuracy and d′ per session, and the table they are from.
fn performance<'a>(tables: &Tables, labels: &'a [String]) -> (Option<Learning<'a>>, &'static str) {
    let column = |table: &str, name: &str, value: &str| -> Option<Vec<f64>> {
        let mut values = vec![f64::NAN; labels.len()];
        let rows = tables.rows(table);
        for row in rows.filter(|row| name.is_empty() || row.text("name") == name) {
            if let Some(slot) = row.session("session").and_then(|at| values.get_mut(at)) {
                *slot = row.value(value);
            }
        }
        Some(values).filter(|values| values.iter().any(|v| v.is_finite()))
    };
    let own = |value: &str| column("learning", "", value);
    let check = |name: &str| column("confound_numbers", name, "value");
    let plot = |accuracy, accuracy_interval, d_prime| Learning {
        labels,
        accuracy,
        accuracy_interval,
        d_prime,
        chance: 0.5,
        criterion: None,
    };
    if let Some(accuracy) = own("accuracy") {
        let interval = own("lo").zip(own("hi"));
        return (
            Some(plot(accuracy, interval, own("d_prime"))),
            "learning.csv",
        );
    }
    let found = check("share_correct").map(|accuracy| plot(accuracy, None, check("d_prime")));
    (found, "confound_numbers.csv")
}
