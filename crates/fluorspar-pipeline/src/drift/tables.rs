//! The tables of a drift analysis, on disk.

use std::path::{Path, PathBuf};

use fluorspar_drift::Drift;

use crate::{Error, disk};

/// Writes all tables; returns their paths.
pub(crate) fn write_tables(
    folder: &Path,
    drift: &Drift,
    _format: &str,
) -> Result<Vec<PathBuf>, Error> {
    disk::create_folder(folder)?;
    let mut paths = Vec::new();
    for (name, text) in [
        ("rates.csv", drift.rates_csv()),
        ("confounds.csv", drift.confounds_csv()),
        ("metrics.csv", drift.metrics_csv()),
        ("crystallization.csv", drift.crystallization_csv()),
    ] {
        let path = folder.join(name);
        disk::write(&path, text.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}
