//! Writes and reads movies for comparison with other programs on the same bytes.
//!
//! ```text
//! zarr_speed write FRAMES.raw TYPE SHAPE OUT.zarr CODEC SHARD CHUNK [TILE]
//! zarr_speed read MOVIE.zarr
//! zarr_speed pixel MOVIE.zarr
//! zarr_speed frame MOVIE.zarr
//! zarr_speed cat MOVIE.zarr
//! zarr_speed cat GROUP.zarr ARRAY
//! ```
//!
//! TYPE is `uint16` or the like, SHAPE `frames,planes,height,width`; CODEC
//! `none`, `blosc`, `zstd` or `gzip`, with `+ome` for a group around the array;
//! SHARD and CHUNK count frames, TILE pixels along an edge. The first four
//! print seconds: `write` converts nothing and ends with the movie in place,
//! `read` reads all into one new buffer, `pixel` one pixel through all frames,
//! `frame` the frame in the middle. All is done twice and the second time
//! counts, since the programs compared with are warm too. `cat` prints
//! the samples' bytes.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fluorspar_movie::{Movie, MovieShape, PixelType};
use fluorspar_zarr::{
    BlockWriter, Codec, Element, ElementType, GroupReader, MissingChunks, MovieReader, OpenOptions,
    WriteOptions,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seconds = match arguments.as_slice() {
        [
            "write",
            raw,
            kind,
            shape,
            out,
            codec,
            shard,
            chunk,
            tile @ ..,
        ] => {
            let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>()?;
            let [frames, planes, height, width] = shape[..] else {
                return Err("SHAPE is frames,planes,height,width".into());
            };
            let (codec, ome) = match codec.strip_suffix("+ome") {
                Some(codec) => (codec, true),
                None => (*codec, false),
            };
            let options = WriteOptions {
                ome,
                codec: match codec {
                    "none" => Codec::None,
                    "blosc" => Codec::Blosc,
                    "zstd" => Codec::Zstd { level: 1 },
                    "gzip" => Codec::Gzip { level: 1 },
                    other => return Err(format!("unknown codec {other}").into()),
                },
                shard_frames: Some(shard.parse()?),
                chunk_frames: Some(chunk.parse()?),
                tile: match tile.first() {
                    Some(edge) => Some([edge.parse()?; 2]),
                    None => None,
                },
                ..WriteOptions::default()
            };
            let data = std::fs::read(raw)?;
            let shape = MovieShape::new(frames, planes, height, width);
            let pixel_type = pixel_type(kind)?;
            let warm = BlockWriter::create(format!("{out}.warm"), shape, pixel_type, &options)?;
            warm.write_native(0, &data)?;
            warm.discard()?;
            let start = Instant::now();
            let writer = BlockWriter::create(out, shape, pixel_type, &options)?;
            writer.write_native(0, &data)?;
            writer.finish()?;
            start.elapsed()
        }
        ["read", path] => second(|| {
            let movie = MovieReader::open(path)?;
            let shape = movie.shape();
            let length = shape.frames * shape.frame_len() * movie.pixel_type().bytes();
            Ok(movie.read_native(0..shape.frames, &mut vec![0; length])?)
        })?,
        ["pixel", path] => second(|| {
            let movie = MovieReader::open(path)?;
            let shape = movie.shape();
            let (y, x) = (shape.height / 2, shape.width / 2);
            let mut trace = vec![0.0; shape.frames * shape.planes];
            Ok(movie.read_window(0..shape.frames, y..y + 1, x..x + 1, &mut trace)?)
        })?,
        ["frame", path] => second(|| {
            let movie = MovieReader::open(path)?;
            let middle = movie.shape().frames / 2;
            let mut frame = vec![0; movie.shape().frame_len() * movie.pixel_type().bytes()];
            Ok(movie.read_native(middle..middle + 1, &mut frame)?)
        })?,
        ["cat", path] => {
            let movie = MovieReader::open(path)?;
            let shape = movie.shape();
            let length = shape.frames * shape.frame_len() * movie.pixel_type().bytes();
            let mut frames = vec![0; length];
            movie.read_native(0..shape.frames, &mut frames)?;
            return Ok(std::io::stdout().write_all(&frames)?);
        }
        ["cat", group, name] => {
            let filled = OpenOptions {
                missing_chunks: MissingChunks::Fill,
                ..OpenOptions::default()
            };
            let bytes = array_bytes(&GroupReader::open_with(group, &filled)?, name)?;
            return Ok(std::io::stdout().write_all(&bytes)?);
        }
        _ => return Err("see the first lines of examples/zarr_speed.rs".into()),
    };
    println!("{}", seconds.as_secs_f64());
    Ok(())
}

/// Time of the second of two runs.
fn second(run: impl Fn() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    run()?;
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}

fn pixel_type(name: &str) -> Result<PixelType, Box<dyn Error>> {
    Ok(match name {
        "uint8" => PixelType::U8,
        "int8" => PixelType::I8,
        "uint16" => PixelType::U16,
        "int16" => PixelType::I16,
        "uint32" => PixelType::U32,
        "int32" => PixelType::I32,
        "float32" => PixelType::F32,
        "float64" => PixelType::F64,
        other => return Err(format!("unknown type {other}").into()),
    })
}

/// A whole array of whatever element type.
fn array_bytes(group: &GroupReader, name: &str) -> Result<Vec<u8>, fluorspar_zarr::Error> {
    fn all<T: Element>(group: &GroupReader, name: &str) -> Result<Vec<u8>, fluorspar_zarr::Error> {
        let array = group.array::<T>(name)?;
        Ok(array
            .iter()
            .flat_map(|v| bytemuck::bytes_of(v).to_vec())
            .collect())
    }
    match all::<u8>(group, name) {
        Err(fluorspar_zarr::Error::ElementType { found, .. }) => match found {
            ElementType::I8 => all::<i8>(group, name),
            ElementType::U16 => all::<u16>(group, name),
            ElementType::I16 => all::<i16>(group, name),
            ElementType::U32 => all::<u32>(group, name),
            ElementType::I32 => all::<i32>(group, name),
            ElementType::U64 => all::<u64>(group, name),
            ElementType::I64 => all::<i64>(group, name),
            ElementType::F32 => all::<f32>(group, name),
            _ => all::<f64>(group, name),
        },
        other => other,
    }
}
