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
    let found = ["learning", "performance"].into_iter().find_map(|name| {
        Some((
            name,
            tables
                .sheet(name)
                .filter(|sheet| sheet.has(&["session", "accuracy"]))?,
        ))
    });
    if let Some((name, sheet)) = found {
        let column = |column: &str| -> Vec<f64> {
            let mut values = vec![f64::NAN; labels.len()];
            for row in sheet.rows() {
                if let Some(value) = row.session("session").and_then(|s| values.get_mut(s)) {
                    *value = row.value(column);
                }
            }
            values
        };
        let given =
            |name: &str| Some(column(name)).filter(|values| values.iter().any(|v| v.is_finite()));
        let plot = Learning {
            labels,
            accuracy: column("accuracy"),
            accuracy_interval: given("lo").zip(given("hi")),
            d_prime: given("d_prime"),
            chance: 0.5,
            criterion: None,
        };
        figures.push(
            figure::learning(&plot)
                .at("report")?
                .titled("Performance per session")
                .captioned("Share of correct trials with its 95 % interval (Wilson); the grey line is 0.5."),
        );
        files.push(if name == "learning" {
            "learning.csv"
        } else {
            "performance.csv"
        });
    }
    if figures.is_empty() {
        return Ok(None);
    }
    let mut section = Section::new("The task").block(Block::Figures(figures));
    if found.is_none() {
        section = section.block(Block::Note(
            "There is no learning curve: the trials have no label \"correct\" of 0 and 1.".into(),
        ));
    }
    Ok(Some(section.block(Block::Note(files.join(", ")))))
}
