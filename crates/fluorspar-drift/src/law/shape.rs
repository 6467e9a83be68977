//! The laws: what similarity is left between two times.

/// A law of drift: the similarity of two sessions at times `s ≤ t` after the first one.
///
/// In all of them `level` is the similarity at no distance: 1 for a
/// disattenuated similarity, less if something is lost between any two
/// sessions whatever their distance (wrong matches of cells).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// `level`: no drift. Parameters: level.
    Constant,
    /// `level · exp(−rate · (t − s))`. Parameters: level, rate.
    Exponential,
    /// `plateau + (level − plateau) · exp(−(t − s)/tau)`: a part that stays
    /// beside one that drifts at a constant rate. Parameters: level, plateau, tau.
    Plateau,
    /// `level · √((1 + q s)/(1 + q t))`: tuning that wanders without
    /// bound in steps of variance `q` per unit of time, the variance at the
    /// first session being 1. Later sessions are more alike although the steps
    /// never change. Parameters: level, step_variance.
    RandomWalk,
    /// `level · √(V(s)/V(t)) · exp(−leak · (t − s))`, `V(t) = final + (1 − final)
    /// exp(−2 leak t)`: steps of constant size with a constant pull back,
    /// from any variance at the first session (an Ornstein-Uhlenbeck process that need
    /// not be in equilibrium). Holds [`Law::Exponential`] (final = 1) and
    /// [`Law::RandomWalk`] (leak → 0). Parameters: level, leak, final_variance.
    SteadySteps,
    /// `level · exp(−∫ₛᵗ k)`, `k(t) = rate_end + (rate_start − rate_end)
    /// exp(−t/tau)`, `rate_end ≤ rate_start`: drift that slows down. The integral
    /// is `rate_end (t − s) + (rate_start − rate_end) tau (exp(−s/tau) − exp(−t/tau))`.
    /// Parameters: level, rate_start, rate_end, tau.
    Crystallizing,
}

impl Law {
    /// All of them, simple ones first.
    pub const ALL: [Self; 6] = [
        Self::Constant,
        Self::Exponential,
        Self::RandomWalk,
        Self::Plateau,
        Self::SteadySteps,
        Self::Crystallizing,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
            Self::Plateau => "plateau",
            Self::RandomWalk => "random_walk",
            Self::SteadySteps => "steady_steps",
            Self::Crystallizing => "crystallizing",
        }
    }

    /// Names of its parameters, in the order of every list of them.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Constant => &["level"],
            Self::Exponential => &["level", "rate"],
            Self::Plateau => &["level", "plateau", "tau"],
            Self::RandomWalk => &["level", "step_variance"],
            Self::SteadySteps => &["level", "leak", "final_variance"],
            Self::Crystallizing => &["level", "rate_start", "rate_end", "tau"],
        }
    }

    /// Similarity of sessions at times `s ≤ t`; NaN if `p` has the wrong length.
    ///
    /// ```
    /// use fluorspar_drift::law::Law;
    /// let walk = Law::RandomWalk.value(&[1.0, 0.2], 5.0, 10.0);
    /// assert!((walk - 0.816).abs() < 1e-3);
    /// ```
    pub fn value(self, p: &[f64], s: f64, t: f64) -> f64 {
        let lag = t - s;
        match (self, p) {
            (Self::Constant, &[level]) => level,
            (Self::Exponential, &[level, rate]) => level * (-rate * lag).exp(),
            (Self::Plateau, &[level, plateau, tau]) => {
                plateau + (level - plateau) * (-lag / tau).exp()
            }
            (Self::RandomWalk, &[level, q]) => level * ((1.0 + q * s) / (1.0 + q * t)).sqrt(),
            (Self::SteadySteps, &[level, leak, last]) => {
                let spread = |t: f64| last + (1.0 - last) * (-2.0 * leak * t).exp();
                level * (spread(s) / spread(t)).sqrt() * (-leak * lag).exp()
            }
            (Self::Crystallizing, &[level, start, end, tau]) => {
                let eased = (-s / tau).exp() - (-t / tau).exp();
                level * (-(end * lag + (start - end) * tau * eased)).exp()
            }
            _ => f64::NAN,
        }
    }

    /// The law for sessions at `times`: what [`Law::value`] gives for all pairs,
    /// with one exponential per session instead of up to three per pair.
    pub(crate) fn on(self, p: &[f64], times: &[f64]) -> OnTimes {
        let nothing = OnTimes::new(f64::NAN, f64::NAN, vec![f64::NAN; times.len()]);
        let lost = |h: &dyn Fn(f64) -> f64| times.iter().map(|&t| h(t)).collect();
        match (self, p) {
            (Self::Constant, &[level]) => OnTimes::new(level, 0.0, vec![0.0; times.len()]),
            (Self::Exponential, &[level, rate]) => OnTimes::new(0.0, level, lost(&|t| rate * t)),
            (Self::Plateau, &[level, plateau, tau]) => {
                OnTimes::new(plateau, level - plateau, lost(&|t| t / tau))
            }
            (Self::RandomWalk, &[level, q]) => {
                OnTimes::new(0.0, level, lost(&|t| 0.5 * (1.0 + q * t).ln()))
            }
            (Self::SteadySteps, &[level, leak, last]) => {
                let spread = |t: f64| last + (1.0 - last) * (-2.0 * leak * t).exp();
                OnTimes::new(0.0, level, lost(&|t| 0.5 * spread(t).ln() + leak * t))
            }
            (Self::Crystallizing, &[level, start, end, tau]) => {
                let eased = (start - end) * tau;
                OnTimes::new(0.0, level, lost(&|t| end * t - eased * (-t / tau).exp()))
            }
            _ => nothing,
        }
    }

    /// Rate of loss at time `t`: the share of what is shared that is lost per
    /// unit of time, `−∂ ln C/∂t` for nearby sessions. For [`Law::Plateau`] that of
    /// the part that drifts. NaN if `p` has the wrong length.
    pub fn rate(self, p: &[f64], t: f64) -> f64 {
        match (self, p) {
            (Self::Constant, &[_]) => 0.0,
            (Self::Exponential, &[_, rate]) => rate,
            (Self::Plateau, &[_, _, tau]) => 1.0 / tau,
            (Self::RandomWalk, &[_, q]) => 0.5 * q / (1.0 + q * t),
            (Self::SteadySteps, &[_, leak, last]) => {
                leak * last / (last + (1.0 - last) * (-2.0 * leak * t).exp())
            }
            (Self::Crystallizing, &[_, start, end, tau]) => end + (start - end) * (-t / tau).exp(),
            _ => f64::NAN,
        }
    }

    /// Parameters as in [`Law::parameters`] from those the fit moves: rates and
    /// times as logarithms, lesser values as shares of greater ones.
    pub(crate) fn natural(self, inner: &[f64]) -> Vec<f64> {
        let mut p = inner.to_vec();
        match self {
            Self::Constant => {}
            Self::Exponential | Self::RandomWalk => p[1] = p[1].exp(),
            Self::Plateau => {
                p[1] *= p[0];
                p[2] = p[2].exp();
            }
            Self::SteadySteps => {
                p[1] = p[1].exp();
                p[2] = p[2].exp();
            }
            Self::Crystallizing => {
                p[1] = p[1].exp();
                p[2] *= p[1];
                p[3] = p[3].exp();
            }
        }
        p
    }

    /// Bounds of the inner parameters for times between `gap` (the smallest
    /// distance) and `span` (the largest).
    pub(crate) fn bounds(self, gap: f64, span: f64) -> Vec<(f64, f64)> {
        let level = (0.0, 1.5);
        let rate = ((1e-4 / span).ln(), (10.0 / gap).ln());
        match self {
            Self::Constant => vec![level],
            Self::Exponential => vec![level, rate],
            Self::RandomWalk => vec![level, (rate.0, (1e4 / gap).ln())],
            Self::Plateau => vec![level, (0.0, 1.0), ((0.1 * gap).ln(), (20.0 * span).ln())],
            Self::SteadySteps => vec![level, rate, (1e-2_f64.ln(), 1e6_f64.ln())],
            Self::Crystallizing => {
                vec![
                    level,
                    rate,
                    (0.0, 1.0),
                    ((0.3 * gap).ln(), (3.0 * span).ln()),
                ]
            }
        }
    }

    /// Inner parameters from which the search begins, the level left at 1.
    pub(crate) fn starts(self, gap: f64, span: f64) -> Vec<Vec<f64>> {
        let rates = [0.1, 0.4, 1.5, 5.0, 15.0].map(|k: f64| (k / span).ln());
        let times = [(gap, 0.7), (span, 0.1), (span, 0.25), (span, 0.7)];
        let mut out = Vec::new();
        match self {
            Self::Constant => out.push(vec![1.0]),
            Self::Exponential => out.extend(rates.map(|k| vec![1.0, k])),
            Self::RandomWalk => {
                out.extend([0.1, 1.0, 5.0, 25.0, 200.0].map(|q: f64| vec![1.0, (q / span).ln()]));
            }
            Self::Plateau => {
                for k in rates {
                    out.extend([0.05, 0.4, 0.8].map(|share| vec![1.0, share, -k]));
                }
            }
            Self::SteadySteps => {
                for k in [0.01, 0.2, 0.6, 1.5, 5.0].map(|k: f64| (k / span).ln()) {
                    out.extend([0.5, 1.0, 4.0, 20.0, 200.0].map(|v: f64| vec![1.0, k, v.ln()]));
                }
            }
            Self::Crystallizing => {
                for k in rates {
                    for (unit, share) in times {
                        out.extend([0.05, 0.6].map(|end| vec![1.0, k, end, (share * unit).ln()]));
                    }
                }
            }
        }
        out
    }
}

/// A law at the times of sessions: `floor + height · exp(lost(s) − lost(t))`.
pub(crate) struct OnTimes {
    floor: f64,
    height: f64,
    /// Up to a constant, the logarithm of what is lost until each session.
    lost: Vec<f64>,
    /// `exp(−lost)` relative to the least; empty where that would underflow.
    kept: Vec<f64>,
}

impl OnTimes {
    fn new(floor: f64, height: f64, lost: Vec<f64>) -> Self {
        let least = lost.iter().copied().fold(f64::INFINITY, f64::min);
        let most = lost.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let kept = if most - least < 600.0 {
            lost.iter().map(|h| (least - h).exp()).collect()
        } else {
            Vec::new()
        };
        Self {
            floor,
            height,
            lost,
            kept,
        }
    }

    /// Similarity of sessions `i` and a later `j`.
    pub(crate) fn value(&self, i: usize, j: usize) -> f64 {
        let share = match (self.kept.get(i), self.kept.get(j)) {
            (Some(a), Some(b)) => b / a,
            _ => (self.lost[i] - self.lost[j]).exp(),
        };
        self.floor + self.height * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laws_have_their_known_values() {
        let crystal = |s, t| Law::Crystallizing.value(&[1.0, 0.6, 0.05, 3.0], s, t);
        for (s, t, expected) in [
            (0.0, 1.0, 0.596),
            (0.0, 5.0, 0.204),
            (5.0, 10.0, 0.6055),
            (10.0, 13.0, 0.829),
        ] {
            assert!(
                (crystal(s, t) - expected).abs() < 1e-3,
                "{s} {t} {}",
                crystal(s, t)
            );
        }
        let walk = |s, t| Law::RandomWalk.value(&[1.0, 0.2], s, t);
        assert!((walk(0.0, 5.0) - 0.5_f64.sqrt()).abs() < 1e-12);
        assert!((walk(5.0, 10.0) - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        // m = s, one time constant.
        let plateau = Law::Plateau.value(&[1.0, 0.5, 4.0], 1.0, 5.0);
        assert!((plateau - 0.684).abs() < 1e-3);
    }

    #[test]
    fn steady_steps_hold_the_exponential_and_the_random_walk() {
        for (s, t) in [(0.0, 1.0), (2.0, 7.0), (10.0, 13.0)] {
            let steady = Law::SteadySteps.value(&[0.9, 0.3, 1.0], s, t);
            assert!((steady - Law::Exponential.value(&[0.9, 0.3], s, t)).abs() < 1e-12);
            let leak = 1e-9;
            let steady = Law::SteadySteps.value(&[0.9, leak, 0.2 / (2.0 * leak)], s, t);
            assert!((steady - Law::RandomWalk.value(&[0.9, 0.2], s, t)).abs() < 1e-6);
        }
    }

    #[test]
    fn the_rate_is_the_slope_of_the_logarithm() {
        for law in Law::ALL {
            let p: &[f64] = match law {
                Law::Constant => &[0.9],
                Law::Exponential => &[0.9, 0.3],
                Law::Plateau => &[0.9, 0.0, 3.0],
                Law::RandomWalk => &[0.9, 0.7],
                Law::SteadySteps => &[0.9, 0.1, 7.0],
                Law::Crystallizing => &[0.9, 0.6, 0.05, 3.0],
            };
            let h = 1e-5;
            let slope = -(law.value(p, 2.0, 2.0 + h).ln() - law.value(p, 2.0, 2.0).ln()) / h;
            assert!((slope - law.rate(p, 2.0)).abs() < 1e-4, "{law:?} {slope}");
            assert!(law.value(&[], 0.0, 1.0).is_nan() && law.rate(&[], 0.0).is_nan());
        }
    }

    #[test]
    fn all_pairs_at_once_are_the_pairs_one_by_one() {
        let times = [0.0, 1.0, 2.5, 7.0, 13.0];
        for (law, p) in [
            (Law::Constant, &[0.9][..]),
            (Law::Exponential, &[0.9, 0.3]),
            (Law::Exponential, &[0.9, 100.0]),
            (Law::Plateau, &[0.9, 0.2, 3.0]),
            (Law::RandomWalk, &[0.9, 0.4]),
            (Law::SteadySteps, &[0.9, 0.3, 5.0]),
            (Law::Crystallizing, &[0.9, 0.6, 0.05, 3.0]),
        ] {
            let all = law.on(p, &times);
            for i in 0..times.len() {
                for j in i + 1..times.len() {
                    let one = law.value(p, times[i], times[j]);
                    assert!((all.value(i, j) - one).abs() < 1e-12, "{law:?} {i} {j}");
                }
            }
        }
        assert!(Law::Plateau.on(&[1.0], &times).value(0, 1).is_nan());
    }
}
