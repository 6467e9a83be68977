//! When the frames of a recording were taken.

use std::ops::Range;

/// When frames were taken, in the seconds that trials are told in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clock {
    start_s: f64,
    frame_rate: f64,
    /// Time of each frame, where it is not simply that of a steady rate.
    stamps: Option<Vec<f64>>,
}

/// A frame may come so many frame durations late or early.
const TOLERANCE: f64 = 0.75;

impl Clock {
    /// Frames at a steady rate (Hz), the first at 0.
    pub(crate) fn regular(frame_rate: f64) -> Self {
        Self::regular_from(0.0, frame_rate)
    }

    /// Frames at a steady rate (Hz), the first at `start_s`.
    pub(crate) fn regular_from(start_s: f64, frame_rate: f64) -> Self {
        Self {
            start_s,
            frame_rate,
            stamps: None,
        }
    }

    /// Frames at these times; there may be gaps.
    pub(crate) fn stamped(stamps: Vec<f64>) -> Result<Self, String> {
        if let Some(frame) = stamps.iter().position(|t| !t.is_finite()) {
            return Err(format!("the time of frame {frame} is not a number"));
        }
        let mut steps: Vec<f64> = stamps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if let Some(frame) = steps.iter().position(|&step| step <= 0.0) {
            return Err(format!(
                "frame {} is not later than the one before",
                frame + 1
            ));
        }
        steps.sort_by(f64::total_cmp);
        let Some(&median) = steps.get(steps.len() / 2) else {
            return Err("times of fewer than two frames say no frame rate".into());
        };
        Ok(Self {
            start_s: stamps[0],
            frame_rate: 1.0 / median,
            stamps: Some(stamps),
        })
    }

    /// The same, told in seconds from the first frame.
    pub(crate) fn since_first_frame(mut self) -> Self {
        if let Some(stamps) = &mut self.stamps {
            for stamp in stamps {
                *stamp -= self.start_s;
            }
        }
        self.start_s = 0.0;
        self
    }

    /// Frames per second (Hz).
    pub(crate) fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    /// When the last of `frames` frames ends.
    pub(crate) fn end_s(&self, frames: usize) -> f64 {
        match &self.stamps {
            Some(stamps) => stamps.last().map_or(0.0, |t| t + 1.0 / self.frame_rate),
            None => self.start_s + frames as f64 / self.frame_rate,
        }
    }

    /// `length` frames in a row from the one nearest to `time_s`, or `None`
    /// if they are not all there.
    pub(crate) fn run(&self, time_s: f64, length: usize, frames: usize) -> Option<Range<usize>> {
        // The time of an event that did not happen is NaN.
        if !time_s.is_finite() {
            return None;
        }
        let first = match &self.stamps {
            None => ((time_s - self.start_s) * self.frame_rate).round(),
            Some(stamps) => nearest(stamps, time_s) as f64,
        };
        if !(first >= 0.0 && first < frames as f64) {
            return None;
        }
        let first = first as usize;
        let end = first.checked_add(length).filter(|&end| end <= frames)?;
        if let Some(stamps) = &self.stamps {
            let late = |frame: usize| {
                let due = time_s + (frame - first) as f64 / self.frame_rate;
                (stamps[frame] - due).abs() * self.frame_rate
            };
            let last = end.saturating_sub(1).max(first);
            // Over a long window a rate that is a little off adds up.
            let slack = 1.0 + length as f64 * 0.01;
            if late(first) > TOLERANCE || late(last) > TOLERANCE + slack {
                return None;
            }
        }
        Some(first..end)
    }
}

/// The frame whose time is nearest.
fn nearest(stamps: &[f64], time_s: f64) -> usize {
    let after = stamps.partition_point(|&t| t < time_s);
    let before = after.saturating_sub(1);
    let distance = |k: usize| stamps.get(k).map_or(f64::INFINITY, |t| (t - time_s).abs());
    if distance(after) < distance(before) {
        after
    } else {
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_and_a_rate_agree() {
        let stamps: Vec<f64> = (0..100).map(|k| 5.0 + f64::from(k) * 0.1).collect();
        let (a, b) = (
            Clock::stamped(stamps).unwrap(),
            Clock::regular_from(5.0, 10.0),
        );
        for time in [4.0, 4.96, 5.0, 7.33, 13.9, 14.96, 20.0, f64::NAN] {
            assert_eq!(a.run(time, 10, 100), b.run(time, 10, 100), "{time}");
        }
        assert_eq!(b.run(7.33, 10, 100), Some(23..33));
        assert!((a.end_s(100) - b.end_s(100)).abs() < 1e-9);
    }

    #[test]
    fn gaps_are_seen() {
        let mut stamps: Vec<f64> = (0..100).map(|k| f64::from(k) * 0.1).collect();
        for stamp in &mut stamps[50..] {
            *stamp += 3.0;
        }
        let clock = Clock::stamped(stamps).unwrap();
        assert_eq!(clock.run(3.0, 10, 100), Some(30..40));
        assert_eq!(clock.run(4.5, 10, 100), None, "the gap is inside");
        assert_eq!(clock.run(6.0, 10, 100), None, "it starts in the gap");
        assert_eq!(clock.run(8.0, 10, 100), Some(50..60));
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for bad in [&[][..], &[1.0], &[1.0, f64::NAN], &[1.0, 1.0], &[2.0, 1.0]] {
            assert!(Clock::stamped(bad.to_vec()).is_err(), "{bad:?}");
        }
    }
}
