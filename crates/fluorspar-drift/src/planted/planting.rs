use super::law::{Law, Plan, TrialNumbers, WrongMatches, within};
use crate::table::row;
use crate::{Error, Session};

/// Which drift to plant, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Planting {
    /// What to plant.
    pub plans: Vec<Plan>,
    /// Experiments of each plan. A share of 5 % is known to ± 6 % with 50, ± 3 % with 200.
    pub repetitions: usize,
    /// Resamples behind each interval of the analysis.
    pub bootstrap: usize,
    /// At most this many cells, chosen at random. With fewer cells than the
    /// recording's, bias is the same and power is smaller.
    pub max_cells: usize,
}

impl Planting {
    /// Plans that fit a recording of these sessions: a code that stays, one
    /// that decays to 1/e over half of the recording, a random walk, drift
    /// that settles within a quarter of it, a code that stays with four times
    /// as many trials late as early, and one that stays with matches that go
    /// wrong over the days.
    pub fn usual(sessions: &[Session]) -> Self {
        let days = || sessions.iter().map(|s| s.day).filter(|day| day.is_finite());
        let span = days().fold(f64::NEG_INFINITY, f64::max) - days().fold(f64::INFINITY, f64::min);
        // A single session, or none, still gives plans that are possible.
        let span = if span > 0.0 { span } else { 1.0 };
        let trials = sessions
            .iter()
            .map(|s| s.activity.dim().0)
            .max()
            .unwrap_or(0);
        let most = trials.clamp(8, 1_000_000);
        let law = |law| Plan {
            law,
            ..Plan::default()
        };
        Self {
            plans: vec![
                Plan::default(),
                law(Law::Exponential {
                    tau_days: 0.5 * span,
                }),
                law(Law::RandomWalk {
                    variance_per_day: 2.0 / span,
                }),
                law(Law::Crystallizing {
                    first_per_day: 6.0 / span,
                    last_per_day: 0.25 / span,
                    tau_days: 0.25 * span,
                }),
                Plan {
                    trials: TrialNumbers::Changing {
                        first: most / 4,
                        last: most,
                    },
                    ..Plan::default()
                },
                Plan {
                    wrong: WrongMatches::Share {
                        share: 0.02,
                        per_day: 0.2 / span,
                    },
                    ..Plan::default()
                },
            ],
            repetitions: 50,
            bootstrap: 200,
            max_cells: 2000,
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range,
    /// [`Error::Nothing`] without plans.
    pub fn validate(&self) -> Result<(), Error> {
        if self.plans.is_empty() {
            return Err(Error::Nothing("plans"));
        }
        for (name, value, least) in [
            ("repetitions", self.repetitions, 1),
            ("bootstrap", self.bootstrap, 20),
            ("max_cells", self.max_cells, 2),
        ] {
            within(value >= least, name, value as f64, "is too small")?;
        }
        self.plans.iter().try_for_each(Plan::validate)
    }
}

row! {
    /// What the analysis says of a planted drift; a row of `planted.csv`.
    PlantedRow in "planted" {
        /// Epoch of the trial.
        epoch: String,
        /// Label.
        variable: String,
        /// Law of the planted drift.
        law: &'static str,
        /// All that was planted, in words.
        plan: String,
        /// What was estimated.
        quantity: &'static str,
        /// Its value under the law.
        planted: f64,
        /// Mean estimate over experiments.
        mean: f64,
        /// Standard deviation of the estimates.
        sd: f64,
        /// Mean estimate less the planted value.
        bias: f64,
        /// Lower end of the 95 % interval of the bias.
        bias_lo: f64,
        /// Upper end of it.
        bias_hi: f64,
        /// Share of the tested experiments in which the test rejects "no change".
        rejected: f64,
        /// Lower end of its 95 % interval.
        rejected_lo: f64,
        /// Upper end of it.
        rejected_hi: f64,
        /// Experiments tested.
        n_tested: usize,
        /// Experiments without an estimate.
        n_refused: usize,
        /// Experiments planted.
        n_experiments: usize,
        /// Cells planted.
        n_cells: usize,
        /// Seed of the experiments.
        seed: u64,
        /// Why there is no number, or empty.
        reason: String,
    }
}
