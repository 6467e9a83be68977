use std::path::Path;

use fluorspar_movie::{Budget, Movie, MovieSink, PixelType};
use fluorspar_register::{Parameters, Reference, Registrar};
use fluorspar_zarr::MovieWriter;

use crate::artefact::write_motion;
use crate::config;
use crate::error::Context;
use crate::{Error, Observer};

/// Raw movie → `registered.zarr`, `motion.csv`, `motion.zarr`, `quality.json`.
pub(crate) fn register(
    movie: &dyn Movie,
    config: &config::Register,
    frame_rate: f64,
    folder: &Path,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let place = "registration";
    let parameters = Parameters {
        max_shift_fraction: config.max_shift_fraction,
        ..Parameters::default()
    };
    let reference = Reference::build(movie, &parameters).at(place)?;
    let registrar = Registrar::new(&reference, &parameters).at(place)?;
    let path = folder.join("registered.zarr");
    let mut sink = MovieWriter::create(
        &path,
        movie.shape(),
        stored_type(movie.pixel_type()),
        Some(frame_rate),
    )
    .at(path.display())?;
    let motion =
        fluorspar_register::register(movie, &registrar, Some(&mut sink), budget, &|frames| {
            observer.advance(frames);
        })
        .at(place)?;
    let saturated = sink.saturated();
    Box::new(sink).finish().at(path.display())?;
    let untrusted = motion.untrusted.iter().filter(|&&u| u).count();
    if untrusted > 0 {
        observer.warn(&format!(
            "{untrusted} of {} frames could not be registered with confidence (see motion.csv)",
            motion.untrusted.len()
        ));
    }
    write_motion(folder, &motion, &reference.image().to_owned(), saturated)
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
