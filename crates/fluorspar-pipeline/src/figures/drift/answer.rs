//! Does the code drift, and does it crystallize? The answer in sentences.

use std::path::Path;

use fluorspar_report::{Block, Section, Table};

use super::sheet::{Row, Sheet};
use super::{Tables, words};
use crate::Error;

/// Most codes that the lead speaks of one by one.
const MOST_LEADS: usize = 3;

/// A row of `crystallization.csv`, as far as others ask for it.
#[derive(Debug)]
pub(crate) struct Crystallization {
    pub(crate) epoch: String,
    pub(crate) variable: String,
    pub(crate) statistic: Option<f64>,
    pub(crate) lo: Option<f64>,
    pub(crate) hi: Option<f64>,
}

/// Reads the contrast of late and early sessions in `crystallization.csv` of a
/// drift folder.
pub(crate) fn crystallization(folder: &Path) -> Result<Vec<Crystallization>, Error> {
    let path = folder.join("crystallization.csv");
    let sheet = Sheet::read(&path)?.ok_or_else(|| Error::bad_data(&path, "is not there"))?;
    Ok(sheet
        .rows()
        .filter(|row| matches!(row.text("test"), "" | "late_minus_early_similarity"))
        .map(|row| Crystallization {
            epoch: row.text("epoch").to_owned(),
            variable: row.text("variable").to_owned(),
            statistic: row.number("statistic"),
            lo: row.number("lo"),
            hi: row.number("hi"),
        })
        .collect())
}

/// What is said of one code.
struct Said<'a> {
    row: Row<'a>,
    kind: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Changed,
    NotShown,
    Unknown,
}

/// The rows that answer the question, one per epoch and label: those of the
/// joint test where there is one.
fn said(tables: &Tables) -> Vec<Said<'_>> {
    let rows = || {
        tables
            .rows("crystallization")
            .filter(|row| row.text("group").is_empty())
    };
    let joint = |row: &Row<'_>| row.text("test") == "crystallization";
    let any_joint = rows().any(|row| joint(&row));
    let first = rows().next().map_or("", |row| row.text("test"));
    let mut out: Vec<Said<'_>> = rows()
        .filter(|row| {
            if any_joint {
                joint(row)
            } else {
                row.text("test") == first
            }
        })
        .filter(|row| !row.text("variable").is_empty())
        .map(|row| Said {
            row,
            kind: verdict(row),
        })
        .collect();
    out.sort_by_key(|said| said.kind);
    out
}

fn verdict(row: Row<'_>) -> Verdict {
    let text = row.text("verdict");
    if row.number("statistic").is_none() || text.starts_with("undetermined") {
        Verdict::Unknown
    } else if text.starts_with("no ") || text.starts_with("not ") {
        Verdict::NotShown
    } else {
        Verdict::Changed
    }
}

fn code(row: Row<'_>) -> String {
    format!(
        "{} code for {}",
        words(row.text("epoch")),
        words(row.text("variable"))
    )
}

/// One sentence on one code: the table's own, or made of its numbers.
fn sentence(said: &Said<'_>) -> String {
    let row = said.row;
    let given = row.text("sentence");
    if !given.is_empty() {
        return given.replace("{code}", &code(row));
    }
    if said.kind == Verdict::Unknown {
        return format!(
            "Whether the {} crystallizes could not be tested: {}.",
            code(row),
            row.text("verdict")
        );
    }
    format!(
        "The {}: {}. Session pairs of the later half are {:+.2} [{:+.2}, {:+.2}] more similar than \
         pairs equally far apart in the earlier half ({} cells, {} sessions, p = {}).",
        code(row),
        row.text("verdict"),
        row.value("statistic"),
        row.value("lo"),
        row.value("hi"),
        row.text("n_cells"),
        row.text("n_sessions"),
        row.text("p"),
    )
}

/// What late and early sessions show of a code that was not shown to
/// crystallize, if they differ: similar pairs late speak for settling, but
/// steady drift of some kinds makes them too.
fn contrast(tables: &Tables, said: &Said<'_>) -> Option<String> {
    let asked = |row: &Row<'_>| {
        row.text("test") == "late_minus_early_similarity"
            && ["metric", "epoch", "variable", "group"]
                .iter()
                .all(|column| row.text(column) == said.row.text(column))
    };
    let row = tables.rows("crystallization").find(asked)?;
    let (low, high) = (row.number("lo")?, row.number("hi")?);
    if said.kind != Verdict::NotShown || (low <= 0.0 && high >= 0.0) {
        return None;
    }
    Some(format!(
        "The {} is {} from session to session late than early: similarity of pairs equally far apart \
         {:+.2} [{:+.2}, {:+.2}]. More than steady drift can make of that was not shown ({}).",
        code(row),
        if low > 0.0 {
            "more alike"
        } else {
            "less alike"
        },
        row.value("statistic"),
        low,
        high,
        said.row.text("p").parse().map_or_else(
            |_| "not tested".into(),
            |p: f64| format!("p = {p:.3} over {} sessions", said.row.text("n_sessions"))
        ),
    ))
}

pub(super) fn lead(tables: &Tables) -> Vec<String> {
    let all = said(tables);
    let of = |kind: Verdict| all.iter().filter(move |said| said.kind == kind);
    if of(Verdict::Unknown).count() == all.len() {
        return vec![
            "Whether the code crystallizes could not be tested here; the table below says why."
                .into(),
        ];
    }
    let mut out: Vec<String> = of(Verdict::Changed)
        .take(MOST_LEADS)
        .map(sentence)
        .collect();
    if out.is_empty() {
        out.push("No code was shown to crystallize.".into());
    }
    out.extend(all.iter().filter_map(|said| contrast(tables, said)));
    let names = |kind| -> Vec<String> {
        of(kind)
            .filter(|said| contrast(tables, said).is_none())
            .map(|said| code(said.row))
            .collect()
    };
    let further: Vec<String> = names(Verdict::Changed)
        .into_iter()
        .skip(MOST_LEADS)
        .collect();
    for (about, names) in [
        ("A change was seen too in the", further),
        (
            "Crystallization was not shown in the",
            names(Verdict::NotShown),
        ),
    ] {
        if !names.is_empty() {
            out.push(format!("{about} {}.", names.join(", ")));
        }
    }
    out
}

/// The sentences of all codes and the table they come from.
pub(super) fn section(tables: &Tables) -> Section {
    let mut section = Section::new("Does the code crystallize?").text(
        "Whether the code changes less from session to session late in practice than early, judged on \
         values that are corrected for the reliability of each session. That no change was shown does \
         not show that there is none.",
    );
    let all = said(tables);
    if all.is_empty() {
        return section.block(Block::Note(
            "There is no crystallization.csv with a code to judge: no label was followed.".into(),
        ));
    }
    for said in all.iter().filter(|said| said.kind != Verdict::Unknown) {
        section = section.text(sentence(said));
        if let Some(contrast) = contrast(tables, said) {
            section = section.text(contrast);
        }
    }
    let table = table(tables.rows("crystallization"));
    let summary = format!(
        "All {} tests with interval, p, null, n and seed",
        table.rows.len()
    );
    section
        .block(Block::Folded {
            summary,
            blocks: vec![Block::Table(table)],
        })
        .block(Block::Note("crystallization.csv".into()))
}

fn table<'a>(rows: impl Iterator<Item = Row<'a>>) -> Table {
    const COLUMNS: [(&str, &str); 13] = [
        ("epoch", "epoch"),
        ("variable", "label"),
        ("test", "test"),
        ("statistic", "statistic"),
        ("lo", "low"),
        ("hi", "high"),
        ("p", "p"),
        ("null", "null"),
        ("unit", "unit"),
        ("n_sessions", "sessions"),
        ("n_cells", "cells"),
        ("seed", "seed"),
        ("verdict", "verdict"),
    ];
    Table {
        header: COLUMNS.map(|(_, shown)| shown.to_owned()).to_vec(),
        rows: rows
            .map(|row| {
                COLUMNS
                    .map(|(column, _)| match column {
                        "statistic" | "lo" | "hi" => row
                            .number(column)
                            .map_or_else(String::new, |v| format!("{v:.3}")),
                        "epoch" | "variable" | "test" => words(row.text(column)),
                        _ => row.text(column).to_owned(),
                    })
                    .to_vec()
            })
            .collect(),
    }
}
