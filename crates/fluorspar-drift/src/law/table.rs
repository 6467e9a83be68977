//! What the laws are fitted to.

use ndarray::{Array2, Array3};

use super::Covariance;
use crate::Error;

/// Similarity of all pairs of sessions of one animal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// `(session, session)`; disattenuated, or raw with `amplitude`. Only `i < j` is
    /// read; NaN where there is no value.
    pub similarity: Array2<f64>,
    /// The same of every resample of cells, `(resample, session, session)`; no
    /// resamples if none were drawn.
    pub resampled: Array3<f64>,
    /// Elapsed days of each session, ascending.
    pub days: Vec<f64>,
    /// Practice session of each session, ascending; not only those recorded.
    pub practice: Vec<f64>,
    /// What each session's noise leaves of a similarity (root of its reliability):
    /// the laws are multiplied by both sessions'. `None` for disattenuated values.
    pub amplitude: Option<Vec<f64>>,
    /// Reliability of each session's mean responses, 0 to 1, for the covariance
    /// of pairs; taken as 1 if `None`.
    pub reliability: Option<Vec<f64>>,
    /// Cells behind the similarities (the fewest of any pair).
    pub n_cells: usize,
}

/// What counts as time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Axis {
    /// Elapsed days.
    #[default]
    Days,
    /// Practice sessions.
    Practice,
}

/// How laws are fitted and tested.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What counts as time.
    pub axis: Axis,
    /// How pairs of sessions depend on each other.
    pub covariance: Covariance,
    /// Simulated experiments behind the p value of [`super::likelihood_test`].
    pub simulations: usize,
    /// Orders of steps behind the p value of [`super::rate_slope`].
    pub permutations: usize,
    /// Coverage of the intervals; tests call a finding shown at `1 − confidence`.
    pub confidence: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            axis: Axis::default(),
            covariance: Covariance::default(),
            simulations: 999,
            permutations: 999,
            confidence: 0.95,
            seed: 1,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, value) in [
            ("simulations", self.simulations),
            ("permutations", self.permutations),
        ] {
            if value < 19 {
                return Err(Error::Parameter {
                    name,
                    value: value as f64,
                    rule: "must be at least 19",
                });
            }
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Err(Error::Parameter {
                name: "confidence",
                value: self.confidence,
                rule: "must lie between 0 and 1",
            });
        }
        Ok(())
    }
}

impl Table {
    /// Number of sessions.
    pub fn sessions(&self) -> usize {
        self.similarity.nrows()
    }

    /// Times of the sessions after the first.
    pub(crate) fn times(&self, axis: Axis) -> Vec<f64> {
        let raw = match axis {
            Axis::Days => &self.days,
            Axis::Practice => &self.practice,
        };
        raw.iter().map(|t| t - raw[0]).collect()
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let n = self.sessions();
        let shape = |name: &str| Error::Shape(format!("{name} does not fit {n} sessions"));
        if n == 0 {
            return Err(Error::Nothing("sessions"));
        }
        if self.similarity.ncols() != n {
            return Err(shape("similarity"));
        }
        let (resamples, a, b) = self.resampled.dim();
        if resamples > 0 && (a != n || b != n) {
            return Err(shape("resampled"));
        }
        for (name, times) in [("days", &self.days), ("practice", &self.practice)] {
            if times.len() != n {
                return Err(shape(name));
            }
            if times.iter().any(|t| !t.is_finite()) {
                return Err(Error::NotFinite(name));
            }
            if times.windows(2).any(|w| w[1] <= w[0]) {
                return Err(Error::Shape(format!("{name} must ascend")));
            }
        }
        for (name, values) in [
            ("amplitude", &self.amplitude),
            ("reliability", &self.reliability),
        ] {
            if let Some(values) = values {
                if values.len() != n {
                    return Err(shape(name));
                }
                if values.iter().any(|v| !v.is_finite()) {
                    return Err(Error::Undefined(format!(
                        "{name} holds a value that is not a finite number"
                    )));
                }
            }
        }
        Ok(())
    }
}
