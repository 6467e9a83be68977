use crate::Error;

/// Powers of the decay are kept above this: smaller ones change nothing, and
/// denormal numbers are slow.
pub(crate) const LEAST: f64 = 1e-40;

/// A stretch in which calcium only decays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pool {
    /// `Σ g^k (w_k y_k − μ)` over its samples.
    pub(crate) above: f64,
    /// `Σ w_k g^{2k}`; the calcium at its start is `above / below`.
    pub(crate) below: f64,
    /// `g^length`.
    pub(crate) power: f64,
    /// First sample.
    pub(crate) start: f64,
}

impl Pool {
    /// Calcium at its start. A pool without weight has none of its own.
    pub(crate) fn value(&self) -> f64 {
        if self.below > 0.0 {
            (self.above / self.below).max(0.0)
        } else {
            0.0
        }
    }

    /// This and the next pool as one.
    #[inline(always)]
    pub(crate) fn then(self, next: Self) -> Self {
        Self {
            above: self.above + self.power * next.above,
            below: self.below + self.power * self.power * next.below,
            power: (self.power * next.power).max(LEAST),
            start: self.start,
        }
    }

    /// Whether the next pool would start less than `smallest` above what is
    /// left of this one: `v' < max(v, 0) g^length + s_min`, without a division.
    #[inline(always)]
    pub(crate) fn outlasts(self, next: Self, smallest: f64) -> bool {
        (next.above - smallest * next.below) * self.below
            < self.above.max(0.0) * self.power * next.below
    }
}

/// Merges what the last pool contradicts.
#[inline(always)]
pub(crate) fn settle(pools: &mut Vec<Pool>, mut current: Pool, smallest: f64) -> Pool {
    while let Some(&previous) = pools.last() {
        if !(current.below == 0.0 || previous.outlasts(current, smallest)) {
            break;
        }
        current = previous.then(current);
        pools.pop();
    }
    current
}

/// One pass over a trace less `shift` at every sample with weight, and less
/// `mu` at every sample. The stack holds all pools in the end.
///
/// The last pool is not on the stack but at hand, and a sample that lies below
/// what is left of it joins it there: most do, and cost no memory access.
#[inline(always)]
pub(crate) fn pass<T: Copy + Into<f64>, const GAPS: bool>(
    trace: &[T],
    shift: f64,
    mu: f64,
    g: f64,
    smallest: f64,
    pools: &mut Vec<Pool>,
) {
    pools.clear();
    let mut samples = trace.iter().enumerate().map(|(t, &y)| {
        let y: f64 = y.into();
        let (above, below) = if GAPS && !y.is_finite() {
            // Even a missing sample pays for the calcium it lets through.
            (-mu, 0.0)
        } else {
            ((y - shift) - mu, 1.0)
        };
        Pool {
            above,
            below,
            power: g,
            start: t as f64,
        }
    });
    let Some(mut current) = samples.next() else {
        return;
    };
    for fresh in samples {
        if (GAPS && fresh.below == 0.0) || current.outlasts(fresh, smallest) {
            current = settle(pools, current.then(fresh), smallest);
        } else {
            pools.push(current);
            current = fresh;
        }
    }
    pools.push(current);
}

/// The AR(1) problem of one trace and its solution, kept as pools, so that
/// another sparsity starts from there.
///
/// It minimises `½ Σ (y − b − c)² + λ Σ s` over `c` with `s_t = c_t − g c_{t−1}
/// ≥ 0` and `c ≥ 0`; the exact solution in one pass (OASIS; Friedrich, Zhou,
/// Paninski 2017, PLoS Comput. Biol. 13:e1005423). With `s_min > 0` events are
/// instead at least that large (in their paper's sense: pools are merged until
/// they are), which is not convex and solved greedily. Samples that are not
/// finite have no weight.
#[derive(Clone, Debug)]
pub struct Ar1 {
    g: f64,
    lambda: f64,
    smallest: f64,
    samples: usize,
    /// `Σ w (y − b)²`.
    squares: f64,
    pools: Vec<Pool>,
}

impl Ar1 {
    /// Solves for one trace (T,) of any unit, less its baseline.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `0 < g < 1`, λ and `s_min` are not negative and all are finite.
    pub fn solve<T: Copy + Into<f64>>(
        trace: &[T],
        baseline: f64,
        g: f64,
        lambda: f64,
        s_min: f64,
    ) -> Result<Self, Error> {
        let mut found = Self {
            g: 0.5,
            lambda: 0.0,
            smallest: 0.0,
            samples: 0,
            squares: 0.0,
            pools: Vec::new(),
        };
        found.again(trace, baseline, g, lambda, s_min)?;
        Ok(found)
    }

    /// Solves another problem in the same memory.
    ///
    /// # Errors
    /// As [`Ar1::solve`].
    pub fn again<T: Copy + Into<f64>>(
        &mut self,
        trace: &[T],
        baseline: f64,
        g: f64,
        lambda: f64,
        s_min: f64,
    ) -> Result<(), Error> {
        check_g(g)?;
        for (name, value) in [("lambda", lambda), ("s_min", s_min)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::Parameter {
                    name,
                    value,
                    rule: "must be finite and not negative",
                });
            }
        }
        (self.g, self.lambda, self.smallest) = (g, lambda, s_min);
        self.samples = trace.len();
        let (mut gaps, mut squares) = (false, 0.0);
        for &y in trace {
            let y: f64 = y.into();
            if y.is_finite() {
                squares += (y - baseline) * (y - baseline);
            } else {
                gaps = true;
            }
        }
        self.squares = squares;
        let mu = lambda * (1.0 - g);
        if gaps {
            pass::<T, true>(trace, baseline, mu, g, s_min, &mut self.pools);
        } else {
            pass::<T, false>(trace, baseline, mu, g, s_min, &mut self.pools);
        }
        // Σ s = Σ (1 − g) c but for the last sample, which no later one repays.
        self.charge_last(lambda);
        Ok(())
    }

    /// Takes from the last pool what `μ = λ (1 − g)` per sample left it to pay.
    fn charge_last(&mut self, lambda: f64) {
        if lambda > 0.0
            && let Some(mut last) = self.pools.pop()
        {
            last.above -= lambda * last.power;
            let last = settle(&mut self.pools, last, self.smallest);
            self.pools.push(last);
        }
    }

    /// What a unit of λ takes from `above`: `Σ (1 − g) g^k = 1 − g^length`, the last pool all.
    fn charge(&self, index: usize) -> f64 {
        if index + 1 == self.pools.len() {
            1.0
        } else {
            1.0 - self.pools[index].power
        }
    }

    /// Raises λ from where the solution is: pools only merge (a warm start,
    /// which costs time per pool and not per sample).
    fn raise(&mut self, lambda: f64) {
        let more = lambda - self.lambda;
        let pools = std::mem::take(&mut self.pools);
        let last = pools.len();
        for (index, mut pool) in pools.into_iter().enumerate() {
            pool.above -= more
                * if index + 1 == last {
                    1.0
                } else {
                    1.0 - pool.power
                };
            let pool = settle(&mut self.pools, pool, self.smallest);
            self.pools.push(pool);
        }
        self.lambda = lambda;
    }

    /// `Σ (y − b − c)²` over samples with weight.
    pub fn residual(&self) -> f64 {
        let fitted: f64 = (0..self.pools.len())
            .map(|i| {
                let pool = &self.pools[i];
                let value = pool.value();
                let whole = pool.above + self.lambda * self.charge(i);
                value * (2.0 * whole - value * pool.below)
            })
            .sum();
        (self.squares - fitted).max(0.0)
    }

    /// λ, per unit of the trace.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// Number of pools, each of which begins with an event.
    pub fn pools(&self) -> usize {
        self.pools.len()
    }

    /// Makes λ the largest for which the residual is at most `allowed`
    /// (`σ² T`, say): the sparsest calcium that the noise permits. λ stays as
    /// it is where even that leaves more.
    ///
    /// On given pools the residual is `R₀ + a λ²` with `a = Σ k²/w`, so the
    /// next λ is known in closed form; it is taken up from the pools at hand,
    /// and a few rounds do (Friedrich et al. 2017, section "hard noise
    /// constraint"). λ only grows; where pools merged on the way so that a
    /// step went too far, the last one within bounds is refined by halving.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `allowed` is not a number.
    pub fn constrain(&mut self, allowed: f64) -> Result<(), Error> {
        if allowed.is_nan() {
            return Err(Error::Parameter {
                name: "allowed",
                value: allowed,
                rule: "must be a number",
            });
        }
        if self.squares <= allowed {
            // No events at all: nothing is left to be taken away.
            let most = self.squares.sqrt() * (self.samples as f64).sqrt();
            self.raise(self.lambda + most.max(1.0));
            return Ok(());
        }
        let mut over = f64::INFINITY;
        for _ in 0..ROUNDS {
            let residual = self.residual();
            let slack = allowed - residual;
            if slack <= TOLERANCE * allowed {
                break;
            }
            let steepness: f64 = (0..self.pools.len())
                .filter(|&i| self.pools[i].value() > 0.0)
                .map(|i| self.charge(i).powi(2) / self.pools[i].below)
                .sum();
            if steepness <= 0.0 {
                break;
            }
            let mut target = (self.lambda * self.lambda + slack / steepness).sqrt();
            if target >= over {
                target = f64::midpoint(self.lambda, over);
            }
            if target <= self.lambda {
                break;
            }
            let mut next = self.clone();
            next.raise(target);
            if next.residual() <= allowed * (1.0 + TOLERANCE) {
                *self = next;
            } else {
                over = target;
            }
        }
        Ok(())
    }

    /// Writes events (T,), `s_t = c_t − g c_{t−1}` with the first the calcium
    /// itself, and calcium (T,), if wanted. Slices of another length are
    /// filled as far as they go.
    pub fn write<T: Cast>(&self, events: &mut [T], calcium: Option<&mut [T]>) {
        write(&self.pools, self.g, events, calcium);
    }
}

/// Rounds of the search for λ; three to five are usual.
const ROUNDS: usize = 40;
/// Relative error of the residual at which λ is found.
const TOLERANCE: f64 = 1e-10;

/// A number as results are stored.
pub trait Cast: Copy {
    /// Rounds to this type.
    fn cast(value: f64) -> Self;
}

impl Cast for f32 {
    #[inline(always)]
    fn cast(value: f64) -> Self {
        value as f32
    }
}

impl Cast for f64 {
    #[inline(always)]
    fn cast(value: f64) -> Self {
        value
    }
}

/// Writes the events of pools, and their calcium if wanted.
pub(crate) fn write<T: Cast>(pools: &[Pool], g: f64, events: &mut [T], calcium: Option<&mut [T]>) {
    events.fill(T::cast(0.0));
    let mut left = 0.0;
    for pool in pools {
        let value = pool.value();
        if let Some(slot) = events.get_mut(pool.start as usize) {
            *slot = T::cast((value - left).max(0.0));
        }
        left = value * pool.power;
    }
    if let Some(calcium) = calcium {
        let ends = pools.iter().skip(1).map(|pool| pool.start as usize);
        for (pool, end) in pools.iter().zip(ends.chain([calcium.len()])) {
            let mut value = pool.value();
            let end = end.min(calcium.len());
            for slot in &mut calcium[(pool.start as usize).min(end)..end] {
                *slot = T::cast(value);
                value *= g;
            }
        }
    }
}

pub(crate) fn check_g(g: f64) -> Result<(), Error> {
    if g > 0.0 && g < 1.0 {
        return Ok(());
    }
    Err(Error::Parameter {
        name: "g",
        value: g,
        rule: "must lie between 0 and 1",
    })
}
