//! Times the whole reading of an int16 stack: opens it, adds up all pixels,
//! prints seconds, the sum and the peak of resident memory.
//!
//! ```text
//! scan FILE view     frames lent from the mapping
//! scan FILE native   frames read into a buffer
//! scan FILE single   frames read as f32
//! scan FILE last     only the last frame
//! scan FILE floor    the file's bytes by plain reads, for comparison
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use fluorspar_movie::{Movie as _, MovieExt};
use fluorspar_tiff::Movie;
use rayon::prelude::*;

/// Frames per piece of work.
const BLOCK: usize = 16;
/// Bytes per plain read.
const READ: usize = 1 << 20;

fn sum(samples: &[i16]) -> i64 {
    // Partial sums that cannot overflow let the loop be vectorised.
    samples
        .chunks(1 << 15)
        .map(|part| i64::from(part.iter().map(|&v| i32::from(v)).sum::<i32>()))
        .sum()
}

fn blocks(frames: usize) -> impl IndexedParallelIterator<Item = std::ops::Range<usize>> {
    (0..frames.div_ceil(BLOCK))
        .into_par_iter()
        .map(move |k| k * BLOCK..((k + 1) * BLOCK).min(frames))
}

fn scan(path: &Path, mode: &str) -> Result<i64, Box<dyn Error + Send + Sync>> {
    if mode == "floor" {
        return plain(path);
    }
    let movie = Movie::open(path)?;
    let shape = movie.shape();
    let length = shape.frame_len();
    match mode {
        "last" => {
            let mut out = vec![0; 2 * length];
            movie.read_native(shape.frames - 1..shape.frames, &mut out)?;
            Ok(sum(bytemuck::cast_slice(&out)))
        }
        "view" => (0..shape.frames)
            .into_par_iter()
            .map(|frame| {
                let view = movie.view::<i16>(frame..frame + 1);
                let view = view.ok_or("frames cannot be lent")?;
                Ok(sum(view.as_slice().ok_or("not contiguous")?))
            })
            .sum(),
        "native" => blocks(shape.frames)
            .map_init(
                || vec![0_i16; BLOCK * length],
                |buffer, frames| {
                    let part = &mut buffer[..frames.len() * length];
                    movie.read_native(frames, bytemuck::cast_slice_mut(part))?;
                    Ok(sum(part))
                },
            )
            .sum(),
        _ => blocks(shape.frames)
            .map_init(
                || vec![0_f32; BLOCK * length],
                |buffer, frames| {
                    let part = &mut buffer[..frames.len() * length];
                    movie.read(frames, part)?;
                    Ok(part.iter().map(|&v| v as i64).sum::<i64>())
                },
            )
            .sum(),
    }
}

#[cfg(unix)]
fn plain(path: &Path) -> Result<i64, Box<dyn Error + Send + Sync>> {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len() as usize / 2 * 2;
    (0..length.div_ceil(READ))
        .into_par_iter()
        .map_init(
            || vec![0_i16; READ / 2],
            |buffer, k| {
                let part = &mut buffer[..READ.min(length - k * READ) / 2];
                file.read_exact_at(bytemuck::cast_slice_mut(part), (k * READ) as u64)?;
                Ok(sum(part))
            },
        )
        .sum()
}

#[cfg(not(unix))]
fn plain(_: &Path) -> Result<i64, Box<dyn Error + Send + Sync>> {
    Err("plain reads are compared on Unix only".into())
}

fn peak_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [path, mode] = &arguments[..] else {
        return Err("usage: scan FILE view|native|single|last|floor".into());
    };
    let begun = Instant::now();
    let sum = scan(Path::new(path), &mode.to_string_lossy())?;
    let seconds = begun.elapsed().as_secs_f64();
    let resident = peak_resident().unwrap_or(0);
    println!(r#"{{"seconds": {seconds:.6}, "sum": {sum}, "resident_kib": {resident}}}"#);
    Ok(())
}
