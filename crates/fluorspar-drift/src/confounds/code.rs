//! Similarity of two sessions' codes on any choice of cells and trials, with a jackknife over cells.

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::trend::slope;
use super::trials::EpochTrials;
use crate::code::{Code, units};
use crate::statistics::mean;
use crate::{Error, Inclusion, Parameters};

/// Groups of cells that the jackknife leaves out in turn.
pub(crate) const GROUPS: usize = 20;

/// A session's code with its labels.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    classes: Vec<i64>,
    pub(crate) code: Code,
}

impl Response {
    /// Patterns from the trials `picked`, each class needing `min_trials`.
    pub(crate) fn of(
        session: &EpochTrials<'_>,
        picked: &[usize],
        min_trials: usize,
    ) -> Result<Self, String> {
        let mut classes: Vec<i64> = picked.iter().map(|&t| session.labels[t]).collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 {
            return Err("there is only one label".into());
        }
        let members: Vec<Vec<usize>> = classes
            .iter()
            .map(|class| {
                let of_class = |&t: &usize| session.labels[t] == *class;
                picked.iter().copied().filter(of_class).collect()
            })
            .collect();
        if let Some(k) = members
            .iter()
            .position(|trials| trials.len() < min_trials.max(2))
        {
            let n = members[k].len();
            return Err(format!("there are {n} trials with label {}", classes[k]));
        }
        let code = Code::of(session.activity.view(), &members);
        Ok(Self { classes, code })
    }

    /// The labels, ascending.
    pub(crate) fn classes(&self) -> &[i64] {
        &self.classes
    }
}

/// Sums over cells, by group: product of the patterns, length of the first, of the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    groups: [[f64; 3]; GROUPS],
    cells: usize,
}

impl Sums {
    /// Adds up cells, each in its `unit` of squared activity.
    pub(crate) fn of(
        a: &Response,
        b: &Response,
        unit: &[f64],
        cells: impl Iterator<Item = Shared>,
    ) -> Self {
        let mut out = Self {
            groups: [[0.0; 3]; GROUPS],
            cells: 0,
        };
        for cell in cells {
            out.cells += 1;
            let unit = unit[cell.rank];
            if unit > 0.0 {
                let (a, b) = (&a.code, &b.code);
                let across = a.product(cell.i, b, cell.j);
                let terms = [across, a.own[cell.i], b.own[cell.j]];
                for (sum, term) in out.groups[cell.rank % GROUPS].iter_mut().zip(terms) {
                    *sum += term / unit;
                }
            }
        }
        out
    }

    /// Corrected similarity, whole and with each group left out; or why there is none.
    fn similarity(&self) -> Result<(f64, [f64; GROUPS]), String> {
        let mut total = [0.0; 3];
        for group in &self.groups {
            for (sum, term) in total.iter_mut().zip(group) {
                *sum += term;
            }
        }
        for side in [1, 2] {
            let n = GROUPS as f64;
            let squares: f64 = self
                .groups
                .iter()
                .map(|g| (g[side] - total[side] / n).powi(2))
                .sum();
            // A division by a length that may be zero says nothing.
            if total[side] <= 2.0 * (squares * n / (n - 1.0)).sqrt() {
                return Err("the code is not above its noise".into());
            }
        }
        let ratio = |sums: [f64; 3]| {
            if sums[1] > 0.0 && sums[2] > 0.0 {
                sums[0] / (sums[1] * sums[2]).sqrt()
            } else {
                f64::NAN
            }
        };
        let left_out = self
            .groups
            .map(|g| ratio([total[0] - g[0], total[1] - g[1], total[2] - g[2]]));
        Ok((ratio(total), left_out))
    }

    /// The similarity as a pair's.
    pub(crate) fn pair(&self, i: usize, j: usize, days: f64, min_cells: usize) -> PairSimilarity {
        let found = if self.cells < min_cells {
            Err(format!("{} shared cells are too few", self.cells))
        } else {
            self.similarity()
        };
        let (value, left_out, reason) = match found {
            Ok((value, left_out)) => (value, left_out, String::new()),
            Err(reason) => (f64::NAN, [f64::NAN; GROUPS], reason),
        };
        PairSimilarity {
            i,
            j,
            days,
            value,
            n_cells: self.cells,
            reason,
            left_out,
        }
    }
}

/// Corrected similarity of the codes of two sessions, counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct PairSimilarity {
    /// First session.
    pub i: usize,
    /// Second session.
    pub j: usize,
    /// Days between them.
    pub days: f64,
    /// 1 for the same code, 0 for an unrelated one; NaN if it cannot be had.
    pub value: f64,
    /// Cells compared.
    pub n_cells: usize,
    /// Why the value is NaN, or empty.
    pub reason: String,
    /// The value without each group of cells.
    pub(crate) left_out: [f64; GROUPS],
}

/// A cell of two sessions: its index in each and its place in all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    pub(crate) i: usize,
    pub(crate) j: usize,
    pub(crate) rank: usize,
}

/// The codes of all sessions, and which cells they share.
pub(crate) struct Codes<'s, 'a> {
    pub(crate) sessions: &'s [EpochTrials<'a>],
    responses: Vec<Result<Response, String>>,
    /// For each session the cells seen, `(rank among all identities, index)`, ascending.
    places: Vec<Vec<(usize, usize)>>,
    /// What a cell's squared activity counts in, by rank.
    pub(crate) unit: Vec<f64>,
    /// In how many sessions each cell was seen, by rank.
    pub(crate) times_seen: Vec<usize>,
    inclusion: Inclusion,
    min_cells: usize,
}

impl<'s, 'a> Codes<'s, 'a> {
    /// From the trials `picked` of each session, or from all.
    pub(crate) fn of(
        sessions: &'s [EpochTrials<'a>],
        picked: Option<&[Vec<usize>]>,
        parameters: &Parameters,
    ) -> Result<Self, Error> {
        EpochTrials::check(sessions, parameters.inclusion)?;
        let mut ids: Vec<i64> = sessions
            .iter()
            .flat_map(|s| s.cell.iter().copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let responses: Vec<Result<Response, String>> = sessions
            .par_iter()
            .enumerate()
            .map(|(index, session)| {
                let all: Vec<usize> = (0..session.labels.len()).collect();
                let trials = picked.and_then(|p| p.get(index)).unwrap_or(&all);
                if let Some(&outside) = trials.iter().find(|&&t| t >= session.labels.len()) {
                    return Err(format!("trial {outside} does not exist"));
                }
                Response::of(session, trials, parameters.min_trials)
                    .map_err(|why| format!("session {}: {why}", index + 1))
            })
            .collect();
        let places: Vec<Vec<(usize, usize)>> = sessions
            .iter()
            .map(|session| {
                let mut places: Vec<(usize, usize)> = (0..session.cell.len())
                    .filter(|&k| session.seen[k])
                    .filter_map(|k| Some((ids.binary_search(&session.cell[k]).ok()?, k)))
                    .collect();
                places.sort_unstable();
                places
            })
            .collect();
        let mut times_seen = vec![0; ids.len()];
        for &(rank, _) in places.iter().flatten() {
            times_seen[rank] += 1;
        }
        let seen = responses.iter().zip(&places).map(|(response, places)| {
            let code = response.as_ref().ok().map(|r| &r.code);
            (code, places.iter().copied())
        });
        let unit = units(seen, ids.len());
        Ok(Self {
            sessions,
            responses,
            places,
            unit,
            times_seen,
            inclusion: parameters.inclusion,
            min_cells: parameters.min_cells,
        })
    }

    pub(crate) fn days(&self) -> Vec<f64> {
        self.sessions.iter().map(|s| s.day).collect()
    }

    /// The patterns of one session, or why there are none.
    pub(crate) fn response(&self, session: usize) -> Result<&Response, &str> {
        self.responses[session].as_ref().map_err(String::as_str)
    }

    /// Cells seen in both sessions that the inclusion rule keeps.
    pub(crate) fn shared(&self, i: usize, j: usize) -> Vec<Shared> {
        let (a, b) = (&self.places[i], &self.places[j]);
        let (mut x, mut y) = (0, 0);
        let mut out = Vec::new();
        while x < a.len() && y < b.len() {
            match a[x].0.cmp(&b[y].0) {
                std::cmp::Ordering::Less => x += 1,
                std::cmp::Ordering::Greater => y += 1,
                std::cmp::Ordering::Equal => {
                    let keep = self.keeps((i, a[x].1), (j, b[y].1), a[x].0);
                    if keep {
                        out.push(Shared {
                            i: a[x].1,
                            j: b[y].1,
                            rank: a[x].0,
                        });
                    }
                    x += 1;
                    y += 1;
                }
            }
        }
        out
    }

    /// Whether the inclusion rule keeps a cell, given by session and index.
    fn keeps(&self, (i, a): (usize, usize), (j, b): (usize, usize), rank: usize) -> bool {
        let (first, second) = (&self.sessions[i], &self.sessions[j]);
        let active = (first.active[a], second.active[b]);
        let selective = |session: &EpochTrials<'_>, cell: usize| {
            session.selective.as_ref().is_some_and(|s| s[cell])
        };
        match self.inclusion {
            Inclusion::ActiveInBoth => active.0 && active.1,
            Inclusion::ActiveInEither => active.0 || active.1,
            Inclusion::Tracked => true,
            Inclusion::TrackedInAll => self.times_seen[rank] == self.sessions.len(),
            Inclusion::InformativeInEither => selective(first, a) || selective(second, b),
            Inclusion::InformativeInBoth => selective(first, a) && selective(second, b),
        }
    }

    /// All pairs `i < j` on the shared cells that `keep` lets through: it is
    /// asked with both sessions and the cell.
    pub(crate) fn pairs(
        &self,
        keep: &(dyn Fn(usize, usize, Shared) -> bool + Sync),
    ) -> Vec<PairSimilarity> {
        let pairs: Vec<(usize, usize)> = (0..self.sessions.len())
            .flat_map(|i| (i + 1..self.sessions.len()).map(move |j| (i, j)))
            .collect();
        pairs
            .par_iter()
            .map(|&(i, j)| {
                let days = (self.sessions[j].day - self.sessions[i].day).abs();
                let refuse = |reason: &str| PairSimilarity {
                    i,
                    j,
                    days,
                    value: f64::NAN,
                    n_cells: 0,
                    reason: reason.to_owned(),
                    left_out: [f64::NAN; GROUPS],
                };
                match (self.response(i), self.response(j)) {
                    (Ok(a), Ok(b)) if a.classes == b.classes => {
                        let cells = self
                            .shared(i, j)
                            .into_iter()
                            .filter(|&cell| keep(i, j, cell));
                        Sums::of(a, b, &self.unit, cells).pair(i, j, days, self.min_cells)
                    }
                    (Ok(_), Ok(_)) => refuse("the sessions have other labels"),
                    (Err(why), _) | (_, Err(why)) => refuse(why),
                }
            })
            .collect()
    }
}

/// How similarity falls with the days between sessions, over the pairs that have a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Decline {
    /// Mean similarity.
    pub mean: f64,
    /// Least-squares change of similarity per day between the sessions.
    pub per_day: f64,
    /// Pairs used.
    pub pairs: usize,
    means: [f64; GROUPS],
    slopes: [f64; GROUPS],
}

impl Decline {
    /// Over the pairs of `pairs` for which `use_pair` holds.
    pub(crate) fn of(pairs: &[PairSimilarity], use_pair: impl Fn(usize) -> bool) -> Self {
        let used: Vec<&PairSimilarity> = pairs
            .iter()
            .enumerate()
            .filter(|(k, pair)| pair.value.is_finite() && use_pair(*k))
            .map(|(_, pair)| pair)
            .collect();
        let days: Vec<f64> = used.iter().map(|pair| pair.days).collect();
        let both = |values: Vec<f64>| (mean(&values), slope(&days, &values));
        let (middle, per_day) = both(used.iter().map(|pair| pair.value).collect());
        let (mut means, mut slopes) = ([f64::NAN; GROUPS], [f64::NAN; GROUPS]);
        for group in 0..GROUPS {
            (means[group], slopes[group]) =
                both(used.iter().map(|pair| pair.left_out[group]).collect());
        }
        Self {
            mean: middle,
            per_day,
            pairs: used.len(),
            means,
            slopes,
        }
    }

    /// Two choices of cells or trials on the same pairs.
    pub(crate) fn both(a: &[PairSimilarity], b: &[PairSimilarity]) -> (Self, Self) {
        let defined = |k: usize| {
            let there =
                |pairs: &[PairSimilarity]| pairs.get(k).is_some_and(|pair| pair.value.is_finite());
            there(a) && there(b)
        };
        (Self::of(a, defined), Self::of(b, defined))
    }

    /// Interval of the mean.
    pub(crate) fn mean_interval(&self, confidence: f64) -> (f64, f64) {
        jackknife(self.mean, &self.means, confidence)
    }

    /// This mean less another's, with its interval.
    pub(crate) fn mean_difference(&self, other: &Self, confidence: f64) -> (f64, (f64, f64)) {
        let left_out: Vec<f64> = self
            .means
            .iter()
            .zip(&other.means)
            .map(|(a, b)| a - b)
            .collect();
        let difference = self.mean - other.mean;
        (difference, jackknife(difference, &left_out, confidence))
    }

    /// This change per day less another's, with its interval.
    pub(crate) fn per_day_difference(&self, other: &Self, confidence: f64) -> (f64, (f64, f64)) {
        let left_out: Vec<f64> = self
            .slopes
            .iter()
            .zip(&other.slopes)
            .map(|(a, b)| a - b)
            .collect();
        let difference = self.per_day - other.per_day;
        (difference, jackknife(difference, &left_out, confidence))
    }
}

/// Student's t interval from a jackknife that leaves out one group at a time;
/// NaN if a value is.
pub(crate) fn jackknife(whole: f64, left_out: &[f64], confidence: f64) -> (f64, f64) {
    let n = left_out.len() as f64;
    let middle = mean(left_out);
    let squares: f64 = left_out.iter().map(|v| (v - middle).powi(2)).sum();
    let error = (squares * (n - 1.0) / n).sqrt();
    match StudentsT::new(0.0, 1.0, n - 1.0) {
        Ok(t) if error.is_finite() && confidence > 0.0 && confidence < 1.0 => {
            let reach = t.inverse_cdf(0.5 + confidence / 2.0) * error;
            (whole - reach, whole + reach)
        }
        _ => (f64::NAN, f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jackknife_of_a_mean_is_students_interval() {
        // scipy.stats.t.interval(0.95, 4, loc=3, scale=sem([1, 2, 3, 4, 5])): 1.03676, 4.96324.
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        let left_out = values.map(|v| (15.0 - v) / 4.0);
        let (lo, hi) = jackknife(3.0, &left_out, 0.95);
        assert!((lo - 1.036757).abs() < 1e-5 && (hi - 4.963243).abs() < 1e-5);
        assert!(jackknife(1.0, &[1.0], 0.95).0.is_nan());
        assert!(jackknife(1.0, &[], 0.95).0.is_nan());
    }

    #[test]
    fn lengths_are_freed_of_noise_by_hand() {
        let session = EpochTrials {
            activity: ndarray::arr2(&[[0.0, 2.0, 5.0, 7.0]]).into(),
            labels: vec![0, 0, 1, 1],
            cell: vec![7],
            seen: vec![true],
            active: vec![true],
            selective: None,
            p_same: None,
            day: 1.0,
        };
        let response = Response::of(&session, &[0, 1, 2, 3], 2).unwrap();
        // Means 1 and 6: pattern ∓2.5; variance 2 in each, noise ½ (2/2 + 2/2) = 1.
        assert_eq!(response.code.own, [12.5 - 1.0]);
        assert_eq!(response.code.scatter, [2.0]);
        assert_eq!(response.code.noise, [1.0]);
        assert!(Response::of(&session, &[0, 1], 2).is_err());
        assert!(Response::of(&session, &[0, 1, 2], 2).is_err());
        assert!(Response::of(&session, &[], 2).is_err());
    }
}
