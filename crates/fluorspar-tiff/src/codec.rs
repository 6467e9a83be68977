//! From stored bytes to the bytes of a strip or tile.

use std::cell::RefCell;

use libdeflater::{DecompressionError, Decompressor};
use weezl::BitOrder;

/// How strips and tiles are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
    Zstd,
}

impl Codec {
    /// From the tag Compression.
    pub(crate) fn from_tag(method: u64) -> Option<Self> {
        Some(match method {
            1 => Self::None,
            5 => Self::Lzw,
            7 => Self::Jpeg,
            8 | 32946 => Self::Deflate,
            32773 => Self::PackBits,
            50000 => Self::Zstd,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lzw => "LZW",
            Self::Jpeg => "JPEG",
            Self::Deflate => "deflate",
            Self::PackBits => "PackBits",
            Self::Zstd => "zstd",
        }
    }

    /// Fills `out` from `stored`, which may hold more than is needed; says
    /// what is wrong otherwise. Not for JPEG, whose tables lie outside.
    pub(crate) fn decode(self, stored: &[u8], out: &mut [u8]) -> Result<(), String> {
        match self {
            Self::None => {
                let part = stored
                    .get(..out.len())
                    .ok_or_else(|| too_short(stored.len(), out.len()))?;
                out.copy_from_slice(part);
                Ok(())
            }
            Self::Lzw => lzw(stored, out),
            Self::Deflate => deflate(stored, out),
            Self::PackBits => packbits(stored, out),
            Self::Zstd => zstandard(stored, out),
            Self::Jpeg => Err("JPEG is decoded by page".into()),
        }
    }
}

fn too_short(found: usize, needed: usize) -> String {
    format!("decodes to {found} bytes instead of {needed}")
}

fn lzw(stored: &[u8], out: &mut [u8]) -> Result<(), String> {
    // Each stream starts with the code that clears the table. Files from
    // before 1992 have its bits the other way round, and longer codes later.
    let old = stored.starts_with(&[0]) && stored.get(1).is_some_and(|byte| byte & 1 == 1);
    let configuration = if old {
        weezl::decode::Configuration::new(BitOrder::Lsb, 8)
    } else {
        weezl::decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let mut decoder = configuration.with_yield_on_full_buffer(true).build();
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let step = decoder.decode_bytes(&stored[read..], &mut out[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        match step.status {
            Err(error) => return Err(error.to_string()),
            Ok(weezl::LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
        }
    }
    if written < out.len() {
        return Err(too_short(written, out.len()));
    }
    Ok(())
}

fn deflate(stored: &[u8], out: &mut [u8]) -> Result<(), String> {
    thread_local! {
        static DECODER: RefCell<Decompressor> = RefCell::new(Decompressor::new());
    }
    DECODER.with_borrow_mut(|decoder| {
        match decoder.zlib_decompress(stored, out) {
            Ok(count) if count == out.len() => Ok(()),
            Ok(count) => Err(too_short(count, out.len())),
            Err(DecompressionError::BadData) => Err("is no valid deflate stream".into()),
            Err(DecompressionError::InsufficientSpace) => {
                // The last strip of some files is as long as the others.
                let mut longer = vec![0; out.len().saturating_mul(2).max(1 << 12)];
                while longer.len() <= 16 * out.len() + (1 << 16) {
                    match decoder.zlib_decompress(stored, &mut longer) {
                        Ok(_) => {
                            out.copy_from_slice(&longer[..out.len()]);
                            return Ok(());
                        }
                        Err(DecompressionError::InsufficientSpace) => {
                            longer.resize(longer.len() * 2, 0);
                        }
                        Err(error) => return Err(error.to_string()),
                    }
                }
                Err(format!("decodes to far more than {} bytes", out.len()))
            }
        }
    })
}

fn zstandard(stored: &[u8], out: &mut [u8]) -> Result<(), String> {
    thread_local! {
        static DECODER: RefCell<Option<zstd::zstd_safe::DCtx<'static>>> = const { RefCell::new(None) };
    }
    DECODER.with_borrow_mut(|decoder| {
        let decoder = decoder.get_or_insert_with(zstd::zstd_safe::DCtx::create);
        let name = |code| zstd::zstd_safe::get_error_name(code).to_owned();
        let count = decoder.decompress(out, stored).map_err(name)?;
        if count < out.len() {
            return Err(too_short(count, out.len()));
        }
        Ok(())
    })
}

/// Runs of equal and of different bytes (TIFF 6.0, section 9).
fn packbits(stored: &[u8], out: &mut [u8]) -> Result<(), String> {
    let length = out.len();
    let (mut read, mut written) = (0, 0);
    while written < length {
        let missing = || too_short(written, length);
        let code = i16::from(*stored.get(read).ok_or_else(missing)? as i8);
        read += 1;
        let room = length - written;
        match code {
            -128 => {}
            0.. => {
                let count = (code as usize + 1).min(room);
                let part = stored.get(read..read + count).ok_or_else(missing)?;
                out[written..written + count].copy_from_slice(part);
                read += count;
                written += count;
            }
            _ => {
                let count = ((1 - code) as usize).min(room);
                let byte = *stored.get(read).ok_or_else(missing)?;
                out[written..written + count].fill(byte);
                read += 1;
                written += count;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packbits_of_the_standard() {
        // The example of Apple's Technical Note TN1023.
        let packed = [
            0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7,
            0xAA,
        ];
        let plain = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        let mut out = [0; 24];
        packbits(&packed, &mut out).unwrap();
        assert_eq!(out, plain);
    }

    proptest! {
        /// Whatever the bytes, an answer.
        #[test]
        fn hostile_bytes_never_panic(stored in prop::collection::vec(any::<u8>(), 0..200), length in 0_usize..300) {
            let mut out = vec![0; length];
            for codec in [Codec::None, Codec::Lzw, Codec::Deflate, Codec::PackBits, Codec::Zstd] {
                let _ = codec.decode(&stored, &mut out);
            }
        }

        #[test]
        fn longer_streams_are_cut(plain in prop::collection::vec(any::<u8>(), 1..300), cut in 0_usize..300) {
            let cut = cut.min(plain.len());
            let mut packed = vec![0; 1000];
            let count = libdeflater::Compressor::new(libdeflater::CompressionLvl::default())
                .zlib_compress(&plain, &mut packed).unwrap();
            let mut out = vec![0; cut];
            Codec::Deflate.decode(&packed[..count], &mut out).unwrap();
            prop_assert_eq!(&out, &plain[..cut]);
            let mut longer = vec![0; plain.len() + 1];
            prop_assert!(Codec::Deflate.decode(&packed[..count], &mut longer).is_err());
        }
    }
}
