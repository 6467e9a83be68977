//! Every combination of pixel type, compression, chunks and byte order that
//! is said to be read is built, read and compared; the table in
//! COMPATIBILITY.md is what came of it. `FLUORSPAR_UPDATE=1` writes it anew.

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::TiffBuilder;
use fluorspar_movie::{Movie as _, MovieShape};

const HEIGHT: usize = 21;
const WIDTH: usize = 34;

/// Name, bits, value of the tag SampleFormat.
const TYPES: [(&str, u64, u64); 12] = [
    ("u8", 8, 1),
    ("i8", 8, 2),
    ("u16", 16, 1),
    ("i16", 16, 2),
    ("u32", 32, 1),
    ("i32", 32, 2),
    ("f32", 32, 3),
    ("f64", 64, 3),
    ("u64", 64, 1),
    ("i64", 64, 2),
    ("f16", 16, 3),
    ("1 bit", 1, 1),
];
/// Name and value of the tag Compression.
const CODECS: [(&str, u64); 6] = [
    ("none", 1),
    ("PackBits", 32773),
    ("LZW", 5),
    ("deflate", 8),
    ("zstd", 50000),
    ("LZMA", 34925),
];

#[derive(Clone, Copy, Debug)]
struct Case {
    bits: u64,
    format: u64,
    codec: u64,
    predictor: u64,
    /// Height and width of a tile, or rows of a strip and 0.
    chunk: (usize, usize),
    big_endian: bool,
    big: bool,
}

/// The samples as they stand in memory, little-endian.
fn samples(case: Case) -> Vec<u8> {
    let size = case.bits.div_ceil(8) as usize;
    let mut out = Vec::new();
    for k in 0..HEIGHT * WIDTH {
        let smooth = (k % WIDTH * 3 + k / WIDTH * 7 + k * k % 11) as f64;
        match (case.format, size) {
            (3, 4) => out.extend((smooth as f32 - 31.25).to_le_bytes()),
            (3, 8) => out.extend((smooth / 3.0 - 31.25).to_le_bytes()),
            _ => {
                let value = (smooth as i64 * 0x0001_0305_0107).wrapping_sub(77);
                out.extend(&value.to_le_bytes()[..size]);
            }
        }
    }
    out
}

/// What is stored of some rows, each of `row` samples.
fn encode(case: Case, rows: &[u8], row: usize) -> Vec<u8> {
    let size = case.bits.div_ceil(8) as usize;
    let mut bytes = rows.to_vec();
    match case.predictor {
        2 => {
            for line in bytes.chunks_exact_mut(row * size) {
                for k in (1..row).rev() {
                    let number = |line: &[u8], k: usize| {
                        let mut wide = [0; 8];
                        wide[..size].copy_from_slice(&line[k * size..(k + 1) * size]);
                        u64::from_le_bytes(wide)
                    };
                    let difference = number(line, k).wrapping_sub(number(line, k - 1));
                    line[k * size..(k + 1) * size]
                        .copy_from_slice(&difference.to_le_bytes()[..size]);
                }
            }
        }
        3 => {
            for line in bytes.chunks_exact_mut(row * size) {
                let mut shuffled: Vec<u8> = (0..size)
                    .rev()
                    .flat_map(|byte| (0..row).map(move |k| (byte, k)))
                    .map(|(byte, k)| line[k * size + byte])
                    .collect();
                for k in (1..shuffled.len()).rev() {
                    shuffled[k] = shuffled[k].wrapping_sub(shuffled[k - 1]);
                }
                line.copy_from_slice(&shuffled);
            }
        }
        _ => {}
    }
    if case.big_endian && case.predictor != 3 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    match case.codec {
        32773 => bytes
            .chunks(100)
            .flat_map(|part| [&[part.len() as u8 - 1], part].concat())
            .collect(),
        5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .encode(&bytes)
            .unwrap(),
        8 => {
            let mut out = vec![0; bytes.len() * 2 + 100];
            let count = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest())
                .zlib_compress(&bytes, &mut out)
                .unwrap();
            out.truncate(count);
            out
        }
        50000 => zstd::bulk::compress(&bytes, 1).unwrap(),
        _ => bytes,
    }
}

/// The chunks of an image: rows of bytes and samples per row.
fn chunks(case: Case, image: &[u8]) -> Vec<Vec<u8>> {
    let size = case.bits.div_ceil(8) as usize;
    let (high, wide) = case.chunk;
    if wide == 0 {
        let row = WIDTH * size;
        return image
            .chunks(high * row)
            .map(|rows| encode(case, rows, WIDTH))
            .collect();
    }
    let mut out = Vec::new();
    for top in (0..HEIGHT).step_by(high) {
        for left in (0..WIDTH).step_by(wide) {
            let mut tile = vec![0; high * wide * size];
            for y in top..HEIGHT.min(top + high) {
                let count = (WIDTH - left).min(wide) * size;
                let from = (y * WIDTH + left) * size;
                let to = (y - top) * wide * size;
                tile[to..to + count].copy_from_slice(&image[from..from + count]);
            }
            out.push(encode(case, &tile, wide));
        }
    }
    out
}

fn build(case: Case, image: &[u8]) -> TiffBuilder {
    let mut builder = TiffBuilder::with(case.big_endian, case.big);
    let mut places = Vec::new();
    for chunk in chunks(case, image) {
        places.push((builder.bytes.len() as u64, chunk.len() as u64));
        builder.bytes.extend(chunk);
    }
    let offsets = builder.bytes.len() as u64;
    for place in &places {
        builder.put(place.0, 4);
    }
    let counts = builder.bytes.len() as u64;
    for place in &places {
        builder.put(place.1, 4);
    }
    let (offsets, counts) = if places.len() == 1 {
        places[0]
    } else {
        (offsets, counts)
    };
    let tiled = case.chunk.1 > 0;
    let mut tags = vec![
        (256, 3, WIDTH as u64),
        (257, 3, HEIGHT as u64),
        (258, 3, case.bits),
        (259, 3, case.codec),
        (262, 3, 1),
    ];
    if !tiled {
        tags.extend([
            (273, 4, offsets),
            (278, 3, case.chunk.0 as u64),
            (279, 4, counts),
        ]);
    }
    tags.push((317, 3, case.predictor));
    if tiled {
        tags.extend([(322, 3, case.chunk.1 as u64), (323, 3, case.chunk.0 as u64)]);
        tags.extend([(324, 4, offsets), (325, 4, counts)]);
    }
    tags.push((339, 3, case.format));
    let place = builder.directory(&tags);
    // Lists of offsets and counts have as many values as there are chunks.
    if places.len() > 1 {
        let (head, entry, pointer) = if case.big { (8, 20, 8) } else { (2, 12, 4) };
        for (index, tag) in tags.iter().enumerate() {
            if matches!(tag.0, 273 | 279 | 324 | 325) {
                let at = place + head + index * entry;
                let mut list = TiffBuilder::with(case.big_endian, case.big);
                let start = list.bytes.len();
                list.put(places.len() as u64, pointer);
                list.put(tag.2, pointer);
                builder.bytes[at + 4..at + entry].copy_from_slice(&list.bytes[start..]);
            }
        }
    }
    builder
}

/// Whether the case is read; reading something else than what was stored fails the test.
fn is_read(case: Case) -> bool {
    let mut image = samples(case);
    let Ok(movie) = build(case, &image).open() else {
        return false;
    };
    assert_eq!(
        movie.shape(),
        MovieShape::new(1, 1, HEIGHT, WIDTH),
        "{case:?}"
    );
    let mut out = vec![0; image.len()];
    movie
        .read_native(0..1, &mut out)
        .unwrap_or_else(|e| panic!("{case:?}: {e}"));
    if cfg!(target_endian = "big") {
        image
            .chunks_exact_mut(case.bits as usize / 8)
            .for_each(<[u8]>::reverse);
    }
    assert!(out == image, "{case:?} is read wrong");
    true
}

fn table() -> String {
    let mut out = String::from("| compression |");
    for (name, ..) in TYPES {
        write!(out, " {name} |").unwrap();
    }
    out += "\n|---|";
    out += &"---|".repeat(TYPES.len());
    for (name, codec) in CODECS {
        write!(out, "\n| {name} |").unwrap();
        for (_, bits, format) in TYPES {
            let mut read = Vec::new();
            for predictor in [1, 2, 3] {
                // Differences of floats are of floats, where anybody reads them.
                if predictor == 3 && (format != 3 || bits < 32) {
                    continue;
                }
                for chunk in [(HEIGHT, 0), (4, 0), (8, 16), (8, 48)] {
                    for (big_endian, big) in
                        [(false, false), (true, false), (false, true), (true, true)]
                    {
                        read.push(is_read(Case {
                            bits,
                            format,
                            codec,
                            predictor,
                            chunk,
                            big_endian,
                            big,
                        }));
                    }
                }
            }
            assert!(
                read.iter().all(|&r| r == read[0]),
                "{name}, {bits} bits of format {format}"
            );
            out += if read[0] { " read |" } else { " refused |" };
        }
    }
    out + "\n"
}

#[test]
fn the_table_says_what_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("COMPATIBILITY.md");
    let begin = "<!-- written by tests/compatibility.rs -->\n";
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(begin).unwrap();
    let end = rest.find("\n<!-- end -->").unwrap();
    let table = table();
    let fresh = format!("{head}{begin}{table}{}", &rest[end..]);
    if std::env::var_os("FLUORSPAR_UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    assert_eq!(
        &rest[..end],
        table,
        "run with FLUORSPAR_UPDATE=1 and look at the change"
    );
}
