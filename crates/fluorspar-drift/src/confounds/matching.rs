//! Trials chosen so that sessions do not differ in what they are matched on.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use rand::seq::SliceRandom;

use crate::Error;
use crate::random::{Domain, stream};
use crate::statistics::quantile;

/// The same number of trials of each label in every session, drawn at random.
/// Labels that a session lacks are left out everywhere. Returns the trials of
/// each session, ascending.
///
/// # Errors
/// [`Error::Nothing`] without sessions or if no label is in all of them.
pub fn match_counts(labels: &[Vec<i64>], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    let keys: Vec<Vec<Option<(i64, u64)>>> = labels
        .iter()
        .map(|all| all.iter().map(|&label| Some((label, 0))).collect())
        .collect();
    equal_counts(&keys, seed, "labels that all sessions have")
}

/// Trials with the same distribution of behaviour, label by label, in every
/// session: each variable is cut at its quantiles over all sessions into
/// `bins` parts, and from each label and combination of parts the same number
/// of trials is drawn in every session. `behaviour` holds `(trial, variable)`
/// for each session; trials with a value that is not finite are left out. The
/// more variables and bins, the closer the match and the fewer the trials.
///
/// # Errors
/// [`Error::Shape`] if sizes disagree or there are more than 10⁹ combinations,
/// [`Error::Parameter`] without bins, [`Error::Nothing`] without sessions or
/// if nothing matches.
pub fn match_trials(
    behaviour: &[ArrayView2<'_, f64>],
    labels: &[Vec<i64>],
    bins: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, Error> {
    if bins == 0 {
        return Err(Error::Parameter {
            name: "bins",
            value: 0.0,
            rule: "must be at least 1",
        });
    }
    let variables = behaviour.first().map_or(0, ArrayView2::ncols);
    if behaviour.len() != labels.len()
        || behaviour
            .iter()
            .zip(labels)
            .any(|(b, l)| b.dim() != (l.len(), variables))
    {
        return Err(Error::Shape(
            "behaviour and labels do not fit together".into(),
        ));
    }
    let combinations = (bins as f64).powf(variables as f64);
    if combinations > 1e9 {
        return Err(Error::Shape(format!(
            "{combinations:.1e} combinations of bins are too many"
        )));
    }
    let edges: Vec<Vec<f64>> = (0..variables)
        .map(|variable| {
            let mut all: Vec<f64> = behaviour
                .iter()
                .flat_map(|b| b.column(variable).to_vec())
                .filter(|v| v.is_finite())
                .collect();
            all.sort_by(f64::total_cmp);
            (1..bins)
                .map(|k| quantile(&all, k as f64 / bins as f64))
                .collect()
        })
        .collect();
    let keys: Vec<Vec<Option<(i64, u64)>>> = behaviour
        .iter()
        .zip(labels)
        .map(|(values, labels)| {
            values
                .rows()
                .into_iter()
                .zip(labels)
                .map(|(row, &label)| {
                    row.iter().all(|v| v.is_finite()).then(|| {
                        let place = row.iter().zip(&edges).fold(0, |place, (v, edges)| {
                            let part = edges.iter().filter(|&&edge| *v > edge).count();
                            place * bins as u64 + part as u64
                        });
                        (label, place)
                    })
                })
                .collect()
        })
        .collect();
    equal_counts(&keys, seed, "trials of like behaviour in all sessions")
}

/// Draws from each key as many trials as the session with the fewest has.
fn equal_counts(
    keys: &[Vec<Option<(i64, u64)>>],
    seed: u64,
    what: &'static str,
) -> Result<Vec<Vec<usize>>, Error> {
    let mut trials_of: BTreeMap<(i64, u64), Vec<Vec<usize>>> = BTreeMap::new();
    for (session, keys) in keys.iter().enumerate() {
        for (trial, key) in keys.iter().enumerate() {
            if let Some(key) = key {
                let sessions = trials_of.entry(*key).or_default();
                sessions.resize(sessions.len().max(session + 1), Vec::new());
                sessions[session].push(trial);
            }
        }
    }
    let mut out = vec![Vec::new(); keys.len()];
    let mut rng = stream(seed, Domain::Trials, 1);
    for mut sessions in trials_of.into_values() {
        sessions.resize(keys.len(), Vec::new());
        let fewest = sessions.iter().map(Vec::len).min().unwrap_or(0);
        for (mut trials, chosen) in sessions.into_iter().zip(&mut out) {
            trials.shuffle(&mut rng);
            chosen.extend_from_slice(&trials[..fewest]);
        }
    }
    if out.iter().all(Vec::is_empty) {
        return Err(Error::Nothing(what));
    }
    for chosen in &mut out {
        chosen.sort_unstable();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn every_label_is_drawn_as_often_in_every_session() {
        let labels = [vec![0, 0, 0, 1, 1, 5], vec![1, 0, 0, 1, 1]];
        let picked = match_counts(&labels, 1).unwrap();
        for (picked, labels) in picked.iter().zip(&labels) {
            let count = |label| picked.iter().filter(|&&t| labels[t] == label).count();
            assert_eq!([count(0), count(1), count(5)], [2, 2, 0]);
        }
        assert_eq!(picked, match_counts(&labels, 1).unwrap());
        assert!(match_counts(&[vec![0], vec![1]], 1).is_err());
        assert!(match_counts(&[], 1).is_err());
    }

    #[test]
    fn matched_trials_have_one_distribution() {
        // The second session runs faster by half the range.
        let speed = |shift: f64| Array2::from_shape_fn((100, 1), |(t, _)| t as f64 + shift);
        let (a, b) = (speed(0.0), speed(50.0));
        let labels = vec![vec![0; 100]; 2];
        let picked = match_trials(&[a.view(), b.view()], &labels, 15, 3).unwrap();
        assert_eq!(picked[0].len(), picked[1].len());
        let middle = |values: &Array2<f64>, picked: &[usize]| {
            picked.iter().map(|&t| values[[t, 0]]).sum::<f64>() / picked.len() as f64
        };
        let gap = middle(&a, &picked[0]) - middle(&b, &picked[1]);
        assert!(picked[0].len() >= 40 && gap.abs() < 5.0, "{gap}");
        assert!(match_trials(&[a.view()], &labels, 3, 1).is_err());
        assert!(match_trials(&[a.view(), b.view()], &labels, 0, 1).is_err());
        let nan = Array2::from_elem((100, 1), f64::NAN);
        assert!(match_trials(&[nan.view(), b.view()], &labels, 3, 1).is_err());
    }
}
