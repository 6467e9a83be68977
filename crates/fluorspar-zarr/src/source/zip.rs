//! Zip archives, read only: the directory at the end, entries stored or deflated.
//!
//! Own code, because the crates for it take memory for as many entries as the
//! archive claims to have.
//!
//! Format: APPNOTE.TXT 6.3.10 (PKWARE), sections 4.3 and 4.5.3.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;

use super::{read_after, read_at};
use crate::{Error, Limits};

const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;
/// The end record without and with the longest comment.
const END_BYTES: usize = 22;
const TAIL_BYTES: u64 = 22 + 65_535 + 20;

/// One stored file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Length when read.
    pub(super) length: u64,
    stored: u64,
    header: u64,
    deflated: bool,
}

#[derive(Debug)]
pub(crate) struct ZipFile {
    path: PathBuf,
    length: u64,
    entries: BTreeMap<String, Entry>,
}

impl ZipFile {
    /// Reads the directory; `None` if the file is no zip archive.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Option<Self>, Error> {
        let io = |e| Error::io(path, e);
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let tail_start = length.saturating_sub(TAIL_BYTES);
        let mut tail = vec![0; (length - tail_start) as usize];
        read_at(&mut file, tail_start, &mut tail).map_err(io)?;
        let bad = |reason: &str| Error::metadata(path, format!("zip archive: {reason}"));
        let Some(end) = (0..=tail.len().saturating_sub(END_BYTES))
            .rev()
            .find(|&at| u32_at(&tail, at) == Some(END))
        else {
            return Ok(None);
        };
        let mut size = u64::from(u32_at(&tail, end + 12).unwrap_or(0));
        let mut start = u64::from(u32_at(&tail, end + 16).unwrap_or(0));
        if let Some(at) = end.checked_sub(20)
            && u32_at(&tail, at) == Some(LOCATOR_64)
        {
            let mut record = [0; 56];
            let offset = u64_at(&tail, at + 8).unwrap_or(u64::MAX);
            if offset.checked_add(56).is_none_or(|stop| stop > length) {
                return Err(bad("its 64-bit end record lies outside"));
            }
            read_at(&mut file, offset, &mut record).map_err(io)?;
            if u32_at(&record, 0) != Some(END_64) {
                return Err(bad("its 64-bit end record is damaged"));
            }
            size = u64_at(&record, 40).unwrap_or(0);
            start = u64_at(&record, 48).unwrap_or(0);
        }
        if start.checked_add(size).is_none_or(|stop| stop > length) {
            return Err(bad("its directory lies outside"));
        }
        if size > limits.index_bytes {
            return Err(Error::Limit {
                path: path.into(),
                what: "the directory of the zip archive",
                asked: u128::from(size),
                limit: limits.index_bytes,
            });
        }
        let mut directory = vec![0; size as usize];
        read_at(&mut file, start, &mut directory).map_err(io)?;
        Ok(Some(Self {
            path: path.into(),
            length,
            entries: entries(&directory).map_err(|reason| bad(&reason))?,
        }))
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Fills `into` from `offset` on. What is stored is read in place, what is
    /// deflated has to be inflated from its start.
    pub(super) fn read(&self, entry: &Entry, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        let mut local = [0; 30];
        read_at(&mut file, entry.header, &mut local)?;
        if u32_at(&local, 0) != Some(LOCAL) {
            return Err(invalid("the zip entry's header is damaged"));
        }
        let names = [26, 28].map(|at| u64::from(u16_at(&local, at).unwrap_or(0)));
        let start = entry
            .header
            .checked_add(30 + names[0] + names[1])
            .filter(|start| {
                start
                    .checked_add(entry.stored)
                    .is_some_and(|stop| stop <= self.length)
            })
            .ok_or_else(|| invalid("the zip entry reaches beyond the archive"))?;
        if entry.deflated {
            file.seek(SeekFrom::Start(start))?;
            return read_after(DeflateDecoder::new(file.take(entry.stored)), offset, into);
        }
        let stop = offset.checked_add(into.len() as u64);
        if stop.is_none_or(|stop| stop > entry.stored) {
            return Err(invalid("the zip entry is shorter than it claims"));
        }
        read_at(&mut file, start + offset, into)
    }
}

fn entries(mut directory: &[u8]) -> Result<BTreeMap<String, Entry>, String> {
    let mut all = BTreeMap::new();
    while u32_at(directory, 0) == Some(CENTRAL) {
        let short = || "its directory is cut short".to_owned();
        let half = |at| u16_at(directory, at).ok_or_else(short);
        let word = |at| u32_at(directory, at).map(u64::from).ok_or_else(short);
        let (flags, method) = (half(8)?, half(10)?);
        let (mut stored, mut length, mut header) = (word(20)?, word(24)?, word(42)?);
        let name_stop = 46 + usize::from(half(28)?);
        let extra_stop = name_stop + usize::from(half(30)?);
        let stop = extra_stop + usize::from(half(32)?);
        let name = directory.get(46..name_stop).ok_or_else(short)?;
        let mut extra = directory.get(name_stop..extra_stop).ok_or_else(short)?;
        // Fields that are full in the record stand, in this order, in extra field 1.
        while let (Some(kind), Some(size)) = (u16_at(extra, 0), u16_at(extra, 2)) {
            let content = extra.get(4..4 + usize::from(size)).ok_or_else(short)?;
            if kind == 1 {
                let mut at = 0;
                for field in [&mut length, &mut stored, &mut header] {
                    if *field == u64::from(u32::MAX) {
                        *field = u64_at(content, at).ok_or_else(short)?;
                        at += 8;
                    }
                }
            }
            extra = &extra[4 + usize::from(size)..];
        }
        let name = std::str::from_utf8(name).map_err(|_| "a name is not UTF-8".to_owned())?;
        if !name.ends_with('/') {
            if flags & 1 != 0 {
                return Err(format!("{name:?} is encrypted"));
            }
            if method != 0 && method != 8 {
                return Err(format!(
                    "{name:?} is packed by method {method}, not stored or deflated"
                ));
            }
            let entry = Entry {
                length,
                stored,
                header,
                deflated: method == 8,
            };
            all.insert(name.to_owned(), entry);
        }
        directory = directory.get(stop..).ok_or_else(short)?;
    }
    Ok(all)
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
