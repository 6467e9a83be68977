//! The pairs of sessions a law is fitted to.

use super::table::{Options, Table};
use crate::Error;

/// Fewest resamples that say how similarities vary.
const RESAMPLES: usize = 20;

/// Pairs with a value, and how they vary.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    /// Sessions `i < j`.
    pub(crate) pairs: Vec<(usize, usize)>,
    pub(crate) observed: Vec<f64>,
    /// Product of both sessions' amplitudes.
    pub(crate) amplitude: Vec<f64>,
    /// Time of every session after the first.
    pub(crate) times: Vec<f64>,
    /// Of every session.
    pub(crate) reliability: Vec<f64>,
    /// Resamples less their mean, those with all pairs.
    pub(crate) noise: Vec<Vec<f64>>,
    pub(crate) n_cells: usize,
    /// Sessions in any of the pairs.
    pub(crate) n_sessions: usize,
    pub(crate) gap: f64,
    pub(crate) span: f64,
}

impl Points {
    /// # Errors
    /// A malformed table, or fewer than three sessions or two distances with a value.
    pub(crate) fn new(table: &Table, options: &Options) -> Result<Self, Error> {
        table.check()?;
        let n = table.sessions();
        let times = table.times(options.axis);
        let pairs: Vec<(usize, usize)> = (0..n)
            .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
            .filter(|&(i, j)| table.similarity[[i, j]].is_finite())
            .collect();
        let n_sessions = (0..n)
            .filter(|&s| pairs.iter().any(|&(i, j)| i == s || j == s))
            .count();
        let lags: Vec<f64> = pairs.iter().map(|&(i, j)| times[j] - times[i]).collect();
        let span = lags.iter().copied().fold(0.0, f64::max);
        let gap = lags.iter().copied().fold(f64::INFINITY, f64::min);
        if n_sessions < 3 || span <= gap {
            return Err(Error::Undefined(format!(
                "{n_sessions} sessions with a similarity: a law needs 3 and two different distances"
            )));
        }
        let mut rows: Vec<Vec<f64>> = table
            .resampled
            .outer_iter()
            .map(|one| {
                pairs
                    .iter()
                    .map(|&(i, j)| one[[i, j]])
                    .collect::<Vec<f64>>()
            })
            .filter(|row| row.iter().all(|v| v.is_finite()))
            .collect();
        if rows.len() < RESAMPLES {
            rows.clear();
        }
        let count = rows.len() as f64;
        let centre: Vec<f64> = (0..pairs.len())
            .map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / count)
            .collect();
        for row in &mut rows {
            for (value, middle) in row.iter_mut().zip(&centre) {
                *value -= middle;
            }
        }
        let amplitude = |s: usize| table.amplitude.as_ref().map_or(1.0, |a| a[s]);
        Ok(Self {
            observed: pairs
                .iter()
                .map(|&(i, j)| table.similarity[[i, j]])
                .collect(),
            amplitude: pairs
                .iter()
                .map(|&(i, j)| amplitude(i) * amplitude(j))
                .collect(),
            pairs,
            times,
            // A raw similarity is the correlation of what is measured; a
            // disattenuated one is more than that by the noise taken off.
            reliability: match (&table.reliability, &table.amplitude) {
                (Some(reliability), None) => reliability.clone(),
                _ => vec![1.0; n],
            },
            noise: rows,
            n_cells: table.n_cells,
            n_sessions,
            gap,
            span,
        })
    }

    /// Variance of every pair: of the resamples, or of a correlation over the cells.
    pub(crate) fn variances(&self) -> Vec<f64> {
        if self.noise.is_empty() {
            let cells = self.n_cells.max(4) as f64;
            return self
                .observed
                .iter()
                .map(|r| (1.0 - r.clamp(-0.95, 0.95).powi(2)).powi(2) / (cells - 1.0))
                .collect();
        }
        (0..self.pairs.len())
            .map(|k| {
                let squares: f64 = self.noise.iter().map(|row| row[k] * row[k]).sum();
                squares / (self.noise.len() - 1) as f64
            })
            .collect()
    }

    /// Only the pairs in `keep`, without their resamples.
    pub(crate) fn subset(&self, keep: &[usize]) -> Self {
        let pick = |values: &[f64]| keep.iter().map(|&k| values[k]).collect::<Vec<f64>>();
        Self {
            pairs: keep.iter().map(|&k| self.pairs[k]).collect(),
            observed: pick(&self.observed),
            amplitude: pick(&self.amplitude),
            times: self.times.clone(),
            reliability: self.reliability.clone(),
            noise: Vec::new(),
            ..*self
        }
    }
}
