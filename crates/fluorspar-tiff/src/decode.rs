//! From the strips or tiles of a page to its samples.

use rayon::prelude::*;
use tiff::decoder::Decoder;

use crate::Error;
use crate::codec::Codec;
use crate::directory::{Header, bytes, format};
use crate::page::{Page, Predictor};
use crate::source::{PageStream, Source};

const NATIVE_BIG_ENDIAN: bool = cfg!(target_endian = "big");

/// Adds to each number the one `samples` before it (TIFF 6.0, section 14).
macro_rules! sum_up {
    ($line:expr, $samples:expr, $t:ty) => {{
        let numbers = $line.as_chunks_mut::<{ size_of::<$t>() }>().0;
        for sample in 0..$samples {
            let mut sum: $t = 0;
            for number in numbers.iter_mut().skip(sample).step_by($samples) {
                sum = sum.wrapping_add(<$t>::from_ne_bytes(*number));
                *number = sum.to_ne_bytes();
            }
        }
    }};
}
/// A page on the way from file to memory.
struct Decoding<'a> {
    source: &'a Source,
    header: &'a Header,
    page: &'a Page,
    number: usize,
    /// Where its directory lies.
    offset: u64,
}

/// Decodes a page into native-endian bytes, axes `(sample, y, x)`.
pub(crate) fn decode_page(
    source: &Source,
    header: &Header,
    page: &Page,
    number: usize,
    offset: u64,
    out: &mut [u8],
) -> Result<(), Error> {
    let decoding = Decoding {
        source,
        header,
        page,
        number,
        offset,
    };
    if page.codec == Codec::Jpeg {
        return decoding.jpeg(out);
    }
    let samples = page.layout.samples;
    if page.planar {
        let chunks = decoding.bands() * decoding.across();
        return out
            .chunks_exact_mut(page.layout.frame_bytes())
            .enumerate()
            .try_for_each(|(sample, plane)| decoding.plane(sample * chunks, 1, plane));
    }
    if samples == 1 {
        return decoding.plane(0, 1, out);
    }
    let mut mixed = vec![0; out.len()];
    decoding.plane(0, samples, &mut mixed)?;
    separate(&mixed, samples, page.layout.pixel_type.bytes(), out);
    Ok(())
}

/// From `(y, x, sample)` to `(sample, y, x)`.
fn separate(mixed: &[u8], samples: usize, size: usize, out: &mut [u8]) {
    let plane = out.len() / samples;
    for (pixel, values) in mixed.chunks_exact(samples * size).enumerate() {
        for (sample, value) in values.chunks_exact(size).enumerate() {
            let at = sample * plane + pixel * size;
            out[at..at + size].copy_from_slice(value);
        }
    }
}

impl Decoding<'_> {
    /// Chunks on top of each other.
    fn bands(&self) -> usize {
        self.page.layout.height.div_ceil(self.page.chunks.height)
    }

    /// Chunks beside each other.
    fn across(&self) -> usize {
        self.page.layout.width.div_ceil(self.page.chunks.width)
    }

    fn broken(&self, rule: String) -> Error {
        format(self.source, self.number, self.offset, rule)
    }

    /// Decodes the chunks from `first` on, each with `samples` numbers per
    /// pixel, into `(y, x, sample)`.
    fn plane(&self, first: usize, samples: usize, out: &mut [u8]) -> Result<(), Error> {
        let row = self.page.layout.width * samples * self.page.layout.pixel_type.bytes();
        out.par_chunks_mut(self.page.chunks.height * row)
            .enumerate()
            .try_for_each(|(band, rows)| {
                if self.page.chunks.tiled {
                    self.tiles(first + band * self.across(), samples, row, rows)
                } else {
                    self.chunk(first + band, rows)?;
                    self.restore(rows, row, samples);
                    Ok(())
                }
            })
    }

    /// Decodes a row of tiles from `first` on into `rows`.
    fn tiles(
        &self,
        first: usize,
        samples: usize,
        row: usize,
        rows: &mut [u8],
    ) -> Result<(), Error> {
        let wide = self.page.chunks.width * samples * self.page.layout.pixel_type.bytes();
        let mut tile = vec![0; wide * self.page.chunks.height];
        for column in 0..self.across() {
            self.chunk(first + column, &mut tile)?;
            self.restore(&mut tile, wide, samples);
            let start = column * wide;
            let end = (start + wide).min(row);
            for (line, part) in rows.chunks_exact_mut(row).zip(tile.chunks_exact(wide)) {
                line[start..end].copy_from_slice(&part[..end - start]);
            }
        }
        Ok(())
    }

    /// The bytes of one chunk, decompressed.
    fn chunk(&self, index: usize, out: &mut [u8]) -> Result<(), Error> {
        let chunks = &self.page.chunks;
        let (at, count) = (chunks.offsets[index], chunks.counts[index]);
        let stored = bytes(self.source, self.number, at, count as usize)?;
        let result = if self.page.reversed_bits {
            let turned: Vec<u8> = stored.iter().map(|byte| byte.reverse_bits()).collect();
            self.page.codec.decode(&turned, out)
        } else {
            self.page.codec.decode(&stored, out)
        };
        result.map_err(|rule| {
            format(
                self.source,
                self.number,
                at,
                std::format!("strip or tile {index} {rule}"),
            )
        })
    }

    /// Undoes byte order and differences, row by row.
    fn restore(&self, rows: &mut [u8], row: usize, samples: usize) {
        let size = self.page.layout.pixel_type.bytes();
        if self.page.predictor == Predictor::FloatingPoint {
            let mut shuffled = vec![0; row];
            for line in rows.chunks_exact_mut(row) {
                unshuffle(line, &mut shuffled, size, samples);
            }
            return;
        }
        if self.header.big_endian != NATIVE_BIG_ENDIAN {
            swap(rows, size);
        }
        if self.page.predictor == Predictor::Horizontal {
            for line in rows.chunks_exact_mut(row) {
                match size {
                    1 => sum_up!(line, samples, u8),
                    2 => sum_up!(line, samples, u16),
                    4 => sum_up!(line, samples, u32),
                    _ => sum_up!(line, samples, u64),
                }
            }
        }
    }

    /// Pages of 8-bit grey JPEG, by the decoder of the `tiff` crate.
    fn jpeg(&self, out: &mut [u8]) -> Result<(), Error> {
        let broken =
            |error: tiff::TiffError| self.broken(std::format!("cannot be decoded: {error}"));
        let mut limits = tiff::decoder::Limits::default();
        limits.decoding_buffer_size = out.len().max(1 << 16);
        limits.intermediate_buffer_size = 4 * out.len().max(1 << 16);
        let stream = PageStream::new(self.source, self.header.naming(self.offset));
        let mut decoder = Decoder::new(stream).map_err(broken)?.with_limits(limits);
        let layout = decoder.image_buffer_layout().map_err(broken)?;
        if layout.len != out.len() {
            return Err(self.broken(std::format!(
                "decodes to {} bytes instead of {}",
                layout.len,
                out.len()
            )));
        }
        decoder.read_image_bytes(out).map_err(broken)
    }
}

/// Reverses the bytes of each number.
pub(crate) fn swap(bytes: &mut [u8], size: usize) {
    fn each<const N: usize>(bytes: &mut [u8]) {
        for number in bytes.as_chunks_mut::<N>().0 {
            number.reverse();
        }
    }
    match size {
        2 => each::<2>(bytes),
        4 => each::<4>(bytes),
        8 => each::<8>(bytes),
        _ => {}
    }
}

/// Undoes the floating-point predictor (Adobe Photoshop TIFF Technical Note
/// 3): differences of bytes, which lie by significance.
fn unshuffle(line: &mut [u8], shuffled: &mut [u8], size: usize, samples: usize) {
    shuffled.copy_from_slice(line);
    for at in samples..shuffled.len() {
        shuffled[at] = shuffled[at].wrapping_add(shuffled[at - samples]);
    }
    let numbers = line.len() / size;
    for (k, number) in line.chunks_exact_mut(size).enumerate() {
        for (byte, slot) in number.iter_mut().enumerate() {
            // The most significant bytes of all numbers come first.
            let significance = if NATIVE_BIG_ENDIAN {
                byte
            } else {
                size - 1 - byte
            };
            *slot = shuffled[significance * numbers + k];
        }
    }
}
