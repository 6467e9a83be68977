//! One movie, registered on its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_movie::{Budget, FrameRange, Movie, MovieExt};
use fluorspar_register::{Reference, reapply};
use fluorspar_tiff::MroiLayout;
use ndarray::{Array2, Axis};
use serde::Serialize;

use crate::artefact::read_motion;
use crate::error::Context;
use crate::{Error, Observer, config, disk, figures, source, stage, strips};

/// How to register one movie.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegisterOptions {
    /// What `[register]` of an experiment says.
    pub register: config::Register,
    /// `[first, end)` of the frames; all if not said.
    pub frames: Option<[usize; 2]>,
    /// Only this channel, counted from 0.
    pub channel: Option<usize>,
    /// Frame rate in Hz to write instead of what the files say.
    pub frame_rate: Option<f64>,
    /// Register to this instead of to the movie's own reference: an image or
    /// the mean of a movie, or the reference in a `motion.zarr`.
    pub reference: Option<PathBuf>,
    /// Move frames as this `motion.zarr` says, and find out nothing.
    pub motion: Option<PathBuf>,
    /// Write `registered.tif` rather than `registered.zarr`.
    pub tiff: bool,
    /// Take pages as they are, even if the settings name several regions.
    pub whole_pages: bool,
}

/// What was registered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registered {
    /// The registered movie.
    pub movie: PathBuf,
    /// The page with pictures and shifts, if motion was estimated.
    pub report: Option<PathBuf>,
    /// One sentence on whether the recording is usable.
    pub verdict: Option<String>,
    /// Its frames.
    pub frames: usize,
    /// Wall time in seconds.
    pub seconds: f64,
    /// How pages of several strips were understood, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub understood: Option<String>,
    /// The fields of a recording that has several, each in a folder of its
    /// own; `movie` is then the folder of them all, and `verdict` the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Registered>,
}

/// Registers one movie straight from its raw files into the folder `out`:
/// `registered.zarr` (or `.tif`), `motion.csv`, `motion.zarr`, `quality.json`
/// and `registration.html`.
///
/// Pages that hold several regions as strips (ScanImage's mROI, as of a
/// mesoscope) are put together as they are read, the odd lines of each strip
/// moved by its own offset, and `strips.json` says how. Each field of several
/// that do not touch is registered into a folder `field-1`, `field-2`, … of
/// its own; `reference` and `motion` are then the folder that holds such.
///
/// # Errors
/// [`Error::Usage`] if `out` holds a registered movie already or options do
/// not go together; otherwise [`Error::Stage`] or [`Error::BadData`] naming
/// the file.
pub fn register(
    inputs: &[PathBuf],
    out: &Path,
    options: &RegisterOptions,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<Registered, Error> {
    let (movie, layout) = open(inputs, options)?;
    let Some(layout) = layout else {
        return register_movie(movie, out, options, budget, observer);
    };
    let count = layout.fields.len();
    let mut each = Vec::new();
    for k in 1..=count {
        let mut options = options.clone();
        options.register.line_offset = Some(0.0);
        if count > 1 {
            let given = [&mut options.reference, &mut options.motion];
            for path in given.into_iter().flatten() {
                *path = of_field(path, k)?;
            }
        }
        each.push(options);
    }
    let motion: Vec<PathBuf> = each.iter().filter_map(|o| o.motion.clone()).collect();
    let fields = strips::fields(movie, &layout, options.register.line_offset, &motion)?;
    let mut done = Vec::new();
    for (k, (field, options)) in fields.into_iter().zip(&each).enumerate() {
        let folder = if count > 1 {
            out.join(format!("field-{}", k + 1))
        } else {
            out.to_path_buf()
        };
        let mut registered = register_movie(field.movie, &folder, options, budget, observer)?;
        field.account.write(&folder)?;
        registered.understood = Some(field.account.understood);
        done.push(registered);
    }
    match <[Registered; 1]>::try_from(done) {
        Ok([one]) => Ok(one),
        Err(fields) => Ok(Registered {
            movie: out.to_path_buf(),
            report: None,
            verdict: fields.first().and_then(|field| field.verdict.clone()),
            frames: fields.first().map_or(0, |field| field.frames),
            seconds: fields.iter().map(|field| field.seconds).sum(),
            understood: fields.first().and_then(|field| field.understood.clone()),
            fields,
        }),
    }
}

/// What an earlier registration of several fields left for field `number`.
fn of_field(folder: &Path, number: usize) -> Result<PathBuf, Error> {
    let path = folder.join(format!("field-{number}/motion.zarr"));
    if path.is_dir() {
        return Ok(path);
    }
    Err(Error::Usage(format!(
        "{}: the recording has several fields; give the folder of an earlier registration of it, \
         with field-{number}/motion.zarr in it",
        folder.display()
    )))
}

/// As [`register`], a movie whose frames are images.
fn register_movie(
    movie: Box<dyn Movie>,
    out: &Path,
    options: &RegisterOptions,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<Registered, Error> {
    let begun = Instant::now();
    let name = if options.tiff {
        "registered.tif"
    } else {
        "registered.zarr"
    };
    let target = out.join(name);
    if target.exists() {
        return Err(Error::Usage(format!(
            "{} exists already; remove it or choose another folder",
            target.display()
        )));
    }
    if options.reference.is_some() && options.motion.is_some() {
        return Err(Error::Usage(
            "with --motion nothing is estimated, so --reference has no meaning".into(),
        ));
    }
    let parameters = options.register.parameters();
    parameters
        .validate()
        .map_err(|error| Error::Usage(error.to_string()))?;
    let shape = movie.shape();
    let rate = options.frame_rate.or(movie.frame_rate());
    let motion = options.motion.as_deref().map(read_motion).transpose()?;
    let reference = options
        .reference
        .as_deref()
        .map(read_reference)
        .transpose()?;
    disk::create_folder(out)?;
    let frames = shape.frames as u64;
    let mut registered = Registered {
        movie: target.clone(),
        report: None,
        verdict: None,
        frames: shape.frames,
        seconds: 0.0,
        understood: None,
        fields: Vec::new(),
    };
    observer.start("registering", frames);
    if let Some(motion) = motion {
        let mut sink = stage::registered_sink(&target, &*movie, rate)?;
        let progress = |frames| observer.advance(frames);
        reapply(&*movie, &motion, &mut *sink, budget, &progress).at(target.display())?;
        sink.finish().at(target.display())?;
    } else {
        let place = (out, name);
        let (registration, quality) = stage::register(
            &*movie,
            &parameters,
            reference,
            rate,
            place,
            budget,
            observer,
        )?;
        let before = mean_of_some(&*movie).at("the raw movie")?;
        let page = figures::registration_report(&registration, &quality, &before, rate)?;
        let report = out.join("registration.html");
        disk::write(&report, page.as_bytes())?;
        registered.report = Some(report);
        registered.verdict = Some(quality.verdict());
    }
    registered.seconds = begun.elapsed().as_secs_f64();
    observer.finish("registering", registered.seconds);
    Ok(registered)
}

/// The movie, and how its pages are made up of strips if they are.
fn open(
    inputs: &[PathBuf],
    options: &RegisterOptions,
) -> Result<(Box<dyn Movie>, Option<MroiLayout>), Error> {
    let mut files = Vec::new();
    for input in inputs {
        files.extend(source::find_files(&input.to_string_lossy(), Path::new(""))?);
    }
    let part = source::Part {
        channel: options.channel,
        ..source::Part::default()
    };
    let movie = source::open_part(&files, part)?;
    let layout = if options.whole_pages {
        None
    } else {
        let shape = movie.shape();
        source::settings(&files)?
            .map(|settings| strips::layout(&settings, [shape.height, shape.width], &files[0]))
            .transpose()?
            .flatten()
    };
    let Some([first, end]) = options.frames else {
        return Ok((movie, layout));
    };
    let length = movie.shape().frames;
    if first >= end || end > length {
        return Err(Error::Usage(format!(
            "frames {first}..{end} are not part of a movie of {length} frames"
        )));
    }
    let movie = FrameRange::new(movie, first..end).at("the movie")?;
    Ok((Box::new(movie), layout))
}

/// An image to register to: the reference of a `motion.zarr`, or the mean of a movie.
fn read_reference(path: &Path) -> Result<Reference, Error> {
    if path.join("reference").is_dir() {
        return Ok(Reference::from_image(read_motion(path)?.reference));
    }
    let movie = source::open_movie(&[path.to_path_buf()])?;
    let image = mean_of_some(&*movie).at(path.display())?;
    Ok(Reference::from_image(image))
}

/// The mean of up to 400 frames, evenly spread, of the first plane.
fn mean_of_some(movie: &dyn Movie) -> Result<Array2<f32>, fluorspar_movie::Error> {
    let shape = movie.shape();
    let count = shape.frames.clamp(1, 400);
    let mut sum = Array2::<f64>::zeros((shape.height, shape.width));
    for k in 0..count.min(shape.frames) {
        let at = k * shape.frames / count;
        let frame = movie.read_array(at..at + 1)?;
        let plane = frame.index_axis(Axis(0), 0);
        for (sum, &value) in sum.iter_mut().zip(plane.iter()) {
            *sum += if value.is_finite() {
                f64::from(value)
            } else {
                0.0
            };
        }
    }
    Ok(sum.mapv(|v| (v / count as f64) as f32))
}
