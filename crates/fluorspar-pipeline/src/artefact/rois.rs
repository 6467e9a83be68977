use std::path::Path;

use fluorspar_movie::Footprints;
use fluorspar_zarr::{Element, GroupReader, GroupWriter};
use ndarray::{Array2, Array3, aview1};
use serde_json::{Map, Value, json};

use super::{Quality, read_1d, read_2d, read_3d, read_attribute};
use crate::error::Context;
use crate::{Error, disk};

/// The ROIs of one session: the content of `rois.zarr`.
///
/// Arrays in the file: `indptr` (roi + 1), `indices` (flat y·width + x),
/// `weights`, `plane`; `F`, `Fneu`, `F_demixed`, `F0`, `dff`, `events` as
/// `(roi, frame)`; `is_cell`, `cell` and a column of [`Quality`] each as
/// `(roi)`; `activity_image`. Attributes `height`, `width`, `frame_rate`,
/// `quality` (columns and their meanings) and `flags` (of each ROI).
#[derive(Clone, Debug, PartialEq)]
pub struct Rois {
    /// Which pixels belong to each ROI.
    pub footprints: Footprints,
    /// Whether each counts as a cell `(roi)`.
    pub is_cell: Vec<bool>,
    /// Which cell each belongs to `(roi)`: ROIs of neighbouring planes that
    /// show the same cell body share a number.
    pub cell: Vec<i32>,
    /// Fluorescence `(roi, frame)`, counts: weighted mean over the pixels that
    /// no other ROI has.
    pub f: Array2<f32>,
    /// Neuropil fluorescence `(roi, frame)`, counts.
    pub neuropil: Array2<f32>,
    /// Fluorescence without neuropil and without overlapping ROIs
    /// `(roi, frame)`, counts: what ΔF/F is made of.
    pub demixed: Array2<f32>,
    /// Baseline of `demixed` `(roi, frame)`, counts.
    pub f0: Array2<f32>,
    /// ΔF/F `(roi, frame)`.
    pub dff: Array2<f32>,
    /// Deconvolved events `(roi, frame)`, ΔF/F per frame.
    pub events: Array2<f32>,
    /// What is known of each ROI's quality.
    pub quality: Quality,
    /// What a user should know before believing each ROI, in words separated
    /// by semicolons; empty is good news.
    pub flags: Vec<String>,
    /// Where activity was found `(plane, y, x)`.
    pub activity_image: Array3<f32>,
    /// Frames per second (Hz).
    pub frame_rate: f64,
}

impl Rois {
    /// Signal-to-noise ratio of each ROI's activity.
    pub fn snr(&self) -> &[f32] {
        self.quality.get("snr").unwrap_or_default()
    }

    /// The ROIs that count as cells and can be seen in this session, ascending.
    pub fn cells(&self) -> Vec<usize> {
        let absent = self.quality.get("absent").unwrap_or_default();
        (0..self.is_cell.len())
            .filter(|&roi| self.is_cell[roi] && absent.get(roi) != Some(&1.0))
            .collect()
    }

    /// Writes `rois.zarr`, and `rois.csv` beside it with one row per ROI; a
    /// reader sees all of the folder or what was there before.
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
        for_roi(&mut group, "indices", all.indices(), "entry").at(&place)?;
        for_roi(&mut group, "weights", all.weights(), "entry").at(&place)?;
        for_roi(&mut group, "plane", all.planes(), "roi").at(&place)?;
        let is_cell: Vec<u8> = self.is_cell.iter().map(|&c| u8::from(c)).collect();
        for_roi(&mut group, "is_cell", &is_cell, "roi").at(&place)?;
        for_roi(&mut group, "cell", &self.cell, "roi").at(&place)?;
        for (name, values) in self.traces() {
            group
                .array(name, &values.view(), &["roi", "frame"])
                .at(&place)?;
        }
        let mut meanings = Map::new();
        for (name, values) in self.quality.columns() {
            let meaning = Quality::meaning(name).unwrap_or_default();
            meanings.insert(name.into(), meaning.into());
            if name != "plane" {
                for_roi(&mut group, name, values, "roi").at(&place)?;
            }
        }
        let image = self.activity_image.view();
        group
            .array("activity_image", &image, &["plane", "y", "x"])
            .at(&place)?;
        for (key, value) in [
            ("height", json!(all.height())),
            ("width", json!(all.width())),
            ("frame_rate", json!(self.frame_rate)),
            ("quality", Value::Object(meanings)),
            ("flags", json!(self.flags)),
        ] {
            group.attribute(key, value).at(&place)?;
        }
        group.finish().at(&place)?;
        let table = self.quality.csv(&self.is_cell, &self.cell, &self.flags);
        disk::write(&path.with_extension("csv"), table.as_bytes())
    }

    fn traces(&self) -> [(&'static str, &Array2<f32>); 6] {
        [
            ("F", &self.f),
            ("Fneu", &self.neuropil),
            ("F_demixed", &self.demixed),
            ("F0", &self.f0),
            ("dff", &self.dff),
            ("events", &self.events),
        ]
    }

    /// Reads `rois.zarr`.
    ///
    /// # Errors
    /// [`Error::Stage`] or [`Error::BadData`] naming the file and the array.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        let planes: Vec<u32> = read_1d(&group, "plane", path)?.to_vec();
        let mut quality = Quality::default();
        if let Some(Value::Object(names)) = group.attribute("quality") {
            for name in names.keys() {
                let values = if name == "plane" {
                    planes.iter().map(|&p| p as f32).collect()
                } else {
                    read_1d(&group, name, path)?.to_vec()
                };
                quality.set(name, values);
            }
        }
        let footprints = footprints(&group, planes, path)?;
        let flags = match group.attribute("flags") {
            Some(Value::Array(flags)) => flags
                .iter()
                .map(|flag| flag.as_str().unwrap_or_default().to_owned())
                .collect(),
            _ => vec![String::new(); footprints.len()],
        };
        let is_cell = read_1d::<u8>(&group, "is_cell", path)?;
        let rois = Self {
            is_cell: is_cell.iter().map(|&v| v != 0).collect(),
            cell: read_1d(&group, "cell", path)?.to_vec(),
            f: read_2d(&group, "F", path)?,
            neuropil: read_2d(&group, "Fneu", path)?,
            demixed: read_2d(&group, "F_demixed", path)?,
            f0: read_2d(&group, "F0", path)?,
            dff: read_2d(&group, "dff", path)?,
            events: read_2d(&group, "events", path)?,
            quality,
            flags,
            activity_image: read_3d(&group, "activity_image", path)?,
            frame_rate: read_attribute(&group, "frame_rate", path)?,
            footprints,
        };
        rois.check(path)?;
        Ok(rois)
    }

    /// Reads of `rois.zarr` only the footprints, and which of them are
    /// [`Self::cells`]: traces of many sessions need not fit into memory.
    pub(crate) fn read_footprints(path: &Path) -> Result<(Footprints, Vec<usize>), Error> {
        let group = GroupReader::open(path).at(path.display())?;
        let planes = read_1d(&group, "plane", path)?.to_vec();
        let footprints = footprints(&group, planes, path)?;
        let is_cell = read_1d::<u8>(&group, "is_cell", path)?;
        let named = group.names().at(path.display())?;
        let absent = if named.iter().any(|name| name == "absent") {
            read_1d::<f32>(&group, "absent", path)?.to_vec()
        } else {
            vec![0.0; footprints.len()]
        };
        for (name, length) in [("is_cell", is_cell.len()), ("absent", absent.len())] {
            if length != footprints.len() {
                let problem = format!("{name} has {length} values for {} ROIs", footprints.len());
                return Err(Error::bad_data(path, problem));
            }
        }
        let cells = (0..footprints.len())
            .filter(|&roi| is_cell[roi] != 0 && absent[roi] != 1.0)
            .collect();
        Ok((footprints, cells))
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        let count = self.footprints.len();
        for (name, values) in self.traces() {
            if values.nrows() != count || values.ncols() != self.f.ncols() {
                let found = values.dim();
                let problem = format!("{name} is {found:?} for {count} ROIs");
                return Err(Error::bad_data(path, problem));
            }
        }
        let columns = self.quality.columns().map(|(name, v)| (name, v.len()));
        let others = [
            ("is_cell", self.is_cell.len()),
            ("cell", self.cell.len()),
            ("flags", self.flags.len()),
        ];
        for (name, length) in columns.chain(others) {
            if length != count {
                let problem = format!("{name} has {length} values for {count} ROIs");
                return Err(Error::bad_data(path, problem));
            }
        }
        Ok(())
    }
}

/// The footprints that a `rois.zarr` holds.
fn footprints(group: &GroupReader, planes: Vec<u32>, path: &Path) -> Result<Footprints, Error> {
    Footprints::from_csr(
        read_attribute(group, "height", path)? as usize,
        read_attribute(group, "width", path)? as usize,
        read_1d(group, "indptr", path)?.to_vec(),
        read_1d(group, "indices", path)?.to_vec(),
        read_1d(group, "weights", path)?.to_vec(),
        planes,
    )
    .at(path.display())
}

/// Writes an array with one axis.
fn for_roi<T: Element>(
    group: &mut GroupWriter,
    name: &str,
    values: &[T],
    axis: &str,
) -> Result<(), fluorspar_zarr::Error> {
    group.array(name, &aview1(values), &[axis])
}
