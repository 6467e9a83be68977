//! Registers a movie from its file into a Zarr store and prints how fast, for
//! comparison with other programs on the same file:
//! `register_speed MOVIE OUT.zarr rigid|piecewise CODEC [THREADS [FRAMES]]`,
//! with 0 for all threads or all frames.
#![allow(clippy::print_stdout, reason = "a program")]

use std::path::PathBuf;
use std::time::Instant;

use fluorspar_movie::{Budget, FrameRange, Movie, PixelType, silent};
use fluorspar_register::{Mode, Parameters, Reference, Registrar, register};
use fluorspar_zarr::{Codec, GroupWriter, MovieWriter, WriteOptions};
use ndarray::aview1;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [movie, out, mode, codec, rest @ ..] = &arguments[..] else {
        return Err("give MOVIE OUT.zarr rigid|piecewise none|blosc [THREADS]".into());
    };
    let threads = rest.first().map_or(Ok(0), |n| n.parse())?;
    let frames = rest.get(1).map_or(Ok(0), |n| n.parse())?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    pool.install(|| run(movie, frames, out, mode, codec))
}

fn run(
    movie: &str,
    frames: usize,
    out: &str,
    mode: &str,
    codec: &str,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let movie = fluorspar_pipeline::open_movie(&[PathBuf::from(movie)])?;
    let all = movie.shape().frames;
    let count = if frames == 0 { all } else { frames.min(all) };
    let movie: Box<dyn Movie> = Box::new(FrameRange::new(movie, 0..count)?);
    let parameters = Parameters {
        mode: if mode == "rigid" {
            Mode::Rigid
        } else {
            Mode::Piecewise
        },
        ..Parameters::default()
    };
    let begun = Instant::now();
    let reference = Reference::build(&*movie, &parameters)?;
    let registrar = Registrar::new(&reference, &parameters)?;
    let reference_s = begun.elapsed().as_secs_f64();
    let options = WriteOptions {
        codec: if codec == "none" {
            Codec::None
        } else {
            Codec::Blosc
        },
        ..WriteOptions::default()
    };
    let mut sink = MovieWriter::create_with(out, movie.shape(), PixelType::I16, &options)?;
    let budget = Budget::default();
    let registration = register(&*movie, &registrar, Some(&mut sink), budget, &silent)?;
    let motion = &registration.motion;
    sink.finish()?;
    let total_s = begun.elapsed().as_secs_f64();
    let frames = movie.shape().frames as f64;
    println!(
        "{{\"reference_s\": {reference_s:.3}, \"total_s\": {total_s:.3}, \"fps\": {:.1}, \
         \"fps_without_reference\": {:.1}, \"frames\": {frames}, \"untrusted\": {}}}",
        frames / total_s,
        frames / (total_s - reference_s),
        motion.untrusted.iter().filter(|&&u| u).count()
    );
    let mut group = GroupWriter::create(format!("{out}.motion"))?;
    for (name, values) in [("dy", &motion.dy), ("dx", &motion.dx)] {
        group.array(name, &aview1(values), &["frame"])?;
    }
    if let Some(field) = &motion.field {
        let axes = ["frame", "component", "node_y", "node_x"];
        group.array("field", &field.nodes.view(), &axes)?;
        group.array("node_y", &aview1(&field.grid.y()), &["node_y"])?;
        group.array("node_x", &aview1(&field.grid.x()), &["node_x"])?;
    }
    group.array("mean_image", &registration.images.mean.view(), &["y", "x"])?;
    Ok(group.finish()?)
}
