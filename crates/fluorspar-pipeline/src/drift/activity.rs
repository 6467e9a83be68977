//! Activity of all ROIs of a session, in memory or where it is stored.

use std::ops::Range;
use std::path::{Path, PathBuf};

use fluorspar_zarr::GroupReader;
use ndarray::{Array2, Axis, CowArray, Ix2, Slice};

use crate::Error;
use crate::error::Context;

/// Bytes of traces that are read at a time.
const PANEL_BYTES: usize = 32 << 20;

/// Events or ΔF/F `(roi, frame)`.
#[derive(Debug)]
pub(crate) enum Activity {
    /// All of it.
    Held(Array2<f32>),
    /// An array of a `rois.zarr`, which need not fit into memory.
    Stored(Stored),
}

/// An array `(roi, frame)` that is read some ROIs at a time.
#[derive(Debug)]
pub(crate) struct Stored {
    path: PathBuf,
    group: GroupReader,
    name: String,
    rois: usize,
    frames: usize,
    /// ROIs that are read at a time.
    together: usize,
}

impl Stored {
    /// Finds the array of that name, which must have a row for each of so many ROIs.
    pub(crate) fn open(path: &Path, name: &str, rois: usize) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        match group.shape(name).at(path.display())?[..] {
            [rows, frames] if rows == rois => Ok(Self {
                path: path.to_path_buf(),
                group,
                name: name.to_owned(),
                rois,
                frames,
                together: (PANEL_BYTES / (4 * frames.max(1))).max(1),
            }),
            _ => Err(Error::bad_data(
                path,
                format!("the array {name:?} must be (roi, frame), of {rois} ROIs"),
            )),
        }
    }

    /// The traces of some ROIs that follow each other, `(roi, frame)`.
    pub(crate) fn rows(&self, rois: Range<usize>) -> Result<Array2<f32>, Error> {
        let rows = self.group.rows::<f32>(&self.name, rois);
        let rows = rows.at(self.path.display())?.into_dimensionality::<Ix2>();
        rows.map_err(|_| {
            let message = format!("the array {:?} must have two axes", self.name);
            Error::bad_data(&self.path, message)
        })
    }

    /// The ROIs in runs of as many as are read at a time.
    pub(crate) fn panels(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rois, step) = (self.rois, self.together);
        (0..rois)
            .step_by(step)
            .map(move |first| first..(first + step).min(rois))
    }
}

impl Activity {
    /// All of it, traces in a row.
    pub(crate) fn held(activity: Array2<f32>) -> Self {
        // Traces are read along frames, one ROI after the other.
        Self::Held(activity.as_standard_layout().into_owned())
    }

    /// Number of ROIs.
    pub(crate) fn rois(&self) -> usize {
        match self {
            Self::Held(all) => all.nrows(),
            Self::Stored(stored) => stored.rois,
        }
    }

    /// Number of frames.
    pub(crate) fn frames(&self) -> usize {
        match self {
            Self::Held(all) => all.ncols(),
            Self::Stored(stored) => stored.frames,
        }
    }

    /// The ROIs in runs of as many as may be in memory at a time.
    pub(crate) fn panels(&self) -> Vec<Range<usize>> {
        match self {
            Self::Held(all) => std::iter::once(0..all.nrows()).collect(),
            Self::Stored(stored) => stored.panels().collect(),
        }
    }

    /// The traces of one of [`Self::panels`], `(roi, frame)`.
    pub(crate) fn panel(&self, rois: Range<usize>) -> Result<CowArray<'_, f32, Ix2>, Error> {
        match self {
            Self::Held(all) => Ok(all.slice_axis(Axis(0), Slice::from(rois)).into()),
            Self::Stored(stored) => Ok(stored.rows(rois)?.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fluorspar_zarr::GroupWriter;

    use super::*;
    use crate::drift::{Clock, Layout};
    use crate::trials::Trials;

    #[test]
    fn trials_cut_panel_by_panel_are_those_cut_from_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rois.zarr");
        let whole = Array2::from_shape_fn((11, 60), |(roi, frame)| {
            ((roi * 37 + frame * 11) % 101) as f32 * 0.1
        });
        let mut group = GroupWriter::create(&path).unwrap();
        group.array("events", &whole, &["roi", "frame"]).unwrap();
        group.finish().unwrap();

        let table = Trials::parse("onset_s\n0.5\n1.7\n4\n".as_bytes(), &path).unwrap();
        let epochs = BTreeMap::from([("a".to_owned(), [0.0, 1.0].into())]);
        // Any order, a cell without a ROI, ROIs without a cell, one ROI twice.
        let chosen = [Some(10), Some(2), None, Some(0), Some(7), Some(2)];
        for bin_s in [None, Some(0.5)] {
            let layout = Layout::new(&epochs, bin_s, &[(&path, &table)]).unwrap();
            let clock = Clock::regular(10.0);
            let frames = layout.frames(&table, &path, &clock, 60).unwrap();
            let held = Activity::held(whole.clone());
            let expected = layout.cut(&held, &chosen, &frames, 10.0).unwrap();
            assert_eq!(expected.activity[[0, 2, 0]], 0.0);
            for together in [1, 3, 4, 11, 50] {
                let mut stored = Stored::open(&path, "events", 11).unwrap();
                stored.together = together;
                let stored = Activity::Stored(stored);
                let found = layout.cut(&stored, &chosen, &frames, 10.0).unwrap();
                assert_eq!(found.activity, expected.activity);
                assert_eq!(found.time_s, expected.time_s);
                assert_eq!(layout.bins(10.0), found.time_s.len());
            }
        }
        let error = Stored::open(&path, "events", 12).unwrap_err();
        assert!(error.to_string().contains("of 12 ROIs"), "{error}");
    }
}
