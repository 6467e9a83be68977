//! Planted drift: what the analysis would have said, had the code drifted so.
//!
//! A [`Template`] keeps of a recording what a result hangs on: days, numbers
//! of trials, which cells were seen when and how surely, each cell's mean, the
//! size of its code, and its noise with what cells share of it. A [`Plan`]
//! says how the code drifts, how many trials there are and how many cells are
//! matched wrongly. [`Template::sessions`] draws such an experiment, and
//! [`replicate`] runs any analysis on many of them: its mean against the
//! planted value is its bias, the share of rejections its power, or its rate
//! of false alarms. [`crate::planted_drift`] does so with the analysis of this
//! crate; a [`Planting`] says what to plant.
//!
//! ```
//! use std::collections::BTreeMap;
//! use fluorspar_drift::planted::{Answer, Law, Plan, Template, replicate};
//! use fluorspar_drift::{Epoch, Session};
//! use ndarray::Array3;
//!
//! // Three sessions: a weak code in noise.
//! let session = |day: usize| Session {
//!     activity: Array3::from_shape_fn((20, 30, 2), |(trial, cell, time)| {
//!         let tuned = if (cell + trial) % 2 == 0 { 1.0 } else { 0.0 };
//!         tuned + ((trial * 31 + cell * 17 + time * 7 + day * 5) % 11) as f32 * 0.1
//!     }),
//!     cell: (0..30).collect(),
//!     time_s: vec![0.0, 0.5],
//!     day: day as f64,
//!     labels: BTreeMap::from([("odour".to_owned(), (0..20).map(|t| t % 2).collect())]),
//!     ..Session::default()
//! };
//! let sessions = [session(1), session(2), session(5)];
//! let epoch = Epoch { name: "delay".into(), start_s: 0.0, stop_s: 1.0 };
//! let template = Template::of(&sessions, &epoch, "odour")?;
//! let plan = Plan { law: Law::Exponential { tau_days: 3.0 }, ..Plan::default() };
//! // An analysis that counts trials: it sees none lost.
//! let counted = replicate(&template, &plan, 20, 1, |sessions| Answer {
//!     estimate: sessions[0].activity.dim().0 as f64,
//!     rejected: None,
//! })?;
//! assert_eq!(counted.mean, 20.0);
//! # Ok::<(), fluorspar_drift::Error>(())
//! ```

mod law;
mod planting;
mod replicate;
mod template;

pub use law::{Law, Plan, TrialNumbers, WrongMatches};
pub use planting::{PlantedRow, Planting};
pub use replicate::{Answer, Replicates, binomial_interval, replicate, replicate_several};
pub use template::Template;
