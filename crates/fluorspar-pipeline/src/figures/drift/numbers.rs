//! The numbers behind the figures, and the tables that no figure shows.

use std::collections::BTreeMap;

use fluorspar_report::{Block, Section, Table};

use super::sheet::{Row, Sheet};
use super::{Tables, words};

/// Longest table that is shown as it is.
const MOST_ROWS: usize = 80;
/// Widest one.
const MOST_COLUMNS: usize = 24;
/// Tables that other sections show.
const ELSEWHERE: [&str; 11] = [
    "metrics",
    "rates",
    "half_lives",
    "crystallization",
    "confounds",
    "epochs",
    "learning",
    "performance",
    "activity_maps",
    "selective_fractions",
    "turnover",
];

/// What the analysis would have said of drift that was planted; nothing if
/// none was.
pub(super) fn planted(tables: &Tables) -> Option<Section> {
    let found: Vec<(&String, &Sheet)> = tables
        .sheets
        .iter()
        .filter(|(name, sheet)| name.starts_with("planted") && sheet.len() > 0)
        .collect();
    if found.is_empty() {
        return None;
    }
    let section = Section::new("Planted drift").text(
        "Drift of a known law was planted into sessions with this recording's trials, noise, cells and \
         identities, and analysed in the same way: what this analysis would have found, how far off it is \
         on average, and how often it would have said so.",
    );
    Some(found.into_iter().fold(section, |section, (name, sheet)| {
        section
            .block(Block::Table(whole(sheet)))
            .block(Block::Note(format!("{name}.csv")))
    }))
}

pub(super) fn section(tables: &Tables) -> Section {
    let mut section = Section::new("Numbers").block(Block::Folded {
        summary: "Similarities: n, unit, null and seed of every measure".into(),
        blocks: vec![
            Block::Table(metrics(tables)),
            Block::Note("metrics.csv has every pair".into()),
        ],
    });
    if let Some(rates) = tables.sheet("rates") {
        section = section.block(Block::Folded {
            summary: "Laws of drift and their parameters".into(),
            blocks: vec![Block::Table(whole(rates)), Block::Note("rates.csv".into())],
        });
    }
    for (name, sheet) in &tables.sheets {
        let shown = ELSEWHERE.contains(&name.as_str())
            || name.starts_with("planted")
            || sheet.has(&["check", "status", "sentence"]);
        if shown {
            continue;
        }
        let size = format!(
            "{name}.csv: {} rows of {} columns",
            sheet.len(),
            sheet.header().len()
        );
        section = if (1..=MOST_ROWS).contains(&sheet.len()) && sheet.header().len() <= MOST_COLUMNS
        {
            section.block(Block::Folded {
                summary: size,
                blocks: vec![Block::Table(whole(sheet))],
            })
        } else {
            section.block(Block::Note(size))
        };
    }
    section
}

/// One measure of one epoch and label.
#[derive(Default)]
struct Summary<'a> {
    pairs: usize,
    sum: f64,
    low: f64,
    high: f64,
    cells: (f64, f64),
    trials: (f64, f64),
    undefined: usize,
    reason: &'a str,
    first: Option<Row<'a>>,
}

/// All similarities of different sessions, pairs put together.
fn metrics(tables: &Tables) -> Table {
    let mut order: Vec<[&str; 4]> = Vec::new();
    let mut found: BTreeMap<[&str; 4], Summary<'_>> = BTreeMap::new();
    for row in tables
        .rows("metrics")
        .filter(|row| row.text("session_i") != row.text("session_j"))
    {
        let key = ["metric", "epoch", "variable", "group"].map(|column| row.text(column));
        let summary = found.entry(key).or_insert_with(|| {
            order.push(key);
            Summary {
                low: f64::INFINITY,
                high: f64::NEG_INFINITY,
                cells: (f64::INFINITY, f64::NEG_INFINITY),
                trials: (f64::INFINITY, f64::NEG_INFINITY),
                ..Summary::default()
            }
        });
        summary.add(row);
    }
    let header = [
        "measure",
        "epoch",
        "label",
        "group",
        "pairs",
        "mean",
        "range",
        "cells",
        "trials",
        "unit",
        "null",
        "cells taken",
        "seed",
        "not defined",
    ];
    Table {
        header: header.map(str::to_owned).to_vec(),
        rows: order.iter().map(|key| found[key].fields(key)).collect(),
    }
}

impl<'a> Summary<'a> {
    fn add(&mut self, row: Row<'a>) {
        self.first = self.first.or(Some(row));
        if let Some(value) = row.number("value") {
            self.pairs += 1;
            self.sum += value;
            (self.low, self.high) = (self.low.min(value), self.high.max(value));
        } else {
            self.undefined += 1;
            self.reason = row.text("reason");
        }
        // `min` and `max` pass over NaN.
        let widen =
            |range: &mut (f64, f64), value: f64| *range = (range.0.min(value), range.1.max(value));
        widen(&mut self.cells, row.value("n_cells"));
        widen(&mut self.trials, row.value("n_trials"));
    }

    fn fields(&self, key: &[&str; 4]) -> Vec<String> {
        let first = |column: &str| self.first.map_or("", |row| row.text(column)).to_owned();
        let span = |(low, high): (f64, f64)| match (low.is_finite(), low < high) {
            (false, _) => String::new(),
            (true, true) => format!("{low} – {high}"),
            (true, false) => format!("{low}"),
        };
        let undefined = match self.undefined {
            0 => String::new(),
            n => format!("{n}: {}", self.reason),
        };
        let (mean, range) = if self.pairs == 0 {
            (String::new(), String::new())
        } else {
            let mean = self.sum / self.pairs as f64;
            (
                format!("{mean:.3}"),
                format!("{:.3} – {:.3}", self.low, self.high),
            )
        };
        vec![
            words(key[0]),
            words(key[1]),
            words(key[2]),
            words(key[3]),
            self.pairs.to_string(),
            mean,
            range,
            span(self.cells),
            span(self.trials),
            first("unit"),
            first("null"),
            first("inclusion"),
            first("seed"),
            undefined,
        ]
    }
}

/// A table as it is, long numbers cut.
fn whole(sheet: &Sheet) -> Table {
    let field = |text: &str| match text.parse::<f64>() {
        Ok(value) if text.contains('.') && value.is_finite() => format!("{value:.4}"),
        _ => text.to_owned(),
    };
    Table {
        header: sheet.header().iter().map(|name| words(name)).collect(),
        rows: sheet
            .rows()
            .map(|row| row.fields().map(field).collect())
            .collect(),
    }
}
