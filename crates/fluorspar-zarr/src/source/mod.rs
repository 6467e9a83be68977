//! Where a store's files lie: a folder, or a zip archive read in place.

mod zip;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::{Error, Limits};
use zip::{Entry, ZipFile};

/// Names of the files that make a folder a node.
pub(crate) const NODE_FILES: [&str; 3] = ["zarr.json", ".zarray", ".zgroup"];

#[derive(Debug)]
enum Store {
    Folder(PathBuf),
    Zip(ZipFile),
}

/// A folder inside a store.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    store: Arc<Store>,
    /// Below the store's root, `a/b`; empty for the root.
    folder: String,
    /// Consolidated metadata: contents of files by their path below the root.
    /// A file that is there counts more.
    consolidated: Arc<BTreeMap<String, Value>>,
}

impl Source {
    /// The folder, zip archive, or folder inside a zip archive, at `path`.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        // Without a slash at the end, which no file may have.
        let path: &Path = &path.components().collect::<PathBuf>();
        let (store, folder) = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => (Store::Folder(path.into()), String::new()),
            Ok(_) => {
                let archive = ZipFile::open(path, limits)?
                    .ok_or_else(|| Error::NotZarr { path: path.into() })?;
                let folder = sole_folder(&archive);
                (Store::Zip(archive), folder)
            }
            Err(error) => match inside_zip(path, limits)? {
                Some((archive, folder)) => (Store::Zip(archive), folder),
                None => return Err(Error::io(path, error)),
            },
        };
        Ok(Self {
            store: Arc::new(store),
            folder,
            consolidated: Arc::default(),
        })
    }

    /// A folder of the file system, without looking.
    pub(crate) fn folder(path: &Path) -> Self {
        Self {
            store: Arc::new(Store::Folder(path.into())),
            folder: String::new(),
            consolidated: Arc::default(),
        }
    }

    /// The folder `name` (`a` or `a/b`) below this one; `None` if the name
    /// would lead out of it.
    pub(crate) fn child(&self, name: &str) -> Option<Self> {
        let plain = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        (plain && !name.is_empty() && !name.contains(['\0', '\\'])).then(|| Self {
            folder: self.key(name.trim_end_matches('/')),
            ..self.clone()
        })
    }

    /// Adds consolidated metadata, whose paths start at this folder.
    pub(crate) fn consolidate(&mut self, files: impl IntoIterator<Item = (String, Value)>) {
        let all = files
            .into_iter()
            .map(|(name, value)| (self.key(&name), value))
            .collect();
        self.consolidated = Arc::new(all);
    }

    fn key(&self, name: &str) -> String {
        if self.folder.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.folder)
        }
    }

    /// This folder, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        let root = match &*self.store {
            Store::Folder(path) => path,
            Store::Zip(archive) => archive.path(),
        };
        if self.folder.is_empty() {
            root.clone()
        } else {
            root.join(&self.folder)
        }
    }

    /// A file of this folder, for messages.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Why no node could be read: the folder is not there, or holds none.
    pub(crate) fn nothing_here(&self) -> Error {
        let path = self.path();
        match (&*self.store, fs::metadata(&path)) {
            (Store::Folder(_), Err(error)) => Error::io(path, error),
            _ => Error::NotZarr { path },
        }
    }

    /// Opens a file for reading; `None` if there is none.
    pub(crate) fn blob(&self, name: &str) -> Result<Option<Blob<'_>>, Error> {
        match &*self.store {
            Store::Folder(_) => {
                let path = self.file(name);
                let file = match File::open(&path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(Error::io(path, error)),
                };
                let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
                Ok(Some(Blob::File(file, length)))
            }
            Store::Zip(archive) => Ok(archive
                .entry(&self.key(name))
                .map(|entry| Blob::Zip(archive, entry))),
        }
    }

    /// Reads a metadata file; `None` if there is none.
    pub(crate) fn json(&self, name: &str, limits: &Limits) -> Result<Option<Value>, Error> {
        let Some(mut blob) = self.blob(name)? else {
            return Ok(self.consolidated.get(&self.key(name)).cloned());
        };
        let path = self.file(name);
        if blob.length() > limits.metadata_bytes {
            return Err(Error::Limit {
                path,
                what: "the metadata file",
                asked: u128::from(blob.length()),
                limit: limits.metadata_bytes,
            });
        }
        let mut bytes = Vec::new();
        let length = blob.length() as usize;
        blob.read(0, length, &mut bytes)
            .map_err(|e| Error::io(&path, e))?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| Error::metadata(path, format!("not valid JSON: {e}")))
    }

    /// The folders directly below that hold a node, by name, sorted.
    pub(crate) fn children(&self) -> Result<Vec<String>, Error> {
        let mut names = BTreeSet::new();
        let below = self.key("");
        let nodes = |path: &String| {
            let (name, file) = path.strip_prefix(&below)?.split_once('/')?;
            NODE_FILES.contains(&file).then(|| name.to_owned())
        };
        names.extend(self.consolidated.keys().filter_map(nodes));
        match &*self.store {
            Store::Zip(archive) => names.extend(archive.names().filter_map(nodes)),
            Store::Folder(_) => {
                let folder = self.path();
                for entry in fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))? {
                    let entry = entry.map_err(|e| Error::io(&folder, e))?;
                    let path = entry.path();
                    let node = NODE_FILES.iter().any(|file| path.join(file).is_file());
                    if let (true, Ok(name)) = (node, entry.file_name().into_string()) {
                        names.insert(name);
                    }
                }
            }
        }
        Ok(names.into_iter().collect())
    }
}

/// The one folder at the top of an archive of a folder; empty if the archive is the folder.
fn sole_folder(archive: &ZipFile) -> String {
    let mut tops = archive
        .names()
        .map(|name| name.split_once('/').map_or("", |(top, _)| top));
    let first = tops.next().unwrap_or_default().to_owned();
    if tops.all(|top| top == first) {
        first
    } else {
        String::new()
    }
}

/// Splits `archive.zip/a/b`.
fn inside_zip(path: &Path, limits: &Limits) -> Result<Option<(ZipFile, String)>, Error> {
    let Some(file) = path.ancestors().skip(1).find(|above| above.is_file()) else {
        return Ok(None);
    };
    let Some(archive) = ZipFile::open(file, limits)? else {
        return Ok(None);
    };
    let parts: Option<Vec<&str>> = path
        .strip_prefix(file)
        .unwrap_or(Path::new(""))
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let Some(parts) = parts else {
        return Ok(None);
    };
    let mut folder = parts.join("/");
    let holds = |folder: &str| {
        let below = format!("{folder}/");
        archive.names().any(|name| name.starts_with(&below))
    };
    if !holds(&folder) {
        folder = format!("{}/{folder}", sole_folder(&archive));
        if !holds(&folder) {
            return Ok(None);
        }
    }
    Ok(Some((archive, folder)))
}

/// An open file of a store.
pub(crate) enum Blob<'a> {
    File(File, u64),
    Zip(&'a ZipFile, &'a Entry),
}

impl Blob<'_> {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::File(_, length) => *length,
            Self::Zip(_, entry) => entry.length,
        }
    }

    /// Replaces `into` by `length` bytes from `offset`. The caller has checked
    /// that they lie inside the file and are not too many.
    pub(crate) fn read(
        &mut self,
        offset: u64,
        length: usize,
        into: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        into.resize(length, 0);
        match self {
            Self::File(file, _) => read_at(file, offset, into),
            Self::Zip(archive, entry) => archive.read(entry, offset, into),
        }
    }
}

#[cfg(unix)]
fn read_at(file: &mut File, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(not(unix))]
fn read_at(file: &mut File, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(into)
}

/// Skips `offset` bytes of a stream, then fills `into`.
fn read_after(mut stream: impl Read, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
    std::io::copy(&mut stream.by_ref().take(offset), &mut std::io::sink())?;
    stream.read_exact(into)
}
