//! From traces and trial onsets to `(trial, cell, time)`.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, Array3};

/// The part of a trial that is cut out: from the earliest epoch's start to the latest one's stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) start_s: f64,
    pub(crate) stop_s: f64,
}

impl Window {
    /// The window that covers all `epochs`; empty without epochs.
    pub(crate) fn of(epochs: &BTreeMap<String, [f64; 2]>) -> Self {
        let fold = |pick: usize, better: fn(f64, f64) -> f64, from: f64| {
            epochs.values().map(|e| e[pick]).fold(from, better)
        };
        if epochs.is_empty() {
            return Self {
                start_s: 0.0,
                stop_s: 0.0,
            };
        }
        Self {
            start_s: fold(0, f64::min, f64::INFINITY),
            stop_s: fold(1, f64::max, f64::NEG_INFINITY),
        }
    }

    /// Frames per trial.
    pub(crate) fn length(&self, frame_rate: f64) -> usize {
        ((self.stop_s - self.start_s) * frame_rate).round() as usize
    }

    /// The frames of a trial with this onset, or `None` if they leave the movie.
    pub(crate) fn frames(
        &self,
        onset_s: f64,
        frame_rate: f64,
        frames: usize,
    ) -> Option<Range<usize>> {
        let first = ((onset_s + self.start_s) * frame_rate).round();
        if first < 0.0 {
            return None;
        }
        let first = first as usize;
        let end = first.checked_add(self.length(frame_rate))?;
        (end <= frames).then_some(first..end)
    }

    /// Time of each frame's middle, seconds from trial onset.
    pub(crate) fn time_s(&self, frame_rate: f64) -> Vec<f64> {
        (0..self.length(frame_rate))
            .map(|k| self.start_s + (k as f64 + 0.5) / frame_rate)
            .collect()
    }
}

/// Cuts `activity` `(roi, frame)` into trials: `(trial, cell, time)` with the
/// chosen `rois` as cells, and which trials fit into the movie.
pub(crate) fn cut_trials(
    activity: &Array2<f32>,
    rois: &[usize],
    onset_s: &[f64],
    window: Window,
    frame_rate: f64,
) -> (Array3<f32>, Vec<usize>) {
    let frames = activity.ncols();
    let whole: Vec<(usize, Range<usize>)> = onset_s
        .iter()
        .enumerate()
        .filter_map(|(trial, &onset)| Some((trial, window.frames(onset, frame_rate, frames)?)))
        .collect();
    let length = window.length(frame_rate);
    let tensor = Array3::from_shape_fn((whole.len(), rois.len(), length), |(trial, cell, time)| {
        activity[[rois[cell], whole[trial].1.start + time]]
    });
    (tensor, whole.into_iter().map(|(trial, _)| trial).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_cut_where_they_lie() {
        let activity = Array2::from_shape_fn((2, 100), |(roi, frame)| (roi * 1000 + frame) as f32);
        let epochs = BTreeMap::from([("a".into(), [-1.0, 0.0]), ("b".into(), [0.5, 2.0])]);
        let window = Window::of(&epochs);
        let (tensor, kept) = cut_trials(&activity, &[1, 0], &[0.5, 3.0, 9.0], window, 10.0);
        assert_eq!(kept, [1], "one starts before the movie, one ends after it");
        assert_eq!(tensor.dim(), (1, 2, 30));
        assert_eq!(tensor[[0, 0, 0]], 1020.0);
        assert_eq!(tensor[[0, 1, 29]], 49.0);
        let time = window.time_s(10.0);
        assert!((time[0] + 0.95).abs() < 1e-12 && (time[29] - 1.95).abs() < 1e-12);
    }
}
