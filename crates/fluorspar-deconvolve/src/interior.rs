//! The exact solution for any kernel: an interior-point method of linear cost.
//!
//! `½ Σ w (y − c)² + λ Σ s`, `s ≥ 0`, `c_t = g₁ c_{t−1} + g₂ c_{t−2} + s_t`, is
//! a convex quadratic program. Each Newton step of the primal-dual method is
//! the same problem with a quadratic cost `½ D s²` and a linear one on the
//! events instead of the bound, that is a linear-quadratic regulator with the
//! state `(c_t, c_{t−1})`: one backward (Riccati) and one forward recursion
//! solve it exactly in O(T), and 15 to 30 steps do, whatever the trace. Eight
//! problems run side by side in vector registers.
//!
//! Primal-dual steps and the choice of their lengths follow Nocedal & Wright,
//! Numerical Optimization, 2nd ed., chapter 16.6; that spikes can be found with
//! an interior-point method of linear cost was seen by Vogelstein et al. 2010,
//! J. Neurophysiol. 104:3691 (for AR(1)).

use pulp::{Arch, Simd, WithSimd};

use crate::kernel::Kernel;
use crate::lockstep::{LANES, Wide};

/// Steps after which the search ends, whatever the gap.
const STEPS: usize = 80;
/// Rounds in which signs are put right after the events are told from the rest.
const POLISHES: usize = 12;
/// Where a sample has no weight and calcium is free, nothing is divided by less.
const LEAST: f64 = 1e-200;

/// One of eight problems.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub(crate) kernel: Kernel,
    pub(crate) lambda: f64,
}

/// Memory and solution of eight problems, in the order `(sample, lane)`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interior {
    /// Samples; 0 where there is no weight.
    y: Vec<Wide>,
    /// Weights, 0 or 1.
    w: Vec<Wide>,
    /// Events.
    s: Vec<Wide>,
    /// Multipliers of `s ≥ 0`.
    z: Vec<Wide>,
    /// Events that a Newton step aims at.
    aim: Vec<Wide>,
    /// `1 / s`.
    inverse: Vec<Wide>,
    /// Feedback of the regulator.
    gains: Vec<[Wide; 3]>,
}

/// What the recursions read.
struct Coefficients {
    g1: Wide,
    g2: Wide,
    lambda: Wide,
}

impl Coefficients {
    fn of(problems: &[Problem; LANES]) -> Self {
        Self {
            g1: std::array::from_fn(|lane| problems[lane].kernel.coefficients().0),
            g2: std::array::from_fn(|lane| problems[lane].kernel.coefficients().1),
            lambda: std::array::from_fn(|lane| problems[lane].lambda),
        }
    }
}

impl Interior {
    /// Bytes for traces of this length.
    pub(crate) const fn workspace(samples: usize) -> usize {
        samples * 9 * size_of::<Wide>()
    }

    /// Loads eight traces of one length; missing samples are not finite.
    pub(crate) fn load(&mut self, samples: usize, value: impl Fn(usize, usize) -> f64) {
        for field in [
            &mut self.y,
            &mut self.w,
            &mut self.s,
            &mut self.z,
            &mut self.aim,
            &mut self.inverse,
        ] {
            field.resize(samples, [0.0; LANES]);
        }
        self.gains.resize(samples, [[0.0; LANES]; 3]);
        for t in 0..samples {
            for lane in 0..LANES {
                let y = value(lane, t);
                let known = y.is_finite();
                self.y[t][lane] = if known { y } else { 0.0 };
                self.w[t][lane] = f64::from(u8::from(known));
            }
        }
    }

    /// Solves what was loaded until the duality gap is below `precision` times
    /// `½ Σ w y²`, in every lane.
    pub(crate) fn solve(&mut self, problems: &[Problem; LANES], precision: f64) {
        let coefficients = Coefficients::of(problems);
        Arch::new().dispatch(Solve {
            memory: self,
            coefficients: &coefficients,
            precision,
        });
    }

    /// Tells events from the rest and solves for their sizes exactly; signs
    /// that come out wrong are exchanged. Afterwards samples without an event
    /// hold an exact zero.
    pub(crate) fn polish(&mut self, problems: &[Problem; LANES]) {
        let coefficients = Coefficients::of(problems);
        // The gradient of one event alone is its size times this.
        let curvature: Wide = std::array::from_fn(|lane| problems[lane].kernel.norm().powi(2));
        Arch::new().dispatch(Polish {
            memory: self,
            coefficients: &coefficients,
            curvature: &curvature,
        });
    }

    /// Takes events smaller than `smallest` out, those first that are smaller
    /// than the events before and after them, and solves for the rest, until
    /// none is left. Follows [`Interior::polish`]; greedy, since the problem is
    /// not convex.
    pub(crate) fn prune(&mut self, problems: &[Problem; LANES], smallest: &Wide) {
        let coefficients = Coefficients::of(problems);
        for l in 0..LANES {
            for (s, z) in self.s.iter().zip(&mut self.z) {
                z[l] = if s[l] > 0.0 { EVENT } else { NONE };
            }
        }
        loop {
            let mut dropped = false;
            for l in 0..LANES {
                dropped |= self.drop_least(l, smallest[l]);
            }
            if !dropped {
                return;
            }
            Arch::new().dispatch(Resize {
                memory: self,
                coefficients: &coefficients,
            });
        }
    }

    /// Forbids events of a lane below `smallest` that are no larger than their neighbours.
    fn drop_least(&mut self, l: usize, smallest: f64) -> bool {
        let events: Vec<usize> = (0..self.z.len())
            .filter(|&t| self.z[t][l] == EVENT)
            .collect();
        let size = |i: usize| self.s[events[i]][l];
        let least: Vec<usize> = (0..events.len())
            .filter(|&i| {
                size(i) < smallest
                    && (i == 0 || size(i) <= size(i - 1))
                    && (i + 1 == events.len() || size(i) < size(i + 1))
            })
            .map(|i| events[i])
            .collect();
        for &t in &least {
            self.z[t][l] = NONE;
        }
        !least.is_empty()
    }

    /// `Σ w y²`.
    pub(crate) fn squares(&self) -> Wide {
        let mut out = [0.0; LANES];
        for (y, w) in self.y.iter().zip(&self.w) {
            for l in 0..LANES {
                out[l] += w[l] * y[l] * y[l];
            }
        }
        out
    }

    /// Event of a lane at a sample.
    pub(crate) fn event(&self, lane: usize, t: usize) -> f64 {
        self.s[t][lane]
    }

    /// Sums of `w (y − c)²` and of `s` in equal stretches of time.
    pub(crate) fn costs(&self, problems: &[Problem; LANES], stretches: usize) -> Vec<(Wide, Wide)> {
        let mut out = vec![([0.0; LANES], [0.0; LANES]); stretches];
        let samples = self.y.len();
        for lane in 0..LANES {
            let (g1, g2) = problems[lane].kernel.coefficients();
            let (mut c, mut before) = (0.0, 0.0);
            for t in 0..samples {
                let now = g1 * c + g2 * before + self.s[t][lane];
                (before, c) = (c, now);
                let residual = self.y[t][lane] - c;
                let slot = &mut out[t * stretches / samples];
                slot.0[lane] += self.w[t][lane] * residual * residual;
                slot.1[lane] += self.s[t][lane];
            }
        }
        out
    }
}

/// Solves the regulator that minimises `½ Σ w (y − c)² + ½ Σ D s² + Σ e s`, with
/// `D` and `e` per sample from `price`; a negative `D` forbids an event. What is
/// left in `gains` gives the events forwards in time: [`follow`].
#[inline(always)]
fn feed_back(
    memory: &mut Interior,
    coefficients: &Coefficients,
    price: impl Fn(&Wide, &Wide, &mut Wide) -> (Wide, Wide),
) {
    let Coefficients { g1, g2, .. } = coefficients;
    let zero = [0.0; LANES];
    // The cost from here on is ½ xᵀ P x − qᵀ x.
    let (mut p00, mut p01, mut p11, mut q0, mut q1) = (zero, zero, zero, zero, zero);
    let fields = memory
        .y
        .iter()
        .zip(&memory.w)
        .zip(memory.s.iter().zip(&memory.z));
    let kept = memory.gains.iter_mut().zip(&mut memory.inverse);
    for (((y, w), (s, z)), (gains, inverse)) in fields.zip(kept).rev() {
        let (quadratic, linear) = price(s, z, inverse);
        for l in 0..LANES {
            p00[l] += w[l];
            q0[l] += w[l] * y[l];
            let allowed = quadratic[l] >= 0.0 && p00[l] + quadratic[l] > LEAST;
            let scale = if allowed {
                1.0 / (p00[l] + quadratic[l])
            } else {
                0.0
            };
            let k0 = p00[l] * scale;
            let k1 = p01[l] * scale;
            let k = (q0[l] - linear[l]) * scale;
            let kept = if allowed { quadratic[l] * scale } else { 1.0 };
            q1[l] -= p01[l] * k;
            q0[l] -= p00[l] * k;
            p11[l] = (p11[l] - p01[l] * k1).max(0.0);
            p01[l] *= kept;
            p00[l] *= kept;
            gains[0][l] = k0;
            gains[1][l] = k1;
            gains[2][l] = k;
            let (a, b) = (g1[l], g2[l]);
            let sum = a * p00[l] + p01[l];
            let n00 = a * sum + a * p01[l] + p11[l];
            p01[l] = b * sum;
            p11[l] = b * b * p00[l];
            p00[l] = n00;
            let m0 = a * q0[l] + q1[l];
            q1[l] = b * q0[l];
            q0[l] = m0;
        }
    }
}

/// One step forwards under the feedback: the next event, from calcium now and before.
#[inline(always)]
fn follow(calcium: &mut (Wide, Wide), gains: &[Wide; 3], g1: &Wide, g2: &Wide) -> Wide {
    let mut event = [0.0; LANES];
    for l in 0..LANES {
        let expected = g1[l] * calcium.0[l] + g2[l] * calcium.1[l];
        event[l] = gains[2][l] - gains[0][l] * expected - gains[1][l] * calcium.0[l];
        calcium.1[l] = calcium.0[l];
        calcium.0[l] = expected + event[l];
    }
    event
}

struct Solve<'a> {
    memory: &'a mut Interior,
    coefficients: &'a Coefficients,
    precision: f64,
}

impl WithSimd for Solve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            memory,
            coefficients,
            precision,
        } = self;
        let samples = memory.y.len() as f64;
        let mut squares = [0.0; LANES];
        for (y, w) in memory.y.iter().zip(&memory.w) {
            for l in 0..LANES {
                squares[l] += w[l] * y[l] * y[l];
            }
        }
        let mut start = [0.0; LANES];
        let mut price = [1.0; LANES];
        let mut goal = [0.0; LANES];
        for l in 0..LANES {
            let rms = (squares[l] / samples).sqrt();
            let leak = 1.0 - coefficients.g1[l] - coefficients.g2[l];
            start[l] = if rms > 0.0 { 0.1 * rms * leak } else { 1.0 };
            price[l] = if rms > 0.0 {
                rms.max(coefficients.lambda[l])
            } else {
                1.0
            };
            goal[l] = 0.5 * precision * squares[l] / samples;
        }
        memory.s.fill(start);
        memory.z.fill(price);
        let mut products = [0.0; LANES];
        for l in 0..LANES {
            products[l] = start[l] * price[l] * samples;
        }
        let mut shortest = [1.0; LANES];
        for _ in 0..STEPS {
            let mut target = [0.0; LANES];
            let mut running = [false; LANES];
            for l in 0..LANES {
                let mean = products[l] / samples;
                // The shorter the last step was, the more is spent on staying in the middle.
                let centring = if shortest[l] > 0.9 {
                    0.03
                } else if shortest[l] > 0.5 {
                    0.1
                } else {
                    0.4
                };
                target[l] = centring * mean;
                // A lane that has arrived stands still, so that no lane's result depends on the others.
                running[l] = mean > goal[l] && squares[l] > 0.0;
            }
            if running.iter().all(|&more| !more) {
                break;
            }
            // How far until an event or a multiplier would vanish: the largest −ds / s, and
            // −dz / z as numerator and denominator, compared without a division.
            let mut primal = [0.99; LANES];
            let mut dual = ([0.99; LANES], [1.0; LANES]);
            let lambda = coefficients.lambda;
            feed_back(memory, coefficients, |s, z, inverse| {
                let mut quadratic = [0.0; LANES];
                let mut linear = [0.0; LANES];
                for l in 0..LANES {
                    inverse[l] = 1.0 / s[l];
                    quadratic[l] = z[l] * inverse[l];
                    linear[l] = lambda[l] - target[l] * inverse[l] - z[l];
                }
                (quadratic, linear)
            });
            let mut calcium = ([0.0; LANES], [0.0; LANES]);
            let held = memory.s.iter().zip(&memory.z).zip(&memory.inverse);
            for ((gains, aim), ((s, z), inverse)) in
                memory.gains.iter().zip(&mut memory.aim).zip(held)
            {
                *aim = follow(&mut calcium, gains, &coefficients.g1, &coefficients.g2);
                for l in 0..LANES {
                    let ds = aim[l] - s[l];
                    let short = -ds * inverse[l];
                    let fall = z[l] - (target[l] - z[l] * ds) * inverse[l];
                    primal[l] = if short > primal[l] { short } else { primal[l] };
                    let more = fall * dual.1[l] > dual.0[l] * z[l];
                    dual.0[l] = if more { fall } else { dual.0[l] };
                    dual.1[l] = if more { z[l] } else { dual.1[l] };
                }
            }
            let (mut events, mut multipliers) = ([0.0; LANES], [0.0; LANES]);
            for l in 0..LANES {
                events[l] = 0.99 / primal[l];
                multipliers[l] = 0.99 * dual.1[l] / dual.0[l];
                shortest[l] = f64::min(events[l], multipliers[l]);
                if !running[l] {
                    (events[l], multipliers[l]) = (0.0, 0.0);
                }
            }
            let mut sums = [0.0; LANES];
            let sought = memory.aim.iter().zip(&memory.inverse);
            for ((s, z), (aim, inverse)) in memory.s.iter_mut().zip(&mut memory.z).zip(sought) {
                for l in 0..LANES {
                    let ds = aim[l] - s[l];
                    let dz = (target[l] - z[l] * ds) * inverse[l] - z[l];
                    s[l] = if running[l] {
                        s[l] + events[l] * ds
                    } else {
                        s[l]
                    };
                    z[l] = if running[l] {
                        z[l] + multipliers[l] * dz
                    } else {
                        z[l]
                    };
                    sums[l] += s[l] * z[l];
                }
            }
            products = sums;
        }
        for l in 0..LANES {
            if squares[l] == 0.0 {
                for s in &mut memory.s {
                    s[l] = 0.0;
                }
            }
        }
    }
}

/// Solves for the sizes of the events that `z` allows.
struct Resize<'a> {
    memory: &'a mut Interior,
    coefficients: &'a Coefficients,
}

impl WithSimd for Resize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            memory,
            coefficients,
        } = self;
        let linear = coefficients.lambda;
        feed_back(memory, coefficients, |_, z, _| (*z, linear));
        let mut calcium = ([0.0; LANES], [0.0; LANES]);
        for (gains, aim) in memory.gains.iter().zip(&mut memory.aim) {
            *aim = follow(&mut calcium, gains, &coefficients.g1, &coefficients.g2);
        }
        for ((s, aim), z) in memory.s.iter_mut().zip(&memory.aim).zip(&memory.z) {
            for l in 0..LANES {
                // An event that others leave nothing for is zero, and the next to go.
                s[l] = if z[l] == EVENT { aim[l].max(0.0) } else { 0.0 };
            }
        }
    }
}

struct Polish<'a> {
    memory: &'a mut Interior,
    coefficients: &'a Coefficients,
    curvature: &'a Wide,
}

/// Marks in `z` during polishing.
const EVENT: f64 = 0.0;
const NONE: f64 = -1.0;

impl WithSimd for Polish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            memory,
            coefficients,
            curvature,
        } = self;
        let Coefficients { g1, g2, lambda } = coefficients;
        for (s, z) in memory.s.iter_mut().zip(&mut memory.z) {
            for l in 0..LANES {
                let event = curvature[l] * s[l] > z[l];
                z[l] = if event { EVENT } else { NONE };
                // Kept for lanes in which the signs do not settle.
                s[l] = if event { s[l] } else { 0.0 };
            }
        }
        let linear = *lambda;
        // Slopes are sums of residuals along the kernel; rounding leaves this much of them.
        let mut tolerance = [0.0; LANES];
        for (y, w) in memory.y.iter().zip(&memory.w) {
            for l in 0..LANES {
                tolerance[l] += w[l] * y[l] * y[l];
            }
        }
        for l in 0..LANES {
            tolerance[l] = 1e-10 * (tolerance[l] * curvature[l]).sqrt() + 1e-10 * lambda[l];
        }
        let mut settled = [false; LANES];
        for _ in 0..POLISHES {
            feed_back(memory, coefficients, |_, z, _| (*z, linear));
            let mut calcium = ([0.0; LANES], [0.0; LANES]);
            for (gains, aim) in memory.gains.iter().zip(&mut memory.aim) {
                *aim = follow(&mut calcium, gains, &coefficients.g1, &coefficients.g2);
            }
            let mut wrong = [0_usize; LANES];
            // The gradient of every event, backwards; the residual waits in `gains`.
            let (mut c, mut before) = ([0.0; LANES], [0.0; LANES]);
            let fields = memory.y.iter().zip(&memory.w).zip(&memory.aim);
            for (((y, w), aim), gains) in fields.zip(&mut memory.gains) {
                for l in 0..LANES {
                    let now = g1[l] * c[l] + g2[l] * before[l] + aim[l];
                    (before[l], c[l]) = (c[l], now);
                    gains[0][l] = w[l] * (now - y[l]);
                }
            }
            let (mut g, mut after) = ([0.0; LANES], [0.0; LANES]);
            let fields = memory.gains.iter().zip(&memory.aim).zip(&mut memory.z);
            for ((gains, aim), z) in fields.rev() {
                for l in 0..LANES {
                    let now = gains[0][l] + g1[l] * g[l] + g2[l] * after[l];
                    (after[l], g[l]) = (g[l], now);
                    let slope = now + lambda[l];
                    if z[l] == EVENT {
                        if aim[l] < 0.0 {
                            wrong[l] += 1;
                            z[l] = NONE;
                        }
                    } else if slope < -tolerance[l] && !settled[l] {
                        wrong[l] += 1;
                        z[l] = EVENT;
                    }
                }
            }
            for l in 0..LANES {
                if wrong[l] == 0 && !settled[l] {
                    settled[l] = true;
                    for (s, aim) in memory.s.iter_mut().zip(&memory.aim) {
                        s[l] = aim[l].max(0.0);
                    }
                }
            }
            if settled.iter().all(|&done| done) {
                break;
            }
        }
    }
}
