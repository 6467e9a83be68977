//! The kernel that makes a trace's events sparsest.
//!
//! For each kernel that may be, `J = min ½ Σ (y − Hs)² / σ² + λ Σ s ‖h‖ / σ`
//! over `s ≥ 0`: what the trace costs in units of the kernel's energy. A
//! transient of just this shape is one event; with a shape too short, its tail
//! needs more of them, and one too long leaves a residual. So J is least at the
//! shape that transients have (the atomic norm's choice of a basis). Unlike the
//! autocovariance, it sees slow drifts of the baseline as a few large
//! residuals at every shape, and hardly takes a cell's habit of firing in
//! bursts for the kernel.

use crate::interior::{Interior, Problem};
use crate::lockstep::{LANES, Wide};
use crate::{Error, Kernel};

/// Weight of an event against the residual, in standard deviations of what a
/// matched filter sees of noise. Noise alone passes √(2 ln T), about 4, once a
/// recording; at twice that, only transients that are plain speak. In
/// simulations of linear indicators 3 would do and 8 makes decays up to half
/// as long again, more where no single event stands out; with supralinear
/// ones, whose large transients are short, less than 8 makes decays too short.
const WEIGHT: f64 = 8.0;
/// Bounds of the decay, seconds: GCaMP8f to slow red indicators.
pub const DECAY_S: (f64, f64) = (0.1, 4.0);
/// What is known before: natural logarithm of the decay in seconds, and its
/// standard deviation among indicators and cells (0.7 s, 0.4 to 1.3 s).
const PRIOR: (f64, f64) = (-0.357, 0.6);
/// Standard deviation by which the logarithm of the decay is off although its
/// error is small, since no indicator is linear: found with simulated
/// indicators of Hill coefficient 1.8, whose decays came out between 0.65 and
/// 1.1 times as long.
const MISFIT: f64 = 0.3;
/// How much longer a decay is taken, standard deviations of what is known of it.
/// In simulations a decay 1.4 times too short lost as much correlation with the
/// spikes as one 1.4 times too long (decay of 1.5 s) or twice as much (0.5 s).
const LONGER: f64 = 0.4;
/// By how much the logarithm of the decay differs between cells of one indicator.
const CELLS: f64 = 0.3;
/// Rises that are tried, seconds.
const RISES_S: [f64; 7] = [0.005, 0.01, 0.02, 0.035, 0.06, 0.1, 0.17];
/// Shortest rise that a kernel is given, samples: a shorter one is not seen.
const SHORTEST_RISE: f64 = 1.0;
/// Ratio of neighbouring decays that are tried.
const RATIO: f64 = 1.28;
/// Stretches of time that are left out in turn to see how sure the decay is.
const STRETCHES: usize = 8;
/// Relative duality gap at which J is good enough to be compared.
const PRECISION: f64 = 1e-4;
/// Samples that are looked at, at most.
pub(crate) const LOOK: usize = 32_768;

/// What one trace says about its kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Natural logarithm of the decay in seconds, from this trace alone.
    pub log_tau: f64,
    /// Its standard error (delete-one jackknife over eight stretches of time);
    /// infinite where the trace holds no events to tell it from.
    pub error: f64,
    /// Rise in seconds; 0 where it is too fast to be seen.
    pub rise_s: f64,
}

impl Estimate {
    /// Natural logarithm of the decay to use for this trace on its own.
    fn judged(&self) -> f64 {
        let (own, prior) = (self.error.hypot(MISFIT).powi(-2), PRIOR.1.powi(-2));
        let mean = (own * self.log_tau + prior * PRIOR.0) / (own + prior);
        mean + LONGER / (own + prior).sqrt()
    }

    /// The kernel of a trace on its own: its decay shrunk by its error towards
    /// what is known of indicators (0.7 s, within a factor of 1.8), and
    /// taken 0.4 standard deviations longer than is most probable, because a
    /// decay too short loses more than one too long.
    ///
    /// # Errors
    /// As [`Kernel::from_seconds`].
    pub fn alone(&self, frame_rate: f64) -> Result<Kernel, Error> {
        bounded(self.judged().exp(), self.rise_s, frame_rate)
    }
}

/// A kernel with the decay kept within bounds and no rise that is not seen.
fn bounded(tau_s: f64, rise_s: f64, frame_rate: f64) -> Result<Kernel, Error> {
    let tau = tau_s.clamp(DECAY_S.0, DECAY_S.1).max(0.5 / frame_rate);
    let rise = if rise_s * frame_rate >= SHORTEST_RISE {
        rise_s.min(0.5 * tau)
    } else {
        0.0
    };
    Kernel::from_seconds(tau, rise, frame_rate)
}

/// The kernels of several traces of one indicator: the population's, and each
/// trace's own, shrunk towards it by the errors of both (empirical Bayes).
///
/// # Errors
/// As [`Kernel::from_seconds`].
pub(crate) fn population(
    estimates: &[Estimate],
    frame_rate: f64,
) -> Result<(Kernel, Vec<Kernel>), Error> {
    let told = || estimates.iter().filter(|e| e.error.is_finite());
    let mut logs: Vec<f64> = told().map(Estimate::judged).collect();
    let mut rises: Vec<f64> = told().map(|e| e.rise_s).collect();
    let centre = median(&mut logs).unwrap_or(PRIOR.0);
    let rise = median(&mut rises).unwrap_or(0.0);
    // How much cells differ: a few say little about it, so it starts from four that differ by CELLS.
    let mut apart: Vec<f64> = logs.iter().map(|l| (l - centre).abs()).collect();
    let count = apart.len() as f64;
    let seen = 1.4826 * median(&mut apart).unwrap_or(0.0);
    let variance = (4.0 * CELLS * CELLS + count * seen * seen) / (4.0 + count);
    let kernel = bounded(centre.exp(), rise, frame_rate)?;
    let own = estimates
        .iter()
        .map(|e| {
            if !e.error.is_finite() {
                return Ok(kernel);
            }
            let share = variance / (variance + e.error * e.error);
            let log_tau = share * e.judged() + (1.0 - share) * centre;
            bounded(log_tau.exp(), e.rise_s, frame_rate)
        })
        .collect::<Result<_, _>>()?;
    Ok((kernel, own))
}

/// Median; `None` of nothing.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| f64::midpoint(values[(n - 1) / 2], values[n / 2]))
}

/// J of eight kernels, in [`STRETCHES`] stretches of time.
fn costs(memory: &mut Interior, kernels: &[Kernel; LANES]) -> [[f64; STRETCHES]; LANES] {
    let problems = kernels.map(|kernel| Problem {
        kernel,
        lambda: WEIGHT * kernel.norm(),
    });
    memory.solve(&problems, PRECISION);
    let parts: Vec<(Wide, Wide)> = memory.costs(&problems, STRETCHES);
    std::array::from_fn(|lane| {
        std::array::from_fn(|part| {
            0.5 * parts[part].0[lane] + problems[lane].lambda * parts[part].1[lane]
        })
    })
}

/// The decays tried, and J of each in each stretch.
type Profile = Vec<(f64, [f64; STRETCHES])>;

/// Where J without one stretch (or with all) is least, between the values tried.
fn least(profile: &Profile, without: Option<usize>) -> f64 {
    let total = |i: usize| -> f64 {
        let parts = &profile[i].1;
        parts.iter().sum::<f64>() - without.map_or(0.0, |part| parts[part])
    };
    let best = (0..profile.len())
        .min_by(|&a, &b| total(a).total_cmp(&total(b)))
        .unwrap_or(0);
    if best == 0 || best + 1 >= profile.len() {
        return profile[best].0;
    }
    let (left, middle, right) = (total(best - 1), total(best), total(best + 1));
    let bend = left - 2.0 * middle + right;
    let shift = if bend > 0.0 {
        0.5 * (left - right) / bend
    } else {
        0.0
    };
    let width = if shift > 0.0 {
        profile[best + 1].0 - profile[best].0
    } else {
        profile[best].0 - profile[best - 1].0
    };
    profile[best].0 + shift * width
}

/// Learns the kernel of one trace (T,), of which the `level` and the `noise`
/// (standard deviation) are known, at `frame_rate` samples per second. The
/// first 32,768 samples are looked at.
///
/// # Errors
/// As [`Kernel::from_seconds`] for the frame rate.
pub fn estimate(trace: &[f32], level: f64, noise: f64, frame_rate: f64) -> Result<Estimate, Error> {
    estimate_in(&mut Interior::default(), trace, level, noise, frame_rate)
}

pub(crate) fn estimate_in(
    memory: &mut Interior,
    trace: &[f32],
    level: f64,
    noise: f64,
    frame_rate: f64,
) -> Result<Estimate, Error> {
    let samples = trace.len().min(LOOK);
    let unknown = Estimate {
        log_tau: PRIOR.0,
        error: f64::INFINITY,
        rise_s: 0.0,
    };
    // Checks the frame rate even where nothing can be learnt.
    let fallback = bounded(PRIOR.0.exp(), 0.0, frame_rate)?;
    if noise.is_nan() || noise <= 0.0 || samples < 2 * STRETCHES {
        return Ok(unknown);
    }
    memory.load(samples, |_, t| (f64::from(trace[t]) - level) / noise);
    // No shorter than half a frame, no longer than a quarter of what is there.
    let bounds = (
        DECAY_S.0.max(0.5 / frame_rate),
        DECAY_S.1.min(0.25 * samples as f64 / frame_rate),
    );
    let profile_of = |memory: &mut Interior, taus: &[f64], rise: f64| -> Result<Profile, Error> {
        let mut profile = Profile::new();
        for group in taus.chunks(LANES) {
            let mut kernels = [fallback; LANES];
            for (kernel, &tau) in kernels.iter_mut().zip(group) {
                *kernel = Kernel::from_seconds(tau, rise.min(0.5 * tau), frame_rate)?;
            }
            let found = costs(memory, &kernels);
            profile.extend(group.iter().zip(found).map(|(tau, cost)| (tau.ln(), cost)));
        }
        Ok(profile)
    };
    let steps = ((bounds.1 / bounds.0).ln() / RATIO.ln()).floor().max(0.0) as i32;
    let all: Vec<f64> = (0..=steps).map(|k| bounds.0 * RATIO.powi(k)).collect();
    let mut profile = profile_of(memory, &all, 0.0)?;
    let total = |parts: &[f64; STRETCHES]| parts.iter().sum::<f64>();
    let most = profile.iter().map(|p| total(&p.1)).fold(0.0, f64::max);
    let fewest = profile
        .iter()
        .map(|p| total(&p.1))
        .fold(f64::INFINITY, f64::min);
    // Where no event pays at any shape, J is the same for all.
    if most - fewest <= 10.0 * PRECISION * most {
        return Ok(unknown);
    }
    let mut log_tau = least(&profile, None);
    let mut rise_s = 0.0;
    let rises: Vec<f64> = RISES_S
        .into_iter()
        .filter(|rise| rise * frame_rate >= SHORTEST_RISE)
        .collect();
    if !rises.is_empty() {
        for _ in 0..2 {
            let tau = log_tau.exp().clamp(bounds.0, bounds.1);
            let mut kernels = [Kernel::from_seconds(tau, 0.0, frame_rate)?; LANES];
            for (kernel, &rise) in kernels[1..].iter_mut().zip(&rises) {
                *kernel = Kernel::from_seconds(tau, rise.min(0.5 * tau), frame_rate)?;
            }
            let found = costs(memory, &kernels).map(|parts| total(&parts));
            let best = (0..=rises.len())
                .min_by(|&a, &b| found[a].total_cmp(&found[b]))
                .unwrap_or(0);
            let now = if best == 0 {
                0.0
            } else {
                rises[best - 1].min(0.5 * tau)
            };
            if now == rise_s {
                break;
            }
            rise_s = now;
            let near: Vec<f64> = (-4..4)
                .map(|k| tau * RATIO.powi(k))
                .filter(|tau| (bounds.0..=bounds.1).contains(tau))
                .collect();
            profile = profile_of(memory, &near, rise_s)?;
            log_tau = least(&profile, None);
        }
    }
    let without: Vec<f64> = (0..STRETCHES)
        .map(|part| least(&profile, Some(part)))
        .collect();
    let mean = without.iter().sum::<f64>() / STRETCHES as f64;
    let scatter: f64 = without.iter().map(|l| (l - mean).powi(2)).sum();
    let error = (scatter * (STRETCHES - 1) as f64 / STRETCHES as f64).sqrt();
    Ok(Estimate {
        log_tau,
        // The grid itself leaves some doubt.
        error: error.hypot(0.25 * RATIO.ln()),
        rise_s,
    })
}
