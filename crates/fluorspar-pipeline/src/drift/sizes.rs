//! What can be told of the sizes of sessions before their traces are read.

use std::collections::{BTreeMap, BTreeSet};

use super::cut::Layout;
use super::demand::{self, Questions, SessionSize};
use super::identity::Identity;
use super::prepare::{Experiment, Opened};
use super::{rois, tensor};
use crate::Error;
use crate::config::Source;

impl Experiment<'_> {
    /// What is asked, for so many epochs and labels of so many values at most.
    pub(super) fn questions(&self, epochs: usize, variables: usize, classes: usize) -> Questions {
        Questions {
            epochs,
            variables,
            classes,
            time_bins: self.config.drift.time_bins,
            threads: rayon::current_num_threads(),
        }
    }

    /// Trials that were cut elsewhere are read whole: refuses those that would
    /// not fit before the first is.
    pub(super) fn check_tensors(&self) -> Result<(), Error> {
        let Some(memory) = self.memory else {
            return Ok(());
        };
        let mut sizes = Vec::new();
        for index in 0..self.config.sessions.len() {
            if self.run.is_none()
                && let Source::Tensor(name) = self.source(index)?
            {
                let (trials, cells, bins) = tensor::size(&self.folder.join(name))?;
                let frame_rate = None;
                sizes.push(SessionSize {
                    trials,
                    cells,
                    bins,
                    frame_rate,
                });
            }
        }
        if sizes.is_empty() {
            return Ok(());
        }
        let asked = &self.config;
        // Without a choice labels are counted once they are read.
        let questions = self.questions(asked.epochs.len().max(1), asked.drift.variables.len(), 2);
        demand::check(&sizes, questions, None, memory, self.path)
    }

    /// The size of a session, if it can be told from what is known without its traces.
    pub(super) fn size(
        &self,
        index: usize,
        opened: &Opened,
        layout: &Layout,
        identity: &Identity,
    ) -> Result<Option<SessionSize>, Error> {
        if let Some(session) = &opened.ready {
            let (trials, cells, bins) = session.activity.dim();
            let frame_rate = None;
            return Ok(Some(SessionSize {
                trials,
                cells,
                bins,
                frame_rate,
            }));
        }
        let frame_rate = match (self.results(index), self.source(index)?) {
            (Some(folder), _) => Some(rois::frame_rate(&folder, &self.making())?),
            (None, Source::Rois(name)) => {
                Some(rois::frame_rate(&self.folder.join(name), &self.making())?)
            }
            _ => self.config.experiment.frame_rate,
        };
        let silent = self.config.drift.undetected == "silent";
        Ok(match (identity.count(index, silent), frame_rate) {
            (Some(cells), Some(rate)) => Some(SessionSize {
                trials: opened.trials.len(),
                cells,
                bins: layout.bins(rate),
                frame_rate,
            }),
            _ => None,
        })
    }
}

/// Most values that any of these labels has, over all sessions.
pub(super) fn classes(codes: &[BTreeMap<String, Vec<i64>>], variables: &[String]) -> usize {
    let values = |name: &String| {
        let of_session = codes.iter().filter_map(|codes| codes.get(name));
        of_session.flatten().collect::<BTreeSet<_>>().len()
    };
    variables.iter().map(values).max().unwrap_or(0)
}
