use std::ops::Range;
use std::path::{Path, PathBuf};

use fluorspar_movie::Footprints;
use fluorspar_zarr::{Element, GroupReader, GroupWriter, RowWriter};
use ndarray::{Array2, Array3, aview1};
use serde_json::{Map, Value, json};

use super::{Quality, read_1d, read_3d, read_attribute};
use crate::error::Context;
use crate::{Error, disk};

/// The ROIs of one session: the content of `rois.zarr` but for their traces,
/// which need not fit into memory and are read by [`RoiTraces`].
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
    /// What is known of each ROI's quality.
    pub quality: Quality,
    /// What a user should know before believing each ROI, in words separated
    /// by semicolons; empty is good news.
    pub flags: Vec<String>,
    /// Where activity was found `(plane, y, x)`.
    pub activity_image: Array3<f32>,
    /// Frames per second (Hz).
    pub frame_rate: f64,
    /// Number of frames of each trace.
    pub frames: usize,
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

    /// Reads `rois.zarr`, but for its traces.
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
        let traces = RoiTraces::of(group, path)?;
        let group = &traces.group;
        let rois = Self {
            is_cell: is_cell.iter().map(|&v| v != 0).collect(),
            cell: read_1d(group, "cell", path)?.to_vec(),
            quality,
            flags,
            activity_image: read_3d(group, "activity_image", path)?,
            frame_rate: read_attribute(group, "frame_rate", path)?,
            frames: traces.frames,
            footprints,
        };
        rois.check(path)?;
        if traces.rois != rois.footprints.len() {
            let count = rois.footprints.len();
            let problem = format!("it has {} traces for {count} ROIs", traces.rois);
            return Err(Error::bad_data(path, problem));
        }
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

/// The traces of a `rois.zarr`, read as far as they are asked for.
///
/// They are, as `(roi, frame)`: `"F"`, fluorescence (counts), the weighted mean
/// over the pixels that no other ROI has; `"Fneu"`, that of the neuropil;
/// `"F_demixed"`, fluorescence without neuropil and overlapping ROIs, what ΔF/F
/// is made of; `"F0"`, its baseline; `"dff"`, ΔF/F; `"events"`, deconvolved
/// (ΔF/F per frame).
#[derive(Debug)]
pub struct RoiTraces {
    path: PathBuf,
    group: GroupReader,
    rois: usize,
    frames: usize,
}

impl RoiTraces {
    /// Opens `rois.zarr`.
    ///
    /// # Errors
    /// [`Error::Stage`] or [`Error::BadData`] naming the file and the array.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        Self::of(group, path)
    }

    fn of(group: GroupReader, path: &Path) -> Result<Self, Error> {
        let mut known = None;
        for name in TRACES {
            let shape = group.shape(name).at(path.display())?;
            if shape.len() != 2 || *known.get_or_insert_with(|| shape.clone()) != shape {
                let problem = format!("{name} is {shape:?}, F is {known:?}");
                return Err(Error::bad_data(path, problem));
            }
        }
        let shape = known.unwrap_or_default();
        Ok(Self {
            path: path.to_path_buf(),
            group,
            rois: shape[0],
            frames: shape[1],
        })
    }

    /// Number of ROIs.
    pub fn rois(&self) -> usize {
        self.rois
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The traces of that name of some ROIs that follow each other, `(roi, frame)`.
    ///
    /// # Errors
    /// [`Error::Stage`] naming the file, if there is no array of that name or
    /// the range leaves it.
    pub fn rows(&self, name: &str, rois: Range<usize>) -> Result<Array2<f32>, Error> {
        let rows = self.group.rows::<f32>(name, rois).at(self.path.display())?;
        let problem = || Error::bad_data(&self.path, format!("{name} must have two axes"));
        rows.into_dimensionality().map_err(|_| problem())
    }

    /// The traces of that name of all ROIs, `(roi, frame)`.
    ///
    /// # Errors
    /// As [`RoiTraces::rows`].
    pub fn all(&self, name: &str) -> Result<Array2<f32>, Error> {
        self.rows(name, 0..self.rois)
    }

    /// The traces of that name of the ROIs chosen, in the order given, `(roi, frame)`.
    ///
    /// # Errors
    /// As [`RoiTraces::rows`].
    pub fn pick(&self, name: &str, rois: &[usize]) -> Result<Array2<f32>, Error> {
        let mut out = Array2::zeros((rois.len(), self.frames));
        for (mut row, &roi) in out.rows_mut().into_iter().zip(rois) {
            row.assign(&self.rows(name, roi..roi + 1)?.row(0));
        }
        Ok(out)
    }
}

/// Names of the arrays `(roi, frame)`.
const TRACES: [&str; 6] = ["F", "Fneu", "F_demixed", "F0", "dff", "events"];

/// Writes a `rois.zarr` some ROIs at a time, and `rois.csv` beside it with one
/// row per ROI; a reader sees all of the folder or what was there before.
pub(crate) struct RoisWriter {
    path: PathBuf,
    group: GroupWriter,
    /// As [`TRACES`].
    traces: Vec<RowWriter<f32>>,
}

impl RoisWriter {
    pub(crate) fn create(path: &Path, rois: usize, frames: usize) -> Result<Self, Error> {
        let mut group = GroupWriter::create(path).at(path.display())?;
        let traces = TRACES
            .iter()
            .map(|name| group.begin_rows(name, &[rois, frames], &["roi", "frame"]))
            .collect::<Result<_, _>>()
            .at(path.display())?;
        Ok(Self {
            path: path.to_path_buf(),
            group,
            traces,
        })
    }

    /// The next ROIs' traces but for their events, in the order of [`TRACES`].
    pub(crate) fn write(&mut self, traces: [&Array2<f32>; 5]) -> Result<(), Error> {
        for (writer, values) in self.traces.iter_mut().zip(traces) {
            writer.write(values).at(self.path.display())?;
        }
        Ok(())
    }

    /// The next ROIs' events.
    pub(crate) fn write_events(&mut self, events: &Array2<f32>) -> Result<(), Error> {
        let Some(writer) = self.traces.last_mut() else {
            return Ok(());
        };
        writer.write(events).at(self.path.display())
    }

    /// Everything else; then all is in place.
    pub(crate) fn finish(self, rois: &Rois) -> Result<(), Error> {
        let Self {
            path,
            mut group,
            traces,
        } = self;
        let place = path.display();
        for writer in traces {
            group.end(writer).at(&place)?;
        }
        let all = &rois.footprints;
        group
            .array("indptr", &aview1(all.indptr()), &["roi_boundary"])
            .at(&place)?;
        for_roi(&mut group, "indices", all.indices(), "entry").at(&place)?;
        for_roi(&mut group, "weights", all.weights(), "entry").at(&place)?;
        for_roi(&mut group, "plane", all.planes(), "roi").at(&place)?;
        let is_cell: Vec<u8> = rois.is_cell.iter().map(|&c| u8::from(c)).collect();
        for_roi(&mut group, "is_cell", &is_cell, "roi").at(&place)?;
        for_roi(&mut group, "cell", &rois.cell, "roi").at(&place)?;
        let mut meanings = Map::new();
        for (name, values) in rois.quality.columns() {
            let meaning = Quality::meaning(name).unwrap_or_default();
            meanings.insert(name.into(), meaning.into());
            if name != "plane" {
                for_roi(&mut group, name, values, "roi").at(&place)?;
            }
        }
        let image = rois.activity_image.view();
        group
            .array("activity_image", &image, &["plane", "y", "x"])
            .at(&place)?;
        for (key, value) in [
            ("height", json!(all.height())),
            ("width", json!(all.width())),
            ("frame_rate", json!(rois.frame_rate)),
            ("quality", Value::Object(meanings)),
            ("flags", json!(rois.flags)),
        ] {
            group.attribute(key, value).at(&place)?;
        }
        group.finish().at(&place)?;
        let table = rois.quality.csv(&rois.is_cell, &rois.cell, &rois.flags);
        disk::write(&path.with_extension("csv"), table.as_bytes())
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
