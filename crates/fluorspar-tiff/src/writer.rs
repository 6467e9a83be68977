use std::fs::{File, OpenOptions as FileOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fluorspar_movie::{MovieShape, MovieSink, PixelType, Sample};
use rayon::prelude::*;

use crate::compress::Compression;
use crate::describe::{announces_images, description, software};
use crate::directory_writer::{DirectoryWriter, PagePlaces};
use crate::{Dialect, Error, Movie};

/// How to write a movie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriterOptions {
    /// Frames (of volumes: volumes) per second (Hz), written where readers look for it.
    pub frame_rate: Option<f64>,
    /// Side of a pixel in µm, written where readers look for it.
    pub pixel_size_um: Option<f64>,
    /// In whose words the movie is described. ImageJ's stacks beyond 4 GB
    /// have one directory for all frames, as ImageJ writes them itself.
    pub dialect: Dialect,
    /// How pages are compressed.
    pub compression: Compression,
    /// BigTIFF; chosen by size and dialect if not said.
    pub bigtiff: Option<bool>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            frame_rate: None,
            pixel_size_um: None,
            dialect: Dialect::ImageJ,
            compression: Compression::None,
            bigtiff: None,
        }
    }
}

/// Writes a movie as TIFF, one strip per page; planes follow each other
/// within a frame.
///
/// Frames come in order. The file appears at its place by
/// [`MovieSink::finish`]; dropped before, it leaves nothing behind. Several
/// frames given at once are compressed in parallel.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    shape: MovieShape,
    pixel_type: PixelType,
    options: WriterOptions,
    directories: DirectoryWriter,
    file: BufWriter<File>,
    /// Bytes written, which is where the next ones go.
    position: u64,
    /// Pages written, and in all.
    page: usize,
    pages: usize,
    layout: Arrangement,
    target: Target,
    saturated: u64,
}

/// How directories and pixels follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrangement {
    /// Directory, description and pixels, page after page.
    PageByPage,
    /// The pixels of all pages in one block from `first` on, directories after it.
    OneBlock { first: u64, directories: bool },
}

/// How what was written becomes visible.
#[derive(Clone, Debug)]
enum Target {
    /// A new file takes its name.
    New {
        partial: PathBuf,
    },
    /// The last directory of an old file names the first new one.
    Append {
        link: u64,
        first: u64,
        length: u64,
    },
    Done,
}

/// Where pages start, so that their pixels can be lent as any type.
const ALIGNMENT: u64 = 16;
/// Texts are as long as a multiple of this, so that pages are alike.
const TEXT: usize = 64;

impl Writer {
    /// Starts a file that will appear at `path`, replacing what is there.
    ///
    /// # Errors
    /// [`Error::Misuse`] for an empty image, a size or a dialect that does not
    /// go with the rest; [`Error::Io`] if the file cannot be created.
    pub fn create(
        path: &Path,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriterOptions,
    ) -> Result<Self, Error> {
        let stored = Stored::new(path, shape, pixel_type)?;
        let bytes = stored.bytes(options);
        let fits = bytes.is_some_and(|n| u32::try_from(n).is_ok());
        let one_block = announces_images(options) && options.bigtiff != Some(true);
        // ScanImage has written BigTIFF since 2016; readers know the quirks of
        // its older files and expect them of every classic one.
        let scanimage = options.dialect == Dialect::ScanImage;
        if scanimage && options.bigtiff == Some(false) {
            return Err(Error::Misuse(format!(
                "{}: files in ScanImage's words are BigTIFF",
                path.display()
            )));
        }
        let big = options
            .bigtiff
            .unwrap_or(scanimage || (!fits && !one_block));
        if !big && !fits && !one_block {
            return Err(Error::Misuse(format!(
                "{}: {shape} need more than the 4 GB of classic TIFF; write BigTIFF",
                path.display()
            )));
        }
        let partial = partial_name(path);
        let file = File::create(&partial).map_err(|source| Error::Io {
            path: path.to_path_buf(),
            source,
        })?;
        let directories = stored.directories(big, options);
        let first = aligned(directories.header(0).len() as u64);
        let mut writer = Self {
            path: path.to_path_buf(),
            shape,
            pixel_type,
            options: *options,
            directories,
            file: BufWriter::with_capacity(1 << 20, file),
            position: 0,
            page: 0,
            pages: stored.pages,
            layout: Arrangement::PageByPage,
            target: Target::New { partial },
            saturated: 0,
        };
        writer.put(&directories.header(first))?;
        writer.pad(first)?;
        if one_block {
            writer.start_block(fits)?;
        }
        Ok(writer)
    }

    /// Starts `frames` more frames at the end of the TIFF movie at `path`,
    /// which stays as it is for its readers until [`MovieSink::finish`].
    /// Size, pixel type and byte order are the file's; `options` says rate,
    /// compression and dialect of the new pages.
    ///
    /// # Errors
    /// As [`Movie::open`]; [`Error::Unsupported`] for files whose description
    /// states the number of frames (ImageJ, OME), which would then be wrong,
    /// for the other byte order, and for classic files that would pass 4 GB.
    pub fn append(path: &Path, frames: usize, options: &WriterOptions) -> Result<Self, Error> {
        let movie = Movie::open(path)?;
        let unsupported = |what: &str| Error::Unsupported {
            path: path.to_path_buf(),
            page: 0,
            what: what.to_owned(),
        };
        let dialects = [movie.metadata().dialect, options.dialect];
        if dialects
            .iter()
            .any(|dialect| matches!(dialect, Dialect::ImageJ | Dialect::Ome))
        {
            return Err(unsupported(
                "ImageJ and OME descriptions state the number of frames; append to plain or \
                 ScanImage files, in their dialect",
            ));
        }
        let tail = movie.tail()?;
        if tail.big_endian != cfg!(target_endian = "big") {
            return Err(unsupported(
                "is in the other byte order; convert it before appending",
            ));
        }
        let whole = fluorspar_movie::Movie::shape(&movie);
        let pixel_type = fluorspar_movie::Movie::pixel_type(&movie);
        if movie.samples() != 1 {
            return Err(unsupported("has several samples per pixel"));
        }
        let shape = MovieShape { frames, ..whole };
        let stored = Stored::new(path, shape, pixel_type)?;
        let (position, length) = (aligned(tail.length), tail.length);
        let after = stored.bytes(options).and_then(|n| n.checked_add(position));
        if !tail.big && after.is_none_or(|end| end > u64::from(u32::MAX)) {
            return Err(unsupported(
                "is classic TIFF and would become larger than 4 GB; convert it to BigTIFF first",
            ));
        }
        drop(movie);
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut file = FileOptions::new().write(true).open(path).map_err(io)?;
        file.seek(SeekFrom::Start(length)).map_err(io)?;
        let mut writer = Self {
            path: path.to_path_buf(),
            shape,
            pixel_type,
            options: *options,
            directories: stored.directories(tail.big, options),
            file: BufWriter::with_capacity(1 << 20, file),
            position: length,
            page: 0,
            pages: stored.pages,
            layout: Arrangement::PageByPage,
            target: Target::Append {
                link: tail.link,
                first: position,
                length,
            },
            saturated: 0,
        };
        writer.pad(position)?;
        Ok(writer)
    }

    /// Samples so far that did not fit the pixel type and were clipped to its ends.
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|e| self.failed(e))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, to: u64) -> Result<(), Error> {
        let count = to.saturating_sub(self.position) as usize;
        self.put(&vec![0; count])
    }

    /// Description and software of a page as they are stored, with their NULs.
    fn texts(&self, page: usize) -> [Vec<u8>; 2] {
        let texts = [
            description(self.shape, self.pixel_type, &self.options, page),
            software(self.shape, &self.options, page),
        ];
        texts.map(|text| {
            let mut text = text.into_bytes();
            if !text.is_empty() {
                let length = (text.len() + 1).next_multiple_of(TEXT);
                text.resize(length - 1, b' ');
                text.push(0);
            }
            text
        })
    }

    /// Writes a directory at the present position and what belongs to it; the
    /// strip comes after them, unless `strip` says where it is. Returns where
    /// that is. `next` tells the next directory from the place of the strip.
    fn put_directory(
        &mut self,
        texts: &[Vec<u8>; 2],
        strip: Option<u64>,
        count: u64,
        next: impl FnOnce(u64) -> u64,
    ) -> Result<u64, Error> {
        let described = texts.iter().filter(|text| !text.is_empty()).count();
        let first = self.position + self.directories.len(described) as u64;
        let second = first + texts[0].len() as u64;
        let end = second + texts[1].len() as u64;
        let strip = strip.unwrap_or(aligned(end));
        let places = PagePlaces {
            texts: [(first, texts[0].len()), (second, texts[1].len())],
            strip: (strip, count),
            next: next(strip),
        };
        let directory = self.directories.encode(self.position, &places);
        self.put(&directory)?;
        texts.iter().try_for_each(|text| self.put(text))?;
        Ok(strip)
    }

    fn page_bytes(&self) -> usize {
        self.shape.height * self.shape.width * self.pixel_type.bytes()
    }

    /// Writes the first directory of a stack in one block.
    fn start_block(&mut self, directories: bool) -> Result<(), Error> {
        let count = self.page_bytes() as u64;
        let pages = self.pages as u64;
        let texts = self.texts(0);
        let first = self.put_directory(&texts, None, count, |first| {
            if directories && pages > 1 {
                aligned(first + count * pages)
            } else {
                0
            }
        })?;
        self.pad(first)?;
        self.layout = Arrangement::OneBlock { first, directories };
        Ok(())
    }

    /// Writes the directories after a stack in one block.
    fn end_block(&mut self, first: u64) -> Result<(), Error> {
        let count = self.page_bytes() as u64;
        let length = self.directories.len(0) as u64;
        for page in 1..self.pages as u64 {
            self.pad(aligned(self.position))?;
            let next = if page + 1 == self.pages as u64 {
                0
            } else {
                aligned(self.position + length)
            };
            self.put_directory(
                &Default::default(),
                Some(first + count * page),
                count,
                |_| next,
            )?;
        }
        Ok(())
    }

    /// Writes one page: directory, texts, strip.
    fn write_page(&mut self, strip: &[u8]) -> Result<(), Error> {
        let texts = self.texts(self.page);
        let count = strip.len() as u64;
        let last = self.page + 1 == self.pages;
        let end = |at: u64| if last { 0 } else { aligned(at + count) };
        let at = self.put_directory(&texts, None, count, end)?;
        self.pad(at)?;
        self.put(strip)?;
        self.pad(end(at))?;
        self.page += 1;
        Ok(())
    }

    /// Writes whole frames of native-endian bytes.
    fn write_bytes(&mut self, frames: &[u8]) -> Result<(), Error> {
        let size = self.page_bytes();
        if matches!(self.layout, Arrangement::OneBlock { .. }) {
            self.page += frames.len() / size;
            return self.put(frames);
        }
        if self.options.compression == Compression::None {
            return frames
                .chunks_exact(size)
                .try_for_each(|page| self.write_page(page));
        }
        let compression = self.options.compression;
        let strips: io::Result<Vec<Vec<u8>>> = frames
            .par_chunks_exact(size)
            .map(|page| compression.encode(page))
            .collect();
        let strips = strips.map_err(|e| self.failed(e))?;
        strips.iter().try_for_each(|strip| self.write_page(strip))
    }

    fn write_as<T: Sample>(&mut self, frames: &[f32]) -> Result<(), Error> {
        let mut stored = vec![T::from_f32(0.0); frames.len()];
        let clipped: u64 = stored
            .par_chunks_mut(1 << 16)
            .zip(frames.par_chunks(1 << 16))
            .map(|(stored, frames)| {
                let mut clipped = 0;
                for (slot, &value) in stored.iter_mut().zip(frames) {
                    *slot = T::from_f32(value);
                    // Rounding moves a value by at most one half.
                    clipped +=
                        u64::from((slot.to_f32() - value).abs() > 0.5 && T::PIXEL_TYPE.bytes() < 4);
                }
                clipped
            })
            .sum();
        self.saturated += clipped;
        self.write_bytes(bytemuck::cast_slice(&stored))
    }

    /// Checks that `samples` are whole frames, and the next ones.
    fn check(&self, first_frame: usize, samples: usize) -> Result<(), Error> {
        let length = self.shape.frame_len();
        let due = self.page / self.shape.planes;
        let fits = first_frame
            .checked_add(samples / length)
            .is_some_and(|end| end <= self.shape.frames);
        if first_frame != due || !samples.is_multiple_of(length) || !fits {
            return Err(Error::Misuse(format!(
                "{}: frame {due} of {} is due, not {first_frame} with {samples} samples",
                self.path.display(),
                self.shape.frames,
            )));
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        if self.page != self.pages {
            return Err(Error::Misuse(format!(
                "{}: {} of {} frames were written",
                self.path.display(),
                self.page / self.shape.planes,
                self.shape.frames
            )));
        }
        if let Arrangement::OneBlock {
            first,
            directories: true,
        } = self.layout
        {
            self.end_block(first)?;
        }
        self.reveal().map_err(|e| self.failed(e))?;
        self.target = Target::Done;
        Ok(())
    }

    /// Makes all durable, then visible.
    fn reveal(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.sync_all()?;
        match &self.target {
            Target::New { partial } => std::fs::rename(partial, &self.path),
            Target::Append { link, first, .. } => {
                file.seek(SeekFrom::Start(*link))?;
                if self.directories.big {
                    file.write_all(&first.to_ne_bytes())?;
                } else {
                    file.write_all(&(*first as u32).to_ne_bytes())?;
                }
                file.sync_all()
            }
            Target::Done => Ok(()),
        }
    }
}

/// What will be stored.
struct Stored {
    pixel_type: PixelType,
    height: u32,
    width: u32,
    pages: usize,
}

impl Stored {
    fn new(path: &Path, shape: MovieShape, pixel_type: PixelType) -> Result<Self, Error> {
        let misuse = || {
            Error::Misuse(format!(
                "{}: a TIFF movie has at least one frame and one pixel, and sides of less than \
                 2^32 pixels, not {shape}",
                path.display()
            ))
        };
        let side = |pixels: usize| u32::try_from(pixels).ok().filter(|&n| n > 0);
        Ok(Self {
            pixel_type,
            height: side(shape.height).ok_or_else(misuse)?,
            width: side(shape.width).ok_or_else(misuse)?,
            pages: shape
                .frames
                .checked_mul(shape.planes)
                .filter(|&n| n > 0)
                .ok_or_else(misuse)?,
        })
    }

    /// At most so many bytes.
    fn bytes(&self, options: &WriterOptions) -> Option<u64> {
        let strip = u64::from(self.height)
            .checked_mul(u64::from(self.width))?
            .checked_mul(self.pixel_type.bytes() as u64)?;
        // Noise may become a little longer by compression, by LZW up to one half.
        let strip = match options.compression {
            Compression::None => strip,
            Compression::Lzw => strip.checked_mul(3)? / 2,
            _ => strip.checked_add(strip / 64)?,
        };
        // Directory, description and alignment take less than a kilobyte.
        strip
            .checked_add(1024)?
            .checked_mul(self.pages as u64)?
            .checked_add(4096)
    }

    fn directories(&self, big: bool, options: &WriterOptions) -> DirectoryWriter {
        DirectoryWriter {
            big,
            height: self.height,
            width: self.width,
            pixel_type: self.pixel_type,
            compression: options.compression.tag(),
            resolution: options
                .pixel_size_um
                .filter(|size| size.is_finite() && *size > 0.0)
                .map(|size| 1e4 / size),
        }
    }
}

fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGNMENT)
}

fn partial_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".partial-{name}"))
}

impl MovieSink for Writer {
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), fluorspar_movie::Error> {
        self.check(first_frame, frames.len())?;
        match self.pixel_type {
            PixelType::U8 => self.write_as::<u8>(frames),
            PixelType::I8 => self.write_as::<i8>(frames),
            PixelType::U16 => self.write_as::<u16>(frames),
            PixelType::I16 => self.write_as::<i16>(frames),
            PixelType::U32 => self.write_as::<u32>(frames),
            PixelType::I32 => self.write_as::<i32>(frames),
            PixelType::F32 => self.write_as::<f32>(frames),
            _ => self.write_as::<f64>(frames),
        }?;
        Ok(())
    }

    fn native_type(&self) -> Option<PixelType> {
        Some(self.pixel_type)
    }

    fn write_native(
        &mut self,
        first_frame: usize,
        frames: &[u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let size = self.pixel_type.bytes();
        if !frames.len().is_multiple_of(size) {
            return Err(fluorspar_movie::Error::misuse(format!(
                "{}: {} bytes are no whole {} samples",
                self.path.display(),
                frames.len(),
                self.pixel_type
            )));
        }
        self.check(first_frame, frames.len() / size)?;
        self.write_bytes(frames)?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), fluorspar_movie::Error> {
        Ok(self.commit()?)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nobody is left to report to.
        match &self.target {
            Target::New { partial } => {
                let _ = std::fs::remove_file(partial);
            }
            Target::Append { length, .. } => {
                let _ = self.file.flush();
                let _ = self.file.get_mut().set_len(*length);
            }
            Target::Done => {}
        }
    }
}
