//! What looks like drift and is not: eight questions beside every drift number.

use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Check, Figure, Light, Section, Table};

use super::sheet::{Row, Sheet};
use super::{Tables, words};
use crate::Error;
use crate::error::Context;

struct Question {
    asked: &'static str,
    /// Names of the checks that answer it.
    checks: &'static [&'static str],
    /// Said if none was done.
    otherwise: &'static str,
}

const QUESTIONS: [Question; 8] = [
    Question {
        asked: "Are cells matched wrongly, and more so over longer gaps?",
        checks: &[
            "wrong_matches",
            "wrong_matches_over_lag",
            "best_matched_cells",
        ],
        otherwise: "A share f of wrong matches multiplies every similarity by 1 − f.",
    },
    Question {
        asked: "Are cells missing because they were silent?",
        checks: &["undetected_cells", "cells_in_all_sessions"],
        otherwise: "Cells that are found by their activity drop out when they fall silent.",
    },
    Question {
        asked: "Did the recording get better or worse?",
        checks: &["recording_quality", "constant_activity"],
        otherwise: "Depth, bleaching and a clouding window change responses.",
    },
    Question {
        asked: "Did behaviour change?",
        checks: &[
            "constant_behaviour",
            "session_from_behaviour",
            "without_behaviour",
            "behaviour_matched",
        ],
        otherwise: "No behaviour was given.",
    },
    Question {
        asked: "Did performance or the number of trials change?",
        checks: &[
            "constant_performance",
            "trial_counts",
            "pseudo_crystallization",
        ],
        otherwise: "More trials make uncorrected similarities rise.",
    },
    Question {
        asked: "Is it time or practice?",
        checks: &["time_or_practice"],
        otherwise: "Elapsed days and sessions of practice go together unless days are missing.",
    },
    Question {
        asked: "Does the code change within a session?",
        checks: &["within_session", "within_against_between"],
        otherwise: "Change within a session is no drift over days.",
    },
    Question {
        asked: "Are cells counted twice?",
        checks: &["duplicate_cells", "independent_cells"],
        otherwise: "The same soma in two planes makes intervals too narrow.",
    },
];

pub(super) fn section(tables: &Tables) -> Result<Section, Error> {
    let mut section = Section::new("What looks like drift and is not").text(
        "Eight questions to ask before a drift number is believed. The light is the worst of the checks \
         that answer a question; the sentence is that check's.",
    );
    let sheets: Vec<(&String, &Sheet)> = tables
        .sheets
        .iter()
        .filter(|(_, sheet)| sheet.has(&["check", "status", "sentence"]))
        .collect();
    let rows: Vec<Row<'_>> = sheets.iter().flat_map(|(_, sheet)| sheet.rows()).collect();
    section = section.block(Block::Checks(checks(&rows)));
    if !rows.is_empty() {
        section = section.block(Block::Folded {
            summary: format!("All {} checks with statistic, p, null and n", rows.len()),
            blocks: vec![Block::Table(table(&rows))],
        });
    }
    let figures = per_session(tables)?;
    if !figures.is_empty() {
        section = section.block(Block::Figures(figures));
    }
    let files: Vec<String> = sheets
        .iter()
        .map(|(name, _)| format!("{name}.csv"))
        .collect();
    let named = ["confounds.csv".to_owned()].into_iter().chain(files);
    let mut named: Vec<String> = named.collect();
    named.dedup();
    Ok(section.block(Block::Note(named.join(", "))))
}

fn light(status: &str) -> Light {
    match status {
        "fine" => Light::Clear,
        "look" => Light::Caution,
        "problem" => Light::Alarm,
        _ => Light::Unknown,
    }
}

/// Greater is worse; a check that was done is worse than one that was not.
fn gravity(light: Light) -> u8 {
    match light {
        Light::Unknown => 0,
        Light::Clear => 1,
        Light::Caution => 2,
        Light::Alarm => 3,
    }
}

fn checks(rows: &[Row<'_>]) -> Vec<Check> {
    let worst = |wanted: &dyn Fn(&str) -> bool| {
        let fitting = rows.iter().filter(|row| wanted(row.text("check")));
        // Of equals the first, which `max_by_key` would pass over.
        fitting
            .rev()
            .max_by_key(|row| gravity(light(row.text("status"))))
    };
    let mut out = Vec::new();
    for question in &QUESTIONS {
        let found = worst(&|check| question.checks.contains(&check));
        out.push(match found {
            Some(row) => said(*row, question.asked.into()),
            None => Check {
                light: Light::Unknown,
                question: question.asked.into(),
                finding: format!("Not checked. {}", question.otherwise),
            },
        });
    }
    let known = |check: &str| {
        QUESTIONS
            .iter()
            .any(|question| question.checks.contains(&check))
    };
    let mut others: Vec<&str> = rows
        .iter()
        .map(|row| row.text("check"))
        .filter(|check| !known(check))
        .collect();
    others.sort_unstable();
    others.dedup();
    for other in others {
        if let Some(row) = worst(&|check| check == other) {
            out.push(said(*row, format!("{}:", words(other))));
        }
    }
    out
}

fn said(row: Row<'_>, question: String) -> Check {
    let about: Vec<String> = ["epoch", "variable", "about"]
        .into_iter()
        .map(|column| words(row.text(column)))
        .filter(|text| !text.is_empty())
        .collect();
    let finding = if about.is_empty() {
        row.text("sentence").to_owned()
    } else {
        format!("{} ({})", row.text("sentence"), about.join(", "))
    };
    Check {
        light: light(row.text("status")),
        question,
        finding,
    }
}

fn table(rows: &[Row<'_>]) -> Table {
    const COLUMNS: [&str; 12] = [
        "check",
        "epoch",
        "variable",
        "about",
        "status",
        "statistic",
        "lo",
        "hi",
        "p",
        "null",
        "n",
        "sentence",
    ];
    let used = |column: &&str| rows.iter().any(|row| !row.text(column).is_empty());
    let columns: Vec<&str> = COLUMNS.into_iter().filter(used).collect();
    let shown = |row: &Row<'_>, column: &str| match row.number(column) {
        Some(value) if matches!(column, "statistic" | "lo" | "hi" | "p") => format!("{value:.3}"),
        _ => row.text(column).replace('_', " "),
    };
    Table {
        header: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows
            .iter()
            .map(|row| columns.iter().map(|column| shown(row, column)).collect())
            .collect(),
    }
}

/// What every session brought, if the table of sessions is there.
fn per_session(tables: &Tables) -> Result<Vec<Figure>, Error> {
    const COLUMNS: [(&str, &str); 4] = [
        ("n_cells", "cells"),
        ("n_trials", "trials"),
        ("mean_activity", "mean activity"),
        ("mean_p_same", "mean probability of identities"),
    ];
    let mut figures = Vec::new();
    for (column, title) in COLUMNS {
        let points: Vec<(f64, f64)> = tables
            .rows("confounds")
            .filter_map(|row| Some((row.session("session")? as f64 + 1.0, row.number(column)?)))
            .collect();
        if points.is_empty() {
            continue;
        }
        let most = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let (x, y) = points.into_iter().unzip();
        let plot = CurvesPlot {
            x_label: "session",
            y_label: "",
            y_range: Some(0.0..1.1 * most),
            size: (240, 170),
        };
        figures.push(
            figure::curves(&plot, &[Curve::new("", x, y)])
                .at("report")?
                .titled(title),
        );
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_answers() {
        let sheet = Sheet::of(
            "check,epoch,status,sentence\n\
             wrong_matches,,fine,a\n\
             wrong_matches_over_lag,delay,problem,b\n\
             best_matched_cells,,look,c\n\
             trial_counts,,not checked,d\n\
             something_new,,look,e\n",
        );
        let rows: Vec<Row<'_>> = sheet.rows().collect();
        let found = checks(&rows);
        assert_eq!(found.len(), 9);
        assert_eq!(
            (found[0].light, found[0].finding.as_str()),
            (Light::Alarm, "b (delay)")
        );
        assert_eq!(
            (found[4].light, found[4].finding.as_str()),
            (Light::Unknown, "d")
        );
        assert_eq!(found[1].light, Light::Unknown);
        assert!(found[1].finding.starts_with("Not checked."));
        assert_eq!(
            (found[8].light, found[8].question.as_str()),
            (Light::Caution, "something new:")
        );
    }

    #[test]
    fn without_checks_nothing_is_clear() {
        assert!(
            checks(&[])
                .iter()
                .all(|check| check.light == Light::Unknown)
        );
    }
}
