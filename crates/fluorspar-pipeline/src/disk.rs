//! Files that appear whole or not at all, and what identifies an input.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::Error;

/// Prefix of the temporary siblings that [`write`] leaves behind if the machine stops halfway.
const PARTIAL: &str = ".partial-";

/// Writes `bytes` to a temporary sibling of `path` and renames it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_parts(path, &[bytes], true)
}

/// As [`write`], parts one after the other; what is not `durable` may be gone
/// or damaged after a power failure, but not after a crash of the process.
pub(crate) fn write_parts(path: &Path, parts: &[&[u8]], durable: bool) -> Result<(), Error> {
    write_by(path, durable, |file| {
        parts.iter().try_for_each(|part| file.write_all(part))
    })
}

/// As [`write_parts`], of what `fill` writes into the file.
pub(crate) fn write_by(
    path: &Path,
    durable: bool,
    fill: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!("{PARTIAL}{name}"));
    let attempt = || {
        let mut file = File::create(&partial)?;
        fill(&mut file)?;
        if durable {
            file.sync_all()?;
        }
        std::fs::rename(&partial, path)
    };
    attempt().map_err(|source| {
        // The write has failed already; a leftover is overwritten next time.
        let _ = std::fs::remove_file(&partial);
        Error::io(path, source)
    })
}

/// Creates a folder and its parents.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|e| Error::io(path, e))
}

/// Checks that files can be created in `folder`, before hours of work.
pub(crate) fn check_writable(folder: &Path) -> Result<(), Error> {
    create_folder(folder)?;
    let probe = folder.join(format!("{PARTIAL}probe"));
    let attempt = || {
        File::create(&probe)?.write_all(b"probe")?;
        std::fs::remove_file(&probe)
    };
    attempt().map_err(|e| Error::io(folder, e))
}

/// A process's hold on a folder; let go when dropped or when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Takes the folder for this process alone, or says that others have it.
    pub(crate) fn alone(folder: &Path) -> Result<Self, Error> {
        Self::take(&folder.join(".lock"), File::try_lock, || {
            format!(
                "{} is in use by another run; wait for it or choose another --out",
                folder.display()
            )
        })
    }

    /// Takes the folder together with others who do, or says that one has it alone.
    pub(crate) fn in_company(folder: &Path) -> Result<Self, Error> {
        Self::take(&folder.join(".lock"), File::try_lock_shared, || {
            format!(
                "{} is in use by `fluorspar run`; wait for it to end",
                folder.display()
            )
        })
    }

    /// Takes the lock file at `path`; `busy` is what to say if another has it.
    pub(crate) fn take(
        path: &Path,
        lock: impl Fn(&File) -> Result<(), TryLockError>,
        busy: impl Fn() -> String,
    ) -> Result<Self, Error> {
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        let file = opened.map_err(|e| Error::io(path, e))?;
        match lock(&file) {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(Error::Usage(busy())),
            // Some network file systems know no locks; work is still possible there.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                Ok(Self { _file: None })
            }
            Err(TryLockError::Error(e)) => Err(Error::io(path, e)),
        }
    }
}

/// Removes what killed writers left directly in `folder`: hidden files and
/// folders that never got their names. Only whoever holds the folder may ask.
pub(crate) fn remove_leftovers(folder: &Path) -> Result<(), Error> {
    remove_where(folder, |name| {
        name.starts_with(PARTIAL) || (name.starts_with('.') && name.ends_with(".partial"))
    })
}

/// Removes what killed writers of `target` left beside it, but not what they
/// share. Only whoever alone writes it may ask.
pub(crate) fn remove_leftovers_of(target: &Path) -> Result<(), Error> {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Ok(());
    };
    let name = name.to_string_lossy();
    let (file, private) = (format!("{PARTIAL}{name}"), format!(".{name}."));
    let shared = format!(".{name}.partial");
    if !folder.is_dir() {
        return Ok(());
    }
    remove_where(folder, |found| {
        found == file
            || (found != shared && found.starts_with(&private) && found.ends_with(".partial"))
    })
}

fn remove_where(folder: &Path, is_leftover: impl Fn(&str) -> bool) -> Result<(), Error> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_leftover(&name) {
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.map_err(|e| Error::io(&path, e))?;
        }
    }
    Ok(())
}

/// A running digest of everything a result depends on.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    pub(crate) fn new(stage: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        let mut out = Self(hasher);
        out.add(stage.as_bytes());
        out
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds a part of the configuration in its canonical JSON form.
    pub(crate) fn add_config<T: serde::Serialize>(&mut self, part: &T) {
        // The configuration structs hold finite numbers, text and maps with
        // text keys, which JSON can always express.
        let text = serde_json::to_string(part).unwrap_or_default();
        self.add(text.as_bytes());
    }

    pub(crate) fn finish(&self) -> String {
        self.0.finalize().to_hex().as_str()[..32].to_owned()
    }
}

/// Identifies an input file or folder: names, lengths, times of change, and
/// the first and last 64 KiB of each file.
pub(crate) fn fingerprint_input(paths: &[PathBuf]) -> Result<String, Error> {
    let mut out = Fingerprint::new("input");
    for path in paths {
        add_path(path, &mut out)?;
    }
    Ok(out.finish())
}

fn add_path(path: &Path, out: &mut Fingerprint) -> Result<(), Error> {
    let io = |e| Error::io(path, e);
    let metadata = std::fs::metadata(path).map_err(io)?;
    out.add(path.file_name().unwrap_or_default().as_encoded_bytes());
    if metadata.is_dir() {
        let mut entries = std::fs::read_dir(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(io)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            add_path(&entry.path(), out)?;
        }
        return Ok(());
    }
    let changed = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    out.add(&metadata.len().to_le_bytes());
    out.add(&changed.to_le_bytes());
    let mut file = File::open(path).map_err(io)?;
    let mut ends = Vec::new();
    Read::by_ref(&mut file)
        .take(1 << 16)
        .read_to_end(&mut ends)
        .map_err(io)?;
    if metadata.len() > 1 << 16 {
        file.seek(SeekFrom::End(-(1 << 16))).map_err(io)?;
        file.take(1 << 16).read_to_end(&mut ends).map_err(io)?;
    }
    out.add(&ends);
    Ok(())
}

/// Bytes of a file, or of all files in a folder.
pub(crate) fn size(path: &Path) -> Result<u64, Error> {
    let io = |e| Error::io(path, e);
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut total = 0;
    for entry in std::fs::read_dir(path).map_err(io)? {
        total += size(&entry.map_err(io)?.path())?;
    }
    Ok(total)
}
