//! Writes small movies in every dialect, compression and type into a folder,
//! for other readers to try. Frame `t`, plane `z`, row `y`, column `x` has the
//! value `(31 t + 17 z + 7 y + 3 x) % 101`.
//!
//! ```text
//! cargo run --release -p fluorspar-tiff --example write_variants -- FOLDER
//! ```

use std::error::Error;
use std::path::Path;

use fluorspar_movie::{MovieShape, MovieSink, PixelType};
use fluorspar_tiff::{Compression, Dialect, Writer, WriterOptions};

fn value(shape: MovieShape, index: usize) -> f32 {
    let (x, rest) = (index % shape.width, index / shape.width);
    let (y, rest) = (rest % shape.height, rest / shape.height);
    let (z, t) = (rest % shape.planes, rest / shape.planes);
    ((31 * t + 17 * z + 7 * y + 3 * x) % 101) as f32
}

fn frames(shape: MovieShape, first: usize, count: usize) -> Vec<f32> {
    let length = shape.frame_len();
    (first * length..(first + count) * length)
        .map(|index| value(shape, index))
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("usage: write_variants FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let dialects = [
        Dialect::Plain,
        Dialect::ImageJ,
        Dialect::Ome,
        Dialect::ScanImage,
    ];
    let compressions = [
        Compression::None,
        Compression::Deflate,
        Compression::Lzw,
        Compression::Zstd,
    ];
    for pixel_type in PixelType::ALL {
        for dialect in dialects {
            for compression in compressions {
                for (big, planes) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
                    if dialect == Dialect::ScanImage && !big {
                        continue;
                    }
                    let shape = MovieShape::new(7, planes, 12, 20);
                    let options = WriterOptions {
                        frame_rate: Some(12.5),
                        pixel_size_um: Some(0.8),
                        dialect,
                        compression,
                        bigtiff: Some(big),
                    };
                    let size = if big { "big" } else { "classic" };
                    let name =
                        format!("{pixel_type}_{dialect:?}_{compression:?}_{size}_{planes}.tif");
                    let path = folder.join(name);
                    // Files that can grow are written in two goes.
                    let grows = matches!(dialect, Dialect::Plain | Dialect::ScanImage);
                    let first = if grows { 4 } else { shape.frames };
                    let part = MovieShape {
                        frames: first,
                        ..shape
                    };
                    let mut writer = Writer::create(&path, part, pixel_type, &options)?;
                    writer.write(0, &frames(shape, 0, first))?;
                    Box::new(writer).finish()?;
                    if grows {
                        let rest = (shape.frames - first) * planes;
                        let mut writer = Writer::append(&path, rest, &options)?;
                        writer.write(0, &frames(shape, first, shape.frames - first))?;
                        Box::new(writer).finish()?;
                    }
                }
            }
        }
    }
    Ok(())
}
