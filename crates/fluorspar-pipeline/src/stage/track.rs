use std::path::{Path, PathBuf};

use fluorspar_track::{Parameters, SessionRois};

use crate::Error;
use crate::artefact::{MotionTable, Rois, TrackTable};
use crate::config::ExperimentConfig;
use crate::error::Context;

/// Every session's `rois.zarr` and mean image → `tracks.zarr`.
pub(crate) fn track(
    config: &ExperimentConfig,
    folders: &[PathBuf],
    path: &Path,
) -> Result<(), Error> {
    let mut loaded = Vec::new();
    for folder in folders {
        let rois = Rois::read(&folder.join("rois.zarr"))?;
        let motion = MotionTable::read(&folder.join("motion.zarr"))?;
        let cells = rois.cells();
        loaded.push((rois.footprints.select(&cells), motion.mean_image, cells));
    }
    let sessions: Vec<SessionRois<'_>> = loaded
        .iter()
        .map(|(footprints, mean_image, _)| SessionRois {
            footprints,
            mean_image: mean_image.view(),
        })
        .collect();
    // The middle session is the nearest to all others in time, and so in drift of the field.
    let reference = folders.len() / 2;
    let parameters = Parameters {
        max_distance: config.track.max_distance_um / config.experiment.pixel_size_um,
        reference,
        ..Parameters::default()
    };
    let mut tracks = fluorspar_track::track(&sessions, &parameters).at("tracking")?;
    // Only cells were followed; their numbers are among all ROIs.
    for (mut column, (_, _, cells)) in tracks.roi_index.columns_mut().into_iter().zip(&loaded) {
        for roi in column.iter_mut().filter(|roi| **roi >= 0) {
            *roi = cells[*roi as usize] as i32;
        }
    }
    TrackTable::write(&tracks, reference, path)
}
