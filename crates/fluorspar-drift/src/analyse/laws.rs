//! Rows about laws of drift.

use super::cells::Pair;
use super::context::Context;
use super::trend::{Trends, options};
use crate::law::{Law, Refitted, Scored, choose, refit};
use crate::table::Similarity;
use crate::table::{HalfLifeRow, RateRow};

/// Adds every law's parameters, and half-lives of the chosen and the crystallizing law.
pub(crate) fn rows(context: &Context<'_>, followed: &Similarity, pairs: &[Pair], out: &mut Trends) {
    let options = options(context.parameters);
    let known = pairs
        .iter()
        .filter(|p| p.i < p.j && p.value.is_finite())
        .count();
    // A law needs more pairs than parameters.
    let (laws, beyond): (Vec<Law>, Vec<Law>) = Law::ALL
        .into_iter()
        .partition(|law| law.parameters().len() < known);
    let tables = std::slice::from_ref(&followed.table);
    let scored = match choose(tables, &laws, &options) {
        Ok(scored) => scored,
        Err(error) => {
            let why = pairs
                .iter()
                .find(|p| !p.reason.is_empty())
                .map_or_else(|| error.to_string(), |p| p.reason.clone());
            for law in Law::ALL {
                out.rates
                    .extend(without(context, followed, law, known, &why));
            }
            return;
        }
    };
    for one in &scored {
        let refitted = match refit(&followed.table, one.law, &options) {
            Ok(refitted) => refitted,
            Err(error) => {
                let why = error.to_string();
                out.rates
                    .extend(without(context, followed, one.law, known, &why));
                continue;
            }
        };
        out.rates
            .extend(parameters(context, followed, one, &refitted));
        if one.chosen || one.law == Law::Crystallizing {
            out.half_lives
                .extend(half_lives(context, followed, one, &refitted));
        }
    }
    for law in beyond {
        let why = format!(
            "{known} pairs of sessions cannot tell {} parameters",
            law.parameters().len()
        );
        out.rates
            .extend(without(context, followed, law, known, &why));
    }
}

fn blank(
    context: &Context<'_>,
    followed: &Similarity,
    law: Law,
    parameter: &'static str,
    n_pairs: usize,
) -> RateRow {
    RateRow {
        metric: followed.metric,
        epoch: followed.epoch.clone(),
        variable: followed.variable.clone(),
        group: context.parameters.group.clone().unwrap_or_default(),
        law: law.name(),
        parameter,
        value: f64::NAN,
        lo: f64::NAN,
        hi: f64::NAN,
        score_by_session: f64::NAN,
        score_by_pair: f64::NAN,
        aic: f64::NAN,
        chosen: false,
        n_sessions: context.sessions.len(),
        n_pairs,
        n_cells: followed.table.n_cells,
        unit: "cells",
        seed: context.parameters.seed,
        inclusion: context.parameters.inclusion.name(),
        reason: String::new(),
    }
}

fn without(
    context: &Context<'_>,
    followed: &Similarity,
    law: Law,
    n_pairs: usize,
    why: &str,
) -> Vec<RateRow> {
    law.parameters()
        .iter()
        .map(|name| RateRow {
            reason: why.to_owned(),
            ..blank(context, followed, law, name, n_pairs)
        })
        .collect()
}

fn parameters(
    context: &Context<'_>,
    followed: &Similarity,
    scored: &Scored,
    refitted: &Refitted,
) -> Vec<RateRow> {
    let fit = &refitted.fit;
    let intervals = refitted.intervals(context.parameters.confidence);
    scored
        .law
        .parameters()
        .iter()
        .zip(&fit.parameters)
        .zip(intervals)
        .map(|((name, &value), (lo, hi))| RateRow {
            value,
            lo,
            hi,
            score_by_session: scored.by_session,
            score_by_pair: scored.by_pair,
            aic: fit.aic,
            chosen: scored.chosen,
            ..blank(context, followed, scored.law, name, fit.n_pairs)
        })
        .collect()
}

fn half_lives(
    context: &Context<'_>,
    followed: &Similarity,
    scored: &Scored,
    refitted: &Refitted,
) -> Vec<HalfLifeRow> {
    refitted
        .half_lives(context.parameters.confidence)
        .into_iter()
        .map(|h| HalfLifeRow {
            metric: followed.metric,
            epoch: followed.epoch.clone(),
            variable: followed.variable.clone(),
            group: context.parameters.group.clone().unwrap_or_default(),
            law: scored.law.name(),
            chosen: scored.chosen,
            session: h.session + 1,
            day: h.time,
            rate_per_day: h.rate,
            rate_lo: h.rate_lo,
            rate_hi: h.rate_hi,
            half_life_days: h.half_life,
            lo: h.lo,
            hi: h.hi,
            n_cells: followed.table.n_cells,
            unit: "cells",
            seed: context.parameters.seed,
            inclusion: context.parameters.inclusion.name(),
        })
        .collect()
}
