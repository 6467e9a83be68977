//! What a page of a drift analysis shows besides its tables: the course of a
//! trial, performance, and the activity of cells.

use std::path::Path;

use fluorspar_drift::confounds::{Outcomes, sensitivity};
use fluorspar_drift::{Column, Epoch, Session, Table, Values};

use super::maps::{self, Maps};
use crate::{Error, disk};

/// What is written beside the tables for the report.
#[derive(Clone, Debug)]
pub(crate) struct Companions {
    tables: Vec<Table>,
    maps: Option<Maps>,
}

impl Companions {
    /// The epochs, performance (if the trials are labelled `correct`), and maps.
    pub(crate) fn of(sessions: &[Session], epochs: &[Epoch]) -> Self {
        let tables = [Some(epochs_table(epochs)), learning_table(sessions)];
        Self {
            tables: tables.into_iter().flatten().collect(),
            maps: Maps::of(sessions),
        }
    }

    /// Writes `epochs.csv`, `learning.csv`, `activity_maps.npy` and its `.csv`
    /// into a drift folder.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        disk::create_folder(folder)?;
        for table in &self.tables {
            let path = folder.join(format!("{}.csv", table.name));
            disk::write(&path, table.csv().as_bytes())?;
        }
        match &self.maps {
            Some(maps) => maps.write(&folder.join(maps::FILE)),
            None => Ok(()),
        }
    }
}

fn column(name: &'static str, values: Vec<f64>) -> Column {
    Column {
        name,
        values: Values::Number(values),
    }
}

fn epochs_table(epochs: &[Epoch]) -> Table {
    let names = epochs.iter().map(|epoch| epoch.name.clone()).collect();
    Table {
        name: "epochs",
        columns: vec![
            Column {
                name: "epoch",
                values: Values::Text(names),
            },
            column(
                "start_s",
                epochs.iter().map(|epoch| epoch.start_s).collect(),
            ),
            column("stop_s", epochs.iter().map(|epoch| epoch.stop_s).collect()),
        ],
    }
}

/// Accuracy per session from the label `correct`, and d′ if `lick` is labelled
/// too: a correct lick is a hit, a wrong one a false alarm.
fn learning_table(sessions: &[Session]) -> Option<Table> {
    let mut learning: [Vec<f64>; 6] = Default::default();
    for (index, session) in sessions.iter().enumerate() {
        let correct = session.labels.get("correct")?;
        let n = correct.len() as f64;
        let right = correct.iter().filter(|&&label| label == 1).count() as f64;
        if correct.iter().any(|label| !matches!(label, 0 | 1)) {
            return None;
        }
        let (low, high) = wilson(right, n);
        let d_prime = session
            .labels
            .get("lick")
            .map_or(f64::NAN, |lick| d_prime(correct, lick));
        let row = [index as f64 + 1.0, n, right / n, low, high, d_prime];
        for (column, value) in learning.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let names = ["session", "n_trials", "accuracy", "lo", "hi", "d_prime"];
    (!sessions.is_empty()).then(|| Table {
        name: "learning",
        columns: names
            .into_iter()
            .zip(learning)
            .map(|(name, values)| column(name, values))
            .collect(),
    })
}

fn d_prime(correct: &[i64], lick: &[i64]) -> f64 {
    let count = |right: i64, licked: i64| {
        let both = correct.iter().zip(lick);
        both.filter(|&(&c, &l)| c == right && i64::from(l != 0) == licked)
            .count()
    };
    sensitivity(Outcomes {
        hits: count(1, 1),
        misses: count(0, 0),
        false_alarms: count(0, 1),
        correct_rejections: count(1, 0),
    })
}

/// The 95 % interval of a share (Wilson 1927, J Am Stat Assoc 22:209).
pub(super) fn wilson(right: f64, n: f64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    let (p, zz) = (right / n, Z * Z);
    let middle = (p + zz / (2.0 * n)) / (1.0 + zz / n);
    let half = Z / (1.0 + zz / n) * (p * (1.0 - p) / n + zz / (4.0 * n * n)).sqrt();
    (middle - half, middle + half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_interval_of_a_share() {
        // Newcombe 1998, Stat Med 17:857: 81 of 263.
        let (low, high) = wilson(81.0, 263.0);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5);
        assert!(wilson(0.0, 0.0).0.is_nan());
    }

    #[test]
    fn learning_needs_the_label() {
        let labelled = |correct: Vec<i64>| Session {
            labels: BTreeMap::from([
                ("correct".to_owned(), correct),
                ("lick".to_owned(), vec![1, 0, 1, 0]),
            ]),
            ..Session::default()
        };
        let table = learning_table(&[labelled(vec![1, 1, 0, 1])]).unwrap();
        assert!(
            table
                .csv()
                .starts_with("session,n_trials,accuracy,lo,hi,d_prime\n1,4,0.75,")
        );
        assert!(learning_table(&[labelled(vec![1, 2, 0, 1])]).is_none());
        assert!(learning_table(&[Session::default()]).is_none());
        assert!(learning_table(&[]).is_none());
    }
}
