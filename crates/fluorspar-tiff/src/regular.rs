//! Pages at equal distances, found without a walk.

use rayon::prelude::*;

use crate::directory::Header;
use crate::page::Page;
use crate::source::Source;
use crate::template::{Likeness, Template};
use crate::{Error, OpenOptions};

/// Pages of each segment that are looked at before the rest is taken to be alike.
const SAMPLE: u64 = 64;
/// Most segments; a file of more is walked.
const SEGMENTS: usize = 64;

/// Uncompressed pages whose directories, and whose pixels, follow each other
/// at equal distances from the second page on, in a few segments: a number in
/// the description that gains a digit moves all that follows.
///
/// A page is taken to lie at its predicted place only after its own directory
/// has been seen there, with the pixels and the next directory where they are
/// predicted.
#[derive(Debug)]
pub(crate) struct Regular {
    count: usize,
    /// Pixels of the first page, which often has tags of its own.
    head: u64,
    segments: Vec<Segment>,
    template: Template,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    first_page: usize,
    pages: u64,
    directory: u64,
    block: u64,
    directory_stride: u64,
    block_stride: u64,
    /// The directory after its last page, 0 if there is none.
    next: u64,
}

/// What reads directories.
#[derive(Clone, Copy)]
struct Reader<'a> {
    source: &'a Source,
    header: &'a Header,
    template: &'a Template,
}

impl Reader<'_> {
    /// A directory like the template at `offset`; any doubt is a no.
    fn at(self, offset: u64) -> Option<Likeness> {
        self.template
            .at(self.source, self.header, 0, offset)
            .ok()
            .flatten()
    }
}

impl Segment {
    /// The longest segment that starts with the directory at `directory`.
    fn grow(reader: Reader<'_>, first_page: usize, directory: u64) -> Option<Self> {
        let first = reader.at(directory)?;
        let mut segment = Self {
            first_page,
            pages: 1,
            directory,
            block: first.strip,
            directory_stride: 0,
            block_stride: 0,
            next: first.next,
        };
        let Some(second) = reader.at(first.next).filter(|_| first.next > directory) else {
            return Some(segment);
        };
        segment.directory_stride = first.next - directory;
        segment.block_stride = second.strip.checked_sub(first.strip)?;
        // Far enough that the last step fails, then halfway between.
        let mut reach = 1;
        while segment.holds(reader, reach * 2) {
            reach *= 2;
        }
        let mut step = reach;
        while step > 0 {
            if segment.holds(reader, reach + step) {
                reach += step;
            }
            step /= 2;
        }
        segment.pages = reach + 1;
        segment.next = reader.at(segment.place(reach)?.0)?.next;
        let count = segment.pages.min(SAMPLE);
        let sampled = (0..count).into_par_iter().all(|k| {
            let step = k * segment.pages / count;
            let expected = segment.expected(step);
            let found = segment.place(step).and_then(|(at, _)| reader.at(at));
            found.map(|like| (like.strip, like.next)) == expected
        });
        sampled.then_some(segment)
    }

    /// Directory and pixels of the page `step` pages after the first.
    fn place(&self, step: u64) -> Option<(u64, u64)> {
        let directory = step.checked_mul(self.directory_stride)?;
        let block = step.checked_mul(self.block_stride)?;
        Some((
            self.directory.checked_add(directory)?,
            self.block.checked_add(block)?,
        ))
    }

    /// Whether a directory lies where that page is predicted.
    fn holds(&self, reader: Reader<'_>, step: u64) -> bool {
        self.place(step).is_some_and(|(directory, block)| {
            reader.at(directory).is_some_and(|like| like.strip == block)
        })
    }

    /// Where that page's pixels and the directory after it should be.
    fn expected(&self, step: u64) -> Option<(u64, u64)> {
        let (directory, block) = self.place(step)?;
        let next = if step + 1 == self.pages {
            self.next
        } else {
            directory + self.directory_stride
        };
        Some((block, next))
    }
}

impl Regular {
    /// Looks whether the pages from the second one on, whose directory lies
    /// at `second`, are regular. Any doubt, and any error, is a no.
    pub(crate) fn predict(
        source: &Source,
        header: &Header,
        first: &Page,
        second: u64,
        options: &OpenOptions,
    ) -> Option<Self> {
        let head = first.block?;
        let raw = header.directory_bytes(source, 1, second).ok()?;
        let (entries, _) = header.entries(&raw, second);
        let page = Page::parse(source, header, 1, second, &entries, options).ok()?;
        if page.layout != first.layout || page.auxiliary || page.block.is_none() {
            return None;
        }
        let template = Template::new(header, &raw, &entries, &page)?;
        let reader = Reader {
            source,
            header,
            template: &template,
        };
        let mut segments: Vec<Segment> = Vec::new();
        let (mut count, mut directory) = (1, second);
        while directory != 0 {
            // A chain that turns back may be a loop, which the walk will find.
            let backwards = segments
                .last()
                .is_some_and(|last| directory <= last.directory);
            if segments.len() == SEGMENTS || backwards {
                return None;
            }
            let segment = Segment::grow(reader, count, directory)?;
            count = usize::try_from(segment.pages).ok()?.checked_add(count)?;
            directory = segment.next;
            segments.push(segment);
        }
        (count <= options.pages).then_some(Self {
            count,
            head,
            segments,
            template,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Where the pixels of `page` lie; `None` if its directory is not what
    /// was predicted.
    pub(crate) fn block(
        &self,
        source: &Source,
        header: &Header,
        page: usize,
    ) -> Result<Option<u64>, Error> {
        if page == 0 {
            return Ok(Some(self.head));
        }
        let index = self.segments.partition_point(|s| s.first_page <= page) - 1;
        let segment = &self.segments[index];
        let step = (page - segment.first_page) as u64;
        let Some(((directory, _), expected)) = segment.place(step).zip(segment.expected(step))
        else {
            return Ok(None);
        };
        let like = self.template.at(source, header, page, directory)?;
        Ok(like
            .filter(|like| (like.strip, like.next) == expected)
            .map(|like| like.strip))
    }
}
