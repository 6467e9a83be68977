use crate::check::{fraction, real, size, whole, wrong};
use crate::{Epoch, Error};

/// What to simulate. [`Default`] is the demonstration: eight days, forty
/// trials a day, about a hundred cells in view.
///
/// Every group of settings has its own struct; all fields may be changed,
/// [`Plan::validate`] says whether they make sense together.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Number of sessions (recording days), 1 to 1,000.
    pub sessions: usize,
    /// Elapsed days of the sessions, ascending; empty means 1, 2, 3, ….
    pub days: Vec<f64>,
    /// Trials per session, at least 4.
    pub trials: usize,
    /// Cells placed in the field and in a rim around it as wide as
    /// [`FieldPlan::shift_px`], so that sessions lose some cells at one edge
    /// and gain some at the other.
    pub cells: usize,
    /// Rows of the movie (pixels), 32 to 8,192.
    pub height: usize,
    /// Columns of the movie (pixels), 32 to 8,192.
    pub width: usize,
    /// Frames per second (Hz).
    pub frame_rate: f64,
    /// Everything random follows from this number.
    pub seed: u64,
    /// Timing and behaviour.
    pub task: TaskPlan,
    /// Which cells are tuned to what, and how the code changes over days.
    pub code: CodePlan,
    /// Spikes and calcium.
    pub activity: ActivityPlan,
    /// Cell shapes, the field's shift from day to day, missing cells.
    pub field: FieldPlan,
    /// Motion from frame to frame.
    pub motion: MotionPlan,
    /// Light, background and noise.
    pub optics: OpticsPlan,
}

/// Timing and behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPlan {
    /// Time before the first trial (s).
    pub lead_in_s: f64,
    /// Time from one trial to the next, before jitter (s); a trial lasts 10 s
    /// and its baseline begins 0.5 s before onset.
    pub period_s: f64,
    /// Each onset is later by a uniform random time up to this (s).
    pub jitter_s: f64,
    /// Fraction of trials with a wrong choice, spread over the trial types.
    pub error_fraction: f64,
}

/// Tuning and drift.
#[derive(Clone, Debug, PartialEq)]
pub struct CodePlan {
    /// Fraction of cells tuned to odour 1 while it is given.
    pub odour1_fraction: f64,
    /// Fraction tuned to the remembered odour 1 in the early delay.
    pub early_delay_fraction: f64,
    /// Fraction tuned to the remembered odour 1 in the late delay: the code
    /// that drifts.
    pub late_delay_fraction: f64,
    /// Fraction tuned to odour 2 while it is given.
    pub odour2_fraction: f64,
    /// Fraction tuned to the choice (lick or withhold).
    pub choice_fraction: f64,
    /// Number of steps from one session to the next, from the first one on,
    /// in which the late-delay code changes. The sessions with index
    /// `drifting_steps` and above share one code: they are crystallized.
    pub drifting_steps: usize,
    /// Correlation of the late-delay code over one drifting step, 0 to 1.
    pub step_correlation: f64,
}

/// Spikes and calcium.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityPlan {
    /// Median spontaneous rate (Hz); cells vary about it by a factor of 1.5.
    pub baseline_hz: f64,
    /// Chance that a tuned cell responds in a preferred trial.
    pub reliability: f64,
    /// The same for late-delay cells in error trials, as a factor.
    pub error_reliability: f64,
    /// Mean number of spikes of a response; Poisson, uniform over the epoch.
    pub spikes_per_response: f64,
    /// Decay time of the indicator (s).
    pub tau_s: f64,
    /// ΔF/F of one spike.
    pub spike_dff: f64,
    /// Spikes in a session below which a cell does not count as active.
    pub active_spikes: u32,
}

/// Cells in space.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldPlan {
    /// Mean diameter of a cell (pixels).
    pub diameter_px: f64,
    /// Centres lie at least this many diameters apart.
    pub spacing: f64,
    /// Largest shift of the field against the first session, per axis (pixels).
    pub shift_px: f64,
    /// Each cell's own displacement in each session, standard deviation per axis (pixels).
    pub jitter_px: f64,
    /// Fraction of cells not in the plane, drawn anew each session.
    pub absent_fraction: f64,
    /// Fraction too dim to be found (out of focus), drawn anew each session.
    pub undetected_fraction: f64,
    /// Fraction without a spike, drawn anew each session.
    pub silent_fraction: f64,
    /// Brightness of an undetected cell, as a factor.
    pub undetected_contrast: f64,
}

/// Motion of the tissue from frame to frame.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionPlan {
    /// Standard deviation of the smooth part, per axis (pixels).
    pub walk_px: f64,
    /// Correlation time of the smooth part (s).
    pub walk_tau_s: f64,
    /// Sudden jumps per minute.
    pub jumps_per_minute: f64,
    /// Largest size of a jump (pixels).
    pub jump_px: f64,
    /// Time in which a jump decays (s).
    pub jump_tau_s: f64,
    /// No shift is larger than this, per axis (pixels).
    pub limit_px: f64,
}

/// Light, background and noise. Photons are detected photons per pixel and frame.
#[derive(Clone, Debug, PartialEq)]
pub struct OpticsPlan {
    /// Photons of a median cell at rest.
    pub soma_photons: f64,
    /// Photons of the neuropil.
    pub neuropil_photons: f64,
    /// Standard deviation of the neuropil's changes in time, relative.
    pub neuropil_modulation: f64,
    /// Correlation time of these changes (s).
    pub neuropil_tau_s: f64,
    /// Distance over which they are correlated (pixels).
    pub neuropil_length_px: f64,
    /// Share of the surrounding neuropil seen in the middle of a cell.
    pub neuropil_coefficient: f64,
    /// Loss of light in the corners, relative to the centre.
    pub vignetting: f64,
    /// Loss of light from the first to the last frame of a session.
    pub bleaching: f64,
    /// Brightness differs between sessions by up to this, relative.
    pub brightness_range: f64,
    /// Counts per photon.
    pub counts_per_photon: f64,
    /// Standard deviation of the read noise (counts).
    pub read_noise_counts: f64,
    /// Counts of a dark detector.
    pub offset_counts: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            sessions: 8,
            days: Vec::new(),
            trials: 40,
            cells: 120,
            height: 128,
            width: 160,
            frame_rate: 10.0,
            seed: 1,
            task: TaskPlan::default(),
            code: CodePlan::default(),
            activity: ActivityPlan::default(),
            field: FieldPlan::default(),
            motion: MotionPlan::default(),
            optics: OpticsPlan::default(),
        }
    }
}

impl Default for TaskPlan {
    fn default() -> Self {
        Self {
            lead_in_s: 5.0,
            period_s: 10.8,
            jitter_s: 0.3,
            error_fraction: 0.1,
        }
    }
}

impl Default for CodePlan {
    fn default() -> Self {
        Self {
            odour1_fraction: 0.28,
            early_delay_fraction: 0.15,
            late_delay_fraction: 0.38,
            odour2_fraction: 0.2,
            choice_fraction: 0.28,
            drifting_steps: 4,
            step_correlation: 0.4,
        }
    }
}

impl Default for ActivityPlan {
    fn default() -> Self {
        Self {
            baseline_hz: 0.07,
            reliability: 0.4,
            error_reliability: 0.5,
            spikes_per_response: 3.0,
            tau_s: 0.8,
            spike_dff: 0.3,
            active_spikes: 15,
        }
    }
}

impl Default for FieldPlan {
    fn default() -> Self {
        Self {
            diameter_px: 9.0,
            spacing: 1.05,
            shift_px: 6.0,
            jitter_px: 0.3,
            absent_fraction: 0.05,
            undetected_fraction: 0.05,
            silent_fraction: 0.05,
            undetected_contrast: 0.05,
        }
    }
}

impl Default for MotionPlan {
    fn default() -> Self {
        Self {
            walk_px: 1.0,
            walk_tau_s: 2.0,
            jumps_per_minute: 2.0,
            jump_px: 4.0,
            jump_tau_s: 0.4,
            limit_px: 6.0,
        }
    }
}

impl Default for OpticsPlan {
    fn default() -> Self {
        Self {
            soma_photons: 12.0,
            neuropil_photons: 8.0,
            neuropil_modulation: 0.12,
            neuropil_tau_s: 1.0,
            neuropil_length_px: 24.0,
            neuropil_coefficient: 0.7,
            vignetting: 0.3,
            bleaching: 0.05,
            brightness_range: 0.1,
            counts_per_photon: 20.0,
            read_noise_counts: 12.0,
            offset_counts: 100.0,
        }
    }
}

/// Most bytes that an experiment, or its ROIs without movies, may keep.
pub(crate) const BYTES: u128 = 4 << 30;

impl Plan {
    /// Frames per session.
    ///
    /// The lead-in and all trial periods, rounded up to whole frames.
    pub fn frames(&self) -> usize {
        let seconds = self.task.lead_in_s + self.trials as f64 * self.task.period_s;
        (seconds * self.frame_rate - 1e-6).ceil().max(0.0) as usize
    }

    /// Elapsed day of every session.
    pub fn elapsed_days(&self) -> Vec<f64> {
        if self.days.is_empty() {
            (1..=self.sessions).map(|day| day as f64).collect()
        } else {
            self.days.clone()
        }
    }

    /// Fraction of cells tuned in `epoch`; none in the baseline.
    pub fn fraction(&self, epoch: Epoch) -> f64 {
        match epoch {
            Epoch::Baseline => 0.0,
            Epoch::Odour1 => self.code.odour1_fraction,
            Epoch::EarlyDelay => self.code.early_delay_fraction,
            Epoch::LateDelay => self.code.late_delay_fraction,
            Epoch::Odour2 => self.code.odour2_fraction,
            Epoch::Choice => self.code.choice_fraction,
        }
    }

    /// Bytes that a built experiment keeps: spikes and ΔF/F, the walks of the
    /// neuropil, and three images a session.
    pub fn bytes(&self) -> u128 {
        let (height, width) = (self.height as u128, self.width as u128);
        let side = |pixels: u128| (pixels as f64 / self.optics.neuropil_length_px) as u128 + 4;
        let sample = 8 * self.cells as u128 + 4 * side(height) * side(width);
        (sample * self.frames() as u128 + 12 * height * width) * self.sessions as u128
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Plan`] names the first field that is out of range or not a
    /// number; [`Error::TooLarge`] if the truth would not fit in memory.
    pub fn validate(&self) -> Result<(), Error> {
        self.check_fields()?;
        size(self.bytes(), BYTES)
    }

    /// Checks every field, whatever would have to be kept.
    pub(crate) fn check_fields(&self) -> Result<(), Error> {
        whole("sessions", self.sessions, 1, 1_000)?;
        whole("trials", self.trials, 4, 100_000)?;
        whole("cells", self.cells, 1, 1_000_000)?;
        whole("height", self.height, 32, 8_192)?;
        whole("width", self.width, 32, 8_192)?;
        real("frame_rate", self.frame_rate, 1.0, 1_000.0)?;
        if !self.days.is_empty() {
            if self.days.len() != self.sessions {
                return Err(wrong(
                    "days",
                    format!("a list of {}", self.days.len()),
                    format!("empty or one for each of {} sessions", self.sessions),
                ));
            }
            let ascend = self.days.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascend || !self.days.iter().all(|day| day.is_finite()) {
                return Err(wrong(
                    "days",
                    format!("{:?}", self.days),
                    "finite and ascending",
                ));
            }
        }

        let task = &self.task;
        real("task.lead_in_s", task.lead_in_s, 0.5, 3_600.0)?;
        real("task.jitter_s", task.jitter_s, 0.0, 60.0)?;
        real(
            "task.period_s",
            task.period_s,
            10.5 + task.jitter_s,
            3_600.0,
        )?;
        real("task.error_fraction", task.error_fraction, 0.0, 0.5)?;

        let code = &self.code;
        fraction("code.odour1_fraction", code.odour1_fraction)?;
        fraction("code.early_delay_fraction", code.early_delay_fraction)?;
        fraction("code.late_delay_fraction", code.late_delay_fraction)?;
        fraction("code.odour2_fraction", code.odour2_fraction)?;
        fraction("code.choice_fraction", code.choice_fraction)?;
        fraction("code.step_correlation", code.step_correlation)?;

        let activity = &self.activity;
        real("activity.baseline_hz", activity.baseline_hz, 0.0, 20.0)?;
        fraction("activity.reliability", activity.reliability)?;
        fraction("activity.error_reliability", activity.error_reliability)?;
        real(
            "activity.spikes_per_response",
            activity.spikes_per_response,
            0.0,
            1_000.0,
        )?;
        real("activity.tau_s", activity.tau_s, 0.01, 60.0)?;
        real("activity.spike_dff", activity.spike_dff, 0.0, 10.0)?;

        let field = &self.field;
        let side = self.height.min(self.width) as f64;
        real("field.diameter_px", field.diameter_px, 3.0, side / 4.0)?;
        real("field.spacing", field.spacing, 0.0, 100.0)?;
        real("field.shift_px", field.shift_px, 0.0, side / 4.0)?;
        real("field.jitter_px", field.jitter_px, 0.0, field.diameter_px)?;
        fraction("field.absent_fraction", field.absent_fraction)?;
        fraction("field.undetected_fraction", field.undetected_fraction)?;
        fraction("field.silent_fraction", field.silent_fraction)?;
        fraction("field.undetected_contrast", field.undetected_contrast)?;
        let missing = field.absent_fraction + field.undetected_fraction + field.silent_fraction;
        if missing > 1.0 {
            return Err(wrong(
                "field.absent_fraction + undetected_fraction + silent_fraction",
                missing.to_string(),
                "at most 1",
            ));
        }

        let motion = &self.motion;
        real("motion.limit_px", motion.limit_px, 0.0, side / 4.0)?;
        real("motion.walk_px", motion.walk_px, 0.0, side / 4.0)?;
        real("motion.walk_tau_s", motion.walk_tau_s, 0.01, 3_600.0)?;
        real(
            "motion.jumps_per_minute",
            motion.jumps_per_minute,
            0.0,
            6_000.0,
        )?;
        real("motion.jump_px", motion.jump_px, 0.0, side / 4.0)?;
        real("motion.jump_tau_s", motion.jump_tau_s, 0.01, 3_600.0)?;

        let optics = &self.optics;
        real("optics.soma_photons", optics.soma_photons, 0.0, 1e5)?;
        real("optics.neuropil_photons", optics.neuropil_photons, 0.0, 1e5)?;
        real(
            "optics.neuropil_modulation",
            optics.neuropil_modulation,
            0.0,
            10.0,
        )?;
        real(
            "optics.neuropil_tau_s",
            optics.neuropil_tau_s,
            0.01,
            3_600.0,
        )?;
        real(
            "optics.neuropil_length_px",
            optics.neuropil_length_px,
            4.0,
            1e4,
        )?;
        fraction("optics.neuropil_coefficient", optics.neuropil_coefficient)?;
        fraction("optics.vignetting", optics.vignetting)?;
        real("optics.bleaching", optics.bleaching, 0.0, 0.99)?;
        real(
            "optics.brightness_range",
            optics.brightness_range,
            0.0,
            0.99,
        )?;
        real(
            "optics.counts_per_photon",
            optics.counts_per_photon,
            0.0,
            1e4,
        )?;
        real(
            "optics.read_noise_counts",
            optics.read_noise_counts,
            0.0,
            1e4,
        )?;
        real("optics.offset_counts", optics.offset_counts, -3e4, 3e4)
    }
}
