//! Time to write and to read a movie of 16-bit samples, in seconds, for
//! comparison with other programs on the same bytes.
//!
//! ```text
//! zarr_speed write FRAMES.raw SHAPE OUT.zarr CODEC SHARD CHUNK [TILE]
//! zarr_speed read MOVIE.zarr
//! zarr_speed pixel MOVIE.zarr
//! ```
//!
//! SHAPE is `frames,height,width`; CODEC `none`, `blosc`, `zstd` or `gzip`;
//! SHARD and CHUNK count frames, TILE pixels along an edge. `write` converts
//! nothing and ends with the movie in place; `read` reads all into one buffer;
//! `pixel` reads one pixel through all frames.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use fluorspar_movie::{Movie, MovieShape, PixelType};
use fluorspar_zarr::{BlockWriter, Codec, MovieReader, WriteOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seconds = match arguments.as_slice() {
        ["write", raw, shape, out, codec, shard, chunk, tile @ ..] => {
            let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>()?;
            let [frames, height, width] = shape[..] else {
                return Err("SHAPE is frames,height,width".into());
            };
            let options = WriteOptions {
                codec: match *codec {
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
            let shape = MovieShape::new(frames, 1, height, width);
            let start = Instant::now();
            let writer = BlockWriter::create(out, shape, PixelType::I16, &options)?;
            writer.write_native(0, &data)?;
            writer.finish()?;
            start.elapsed()
        }
        ["read", path] => {
            let start = Instant::now();
            let movie = MovieReader::open(path)?;
            let shape = movie.shape();
            let length = shape.frames * shape.frame_len() * movie.pixel_type().bytes();
            let mut frames = vec![0; length];
            movie.read_native(0..shape.frames, &mut frames)?;
            start.elapsed()
        }
        ["pixel", path] => {
            let start = Instant::now();
            let movie = MovieReader::open(path)?;
            let shape = movie.shape();
            let (y, x) = (shape.height / 2, shape.width / 2);
            let mut trace = vec![0.0; shape.frames * shape.planes];
            movie.read_window(0..shape.frames, y..y + 1, x..x + 1, &mut trace)?;
            start.elapsed()
        }
        _ => return Err("see the first lines of examples/zarr_speed.rs".into()),
    };
    println!("{}", seconds.as_secs_f64());
    Ok(())
}
