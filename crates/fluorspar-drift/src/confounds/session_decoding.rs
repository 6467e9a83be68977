//! Can behaviour alone tell the sessions apart?

use fluorspar_decode::{CrossValidation, balanced_accuracy};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use rand::seq::SliceRandom;

use super::finding::{Finding, Status};
use crate::inference::add_one_p;
use crate::random::{Domain, stream};
use crate::{Error, Parameters};

/// How well behaviour tells sessions apart.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionDecoding {
    /// Cross-validated balanced accuracy.
    pub accuracy: f64,
    /// One over the number of sessions.
    pub chance: f64,
    /// Permutation p; trials close in time resemble each other, which makes it
    /// smaller than it should be.
    pub p: f64,
    /// `session_from_behaviour`.
    pub finding: Finding,
}

/// Decodes the session of a trial from its behaviour `(trial, variable)`
/// alone: nearest template (mean of each session's training trials, variables
/// in units of their standard deviation), `folds`-fold cross-validation. Above
/// chance, a decoder of days from neurons may read behaviour. It sees
/// differences of the mean, not of the spread.
///
/// # Errors
/// [`Error::Undefined`] below two sessions or with fewer trials than folds,
/// [`Error::Shape`] if the variables differ, [`Error::NotFinite`],
/// [`Error::Nothing`] without variables.
pub fn decode_session(
    behaviour: &[ArrayView2<'_, f64>],
    folds: usize,
    parameters: &Parameters,
) -> Result<SessionDecoding, Error> {
    if behaviour.len() < 2 {
        return Err(Error::Undefined(
            "one session cannot be told from others".into(),
        ));
    }
    let all = concatenate(Axis(0), behaviour)
        .map_err(|_| Error::Shape("the sessions have other variables of behaviour".into()))?;
    if all.ncols() == 0 {
        return Err(Error::Nothing("variables of behaviour"));
    }
    if all.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite("the behaviour"));
    }
    let mut sessions: Vec<i64> = behaviour
        .iter()
        .zip(0..)
        .flat_map(|(trials, session)| vec![session; trials.nrows()])
        .collect();
    let accuracy = |sessions: &[i64]| {
        let cut = CrossValidation {
            folds,
            repeats: 1,
            seed: parameters.seed,
        };
        let undefined = |why: fluorspar_decode::Error| Error::Undefined(why.to_string());
        let mut guess = vec![0; sessions.len()];
        for split in cut.splits(sessions).map_err(undefined)? {
            let templates = Templates::of(&all, sessions, &split.train, behaviour.len());
            for &trial in &split.test {
                guess[trial] = templates.nearest(&all, trial);
            }
        }
        balanced_accuracy(sessions, &guess).map_err(undefined)
    };
    let observed = accuracy(&sessions)?;
    let mut rng = stream(parameters.seed, Domain::Labels, 1);
    let mut reached = 0;
    for _ in 0..parameters.permutations {
        sessions.shuffle(&mut rng);
        reached += usize::from(accuracy(&sessions)? >= observed - 1e-12);
    }
    let p = add_one_p(reached, parameters.permutations);
    let chance = 1.0 / behaviour.len() as f64;
    // Half way from chance to certainty, sessions are told apart more often than not.
    let status = match observed {
        _ if p >= 0.05 => Status::Fine,
        a if a < chance + 0.5 * (1.0 - chance) => Status::Look,
        _ => Status::Problem,
    };
    let sentence = format!(
        "Behaviour alone tells the session of {:.0} % of trials, chance is {:.0} %{}.",
        100.0 * observed,
        100.0 * chance,
        if status == Status::Fine {
            ""
        } else {
            ": neurons that follow behaviour will too"
        }
    );
    Ok(SessionDecoding {
        accuracy: observed,
        chance,
        p,
        finding: Finding::new("session_from_behaviour", observed, all.nrows())
            .tested(p, "the session of every trial is as likely")
            .says(status, sentence),
    })
}

/// Mean behaviour of each session in units of `scale`.
struct Templates {
    means: Array2<f64>,
    scale: Vec<f64>,
}

impl Templates {
    fn of(all: &Array2<f64>, sessions: &[i64], train: &[usize], count: usize) -> Self {
        let mut means = Array2::<f64>::zeros((count, all.ncols()));
        let mut trials = vec![0.0; count];
        for &trial in train {
            let session = sessions[trial] as usize;
            trials[session] += 1.0;
            means
                .row_mut(session)
                .zip_mut_with(&all.row(trial), |m, v| *m += v);
        }
        for (mut row, n) in means.rows_mut().into_iter().zip(&trials) {
            row.mapv_inplace(|v| v / n);
        }
        let mut scale = vec![0.0; all.ncols()];
        for &trial in train {
            let mean = means.row(sessions[trial] as usize);
            for ((s, v), m) in scale.iter_mut().zip(all.row(trial)).zip(mean) {
                *s += (v - m).powi(2);
            }
        }
        for s in &mut scale {
            *s = if *s > 0.0 {
                train.len() as f64 / *s
            } else {
                0.0
            };
        }
        Self { means, scale }
    }

    fn nearest(&self, all: &Array2<f64>, trial: usize) -> i64 {
        let mut best = (f64::INFINITY, 0);
        for (session, mean) in self.means.rows().into_iter().enumerate() {
            let row = all.row(trial);
            let far: f64 = row
                .iter()
                .zip(mean)
                .zip(&self.scale)
                .map(|((v, m), s)| s * (v - m).powi(2))
                .sum();
            if far < best.0 {
                best = (far, session as i64);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_differ_are_told_apart_and_others_are_not() {
        let parameters = Parameters {
            permutations: 100,
            ..Parameters::default()
        };
        let run = |shift: f64| {
            let sessions: Vec<Array2<f64>> = (0..3)
                .map(|s| {
                    Array2::from_shape_fn((30, 2), |(t, v)| {
                        ((t * 7 + v * 3 + t * t) % 13) as f64 + shift * f64::from(s)
                    })
                })
                .collect();
            let views: Vec<_> = sessions.iter().map(|s| s.view()).collect();
            decode_session(&views, 5, &parameters).unwrap()
        };
        let apart = run(30.0);
        assert!(apart.accuracy == 1.0 && apart.finding.status == Status::Problem);
        let same = run(0.0);
        assert!(same.p > 0.05 && same.accuracy < 0.5, "{same:?}");
        let lone = Array2::zeros((9, 1));
        assert!(decode_session(&[lone.view()], 3, &parameters).is_err());
        let none = Array2::zeros((9, 0));
        assert!(decode_session(&[none.view(), none.view()], 3, &parameters).is_err());
        assert!(decode_session(&[lone.view(), none.view()], 3, &parameters).is_err());
        assert!(decode_session(&[lone.view(), lone.view()], 20, &parameters).is_err());
    }
}
