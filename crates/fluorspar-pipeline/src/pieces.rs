//! Finished pieces of a task that is not finished.

use std::io::{BufWriter, IntoInnerError, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fluorspar_movie::Checkpoints;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Observer, disk};

/// Length of the digest that every piece begins with.
const DIGEST: usize = 32;

/// A folder of pieces that belong to one fingerprint: pieces of another, and
/// pieces that are damaged, are not there.
pub(crate) struct Pieces<'a> {
    folder: PathBuf,
    fingerprint: &'a str,
    /// Asked after every piece whether to go on.
    observer: &'a dyn Observer,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(folder: PathBuf, fingerprint: &'a str, observer: &'a dyn Observer) -> Self {
        Self {
            folder,
            fingerprint,
            observer,
        }
    }

    /// Pieces of a part of the work, in a folder of their own.
    pub(crate) fn below(&self, name: &str) -> Self {
        Self {
            folder: self.path(&format!("{name}.work")),
            ..*self
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Of what a piece belongs to; the piece itself comes after that.
    fn hasher(&self, name: &str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        for text in [self.fingerprint, name] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher
    }

    fn digest(&self, name: &str, piece: &[u8]) -> [u8; DIGEST] {
        *self.hasher(name).update(piece).finalize().as_bytes()
    }

    /// Digest and piece, if they are there and fit each other.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, e)),
        };
        let Some((digest, piece)) = bytes.split_at_checked(DIGEST) else {
            return Ok(None);
        };
        let whole = self.digest(name, piece) == digest;
        Ok(whole.then_some(bytes))
    }

    /// A power failure may damage a piece, which its digest then tells; to wait
    /// for the disk after every piece would cost more than such a failure.
    fn write(&self, name: &str, piece: &[u8], durable: bool) -> Result<(), Error> {
        disk::create_folder(&self.folder)?;
        let digest = self.digest(name, piece);
        disk::write_parts(&self.path(name), &[&digest, piece], durable)
    }

    /// Keeps a mark that outlives a power failure.
    pub(crate) fn mark(&self, name: &str) -> Result<(), Error> {
        self.write(name, &[], true)
    }

    /// Whether the mark was made.
    pub(crate) fn is_marked(&self, name: &str) -> Result<bool, Error> {
        Ok(self.read(name)?.is_some())
    }

    /// The value kept as `name`, if it is there and whole.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let piece = self.read(name)?;
        Ok(piece.and_then(|bytes| postcard::from_bytes(&bytes[DIGEST..]).ok()))
    }

    /// Keeps a value, and stops if that is asked for.
    pub(crate) fn put<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        disk::create_folder(&self.folder)?;
        // Straight into the file: there need not be room for it twice.
        disk::write_by(&self.path(name), false, |file| {
            file.write_all(&[0; DIGEST])?;
            let hashing = Hashing {
                hasher: self.hasher(name),
                out: file,
            };
            let mut out = BufWriter::with_capacity(1 << 20, hashing);
            postcard::to_io(value, &mut out).map_err(std::io::Error::other)?;
            let Hashing { hasher, out } = out.into_inner().map_err(IntoInnerError::into_error)?;
            out.seek(SeekFrom::Start(0))?;
            out.write_all(hasher.finalize().as_bytes())
        })?;
        if self.observer.stop() {
            return Err(Error::Stopped);
        }
        Ok(())
    }

    /// Throws all of them away.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        remove_folder(&self.folder)
    }
}

impl Checkpoints for Pieces<'_> {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, fluorspar_movie::Error> {
        let piece = self
            .read(name)
            .map_err(|error| fluorspar_movie::Error::format(self.path(name), error))?;
        Ok(piece.map(|mut bytes| {
            bytes.drain(..DIGEST);
            bytes
        }))
    }

    fn keep(&self, name: &str, piece: &[u8]) -> Result<(), fluorspar_movie::Error> {
        self.write(name, piece, false)
            .map_err(|error| match error {
                Error::Io { path, source } => fluorspar_movie::Error::io(path, source),
                other => fluorspar_movie::Error::format(self.path(name), other),
            })?;
        if self.observer.stop() {
            return Err(fluorspar_movie::Error::Stopped);
        }
        Ok(())
    }
}

/// Writes and digests at once.
struct Hashing<W> {
    hasher: blake3::Hasher,
    out: W,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Removes a folder that may not be there.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_whole_and_of_its_own_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = || folder.path().join("work");
        let pieces = Pieces::new(at(), "a", &());
        assert_eq!(pieces.get::<Vec<f64>>("x").unwrap(), None);
        let value = vec![1.5, f64::NEG_INFINITY, -0.0];
        pieces.put("x", &value).unwrap();
        assert_eq!(pieces.get::<Vec<f64>>("x").unwrap(), Some(value));
        assert_eq!(
            Pieces::new(at(), "b", &()).get::<Vec<f64>>("x").unwrap(),
            None
        );
        std::fs::copy(pieces.path("x"), pieces.path("y")).unwrap();
        assert_eq!(pieces.get::<Vec<f64>>("y").unwrap(), None, "another's");

        let bytes = std::fs::read(pieces.path("x")).unwrap();
        for cut in [0, 10, DIGEST, bytes.len() - 1] {
            std::fs::write(pieces.path("x"), &bytes[..cut]).unwrap();
            assert_eq!(pieces.get::<Vec<f64>>("x").unwrap(), None, "{cut}");
        }
        for k in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[k] ^= 1;
            std::fs::write(pieces.path("x"), damaged).unwrap();
            assert_eq!(pieces.get::<Vec<f64>>("x").unwrap(), None, "{k}");
        }
        pieces.clear().unwrap();
        pieces.clear().unwrap();
    }

    #[test]
    fn work_stops_after_a_piece_is_kept() {
        struct Impatient;
        impl Observer for Impatient {
            fn stop(&self) -> bool {
                true
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let pieces = Pieces::new(folder.path().into(), "a", &Impatient);
        assert!(matches!(pieces.put("x", &3_u8), Err(Error::Stopped)));
        assert_eq!(pieces.get::<u8>("x").unwrap(), Some(3));
        let kept = pieces.keep("y", &[1]);
        assert!(matches!(kept, Err(fluorspar_movie::Error::Stopped)));
        assert_eq!(pieces.load("y").unwrap(), Some(vec![1]));
    }
}
