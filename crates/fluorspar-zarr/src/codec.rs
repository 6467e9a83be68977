//! From the stored bytes of a chunk to its elements and back.
//!
//! The compressors are the libraries that `zarrs` builds upon. They are called
//! here because a decoder must know how much it may produce: a chunk is decoded
//! into a buffer of exactly its size, so no stored byte decides over memory.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::ops::Range;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::{Codec, blosc};

/// One codec between bytes and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Blosc,
    Zstd,
    Gzip,
    Zlib,
    Crc32c,
}

/// How a chunk is decoded.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    /// Axes as stored, in terms of the array's; `None` if they are the same.
    pub(crate) order: Option<Vec<usize>>,
    /// The stored byte order is not this machine's.
    pub(crate) swap: bool,
    /// In the order of encoding.
    pub(crate) steps: Vec<Step>,
}

impl Decoder {
    /// Decodes the bytes `part` of a chunk of `shape` into `out`, which is as long.
    pub(crate) fn decode(
        &self,
        encoded: &[u8],
        shape: &[usize],
        element: usize,
        part: Range<usize>,
        out: &mut [u8],
    ) -> Result<(), String> {
        let length = shape.iter().product::<usize>() * element;
        if part.len() == length && self.order.is_none() {
            unpack(&self.steps, encoded, out)?;
        } else if !self.decode_part(encoded, length, element, part.start, out)? {
            let mut stored = vec![0; length];
            unpack(&self.steps, encoded, &mut stored)?;
            if let Some(order) = &self.order {
                let mut plain = vec![0; length];
                restore_axes(&stored, shape, order, element, &mut plain);
                stored = plain;
            }
            out.copy_from_slice(&stored[part]);
        }
        if self.swap {
            swap_bytes(out, element);
        }
        Ok(())
    }

    /// Decodes no more than `out` needs, where the codecs allow it; else false.
    fn decode_part(
        &self,
        encoded: &[u8],
        length: usize,
        element: usize,
        start: usize,
        out: &mut [u8],
    ) -> Result<bool, String> {
        let blosc = match (self.steps.as_slice(), &self.order) {
            ([Step::Blosc], None) => encoded,
            ([Step::Blosc, Step::Crc32c], None) => &encoded[..checked(encoded)?],
            _ => return Ok(false),
        };
        let stored = blosc::length(blosc)?;
        if stored != length {
            return Err(format!("{stored} bytes instead of {length}"));
        }
        blosc::decode_part(blosc, start, element, out)
    }
}

/// Reverses the order of the bytes of each element.
pub(crate) fn swap_bytes(bytes: &mut [u8], element: usize) {
    if element > 1 {
        for one in bytes.chunks_exact_mut(element) {
            one.reverse();
        }
    }
}

/// Undoes `steps`, last first.
fn unpack(steps: &[Step], encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
    let mut data = Cow::Borrowed(encoded);
    for (before, step) in steps.iter().enumerate().rev() {
        if *step == Step::Crc32c {
            let body = checked(&data)?;
            match &mut data {
                Cow::Borrowed(all) => *all = &all[..body],
                Cow::Owned(all) => all.truncate(body),
            }
        } else if before == 0 {
            return decompress(*step, &data, out);
        } else {
            // What the codecs before this one made of the chunk: a little more or less than it.
            data = Cow::Owned(decompress_some(*step, &data, 2 * out.len() + 65_536)?);
        }
    }
    if data.len() != out.len() {
        return Err(format!("{} bytes instead of {}", data.len(), out.len()));
    }
    out.copy_from_slice(&data);
    Ok(())
}

/// Length without the checksum at the end, if it is right.
fn checked(data: &[u8]) -> Result<usize, String> {
    let body = data
        .len()
        .checked_sub(4)
        .ok_or("too short for its checksum")?;
    if crc32c::crc32c(&data[..body]).to_le_bytes() == data[body..] {
        Ok(body)
    } else {
        Err("the checksum does not match".into())
    }
}

/// Decompresses to exactly `out.len()` bytes.
fn decompress(step: Step, data: &[u8], out: &mut [u8]) -> Result<(), String> {
    let exact = |length: usize, wanted: usize| {
        if length == wanted {
            Ok(())
        } else {
            Err(format!("{length} bytes instead of {wanted}"))
        }
    };
    match step {
        Step::Blosc => blosc::decode(data, out),
        Step::Zstd => {
            let wanted = out.len();
            let length = zstd::bulk::decompress_to_buffer(data, out).map_err(|e| e.to_string())?;
            exact(length, wanted)
        }
        Step::Gzip => fill(MultiGzDecoder::new(data), out),
        Step::Zlib => fill(ZlibDecoder::new(data), out),
        Step::Crc32c => exact(data.len(), out.len()),
    }
}

fn fill(mut stream: impl Read, out: &mut [u8]) -> Result<(), String> {
    stream.read_exact(out).map_err(|e| e.to_string())?;
    match stream.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(format!("more than {} bytes", out.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// Decompresses to at most `limit` bytes.
fn decompress_some(step: Step, data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let too_long = || format!("more than {limit} bytes");
    let stream: Box<dyn Read + '_> = match step {
        Step::Blosc => {
            let length = blosc::length(data)?;
            if length > limit {
                return Err(too_long());
            }
            let mut out = vec![0; length];
            return blosc::decode(data, &mut out).map(|()| out);
        }
        Step::Zstd => Box::new(zstd::Decoder::with_buffer(data).map_err(|e| e.to_string())?),
        Step::Gzip => Box::new(MultiGzDecoder::new(data)),
        Step::Zlib => Box::new(ZlibDecoder::new(data)),
        Step::Crc32c => Box::new(data),
    };
    let mut out = Vec::new();
    stream
        .take(limit as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|e| e.to_string())?;
    if out.len() > limit {
        return Err(too_long());
    }
    Ok(out)
}

/// From stored axes `order` back to row-major `shape`.
pub(crate) fn restore_axes(
    stored: &[u8],
    shape: &[usize],
    order: &[usize],
    element: usize,
    out: &mut [u8],
) {
    // Stride in the stored bytes of each of the array's axes.
    let mut stride = vec![0; shape.len()];
    let mut step = element;
    for &axis in order.iter().rev() {
        stride[axis] = step;
        step *= shape[axis];
    }
    let Some((&row, outer)) = shape.split_last() else {
        return;
    };
    let last = stride[shape.len() - 1];
    let mut at = vec![0; outer.len()];
    for target in out.chunks_exact_mut(row * element) {
        let start: usize = at.iter().zip(&stride).map(|(i, s)| i * s).sum();
        for (x, one) in target.chunks_exact_mut(element).enumerate() {
            let from = start + x * last;
            one.copy_from_slice(&stored[from..from + element]);
        }
        for axis in (0..outer.len()).rev() {
            at[axis] += 1;
            if at[axis] < outer[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
}

impl Codec {
    /// Encodes a chunk of native-endian elements: little-endian, compressed,
    /// checksum behind; in the memory of `spare` where the codec allows it.
    pub(crate) fn encode(
        self,
        native: &[u8],
        element: usize,
        spare: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let mut swapped;
        let bytes = if cfg!(target_endian = "big") && element > 1 {
            swapped = native.to_vec();
            swap_bytes(&mut swapped, element);
            &swapped
        } else {
            native
        };
        let mut encoded = match self {
            Self::None => {
                let mut copy = spare;
                copy.clear();
                copy.reserve(bytes.len() + 4);
                copy.extend_from_slice(bytes);
                copy
            }
            Self::Blosc => blosc::encode(bytes, element, BLOSC_LEVEL, spare)?,
            Self::Zstd { level } => {
                zstd::bulk::compress(bytes, level).map_err(|e| e.to_string())?
            }
            Self::Gzip { level } => {
                let level = flate2::Compression::new(level.min(9));
                let mut stream = flate2::write::GzEncoder::new(Vec::new(), level);
                stream
                    .write_all(bytes)
                    .and_then(|()| stream.finish())
                    .map_err(|e| e.to_string())?
            }
        };
        let checksum = crc32c::crc32c(&encoded);
        encoded.extend_from_slice(&checksum.to_le_bytes());
        Ok(encoded)
    }
}

/// Level of blosc in everything that is written.
pub(crate) const BLOSC_LEVEL: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Codec; 4] = [
        Codec::None,
        Codec::Blosc,
        Codec::Zstd { level: 1 },
        Codec::Gzip { level: 4 },
    ];

    fn step(codec: Codec) -> Vec<Step> {
        match codec {
            Codec::None => vec![Step::Crc32c],
            Codec::Blosc => vec![Step::Blosc, Step::Crc32c],
            Codec::Zstd { .. } => vec![Step::Zstd, Step::Crc32c],
            Codec::Gzip { .. } => vec![Step::Gzip, Step::Crc32c],
        }
    }

    #[test]
    fn what_is_longer_or_shorter_than_the_chunk_is_refused() {
        let data: Vec<u8> = (0..4096u32).map(|i| ((i * i) >> 5) as u8).collect();
        for codec in CODECS {
            let encoded = codec.encode(&data, 2, Vec::new()).expect("encoded");
            for length in [0, 1, 4094, 4095, 4097, 9000] {
                let mut out = vec![0; length];
                assert!(
                    unpack(&step(codec), &encoded, &mut out).is_err(),
                    "{codec:?} {length}"
                );
            }
            let mut out = vec![0; 4096];
            unpack(&step(codec), &encoded, &mut out).expect("decoded");
            assert_eq!(out, data);
        }
    }

    #[test]
    fn a_bomb_inside_a_chain_stops_at_the_limit() {
        let zeros = vec![0; 50 << 20];
        let bomb = zstd::bulk::compress(&zeros, 1).expect("compressed");
        let mut out = [0; 64];
        let error = unpack(&[Step::Gzip, Step::Zstd], &bomb, &mut out).expect_err("too long");
        assert!(error.contains("more than"), "{error}");
    }

    #[test]
    fn axes_come_back_in_any_order() {
        let shape = [2, 3, 4];
        for order in [
            [0, 1, 2],
            [2, 0, 1],
            [1, 2, 0],
            [2, 1, 0],
            [0, 2, 1],
            [1, 0, 2],
        ] {
            let plain =
                ndarray::Array3::from_shape_fn((2, 3, 4), |(a, b, c)| (a * 100 + b * 10 + c) as u8);
            let stored: Vec<u8> = plain.view().permuted_axes(order).iter().copied().collect();
            let mut out = [0; 24];
            restore_axes(&stored, &shape, &order, 1, &mut out);
            assert_eq!(
                out.as_slice(),
                plain.as_slice().expect("contiguous"),
                "{order:?}"
            );
        }
    }
}
