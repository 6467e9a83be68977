use crate::Error;

/// What calcium does after one spike: a rise and a decay, both exponential.
///
/// `h_k = (d^{k+1} − r^{k+1}) / (d − r)` for sample `k = 0, 1, …` after the
/// event, with the decay `d = e^{−1/(τ f)}` and the rise `r = e^{−1/(τ_r f)}`
/// per sample at `f` samples per second. That is the response of the
/// autoregression `c_t = g₁ c_{t−1} + g₂ c_{t−2} + s_t`, `g₁ = d + r`,
/// `g₂ = −d r`. Without a rise (`r = 0`) it is the AR(1) process `c_t = d
/// c_{t−1} + s_t`, which jumps and decays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    decay: f64,
    rise: f64,
}

impl Kernel {
    /// From the factors per sample by which decay and rise proceed.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `0 ≤ rise < decay < 1` and `decay > 0`.
    pub fn new(decay: f64, rise: f64) -> Result<Self, Error> {
        if !(decay > 0.0 && decay < 1.0) {
            return Err(Error::Parameter {
                name: "g",
                value: decay,
                rule: "must lie between 0 and 1",
            });
        }
        if !(rise >= 0.0 && rise < decay) {
            return Err(Error::Parameter {
                name: "rise",
                value: rise,
                rule: "must not be negative, and smaller than the decay's factor",
            });
        }
        Ok(Self { decay, rise })
    }

    /// From the coefficients `g₁, g₂` of an autoregression; `g₂ = 0` for AR(1).
    ///
    /// # Errors
    /// [`Error::Parameter`] unless both roots are real, not negative, different and below 1.
    pub fn from_coefficients(g1: f64, g2: f64) -> Result<Self, Error> {
        let root = g1 * g1 + 4.0 * g2;
        if !(root > 0.0 && root.is_finite()) {
            return Err(Error::Parameter {
                name: "g2",
                value: g2,
                rule: "must give two different real roots, that is g1² + 4 g2 > 0",
            });
        }
        let decay = f64::midpoint(g1, root.sqrt());
        Self::new(decay, if g2 == 0.0 { 0.0 } else { -g2 / decay })
    }

    /// From time constants in seconds. A rise of 0 is AR(1).
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `frame_rate` and `tau_s` are positive, the
    /// rise is not negative and faster than the decay, and the decay is no
    /// shorter than a quarter of a frame and no longer than 10⁹ frames.
    pub fn from_seconds(tau_s: f64, rise_s: f64, frame_rate: f64) -> Result<Self, Error> {
        if !(frame_rate > 0.0 && frame_rate.is_finite()) {
            return Err(Error::Parameter {
                name: "frame_rate",
                value: frame_rate,
                rule: "must be positive and finite (Hz)",
            });
        }
        if !(tau_s > 0.0 && tau_s.is_finite()) {
            return Err(Error::Parameter {
                name: "tau_s",
                value: tau_s,
                rule: "must be positive and finite (seconds)",
            });
        }
        let frames = tau_s * frame_rate;
        if !(0.25..=1e9).contains(&frames) {
            return Err(Error::Parameter {
                name: "tau_s",
                value: tau_s,
                rule: "must last between a quarter of a frame and 1e9 frames",
            });
        }
        if !(rise_s >= 0.0 && rise_s < tau_s) {
            return Err(Error::Parameter {
                name: "rise_s",
                value: rise_s,
                rule: "must not be negative, and shorter than tau_s",
            });
        }
        let rise = if rise_s > 0.0 {
            (-1.0 / (rise_s * frame_rate)).exp()
        } else {
            0.0
        };
        Self::new((-1.0 / frames).exp(), rise)
    }

    /// Factor per sample of the decay, `d`.
    pub fn decay(&self) -> f64 {
        self.decay
    }

    /// Factor per sample of the rise, `r`; 0 for AR(1).
    pub fn rise(&self) -> f64 {
        self.rise
    }

    /// Whether calcium jumps: AR(1).
    pub fn is_ar1(&self) -> bool {
        self.rise == 0.0
    }

    /// The autoregression's `(g₁, g₂)`.
    pub fn coefficients(&self) -> (f64, f64) {
        (self.decay + self.rise, -self.decay * self.rise)
    }

    /// Time constant of the decay in samples, `−1 / ln d`; divided by the
    /// frame rate, in seconds.
    pub fn decay_samples(&self) -> f64 {
        -1.0 / self.decay.ln()
    }

    /// Time constant of the rise in samples, 0 for AR(1).
    pub fn rise_samples(&self) -> f64 {
        if self.rise > 0.0 {
            -1.0 / self.rise.ln()
        } else {
            0.0
        }
    }

    /// Height `h_k` at sample `k`.
    pub fn at(&self, k: usize) -> f64 {
        let k = k as f64 + 1.0;
        (self.decay.powf(k) - self.rise.powf(k)) / (self.decay - self.rise)
    }

    /// Samples from the event to the peak.
    pub fn peak_samples(&self) -> usize {
        if self.is_ar1() {
            return 0;
        }
        // d^{k+1} ln d = r^{k+1} ln r.
        let k = (self.rise.ln() / self.decay.ln()).ln() / (self.decay / self.rise).ln() - 1.0;
        let below = k.max(0.0).floor() as usize;
        if self.at(below + 1) > self.at(below) {
            below + 1
        } else {
            below
        }
    }

    /// Height of the peak; 1 for AR(1).
    pub fn peak(&self) -> f64 {
        self.at(self.peak_samples())
    }

    /// `√(Σ h_k²)`, what a matched filter gains: from the geometric series of
    /// `d²`, `d r` and `r²`.
    pub fn norm(&self) -> f64 {
        let (d, r) = (self.decay, self.rise);
        // Σ (d^{k+1} − r^{k+1})² / (d − r)², with the difference divided out.
        ((1.0 + d * r) / ((1.0 - d * r) * (1.0 - d * d) * (1.0 - r * r))).sqrt()
    }
}
