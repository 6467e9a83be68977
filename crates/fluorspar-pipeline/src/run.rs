//! One experiment from raw files to a report, stage by stage, resumable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_movie::{Budget, Movie};
use serde::{Deserialize, Serialize};

use crate::config::ExperimentConfig;
use crate::disk::{self, Fingerprint, FolderLock};
use crate::drift::{self, Clock, Layout, check_times};
use crate::trials::{ONSET, Trials};
use crate::{Error, Observer, figures, source, stage};

/// What to do with an output folder that already holds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and stop with [`Error::Usage`].
    Refuse,
    /// Recompute only what is missing or whose inputs or configuration changed.
    Resume,
    /// Recompute everything, replacing each artefact when its successor is whole.
    Overwrite,
}

/// Where and how to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Output folder.
    pub out: PathBuf,
    /// What to do if it holds a run already.
    pub existing: Existing,
    /// Memory that the run may hold, in bytes.
    pub memory: usize,
}

/// What a finished run says about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Output folder.
    pub out: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// ROIs per session that count as cells.
    pub rois: Vec<usize>,
    /// Cells in all, matched or not.
    pub cells: usize,
    /// Cells seen in at least two sessions.
    pub matched_cells: usize,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Peak resident memory in bytes, where the system says.
    pub peak_memory_bytes: Option<u64>,
}

/// The content of `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RunRecord {
    fluorspar: String,
    config: ExperimentConfig,
    /// The folder that relative names of the configuration start from.
    #[serde(default)]
    folder: PathBuf,
    threads: usize,
    memory: usize,
    inputs: BTreeMap<String, String>,
    stages: BTreeMap<String, StageRecord>,
    peak_memory_bytes: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StageRecord {
    fingerprint: String,
    seconds: f64,
}

/// One session, opened and checked.
struct Input {
    movie: Box<dyn Movie>,
    frame_rate: f64,
    trials: Option<(PathBuf, Trials)>,
    fingerprint: String,
    folder: PathBuf,
}

/// Runs a whole experiment: every stage of every session, tracking, drift, report.
///
/// `config_path` is the file that `config` came from; relative paths start
/// from its folder. Everything that can be checked is checked before the
/// first stage starts. Artefacts appear whole or not at all.
///
/// # Errors
/// [`Error::Config`], [`Error::BadData`], [`Error::Stage`] naming the file or
/// session, [`Error::Usage`] if the folder holds a run and
/// [`Existing::Refuse`] was asked for, [`Error::Stopped`] if the observer
/// asked for it.
pub fn run(
    config: &ExperimentConfig,
    config_path: &Path,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Result<RunSummary, Error> {
    let begun = Instant::now();
    let inputs = open_inputs(config, config_path, &options.out, observer)?;
    let folder = ExperimentConfig::folder(config_path);
    let mut ledger = Ledger::open(config, &folder, options)?;
    for (index, input) in inputs.iter().enumerate() {
        ledger.record.inputs.insert(
            format!("session-{:02}", index + 1),
            input.fingerprint.clone(),
        );
        disk::create_folder(&input.folder)?;
        disk::remove_leftovers(&input.folder)?;
    }
    let budget = Budget {
        bytes: (options.memory / 4).max(16 << 20),
    };

    let mut session_keys = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let key = run_session(config, index, input, budget, &mut ledger, observer)
            .map_err(|error| in_session(index, error))?;
        session_keys.push(key);
    }

    let folders: Vec<PathBuf> = inputs.iter().map(|input| input.folder.clone()).collect();
    let tracks_path = options.out.join("tracks.zarr");
    // Tracks of the first format say nothing of presence.
    let mut key = Fingerprint::new("track, format 2");
    key.add_config(&config.track);
    key.add_config(&config.experiment.pixel_size_um);
    for session in &session_keys {
        key.add(session.as_bytes());
    }
    let tracks_key = key.finish();
    ledger.step("track", &tracks_key, &[&tracks_path], 0, observer, || {
        stage::track(config, &folders, &tracks_path, observer)
    })?;

    let drift_folder = options.out.join("drift");
    let experiment = drift::Experiment {
        config,
        path: config_path,
        folder: &folder,
        run: Some(&options.out),
    };
    let mut key = Fingerprint::new("drift");
    key.add(tracks_key.as_bytes());
    key.add_config(&(
        &config.trials,
        &config.epochs,
        &config.decode,
        &config.drift,
    ));
    key.add_config(&config.experiment);
    let mut tables: Vec<PathBuf> = Vec::new();
    for session in &config.sessions {
        key.add_config(&(session.day, session.practice, session.video_rate));
        tables.extend(
            [&session.trials, &session.behaviour]
                .into_iter()
                .flatten()
                .map(|n| folder.join(n)),
        );
    }
    let areas = config
        .experiment
        .areas
        .iter()
        .filter(|name| *name != "plane");
    tables.extend(areas.map(|name| folder.join(name)));
    for path in &tables {
        key.add(&std::fs::read(path).map_err(|e| Error::io(path, e))?);
    }
    let drift_key = key.finish();
    if drift_folder.is_dir() {
        disk::remove_leftovers(&drift_folder)?;
    }
    let metrics = drift_folder.join("metrics.csv");
    let crystallization = drift_folder.join("crystallization.csv");
    if inputs.iter().all(|input| input.trials.is_some()) {
        ledger.step(
            "drift",
            &drift_key,
            &[&metrics, &crystallization],
            0,
            observer,
            || {
                let prepared = experiment.prepare(observer)?;
                let found = drift::analyse(&prepared, config, observer)?;
                figures::Companions::of(&prepared.sessions, &prepared.epochs)
                    .write(&drift_folder)?;
                drift::write_tables(&drift_folder, &found, &config.drift.tables).map(|_| ())
            },
        )?;
    } else {
        observer.warn("no trials tables: drift is not computed");
    }

    let report = options.out.join("report.html");
    let mut key = Fingerprint::new("report");
    key.add(drift_key.as_bytes());
    key.add(config.experiment.name.as_bytes());
    ledger.step("report", &key.finish(), &[&report], 0, observer, || {
        let page = figures::run_report(config, &folders, &options.out)?;
        disk::write(&report, page.as_bytes())
    })?;
    ledger.save()?;

    let tracks = crate::TrackTable::read(&tracks_path)?;
    let mut rois = Vec::new();
    for folder in &folders {
        rois.push(crate::Rois::read(&folder.join("rois.zarr"))?.cells().len());
    }
    Ok(RunSummary {
        out: options.out.clone(),
        report,
        rois,
        cells: tracks.roi_index.nrows(),
        matched_cells: tracks.matched_cells(),
        seconds: begun.elapsed().as_secs_f64(),
        peak_memory_bytes: disk::peak_memory(),
    })
}

/// The configuration of a run as it is in `run.json`, and the folder that
/// relative names in it start from.
pub(crate) fn recorded(path: &Path) -> Result<(ExperimentConfig, PathBuf), Error> {
    let text = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let record: RunRecord = serde_json::from_slice(&text)
        .map_err(|e| Error::bad_data(path, format!("is not the record of a run: {e}")))?;
    Ok((record.config, record.folder))
}

/// The name that people know a session by.
fn in_session(index: usize, error: Error) -> Error {
    match error {
        Error::Stage { place, source } => Error::Stage {
            place: format!("session {}, {place}", index + 1),
            source,
        },
        other => other,
    }
}

/// Opens every movie and trials table and checks them against each other.
fn open_inputs(
    config: &ExperimentConfig,
    config_path: &Path,
    out: &Path,
    observer: &dyn Observer,
) -> Result<Vec<Input>, Error> {
    let folder = ExperimentConfig::folder(config_path);
    let mut inputs: Vec<Input> = Vec::new();
    for (index, session) in config.sessions.iter().enumerate() {
        let Some(name) = &session.movie else {
            let message = format!(
                "session {}: names no movie; sessions that others analysed are for `fluorspar drift`",
                index + 1
            );
            return Err(Error::config(config_path, message));
        };
        let paths = source::find_files(name, &folder)?;
        let movie = source::open_session(&paths, session.frames)
            .map_err(|error| in_session(index, error))?;
        let shape = movie.shape();
        if shape.frames == 0 {
            return Err(Error::bad_data(&paths[0], "the movie has no frames"));
        }
        let frame_rate = match (config.experiment.frame_rate, movie.frame_rate()) {
            (Some(stated), Some(found)) if (stated / found - 1.0).abs() > 0.01 => {
                observer.warn(&format!(
                    "{}: the file says {found} Hz, experiment.frame_rate says {stated} Hz; using {stated}",
                    paths[0].display()
                ));
                stated
            }
            (Some(stated), _) => stated,
            (None, Some(found)) => found,
            (None, None) => {
                return Err(Error::config(
                    config_path,
                    format!(
                        "experiment.frame_rate is missing and {} does not say its own; \
                         give it in Hz",
                        paths[0].display()
                    ),
                ));
            }
        };
        if let Some(first) = inputs.first() {
            let other = first.movie.shape();
            if (shape.height, shape.width) != (other.height, other.width) {
                return Err(Error::bad_data(
                    &paths[0],
                    format!(
                        "is {} × {} px, but session 1 is {} × {} px",
                        shape.height, shape.width, other.height, other.width
                    ),
                ));
            }
        }
        let trials = match &session.trials {
            None => None,
            Some(name) => {
                let path = folder.join(name);
                let onset = config.trials.onset.as_deref().unwrap_or(ONSET);
                let trials = Trials::read_with(&path, onset)?;
                let (trials, _) = trials.without(&config.trials.exclude, &path)?;
                let clock = Clock::regular(frame_rate);
                let alone = [(path.as_path(), &trials)];
                let layout = Layout::new(&config.epochs, config.trials.bin_s, &alone)?;
                check_times(&path, &trials, &layout, &clock, shape.frames, &())?;
                Some((path, trials))
            }
        };
        let mut fingerprint = Fingerprint::new("movie");
        fingerprint.add(disk::fingerprint_input(&paths)?.as_bytes());
        fingerprint.add_config(&session.frames);
        fingerprint.add_config(&frame_rate);
        inputs.push(Input {
            movie,
            frame_rate,
            trials,
            fingerprint: fingerprint.finish(),
            folder: out.join(format!("session-{:02}", index + 1)),
        });
    }
    let tables: Option<Vec<(&Path, &Trials)>> = inputs
        .iter()
        .map(|input| input.trials.as_ref().map(|(path, t)| (path.as_path(), t)))
        .collect();
    if let Some(tables) = tables {
        crate::trials::label_codes(&tables, &config.drift.variables)?;
    }
    Ok(inputs)
}

/// Registration, denoising and cells of one session; returns what they depend on.
fn run_session(
    config: &ExperimentConfig,
    index: usize,
    input: &Input,
    budget: Budget,
    ledger: &mut Ledger,
    observer: &dyn Observer,
) -> Result<String, Error> {
    let frames = input.movie.shape().frames as u64;
    let folder = &input.folder;
    let at = |stage: &str| format!("session-{:02}/{stage}", index + 1);
    let registered = folder.join("registered.zarr");

    let mut key = Fingerprint::new("register");
    key.add(input.fingerprint.as_bytes());
    let settings = &config.register;
    key.add_config(&(
        &settings.mode,
        settings.max_shift_fraction,
        settings.line_offset,
    ));
    let register_key = key.finish();
    let mut key = Fingerprint::new("denoise");
    key.add(register_key.as_bytes());
    key.add_config(&config.denoise);
    key.add_config(&config.experiment.seed);
    let denoise_key = key.finish();
    let mut key = Fingerprint::new("cells");
    key.add(denoise_key.as_bytes());
    key.add_config(&(&config.segment, &config.trace, &config.deconvolve));
    key.add_config(&config.experiment.pixel_size_um);
    let cells_key = key.finish();

    let motion = [folder.join("motion.csv"), folder.join("motion.zarr")];
    let lowrank = folder.join("lowrank.zarr");
    let rois = folder.join("rois.zarr");
    // The registered movie is only needed on the way to cells; with
    // `keep = false` a finished session does not ask for it again.
    let cells_done = ledger.is_done(&at("cells"), &cells_key, &[&rois]);
    let mut needed: Vec<&Path> = motion.iter().map(PathBuf::as_path).collect();
    if config.register.keep || !cells_done {
        needed.push(&registered);
    }
    ledger.step(
        &at("register"),
        &register_key,
        &needed,
        frames,
        observer,
        || {
            let parameters = config.register.parameters();
            let rate = Some(input.frame_rate);
            let (movie, place) = (&*input.movie, (folder.as_path(), "registered.zarr"));
            stage::register(movie, &parameters, None, rate, place, budget, observer).map(|_| ())
        },
    )?;
    ledger.step(
        &at("denoise"),
        &denoise_key,
        &[&lowrank],
        frames,
        observer,
        || {
            stage::denoise(
                &config.denoise,
                config.experiment.seed,
                input.frame_rate,
                folder,
                budget,
                observer,
            )
        },
    )?;
    ledger.step(&at("cells"), &cells_key, &[&rois], frames, observer, || {
        stage::find_cells(config, input.frame_rate, folder, budget, &(), observer)
    })?;
    if !config.register.keep && registered.exists() {
        std::fs::remove_dir_all(&registered).map_err(|e| Error::io(&registered, e))?;
    }
    Ok(cells_key)
}

/// `run.json`: which stage is done for which inputs.
struct Ledger {
    path: PathBuf,
    record: RunRecord,
    resume: bool,
    _lock: FolderLock,
}

impl Ledger {
    fn open(config: &ExperimentConfig, folder: &Path, options: &RunOptions) -> Result<Self, Error> {
        disk::check_writable(&options.out)?;
        let lock = FolderLock::take(&options.out)?;
        disk::remove_leftovers(&options.out)?;
        let path = options.out.join("run.json");
        let mut stages = BTreeMap::new();
        if path.exists() {
            match options.existing {
                Existing::Refuse => {
                    return Err(Error::Usage(format!(
                        "{} already holds a run; go on with --resume, replace it with \
                         --overwrite, or choose another --out",
                        options.out.display()
                    )));
                }
                Existing::Resume => {
                    let text = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
                    let old: RunRecord = serde_json::from_slice(&text).map_err(|e| {
                        Error::bad_data(
                            &path,
                            format!("cannot be resumed ({e}); use --overwrite to start again"),
                        )
                    })?;
                    stages = old.stages;
                }
                Existing::Overwrite => {}
            }
        }
        let ledger = Self {
            record: RunRecord {
                fluorspar: env!("CARGO_PKG_VERSION").into(),
                config: config.clone(),
                // Where it is from, wherever the next reader starts.
                folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf()),
                threads: rayon::current_num_threads(),
                memory: options.memory,
                inputs: BTreeMap::new(),
                stages,
                peak_memory_bytes: None,
            },
            path,
            resume: options.existing == Existing::Resume,
            _lock: lock,
        };
        ledger.save()?;
        Ok(ledger)
    }

    fn save(&self) -> Result<(), Error> {
        let mut record = self.record.clone();
        record.peak_memory_bytes = disk::peak_memory();
        let text = serde_json::to_string_pretty(&record)
            .map_err(|e| Error::bad_data(&self.path, e.to_string()))?;
        disk::write(&self.path, format!("{text}\n").as_bytes())
    }

    fn is_done(&self, stage: &str, fingerprint: &str, artefacts: &[&Path]) -> bool {
        self.resume
            && artefacts.iter().all(|path| path.exists())
            && self
                .record
                .stages
                .get(stage)
                .is_some_and(|record| record.fingerprint == fingerprint)
    }

    /// Runs a stage unless its artefacts are there and still valid.
    fn step(
        &mut self,
        stage: &str,
        fingerprint: &str,
        artefacts: &[&Path],
        units: u64,
        observer: &dyn Observer,
        work: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if observer.stop() {
            return Err(Error::Stopped);
        }
        if self.is_done(stage, fingerprint, artefacts) {
            observer.skip(stage);
            return Ok(());
        }
        // From here the old artefacts may be replaced one by one: none of
        // them may count as done if the work stops halfway.
        if self.record.stages.remove(stage).is_some() {
            self.save()?;
        }
        let begun = Instant::now();
        observer.start(stage, units);
        work()?;
        let seconds = begun.elapsed().as_secs_f64();
        observer.finish(stage, seconds);
        self.record.stages.insert(
            stage.into(),
            StageRecord {
                fingerprint: fingerprint.into(),
                seconds,
            },
        );
        self.save()
    }
}
