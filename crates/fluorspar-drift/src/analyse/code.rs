//! Similarity of the code for a label, corrected for trial noise.

use rayon::prelude::*;

use super::cells::{Pair, Shared};
use super::context::{Context, Window};
use super::population::{few, outside};

/// Patterns of one session: for each class the mean of every cell, relative
/// to the mean over classes.
struct Patterns {
    /// `(class, cell)`.
    means: Vec<Vec<f64>>,
    /// What noise adds to each cell's squared pattern.
    noise: Vec<f64>,
    /// Variance of each cell over trials of one class.
    scatter: Vec<f64>,
}

/// The code for one label in every session, where it can be told.
pub(crate) struct Codes(Vec<Result<Patterns, String>>);

impl Codes {
    pub(crate) fn new(context: &Context<'_>, window: &Window<'_>, variable: &str) -> Self {
        Self(
            (0..context.sessions.len())
                .into_par_iter()
                .map(|session| patterns(context, window, session, variable))
                .collect(),
        )
    }

    /// Share of the variance of each session's patterns over cells that is not
    /// noise; NaN where there is no code.
    pub(crate) fn reliability(&self) -> Vec<f64> {
        let one = |p: &Patterns| {
            let (mut all, mut noise) = (0.0, 0.0);
            for (cell, &scatter) in p.scatter.iter().enumerate() {
                if scatter > 0.0 {
                    all += p.means.iter().map(|m| m[cell].powi(2)).sum::<f64>() / scatter;
                    noise += p.noise[cell] / scatter;
                }
            }
            1.0 - noise / all
        };
        self.0
            .iter()
            .map(|p| p.as_ref().map_or(f64::NAN, one))
            .collect()
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
                match (&self.0[i], &self.0[j]) {
                    (Ok(a), Ok(b)) => compare(context, (i, j), a, b, &shared),
                    (Err(reason), _) | (_, Err(reason)) => {
                        Pair::undefined(i, j, shared.len(), reason.clone())
                    }
                }
            })
            .collect()
    }
}

fn patterns(
    context: &Context<'_>,
    window: &Window<'_>,
    session: usize,
    variable: &str,
) -> Result<Patterns, String> {
    if window.bins[session].is_empty() {
        return Err(outside(session));
    }
    let classes = context.classes(variable);
    if let Some(reason) = context.shortage(session, variable, &classes) {
        return Err(reason);
    }
    let members = context.members(session, variable, &classes);
    let trials: usize = members.iter().map(Vec::len).sum();
    let x = &window.means[session];
    let cells = x.nrows();
    let share = 1.0 - 1.0 / classes.len() as f64;
    let mut means = vec![vec![0.0; cells]; classes.len()];
    let mut noise = vec![0.0; cells];
    let mut scatter = vec![0.0; cells];
    for cell in 0..cells {
        let row = x.row(cell);
        let mut within = 0.0;
        for (k, members) in members.iter().enumerate() {
            let n = members.len() as f64;
            let value = |t: usize| f64::from(row[t]);
            let mean = members.iter().map(|&t| value(t)).sum::<f64>() / n;
            let squares: f64 = members.iter().map(|&t| (value(t) - mean).powi(2)).sum();
            means[k][cell] = mean;
            within += squares;
            noise[cell] += share * squares / (n - 1.0) / n;
        }
        let middle = means.iter().map(|m| m[cell]).sum::<f64>() / classes.len() as f64;
        scatter[cell] = within / (trials - classes.len()) as f64;
        for mean in &mut means {
            mean[cell] -= middle;
        }
    }
    Ok(Patterns {
        means,
        noise,
        scatter,
    })
}

fn compare(
    context: &Context<'_>,
    (i, j): (usize, usize),
    a: &Patterns,
    b: &Patterns,
    shared: &[Shared],
) -> Pair {
    if shared.len() < context.parameters.min_cells {
        let reason = few(shared.len(), context.parameters.min_cells);
        return Pair::undefined(i, j, shared.len(), reason);
    }
    // Per cell: across, within the first, within the second. A cell counts in
    // units of its scatter, the same for both sessions: a scale of its own for
    // each would carry their noise into the ratio.
    let sums = context.draws.sums(shared, 3, |cell, out| {
        let mut terms = [0.0, -a.noise[cell.i], -b.noise[cell.j]];
        for (ma, mb) in a.means.iter().zip(&b.means) {
            terms[0] += ma[cell.i] * mb[cell.j];
            terms[1] += ma[cell.i].powi(2);
            terms[2] += mb[cell.j].powi(2);
        }
        let scatter = 0.5 * (a.scatter[cell.i] + b.scatter[cell.j]);
        let weight = if scatter > 0.0 { 1.0 / scatter } else { 0.0 };
        for (out, term) in out.iter_mut().zip(terms) {
            *out = weight * term;
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
