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

/// The column that trials are aligned on, unless another is named.
pub(crate) const ONSET: &str = "onset_s";
/// Rows beyond this are not a trial table.
const MOST_TRIALS: usize = 1_000_000;
/// A column with more values than this is not taken for labels unless it is named.
const MOST_LABELS: usize = 20;
/// With fewer trials than this every value may be another.
const FEW_TRIALS: usize = 6;

impl Trials {
    /// Reads a trials table: CSV with a header, the column `onset_s` in
    /// seconds from the first frame, and one column per variable.
    ///
    /// # Errors
    /// [`Error::BadData`] naming row and column for a missing or doubled
    /// column, a time that is not a finite number or does not ascend, or a
    /// table without rows.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_with(path, ONSET)
    }

    /// Reads a trials table whose trials are aligned on the column `onset`.
    pub(crate) fn read_with(path: &Path, onset: &str) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                Error::bad_data(path, "no such trials table")
            } else {
                Error::io(path, source)
            }
        })?;
        Self::parse_with(&bytes, path, onset)
    }

    /// Parses the bytes of a trials table; `path` is for messages.
    ///
    /// # Errors
    /// As [`Trials::read`], without the reading.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        Self::parse_with(bytes, path, ONSET)
    }

    fn parse_with(bytes: &[u8], path: &Path, onset: &str) -> Result<Self, Error> {
        let bad = |message: String| Error::bad_data(path, message);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let header = reader.headers().map_err(|e| bad(e.to_string()))?.clone();
        let mut columns: Vec<(String, Vec<String>)> = header
            .iter()
            .map(|name| (name.to_owned(), Vec::new()))
            .collect();
        for (index, record) in reader.records().enumerate() {
            if index == MOST_TRIALS {
                return Err(bad(format!("more than {MOST_TRIALS} rows")));
            }
            let record = record.map_err(|e| bad(e.to_string()))?;
            for ((_, values), text) in columns.iter_mut().zip(&record) {
                values.push(text.to_owned());
            }
        }
        Self::from_columns(columns, onset, &|trial| format!("line {}", trial + 2)).map_err(bad)
    }

    /// A table from its columns, all as long; `place` names a row for messages.
    pub(crate) fn from_columns(
        columns: Vec<(String, Vec<String>)>,
        onset: &str,
        place: &dyn Fn(usize) -> String,
    ) -> Result<Self, String> {
        let mut table = BTreeMap::new();
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        for (name, values) in columns {
            if name.is_empty() {
                return Err("the header has a column without a name".into());
            }
            if table.contains_key(&name) {
                return Err(format!("the column {name:?} appears twice"));
            }
            table.insert(name, values);
        }
        let Some(texts) = table.remove(onset) else {
            return Err(format!("there is no column {onset:?} (columns: {names})"));
        };
        let mut onset_s: Vec<f64> = Vec::new();
        for (trial, text) in texts.iter().enumerate() {
            let time = text.parse().ok();
            let time = time
                .filter(|v: &f64| v.is_finite() && *v >= 0.0)
                .ok_or_else(|| {
                    format!(
                        "{}: {onset} is {text:?}, not a time in seconds from the first frame",
                        place(trial)
                    )
                })?;
            if onset_s.last().is_some_and(|&last| time <= last) {
                return Err(format!(
                    "{}: {onset} = {time} does not come after the trial before",
                    place(trial)
                ));
            }
            onset_s.push(time);
        }
        if onset_s.is_empty() {
            return Err("has a header but no trials".into());
        }
        Ok(Self {
            onset_s,
            columns: table,
        })
    }

    /// Without the trials that have one of these values in a column; and
    /// which are left.
    pub(crate) fn without(
        mut self,
        exclude: &BTreeMap<String, Vec<String>>,
        path: &Path,
    ) -> Result<(Self, Vec<usize>), Error> {
        let mut keep = vec![true; self.len()];
        for (name, values) in exclude {
            let column = self.column(name, "trials.exclude", path)?;
            for (keep, text) in keep.iter_mut().zip(column) {
                *keep &= !values.contains(text);
            }
        }
        let left: Vec<usize> = (0..keep.len()).filter(|&trial| keep[trial]).collect();
        if left.is_empty() {
            let message = format!("trials.exclude leaves none of {} trials", keep.len());
            return Err(Error::bad_data(path, message));
        }
        self.onset_s = left.iter().map(|&trial| self.onset_s[trial]).collect();
        for values in self.columns.values_mut() {
            *values = left.iter().map(|&trial| values[trial].clone()).collect();
        }
        Ok((self, left))
    }

    /// The texts of a column that `key` of the configuration names.
    fn column(&self, name: &str, key: &str, path: &Path) -> Result<&[String], Error> {
        self.columns.get(name).map(Vec::as_slice).ok_or_else(|| {
            let known: Vec<&str> = self.columns.keys().map(String::as_str).collect();
            let known = known.join(", ");
            Error::bad_data(
                path,
                format!("there is no column {name:?}, named in {key} (columns: {known})"),
            )
        })
    }

    /// A column as numbers; what is empty or says that there is none is NaN.
    pub(crate) fn numbers(&self, name: &str, key: &str, path: &Path) -> Result<Vec<f64>, Error> {
        let column = self.column(name, key, path)?;
        let number = |(trial, text): (usize, &String)| match text.to_lowercase().as_str() {
            "" | "nan" | "na" | "none" | "null" => Ok(f64::NAN),
            "true" => Ok(1.0),
            "false" => Ok(0.0),
            other => other.parse().map_err(|_| {
                let message = format!(
                    "trial {}: {name} is {text:?}, not a number ({key} asks for numbers)",
                    trial + 1
                );
                Error::bad_data(path, message)
            }),
        };
        column.iter().enumerate().map(number).collect()
    }

    /// Whether a column can be a label: nothing is empty, values are few and
    /// come back, and they are no measurements.
    pub(crate) fn is_label(&self, name: &str) -> bool {
        let Some(column) = self.columns.get(name) else {
            return false;
        };
        let values: BTreeSet<&String> = column.iter().collect();
        let measured = |text: &&String| {
            text.parse::<f64>().is_ok() && text.parse::<i64>().is_err() && !text.ends_with(".0")
        };
        // In a handful of trials nothing can be expected to come back.
        let few = values.len() <= MOST_LABELS
            && (values.len() * 2 <= column.len() || column.len() < FEW_TRIALS);
        few && values.iter().all(|text| !text.is_empty()) && !values.iter().any(measured)
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
/// [`Error::BadData`] naming the table that lacks one of `variables`, or a
/// trial without a value.
pub(crate) fn label_codes(
    sessions: &[(&Path, &Trials)],
    variables: &[String],
) -> Result<Vec<BTreeMap<String, Vec<i64>>>, Error> {
    let mut out = vec![BTreeMap::new(); sessions.len()];
    for variable in variables {
        let mut texts = BTreeSet::new();
        for (path, trials) in sessions {
            let column = trials.column(variable, "drift.variables", path)?;
            if let Some(trial) = column.iter().position(String::is_empty) {
                let trial = trial + 1;
                let message = format!("trial {trial}: the column {variable:?} is empty");
                return Err(Error::bad_data(path, message));
            }
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

    #[test]
    fn trials_are_left_out_by_what_they_say() {
        let path = Path::new("trials.csv");
        let table = parse("onset_s,laser,speed\n1,on,3\n2,off,\n3,off,1.5\n").unwrap();
        let exclude = |value: &str| BTreeMap::from([("laser".to_owned(), vec![value.to_owned()])]);
        let (kept, left) = table.clone().without(&exclude("on"), path).unwrap();
        assert_eq!((kept.onset_s, left), (vec![2.0, 3.0], vec![1, 2]));
        let (kept, _) = table.clone().without(&exclude("on"), path).unwrap();
        let speed = kept.numbers("speed", "drift.behaviour", path).unwrap();
        assert!(speed[0].is_nan() && speed[1] == 1.5);
        assert!(kept.is_label("laser") && !kept.is_label("speed"));
        let error = kept.numbers("laser", "drift.behaviour", path).unwrap_err();
        assert!(error.to_string().contains("trial 1"), "{error}");
        let all = BTreeMap::from([("laser".to_owned(), vec!["on".to_owned(), "off".into()])]);
        assert_eq!(
            table.clone().without(&all, path).unwrap_err().exit_code(),
            3
        );
        let unknown = BTreeMap::from([("lazer".to_owned(), vec![])]);
        assert!(table.without(&unknown, path).is_err());
        let gap = parse("onset_s,odour1\n5,\n").unwrap();
        let error = label_codes(&[(path, &gap)], &["odour1".into()]).unwrap_err();
        assert!(error.to_string().contains("odour1"), "{error}");
    }
}
