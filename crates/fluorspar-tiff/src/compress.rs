//! From the bytes of a page to stored bytes.

use std::io;

use libdeflater::{CompressionLvl, Compressor};
use weezl::BitOrder;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: the only way in which frames can be lent without a copy.
    #[default]
    None,
    /// By deflate (zlib), which every reader knows.
    Deflate,
    /// By LZW, which every reader knows; larger and slower than deflate.
    Lzw,
    /// By Zstandard, which is fast and known to libtiff since 2017.
    Zstd,
}

impl Compression {
    /// The value of the tag Compression.
    pub(crate) fn tag(self) -> u16 {
        match self {
            Self::None => 1,
            Self::Lzw => 5,
            Self::Deflate => 8,
            Self::Zstd => 50000,
        }
    }

    pub(crate) fn encode(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(plain.to_vec()),
            Self::Deflate => {
                // Level 6 is zlib's default.
                let mut compressor = Compressor::new(CompressionLvl::default());
                let mut out = vec![0; compressor.zlib_compress_bound(plain.len())];
                let count = compressor
                    .zlib_compress(plain, &mut out)
                    .map_err(io::Error::other)?;
                out.truncate(count);
                Ok(out)
            }
            Self::Lzw => weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8)
                .encode(plain)
                .map_err(io::Error::other),
            Self::Zstd => zstd::bulk::compress(plain, 3),
        }
    }
}
