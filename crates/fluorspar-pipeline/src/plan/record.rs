//! What is known of tasks that are done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Task;
use crate::seal::Seal;
use crate::{Error, disk};

/// The folder of records, below that of the plan.
const FOLDER: &str = ".tasks";

/// A task that is done: what it depended on and what it made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) task: String,
    pub(crate) fingerprint: String,
    /// The version that did it.
    pub(crate) fluorspar: String,
    pub(crate) input_fingerprint: String,
    pub(crate) settings: serde_json::Value,
    /// What it made, by name below the folder of the plan.
    pub(crate) outputs: BTreeMap<String, Seal>,
    pub(crate) frames: u64,
    pub(crate) seconds: f64,
    pub(crate) threads: usize,
    /// Most memory that it held, where the system says.
    pub(crate) peak_memory_bytes: Option<u64>,
    /// What there was to say.
    pub(crate) warnings: Vec<String>,
}

/// Where the record of a task lies.
pub(crate) fn path_of(out: &Path, id: &str) -> PathBuf {
    out.join(FOLDER).join(format!("{id}.json"))
}

impl Record {
    /// The record of a task, if there is one. One that cannot be read counts
    /// as none.
    pub(crate) fn read(out: &Path, id: &str) -> Result<Option<Self>, Error> {
        let path = path_of(out, id);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&path, e)),
        }
    }

    pub(crate) fn write(&self, out: &Path) -> Result<(), Error> {
        let path = path_of(out, &self.task);
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::bad_data(&path, e.to_string()))?;
        if let Some(folder) = path.parent() {
            disk::create_folder(folder)?;
        }
        disk::write(&path, format!("{text}\n").as_bytes())
    }

    /// Takes the record of a task away: its outputs are about to change.
    pub(crate) fn remove(out: &Path, id: &str) -> Result<(), Error> {
        let path = path_of(out, id);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&path, e)),
            _ => Ok(()),
        }
    }
}

/// All records of the tasks, by name.
pub(crate) fn records(out: &Path, tasks: &[Task]) -> Result<BTreeMap<String, Record>, Error> {
    let mut records = BTreeMap::new();
    for task in tasks {
        if let Some(record) = Record::read(out, &task.id)? {
            records.insert(task.id.clone(), record);
        }
    }
    Ok(records)
}

/// All records in a folder, whatever plan they are of.
pub(crate) fn all_records(out: &Path) -> Result<Vec<Record>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![out.join(FOLDER)];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))? {
            let path = entry.map_err(|e| Error::io(&folder, e))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
                let record = serde_json::from_slice(&bytes).map_err(|e| {
                    Error::bad_data(&path, format!("is not the record of a task: {e}"))
                })?;
                found.push(record);
            }
        }
    }
    found.sort_by(|a: &Record, b| a.task.cmp(&b.task));
    Ok(found)
}
