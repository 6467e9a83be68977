use ndarray::ArrayView2;

use super::survival::check;
use crate::Error;

/// How many cells that are on in one session are on in a later one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrence {
    /// The earlier session.
    pub from: usize,
    /// The later session.
    pub to: usize,
    /// Cells on in `from` and present in both.
    pub on: usize,
    /// Share of them on in `to`; NaN if there are none.
    pub value: f64,
    /// Share of all cells present in both that are on in `to`: what chance gives.
    pub chance: f64,
}

/// P(on later | on now) for every pair of sessions, the earlier first. `on`
/// and `present` are `(cell, session)`; cells not present in either session of
/// a pair are left out of it.
///
/// # Errors
/// [`Error::Shape`] if shapes differ.
pub fn recurrence(
    on: ArrayView2<'_, bool>,
    present: ArrayView2<'_, bool>,
) -> Result<Vec<Recurrence>, Error> {
    let sessions = on.ncols();
    check(on, present, sessions)?;
    let mut out = Vec::new();
    for from in 0..sessions {
        for to in from + 1..sessions {
            let [mut seen, mut now, mut later, mut both] = [0_usize; 4];
            for (on, present) in on.rows().into_iter().zip(present.rows()) {
                if present[from] && present[to] {
                    seen += 1;
                    now += usize::from(on[from]);
                    later += usize::from(on[to]);
                    both += usize::from(on[from] && on[to]);
                }
            }
            out.push(Recurrence {
                from,
                to,
                on: now,
                value: both as f64 / now as f64,
                chance: later as f64 / seen as f64,
            });
        }
    }
    Ok(out)
}

/// Recurrence after `steps` sessions of cells that switch at random: a share
/// `p` is on, an on cell leaves with probability `leave` per step, and off
/// cells join with `join = leave · p / (1 − p)` so that the share stays:
/// `p + (1 − p) (1 − leave − join)^steps`.
///
/// NaN if `p` is not inside 0 to 1 or a probability falls outside it.
pub fn markov_recurrence(p: f64, leave: f64, steps: u32) -> f64 {
    let join = leave * p / (1.0 - p);
    let possible = p > 0.0 && p < 1.0 && (0.0..=1.0).contains(&leave) && join <= 1.0;
    if possible {
        p + (1.0 - p) * (1.0 - leave - join).powi(steps.min(i32::MAX as u32) as i32)
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, stream};
    use ndarray::Array2;
    use rand::RngExt;

    #[test]
    fn cells_that_switch_at_random_recur_as_markov_says() {
        assert!((markov_recurrence(0.3, 0.2, 1) - 0.8).abs() < 1e-12);
        assert!((markov_recurrence(0.3, 0.2, 5) - 0.43).abs() < 0.005);
        assert_eq!(markov_recurrence(0.3, 0.2, 0), 1.0);
        assert!(markov_recurrence(1.0, 0.2, 1).is_nan());
        assert!(markov_recurrence(0.9, 0.9, 1).is_nan());
        let mut rng = stream(2, Domain::Planted, 0);
        let (p, leave) = (0.3, 0.2);
        let mut on = Array2::from_elem((20_000, 6), false);
        for mut row in on.rows_mut() {
            row[0] = rng.random::<f64>() < p;
            for session in 1..6 {
                let stay = if row[session - 1] {
                    1.0 - leave
                } else {
                    leave * p / (1.0 - p)
                };
                row[session] = rng.random::<f64>() < stay;
            }
        }
        let present = on.mapv(|_| true);
        for found in recurrence(on.view(), present.view()).unwrap() {
            let expected = markov_recurrence(p, leave, (found.to - found.from) as u32);
            assert!((found.value - expected).abs() < 0.03);
            assert!((found.chance - p).abs() < 0.02);
        }
    }
}
