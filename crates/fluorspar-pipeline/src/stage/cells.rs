use std::path::Path;

use fluorspar_deconvolve::Oasis;
use fluorspar_movie::{Budget, silent};
use fluorspar_segment::Detector;
use fluorspar_trace::{BaselineParameters, NeuropilParameters};
use fluorspar_zarr::MovieReader;
use ndarray::Array2;

use crate::artefact::{Rois, read_lowrank};
use crate::config::ExperimentConfig;
use crate::error::Context;
use crate::{Error, Observer};

/// `lowrank.zarr` and `registered.zarr` → `rois.zarr`: footprints, traces, ΔF/F and events.
pub(crate) fn find_cells(
    config: &ExperimentConfig,
    frame_rate: f64,
    folder: &Path,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let lowrank = read_lowrank(&folder.join("lowrank.zarr"))?;
    let parameters = fluorspar_segment::Parameters {
        diameter: config.segment.diameter_um / config.experiment.pixel_size_um,
        ..fluorspar_segment::Parameters::default()
    };
    let found = Detector::new(parameters)
        .at("segmentation")?
        .detect(&lowrank, frame_rate, budget, &silent)
        .at("segmentation")?;
    drop(lowrank);

    let registered = folder.join("registered.zarr");
    let movie = MovieReader::open(&registered).at(registered.display())?;
    let traces = fluorspar_trace::extract(
        &movie,
        &found.footprints,
        &NeuropilParameters::default(),
        budget,
        &|frames| observer.advance(frames),
    )
    .at("traces")?;
    let baseline = BaselineParameters {
        neuropil_coefficient: config.trace.neuropil_coefficient,
        window_s: config.trace.baseline_window_s,
        ..BaselineParameters::default()
    };
    let delta = fluorspar_trace::delta_f_over_f(
        traces.f.view(),
        traces.neuropil.view(),
        &baseline,
        frame_rate,
    )
    .at("ΔF/F")?;
    let events = deconvolve(&delta.dff, config.deconvolve.tau_s, frame_rate)?;
    Rois {
        footprints: found.footprints,
        f: traces.f,
        neuropil: traces.neuropil,
        dff: delta.dff,
        events,
        snr: found.snr,
        activity_image: found.activity_image,
        frame_rate,
    }
    .write(&folder.join("rois.zarr"))
}

fn deconvolve(
    dff: &Array2<f32>,
    tau_s: Option<f64>,
    frame_rate: f64,
) -> Result<Array2<f32>, Error> {
    let oasis = Oasis::new(fluorspar_deconvolve::Parameters {
        tau_s,
        frame_rate: Some(frame_rate),
        ..fluorspar_deconvolve::Parameters::default()
    })
    .at("deconvolution")?;
    let found = oasis.deconvolve_all(dff.view()).at("deconvolution")?;
    Ok(found.events)
}
