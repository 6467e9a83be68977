use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fluorspar_movie::{MovieShape, MovieSink, PixelType, Sample};
use tiff::encoder::colortype::{
    ColorType, Gray8, Gray16, Gray32, Gray32Float, Gray64Float, GrayI8, GrayI16, GrayI32,
};
use tiff::encoder::{TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue};
use tiff::tags::Tag;

use crate::Error;

/// How to write a movie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WriterOptions {
    /// Frames per second (Hz), written where readers look for it.
    pub frame_rate: Option<f64>,
    /// Describe every page in ScanImage's words instead of ImageJ's.
    pub scanimage: bool,
    /// BigTIFF; chosen by size if not said.
    pub bigtiff: Option<bool>,
}

/// Writes a single-plane movie as uncompressed TIFF, one block per page.
///
/// Frames must come in order. The file appears at its place by
/// [`MovieSink::finish`]; dropped before, it leaves nothing behind.
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    shape: MovieShape,
    pixel_type: PixelType,
    options: WriterOptions,
    encoder: Option<Encoder>,
    file: Shared,
    next: usize,
    saturated: u64,
}

enum Encoder {
    Classic(TiffEncoder<Shared, TiffKindStandard>),
    Big(TiffEncoder<Shared, TiffKindBig>),
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("path", &self.path)
            .field("shape", &self.shape)
            .field("pixel_type", &self.pixel_type)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The file, shared with the encoder so that it can be flushed after it.
#[derive(Clone)]
struct Shared(Arc<Mutex<BufWriter<File>>>);

impl Shared {
    fn with<R>(&self, act: impl FnOnce(&mut BufWriter<File>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|file| file.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        self.with(Write::flush)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.with(|file| file.seek(to))
    }
}

impl Writer {
    /// Starts a file that will appear at `path`, replacing what is there.
    ///
    /// # Errors
    /// [`Error::Misuse`] for several planes or an empty image, [`Error::Io`]
    /// if the file cannot be created.
    pub fn create(
        path: &Path,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriterOptions,
    ) -> Result<Self, Error> {
        if shape.planes != 1 || shape.frame_len() == 0 {
            return Err(Error::Misuse(format!(
                "{}: a TIFF movie has one plane and at least one pixel, not {shape}",
                path.display()
            )));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".partial-{name}"));
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let file = File::create(&partial).map_err(io)?;
        let file = Shared(Arc::new(Mutex::new(BufWriter::with_capacity(
            1 << 20,
            file,
        ))));
        // A page's directory and description take less than a kilobyte.
        let bytes = (shape.frame_len() * pixel_type.bytes() + 1024) as u64 * shape.frames as u64;
        let big = options
            .bigtiff
            .unwrap_or(bytes > u64::from(u32::MAX) - (1 << 20));
        let encoder = if big {
            TiffEncoder::new_big(file.clone()).map(Encoder::Big)
        } else {
            TiffEncoder::new(file.clone()).map(Encoder::Classic)
        };
        let mut writer = Self {
            path: path.to_path_buf(),
            partial,
            shape,
            pixel_type,
            options: *options,
            encoder: None,
            file,
            next: 0,
            saturated: 0,
        };
        writer.encoder = Some(encoder.map_err(|e| writer.failed(e))?);
        Ok(writer)
    }

    /// Samples so far that did not fit the pixel type and were clipped to its ends.
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    fn failed(&self, error: tiff::TiffError) -> Error {
        let source = match error {
            tiff::TiffError::IoError(source) => source,
            other => io::Error::other(other),
        };
        Error::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn description(&self, frame: usize) -> String {
        let rate = self.options.frame_rate;
        if self.options.scanimage {
            let time = rate.map_or(0.0, |rate| frame as f64 / rate);
            let number = frame + 1;
            let page = format!("frameNumbers = {number}\nframeTimestamps_sec = {time:.6}\n");
            return match rate.filter(|_| frame == 0) {
                Some(rate) => format!(
                    "{page}SI.hChannels.channelSave = 1\nSI.hRoiManager.scanFrameRate = {rate}\n"
                ),
                None => page,
            };
        }
        match rate {
            Some(rate) if frame == 0 => format!(
                "ImageJ=1.53t\nimages={0}\nframes={0}\nfinterval={1}\nunit=pixel\nloop=false\n",
                self.shape.frames,
                1.0 / rate
            ),
            _ => String::new(),
        }
    }

    fn write_as<T, C>(&mut self, frames: &[f32]) -> Result<(), Error>
    where
        T: Sample,
        C: ColorType<Inner = T>,
        [T]: TiffValue,
    {
        let length = self.shape.frame_len();
        for part in frames.chunks_exact(length) {
            let values: Vec<T> = part
                .iter()
                .map(|&value| {
                    let stored = T::from_f32(value);
                    // Rounding moves a value by at most one half.
                    if (stored.to_f32() - value).abs() > 0.5 && T::PIXEL_TYPE.bytes() < 4 {
                        self.saturated += 1;
                    }
                    stored
                })
                .collect();
            let description = aligned(self.description(self.next));
            let (height, width) = (self.shape.height as u32, self.shape.width as u32);
            let written = match &mut self.encoder {
                Some(Encoder::Classic(encoder)) => {
                    page::<_, C, _>(encoder, width, height, &description, &values)
                }
                Some(Encoder::Big(encoder)) => {
                    page::<_, C, _>(encoder, width, height, &description, &values)
                }
                None => Err(tiff::TiffError::IoError(io::ErrorKind::BrokenPipe.into())),
            };
            written.map_err(|e| self.failed(e))?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Pads a description, which lies before its page's pixels, so that these stay
/// aligned and can be lent without a copy.
fn aligned(mut description: String) -> String {
    // The NUL at the end counts too.
    while !description.is_empty() && !(description.len() + 1).is_multiple_of(8) {
        description.push(' ');
    }
    description
}

fn page<W, C, K>(
    encoder: &mut TiffEncoder<W, K>,
    width: u32,
    height: u32,
    description: &str,
    values: &[C::Inner],
) -> Result<(), tiff::TiffError>
where
    W: Write + Seek,
    C: ColorType,
    K: TiffKind,
    [C::Inner]: TiffValue,
{
    let mut image = encoder.new_image::<C>(width, height)?;
    image.rows_per_strip(height)?;
    if !description.is_empty() {
        image
            .encoder()
            .write_tag(Tag::ImageDescription, description)?;
    }
    image.write_data(values)
}

impl MovieSink for Writer {
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), fluorspar_movie::Error> {
        let length = self.shape.frame_len();
        let count = frames.len() / length;
        if first_frame != self.next
            || !frames.len().is_multiple_of(length)
            || first_frame + count > self.shape.frames
        {
            return Err(fluorspar_movie::Error::misuse(format!(
                "{}: frame {} is due, not {first_frame} with {} samples",
                self.path.display(),
                self.next,
                frames.len()
            )));
        }
        match self.pixel_type {
            PixelType::U8 => self.write_as::<u8, Gray8>(frames),
            PixelType::I8 => self.write_as::<i8, GrayI8>(frames),
            PixelType::U16 => self.write_as::<u16, Gray16>(frames),
            PixelType::I16 => self.write_as::<i16, GrayI16>(frames),
            PixelType::U32 => self.write_as::<u32, Gray32>(frames),
            PixelType::I32 => self.write_as::<i32, GrayI32>(frames),
            PixelType::F32 => self.write_as::<f32, Gray32Float>(frames),
            _ => self.write_as::<f64, Gray64Float>(frames),
        }?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), fluorspar_movie::Error> {
        if self.next != self.shape.frames || self.next == 0 {
            return Err(fluorspar_movie::Error::misuse(format!(
                "{}: {} of {} frames were written",
                self.path.display(),
                self.next,
                self.shape.frames
            )));
        }
        self.encoder = None;
        self.file
            .with(|file| {
                file.flush()?;
                file.get_ref().sync_all()
            })
            .and_then(|()| std::fs::rename(&self.partial, &self.path))
            .map_err(|source| fluorspar_movie::Error::io(&self.path, source))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` the partial file has its final name and this finds nothing.
        let _ = std::fs::remove_file(&self.partial);
    }
}
