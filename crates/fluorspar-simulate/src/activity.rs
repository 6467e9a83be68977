use ndarray::{Array2, ArrayViewMut1};
use rand::RngExt;

use crate::random::{Domain, normal, poisson, stream};
use crate::truth::CellState;
use crate::{Epoch, Plan, TrialRecord};

/// Spike counts `(cell, frame)` of one session. `tuning` gives each epoch's
/// tuning of a cell in this session.
pub(crate) fn spikes(
    plan: &Plan,
    session: usize,
    trials: &[TrialRecord],
    states: &[CellState],
    tuning: impl Fn(Epoch, usize) -> f32,
) -> Array2<f32> {
    let mut all = Array2::<f32>::zeros((plan.cells, plan.frames()));
    for (cell, row) in all.rows_mut().into_iter().enumerate() {
        if matches!(states[cell], CellState::Absent | CellState::Silent) {
            continue;
        }
        add_spikes(
            plan,
            session,
            trials,
            cell,
            |epoch| tuning(epoch, cell),
            row,
        );
    }
    all
}

/// Adds the spikes of one cell to `row`, one value per frame. `tuning` gives
/// each epoch's tuning of the cell in this session.
pub(crate) fn add_spikes(
    plan: &Plan,
    session: usize,
    trials: &[TrialRecord],
    cell: usize,
    tuning: impl Fn(Epoch) -> f32,
    mut row: ArrayViewMut1<'_, f32>,
) {
    let duration_s = row.len() as f64 / plan.frame_rate;
    let activity = &plan.activity;
    let mut put = |time_s: f64| {
        if let Some(count) = row.get_mut((time_s * plan.frame_rate) as usize) {
            *count += 1.0;
        }
    };
    let own = 1.5_f64.powf(normal(&mut stream(plan.seed, Domain::Rates, 0, cell)));
    let mut rng = stream(plan.seed, Domain::Spikes, session, cell);
    let spontaneous = activity.baseline_hz * own;
    if spontaneous > 0.0 {
        let mut time_s = 0.0;
        loop {
            time_s -= (1.0 - rng.random::<f64>()).ln() / spontaneous;
            if time_s >= duration_s {
                break;
            }
            put(time_s);
        }
    }
    for trial in trials {
        for epoch in Epoch::ALL {
            let weight = tuning(epoch);
            if weight * trial.value(epoch) <= 0.0 {
                continue;
            }
            let mut chance = activity.reliability;
            if epoch == Epoch::LateDelay && !trial.outcome.is_correct() {
                chance *= activity.error_reliability;
            }
            if rng.random::<f64>() >= chance {
                continue;
            }
            let (start, stop) = epoch.window_s();
            let mean = activity.spikes_per_response * f64::from(weight.abs());
            for _ in 0..poisson(&mut rng, mean) {
                put(trial.onset_s + start + (stop - start) * rng.random::<f64>());
            }
        }
    }
}

/// ΔF/F `(cell, frame)`: every spike adds [`ActivityPlan::spike_dff`] in its
/// frame, which decays by the same factor in every later one.
///
/// [`ActivityPlan::spike_dff`]: crate::ActivityPlan::spike_dff
pub(crate) fn calcium(plan: &Plan, spikes: &Array2<f32>) -> Array2<f32> {
    let decay = (-1.0 / (plan.activity.tau_s * plan.frame_rate)).exp();
    let mut all = spikes.clone();
    for mut row in all.rows_mut() {
        let mut level = 0.0_f64;
        for value in &mut row {
            level = decay * level + f64::from(*value);
            *value = (level * plan.activity.spike_dff) as f32;
        }
    }
    all
}
