use std::fmt::{self, Write as _};

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::Plan;
use crate::random::{Domain, stream};

/// A named window of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Epoch {
    /// Before the trial.
    Baseline,
    /// Odour 1 (A or B) is given.
    Odour1,
    /// First half of the delay.
    EarlyDelay,
    /// Second half of the delay.
    LateDelay,
    /// Odour 2 (C or D) is given.
    Odour2,
    /// The animal licks or withholds.
    Choice,
}

impl Epoch {
    /// All epochs in the order of time.
    pub const ALL: [Self; 6] = [
        Self::Baseline,
        Self::Odour1,
        Self::EarlyDelay,
        Self::LateDelay,
        Self::Odour2,
        Self::Choice,
    ];

    /// The name used in tables and configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Odour1 => "odour1",
            Self::EarlyDelay => "early_delay",
            Self::LateDelay => "late_delay",
            Self::Odour2 => "odour2",
            Self::Choice => "choice",
        }
    }

    /// Start and stop in seconds from trial onset.
    pub const fn window_s(self) -> (f64, f64) {
        match self {
            Self::Baseline => (-0.5, 0.0),
            Self::Odour1 => (0.0, 1.0),
            Self::EarlyDelay => (1.0, 3.5),
            Self::LateDelay => (3.5, 6.0),
            Self::Odour2 => (6.0, 7.0),
            Self::Choice => (7.0, 10.0),
        }
    }

    /// The column of the trial table that cells are tuned to in this epoch.
    pub const fn variable(self) -> Option<&'static str> {
        match self {
            Self::Baseline => None,
            Self::Odour1 | Self::EarlyDelay | Self::LateDelay => Some("odour1"),
            Self::Odour2 => Some("odour2"),
            Self::Choice => Some("choice"),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An odour. Odour 1 is A or B, odour 2 is C or D.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Odour {
    /// First odour 1; asks for a lick if C follows.
    A,
    /// Second odour 1; asks for a lick if D follows.
    B,
    /// First odour 2.
    C,
    /// Second odour 2.
    D,
}

impl fmt::Display for Odour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        })
    }
}

/// What the animal does in the choice epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Choice {
    /// It does not lick.
    Withhold,
    /// It licks.
    Lick,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Withhold => "withhold",
            Self::Lick => "lick",
        })
    }
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Licked after A-C or B-D.
    Hit,
    /// Withheld after A-C or B-D.
    Miss,
    /// Withheld after A-D or B-C.
    CorrectRejection,
    /// Licked after A-D or B-C.
    FalseAlarm,
}

impl Outcome {
    /// Whether the choice was right.
    pub const fn is_correct(self) -> bool {
        matches!(self, Self::Hit | Self::CorrectRejection)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::CorrectRejection => "correct_rejection",
            Self::FalseAlarm => "false_alarm",
        })
    }
}

/// One trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrialRecord {
    /// Onset of odour 1 (s from the start of the first frame), a whole number of milliseconds.
    pub onset_s: f64,
    /// A or B.
    pub odour1: Odour,
    /// C or D.
    pub odour2: Odour,
    /// Whether the pair is A-C or B-D, which asks for a lick.
    pub matched: bool,
    /// What the animal did.
    pub choice: Choice,
    /// Whether it licked: the same as [`TrialRecord::choice`], as a flag.
    pub lick: bool,
    /// How the trial ended.
    pub outcome: Outcome,
}

impl TrialRecord {
    /// +1 or −1: the value of what cells are tuned to in `epoch`
    /// (A, C and lick are +1); 0 in the baseline.
    pub fn value(&self, epoch: Epoch) -> f32 {
        let positive = match epoch {
            Epoch::Baseline => return 0.0,
            Epoch::Odour1 | Epoch::EarlyDelay | Epoch::LateDelay => self.odour1 == Odour::A,
            Epoch::Odour2 => self.odour2 == Odour::C,
            Epoch::Choice => self.choice == Choice::Lick,
        };
        if positive { 1.0 } else { -1.0 }
    }
}

/// The trials of one session, in time order. Trial types are as equal in
/// number as the total allows, errors are spread over the types.
pub(crate) fn trials(plan: &Plan, session: usize) -> Vec<TrialRecord> {
    let mut rng = stream(plan.seed, Domain::Trials, session, 0);
    let first = rng.random_range(0..4_usize);
    let errors = (plan.task.error_fraction * plan.trials as f64).round() as usize;
    // Types go round and round, so any four consecutive errors hit each type once.
    let mut types: Vec<(usize, bool)> = (0..plan.trials)
        .map(|trial| ((first + trial) % 4, trial < errors))
        .collect();
    types.shuffle(&mut rng);
    types
        .into_iter()
        .enumerate()
        .map(|(trial, (kind, error))| {
            let (odour1, odour2) = match kind {
                0 => (Odour::A, Odour::C),
                1 => (Odour::B, Odour::C),
                2 => (Odour::B, Odour::D),
                _ => (Odour::A, Odour::D),
            };
            let matched = kind.is_multiple_of(2);
            let lick = matched != error;
            let onset_s = plan.task.lead_in_s
                + trial as f64 * plan.task.period_s
                + plan.task.jitter_s * rng.random::<f64>();
            TrialRecord {
                onset_s: (onset_s * 1000.0).floor() / 1000.0,
                odour1,
                odour2,
                matched,
                choice: if lick { Choice::Lick } else { Choice::Withhold },
                lick,
                outcome: match (matched, lick) {
                    (true, true) => Outcome::Hit,
                    (true, false) => Outcome::Miss,
                    (false, false) => Outcome::CorrectRejection,
                    (false, true) => Outcome::FalseAlarm,
                },
            }
        })
        .collect()
}

/// The trial table as text, one line a trial.
pub(crate) fn csv(trials: &[TrialRecord]) -> String {
    let mut text = String::from("onset_s,odour1,odour2,choice,lick,outcome\n");
    for trial in trials {
        let _ = writeln!(
            text,
            "{:.3},{},{},{},{},{}",
            trial.onset_s,
            trial.odour1,
            trial.odour2,
            trial.choice,
            u8::from(trial.lick),
            trial.outcome
        );
    }
    text
}
