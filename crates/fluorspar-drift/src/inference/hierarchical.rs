//! Resampling of nested data: animals, then sessions or cells, then trials.

use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::add_one_p;
use crate::Error;
use crate::random::{Domain, stream};
use crate::statistics::{interval, variance};

/// How the data are nested: `trials[animal][session]` is the number of trials
/// (or of the lowest units, whatever they are; the middle level may be cells).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Design {
    /// Number of lowest units of each middle unit of each animal.
    pub trials: Vec<Vec<usize>>,
}

/// An animal that was drawn, and what was drawn within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnAnimal {
    /// Which animal.
    pub animal: usize,
    /// Its sessions (or cells), each as often as it was drawn.
    pub sessions: Vec<DrawnSession>,
}

/// A session (or cell) that was drawn, and what was drawn within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnSession {
    /// Which session of its animal.
    pub session: usize,
    /// Its trials, each as often as it was drawn.
    pub trials: Vec<usize>,
}

/// A statistic with its interval from a hierarchical bootstrap.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// The statistic of the data as they are.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of the central interval.
    pub lo: f64,
    /// Upper end of the central interval.
    pub hi: f64,
    /// Two-sided probability of 0: twice the rarer share of resamples on
    /// either side of it, add-one.
    pub p: f64,
    /// Animals; if 1, only what is below was resampled and the result holds for this animal alone.
    pub n_animals: usize,
    /// What the top level cannot give, or empty.
    pub weakness: String,
    /// The seed of the resamples.
    pub seed: u64,
    /// The statistic of every resample.
    pub resampled: Vec<f64>,
}

/// Hierarchical bootstrap (Davison and Hinkley 1997; Saravanan, Berman and
/// Sober 2020, Neurons Behav Data Anal Theory 3:5): draws animals with
/// replacement, within each sessions, within each trials, and gives
/// `statistic` the drawn indices. With one animal, it stays and the levels
/// below are drawn.
///
/// Trials of one session are more alike than trials of two animals. A test
/// that takes every trial as independent calls chance a finding in nearly
/// half of all null experiments; drawing whole animals first does not. With
/// few animals the highest level has few distinct draws and its spread is too
/// small by about `(n − 1)/n`: [`Bootstrap::weakness`] says so at five or
/// fewer.
///
/// # Errors
/// [`Error::Nothing`] without animals, or if an animal has no sessions or a
/// session no trials; [`Error::Parameter`] with fewer than 20 resamples or a
/// confidence outside 0 to 1; [`Error::Undefined`] if the statistic of the data
/// is not a finite number.
pub fn hierarchical<F>(
    design: &Design,
    resamples: usize,
    confidence: f64,
    seed: u64,
    statistic: F,
) -> Result<Bootstrap, Error>
where
    F: Fn(&[DrawnAnimal]) -> f64 + Sync,
{
    design.check()?;
    check(resamples, confidence)?;
    let value = statistic(&design.whole());
    let resampled: Vec<f64> = (0..resamples)
        .into_par_iter()
        .map(|k| statistic(&design.draw(&mut stream(seed, Domain::Animals, k as u64))))
        .collect();
    finish(value, resampled, confidence, design.trials.len(), seed)
}

/// [`hierarchical`] for `second − first` of two groups of different animals,
/// each drawn by itself. For conditions measured in the same animals, take
/// [`hierarchical`] with the difference as the statistic.
///
/// # Errors
/// As [`hierarchical`].
pub fn hierarchical_difference<F, G>(
    designs: [&Design; 2],
    resamples: usize,
    confidence: f64,
    seed: u64,
    first: F,
    second: G,
) -> Result<Bootstrap, Error>
where
    F: Fn(&[DrawnAnimal]) -> f64 + Sync,
    G: Fn(&[DrawnAnimal]) -> f64 + Sync,
{
    for design in designs {
        design.check()?;
    }
    check(resamples, confidence)?;
    let value = second(&designs[1].whole()) - first(&designs[0].whole());
    let resampled: Vec<f64> = (0..resamples)
        .into_par_iter()
        .map(|k| {
            let mut rng = stream(seed, Domain::Animals, k as u64);
            let a = designs[0].draw(&mut rng);
            let b = designs[1].draw(&mut rng);
            second(&b) - first(&a)
        })
        .collect();
    let animals = designs[0].trials.len().min(designs[1].trials.len());
    finish(value, resampled, confidence, animals, seed)
}

fn check(resamples: usize, confidence: f64) -> Result<(), Error> {
    if resamples < 20 {
        return Err(Error::Parameter {
            name: "resamples",
            value: resamples as f64,
            rule: "must be at least 20",
        });
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::Parameter {
            name: "confidence",
            value: confidence,
            rule: "must lie between 0 and 1",
        });
    }
    Ok(())
}

fn finish(
    value: f64,
    resampled: Vec<f64>,
    confidence: f64,
    n_animals: usize,
    seed: u64,
) -> Result<Bootstrap, Error> {
    if !value.is_finite() {
        return Err(Error::Undefined(
            "the statistic of the data is not a finite number".into(),
        ));
    }
    let finite: Vec<f64> = resampled
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    let (lo, hi) = interval(&resampled, confidence);
    let below = finite.iter().filter(|&&v| v <= 0.0).count();
    let above = finite.iter().filter(|&&v| v >= 0.0).count();
    let p = if lo.is_finite() {
        (2.0 * add_one_p(below.min(above), finite.len())).min(1.0)
    } else {
        f64::NAN
    };
    let weakness = match n_animals {
        1 => "one animal: the result holds for this animal".to_owned(),
        2..=5 => format!(
            "{n_animals} animals: intervals are somewhat too narrow, as so few animals can hardly show how animals differ"
        ),
        _ => String::new(),
    };
    Ok(Bootstrap {
        value,
        standard_error: variance(&finite).sqrt(),
        lo,
        hi,
        p,
        n_animals,
        weakness,
        seed,
        resampled,
    })
}

impl Design {
    fn check(&self) -> Result<(), Error> {
        if self.trials.is_empty() {
            return Err(Error::Nothing("animals"));
        }
        if self.trials.iter().any(Vec::is_empty) {
            return Err(Error::Nothing("sessions of an animal"));
        }
        if self.trials.iter().flatten().any(|&n| n == 0) {
            return Err(Error::Nothing("trials of a session"));
        }
        Ok(())
    }

    /// Everything once.
    fn whole(&self) -> Vec<DrawnAnimal> {
        self.trials
            .iter()
            .enumerate()
            .map(|(animal, sessions)| DrawnAnimal {
                animal,
                sessions: sessions
                    .iter()
                    .enumerate()
                    .map(|(session, &n)| DrawnSession {
                        session,
                        trials: (0..n).collect(),
                    })
                    .collect(),
            })
            .collect()
    }

    fn draw(&self, rng: &mut impl Rng) -> Vec<DrawnAnimal> {
        let animals = self.trials.len();
        (0..animals)
            .map(|_| {
                let animal = rng.random_range(0..animals);
                let sessions = &self.trials[animal];
                let drawn = (0..sessions.len())
                    .map(|_| {
                        let session = rng.random_range(0..sessions.len());
                        let n = sessions[session];
                        DrawnSession {
                            session,
                            trials: (0..n).map(|_| rng.random_range(0..n)).collect(),
                        }
                    })
                    .collect();
                DrawnAnimal {
                    animal,
                    sessions: drawn,
                }
            })
            .collect()
    }
}
