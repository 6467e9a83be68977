//! What must hold before anything is computed, so that no number comes out
//! that means nothing.

use std::ops::Range;
use std::path::Path;

use fluorspar_drift::{Epoch, Session};

use super::clock::Clock;
use super::cut::Layout;
use super::prepare::Experiment;
use crate::trials::Trials;
use crate::{Error, Observer};

/// An epoch without any time bin would have means of nothing.
pub(super) fn check_bins(session: &Session, epochs: &[Epoch], path: &Path) -> Result<(), Error> {
    for epoch in epochs {
        let inside = |&t: &f64| t >= epoch.start_s && t < epoch.stop_s;
        if !session.time_s.iter().copied().any(|t| inside(&t)) {
            let first = session.time_s.iter().copied().fold(f64::INFINITY, f64::min);
            let last = session
                .time_s
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max);
            return Err(Error::bad_data(
                path,
                format!(
                    "the epoch {:?}, [{}, {}) s, holds none of its {} time bins, which lie from \
                     {first} to {last} s",
                    epoch.name,
                    epoch.start_s,
                    epoch.stop_s,
                    session.time_s.len()
                ),
            ));
        }
    }
    Ok(())
}

/// Sessions are compared bin by bin, after bins are averaged into few: an
/// epoch must have as many in each.
pub(super) fn check_alike(
    sessions: &[Session],
    epochs: &[Epoch],
    experiment: &Experiment<'_>,
) -> Result<(), Error> {
    for epoch in epochs {
        let bins = |session: &Session| {
            let inside = |t: &&f64| **t >= epoch.start_s && **t < epoch.stop_s;
            let count = session.time_s.iter().filter(inside).count();
            count.min(experiment.config.drift.time_bins)
        };
        let first = sessions.first().map_or(0, bins);
        if let Some(other) = sessions.iter().position(|session| bins(session) != first) {
            return Err(Error::config(
                experiment.path,
                format!(
                    "the epoch {:?} has {first} time bins in session 1 but {} in session {}: they \
                     were recorded at different rates; give [trials] bin_s in seconds, no shorter \
                     than the longest frame",
                    epoch.name,
                    bins(&sessions[other]),
                    other + 1
                ),
            ));
        }
    }
    Ok(())
}

/// The frames of each trial. A trial that starts after the recording is a
/// mistake; one with an epoch that is not wholly in it is left out.
pub(crate) fn check_times(
    path: &Path,
    trials: &Trials,
    layout: &Layout,
    clock: &Clock,
    frames: usize,
    observer: &dyn Observer,
) -> Result<Vec<Option<Vec<Range<usize>>>>, Error> {
    let end = clock.end_s(frames);
    if let Some(trial) = trials.onset_s.iter().position(|&onset| onset >= end) {
        return Err(Error::bad_data(
            path,
            format!(
                "trial {}: its onset at {} s is past the recording's end at {end:.3} s \
                 ({frames} frames at {} Hz)",
                trial + 1,
                trials.onset_s[trial],
                clock.frame_rate()
            ),
        ));
    }
    let whole = layout.frames(trials, path, clock, frames)?;
    let cut = whole.iter().filter(|frames| frames.is_none()).count();
    if cut == trials.len() {
        return Err(Error::bad_data(
            path,
            "no trial has all its epochs inside the recording; check [epochs] (seconds from onset) \
             and the frame rate",
        ));
    }
    if cut > 0 {
        observer.warn(&format!(
            "{}: {cut} of {} trials are left out: an epoch is outside the recording, or its event did not happen",
            path.display(),
            trials.len()
        ));
    }
    Ok(whole)
}
