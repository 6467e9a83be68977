//! The places of irregular pages, kept in a hidden file beside the TIFF.
//!
//! ```text
//! 8   "FLTIFIX1"
//! 8   bytes of the TIFF          all numbers little-endian
//! 8   its last change, ns since 1970
//! 8   its first directory
//! 8   number of pages
//! 8n  places: offset of the pixels, or 2^63 + offset of the directory
//! 4   CRC-32 of all before
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use crate::index::{Place, PlaceCode};
use crate::source::Source;

const MAGIC: &[u8; 8] = b"FLTIFIX1";
const HEAD: usize = 40;

fn path(source: &Source) -> Option<PathBuf> {
    let name = source.path().file_name()?.to_string_lossy();
    Some(source.path().with_file_name(format!(".{name}.index")))
}

fn head(source: &Source, first: u64, pages: usize) -> Option<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    for number in [source.length(), source.modified()?, first, pages as u64] {
        out.extend(number.to_le_bytes());
    }
    Some(out)
}

/// The places, if they were kept and the file has not changed since.
pub(crate) fn load(source: &Source, first: u64, frame_bytes: usize) -> Option<Vec<PlaceCode>> {
    let bytes = fs::read(path(source)?).ok()?;
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if crc32fast::hash(body).to_le_bytes() != sum {
        return None;
    }
    let (start, places) = body.split_at_checked(HEAD)?;
    if places.is_empty() || start != head(source, first, places.len() / 8)? {
        return None;
    }
    let inside = |at: u64, size: u64| {
        at.checked_add(size)
            .is_some_and(|end| end <= source.length())
    };
    places
        .chunks_exact(8)
        .map(|raw| {
            let mut number = [0; 8];
            number.copy_from_slice(raw);
            let code = PlaceCode(u64::from_le_bytes(number));
            match code.place() {
                Place::Block(at) => inside(at, frame_bytes as u64),
                Place::Encoded(at) => inside(at, 8),
            }
            .then_some(code)
        })
        .collect()
}

/// Keeps the places. Not being able to is no error: it only costs time later.
pub(crate) fn store(source: &Source, first: u64, places: &[PlaceCode]) {
    let Some((path, mut bytes)) = path(source).zip(head(source, first, places.len())) else {
        return;
    };
    bytes.extend(places.iter().flat_map(|code| code.0.to_le_bytes()));
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let attempt = || {
        let mut file = File::create(&partial)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    if attempt().is_err() {
        let _ = fs::remove_file(&partial);
    }
}
