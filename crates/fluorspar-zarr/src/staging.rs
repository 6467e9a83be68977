//! A folder that appears under its name whole or not at all.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::array::UNFINISHED;
use crate::metadata::is_zarr_or_empty;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Keeps other writers out of a shared folder, or in company.
const LOCK: &str = ".lock";

/// A temporary sibling of `target`, renamed onto it by [`Staging::commit`].
///
/// A private one has a name of its own and is removed if dropped before; a
/// shared one has a name that others find, and stays for them.
#[derive(Debug)]
pub(crate) struct Staging {
    target: PathBuf,
    folder: PathBuf,
    /// The open lock file of a shared folder.
    lock: Option<File>,
    keep: bool,
}

impl Staging {
    /// Creates a private folder beside `target`.
    pub(crate) fn create(target: &Path) -> Result<Self, Error> {
        check_target(target)?;
        let folder = create_unique(target, "partial")?;
        Ok(Self {
            target: target.to_path_buf(),
            folder,
            lock: None,
            keep: false,
        })
    }

    /// Creates the shared folder, or empties it if nobody is at work there.
    pub(crate) fn create_shared(target: &Path) -> Result<Self, Error> {
        check_target(target)?;
        let folder = shared_name(target);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io(target, error));
            }
            _ => {}
        }
        let lock = lock_file(&folder)?;
        only_one(&lock, &folder)?;
        for entry in fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))? {
            let path = entry.map_err(|e| Error::io(&folder, e))?.path();
            if path.file_name() != Some(LOCK.as_ref()) {
                remove(&path)?;
            }
        }
        Self::join(target, folder, lock)
    }

    /// The shared folder as others have left it; `None` if there is none.
    pub(crate) fn resume_shared(target: &Path) -> Result<Option<Self>, Error> {
        check_target(target)?;
        let folder = shared_name(target);
        if !folder.is_dir() {
            return Ok(None);
        }
        let lock = lock_file(&folder)?;
        Self::join(target, folder, lock).map(Some)
    }

    fn join(target: &Path, folder: PathBuf, lock: File) -> Result<Self, Error> {
        let _ = lock.unlock();
        // Where the file system knows no locks, nobody is kept out.
        if let Err(TryLockError::WouldBlock) = lock.try_lock_shared() {
            return Err(Error::Busy { path: folder });
        }
        Ok(Self {
            target: target.to_path_buf(),
            folder,
            lock: Some(lock),
            keep: true,
        })
    }

    /// Makes sure that no other writer is at work in the shared folder, and
    /// takes away what broken-off ones have left.
    pub(crate) fn close_shared(&self) -> Result<(), Error> {
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
            only_one(lock, &self.folder)?;
            sweep(&self.folder)?;
        }
        Ok(())
    }

    /// Removes the folder.
    pub(crate) fn discard(mut self) -> Result<(), Error> {
        if self.lock.is_some() {
            self.close_shared()?;
        }
        self.keep = true; // the drop has nothing left to do
        remove(&self.folder)
    }

    /// The temporary folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the folder will appear.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Makes everything durable and puts the folder in place of the target.
    ///
    /// An existing target is first renamed aside and deleted last; if it is
    /// not a Zarr array or group (and not empty), it is not ours to delete and
    /// stays aside under a visible name.
    pub(crate) fn commit(mut self) -> Result<(), Error> {
        if self.lock.is_some() {
            remove(&self.folder.join(LOCK))?;
        }
        sync_tree(&self.folder)?;
        let old = match fs::symlink_metadata(&self.target) {
            Ok(_) => Some(self.set_aside()?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io(&self.target, error)),
        };
        if let Err(error) = fs::rename(&self.folder, &self.target) {
            if let Some((aside, _)) = &old {
                // The error below is the one to report; the old data stay under either name.
                let _ = fs::rename(aside, &self.target);
            }
            return Err(Error::io(&self.target, error));
        }
        self.keep = true;
        sync_folder(parent(&self.target))?;
        match old {
            Some((aside, true)) => remove(&aside),
            _ => Ok(()),
        }
    }

    /// Renames the old target out of the way; whether it may be deleted later.
    fn set_aside(&self) -> Result<(PathBuf, bool), Error> {
        let ours = is_zarr_or_empty(&self.target);
        let aside = if ours {
            let aside = aside_name(&self.target);
            if fs::symlink_metadata(&aside).is_ok() {
                // Left by a commit that was interrupted after its last rename.
                remove(&aside)?;
            }
            aside
        } else {
            free_name(&self.target)?
        };
        fs::rename(&self.target, &aside).map_err(|e| Error::io(&self.target, e))?;
        Ok((aside, ours))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody is left to report to.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn check_target(target: &Path) -> Result<(), Error> {
    if target.file_name().is_none() {
        return Err(Error::misuse(target, "the path has no file name"));
    }
    restore_interrupted(target)
}

fn lock_file(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| Error::io(path, e))
}

fn only_one(lock: &File, folder: &Path) -> Result<(), Error> {
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Busy {
            path: folder.to_path_buf(),
        }),
        // Where the file system knows no locks, nobody is kept out.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Removes the unfinished files of writers that broke off.
fn sweep(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let path = entry.path();
        if entry.file_type().map_err(|e| Error::io(&path, e))?.is_dir() {
            sweep(&path)?;
        } else if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Puts back a target whose replacement was interrupted between its two renames.
fn restore_interrupted(target: &Path) -> Result<(), Error> {
    let aside = aside_name(target);
    let gone = |path: &Path| matches!(fs::symlink_metadata(path), Err(e) if e.kind() == ErrorKind::NotFound);
    if gone(target) && !gone(&aside) {
        fs::rename(&aside, target).map_err(|e| Error::io(&aside, e))?;
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sibling(path: &Path, prefix: &str, suffix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(prefix);
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

/// Where an unfinished movie waits to be resumed.
pub(crate) fn shared_name(target: &Path) -> PathBuf {
    sibling(target, ".", ".partial")
}

/// Where the old data wait while the new are put in place.
pub(crate) fn aside_name(target: &Path) -> PathBuf {
    sibling(target, ".", ".replaced")
}

fn free_name(target: &Path) -> Result<PathBuf, Error> {
    (0..1000)
        .map(|n| sibling(target, "", &format!(".replaced-{n}")))
        .find(|path| fs::symlink_metadata(path).is_err())
        .ok_or_else(|| Error::misuse(target, "1000 replaced versions lie beside it; remove some"))
}

fn create_unique(target: &Path, kind: &str) -> Result<PathBuf, Error> {
    let process = std::process::id();
    loop {
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = sibling(target, ".", &format!(".{process}-{n}.{kind}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(target, error)),
        }
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(|e| Error::io(path, e))?;
    if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
    .map_err(|e| Error::io(path, e))
}

/// Flushes every file and folder below `folder`, and `folder`.
fn sync_tree(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let path = entry.path();
        if entry.file_type().map_err(|e| Error::io(&path, e))?.is_dir() {
            sync_tree(&path)?;
        } else {
            File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|e| Error::io(&path, e))?;
        }
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    // Only Unix lets a folder be opened and flushed like a file.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|file| file.sync_all())
            .map_err(|e| Error::io(folder, e))?;
    }
    Ok(())
}
