//! What `fluorspar drift` may be pointed at.

use std::path::{Path, PathBuf};

use super::{DriftOptions, Experiment, tensor};
use crate::Error;
use crate::config::{Experiment as Recorded, ExperimentConfig, Session};

/// An experiment, complete with where its files are.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) config: ExperimentConfig,
    path: PathBuf,
    folder: PathBuf,
    run: Option<PathBuf>,
    memory: Option<usize>,
}

impl Input {
    /// Takes an `experiment.toml`, a run's output folder, or a folder of tensors.
    pub(super) fn open(path: &Path, options: &DriftOptions) -> Result<Self, Error> {
        let mut input = if path.is_dir() && path.join("run.json").is_file() {
            Self::of_run(path)?
        } else if path.is_dir() {
            Self::of_tensors(path)?
        } else if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
        {
            Self {
                config: ExperimentConfig::read(path)?,
                path: path.to_path_buf(),
                folder: ExperimentConfig::folder(path),
                run: None,
                memory: None,
            }
        } else if path.exists() {
            return Err(Error::Usage(format!(
                "{}: give an experiment.toml, the output folder of `fluorspar run`, or a folder \
                 with session-01.npz, session-02.npz, …",
                path.display()
            )));
        } else {
            return Err(Error::bad_data(path, "no such file or folder"));
        };
        options.apply(&mut input.config);
        input.memory = options.memory;
        input.config.check(&input.path)?;
        Ok(input)
    }

    pub(super) fn experiment(&self) -> Experiment<'_> {
        Experiment {
            config: &self.config,
            path: &self.path,
            folder: &self.folder,
            run: self.run.as_deref(),
            memory: self.memory,
        }
    }

    fn of_run(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("run.json");
        let (config, experiment) = crate::plan::recorded(&path)?;
        Ok(Self {
            config,
            folder: experiment,
            path,
            run: Some(folder.to_path_buf()),
            memory: None,
        })
    }

    fn of_tensors(folder: &Path) -> Result<Self, Error> {
        let files = tensor::files(folder)?;
        if files.is_empty() {
            return Err(Error::bad_data(
                folder,
                "holds no session-NN.npz (one file per session) and no run.json of `fluorspar run`",
            ));
        }
        let mut sessions = Vec::new();
        for file in &files {
            let name = file.file_name().unwrap_or_default();
            sessions.push(Session {
                day: tensor::day(file)?,
                tensor: Some(name.to_string_lossy().into_owned()),
                ..Session::default()
            });
        }
        let late = sessions
            .windows(2)
            .position(|pair| pair[0].day >= pair[1].day);
        if let Some(at) = late {
            let (before, after) = (sessions[at].day, sessions[at + 1].day);
            let message =
                format!("day {after} does not come after day {before} of the file before");
            return Err(Error::bad_data(&files[at + 1], message));
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            config: ExperimentConfig::of(Recorded::named(&name), sessions),
            path: folder.to_path_buf(),
            folder: folder.to_path_buf(),
            run: None,
            memory: None,
        })
    }
}

impl DriftOptions {
    /// Puts what is asked in place of what is configured.
    fn apply(&self, config: &mut ExperimentConfig) {
        fn put<T: Clone>(asked: Option<&T>, place: &mut T) {
            if let Some(asked) = asked {
                place.clone_from(asked);
            }
        }
        let drift = &mut config.drift;
        put(self.variables.as_ref(), &mut drift.variables);
        put(self.activity.as_ref(), &mut drift.activity);
        put(self.inclusion.as_ref(), &mut drift.inclusion);
        if self.group.is_some() {
            drift.group.clone_from(&self.group);
        }
        put(self.min_p_same.as_ref(), &mut drift.min_p_same);
        put(self.bootstrap.as_ref(), &mut drift.bootstrap);
        put(self.permutations.as_ref(), &mut drift.permutations);
        put(self.plant.as_ref(), &mut drift.plant);
        put(self.tables.as_ref(), &mut drift.tables);
        put(self.epochs.as_ref(), &mut config.epochs);
        put(self.seed.as_ref(), &mut config.experiment.seed);
    }
}
