use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_movie::{Budget, FrameRange, Movie, MovieSink};
use fluorspar_tiff::{Compression, Dialect, Writer, WriterOptions};
use fluorspar_zarr::{BlockWriter, Codec, MovieWriter, PixelSize, WriteOptions};
use serde::Serialize;

use crate::copy::{PixelDigest, each_block};
use crate::error::Context;
use crate::{Error, Observer, source};

/// What to convert, and into what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConvertOptions {
    /// `[first, end)` of the frames; all if not said.
    pub frames: Option<[usize; 2]>,
    /// Only this channel, counted from 0, its planes put together into
    /// volumes; all images one after the other if not said.
    pub channel: Option<usize>,
    /// Keep the whole pages of TIFF files that break off, instead of refusing them.
    pub salvage: bool,
    /// Frame rate in Hz to write instead of what the files say.
    pub frame_rate: Option<f64>,
    /// Side of a pixel in µm to write.
    pub pixel_size_um: Option<f64>,
    /// `none`, `deflate`, `lzw` or `zstd` for TIFF, `none`, `blosc`, `zstd` or
    /// `gzip` for Zarr; uncompressed TIFF and blosc if not said.
    pub compression: Option<String>,
    /// `imagej`, `ome`, `scanimage` or `plain` for TIFF, `ome` or `plain` for
    /// Zarr; ImageJ's words and a plain array if not said.
    pub dialect: Option<String>,
    /// Go on with an unfinished Zarr movie.
    pub resume: bool,
    /// Leave out the comparison of what was written with what was read.
    pub unverified: bool,
}

/// What was converted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Converted {
    /// The output.
    pub out: PathBuf,
    /// Its frames.
    pub frames: usize,
    /// BLAKE3 digest of the images' number and size, their pixel type and
    /// pixels, the same for the same movie in any format.
    pub blake3: String,
    /// Whether the output was read back and has this digest.
    pub verified: bool,
}

/// Writes any movie as `.zarr` or `.tif`; several TIFF files become one movie.
///
/// The pixels are kept to the bit. The output appears when it is whole; it is
/// then read back and compared by checksum.
///
/// # Errors
/// [`Error::Usage`] for an output that is neither `.zarr` nor `.tif`, exists
/// already or is one of the inputs, and for options that do not go with it;
/// otherwise [`Error::Stage`] or [`Error::BadData`] naming the file.
pub fn convert(
    inputs: &[PathBuf],
    output: &Path,
    options: &ConvertOptions,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<Converted, Error> {
    check_output(output)?;
    let mut files = Vec::new();
    for input in inputs {
        files.extend(source::find_files(&input.to_string_lossy(), Path::new(""))?);
    }
    let part = source::Part {
        channel: options.channel,
        salvage: options.salvage,
        ..source::Part::default()
    };
    let mut movie = source::open_part(&files, part)?;
    if let Some([first, end]) = options.frames {
        let length = movie.shape().frames;
        if first >= end || end > length {
            return Err(Error::Usage(format!(
                "frames {first}..{end} are not part of a movie of {length} frames"
            )));
        }
        movie = Box::new(FrameRange::new(movie, first..end).at(output.display())?);
    }
    let format = Format::of(output, &*movie, options)?;
    let digest = timed(
        &format!("writing {}", output.display()),
        &*movie,
        observer,
        || format.write(&*movie, output, budget, options.resume, observer),
    )?;
    let mut converted = Converted {
        out: output.to_path_buf(),
        frames: movie.shape().frames,
        blake3: digest.finish(),
        verified: false,
    };
    if !options.unverified {
        let written = source::open_movie(&[output.to_path_buf()])?;
        let found = timed(
            &format!("comparing {}", output.display()),
            &*movie,
            observer,
            || PixelDigest::of(&*written, budget, observer).at(output.display()),
        )?;
        if found.finish() != converted.blake3 {
            return Err(Error::bad_data(
                output,
                "does not hold what was written to it; the disk or the memory is faulty, or an \
                 unfinished movie of other pixels was resumed",
            ));
        }
        converted.verified = true;
    }
    Ok(converted)
}

fn check_output(output: &Path) -> Result<(), Error> {
    if output.exists() {
        return Err(Error::Usage(format!(
            "{} exists already; remove it or choose another name",
            output.display()
        )));
    }
    if let Some(parent) = output.parent()
        && !parent.as_os_str().is_empty()
        && !parent.is_dir()
    {
        return Err(Error::Usage(format!(
            "{}: the folder {} does not exist; create it first",
            output.display(),
            parent.display()
        )));
    }
    Ok(())
}

fn timed<R>(
    step: &str,
    movie: &dyn Movie,
    observer: &dyn Observer,
    work: impl FnOnce() -> Result<R, Error>,
) -> Result<R, Error> {
    observer.start(step, movie.shape().frames as u64);
    let begun = Instant::now();
    let out = work()?;
    observer.finish(step, begun.elapsed().as_secs_f64());
    Ok(out)
}

/// How the output is stored.
#[derive(Clone, Copy, Debug)]
enum Format {
    Tiff(WriterOptions),
    Zarr(WriteOptions),
}

impl Format {
    fn of(output: &Path, movie: &dyn Movie, options: &ConvertOptions) -> Result<Self, Error> {
        let extension = output
            .extension()
            .map(|e| e.to_string_lossy().to_ascii_lowercase());
        let frame_rate = options.frame_rate.or(movie.frame_rate());
        match extension.as_deref() {
            Some("zarr") => Ok(Self::Zarr(WriteOptions {
                codec: choose(
                    "--compression",
                    options.compression.as_deref(),
                    Codec::default(),
                    &[
                        ("none", Codec::None),
                        ("blosc", Codec::Blosc),
                        ("zstd", Codec::Zstd { level: 3 }),
                        ("gzip", Codec::Gzip { level: 6 }),
                    ],
                )?,
                ome: choose(
                    "--dialect",
                    options.dialect.as_deref(),
                    false,
                    &[("plain", false), ("ome", true)],
                )?,
                frame_rate,
                pixel_size: options.pixel_size_um.map(|size| PixelSize {
                    y: size,
                    x: size,
                    z: None,
                }),
                ..WriteOptions::default()
            })),
            Some("tif" | "tiff") if options.resume => Err(Error::Usage(
                "only a Zarr output can be resumed; write .zarr or leave --resume out".into(),
            )),
            Some("tif" | "tiff") => Ok(Self::Tiff(WriterOptions {
                frame_rate,
                pixel_size_um: options.pixel_size_um,
                compression: choose(
                    "--compression",
                    options.compression.as_deref(),
                    Compression::None,
                    &[
                        ("none", Compression::None),
                        ("deflate", Compression::Deflate),
                        ("lzw", Compression::Lzw),
                        ("zstd", Compression::Zstd),
                    ],
                )?,
                dialect: choose(
                    "--dialect",
                    options.dialect.as_deref(),
                    Dialect::ImageJ,
                    &[
                        ("imagej", Dialect::ImageJ),
                        ("ome", Dialect::Ome),
                        ("scanimage", Dialect::ScanImage),
                        ("plain", Dialect::Plain),
                    ],
                )?,
                bigtiff: None,
            })),
            _ => Err(Error::Usage(format!(
                "{}: the output must end in .zarr or .tif",
                output.display()
            ))),
        }
    }

    fn write(
        self,
        movie: &dyn Movie,
        output: &Path,
        budget: Budget,
        resume: bool,
        observer: &dyn Observer,
    ) -> Result<PixelDigest, Error> {
        let (shape, pixel_type) = (movie.shape(), movie.pixel_type());
        let place = output.display();
        let mut digest = PixelDigest::new(movie);
        let everything = std::iter::once(0..shape.frames).collect();
        let (mut sink, missing): (Box<dyn MovieSink>, Vec<_>) = match self {
            Self::Tiff(options) => {
                let writer = Writer::create(output, shape, pixel_type, &options);
                (Box::new(writer.at(&place)?), everything)
            }
            Self::Zarr(options) if resume => {
                let writer = BlockWriter::resume_or_create(output, shape, pixel_type, &options);
                let writer = writer.at(&place)?;
                let missing = writer.missing();
                (Box::new(writer), missing)
            }
            Self::Zarr(options) => {
                let writer = MovieWriter::create_with(output, shape, pixel_type, &options);
                (Box::new(writer.at(&place)?), everything)
            }
        };
        let length = shape.frame_len() * pixel_type.bytes();
        each_block(movie, budget, sink.align(), observer, |first, bytes| {
            digest.add(bytes);
            let block = first..first + bytes.len() / length;
            for part in &missing {
                let (start, end) = (part.start.max(block.start), part.end.min(block.end));
                if start < end {
                    let bytes = &bytes[(start - first) * length..(end - first) * length];
                    sink.write_native(start, bytes)?;
                }
            }
            Ok(())
        })
        .at(&place)?;
        sink.finish().at(&place)?;
        Ok(digest)
    }
}

/// The value that `text` names.
fn choose<T: Copy>(
    flag: &str,
    text: Option<&str>,
    default: T,
    names: &[(&str, T)],
) -> Result<T, Error> {
    let Some(text) = text else {
        return Ok(default);
    };
    let found = names
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        Error::Usage(format!(
            "{flag} {text} does not go with this output; use {}",
            known.join(", ")
        ))
    })
}
