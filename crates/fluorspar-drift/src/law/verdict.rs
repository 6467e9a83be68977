//! What may be said, and the sentence that says it.

use std::fmt;

use super::crystallization::LikelihoodTest;
use super::slope::SlopeTest;
use crate::Error;

/// What a test showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The null is rejected in the direction asked about.
    Shown,
    /// It is not; which does not show that the null holds.
    NotShown,
    /// The data do not allow the test.
    Undetermined,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shown => "shown",
            Self::NotShown => "not shown",
            Self::Undetermined => "undetermined",
        })
    }
}

/// A test with all that has to stand beside its p value.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which test.
    pub test: &'static str,
    /// Its statistic, NaN if undetermined.
    pub statistic: f64,
    /// Lower end of the statistic's interval, NaN if it has none.
    pub lo: f64,
    /// Upper end of the statistic's interval.
    pub hi: f64,
    /// Probability of a statistic as extreme under the null.
    pub p: f64,
    /// The null hypothesis.
    pub null: &'static str,
    /// What was resampled.
    pub unit: &'static str,
    /// Sessions (steps + 1 for slopes) of the animal with the fewest.
    pub n_sessions: usize,
    /// Cells of the animal with the fewest.
    pub n_cells: usize,
    /// Animals.
    pub n_animals: usize,
    /// Seed.
    pub seed: u64,
    /// What it showed.
    pub verdict: Verdict,
    /// Why it is undetermined, or empty.
    pub reason: String,
    /// A sentence for a paper; `{code}` stands for what the code is called.
    pub sentence: String,
}

/// What neither test can exclude when all sessions are one animal's.
fn scope(n_animals: usize) -> String {
    match n_animals {
        1 => "; one animal, so the result is about this animal".into(),
        2..=5 => format!("; {n_animals} animals, too few to speak for animals in general"),
        _ => String::new(),
    }
}

fn unit(n_animals: usize) -> &'static str {
    if n_animals > 1 {
        "animals, cells"
    } else {
        "cells"
    }
}

fn counted(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

fn p_text(p: f64) -> String {
    if p < 0.001 {
        format!("p = {p:.1e}")
    } else {
        format!("p = {p:.3}")
    }
}

fn undetermined(test: &'static str, null: &'static str, seed: u64, error: &Error) -> Finding {
    Finding {
        test,
        statistic: f64::NAN,
        lo: f64::NAN,
        hi: f64::NAN,
        p: f64::NAN,
        null,
        unit: "",
        n_sessions: 0,
        n_cells: 0,
        n_animals: 0,
        seed,
        verdict: Verdict::Undetermined,
        reason: error.to_string(),
        sentence: format!(
            "Whether the drift of the {{code}} slows with practice could not be tested ({error})."
        ),
    }
}

const STEADY: &str = "steady drift: plateau, random walk and steady steps";
const ORDER: &str = "constant loss per day: the order of steps does not matter";
const ALIKE: &str = "the loss per day changes alike in all epochs";

impl LikelihoodTest {
    /// The test as a finding at the level `1 − confidence`.
    pub fn finding(&self, confidence: f64) -> Finding {
        let shown = self.p <= 1.0 - confidence;
        let n = format!(
            "likelihood ratio {:.1} over {}, parametric bootstrap {}, {}, {}, {}, seed {}{}",
            self.ratio,
            self.hardest.name().replace('_', " "),
            p_text(self.p),
            counted(self.n_cells, "cell"),
            counted(self.n_sessions, "session"),
            counted(self.n_animals, "animal"),
            self.seed,
            scope(self.n_animals)
        );
        Finding {
            test: "likelihood_ratio",
            statistic: self.ratio,
            lo: f64::NAN,
            hi: f64::NAN,
            p: self.p,
            null: STEADY,
            unit: "cells",
            n_sessions: self.n_sessions,
            n_cells: self.n_cells,
            n_animals: self.n_animals,
            seed: self.seed,
            verdict: if shown {
                Verdict::Shown
            } else {
                Verdict::NotShown
            },
            reason: String::new(),
            sentence: if shown {
                format!(
                    "The drift of the {{code}} slowed over sessions more than any steady drift explains ({n})."
                )
            } else {
                format!(
                    "The similarity of the {{code}} between sessions could not be told from steady drift ({n})."
                )
            },
        }
    }
}

impl SlopeTest {
    /// The test as a finding at the level `1 − confidence`; `difference` if it came from
    /// [`super::rate_slope_difference`].
    pub fn finding(&self, confidence: f64, difference: bool) -> Finding {
        let significant = self.p <= 1.0 - confidence;
        let shown = significant && self.slope < 0.0;
        let n = format!(
            "{:+.3} per day and practice session, {:.0} % interval {:+.3} to {:+.3}, {}, {}, {}, {}, seed {}{}",
            self.slope,
            100.0 * confidence,
            self.lo,
            self.hi,
            p_text(self.p),
            counted(self.n_cells, "cell"),
            counted(self.n_steps, "step"),
            counted(self.n_animals, "animal"),
            self.seed,
            scope(self.n_animals)
        );
        let sentence = match (difference, shown, significant) {
            (false, true, _) => {
                format!("The loss of the {{code}} per day fell with practice ({n}).")
            }
            (false, false, true) => {
                format!("The loss of the {{code}} per day rose with practice ({n}).")
            }
            (false, false, false) => {
                format!(
                    "No change with practice of the loss of the {{code}} per day was shown ({n})."
                )
            }
            (true, true, _) => format!(
                "The loss of the {{code}} per day fell more with practice than that of the other epochs in the same cells ({n})."
            ),
            (true, false, true) => format!(
                "The loss of the {{code}} per day fell less with practice than that of the other epochs in the same cells ({n})."
            ),
            (true, false, false) => format!(
                "No difference between the {{code}} and the other epochs in how the loss per day changes with practice was shown ({n})."
            ),
        };
        Finding {
            test: if difference {
                "rate_slope_difference"
            } else {
                "rate_slope"
            },
            statistic: self.slope,
            lo: self.lo,
            hi: self.hi,
            p: self.p,
            null: if difference { ALIKE } else { ORDER },
            unit: unit(self.n_animals),
            n_sessions: self.n_steps + 1,
            n_cells: self.n_cells,
            n_animals: self.n_animals,
            seed: self.seed,
            verdict: if shown {
                Verdict::Shown
            } else {
                Verdict::NotShown
            },
            reason: String::new(),
            sentence,
        }
    }
}

impl Finding {
    /// A result of [`super::likelihood_test`] as a finding, an error as one that is undetermined.
    pub fn of_likelihood(
        result: &Result<LikelihoodTest, Error>,
        confidence: f64,
        seed: u64,
    ) -> Self {
        match result {
            Ok(test) => test.finding(confidence),
            Err(error) => undetermined("likelihood_ratio", STEADY, seed, error),
        }
    }

    /// The same for [`super::rate_slope`] or, with `difference`, [`super::rate_slope_difference`].
    pub fn of_slope(
        result: &Result<SlopeTest, Error>,
        difference: bool,
        confidence: f64,
        seed: u64,
    ) -> Self {
        match result {
            Ok(test) => test.finding(confidence, difference),
            Err(error) if difference => undetermined("rate_slope_difference", ALIKE, seed, error),
            Err(error) => undetermined("rate_slope", ORDER, seed, error),
        }
    }
}

/// The answer to *does the code crystallize*: shown only if the likelihood test
/// rejects every steady drift and the slope of neighbouring sessions, which assumes no
/// law, falls as well; p is the larger of both. The likelihood test excludes a random walk, which the slope
/// cannot; the slope covers steps that vary by chance, which the laws do not.
pub fn conclude(
    likelihood: &Result<LikelihoodTest, Error>,
    slope: &Result<SlopeTest, Error>,
    confidence: f64,
    seed: u64,
) -> Finding {
    const NULL: &str = "steady drift, or a loss per day that does not fall with practice";
    let (law, order) = match (likelihood, slope) {
        (Ok(law), Ok(order)) => (law, order),
        (Err(error), _) | (_, Err(error)) => {
            return undetermined("crystallization", NULL, seed, error);
        }
    };
    let (a, b) = (law.finding(confidence), order.finding(confidence, false));
    // A slope that rises is no evidence however small its p.
    let p = if order.slope < 0.0 {
        law.p.max(order.p)
    } else {
        1.0
    };
    let shown = a.verdict == Verdict::Shown && b.verdict == Verdict::Shown;
    let n = format!(
        "change of the loss per day with each practice session {:+.3}, {:.0} % interval {:+.3} to {:+.3}, {}; likelihood ratio {:.1} over {}, {}; {}, {}, {}, seed {}{}",
        order.slope,
        100.0 * confidence,
        order.lo,
        order.hi,
        p_text(order.p),
        law.ratio,
        law.hardest.name().replace('_', " "),
        p_text(law.p),
        counted(law.n_cells.min(order.n_cells), "cell"),
        counted(law.n_sessions, "session"),
        counted(law.n_animals.min(order.n_animals), "animal"),
        law.seed,
        scope(law.n_animals.min(order.n_animals))
    );
    Finding {
        test: "crystallization",
        p,
        null: NULL,
        n_cells: law.n_cells.min(order.n_cells),
        n_sessions: law.n_sessions,
        n_animals: law.n_animals.min(order.n_animals),
        verdict: if shown {
            Verdict::Shown
        } else {
            Verdict::NotShown
        },
        sentence: if shown {
            format!(
                "The {{code}} crystallized: its drift slowed with practice, more than a plateau, a random walk or drift in steady steps explains ({n})."
            )
        } else {
            format!("Crystallization of the {{code}} was not shown ({n}).")
        },
        ..b
    }
}
