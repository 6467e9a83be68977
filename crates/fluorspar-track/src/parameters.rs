use crate::Error;

/// How to track. Lengths are in pixels of the reference session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Largest distance between the centres of one cell in two aligned
    /// sessions; about the diameter of a cell.
    pub max_distance: f64,
    /// The session that the others are aligned to, counted from 0; the middle
    /// one if not said.
    pub reference: Option<usize>,
    /// Largest rotation between sessions, degrees.
    pub max_rotation: f64,
    /// Largest shift between sessions, as a fraction of the field's sides.
    pub max_shift_fraction: f64,
    /// Whether fields may be bent, or only moved, turned and stretched.
    pub bend: bool,
    /// Most planes by which two stacks may be displaced, either way.
    pub max_plane_offset: u32,
    /// Planes by which ROIs of one cell may be apart after alignment.
    pub plane_tolerance: u32,
    /// ROIs are joined only as far as this share of matched pairs is expected
    /// to be right, 0 to 1.
    pub target_precision: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            max_distance: 12.0,
            reference: None,
            max_rotation: 20.0,
            max_shift_fraction: 0.4,
            bend: true,
            max_plane_offset: 5,
            plane_tolerance: 1,
            target_precision: 0.95,
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
        let reference = self.reference.unwrap_or(0);
        check(
            reference < sessions.max(1),
            "reference",
            reference as f64,
            "must be one of the sessions",
        )?;
        check(
            (0.0..=45.0).contains(&self.max_rotation),
            "max_rotation",
            self.max_rotation,
            "must lie between 0 and 45 degrees",
        )?;
        check(
            self.max_shift_fraction > 0.0 && self.max_shift_fraction < 1.0,
            "max_shift_fraction",
            self.max_shift_fraction,
            "must lie between 0 and 1",
        )?;
        check(
            (0.0..1.0).contains(&self.target_precision),
            "target_precision",
            self.target_precision,
            "must be at least 0 and below 1",
        )
    }
}
