//! The header and the image file directories (IFDs), classic and BigTIFF.

use std::borrow::Cow;

use crate::Error;
use crate::source::Source;

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) big_endian: bool,
    pub(crate) big: bool,
    pub(crate) first: u64,
}

/// One tag of a directory, its values not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) tag: u16,
    kind: u16,
    pub(crate) count: u64,
    /// Where the values lie.
    pub(crate) offset: u64,
    /// Whether they lie in the directory itself.
    pub(crate) inline: bool,
}

impl Entry {
    /// Bytes of all values.
    pub(crate) fn value_bytes(&self) -> usize {
        usize::try_from(self.count.saturating_mul(kind_size(self.kind))).unwrap_or(usize::MAX)
    }
}

/// Most tags of one directory.
const TAGS: u64 = 4096;
/// Most bytes of one tag's values.
const VALUES: u64 = 64 << 20;

pub(crate) fn format(source: &Source, page: usize, offset: u64, rule: impl Into<String>) -> Error {
    Error::Format {
        path: source.path().to_path_buf(),
        page,
        offset,
        rule: rule.into(),
    }
}

impl Header {
    pub(crate) fn read(source: &Source) -> Result<Self, Error> {
        let bad = |rule: &str| format(source, 0, 0, rule);
        if source.length() < 8 {
            return Err(bad(&format!(
                "{} bytes are too few for a TIFF header",
                source.length()
            )));
        }
        let start = bytes(source, 0, 0, 8)?;
        let big_endian = match &start[..2] {
            b"II" => false,
            b"MM" => true,
            _ => return Err(bad("is not a TIFF file (it does not start with II or MM)")),
        };
        let mut header = Self {
            big_endian,
            big: false,
            first: 0,
        };
        match header.u16(&start[2..]) {
            42 => header.first = u64::from(header.u32(&start[4..])),
            43 => {
                header.big = true;
                if source.length() < 16 || header.u16(&start[4..]) != 8 {
                    return Err(bad("the BigTIFF header is broken"));
                }
                header.first = header.u64(&bytes(source, 0, 8, 8)?);
            }
            other => {
                return Err(bad(&format!(
                    "is not a TIFF file (version {other}, not 42 or 43)"
                )));
            }
        }
        Ok(header)
    }

    /// A header of the same kind that names `first` as the first directory.
    pub(crate) fn naming(&self, first: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        out.extend_from_slice(if self.big_endian { b"MM" } else { b"II" });
        let mut put = |bytes_be: &[u8]| {
            if self.big_endian {
                out.extend_from_slice(bytes_be);
            } else {
                out.extend(bytes_be.iter().rev());
            }
        };
        if self.big {
            put(&43_u16.to_be_bytes());
            put(&8_u16.to_be_bytes());
            put(&0_u16.to_be_bytes());
            put(&first.to_be_bytes());
        } else {
            put(&42_u16.to_be_bytes());
            put(&(first as u32).to_be_bytes());
        }
        out
    }

    pub(crate) fn u16(&self, at: &[u8]) -> u16 {
        self.number(at, 2) as u16
    }

    pub(crate) fn u32(&self, at: &[u8]) -> u32 {
        self.number(at, 4) as u32
    }

    pub(crate) fn u64(&self, at: &[u8]) -> u64 {
        self.number(at, 8)
    }

    /// An unsigned number of `size` bytes at the start of `at`; missing bytes count as 0.
    pub(crate) fn number(&self, at: &[u8], size: usize) -> u64 {
        let digit = |out: u64, byte: &u8| (out << 8) | u64::from(*byte);
        let at = &at[..size.min(at.len())];
        if self.big_endian {
            at.iter().fold(0, digit)
        } else {
            at.iter().rev().fold(0, digit)
        }
    }

    /// Bytes of the number of tags, of one tag, and of an offset.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        if self.big { (8, 20, 8) } else { (2, 12, 4) }
    }

    /// The bytes of the directory at `offset`: number of tags, tags, offset of the next.
    pub(crate) fn directory_bytes<'a>(
        &self,
        source: &'a Source,
        page: usize,
        offset: u64,
    ) -> Result<Cow<'a, [u8]>, Error> {
        let (count_size, entry_size, pointer_size) = self.sizes();
        let count = self.number(&bytes(source, page, offset, count_size)?, count_size);
        if count == 0 || count > TAGS {
            return Err(format(
                source,
                page,
                offset,
                format!("a directory of {count} tags is not plausible"),
            ));
        }
        let length = count_size + count as usize * entry_size + pointer_size;
        bytes(source, page, offset, length)
    }

    /// The entries of a directory from its bytes, and the offset of the next one.
    pub(crate) fn entries(&self, raw: &[u8], offset: u64) -> (Vec<Entry>, u64) {
        let (count_size, entry_size, pointer_size) = self.sizes();
        let end = raw.len() - pointer_size;
        let start = offset + count_size as u64;
        let mut entries = Vec::with_capacity((end - count_size) / entry_size);
        for (index, raw) in raw[count_size..end].chunks_exact(entry_size).enumerate() {
            let place = start + (index * entry_size) as u64;
            let (tag, kind) = (self.u16(raw), self.u16(&raw[2..]));
            let value_at = entry_size - pointer_size;
            let count = self.number(&raw[4..], value_at - 4);
            let size = count.checked_mul(kind_size(kind));
            let inline = size.is_some_and(|size| size <= pointer_size as u64);
            let offset = if inline {
                place + value_at as u64
            } else {
                self.offset(&raw[value_at..])
            };
            entries.push(Entry {
                tag,
                kind,
                count,
                offset,
                inline,
            });
        }
        (entries, self.offset(&raw[end..]))
    }

    /// A file offset at the start of `at`.
    pub(crate) fn offset(&self, at: &[u8]) -> u64 {
        self.number(at, self.sizes().2)
    }

    /// The values of an entry as unsigned integers.
    pub(crate) fn values(
        &self,
        source: &Source,
        page: usize,
        entry: Entry,
    ) -> Result<Vec<u64>, Error> {
        let size = match entry.kind {
            1 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 13 => 4,
            16..=18 => 8,
            other => {
                return Err(format(
                    source,
                    page,
                    entry.offset,
                    format!("tag {} has type {other} where an integer is due", entry.tag),
                ));
            }
        };
        let raw = Self::raw(source, page, entry, size)?;
        Ok(raw
            .chunks_exact(size)
            .map(|at| self.number(at, size))
            .collect())
    }

    /// The first value of an entry that holds fractions.
    pub(crate) fn rational(
        &self,
        source: &Source,
        page: usize,
        entry: Entry,
    ) -> Result<f64, Error> {
        let raw = Self::raw(source, page, Entry { count: 1, ..entry }, 8)?;
        if entry.kind != 5 || entry.count == 0 {
            return Err(format(
                source,
                page,
                entry.offset,
                format!("tag {} is no fraction", entry.tag),
            ));
        }
        Ok(self.number(&raw, 4) as f64 / self.number(&raw[4..], 4) as f64)
    }

    /// The text of an entry, up to its first NUL; bytes that are not UTF-8 are replaced.
    pub(crate) fn text(source: &Source, page: usize, entry: Entry) -> Result<String, Error> {
        let raw = Self::raw(source, page, entry, 1)?;
        let end = raw.iter().position(|&byte| byte == 0).unwrap_or(raw.len());
        Ok(String::from_utf8_lossy(&raw[..end]).into_owned())
    }

    fn raw(
        source: &Source,
        page: usize,
        entry: Entry,
        size: usize,
    ) -> Result<Cow<'_, [u8]>, Error> {
        let length = entry.count.saturating_mul(size as u64);
        if length > VALUES {
            return Err(Error::Limit {
                path: source.path().to_path_buf(),
                page,
                what: format!("tag {} asks for {length} bytes of values", entry.tag),
            });
        }
        bytes(source, page, entry.offset, length as usize)
    }
}

fn kind_size(kind: u16) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

/// Bytes of the file, or an error that names the place.
pub(crate) fn bytes(
    source: &Source,
    page: usize,
    offset: u64,
    length: usize,
) -> Result<Cow<'_, [u8]>, Error> {
    source.bytes(offset, length).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            format(
                source,
                page,
                offset,
                format!(
                    "points {length} bytes past or across the end of the file ({} bytes); \
                     the file is truncated or the offset is wrong",
                    source.length()
                ),
            )
        } else {
            Error::Io {
                path: source.path().to_path_buf(),
                source: error,
            }
        }
    })
}
