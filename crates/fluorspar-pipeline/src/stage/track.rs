use std::path::{Path, PathBuf};

use fluorspar_track::Parameters;

use crate::artefact::{MotionTable, Rois, TrackTable};
use crate::config::ExperimentConfig;
use crate::tracking::{Session, follow, number_among_all, warnings};
use crate::{Error, Observer};

/// Every session's `rois.zarr` and mean image → `tracks.zarr`.
///
/// A session that cannot be aligned does not stop the run: its cells stand
/// alone, and the observer is told.
pub(crate) fn track(
    config: &ExperimentConfig,
    folders: &[PathBuf],
    path: &Path,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let pixel_size_um = config.experiment.pixel_size_um;
    let mut sessions = Vec::new();
    for folder in folders {
        let rois = folder.join("rois.zarr");
        let (footprints, cells) = Rois::read_footprints(&rois)?;
        let motion = MotionTable::read(&folder.join("motion.zarr"))?;
        let session = Session::new(&rois, footprints)
            .only(cells)
            .with_mean_image(motion.mean_image)
            .with_pixel_size(pixel_size_um);
        sessions.push(session);
    }
    let parameters = Parameters {
        max_distance: config.track.max_distance_um / pixel_size_um,
        target_precision: config.track.precision,
        ..Parameters::default()
    };
    let mut tracks = follow(&sessions, &parameters)?;
    for warning in warnings(&tracks, &sessions) {
        observer.warn(&warning);
    }
    number_among_all(&mut tracks, &sessions);
    TrackTable::write(&tracks, path)
}
