//! What looks like drift and is not: eight checks to print beside every drift number.
//!
//! | question | function |
//! |---|---|
//! | are cells matched wrongly, and more so over longer gaps? | [`tracking`] |
//! | are cells missing because they were silent? | [`presence`] |
//! | did the recording get better or worse? | [`quality`] |
//! | did behaviour change? | [`behaviour`], [`match_trials`], [`without_behaviour`], [`behaviour_distance`], [`decode_session`] |
//! | did performance or the number of trials change? | [`performance`], [`trial_counts`], [`match_counts`] |
//! | is it time or practice? | [`experience`] |
//! | does the code change within a session? | [`within_day`] |
//! | are cells counted twice? | [`duplicates`] |
//!
//! Each check returns its numbers and, as [`Finding`]s, what they say: one of
//! four [`Status`] words and a sentence. A check that cannot be done says why.
//!
//! Checks of the code work on [`EpochTrials`]. Their similarity is that of
//! the analysis: the cosine of two sessions' coding patterns, freed of trial
//! noise, each cell in units of its trial-to-trial scatter. Its intervals come
//! from a jackknife that leaves out one of twenty groups of cells at a time
//! (Kott 2001, J Off Stat 17:521), all session pairs together.

mod behaviour;
mod code;
mod duplicates;
mod experience;
mod finding;
mod matching;
mod performance;
mod presence;
mod quality;
mod regress;
mod session_decoding;
mod tables;
mod tracking;
mod trend;
mod trials;
mod within_day;

pub use behaviour::{BehaviourRow, behaviour, behaviour_distance, comparison};

pub use code::{Decline, PairSimilarity};
pub use duplicates::{DuplicateRow, Duplicates, duplicates};
pub use experience::{Experience, experience};
pub use finding::{Finding, Status};
pub use matching::{match_counts, match_trials};
pub use performance::{
    Outcomes, Performance, PerformanceRow, TrialCountRow, TrialCounts, performance, sensitivity,
    trial_counts,
};
pub use presence::{Presence, PresenceRow, presence};
pub use quality::{Quality, QualityRow, quality};
pub use regress::{WithoutBehaviour, without_behaviour};
pub use session_decoding::{SessionDecoding, decode_session};
pub use tables::{ConfoundCheckRow, ConfoundNumberRow, IdentitySweepRow, WrongMatchesRow};
pub use tracking::{Tracking, TrackingPair, TrackingThreshold, tracking};
pub use trend::{Constancy, Trend, constancy, lag_trend, trend};
pub use trials::EpochTrials;
pub use within_day::{WithinDay, WithinDayRow, within_day};

pub(crate) use code::{Codes, Response};
pub(crate) use performance::counts_of;
pub(crate) use presence::of as presence_of;
pub(crate) use quality::of as quality_of;
pub(crate) use tracking::of as tracking_of;
pub(crate) use trend::table_of;
pub(crate) use within_day::of as within_day_of;
