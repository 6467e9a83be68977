//! Time courses without the part that is noise.
//!
//! The quadratic trend filter (Whittaker 1923, Proc. Edinb. Math. Soc. 41:63)
//! `min ‖y − z‖² + λ ‖Δ² z‖²` bends as little as the course allows. λ is the
//! one of least expected error by Stein's unbiased estimate (1981, Ann. Stat.
//! 9:1135), for which the noise must be known, but never so large that more
//! than a stated share of the signals' variance would go with the noise.

use fluorspar_movie::vectorised;
use ndarray::Array2;
use rayon::prelude::*;

/// Penalties tried, ascending: from a cut at about 2 rad per frame to 0.13.
const PENALTIES: [f64; 10] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0];
/// Median size of a normal variable of standard deviation 1.
const MEDIAN_OF_NORMAL: f64 = 0.674_489_750_196_082;
/// Courses filtered side by side.
const LANES: usize = 16;

/// Filters of courses of one length.
pub(crate) struct TrendFilter {
    frames: usize,
    filters: Vec<Filter>,
}

/// `I + λ D₂ᵀD₂ = L D Lᵀ`, pentadiagonal.
struct Filter {
    /// Of each row of Lᵀ: the inverse pivot, and the two entries beside the diagonal.
    rows: Vec<[f64; 3]>,
    /// Trace of the inverse: degrees of freedom that the filter leaves.
    trace: f64,
}

/// Upper bound of the bytes that filtering `rank` courses on so many threads
/// takes beside them.
pub(crate) fn workspace(frames: usize, rank: usize, threads: usize) -> usize {
    // Trials are collected from lists of a group each.
    shared(frames) + threads * scratch(frames) + 2 * rank * size_of::<Trial>()
}

/// Bytes of the filters, and of one while it is made.
pub(crate) fn shared(frames: usize) -> usize {
    frames * (size_of::<[f64; 3]>() * (PENALTIES.len() + 1) + size_of::<f64>())
}

/// Bytes that filtering a group of courses takes.
pub(crate) fn scratch(frames: usize) -> usize {
    frames * (2 * size_of::<Row>() + size_of::<f32>())
}

/// What each penalty would do to a course.
#[derive(Clone, Debug)]
struct Trial {
    /// Stein's estimate of the error, first without any filter.
    risk: [f64; PENALTIES.len() + 1],
    /// Estimated signal variance that goes.
    lost: [f64; PENALTIES.len() + 1],
    /// Estimated variance of the signal.
    signal: f64,
    /// Variance of the noise.
    noise: f64,
}

impl TrendFilter {
    pub(crate) fn new(frames: usize) -> Self {
        Self {
            frames,
            filters: PENALTIES.iter().map(|&p| Filter::new(frames, p)).collect(),
        }
    }

    /// Filters every course `(component, frame)`, as strongly as pays, but so
    /// that signals lose at most `share` of their variance on average.
    /// The noise of each course is taken from its second differences.
    pub(crate) fn apply(&self, courses: &mut Array2<f32>, share: f64) {
        let frames = self.frames;
        let Some(all) = courses.as_slice_mut() else {
            return;
        };
        if share <= 0.0 || frames < 3 || all.is_empty() {
            return;
        }
        let trials: Vec<Trial> = all
            .par_chunks(LANES * frames)
            .map(|group| {
                let noise: Vec<f64> = group.chunks_exact(frames).map(noise_of).collect();
                self.trials(group, &noise, false)
            })
            .flatten_iter()
            .collect();
        let most = strongest_allowed(&trials, share);
        all.par_chunks_mut(LANES * frames)
            .zip(trials.par_chunks(LANES))
            .for_each(|(group, trials)| {
                let choices: Vec<usize> = trials.iter().map(|t| t.best().min(most)).collect();
                self.filter(group, &choices);
            });
    }

    /// Filters a few courses whose noise has this variance, as strongly as pays.
    pub(crate) fn apply_few(&self, courses: &mut [f32], noise: f64) {
        if self.frames < 3 {
            return;
        }
        for group in courses.chunks_mut(LANES * self.frames) {
            let count = group.len() / self.frames;
            let trials = self.trials(group, &vec![noise; count], true);
            let choices: Vec<usize> = trials.iter().map(Trial::best).collect();
            self.filter(group, &choices);
        }
    }

    /// What the penalties would do; with `stop` only up to the best.
    fn trials(&self, group: &[f32], noise: &[f64], stop: bool) -> Vec<Trial> {
        let frames = self.frames;
        let n = frames as f64;
        let own = interleaved(group, frames);
        let mut room = own.clone();
        let mut trials: Vec<Trial> = group
            .chunks_exact(frames)
            .zip(noise)
            .map(|(course, &noise)| {
                let power: f64 = course.iter().map(|&v| f64::from(v).powi(2)).sum();
                let mut risk = [f64::INFINITY; PENALTIES.len() + 1];
                risk[0] = 2.0 * noise * n;
                Trial {
                    risk,
                    lost: [0.0; PENALTIES.len() + 1],
                    signal: power - noise * n,
                    noise,
                }
            })
            .collect();
        for (k, filter) in self.filters.iter().enumerate() {
            room.copy_from_slice(&own);
            solve(&filter.rows, &mut room);
            let (changed, product) = differences(&own, &room);
            for (lane, trial) in trials.iter_mut().enumerate() {
                trial.risk[k + 1] = changed[lane] + 2.0 * trial.noise * filter.trace;
                trial.lost[k + 1] = product[lane] - trial.noise * (n - filter.trace);
            }
            // The risk has one valley: beyond it there is nothing to look for.
            if stop
                && trials.iter().all(|t| {
                    t.risk[k + 1]
                        > 1.05 * t.risk[..=k].iter().copied().fold(f64::INFINITY, f64::min)
                })
            {
                break;
            }
        }
        trials
    }

    /// Filters each course of a group by the filter of its number; 0 is none.
    fn filter(&self, group: &mut [f32], choices: &[usize]) {
        let own = interleaved(group, self.frames);
        let mut room = Vec::new();
        let mut chosen = choices.to_vec();
        chosen.sort_unstable();
        chosen.dedup();
        for choice in chosen.into_iter().filter(|&choice| choice > 0) {
            room.clone_from(&own);
            solve(&self.filters[choice - 1].rows, &mut room);
            let courses = group.chunks_exact_mut(self.frames).zip(choices).enumerate();
            for (lane, (course, _)) in courses.filter(|(_, (_, c))| **c == choice) {
                for (slot, row) in course.iter_mut().zip(&room) {
                    *slot = row[lane] as f32;
                }
            }
        }
    }
}

impl Trial {
    /// Number of the filter of least risk.
    fn best(&self) -> usize {
        let least = |a: &usize, b: &usize| self.risk[*a].total_cmp(&self.risk[*b]);
        (0..self.risk.len()).min_by(least).unwrap_or(0)
    }
}

/// Number of the strongest filter at which courses lose at most `share` of
/// their signal's variance: the mean over courses, those whose signal is known
/// well counting more.
fn strongest_allowed(trials: &[Trial], share: f64) -> usize {
    let mean = |k: usize| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for trial in trials.iter().filter(|t| t.signal > 0.0 && t.noise > 0.0) {
            // Spread of the true shares, and of the estimate about its own.
            let uncertain = trial.noise / trial.signal;
            let weight = 1.0 / (share * share + 100.0 * uncertain * uncertain);
            sum += weight * trial.lost[k] / trial.signal;
            weights += weight;
        }
        if weights > 0.0 { sum / weights } else { 0.0 }
    };
    (1..=PENALTIES.len())
        .take_while(|&k| mean(k) <= share)
        .last()
        .unwrap_or(0)
}

/// Variance of white noise on a course, from the median size of its second
/// differences, which jumps of the signal hardly move; white noise has a
/// variance of 6 in them.
fn noise_of(course: &[f32]) -> f64 {
    let mut sizes: Vec<f32> = course
        .windows(3)
        .map(|w| (w[0] - 2.0 * w[1] + w[2]).abs())
        .collect();
    let middle = sizes.len() / 2;
    if sizes.is_empty() {
        return 0.0;
    }
    let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
    (f64::from(*median) / MEDIAN_OF_NORMAL).powi(2) / 6.0
}

type Row = [f64; LANES];

/// Courses side by side, frame by frame; missing ones are zero.
fn interleaved(group: &[f32], frames: usize) -> Vec<Row> {
    let mut rows = vec![[0.0; LANES]; frames];
    for (lane, course) in group.chunks_exact(frames).enumerate() {
        for (row, &value) in rows.iter_mut().zip(course) {
            row[lane] = f64::from(value);
        }
    }
    rows
}

impl Filter {
    fn new(frames: usize, penalty: f64) -> Self {
        let n = frames;
        // Bands of D₂ᵀD₂, from the second differences that each frame is part of.
        let mut bands = vec![[0.0; 3]; n];
        for t in 0..n.saturating_sub(2) {
            let step = [1.0, -2.0, 1.0];
            for i in 0..3 {
                for j in i..3 {
                    bands[t + i][j - i] += penalty * step[i] * step[j];
                }
            }
        }
        let mut rows = vec![[0.0; 3]; n];
        let mut pivots = vec![0.0; n];
        for t in 0..n {
            let mut pivot = 1.0 + bands[t][0];
            let mut beside = bands[t][1];
            if t >= 1 {
                pivot -= pivots[t - 1] * rows[t - 1][1] * rows[t - 1][1];
                beside -= pivots[t - 1] * rows[t - 1][1] * rows[t - 1][2];
            }
            if t >= 2 {
                pivot -= pivots[t - 2] * rows[t - 2][2] * rows[t - 2][2];
            }
            pivots[t] = pivot;
            rows[t] = [1.0 / pivot, beside / pivot, bands[t][2] / pivot];
        }
        // Trace of the inverse, from its bands, last to first (Takahashi's recurrences).
        let mut trace = 0.0;
        let (mut next, mut after) = ([0.0; 2], 0.0);
        for row in rows.iter().rev() {
            let [inverse, one, two] = *row;
            // next: inverse at (t+1, t+1) and (t+1, t+2); after: at (t+2, t+2).
            let beside = -one * next[0] - two * next[1];
            let beyond = -one * next[1] - two * after;
            let own = inverse - one * beside - two * beyond;
            trace += own;
            after = next[0];
            next = [own, beside];
        }
        Self { rows, trace }
    }
}

vectorised! {
    /// Solves for all lanes in place.
    fn solve<'a>(rows: &'a [[f64; 3]], values: &'a mut [Row]) {
        let n = rows.len();
        for t in 1..n {
            let (before, rest) = values.split_at_mut(t);
            let own = &mut rest[0];
            let one = rows[t - 1][1];
            for lane in 0..LANES {
                own[lane] -= one * before[t - 1][lane];
            }
            if t >= 2 {
                let two = rows[t - 2][2];
                for lane in 0..LANES {
                    own[lane] -= two * before[t - 2][lane];
                }
            }
        }
        for t in (0..n).rev() {
            let (before, rest) = values.split_at_mut(t + 1);
            let own = &mut before[t];
            let [inverse, one, two] = rows[t];
            for lane in 0..LANES {
                own[lane] *= inverse;
            }
            if t + 1 < n {
                for lane in 0..LANES {
                    own[lane] -= one * rest[0][lane];
                }
            }
            if t + 2 < n {
                for lane in 0..LANES {
                    own[lane] -= two * rest[1][lane];
                }
            }
        }
    }

    /// Of each lane: `‖y − z‖²` and `y · (y − z)`.
    fn differences<'a>(own: &'a [Row], filtered: &'a [Row]) -> (Row, Row) {
        let (mut changed, mut product) = ([0.0; LANES], [0.0; LANES]);
        for (y, z) in own.iter().zip(filtered) {
            for lane in 0..LANES {
                let difference = y[lane] - z[lane];
                changed[lane] += difference * difference;
                product[lane] += y[lane] * difference;
            }
        }
        (changed, product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;
    use faer::prelude::Solve;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn random(count: usize, frames: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        Array2::from_shape_simple_fn((count, frames), || StandardNormal.sample(&mut rng))
    }

    /// `I + λ D₂ᵀD₂`, dense.
    fn dense(frames: usize, penalty: f64) -> Mat<f64> {
        let d = Mat::from_fn(frames.saturating_sub(2), frames, |i, j| {
            match j.wrapping_sub(i) {
                0 | 2 => 1.0,
                1 => -2.0,
                _ => 0.0,
            }
        });
        let mut a = Mat::identity(frames, frames);
        a += d.transpose() * &d * faer::Scale(penalty);
        a
    }

    #[test]
    fn the_filter_solves_its_equations() {
        for frames in [3, 4, 5, 40] {
            let filter = TrendFilter::new(frames);
            for (k, &penalty) in PENALTIES.iter().enumerate() {
                let a = dense(frames, penalty);
                let inverse = a
                    .partial_piv_lu()
                    .solve(Mat::<f64>::identity(frames, frames));
                let trace: f64 = (0..frames).map(|t| inverse[(t, t)]).sum();
                assert!((filter.filters[k].trace / trace - 1.0).abs() < 1e-9);
                let courses = random(3, frames);
                let mut filtered = courses.clone();
                filter.filter(filtered.as_slice_mut().unwrap(), &[k + 1, 0, k + 1]);
                for c in 0..3 {
                    for t in 0..frames {
                        let expected: f64 = if c == 1 {
                            f64::from(courses[[c, t]])
                        } else {
                            (0..frames)
                                .map(|s| inverse[(t, s)] * f64::from(courses[[c, s]]))
                                .sum()
                        };
                        assert!((expected - f64::from(filtered[[c, t]])).abs() < 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn slow_courses_lose_noise_and_keep_their_height() {
        let frames = 3000;
        let slow = |c: usize, t: usize| 3.0 * ((t as f32 + 100.0 * c as f32) / 25.0).sin();
        let mut courses = random(20, frames);
        for ((c, t), v) in courses.indexed_iter_mut() {
            *v += slow(c, t);
        }
        TrendFilter::new(frames).apply(&mut courses, 0.01);
        let (mut error, mut product, mut power) = (0.0, 0.0, 0.0);
        for ((c, t), &v) in courses.indexed_iter() {
            error += (v - slow(c, t)).powi(2);
            product += v * slow(c, t);
            power += slow(c, t).powi(2);
        }
        let count = courses.len() as f32;
        assert!(error / count < 0.15, "{}", error / count);
        assert!((product / power - 1.0).abs() < 0.015, "{}", product / power);
    }

    #[test]
    fn fast_courses_stay() {
        let frames = 2000;
        let mut courses = random(20, frames);
        for ((_, t), v) in courses.indexed_iter_mut() {
            *v += if t % 7 == 0 { 12.0 } else { 0.0 };
        }
        let before = courses.clone();
        TrendFilter::new(frames).apply(&mut courses, 0.01);
        let changed = (&courses - &before).mapv(|v| v * v).sum() / courses.len() as f32;
        assert!(changed < 0.5, "{changed}");
    }
}
