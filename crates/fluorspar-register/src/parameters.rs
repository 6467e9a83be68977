use crate::Error;
use crate::piecewise::LARGEST;

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Frames as a whole.
    Rigid,
    /// Parts of a frame beside the whole, smoothly.
    Piecewise,
}

/// How to register; the defaults suit two-photon movies.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Frames as a whole, or their parts as well.
    pub mode: Mode,
    /// Odd lines lie so many pixels to the right of even ones, as in frames
    /// scanned back and forth; `None` finds out. Only whole pixels are
    /// corrected, so that lines are not sampled differently.
    pub line_offset: Option<f32>,
    /// Largest shift along each axis, as a fraction of the shorter side.
    pub max_shift_fraction: f64,
    /// Width of the taper at the image border in pixels.
    pub taper_sigma: f32,
    /// Standard deviation of the Gaussian that smooths the correlation, pixels.
    pub smooth_sigma: f32,
    /// Frames that the reference is built from, evenly spread.
    pub reference_frames: usize,
    /// Most rounds of rebuilding the reference.
    pub reference_iterations: usize,
    /// Side of the tiles of a displacement field in pixels.
    pub tile: usize,
    /// Largest displacement of a part beyond the whole's along each axis,
    /// pixels, at most 7.
    pub max_deviation: usize,
    /// A frame whose quality lies below this share of that of the frames the
    /// reference was made of is untrusted.
    pub trusted_quality: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            mode: Mode::Rigid,
            line_offset: None,
            max_shift_fraction: 0.1,
            taper_sigma: 3.45,
            smooth_sigma: 1.15,
            reference_frames: 400,
            reference_iterations: 8,
            tile: 32,
            max_deviation: 5,
            trusted_quality: 0.4,
        }
    }
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |ok: bool, name: &'static str, value: f64, rule: &'static str| {
            if ok {
                Ok(())
            } else {
                Err(Error::Parameter { name, value, rule })
            }
        };
        let fraction = self.max_shift_fraction;
        check(
            fraction > 0.0 && fraction < 0.5,
            "max_shift_fraction",
            fraction,
            "must lie between 0 and 0.5",
        )?;
        for (name, value) in [
            ("taper_sigma", self.taper_sigma),
            ("smooth_sigma", self.smooth_sigma),
        ] {
            check(
                value > 0.0 && value.is_finite(),
                name,
                f64::from(value),
                "must be positive",
            )?;
        }
        let offset = self.line_offset.unwrap_or(0.0);
        check(
            offset.abs() <= 100.0,
            "line_offset",
            f64::from(offset),
            "must lie between -100 and 100 pixels",
        )?;
        check(
            self.reference_frames > 0,
            "reference_frames",
            0.0,
            "must be at least 1",
        )?;
        check(
            self.tile >= 16,
            "tile",
            self.tile as f64,
            "must be at least 16 pixels",
        )?;
        check(
            (1..=LARGEST).contains(&self.max_deviation),
            "max_deviation",
            self.max_deviation as f64,
            "must lie between 1 and 7 pixels",
        )?;
        check(
            (0.0..=1.0).contains(&self.trusted_quality),
            "trusted_quality",
            self.trusted_quality,
            "must lie between 0 and 1",
        )
    }

    /// Largest shift in whole pixels along each axis for an image of this size.
    pub(crate) fn max_shift(&self, height: usize, width: usize) -> usize {
        let most = (self.max_shift_fraction * height.min(width) as f64).round() as usize;
        most.clamp(1, (height.min(width) - 1) / 2)
    }
}
