//! An experiment as tasks that can be done one by one, here or elsewhere.

mod decide;
mod estimate;
mod graph;
mod input;
mod perform;
mod record;
mod register;
mod summary;
mod task;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::ExperimentConfig;
use crate::{Error, Observer, disk};

pub(crate) use decide::{Decision, Need, decide, statement};
pub(crate) use input::{Input, has_trials};
pub(crate) use perform::Worker;
pub(crate) use record::{Record, records};
pub(crate) use summary::{recorded, write_run_record};
pub use task::{TaskSummary, task};
pub use verify::{Verified, verify};

/// The form of `plan.json` that this version writes and reads.
const FORMAT: u32 = 1;

/// All that has to be done for an experiment; the content of `plan.json`.
///
/// Tasks are in an order in which they can be done. Doing one twice does no
/// harm, and tasks that do not wait for each other can be done at the same
/// time, by processes on any machines that share the folders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The form of this file.
    pub format: u32,
    /// The version that made it.
    pub fluorspar: String,
    /// `experiment.toml`, relative to the folder of the plan if it can be.
    pub experiment: PathBuf,
    /// What it says, resolved.
    pub config: ExperimentConfig,
    /// What there is to do.
    pub tasks: Vec<Task>,
    /// Of all of the above: a plan that was changed is refused.
    pub digest: String,
}

/// One task of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its name: `session-01/denoise`.
    pub id: String,
    /// What is to be done.
    pub work: Work,
    /// Tasks that must be done before.
    pub after: Vec<String>,
    /// Files that it reads beside what other tasks made, as in the experiment.
    pub inputs: Vec<PathBuf>,
    /// What it makes, relative to the folder of the plan.
    pub outputs: Vec<Output>,
    /// Frames that it goes through, 0 where it does not.
    pub frames: u64,
    /// Bytes of a raw frame, 0 where it goes through none.
    pub frame_bytes: u64,
    /// Most memory that it is expected to hold, bytes.
    pub memory_bytes: u64,
    /// Wall time that it is expected to take on two cores, seconds.
    pub seconds: f64,
    /// Of the inputs beside what other tasks made.
    pub input_fingerprint: String,
    /// What of the configuration it depends on.
    pub settings: serde_json::Value,
    /// Of all that its outputs depend on.
    pub fingerprint: String,
}

/// A file or folder that a task makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Relative to the folder of the plan.
    pub path: PathBuf,
    /// Whether it may go once the tasks that need it are done.
    pub transient: bool,
}

/// What a task does. Sessions count from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Work {
    /// Builds the reference that the frames of a session are registered to.
    Reference {
        /// Which session.
        session: usize,
    },
    /// Registers some frames of a session.
    RegisterFrames {
        /// Which session.
        session: usize,
        /// `[first, end)` of the frames.
        frames: [usize; 2],
    },
    /// Registers what is left of a session and puts it together.
    Register {
        /// Which session.
        session: usize,
    },
    /// Denoises a session.
    Denoise {
        /// Which session.
        session: usize,
    },
    /// Finds the cells of a session, their traces and events.
    Cells {
        /// Which session.
        session: usize,
    },
    /// Follows cells over sessions.
    Track,
    /// Analyses drift.
    Drift,
    /// Draws the report.
    Report,
}

impl Work {
    /// The session it is about, from 0; `None` if about all.
    pub fn session(&self) -> Option<usize> {
        match *self {
            Self::Reference { session }
            | Self::RegisterFrames { session, .. }
            | Self::Register { session }
            | Self::Denoise { session }
            | Self::Cells { session } => Some(session),
            Self::Track | Self::Drift | Self::Report => None,
        }
    }
}

/// How to cut an experiment into tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Memory that one task may hold, bytes.
    pub memory: usize,
    /// Frames of a task of registration, about; `None` for what takes about a
    /// minute on two cores.
    pub frames_per_task: Option<usize>,
}

impl Plan {
    /// The plan for an experiment whose results go to `out`.
    ///
    /// `config_path` is the file that `config` came from; relative names start
    /// from its folder. Everything that can be checked before the work begins
    /// is checked.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::BadData`] or [`Error::Stage`] naming the
    /// file or session.
    pub fn new(
        config: &ExperimentConfig,
        config_path: &Path,
        out: &Path,
        options: &PlanOptions,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let inputs = input::open_all(config, config_path, observer)?;
        let tasks = graph::tasks(config, config_path, &inputs, options)?;
        let mut plan = Self {
            format: FORMAT,
            fluorspar: env!("CARGO_PKG_VERSION").into(),
            experiment: relative(config_path, out),
            config: config.clone(),
            tasks,
            digest: String::new(),
        };
        plan.digest = plan.seal();
        Ok(plan)
    }

    /// Reads `plan.json`.
    ///
    /// # Errors
    /// [`Error::BadData`] for a file that is no plan, was made by another
    /// version or changed afterwards.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let again = "make it anew with `fluorspar plan`";
        let head: serde_json::Value = serde_json::from_str(&text)
            .map_err(|e| Error::bad_data(path, format!("is not a plan ({e}); {again}")))?;
        let version = head.get("fluorspar").and_then(|v| v.as_str());
        let own = env!("CARGO_PKG_VERSION");
        if head.get("format") != Some(&FORMAT.into()) || version != Some(own) {
            let by = version.unwrap_or("another program");
            return Err(Error::bad_data(
                path,
                format!("was made by fluorspar {by}, this is {own}; {again}"),
            ));
        }
        let plan: Self = serde_json::from_str(&text)
            .map_err(|e| Error::bad_data(path, format!("is not a plan ({e}); {again}")))?;
        if plan.digest != plan.seal() {
            return Err(Error::bad_data(
                path,
                format!("was changed after it was made; {again}, with the settings you want"),
            ));
        }
        Ok(plan)
    }

    /// Writes `plan.json` into `out` and returns its path.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, out: &Path) -> Result<PathBuf, Error> {
        let path = out.join("plan.json");
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::bad_data(&path, e.to_string()))?;
        disk::create_folder(out)?;
        disk::write(&path, format!("{text}\n").as_bytes())?;
        Ok(path)
    }

    /// The task of this name.
    pub fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// How many tasks at most come one after the other before each task, in
    /// order of the tasks. Tasks of one level do not wait for each other.
    pub fn levels(&self) -> Vec<usize> {
        let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
        for task in &self.tasks {
            let before = task.after.iter().filter_map(|id| levels.get(id.as_str()));
            let level = before.max().map_or(0, |level| level + 1);
            levels.insert(&task.id, level);
        }
        let of = |task: &Task| levels.get(task.id.as_str()).copied().unwrap_or(0);
        self.tasks.iter().map(of).collect()
    }

    /// `experiment.toml`, for a plan in the folder `out`.
    pub(crate) fn config_path(&self, out: &Path) -> PathBuf {
        out.join(&self.experiment)
    }

    /// Tasks that no other waits for.
    pub fn last(&self) -> impl Iterator<Item = &Task> {
        let needed: BTreeSet<&String> = self.tasks.iter().flat_map(|task| &task.after).collect();
        self.tasks
            .iter()
            .filter(move |task| !needed.contains(&task.id))
    }

    fn seal(&self) -> String {
        let mut key = disk::Fingerprint::new("plan");
        key.add_config(&(self.format, &self.fluorspar, &self.experiment));
        key.add_config(&self.config);
        key.add_config(&self.tasks);
        key.finish()
    }
}

/// The folder of session `index`, below that of the plan.
pub(crate) fn session_folder(index: usize) -> PathBuf {
    PathBuf::from(format!("session-{:02}", index + 1))
}

/// `path` as seen from `folder`, by names alone; absolute if they have nothing
/// in common.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (Ok(path), Ok(folder)) = (std::path::absolute(path), std::path::absolute(folder)) else {
        return path.to_path_buf();
    };
    let (from, to) = (plain(&folder), plain(&path));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return path;
    }
    let up = std::iter::repeat_n(std::ffi::OsStr::new(".."), from.len() - common);
    up.chain(to[common..].iter().map(std::ffi::OsString::as_os_str))
        .collect()
}

/// The parts of an absolute path, `.` and `..` resolved by name.
fn plain(path: &Path) -> Vec<std::ffi::OsString> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                parts.pop();
            }
            other => parts.push(other.as_os_str().to_os_string()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_where_the_plan_lies() {
        let told = |path: &str, folder: &str| relative(Path::new(path), Path::new(folder));
        assert_eq!(told("/a/b/e.toml", "/a/b/out"), Path::new("../e.toml"));
        assert_eq!(told("/a/b/e.toml", "/a/b"), Path::new("e.toml"));
        assert_eq!(
            told("/a/x/../b/./e.toml", "/a/out/1"),
            Path::new("../../b/e.toml")
        );
    }
}
