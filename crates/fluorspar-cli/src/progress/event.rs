use fluorspar_pipeline::Step;

use super::estimate::duration;

/// What a display is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Plan(&'a [Step]),
    /// A step and its length in frames, 0 if unknown.
    Start(&'a str, u64),
    /// The step in work, now.
    Progress(&'a Snapshot),
    /// A step's end: its time is that of the whole step.
    Finish(&'a Snapshot),
    Skip(&'a str),
    Note(&'a str),
    Warn(&'a str),
    /// A request to stop has arrived.
    Stopping(&'a str),
}

/// A step and the process at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    pub(super) step: String,
    /// Frames done.
    pub(super) done: u64,
    /// Frames in all, 0 if unknown.
    pub(super) units: u64,
    /// Bytes of the movie in a frame, 0 if unknown.
    pub(super) bytes_per_unit: u64,
    /// Since the step began.
    pub(super) seconds: f64,
    /// Seconds left of the whole plan, or of the step if there is none.
    pub(super) left: Option<f64>,
    /// Share of the plan that is done, if there is one.
    pub(super) share: Option<f64>,
    /// Resident memory in bytes.
    pub(super) resident: Option<u64>,
    /// Largest resident memory so far in bytes.
    pub(super) peak: Option<u64>,
    /// What the process may hold, in bytes.
    pub(super) budget: u64,
}

impl Snapshot {
    /// Frames per second on average over the step, if any are done.
    pub(super) fn units_per_second(&self) -> Option<f64> {
        (self.done > 0 && self.seconds > 0.0).then(|| self.done as f64 / self.seconds)
    }

    /// Bytes of the movie per second on average over the step.
    pub(super) fn bytes_per_second(&self) -> Option<f64> {
        let bytes = (self.bytes_per_unit > 0).then_some(self.bytes_per_unit as f64)?;
        Some(self.units_per_second()? * bytes)
    }

    /// `450 frames/s, 240 MB/s`, as far as known.
    pub(super) fn throughput(&self) -> Option<String> {
        // Steps of unknown length count something else than frames.
        let frames = self.units_per_second().filter(|_| self.units > 0)?;
        let digits = usize::from(frames < 10.0);
        let frames = format!("{frames:.digits$} frames/s");
        Some(match self.bytes_per_second() {
            Some(bytes) => format!("{frames}, {:.0} MB/s", bytes / 1e6),
            None => frames,
        })
    }

    /// `1.2/4.0 GiB`, if the system says.
    pub(super) fn memory(&self) -> Option<String> {
        let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        Some(format!(
            "{:.1}/{:.1} GiB",
            gibibytes(self.resident?),
            gibibytes(self.budget)
        ))
    }

    /// `~12 min left`, once that can be told.
    pub(super) fn left_in_words(&self) -> Option<String> {
        Some(format!("~{} left", duration(self.left?)))
    }
}
