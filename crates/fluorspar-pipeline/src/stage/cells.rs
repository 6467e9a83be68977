use std::path::Path;

use fluorspar_deconvolve::Oasis;
use fluorspar_movie::{Budget, silent};
use fluorspar_segment::Detector;
use fluorspar_trace::{Baseline, BaselineParameters, Coefficient, Sharing, Valid};
use fluorspar_zarr::MovieReader;
use ndarray::Array2;
use rayon::prelude::*;

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
    // The coefficient and window of the experiment's file until it offers the choice.
    let parameters = fluorspar_trace::Parameters {
        coefficient: Coefficient::Fixed(config.trace.neuropil_coefficient),
        baseline: BaselineParameters {
            baseline: Baseline::Percentile {
                window_s: config.trace.baseline_window_s,
                percentile: 8.0,
                smoothing_s: 0.5,
            },
            ..BaselineParameters::default()
        },
        overlaps: Sharing::LeaveOut,
        ..fluorspar_trace::Parameters::default()
    };
    let cells = fluorspar_trace::measure(
        &movie,
        &found.footprints,
        &Valid::everywhere(),
        &parameters,
        frame_rate,
        budget,
        &|frames| observer.advance(frames),
    )
    .at("traces")?;
    let events = deconvolve(&cells.delta.dff, config.deconvolve.tau_s, frame_rate)?;
    Rois {
        footprints: found.footprints,
        f: cells.traces.f,
        neuropil: cells.traces.neuropil,
        dff: cells.delta.dff,
        events,
        snr: found.evidence.iter().map(|e| e.snr).collect(),
        activity_image: found.activity_image.index_axis_move(ndarray::Axis(0), 0),
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
        frame_rate,
        ..fluorspar_deconvolve::Parameters::default()
    })
    .at("deconvolution")?;
    let rows: Vec<Vec<f32>> = (0..dff.nrows())
        .into_par_iter()
        .map(|roi| {
            let trace = dff.row(roi).to_vec();
            let events = oasis
                .deconvolve(&trace)
                .at(format!("deconvolution of ROI {roi}"))?;
            Ok(events.events)
        })
        .collect::<Result<_, Error>>()?;
    let mut out = Array2::zeros(dff.dim());
    for (mut row, events) in out.rows_mut().into_iter().zip(&rows) {
        for (slot, &value) in row.iter_mut().zip(events) {
            *slot = value;
        }
    }
    Ok(out)
}
