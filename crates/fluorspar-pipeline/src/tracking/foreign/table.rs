//! Tables of text and of NumPy.

use serde::Deserialize;

use super::{Counted, Identities, MOST_ENTRIES, assemble};
use crate::numpy::Numbers;

/// Most sessions that a table may name.
const MOST_SESSIONS: usize = 1 << 16;

/// The part of ROICaT's results that says which ROI is which cell.
#[derive(Deserialize)]
struct Roicat {
    #[serde(alias = "labels_by_session")]
    #[serde(rename = "labels_bySession")]
    labels: Option<Vec<Vec<f64>>>,
    clusters: Option<Box<Roicat>>,
}

/// ROICaT: a label for each ROI of each session, −1 where it is no cell.
pub(super) fn roicat(bytes: &[u8]) -> Result<Identities, String> {
    let read: Roicat = serde_json::from_slice(&strict(bytes))
        .map_err(|error| format!("is not JSON of ROICaT: {error}"))?;
    let labels = read.labels.or_else(|| read.clusters?.labels);
    let labels = labels.ok_or("holds no labels_bySession of ROICaT")?;
    let mut entries = Vec::new();
    for (session, labels) in labels.iter().enumerate() {
        for (roi, &label) in labels.iter().enumerate() {
            if label.fract() != 0.0 || label.abs() > 1e15 {
                return Err(format!("labels_bySession holds {label}, not a label"));
            }
            if label >= 0.0 {
                let roi = i32::try_from(roi).map_err(|_| "holds too many ROIs")?;
                entries.push((label as i64, session, roi));
            }
        }
    }
    let counted = Counted::Among(labels.iter().map(Vec::len).collect());
    assemble(entries, labels.len(), counted)
}

/// JSON without what Python writes for numbers that are none: `NaN` and
/// `Infinity`, which JSON does not know, become `null`. Text stays as it is.
fn strict(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut at, mut in_text) = (0, false);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word = [&b"NaN"[..], b"Infinity", b"-Infinity"]
            .into_iter()
            .find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            out.extend_from_slice(b"null");
            at += word.len();
            continue;
        }
        if in_text && rest[0] == b'\\' {
            out.extend_from_slice(&rest[..rest.len().min(2)]);
            at += 2;
            continue;
        }
        in_text ^= rest[0] == b'"';
        out.push(rest[0]);
        at += 1;
    }
    out
}

/// Track2p: a table `(cell, session)` of ROIs, gaps where none.
pub(super) fn track2p(matrix: &Numbers, counted: Counted) -> Result<Identities, String> {
    let &[_, sessions] = matrix.shape.as_slice() else {
        return Err(format!(
            "is of {:?} values, not cells by sessions",
            matrix.shape
        ));
    };
    if sessions > MOST_SESSIONS || matrix.values.len() > MOST_ENTRIES {
        return Err(format!("{sessions} sessions are too many"));
    }
    let mut entries = Vec::new();
    for (at, &value) in matrix.values.iter().enumerate() {
        let roi = if value.is_nan() { -1.0 } else { value };
        if !(roi >= -1.0 && roi.fract() == 0.0 && roi <= f64::from(i32::MAX)) {
            return Err(format!("holds {roi}, not a ROI counted from 0"));
        }
        entries.push(((at / sessions) as i64, at % sessions, roi as i32));
    }
    assemble(entries, sessions, counted)
}

/// One row of a table; a row without a ROI says that the session exists.
#[derive(Deserialize)]
struct Row {
    cell: i64,
    session: usize,
    roi: Option<i64>,
}

/// A table with the columns `cell`, `session` and `roi`, in any order and
/// beside others. A ROI that is empty or negative is none.
pub(super) fn csv(bytes: &[u8]) -> Result<Identities, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = reader.headers().map_err(|error| error.to_string())?;
    for wanted in ["cell", "session", "roi"] {
        if !header.iter().any(|name| name == wanted) {
            return Err(format!("has no column {wanted:?}"));
        }
    }
    let (mut entries, mut sessions) = (Vec::new(), 0);
    for row in reader.deserialize::<Row>() {
        let row = row.map_err(|error| error.to_string())?;
        if row.session >= MOST_SESSIONS {
            return Err(format!(
                "names session {}; sessions are counted from 0",
                row.session
            ));
        }
        sessions = sessions.max(row.session + 1);
        let roi = row.roi.unwrap_or(-1).max(-1);
        let roi = i32::try_from(roi).map_err(|_| format!("names ROI {roi}"))?;
        entries.push((row.cell, row.session, roi));
    }
    assemble(entries, sessions, Counted::All)
}
