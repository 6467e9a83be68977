use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Error;

/// The trials of one session: the content of `trials.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trials {
    /// Trial onset, seconds from the movie's first frame, one per trial.
    pub onset_s: Vec<f64>,
    /// Every other column, by name, one text per trial.
    pub columns: BTreeMap<String, Vec<String>>,
}

/// Rows beyond this are not a trial table.
const MOST_TRIALS: usize = 1_000_000;

impl Trials {
    /// Reads a trials table: CSV with a header, the column `onset_s` in
    /// seconds from the first frame, and one column per variable.
    ///
    /// # Errors
    /// [`Error::BadData`] naming row and column for a missing or doubled
    /// column, a time that is not a finite number or does not ascend, an
    /// empty cell, or a table without rows.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                Error::bad_data(path, "no such trials table")
            } else {
                Error::io(path, source)
            }
        })?;
        Self::parse(&bytes, path)
    }

    /// Parses the bytes of a trials table; `path` is for messages.
    ///
    /// # Errors
    /// As [`Trials::read`], without the reading.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let bad = |message: String| Error::bad_data(path, message);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let header = reader.headers().map_err(|e| bad(e.to_string()))?.clone();
        let mut seen = BTreeSet::new();
        for name in &header {
            if name.is_empty() {
                return Err(bad("the header has a column without a name".into()));
            }
            if !seen.insert(name) {
                return Err(bad(format!("the column {name:?} appears twice")));
            }
        }
        let Some(onset_column) = header.iter().position(|name| name == "onset_s") else {
            return Err(bad(format!(
                "there is no column \"onset_s\" (columns: {})",
                header.iter().collect::<Vec<_>>().join(", ")
            )));
        };
        let mut onset_s = Vec::new();
        let mut columns: BTreeMap<String, Vec<String>> = header
            .iter()
            .filter(|&name| name != "onset_s")
            .map(|name| (name.to_owned(), Vec::new()))
            .collect();
        for (index, record) in reader.records().enumerate() {
            let row = index + 2;
            if index == MOST_TRIALS {
                return Err(bad(format!("more than {MOST_TRIALS} rows")));
            }
            let record = record.map_err(|e| bad(e.to_string()))?;
            let text = record.get(onset_column).unwrap_or_default();
            let onset: f64 = text
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite() && *v >= 0.0)
                .ok_or_else(|| {
                    bad(format!(
                        "line {row}: onset_s is {text:?}, not a time in seconds from the first frame"
                    ))
                })?;
            if onset_s.last().is_some_and(|&last| onset <= last) {
                return Err(bad(format!(
                    "line {row}: onset_s = {onset} does not come after the trial before"
                )));
            }
            onset_s.push(onset);
            for (name, text) in header.iter().zip(&record) {
                if let Some(values) = columns.get_mut(name) {
                    if text.is_empty() {
                        return Err(bad(format!("line {row}: the column {name:?} is empty")));
                    }
                    values.push(text.to_owned());
                }
            }
        }
        if onset_s.is_empty() {
            return Err(bad("has a header but no trials".into()));
        }
        Ok(Self { onset_s, columns })
    }

    /// Number of trials.
    pub fn len(&self) -> usize {
        self.onset_s.len()
    }

    /// Whether there are no trials.
    pub fn is_empty(&self) -> bool {
        self.onset_s.is_empty()
    }
}

/// Labels as small integers, the same for the same text in every session.
///
/// Values that all read as integers keep their value; others are numbered in
/// alphabetical order.
///
/// # Errors
/// [`Error::BadData`] naming the table that lacks one of `variables`.
pub(crate) fn label_codes(
    sessions: &[(&Path, &Trials)],
    variables: &[String],
) -> Result<Vec<BTreeMap<String, Vec<i64>>>, Error> {
    let mut out = vec![BTreeMap::new(); sessions.len()];
    for variable in variables {
        let mut texts = BTreeSet::new();
        for (path, trials) in sessions {
            let column = trials.columns.get(variable).ok_or_else(|| {
                Error::bad_data(
                    path,
                    format!(
                        "there is no column {variable:?}, named in drift.variables (columns: {})",
                        trials
                            .columns
                            .keys()
                            .cloned()
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                )
            })?;
            texts.extend(column);
        }
        let integers: Option<BTreeMap<&String, i64>> = texts
            .iter()
            .map(|text| Some((*text, text.parse().ok()?)))
            .collect();
        let codes = integers.unwrap_or_else(|| texts.iter().copied().zip(0_i64..).collect());
        for (session, (_, trials)) in out.iter_mut().zip(sessions) {
            let labels = trials.columns[variable].iter().map(|t| codes[t]).collect();
            session.insert(variable.clone(), labels);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Trials, Error> {
        Trials::parse(text.as_bytes(), Path::new("trials.csv"))
    }

    #[test]
    fn a_table_is_read_by_name() {
        let trials = parse("odour1,onset_s\nA, 1.5\nB,12\n").unwrap();
        assert_eq!(trials.onset_s, [1.5, 12.0]);
        assert_eq!(trials.columns["odour1"], ["A", "B"]);
    }

    #[test]
    fn broken_tables_are_refused_with_their_line() {
        for (text, says) in [
            ("", "onset_s"),
            ("onset,odour1\n1,A\n", "onset_s"),
            ("onset_s,odour1\n", "no trials"),
            ("onset_s,odour1\nx,A\n", "line 2"),
            ("onset_s,odour1\nNaN,A\n", "line 2"),
            ("onset_s,odour1\n-1,A\n", "line 2"),
            ("onset_s,odour1\n5,A\n5,B\n", "line 3"),
            ("onset_s,odour1\n5,A\n6\n", "trials.csv"),
            ("onset_s,odour1\n5,\n", "odour1"),
            ("onset_s,onset_s\n5,5\n", "twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert!(error.to_string().contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn labels_agree_across_sessions() {
        let a = parse("onset_s,odour1,lick\n1,B,0\n2,A,1\n").unwrap();
        let b = parse("onset_s,odour1,lick\n1,A,1\n2,A,1\n").unwrap();
        let path = Path::new("t");
        let sessions = [(path, &a), (path, &b)];
        let codes = label_codes(&sessions, &["odour1".into(), "lick".into()]).unwrap();
        assert_eq!(codes[0]["odour1"], [1, 0]);
        assert_eq!(codes[1]["odour1"], [0, 0]);
        assert_eq!(codes[0]["lick"], [0, 1]);
        assert!(label_codes(&sessions, &["odour2".into()]).is_err());
    }
}
