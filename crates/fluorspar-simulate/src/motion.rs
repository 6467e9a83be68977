use rand::RngExt;

use crate::Plan;
use crate::random::{Domain, normal, poisson, stream};

/// Shift `(dy, dx)` of every frame: a smooth walk, jumps that decay, both
/// centred on a median of zero and limited.
pub(crate) fn motion(plan: &Plan, session: usize) -> Vec<(f32, f32)> {
    let frames = plan.frames();
    let motion = &plan.motion;
    let mut rng = stream(plan.seed, Domain::Motion, session, 0);
    let step_s = 1.0 / plan.frame_rate;
    let a = (-step_s / motion.walk_tau_s).exp();
    // An Ornstein-Uhlenbeck walk smoothed by a filter of the same time
    // constant has this standard deviation.
    let filtered = (1.0 - a) * (1.0 + a * a).sqrt() / (1.0 - a * a);
    let decay = (-step_s / motion.jump_tau_s).exp();
    let mut walk = [normal(&mut rng), normal(&mut rng)];
    let mut smooth = [0.0, 0.0];
    let mut jump = [0.0, 0.0];
    let mut axes = [Vec::with_capacity(frames), Vec::with_capacity(frames)];
    for _ in 0..frames {
        jump = jump.map(|v: f64| v * decay);
        if poisson(&mut rng, motion.jumps_per_minute * step_s / 60.0) > 0 {
            let angle = rng.random::<f64>() * std::f64::consts::TAU;
            let size = motion.jump_px * (0.5 + 0.5 * rng.random::<f64>());
            jump = [size * angle.sin(), size * angle.cos()];
        }
        for axis in 0..2 {
            walk[axis] = a * walk[axis] + (1.0 - a * a).sqrt() * normal(&mut rng);
            smooth[axis] = a * smooth[axis] + (1.0 - a) * walk[axis];
            axes[axis].push(smooth[axis] * motion.walk_px / filtered + jump[axis]);
        }
    }
    for axis in &mut axes {
        let mut sorted = axis.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(frames / 2).copied().unwrap_or_default();
        for value in axis {
            *value = (*value - median).clamp(-motion.limit_px, motion.limit_px);
        }
    }
    axes[0]
        .iter()
        .zip(&axes[1])
        .map(|(&dy, &dx)| (dy as f32, dx as f32))
        .collect()
}

/// Shift of a session's field against the first session's.
pub(crate) fn field_shift(plan: &Plan, session: usize) -> (f64, f64) {
    if session == 0 {
        return (0.0, 0.0);
    }
    let mut rng = stream(plan.seed, Domain::Field, session, 0);
    let mut one = || plan.field.shift_px * (2.0 * rng.random::<f64>() - 1.0);
    (one(), one())
}
