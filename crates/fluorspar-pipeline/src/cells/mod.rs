//! From a denoised movie to ROIs with traces and events.
//!
//! Traces of all ROIs need not fit into memory: they go through [`Panels`],
//! are extracted and taken apart some frames at a time, and everything else is
//! done some ROIs at a time. Nothing depends on how many at a time.

mod batches;
mod describe;
mod footprints;
mod memory;
mod panels;
#[cfg(test)]
mod tests;
mod traces;

use std::path::Path;
use std::time::Instant;

use fluorspar_movie::{Budget, Checkpoints, Footprints, Movie};
use fluorspar_segment::{Class, Parameters, estimate_diameter_in};
use fluorspar_trace::{Baseline, BaselineParameters, Coefficient, Sharing};

pub use self::memory::{CellsSize, cells_workspace};
use self::traces::Work;
use crate::artefact::{Rois, StoredLowRank};
use crate::config::{Deconvolve, Segment, Trace};
use crate::{Error, Observer};

/// How to get from a movie to cells.
pub(crate) struct Settings<'a> {
    /// What is looked for; see [`parameters`].
    pub(crate) parameters: Parameters,
    pub(crate) trace: &'a Trace,
    pub(crate) deconvolve: &'a Deconvolve,
    pub(crate) pixel_size_um: f64,
    /// Footprints that are known already.
    pub(crate) given: &'a Footprints,
}

/// How long each part took, in seconds of wall time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// From the denoised movie to footprints.
    pub(crate) detection: f64,
    /// From footprints to ΔF/F.
    pub(crate) traces: f64,
    /// From ΔF/F to events.
    pub(crate) events: f64,
}

/// The two versions of a movie that cells are found and measured in.
pub(crate) struct Movies<'a> {
    /// The registered movie.
    pub(crate) movie: &'a dyn Movie,
    /// What denoising made of it.
    pub(crate) lowrank: &'a StoredLowRank,
    /// Frames per second (Hz).
    pub(crate) frame_rate: f64,
}

/// Looks for cells in the denoised movie, measures them in it and in the
/// registered one, and writes them to `out`, a `rois.zarr`.
///
/// Kept are the footprints of each plane and the extracted traces of some
/// hundreds of frames each.
pub(crate) fn find(
    movies: &Movies<'_>,
    settings: &Settings<'_>,
    out: &Path,
    budget: Budget,
    kept: &dyn Checkpoints,
    observer: &dyn Observer,
) -> Result<(Rois, Times), Error> {
    let length = panels::panel_frames;
    find_in_panels(movies, settings, out, length, budget, kept, observer)
}

/// As [`find`], with a number of frames of a panel that follows from the
/// number of ROIs and the pixels of a frame.
fn find_in_panels(
    movies: &Movies<'_>,
    settings: &Settings<'_>,
    out: &Path,
    length: fn(usize, usize) -> usize,
    budget: Budget,
    kept: &dyn Checkpoints,
    observer: &dyn Observer,
) -> Result<(Rois, Times), Error> {
    let mut times = Times::default();
    let mut begun = Instant::now();
    let mut lap = move || {
        let seconds = begun.elapsed().as_secs_f64();
        begun = Instant::now();
        seconds
    };
    let found = footprints::find(movies.lowrank, settings, movies.frame_rate, budget, kept)?;
    times.detection = lap();
    let folder = out.parent().unwrap_or(Path::new(""));
    let length = length(found.footprints.len(), movies.movie.shape().frame_len());
    let mut work = Work::new(
        movies,
        settings,
        &found.footprints,
        budget,
        (folder, length),
    )?;
    work.extract(kept, observer)?;
    work.measure()?;
    let mut batches = batches::Batches::new(work, &found.footprints, out)?;
    let oasis = batches::oasis(settings.deconvolve, movies.frame_rate)?;
    let learning = batches.dff(&oasis)?;
    times.traces = lap();
    batches.events(&oasis, learning)?;
    times.events = lap();
    let closed = batches.close(&found.footprints, settings.pixel_size_um)?;
    Ok((closed.store(found, movies)?, times))
}

/// An error of what keeps finished pieces; being told to stop is none of its own.
fn kept_at(place: &'static str) -> impl Fn(fluorspar_movie::Error) -> Error {
    move |error| match error {
        fluorspar_movie::Error::Stopped => Error::Stopped,
        other => Error::Stage {
            place: place.into(),
            source: Box::new(other),
        },
    }
}

/// What is looked for; the diameter is measured in the movie if it is not said.
pub(crate) fn parameters(
    lowrank: &StoredLowRank,
    segment: &Segment,
    pixel_size_um: f64,
    observer: &dyn Observer,
) -> Result<Parameters, Error> {
    let class = match segment.class.as_str() {
        "process" => Class::Process,
        _ => Class::Soma,
    };
    let of = |diameter| Parameters {
        passes: segment.passes,
        ..Parameters::of(class, diameter)
    };
    if let Some(diameter_um) = segment.diameter_um.number() {
        return Ok(of(diameter_um / pixel_size_um));
    }
    let mut diameters = Vec::new();
    for plane in 0..lowrank.planes() {
        let scales = estimate_diameter_in(&*lowrank.plane(plane)?);
        diameters.extend(scales.iter().flatten().map(|s| s.diameter));
    }
    diameters.sort_by(f64::total_cmp);
    let usual = Parameters::default().diameter;
    let diameter = diameters.get(diameters.len() / 2).copied();
    if diameter.is_none() {
        observer.warn(&format!(
            "nothing shows how large cells are; looking for {usual} pixels (give a diameter)"
        ));
    }
    Ok(of(diameter.unwrap_or(usual)))
}

/// Neuropil, overlaps and ΔF/F as the crate that does it takes them.
pub(crate) fn trace_parameters(trace: &Trace) -> fluorspar_trace::Parameters {
    let window_s = trace.baseline_window_s;
    let baseline = match (trace.baseline.as_str(), Baseline::percentile()) {
        (
            "percentile",
            Baseline::Percentile {
                percentile,
                smoothing_s,
                ..
            },
        ) => Baseline::Percentile {
            window_s,
            percentile,
            smoothing_s,
        },
        ("maximin", _) => Baseline::Maximin {
            window_s,
            smoothing_s: 1.0 / 3.0,
        },
        _ => Baseline::Rest {
            timescale_s: 2.0 * window_s,
        },
    };
    fluorspar_trace::Parameters {
        coefficient: match trace.neuropil_coefficient.number() {
            Some(share) => Coefficient::Fixed(share),
            None => Coefficient::per_cell(),
        },
        baseline: BaselineParameters {
            baseline,
            ..BaselineParameters::default()
        },
        overlaps: match trace.overlaps.as_str() {
            "leave-out" => Sharing::LeaveOut,
            _ => Sharing::Demix,
        },
        ..fluorspar_trace::Parameters::default()
    }
}
