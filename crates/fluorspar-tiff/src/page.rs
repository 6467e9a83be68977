//! What one page says about its pixels.

use std::fmt;

use fluorspar_movie::PixelType;

use crate::codec::Codec;
use crate::directory::{Entry, Header, format};
use crate::source::Source;
use crate::{Error, OpenOptions};

/// What all pages of a movie share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) pixel_type: PixelType,
    /// Numbers per pixel; each is a frame of its own.
    pub(crate) samples: usize,
}

impl Layout {
    /// Bytes of one sample of all pixels.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.height * self.width * self.pixel_type.bytes()
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} × {} px of {}",
            self.height, self.width, self.pixel_type
        )?;
        match self.samples {
            1 => Ok(()),
            n => write!(f, " with {n} samples"),
        }
    }
}

/// One page: its layout and how its pixels are stored.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) layout: Layout,
    /// Where the pixels lie, if they lie in one block as they are.
    pub(crate) block: Option<u64>,
    pub(crate) codec: Codec,
    pub(crate) predictor: Predictor,
    /// Whether each sample has chunks of its own.
    pub(crate) planar: bool,
    /// Whether the bits of each stored byte are in reverse order.
    pub(crate) reversed_bits: bool,
    pub(crate) chunks: Chunks,
    /// Whether the page is a smaller copy or a mask of another.
    pub(crate) auxiliary: bool,
    pub(crate) texts: TextEntries,
}

/// Strips or tiles.
#[derive(Clone, Debug)]
pub(crate) struct Chunks {
    pub(crate) tiled: bool,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) offsets: Vec<u64>,
    pub(crate) counts: Vec<u64>,
}

/// How samples are stored as differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Predictor {
    None,
    Horizontal,
    FloatingPoint,
}

/// Where lies what a page says beside its pixels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextEntries {
    pub(crate) description: Option<Entry>,
    pub(crate) software: Option<Entry>,
    pub(crate) artist: Option<Entry>,
    pub(crate) micromanager: Option<Entry>,
    pub(crate) x_resolution: Option<Entry>,
    pub(crate) y_resolution: Option<Entry>,
    pub(crate) resolution_unit: Option<Entry>,
}

pub(crate) mod tag {
    pub(crate) const SUBFILE: u16 = 254;
    pub(crate) const WIDTH: u16 = 256;
    pub(crate) const HEIGHT: u16 = 257;
    pub(crate) const BITS: u16 = 258;
    pub(crate) const COMPRESSION: u16 = 259;
    pub(crate) const PHOTOMETRIC: u16 = 262;
    pub(crate) const FILL_ORDER: u16 = 266;
    pub(crate) const DESCRIPTION: u16 = 270;
    pub(crate) const STRIP_OFFSETS: u16 = 273;
    pub(crate) const SAMPLES: u16 = 277;
    pub(crate) const ROWS_PER_STRIP: u16 = 278;
    pub(crate) const STRIP_COUNTS: u16 = 279;
    pub(crate) const X_RESOLUTION: u16 = 282;
    pub(crate) const Y_RESOLUTION: u16 = 283;
    pub(crate) const PLANAR: u16 = 284;
    pub(crate) const RESOLUTION_UNIT: u16 = 296;
    pub(crate) const SOFTWARE: u16 = 305;
    pub(crate) const ARTIST: u16 = 315;
    pub(crate) const PREDICTOR: u16 = 317;
    pub(crate) const TILE_WIDTH: u16 = 322;
    pub(crate) const TILE_HEIGHT: u16 = 323;
    pub(crate) const TILE_OFFSETS: u16 = 324;
    pub(crate) const TILE_COUNTS: u16 = 325;
    pub(crate) const SAMPLE_FORMAT: u16 = 339;
    pub(crate) const DEPTH: u16 = 32997;
    pub(crate) const MICROMANAGER: u16 = 51123;
}

/// Reads the tags of one page.
struct Tags<'a> {
    source: &'a Source,
    header: &'a Header,
    number: usize,
    offset: u64,
    entries: &'a [Entry],
}

impl Tags<'_> {
    fn bad(&self, rule: String) -> Error {
        format(self.source, self.number, self.offset, rule)
    }

    fn unsupported(&self, what: String) -> Error {
        Error::Unsupported {
            path: self.source.path().to_path_buf(),
            page: self.number,
            what,
        }
    }

    fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    fn list(&self, tag: u16) -> Result<Option<Vec<u64>>, Error> {
        self.entry(tag)
            .map(|entry| self.header.values(self.source, self.number, entry))
            .transpose()
    }

    fn one(&self, tag: u16) -> Result<Option<u64>, Error> {
        Ok(self.list(tag)?.and_then(|values| values.first().copied()))
    }

    fn or(&self, tag: u16, default: u64) -> Result<u64, Error> {
        Ok(self.one(tag)?.unwrap_or(default))
    }

    fn needed(&self, tag: u16) -> Result<u64, Error> {
        self.one(tag)?
            .ok_or_else(|| self.bad(format!("the tag {tag} is missing")))
    }

    /// A tag with a value per sample, which must all be the same.
    fn uniform(&self, tag: u16, default: u64) -> Result<u64, Error> {
        let values = self.list(tag)?.unwrap_or_default();
        let first = values.first().copied().unwrap_or(default);
        if values.iter().any(|&value| value != first) {
            return Err(self.unsupported(format!(
                "has samples of different kinds (tag {tag}: {values:?})"
            )));
        }
        Ok(first)
    }
}

impl Page {
    pub(crate) fn parse(
        source: &Source,
        header: &Header,
        number: usize,
        offset: u64,
        entries: &[Entry],
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let tags = Tags {
            source,
            header,
            number,
            offset,
            entries,
        };
        let (layout, page_bytes) = layout(&tags, options)?;
        let codec = codec(&tags, &layout)?;
        let predictor = match tags.or(tag::PREDICTOR, 1)? {
            1 => Predictor::None,
            2 => Predictor::Horizontal,
            3 if matches!(layout.pixel_type, PixelType::F32 | PixelType::F64) => {
                Predictor::FloatingPoint
            }
            other => {
                return Err(tags.unsupported(format!(
                    "stores {} samples as differences of kind {other}",
                    layout.pixel_type
                )));
            }
        };
        let planar = layout.samples > 1 && tags.or(tag::PLANAR, 1)? == 2;
        let reversed_bits = tags.or(tag::FILL_ORDER, 1)? == 2;
        let chunks = chunks(&tags, &layout, planar, codec, page_bytes, options)?;
        let plain = codec == Codec::None && predictor == Predictor::None && !reversed_bits;
        let adjacent = chunks
            .offsets
            .iter()
            .zip(&chunks.counts)
            .zip(chunks.offsets.iter().skip(1))
            .all(|((&at, &count), &next)| at + count == next);
        let one_block = plain && !chunks.tiled && layout.samples == 1 && adjacent;
        Ok(Self {
            block: one_block.then(|| chunks.offsets[0]),
            layout,
            codec,
            predictor,
            planar,
            reversed_bits,
            chunks,
            auxiliary: tags.or(tag::SUBFILE, 0)? & 0b101 != 0,
            texts: TextEntries {
                description: tags.entry(tag::DESCRIPTION),
                software: tags.entry(tag::SOFTWARE),
                artist: tags.entry(tag::ARTIST),
                micromanager: tags.entry(tag::MICROMANAGER),
                x_resolution: tags.entry(tag::X_RESOLUTION),
                y_resolution: tags.entry(tag::Y_RESOLUTION),
                resolution_unit: tags.entry(tag::RESOLUTION_UNIT),
            },
        })
    }
}

/// The layout, and the bytes of all samples.
fn layout(tags: &Tags<'_>, options: &OpenOptions) -> Result<(Layout, u64), Error> {
    let (width, height) = (tags.needed(tag::WIDTH)?, tags.needed(tag::HEIGHT)?);
    if width == 0 || height == 0 {
        return Err(tags.bad(format!("an image of {height} × {width} px has no pixels")));
    }
    let samples = tags.or(tag::SAMPLES, 1)?;
    if samples == 0 {
        return Err(tags.bad("its pixels have no samples".into()));
    }
    if tags.or(tag::DEPTH, 1)? != 1 {
        return Err(tags.unsupported("holds a volume in one page (ImageDepth)".into()));
    }
    if tags.or(tag::PHOTOMETRIC, 1)? == 6 {
        return Err(tags.unsupported("stores colour as YCbCr, which is no measurement".into()));
    }
    let (bits, kind) = (
        tags.uniform(tag::BITS, 1)?,
        tags.uniform(tag::SAMPLE_FORMAT, 1)?,
    );
    let pixel_type = match (bits, kind) {
        (8, 1 | 4) => PixelType::U8,
        (8, 2) => PixelType::I8,
        (16, 1 | 4) => PixelType::U16,
        (16, 2) => PixelType::I16,
        (32, 1 | 4) => PixelType::U32,
        (32, 2) => PixelType::I32,
        (32, 3) => PixelType::F32,
        (64, 3) => PixelType::F64,
        _ => {
            return Err(tags.unsupported(format!(
                "has {bits}-bit samples of format {kind}; integers of 8, 16 and 32 bits and \
                 floats of 32 and 64 bits are read"
            )));
        }
    };
    let page_bytes = width
        .checked_mul(height)
        .and_then(|n| n.checked_mul(samples))
        .and_then(|n| n.checked_mul(pixel_type.bytes() as u64))
        .filter(|&n| n <= options.page_bytes as u64)
        .ok_or_else(|| Error::Limit {
            path: tags.source.path().to_path_buf(),
            page: tags.number,
            what: format!(
                "an image of {height} × {width} px of {samples} samples is larger than the limit \
                 of {} bytes",
                options.page_bytes
            ),
        })?;
    let layout = Layout {
        height: height as usize,
        width: width as usize,
        pixel_type,
        samples: samples as usize,
    };
    Ok((layout, page_bytes))
}

fn codec(tags: &Tags<'_>, layout: &Layout) -> Result<Codec, Error> {
    let method = tags.or(tag::COMPRESSION, 1)?;
    let codec = Codec::from_tag(method).ok_or_else(|| {
        tags.unsupported(format!(
            "is compressed by method {method}; none, PackBits, LZW, deflate, zstd and JPEG are read"
        ))
    })?;
    if codec == Codec::Jpeg && (layout.samples, layout.pixel_type) != (1, PixelType::U8) {
        return Err(tags.unsupported("is a JPEG of other than one 8-bit grey channel".into()));
    }
    Ok(codec)
}

fn chunks(
    tags: &Tags<'_>,
    layout: &Layout,
    planar: bool,
    codec: Codec,
    page_bytes: u64,
    options: &OpenOptions,
) -> Result<Chunks, Error> {
    let tiled = tags.entry(tag::TILE_WIDTH).is_some();
    // Some writers put the places of tiles where those of strips belong.
    let (offsets, counts) = match tags.list(tag::TILE_OFFSETS)? {
        Some(offsets) if tiled => (Some(offsets), tags.list(tag::TILE_COUNTS)?),
        _ => (
            tags.list(tag::STRIP_OFFSETS)?,
            tags.list(tag::STRIP_COUNTS)?,
        ),
    };
    let (height, width) = if tiled {
        (
            tags.needed(tag::TILE_HEIGHT)?,
            tags.needed(tag::TILE_WIDTH)?,
        )
    } else {
        let rows = tags.or(tag::ROWS_PER_STRIP, u64::MAX)?;
        (rows.min(layout.height as u64), layout.width as u64)
    };
    if height == 0 || width == 0 {
        return Err(tags.bad("its strips or tiles have no pixels".into()));
    }
    let together = if planar { 1 } else { layout.samples as u64 };
    let chunk_bytes = height
        .checked_mul(width)
        .and_then(|n| n.checked_mul(together * layout.pixel_type.bytes() as u64));
    if chunk_bytes.is_none_or(|n| n > options.page_bytes as u64) {
        return Err(Error::Limit {
            path: tags.source.path().to_path_buf(),
            page: tags.number,
            what: format!(
                "tiles of {height} × {width} px are larger than the limit of {} bytes",
                options.page_bytes
            ),
        });
    }
    let offsets = offsets.unwrap_or_default();
    if offsets.is_empty() {
        return Err(tags.bad("says nowhere where its pixels are".into()));
    }
    // A file may leave the byte counts out when there is one plain strip.
    let counts = match counts {
        None if offsets.len() == 1 && codec == Codec::None => vec![page_bytes],
        counts => counts.unwrap_or_default(),
    };
    if counts.len() != offsets.len() {
        return Err(tags.bad(format!(
            "has {} offsets and {} byte counts",
            offsets.len(),
            counts.len()
        )));
    }
    let needed = (layout.height as u64).div_ceil(height)
        * (layout.width as u64).div_ceil(width)
        * if planar { layout.samples as u64 } else { 1 };
    if (offsets.len() as u64) < needed {
        return Err(tags.bad(format!(
            "has {} strips or tiles, but {needed} are needed for {} × {} px",
            offsets.len(),
            layout.height,
            layout.width
        )));
    }
    for (&at, &count) in offsets.iter().zip(&counts) {
        check_inside(tags.source, tags.number, at, count)?;
    }
    let stored: u64 = counts.iter().sum();
    if codec == Codec::None && stored < page_bytes {
        return Err(tags.bad(format!(
            "has {stored} bytes of pixels, but {} × {} px of {} need {page_bytes}",
            layout.height, layout.width, layout.pixel_type
        )));
    }
    Ok(Chunks {
        tiled,
        height: height as usize,
        width: width as usize,
        offsets,
        counts,
    })
}

/// Refuses pixels that lie past the end of the file.
pub(crate) fn check_inside(source: &Source, page: usize, at: u64, count: u64) -> Result<(), Error> {
    if at
        .checked_add(count)
        .is_none_or(|end| end > source.length())
    {
        return Err(format(
            source,
            page,
            at,
            std::format!(
                "pixel data of {count} bytes reach past the end of the file ({} bytes); the file \
                 is truncated or the offset is wrong",
                source.length()
            ),
        ));
    }
    Ok(())
}
