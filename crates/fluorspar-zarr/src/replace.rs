//! Folders that appear whole or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::Error;

/// A folder being filled beside its final place.
#[derive(Debug)]
pub(crate) struct Replacement {
    target: PathBuf,
    partial: PathBuf,
    done: bool,
}

impl Replacement {
    /// Starts an empty temporary sibling of `target`; sweeps what an
    /// interrupted attempt left there.
    pub(crate) fn begin(target: &Path) -> Result<Self, Error> {
        let name = target
            .file_name()
            .ok_or_else(|| Error::misuse(target, "is not the name of a folder"))?
            .to_string_lossy()
            .into_owned();
        let partial = target.with_file_name(format!(".partial-{name}"));
        remove(&partial)?;
        // An earlier attempt stopped between its two renames: bring the old content back.
        let old = target.with_file_name(format!(".replaced-{name}"));
        if old.exists() && !target.exists() {
            fs::rename(&old, target).map_err(|e| Error::io(target, e))?;
        }
        fs::create_dir(&partial).map_err(|e| Error::io(&partial, e))?;
        Ok(Self {
            target: target.to_path_buf(),
            partial,
            done: false,
        })
    }

    /// The folder to fill.
    pub(crate) fn folder(&self) -> &Path {
        &self.partial
    }

    /// The folder's final place.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Flushes all files and moves the folder to its place.
    pub(crate) fn commit(mut self) -> Result<(), Error> {
        flush(&self.partial)?;
        let name = self
            .target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let old = self.target.with_file_name(format!(".replaced-{name}"));
        let io = |e| Error::io(&self.target, e);
        if self.target.symlink_metadata().is_ok() {
            remove(&old)?;
            fs::rename(&self.target, &old).map_err(io)?;
        }
        if let Err(error) = fs::rename(&self.partial, &self.target) {
            // Put back what was there: nothing is lost by a failed commit.
            let _ = fs::rename(&old, &self.target);
            return Err(io(error));
        }
        self.done = true;
        remove(&old)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// Removes a folder or file if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    let result = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    result.map_err(|e| Error::io(path, e))
}

fn flush(folder: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if path.is_dir() {
            flush(&path)?;
        } else {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|e| Error::io(&path, e))?;
        }
    }
    Ok(())
}
