use std::path::Path;

use fluorspar_movie::Footprints;
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::{Array2, aview1};
use serde_json::json;

use super::{read_1d, read_2d, read_attribute};
use crate::Error;
use crate::error::Context;

/// The cells of one session: the content of `rois.zarr`.
///
/// Arrays in the file: `indptr` (roi + 1), `indices` (flat y·width + x),
/// `weights`, `plane`, and `F`, `Fneu`, `dff`, `events` as `(roi, frame)`;
/// attributes `height`, `width`, `frame_rate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rois {
    /// Which pixels belong to each ROI.
    pub footprints: Footprints,
    /// Fluorescence `(roi, frame)`, counts.
    pub f: Array2<f32>,
    /// Neuropil fluorescence `(roi, frame)`, counts.
    pub neuropil: Array2<f32>,
    /// ΔF/F `(roi, frame)`.
    pub dff: Array2<f32>,
    /// Deconvolved events `(roi, frame)`, ΔF/F per frame.
    pub events: Array2<f32>,
    /// Signal-to-noise ratio of each ROI's activity.
    pub snr: Vec<f32>,
    /// Where activity was found `(y, x)`.
    pub activity_image: Array2<f32>,
    /// Frames per second (Hz).
    pub frame_rate: f64,
}

impl Rois {
    /// Writes `rois.zarr`; a reader sees all of it or what was there before.
    ///
    /// # Errors
    /// [`Error::Stage`] naming the file if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let place = path.display();
        let mut group = GroupWriter::create(path).at(&place)?;
        let all = &self.footprints;
        group
            .array("indptr", &aview1(all.indptr()), &["roi_boundary"])
            .at(&place)?;
        group
            .array("indices", &aview1(all.indices()), &["entry"])
            .at(&place)?;
        group
            .array("weights", &aview1(all.weights()), &["entry"])
            .at(&place)?;
        group
            .array("plane", &aview1(all.planes()), &["roi"])
            .at(&place)?;
        for (name, values) in [
            ("F", &self.f),
            ("Fneu", &self.neuropil),
            ("dff", &self.dff),
            ("events", &self.events),
        ] {
            group
                .array(name, &values.view(), &["roi", "frame"])
                .at(&place)?;
        }
        group
            .array("snr", &aview1(&self.snr), &["roi"])
            .at(&place)?;
        group
            .array("activity_image", &self.activity_image.view(), &["y", "x"])
            .at(&place)?;
        for (key, value) in [
            ("height", json!(all.height())),
            ("width", json!(all.width())),
            ("frame_rate", json!(self.frame_rate)),
        ] {
            group.attribute(key, value).at(&place)?;
        }
        group.finish().at(&place)
    }

    /// Reads `rois.zarr`.
    ///
    /// # Errors
    /// [`Error::Stage`] or [`Error::BadData`] naming the file and the array.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        let footprints = Footprints::from_csr(
            read_attribute(&group, "height", path)? as usize,
            read_attribute(&group, "width", path)? as usize,
            read_1d(&group, "indptr", path)?.to_vec(),
            read_1d(&group, "indices", path)?.to_vec(),
            read_1d(&group, "weights", path)?.to_vec(),
            read_1d(&group, "plane", path)?.to_vec(),
        )
        .at(path.display())?;
        let rois = Self {
            f: read_2d(&group, "F", path)?,
            neuropil: read_2d(&group, "Fneu", path)?,
            dff: read_2d(&group, "dff", path)?,
            events: read_2d(&group, "events", path)?,
            snr: read_1d(&group, "snr", path)?.to_vec(),
            activity_image: read_2d(&group, "activity_image", path)?,
            frame_rate: read_attribute(&group, "frame_rate", path)?,
            footprints,
        };
        for (name, values) in [
            ("F", &rois.f),
            ("Fneu", &rois.neuropil),
            ("dff", &rois.dff),
            ("events", &rois.events),
        ] {
            if values.nrows() != rois.footprints.len() || values.ncols() != rois.f.ncols() {
                return Err(Error::bad_data(
                    path,
                    format!(
                        "{name} is {:?} for {} ROIs",
                        values.dim(),
                        rois.footprints.len()
                    ),
                ));
            }
        }
        Ok(rois)
    }
}
