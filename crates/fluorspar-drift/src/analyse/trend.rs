//! Drift against elapsed days, and early against late.

use super::cells::Pair;
use super::context::{Context, Topic};
use crate::statistics::interval;
use crate::table::{CrystallizationRow, Drift, RateRow};
use crate::{Parameters, Session};

/// Fits points (days, similarity) and gives rate per day and intercept.
type Law = fn(&[(f64, f64)]) -> (f64, f64);

/// Adds what the pairs of one metric say about time to the tables.
pub(crate) fn rows(context: &Context<'_>, topic: Topic<'_>, pairs: &[Pair], out: &mut Drift) {
    let (sessions, parameters) = (context.sessions, context.parameters);
    out.rates.extend(rates(topic, pairs, sessions, parameters));
    out.crystallization
        .push(crystallization(topic, pairs, sessions, parameters));
}

/// Pairs with a value: distance in days, index of the pair.
fn defined(pairs: &[Pair], sessions: &[Session]) -> Vec<(f64, usize)> {
    (0..pairs.len())
        .filter(|&k| pairs[k].value.is_finite() && pairs[k].i != pairs[k].j)
        .map(|k| {
            let (a, b) = (&sessions[pairs[k].i], &sessions[pairs[k].j]);
            ((a.day - b.day).abs(), k)
        })
        .collect()
}

/// Value of pair `k` in resample `b`, or as observed.
fn at(pairs: &[Pair], k: usize, resample: Option<usize>) -> f64 {
    match resample {
        None => pairs[k].value,
        Some(b) => pairs[k].resampled.get(b).copied().unwrap_or(f64::NAN),
    }
}

/// Linear and exponential change with elapsed days.
pub(crate) fn rates(
    topic: Topic<'_>,
    pairs: &[Pair],
    sessions: &[Session],
    parameters: &Parameters,
) -> Vec<RateRow> {
    let known = defined(pairs, sessions);
    let mut distances: Vec<f64> = known.iter().map(|(d, _)| *d).collect();
    distances.sort_by(f64::total_cmp);
    distances.dedup();
    let laws: [(&'static str, Law); 2] = [("linear", line), ("exponential", decay)];
    laws.into_iter()
        .map(|(law, fit)| {
            let mut row = RateRow {
                metric: topic.metric,
                epoch: topic.epoch.into(),
                variable: topic.variable.into(),
                law,
                rate_per_day: f64::NAN,
                lo: f64::NAN,
                hi: f64::NAN,
                intercept: f64::NAN,
                half_life_days: f64::NAN,
                n_pairs: known.len(),
                seed: parameters.seed,
                reason: String::new(),
            };
            if distances.len() < 2 {
                row.reason = "fewer than two different distances in days".into();
                return row;
            }
            let points = |resample: Option<usize>| -> Vec<(f64, f64)> {
                known
                    .iter()
                    .map(|&(days, k)| (days, at(pairs, k, resample)))
                    .filter(|(_, value)| value.is_finite())
                    .collect()
            };
            (row.rate_per_day, row.intercept) = fit(&points(None));
            let resampled: Vec<f64> = (0..parameters.bootstrap)
                .map(|b| fit(&points(Some(b))).0)
                .collect();
            (row.lo, row.hi) = interval(&resampled, parameters.confidence);
            if law == "exponential" && row.rate_per_day > 0.0 {
                row.half_life_days = std::f64::consts::LN_2 / row.rate_per_day;
            }
            row
        })
        .collect()
}

/// Least-squares slope and intercept.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let (mx, my) = (
        points.iter().map(|p| p.0).sum::<f64>() / n,
        points.iter().map(|p| p.1).sum::<f64>() / n,
    );
    let sxy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let slope = sxy / sxx;
    (slope, my - slope * mx)
}

/// Rate and size of `size · exp(−rate · days)`, least squares: the size
/// follows from the rate, the rate from a search that narrows three times.
fn decay(points: &[(f64, f64)]) -> (f64, f64) {
    let size = |rate: f64| {
        let (mut above, mut below) = (0.0, 0.0);
        for &(x, y) in points {
            let e = (-rate * x).exp();
            above += e * y;
            below += e * e;
        }
        above / below
    };
    let cost = |rate: f64| {
        let a = size(rate);
        points
            .iter()
            .map(|&(x, y)| (y - a * (-rate * x).exp()).powi(2))
            .sum::<f64>()
    };
    let longest = points.iter().map(|p| p.0).fold(0.0, f64::max);
    if points.len() < 2 || longest <= 0.0 {
        return (f64::NAN, f64::NAN);
    }
    let (mut low, mut high) = (-1.0 / longest, 20.0 / longest);
    let mut best = 0.0;
    for _ in 0..3 {
        let step = (high - low) / 60.0;
        let mut least = f64::INFINITY;
        for k in 0..=60 {
            let rate = low + f64::from(k) * step;
            let value = cost(rate);
            if value < least {
                (least, best) = (value, rate);
            }
        }
        (low, high) = (best - step, best + step);
    }
    (best, size(best))
}

/// Compares pairs within the later half of the sessions with pairs within the
/// earlier half, the same number of days apart.
pub(crate) fn crystallization(
    topic: Topic<'_>,
    pairs: &[Pair],
    sessions: &[Session],
    parameters: &Parameters,
) -> CrystallizationRow {
    let mut row = CrystallizationRow {
        epoch: topic.epoch.into(),
        variable: topic.variable.into(),
        test: "late_minus_early_similarity",
        statistic: f64::NAN,
        lo: f64::NAN,
        hi: f64::NAN,
        p: f64::NAN,
        null: "same similarity early and late",
        n_sessions: sessions.len(),
        n_cells: 0,
        seed: parameters.seed,
        verdict: String::new(),
    };
    let half = sessions.len() / 2;
    let late_from = sessions.len() - half;
    let known = defined(pairs, sessions);
    let inside = |from: usize, to: usize| -> Vec<(f64, usize)> {
        known
            .iter()
            .copied()
            .filter(|&(_, k)| {
                let (i, j) = (pairs[k].i, pairs[k].j);
                i >= from && j >= from && i < to && j < to
            })
            .collect()
    };
    let (early, late) = (inside(0, half), inside(late_from, sessions.len()));
    let mut lags: Vec<f64> = early.iter().map(|(d, _)| *d).collect();
    lags.sort_by(f64::total_cmp);
    lags.dedup();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * (1.0 + a.abs());
    lags.retain(|&lag| late.iter().any(|(d, _)| near(*d, lag)));
    if lags.is_empty() {
        row.verdict = known_reason(pairs, half);
        return row;
    }
    let mean = |group: &[(f64, usize)], lag: f64, resample: Option<usize>| {
        let values: Vec<f64> = group
            .iter()
            .filter(|(d, _)| near(*d, lag))
            .map(|&(_, k)| at(pairs, k, resample))
            .filter(|v| v.is_finite())
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let statistic = |resample: Option<usize>| {
        let sum: f64 = lags
            .iter()
            .map(|&lag| mean(&late, lag, resample) - mean(&early, lag, resample))
            .sum();
        sum / lags.len() as f64
    };
    row.statistic = statistic(None);
    row.n_cells = early
        .iter()
        .chain(&late)
        .map(|&(_, k)| pairs[k].n_cells)
        .min()
        .unwrap_or(0);
    let resampled: Vec<f64> = (0..parameters.bootstrap)
        .map(|b| statistic(Some(b)))
        .collect();
    (row.lo, row.hi) = interval(&resampled, parameters.confidence);
    let count = |test: fn(f64) -> bool| resampled.iter().filter(|&&v| test(v)).count() as f64;
    let rarer = count(|v| v <= 0.0).min(count(|v| v >= 0.0));
    row.p = (2.0 * (rarer + 1.0) / (resampled.len() + 1) as f64).min(1.0);
    row.verdict = if row.lo > 0.0 {
        "crystallizes: more alike from day to day late than early"
    } else if row.hi < 0.0 {
        "destabilises: less alike from day to day late than early"
    } else if row.lo.is_finite() {
        "no change shown: the interval includes 0"
    } else {
        "undetermined: too few resamples had a code above noise"
    }
    .into();
    row
}

fn known_reason(pairs: &[Pair], half: usize) -> String {
    if half < 2 {
        return "undetermined: at least four sessions are needed".into();
    }
    pairs
        .iter()
        .find(|pair| !pair.reason.is_empty())
        .map_or_else(
            || "undetermined: no pairs equally far apart early and late".into(),
            |pair| format!("undetermined: {}", pair.reason),
        )
}
