use std::path::Path;

use fluorspar_movie::{Budget, Movie, MovieSink, PixelType};
use fluorspar_register::{Parameters, Quality, Reference, Registrar, Registration};
use fluorspar_tiff::{Writer, WriterOptions};
use fluorspar_zarr::MovieWriter;

use crate::artefact::write_motion;
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
    let written = source::open_movie(std::slice::from_ref(&path))?;
    let quality = Quality::assess(&*written, &registration, parameters).at(place)?;
    let untrusted = &registration.motion.untrusted;
    let count = untrusted.iter().filter(|&&u| u).count();
    if count > 0 {
        observer.warn(&format!(
            "{count} of {} frames could not be registered with confidence (see motion.csv)",
            untrusted.len()
        ));
    }
    write_motion(folder, &registration, &quality, parameters.tile)?;
    Ok((registration, quality))
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
    let writer = MovieWriter::create(path, shape, pixel_type, frame_rate);
    Ok(Box::new(writer.at(path.display())?))
}

/// Registered pixels keep their stored type where interpolation cannot
/// overflow it, and widen where it would be lost.
fn stored_type(raw: PixelType) -> PixelType {
    match raw {
        PixelType::U8 | PixelType::I8 | PixelType::I16 => PixelType::I16,
        PixelType::U16 => PixelType::U16,
        _ => PixelType::F32,
    }
}
