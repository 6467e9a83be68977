use crate::Error;

/// How to track; lengths in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Largest distance between the centres of one cell in two aligned sessions.
    pub max_distance: f64,
    /// The session that the others are aligned to, counted from 0.
    pub reference: usize,
    /// Largest shift between sessions, as a fraction of the image's sides.
    pub max_shift_fraction: f64,
    /// ROIs are joined only if they are at least this probably the same cell.
    pub min_p_same: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            max_distance: 12.0,
            reference: 0,
            max_shift_fraction: 0.25,
            min_p_same: 0.5,
        }
    }
}

impl Parameters {
    /// Checks every field against the number of sessions.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range.
    pub fn validate(&self, sessions: usize) -> Result<(), Error> {
        let check = |ok: bool, name: &'static str, value: f64, rule: &'static str| {
            if ok {
                Ok(())
            } else {
                Err(Error::Parameter { name, value, rule })
            }
        };
        check(
            self.max_distance > 0.0 && self.max_distance.is_finite(),
            "max_distance",
            self.max_distance,
            "must be positive",
        )?;
        check(
            self.reference < sessions.max(1),
            "reference",
            self.reference as f64,
            "must be one of the sessions",
        )?;
        check(
            self.max_shift_fraction > 0.0 && self.max_shift_fraction < 0.5,
            "max_shift_fraction",
            self.max_shift_fraction,
            "must lie between 0 and 0.5",
        )?;
        check(
            (0.0..=1.0).contains(&self.min_p_same),
            "min_p_same",
            self.min_p_same,
            "must lie between 0 and 1",
        )
    }
}
