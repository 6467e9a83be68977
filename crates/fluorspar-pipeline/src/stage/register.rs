use std::path::Path;

use fluorspar_movie::{Budget, Movie, MovieShape, MovieSink, PixelType};
use fluorspar_register::{
    Mode, Parameters, Quality, Reference, Registrar, Registration, VolumeRegistrar,
    VolumeRegistration, plane_offsets,
};
use fluorspar_tiff::{Writer, WriterOptions};
use fluorspar_zarr::{BlockWriter, MovieWriter, WriteOptions};
use ndarray::Array3;

use crate::artefact::{RegisteredVolumes, write_motion, write_volume_motion};
use crate::error::Context;
use crate::{Error, Observer, source};

/// Raw movie → the registered movie `name` (Zarr, or TIFF by its extension),
/// `motion.csv`, `motion.zarr` and `quality.json`, all in `folder`.
pub(crate) fn register(
    movie: &dyn Movie,
    parameters: &Parameters,
    reference: Option<Reference>,
    frame_rate: Option<f64>,
    (folder, name): (&Path, &str),
    budget: Budget,
    observer: &dyn Observer,
) -> Result<(Registration, Quality), Error> {
    let place = "registration";
    let reference = match reference {
        None => Reference::build(movie, parameters),
        Some(given) => given.learn(movie, parameters),
    }
    .at(place)?;
    let registrar = Registrar::new(&reference, parameters).at(place)?;
    let path = folder.join(name);
    let mut sink = registered_sink(&path, movie, frame_rate)?;
    let progress = |frames| observer.advance(frames);
    let registration =
        fluorspar_register::register(movie, &registrar, Some(&mut *sink), budget, &progress)
            .at(place)?;
    sink.finish().at(path.display())?;
    let quality = assess(&registration, parameters, (folder, &path), observer)?;
    Ok((registration, quality))
}

/// Looks at the registered movie at `path` and writes `motion.csv`,
/// `motion.zarr` and `quality.json` into `folder`.
pub(crate) fn assess(
    registration: &Registration,
    parameters: &Parameters,
    (folder, path): (&Path, &Path),
    observer: &dyn Observer,
) -> Result<Quality, Error> {
    let written = source::open_movie(&[path.to_path_buf()])?;
    let quality = Quality::assess(&*written, registration, parameters).at("registration")?;
    let untrusted = &registration.motion.untrusted;
    let count = untrusted.iter().filter(|&&u| u).count();
    if count > 0 {
        observer.warn(&format!(
            "{count} of {} frames could not be registered with confidence (see motion.csv)",
            untrusted.len()
        ));
    }
    write_motion(folder, registration, &quality, parameters.tile)?;
    Ok(quality)
}

/// Largest shift between neighbouring planes that is looked for, as a fraction
/// of the shorter side.
const BESIDE: f64 = 0.2;

/// As [`register`] for a movie of several planes, to `references` `(plane, y,
/// x)` or its own; `spacing_um` lies between planes.
pub(crate) fn register_volumes(
    movie: &dyn Movie,
    parameters: &Parameters,
    references: Option<Array3<f32>>,
    (frame_rate, spacing_um): (Option<f64>, Option<f64>),
    (folder, name): (&Path, &str),
    budget: Budget,
    observer: &dyn Observer,
) -> Result<RegisteredVolumes, Error> {
    let place = "registration";
    let parameters = Parameters {
        mode: Mode::Rigid,
        ..parameters.clone()
    };
    let registrar = match references {
        None => VolumeRegistrar::build(movie, &parameters),
        Some(given) => VolumeRegistrar::new(given.view(), &parameters)
            .and_then(|registrar| registrar.learn(movie, &parameters)),
    }
    .at(place)?;
    let path = folder.join(name);
    let mut sink = registered_sink(&path, movie, frame_rate)?;
    let progress = |frames| observer.advance(frames);
    let registration = fluorspar_register::register_volumes(
        movie,
        &registrar,
        Some(&mut *sink),
        budget,
        &progress,
    )
    .at(place)?;
    sink.finish().at(path.display())?;
    let found = (registration, &registrar);
    assess_volumes(found, &parameters, spacing_um, (folder, &path), observer)
}

/// As [`assess`] for a movie of planes.
pub(crate) fn assess_volumes(
    (registration, registrar): (VolumeRegistration, &VolumeRegistrar),
    parameters: &Parameters,
    spacing_um: Option<f64>,
    (folder, path): (&Path, &Path),
    observer: &dyn Observer,
) -> Result<RegisteredVolumes, Error> {
    let place = "registration";
    let part = source::Part {
        // Pages of a TIFF file become volumes again.
        channel: path.extension().is_some_and(|e| e == "tif").then_some(0),
        ..source::Part::default()
    };
    let written = source::open_part(&[path.to_path_buf()], part)?;
    let quality =
        Quality::assess_volumes(&*written, registrar, &registration, parameters).at(place)?;
    let shape = written.shape();
    let mut means = Array3::zeros((shape.planes, shape.height, shape.width));
    for (mut slot, plane) in means.outer_iter_mut().zip(&registration.planes) {
        slot.assign(&plane.images.mean);
    }
    let most = (BESIDE * shape.height.min(shape.width) as f64) as usize;
    let offsets = plane_offsets(means.view(), (most, most), parameters).at(place)?;
    let untrusted = registration
        .planes
        .iter()
        .map(|plane| &plane.motion.untrusted);
    let count = (0..shape.frames)
        .filter(|&frame| untrusted.clone().all(|plane| plane[frame]))
        .count();
    if count > 0 {
        observer.warn(&format!(
            "{count} of {} volumes could not be registered with confidence (see motion.csv)",
            shape.frames
        ));
    }
    let registered = RegisteredVolumes {
        weights: registrar.weights().to_vec(),
        own_errors: registrar.own_errors(),
        shear: registrar.shear(),
        spread: registrar.spread(),
        registration,
        quality,
        offsets,
        spacing_um,
    };
    write_volume_motion(folder, &registered)?;
    Ok(registered)
}

/// Where the registered `movie` goes: TIFF or, by default, Zarr.
pub(crate) fn registered_sink(
    path: &Path,
    movie: &dyn Movie,
    frame_rate: Option<f64>,
) -> Result<Box<dyn MovieSink>, Error> {
    let pixel_type = stored_type(movie.pixel_type());
    let shape = movie.shape();
    if path.extension().is_some_and(|e| e == "tif") {
        let options = WriterOptions {
            frame_rate,
            ..WriterOptions::default()
        };
        let writer = Writer::create(path, shape, pixel_type, &options);
        return Ok(Box::new(writer.at(path.display())?));
    }
    let options = registered_options(shape, pixel_type, frame_rate);
    let writer = MovieWriter::create_with(path, shape, pixel_type, &options);
    Ok(Box::new(writer.at(path.display())?))
}

/// How a registered movie of this shape and pixel type is stored as Zarr.
pub(crate) fn registered_options(
    shape: MovieShape,
    pixel_type: PixelType,
    frame_rate: Option<f64>,
) -> WriteOptions {
    WriteOptions {
        frame_rate,
        shard_frames: (shape.planes > 1).then(|| shard_of_volumes(shape, pixel_type)),
        ..WriteOptions::default()
    }
}

/// Frames that are registered in one piece: at least that many that what is
/// kept of them, as much as 26 frames, is little beside them.
const PIECE: usize = 512;

/// Frames that a raw movie of this shape and pixel type is registered in at a
/// time, whole shards of the registered movie.
pub(crate) fn piece_frames(shape: MovieShape, raw: PixelType) -> usize {
    let stored = stored_type(raw);
    let options = registered_options(shape, stored, None);
    let shard = BlockWriter::planned_shard_frames(shape, stored, &options).unwrap_or(1);
    PIECE.div_ceil(shard).max(1) * shard
}

/// Volumes in a shard, about 32 MiB: the least that is held at a time, which
/// for sixteen volumes, as of frames, could be gigabytes.
fn shard_of_volumes(shape: MovieShape, pixel_type: PixelType) -> usize {
    let volume = shape.frame_len().saturating_mul(pixel_type.bytes()).max(1);
    ((32 << 20) / volume).clamp(1, 64).min(shape.frames.max(1))
}

/// Registered pixels keep their stored type where interpolation cannot
/// overflow it, and widen where it would be lost.
pub(crate) fn stored_type(raw: PixelType) -> PixelType {
    match raw {
        PixelType::U8 | PixelType::I8 | PixelType::I16 => PixelType::I16,
        PixelType::U16 => PixelType::U16,
        _ => PixelType::F32,
    }
}
