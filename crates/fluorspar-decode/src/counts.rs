//! Populations of different sizes, compared with equal numbers of cells.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::random::{Domain, draw, stream};
use crate::validation::check_count;
use crate::{CrossValidation, Decoder, Error, Features, Scaling, gram};

/// Decoding with the same number of cells from each group, drawn many times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EqualCounts {
    /// Cells per draw; `None` takes as many as the smallest group has.
    pub cells: Option<usize>,
    /// Draws per group.
    pub draws: usize,
    /// Coverage of the interval over draws.
    pub coverage: f64,
    /// The splits of each draw.
    pub validation: CrossValidation,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for EqualCounts {
    fn default() -> Self {
        Self {
            cells: None,
            draws: 100,
            coverage: 0.95,
            validation: CrossValidation {
                folds: 5,
                repeats: 1,
                seed: 1,
            },
            seed: 1,
        }
    }
}

/// Decoding of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Cells per draw.
    pub cells: usize,
    /// Mean balanced accuracy over draws.
    pub mean: f64,
    /// Interval of the balanced accuracy over draws of cells. It says how much
    /// the choice of cells matters; trials are the same in all draws.
    pub interval: (f64, f64),
    /// Each draw, in order.
    pub draws: Vec<f64>,
}

impl EqualCounts {
    /// Balanced accuracy by group. `activity` is `(trial, cell)`, standardised
    /// here by cell over all its trials (which looks at no label); `group` names
    /// that of each cell. Runs on rayon's current pool; the bytes do not depend
    /// on the number of threads.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Empty`] without groups, [`Error::Parameter`] if
    /// a group has fewer cells than are asked for, if there are no draws or the
    /// coverage is not between 0 and 1; as [`CrossValidation::score`].
    pub fn compare(
        &self,
        decoder: &dyn Decoder,
        activity: ArrayView2<'_, f32>,
        labels: &[i64],
        group: &[String],
    ) -> Result<BTreeMap<String, Drawn>, Error> {
        check_count("draws", self.draws, 1)?;
        if !(self.coverage > 0.0 && self.coverage < 1.0) {
            return Err(Error::Parameter {
                name: "coverage",
                value: self.coverage,
                rule: "must lie between 0 and 1",
            });
        }
        if group.len() != activity.ncols() {
            return Err(Error::Shape(format!(
                "{} groups for {} cells",
                group.len(),
                activity.ncols()
            )));
        }
        let mut members: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
        for (cell, name) in group.iter().enumerate() {
            members.entry(name).or_default().push(cell);
        }
        let smallest = members.values().map(Vec::len).min().ok_or(Error::Empty)?;
        let count = self.cells.unwrap_or(smallest);
        if count == 0 || count > smallest {
            return Err(Error::Parameter {
                name: "cells",
                value: count as f64,
                rule: "must be positive and not exceed the smallest group",
            });
        }
        members
            .iter()
            .enumerate()
            .map(|(number, (name, cells))| {
                let draws: Vec<f64> = (0..self.draws)
                    .into_par_iter()
                    .map(|number_of_draw| {
                        let mut rng = stream(self.seed, Domain::Cells, number, number_of_draw);
                        let chosen = draw(&mut rng, cells, count);
                        let features = Features::new(activity).of_cells(&chosen)?;
                        let scaling = Scaling::standardise(&features)?;
                        let gram = gram(&features.scaled(&scaling)?)?;
                        Ok(self.validation.score(decoder, gram.view(), labels)?.mean)
                    })
                    .collect::<Result<_, Error>>()?;
                let mut sorted = draws.clone();
                sorted.sort_by(f64::total_cmp);
                let tail = (1.0 - self.coverage) / 2.0;
                let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
                Ok((
                    (*name).clone(),
                    Drawn {
                        cells: count,
                        mean: draws.iter().sum::<f64>() / draws.len() as f64,
                        interval: (at(tail), at(1.0 - tail)),
                        draws,
                    },
                ))
            })
            .collect()
    }
}
