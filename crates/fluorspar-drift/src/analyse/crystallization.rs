//! Rows about whether drift slows.

use super::cells::Pair;
use super::context::Context;
use super::trend::options;
use crate::Parameters;
use crate::law::{Finding, Verdict, conclude, likelihood_test, rate_slope, rate_slope_difference};
use crate::statistics::{interval, mean};
use crate::table::CrystallizationRow;
use crate::table::Similarity;

/// The tests of one similarity.
pub(crate) fn rows(
    context: &Context<'_>,
    followed: &Similarity,
    pairs: &[Pair],
    out: &mut Vec<CrystallizationRow>,
) {
    let options = options(context.parameters);
    out.push(late_minus_early(context, followed, pairs));
    let tables = std::slice::from_ref(&followed.table);
    let likelihood = likelihood_test(tables, &options);
    let slope = rate_slope(tables, &options);
    let (confidence, seed) = (options.confidence, options.seed);
    // Why a similarity is missing says more than that it is.
    let missing = pairs
        .iter()
        .find(|p| !p.reason.is_empty())
        .map_or("", |p| p.reason.as_str());
    for finding in [
        conclude(&likelihood, &slope, confidence, seed),
        Finding::of_likelihood(&likelihood, confidence, seed),
        Finding::of_slope(&slope, false, confidence, seed),
    ] {
        out.push(row(context.parameters, followed, finding, missing));
    }
}

/// For every code the slope of its loss against that of the same variable in other epochs.
pub(crate) fn differences(
    context: &Context<'_>,
    followed: &[Similarity],
    out: &mut Vec<CrystallizationRow>,
) {
    let options = options(context.parameters);
    let steps = |f: &Similarity, s: usize| f.table.similarity[[s, s + 1]].is_finite();
    let last = context.sessions.len().saturating_sub(1);
    let codes: Vec<&Similarity> = followed.iter().filter(|f| !f.variable.is_empty()).collect();
    for &asked in &codes {
        // Epochs without a code of their own in these sessions cannot be compared.
        let others: Vec<&Similarity> = codes
            .iter()
            .copied()
            .filter(|f| f.variable == asked.variable && f.epoch != asked.epoch)
            .filter(|f| (0..last).all(|s| !steps(asked, s) || steps(f, s)))
            .collect();
        if others.is_empty() {
            continue;
        }
        let tables: Vec<_> = others.iter().map(|f| vec![f.table.clone()]).collect();
        let found = rate_slope_difference(std::slice::from_ref(&asked.table), &tables, &options);
        let finding = Finding::of_slope(&found, true, options.confidence, options.seed);
        let names: Vec<&str> = others.iter().map(|f| f.epoch.as_str()).collect();
        let mut row = row(context.parameters, asked, finding, "");
        row.null = format!("{}: {}", row.null, names.join(", "));
        out.push(row);
    }
}

pub(crate) fn row(
    parameters: &Parameters,
    followed: &Similarity,
    finding: Finding,
    missing: &str,
) -> CrystallizationRow {
    let verdict = match finding.verdict {
        Verdict::Undetermined if missing.is_empty() => format!("undetermined: {}", finding.reason),
        Verdict::Undetermined => format!("undetermined: {} ({missing})", finding.reason),
        other => other.to_string(),
    };
    let words = |name: &str| name.replace('_', " ");
    let epoch = words(&followed.epoch);
    let code = if followed.variable.is_empty() {
        format!("population activity in the {epoch} epoch")
    } else {
        format!(
            "code for {} in the {epoch} epoch",
            words(&followed.variable)
        )
    };
    CrystallizationRow {
        metric: followed.metric,
        epoch: followed.epoch.clone(),
        variable: followed.variable.clone(),
        group: parameters.group.clone().unwrap_or_default(),
        test: finding.test,
        statistic: finding.statistic,
        lo: finding.lo,
        hi: finding.hi,
        p: finding.p,
        null: finding.null.into(),
        unit: finding.unit,
        n_sessions: finding.n_sessions,
        n_cells: finding.n_cells,
        n_animals: finding.n_animals,
        seed: finding.seed,
        inclusion: parameters.inclusion.name(),
        verdict,
        sentence: finding.sentence.replace("{code}", &code),
    }
}

/// Pairs with a value: distance in days, index of the pair.
fn defined(context: &Context<'_>, pairs: &[Pair]) -> Vec<(f64, usize)> {
    (0..pairs.len())
        .filter(|&k| pairs[k].value.is_finite() && pairs[k].i != pairs[k].j)
        .map(|k| {
            let (a, b) = (&context.sessions[pairs[k].i], &context.sessions[pairs[k].j]);
            ((a.day - b.day).abs(), k)
        })
        .collect()
}

/// Compares pairs within the later half of the sessions with pairs within the
/// earlier half, the same number of days apart. The plainest of the tests; a
/// random walk passes it too.
pub(crate) fn late_minus_early(
    context: &Context<'_>,
    followed: &Similarity,
    pairs: &[Pair],
) -> CrystallizationRow {
    let parameters = context.parameters;
    let sessions = context.sessions.len();
    let mut row = CrystallizationRow {
        metric: followed.metric,
        epoch: followed.epoch.clone(),
        variable: followed.variable.clone(),
        group: parameters.group.clone().unwrap_or_default(),
        test: "late_minus_early_similarity",
        statistic: f64::NAN,
        lo: f64::NAN,
        hi: f64::NAN,
        p: f64::NAN,
        null: "same similarity early and late".into(),
        unit: "cells",
        n_sessions: sessions,
        n_cells: 0,
        n_animals: 1,
        seed: parameters.seed,
        inclusion: parameters.inclusion.name(),
        verdict: String::new(),
        sentence: String::new(),
    };
    let half = sessions / 2;
    let known = defined(context, pairs);
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
    let (early, late) = (inside(0, half), inside(sessions - half, sessions));
    let mut lags: Vec<f64> = early.iter().map(|(d, _)| *d).collect();
    lags.sort_by(f64::total_cmp);
    lags.dedup();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * (1.0 + a.abs());
    lags.retain(|&lag| late.iter().any(|(d, _)| near(*d, lag)));
    if lags.is_empty() {
        row.verdict = reason(pairs, half);
        return row;
    }
    let at = |k: usize, resample: Option<usize>| match resample {
        None => pairs[k].value,
        Some(b) => pairs[k].resampled.get(b).copied().unwrap_or(f64::NAN),
    };
    let middle = |group: &[(f64, usize)], lag: f64, resample: Option<usize>| {
        let values: Vec<f64> = group
            .iter()
            .filter(|(d, _)| near(*d, lag))
            .map(|&(_, k)| at(k, resample))
            .filter(|v| v.is_finite())
            .collect();
        mean(&values)
    };
    let statistic = |resample: Option<usize>| {
        let changes: Vec<f64> = lags
            .iter()
            .map(|&lag| middle(&late, lag, resample) - middle(&early, lag, resample))
            .collect();
        mean(&changes)
    };
    row.statistic = statistic(None);
    let compared = early.iter().chain(&late).map(|&(_, k)| pairs[k].n_cells);
    row.n_cells = compared.min().unwrap_or(0);
    let resampled: Vec<f64> = (0..parameters.bootstrap)
        .map(|b| statistic(Some(b)))
        .collect();
    (row.lo, row.hi) = interval(&resampled, parameters.confidence);
    let count = |test: fn(f64) -> bool| resampled.iter().filter(|&&v| test(v)).count() as f64;
    let rarer = count(|v| v <= 0.0).min(count(|v| v >= 0.0));
    row.p = (2.0 * (rarer + 1.0) / (resampled.len() + 1) as f64).min(1.0);
    row.verdict = if row.lo > 0.0 {
        "more alike late than early; steady drift may do this too"
    } else if row.hi < 0.0 {
        "less alike late than early"
    } else if row.lo.is_finite() {
        "no change shown: the interval includes 0"
    } else {
        "undetermined: too few resamples had a code above noise"
    }
    .into();
    row
}

fn reason(pairs: &[Pair], half: usize) -> String {
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
