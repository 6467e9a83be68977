//! NWB files as recordings: responses of ROIs, what the table of ROIs says of
//! them, and the table of trials.

mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hdf5_pure::Datatype;
use ndarray::Array2;

use self::tree::{Kind, Series, Tree};
use super::activity::Activity;
use super::clock::Clock;
use super::recording::{Making, Recording, mean};
use crate::Error;
use crate::config::Nwb;
use crate::trials::Trials;

/// Column of the times of trials in NWB.
const START: &str = "start_time";
/// Columns that say which ROIs count as cells, as Suite2p and CaImAn write them.
const IS_CELL: [&str; 4] = ["iscell", "is_cell", "accepted", "Accepted"];

/// Reads activity of all ROIs.
pub(crate) fn read(path: &Path, settings: &Nwb, making: &Making<'_>) -> Result<Recording, Error> {
    let bad = |reason: String| Error::bad_data(path, reason);
    let tree = Tree::open(path)?;
    let series = choose(&tree, settings, making).map_err(bad)?;
    let (data, clock) = responses(&tree, &series, making, path)?;
    let rate = clock.frame_rate();
    let mut covariates = BTreeMap::new();
    if series.kind == Kind::Fluorescence
        && let Some(value) = mean(data.iter().map(|&v| f64::from(v)))
    {
        covariates.insert("mean_fluorescence".to_owned(), value);
    }
    let dff = if series.kind == Kind::Fluorescence {
        let around = match tree.neuropil_of(&series) {
            Some(around) => Some(responses(&tree, &around, making, path)?.0),
            None => None,
        };
        let around = around.filter(|around| around.dim() == data.dim());
        let around = around.as_ref().map(|around| around.view());
        making.delta(data.view(), around, rate, path)?
    } else {
        data
    };
    let activity = if making.events() && series.kind != Kind::Events {
        making.deconvolved(dff.view(), rate, path)?
    } else {
        dff
    };
    let mut recording = Recording::new(path, Activity::held(activity), clock);
    recording.covariates = covariates;
    describe(&tree, &series, settings, &mut recording).map_err(bad)?;
    Ok(recording)
}

/// The table of trials and its name, aligned on `onset`, if there is one.
pub(crate) fn read_trials(
    path: &Path,
    settings: &Nwb,
    onset: Option<&str>,
) -> Result<Option<(PathBuf, Trials)>, Error> {
    let bad = |reason: String| Error::bad_data(path, reason);
    let tree = Tree::open(path)?;
    let named = settings.trials.as_deref();
    let name = named.unwrap_or("intervals/trials").trim_matches('/');
    match trials(&tree, name, onset.unwrap_or(START)).map_err(bad)? {
        Some(table) => Ok(Some((path.to_path_buf(), table))),
        None if named.is_some() => {
            Err(bad(format!("holds no table {name:?}, named in nwb.trials")))
        }
        None => Ok(None),
    }
}

/// The series that activity is taken from, or made of.
fn choose(tree: &Tree, settings: &Nwb, making: &Making<'_>) -> Result<Series, String> {
    let found = tree.series();
    let listed = |all: &[&Series]| {
        let names: Vec<&str> = all.iter().map(|s| s.path.as_str()).collect();
        names.join(", ")
    };
    let all: Vec<&Series> = found.iter().collect();
    if let Some(name) = &settings.series {
        let name = name.trim_matches('/');
        let series = found.iter().find(|s| s.path == name).ok_or_else(|| {
            let known = listed(&all);
            format!("holds no series {name:?}, named in nwb.series (there are: {known})")
        })?;
        if series.kind == Kind::Events && !making.events() {
            return Err(format!(
                "{name} holds events, but drift.activity asks for dff; change one of them"
            ));
        }
        return Ok(series.clone());
    }
    let order: &[Kind] = if making.events() {
        &[Kind::Events, Kind::DeltaF, Kind::Fluorescence]
    } else {
        &[Kind::DeltaF, Kind::Fluorescence]
    };
    for kind in order {
        let of_kind: Vec<&Series> = found.iter().filter(|s| s.kind == *kind).collect();
        match of_kind.as_slice() {
            [] => {}
            [one] => return Ok((*one).clone()),
            several => {
                let known = listed(several);
                return Err(format!(
                    "holds several series; name one with [nwb] series (there are: {known})"
                ));
            }
        }
    }
    Err("holds no responses of ROIs: no RoiResponseSeries in processing".into())
}

/// Responses `(roi, frame)` and when frames were taken.
fn responses(
    tree: &Tree,
    series: &Series,
    making: &Making<'_>,
    path: &Path,
) -> Result<(Array2<f32>, Clock), Error> {
    let bad = |reason: String| Error::bad_data(path, format!("{}: {reason}", series.path));
    let name = |leaf: &str| format!("{}/{leaf}", series.path);
    let (shape, mut values) = tree.numbers(&name("data")).map_err(bad)?;
    let (frames, rois) = match shape[..] {
        [frames, rois] => (frames, rois),
        [frames] => (frames, 1),
        _ => return Err(bad(format!("data must be (frame, roi), not {shape:?}"))),
    };
    let scale = tree.attribute(&name("data"), "conversion").unwrap_or(1.0);
    let offset = tree.attribute(&name("data"), "offset").unwrap_or(0.0);
    if scale != 1.0 || offset != 0.0 {
        for value in &mut values {
            *value = (f64::from(*value) * scale + offset) as f32;
        }
    }
    let stamps = if tree.has(&name("timestamps")) {
        Some(tree.times(&name("timestamps")).map_err(bad)?)
    } else {
        None
    };
    let members = tree.whole(&name("rois")).ok().map(|rois| rois.len());
    // The standard has frames first; files that have not are told by their times.
    let sideways = match &stamps {
        Some(stamps) => stamps.len() == rois && stamps.len() != frames,
        None => members.is_some_and(|count| count == frames && count != rois),
    };
    let (frames, rois, data) = if sideways && shape.len() == 2 {
        (rois, frames, Array2::from_shape_vec((frames, rois), values))
    } else {
        let data = Array2::from_shape_vec((frames, rois), values);
        (frames, rois, data.map(ndarray::ArrayBase::reversed_axes))
    };
    let data = data.map_err(|e| bad(e.to_string()))?;
    let clock = match stamps {
        Some(stamps) if stamps.len() == frames => Clock::stamped(stamps).map_err(bad)?,
        Some(stamps) => {
            let times = stamps.len();
            return Err(bad(format!("has {frames} frames but {times} timestamps")));
        }
        None => {
            let start = tree.number(&name("starting_time")).unwrap_or(0.0);
            let rate = tree.attribute(&name("starting_time"), "rate");
            Clock::regular_from(start, making.rate(path, rate)?)
        }
    };
    if let Some(members) = members.filter(|&count| count != rois) {
        return Err(bad(format!(
            "has responses of {rois} ROIs but names {members}"
        )));
    }
    Ok((data.as_standard_layout().into_owned(), clock))
}

/// What the table of ROIs says of each.
fn describe(
    tree: &Tree,
    series: &Series,
    settings: &Nwb,
    recording: &mut Recording,
) -> Result<(), String> {
    let rois = recording.rois();
    let Some(table) = tree.segmentation(settings.segmentation.as_deref())? else {
        let asked = settings.cell.is_some() || settings.group.is_some();
        return if asked {
            Err("holds no PlaneSegmentation, whose columns [nwb] names".into())
        } else {
            Ok(())
        };
    };
    // Row of the table that each ROI of the series is.
    let rows = match tree.whole(&format!("{}/rois", series.path)) {
        Ok(rows) => rows,
        Err(_) => (0..rois as i64).collect(),
    };
    let of = |name: &str, length: usize| {
        let rows = rows.iter().map(|&row| {
            let row = usize::try_from(row).ok().filter(|&row| row < length);
            row.ok_or_else(|| format!("{}: its rois are not rows of {table}/{name}", series.path))
        });
        rows.collect::<Result<Vec<usize>, String>>()
    };
    if let Some(name) = settings
        .cell
        .as_deref()
        .or_else(|| tree.first(&table, &["cell_id"]))
    {
        let values = tree
            .whole(&format!("{table}/{name}"))
            .map_err(|e| format!("{e}; it is asked for by nwb.cell"))?;
        let rows = of(name, values.len())?;
        recording.identity = Some(rows.into_iter().map(|row| values[row]).collect());
    }
    if let Some(name) = settings.group.as_deref() {
        let values = tree
            .texts(&format!("{table}/{name}"))
            .map_err(|e| format!("{e}; it is asked for by nwb.group"))?;
        let rows = of(name, values.len())?;
        recording.group = Some(rows.into_iter().map(|row| values[row].clone()).collect());
    }
    if let Some(name) = tree.first(&table, &IS_CELL) {
        let (shape, values) = tree.numbers(&format!("{table}/{name}"))?;
        let columns = shape.get(1).copied().unwrap_or(1).max(1);
        let rows = of(name, shape.first().copied().unwrap_or(0))?;
        recording.cells = (0..rois)
            .filter(|&roi| values.get(rows[roi] * columns).is_some_and(|&v| v > 0.0))
            .collect();
    }
    Ok(())
}

/// The table of trials: its columns of one value per trial.
fn trials(tree: &Tree, table: &str, onset: &str) -> Result<Option<Trials>, String> {
    let names = tree.datasets(table);
    if names.is_empty() {
        return Ok(None);
    }
    let rows = tree.length(&format!("{table}/{START}"))?;
    let mut columns = Vec::new();
    for name in &names {
        let ragged = names.iter().any(|other| *other == format!("{name}_index"));
        let path = format!("{table}/{name}");
        if name == "id" || name.ends_with("_index") || ragged || tree.length(&path) != Ok(rows) {
            continue;
        }
        // Columns of references to other tables hold nothing to read.
        let readable = !matches!(
            tree.kind(&path),
            Some(Datatype::Reference { .. } | Datatype::Compound { .. }) | None
        );
        if readable {
            columns.push((name.clone(), tree.texts(&path)?));
        }
    }
    let place = |trial: usize| format!("{table}, row {trial}");
    Trials::from_columns(columns, onset, &place)
        .map(Some)
        .map_err(|reason| format!("{table}: {reason}"))
}
