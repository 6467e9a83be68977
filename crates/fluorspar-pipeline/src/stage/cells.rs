use std::path::Path;

use fluorspar_movie::{Budget, Checkpoints, Footprints};
use fluorspar_zarr::MovieReader;

use crate::artefact::StoredLowRank;
use crate::cells::{Movies, Settings, find, parameters};
use crate::config::ExperimentConfig;
use crate::error::Context;
use crate::{Error, Observer};

/// `lowrank.zarr` and `registered.zarr` → `rois.zarr`: footprints, traces, ΔF/F
/// and events. Finished pieces are kept; with those of an earlier start it goes
/// on where that stopped.
pub(crate) fn find_cells(
    config: &ExperimentConfig,
    frame_rate: f64,
    folder: &Path,
    budget: Budget,
    kept: &dyn Checkpoints,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let lowrank = StoredLowRank::open(&folder.join("lowrank.zarr"))?;
    let registered = folder.join("registered.zarr");
    let movie = MovieReader::open(&registered).at(registered.display())?;
    let pixel_size_um = config.experiment.pixel_size_um;
    let settings = Settings {
        parameters: parameters(&lowrank, &config.segment, pixel_size_um, observer)?,
        trace: &config.trace,
        deconvolve: &config.deconvolve,
        pixel_size_um,
        given: &Footprints::new(lowrank.height(), lowrank.width()),
    };
    let movies = Movies {
        movie: &movie,
        lowrank: &lowrank,
        frame_rate,
    };
    let rois = folder.join("rois.zarr");
    find(&movies, &settings, &rois, budget, kept, observer).map(|_| ())
}
