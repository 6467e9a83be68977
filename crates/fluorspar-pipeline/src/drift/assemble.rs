//! From one recording and its trials to one session.

use std::collections::BTreeMap;

use fluorspar_drift::Session;

use super::areas::{Areas, OUTSIDE};
use super::behaviour::Behaviour;
use super::checks::check_times;
use super::cut::Layout;
use super::demand::{self, Questions, SessionSize};
use super::identity::{Identity, Member};
use super::prepare::{Experiment, Opened};
use super::recording::Recording;
use crate::trials::Trials;
use crate::{Error, Observer};

/// What all sessions of an experiment share.
pub(super) struct Assembly<'a> {
    pub(super) experiment: &'a Experiment<'a>,
    pub(super) layout: &'a Layout,
    pub(super) identity: Identity,
    /// Of each session, where it is known before its traces are read.
    pub(super) sizes: Vec<Option<SessionSize>>,
    pub(super) questions: Questions,
    pub(super) areas: Option<Areas>,
    /// The group that each cell was first seen in.
    pub(super) groups: BTreeMap<i64, String>,
    pub(super) observer: &'a dyn Observer,
}

impl Assembly<'_> {
    /// Refuses what does not fit into memory, as far as sizes are known.
    pub(super) fn check_memory(&self) -> Result<(), Error> {
        let Some(memory) = self.experiment.memory else {
            return Ok(());
        };
        let known: Vec<SessionSize> = self.sizes.iter().copied().flatten().collect();
        let path = self.experiment.path;
        demand::check(&known, self.questions, Some(self.layout), memory, path)
    }

    /// Cuts a recording into trials; also gives which of the table's trials
    /// these are, and the table.
    pub(super) fn session(
        &mut self,
        index: usize,
        opened: Opened,
    ) -> Result<(Session, Vec<usize>, Trials), Error> {
        let config = self.experiment.config;
        let asked = &config.sessions[index];
        let mut recording = self.experiment.record(index)?;
        if opened.from_first_frame {
            recording.clock = recording.clock.since_first_frame();
        }
        let Opened { path, trials, .. } = opened;
        let (clock, frames, layout) = (&recording.clock, recording.frames(), self.layout);
        let whole = check_times(&path, &trials, layout, clock, frames, self.observer)?;
        let silent = config.drift.undetected == "silent";
        let members = self.identity.members(index, &recording, silent)?;
        let chosen: Vec<Option<usize>> = members.iter().map(|member| member.roi).collect();
        if self.sizes[index].is_none() {
            let rate = clock.frame_rate();
            self.sizes[index] = Some(SessionSize {
                trials: whole.iter().flatten().count(),
                cells: members.len(),
                bins: layout.bins(rate),
                frame_rate: Some(rate),
            });
            self.check_memory()?;
        }
        let cut = layout.cut(&recording.activity, &chosen, &whole, clock.frame_rate())?;
        let mut session = Session {
            cell: members.iter().map(|member| member.cell).collect(),
            day: asked.day,
            p_same: Some(members.iter().map(|member| member.p_same).collect()),
            activity: cut.activity,
            time_s: cut.time_s,
            ..Session::default()
        };
        let visible = |roi: &Option<usize>| roi.is_none_or(|roi| recording.visible[roi]);
        session.present = Some(chosen.iter().map(visible).collect());
        session.place_um = self.places(&recording, &chosen);
        session.group = self.groups(&recording, &members)?;
        if let Some(name) = &asked.behaviour {
            let rate = asked.video_rate.unwrap_or(clock.frame_rate());
            let traces = Behaviour::read(&self.experiment.folder.join(name), rate)?;
            let window = layout.whole();
            let onsets = cut.kept.iter().map(|&trial| trials.onset_s[trial]);
            let windows: Vec<(f64, f64)> = onsets
                .map(|onset| (onset + window.start_s, onset + window.stop_s))
                .collect();
            session.behaviour = traces.over(&windows);
        }
        session.covariates = recording.covariates;
        Ok((session, cut.kept, trials))
    }

    /// Centres in µm; none if they are not known or the distance of planes is not.
    fn places(&self, recording: &Recording, chosen: &[Option<usize>]) -> Option<Vec<[f64; 3]>> {
        let centre = recording.centre.as_ref()?;
        let recorded = &self.experiment.config.experiment;
        let flat = centre.iter().all(|c| c[0] == centre[0][0]);
        let spacing = match recorded.plane_spacing_um {
            Some(spacing) => spacing,
            None if flat => 0.0,
            None => return None,
        };
        let side = recorded.pixel_size_um;
        let place = |roi: &Option<usize>| match *roi {
            Some(roi) => {
                let [plane, y, x] = centre[roi];
                [plane * spacing, y * side, x * side]
            }
            None => [f64::NAN; 3],
        };
        Some(chosen.iter().map(place).collect())
    }

    /// The group of each cell, if groups are asked for or known: that which it
    /// was first seen in.
    fn groups(
        &mut self,
        recording: &Recording,
        members: &[Member],
    ) -> Result<Option<Vec<String>>, Error> {
        let here: Vec<String> = if let Some(group) = &recording.group {
            let own = |member: &Member| member.roi.map(|roi| group[roi].clone());
            let own = members.iter().map(|m| own(m).unwrap_or(OUTSIDE.to_owned()));
            own.collect()
        } else {
            let Some(areas) = &self.areas else {
                return Ok(None);
            };
            let Some(centre) = &recording.centre else {
                let message = "does not say where its ROIs lie, so that experiment.areas cannot be \
                               used; name a column with [nwb] group";
                return Err(Error::bad_data(&recording.path, message));
            };
            let place = |member: &Member| {
                // Areas are drawn in the reference session, where tracks know each cell's place.
                let there = self.identity.place(member.cell);
                there.unwrap_or_else(|| member.roi.map_or([f64::NAN; 3], |roi| centre[roi]))
            };
            members.iter().map(|m| areas.of(place(m))).collect()
        };
        let first = members.iter().zip(here).map(|(member, here)| {
            let known = self.groups.entry(member.cell).or_insert(here);
            known.clone()
        });
        Ok(Some(first.collect()))
    }
}
