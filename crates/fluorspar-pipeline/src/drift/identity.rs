//! Which ROI of a session is which cell.

use std::path::{Path, PathBuf};

use fluorspar_movie::Footprints;
use fluorspar_track::Presence;
use ndarray::{Array2, Axis};

use super::recording::Recording;
use crate::artefact::TrackTable;
use crate::error::Context;
use crate::tracking::{self, Counted, Identities, read_identities};
use crate::{Error, source};

/// A cell in one session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Member {
    /// Identity, shared by all sessions.
    pub(crate) cell: i64,
    /// Its ROI; `None` if its place was seen and nothing was found there.
    pub(crate) roi: Option<usize>,
    /// How probable it is that the ROI is this cell.
    pub(crate) p_same: f32,
}

/// Identities of the cells of all sessions.
#[derive(Debug)]
pub(crate) enum Identity {
    /// Tracks of this program, and where each cell lies in the reference
    /// session (plane, y, x), NaN if that is not known.
    Tracks(TrackTable, Array2<f32>),
    /// What another program says, and how sure each ROI is, if that is known.
    Table(Identities, Option<Array2<f32>>),
    /// Each recording says itself.
    Own,
}

impl Identity {
    /// Reads `tracks.zarr` or the folder that holds it.
    pub(crate) fn from_tracks(path: &Path) -> Result<Self, Error> {
        let table = TrackTable::read(path)?;
        let group = fluorspar_zarr::GroupReader::open(path).at(path.display())?;
        let place = group.array::<f32>("place").at(path.display())?;
        let place = place.into_dimensionality::<ndarray::Ix2>().ok();
        let place = place
            .filter(|place| place.dim() == (table.roi_index.nrows(), 3))
            .ok_or_else(|| Error::bad_data(path, "the array \"place\" must be (cell, 3)"))?;
        Ok(Self::Tracks(table, place))
    }

    /// Reads what any program says of the cells of so many sessions.
    pub(crate) fn read(path: &Path, sessions: usize) -> Result<Self, Error> {
        if !path.exists() {
            let message = "no such file, named in experiment.tracks";
            return Err(Error::bad_data(path, message));
        }
        let inner = path.join("tracks.zarr");
        let zarr = if inner.is_dir() { &inner } else { path };
        let identity = if zarr.is_dir() && source::is_zarr(zarr) {
            Self::from_tracks(zarr)?
        } else {
            let given = read_identities(path)?;
            let sure = certainty(path, &given.roi_index)?;
            Self::Table(given, sure)
        };
        let found = match &identity {
            Self::Tracks(table, _) => table.roi_index.ncols(),
            Self::Table(given, _) => given.roi_index.ncols(),
            Self::Own => sessions,
        };
        if found == sessions {
            return Ok(identity);
        }
        let message = format!("is of {found} sessions, but {sessions} are given");
        Err(Error::bad_data(path, message))
    }

    /// Where a cell lies in the reference session (plane, y, x), if that is known.
    pub(crate) fn place(&self, cell: i64) -> Option<[f64; 3]> {
        let Self::Tracks(_, places) = self else {
            return None;
        };
        let cell = usize::try_from(cell)
            .ok()
            .filter(|&cell| cell < places.nrows())?;
        let place = [0, 1, 2].map(|axis| f64::from(places[[cell, axis]]));
        place.iter().all(|v| v.is_finite()).then_some(place)
    }

    /// How many cells [`Identity::members`] gives of one session, if that can
    /// be told without its recording.
    pub(crate) fn count(&self, session: usize, silent: bool) -> Option<usize> {
        let found = |index: &Array2<i32>| {
            let column = index.column(session);
            column.iter().filter(|&&roi| roi >= 0).count()
        };
        match self {
            Self::Tracks(table, _) => {
                let undetected = table.presence.column(session);
                let undetected = undetected.iter().filter(|&&p| p == Presence::Undetected);
                let silent = if silent { undetected.count() } else { 0 };
                Some(found(&table.roi_index) + silent)
            }
            Self::Table(given, _) => Some(found(&given.roi_index)),
            Self::Own => None,
        }
    }

    /// The cells of one session. Undetected ones are among them only if
    /// `silent`, that is if they are to count as seen and silent.
    pub(crate) fn members(
        &self,
        session: usize,
        recording: &Recording,
        silent: bool,
    ) -> Result<Vec<Member>, Error> {
        let member = |cell: usize, roi: i32, p_same: f32| Member {
            cell: cell as i64,
            roi: usize::try_from(roi).ok(),
            p_same,
        };
        let members: Vec<Member> = match self {
            Self::Tracks(table, _) => {
                let column = table.roi_index.column(session);
                let found = column.iter().enumerate().filter_map(|(cell, &roi)| {
                    let undetected = table.presence[[cell, session]] == Presence::Undetected;
                    if roi >= 0 {
                        Some(member(cell, roi, table.p_same[[cell, session]]))
                    } else {
                        (silent && undetected).then(|| member(cell, -1, 1.0))
                    }
                });
                found.collect()
            }
            Self::Table(given, sure) => {
                let column = among_all(given, session, recording)?;
                let found = column.into_iter().enumerate().filter(|&(_, roi)| roi >= 0);
                found
                    .map(|(cell, roi)| {
                        let p_same = sure.as_ref().map_or(1.0, |p| p[[cell, session]]);
                        member(cell, roi, p_same)
                    })
                    .collect()
            }
            Self::Own => own(recording)?,
        };
        let most = recording.rois();
        match members
            .iter()
            .filter_map(|m| m.roi)
            .find(|&roi| roi >= most)
        {
            None => Ok(members),
            Some(roi) => Err(Error::bad_data(
                &recording.path,
                format!("has {most} ROIs, but the tracks name ROI {roi} of it (counted from 0)"),
            )),
        }
    }
}

/// The cells of a recording that names them itself; negative numbers are none.
fn own(recording: &Recording) -> Result<Vec<Member>, Error> {
    let Some(identity) = &recording.identity else {
        return Err(Error::bad_data(
            &recording.path,
            "does not say which cell is which; name tracks in [experiment] (tracks.zarr of \
             `fluorspar track`, or results of CellReg, ROICaT or Track2p), or the column of an \
             NWB file with [nwb] cell",
        ));
    };
    let mut members: Vec<Member> = recording
        .cells
        .iter()
        .filter(|&&roi| identity[roi] >= 0)
        .map(|&roi| Member {
            cell: identity[roi],
            roi: Some(roi),
            p_same: 1.0,
        })
        .collect();
    members.sort_by_key(|member| member.cell);
    if let Some(pair) = members.windows(2).find(|pair| pair[0].cell == pair[1].cell) {
        let message = format!("gives cell {} to two ROIs", pair[0].cell);
        return Err(Error::bad_data(&recording.path, message));
    }
    Ok(members)
}

/// The ROI of each cell in one session, counted among all ROIs of it.
fn among_all(given: &Identities, session: usize, recording: &Recording) -> Result<Vec<i32>, Error> {
    let column = given.roi_index.column(session);
    let counted = match &given.counted {
        Counted::Among(counts) => {
            Counted::Among(counts.get(session).copied().into_iter().collect())
        }
        other => other.clone(),
    };
    let alone = Identities {
        roi_index: column.to_owned().insert_axis(Axis(1)),
        counted,
    };
    let session = tracking::Session {
        path: recording.path.clone(),
        footprints: Footprints::new(1, 1),
        numbers: recording.cells.clone(),
        all: recording.rois(),
        mean_image: None,
        pixel_size: 1.0,
    };
    let alone = alone
        .among_all(&[session])
        .map_err(|reason| Error::bad_data(&recording.path, format!("the tracks file {reason}")))?;
    Ok(alone.roi_index.into_iter().collect())
}

/// The column `p_same` of a table of cells, sessions and ROIs, if it has one.
fn certainty(path: &Path, index: &Array2<i32>) -> Result<Option<Array2<f32>>, Error> {
    let path: PathBuf = if path.is_dir() {
        path.join("tracks.csv")
    } else {
        path.to_path_buf()
    };
    if path
        .extension()
        .is_none_or(|e| !e.eq_ignore_ascii_case("csv"))
    {
        return Ok(None);
    }
    let bad = |reason: String| Error::bad_data(&path, reason);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(&path)
        .map_err(|e| bad(e.to_string()))?;
    let header = reader.headers().map_err(|e| bad(e.to_string()))?;
    let column = |name: &str| header.iter().position(|known| known == name);
    let (Some(session), Some(roi), Some(p_same)) =
        (column("session"), column("roi"), column("p_same"))
    else {
        return Ok(None);
    };
    // Rows are told by session and ROI: cells may have any numbers.
    let mut known = std::collections::HashMap::new();
    for row in reader.records() {
        let row = row.map_err(|e| bad(e.to_string()))?;
        let get = |at: usize| row.get(at).unwrap_or_default();
        let (Ok(session), Ok(roi)) = (get(session).parse::<usize>(), get(roi).parse::<i32>())
        else {
            continue;
        };
        if roi < 0 {
            continue;
        }
        let text = get(p_same);
        let p: f32 = text
            .parse()
            .ok()
            .filter(|p| (0.0..=1.0).contains(p))
            .ok_or_else(|| bad(format!("p_same of ROI {roi} is {text:?}, not 0 to 1")))?;
        known.insert((session, roi), p);
    }
    let sure = Array2::from_shape_fn(index.dim(), |(cell, session)| {
        let found = known.get(&(session, index[[cell, session]]));
        found.copied().unwrap_or(1.0)
    });
    Ok(Some(sure))
}
