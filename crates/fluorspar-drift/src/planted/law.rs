use std::fmt;

use crate::Error;

/// How the code drifts. Codes are Gaussian and drift without memory: the
/// similarity of two sessions is the product over the steps between them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Law {
    /// The code stays.
    #[default]
    Constant,
    /// Ornstein–Uhlenbeck: similarity `e^{−Δ/τ}` after `Δ` days.
    Exponential {
        /// Days in which similarity falls to 1/e.
        tau_days: f64,
    },
    /// Steps of one size on a code that grows: `√((1 + q s)/(1 + q t))` from
    /// day `s` to day `t`, counted from the first session. Looks like a code
    /// that settles.
    RandomWalk {
        /// Variance `q` of a day's steps, in units of the code's on the first day.
        variance_per_day: f64,
    },
    /// Drift that slows: `exp(−∫k)` with the rate
    /// `k(t) = k_∞ + (k_0 − k_∞) e^{−t/τ}`, `t` days from the first session.
    Crystallizing {
        /// Rate `k_0` on the first day, per day.
        first_per_day: f64,
        /// Rate `k_∞` in the end, per day.
        last_per_day: f64,
        /// Days `τ` in which the rate goes most of the way.
        tau_days: f64,
    },
}

impl Law {
    /// Similarity of the codes of two days, counted from the first session.
    pub fn similarity(&self, from: f64, to: f64) -> f64 {
        let (s, t) = (from.min(to), from.max(to));
        match *self {
            Self::Constant => 1.0,
            Self::Exponential { tau_days } => (-(t - s) / tau_days).exp(),
            Self::RandomWalk {
                variance_per_day: q,
            } => ((1.0 + q * s) / (1.0 + q * t)).sqrt(),
            Self::Crystallizing {
                first_per_day,
                last_per_day,
                tau_days,
            } => {
                let faded = (-s / tau_days).exp() - (-t / tau_days).exp();
                let extra = (first_per_day - last_per_day) * tau_days * faded;
                (-(last_per_day * (t - s) + extra)).exp()
            }
        }
    }

    /// Its name, for tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential { .. } => "exponential",
            Self::RandomWalk { .. } => "random walk",
            Self::Crystallizing { .. } => "crystallizing",
        }
    }

    fn check(&self) -> Result<(), Error> {
        let positive = |name, value: f64| within(value > 0.0, name, value, "must be positive");
        let not_negative =
            |name, value: f64| within(value >= 0.0, name, value, "must not be negative");
        match *self {
            Self::Constant => Ok(()),
            Self::Exponential { tau_days } => positive("tau_days", tau_days),
            Self::RandomWalk { variance_per_day } => {
                not_negative("variance_per_day", variance_per_day)
            }
            Self::Crystallizing {
                first_per_day,
                last_per_day,
                tau_days,
            } => {
                not_negative("first_per_day", first_per_day)?;
                not_negative("last_per_day", last_per_day)?;
                positive("tau_days", tau_days)
            }
        }
    }
}

/// How many trials the planted sessions have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum TrialNumbers {
    /// As many as recorded.
    #[default]
    AsRecorded,
    /// Changing evenly over sessions, labels in the recorded proportions, at
    /// least two of each.
    Changing {
        /// In the first session.
        first: usize,
        /// In the last session.
        last: usize,
    },
}

/// Which cells are matched wrongly: those have the code of another cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum WrongMatches {
    /// None.
    #[default]
    None,
    /// In each session, each cell with the probability `1 − p_same` that was recorded.
    AsRecorded,
    /// `share` between any two sessions, and more by `per_day` as days pass:
    /// a share `1 − (1 − share) e^{−per_day Δ}` is wrong.
    Share {
        /// Between two sessions, however near.
        share: f64,
        /// Identities lost per day, for good.
        per_day: f64,
    },
}

/// What is planted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Plan {
    /// How the code drifts.
    pub law: Law,
    /// How many trials there are.
    pub trials: TrialNumbers,
    /// Which cells are matched wrongly.
    pub wrong: WrongMatches,
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.law {
            Law::Constant => write!(out, "the code stays")?,
            Law::Exponential { tau_days } => {
                write!(out, "similarity falls to 1/e in {tau_days:.3} days")?;
            }
            Law::RandomWalk { variance_per_day } => {
                write!(
                    out,
                    "a random walk adds {variance_per_day:.3} of the first day's variance per day"
                )?;
            }
            Law::Crystallizing {
                first_per_day,
                last_per_day,
                tau_days,
            } => write!(
                out,
                "drift slows from {first_per_day:.3} to {last_per_day:.3} per day within {tau_days:.3} days"
            )?,
        }
        if let TrialNumbers::Changing { first, last } = self.trials {
            write!(
                out,
                "; {first} trials in the first session, {last} in the last"
            )?;
        }
        match self.wrong {
            WrongMatches::None => Ok(()),
            WrongMatches::AsRecorded => write!(out, "; matches wrong as p_same says"),
            WrongMatches::Share { share, per_day } => write!(
                out,
                "; {:.1} % of matches wrong and {:.2} % more per day",
                100.0 * share,
                100.0 * per_day
            ),
        }
    }
}

impl Plan {
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        self.law.check()?;
        if let TrialNumbers::Changing { first, last } = self.trials {
            for (name, value) in [("first", first), ("last", last)] {
                let value = value as f64;
                within(
                    (2.0..=1e6).contains(&value),
                    name,
                    value,
                    "must be from 2 to 1,000,000",
                )?;
            }
        }
        if let WrongMatches::Share { share, per_day } = self.wrong {
            within(
                (0.0..=1.0).contains(&share),
                "share",
                share,
                "must lie between 0 and 1",
            )?;
            within(per_day >= 0.0, "per_day", per_day, "must not be negative")?;
        }
        Ok(())
    }
}

pub(super) fn within(
    ok: bool,
    name: &'static str,
    value: f64,
    rule: &'static str,
) -> Result<(), Error> {
    if ok && value.is_finite() {
        Ok(())
    } else {
        Err(Error::Parameter { name, value, rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_have_their_closed_forms() {
        let walk = Law::RandomWalk {
            variance_per_day: 0.2,
        };
        assert!((walk.similarity(0.0, 5.0) - 0.707).abs() < 1e-3);
        assert!((walk.similarity(10.0, 5.0) - 0.816).abs() < 1e-3);
        let settling = Law::Crystallizing {
            first_per_day: 0.6,
            last_per_day: 0.05,
            tau_days: 3.0,
        };
        for (from, to, expected) in [
            (0.0, 1.0, 0.596),
            (0.0, 5.0, 0.203),
            (5.0, 10.0, 0.606),
            (10.0, 13.0, 0.829),
        ] {
            assert!((settling.similarity(from, to) - expected).abs() < 1.5e-3);
        }
        let steady = Law::Crystallizing {
            first_per_day: 0.25,
            last_per_day: 0.25,
            tau_days: 3.0,
        };
        let fall = Law::Exponential { tau_days: 4.0 };
        assert!((steady.similarity(1.0, 7.0) - fall.similarity(1.0, 7.0)).abs() < 1e-12);
    }

    #[test]
    fn impossible_plans_are_refused() {
        for law in [
            Law::Exponential { tau_days: 0.0 },
            Law::Exponential { tau_days: f64::NAN },
            Law::RandomWalk {
                variance_per_day: -1.0,
            },
            Law::RandomWalk {
                variance_per_day: f64::INFINITY,
            },
        ] {
            assert!(
                Plan {
                    law,
                    ..Plan::default()
                }
                .validate()
                .is_err()
            );
        }
        let trials = TrialNumbers::Changing { first: 0, last: 9 };
        assert!(
            Plan {
                trials,
                ..Plan::default()
            }
            .validate()
            .is_err()
        );
        let wrong = WrongMatches::Share {
            share: 1.5,
            per_day: 0.0,
        };
        assert!(
            Plan {
                wrong,
                ..Plan::default()
            }
            .validate()
            .is_err()
        );
    }
}
