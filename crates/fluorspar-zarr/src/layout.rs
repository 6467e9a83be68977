//! How a movie is cut into shards and chunks, and how one shard is encoded.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fluorspar_movie::{Lost, MovieShape, PixelType, to_native};
use rayon::prelude::*;
use serde_json::{Map, json};

use crate::array::{ArrayFile, Plan, Unfinished};
use crate::{ElementType, Error, Limits, PixelSize, WriteOptions};

/// Decoded size that an inner chunk aims at: small enough that one frame is
/// cheap to read, large enough for blosc.
const CHUNK_BYTES: usize = 2 << 20;
/// Frames in an inner chunk of whole frames at most.
const CHUNK_FRAMES: usize = 16;
/// Decoded size that a shard aims at.
const SHARD_BYTES: usize = 32 << 20;
/// Frames in a shard, at least and at most.
const SHARD_FRAMES: (usize, usize) = (16, 64);

/// A movie's cut, checked.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) shape: MovieShape,
    pub(crate) pixel_type: PixelType,
    pub(crate) options: WriteOptions,
    /// Frames in a shard.
    pub(crate) shard: usize,
    /// Frames in an inner chunk.
    chunk: usize,
    /// Height and width of an inner chunk.
    tile: [usize; 2],
    element: ElementType,
    /// Memory of the encoded chunks of shards that are on disk, for the next.
    spare: Mutex<Vec<Vec<u8>>>,
}

/// The frames of one call, in the caller's type.
#[derive(Clone, Copy)]
pub(crate) enum Frames<'a> {
    F32(&'a [f32]),
    /// Native-endian bytes of the pixel type.
    Native(&'a [u8]),
}

impl Layout {
    pub(crate) fn new(
        path: &Path,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriteOptions,
    ) -> Result<Self, Error> {
        let extents = [shape.frames, shape.planes, shape.height, shape.width];
        if extents.contains(&0) {
            return Err(Error::Empty {
                path: path.into(),
                shape: extents.to_vec(),
            });
        }
        check_physical(path, options)?;
        let element = ElementType::from_pixel_type(pixel_type)
            .ok_or_else(|| Error::unsupported(path, format!("pixels of type {pixel_type}")))?;
        let limit = Limits::default().frame_bytes;
        crate::metadata::check_limit(path, "one frame", &extents[1..], element, limit)?;
        let tile = options.tile.unwrap_or([shape.height, shape.width]);
        if tile.contains(&0) || options.chunk_frames == Some(0) || options.shard_frames == Some(0) {
            return Err(Error::misuse(
                path,
                "a chunk or shard of 0 frames or pixels",
            ));
        }
        let tile = [tile[0].min(shape.height), tile[1].min(shape.width)];
        let (chunk, shard) = grid(shape, element.bytes(), tile, options);
        if !shard.is_multiple_of(chunk) {
            let reason = format!("shards of {shard} frames do not hold whole chunks of {chunk}");
            return Err(Error::misuse(path, reason));
        }
        Ok(Self {
            shape,
            pixel_type,
            options: *options,
            shard,
            chunk,
            tile,
            element,
            spare: Mutex::default(),
        })
    }

    /// Calls `with` with the array's plan.
    pub(crate) fn plan<R>(&self, with: impl FnOnce(Plan<'_>) -> R) -> R {
        let MovieShape {
            frames,
            planes,
            height,
            width,
        } = self.shape;
        let [rows, columns] = self.tile;
        let whole = [
            height.next_multiple_of(rows),
            width.next_multiple_of(columns),
        ];
        let pick = |all: [usize; 4]| -> Vec<usize> {
            let kept = all.iter().enumerate();
            kept.filter(|&(axis, _)| axis != 1 || planes > 1)
                .map(|(_, &extent)| extent)
                .collect()
        };
        let mut attributes = Map::new();
        if let Some(rate) = self.options.frame_rate {
            attributes.insert("frame_rate".into(), json!(rate));
        }
        if let Some(PixelSize { y, x, z }) = self.options.pixel_size {
            let size = z.map_or_else(|| json!([y, x]), |z| json!([z, y, x]));
            attributes.insert("pixel_size_um".into(), size);
        }
        with(Plan {
            element: self.element,
            shape: &pick([frames, planes, height, width]),
            cell: &pick([self.chunk, 1, rows, columns]),
            shard: Some(&pick([self.shard, planes, whole[0], whole[1]])),
            codec: self.options.codec,
            dimension_names: self.names(),
            attributes,
        })
    }

    /// Names of the array's axes.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        if self.shape.planes > 1 {
            &["t", "z", "y", "x"]
        } else {
            &["t", "y", "x"]
        }
    }

    /// Shards of the movie.
    pub(crate) fn shards(&self) -> usize {
        self.shape.frames.div_ceil(self.shard)
    }

    /// The frames of a run of shards.
    pub(crate) fn frames(&self, shards: Range<usize>) -> Range<usize> {
        shards.start * self.shard..(shards.end * self.shard).min(self.shape.frames)
    }

    /// Position of a shard in the array's grid.
    pub(crate) fn index(&self, shard: usize) -> Vec<usize> {
        let mut index = vec![0; self.names().len()];
        index[0] = shard;
        index
    }

    /// Encodes one shard's frames and writes them, under a temporary name.
    pub(crate) fn store(
        &self,
        array: &ArrayFile,
        shard: usize,
        frames: Frames<'_>,
    ) -> Result<(Unfinished, Lost), Error> {
        let [down, across] = self.tiles();
        let planes = self.shape.planes;
        let cells = self.shard / self.chunk * planes * down * across;
        let encoded: Vec<Result<Encoded, Error>> = (0..cells)
            .into_par_iter()
            .map_init(Vec::new, |buffer, cell| {
                let image = cell / (down * across);
                let place = [
                    image / planes,
                    image % planes,
                    cell / across % down,
                    cell % across,
                ];
                self.encode(array, shard, place, frames, buffer)
            })
            .collect();
        let mut cells = Vec::with_capacity(encoded.len());
        let mut total = Lost::default();
        for result in encoded {
            let (cell, lost) = result?;
            cells.push(cell);
            total += lost;
        }
        let file = array.write_file(&self.index(shard), &cells)?;
        self.spare().extend(cells.into_iter().flatten());
        Ok((file, total))
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inner chunks down and across a frame.
    fn tiles(&self) -> [usize; 2] {
        [
            self.shape.height.div_ceil(self.tile[0]),
            self.shape.width.div_ceil(self.tile[1]),
        ]
    }

    /// Encodes the inner chunk at `place`, its position in the shard's grid along t, z, y and x.
    fn encode(
        &self,
        array: &ArrayFile,
        shard: usize,
        place: [usize; 4],
        frames: Frames<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Encoded, Error> {
        let first = place[0] * self.chunk;
        let count = self.frames(shard..shard + 1).len();
        if first >= count {
            return Ok((None, Lost::default()));
        }
        let present = first..(first + self.chunk).min(count);
        let spare = self.spare().pop().unwrap_or_default();
        if let Some(native) = self.lent(frames, &present) {
            let bytes = array.encode_cell(self.options.codec, native, spare)?;
            return Ok((Some(bytes), Lost::default()));
        }
        let [_, place @ ..] = place;
        let lost = self.gather(frames, &present, place, buffer);
        let bytes = array.encode_cell(self.options.codec, buffer, spare)?;
        Ok((Some(bytes), lost))
    }

    /// The chunk's bytes, where they lie in the caller's buffer as they are stored.
    fn lent<'a>(&self, frames: Frames<'a>, present: &Range<usize>) -> Option<&'a [u8]> {
        let Frames::Native(bytes) = frames else {
            return None;
        };
        let whole = self.shape.planes == 1 && self.tile == [self.shape.height, self.shape.width];
        let frame = self.shape.frame_len() * self.element.bytes();
        (whole && present.len() == self.chunk)
            .then(|| &bytes[present.start * frame..present.end * frame])
    }

    /// Collects one chunk's samples, converted, the rest of it zero.
    fn gather(
        &self,
        frames: Frames<'_>,
        present: &Range<usize>,
        [plane, row, column]: [usize; 3],
        chunk: &mut Vec<u8>,
    ) -> Lost {
        let MovieShape {
            planes,
            height,
            width,
            ..
        } = self.shape;
        let [rows, columns] = self.tile;
        let bytes = self.element.bytes();
        chunk.clear();
        chunk.resize(self.chunk * rows * columns * bytes, 0);
        let mut lost = Lost::default();
        let mut put = |from: usize, to: usize, count: usize| {
            let target = &mut chunk[to * bytes..(to + count) * bytes];
            match frames {
                Frames::Native(all) => {
                    target.copy_from_slice(&all[from * bytes..(from + count) * bytes]);
                }
                Frames::F32(all) => {
                    lost += to_native(self.pixel_type, &all[from..from + count], target);
                }
            }
        };
        if planes == 1 && self.tile == [height, width] {
            let frame = self.shape.frame_len();
            put(present.start * frame, 0, present.len() * frame);
            return lost;
        }
        let [top, left] = [row * rows, column * columns];
        let run = columns.min(width - left);
        // Lines that are whole in the frame and in the chunk follow each other.
        let (lines, run) = if columns == width {
            (1, run * rows.min(height - top))
        } else {
            (rows.min(height - top), run)
        };
        for (t, frame) in present.clone().enumerate() {
            for line in 0..lines {
                let from = ((frame * planes + plane) * height + top + line) * width + left;
                put(from, (t * rows + line) * columns, run);
            }
        }
        lost
    }
}

fn check_physical(path: &Path, options: &WriteOptions) -> Result<(), Error> {
    let good = |value: f64| value.is_finite() && value > 0.0;
    if let Some(rate) = options.frame_rate.filter(|&rate| !good(rate)) {
        let reason = format!("the frame rate {rate} is not a positive number of Hz");
        return Err(Error::misuse(path, reason));
    }
    if let Some(size) = options.pixel_size
        && !(good(size.y) && good(size.x) && size.z.is_none_or(good))
    {
        let reason = format!("the pixel size {size:?} is not positive in µm");
        return Err(Error::misuse(path, reason));
    }
    Ok(())
}

/// Frames per inner chunk and per shard.
fn grid(
    shape: MovieShape,
    pixel_bytes: usize,
    tile: [usize; 2],
    options: &WriteOptions,
) -> (usize, usize) {
    let frame = shape.frame_len().saturating_mul(pixel_bytes).max(1);
    let part = shape.planes * tile[0] * tile[1] * pixel_bytes;
    let shard = (SHARD_BYTES / frame).clamp(SHARD_FRAMES.0, SHARD_FRAMES.1);
    let shard = options.shard_frames.unwrap_or(shard.min(shape.frames));
    let most = if part == frame { CHUNK_FRAMES } else { shard };
    let chunk = options.chunk_frames.unwrap_or_else(|| {
        (CHUNK_BYTES / part)
            .clamp(1, most)
            .min(shape.frames)
            .min(shard)
    });
    match (options.shard_frames, options.chunk_frames) {
        (Some(shard), Some(chunk)) => (chunk, shard),
        // The largest chunk up to the usual one that cuts the shard evenly.
        (Some(shard), None) => {
            let chunk = (1..=chunk).rev().find(|chunk| shard.is_multiple_of(*chunk));
            (chunk.unwrap_or(1), shard)
        }
        (None, _) => (chunk, shard.next_multiple_of(chunk)),
    }
}

/// A stored inner chunk, `None` behind the end of the movie, and what it lost.
type Encoded = (Option<Vec<u8>>, Lost);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_whole_chunks_and_never_longer_than_needed() {
        for frames in [1, 2, 3, 15, 17, 63, 64, 65, 1000] {
            for side in [1, 48, 256, 512, 1024, 4096] {
                let shape = MovieShape::new(frames, 1, side, side);
                let (chunk, shard) = grid(shape, 2, [side, side], &WriteOptions::default());
                assert!(chunk >= 1 && chunk <= frames.min(CHUNK_FRAMES));
                assert_eq!(shard % chunk, 0);
                assert!(shard < frames + chunk && shard < SHARD_FRAMES.1 + chunk);
                let (chunk, shard) = grid(shape, 2, [side.min(64); 2], &WriteOptions::default());
                assert!(chunk >= 1 && shard % chunk == 0 && shard < 2 * SHARD_FRAMES.1);
                for asked in [1, 7, 30, 100] {
                    let options = WriteOptions {
                        shard_frames: Some(asked),
                        ..WriteOptions::default()
                    };
                    let (chunk, shard) = grid(shape, 2, [side, side], &options);
                    assert!(shard == asked && shard % chunk == 0);
                }
            }
        }
    }
}
