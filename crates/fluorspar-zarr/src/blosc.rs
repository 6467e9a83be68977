//! Blosc straight into the caller's buffer, and from memory that is used again.
//!
//! `zarrs` decodes into a vector of its own. Without that and the copy out of
//! it, reading a movie from the page cache took 0.14 s instead of 0.16 s
//! (median of six paired runs, 268 MB, two threads), and one frame of a chunk
//! need not decode the others. It encodes into a new vector each time, whose
//! pages the system has to find and clear: half of all page faults while a
//! registered movie is written. Hence the only `unsafe` of this crate.
#![allow(unsafe_code)]

use zarrs::array::codec::bytes_to_bytes::blosc::blosc_validate;

/// Where the header keeps the size of an element.
const TYPE_SIZE: usize = 3;
const HEADER: usize = 16;

/// The decoded length, if the header is sound and agrees with `data`'s length.
pub(crate) fn length(data: &[u8]) -> Result<usize, String> {
    (data.len() >= HEADER)
        .then(|| blosc_validate(data))
        .flatten()
        .filter(|&length| length > 0)
        .ok_or_else(|| "not a valid blosc buffer".into())
}

/// Decodes all of `data` into `out`, which must have the decoded length.
pub(crate) fn decode(data: &[u8], out: &mut [u8]) -> Result<(), String> {
    let length = length(data)?;
    if length != out.len() {
        return Err(format!("{length} bytes instead of {}", out.len()));
    }
    // SAFETY: `length` has validated the header, so that the compressed bytes
    // are `data` and no more; at most `out.len()` bytes are written to `out`.
    let written = unsafe {
        blosc_src::blosc_decompress_ctx(data.as_ptr().cast(), out.as_mut_ptr().cast(), out.len(), 1)
    };
    complete(written, out.len())
}

/// Decodes the elements from byte `start` on into `out`, and only the blocks
/// they lie in; false if the stored elements are of another size.
pub(crate) fn decode_part(
    data: &[u8],
    start: usize,
    element: usize,
    out: &mut [u8],
) -> Result<bool, String> {
    let length = length(data)?;
    if start
        .checked_add(out.len())
        .is_none_or(|stop| stop > length)
    {
        return Err(format!("{length} bytes, too few for the chunk"));
    }
    // The library writes elements of the size in the header, which need not be ours.
    if usize::from(data[TYPE_SIZE]) != element
        || !start.is_multiple_of(element)
        || !out.len().is_multiple_of(element)
    {
        return Ok(false);
    }
    let (Ok(first), Ok(count)) = (
        i32::try_from(start / element),
        i32::try_from(out.len() / element),
    ) else {
        return Ok(false);
    };
    // SAFETY: `length` has validated the header, so that the compressed bytes
    // are `data` and no more; `count` elements of the header's size fill `out`.
    let written = unsafe {
        blosc_src::blosc_getitem(data.as_ptr().cast(), first, count, out.as_mut_ptr().cast())
    };
    complete(written, out.len()).map(|()| true)
}

/// Encodes by LZ4 behind a shuffle of bits, in the memory of `out`.
pub(crate) fn encode(
    data: &[u8],
    element: usize,
    level: u8,
    mut out: Vec<u8>,
) -> Result<Vec<u8>, String> {
    // The encoded bytes depend on the room that is named, so it is not the capacity.
    let room = data.len() + blosc_src::BLOSC_MAX_OVERHEAD as usize;
    out.clear();
    out.reserve(room);
    // SAFETY: `data.len()` bytes are read from `data` and at most `room`
    // written to `out`, which are different memory; the name ends in a zero.
    let written = unsafe {
        blosc_src::blosc_compress_ctx(
            level.into(),
            blosc_src::BLOSC_BITSHUFFLE as i32,
            element,
            data.len(),
            data.as_ptr().cast(),
            out.as_mut_ptr().cast(),
            room,
            c"lz4".as_ptr(),
            0,
            1,
        )
    };
    let length = usize::try_from(written).unwrap_or(0);
    if length == 0 || length > room {
        return Err(format!("blosc: {} bytes cannot be encoded", data.len()));
    }
    // SAFETY: the library has written `length` bytes from the start of `out`.
    unsafe { out.set_len(length) };
    Ok(out)
}

fn complete(written: i32, wanted: usize) -> Result<(), String> {
    if usize::try_from(written) == Ok(wanted) {
        Ok(())
    } else {
        Err("blosc: damaged".into())
    }
}
