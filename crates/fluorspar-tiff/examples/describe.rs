//! Prints what TIFF files hold, a JSON object per line: shape, type, CRC-32 of
//! the little-endian pixels `(frame, y, x)`, or why a file cannot be read.
//!
//! ```text
//! cargo run --release -p fluorspar-tiff --example describe -- movie.tif …
//! ```

use std::path::Path;

use fluorspar_movie::Movie as _;
use fluorspar_tiff::Movie;
use serde_json::{Value, json};

fn describe(path: &Path) -> Result<Value, fluorspar_movie::Error> {
    let movie = Movie::open(path)?;
    let shape = movie.shape();
    let size = movie.pixel_type().bytes();
    let mut sum = crc32fast::Hasher::new();
    let mut bytes = vec![0; shape.frame_len() * size];
    for frame in 0..shape.frames {
        movie.read_native(frame..frame + 1, &mut bytes)?;
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        sum.update(&bytes);
    }
    let metadata = movie.metadata();
    Ok(json!({
        "frames": shape.frames,
        "height": shape.height,
        "width": shape.width,
        "samples": movie.samples(),
        "pixel_type": movie.pixel_type().to_string(),
        "codec": movie.codec(),
        "pages": movie.page_layout(),
        "dialect": format!("{:?}", metadata.dialect),
        "frame_rate": metadata.frame_rate,
        "crc32": sum.finalize(),
    }))
}

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() {
    for argument in std::env::args_os().skip(1) {
        let path = Path::new(&argument);
        let mut line = match describe(path) {
            Ok(line) => line,
            Err(error) => json!({ "error": error.to_string() }),
        };
        line["path"] = json!(path);
        println!("{line}");
    }
}
