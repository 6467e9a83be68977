//! Which ROI is which cell, as other programs say.

mod hdf5;
mod table;

use std::path::Path;

use ndarray::Array2;

use super::Session;
use crate::Error;
use crate::numpy::{Array, read_file, read_npy};

/// Most entries of a table of cells and sessions.
const MOST_ENTRIES: usize = 1 << 28;

/// Which ROI is which cell, whoever says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Identities {
    /// ROI of each cell in each session `(cell, session)`, −1 where none.
    pub roi_index: Array2<i32>,
    /// How ROIs are counted.
    pub counted: Counted,
}

/// How ROIs of a session are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// Among all ROIs.
    All,
    /// Among the ROIs that count as cells.
    Cells,
    /// Among so many ROIs in each session.
    Among(Vec<usize>),
}

/// Reads the result of CellReg (`cellRegistered….mat`), ROICaT
/// (`….results_clusters.json` or any JSON with `labels_bySession`), Track2p
/// (its folder, or a `plane0_suite2p_indices.npy` or `plane0_match_mat.npy`
/// of it), or a CSV table with the columns `cell`, `session` and `roi`, each
/// counted from 0.
///
/// # Errors
/// [`Error::BadData`] naming the file and what is wrong with it.
pub fn read_identities(path: &Path) -> Result<Identities, Error> {
    if !path.exists() {
        return Err(Error::bad_data(path, "no such file"));
    }
    if path.is_dir() {
        for name in [
            "tracks.csv",
            "plane0_suite2p_indices.npy",
            "plane0_match_mat.npy",
        ] {
            for folder in [path.to_path_buf(), path.join("track2p")] {
                if folder.join(name).is_file() {
                    return read_identities(&folder.join(name));
                }
            }
        }
        let message = "holds neither tracks.csv nor results of Track2p";
        return Err(Error::bad_data(path, message));
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let bad = |reason: String| Error::bad_data(path, reason);
    match extension.as_deref() {
        Some("mat" | "h5" | "hdf5") => hdf5::cellreg(read_file(path)?).map_err(bad),
        Some("json") => table::roicat(&read_file(path)?).map_err(bad),
        Some("npy") => {
            let Array::Numbers(matrix) = read_npy(path, &[])? else {
                return Err(bad("is not a table of ROIs".into()));
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let counted = if name.contains("match_mat") {
                Counted::Cells
            } else {
                Counted::All
            };
            table::track2p(&matrix, counted).map_err(bad)
        }
        Some("csv") => table::csv(&read_file(path)?).map_err(bad),
        _ => Err(bad(
            "is not known: give .mat of CellReg, .json of ROICaT (not its .richfile), .npy of \
             Track2p, or .csv with the columns cell, session and roi"
                .into(),
        )),
    }
}

impl Identities {
    /// The same identities with ROIs counted among all of each session.
    pub(crate) fn among_all(mut self, sessions: &[Session]) -> Result<Self, String> {
        if self.roi_index.ncols() != sessions.len() {
            return Err(format!(
                "is of {} sessions, but {} are given",
                self.roi_index.ncols(),
                sessions.len()
            ));
        }
        for (index, session) in sessions.iter().enumerate() {
            let followed = session.numbers.len();
            let cells = match &self.counted {
                Counted::All => false,
                Counted::Cells => true,
                Counted::Among(counts) => {
                    let count = counts.get(index).copied().unwrap_or(0);
                    if count != session.all && count != followed {
                        return Err(format!(
                            "knows {count} ROIs of {}, which has {} ({followed} count as cells)",
                            session.path.display(),
                            session.all
                        ));
                    }
                    count != session.all
                }
            };
            let most = if cells { followed } else { session.all };
            for roi in self.roi_index.column_mut(index) {
                if *roi >= 0 && *roi as usize >= most {
                    return Err(format!(
                        "names ROI {roi} of {}, which has {most} ({} {})",
                        session.path.display(),
                        if cells { "cells" } else { "ROIs" },
                        "counted from 0"
                    ));
                }
                if cells && *roi >= 0 {
                    *roi = session.numbers[*roi as usize] as i32;
                }
            }
        }
        self.counted = Counted::All;
        Ok(self)
    }
}

/// The table of cells and sessions from its entries `(cell, session, roi)`;
/// cells are in the order of their numbers.
fn assemble(
    mut entries: Vec<(i64, usize, i32)>,
    sessions: usize,
    counted: Counted,
) -> Result<Identities, String> {
    entries.sort_unstable();
    entries.dedup();
    let mut cells = 0_usize;
    let mut last = None;
    for &(cell, ..) in &entries {
        cells += usize::from(last != Some(cell));
        last = Some(cell);
    }
    if cells.checked_mul(sessions).is_none_or(|n| n > MOST_ENTRIES) {
        return Err(format!("{cells} cells in {sessions} sessions are too many"));
    }
    let mut roi_index = Array2::from_elem((cells, sessions), -1);
    let mut row = 0_usize;
    let mut taken = std::collections::HashMap::new();
    last = None;
    for (cell, session, roi) in entries {
        row += usize::from(last.is_some_and(|last| last != cell));
        last = Some(cell);
        if roi < 0 {
            continue;
        }
        if roi_index[[row, session]] >= 0 {
            return Err(format!("gives cell {cell} two ROIs in session {session}"));
        }
        if let Some(other) = taken.insert((session, roi), cell) {
            return Err(format!(
                "gives ROI {roi} of session {session} to the cells {other} and {cell}"
            ));
        }
        roi_index[[row, session]] = roi;
    }
    Ok(Identities { roi_index, counted })
}

#[cfg(test)]
mod tests;
