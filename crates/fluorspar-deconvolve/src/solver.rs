use crate::Error;

/// Calcium and events of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Calcium, one value per sample.
    pub calcium: Vec<f64>,
    /// Events, `s_t = c_t − g · c_{t−1}`; the first is the calcium itself.
    pub events: Vec<f64>,
}

/// A stretch in which calcium only decays.
struct Pool {
    start: usize,
    /// `Σ g^k (y_k − μ_k)` over its samples.
    above: f64,
    /// `Σ g^{2k}` over its samples.
    below: f64,
    length: i32,
}

impl Pool {
    fn value(&self) -> f64 {
        if self.below > 0.0 {
            self.above / self.below
        } else {
            0.0
        }
    }
}

/// Minimises `½ Σ (y − c)² + λ Σ s` over `c` with `s_t = c_t − g c_{t−1} ≥ 0`
/// and `c ≥ 0`: the exact solution in one pass (OASIS, AR(1)).
///
/// Samples that are not finite have no weight.
///
/// # Errors
/// [`Error::Parameter`] unless `0 < g < 1` and `λ ≥ 0`.
pub fn oasis_ar1(trace: &[f64], g: f64, lambda: f64) -> Result<Solution, Error> {
    if !(g > 0.0 && g < 1.0) {
        return Err(Error::Parameter {
            name: "g",
            value: g,
            rule: "must lie between 0 and 1",
        });
    }
    if !(lambda >= 0.0 && lambda.is_finite()) {
        return Err(Error::Parameter {
            name: "lambda",
            value: lambda,
            rule: "must not be negative",
        });
    }
    let mut pools: Vec<Pool> = Vec::new();
    for (t, &y) in trace.iter().enumerate() {
        // Σ s = Σ (1 − g) c but for the last sample, which no later one repays.
        let mu = if t + 1 == trace.len() {
            lambda
        } else {
            lambda * (1.0 - g)
        };
        // Even a missing sample pays for the calcium it lets through.
        let (above, below) = if y.is_finite() {
            (y - mu, 1.0)
        } else {
            (-mu, 0.0)
        };
        let mut pool = Pool {
            start: t,
            above,
            below,
            length: 1,
        };
        while let Some(previous) = pools.last() {
            let decay = g.powi(previous.length);
            let decayed = previous.value().max(0.0) * decay;
            // A pool without weight has no value of its own: it can only decay.
            if pool.below > 0.0 && decayed <= pool.value() {
                break;
            }
            pool = Pool {
                start: previous.start,
                above: previous.above + decay * pool.above,
                below: previous.below + decay * decay * pool.below,
                length: previous.length + pool.length,
            };
            pools.pop();
        }
        pools.push(pool);
    }
    let mut calcium = vec![0.0; trace.len()];
    for pool in &pools {
        let mut value = pool.value().max(0.0);
        for slot in calcium
            .iter_mut()
            .skip(pool.start)
            .take(pool.length as usize)
        {
            *slot = value;
            value *= g;
        }
    }
    let mut events = vec![0.0; trace.len()];
    let mut before = 0.0;
    for pool in &pools {
        let start = pool.start;
        if start > 0 {
            before = calcium[start - 1];
        }
        events[start] = (calcium[start] - g * before).max(0.0);
    }
    Ok(Solution { calcium, events })
}
