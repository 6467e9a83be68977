//! What one page says about its pixels.

use fluorspar_movie::PixelType;

use crate::directory::{Entry, Header, format};
use crate::source::Source;
use crate::{Error, Limits};

/// What all pages of a movie share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) pixel_type: PixelType,
    pub(crate) compression: u16,
}

impl Layout {
    pub(crate) fn frame_bytes(&self) -> usize {
        self.height * self.width * self.pixel_type.bytes()
    }
}

/// One page: its layout and, where its pixels lie in one block as they are, their place.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) layout: Layout,
    pub(crate) block: Option<u64>,
    pub(crate) description: Option<Entry>,
    pub(crate) software: Option<Entry>,
}

mod tag {
    pub(super) const WIDTH: u16 = 256;
    pub(super) const HEIGHT: u16 = 257;
    pub(super) const BITS: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const DESCRIPTION: u16 = 270;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const SAMPLES: u16 = 277;
    pub(super) const STRIP_COUNTS: u16 = 279;
    pub(super) const SOFTWARE: u16 = 305;
    pub(super) const PREDICTOR: u16 = 317;
    pub(super) const TILE_OFFSETS: u16 = 324;
    pub(super) const TILE_COUNTS: u16 = 325;
    pub(super) const SAMPLE_FORMAT: u16 = 339;
}

impl Page {
    pub(crate) fn parse(
        source: &Source,
        header: &Header,
        number: usize,
        offset: u64,
        entries: &[Entry],
        limits: &Limits,
    ) -> Result<Self, Error> {
        let bad = |rule: String| format(source, number, offset, rule);
        let unsupported = |what: String| Error::Unsupported {
            path: source.path().to_path_buf(),
            page: number,
            what,
        };
        let entry = |tag: u16| entries.iter().find(|entry| entry.tag == tag).copied();
        let list = |tag: u16| {
            entry(tag)
                .map(|entry| header.values(source, number, entry))
                .transpose()
        };
        let one = |tag: u16, default: Option<u64>| {
            list(tag)?
                .and_then(|values| values.first().copied())
                .or(default)
                .ok_or_else(|| bad(format!("the tag {tag} is missing")))
        };
        let (width, height) = (one(tag::WIDTH, None)?, one(tag::HEIGHT, None)?);
        if width == 0 || height == 0 {
            return Err(bad(format!(
                "an image of {height} × {width} px has no pixels"
            )));
        }
        if one(tag::SAMPLES, Some(1))? != 1 {
            return Err(unsupported(format!(
                "has {} samples per pixel; only grey images are movies (split the colours first)",
                one(tag::SAMPLES, Some(1))?
            )));
        }
        match one(tag::PHOTOMETRIC, Some(1))? {
            1 => {}
            0 => return Err(unsupported("shows zero as white; invert it first".into())),
            other => {
                return Err(unsupported(format!(
                    "is not a grey image (photometric interpretation {other})"
                )));
            }
        }
        let (bits, sample) = (one(tag::BITS, Some(1))?, one(tag::SAMPLE_FORMAT, Some(1))?);
        let pixel_type = match (bits, sample) {
            (8, 1) => PixelType::U8,
            (8, 2) => PixelType::I8,
            (16, 1) => PixelType::U16,
            (16, 2) => PixelType::I16,
            (32, 1) => PixelType::U32,
            (32, 2) => PixelType::I32,
            (32, 3) => PixelType::F32,
            (64, 3) => PixelType::F64,
            _ => {
                return Err(unsupported(format!(
                    "has {bits}-bit samples of format {sample}; 8, 16 and 32-bit integers and floats are read"
                )));
            }
        };
        let frame_bytes = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(pixel_type.bytes() as u64))
            .filter(|&n| n <= limits.frame_bytes as u64)
            .ok_or_else(|| Error::Limit {
                path: source.path().to_path_buf(),
                page: number,
                what: format!(
                    "an image of {height} × {width} px is larger than the limit of {} bytes",
                    limits.frame_bytes
                ),
            })?;
        let compression = one(tag::COMPRESSION, Some(1))? as u16;
        if !matches!(compression, 1 | 5 | 8 | 32773 | 32946 | 50000) {
            return Err(unsupported(format!(
                "is compressed by method {compression}; none, PackBits, LZW, deflate and zstd are read"
            )));
        }
        let tiled = entry(tag::TILE_OFFSETS).is_some();
        let (offsets, counts) = if tiled {
            (list(tag::TILE_OFFSETS)?, list(tag::TILE_COUNTS)?)
        } else {
            (list(tag::STRIP_OFFSETS)?, list(tag::STRIP_COUNTS)?)
        };
        let offsets = offsets.unwrap_or_default();
        if offsets.is_empty() {
            return Err(bad("says nowhere where its pixels are".into()));
        }
        // A file may leave the byte counts out when there is one plain strip.
        let counts = match counts {
            None if offsets.len() == 1 && compression == 1 => vec![frame_bytes],
            counts => counts.unwrap_or_default(),
        };
        if counts.len() != offsets.len() {
            return Err(bad(format!(
                "has {} offsets and {} byte counts",
                offsets.len(),
                counts.len()
            )));
        }
        for (&at, &count) in offsets.iter().zip(&counts) {
            if at
                .checked_add(count)
                .is_none_or(|end| end > source.length())
            {
                return Err(format(
                    source,
                    number,
                    at,
                    format!(
                        "pixel data of {count} bytes reach past the end of the file ({} bytes); \
                         the file is truncated or the offset is wrong",
                        source.length()
                    ),
                ));
            }
        }
        let plain = compression == 1 && !tiled && one(tag::PREDICTOR, Some(1))? == 1;
        if plain && counts.iter().sum::<u64>() < frame_bytes {
            return Err(bad(format!(
                "has {} bytes of pixels, but {height} × {width} px of {pixel_type} need {frame_bytes}",
                counts.iter().sum::<u64>()
            )));
        }
        let adjacent = offsets
            .iter()
            .zip(&counts)
            .zip(offsets.iter().skip(1))
            .all(|((&at, &count), &next)| at + count == next);
        Ok(Self {
            layout: Layout {
                height: height as usize,
                width: width as usize,
                pixel_type,
                compression,
            },
            block: (plain && adjacent).then_some(offsets[0]),
            description: entry(tag::DESCRIPTION),
            software: entry(tag::SOFTWARE),
        })
    }
}
