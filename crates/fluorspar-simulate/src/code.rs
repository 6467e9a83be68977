use ndarray::{Array2, ArrayView1};
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::random::{Domain, stream};
use crate::{Epoch, Plan};

/// Signed tuning, axes `(cell, session)`: positive prefers A, C or lick,
/// negative B, D or withhold, 0 is untuned; the size scales the response.
///
/// A drifting step takes the share `1 − ρ` of all cells, tuned or not, and
/// deals their tunings out again at random among them. That keeps the number
/// of tuned cells and the balance of signs on every day, and the expected
/// correlation over `k` steps is `ρ^k`.
pub(crate) fn tuning(plan: &Plan, epoch: Epoch) -> Array2<f32> {
    let cells = plan.cells;
    let mut rng = stream(plan.seed, Domain::Tuning, 0, epoch as usize);
    let mut order: Vec<usize> = (0..cells).collect();
    order.shuffle(&mut rng);
    let tuned = (plan.fraction(epoch) * cells as f64).round() as usize;
    let mut now = vec![0.0_f32; cells];
    for (rank, &cell) in order.iter().take(tuned).enumerate() {
        let sign = if rank.is_multiple_of(2) { 1.0 } else { -1.0 };
        now[cell] = sign * rng.random_range(0.7..1.3);
    }
    let mut all = Array2::zeros((cells, plan.sessions));
    for session in 0..plan.sessions {
        if epoch == Epoch::LateDelay && (1..=plan.code.drifting_steps).contains(&session) {
            let mut rng = stream(plan.seed, Domain::Drift, session, 0);
            let moved = ((1.0 - plan.code.step_correlation) * cells as f64).round() as usize;
            order.shuffle(&mut rng);
            let from = &order[..moved];
            let mut dealt: Vec<f32> = from.iter().map(|&cell| now[cell]).collect();
            dealt.shuffle(&mut rng);
            for (&cell, value) in from.iter().zip(dealt) {
                now[cell] = value;
            }
        }
        all.column_mut(session).assign(&ArrayView1::from(&now));
    }
    all
}

/// Expected correlation of the code between sessions, `(session, session)`.
pub(crate) fn expected(plan: &Plan, epoch: Epoch) -> Array2<f64> {
    let steps = plan.code.drifting_steps;
    Array2::from_shape_fn((plan.sessions, plan.sessions), |(i, j)| {
        if epoch == Epoch::LateDelay {
            let apart = i.min(steps).abs_diff(j.min(steps));
            plan.code.step_correlation.powi(apart as i32)
        } else {
            1.0
        }
    })
}

/// Pearson correlation over cells between all sessions; NaN without variance.
pub(crate) fn correlation(tuning: &Array2<f32>) -> Array2<f64> {
    let centred: Vec<Vec<f64>> = tuning
        .columns()
        .into_iter()
        .map(|column| {
            let mean = column.iter().map(|&v| f64::from(v)).sum::<f64>() / column.len() as f64;
            column.iter().map(|&v| f64::from(v) - mean).collect()
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    Array2::from_shape_fn((centred.len(), centred.len()), |(i, j)| {
        let (a, b) = (&centred[i], &centred[j]);
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    })
}
