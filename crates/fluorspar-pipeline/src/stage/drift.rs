use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fluorspar_drift::{Drift, Epoch, Parameters, Session};
use ndarray::{Array1, Array3};
use ndarray_npy::NpzReader;

use crate::artefact::{Rois, TrackTable};
use crate::config::{self, ExperimentConfig};
use crate::error::Context;
use crate::figures::Companions;
use crate::tensor::{Window, cut_trials};
use crate::trials::{Trials, label_codes};
use crate::{Error, Observer, disk};

/// The drift stage's result with what it was computed from.
#[derive(Clone, Debug)]
pub(crate) struct DriftTables {
    /// All tables.
    pub(crate) drift: Drift,
    /// Elapsed days per session.
    pub(crate) days: Vec<f64>,
    /// What the report shows beside the tables.
    pub(crate) companions: Companions,
}

/// `rois.zarr`, `tracks.zarr` and trials tables → drift tables.
pub(crate) fn analyse_run(
    config: &ExperimentConfig,
    folders: &[PathBuf],
    tracks: &Path,
    trials: &[(&Path, &Trials)],
    observer: &dyn Observer,
) -> Result<DriftTables, Error> {
    let tracks = TrackTable::read(tracks)?;
    let variables = variables(config, trials);
    let codes = label_codes(trials, &variables)?;
    let window = Window::of(&config.epochs);
    let mut sessions = Vec::new();
    for (index, folder) in folders.iter().enumerate() {
        let rois = Rois::read(&folder.join("rois.zarr"))?;
        let activity = if config.drift.activity == "dff" {
            &rois.dff
        } else {
            &rois.events
        };
        let column = tracks.roi_index.column(index);
        let here: Vec<usize> = (0..column.len())
            .filter(|&cell| column[cell] >= 0)
            .collect();
        let chosen: Vec<usize> = here.iter().map(|&cell| column[cell] as usize).collect();
        if chosen.iter().any(|&roi| roi >= rois.footprints.len()) {
            return Err(Error::bad_data(
                folder,
                "tracks.zarr names a ROI that rois.zarr does not have; delete tracks.zarr and resume",
            ));
        }
        let (tensor, kept) = cut_trials(
            activity,
            &chosen,
            &trials[index].1.onset_s,
            window,
            rois.frame_rate,
        );
        let labels = codes[index]
            .iter()
            .map(|(name, all)| (name.clone(), kept.iter().map(|&trial| all[trial]).collect()))
            .collect();
        sessions.push(Session {
            activity: tensor,
            cell: here.iter().map(|&cell| cell as i64).collect(),
            time_s: window.time_s(rois.frame_rate),
            day: config.sessions[index].day,
            labels,
            p_same: Some(
                here.iter()
                    .map(|&cell| tracks.p_same[[cell, index]])
                    .collect(),
            ),
            ..Session::default()
        });
    }
    analyse(
        &sessions,
        &config.epochs,
        variables,
        &config.drift,
        &config.decode,
        config.experiment.seed,
        observer,
    )
}

/// The columns whose code is followed: those named, or all.
fn variables(config: &ExperimentConfig, trials: &[(&Path, &Trials)]) -> Vec<String> {
    if !config.drift.variables.is_empty() {
        return config.drift.variables.clone();
    }
    trials
        .first()
        .map(|(_, table)| {
            table
                .columns
                .keys()
                .filter(|name| trials.iter().all(|(_, t)| t.columns.contains_key(*name)))
                .cloned()
                .collect()
        })
        .unwrap_or_default()
}

/// Sessions → drift tables; shared by a run and by folders of tensors.
pub(crate) fn analyse(
    sessions: &[Session],
    epochs: &BTreeMap<String, [f64; 2]>,
    variables: Vec<String>,
    config: &config::Drift,
    decode: &config::Decode,
    seed: u64,
    observer: &dyn Observer,
) -> Result<DriftTables, Error> {
    let mut epochs: Vec<Epoch> = epochs
        .iter()
        .map(|(name, &[start_s, stop_s])| Epoch {
            name: name.clone(),
            start_s,
            stop_s,
        })
        .collect();
    epochs.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let parameters = Parameters {
        variables,
        bootstrap: config.bootstrap,
        permutations: config.permutations,
        confidence: config.confidence,
        min_p_same: config.min_p_same,
        c: decode.c,
        seed,
        ..Parameters::default()
    };
    let drift = fluorspar_drift::analyse(sessions, &epochs, &parameters, &|units| {
        observer.advance(units);
    })
    .at("drift")?;
    Ok(DriftTables {
        drift,
        days: sessions.iter().map(|session| session.day).collect(),
        companions: Companions::of(sessions, &epochs),
    })
}

/// Writes the `drift/*.csv` tables.
pub(crate) fn write_tables(folder: &Path, tables: &DriftTables) -> Result<(), Error> {
    disk::create_folder(folder)?;
    tables.companions.write(folder)?;
    // `metrics` and `crystallization` tell a resumed run that all is there: they come last.
    let mut all = tables.drift.tables();
    all.sort_by_key(|table| matches!(table.name, "metrics" | "crystallization"));
    for table in all {
        let path = folder.join(format!("{}.csv", table.name));
        disk::write(&path, table.csv().as_bytes())?;
    }
    Ok(())
}

/// Reads a folder with one `session-NN.npz` per session: `activity
/// (trial, cell, time)` f32, `cell (cell)` i64, `time_s (time)`, `day`, one
/// `label_NAME (trial)` i64 array per variable, optionally `p_same (cell)` f32.
///
/// # Errors
/// [`Error::BadData`] naming the file and the array that is missing or has
/// the wrong type or shape, or the folder if it holds no session.
pub(crate) fn load_tensors(folder: &Path) -> Result<Vec<Session>, Error> {
    let pattern = folder.join("session-*.npz");
    let mut paths: Vec<PathBuf> = glob::glob(&pattern.to_string_lossy())
        .map_err(|e| Error::Usage(format!("{}: {e}", folder.display())))?
        .filter_map(Result::ok)
        .collect();
    fluorspar_tiff::natural_order(&mut paths);
    if paths.is_empty() {
        return Err(Error::bad_data(
            folder,
            "holds no session-NN.npz; expected one file per session",
        ));
    }
    paths.iter().map(|path| load_tensor(path)).collect()
}

fn load_tensor(path: &Path) -> Result<Session, Error> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let bad = |name: &str, e: &dyn std::fmt::Display| {
        Error::bad_data(path, format!("the array {name:?}: {e}"))
    };
    let mut npz = NpzReader::new(file).map_err(|e| Error::bad_data(path, e.to_string()))?;
    let names = npz
        .names()
        .map_err(|e| Error::bad_data(path, e.to_string()))?;
    let activity: Array3<f32> = npz.by_name("activity").map_err(|e| bad("activity", &e))?;
    let cell: Array1<i64> = npz.by_name("cell").map_err(|e| bad("cell", &e))?;
    let time_s: Array1<f64> = npz.by_name("time_s").map_err(|e| bad("time_s", &e))?;
    let day: ndarray::Array0<f64> = npz.by_name("day").map_err(|e| bad("day", &e))?;
    let mut labels = BTreeMap::new();
    let mut p_same = None;
    for name in &names {
        let name = name.trim_end_matches(".npy");
        if let Some(variable) = name.strip_prefix("label_") {
            let values: Array1<i64> = npz.by_name(name).map_err(|e| bad(name, &e))?;
            labels.insert(variable.to_owned(), values.to_vec());
        } else if name == "p_same" {
            let values: Array1<f32> = npz.by_name(name).map_err(|e| bad(name, &e))?;
            p_same = Some(values.to_vec());
        }
    }
    Ok(Session {
        activity,
        cell: cell.to_vec(),
        time_s: time_s.to_vec(),
        day: day.into_scalar(),
        labels,
        p_same,
        ..Session::default()
    })
}
