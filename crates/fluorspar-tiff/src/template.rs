//! Pages that say the same as the page before, but for where their pixels are.

use crate::Error;
use crate::directory::{Entry, Header};
use crate::page::{Page, check_inside, tag};
use crate::source::Source;

/// Tags whose values decide how pixels are read; others may differ from page to page.
const DECISIVE: [u16; 13] = [
    tag::SUBFILE,
    tag::WIDTH,
    tag::HEIGHT,
    tag::BITS,
    tag::COMPRESSION,
    tag::PHOTOMETRIC,
    tag::FILL_ORDER,
    tag::SAMPLES,
    tag::ROWS_PER_STRIP,
    tag::PLANAR,
    tag::PREDICTOR,
    tag::SAMPLE_FORMAT,
    tag::DEPTH,
];

/// The directory of a page of one strip, to compare others with.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    raw: Vec<u8>,
    /// What has to be the same, in ranges of `raw`.
    fixed: Vec<(usize, usize)>,
    /// Where in `raw` the offset of the strip stands, and its bytes.
    strip: (usize, usize),
    /// Where in `raw` the byte count of the strip stands, and its bytes.
    count: (usize, usize),
    plain: bool,
}

/// What a page like the template says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Likeness {
    /// Where its strip lies.
    pub(crate) strip: u64,
    /// Bytes of its strip.
    pub(crate) count: u64,
    /// The next directory, 0 after the last.
    pub(crate) next: u64,
}

impl Template {
    /// The template of `page`, whose directory has the bytes `raw`; `None`
    /// for pages of several chunks.
    pub(crate) fn new(header: &Header, raw: &[u8], entries: &[Entry], page: &Page) -> Option<Self> {
        if page.chunks.tiled || page.chunks.offsets.len() != 1 {
            return None;
        }
        let (count_size, entry_size, pointer_size) = header.sizes();
        let mut fixed = vec![(0, count_size)];
        let (mut strip, mut count) = (None, None);
        for (index, entry) in entries.iter().enumerate() {
            let start = count_size + index * entry_size;
            let end = start + entry_size;
            let value = end - pointer_size;
            let field = entry.inline.then_some((value, entry.value_bytes()));
            fixed.push(match entry.tag {
                tag::STRIP_OFFSETS | tag::STRIP_COUNTS => (start, value),
                other if DECISIVE.contains(&other) => (start, end),
                // Tag and type; a description may become longer.
                _ => (start, start + 4),
            });
            // Of tags that stand twice, the first is the one that counts.
            match entry.tag {
                tag::STRIP_OFFSETS => strip = strip.or(Some(field)),
                tag::STRIP_COUNTS => count = count.or(Some(field)),
                _ => {}
            }
        }
        Some(Self {
            raw: raw.to_vec(),
            fixed: merged(&fixed),
            strip: strip.flatten()?,
            count: count.flatten()?,
            plain: page.block.is_some(),
        })
    }

    /// Whether the strips hold the pixels as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// What a directory says that differs from the template in places only.
    pub(crate) fn compare(&self, header: &Header, raw: &[u8]) -> Option<Likeness> {
        if raw.len() != self.raw.len()
            || self
                .fixed
                .iter()
                .any(|&(start, end)| raw[start..end] != self.raw[start..end])
        {
            return None;
        }
        let field = |(at, size): (usize, usize)| header.number(&raw[at..], size);
        let count = field(self.count);
        // An uncompressed strip may not become shorter.
        if self.plain && count != header.number(&self.raw[self.count.0..], self.count.1) {
            return None;
        }
        Some(Likeness {
            strip: field(self.strip),
            count,
            next: header.offset(&raw[raw.len() - header.sizes().2..]),
        })
    }

    /// As [`Template::compare`], for the directory at `offset`.
    pub(crate) fn at(
        &self,
        source: &Source,
        header: &Header,
        page: usize,
        offset: u64,
    ) -> Result<Option<Likeness>, Error> {
        // Another kind of directory may lie right at the end of the file.
        let end = offset.checked_add(self.raw.len() as u64);
        if end.is_none_or(|end| end > source.length()) {
            return Ok(None);
        }
        let raw = crate::directory::bytes(source, page, offset, self.raw.len())?;
        let Some(likeness) = self.compare(header, &raw) else {
            return Ok(None);
        };
        check_inside(source, page, likeness.strip, likeness.count)?;
        Ok(Some(likeness))
    }
}

/// Ranges in order, those that touch made one.
fn merged(ranges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for &(start, end) in ranges {
        match out.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => out.push((start, end)),
        }
    }
    out
}
