//! Similarity of the code for a label, corrected for trial noise.

use rayon::prelude::*;

use super::cells::{Draws, Pair, Roster, Shared};
use crate::{Epoch, Parameters, Session};

/// Patterns of one session: for each class the mean of every cell, relative
/// to the mean over classes.
struct Patterns {
    /// `(class, cell)`.
    means: Vec<Vec<f64>>,
    /// What noise adds to each cell's squared pattern.
    noise: Vec<f64>,
    /// Variance of each cell over trials of one class.
    scatter: Vec<f64>,
    classes: Vec<i64>,
}

/// `Σ_k (m_ik − m̄_i)(m_jk − m̄_j)` over cells and classes, divided by the root
/// of the two sessions' own, noise taken off: 1 for the same code, 0 for an
/// unrelated one. One pair per `i < j`.
pub(crate) fn similarity(
    sessions: &[Session],
    epoch: &Epoch,
    variable: &str,
    parameters: &Parameters,
    roster: &Roster,
    draws: &Draws,
) -> Vec<Pair> {
    let patterns: Vec<Result<Patterns, String>> = sessions
        .iter()
        .enumerate()
        .map(|(number, session)| patterns(session, number, epoch, variable, parameters))
        .collect();
    let pairs: Vec<(usize, usize)> = (0..sessions.len())
        .flat_map(|i| (i + 1..sessions.len()).map(move |j| (i, j)))
        .collect();
    pairs
        .par_iter()
        .map(|&(i, j)| {
            let shared = roster.shared(i, j);
            match (&patterns[i], &patterns[j]) {
                (Ok(a), Ok(b)) => compare(i, j, a, b, &shared, parameters, draws),
                (Err(reason), _) | (_, Err(reason)) => {
                    Pair::undefined(i, j, shared.len(), reason.clone())
                }
            }
        })
        .collect()
}

fn patterns(
    session: &Session,
    number: usize,
    epoch: &Epoch,
    variable: &str,
    parameters: &Parameters,
) -> Result<Patterns, String> {
    let x = session.epoch_means(epoch);
    let labels = &session.labels[variable];
    let mut classes = labels.clone();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() < 2 {
        return Err(format!("session {} has one label only", number + 1));
    }
    let members: Vec<Vec<usize>> = classes
        .iter()
        .map(|class| (0..labels.len()).filter(|&t| labels[t] == *class).collect())
        .collect();
    if let Some(k) = (0..classes.len()).find(|&k| members[k].len() < parameters.min_trials) {
        return Err(format!(
            "session {} has {} trials with label {}",
            number + 1,
            members[k].len(),
            classes[k]
        ));
    }
    let cells = x.ncols();
    let share = 1.0 - 1.0 / classes.len() as f64;
    let mut means = vec![vec![0.0; cells]; classes.len()];
    let mut noise = vec![0.0; cells];
    let mut scatter = vec![0.0; cells];
    for cell in 0..cells {
        let column = x.column(cell);
        let mut within = 0.0;
        for (k, trials) in members.iter().enumerate() {
            let n = trials.len() as f64;
            let mean = trials.iter().map(|&t| column[t]).sum::<f64>() / n;
            let squares: f64 = trials.iter().map(|&t| (column[t] - mean).powi(2)).sum();
            means[k][cell] = mean;
            within += squares;
            noise[cell] += share * squares / (n - 1.0) / n;
        }
        let middle = means.iter().map(|m| m[cell]).sum::<f64>() / classes.len() as f64;
        scatter[cell] = within / (labels.len() - classes.len()) as f64;
        for mean in &mut means {
            mean[cell] -= middle;
        }
    }
    Ok(Patterns {
        means,
        noise,
        scatter,
        classes,
    })
}

fn compare(
    i: usize,
    j: usize,
    a: &Patterns,
    b: &Patterns,
    shared: &[Shared],
    parameters: &Parameters,
    draws: &Draws,
) -> Pair {
    if a.classes != b.classes {
        return Pair::undefined(i, j, shared.len(), "the sessions have other labels".into());
    }
    if shared.len() < parameters.min_cells {
        let reason = format!("{} shared cells are too few", shared.len());
        return Pair::undefined(i, j, shared.len(), reason);
    }
    // Per cell: across, within the first, within the second. A cell counts in
    // units of its scatter, the same for both sessions: a scale of its own for
    // each would carry their noise into the ratio.
    let terms: Vec<[f64; 3]> = shared
        .iter()
        .map(|cell| {
            let (mut across, mut first, mut second) = (0.0, -a.noise[cell.i], -b.noise[cell.j]);
            for (ma, mb) in a.means.iter().zip(&b.means) {
                across += ma[cell.i] * mb[cell.j];
                first += ma[cell.i].powi(2);
                second += mb[cell.j].powi(2);
            }
            let scatter = 0.5 * (a.scatter[cell.i] + b.scatter[cell.j]);
            let weight = if scatter > 0.0 { 1.0 / scatter } else { 0.0 };
            [weight * across, weight * first, weight * second]
        })
        .collect();
    let ratio = |sums: [f64; 3]| {
        if sums[1] > 0.0 && sums[2] > 0.0 {
            sums[0] / (sums[1] * sums[2]).sqrt()
        } else {
            f64::NAN
        }
    };
    let mut whole = [0.0; 3];
    for term in &terms {
        for (sum, t) in whole.iter_mut().zip(term) {
            *sum += t;
        }
    }
    let mut resampled = Vec::with_capacity(draws.len());
    let mut unreliable = [0_usize; 2];
    for resample in 0..draws.len() {
        let mut sums = [0.0; 3];
        for (cell, term) in shared.iter().zip(&terms) {
            let weight = draws.weight(resample, cell.global);
            for (sum, t) in sums.iter_mut().zip(term) {
                *sum += weight * t;
            }
        }
        for k in 0..2 {
            unreliable[k] += usize::from(sums[k + 1] <= 0.0);
        }
        resampled.push(ratio(sums));
    }
    // A division by a reliability that may be zero says nothing.
    for (k, session) in [(0, i), (1, j)] {
        if 20 * unreliable[k] > draws.len() || whole[k + 1] <= 0.0 {
            let reason = format!("the code of session {} is not above its noise", session + 1);
            return Pair::undefined(i, j, shared.len(), reason);
        }
    }
    Pair {
        i,
        j,
        value: ratio(whole),
        resampled,
        n_cells: shared.len(),
        reason: String::new(),
    }
}
