use std::path::{Path, PathBuf};

use fluorspar_movie::{Budget, FrameRange, Movie, MovieSink};
use fluorspar_tiff::{Writer, WriterOptions};
use fluorspar_zarr::MovieWriter;

use crate::error::Context;
use crate::simulation::copy;
use crate::{Error, Observer, source};

/// Writes any movie as `.zarr` or `.tif`; several TIFF files become one movie.
///
/// The pixel type is kept. `frames` picks `[first, end)`; `frame_rate`
/// overrides what the files say. The output appears when it is whole.
///
/// # Errors
/// [`Error::Usage`] for an output that is neither `.zarr` nor `.tif`, exists
/// already or is one of the inputs; otherwise [`Error::Stage`] or
/// [`Error::BadData`] naming the file.
pub fn convert(
    inputs: &[PathBuf],
    output: &Path,
    frames: Option<[usize; 2]>,
    frame_rate: Option<f64>,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let mut files = Vec::new();
    for input in inputs {
        files.extend(source::find_files(&input.to_string_lossy(), Path::new(""))?);
    }
    if output.exists() {
        return Err(Error::Usage(format!(
            "{} exists already; remove it or choose another name",
            output.display()
        )));
    }
    if let Some(parent) = output.parent()
        && !parent.as_os_str().is_empty()
        && !parent.is_dir()
    {
        return Err(Error::Usage(format!(
            "{}: the folder {} does not exist; create it first",
            output.display(),
            parent.display()
        )));
    }
    let mut movie = source::open_movie(&files)?;
    if let Some([first, end]) = frames {
        let length = movie.shape().frames;
        if first >= end || end > length {
            return Err(Error::Usage(format!(
                "frames {first}..{end} are not part of a movie of {length} frames"
            )));
        }
        movie = Box::new(FrameRange::new(movie, first..end).at(output.display())?);
    }
    let shape = movie.shape();
    let rate = frame_rate.or(movie.frame_rate());
    let place = output.display();
    let extension = output
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    let mut sink: Box<dyn MovieSink> = match extension.as_deref() {
        Some("zarr") => {
            Box::new(MovieWriter::create(output, shape, movie.pixel_type(), rate).at(&place)?)
        }
        Some("tif" | "tiff") => {
            let options = WriterOptions {
                frame_rate: rate,
                ..WriterOptions::default()
            };
            Box::new(Writer::create(output, shape, movie.pixel_type(), &options).at(&place)?)
        }
        _ => {
            return Err(Error::Usage(format!(
                "{place}: the output must end in .zarr or .tif"
            )));
        }
    };
    let step = format!("writing {place}");
    observer.start(&step, shape.frames as u64);
    let begun = std::time::Instant::now();
    copy(&*movie, &mut *sink, budget, observer).at(&place)?;
    sink.finish().at(&place)?;
    observer.finish(&step, begun.elapsed().as_secs_f64());
    Ok(())
}
