//! Directories as bytes.

use fluorspar_movie::PixelType;

use crate::page::tag;

/// What the directories of a file have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectoryWriter {
    pub(crate) big: bool,
    pub(crate) height: u32,
    pub(crate) width: u32,
    pub(crate) pixel_type: PixelType,
    pub(crate) compression: u16,
    /// Pixels per centimetre, if known.
    pub(crate) resolution: Option<f64>,
}

/// Where the parts of one page lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PagePlaces {
    /// Description and software, each with its bytes and the NUL, 0 for none.
    pub(crate) texts: [(u64, usize); 2],
    /// The strip and its bytes.
    pub(crate) strip: (u64, u64),
    /// The next directory, 0 after the last.
    pub(crate) next: u64,
}

const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const LONG8: u16 = 16;
const ASCII: u16 = 2;

/// Dots per unit are fractions with this denominator.
const RESOLUTION_PARTS: u32 = 10_000;

impl DirectoryWriter {
    /// The header of a file whose first directory lies at `first`.
    pub(crate) fn header(self, first: u64) -> Vec<u8> {
        let mut out = if cfg!(target_endian = "big") {
            b"MM".to_vec()
        } else {
            b"II".to_vec()
        };
        if self.big {
            for number in [43_u16, 8, 0] {
                out.extend(number.to_ne_bytes());
            }
            out.extend(first.to_ne_bytes());
        } else {
            out.extend(42_u16.to_ne_bytes());
            out.extend((first as u32).to_ne_bytes());
        }
        out
    }

    /// Bytes of a directory with so many texts.
    pub(crate) fn len(self, texts: usize) -> usize {
        let (count_size, entry_size, pointer_size) = self.sizes();
        count_size + self.tags(texts) * entry_size + pointer_size + self.outside()
    }

    fn sizes(self) -> (usize, usize, usize) {
        if self.big { (8, 20, 8) } else { (2, 12, 4) }
    }

    fn tags(self, texts: usize) -> usize {
        10 + texts + if self.resolution.is_some() { 3 } else { 0 }
    }

    /// Bytes of the resolution after a classic directory, which has no room for fractions.
    fn outside(self) -> usize {
        if self.resolution.is_some() && !self.big {
            8
        } else {
            0
        }
    }

    /// The directory of a page, to stand at `at`.
    pub(crate) fn encode(self, at: u64, places: &PagePlaces) -> Vec<u8> {
        let texts = places.texts.iter().filter(|text| text.1 > 0).count();
        let (count_size, _, pointer_size) = self.sizes();
        let mut out = Vec::with_capacity(self.len(texts));
        let count = self.tags(texts) as u64;
        number(&mut out, count, count_size);
        let kind = match self.pixel_type {
            PixelType::I8 | PixelType::I16 | PixelType::I32 => 2,
            PixelType::F32 | PixelType::F64 => 3,
            _ => 1,
        };
        let offset = if self.big { LONG8 } else { LONG };
        // Tags stand in ascending order.
        self.tag(&mut out, tag::WIDTH, LONG, 1, u64::from(self.width));
        self.tag(&mut out, tag::HEIGHT, LONG, 1, u64::from(self.height));
        self.tag(
            &mut out,
            tag::BITS,
            SHORT,
            1,
            8 * self.pixel_type.bytes() as u64,
        );
        self.tag(
            &mut out,
            tag::COMPRESSION,
            SHORT,
            1,
            u64::from(self.compression),
        );
        self.tag(&mut out, tag::PHOTOMETRIC, SHORT, 1, 1);
        let text = |out: &mut Vec<u8>, number: u16, (place, length): (u64, usize)| {
            if length > 0 {
                self.tag(out, number, ASCII, length as u64, place);
            }
        };
        text(&mut out, tag::DESCRIPTION, places.texts[0]);
        self.tag(&mut out, tag::STRIP_OFFSETS, offset, 1, places.strip.0);
        self.tag(&mut out, tag::SAMPLES, SHORT, 1, 1);
        self.tag(
            &mut out,
            tag::ROWS_PER_STRIP,
            LONG,
            1,
            u64::from(self.height),
        );
        self.tag(&mut out, tag::STRIP_COUNTS, offset, 1, places.strip.1);
        let fraction = self.resolution.map(|per_cm| {
            let parts = (per_cm * f64::from(RESOLUTION_PARTS))
                .round()
                .min(f64::from(u32::MAX));
            let (parts, unit) = ((parts as u32).to_ne_bytes(), RESOLUTION_PARTS.to_ne_bytes());
            let mut both = [0; 8];
            both[..4].copy_from_slice(&parts);
            both[4..].copy_from_slice(&unit);
            both
        });
        if let Some(fraction) = fraction {
            let value = if self.big {
                u64::from_ne_bytes(fraction)
            } else {
                at + self.len(texts) as u64 - 8
            };
            self.tag(&mut out, tag::X_RESOLUTION, RATIONAL, 1, value);
            self.tag(&mut out, tag::Y_RESOLUTION, RATIONAL, 1, value);
            self.tag(&mut out, tag::RESOLUTION_UNIT, SHORT, 1, 3);
        }
        text(&mut out, tag::SOFTWARE, places.texts[1]);
        self.tag(&mut out, tag::SAMPLE_FORMAT, SHORT, 1, kind);
        number(&mut out, places.next, pointer_size);
        if !self.big {
            out.extend(fraction.into_iter().flatten());
        }
        out
    }

    /// A tag whose values fit into the directory, or their place.
    fn tag(self, out: &mut Vec<u8>, tag: u16, kind: u16, count: u64, value: u64) {
        let (_, entry_size, pointer_size) = self.sizes();
        let start = out.len();
        out.extend(tag.to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        number(out, count, pointer_size);
        // Values stand at the front of their field in either byte order.
        match kind {
            SHORT => out.extend((value as u16).to_ne_bytes()),
            LONG => out.extend((value as u32).to_ne_bytes()),
            _ => number(out, value, pointer_size),
        }
        out.resize(start + entry_size, 0);
    }
}

fn number(out: &mut Vec<u8>, value: u64, size: usize) {
    match size {
        2 => out.extend((value as u16).to_ne_bytes()),
        4 => out.extend((value as u32).to_ne_bytes()),
        _ => out.extend(value.to_ne_bytes()),
    }
}
