//! Where the bytes of a file come from.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;

use crate::{Backend, Error, OpenOptions};

/// The bytes of one file.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    length: u64,
    bytes: Bytes,
    /// Bytes used since the mapping was last emptied, and how many may be.
    used: AtomicUsize,
    resident: usize,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap, File),
    Positioned(File),
    Memory(Vec<u8>),
}

impl Source {
    pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(Error::Unsupported {
                path: path.to_path_buf(),
                page: 0,
                what: "is a folder, not a TIFF file".into(),
            });
        }
        let length = metadata.len();
        let bytes = if options.backend == Backend::Positioned || length == 0 {
            Bytes::Positioned(file)
        } else {
            // A file that is shortened from outside would fault: `check_length` refuses one that
            // has become shorter, and the front page names `Backend::Positioned` for the rest.
            // SAFETY: the mapping is read-only and lives in this struct beside its file.
            let map = unsafe { Mmap::map(&file) }.map_err(io)?;
            Bytes::Mapped(map, file)
        };
        Ok(Self {
            path: path.to_path_buf(),
            length,
            bytes,
            used: AtomicUsize::new(0),
            resident: options.resident,
        })
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self {
            path: PathBuf::from("(memory)"),
            length: bytes.len() as u64,
            bytes: Bytes::Memory(bytes),
            used: AtomicUsize::new(0),
            resident: usize::MAX,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Refuses a file that is shorter than when it was opened.
    pub(crate) fn check_length(&self) -> Result<(), Error> {
        let (Bytes::Mapped(_, file) | Bytes::Positioned(file)) = &self.bytes else {
            return Ok(());
        };
        let now = file
            .metadata()
            .map_err(|source| Error::Io {
                path: self.path.clone(),
                source,
            })?
            .len();
        if now < self.length {
            return Err(Error::Changed {
                path: self.path.clone(),
                before: self.length,
                now,
            });
        }
        Ok(())
    }

    /// When the file last changed, nanoseconds since 1970, where the system says.
    pub(crate) fn modified(&self) -> Option<u64> {
        let (Bytes::Mapped(_, file) | Bytes::Positioned(file)) = &self.bytes else {
            return None;
        };
        let time = file.metadata().ok()?.modified().ok()?;
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        u64::try_from(since.as_nanos()).ok()
    }

    /// Tells the system how the file is about to be read. Small scattered
    /// reads through a mapping are several times slower when it reads ahead.
    pub(crate) fn expect(&self, access: Access) {
        #[cfg(unix)]
        if let Bytes::Mapped(map, _) = &self.bytes {
            // Advice that is refused changes nothing but speed.
            let _ = map.advise(match access {
                Access::Scattered => memmap2::Advice::Random,
                Access::Scan => memmap2::Advice::Sequential,
            });
        }
        #[cfg(not(unix))]
        let _ = access;
    }

    /// Counts bytes that were read or lent through the mapping, and empties
    /// it when they are more than may stay resident.
    pub(crate) fn use_up(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed);
        if used.saturating_add(bytes) > self.resident {
            self.release();
        }
    }

    /// Lets go of the resident pages of the mapping.
    pub(crate) fn release(&self) {
        self.used.store(0, Ordering::Relaxed);
        #[cfg(target_os = "linux")]
        if let Bytes::Mapped(map, _) = &self.bytes {
            // SAFETY: the mapping is shared, read-only and backed by the file, so pages that are
            // dropped come back with the same content when they are next touched; borrowed
            // slices stay valid.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// Lends bytes that lie in memory; `None` beyond the end or without a mapping.
    pub(crate) fn lend(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let all: &[u8] = match &self.bytes {
            Bytes::Mapped(map, _) => map,
            Bytes::Memory(bytes) => bytes,
            Bytes::Positioned(_) => return None,
        };
        let start = usize::try_from(offset).ok()?;
        all.get(start..start.checked_add(length)?)
    }

    /// Bytes at `offset`, lent or read.
    pub(crate) fn bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(lent) = self.lend(offset, length) {
            return Ok(Cow::Borrowed(lent));
        }
        let mut out = vec![0; length];
        self.fill(offset, &mut out)?;
        Ok(Cow::Owned(out))
    }

    fn fill(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if let Bytes::Positioned(file) = &self.bytes {
            read_exact_at(file, out, offset)
        } else {
            let lent = self
                .lend(offset, out.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(lent);
            Ok(())
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !out.is_empty() {
        let count = file.seek_read(out, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out = &mut out[count..];
        offset += count as u64;
    }
    Ok(())
}

/// How a file is about to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    /// A few bytes here and there: directories.
    Scattered,
    /// From front to back: pixels.
    Scan,
}

/// The file as a stream whose header names another first page, so that a
/// decoder opens that page at once instead of walking to it.
#[derive(Debug)]
pub(crate) struct PageStream<'a> {
    source: &'a Source,
    header: Vec<u8>,
    position: u64,
}

impl<'a> PageStream<'a> {
    pub(crate) fn new(source: &'a Source, header: Vec<u8>) -> Self {
        Self {
            source,
            header,
            position: 0,
        }
    }
}

impl Read for PageStream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Ok(start) = usize::try_from(self.position)
            && start < self.header.len()
        {
            let count = out.len().min(self.header.len() - start);
            out[..count].copy_from_slice(&self.header[start..start + count]);
            self.position += count as u64;
            return Ok(count);
        }
        let left = self.source.length.saturating_sub(self.position);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.source.fill(self.position, &mut out[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for PageStream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.source.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
