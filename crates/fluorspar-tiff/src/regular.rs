//! Pages at equal distances, found without a walk.

use rayon::prelude::*;

use crate::directory::Header;
use crate::page::Page;
use crate::source::Source;
use crate::template::Template;
use crate::{Error, OpenOptions};

/// Pages that are looked at before the rest is taken to be alike.
const SAMPLE: usize = 64;

/// Uncompressed pages whose directories, and whose pixels, follow each other
/// at equal distances from the second page on.
///
/// A page is taken to lie at its predicted place only after its own directory
/// has been seen there, with the pixels and the next directory where they are
/// predicted.
#[derive(Debug)]
pub(crate) struct Regular {
    count: usize,
    /// Pixels of the first page, which often has tags of its own.
    head: u64,
    /// The second page.
    directory: u64,
    block: u64,
    /// From each page to the next.
    directory_stride: u64,
    block_stride: u64,
    template: Template,
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
        let (entries, third) = header.entries(&raw, second);
        let page = Page::parse(source, header, 1, second, &entries, options).ok()?;
        if page.layout != first.layout || page.auxiliary {
            return None;
        }
        let block = page.block?;
        let template = Template::new(header, &raw, &entries, &page)?;
        let like = template.at(source, header, 2, third).ok()??;
        let mut regular = Self {
            count: 0,
            head,
            directory: second,
            block,
            directory_stride: third.checked_sub(second).filter(|&n| n > 0)?,
            block_stride: like.strip.checked_sub(block).filter(|&n| n > 0)?,
            template,
        };
        let most = regular.most_pages(source, first.layout.frame_bytes() as u64)?;
        // What follows the last page may be as long as a page.
        let counts = [most, most.saturating_sub(1)];
        let count = counts.into_iter().filter(|&n| n >= 3).find(|&count| {
            regular.count = count;
            regular.is_at_its_place(source, header, count - 1)
        })?;
        if count > options.pages {
            return None;
        }
        let spread = (0..SAMPLE).map(|k| 1 + k * (count - 1) / SAMPLE);
        let powers = (1..usize::BITS).map(|bit| 1_usize << bit);
        let sample: Vec<usize> = spread.chain(powers).filter(|&k| k < count).collect();
        sample
            .into_par_iter()
            .all(|page| regular.is_at_its_place(source, header, page))
            .then_some(regular)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The most pages that fit into the file.
    fn most_pages(&self, source: &Source, frame_bytes: u64) -> Option<usize> {
        let length = source.length();
        let directories = length.checked_sub(self.directory + self.template.len() as u64)?;
        let blocks = length.checked_sub(self.block.checked_add(frame_bytes)?)?;
        let steps = (directories / self.directory_stride).min(blocks / self.block_stride);
        usize::try_from(steps).ok()?.checked_add(2)
    }

    fn is_at_its_place(&self, source: &Source, header: &Header, page: usize) -> bool {
        matches!(self.block(source, header, page), Ok(Some(_)))
    }

    /// Where the pixels of `page` lie; `None` if its directory is not what
    /// was predicted.
    pub(crate) fn block(
        &self,
        source: &Source,
        header: &Header,
        page: usize,
    ) -> Result<Option<u64>, Error> {
        let Some(step) = (page as u64).checked_sub(1) else {
            return Ok(Some(self.head));
        };
        let directory = self.directory + step * self.directory_stride;
        let block = self.block + step * self.block_stride;
        let next = if page + 1 == self.count {
            0
        } else {
            directory + self.directory_stride
        };
        let like = self.template.at(source, header, page, directory)?;
        Ok(like
            .filter(|like| (like.strip, like.next) == (block, next))
            .map(|like| like.strip))
    }
}
