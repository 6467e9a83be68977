//! A table of a drift analysis as it lies on disk. Columns are found by their
//! names, so that a report can be drawn of tables that have fewer or more.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Error;

/// Largest table that is read; those of single cells are for other programs.
const MOST_BYTES: u64 = 48 << 20;

/// One table.
pub(super) struct Sheet {
    columns: BTreeMap<String, usize>,
    header: Vec<String>,
    records: Vec<csv::StringRecord>,
}

/// One row of it.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    sheet: &'a Sheet,
    record: &'a csv::StringRecord,
}

impl Sheet {
    /// Reads a table; nothing if there is none, or a larger one than a page can show.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        match std::fs::metadata(path) {
            Ok(found) if found.len() > MOST_BYTES => return Ok(None),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(path, e)),
        }
        let bad = |e: csv::Error| Error::bad_data(path, e.to_string());
        let mut reader = csv::Reader::from_path(path).map_err(bad)?;
        let header: Vec<String> = reader
            .headers()
            .map_err(bad)?
            .iter()
            .map(str::to_owned)
            .collect();
        let records = reader.records().collect::<Result<_, _>>().map_err(bad)?;
        let columns = header.iter().cloned().zip(0..).collect();
        Ok(Some(Self {
            columns,
            header,
            records,
        }))
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header: Vec<String> = reader
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect();
        Self {
            columns: header.iter().cloned().zip(0..).collect(),
            header,
            records: reader.records().map(Result::unwrap).collect(),
        }
    }

    pub(super) fn has(&self, columns: &[&str]) -> bool {
        columns.iter().all(|name| self.columns.contains_key(*name))
    }

    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.records.iter().map(|record| Row {
            sheet: self,
            record,
        })
    }
}

impl<'a> Row<'a> {
    /// The text of a column; empty if there is no such column.
    pub(super) fn text(self, column: &str) -> &'a str {
        let place = self.sheet.columns.get(column);
        place
            .and_then(|&place| self.record.get(place))
            .unwrap_or("")
    }

    /// The number of a column, if it is one and finite.
    pub(super) fn number(self, column: &str) -> Option<f64> {
        let number: f64 = self.text(column).trim().parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// The number of a column or NaN.
    pub(super) fn value(self, column: &str) -> f64 {
        self.number(column).unwrap_or(f64::NAN)
    }

    /// A session, counted from 0; the tables count from 1.
    pub(super) fn session(self, column: &str) -> Option<usize> {
        let counted: usize = self.text(column).trim().parse().ok()?;
        counted.checked_sub(1)
    }

    pub(super) fn fields(self) -> impl Iterator<Item = &'a str> {
        self.record.iter()
    }
}

/// An epoch and a label, in the order in which a table first names them.
pub(super) type Kind = (String, String);

/// The kinds that rows are of.
pub(super) fn kinds<'a>(rows: impl Iterator<Item = Row<'a>>) -> Vec<Kind> {
    let mut out: Vec<Kind> = Vec::new();
    for row in rows {
        let (epoch, variable) = (row.text("epoch"), row.text("variable"));
        if !out.iter().any(|kind| kind.0 == epoch && kind.1 == variable) {
            out.push((epoch.to_owned(), variable.to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_lacks_is_empty() {
        let sheet = Sheet::of("a,b\n1,x\n,\n");
        let rows: Vec<Row<'_>> = sheet.rows().collect();
        assert_eq!(rows[0].number("a"), Some(1.0));
        assert_eq!((rows[1].number("a"), rows[0].number("c")), (None, None));
        assert_eq!((rows[0].text("c"), rows[0].text("b")), ("", "x"));
        assert_eq!(
            (rows[0].session("a"), rows[0].session("b")),
            (Some(0), None)
        );
        assert!(sheet.has(&["b", "a"]) && !sheet.has(&["c"]));
    }
}
