//! One movie, registered on its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_movie::{Budget, Movie, MovieShape};
use fluorspar_register::{Motion, Reference, reapply, reapply_volumes};
use ndarray::{Array3, Axis};
use serde::Serialize;

use crate::artefact::read_motions;
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
    /// the mean of a movie, or the reference in a `motion.zarr`; of as many
    /// planes as the movie has.
    pub reference: Option<PathBuf>,
    /// Move frames as this `motion.zarr` says, and find out nothing.
    pub motion: Option<PathBuf>,
    /// Between planes, µm, for the depth of volumes; what the files say if not said.
    pub plane_spacing_um: Option<f64>,
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
    /// Its planes.
    pub planes: usize,
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
/// and `registration.html`. Planes recorded together are registered together,
/// each as a whole.
///
/// Pages that hold several regions as strips (ScanImage's mROI, as of a
/// mesoscope) are put together as they are read, those of every plane alike,
/// the odd lines of each strip moved by its own offset, and `strips.json` says
/// how. Each field of several that do not touch is registered into a folder
/// `field-1`, `field-2`, … of its own; `reference` and `motion` are then the
/// folder that holds such.
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
    let selection = source::Selection {
        frames: options.frames,
        channel: options.channel,
        whole_pages: options.whole_pages,
    };
    let (movie, layout) = source::open_selection(inputs, selection)?;
    let options = &RegisterOptions {
        plane_spacing_um: options
            .plane_spacing_um
            .or_else(|| source::plane_spacing(inputs)),
        ..options.clone()
    };
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
            planes: fields.first().map_or(0, |field| field.planes),
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

/// As [`register`], a movie whose pages are whole images.
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
    let motions = options.motion.as_deref().map(read_motions).transpose()?;
    let reference = options
        .reference
        .as_deref()
        .map(|path| read_reference(path, shape, options.channel))
        .transpose()?;
    disk::create_folder(out)?;
    let frames = shape.frames as u64;
    let mut registered = Registered {
        movie: target.clone(),
        report: None,
        verdict: None,
        frames: shape.frames,
        planes: shape.planes,
        seconds: 0.0,
        understood: None,
        fields: Vec::new(),
    };
    observer.start("registering", frames);
    let place = (out, name);
    if let (Some(motions), Some(path)) = (motions, &options.motion) {
        let mut sink = stage::registered_sink(&target, &*movie, rate)?;
        let progress = |frames| observer.advance(frames);
        match motions.as_slice() {
            [motion] => reapply(&*movie, motion, &mut *sink, budget, &progress),
            several => reapply_volumes(&*movie, several, &mut *sink, budget, &progress),
        }
        .at(path.display())?;
        sink.finish().at(target.display())?;
    } else if shape.planes > 1 {
        let found = stage::register_volumes(
            &*movie,
            &parameters,
            reference,
            (rate, options.plane_spacing_um),
            place,
            budget,
            observer,
        )?;
        let before = mean_of_some(&*movie).at("the raw movie")?;
        let page = figures::volume_report(&found, before.view(), rate)?;
        registered.report = Some(write_page(out, &page)?);
        registered.verdict = Some(found.quality.together.verdict());
    } else {
        let first = |stack: Array3<f32>| Reference::from_image(stack.index_axis_move(Axis(0), 0));
        let (registration, quality) = stage::register(
            &*movie,
            &parameters,
            reference.map(first),
            rate,
            place,
            budget,
            observer,
        )?;
        let before = mean_of_some(&*movie).at("the raw movie")?;
        let before = before.index_axis_move(Axis(0), 0);
        let page = figures::registration_report(&registration, &quality, &before, rate)?;
        registered.report = Some(write_page(out, &page)?);
        registered.verdict = Some(quality.verdict());
    }
    registered.seconds = begun.elapsed().as_secs_f64();
    observer.finish("registering", registered.seconds);
    Ok(registered)
}

fn write_page(out: &Path, page: &str) -> Result<PathBuf, Error> {
    let report = out.join("registration.html");
    disk::write(&report, page.as_bytes())?;
    Ok(report)
}

/// Images `(plane, y, x)` to register a movie of this `shape` to: the
/// references of a `motion.zarr`, or the mean of a movie. A TIFF file of as
/// many images as there are planes is one volume.
fn read_reference(
    path: &Path,
    shape: MovieShape,
    channel: Option<usize>,
) -> Result<Array3<f32>, Error> {
    let files = [path.to_path_buf()];
    let wrong = |planes: usize| {
        let message = format!(
            "has {planes} planes to register to, the movie {}",
            shape.planes
        );
        Error::bad_data(path, message)
    };
    if path.join("reference").is_dir() {
        let motions = read_motions(path)?;
        if motions.len() != shape.planes {
            return Err(wrong(motions.len()));
        }
        return stacked(path, &motions);
    }
    let mut movie = source::open_movie(&files)?;
    if shape.planes > 1 && movie.shape().planes == 1 {
        let frames = movie.shape().frames;
        let part = source::Part {
            channel: channel.or(Some(0)),
            ..source::Part::default()
        };
        if frames == shape.planes {
            let mut stack = Array3::zeros((frames, movie.shape().height, movie.shape().width));
            if let Some(pixels) = stack.as_slice_mut() {
                movie.read(0..frames, pixels).at(path.display())?;
            }
            return Ok(stack);
        }
        if !source::is_zarr(path) {
            movie = source::open_part(&files, part)?;
        }
    }
    let planes = movie.shape().planes;
    if planes != shape.planes {
        return Err(wrong(planes));
    }
    mean_of_some(&*movie).at(path.display())
}

/// The references of all planes.
fn stacked(path: &Path, motions: &[Motion]) -> Result<Array3<f32>, Error> {
    let images: Vec<_> = motions
        .iter()
        .map(|motion| motion.reference.view())
        .collect();
    ndarray::stack(Axis(0), &images)
        .map_err(|_| Error::bad_data(path, "the references of its planes are of several sizes"))
}

/// The mean of up to 400 frames, evenly spread, `(plane, y, x)`; of movies of
/// many planes fewer, but 40.
fn mean_of_some(movie: &dyn Movie) -> Result<Array3<f32>, fluorspar_movie::Error> {
    let shape = movie.shape();
    let most = (4000 / shape.planes.max(1)).clamp(40, 400);
    let count = shape.frames.clamp(1, most);
    let mut sum = vec![0.0_f64; shape.frame_len()];
    let mut frame = vec![0.0_f32; shape.frame_len()];
    for k in 0..count.min(shape.frames) {
        let at = k * shape.frames / count;
        movie.read(at..at + 1, &mut frame)?;
        for (sum, &value) in sum.iter_mut().zip(&frame) {
            *sum += if value.is_finite() {
                f64::from(value)
            } else {
                0.0
            };
        }
    }
    let mean = sum.into_iter().map(|v| (v / count as f64) as f32).collect();
    let size = (shape.planes, shape.height, shape.width);
    Ok(Array3::from_shape_vec(size, mean).unwrap_or_default())
}
