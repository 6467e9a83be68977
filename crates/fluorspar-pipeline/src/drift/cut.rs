//! From traces and the times of trials to `(trial, cell, time)`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ndarray::{Array3, ArrayView1, ArrayViewMut1};
use rayon::prelude::*;

use super::activity::Activity;
use super::clock::Clock;
use super::window::{Window, bins};
use crate::Error;
use crate::config::Epoch;
use crate::trials::Trials;

/// All epochs that start from one event.
#[derive(Clone, Debug)]
struct Piece {
    /// Column with the event's time; the onset if `None`.
    event: Option<String>,
    window: Window,
    /// Where the event is put on the common time axis, seconds from onset.
    place_s: f64,
}

/// Which parts of a trial are cut out, and where each lies on the time axis
/// that all trials share.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pieces: Vec<Piece>,
    bin_s: Option<f64>,
    /// The epochs on the common time axis, by start.
    pub(crate) epochs: Vec<fluorspar_drift::Epoch>,
    /// Events that had to be put elsewhere than they usually are.
    pub(crate) moved: Vec<String>,
}

/// The trials of one session, cut out.
#[derive(Debug)]
pub(crate) struct Cut {
    /// `(trial, cell, time)`.
    pub(crate) activity: Array3<f32>,
    /// Which of the trials these are.
    pub(crate) kept: Vec<usize>,
    /// Middle of each time bin on the common axis, seconds from onset.
    pub(crate) time_s: Vec<f64>,
}

impl Layout {
    /// Epochs that start from the onset keep their times. Those that start
    /// from another event, which may come sooner in one trial than in the
    /// next, follow where that event usually is, but never over others.
    pub(crate) fn new(
        epochs: &BTreeMap<String, Epoch>,
        bin_s: Option<f64>,
        sessions: &[(&Path, &Trials)],
    ) -> Result<Self, Error> {
        let mut events: Vec<Option<&str>> = epochs.values().map(|e| e.event.as_deref()).collect();
        events.sort_unstable();
        events.dedup();
        let mut pieces = Vec::new();
        for event in events {
            let of_event = epochs.values().filter(|e| e.event.as_deref() == event);
            pieces.push(Piece {
                event: event.map(str::to_owned),
                window: Window::of(of_event),
                place_s: match event {
                    Some(name) => usual_delay(name, sessions)?,
                    None => 0.0,
                },
            });
        }
        pieces.sort_by(|a, b| a.start().total_cmp(&b.start()));
        let mut moved = Vec::new();
        // The onset's own place is fixed: what overlaps comes after it.
        let mut end = f64::NEG_INFINITY;
        let (fixed, mut movable): (Vec<Piece>, Vec<Piece>) =
            pieces.into_iter().partition(|p| p.event.is_none());
        for piece in &mut movable {
            let clear = |start: f64, stop: f64| {
                start >= end && fixed.iter().all(|f| stop <= f.start() || start >= f.stop())
            };
            if !clear(piece.start(), piece.stop()) {
                let after = fixed.iter().map(Piece::stop).fold(end, f64::max);
                piece.place_s += after - piece.start();
                moved.push(piece.event.clone().unwrap_or_default());
            }
            end = piece.stop();
        }
        let pieces: Vec<Piece> = fixed.into_iter().chain(movable).collect();
        let place = |epoch: &Epoch| {
            let piece = pieces.iter().find(|piece| piece.event == epoch.event);
            piece.map_or(0.0, |piece| piece.place_s)
        };
        let mut placed: Vec<fluorspar_drift::Epoch> = epochs
            .iter()
            .map(|(name, epoch)| fluorspar_drift::Epoch {
                name: name.clone(),
                start_s: epoch.start_s + place(epoch),
                stop_s: epoch.stop_s + place(epoch),
            })
            .collect();
        placed.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        Ok(Self {
            pieces,
            bin_s,
            epochs: placed,
            moved,
        })
    }

    /// Columns with the times of events.
    pub(crate) fn events(epochs: &BTreeMap<String, Epoch>) -> Vec<&str> {
        epochs.values().filter_map(|e| e.event.as_deref()).collect()
    }

    /// From the earliest start to the latest stop, seconds from onset.
    pub(crate) fn whole(&self) -> Window {
        let start = self.pieces.iter().map(Piece::start).reduce(f64::min);
        let stop = self.pieces.iter().map(Piece::stop).reduce(f64::max);
        Window {
            start_s: start.unwrap_or(0.0),
            stop_s: stop.unwrap_or(0.0),
        }
    }

    /// For each trial the frames of each piece; `None` where the recording
    /// does not hold all of them or an event did not happen.
    pub(crate) fn frames(
        &self,
        trials: &Trials,
        path: &Path,
        clock: &Clock,
        frames: usize,
    ) -> Result<Vec<Option<Vec<Range<usize>>>>, Error> {
        let mut times = Vec::new();
        for piece in &self.pieces {
            times.push(match &piece.event {
                None => trials.onset_s.clone(),
                Some(name) => trials.numbers(name, "[epochs]", path)?,
            });
        }
        Ok((0..trials.len())
            .map(|trial| {
                let all = self.pieces.iter().zip(&times);
                all.map(|(piece, times)| piece.window.frames(times[trial], clock, frames))
                    .collect()
            })
            .collect())
    }

    /// Time bins of a trial.
    pub(crate) fn bins(&self, frame_rate: f64) -> usize {
        let of_piece = |piece: &Piece| bins(piece.window, frame_rate, self.bin_s).0.len();
        self.pieces.iter().map(of_piece).sum()
    }

    /// The same with bins of another width.
    pub(crate) fn with_bins(&self, bin_s: f64) -> Self {
        Self {
            bin_s: Some(bin_s),
            ..self.clone()
        }
    }

    /// Cuts `activity` into trials, with `rois` as cells; a cell without a
    /// ROI has zeros. Only a panel of traces at a time is in memory.
    pub(crate) fn cut(
        &self,
        activity: &Activity,
        rois: &[Option<usize>],
        trials: &[Option<Vec<Range<usize>>>],
        frame_rate: f64,
    ) -> Result<Cut, Error> {
        let mut time_s = Vec::new();
        // Of each piece the frames of each bin, counted from its first.
        let bins: Vec<Vec<Range<usize>>> = self
            .pieces
            .iter()
            .map(|piece| {
                let (bins, times) = bins(piece.window, frame_rate, self.bin_s);
                time_s.extend(times.iter().map(|t| t + piece.place_s));
                bins
            })
            .collect();
        let kept: Vec<usize> = (0..trials.len()).filter(|&t| trials[t].is_some()).collect();
        let mut out = Array3::zeros((kept.len(), rois.len(), time_s.len()));
        let mut cells: Vec<(usize, usize)> = rois
            .iter()
            .enumerate()
            .filter_map(|(cell, roi)| Some(((*roi)?, cell)))
            .collect();
        cells.sort_unstable();
        for panel in activity.panels() {
            let place = |roi: usize| cells.partition_point(|&(of, _)| of < roi);
            let here = &cells[place(panel.start)..place(panel.end)];
            if here.is_empty() {
                continue;
            }
            let first = panel.start;
            let traces = activity.panel(panel)?;
            let images = out.outer_iter_mut().zip(trials.iter().flatten());
            let images: Vec<_> = images.collect();
            images.into_par_iter().for_each(|(mut image, frames)| {
                for &(roi, cell) in here {
                    average(traces.row(roi - first), frames, &bins, image.row_mut(cell));
                }
            });
        }
        Ok(Cut {
            activity: out,
            kept,
            time_s,
        })
    }
}

/// Means of a trace over the bins of one trial, whose pieces lie at `frames`.
fn average(
    trace: ArrayView1<'_, f32>,
    frames: &[Range<usize>],
    bins: &[Vec<Range<usize>>],
    out: ArrayViewMut1<'_, f32>,
) {
    let ranges = frames.iter().zip(bins).flat_map(|(frames, bins)| {
        let first = frames.start;
        bins.iter()
            .map(move |bin| first + bin.start..first + bin.end)
    });
    for (value, range) in out.into_iter().zip(ranges) {
        *value = if range.len() == 1 {
            trace[range.start]
        } else {
            let sum: f64 = range.clone().map(|k| f64::from(trace[k])).sum();
            (sum / range.len() as f64) as f32
        };
    }
}

impl Piece {
    fn start(&self) -> f64 {
        self.place_s + self.window.start_s
    }

    fn stop(&self) -> f64 {
        self.place_s + self.window.stop_s
    }
}

/// Median time of an event after the onset, over all trials in which it happened.
fn usual_delay(event: &str, sessions: &[(&Path, &Trials)]) -> Result<f64, Error> {
    let mut delays = Vec::new();
    for (path, trials) in sessions {
        let times = trials.numbers(event, "[epochs]", path)?;
        let after = times
            .iter()
            .zip(&trials.onset_s)
            .map(|(t, onset)| t - onset);
        delays.extend(after.filter(|delay| delay.is_finite()));
    }
    delays.sort_by(f64::total_cmp);
    let median = delays.get(delays.len() / 2).copied();
    // To the millisecond, so that bins have readable times.
    median
        .map(|delay| (delay * 1e3).round() / 1e3)
        .ok_or_else(|| {
            let path = sessions.first().map_or(Path::new(""), |(path, _)| *path);
            let message = format!("the event {event:?}, named in [epochs], happens in no trial");
            Error::bad_data(path, message)
        })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn trials(text: &str) -> Trials {
        Trials::parse(text.as_bytes(), Path::new("trials.csv")).unwrap()
    }

    fn cut(
        activity: &Array2<f32>,
        epochs: &BTreeMap<String, Epoch>,
        bin_s: Option<f64>,
        table: &Trials,
    ) -> (Layout, Cut) {
        let path = Path::new("trials.csv");
        let layout = Layout::new(epochs, bin_s, &[(path, table)]).unwrap();
        let clock = Clock::regular(10.0);
        let frames = layout
            .frames(table, path, &clock, activity.ncols())
            .unwrap();
        let activity = Activity::held(activity.clone());
        let cut = layout.cut(&activity, &[Some(1), Some(0), None], &frames, 10.0);
        (layout, cut.unwrap())
    }

    #[test]
    fn trials_are_cut_where_they_lie() {
        let activity = Array2::from_shape_fn((2, 100), |(roi, frame)| (roi * 1000 + frame) as f32);
        let epochs = BTreeMap::from([
            ("a".into(), [-1.0, 0.0].into()),
            ("b".into(), [0.5, 2.0].into()),
        ]);
        let table = trials("onset_s\n0.5\n3\n9\n");
        let (_, cut) = cut(&activity, &epochs, None, &table);
        assert_eq!(
            cut.kept,
            [1],
            "one starts before the movie, one ends after it"
        );
        assert_eq!(cut.activity.dim(), (1, 3, 30));
        assert_eq!(cut.activity[[0, 0, 0]], 1020.0);
        assert_eq!(cut.activity[[0, 1, 29]], 49.0);
        assert_eq!(cut.activity[[0, 2, 29]], 0.0);
        assert!((cut.time_s[0] + 0.95).abs() < 1e-12 && (cut.time_s[29] - 1.95).abs() < 1e-12);
    }

    #[test]
    fn bins_are_means_of_their_frames() {
        let activity = Array2::from_shape_fn((2, 100), |(_, frame)| frame as f32);
        let epochs = BTreeMap::from([("a".into(), [0.0, 1.0].into())]);
        let table = trials("onset_s\n2\n");
        let (_, half) = cut(&activity, &epochs, Some(0.5), &table);
        assert_eq!(half.activity[[0, 0, 0]], 22.0);
        assert_eq!(half.activity[[0, 0, 1]], 27.0);
        assert_eq!(half.time_s, [0.25, 0.75]);
        let (_, fine) = cut(&activity, &epochs, Some(0.05), &table);
        assert_eq!(fine.time_s.len(), 20);
        assert_eq!(fine.activity[[0, 0, 1]], 20.0);
        assert_eq!(fine.activity[[0, 0, 19]], 29.0);
    }

    #[test]
    fn epochs_follow_their_event() {
        let activity = Array2::from_shape_fn((2, 200), |(_, frame)| frame as f32);
        let event = |name: &str, start_s: f64, stop_s: f64| Epoch {
            event: Some(name.into()),
            start_s,
            stop_s,
        };
        let epochs = BTreeMap::from([
            ("odour1".to_owned(), Epoch::from([0.0, 1.0])),
            ("late".to_owned(), event("odour2_s", -1.0, 0.0)),
            ("lick".to_owned(), event("lick_s", 0.0, 0.5)),
        ]);
        // The third trial has no lick.
        let table = trials("onset_s,odour2_s,lick_s\n2,5,6\n8,12,12.5\n13,16,\n15,18,18.5\n");
        let (layout, cut) = cut(&activity, &epochs, None, &table);
        assert_eq!(cut.kept, [0, 1, 3]);
        let times: Vec<(String, f64)> = layout
            .epochs
            .iter()
            .map(|e| (e.name.clone(), e.start_s))
            .collect();
        let expected = [("odour1", 0.0), ("late", 2.0), ("lick", 4.0)];
        assert_eq!(
            times,
            expected.map(|(name, start)| (name.to_owned(), start))
        );
        assert!(layout.moved.is_empty());
        // The second trial: onset at 8 s, odour 2 at 12 s, lick at 12.5 s.
        let at = |time: f64| {
            let bin = cut
                .time_s
                .iter()
                .position(|t| (t - time - 0.05).abs() < 1e-9);
            cut.activity[[1, 0, bin.unwrap()]]
        };
        assert_eq!((at(0.0), at(2.0), at(4.0)), (80.0, 110.0, 125.0));
    }

    #[test]
    fn epochs_of_different_events_never_share_bins() {
        let epochs = BTreeMap::from([
            ("choice".to_owned(), Epoch::from([0.0, 3.0])),
            (
                "lick".to_owned(),
                Epoch {
                    event: Some("lick_s".into()),
                    start_s: -0.5,
                    stop_s: 0.5,
                },
            ),
        ]);
        let table = trials("onset_s,lick_s\n2,3\n");
        let path = Path::new("trials.csv");
        let layout = Layout::new(&epochs, None, &[(path, &table)]).unwrap();
        assert_eq!(layout.moved, ["lick_s"]);
        assert_eq!(layout.epochs[1].start_s, 3.0);
        let never = trials("onset_s,lick_s\n2,\n");
        assert!(Layout::new(&epochs, None, &[(path, &never)]).is_err());
    }
}
