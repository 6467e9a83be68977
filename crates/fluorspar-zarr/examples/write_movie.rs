//! Writes a small movie with known pixels, for checking other readers:
//! value `(31 t + 7 y + x) mod 1000` as uint16, 10 frames of 32 × 48.
//!
//! ```text
//! cargo run --release -p fluorspar-zarr --example write_movie -- movie.zarr
//! ```

use std::error::Error;

use fluorspar_movie::{MovieShape, MovieSink, PixelType};
use fluorspar_zarr::MovieWriter;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: write_movie MOVIE.zarr")?;
    let shape = MovieShape::new(10, 1, 32, 48);
    let mut frames = Vec::with_capacity(shape.frames * shape.frame_len());
    for t in 0..10u16 {
        for y in 0..32u16 {
            for x in 0..48u16 {
                frames.push(f32::from((t * 31 + y * 7 + x) % 1000));
            }
        }
    }
    let mut writer = MovieWriter::create(path, shape, PixelType::U16, Some(30.0))?;
    writer.write(0, &frames)?;
    writer.finish()?;
    Ok(())
}
