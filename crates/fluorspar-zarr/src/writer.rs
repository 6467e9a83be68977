use std::path::Path;

use fluorspar_movie::{MovieShape, MovieSink, PixelType, Sample};
use rayon::prelude::*;
use serde_json::{Map, json};

use crate::array::{ArrayFile, Plan};
use crate::staging::Staging;
use crate::{ElementType, Error, Limits};

/// Decoded size that an inner chunk aims at: small enough that one frame is
/// cheap to read, large enough for blosc.
const CHUNK_BYTES: usize = 2 << 20;
/// Frames in an inner chunk at most.
const CHUNK_FRAMES: usize = 16;
/// Decoded size that a shard aims at.
const SHARD_BYTES: usize = 32 << 20;
/// Frames in a shard, at least and at most.
const SHARD_FRAMES: (usize, usize) = (16, 64);

/// Writes a movie as a sharded Zarr v3 array, axes `(t, y, x)` or, with more
/// than one plane, `(t, z, y, x)`.
///
/// Blocks may come in any order. Each must start at a multiple of
/// [`MovieSink::align`] and be a multiple of it long, except the one that ends
/// the movie. The bytes on disk depend on neither order nor thread count;
/// encoding runs on the caller's rayon pool.
///
/// All is written to a hidden sibling folder (`.NAME.….partial`), which
/// [`MovieWriter::finish`] renames to the target and a drop before it removes.
/// Integer types take the nearest value, halves to even; what does not fit
/// saturates and is counted, NaN becomes 0 and is counted.
#[derive(Debug)]
pub struct MovieWriter {
    staging: Staging,
    array: ArrayFile,
    shape: MovieShape,
    pixel_type: PixelType,
    chunk: usize,
    shard: usize,
    written: Vec<bool>,
    saturated: u64,
    nan: u64,
}

impl MovieWriter {
    /// Prepares to write a movie of `shape` at `path`; `frame_rate` in Hz
    /// becomes the attribute `frame_rate`.
    ///
    /// An existing `path` is untouched until [`MovieWriter::finish`]. If what
    /// stands there is not Zarr, it is then kept as `NAME.replaced-0` beside it.
    ///
    /// # Errors
    /// [`Error::Empty`] for a shape with a zero, [`Error::Limit`] for frames over
    /// 1 GiB, [`Error::Misuse`] for a frame rate that is not a positive number,
    /// [`Error::Io`] if nothing can be written beside `path`.
    pub fn create(
        path: impl AsRef<Path>,
        shape: MovieShape,
        pixel_type: PixelType,
        frame_rate: Option<f64>,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let MovieShape {
            frames,
            planes,
            height,
            width,
        } = shape;
        if [frames, planes, height, width].contains(&0) {
            return Err(Error::Empty {
                path: path.into(),
                shape: vec![frames, planes, height, width],
            });
        }
        let mut attributes = Map::new();
        if let Some(rate) = frame_rate {
            if !(rate.is_finite() && rate > 0.0) {
                return Err(Error::misuse(
                    path,
                    format!("the frame rate {rate} is not a positive number of Hz"),
                ));
            }
            attributes.insert("frame_rate".into(), json!(rate));
        }
        let element = ElementType::from_pixel_type(pixel_type)
            .ok_or_else(|| Error::unsupported(path, format!("pixels of type {pixel_type}")))?;
        let full = [frames, planes, height, width];
        crate::metadata::check_limit(
            path,
            "one frame",
            &full[1..],
            element,
            Limits::default().frame_bytes,
        )?;
        let (chunk, shard) = grid(shape, element.bytes());
        let cell = [chunk, planes, height, width];
        let outer = [shard, planes, height, width];
        let names = ["t", "z", "y", "x"];
        let keep: &[usize] = if planes == 1 {
            &[0, 2, 3]
        } else {
            &[0, 1, 2, 3]
        };
        let pick = |from: &[usize; 4]| keep.iter().map(|&axis| from[axis]).collect::<Vec<_>>();
        let staging = Staging::create(path)?;
        let array = Plan {
            element,
            shape: &pick(&full),
            cell: &pick(&cell),
            shard: Some(&pick(&outer)),
            dimension_names: &keep.iter().map(|&axis| names[axis]).collect::<Vec<_>>(),
            attributes,
        }
        .create(staging.folder())?;
        Ok(Self {
            staging,
            array,
            shape,
            pixel_type,
            chunk,
            shard,
            written: vec![false; frames.div_ceil(shard)],
            saturated: 0,
            nan: 0,
        })
    }

    /// Samples so far that did not fit the pixel type and took its nearest end.
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// NaN samples so far that an integer type stored as 0.
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// Commits the movie; see [`MovieSink::finish`].
    ///
    /// # Errors
    /// [`Error::Misuse`] naming the first frame that was never written,
    /// [`Error::Io`] if the movie cannot be put in place. The old target, if
    /// any, is then as it was.
    pub fn finish(self) -> Result<(), Error> {
        if let Some(shard) = self.written.iter().position(|&written| !written) {
            return Err(Error::misuse(
                self.staging.target(),
                format!("frame {} was never written", shard * self.shard),
            ));
        }
        self.staging.commit()
    }

    fn check(&self, first: usize, samples: usize) -> Result<usize, Error> {
        let wrong = |reason: String| Err(Error::misuse(self.staging.target(), reason));
        let length = self.shape.frame_len();
        if !samples.is_multiple_of(length) {
            return wrong(format!(
                "{samples} samples are not whole frames of {length}"
            ));
        }
        let count = samples / length;
        let Some(stop) = first
            .checked_add(count)
            .filter(|&stop| stop <= self.shape.frames)
        else {
            return wrong(format!(
                "{count} frames at {first} do not fit a movie of {} frames",
                self.shape.frames
            ));
        };
        let aligned = count.is_multiple_of(self.shard) || stop == self.shape.frames;
        if !first.is_multiple_of(self.shard) || !aligned {
            return wrong(format!(
                "frames {first}..{stop} are not cut at multiples of {}",
                self.shard
            ));
        }
        let shards = first / self.shard..stop.div_ceil(self.shard);
        if let Some(twice) = shards.clone().find(|&shard| self.written[shard]) {
            return wrong(format!("frame {} is written twice", twice * self.shard));
        }
        Ok(count)
    }

    fn store<T: Sample>(&mut self, first: usize, frames: &[f32]) -> Result<(), Error> {
        let length = self.shape.frame_len();
        let (shard, chunk) = (self.shard, self.chunk);
        let array = &self.array;
        let axes = array.shape().len();
        let results: Vec<Result<Lost, Error>> = frames
            .par_chunks(shard * length)
            .enumerate()
            .map(|(i, block)| {
                let encoded: Vec<Result<(Vec<u8>, Lost), Error>> = block
                    .par_chunks(chunk * length)
                    .map(|part| {
                        let (bytes, lost) = to_native::<T>(part, array.cell_bytes());
                        Ok((array.encode_cell(bytes)?, lost))
                    })
                    .collect();
                let mut cells = Vec::with_capacity(shard / chunk);
                let mut total = Lost::default();
                for result in encoded {
                    let (bytes, lost) = result?;
                    cells.push(Some(bytes));
                    total.add(lost);
                }
                cells.resize(shard / chunk, None);
                let mut index = vec![0; axes];
                index[0] = first / shard + i;
                array.write_file(&index, &cells)?;
                Ok(total)
            })
            .collect();
        for (i, result) in results.into_iter().enumerate() {
            let lost = result?;
            self.saturated += lost.saturated;
            self.nan += lost.nan;
            self.written[first / shard + i] = true;
        }
        Ok(())
    }
}

impl MovieSink for MovieWriter {
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), fluorspar_movie::Error> {
        if self.check(first_frame, frames.len())? == 0 {
            return Ok(());
        }
        match self.pixel_type {
            PixelType::U8 => self.store::<u8>(first_frame, frames),
            PixelType::I8 => self.store::<i8>(first_frame, frames),
            PixelType::U16 => self.store::<u16>(first_frame, frames),
            PixelType::I16 => self.store::<i16>(first_frame, frames),
            PixelType::U32 => self.store::<u32>(first_frame, frames),
            PixelType::I32 => self.store::<i32>(first_frame, frames),
            PixelType::F32 => self.store::<f32>(first_frame, frames),
            PixelType::F64 => self.store::<f64>(first_frame, frames),
            other => Err(Error::unsupported(
                self.staging.target(),
                format!("pixels of type {other}"),
            )),
        }
        .map_err(Into::into)
    }

    fn finish(self: Box<Self>) -> Result<(), fluorspar_movie::Error> {
        MovieWriter::finish(*self).map_err(Into::into)
    }

    fn align(&self) -> usize {
        self.shard
    }
}

/// Samples that an integer type could not hold.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    saturated: u64,
    nan: u64,
}

impl Lost {
    fn add(&mut self, other: Self) {
        self.saturated += other.saturated;
        self.nan += other.nan;
    }
}

/// Frames per inner chunk and per shard, from the shape alone.
fn grid(shape: MovieShape, pixel_bytes: usize) -> (usize, usize) {
    let frame = shape.frame_len().saturating_mul(pixel_bytes).max(1);
    let chunk = (CHUNK_BYTES / frame)
        .clamp(1, CHUNK_FRAMES)
        .min(shape.frames);
    let shard = (SHARD_BYTES / frame)
        .clamp(SHARD_FRAMES.0, SHARD_FRAMES.1)
        .min(shape.frames)
        .next_multiple_of(chunk);
    (chunk, shard)
}

/// Converts to native-endian bytes, padded with zeros to `length` bytes.
fn to_native<T: Sample>(values: &[f32], length: usize) -> (Vec<u8>, Lost) {
    let mut lost = Lost::default();
    if let Some((low, high)) = ends(T::PIXEL_TYPE) {
        for &value in values {
            lost.saturated += u64::from(value < low || value >= high);
            lost.nan += u64::from(value.is_nan());
        }
    }
    let mut bytes = vec![0; length];
    for (target, &value) in bytes.chunks_exact_mut(size_of::<T>()).zip(values) {
        target.copy_from_slice(bytemuck::bytes_of(&T::from_f32(value)));
    }
    (bytes, lost)
}

/// Below the first and from the second on, rounding leaves the type's range.
///
/// The largest value is odd, so the half above it rounds up and out; the
/// smallest is even, so the half below it rounds back in.
fn ends(pixel_type: PixelType) -> Option<(f32, f32)> {
    Some(match pixel_type {
        PixelType::U8 => (-0.5, 255.5),
        PixelType::I8 => (-128.5, 127.5),
        PixelType::U16 => (-0.5, 65_535.5),
        PixelType::I16 => (-32_768.5, 32_767.5),
        PixelType::U32 => (-0.5, 4_294_967_296.0),
        PixelType::I32 => (-2_147_483_648.0, 2_147_483_648.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost<T: Sample>(values: &[f32]) -> (u64, u64) {
        let (bytes, lost) = to_native::<T>(values, 64);
        assert_eq!(bytes.len(), 64);
        (lost.saturated, lost.nan)
    }

    #[test]
    fn saturation_is_counted_where_rounding_leaves_the_range() {
        assert_eq!(lost::<u8>(&[-0.5, 255.4, 0.0]), (0, 0));
        assert_eq!(lost::<u8>(&[-0.51, 255.5, f32::NAN]), (2, 1));
        assert_eq!(lost::<i16>(&[-32_768.5, 32_767.4]), (0, 0));
        assert_eq!(lost::<i16>(&[-32_768.6, 32_767.5]), (2, 0));
        assert_eq!(lost::<i32>(&[i32::MIN as f32, i32::MAX as f32]), (1, 0));
        assert_eq!(lost::<u32>(&[f32::INFINITY, f32::NEG_INFINITY]), (2, 0));
        assert_eq!(lost::<f32>(&[f32::INFINITY, f32::NAN]), (0, 0));
    }

    #[test]
    fn shards_are_whole_chunks_and_never_longer_than_needed() {
        for frames in [1, 2, 3, 15, 17, 63, 64, 65, 1000] {
            for side in [1, 48, 256, 512, 1024, 4096] {
                let (chunk, shard) = grid(MovieShape::new(frames, 1, side, side), 2);
                assert!(chunk >= 1 && chunk <= frames.min(CHUNK_FRAMES));
                assert_eq!(shard % chunk, 0);
                assert!(shard < frames + chunk && shard < SHARD_FRAMES.1 + chunk);
            }
        }
    }
}
