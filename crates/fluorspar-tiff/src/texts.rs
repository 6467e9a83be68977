//! The texts of a file's header and pages.

use crate::Error;
use crate::directory::{Entry, Header};
use crate::index::Chain;
use crate::metadata::{Texts, page_time, static_blocks};
use crate::page::{TextEntries, tag};
use crate::source::Source;

/// Where ScanImage's block of settings begins in its BigTIFF files.
const STATIC: u64 = 16;
/// Most bytes of that block.
const MOST_STATIC: u64 = 256 << 20;

/// What the header and the first page say.
pub(crate) fn read(
    source: &Source,
    header: &Header,
    entries: &TextEntries,
) -> Result<Texts, Error> {
    let text = |entry: Option<Entry>| {
        entry
            .map(|entry| Header::text(source, 0, entry))
            .transpose()
    };
    Ok(Texts {
        description: text(entries.description)?.unwrap_or_default(),
        software: text(entries.software)?,
        artist: text(entries.artist)?,
        scanimage: scanimage(source, header),
        micromanager: text(entries.micromanager)?,
        per_centimetre: per_centimetre(source, header, entries),
    })
}

/// ScanImage's settings before the first directory, if they are there.
fn scanimage(source: &Source, header: &Header) -> Option<(String, String)> {
    if !header.big || header.big_endian {
        return None;
    }
    let most = source.length().min(header.first).saturating_sub(STATIC);
    let head = source.bytes(STATIC, 16.min(most as usize)).ok()?;
    let lengths = head.get(8..16)?;
    let number = |at: usize| u64::from(header.u32(&lengths[at..]));
    let length = (16 + number(0) + number(4)).min(most).min(MOST_STATIC);
    static_blocks(&source.bytes(STATIC, length as usize).ok()?)
}

/// The tags of resolution, if they have a unit of length.
fn per_centimetre(source: &Source, header: &Header, entries: &TextEntries) -> Option<[f64; 2]> {
    let factor = match header
        .values(source, 0, entries.resolution_unit?)
        .ok()?
        .first()?
    {
        2 => 1.0 / 2.54,
        3 => 1.0,
        _ => return None,
    };
    let one = |entry: Option<Entry>| Some(header.rational(source, 0, entry?).ok()? * factor);
    Some([one(entries.y_resolution)?, one(entries.x_resolution)?])
}

/// When each page was recorded, in seconds, if every page says so.
pub(crate) fn times(source: &Source, header: &Header) -> Result<Option<Vec<f64>>, Error> {
    let mut out = Vec::new();
    let mut chain = Chain::new(header.first);
    let mut offset = header.first;
    while offset != 0 {
        let page = out.len();
        let raw = header.directory_bytes(source, page, offset)?;
        let (entries, next) = header.entries(&raw, offset);
        let entry = |tag: u16| entries.iter().find(|entry| entry.tag == tag).copied();
        let subfile = entry(tag::SUBFILE)
            .map(|e| header.values(source, page, e))
            .transpose()?;
        let auxiliary = subfile.is_some_and(|v| v.first().is_some_and(|kind| kind & 0b101 != 0));
        if !auxiliary || page == 0 {
            let text = |tag: u16| {
                entry(tag)
                    .map(|e| Header::text(source, page, e))
                    .transpose()
            };
            let description = text(tag::DESCRIPTION)?.unwrap_or_default();
            let Some(time) = page_time(&description, text(tag::MICROMANAGER)?.as_deref()) else {
                return Ok(None);
            };
            out.push(time);
        }
        if chain.meets_itself(next) {
            return Ok(None);
        }
        offset = next;
    }
    Ok(Some(out))
}
