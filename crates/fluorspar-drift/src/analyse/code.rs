//! Similarity of the code for a label, corrected for trial noise.

use rayon::prelude::*;

use super::cells::{Pair, Shared};
use super::context::{Context, Window};
use super::population::{few, outside};
use crate::code::{Code, units};

/// The code for one label in every session, where it can be told.
pub(crate) struct Codes {
    codes: Vec<Result<Code, String>>,
    /// What a cell's squared activity counts in, by global number.
    unit: Vec<f64>,
}

impl Codes {
    pub(crate) fn new(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Self {
        let codes: Vec<Result<Code, String>> = (0..context.sessions.len())
            .into_par_iter()
            .map(|session| code(context, window, session, variable))
            .collect();
        let seen = codes
            .iter()
            .enumerate()
            .map(|(session, code)| (code.as_ref().ok(), context.roster.of(session)));
        let unit = units(seen, context.roster.cells);
        Self { codes, unit }
    }

    /// Share of the variance of each session's patterns over cells that is not
    /// noise; NaN where there is no code.
    pub(crate) fn reliability(&self, context: &Context<'_>) -> Vec<f64> {
        let of_session = |(session, code): (usize, &Result<Code, String>)| {
            let Ok(code) = code else { return f64::NAN };
            let (mut own, mut noise) = (0.0, 0.0);
            for (global, cell) in context.roster.of(session) {
                if self.unit[global] > 0.0 {
                    own += code.own[cell] / self.unit[global];
                    noise += code.noise[cell] / self.unit[global];
                }
            }
            own / (own + noise)
        };
        self.codes.iter().enumerate().map(of_session).collect()
    }

    /// `Σ_k (m_ik − m̄_i)(m_jk − m̄_j)` over cells and classes, divided by the
    /// root of the two sessions' own, noise taken off: 1 for the same code, 0
    /// for an unrelated one. One pair per `i < j`, on the cells that `context` has.
    pub(crate) fn similarity(&self, context: &Context<'_>) -> Vec<Pair> {
        context
            .pairs(false)
            .par_iter()
            .map(|&(i, j)| {
                let shared = context.roster.shared(i, j);
                match (&self.codes[i], &self.codes[j]) {
                    (Ok(a), Ok(b)) => self.compare(context, (i, j), [a, b], &shared),
                    (Err(reason), _) | (_, Err(reason)) => {
                        Pair::undefined(i, j, shared.len(), reason.clone())
                    }
                }
            })
            .collect()
    }

    fn compare(
        &self,
        context: &Context<'_>,
        (i, j): (usize, usize),
        [a, b]: [&Code; 2],
        shared: &[Shared],
    ) -> Pair {
        if shared.len() < context.parameters.min_cells {
            let reason = few(shared.len(), context.parameters.min_cells);
            return Pair::undefined(i, j, shared.len(), reason);
        }
        // Per cell: across, within the first, within the second.
        let sums = context.draws.sums(shared, 3, |cell, out| {
            let unit = self.unit[cell.global];
            if unit > 0.0 {
                out[0] = a.product(cell.i, b, cell.j) / unit;
                out[1] = a.own[cell.i] / unit;
                out[2] = b.own[cell.j] / unit;
            }
        });
        // A division by a reliability that may be zero says nothing.
        for (k, session) in [(1, i), (2, j)] {
            let column = sums.column(k);
            let failed = column.iter().skip(1).filter(|&&v| v <= 0.0).count();
            if 20 * failed > context.draws.len() || column[0] <= 0.0 {
                let reason = format!("the code of session {} is not above its noise", session + 1);
                return Pair::undefined(i, j, shared.len(), reason);
            }
        }
        let ratios: Vec<f64> = sums
            .rows()
            .into_iter()
            .map(|row| {
                if row[1] > 0.0 && row[2] > 0.0 {
                    row[0] / (row[1] * row[2]).sqrt()
                } else {
                    f64::NAN
                }
            })
            .collect();
        Pair {
            i,
            j,
            value: ratios[0],
            resampled: ratios[1..].to_vec(),
            n_cells: shared.len(),
            reason: String::new(),
        }
    }
}

fn code(
    context: &Context<'_>,
    window: &Window<'_>,
    session: usize,
    variable: &str,
) -> Result<Code, String> {
    if window.bins[session].is_empty() {
        return Err(outside(session));
    }
    let classes = context.classes(variable);
    if let Some(reason) = context.shortage(session, variable, &classes) {
        return Err(reason);
    }
    let members = context.members(session, variable, &classes);
    Ok(Code::of(window.means[session].view(), &members))
}
