//! The tables of a drift analysis, on disk.

use std::path::{Path, PathBuf};

use fluorspar_drift::Drift;

use crate::{Error, disk};

/// Writes all tables as CSV, as Parquet, or both; returns their paths. The
/// report is drawn from CSV: what is to be drawn later is written first.
pub(crate) fn write_tables(
    folder: &Path,
    drift: &Drift,
    format: &str,
) -> Result<Vec<PathBuf>, Error> {
    disk::create_folder(folder)?;
    // `metrics` and `crystallization` tell a resumed run that all is there: they come last.
    let mut all = drift.tables();
    all.sort_by_key(|table| matches!(table.name, "metrics" | "crystallization"));
    let mut paths = Vec::new();
    for table in all {
        if format != "csv" {
            let path = folder.join(format!("{}.parquet", table.name));
            disk::write(&path, &super::parquet::bytes(&table).at(path.display())?)?;
            paths.push(path);
        }
        let path = folder.join(format!("{}.csv", table.name));
        disk::write(&path, table.csv().as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}
