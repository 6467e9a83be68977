//! The sessions of an experiment, opened and checked.

use std::path::{Path, PathBuf};

use fluorspar_movie::Movie;

use crate::config::ExperimentConfig;
use crate::disk::{self, Fingerprint};
use crate::drift::{Clock, Layout, Questions, check_times};
use crate::trials::{ONSET, Trials, label_codes};
use crate::{Error, Observer, source};

/// One session.
pub(crate) struct Input {
    pub(crate) movie: Box<dyn Movie>,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) frame_rate: f64,
    /// Of the movie's files, its frames and their rate.
    pub(crate) fingerprint: String,
}

impl Input {
    /// Opens the movie of session `index`.
    pub(crate) fn open(
        config: &ExperimentConfig,
        config_path: &Path,
        index: usize,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let folder = ExperimentConfig::folder(config_path);
        let session = &config.sessions[index];
        let Some(name) = &session.movie else {
            let message = format!(
                "session {}: names no movie; sessions that others analysed are for `fluorspar drift`",
                index + 1
            );
            return Err(Error::config(config_path, message));
        };
        let paths = source::find_files(name, &folder)?;
        let movie = source::open_session(&paths, session.frames, config.experiment.planes)
            .map_err(|error| error.in_session(index))?;
        if movie.shape().frames == 0 {
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
        let mut fingerprint = Fingerprint::new("movie");
        fingerprint.add(disk::fingerprint_input(&paths)?.as_bytes());
        fingerprint.add_config(&session.frames);
        fingerprint.add_config(&(frame_rate, config.experiment.planes));
        Ok(Self {
            movie,
            paths,
            frame_rate,
            fingerprint: fingerprint.finish(),
        })
    }
}

/// Opens every movie and every table of trials, and checks them against each
/// other.
pub(crate) fn open_all(
    config: &ExperimentConfig,
    config_path: &Path,
    observer: &dyn Observer,
) -> Result<Vec<Input>, Error> {
    let folder = ExperimentConfig::folder(config_path);
    let mut inputs: Vec<Input> = Vec::new();
    let mut tables: Vec<(PathBuf, Trials)> = Vec::new();
    for (index, session) in config.sessions.iter().enumerate() {
        let input = Input::open(config, config_path, index, observer)?;
        let shape = input.movie.shape();
        if let Some(first) = inputs.first() {
            let other = first.movie.shape();
            if (shape.height, shape.width) != (other.height, other.width) {
                return Err(Error::bad_data(
                    &input.paths[0],
                    format!(
                        "is {} × {} px, but session 1 is {} × {} px",
                        shape.height, shape.width, other.height, other.width
                    ),
                ));
            }
        }
        if let Some(name) = &session.trials {
            let path = folder.join(name);
            let onset = config.trials.onset.as_deref().unwrap_or(ONSET);
            let trials = Trials::read_with(&path, onset)?;
            let (trials, _) = trials.without(&config.trials.exclude, &path)?;
            let clock = Clock::regular(input.frame_rate);
            let alone = [(path.as_path(), &trials)];
            let layout = Layout::new(&config.epochs, config.trials.bin_s, &alone)?;
            check_times(&path, &trials, &layout, &clock, shape.frames, &())?;
            tables.push((path, trials));
        }
        inputs.push(input);
    }
    if tables.len() == inputs.len() {
        let tables: Vec<(&Path, &Trials)> = tables
            .iter()
            .map(|(path, trials)| (path.as_path(), trials))
            .collect();
        label_codes(&tables, &config.drift.variables)?;
    }
    Ok(inputs)
}

/// Whether every session has a table of trials, so that drift can be computed.
pub(crate) fn has_trials(config: &ExperimentConfig) -> bool {
    config
        .sessions
        .iter()
        .all(|session| session.trials.is_some())
}

/// Trials and time bins of each session, and what is asked of them.
pub(super) fn trials_of(
    config: &ExperimentConfig,
    config_path: &Path,
    inputs: &[Input],
) -> Result<(Vec<(usize, usize)>, Questions), Error> {
    let folder = ExperimentConfig::folder(config_path);
    let onset = config.trials.onset.as_deref().unwrap_or(ONSET);
    let mut tables = Vec::new();
    for name in config.sessions.iter().filter_map(|s| s.trials.as_ref()) {
        let path = folder.join(name);
        let trials = Trials::read_with(&path, onset)?;
        tables.push((trials.without(&config.trials.exclude, &path)?.0, path));
    }
    let named: Vec<(&Path, &Trials)> = tables.iter().map(|(t, path)| (path.as_path(), t)).collect();
    let layout = Layout::new(&config.epochs, config.trials.bin_s, &named)?;
    let sizes = tables.iter().zip(inputs);
    let sizes = sizes.map(|((trials, _), input)| (trials.len(), layout.bins(input.frame_rate)));
    // Without a choice, every column that holds labels is followed.
    let columns = tables.first().map_or(0, |(trials, _)| trials.columns.len());
    let variables = match config.drift.variables.len() {
        0 => columns,
        chosen => chosen,
    };
    let questions = Questions {
        epochs: layout.epochs.len(),
        variables,
        classes: 2,
        time_bins: config.drift.time_bins,
        threads: 2,
    };
    Ok((sizes.collect(), questions))
}

/// What the drift analysis reads beside the run: tables of trials, behaviour
/// and areas.
pub(crate) fn tables(config: &ExperimentConfig, folder: &Path) -> Vec<PathBuf> {
    let mut tables = Vec::new();
    for session in &config.sessions {
        let named = [&session.trials, &session.behaviour];
        tables.extend(named.into_iter().flatten().map(|name| folder.join(name)));
    }
    let areas = config.experiment.areas.iter();
    tables.extend(
        areas
            .filter(|name| *name != "plane")
            .map(|name| folder.join(name)),
    );
    tables
}

/// A digest of the tables' contents.
pub(crate) fn fingerprint_tables(
    config: &ExperimentConfig,
    config_path: &Path,
) -> Result<String, Error> {
    let mut key = Fingerprint::new("tables");
    for path in tables(config, &ExperimentConfig::folder(config_path)) {
        key.add(&std::fs::read(&path).map_err(|e| Error::io(&path, e))?);
    }
    Ok(key.finish())
}
