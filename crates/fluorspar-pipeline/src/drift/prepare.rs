//! From an experiment to the sessions that a drift analysis takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fluorspar_drift::{Epoch, Session};
use ndarray::Axis;

use super::areas::Areas;
use super::assemble::Assembly;
use super::checks::{check_alike, check_bins};
use super::cut::Layout;
use super::identity::Identity;
use super::recording::{Making, Recording};
use super::sizes::classes;
use super::{nwb, rois, suite2p, tensor};
use crate::config::{self, ExperimentConfig, Source};
use crate::trials::{ONSET, Trials, label_codes};
use crate::{Error, Observer};

/// An experiment and where its files are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Experiment<'a> {
    pub(crate) config: &'a ExperimentConfig,
    /// The file that the configuration came from, for messages.
    pub(crate) path: &'a Path,
    /// The folder that relative names start from.
    pub(crate) folder: &'a Path,
    /// The output folder of `fluorspar run`, if it made ROIs and tracks.
    pub(crate) run: Option<&'a Path>,
    /// Memory that the analysis may hold, bytes; as much as it takes if `None`.
    pub(crate) memory: Option<usize>,
}

/// What is analysed.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) sessions: Vec<Session>,
    /// By start.
    pub(crate) epochs: Vec<Epoch>,
    /// Labels whose code is followed.
    pub(crate) variables: Vec<String>,
}

/// The trials of one session, and the session itself if trials are cut out already.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) trials: Trials,
    /// Whether onsets are told from the first frame, not on the file's own clock.
    pub(super) from_first_frame: bool,
    pub(super) ready: Option<Session>,
}

impl Experiment<'_> {
    /// Reads everything and puts it together, one session at a time.
    pub(crate) fn prepare(&self, observer: &dyn Observer) -> Result<Prepared, Error> {
        let count = self.config.sessions.len();
        self.check_tensors()?;
        let mut opened = Vec::with_capacity(count);
        for index in 0..count {
            opened.push(self.open(index, observer)?);
        }
        let tables: Vec<(&Path, &Trials)> = opened
            .iter()
            .map(|session| (session.path.as_path(), &session.trials))
            .collect();
        let labels = self.labels(&tables);
        let variables = if self.config.drift.variables.is_empty() {
            labels.clone()
        } else {
            self.config.drift.variables.clone()
        };
        let codes = label_codes(&tables, &with(labels, &variables))?;
        let layout = self.layout(&opened, &tables)?;
        for event in &layout.moved {
            observer.warn(&format!(
                "epochs of {event:?} would lie over others where it usually happens; \
                 they are put after them on the time axis"
            ));
        }
        let areas = match &self.config.experiment.areas {
            Some(name) => Some(Areas::read(name, self.folder)?),
            None => None,
        };
        let identity = self.identity()?;
        let mut sizes = Vec::with_capacity(count);
        for (index, session) in opened.iter().enumerate() {
            sizes.push(self.size(index, session, &layout, &identity)?);
        }
        let mut assembly = Assembly {
            experiment: self,
            layout: &layout,
            identity,
            sizes,
            questions: self.questions(
                layout.epochs.len(),
                variables.len(),
                classes(&codes, &variables),
            ),
            areas,
            groups: BTreeMap::new(),
            observer,
        };
        assembly.check_memory()?;
        let mut sessions = Vec::with_capacity(count);
        for (index, (mut opened, codes)) in opened.into_iter().zip(codes).enumerate() {
            let path = opened.path.clone();
            let (mut session, kept, trials) = match opened.ready.take() {
                Some(session) => {
                    let kept = (0..opened.trials.len()).collect();
                    check_bins(&session, &layout.epochs, &path)?;
                    (session, kept, opened.trials)
                }
                None => assembly.session(index, opened)?,
            };
            let of_kept = |all: Vec<i64>| kept.iter().map(|&trial| all[trial]).collect();
            session.labels = codes
                .into_iter()
                .map(|(name, all)| (name, of_kept(all)))
                .collect();
            for name in &self.config.drift.behaviour {
                if session.behaviour.contains_key(name) {
                    continue;
                }
                let all = trials.numbers(name, "drift.behaviour", &path)?;
                let values = kept.iter().map(|&trial| all[trial]).collect();
                session.behaviour.insert(name.clone(), values);
            }
            let asked = &self.config.sessions[index];
            session.practice = asked.practice.or(session.practice);
            sessions.push(session);
        }
        check_alike(&sessions, &layout.epochs, self)?;
        Ok(Prepared {
            sessions,
            epochs: layout.epochs,
            variables,
        })
    }

    pub(super) fn source(&self, index: usize) -> Result<Source<'_>, Error> {
        self.config.sessions[index]
            .source()
            .map_err(|reason| self.misuse(index, &reason))
    }

    fn misuse(&self, index: usize, reason: &str) -> Error {
        Error::config(self.path, format!("session {}: {reason}", index + 1))
    }

    /// Trials of a session, without those that are excluded.
    fn open(&self, index: usize, observer: &dyn Observer) -> Result<Opened, Error> {
        let session = &self.config.sessions[index];
        let settings = &self.config.trials;
        let source = self.source(index)?;
        let (path, trials, ready) = match (&session.trials, source) {
            (Some(name), _) => {
                let path = self.folder.join(name);
                let onset = settings.onset.as_deref().unwrap_or(ONSET);
                let trials = Trials::read_with(&path, onset)?;
                (path, trials, None)
            }
            (None, Source::Nwb(name)) => {
                let path = self.folder.join(name);
                let found = nwb::read_trials(&path, &self.config.nwb, settings.onset.as_deref())?;
                let Some((path, trials)) = found else {
                    return Err(Error::bad_data(
                        &path,
                        "holds no intervals/trials; name a table of trials (CSV) with trials = …, \
                         or where it is in the file with [nwb] trials",
                    ));
                };
                (path, trials, None)
            }
            (None, Source::Tensor(name)) => {
                let path = self.folder.join(name);
                let (mut session, labels) = tensor::read(&path)?;
                session.day = self.config.sessions[index].day;
                let trials = Trials {
                    onset_s: (0..session.activity.dim().0).map(|k| k as f64).collect(),
                    columns: labels,
                };
                (path, trials, Some(session))
            }
            (None, _) => {
                let reason = "names no trials; drift needs a table of them (CSV with onset_s)";
                return Err(self.misuse(index, reason));
            }
        };
        let all = trials.len();
        let (trials, left) = if settings.exclude.is_empty() {
            (trials, (0..all).collect())
        } else {
            trials.without(&settings.exclude, &path)?
        };
        if left.len() < all {
            let excluded = all - left.len();
            let name = path.display();
            observer.warn(&format!("{name}: {excluded} of {all} trials are excluded"));
        }
        let from_first_frame = session.trials.is_some();
        Ok(Opened {
            ready: ready.map(|session| only(session, &left)),
            path,
            trials,
            from_first_frame,
        })
    }

    /// Columns that hold labels in every session.
    fn labels(&self, tables: &[(&Path, &Trials)]) -> Vec<String> {
        let Some((_, first)) = tables.first() else {
            return Vec::new();
        };
        let events = Layout::events(&self.config.epochs);
        let measured = |name: &String| {
            self.config.drift.behaviour.contains(name) || events.contains(&name.as_str())
        };
        first
            .columns
            .keys()
            .filter(|name| !measured(name) && tables.iter().all(|(_, t)| t.is_label(name)))
            .cloned()
            .collect()
    }

    fn layout(&self, opened: &[Opened], tables: &[(&Path, &Trials)]) -> Result<Layout, Error> {
        let mut epochs = self.config.epochs.clone();
        let tensors: Vec<&Session> = opened.iter().filter_map(|o| o.ready.as_ref()).collect();
        if let Some(event) = Layout::events(&epochs).first()
            && !tensors.is_empty()
        {
            let message = format!(
                "an epoch starts from {event:?}, but the trials of a tensor are cut out already: \
                 only windows [start, stop] of its time axis can be named"
            );
            return Err(Error::config(self.path, message));
        }
        if epochs.is_empty() {
            if tensors.len() < opened.len() {
                let message =
                    "there are no [epochs]; name at least one, such as delay = [1.0, 6.0]";
                return Err(Error::config(self.path, message));
            }
            epochs.insert("whole".into(), whole(&tensors, self.folder)?);
        }
        Layout::new(&epochs, self.config.trials.bin_s, tables)
    }

    fn identity(&self) -> Result<Identity, Error> {
        if let Some(run) = self.run {
            return Identity::from_tracks(&run.join("tracks.zarr"));
        }
        match &self.config.experiment.tracks {
            Some(name) => Identity::read(&self.folder.join(name), self.config.sessions.len()),
            None => Ok(Identity::Own),
        }
    }

    pub(super) fn making(&self) -> Making<'_> {
        Making {
            trace: &self.config.trace,
            deconvolve: &self.config.deconvolve,
            drift: &self.config.drift,
            frame_rate: self.config.experiment.frame_rate,
        }
    }

    /// The folder of a session's results, if `fluorspar run` made them.
    pub(super) fn results(&self, index: usize) -> Option<PathBuf> {
        Some(self.run?.join(format!("session-{:02}", index + 1)))
    }

    /// Activity of all ROIs of a session.
    pub(super) fn record(&self, index: usize) -> Result<Recording, Error> {
        let making = self.making();
        if let Some(folder) = self.results(index) {
            return rois::read(&folder, &making);
        }
        match self.source(index)? {
            Source::Rois(name) => rois::read(&self.folder.join(name), &making),
            Source::Suite2p(name) => suite2p::read(&self.folder.join(name), &making),
            Source::Nwb(name) => nwb::read(&self.folder.join(name), &self.config.nwb, &making),
            Source::Movie(_) => Err(self.misuse(
                index,
                "names a movie, which `fluorspar run` has to analyse first; then give its output \
                 folder here, or name rois, suite2p, nwb or tensor instead",
            )),
            Source::Tensor(_) => Err(self.misuse(index, "a tensor has no traces to cut")),
        }
    }
}

/// A session with only these of its trials.
fn only(mut session: Session, trials: &[usize]) -> Session {
    if trials.len() < session.activity.dim().0 {
        session.activity = session.activity.select(Axis(0), trials);
        for values in session.behaviour.values_mut() {
            *values = trials.iter().map(|&trial| values[trial]).collect();
        }
    }
    session
}

/// Names, and those of `more` that are not among them.
fn with(mut names: Vec<String>, more: &[String]) -> Vec<String> {
    for name in more {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The window of all time bins.
fn whole(sessions: &[&Session], folder: &Path) -> Result<config::Epoch, Error> {
    let times = || sessions.iter().flat_map(|session| session.time_s.iter());
    let first = times().copied().fold(f64::INFINITY, f64::min);
    let last = times().copied().fold(f64::NEG_INFINITY, f64::max);
    if !(first.is_finite() && last.is_finite()) {
        return Err(Error::bad_data(folder, "the sessions have no time bins"));
    }
    // A window excludes its end: reach one bin beyond the last.
    let bins = sessions.iter().map(|s| s.time_s.len()).max().unwrap_or(1);
    let margin = ((last - first) / bins as f64).max(1e-9);
    Ok([first, last + margin].into())
}
