use std::ops::Range;
use std::path::{Path, PathBuf};

use fluorspar_movie::{MovieShape, PixelType, Volumes, check_read};
use rayon::prelude::*;

use crate::decode::{decode_page, swap};
use crate::index::{PageIndex, Place};
use crate::metadata::{Interleaving, Metadata, OmePixels};
use crate::page::{Layout, Page};
use crate::source::Source;
use crate::widen::widen;
use crate::{Error, OpenOptions, texts};

/// One or several TIFF files as one movie, axes `(frame, y, x)`.
#[derive(Debug)]
pub struct Movie {
    files: Vec<OneFile>,
    shape: MovieShape,
    layout: Layout,
    metadata: Metadata,
}

#[derive(Debug)]
struct OneFile {
    source: Source,
    index: PageIndex,
    /// Frames before this file.
    first: usize,
}

/// The end of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub(crate) big: bool,
    pub(crate) big_endian: bool,
    pub(crate) length: u64,
    /// Where the last directory says that none follows.
    pub(crate) link: u64,
}

const NATIVE_BIG_ENDIAN: bool = cfg!(target_endian = "big");

impl Movie {
    /// Opens one file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Format`] naming page,
    /// byte and rule if it is broken, [`Error::Unsupported`] for pixels that
    /// are not grey numbers or a page unlike the first, [`Error::Limit`] for
    /// absurd sizes.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(&[path.to_path_buf()], &OpenOptions::default())
    }

    /// Opens several files as one movie, in the order given.
    ///
    /// # Errors
    /// As [`Movie::open`]; [`Error::Unsupported`] naming the file that does
    /// not fit the first, [`Error::Misuse`] if there are none.
    pub fn open_many(paths: &[PathBuf]) -> Result<Self, Error> {
        Self::open_with(paths, &OpenOptions::default())
    }

    /// As [`Movie::open_many`], with other limits, another [`Backend`](crate::Backend) or
    /// [`Search`](crate::Search).
    ///
    /// # Errors
    /// As [`Movie::open_many`].
    pub fn open_with(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, Error> {
        // Files are indexed in parallel; the first that fails is reported.
        let opened: Vec<Result<(Source, PageIndex), Error>> = paths
            .par_iter()
            .map(|path| {
                let source = Source::open(path, options)?;
                let index = PageIndex::build(&source, options)?;
                Ok((source, index))
            })
            .collect();
        Self::join(opened.into_iter().collect::<Result<_, _>>()?)
    }

    /// Opens one file, or the whole set if it is one of several files that its
    /// OME description names.
    ///
    /// # Errors
    /// As [`Movie::open_with`] for each file of the set; [`Error::Unsupported`]
    /// if a file of that name has another identity (UUID) than the set's.
    pub fn open_set(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let movie = Self::open_with(&[path.to_path_buf()], options)?;
        let Some(ome) = movie
            .metadata
            .ome
            .as_ref()
            .filter(|ome| ome.files.len() > 1)
        else {
            return Ok(movie);
        };
        let paths: Vec<PathBuf> = ome
            .files
            .iter()
            // Parts lie beside each other: a name with folders in it is cut to its end.
            .map(|file| path.with_file_name(Path::new(&file.name).file_name().unwrap_or_default()))
            .collect();
        for (part, file) in paths.iter().zip(&ome.files) {
            let found = Self::open_with(std::slice::from_ref(part), options)?;
            let own = found.metadata.ome.and_then(|ome| ome.uuid);
            if let Some(own) = own.filter(|own| !file.uuid.is_empty() && *own != file.uuid) {
                return Err(Error::Unsupported {
                    path: part.clone(),
                    page: 0,
                    what: format!(
                        "is {own}, but {} has {} under this name",
                        path.display(),
                        file.uuid
                    ),
                });
            }
        }
        Self::open_with(&paths, options)
    }

    /// Reads a movie from the bytes of one file.
    ///
    /// # Errors
    /// As [`Movie::open`].
    pub fn from_bytes(bytes: Vec<u8>, options: &OpenOptions) -> Result<Self, Error> {
        let source = Source::from_bytes(bytes);
        let index = PageIndex::build(&source, options)?;
        Self::join(vec![(source, index)])
    }

    fn join(opened: Vec<(Source, PageIndex)>) -> Result<Self, Error> {
        let Some((_, head)) = opened.first() else {
            return Err(Error::Misuse("no TIFF file was named".into()));
        };
        let layout = head.layout.clone();
        let first_path = opened[0].0.path().to_path_buf();
        let mut frames: usize = 0;
        let mut files = Vec::with_capacity(opened.len());
        for (source, index) in opened {
            if index.layout != layout {
                return Err(Error::Unsupported {
                    path: source.path().to_path_buf(),
                    page: 0,
                    what: format!(
                        "is {}, but {} is {layout}",
                        index.layout,
                        first_path.display()
                    ),
                });
            }
            let count = index.len().checked_mul(layout.samples);
            let after = count.and_then(|count| frames.checked_add(count));
            files.push(OneFile {
                source,
                index,
                first: frames,
            });
            frames = after.ok_or_else(|| Error::Misuse("too many frames to count".into()))?;
        }
        let metadata = Metadata::parse(&files[0].index.texts, frames);
        Ok(Self {
            metadata,
            files,
            shape: MovieShape::new(frames, 1, layout.height, layout.width),
            layout,
        })
    }

    /// What the first file says beside its pixels.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// When each frame was recorded, in seconds since the start, where every
    /// page (ScanImage, Micro-Manager) or the description (OME) says so.
    /// Reads the directories of all pages.
    ///
    /// # Errors
    /// As [`Movie::open`].
    pub fn times_s(&self) -> Result<Option<Vec<f64>>, Error> {
        if let Some(ome) = &self.metadata.ome {
            return Ok(ome_times(
                ome,
                self.metadata.interleaving.as_ref(),
                self.shape.frames,
            ));
        }
        let mut out = Vec::new();
        for file in &self.files {
            let Some(times) = texts::times(&file.source, &file.index.header)? else {
                return Ok(None);
            };
            let samples = self.layout.samples;
            out.extend(
                times
                    .into_iter()
                    .flat_map(|time| std::iter::repeat_n(time, samples)),
            );
        }
        Ok((out.len() == self.shape.frames).then_some(out))
    }

    /// The volumes of one channel, counted from 0: what the metadata says of
    /// how planes and channels follow each other, applied. A movie without
    /// either has one plane and one channel.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a channel that is not there.
    pub fn volumes(self, channel: usize) -> Result<Volumes<Self>, Error> {
        let plain = Interleaving {
            frames: self.shape.frames,
            planes: 1,
            channels: 1,
            frame_step: 1,
            plane_step: 0,
            channel_step: 0,
        };
        let found = self.metadata.interleaving.unwrap_or(plain);
        let misuse = || {
            let name = self.files[0].source.path().display();
            Error::Misuse(format!("{name}: there is no channel {channel}"))
        };
        let order = found.order(channel).ok_or_else(misuse)?;
        Volumes::new(self, found.frames, found.planes, order)
            .map_err(|e| Error::Misuse(e.to_string()))
    }

    /// The compression of the first file's pages.
    pub fn codec(&self) -> &'static str {
        self.files[0].index.codec
    }

    /// How the pages of the first file were found: `"one block"`, `"equal
    /// distances"` or `"page by page"`.
    pub fn page_layout(&self) -> &'static str {
        self.files[0].index.layout_name()
    }

    /// What has to be known to go on where the last file ends.
    pub(crate) fn tail(&self) -> Result<Tail, Error> {
        let Some(file) = self.files.last() else {
            return Err(Error::Misuse("no TIFF file was named".into()));
        };
        Ok(Tail {
            big: file.index.header.big,
            big_endian: file.index.header.big_endian,
            length: file.source.length(),
            link: file.index.last_link(&file.source)?,
        })
    }

    /// Samples per pixel. Each is a frame of its own: the samples of a page
    /// follow each other as frames do.
    pub fn samples(&self) -> usize {
        self.layout.samples
    }

    /// Whether single frames can be lent without a copy.
    pub fn is_zero_copy(&self) -> bool {
        self.shape.frames > 0
            && (0..self.shape.frames.min(2))
                .all(|frame| fluorspar_movie::Movie::view_bytes(self, frame..frame + 1).is_some())
    }

    /// The files in order.
    pub fn files(&self) -> Vec<&Path> {
        self.files.iter().map(|file| file.source.path()).collect()
    }

    /// The file that holds `frame`, and the frame's number in it.
    fn locate(&self, frame: usize) -> (&OneFile, usize) {
        let index = self.files.partition_point(|file| file.first <= frame) - 1;
        let file = &self.files[index];
        (file, frame - file.first)
    }

    /// Refuses files that became shorter.
    fn check_files(&self, frames: &Range<usize>) -> Result<(), Error> {
        self.files
            .iter()
            .filter(|file| file.first < frames.end && file.end() > frames.start)
            .try_for_each(|file| file.source.check_length())
    }

    fn frame_bytes(&self) -> usize {
        self.layout.frame_bytes()
    }

    /// Hands the bytes of each of `frames` to `take`, in parallel, with a part
    /// of `into` (`unit` elements per frame) and whether they are to be swapped.
    fn each_frame<T: Send>(
        &self,
        frames: &Range<usize>,
        into: &mut [T],
        unit: usize,
        take: impl Fn(&[u8], bool, &mut [T]) + Sync,
    ) -> Result<(), Error> {
        self.check_files(frames)?;
        // The frames of one page stay together, so that it is decoded once.
        let mut parts = Vec::with_capacity(frames.len() / self.layout.samples + 2);
        let (mut frame, mut rest) = (frames.start, into);
        while frame < frames.end {
            let (file, within) = self.locate(frame);
            let (page, sample) = (within / self.layout.samples, within % self.layout.samples);
            let count = (self.layout.samples - sample).min(frames.end - frame);
            let (part, after) = rest.split_at_mut(count * unit);
            parts.push((file, page, sample, part));
            (frame, rest) = (frame + count, after);
        }
        parts
            .into_par_iter()
            .try_for_each(|(file, page, sample, out)| {
                file.with_page(page, |bytes, swapped| {
                    let bytes = &bytes[sample * self.frame_bytes()..];
                    for (frame, out) in bytes
                        .chunks_exact(self.frame_bytes())
                        .zip(out.chunks_exact_mut(unit))
                    {
                        take(frame, swapped, out);
                    }
                })
            })
    }
}

/// The times of a description by image.
fn ome_times(ome: &OmePixels, order: Option<&Interleaving>, frames: usize) -> Option<Vec<f64>> {
    let mut out = vec![f64::NAN; frames];
    for &([frame, plane, channel], time) in &ome.times_s {
        let image = match order {
            Some(order) => order.image(frame, plane, channel)?,
            None => frame,
        };
        *out.get_mut(image)? = time;
    }
    out.iter().all(|time| time.is_finite()).then_some(out)
}

impl OneFile {
    /// Frames up to the end of this file.
    fn end(&self) -> usize {
        self.first + self.index.len() * self.index.layout.samples
    }

    /// Hands the bytes of a page, axes `(sample, y, x)`, to `take`, and
    /// whether they are in the other byte order.
    fn with_page(&self, page: usize, take: impl FnOnce(&[u8], bool)) -> Result<(), Error> {
        let layout = &self.index.layout;
        let header = &self.index.header;
        match self.index.place(&self.source, page)? {
            Place::Block(at) => {
                let length = layout.frame_bytes();
                let bytes = crate::directory::bytes(&self.source, page, at, length)?;
                take(&bytes, header.big_endian != NATIVE_BIG_ENDIAN);
                drop(bytes);
                self.source.use_up(length);
            }
            Place::Encoded(at) => {
                let raw = header.directory_bytes(&self.source, page, at)?;
                let (entries, _) = header.entries(&raw, at);
                let options = self.index.options();
                let found = Page::parse(&self.source, header, page, at, &entries, options)?;
                if found.layout != *layout {
                    return Err(Error::Unsupported {
                        path: self.source.path().to_path_buf(),
                        page,
                        what: format!("is {}, but page 0 is {layout}", found.layout),
                    });
                }
                let mut bytes = vec![0; layout.frame_bytes() * layout.samples];
                decode_page(&self.source, header, &found, page, at, &mut bytes)?;
                take(&bytes, false);
                let stored: u64 = found.chunks.counts.iter().sum();
                self.source.use_up(stored as usize);
            }
        }
        Ok(())
    }
}

impl fluorspar_movie::Movie for Movie {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        self.layout.pixel_type
    }

    fn frame_rate(&self) -> Option<f64> {
        self.metadata.frame_rate
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape, &frames, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        let pixel_type = self.layout.pixel_type;
        self.each_frame(
            &frames,
            into,
            self.shape.frame_len(),
            |bytes, swapped, out| {
                widen(pixel_type, bytes, swapped, out);
            },
        )?;
        Ok(())
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let size = self.layout.pixel_type.bytes();
        if !into.len().is_multiple_of(size) {
            return Err(fluorspar_movie::Error::misuse(format!(
                "a buffer of {} bytes does not hold whole {} samples",
                into.len(),
                self.layout.pixel_type
            )));
        }
        check_read(self.shape, &frames, into.len() / size)?;
        if into.is_empty() {
            return Ok(());
        }
        self.each_frame(&frames, into, self.frame_bytes(), |bytes, swapped, out| {
            out.copy_from_slice(bytes);
            if swapped {
                swap(out, size);
            }
        })?;
        Ok(())
    }

    fn reads_single_frames(&self) -> bool {
        true
    }

    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        if frames.start >= frames.end || frames.end > self.shape.frames {
            return None;
        }
        let (file, page) = self.locate(frames.start);
        let size = self.layout.pixel_type.bytes();
        let native = file.index.header.big_endian == NATIVE_BIG_ENDIAN || size == 1;
        if !native || frames.end > file.end() || self.layout.samples > 1 {
            return None;
        }
        let at = file.index.block(&file.source, page, frames.len())?;
        file.source.check_length().ok()?;
        let bytes = file.source.lend(at, frames.len() * self.frame_bytes())?;
        file.source.use_up(bytes.len());
        bytes.as_ptr().addr().is_multiple_of(size).then_some(bytes)
    }
}
