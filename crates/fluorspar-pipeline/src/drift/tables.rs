//! The tables of a drift analysis, on disk.

use std::path::{Path, PathBuf};

use fluorspar_drift::{Drift, Table};

use crate::{Error, disk};

#[cfg(feature = "parquet")]
fn parquet(table: &Table, path: &Path) -> Result<Vec<u8>, Error> {
    use crate::error::Context;
    super::parquet::bytes(table).at(path.display())
}

#[cfg(not(feature = "parquet"))]
fn parquet(_: &Table, path: &Path) -> Result<Vec<u8>, Error> {
    Err(Error::Usage(format!(
        "{}: this program was built without Parquet; ask for drift.tables = \"csv\"",
        path.display()
    )))
}

/// Writes all tables as CSV, and as Parquet beside it if `format` is
/// `"both"`; returns their paths. The report is drawn from CSV.
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
        if format == "both" {
            let path = folder.join(format!("{}.parquet", table.name));
            disk::write(&path, &parquet(&table, &path)?)?;
            paths.push(path);
        }
        let path = folder.join(format!("{}.csv", table.name));
        disk::write(&path, table.csv().as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}
