use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayView2, Axis};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::law::{Plan, TrialNumbers, WrongMatches};
use crate::confounds::{EpochTrials, Response};
use crate::random::{Domain, stream};
use crate::similarity::linear::gram;
use crate::{Epoch, Error, Session};

/// What a recording tells of the conditions under which drift is to be found.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    variable: String,
    time_s: f64,
    classes: Vec<i64>,
    sessions: Vec<Measured>,
    /// Standard deviation of each cell's code over labels, by rank of its identity.
    code: Vec<f64>,
}

/// One session.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    day: f64,
    practice: Option<usize>,
    cell: Vec<i64>,
    rank: Vec<usize>,
    seen: Vec<bool>,
    p_same: Option<Vec<f32>>,
    /// Mean of each cell over labels.
    middle: Vec<f64>,
    /// Deviations from the label's mean `(trial, cell)`, as large as a fresh trial's.
    residuals: Array2<f32>,
    /// Trials of each class.
    members: Vec<Vec<usize>>,
    /// How much of the noise is drawn for all cells at once ([`shared_noise`]).
    shared: f32,
    /// Cells that vary; others stay as they are.
    varies: Vec<bool>,
    /// How much stronger the code is than on average over sessions.
    gain: f64,
}

impl Template {
    /// Measures an epoch's code of a variable.
    ///
    /// Each cell's code has the size measured, freed of noise, mean over
    /// sessions; sizes below 0 are taken as 0 and the others made smaller so
    /// that the sum stays. Every session is as strong as measured.
    ///
    /// # Errors
    /// [`Error::Session`], [`Error::Epoch`], [`Error::Nothing`],
    /// [`Error::Undefined`] for malformed input, sessions with other labels
    /// or fewer than two trials of one, or if no code is above the noise.
    pub fn of(sessions: &[Session], epoch: &Epoch, variable: &str) -> Result<Self, Error> {
        let trials = EpochTrials::of(sessions, epoch, variable)?;
        let mut ids: Vec<i64> = trials.iter().flat_map(|s| s.cell.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut responses = Vec::new();
        for (k, session) in trials.iter().enumerate() {
            let all: Vec<usize> = (0..session.labels.len()).collect();
            let refuse = |reason| Error::Session {
                session: k + 1,
                reason,
            };
            responses.push(Response::of(session, &all, 2).map_err(refuse)?);
        }
        let classes = responses[0].classes().to_vec();
        if let Some(other) = responses.iter().position(|r| r.classes() != classes) {
            return Err(Error::Session {
                session: other + 1,
                reason: "has other labels than the first".into(),
            });
        }
        let rank = |session: &EpochTrials<'_>| -> Vec<usize> {
            session
                .cell
                .iter()
                .map(|id| ids.binary_search(id).unwrap_or(0))
                .collect()
        };
        let ranks: Vec<Vec<usize>> = trials.iter().map(rank).collect();
        let (code, gains) = sizes(&trials, &responses, &ranks, ids.len())?;
        let measured = trials
            .iter()
            .zip(sessions)
            .zip(responses)
            .zip(ranks)
            .zip(gains)
            .map(|((((trials, session), response), rank), gain)| {
                measure(trials, session, &response, rank, gain)
            })
            .collect();
        Ok(Self {
            variable: variable.to_owned(),
            time_s: 0.5 * (epoch.start_s + epoch.stop_s),
            classes,
            sessions: measured,
            code,
        })
    }

    /// Days of the sessions, counted from the first.
    pub fn days(&self) -> Vec<f64> {
        let first = self.sessions.first().map_or(0.0, |s| s.day);
        self.sessions.iter().map(|s| s.day - first).collect()
    }

    /// Experiment number `index` under a plan: the recorded sessions, cells
    /// and masks with one time bin in the middle of the epoch. The code
    /// follows the plan's law; to each trial is added what recorded trials of
    /// the same session and label, drawn at random, deviate from their mean, so
    /// far for all cells together as cells correlate beyond chance. A cell that never varies in a session stays so.
    ///
    /// # Errors
    /// As [`Plan::validate`].
    pub fn sessions(&self, plan: &Plan, seed: u64, index: u64) -> Result<Vec<Session>, Error> {
        plan.validate()?;
        let mut rng = stream(seed, Domain::Planted, index);
        let days = self.days();
        let mut code: Vec<Vec<f64>> = self.code.iter().map(|_| self.fresh(&mut rng)).collect();
        let mut out = Vec::with_capacity(self.sessions.len());
        for (k, session) in self.sessions.iter().enumerate() {
            if k > 0 {
                let (from, to) = (days[k - 1], days[k]);
                let lost = match plan.wrong {
                    WrongMatches::Share { per_day, .. } => 1.0 - (-per_day * (to - from)).exp(),
                    _ => 0.0,
                };
                let keep = plan.law.similarity(from, to);
                let new = (1.0 - keep * keep).max(0.0).sqrt();
                for pattern in &mut code {
                    let other = self.fresh(&mut rng);
                    if lost > 0.0 && rng.random::<f64>() < lost {
                        *pattern = other;
                    } else {
                        for (value, fresh) in pattern.iter_mut().zip(other) {
                            *value = keep * *value + new * fresh;
                        }
                    }
                }
            }
            out.push(self.draw(session, k, &code, plan, &mut rng));
        }
        Ok(out)
    }

    /// A pattern over classes with mean 0 and expected square 1 per class and
    /// degree of freedom.
    fn fresh(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut pattern: Vec<f64> = self
            .classes
            .iter()
            .map(|_| StandardNormal.sample(rng))
            .collect();
        let middle = pattern.iter().sum::<f64>() / pattern.len() as f64;
        for value in &mut pattern {
            *value -= middle;
        }
        pattern
    }

    fn draw(
        &self,
        session: &Measured,
        number: usize,
        code: &[Vec<f64>],
        plan: &Plan,
        rng: &mut ChaCha8Rng,
    ) -> Session {
        let cells = session.cell.len();
        // The pattern of each cell `(class, cell)`; of another one where the match is wrong.
        let mut patterns = Array2::zeros((self.classes.len(), cells));
        for cell in 0..cells {
            let wrong = match (plan.wrong, &session.p_same) {
                // Both sessions of a pair must be right.
                (WrongMatches::Share { share, .. }, _) => 1.0 - (1.0 - share).sqrt(),
                (WrongMatches::AsRecorded, Some(p)) => 1.0 - f64::from(p[cell]),
                _ => 0.0,
            };
            let other = (wrong > 0.0 && rng.random::<f64>() < wrong).then(|| self.fresh(rng));
            if session.varies[cell] {
                let rank = session.rank[cell];
                let size = self.code[rank] * session.gain;
                for (target, value) in patterns
                    .column_mut(cell)
                    .iter_mut()
                    .zip(other.as_ref().unwrap_or(&code[rank]))
                {
                    *target = session.middle[cell] + size * value;
                }
            } else {
                patterns.column_mut(cell).fill(session.middle[cell]);
            }
        }
        let mut order: Vec<usize> = Vec::new();
        for (class, count) in self
            .counts(session, number, plan.trials)
            .into_iter()
            .enumerate()
        {
            order.extend(std::iter::repeat_n(class, count));
        }
        let mut activity = Array3::zeros((order.len(), cells, 1));
        for (mut trial, &class) in activity.outer_iter_mut().zip(&order) {
            let members = &session.members[class];
            let mut any = || members[rng.random_range(0..members.len())];
            let together = any();
            for (cell, target) in trial.iter_mut().enumerate() {
                let mut noise = session.shared.sqrt() * session.residuals[[together, cell]];
                if session.shared < 1.0 {
                    noise += (1.0 - session.shared).sqrt() * session.residuals[[any(), cell]];
                }
                *target = patterns[[class, cell]] as f32 + noise;
            }
        }
        let labels = order.into_iter().map(|class| self.classes[class]).collect();
        Session {
            activity,
            cell: session.cell.clone(),
            time_s: vec![self.time_s],
            day: session.day,
            labels: BTreeMap::from([(self.variable.clone(), labels)]),
            p_same: session.p_same.clone(),
            present: Some(session.seen.clone()),
            practice: session.practice,
            ..Session::default()
        }
    }

    /// Trials of each class in a planted session.
    fn counts(&self, session: &Measured, number: usize, trials: TrialNumbers) -> Vec<usize> {
        let recorded: Vec<usize> = session.members.iter().map(Vec::len).collect();
        match trials {
            TrialNumbers::AsRecorded => recorded,
            TrialNumbers::Changing { first, last } => {
                let along = number as f64 / (self.sessions.len() - 1).max(1) as f64;
                let all = first as f64 + along * (last as f64 - first as f64);
                let total: usize = recorded.iter().sum();
                recorded
                    .iter()
                    .map(|&n| ((all * n as f64 / total as f64).round() as usize).max(2))
                    .collect()
            }
        }
    }
}

/// Standard deviation of each cell's code over labels, and how much stronger
/// each session's code is. Cells count in units of their scatter, as in the analysis.
fn sizes(
    trials: &[EpochTrials<'_>],
    responses: &[Response],
    ranks: &[Vec<usize>],
    cells: usize,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let (mut own, mut scatter, mut times) = (vec![0.0; cells], vec![0.0; cells], vec![0.0; cells]);
    let seen = |k: usize| (0..ranks[k].len()).filter(move |&cell| trials[k].seen[cell]);
    for (k, response) in responses.iter().enumerate() {
        for cell in seen(k) {
            own[ranks[k][cell]] += response.code.own[cell];
            scatter[ranks[k][cell]] += response.code.scatter[cell];
            times[ranks[k][cell]] += 1.0;
        }
    }
    let unit: Vec<f64> = (0..cells)
        .map(|n| {
            if scatter[n] > 0.0 {
                times[n] / scatter[n]
            } else {
                0.0
            }
        })
        .collect();
    let squared: Vec<f64> = (0..cells)
        .map(|n| {
            if times[n] > 0.0 {
                own[n] / times[n]
            } else {
                0.0
            }
        })
        .collect();
    let sum: f64 = squared.iter().zip(&unit).map(|(s, u)| s * u).sum();
    let kept: f64 = squared.iter().zip(&unit).map(|(s, u)| s.max(0.0) * u).sum();
    if !(sum > 0.0 && kept.is_finite()) {
        return Err(Error::Undefined(
            "the code is not above its noise in this recording".into(),
        ));
    }
    let squared: Vec<f64> = squared.iter().map(|s| s.max(0.0) * sum / kept).collect();
    let gains = responses
        .iter()
        .enumerate()
        .map(|(k, response)| {
            let measured: f64 = seen(k)
                .map(|cell| response.code.own[cell] * unit[ranks[k][cell]])
                .sum();
            let usual: f64 = seen(k)
                .map(|cell| squared[ranks[k][cell]] * unit[ranks[k][cell]])
                .sum();
            if usual > 0.0 {
                (measured.max(0.0) / usual).sqrt()
            } else {
                0.0
            }
        })
        .collect();
    let freedom = responses.first().map_or(1, |r| r.classes().len() - 1) as f64;
    Ok((
        squared.iter().map(|s| (s / freedom).sqrt()).collect(),
        gains,
    ))
}

fn measure(
    trials: &EpochTrials<'_>,
    session: &Session,
    response: &Response,
    rank: Vec<usize>,
    gain: f64,
) -> Measured {
    let (cells, count) = trials.activity.dim();
    let members: Vec<Vec<usize>> = response
        .classes()
        .iter()
        .map(|class| (0..count).filter(|&t| trials.labels[t] == *class).collect())
        .collect();
    let mut middle = vec![0.0; cells];
    let mut residuals = Array2::zeros((count, cells));
    for cell in (0..cells).filter(|&cell| trials.seen[cell]) {
        for members in &members {
            let n = members.len() as f64;
            let value = |t: usize| f64::from(trials.activity[[cell, t]]);
            let mean = members.iter().map(|&t| value(t)).sum::<f64>() / n;
            middle[cell] += mean / response.classes().len() as f64;
            // Deviations from their own mean are smaller than those of fresh trials.
            let larger = (n / (n - 1.0)).sqrt();
            for &trial in members {
                residuals[[trial, cell]] = (larger * (value(trial) - mean)) as f32;
            }
        }
    }
    Measured {
        day: trials.day,
        practice: session.practice,
        cell: trials.cell.clone(),
        rank,
        varies: (0..cells)
            .map(|cell| trials.seen[cell] && response.code.scatter[cell] > 0.0)
            .collect(),
        seen: trials.seen.clone(),
        p_same: session.p_same.clone(),
        middle,
        shared: shared_noise(residuals.view(), &members),
        residuals,
        members,
        gain,
    }
}

/// Which share of the noise to draw as whole trials, so that cells correlate
/// as much as they do beyond chance.
///
/// Cells of whole trials drawn from a few recorded ones correlate by
/// `r²` of about `1/(n − 1)` even if their noise has nothing in common, and an
/// interval from resampling cells would seem to fail for it. Correlations of
/// the share `λ` of whole trials are `λ r`, so `λ² Σr²` is made what `Σr²` is
/// without the chance in it. Every cell's own variance stays.
fn shared_noise(residuals: ArrayView2<'_, f32>, members: &[Vec<usize>]) -> f32 {
    let (mut found, mut beyond) = (0.0, 0.0);
    for trials in members.iter().filter(|trials| trials.len() > 2) {
        let mut noise = residuals.select(Axis(0), trials).mapv(f64::from);
        let mut cells = 0.0;
        for mut column in noise.columns_mut() {
            let length = column.dot(&column).sqrt();
            if length > 0.0 {
                column.mapv_inplace(|v| v / length);
                cells += 1.0;
            }
        }
        // Σ r² over pairs of cells is the squared size of the trials' Gram matrix as well.
        let squares: f64 = gram(noise.view()).iter().map(|v| v * v).sum::<f64>() - cells;
        let chance = 1.0 / (trials.len() - 1) as f64;
        found += squares;
        beyond += (squares - cells * (cells - 1.0) * chance) / (1.0 - chance);
    }
    if found > 0.0 {
        (beyond / found).clamp(0.0, 1.0).sqrt() as f32
    } else {
        0.0
    }
}
