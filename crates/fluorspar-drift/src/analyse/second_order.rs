//! Second-order similarity: whether sessions keep the geometry of a code,
//! whatever its axes. Conditions are labels × time bins.

mod latents;
mod measures;
mod patterns;

use rayon::prelude::*;

use super::context::{Basis, Context, Topic, Window};
use super::population::few;
use crate::table::MetricRow;
use measures::{MEASURES, Measured};
use patterns::{Groups, Patterns};

/// The patterns of every session in one epoch, where they can be told.
pub(crate) struct SecondOrder {
    patterns: Vec<Result<Patterns, String>>,
    latents: latents::Latents,
    groups: Groups,
}

impl SecondOrder {
    pub(crate) fn new(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Self {
        Self {
            patterns: patterns::all(context, window, variable),
            latents: latents::Latents::new(context, window, variable),
            groups: Groups::new(context),
        }
    }

    /// Rows of all pairs `i ≤ j`. Everything compares one half of the trials
    /// with another half, as many in every session; the diagonal holds the two
    /// halves of one session, the most that two sessions can reach.
    pub(crate) fn rows<'a>(
        &self,
        context: &Context<'_>,
        topic: impl Fn(&'static str) -> Topic<'a> + Sync,
    ) -> Vec<MetricRow> {
        let by_pair: Vec<Vec<MetricRow>> = context
            .pairs(true)
            .par_iter()
            .map(|&pair| self.rows_of(context, &topic, pair))
            .collect();
        let mut rows: Vec<MetricRow> = by_pair.into_iter().flatten().collect();
        rows.extend(self.latents.rows(context, &topic));
        rows
    }

    fn rows_of<'a>(
        &self,
        context: &Context<'_>,
        topic: &impl Fn(&'static str) -> Topic<'a>,
        (i, j): (usize, usize),
    ) -> Vec<MetricRow> {
        let shared = context.roster.shared(i, j);
        let found = match (&self.patterns[i], &self.patterns[j]) {
            (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
            _ if shared.len() < context.parameters.min_cells => {
                Err(few(shared.len(), context.parameters.min_cells))
            }
            (Ok(a), Ok(b)) => patterns::products(&self.groups, &shared, a, (i != j).then_some(b))
                .and_then(|products| Measured::new(&products, a.conditions, shared.len(), i == j)),
        };
        let basis = Basis {
            unit: "cells",
            null: "",
        };
        let row = |name: &'static str| {
            let mut row = context.row(topic(name), basis, i, j);
            row.n_cells = shared.len();
            row
        };
        let mut out = Vec::new();
        for (k, measure) in MEASURES.iter().enumerate() {
            let mut plain = row(measure.name);
            let mut corrected = row(measure.corrected);
            match &found {
                Err(reason) => {
                    plain.reason.clone_from(reason);
                    corrected.reason.clone_from(reason);
                }
                Ok(found) => {
                    found
                        .plain(k, context.parameters.confidence)
                        .fill(&mut plain);
                    found
                        .corrected(k, context.parameters.confidence)
                        .fill(&mut corrected);
                }
            }
            out.push(plain);
            if i != j {
                out.push(corrected);
            }
        }
        let mut chance = row("subspace_overlap_chance");
        match &found {
            Ok(found) if found.overlap_chance.is_finite() => chance.value = found.overlap_chance,
            Ok(_) => chance.reason = "no subspace could be told".into(),
            Err(reason) => chance.reason.clone_from(reason),
        }
        out.push(chance);
        out
    }
}
