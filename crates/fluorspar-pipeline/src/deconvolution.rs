//! Traces of one file, deconvolved on their own.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_deconvolve::{Flag, Oasis, Parameters, Sparsity};
use fluorspar_zarr::{GroupReader, GroupWriter, RowWriter};
use ndarray::{Array2, Axis, CowArray, Ix2, Slice, aview1};
use ndarray_npy::{ReadNpyError, WriteNpyExt, read_npy};
use serde::Serialize;
use serde_json::json;

use crate::error::Context;
use crate::{Error, Observer, RoiTraces, Rois, disk};

/// Traces of this size together are deconvolved at a time.
const BATCH_BYTES: usize = 64 << 20;

/// How to deconvolve the traces of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DeconvolveOptions {
    /// Frames per second (Hz), if the file does not say.
    pub frame_rate: Option<f64>,
    /// Decay time of the indicator in seconds; learnt if not said.
    pub tau_s: Option<f64>,
    /// Rise time in seconds.
    pub rise_s: Option<f64>,
    /// What keeps noise from becoming events.
    pub sparsity: Sparsity,
}

/// What was deconvolved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeconvolvedTraces {
    /// The events.
    pub events: PathBuf,
    /// Traces.
    pub traces: usize,
    /// Samples of each.
    pub frames: usize,
    /// Traces without enough samples, or that never change: their events are zero.
    pub without_events: usize,
    /// Median decay time of the kernels (s).
    pub median_decay_s: f64,
    /// Median rise time of the kernels (s).
    pub median_rise_s: f64,
    /// Wall time of the deconvolution itself in seconds.
    pub seconds: f64,
}

/// Deconvolves the traces of a `rois.zarr` (its ΔF/F) or a `.npy` file of
/// ΔF/F `(roi, frame)`, f32 or f64, into `out`: `NAME.zarr` with `events` and
/// what is known of each trace, or `NAME.npy` with the events alone.
///
/// # Errors
/// [`Error::Usage`] if the output is there already or options are out of
/// range, [`Error::BadData`] or [`Error::Stage`] naming the file.
pub fn deconvolve(
    traces: &Path,
    out: &Path,
    options: &DeconvolveOptions,
    observer: &dyn Observer,
) -> Result<DeconvolvedTraces, Error> {
    if out.exists() {
        return Err(Error::Usage(format!(
            "{} exists already; remove it or choose another output",
            out.display()
        )));
    }
    let (dff, said) = open(traces)?;
    let Some(frame_rate) = options.frame_rate.or(said) else {
        return Err(Error::Usage(format!(
            "{} does not say its frame rate; give it with --frame-rate",
            traces.display()
        )));
    };
    let oasis = Oasis::new(Parameters {
        frame_rate: Some(frame_rate),
        tau_s: options.tau_s,
        rise_s: options.rise_s,
        sparsity: options.sparsity,
        ..Parameters::default()
    })
    .map_err(|error| Error::Usage(error.to_string()))?;
    let begun = Instant::now();
    observer.start("deconvolution", 0);
    let npy = out
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("npy"));
    let mut events = if npy {
        Events::Held(Vec::with_capacity(dff.rois() * dff.frames()))
    } else {
        let mut group = GroupWriter::create(out).at(out.display())?;
        let shape = [dff.rois(), dff.frames()];
        let rows = group
            .begin_rows("events", &shape, &["roi", "frame"])
            .at(out.display())?;
        Events::Stored(Box::new((group, rows)))
    };
    let mut learning = oasis.learning();
    for rois in batches(&dff) {
        learning.look(dff.rows(rois)?.view()).at(traces.display())?;
    }
    let kernels = learning.finish().at(traces.display())?.kernels(dff.rois());
    let mut reports = Vec::with_capacity(dff.rois());
    for rois in batches(&dff) {
        let rows = dff.rows(rois.clone())?;
        let mut found = Array2::zeros(rows.dim());
        let told = oasis.deconvolve_block(rows.view(), &kernels[rois], found.view_mut());
        reports.extend(told.at(traces.display())?);
        match &mut events {
            Events::Held(all) => all.extend(found),
            Events::Stored(stored) => stored.1.write(&found).at(out.display())?,
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    observer.finish("deconvolution", seconds);

    let column = |pick: &dyn Fn(&fluorspar_deconvolve::Report) -> f64| -> Vec<f32> {
        reports.iter().map(|report| pick(report) as f32).collect()
    };
    let decay_s = column(&|r| r.kernel.decay_samples() / frame_rate);
    let rise_s = column(&|r| r.kernel.rise_samples() / frame_rate);
    match events {
        Events::Held(all) => {
            let all = Array2::from_shape_vec((dff.rois(), dff.frames()), all).at(out.display())?;
            let mut bytes = Vec::new();
            all.write_npy(&mut bytes).at(out.display())?;
            disk::write(out, &bytes)?;
        }
        Events::Stored(stored) => {
            let (mut group, rows) = *stored;
            let place = out.display();
            group.end(rows).at(&place)?;
            for (name, values) in [
                ("decay_s", &decay_s),
                ("rise_s", &rise_s),
                ("noise", &column(&|r| f64::from(r.noise))),
                ("resting_level", &column(&|r| f64::from(r.baseline))),
                ("penalty", &column(&|r| f64::from(r.lambda))),
            ] {
                group.array(name, &aview1(values), &["roi"]).at(&place)?;
            }
            group
                .attribute("frame_rate", json!(frame_rate))
                .at(&place)?;
            group.finish().at(&place)?;
        }
    }
    let deconvolved = |r: &&fluorspar_deconvolve::Report| r.flag == Flag::Deconvolved;
    Ok(DeconvolvedTraces {
        events: out.to_path_buf(),
        traces: dff.rois(),
        frames: dff.frames(),
        without_events: dff.rois() - reports.iter().filter(deconvolved).count(),
        median_decay_s: median(decay_s),
        median_rise_s: median(rise_s),
        seconds,
    })
}

fn median(mut values: Vec<f32>) -> f64 {
    values.sort_by(f32::total_cmp);
    values
        .get(values.len() / 2)
        .map_or(f64::NAN, |&median| f64::from(median))
}

/// Traces `(roi, frame)`.
enum Dff {
    /// Read as they are needed.
    Stored(RoiTraces),
    Held(Array2<f32>),
}

impl Dff {
    fn rois(&self) -> usize {
        match self {
            Self::Stored(traces) => traces.rois(),
            Self::Held(traces) => traces.nrows(),
        }
    }

    fn frames(&self) -> usize {
        match self {
            Self::Stored(traces) => traces.frames(),
            Self::Held(traces) => traces.ncols(),
        }
    }

    fn rows(&self, rois: Range<usize>) -> Result<CowArray<'_, f32, Ix2>, Error> {
        match self {
            Self::Stored(traces) => traces.rows("dff", rois).map(Into::into),
            Self::Held(traces) => Ok(traces.slice_axis(Axis(0), Slice::from(rois)).into()),
        }
    }
}

/// Where events go: into memory for a file of one piece, else to disk at once.
enum Events {
    Held(Vec<f32>),
    Stored(Box<(GroupWriter, RowWriter<f32>)>),
}

/// ROIs that are deconvolved together.
fn batches(dff: &Dff) -> impl Iterator<Item = Range<usize>> + use<> {
    let together = (BATCH_BYTES / (4 * dff.frames().max(1)) / 8).max(1) * 8;
    let rois = dff.rois();
    (0..rois)
        .step_by(together)
        .map(move |first| first..(first + together).min(rois))
}

/// Traces `(roi, frame)` and the frame rate, if the file says it.
fn open(path: &Path) -> Result<(Dff, Option<f64>), Error> {
    if !path.exists() {
        return Err(Error::bad_data(path, "no such file"));
    }
    if path.is_dir() {
        if GroupReader::open(path)
            .at(path.display())?
            .attribute("quality")
            .is_none()
        {
            return Err(Error::bad_data(path, "is not a rois.zarr"));
        }
        let frame_rate = Rois::read(path)?.frame_rate;
        return Ok((Dff::Stored(RoiTraces::open(path)?), Some(frame_rate)));
    }
    let traces = match read_npy::<_, Array2<f32>>(path) {
        Ok(traces) => traces,
        Err(ReadNpyError::WrongDescriptor(_)) => read_npy::<_, Array2<f64>>(path)
            .at(path.display())?
            .mapv(|v| v as f32),
        Err(error) => return Err(error).at(path.display()),
    };
    Ok((Dff::Held(traces.as_standard_layout().into_owned()), None))
}
