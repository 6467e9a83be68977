//! Where every page of a file lies.

use std::sync::OnceLock;

use crate::directory::{Header, format};
use crate::metadata::{Texts, announced_images};
use crate::page::{Layout, Page};
use crate::regular::Regular;
use crate::source::{Access, Source};
use crate::template::Template;
use crate::{Error, OpenOptions, Search, sidecar, texts};

/// The pages of one file.
#[derive(Debug)]
pub(crate) struct PageIndex {
    pub(crate) header: Header,
    pub(crate) layout: Layout,
    pub(crate) texts: Texts,
    pub(crate) codec: &'static str,
    pages: Pages,
    options: OpenOptions,
    /// The pages found one by one, once a prediction has failed.
    walked: OnceLock<Option<Vec<PlaceCode>>>,
}

#[derive(Debug)]
enum Pages {
    /// Page `k` lies at `first + k · frame bytes`.
    Stack { first: u64, count: usize },
    /// Pages at equal distances, each checked when it is asked for.
    Regular(Regular),
    /// One entry per page.
    List(Vec<PlaceCode>),
}

/// Where one page's pixels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// As they are, at this offset.
    Block(u64),
    /// To be decoded from the directory at this offset.
    Encoded(u64),
}

/// A [`Place`] in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlaceCode(pub(crate) u64);

impl PlaceCode {
    const ENCODED: u64 = 1 << 63;

    pub(crate) fn place(self) -> Place {
        match self.0 & Self::ENCODED {
            0 => Place::Block(self.0),
            _ => Place::Encoded(self.0 & !Self::ENCODED),
        }
    }
}

impl From<Place> for PlaceCode {
    /// Offsets lie inside a file, and no file has 2^63 bytes.
    fn from(place: Place) -> Self {
        Self(match place {
            Place::Block(at) => at,
            Place::Encoded(at) => at | Self::ENCODED,
        })
    }
}

impl PageIndex {
    pub(crate) fn build(source: &Source, options: &OpenOptions) -> Result<Self, Error> {
        source.expect(Access::Scattered);
        let header = Header::read(source)?;
        if header.first == 0 {
            return Err(format(source, 0, 0, "holds no image"));
        }
        let raw = header.directory_bytes(source, 0, header.first)?;
        let (entries, next) = header.entries(&raw, header.first);
        let page = Page::parse(source, &header, 0, header.first, &entries, options)?;
        let texts = texts::read(source, &header, &page.texts)?;
        let pages = if next == 0 {
            single(
                source,
                &page,
                &header,
                announced_images(&texts.description),
                options,
            )?
        } else {
            several(source, &header, &page, next, &texts, options)?
        };
        source.release();
        source.expect(Access::Scan);
        Ok(Self {
            header,
            layout: page.layout,
            texts,
            codec: page.codec.name(),
            pages,
            options: *options,
            walked: OnceLock::new(),
        })
    }

    /// Number of pages.
    pub(crate) fn len(&self) -> usize {
        match &self.pages {
            Pages::Stack { count, .. } => *count,
            Pages::Regular(regular) => regular.len(),
            Pages::List(list) => list.len(),
        }
    }

    pub(crate) fn options(&self) -> &OpenOptions {
        &self.options
    }

    /// How the pages were found, for people.
    pub(crate) fn layout_name(&self) -> &'static str {
        match &self.pages {
            Pages::Stack { .. } => "one block",
            Pages::Regular(_) => "equal distances",
            Pages::List(_) => "page by page",
        }
    }

    /// Where page `page` lies. Asks for a page that exists.
    pub(crate) fn place(&self, source: &Source, page: usize) -> Result<Place, Error> {
        match &self.pages {
            Pages::Stack { first, .. } => {
                let step = self.layout.frame_bytes();
                Ok(Place::Block(first + (page * step) as u64))
            }
            Pages::List(list) => Ok(list[page].place()),
            Pages::Regular(regular) => {
                if self.walked.get().is_none()
                    && let Some(at) = regular.block(source, &self.header, page)?
                {
                    return Ok(Place::Block(at));
                }
                self.place_after_walk(source, page, regular.len())
            }
        }
    }

    /// A page was not where it was predicted: looks for all of them, once.
    fn place_after_walk(&self, source: &Source, page: usize, count: usize) -> Result<Place, Error> {
        let list = self.walked.get_or_init(|| {
            let list = walk(source, &self.header, &self.layout, &self.options).ok()?;
            (list.len() == count).then_some(list)
        });
        match list {
            Some(list) => Ok(list[page].place()),
            None => Err(format(
                source,
                page,
                self.header.first,
                "the directories are not where the first ones announce; open the file with \
                 Search::Walk to see what is wrong",
            )),
        }
    }

    /// Where the last directory of the chain says that none follows.
    pub(crate) fn last_link(&self, source: &Source) -> Result<u64, Error> {
        let mut offset = self.header.first;
        let mut chain = Chain::new(offset);
        loop {
            let raw = self.header.directory_bytes(source, 0, offset)?;
            let link = raw.len() - self.header.sizes().2;
            match self.header.offset(&raw[link..]) {
                0 => return Ok(offset + link as u64),
                next if chain.meets_itself(next) => return Err(in_a_loop(source, 0, next)),
                next => offset = next,
            }
        }
    }

    /// Where `count` pages from `page` on lie without a gap.
    pub(crate) fn block(&self, source: &Source, page: usize, count: usize) -> Option<u64> {
        let Ok(Place::Block(first)) = self.place(source, page) else {
            return None;
        };
        if matches!(self.pages, Pages::Stack { .. }) {
            return Some(first);
        }
        let step = self.layout.frame_bytes() as u64;
        (1..count)
            .all(|k| {
                matches!(self.place(source, page + k), Ok(Place::Block(at)) if at == first + k as u64 * step)
            })
            .then_some(first)
    }
}

/// A file of one directory: one image, or a stack that ImageJ describes by it.
fn single(
    source: &Source,
    page: &Page,
    header: &Header,
    announced: Option<usize>,
    options: &OpenOptions,
) -> Result<Pages, Error> {
    let Some(first) = page.block else {
        return Ok(Pages::List(vec![Place::Encoded(header.first).into()]));
    };
    let count = announced.unwrap_or(1).max(1);
    let step = page.layout.frame_bytes() as u64;
    let end = (count as u64)
        .checked_mul(step)
        .and_then(|n| n.checked_add(first));
    if end.is_none_or(|end| end > source.length()) {
        let whole = source.length().saturating_sub(first) / step;
        if options.salvage && whole > 0 {
            let count = whole as usize;
            return Ok(Pages::Stack { first, count });
        }
        return Err(format(
            source,
            0,
            first,
            std::format!(
                "ImageJ announces {count} images of {step} bytes, which reach past the end of the \
                 file ({} bytes); the file is truncated, {whole} images are whole and can be \
                 salvaged",
                source.length()
            ),
        ));
    }
    Ok(Pages::Stack { first, count })
}

/// A file whose first directory names a second one.
fn several(
    source: &Source,
    header: &Header,
    page: &Page,
    next: u64,
    texts: &Texts,
    options: &OpenOptions,
) -> Result<Pages, Error> {
    if options.search == Search::Predict
        && let Some(regular) = Regular::predict(source, header, page, next, options)
    {
        return Ok(Pages::Regular(regular));
    }
    if options.sidecar
        && let Some(list) = sidecar::load(source, header.first, page.layout.frame_bytes())
    {
        return Ok(Pages::List(list));
    }
    let list = walk(source, header, &page.layout, options)?;
    // A stack that breaks off before the directories after its pixels.
    let announced = announced_images(&texts.description);
    if options.salvage && list.len() == 1 && announced.is_some_and(|images| images > 1) {
        return single(source, page, header, announced, options);
    }
    if options.sidecar {
        sidecar::store(source, header.first, &list);
    }
    let step = page.layout.frame_bytes() as u64;
    if let Some(Place::Block(first)) = list.first().map(|code| code.place())
        && (0_u64..)
            .zip(&list)
            .all(|(k, code)| code.0 == first + k * step)
    {
        return Ok(Pages::Stack {
            first,
            count: list.len(),
        });
    }
    Ok(Pages::List(list))
}

/// Follows the chain of directories from the first to the last.
fn walk(
    source: &Source,
    header: &Header,
    layout: &Layout,
    options: &OpenOptions,
) -> Result<Vec<PlaceCode>, Error> {
    let mut list: Vec<PlaceCode> = Vec::new();
    let mut template: Option<Template> = None;
    let mut chain = Chain::new(header.first);
    let mut offset = header.first;
    for visited in 0.. {
        if visited == options.pages {
            return Err(Error::Limit {
                path: source.path().to_path_buf(),
                page: list.len(),
                what: std::format!("more than {} pages", options.pages),
            });
        }
        // Each directory brings many pages of memory with it that nobody asked for.
        if visited % 512 == 511 {
            source.release();
        }
        let number = list.len();
        let step = follow(
            source,
            header,
            layout,
            options,
            number,
            offset,
            &mut template,
        );
        let (place, next) = match step {
            Err(Error::Format { .. }) if options.salvage && number > 0 => break,
            step => step.map_err(|error| after_whole_pages(error, number))?,
        };
        list.extend(place.map(PlaceCode::from));
        if next == 0 {
            break;
        }
        if chain.meets_itself(next) {
            return Err(in_a_loop(source, list.len(), next));
        }
        offset = next;
    }
    Ok(list)
}

fn in_a_loop(source: &Source, page: usize, offset: u64) -> Error {
    format(
        source,
        page,
        offset,
        "the chain of directories runs in a loop",
    )
}

/// The place of the page whose directory lies at `offset` (`None` for a page
/// that is no frame), and the next directory.
fn follow(
    source: &Source,
    header: &Header,
    layout: &Layout,
    options: &OpenOptions,
    number: usize,
    offset: u64,
    template: &mut Option<Template>,
) -> Result<(Option<Place>, u64), Error> {
    if let Some(known) = template
        && let Some(like) = known.at(source, header, number, offset)?
    {
        let place = if known.is_plain() {
            Place::Block(like.strip)
        } else {
            Place::Encoded(offset)
        };
        return Ok((Some(place), like.next));
    }
    let raw = header.directory_bytes(source, number, offset)?;
    let (entries, next) = header.entries(&raw, offset);
    let page = Page::parse(source, header, number, offset, &entries, options)?;
    // Thumbnails and masks lie among the pages of some files.
    if page.auxiliary && number > 0 {
        return Ok((None, next));
    }
    if page.layout != *layout {
        return Err(Error::Unsupported {
            path: source.path().to_path_buf(),
            page: number,
            what: std::format!("is {}, but page 0 is {layout}", page.layout),
        });
    }
    *template = Template::new(header, &raw, &entries, &page);
    let place = page.block.map_or(Place::Encoded(offset), Place::Block);
    Ok((Some(place), next))
}

/// Tells how much of a broken file is sound.
fn after_whole_pages(error: Error, whole: usize) -> Error {
    match error {
        Error::Format {
            path,
            page,
            offset,
            rule,
        } if whole > 0 => Error::Format {
            path,
            page,
            offset,
            rule: std::format!("{rule}; the {whole} pages before it are whole and can be salvaged"),
        },
        other => other,
    }
}

/// Notices a chain that runs in a loop, in constant memory (Brent 1980, BIT 20:176).
#[derive(Debug)]
pub(crate) struct Chain {
    mark: u64,
    steps: u64,
    power: u64,
}

impl Chain {
    pub(crate) fn new(first: u64) -> Self {
        Self {
            mark: first,
            steps: 0,
            power: 1,
        }
    }

    /// Whether `offset`, the next link, has been seen at the mark.
    pub(crate) fn meets_itself(&mut self, offset: u64) -> bool {
        if offset == self.mark {
            return true;
        }
        self.steps += 1;
        if self.steps == self.power {
            self.mark = offset;
            self.power *= 2;
            self.steps = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_loop_is_noticed(lead in 0_u64..50, period in 1_u64..50) {
            let link = |k: u64| if k < lead { k } else { lead + (k - lead) % period };
            let mut chain = Chain::new(link(0));
            let noticed = (1..3 * (lead + period) + 4).any(|k| chain.meets_itself(link(k)));
            prop_assert!(noticed);
            let mut straight = Chain::new(0);
            prop_assert!(!(1..200).any(|k| straight.meets_itself(k)));
        }

        #[test]
        fn places_are_kept(at in 0_u64..1 << 62, encoded in any::<bool>()) {
            let place = if encoded { Place::Encoded(at) } else { Place::Block(at) };
            prop_assert_eq!(PlaceCode::from(place).place(), place);
        }
    }
}
