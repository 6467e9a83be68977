//! The drift part of a report, drawn from the tables beside it. A table that is
//! missing or empty leaves its place to a sentence that says so.

mod answer;
mod companions;
mod confounds;
mod elapsed;
mod geometry;
mod maps;
mod matrices;
mod numbers;
mod selective;
mod sheet;
mod task;

use std::collections::BTreeMap;
use std::path::Path;

use fluorspar_report::Section;

pub(crate) use self::answer::crystallization;
pub(crate) use self::companions::Companions;
use self::maps::Maps;
use self::sheet::{Kind, Row, Sheet};
use super::{day_labels, words};
use crate::Error;

/// Tables of single cells: too long for a page.
const NOT_SHOWN: [&str; 1] = ["cells"];

/// The drift tables as they lie on disk.
pub(super) struct Tables {
    sheets: BTreeMap<String, Sheet>,
    maps: Option<Maps>,
}

impl Tables {
    /// Reads a drift folder; nothing if it has no `metrics.csv`.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        if !folder.join("metrics.csv").exists() {
            return Ok(None);
        }
        let mut sheets = BTreeMap::new();
        let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
        for entry in entries {
            let path = entry.map_err(|e| Error::io(folder, e))?.path();
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let tabular = path.extension().is_some_and(|ending| ending == "csv");
            if !tabular || NOT_SHOWN.contains(&name.as_str()) {
                continue;
            }
            if let Some(sheet) = Sheet::read(&path)? {
                sheets.insert(name, sheet);
            }
        }
        Ok(Some(Self {
            sheets,
            maps: Maps::read(&folder.join(maps::FILE))?,
        }))
    }

    fn sheet(&self, name: &str) -> Option<&Sheet> {
        self.sheets.get(name).filter(|sheet| sheet.len() > 0)
    }

    fn rows(&self, name: &str) -> impl Iterator<Item = Row<'_>> {
        self.sheets.get(name).into_iter().flat_map(Sheet::rows)
    }

    /// Rows of one metric of all cells together.
    fn metric<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Row<'a>> {
        self.rows("metrics")
            .filter(move |row| row.text("metric") == name && row.text("group").is_empty())
    }

    fn pairs<'a>(&'a self, name: &'a str, kind: &'a Kind) -> impl Iterator<Item = Row<'a>> {
        self.metric(name)
            .filter(move |row| row.text("epoch") == kind.0 && row.text("variable") == kind.1)
    }
}

/// What the hurried reader must know.
pub(super) fn drift_lead(tables: &Tables) -> Vec<String> {
    answer::lead(tables)
}

/// All sections, the answer first.
pub(super) fn drift_sections(tables: &Tables, days: &[f64]) -> Result<Vec<Section>, Error> {
    let labels = day_labels(days);
    let mut out = vec![answer::section(tables)];
    out.extend(task::section(tables, &labels)?);
    out.push(selective::section(tables, &labels)?);
    out.push(maps::section(tables, &labels)?);
    out.push(elapsed::section(tables)?);
    out.push(matrices::section(tables, &labels)?);
    out.extend(geometry::section(tables)?);
    out.push(confounds::section(tables)?);
    out.extend(numbers::planted(tables));
    out.push(numbers::section(tables));
    Ok(out)
}

/// The name of an epoch, with that of the label if there is one.
fn kind_title(kind: &Kind) -> String {
    if kind.1.is_empty() {
        words(&kind.0)
    } else {
        format!("{} · {}", words(&kind.0), words(&kind.1))
    }
}
