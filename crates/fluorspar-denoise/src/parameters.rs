use crate::Error;

/// How to denoise; the defaults suit two-photon movies.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Side of a block in pixels; blocks overlap by half.
    pub block: usize,
    /// Most components kept in one block.
    pub max_rank: usize,
    /// Chance that a component of pure noise is kept.
    pub significance: f64,
    /// Seed of the random projections.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            block: 32,
            max_rank: 50,
            significance: 1e-3,
            seed: 1,
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
        check(
            (4..=512).contains(&self.block),
            "block",
            self.block as f64,
            "must lie between 4 and 512 pixels",
        )?;
        check(
            (1..=1000).contains(&self.max_rank),
            "max_rank",
            self.max_rank as f64,
            "must lie between 1 and 1000",
        )?;
        check(
            self.significance > 0.0 && self.significance < 0.5,
            "significance",
            self.significance,
            "must lie between 0 and 0.5",
        )
    }
}
