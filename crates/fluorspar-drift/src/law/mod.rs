//! Laws of drift over days, and the tests of crystallization.
//!
//! A [`Table`] holds the similarity of every pair of sessions of one animal,
//! with resamples. A [`Law`] says what similarity should be left between two
//! times. [`fit`] finds its parameters, [`choose`] compares laws on sessions
//! they were not fitted to, [`refit`] says how
//! sure they are and how long a code lasts. Whether
//! drift slows down with practice is asked in three ways:
//!
//! | test | asks | null |
//! |---|---|---|
//! | [`likelihood_test`] | is a rate that falls with time better than any steady drift? | plateau, random walk and steady steps, each simulated with the noise of the data |
//! | [`rate_slope`] | does the loss per day between neighbouring sessions fall with practice? | the order of steps does not matter |
//! | [`rate_slope_difference`] | does it fall more in one epoch than in others, same cells? | the same |
//!
//! [`conclude`] puts them together.

mod choice;
mod covariance;
mod crystallization;
mod excess;
mod fit;
mod half_life;
mod points;
mod shape;
mod slope;
mod solve;
mod table;
mod verdict;

pub use choice::{Scored, choose};
pub use covariance::Covariance;
pub use crystallization::{LikelihoodTest, NullLaw, likelihood_test};
pub use fit::{Fit, fit};
pub use half_life::{HalfLife, Refitted, refit};
pub use shape::Law;
pub use slope::{SlopeTest, rate_slope, rate_slope_difference};
pub use table::{Axis, Options, Table};
pub use verdict::{Finding, Verdict, conclude};
