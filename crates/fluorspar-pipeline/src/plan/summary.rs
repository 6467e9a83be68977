//! What a run says about itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Plan, Record};
use crate::config::ExperimentConfig;
use crate::{Error, disk};

/// The content of `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RunRecord {
    fluorspar: String,
    config: ExperimentConfig,
    /// The folder that relative names of the configuration start from.
    #[serde(default)]
    folder: PathBuf,
    threads: usize,
    memory: usize,
    /// Fingerprints of what tasks read beside what other tasks made.
    inputs: BTreeMap<String, String>,
    /// Tasks that are done.
    stages: BTreeMap<String, StageRecord>,
    peak_memory_bytes: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StageRecord {
    fingerprint: String,
    seconds: f64,
    #[serde(default)]
    frames: u64,
    #[serde(default)]
    threads: usize,
    #[serde(default)]
    peak_memory_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Writes `run.json` beside the plan, from the records of the tasks that are done.
pub(crate) fn write_run_record(
    plan: &Plan,
    out: &Path,
    memory: usize,
    records: &BTreeMap<String, Record>,
) -> Result<(), Error> {
    let folder = ExperimentConfig::folder(&plan.config_path(out));
    let stages = records.iter().map(|(task, record)| {
        let stage = StageRecord {
            fingerprint: record.fingerprint.clone(),
            seconds: record.seconds,
            frames: record.frames,
            threads: record.threads,
            peak_memory_bytes: record.peak_memory_bytes,
            warnings: record.warnings.clone(),
        };
        (task.clone(), stage)
    });
    let inputs = plan.tasks.iter().filter(|task| !task.inputs.is_empty());
    let record = RunRecord {
        fluorspar: env!("CARGO_PKG_VERSION").into(),
        config: plan.config.clone(),
        // Where it is from, wherever the next reader starts.
        folder: std::fs::canonicalize(&folder).unwrap_or(folder),
        threads: rayon::current_num_threads(),
        memory,
        inputs: inputs
            .map(|task| (task.id.clone(), task.input_fingerprint.clone()))
            .collect(),
        stages: stages.collect(),
        peak_memory_bytes: records
            .values()
            .filter_map(|record| record.peak_memory_bytes)
            .max(),
    };
    let path = out.join("run.json");
    let text =
        serde_json::to_string_pretty(&record).map_err(|e| Error::bad_data(&path, e.to_string()))?;
    disk::write(&path, format!("{text}\n").as_bytes())
}

/// The configuration of a run as it is in `run.json`, and the folder that
/// relative names in it start from.
pub(crate) fn recorded(path: &Path) -> Result<(ExperimentConfig, PathBuf), Error> {
    let text = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let record: RunRecord = serde_json::from_slice(&text)
        .map_err(|e| Error::bad_data(path, format!("is not the record of a run: {e}")))?;
    Ok((record.config, record.folder))
}
