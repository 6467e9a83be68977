//! Drift of an experiment, from whoever's files it starts.

mod activity;
mod areas;
mod assemble;
mod behaviour;
mod checks;
mod clock;
mod cut;
#[cfg(test)]
mod damage;
mod demand;
mod identity;
mod input;
mod nwb;
#[cfg(feature = "parquet")]
mod parquet;
mod prepare;
mod recording;
mod rois;
mod sizes;
mod suite2p;
mod tables;
mod tensor;
mod window;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_drift::planted::{PlantedRow, Planting};
use fluorspar_drift::{Drift, Inclusion, Parameters, Tabular as _, planted_drift};
use serde::Serialize;

pub(crate) use checks::check_times;
pub(crate) use clock::Clock;
pub(crate) use cut::Layout;
pub(crate) use demand::{Questions, SessionSize, workspace};
pub(crate) use prepare::{Experiment, Prepared};
pub(crate) use tables::write_tables;

use crate::config::{Epoch, ExperimentConfig};
use crate::error::Context;
use crate::{Error, Observer, disk, figures};

/// What to ask of a drift analysis beyond, or instead of, what the
/// configuration says; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DriftOptions {
    /// Named windows of the trial.
    pub epochs: Option<BTreeMap<String, Epoch>>,
    /// Labels whose code is followed.
    pub variables: Option<Vec<String>>,
    /// What a cell's activity is: `"events"` or `"dff"`.
    pub activity: Option<String>,
    /// Cells that two sessions are compared on; see [`crate::config::Drift::inclusion`].
    pub inclusion: Option<String>,
    /// Only cells of this area or other group.
    pub group: Option<String>,
    /// Matches less sure than this are left out.
    pub min_p_same: Option<f64>,
    /// Bootstrap resamples behind each interval.
    pub bootstrap: Option<usize>,
    /// Permutations behind each p value.
    pub permutations: Option<usize>,
    /// Seed of every random draw.
    pub seed: Option<u64>,
    /// Experiments per planted law; see [`crate::config::Drift::plant`].
    pub plant: Option<usize>,
    /// Format of the tables; see [`crate::config::Drift::tables`].
    pub tables: Option<String>,
    /// Memory that the analysis may hold, bytes. What would take more is
    /// refused before traces are read; without it, nothing is.
    pub memory: Option<usize>,
}

/// What was analysed and where the results are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftSummary {
    /// The page with figures.
    pub report: PathBuf,
    /// The tables.
    pub tables: Vec<PathBuf>,
    /// The sessions, in order.
    pub sessions: Vec<SessionSummary>,
    /// Names of the epochs, by start.
    pub epochs: Vec<String>,
    /// Labels whose code was followed.
    pub variables: Vec<String>,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// What one session brought to the analysis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionSummary {
    /// Elapsed days.
    pub day: f64,
    /// Trials.
    pub trials: usize,
    /// Cells with an identity.
    pub cells: usize,
    /// How many of them could be seen at all.
    pub present: usize,
    /// Names of what is known of behaviour.
    pub behaviour: Vec<String>,
    /// Cells of each group.
    pub groups: BTreeMap<String, usize>,
    /// Numbers of the session that could explain a change.
    pub covariates: BTreeMap<String, f64>,
}

/// Analyses the drift of `input` and writes tables and `report.html` into `out`.
///
/// Traces of a `rois.zarr` are read some at a time; the trials cut from them
/// are in memory together. `input` is an `experiment.toml` whose sessions name ROIs, results of
/// Suite2p, NWB files or tensors; the output folder of [`crate::run()`]; or a
/// folder with one `session-NN.npz` per session.
///
/// # Errors
/// [`Error::Config`] and [`Error::Usage`] for what is asked, the former too
/// for what does not fit into [`DriftOptions::memory`], and
/// [`Error::BadData`] naming the file for what is read; then nothing is
/// written. [`Error::Io`] if `out` cannot be written.
pub fn drift(
    input: &Path,
    out: &Path,
    options: &DriftOptions,
    observer: &dyn Observer,
) -> Result<DriftSummary, Error> {
    let begun = Instant::now();
    let input = input::Input::open(input, options)?;
    let fresh = !out.exists();
    disk::check_writable(out)?;
    let done = analyse_into(&input, out, begun, observer);
    if done.is_err() && fresh {
        // Only if nothing is in it: tables that are whole may stay.
        let _ = std::fs::remove_dir(out);
    }
    done.map(|(_, summary)| summary)
}

/// Analyses several animals, each `input` as in [`drift()`], and all together.
///
/// Each gets a folder in `out` named after its input; `out/study.csv` holds
/// the tests of crystallization with the animal as the unit
/// ([`fluorspar_drift::study`]). All animals are analysed with the seed and
/// settings of the first.
///
/// # Errors
/// As [`drift()`], [`Error::Usage`] if two inputs have one name.
pub fn drift_study(
    inputs: &[PathBuf],
    out: &Path,
    options: &DriftOptions,
    observer: &dyn Observer,
) -> Result<(Vec<DriftSummary>, PathBuf), Error> {
    let names = animal_names(inputs)?;
    // All are looked at before the first is analysed.
    let opened = inputs
        .iter()
        .map(|input| input::Input::open(input, options))
        .collect::<Result<Vec<_>, _>>()?;
    disk::check_writable(out)?;
    let mut summaries = Vec::new();
    let mut animals = Vec::new();
    for (input, name) in opened.iter().zip(&names) {
        let folder = out.join(name);
        disk::create_folder(&folder)?;
        let (drift, summary) = analyse_into(input, &folder, Instant::now(), observer)?;
        animals.push(drift);
        summaries.push(summary);
    }
    let parameters = match opened.first() {
        Some(first) => parameters(&[], &first.config),
        None => Parameters::default(),
    };
    let rows = fluorspar_drift::study(&animals, &parameters).at("study")?;
    let path = out.join("study.csv");
    let table = fluorspar_drift::CrystallizationRow::table(&rows);
    disk::write(&path, table.csv().as_bytes())?;
    Ok((summaries, path))
}

/// A folder name for each input: its file stem, or its folder's name if it is
/// called experiment.toml as all of them are.
fn animal_names(inputs: &[PathBuf]) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    for input in inputs {
        let whole = std::path::absolute(input).map_err(|e| Error::io(input, e))?;
        let named = match whole.file_stem() {
            Some(stem) if stem == "experiment" => whole.parent().and_then(Path::file_name),
            stem => stem,
        };
        let name = named.unwrap_or_default().to_string_lossy().into_owned();
        if name.is_empty() || names.contains(&name) {
            return Err(Error::Usage(format!(
                "{}: two inputs would both be called {name:?}; rename one",
                input.display()
            )));
        }
        names.push(name);
    }
    Ok(names)
}

fn analyse_into(
    input: &input::Input,
    out: &Path,
    begun: Instant,
    observer: &dyn Observer,
) -> Result<(Drift, DriftSummary), Error> {
    observer.start("reading", 0);
    let prepared = input.experiment().prepare(observer)?;
    observer.finish("reading", begun.elapsed().as_secs_f64());
    let started = Instant::now();
    observer.start("drift", 0);
    let drift = analyse(&prepared, &input.config, observer)?;
    figures::Companions::of(&prepared.sessions, &prepared.epochs).write(out)?;
    let tables = write_tables(out, &drift, &input.config.drift.tables)?;
    let days: Vec<f64> = prepared
        .sessions
        .iter()
        .map(|session| session.day)
        .collect();
    let page = figures::drift_report(&input.config.experiment.name, out, &days)?;
    let report = out.join("report.html");
    disk::write(&report, page.as_bytes())?;
    observer.finish("drift", started.elapsed().as_secs_f64());
    let summary = DriftSummary {
        report,
        tables,
        sessions: prepared.sessions.iter().map(summary).collect(),
        epochs: prepared.epochs.iter().map(|e| e.name.clone()).collect(),
        variables: prepared.variables,
        seconds: begun.elapsed().as_secs_f64(),
    };
    Ok((drift, summary))
}

/// Computes all tables.
pub(crate) fn analyse(
    prepared: &Prepared,
    config: &ExperimentConfig,
    observer: &dyn Observer,
) -> Result<Drift, Error> {
    let parameters = parameters(&prepared.variables, config);
    let mut drift = fluorspar_drift::analyse(
        &prepared.sessions,
        &prepared.epochs,
        &parameters,
        &|units| {
            observer.advance(units);
        },
    )
    .at("drift")?;
    if config.drift.plant > 0 {
        let planting = Planting {
            repetitions: config.drift.plant,
            ..Planting::usual(&prepared.sessions)
        };
        let rows = planted_drift(&prepared.sessions, &prepared.epochs, &parameters, &planting)
            .at("planted drift")?;
        drift.more.push(PlantedRow::table(&rows));
    }
    Ok(drift)
}

fn parameters(variables: &[String], config: &ExperimentConfig) -> Parameters {
    let settings = &config.drift;
    Parameters {
        variables: variables.to_vec(),
        bootstrap: settings.bootstrap,
        permutations: settings.permutations,
        confidence: settings.confidence,
        inclusion: Inclusion::named(&settings.inclusion).unwrap_or_default(),
        group: settings.group.clone(),
        min_p_same: settings.min_p_same,
        min_cells: settings.min_cells,
        min_trials: settings.min_trials,
        time_bins: settings.time_bins,
        false_discovery: settings.false_discovery,
        c: config.decode.c,
        seed: config.experiment.seed,
    }
}

fn summary(session: &fluorspar_drift::Session) -> SessionSummary {
    let mut groups = BTreeMap::new();
    for group in session.group.iter().flatten() {
        *groups.entry(group.clone()).or_insert(0) += 1;
    }
    let cells = session.cell.len();
    SessionSummary {
        day: session.day,
        trials: session.activity.dim().0,
        cells,
        present: match &session.present {
            Some(present) => present.iter().filter(|&&present| present).count(),
            None => cells,
        },
        behaviour: session.behaviour.keys().cloned().collect(),
        groups,
        covariates: session.covariates.clone(),
    }
}
