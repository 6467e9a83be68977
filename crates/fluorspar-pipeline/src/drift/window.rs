//! A part of a trial and its time bins.

use std::ops::Range;

use super::clock::Clock;
use crate::config::Epoch;

/// A part of a trial, from the earliest start to the latest stop of its epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) start_s: f64,
    pub(crate) stop_s: f64,
}

impl Window {
    /// The window that covers all `epochs`; empty without epochs.
    pub(super) fn of<'a>(epochs: impl Iterator<Item = &'a Epoch> + Clone) -> Self {
        let start_s = epochs.clone().map(|e| e.start_s).reduce(f64::min);
        let stop_s = epochs.map(|e| e.stop_s).reduce(f64::max);
        Self {
            start_s: start_s.unwrap_or(0.0),
            stop_s: stop_s.unwrap_or(0.0),
        }
    }

    /// Frames per trial.
    fn length(&self, frame_rate: f64) -> usize {
        ((self.stop_s - self.start_s) * frame_rate).round() as usize
    }

    /// The frames of a window around `event_s`, or `None` if the recording
    /// does not hold all of them.
    pub(super) fn frames(
        &self,
        event_s: f64,
        clock: &Clock,
        frames: usize,
    ) -> Option<Range<usize>> {
        clock.run(
            event_s + self.start_s,
            self.length(clock.frame_rate()),
            frames,
        )
    }
}

/// Frames of each time bin of a window, counted from its first, and the bins' middles.
pub(super) fn bins(
    window: Window,
    frame_rate: f64,
    bin_s: Option<f64>,
) -> (Vec<Range<usize>>, Vec<f64>) {
    let frames = window.length(frame_rate);
    let middle = |width: f64, k: usize| window.start_s + (k as f64 + 0.5) * width;
    let Some(bin_s) = bin_s.filter(|_| frames > 0) else {
        let times = (0..frames).map(|k| window.start_s + (k as f64 + 0.5) / frame_rate);
        return ((0..frames).map(|k| k..k + 1).collect(), times.collect());
    };
    let count = ((window.stop_s - window.start_s) / bin_s).round().max(1.0) as usize;
    // A frame belongs to the bin that its middle lies in; a bin narrower than
    // a frame has the one that it lies in.
    let edge = |k: usize| (k as f64 * bin_s * frame_rate - 0.5).ceil().max(0.0) as usize;
    let ranges = (0..count).map(|k| {
        let (first, end) = (edge(k).min(frames), edge(k + 1).min(frames));
        if first < end {
            return first..end;
        }
        let within = ((k as f64 + 0.5) * bin_s * frame_rate) as usize;
        let within = within.min(frames - 1);
        within..within + 1
    });
    (
        ranges.collect(),
        (0..count).map(|k| middle(bin_s, k)).collect(),
    )
}
