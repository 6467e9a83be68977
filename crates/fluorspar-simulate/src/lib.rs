//! Simulated two-photon experiments whose answer is known.
//!
//! An animal works on an odour delayed-association task on several days:
//! odour 1 (A or B), a delay in which it must be remembered, odour 2 (C or D),
//! and a lick after A-C and B-D only. The same cells are imaged every day. In
//! the first days the code of the *late delay* drifts from day to day; later
//! it crystallizes. The codes of the odours and of the choice stay the same
//! throughout. This is the finding of Bellafard et al., Nature 629:1109
//! (2024), planted on purpose, so that an analysis can be asked what it sees.
//!
//! ```text
//! Plan ── Experiment::build ──┬── session(i): a Movie of int16 frames, rendered on demand
//!                             ├── trials(i), trials_csv(i)
//!                             └── truth(): footprints, motion, spikes, ΔF/F, identities, codes
//! ```
//!
//! | planted | where to find it |
//! |---|---|
//! | frame motion, `registered[y, x] = raw[y + dy, x + dx]` | [`SessionTruth::motion`] |
//! | shift of the field between days | [`SessionTruth::field_shift`] |
//! | cells, and which of them can be found | [`SessionTruth::footprints`], [`SessionTruth::active`] |
//! | the same cell on all days | [`Truth::roi_index`] |
//! | spikes and ΔF/F | [`SessionTruth::spikes`], [`SessionTruth::dff`] |
//! | codes and how they change | [`Truth::tuning`], [`Truth::expected_correlation`] |
//!
//! [`Fields`] are ROIs alone, of many sessions of one tissue at any size, for
//! whoever tracks cells and needs no movie; [`Events`] are trials and activity
//! alone, of any number of cells.
//!
//! ```
//! use fluorspar_movie::{Movie, MovieExt};
//! use fluorspar_simulate::{Epoch, Experiment, Plan};
//!
//! let plan = Plan { sessions: 3, trials: 4, cells: 40, height: 64, width: 96, ..Plan::default() };
//! let experiment = Experiment::build(&plan)?;
//! let movie = experiment.session(2);
//! assert_eq!(movie.shape().frames, plan.frames());
//! let frames = movie.read_array(10..12)?; // (frame, y, x)
//! assert_eq!(frames.dim(), (2, 64, 96));
//! assert!(experiment.trials_csv(0).starts_with("onset_s,odour1,odour2,choice,lick,outcome\n"));
//! // Two drifting steps lie between the first and the third day.
//! let expected = experiment.truth().expected_correlation(Epoch::LateDelay);
//! assert!((expected[[0, 2]] - 0.4 * 0.4).abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod activity;
mod cells;
mod check;
mod code;
mod error;
mod events;
mod experiment;
mod fields;
mod motion;
mod plan;
mod random;
mod scene;
mod session;
mod task;
mod texture;
mod truth;

pub use error::Error;
pub use events::Events;
pub use experiment::Experiment;
pub use fields::{FieldSession, Fields, FieldsPlan, Placement, RoiKind};
pub use plan::{ActivityPlan, CodePlan, FieldPlan, MotionPlan, OpticsPlan, Plan, TaskPlan};
pub use session::SessionMovie;
pub use task::{Choice, Epoch, Odour, Outcome, TrialRecord};
pub use truth::{CellState, SessionTruth, Truth};
