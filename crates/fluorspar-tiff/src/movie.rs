use std::ops::Range;
use std::path::{Path, PathBuf};

use fluorspar_movie::{MovieShape, PixelType, Sample, check_read};
use rayon::prelude::*;

use crate::Error;
use crate::index::{FrameIndex, Place, Places};
use crate::metadata::Metadata;
use crate::source::{Backend, PageStream, Source};

/// What a header may ask for, and how files are accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pages of one file.
    pub pages: usize,
    /// Most bytes of one frame.
    pub frame_bytes: usize,
    /// How files are accessed.
    pub backend: Backend,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: 50_000_000,
            frame_bytes: 1 << 30,
            backend: Backend::Mapped,
        }
    }
}

/// One or several TIFF files as one movie, axes `(frame, y, x)`.
#[derive(Debug)]
pub struct Movie {
    files: Vec<OneFile>,
    shape: MovieShape,
    pixel_type: PixelType,
}

#[derive(Debug)]
struct OneFile {
    source: Source,
    index: FrameIndex,
    /// Frames before this file.
    first: usize,
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
        Self::open_with(&[path.to_path_buf()], &Limits::default())
    }

    /// Opens several files as one movie, in the order given.
    ///
    /// # Errors
    /// As [`Movie::open`]; [`Error::Unsupported`] naming the file that does
    /// not fit the first, [`Error::Misuse`] if there are none.
    pub fn open_many(paths: &[PathBuf]) -> Result<Self, Error> {
        Self::open_with(paths, &Limits::default())
    }

    /// As [`Movie::open_many`], with other limits or another [`Backend`].
    ///
    /// # Errors
    /// As [`Movie::open_many`].
    pub fn open_with(paths: &[PathBuf], limits: &Limits) -> Result<Self, Error> {
        // Files are indexed in parallel; the first that fails is reported.
        let opened: Vec<Result<(Source, FrameIndex), Error>> = paths
            .par_iter()
            .map(|path| {
                let source = Source::open(path, limits.backend)?;
                let index = FrameIndex::build(&source, limits)?;
                Ok((source, index))
            })
            .collect();
        Self::join(opened.into_iter().collect::<Result<_, _>>()?)
    }

    /// Reads a movie from the bytes of one file.
    ///
    /// # Errors
    /// As [`Movie::open`].
    pub fn from_bytes(bytes: Vec<u8>, limits: &Limits) -> Result<Self, Error> {
        let source = Source::from_bytes(bytes);
        let index = FrameIndex::build(&source, limits)?;
        Self::join(vec![(source, index)])
    }

    fn join(opened: Vec<(Source, FrameIndex)>) -> Result<Self, Error> {
        let Some((_, head)) = opened.first() else {
            return Err(Error::Misuse("no TIFF file was named".into()));
        };
        let (height, width) = (head.layout.height, head.layout.width);
        let pixel_type = head.layout.pixel_type;
        let first_path = opened[0].0.path().to_path_buf();
        let mut frames: usize = 0;
        let mut files = Vec::with_capacity(opened.len());
        for (source, index) in opened {
            let layout = &index.layout;
            if (layout.height, layout.width, layout.pixel_type) != (height, width, pixel_type) {
                return Err(Error::Unsupported {
                    path: source.path().to_path_buf(),
                    page: 0,
                    what: format!(
                        "is {} × {} px of {}, but {} is {height} × {width} px of {pixel_type}",
                        layout.height,
                        layout.width,
                        layout.pixel_type,
                        first_path.display()
                    ),
                });
            }
            let count = index.places.len();
            files.push(OneFile {
                source,
                index,
                first: frames,
            });
            frames = frames
                .checked_add(count)
                .ok_or_else(|| Error::Misuse("too many frames to count".into()))?;
        }
        Ok(Self {
            files,
            shape: MovieShape::new(frames, 1, height, width),
            pixel_type,
        })
    }

    /// What the first file says beside its pixels.
    pub fn metadata(&self) -> &Metadata {
        &self.files[0].index.metadata
    }

    /// The compression of the first file's pages.
    pub fn codec(&self) -> &'static str {
        match self.files[0].index.layout.compression {
            1 => "none",
            5 => "LZW",
            32773 => "PackBits",
            50000 => "zstd",
            _ => "deflate",
        }
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
            .filter(|file| {
                file.first < frames.end && file.first + file.index.places.len() > frames.start
            })
            .try_for_each(|file| file.source.check_length())
    }

    fn frame_bytes(&self) -> usize {
        self.shape.frame_len() * self.pixel_type.bytes()
    }

    /// Decodes one page that is not stored as it is, into native-endian bytes.
    fn decode(&self, file: &OneFile, page: usize, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let broken = |error: &tiff::TiffError| Error::Format {
            path: file.source.path().to_path_buf(),
            page,
            offset: at,
            rule: format!("its pixels cannot be decoded: {error}"),
        };
        let mut limits = tiff::decoder::Limits::default();
        limits.decoding_buffer_size = self.frame_bytes().max(1 << 16);
        limits.intermediate_buffer_size = 4 * self.frame_bytes().max(1 << 16);
        let stream = PageStream::new(&file.source, file.index.header.naming(at));
        let mut decoder = tiff::decoder::Decoder::new(stream)
            .map_err(|e| broken(&e))?
            .with_limits(limits);
        let layout = decoder.image_buffer_layout().map_err(|e| broken(&e))?;
        if layout.len != out.len() {
            return Err(Error::Format {
                path: file.source.path().to_path_buf(),
                page,
                offset: at,
                rule: format!("decodes to {} bytes instead of {}", layout.len, out.len()),
            });
        }
        decoder.read_image_bytes(out).map_err(|e| broken(&e))
    }

    /// Hands the native-endian bytes of a frame to `take`.
    fn with_frame<R>(&self, frame: usize, take: impl FnOnce(&[u8], bool) -> R) -> Result<R, Error> {
        let (file, page) = self.locate(frame);
        let length = self.frame_bytes();
        match file.index.places.get(page, length) {
            Place::Block(at) => {
                let bytes = crate::directory::bytes(&file.source, page, at, length)?;
                let swap = file.index.header.big_endian != NATIVE_BIG_ENDIAN;
                Ok(take(&bytes, swap))
            }
            Place::Encoded(at) => {
                let mut bytes = vec![0; length];
                self.decode(file, page, at, &mut bytes)?;
                Ok(take(&bytes, false))
            }
        }
    }
}

/// Stored samples to `f32`.
fn widen<T: Sample, const N: usize>(bytes: &[u8], swap: bool, out: &mut [f32]) {
    for (slot, raw) in out.iter_mut().zip(bytes.chunks_exact(N)) {
        let mut sample = [0; N];
        sample.copy_from_slice(raw);
        if swap {
            sample.reverse();
        }
        *slot = bytemuck::pod_read_unaligned::<T>(&sample).to_f32();
    }
}

impl fluorspar_movie::Movie for Movie {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        self.pixel_type
    }

    fn frame_rate(&self) -> Option<f64> {
        self.metadata().frame_rate
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape, &frames, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        self.check_files(&frames)?;
        into.par_chunks_mut(self.shape.frame_len())
            .enumerate()
            .try_for_each(|(k, out)| {
                self.with_frame(frames.start + k, |bytes, swap| match self.pixel_type {
                    PixelType::U8 => widen::<u8, 1>(bytes, swap, out),
                    PixelType::I8 => widen::<i8, 1>(bytes, swap, out),
                    PixelType::U16 => widen::<u16, 2>(bytes, swap, out),
                    PixelType::I16 => widen::<i16, 2>(bytes, swap, out),
                    PixelType::U32 => widen::<u32, 4>(bytes, swap, out),
                    PixelType::I32 => widen::<i32, 4>(bytes, swap, out),
                    PixelType::F32 => widen::<f32, 4>(bytes, swap, out),
                    _ => widen::<f64, 8>(bytes, swap, out),
                })
            })?;
        Ok(())
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let size = self.pixel_type.bytes();
        if !into.len().is_multiple_of(size) {
            return Err(fluorspar_movie::Error::misuse(format!(
                "a buffer of {} bytes does not hold whole {} samples",
                into.len(),
                self.pixel_type
            )));
        }
        check_read(self.shape, &frames, into.len() / size)?;
        if into.is_empty() {
            return Ok(());
        }
        self.check_files(&frames)?;
        into.par_chunks_mut(self.frame_bytes())
            .enumerate()
            .try_for_each(|(k, out)| {
                self.with_frame(frames.start + k, |bytes, swap| {
                    out.copy_from_slice(bytes);
                    if swap {
                        out.chunks_exact_mut(size).for_each(<[u8]>::reverse);
                    }
                })
            })?;
        Ok(())
    }

    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        if frames.start >= frames.end || frames.end > self.shape.frames {
            return None;
        }
        let (file, page) = self.locate(frames.start);
        let count = frames.len();
        let native =
            file.index.header.big_endian == NATIVE_BIG_ENDIAN || self.pixel_type.bytes() == 1;
        if !native || page + count > file.index.places.len() {
            return None;
        }
        if count > 1 && !matches!(file.index.places, Places::Contiguous { .. }) {
            return None;
        }
        let Place::Block(at) = file.index.places.get(page, self.frame_bytes()) else {
            return None;
        };
        file.source.check_length().ok()?;
        let bytes = file.source.lend(at, count * self.frame_bytes())?;
        bytes
            .as_ptr()
            .addr()
            .is_multiple_of(self.pixel_type.bytes())
            .then_some(bytes)
    }
}
