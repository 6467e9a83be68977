use ndarray::{Array2, ArrayView3};

use crate::Error;

/// What one session's cells do in each bin, and how noisy that is.
///
/// Bins are time bins, or time bins of each condition one condition after the
/// other, `bin = condition · times + time`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// Mean over trials `(cell, bin)`.
    pub mean: Array2<f64>,
    /// Trials behind each condition.
    pub trials: Vec<usize>,
    /// Variance over trials `(cell, bin)`.
    scatter: Array2<f64>,
    /// Variance over trials of the value less its share of the cell's mean
    /// over bins `(cell, bin)`.
    scatter_centred: Array2<f64>,
    /// Variance over trials of the mean over time `(cell, condition)`.
    scatter_mean: Array2<f64>,
}

impl Tuning {
    /// Means and variances of `activity` `(trial, cell, time)`, any unit.
    ///
    /// `conditions` holds for each condition which trials are of it; one
    /// condition of all trials gives plain time courses. `times` holds for
    /// each wanted time bin which of the activity's bins are averaged.
    ///
    /// # Errors
    /// [`Error::Undefined`] if a condition has fewer than two trials or a bin
    /// is empty, [`Error::Shape`] if a trial or bin does not exist.
    pub fn new(
        activity: ArrayView3<'_, f32>,
        conditions: &[Vec<usize>],
        times: &[Vec<usize>],
    ) -> Result<Self, Error> {
        let (trials, cells, bins) = activity.dim();
        if conditions.is_empty() || times.is_empty() || times.iter().any(Vec::is_empty) {
            return Err(Error::Undefined("there are no time bins".into()));
        }
        if let Some(few) = conditions.iter().find(|c| c.len() < 2) {
            return Err(Error::Undefined(format!(
                "a condition has {} trials; two are needed",
                few.len()
            )));
        }
        if conditions.iter().flatten().any(|&t| t >= trials)
            || times.iter().flatten().any(|&b| b >= bins)
        {
            return Err(Error::Shape(format!(
                "a trial or a time bin lies outside {trials} trials of {bins} bins"
            )));
        }
        let (kinds, length) = (conditions.len(), times.len());
        let shape = (cells, kinds * length);
        let mut out = Self {
            mean: Array2::zeros(shape),
            trials: conditions.iter().map(Vec::len).collect(),
            scatter: Array2::zeros(shape),
            scatter_centred: Array2::zeros(shape),
            scatter_mean: Array2::zeros((cells, kinds)),
        };
        let mut course = vec![0.0; length];
        for cell in 0..cells {
            for (kind, members) in conditions.iter().enumerate() {
                let mut sums = Sums::new(length);
                for &trial in members {
                    for (value, indices) in course.iter_mut().zip(times) {
                        let sum: f64 = indices
                            .iter()
                            .map(|&b| f64::from(activity[[trial, cell, b]]))
                            .sum();
                        *value = sum / indices.len() as f64;
                    }
                    sums.add(&course);
                }
                let n = members.len() as f64;
                let whole = sums.variance_of_mean(n);
                out.scatter_mean[[cell, kind]] = whole;
                let share = 1.0 / kinds as f64;
                for time in 0..length {
                    let bin = kind * length + time;
                    let (own, shared) = sums.variance_and_covariance(time, n);
                    out.mean[[cell, bin]] = sums.first[time] + sums.x[time] / n;
                    out.scatter[[cell, bin]] = own;
                    // Var(x_b − x̄/K); the other conditions' means add theirs.
                    out.scatter_centred[[cell, bin]] =
                        (own + share * share * whole - 2.0 * share * shared).max(0.0);
                }
            }
        }
        Ok(out)
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.mean.ncols()
    }

    /// Fewest trials of a condition.
    pub fn fewest_trials(&self) -> usize {
        self.trials.iter().copied().min().unwrap_or(0)
    }

    fn times(&self) -> usize {
        self.bins() / self.trials.len().max(1)
    }

    /// Trials behind condition `kind`: its own, or the number all are brought to.
    fn count(&self, kind: usize, matched: Option<f64>) -> f64 {
        matched.unwrap_or(self.trials[kind] as f64)
    }

    /// Variance of the mean in a bin.
    fn noise(&self, cell: usize, bin: usize, matched: Option<f64>) -> f64 {
        self.scatter[[cell, bin]] / self.count(bin / self.times(), matched)
    }

    /// Variance of the mean in a bin less the cell's mean over all bins.
    fn noise_centred(&self, cell: usize, bin: usize, matched: Option<f64>) -> f64 {
        let (own, kinds) = (bin / self.times(), self.trials.len());
        let mut noise = self.scatter_centred[[cell, bin]] / self.count(own, matched);
        for kind in (0..kinds).filter(|&kind| kind != own) {
            noise += self.scatter_mean[[cell, kind]]
                / ((kinds * kinds) as f64 * self.count(kind, matched));
        }
        noise
    }

    /// Variance of the cell's mean over all bins.
    fn noise_of_rate(&self, cell: usize, matched: Option<f64>) -> f64 {
        let kinds = self.trials.len();
        (0..kinds)
            .map(|kind| self.scatter_mean[[cell, kind]] / self.count(kind, matched))
            .sum::<f64>()
            / (kinds * kinds) as f64
    }

    fn rate(&self, cell: usize) -> f64 {
        self.mean.row(cell).sum() / self.bins() as f64
    }
}

/// Sums over trials of one cell and condition, relative to the first trial so
/// that a large baseline does not eat the variance.
struct Sums {
    first: Vec<f64>,
    started: bool,
    x: Vec<f64>,
    xx: Vec<f64>,
    x_mean: Vec<f64>,
    mean: f64,
    mean_mean: f64,
}

impl Sums {
    fn new(times: usize) -> Self {
        Self {
            first: vec![0.0; times],
            started: false,
            x: vec![0.0; times],
            xx: vec![0.0; times],
            x_mean: vec![0.0; times],
            mean: 0.0,
            mean_mean: 0.0,
        }
    }

    fn add(&mut self, course: &[f64]) {
        if !self.started {
            self.first.copy_from_slice(course);
            self.started = true;
        }
        let times = course.len() as f64;
        let mean = course
            .iter()
            .zip(&self.first)
            .map(|(v, f)| v - f)
            .sum::<f64>()
            / times;
        for (time, value) in course.iter().enumerate() {
            let value = value - self.first[time];
            self.x[time] += value;
            self.xx[time] += value * value;
            self.x_mean[time] += value * mean;
        }
        self.mean += mean;
        self.mean_mean += mean * mean;
    }

    fn variance_of_mean(&self, n: f64) -> f64 {
        ((self.mean_mean - self.mean * self.mean / n) / (n - 1.0)).max(0.0)
    }

    /// Variance in a time bin, and covariance with the mean over time.
    fn variance_and_covariance(&self, time: usize, n: f64) -> (f64, f64) {
        let variance = (self.xx[time] - self.x[time].powi(2) / n) / (n - 1.0);
        let covariance = (self.x_mean[time] - self.x[time] * self.mean / n) / (n - 1.0);
        (variance.max(0.0), covariance)
    }
}

/// A correlation between two sessions in two forms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// As it is expected of means over the given number of trials.
    pub raw: f64,
    /// Divided by the reliability of both sessions: 1 for the same code,
    /// whatever the trial noise. NaN if a session is not above its noise.
    pub corrected: f64,
}

/// The field's three correlations of two sessions, and population vectors
/// without the cells' mean rates (Deitch et al. 2021, Curr Biol 31:4327; Geva
/// et al. 2023, Neuron 111:2357).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlations {
    /// Over cells, in each bin; averaged over bins.
    pub population_vector: Correlation,
    /// The same of activity less each cell's mean over the bins of its
    /// session, so that stable mean rates do not carry it.
    pub population_vector_centred: Correlation,
    /// Over bins, of each cell; averaged over cells, so that a cell's rate does
    /// not count. Corrected: over the root of both sessions' own means at the same
    /// number of trials, exact if cells are alike in reliability.
    pub tuning_curve: Correlation,
    /// Over cells, of the mean over bins.
    pub ensemble_rate: Correlation,
}

/// Compares two sessions on cells they share.
///
/// `cells` holds the index of each shared cell in both. Raw values are those
/// expected of means over `matched` trials of every condition (half of the
/// fewest, so that a session's own split halves are comparable), or of the
/// trials there are if `None`. With `same`, `a` and `b` are one session and
/// the raw values are those of its split halves: the ceiling for other
/// sessions; corrected ones are then 1 by construction.
///
/// The correction is closed: sessions have independent trials, so products
/// between them carry no noise on average, and the variance over trials tells
/// what noise adds to a session's own variance (disattenuation, Spearman
/// 1904). It holds for noise correlated in time within a trial.
///
/// # Errors
/// [`Error::Shape`] if the bins differ or a cell does not exist,
/// [`Error::Undefined`] below two cells.
pub fn correlations(
    a: &Tuning,
    b: &Tuning,
    cells: &[(usize, usize)],
    matched: Option<f64>,
    same: bool,
) -> Result<Correlations, Error> {
    let terms = Terms::new(a, b, matched, same)?;
    if cells
        .iter()
        .any(|&(i, j)| i >= a.mean.nrows() || j >= b.mean.nrows())
    {
        return Err(Error::Shape("a shared cell does not exist".into()));
    }
    if cells.len() < 2 {
        return Err(Error::Undefined("fewer than two shared cells".into()));
    }
    let mut sums = vec![0.0; terms.width()];
    let mut one = sums.clone();
    for &(i, j) in cells {
        terms.of_cell(i, j, &mut one);
        for (sum, term) in sums.iter_mut().zip(&one) {
            *sum += term;
        }
    }
    Ok(terms.correlate(&sums))
}

/// Correlations as functions of sums over cells, so that cells can be resampled.
pub(crate) struct Terms<'a> {
    a: &'a Tuning,
    b: &'a Tuning,
    matched: Option<f64>,
    same: bool,
}

/// Terms of a pair of values: x, y, xy, xx, yy, then the noise of x and y as
/// measured and at the matched number of trials.
const PAIR: usize = 9;
/// The cell itself, its rates, its tuning curves.
const HEAD: usize = 1 + PAIR + 4;

impl<'a> Terms<'a> {
    pub(crate) fn new(
        a: &'a Tuning,
        b: &'a Tuning,
        matched: Option<f64>,
        same: bool,
    ) -> Result<Self, Error> {
        if a.bins() != b.bins() || a.trials.len() != b.trials.len() {
            return Err(Error::Shape(format!(
                "{} bins of {} conditions against {} of {}",
                a.bins(),
                a.trials.len(),
                b.bins(),
                b.trials.len()
            )));
        }
        Ok(Self {
            a,
            b,
            matched,
            same,
        })
    }

    pub(crate) fn width(&self) -> usize {
        HEAD + 2 * PAIR * self.a.bins()
    }

    /// The terms of one cell, index `i` in the first session and `j` in the second.
    pub(crate) fn of_cell(&self, i: usize, j: usize, out: &mut [f64]) {
        let (a, b, m) = (self.a, self.b, self.matched);
        let (head, bins) = out.split_at_mut(HEAD);
        head[0] = 1.0;
        let (rate_a, rate_b) = (a.rate(i), b.rate(j));
        let noise = |m| [a.noise_of_rate(i, m), b.noise_of_rate(j, m)];
        pair(&mut head[1..=PAIR], rate_a, rate_b, noise(None), noise(m));
        let (plain, centred) = bins.split_at_mut(PAIR * a.bins());
        let [mut covariance, mut own_a, mut own_b, mut at_a, mut at_b] = [0.0; 5];
        for bin in 0..a.bins() {
            let place = PAIR * bin..PAIR * (bin + 1);
            let (x, y) = (a.mean[[i, bin]], b.mean[[j, bin]]);
            let noise = |m| [a.noise(i, bin, m), b.noise(j, bin, m)];
            pair(&mut plain[place.clone()], x, y, noise(None), noise(m));
            let noise = |m| [a.noise_centred(i, bin, m), b.noise_centred(j, bin, m)];
            let (full, at) = (noise(None), noise(m));
            let (x, y) = (x - rate_a, y - rate_b);
            pair(&mut centred[place], x, y, full, at);
            covariance += x * y;
            own_a += x * x - full[0];
            own_b += y * y - full[1];
            at_a += at[0];
            at_b += at[1];
        }
        let above = if self.same { own_a } else { covariance };
        let (whole_a, whole_b) = (own_a.max(0.0) + at_a, own_b.max(0.0) + at_b);
        let r = above / (whole_a * whole_b).sqrt();
        // A cell that does not vary in one of the sessions has no tuning to compare.
        let tuning = if r.is_finite() {
            [r, 1.0, own_a / whole_a, own_b / whole_b]
        } else {
            [0.0; 4]
        };
        head[1 + PAIR..].copy_from_slice(&tuning);
    }

    /// The correlations from sums of terms over cells.
    pub(crate) fn correlate(&self, sums: &[f64]) -> Correlations {
        let (head, bins) = sums.split_at(HEAD);
        let n = head[0];
        let rates = Moments::new(&head[1..=PAIR], n, self.same);
        let tuning = &head[1 + PAIR..];
        let (plain, centred) = bins.split_at(PAIR * self.a.bins());
        let vectors = |terms: &[f64]| {
            let moments: Vec<Moments> = terms
                .chunks_exact(PAIR)
                .map(|terms| Moments::new(terms, n, self.same))
                .collect();
            // A bin in which no cell was ever active has no correlation.
            let raw: Vec<f64> = moments
                .iter()
                .map(Moments::raw)
                .filter(|r| r.is_finite())
                .collect();
            let total = |pick: fn(&Moments) -> f64| moments.iter().map(pick).sum::<f64>();
            Correlation {
                raw: crate::statistics::mean(&raw),
                corrected: corrected(total(|m| m.above), total(|m| m.own_a), total(|m| m.own_b)),
            }
        };
        Correlations {
            population_vector: vectors(plain),
            population_vector_centred: vectors(centred),
            tuning_curve: Correlation {
                raw: tuning[0] / tuning[1],
                corrected: corrected(tuning[0], tuning[2], tuning[3]),
            },
            ensemble_rate: Correlation {
                raw: rates.raw(),
                corrected: corrected(rates.above, rates.own_a, rates.own_b),
            },
        }
    }

    /// Reliability of the first session's population vectors and of the
    /// centred ones: the share of the variance over cells of its means, all
    /// trials together, that is not noise.
    pub(crate) fn reliability(&self, sums: &[f64]) -> [f64; 2] {
        let (head, bins) = sums.split_at(HEAD);
        let (plain, centred) = bins.split_at(PAIR * self.a.bins());
        [plain, centred].map(|terms| {
            let (mut own, mut noise) = (0.0, 0.0);
            for terms in terms.chunks_exact(PAIR) {
                own += Moments::new(terms, head[0], true).own_a;
                noise += terms[5] / head[0];
            }
            own / (own + noise)
        })
    }
}

fn pair(out: &mut [f64], x: f64, y: f64, noise: [f64; 2], matched: [f64; 2]) {
    out.copy_from_slice(&[
        x,
        y,
        x * y,
        x * x,
        y * y,
        noise[0],
        noise[1],
        matched[0],
        matched[1],
    ]);
}

fn corrected(above: f64, own_a: f64, own_b: f64) -> f64 {
    if own_a > 0.0 && own_b > 0.0 {
        above / (own_a.sqrt() * own_b.sqrt())
    } else {
        f64::NAN
    }
}

/// Second moments over cells of two sessions' values.
struct Moments {
    /// Covariance, or the own variance if both are one session.
    above: f64,
    /// Variance without noise.
    own_a: f64,
    own_b: f64,
    /// Variance of noise at the matched number of trials.
    at_a: f64,
    at_b: f64,
}

impl Moments {
    fn new(t: &[f64], n: f64, same: bool) -> Self {
        let covariance = t[2] / n - t[0] * t[1] / (n * n);
        let own_a = t[3] / n - (t[0] / n).powi(2) - t[5] / n;
        let own_b = t[4] / n - (t[1] / n).powi(2) - t[6] / n;
        Self {
            above: if same { own_a } else { covariance },
            own_a,
            own_b,
            at_a: t[7] / n,
            at_b: t[8] / n,
        }
    }

    fn raw(&self) -> f64 {
        self.above / ((self.own_a.max(0.0) + self.at_a) * (self.own_b.max(0.0) + self.at_b)).sqrt()
    }
}
