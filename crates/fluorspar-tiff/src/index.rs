//! Where every frame of a file lies.

use std::collections::HashSet;

use crate::directory::{Header, format};
use crate::metadata::Metadata;
use crate::page::{Layout, Page};
use crate::source::Source;
use crate::{Error, Limits};

/// The frames of one file.
#[derive(Debug)]
pub(crate) struct FrameIndex {
    pub(crate) header: Header,
    pub(crate) layout: Layout,
    pub(crate) metadata: Metadata,
    pub(crate) places: Places,
}

#[derive(Debug)]
pub(crate) enum Places {
    /// Frame `k` lies at `first + k · frame bytes`.
    Contiguous { first: u64, frames: usize },
    /// One entry per page.
    Pages(Vec<Place>),
}

/// Where one page's pixels are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// As they are, at this offset.
    Block(u64),
    /// To be decoded from the directory at this offset.
    Encoded(u64),
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Contiguous { frames, .. } => *frames,
            Self::Pages(pages) => pages.len(),
        }
    }

    pub(crate) fn get(&self, frame: usize, frame_bytes: usize) -> Place {
        match self {
            Self::Contiguous { first, .. } => Place::Block(first + (frame * frame_bytes) as u64),
            Self::Pages(pages) => pages[frame],
        }
    }
}

impl FrameIndex {
    pub(crate) fn build(source: &Source, limits: &Limits) -> Result<Self, Error> {
        let header = Header::read(source)?;
        if header.first == 0 {
            return Err(format(source, 0, 0, "holds no image"));
        }
        let mut places = Vec::new();
        let mut seen = HashSet::new();
        let mut shared: Option<(Layout, Metadata)> = None;
        let mut offset = header.first;
        while offset != 0 {
            let number = places.len();
            if !seen.insert(offset) {
                return Err(format(
                    source,
                    number,
                    offset,
                    "the chain of directories runs in a loop",
                ));
            }
            if number == limits.pages {
                return Err(Error::Limit {
                    path: source.path().to_path_buf(),
                    page: number,
                    what: format!("more than {} pages", limits.pages),
                });
            }
            let (entries, next) = header.directory(source, number, offset)?;
            let page = Page::parse(source, &header, number, offset, &entries, limits)?;
            match &shared {
                None => {
                    let text = |entry: Option<crate::directory::Entry>| {
                        entry
                            .map(|entry| Header::text(source, number, entry))
                            .transpose()
                    };
                    let description = text(page.description)?.unwrap_or_default();
                    let metadata = Metadata::parse(&description, text(page.software)?);
                    shared = Some((page.layout.clone(), metadata));
                }
                Some((layout, _)) if *layout != page.layout => {
                    return Err(Error::Unsupported {
                        path: source.path().to_path_buf(),
                        page: number,
                        what: format!(
                            "is {} × {} px of {}, but page 0 is {} × {} px of {}",
                            page.layout.height,
                            page.layout.width,
                            page.layout.pixel_type,
                            layout.height,
                            layout.width,
                            layout.pixel_type
                        ),
                    });
                }
                Some(_) => {}
            }
            places.push(page.block.map_or(Place::Encoded(offset), Place::Block));
            offset = next;
        }
        let Some((layout, metadata)) = shared else {
            return Err(format(source, 0, header.first, "holds no image"));
        };
        let places = compact(source, places, &layout, &metadata)?;
        Ok(Self {
            header,
            layout,
            metadata,
            places,
        })
    }
}

/// Recognises frames that follow each other without a gap: a stack that
/// ImageJ describes by one directory, or pages whose blocks are adjacent.
fn compact(
    source: &Source,
    pages: Vec<Place>,
    layout: &Layout,
    metadata: &Metadata,
) -> Result<Places, Error> {
    let step = layout.frame_bytes() as u64;
    let Some(&Place::Block(first)) = pages.first() else {
        return Ok(Places::Pages(pages));
    };
    if let (1, Some(images)) = (pages.len(), metadata.images.filter(|&n| n > 1)) {
        let end = (images as u64)
            .checked_mul(step)
            .and_then(|n| n.checked_add(first));
        if end.is_none_or(|end| end > source.length()) {
            return Err(format(
                source,
                0,
                first,
                std::format!(
                    "ImageJ announces {images} images of {step} bytes, which reach past the end of \
                     the file ({} bytes); the file is truncated",
                    source.length()
                ),
            ));
        }
        return Ok(Places::Contiguous {
            first,
            frames: images,
        });
    }
    let adjacent = pages.iter().zip(0_u64..).all(
        |(place, k)| matches!(place, Place::Block(at) if k.checked_mul(step).and_then(|n| n.checked_add(first)) == Some(*at)),
    );
    if adjacent {
        return Ok(Places::Contiguous {
            first,
            frames: pages.len(),
        });
    }
    Ok(Places::Pages(pages))
}
