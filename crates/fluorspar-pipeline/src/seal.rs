//! What an artefact was like when it was finished.

use std::fs::File;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Size and digest of a file, or of a folder with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seal {
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// Number of files; 1 for a file.
    pub(crate) files: u64,
    /// BLAKE3 of the file; of a folder that of names, lengths and digests of
    /// its files in alphabetical order.
    pub(crate) blake3: String,
}

/// One file of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SealedFile {
    /// Relative to the folder, with `/` between its parts.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
}

impl Seal {
    /// Reads the artefact, files in parallel.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        Self::with(path, &[])
    }

    /// As [`Seal::of`], files of a folder that are `known` taken as they were,
    /// unless their length has changed.
    pub(crate) fn with(path: &Path, known: &[SealedFile]) -> Result<Self, Error> {
        if !path.is_dir() {
            let file = SealedFile::of(path, String::new())?;
            return Ok(Self {
                bytes: file.bytes,
                files: 1,
                blake3: file.blake3,
            });
        }
        let mut sealed: Vec<SealedFile> = files_of(path)?
            .into_par_iter()
            .map(|name| {
                let full = path.join(&name);
                let known = known.iter().find(|file| file.name == name);
                match known {
                    Some(file) if length(&full)? == file.bytes => Ok(file.clone()),
                    _ => SealedFile::of(&full, name),
                }
            })
            .collect::<Result<_, Error>>()?;
        sealed.sort();
        let mut hasher = blake3::Hasher::new();
        for file in &sealed {
            for text in [&file.name, &file.blake3] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
            hasher.update(&file.bytes.to_le_bytes());
        }
        Ok(Self {
            bytes: sealed.iter().map(|file| file.bytes).sum(),
            files: sealed.len() as u64,
            blake3: hasher.finalize().to_hex().to_string(),
        })
    }

    /// What is wrong with the artefact at a glance: whether it is there, with
    /// as many files and bytes as it had.
    pub(crate) fn difference(&self, path: &Path) -> Result<Option<String>, Error> {
        if !path.exists() {
            return Ok(Some("is missing".into()));
        }
        let (files, bytes) = if path.is_dir() {
            let names = files_of(path)?;
            let mut bytes = 0;
            for name in &names {
                bytes += length(&path.join(name))?;
            }
            (names.len() as u64, bytes)
        } else {
            (1, length(path)?)
        };
        if bytes != self.bytes {
            return Ok(Some(format!("has {bytes} bytes, not {}", self.bytes)));
        }
        if files != self.files {
            return Ok(Some(format!("has {files} files, not {}", self.files)));
        }
        Ok(None)
    }
}

impl SealedFile {
    /// Reads the file at `path`.
    pub(crate) fn of(path: &Path, name: String) -> Result<Self, Error> {
        let mut hasher = blake3::Hasher::new();
        let read = File::open(path).and_then(|file| {
            hasher.update_reader(&file)?;
            Ok(())
        });
        read.map_err(|e| Error::io(path, e))?;
        Ok(Self {
            name,
            bytes: hasher.count(),
            blake3: hasher.finalize().to_hex().to_string(),
        })
    }
}

fn length(path: &Path) -> Result<u64, Error> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    Ok(metadata.len())
}

/// Names of all files below `folder`.
fn files_of(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((at, prefix)) = folders.pop() {
        let io = |e| Error::io(&at, e);
        for entry in std::fs::read_dir(&at).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(io)?.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// `path` as a name below `folder`, with `/` between its parts.
pub(crate) fn name_below(folder: &Path, path: &Path) -> String {
    let parts: Vec<String> = path
        .strip_prefix(folder)
        .unwrap_or(path)
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

/// The path of a name below `folder`.
pub(crate) fn path_below(folder: &Path, name: &str) -> PathBuf {
    name.split('/')
        .fold(folder.to_path_buf(), |at, part| at.join(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_broken_by_any_change() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a.zarr");
        std::fs::create_dir_all(root.join("c/0")).unwrap();
        std::fs::write(root.join("zarr.json"), "{}").unwrap();
        std::fs::write(root.join("c/0/1"), [7; 100]).unwrap();
        let seal = Seal::of(&root).unwrap();
        assert_eq!((seal.files, seal.bytes), (2, 102));
        assert_eq!(seal.difference(&root).unwrap(), None);
        let known = SealedFile::of(&root.join("c/0/1"), "c/0/1".into()).unwrap();
        assert_eq!(Seal::with(&root, &[known]).unwrap(), seal);

        std::fs::rename(root.join("c/0/1"), root.join("c/0/2")).unwrap();
        assert_ne!(Seal::of(&root).unwrap(), seal);
        std::fs::rename(root.join("c/0/2"), root.join("c/0/1")).unwrap();
        assert_eq!(Seal::of(&root).unwrap(), seal);
        let mut bytes = vec![7; 100];
        bytes[50] = 8;
        std::fs::write(root.join("c/0/1"), bytes).unwrap();
        assert_eq!(seal.difference(&root).unwrap(), None, "not at a glance");
        assert_ne!(Seal::of(&root).unwrap(), seal);
        std::fs::write(root.join("c/0/1"), [7; 99]).unwrap();
        let told = seal.difference(&root).unwrap().unwrap();
        assert!(told.contains("101 bytes, not 102"), "{told}");
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(seal.difference(&root).unwrap().unwrap(), "is missing");
    }

    #[test]
    fn a_file_has_the_digest_that_others_compute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        std::fs::write(&path, "").unwrap();
        // The test vector of BLAKE3 for no input.
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Seal::of(&path).unwrap().blake3, empty);
    }
}
