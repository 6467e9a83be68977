//! Steps of all free trials at once, for problems on which pairs crawl: with
//! fewer cells than trials and overlapping classes, pairs need tens of
//! thousands of steps.

use faer::prelude::Solve;
use faer::{Mat, Side};

use super::solver::Buffers;
use crate::Kernel;

/// What is added to the diagonal, relative to its mean, until it helps.
const RIDGES: [f64; 4] = [1e-9, 1e-7, 1e-5, 1e-3];

impl Buffers {
    /// Minimises the dual over the trials between their bounds, bounds kept
    /// and the sum of weights kept. The objective never grows.
    pub(super) fn newton(&mut self, kernel: &Kernel, train: &[usize]) {
        // At most every trial reaches its bound.
        for _ in 0..train.len() {
            let free: Vec<usize> = train
                .iter()
                .copied()
                .filter(|&t| self.weight[t] < self.upper[t] && self.weight[t] > self.lower[t])
                .collect();
            if free.len() < 2 {
                return;
            }
            let Some(direction) = self.direction(kernel, &free) else {
                return;
            };
            // The slope and the curvature of the objective along it.
            let image: Vec<f64> = (0..kernel.trials())
                .map(|t| {
                    let row = kernel.row(t);
                    free.iter().zip(&direction).map(|(&f, d)| row[f] * d).sum()
                })
                .collect();
            let (mut slope, mut curvature) = (0.0, 0.0);
            let (mut room, mut stopped) = (f64::INFINITY, None);
            for (k, (&t, &d)) in free.iter().zip(&direction).enumerate() {
                slope += d * self.error[t];
                curvature += d * image[t];
                let bound = if d > 0.0 {
                    self.upper[t]
                } else {
                    self.lower[t]
                };
                let most = (bound - self.weight[t]) / d;
                if d != 0.0 && most < room {
                    room = most;
                    stopped = Some((k, bound));
                }
            }
            // Along a direction that no cell sees, only a bound ends the way.
            let best = if curvature > 0.0 {
                slope / curvature
            } else {
                f64::INFINITY
            };
            let step = best.min(room);
            if !(slope > 0.0 && step.is_finite()) {
                return;
            }
            for (k, (&t, &d)) in free.iter().zip(&direction).enumerate() {
                let moved = self.weight[t] + step * d;
                self.weight[t] = match stopped {
                    Some((hit, bound)) if hit == k && room <= best => bound,
                    _ => moved.clamp(self.lower[t], self.upper[t]),
                };
            }
            for (t, image) in image.iter().enumerate() {
                self.error[t] -= step * image;
            }
            if best <= room {
                return;
            }
        }
    }

    /// Solves `K d + λ 1 = e`, `Σ d = 0` on the free trials.
    fn direction(&self, kernel: &Kernel, free: &[usize]) -> Option<Vec<f64>> {
        let mut part = kernel.part(free);
        let n = free.len();
        let mean = (0..n).map(|i| part[(i, i)]).sum::<f64>() / n as f64;
        let right = Mat::from_fn(n, 2, |i, k| if k == 0 { self.error[free[i]] } else { 1.0 });
        // More free trials than dimensions make it singular, and rounding of
        // the inner products then may make it negative.
        let mut added = 0.0;
        let factors = RIDGES.iter().find_map(|ridge| {
            for i in 0..n {
                part[(i, i)] += (ridge - added) * mean + f64::MIN_POSITIVE;
            }
            added = *ridge;
            part.llt(Side::Lower).ok()
        })?;
        let solved = factors.solve(&right);
        let sums: [f64; 2] = [0, 1].map(|k| (0..n).map(|i| solved[(i, k)]).sum());
        let multiplier = sums[0] / sums[1];
        let mut direction: Vec<f64> = (0..n)
            .map(|i| solved[(i, 0)] - multiplier * solved[(i, 1)])
            .collect();
        // Rounding of the solution must not move the sum of the weights.
        let rest = direction.iter().sum::<f64>() / n as f64;
        for d in &mut direction {
            *d -= rest;
        }
        direction.iter().all(|d| d.is_finite()).then_some(direction)
    }
}
