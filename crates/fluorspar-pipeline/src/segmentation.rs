//! The cells of one movie, found on their own.

mod page;

use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_denoise::{Denoiser, Parameters};
use fluorspar_movie::{Budget, Footprints, Movie, MovieShape};
use fluorspar_segment::{Anatomy, find_in_image, footprints_from_label_volume};
use ndarray::{Array3, Axis};
use serde::Serialize;
use serde_json::json;

use crate::artefact::{Provenance, Rois, StoredLowRank, is_lowrank, write_lowrank};
use crate::cells::{Movies, Settings, Times, find, parameters};
use crate::config::{Choice, Deconvolve, Segment, Trace};
use crate::error::Context;
use crate::tracking::input::{holds_footprints, read_session};
use crate::{Error, Observer, disk, source};

/// How to find the cells of one movie.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentOptions {
    /// Diameter of a cell in pixels; measured in the movie if not said.
    pub diameter_px: Option<f64>,
    /// As in `experiment.toml`, `"soma"` or `"process"`.
    pub class: String,
    /// How often the movie is looked through for cells; as in `experiment.toml`.
    pub passes: usize,
    /// How traces are made; as in `experiment.toml`.
    pub trace: Trace,
    /// How events are made; as in `experiment.toml`.
    pub deconvolve: Deconvolve,
    /// Side of a pixel in µm, for cells that reach through several planes.
    pub pixel_size_um: Option<f64>,
    /// The movie's `lowrank.zarr`, if it was denoised before.
    pub lowrank: Option<PathBuf>,
    /// Cells that are known: an image of labels (0: none; one image per
    /// plane), or footprints as tracking reads and writes them.
    pub masks: Option<PathBuf>,
    /// Take cells that the mean image shows as known.
    pub anatomy: bool,
    /// `[first, end)` of the frames; all if not said.
    pub frames: Option<[usize; 2]>,
    /// Only this channel, counted from 0.
    pub channel: Option<usize>,
    /// Frame rate in Hz instead of what the files say.
    pub frame_rate: Option<f64>,
    /// Take pages as they are, even if the settings name several regions.
    pub whole_pages: bool,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            diameter_px: None,
            class: Segment::default().class,
            passes: Segment::default().passes,
            trace: Trace::default(),
            deconvolve: Deconvolve::default(),
            pixel_size_um: None,
            lowrank: None,
            masks: None,
            anatomy: false,
            frames: None,
            channel: None,
            frame_rate: None,
            whole_pages: false,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Segmented {
    /// Footprints, traces, events and quality.
    pub rois: PathBuf,
    /// One row of numbers per ROI.
    pub table: PathBuf,
    /// The page with pictures.
    pub report: PathBuf,
    /// ROIs that count as cells.
    pub cells: usize,
    /// Other ROIs, kept with what speaks against them.
    pub others: usize,
    /// Of the cells, those given by masks or anatomy.
    pub given: usize,
    /// Cell bodies, where several planes may show the same.
    pub bodies: usize,
    /// Median signal-to-noise ratio of the cells.
    pub median_snr: f64,
    /// Median decay time of the kernel used for events (s).
    pub median_decay_s: f64,
    /// Wall time from the denoised movie to footprints, in seconds.
    pub detection_seconds: f64,
    /// Wall time from footprints to ΔF/F, in seconds.
    pub traces_seconds: f64,
    /// Wall time from ΔF/F to events, in seconds.
    pub events_seconds: f64,
    /// Wall time of everything in seconds.
    pub seconds: f64,
}

/// Finds the cells of one movie, which must be registered or stand still.
///
/// `inputs` are movie files, or one `lowrank.zarr`, whose denoised frames then
/// stand for the movie. `out` gets `rois.zarr`, `rois.csv`, `rois.html`, and
/// `lowrank.zarr` if the movie had to be denoised.
///
/// # Errors
/// [`Error::Usage`] if the output is there already, options are out of range
/// or the frame rate is not known; otherwise [`Error::Stage`] or
/// [`Error::BadData`] naming the file.
pub fn segment(
    inputs: &[PathBuf],
    out: &Path,
    options: &SegmentOptions,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<Segmented, Error> {
    let begun = Instant::now();
    let rois = out.join("rois.zarr");
    let (table, report) = (rois.with_extension("csv"), rois.with_extension("html"));
    for path in [&rois, &table, &report] {
        if path.exists() {
            return Err(Error::Usage(format!(
                "{} exists already; remove it or choose another output",
                path.display()
            )));
        }
    }
    let movie = open(inputs, options)?;
    let frame_rate = options.frame_rate.or(movie.frame_rate()).ok_or_else(|| {
        Error::Usage("the movie does not say its frame rate; give it with --frame-rate".into())
    })?;
    let made = !out.exists();
    disk::check_writable(out)?;
    let done = (|| {
        // A mistake in the masks shows before hours of work.
        let drawn = drawn(movie.shape(), options)?;
        let lowrank = lowrank(&*movie, inputs, out, options, frame_rate, budget, observer)?;
        let segment = Segment {
            diameter_um: match options.diameter_px {
                Some(pixels) => Choice::Number(pixels * options.pixel_size_um.unwrap_or(1.0)),
                None => Choice::Word("auto".into()),
            },
            class: options.class.clone(),
            passes: options.passes,
        };
        if lowrank.planes() > 1 && options.pixel_size_um.is_none() {
            observer.warn(
                "the size of a pixel is not known: cells are followed through planes as if it \
                 were 1 µm (say --pixel-size)",
            );
        }
        let pixel_size_um = options.pixel_size_um.unwrap_or(1.0);
        let finding = Instant::now();
        observer.start("cells", movie.shape().frames as u64);
        let parameters = parameters(&lowrank, &segment, pixel_size_um, observer)?;
        let measuring = finding.elapsed().as_secs_f64();
        let given = given(drawn, &lowrank, parameters.diameter, options.anatomy)?;
        let settings = Settings {
            parameters,
            trace: &options.trace,
            deconvolve: &options.deconvolve,
            pixel_size_um,
            given: &given,
        };
        let movies = Movies {
            movie: &*movie,
            lowrank: &lowrank,
            frame_rate,
        };
        let (found, mut times) = find(&movies, &settings, &rois, budget, &(), observer)?;
        times.detection += measuring;
        observer.finish("cells", finding.elapsed().as_secs_f64());
        let html = page::page(&found, &rois, lowrank.mean(), given.len())?;
        disk::write(&report, html.as_bytes())?;
        Ok(summary(&found, given.len(), &rois, times))
    })();
    if made && done.is_err() {
        // Fails, as it should, if something is in there.
        let _ = std::fs::remove_dir(out);
    }
    done.map(|mut done: Segmented| {
        done.seconds = begun.elapsed().as_secs_f64();
        done
    })
}

fn open(inputs: &[PathBuf], options: &SegmentOptions) -> Result<Box<dyn Movie>, Error> {
    let selection = source::Selection {
        frames: options.frames,
        channel: options.channel,
        whole_pages: options.whole_pages,
    };
    let (movie, layout) = source::open_selection(inputs, selection)?;
    if layout.is_some() {
        return Err(Error::Usage(
            "the recording is made of several strips; put them together with `fluorspar \
             register` first and give its registered.zarr (or say --whole-pages)"
                .into(),
        ));
    }
    Ok(movie)
}

/// The denoised movie: the one that was given, or one made and stored now.
fn lowrank(
    movie: &dyn Movie,
    inputs: &[PathBuf],
    out: &Path,
    options: &SegmentOptions,
    frame_rate: f64,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<StoredLowRank, Error> {
    let stored = match (&options.lowrank, inputs) {
        (Some(path), _) => Some(path),
        (None, [one]) if is_lowrank(one) => Some(one),
        _ => None,
    };
    let shape = movie.shape();
    if let Some(path) = stored {
        let lowrank = StoredLowRank::open(path)?;
        let found = lowrank.shape();
        if found != shape {
            return Err(Error::bad_data(
                path,
                format!("is of {found}, the movie of {shape}; it was made from another movie"),
            ));
        }
        return Ok(lowrank);
    }
    let target = out.join("lowrank.zarr");
    if target.exists() {
        return Err(Error::Usage(format!(
            "{} exists already; use it with --lowrank or remove it",
            target.display()
        )));
    }
    let begun = Instant::now();
    observer.start("denoising", shape.frames as u64);
    let place = inputs.first().map(|path| path.display().to_string());
    let place = place.unwrap_or_default();
    let parameters = Parameters::default();
    let lowrank = Denoiser::new(parameters.clone())
        .at(&place)?
        .fit(movie, budget, &|frames| observer.advance(frames))
        .at(&place)?
        .with_frame_rate(frame_rate);
    let name = |path: &PathBuf| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let provenance = Provenance {
        parameters: &parameters,
        input: json!({ "files": inputs.iter().map(name).collect::<Vec<_>>() }),
    };
    write_lowrank(&target, &lowrank, &provenance, None)?;
    observer.finish("denoising", begun.elapsed().as_secs_f64());
    drop(lowrank);
    StoredLowRank::open(&target)
}

/// Cells that masks show.
fn drawn(shape: MovieShape, options: &SegmentOptions) -> Result<Footprints, Error> {
    let Some(path) = &options.masks else {
        return Ok(Footprints::new(shape.height, shape.width));
    };
    if holds_footprints(path) {
        return footprints(path, shape);
    }
    let shape = (shape.planes, shape.height, shape.width);
    let labels = labels(path)?;
    let found = footprints_from_label_volume(labels.view(), shape).at(path.display())?;
    Ok(found.footprints)
}

/// Cells whose footprints were found before, such as those that tracking moved
/// here from another session.
fn footprints(path: &Path, shape: MovieShape) -> Result<Footprints, Error> {
    let found = read_session(path, false)?.footprints;
    let size = (found.height(), found.width());
    if size != (shape.height, shape.width) {
        let reason = format!(
            "its footprints lie on {} x {} pixels, the movie has {} x {}",
            size.0, size.1, shape.height, shape.width
        );
        return Err(Error::bad_data(path, reason));
    }
    if let Some(&plane) = found.planes().iter().max()
        && plane as usize >= shape.planes
    {
        let reason = format!(
            "a footprint lies in plane {plane}, the movie has {}",
            shape.planes
        );
        return Err(Error::bad_data(path, reason));
    }
    Ok(found)
}

/// Cells that are known: those drawn, then those of the mean image that no
/// drawn one covers.
fn given(
    mut given: Footprints,
    lowrank: &StoredLowRank,
    diameter: f64,
    anatomy: bool,
) -> Result<Footprints, Error> {
    if anatomy {
        let mean = lowrank.mean();
        for plane in 0..lowrank.planes() {
            let anatomy = Anatomy {
                diameter,
                plane: plane as u32,
                ..Anatomy::default()
            };
            let seen = find_in_image(mean.index_axis(Axis(0), plane), &anatomy)
                .at("cells in the mean image")?;
            let drawn: Vec<usize> = (0..given.len()).collect();
            for footprint in seen.footprints.iter() {
                let covered = drawn
                    .iter()
                    .any(|&k| fluorspar_movie::iou(given.get(k), footprint) > 0.2);
                if !covered {
                    given
                        .push(footprint.indices, footprint.weights, footprint.plane)
                        .at("cells in the mean image")?;
                }
            }
        }
    }
    Ok(given)
}

/// An image of labels `(plane, y, x)`, as many pages as planes.
pub(crate) fn labels(path: &Path) -> Result<Array3<u32>, Error> {
    let image = source::open_movie(&[path.to_path_buf()])?;
    let shape = image.shape();
    let mut values = vec![0.0_f32; shape.frames * shape.frame_len()];
    image
        .read(0..shape.frames, &mut values)
        .at(path.display())?;
    if let Some(wrong) = values
        .iter()
        .find(|&&v| !(v >= 0.0 && v.fract() == 0.0 && v < 16_777_216.0))
    {
        return Err(Error::bad_data(
            path,
            format!("holds {wrong}: labels are whole numbers from 0 to 16,777,215"),
        ));
    }
    let planes = shape.frames * shape.planes;
    let labels = values.iter().map(|&v| v as u32).collect();
    Array3::from_shape_vec((planes, shape.height, shape.width), labels)
        .map_err(|error| Error::bad_data(path, error.to_string()))
}

fn summary(found: &Rois, given: usize, rois: &Path, times: Times) -> Segmented {
    let cells = found.cells();
    let median = |name: &str| -> f64 {
        let values = found.quality.get(name).unwrap_or_default();
        let mut values: Vec<f32> = cells.iter().map(|&roi| values[roi]).collect();
        values.sort_by(f32::total_cmp);
        values
            .get(values.len() / 2)
            .map_or(f64::NAN, |&median| f64::from(median))
    };
    let bodies: std::collections::BTreeSet<i32> =
        cells.iter().map(|&roi| found.cell[roi]).collect();
    Segmented {
        rois: rois.to_path_buf(),
        table: rois.with_extension("csv"),
        report: rois.with_extension("html"),
        cells: cells.len(),
        others: found.footprints.len() - cells.len(),
        given,
        bodies: bodies.len(),
        median_snr: median("snr"),
        median_decay_s: median("decay_s"),
        detection_seconds: times.detection,
        traces_seconds: times.traces,
        events_seconds: times.events,
        seconds: 0.0,
    }
}
