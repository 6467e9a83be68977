//! TIFF files built by hand, sound or spoilt.
#![allow(dead_code, reason = "each test file uses its part")]

use fluorspar_tiff::{Error, Movie, OpenOptions};

/// A tag: number, type, and a value that fits into the directory.
pub(crate) type Tag = (u16, u16, u64);

/// A TIFF, page by page, in any byte order and size; every entry can be spoilt.
#[derive(Debug)]
pub(crate) struct TiffBuilder {
    pub(crate) bytes: Vec<u8>,
    /// Where the offset of the next directory has to be written.
    pub(crate) link: usize,
    pub(crate) big_endian: bool,
    pub(crate) big: bool,
}

impl TiffBuilder {
    pub(crate) fn new() -> Self {
        Self::with(false, false)
    }

    pub(crate) fn with(big_endian: bool, big: bool) -> Self {
        let mut out = Self {
            bytes: if big_endian { b"MM" } else { b"II" }.to_vec(),
            link: if big { 8 } else { 4 },
            big_endian,
            big,
        };
        if big {
            out.put(43, 2);
            out.put(8, 2);
            out.put(0, 2);
            out.put(0, 8);
        } else {
            out.put(42, 2);
            out.put(0, 4);
        }
        out
    }

    fn encoded(&self, value: u64, size: usize) -> Vec<u8> {
        if self.big_endian {
            value.to_be_bytes()[8 - size..].to_vec()
        } else {
            value.to_le_bytes()[..size].to_vec()
        }
    }

    pub(crate) fn put(&mut self, value: u64, size: usize) {
        let bytes = self.encoded(value, size);
        self.bytes.extend(bytes);
    }

    /// Adds a page of `u16` pixels, all of `value`; returns its directory's offset.
    pub(crate) fn page(
        &mut self,
        height: u32,
        width: u32,
        value: u16,
        change: impl Fn(&mut Vec<Tag>),
    ) -> usize {
        let data = self.bytes.len() as u64;
        let count = u64::from(height.min(64) * width.min(64));
        for _ in 0..count {
            self.put(u64::from(value), 2);
        }
        let mut tags = vec![
            (256, 4, u64::from(width)),
            (257, 4, u64::from(height)),
            (258, 3, 16),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, data),
            (277, 3, 1),
            (278, 4, u64::from(height)),
            (279, 4, 2 * count),
        ];
        change(&mut tags);
        self.directory(&tags)
    }

    /// Adds a directory of tags; returns its offset.
    pub(crate) fn directory(&mut self, tags: &[Tag]) -> usize {
        let pointer = if self.big { 8 } else { 4 };
        let place = self.bytes.len();
        let link = self.encoded(place as u64, pointer);
        self.bytes[self.link..self.link + pointer].copy_from_slice(&link);
        self.put(tags.len() as u64, if self.big { 8 } else { 2 });
        for &(tag, kind, value) in tags {
            let size = match kind {
                1 | 2 => 1,
                3 => 2,
                4 => 4,
                _ => 8,
            };
            self.put(u64::from(tag), 2);
            self.put(u64::from(kind), 2);
            self.put(1, pointer);
            self.put(value, size);
            self.bytes.resize(self.bytes.len() + pointer - size, 0);
        }
        self.link = self.bytes.len();
        self.put(0, pointer);
        place
    }

    /// Adds bytes that belong to nothing.
    pub(crate) fn pad(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0xEE);
    }

    pub(crate) fn open(self) -> Result<Movie, Error> {
        Movie::from_bytes(self.bytes, &OpenOptions::default())
    }
}

/// Replaces the value of a tag.
pub(crate) fn set(tag: u16, value: u64) -> impl Fn(&mut Vec<Tag>) {
    move |tags| {
        for entry in tags.iter_mut().filter(|entry| entry.0 == tag) {
            entry.2 = value;
        }
    }
}
