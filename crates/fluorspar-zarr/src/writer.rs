use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fluorspar_movie::{MovieShape, MovieSink, PixelType, Sample};
use rayon::prelude::*;
use zarrs::array::codec::{BloscCodec, ShardingCodecOptions, SubchunkWriteOrder};
use zarrs::array::{ArrayBuilder, CodecSpecificOptions, Element, data_type};
use zarrs::filesystem::FilesystemStore;
use zarrs::metadata_ext::codec::blosc::{
    BloscCompressionLevel, BloscCompressor, BloscShuffleMode,
};

use crate::Error;
use crate::replace::Replacement;
use crate::store::{Stored, options};

/// Bytes of one inner chunk, uncompressed: the least that a reader decodes.
const INNER_BYTES: usize = 2 << 20;
/// Bytes of one shard, uncompressed: one file.
const SHARD_BYTES: usize = 64 << 20;

/// Writes a movie as Zarr v3: shards of whole frames, inside them chunks of a
/// few frames compressed by Blosc (LZ4, bit shuffle), without loss.
///
/// Blocks may come in any order but must start at a multiple of
/// [`MovieSink::align`] frames and, but for the movie's last block, be a
/// multiple of it long. The movie appears at its place by
/// [`MovieSink::finish`]; dropped before, it leaves nothing behind.
pub struct MovieWriter {
    path: PathBuf,
    array: Stored,
    shape: MovieShape,
    pixel_type: PixelType,
    shard_frames: usize,
    written: Vec<bool>,
    saturated: AtomicU64,
    replacement: Replacement,
}

impl fmt::Debug for MovieWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MovieWriter")
            .field("path", &self.path)
            .field("shape", &self.shape)
            .field("pixel_type", &self.pixel_type)
            .finish_non_exhaustive()
    }
}

impl MovieWriter {
    /// Starts a movie that will appear at `path`, replacing what is there;
    /// `frame_rate` in Hz becomes an attribute.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a movie without pixels, [`Error::Io`] if the
    /// folder cannot be written.
    pub fn create(
        path: &Path,
        shape: MovieShape,
        pixel_type: PixelType,
        frame_rate: Option<f64>,
    ) -> Result<Self, Error> {
        if shape.frame_len() == 0 {
            return Err(Error::misuse(path, "a movie needs at least one pixel"));
        }
        let replacement = Replacement::begin(path)?;
        let store = FilesystemStore::new(replacement.folder()).map_err(|e| Error::bad(path, e))?;
        let frame_bytes = shape.frame_len() * pixel_type.bytes();
        let inner = (INNER_BYTES / frame_bytes).clamp(1, 64);
        let shard_frames = inner * (SHARD_BYTES / (inner * frame_bytes)).clamp(1, 64);
        let bad = |e: &dyn fmt::Display| Error::bad(path, e);
        let mut whole = vec![shape.frames as u64];
        let mut names = vec!["t"];
        if shape.planes > 1 {
            whole.push(shape.planes as u64);
            names.push("z");
        }
        whole.extend([shape.height as u64, shape.width as u64]);
        names.extend(["y", "x"]);
        let chunk = |frames: usize| {
            let mut out = whole.clone();
            out[0] = frames as u64;
            out
        };
        let blosc = BloscCodec::new(
            BloscCompressor::LZ4,
            BloscCompressionLevel::try_from(5_u8).map_err(|_| bad(&"blosc level"))?,
            None,
            BloscShuffleMode::BitShuffle,
            Some(pixel_type.bytes()),
        )
        .map_err(|e| bad(&e))?;
        let (stored, fill) = match pixel_type {
            PixelType::U8 => (data_type::uint8(), vec![0; 1]),
            PixelType::I8 => (data_type::int8(), vec![0; 1]),
            PixelType::U16 => (data_type::uint16(), vec![0; 2]),
            PixelType::I16 => (data_type::int16(), vec![0; 2]),
            PixelType::U32 => (data_type::uint32(), vec![0; 4]),
            PixelType::I32 => (data_type::int32(), vec![0; 4]),
            PixelType::F32 => (data_type::float32(), vec![0; 4]),
            _ => (data_type::float64(), vec![0; 8]),
        };
        let sharding = ShardingCodecOptions::default()
            // Any other order would depend on which thread is done first.
            .with_subchunk_write_order(SubchunkWriteOrder::C);
        let mut builder = ArrayBuilder::new(
            whole.clone(),
            chunk(shard_frames),
            stored,
            zarrs::array::FillValue::new(fill),
        );
        builder
            .subchunk_shape(chunk(inner))
            .bytes_to_bytes_codecs(vec![Arc::new(blosc)])
            .dimension_names(Some(names))
            .codec_specific_options(CodecSpecificOptions::default().with_option(sharding));
        if let Some(rate) = frame_rate {
            builder
                .attributes_mut()
                .insert("frame_rate".into(), rate.into());
        }
        let array = builder.build(Arc::new(store), "/").map_err(|e| bad(&e))?;
        array.store_metadata().map_err(|e| bad(&e))?;
        Ok(Self {
            path: path.to_path_buf(),
            array,
            shape,
            pixel_type,
            shard_frames,
            written: vec![false; shape.frames.div_ceil(shard_frames)],
            saturated: AtomicU64::new(0),
            replacement,
        })
    }

    /// Samples so far that did not fit the pixel type and were clipped to its ends.
    pub fn saturated(&self) -> u64 {
        self.saturated.load(Ordering::Relaxed)
    }

    fn write_as<T: Sample + Element>(&self, first_shard: usize, frames: &[f32]) -> Result<(), Error> {
        let whole = self.shard_frames * self.shape.frame_len();
        frames
            .par_chunks(whole)
            .enumerate()
            .try_for_each(|(index, part)| {
                let mut clipped = 0;
                let mut values: Vec<T> = part
                    .iter()
                    .map(|&value| {
                        let stored = T::from_f32(value);
                        // Rounding moves a value by at most one half.
                        if (stored.to_f32() - value).abs() > 0.5 && T::PIXEL_TYPE.bytes() < 4 {
                            clipped += 1;
                        }
                        stored
                    })
                    .collect();
                values.resize(whole, T::from_f32(0.0));
                self.saturated.fetch_add(clipped, Ordering::Relaxed);
                let mut at = vec![(first_shard + index) as u64];
                at.resize(self.array.shape().len(), 0);
                self.array
                    .store_chunk_opt(&at, values, &options())
                    .map_err(|e| self.storage(&e))
            })
    }

    /// A storage error, with the system's own code where there is one.
    fn storage(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        let mut link = Some(error);
        while let Some(inner) = link {
            if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                return Error::io(&self.path, std::io::Error::new(io.kind(), io.to_string()));
            }
            link = inner.source();
        }
        Error::bad(&self.path, error)
    }
}

impl MovieSink for MovieWriter {
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), fluorspar_movie::Error> {
        let length = self.shape.frame_len();
        let count = frames.len() / length;
        let end = first_frame.saturating_add(count);
        let whole = first_frame.is_multiple_of(self.shard_frames)
            && frames.len().is_multiple_of(length)
            && end <= self.shape.frames
            && (end.is_multiple_of(self.shard_frames) || end == self.shape.frames);
        if !whole {
            return Err(Error::misuse(
                &self.path,
                format!(
                    "frames {first_frame}..{end} of {} do not start and end at multiples of {}",
                    self.shape.frames, self.shard_frames
                ),
            )
            .into());
        }
        if count == 0 {
            return Ok(());
        }
        let shard = first_frame / self.shard_frames;
        match self.pixel_type {
            PixelType::U8 => self.write_as::<u8>(shard, frames),
            PixelType::I8 => self.write_as::<i8>(shard, frames),
            PixelType::U16 => self.write_as::<u16>(shard, frames),
            PixelType::I16 => self.write_as::<i16>(shard, frames),
            PixelType::U32 => self.write_as::<u32>(shard, frames),
            PixelType::I32 => self.write_as::<i32>(shard, frames),
            PixelType::F32 => self.write_as::<f32>(shard, frames),
            _ => self.write_as::<f64>(shard, frames),
        }?;
        for index in shard..end.div_ceil(self.shard_frames) {
            self.written[index] = true;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), fluorspar_movie::Error> {
        if let Some(missing) = self.written.iter().position(|&written| !written) {
            return Err(Error::misuse(
                &self.path,
                format!(
                    "frames from {} on were never written",
                    missing * self.shard_frames
                ),
            )
            .into());
        }
        self.replacement.commit()?;
        Ok(())
    }

    fn align(&self) -> usize {
        self.shard_frames
    }
}
