//! Drift of tensors that were made elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::{Decode, Drift};
use crate::{Error, Observer, disk, figures, stage};

/// How to analyse a folder of tensors.
#[derive(Clone, Debug, Default)]
pub struct TensorOptions {
    /// Named windows in seconds from trial onset; the whole window if empty.
    pub epochs: BTreeMap<String, [f64; 2]>,
    /// Drift settings; without `variables`, all labels are followed.
    pub drift: Drift,
    /// Decoder settings.
    pub decode: Decode,
    /// Seed of every random draw.
    pub seed: u64,
}

/// Analyses a folder with one `session-NN.npz` per session and writes
/// `metrics.csv`, `crystallization.csv`, `rates.csv` and `report.html` into
/// `out`. Returns the path of the report.
///
/// Each file holds `activity (trial, cell, time)` f32, `cell (cell)` i64
/// identities shared by all sessions, `time_s (time)` f64 seconds from trial
/// onset, `day` f64, any `label_NAME (trial)` i64 and optionally
/// `p_same (cell)` f32.
///
/// # Errors
/// [`Error::BadData`] naming file and array for malformed input,
/// [`Error::Io`] if `out` cannot be written.
pub fn drift_of_tensors(
    folder: &Path,
    out: &Path,
    options: &TensorOptions,
    observer: &dyn Observer,
) -> Result<PathBuf, Error> {
    let sessions = stage::load_tensors(folder)?;
    let mut epochs = options.epochs.clone();
    if epochs.is_empty() {
        let times = || sessions.iter().flat_map(|session| session.time_s.iter());
        let first = times().copied().fold(f64::INFINITY, f64::min);
        let last = times().copied().fold(f64::NEG_INFINITY, f64::max);
        if !(first.is_finite() && last.is_finite()) {
            return Err(Error::bad_data(folder, "the sessions have no time bins"));
        }
        // A window excludes its end: reach one bin beyond the last.
        let bins = sessions.iter().map(|s| s.time_s.len()).max().unwrap_or(1);
        let margin = ((last - first) / bins as f64).max(1e-9);
        epochs.insert("whole".into(), [first, last + margin]);
    }
    let variables = if options.drift.variables.is_empty() {
        sessions
            .first()
            .map(|session| session.labels.keys().cloned().collect())
            .unwrap_or_default()
    } else {
        options.drift.variables.clone()
    };
    disk::check_writable(out)?;
    let begun = std::time::Instant::now();
    observer.start("drift", 0);
    let tables = stage::analyse(
        &sessions,
        &epochs,
        variables,
        &options.drift,
        &options.decode,
        options.seed,
        observer,
    )?;
    stage::write_tables(out, &tables)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let page = figures::drift_report(&name, out, &tables.days)?;
    let report = out.join("report.html");
    disk::write(&report, page.as_bytes())?;
    observer.finish("drift", begun.elapsed().as_secs_f64());
    Ok(report)
}
