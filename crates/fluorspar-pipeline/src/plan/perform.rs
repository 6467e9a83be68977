//! Doing one task.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use fluorspar_movie::Budget;

use super::register::Session;
use super::{Input, Plan, Record, Task, Work, has_trials, input, session_folder};
use crate::drift::{self, Experiment};
use crate::pieces::{Pieces, remove_folder};
use crate::seal::{Seal, SealedFile};
use crate::{Error, Observer, Step, disk, figures, memory, methods, stage};

/// Does tasks of a plan whose results go to `out`.
pub(crate) struct Worker<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) out: &'a Path,
    /// Memory that a task may hold, bytes.
    pub(crate) memory: usize,
    pub(crate) observer: &'a dyn Observer,
}

impl Worker<'_> {
    /// Does `task`, whatever was done before, and records it. Nobody else may
    /// be at work on it.
    pub(crate) fn perform(&self, task: &Task) -> Result<Record, Error> {
        let begun = Instant::now();
        memory::reset_peak_memory();
        let noted = Noted {
            observer: self.observer,
            warnings: Mutex::default(),
        };
        let known = self
            .work(task, &noted)
            .map_err(|error| match task.work.session() {
                Some(session) => error.in_session(session),
                None => error,
            })?;
        let mut outputs = BTreeMap::new();
        for output in &task.outputs {
            let path = self.out.join(&output.path);
            let pieces = output.path.iter().any(|part| part == ".work");
            // Pieces have digests of their own.
            if !pieces {
                let known = if output.path.ends_with("registered.zarr") {
                    &known[..]
                } else {
                    &[]
                };
                outputs.insert(output.path.display().to_string(), Seal::with(&path, known)?);
            }
        }
        let record = Record {
            task: task.id.clone(),
            fingerprint: task.fingerprint.clone(),
            fluorspar: env!("CARGO_PKG_VERSION").into(),
            input_fingerprint: task.input_fingerprint.clone(),
            settings: task.settings.clone(),
            outputs,
            frames: task.frames,
            seconds: begun.elapsed().as_secs_f64(),
            threads: rayon::current_num_threads(),
            peak_memory_bytes: memory::peak_memory(),
            warnings: noted
                .warnings
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        };
        record.write(self.out)?;
        self.tidy(task)?;
        Ok(record)
    }

    /// Removes what nobody needs any more once `task` is recorded.
    fn tidy(&self, task: &Task) -> Result<(), Error> {
        let Some(session) = task.work.session() else {
            return Ok(());
        };
        let folder = self.out.join(session_folder(session));
        match task.work {
            Work::Register { .. } => remove_folder(&folder.join(".work/register")),
            Work::Denoise { .. } => remove_folder(&folder.join(".work/denoise")),
            Work::Cells { .. } => {
                remove_folder(&folder.join(".work"))?;
                if !self.plan.config.register.keep {
                    remove_folder(&folder.join("registered.zarr"))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn work(&self, task: &Task, observer: &dyn Observer) -> Result<Vec<SealedFile>, Error> {
        let config = &self.plan.config;
        let path = self.plan.config_path(self.out);
        let budget = Budget {
            bytes: (self.memory / 4).max(16 << 20),
        };
        // Until it is done again, what it made before does not count.
        Record::remove(self.out, &task.id)?;
        for output in &task.outputs {
            disk::remove_leftovers_of(&self.out.join(&output.path))?;
        }
        if let Some(index) = task.work.session() {
            let folder = self.out.join(session_folder(index));
            disk::create_folder(&folder)?;
            let input = Input::open(config, &path, index, &())?;
            self.check_input(index, &input)?;
            return self.session(task, index, (&folder, &input), budget, observer);
        }
        let folders: Vec<PathBuf> = (0..config.sessions.len())
            .map(|index| self.out.join(session_folder(index)))
            .collect();
        match task.work {
            Work::Track => {
                stage::track(config, &folders, &self.out.join("tracks.zarr"), observer)?;
            }
            Work::Drift => {
                if input::fingerprint_tables(config, &path)? != task.input_fingerprint {
                    return Err(outdated(&path));
                }
                let folder = crate::config::ExperimentConfig::folder(&path);
                let experiment = Experiment {
                    config,
                    path: &path,
                    folder: &folder,
                    run: Some(self.out),
                    memory: Some(self.memory),
                };
                let tables = self.out.join("drift");
                if tables.is_dir() {
                    disk::remove_leftovers(&tables)?;
                }
                let prepared = experiment.prepare(observer)?;
                let found = drift::analyse(&prepared, config, observer)?;
                let companions = figures::Companions::of(&prepared.sessions, &prepared.epochs);
                companions.write(&tables)?;
                drift::write_tables(&tables, &found, &config.drift.tables)?;
            }
            _ => {
                if !has_trials(config) {
                    observer.warn("no trials tables: drift is not computed");
                }
                let page = figures::run_report(config, &folders, self.out)?;
                disk::write(&self.out.join("report.html"), page.as_bytes())?;
                let text = methods(config, env!("CARGO_PKG_VERSION"));
                disk::write(&self.out.join("methods.txt"), text.as_bytes())?;
            }
        }
        Ok(Vec::new())
    }

    fn session(
        &self,
        task: &Task,
        index: usize,
        (folder, input): (&Path, &Input),
        budget: Budget,
        observer: &dyn Observer,
    ) -> Result<Vec<SealedFile>, Error> {
        let config = &self.plan.config;
        let name = session_folder(index).display().to_string();
        let reference = self.plan.task(&format!("{name}/reference"));
        let session = Session {
            config,
            input,
            folder,
            fingerprint: reference.map_or("", |task| &task.fingerprint),
            budget,
            observer,
        };
        match task.work {
            Work::Reference { .. } => session.reference()?,
            Work::RegisterFrames { frames, .. } => session.frames(frames[0]..frames[1])?,
            Work::Register { .. } => return session.finish(),
            Work::Denoise { .. } => {
                let kept = Pieces::new(folder.join(".work/denoise"), &task.fingerprint, observer);
                stage::denoise(
                    &config.denoise,
                    config.experiment.seed,
                    input.frame_rate,
                    folder,
                    budget,
                    &kept,
                    observer,
                )?;
            }
            _ => {
                let kept = Pieces::new(folder.join(".work/cells"), &task.fingerprint, observer);
                stage::find_cells(config, input.frame_rate, folder, budget, &kept, observer)?;
            }
        }
        Ok(Vec::new())
    }

    /// Whether the movie is the one that the plan was made for.
    fn check_input(&self, index: usize, input: &Input) -> Result<(), Error> {
        let name = session_folder(index).display().to_string();
        let first = self.plan.task(&format!("{name}/reference"));
        if first.is_some_and(|task| task.input_fingerprint != input.fingerprint) {
            let path = input.paths.first().cloned().unwrap_or_default();
            return Err(outdated(&path));
        }
        Ok(())
    }
}

fn outdated(path: &Path) -> Error {
    Error::bad_data(
        path,
        "changed since the plan was made; make the plan anew with `fluorspar plan`",
    )
}

/// Writes down warnings as they pass.
struct Noted<'a> {
    observer: &'a dyn Observer,
    warnings: Mutex<Vec<String>>,
}

impl Observer for Noted<'_> {
    fn plan(&self, steps: &[Step]) {
        self.observer.plan(steps);
    }
    fn start(&self, step: &str, units: u64) {
        self.observer.start(step, units);
    }
    fn advance(&self, units: u64) {
        self.observer.advance(units);
    }
    fn finish(&self, step: &str, seconds: f64) {
        self.observer.finish(step, seconds);
    }
    fn skip(&self, step: &str) {
        self.observer.skip(step);
    }
    fn note(&self, message: &str) {
        self.observer.note(message);
    }
    fn warn(&self, message: &str) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(message.to_owned());
        self.observer.warn(message);
    }
    fn stop(&self) -> bool {
        self.observer.stop()
    }
}
