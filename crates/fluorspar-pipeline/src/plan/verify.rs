//! Whether a run's files are what they were when they were finished.

use std::path::Path;

use serde::Serialize;

use super::record::all_records;
use crate::seal::{Seal, path_below};
use crate::{Error, Observer};

/// One artefact of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Relative to the run's folder.
    pub path: String,
    /// The task that made it.
    pub task: String,
    /// Bytes when it was finished.
    pub bytes: u64,
    /// What is wrong with it; `None` if it is as it was.
    pub problem: Option<String>,
}

/// Reads every artefact of the run in the folder `out` and compares size and
/// BLAKE3 digest with what was recorded when it was finished. The registered
/// movie of a finished session may be gone.
///
/// # Errors
/// [`Error::BadData`] for a folder without a run, or a record that cannot be
/// read; [`Error::Io`] if a file cannot be read.
pub fn verify(out: &Path, observer: &dyn Observer) -> Result<Vec<Verified>, Error> {
    let records = all_records(out)?;
    if records.is_empty() {
        return Err(Error::bad_data(
            out,
            "holds no records of a run; give the folder that `fluorspar run` wrote to",
        ));
    }
    let total: usize = records.iter().map(|record| record.outputs.len()).sum();
    observer.start("verifying", total as u64);
    let mut all = Vec::new();
    for record in records {
        for (name, seal) in &record.outputs {
            let path = path_below(out, name);
            let gone = name.ends_with("/registered.zarr") && !path.exists();
            let problem = match seal.difference(&path)? {
                Some(_) if gone => None,
                Some(difference) => Some(difference),
                None => {
                    let now = Seal::of(&path)?;
                    (now != *seal).then(|| "has other content".to_owned())
                }
            };
            all.push(Verified {
                path: name.clone(),
                task: record.task.clone(),
                bytes: seal.bytes,
                problem,
            });
            observer.advance(1);
        }
    }
    Ok(all)
}
