use crate::{Error, Kernel};

/// How to deconvolve.
///
/// The kernel is, in this order, [`kernel`](Self::kernel), or made of
/// [`tau_s`](Self::tau_s) and [`rise_s`](Self::rise_s), or learnt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Samples per second (Hz). Needed unless `kernel` is given.
    pub frame_rate: Option<f64>,
    /// Decay time of the indicator in seconds; learnt if absent.
    pub tau_s: Option<f64>,
    /// Rise time in seconds; 0 for calcium that jumps. If absent, learnt along
    /// with the decay, and 0 where the decay is given.
    pub rise_s: Option<f64>,
    /// Kernel in samples.
    pub kernel: Option<Kernel>,
    /// What keeps noise from becoming events.
    pub sparsity: Sparsity,
    /// Where silent traces lie.
    pub baseline: Baseline,
    /// Traces that a population's kernel is learnt from, at most: the most active ones.
    pub learning_traces: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            frame_rate: None,
            tau_s: None,
            rise_s: None,
            kernel: None,
            sparsity: Sparsity::default(),
            baseline: Baseline::default(),
            learning_traces: 48,
        }
    }
}

/// What keeps noise from becoming events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Sparsity {
    /// That events are not negative, and nothing else: the default, and against
    /// simultaneous electrophysiology the best (Pachitariu et al. 2018,
    /// J. Neurosci. 38:7976). Many small events stand for noise; they lie
    /// symmetrically about what is there and vanish in any average over time.
    #[default]
    NonNegative,
    /// A cost of `lambda` per unit of events, in units of the noise's standard deviation.
    Penalty {
        /// λ / σ, not negative.
        lambda: f64,
    },
    /// The largest λ for which the residual's variance is still the noise's.
    Noise,
    /// No event smaller than this, in units of the noise's standard deviation.
    Smallest {
        /// s_min / σ, not negative.
        s_min: f64,
    },
}

/// Where silent traces lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Baseline {
    /// One level per trace from its lower quantiles: [`crate::level::baseline`].
    #[default]
    Quantiles,
    /// From there moved so that the residual's mean is zero, together with the
    /// events. Only with a sparsity that leaves a residual ([`Sparsity::Noise`]
    /// or a [`Sparsity::Penalty`]): without one a lower baseline always fits better.
    Joint,
    /// This level, in the traces' units: 0 for ΔF/F whose baseline is trusted.
    Given(f64),
}

impl Parameters {
    /// Checks what can be checked without a trace.
    ///
    /// # Errors
    /// [`Error::Parameter`] for numbers out of range (also a decay shorter than
    /// a quarter of a frame), [`Error::Missing`] for an absent frame rate.
    pub fn validate(&self) -> Result<(), Error> {
        let not_negative = |name, value: f64| {
            if value >= 0.0 && value.is_finite() {
                return Ok(());
            }
            Err(Error::Parameter {
                name,
                value,
                rule: "must be finite and not negative",
            })
        };
        match self.sparsity {
            Sparsity::Penalty { lambda } => not_negative("lambda", lambda)?,
            Sparsity::Smallest { s_min } => not_negative("s_min", s_min)?,
            Sparsity::NonNegative | Sparsity::Noise => {}
        }
        if let Baseline::Given(value) = self.baseline
            && !value.is_finite()
        {
            return Err(Error::Parameter {
                name: "baseline",
                value,
                rule: "must be finite",
            });
        }
        if matches!(
            (self.baseline, self.sparsity),
            (
                Baseline::Joint,
                Sparsity::NonNegative | Sparsity::Smallest { .. }
            )
        ) {
            return Err(Error::Missing {
                name: "a penalty or noise constraint",
                why: "without one, a lower baseline always fits better",
            });
        }
        if self.kernel.is_some() {
            return Ok(());
        }
        let rate = self.rate()?;
        Kernel::from_seconds(
            self.tau_s.unwrap_or(f64::max(1.0, 1.0 / rate)),
            if self.tau_s.is_some() {
                self.rise_s.unwrap_or(0.0)
            } else {
                0.0
            },
            rate,
        )?;
        not_negative("rise_s", self.rise_s.unwrap_or(0.0))
    }

    /// The frame rate.
    pub(crate) fn rate(&self) -> Result<f64, Error> {
        self.frame_rate.ok_or(Error::Missing {
            name: "frame_rate",
            why: "time constants are in seconds (give a kernel in samples otherwise)",
        })
    }

    /// The kernel, where it need not be learnt.
    pub(crate) fn given(&self) -> Result<Option<Kernel>, Error> {
        if self.kernel.is_some() {
            return Ok(self.kernel);
        }
        self.tau_s
            .map(|tau| Kernel::from_seconds(tau, self.rise_s.unwrap_or(0.0), self.rate()?))
            .transpose()
    }
}
