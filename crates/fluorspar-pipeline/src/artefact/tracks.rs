use std::path::Path;

use fluorspar_track::Tracks;
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::{Array2, aview1};
use serde_json::json;

use super::read_2d;
use crate::Error;
use crate::error::Context;

/// Which ROI is which cell: the content of `tracks.zarr`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackTable {
    /// ROI of each cell in each session `(cell, session)`, −1 where none.
    pub roi_index: Array2<i32>,
    /// Probability that the ROI is this cell `(cell, session)`.
    pub p_same: Array2<f32>,
}

impl TrackTable {
    /// Writes `tracks.zarr`, with the shift of each session's field onto the reference session.
    pub(crate) fn write(tracks: &Tracks, reference: usize, path: &Path) -> Result<(), Error> {
        let place = path.display();
        let mut group = GroupWriter::create(path).at(&place)?;
        group
            .array("roi_index", &tracks.roi_index.view(), &["cell", "session"])
            .at(&place)?;
        group
            .array("p_same", &tracks.p_same.view(), &["cell", "session"])
            .at(&place)?;
        let column = |pick: fn(&fluorspar_track::Alignment) -> f32| -> Vec<f32> {
            tracks.alignments.iter().map(pick).collect()
        };
        for (name, values) in [
            ("alignment_dy", column(|a| a.dy as f32)),
            ("alignment_dx", column(|a| a.dx as f32)),
            ("alignment_quality", column(|a| a.quality as f32)),
        ] {
            group
                .array(name, &aview1(&values), &["session"])
                .at(&place)?;
        }
        group
            .attribute("reference_session", json!(reference))
            .at(&place)?;
        group.finish().at(&place)
    }

    /// Reads `tracks.zarr`.
    ///
    /// # Errors
    /// [`Error::Stage`] or [`Error::BadData`] naming the file and the array.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        let table = Self {
            roi_index: read_2d(&group, "roi_index", path)?,
            p_same: read_2d(&group, "p_same", path)?,
        };
        if table.roi_index.dim() != table.p_same.dim() {
            return Err(Error::bad_data(
                path,
                format!(
                    "roi_index is {:?} but p_same is {:?}",
                    table.roi_index.dim(),
                    table.p_same.dim()
                ),
            ));
        }
        Ok(table)
    }
}
