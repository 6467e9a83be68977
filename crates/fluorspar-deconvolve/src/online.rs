use std::collections::VecDeque;

use crate::exact::PRECISION;
use crate::interior::{Interior, Problem};
use crate::lockstep::LANES;
use crate::pools::Pool;
use crate::{Error, Kernel};

/// Deconvolves a trace while it is recorded. Events become final a fixed lag
/// after their sample, and are then those of the whole trace's optimum,
/// provided nothing later than the lag bears on them: a few decays for events
/// that stand out, the time to the next event for those of noise.
///
/// AR(1) is exact in O(1) per sample. With a rise, windows of twice the lag
/// are solved, each after what came before is final: events appear in batches
/// of `lag` samples, between one and two lags after their sample.
#[derive(Clone, Debug)]
pub struct Online {
    kernel: Kernel,
    baseline: f64,
    lambda: f64,
    s_min: f64,
    lag: usize,
    /// Samples taken up.
    taken: u64,
    /// Events given out.
    given: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Ar1 {
        /// The first is frozen once its event was given out.
        pools: VecDeque<Pool>,
        frozen: bool,
    },
    Rising {
        waiting: Vec<f64>,
        /// Calcium of the last two samples that are final.
        calcium: (f64, f64),
        memory: Box<Interior>,
    },
}

impl Online {
    /// For a trace of known baseline; events are final `lag` samples later.
    /// `lambda` is the cost per unit of an autoregression's event, `s_min` the
    /// smallest event, both in the trace's units.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a lag of 0 and numbers that are negative or not finite.
    pub fn new(
        kernel: Kernel,
        baseline: f64,
        lambda: f64,
        s_min: f64,
        lag: usize,
    ) -> Result<Self, Error> {
        let fail = |name, value, rule| Err(Error::Parameter { name, value, rule });
        if !baseline.is_finite() {
            return fail("baseline", baseline, "must be finite");
        }
        for (name, value) in [("lambda", lambda), ("s_min", s_min)] {
            if !(value >= 0.0 && value.is_finite()) {
                return fail(name, value, "must be finite and not negative");
            }
        }
        if lag == 0 {
            return fail("lag", 0.0, "must be at least one sample");
        }
        let state = if kernel.is_ar1() {
            State::Ar1 {
                pools: VecDeque::new(),
                frozen: false,
            }
        } else {
            State::Rising {
                waiting: Vec::new(),
                calcium: (0.0, 0.0),
                memory: Box::default(),
            }
        };
        Ok(Self {
            kernel,
            baseline,
            lambda,
            s_min,
            lag,
            taken: 0,
            given: 0,
            state,
        })
    }

    /// Samples taken up, and events that are final.
    pub fn progress(&self) -> (u64, u64) {
        (self.taken, self.given)
    }

    /// Takes up samples and appends the events that became final.
    pub fn push(&mut self, samples: &[f32], events: &mut Vec<f32>) {
        for &y in samples {
            let y = f64::from(y) - self.baseline;
            if let State::Rising { waiting, .. } = &mut self.state {
                waiting.push(y);
                self.taken += 1;
                if waiting.len() == 2 * self.lag {
                    self.solve_window(self.lag, events);
                }
                continue;
            }
            self.take(y);
            if self.taken > self.lag as u64 {
                self.give(events);
            }
        }
    }

    /// Ends the trace: appends the events that were still open. Afterwards a new trace may begin.
    pub fn finish(&mut self, events: &mut Vec<f32>) {
        if let State::Rising { waiting, .. } = &self.state {
            let rest = waiting.len();
            self.solve_window(rest, events);
            if let State::Rising { calcium, .. } = &mut self.state {
                *calcium = (0.0, 0.0);
            }
        } else {
            let (lambda, s_min) = (self.lambda, self.s_min);
            if let State::Ar1 { pools, frozen } = &mut self.state
                && lambda > 0.0
                && !(*frozen && pools.len() == 1)
                && let Some(mut last) = pools.pop_back()
            {
                last.above -= lambda * last.power;
                settle(pools, *frozen, last, s_min);
            }
            while self.given < self.taken {
                self.give(events);
            }
            if let State::Ar1 { pools, frozen } = &mut self.state {
                pools.clear();
                *frozen = false;
            }
        }
        (self.taken, self.given) = (0, 0);
    }

    /// Takes up one sample, AR(1).
    fn take(&mut self, y: f64) {
        let g = self.kernel.decay();
        let mu = self.lambda * (1.0 - g);
        if let State::Ar1 { pools, frozen } = &mut self.state {
            let known = y.is_finite();
            let pool = Pool {
                above: if known { y - mu } else { -mu },
                below: f64::from(u8::from(known)),
                power: g,
                start: self.taken as f64,
            };
            settle(pools, *frozen, pool, self.s_min);
            self.taken += 1;
        }
    }

    /// Gives out the next event, AR(1), which freezes it.
    fn give(&mut self, events: &mut Vec<f32>) {
        let at = self.given as f64;
        if let State::Ar1 { pools, frozen } = &mut self.state {
            let mut event = 0.0;
            if *frozen {
                if pools.get(1).is_some_and(|next| next.start <= at)
                    && let Some(before) = pools.pop_front()
                    && let Some(next) = pools.front()
                {
                    event = next.value() - before.value() * before.power;
                }
            } else if let Some(first) = pools.front() {
                event = first.value();
                *frozen = true;
            }
            events.push(event.max(0.0) as f32);
            self.given += 1;
        }
    }

    /// Solves what waits and gives out the first `count` events.
    fn solve_window(&mut self, count: usize, events: &mut Vec<f32>) {
        let kernel = self.kernel;
        let (g1, g2) = kernel.coefficients();
        let peak = kernel.peak();
        let State::Rising {
            waiting,
            calcium,
            memory,
        } = &mut self.state
        else {
            return;
        };
        // What earlier events leave is known and taken off.
        let (mut c, mut before) = *calcium;
        let rest: Vec<f64> = waiting
            .iter()
            .map(|y| {
                (c, before) = (g1 * c + g2 * before, c);
                y - c
            })
            .collect();
        let problem = Problem {
            kernel,
            lambda: self.lambda,
        };
        memory.load(rest.len(), |lane, t| if lane == 0 { rest[t] } else { 0.0 });
        memory.solve(&[problem; LANES], PRECISION);
        memory.polish(&[problem; LANES]);
        if self.s_min > 0.0 {
            memory.prune(&[problem; LANES], &[self.s_min / peak; LANES]);
        }
        let (mut c, mut before) = *calcium;
        for t in 0..count {
            let s = memory.event(0, t);
            (c, before) = (g1 * c + g2 * before + s, c);
            events.push((s * peak) as f32);
        }
        *calcium = (c, before);
        waiting.drain(..count);
        self.given += count as u64;
    }
}

/// Puts a pool on the stack, and merges what it contradicts. A frozen pool
/// takes others up but stays what it is.
fn settle(pools: &mut VecDeque<Pool>, frozen: bool, mut current: Pool, smallest: f64) {
    while let Some(&previous) = pools.back() {
        if !(current.below == 0.0 || previous.outlasts(current, smallest)) {
            break;
        }
        pools.pop_back();
        current = if frozen && pools.is_empty() {
            Pool {
                power: previous.then(current).power,
                ..previous
            }
        } else {
            previous.then(current)
        };
        if frozen && pools.is_empty() {
            break;
        }
    }
    pools.push_back(current);
}
