use crate::Error;

/// The blocks that a movie is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Planes of a block: 1 treats planes one by one, more takes as many
    /// neighbouring planes together, overlapping by half.
    pub planes: usize,
    /// Side in pixels, about; blocks overlap by half.
    pub side: usize,
}

impl Default for Blocks {
    fn default() -> Self {
        Self {
            planes: 1,
            side: 32,
        }
    }
}

impl Blocks {
    /// Checks both sizes.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        check(
            (4..=512).contains(&self.side),
            "blocks.side",
            self.side as f64,
            "must lie between 4 and 512 pixels",
        )?;
        check(
            (1..=64).contains(&self.planes),
            "blocks.planes",
            self.planes as f64,
            "must lie between 1 and 64 planes",
        )
    }
}

fn check(ok: bool, name: &'static str, value: f64, rule: &'static str) -> Result<(), Error> {
    if ok {
        Ok(())
    } else {
        Err(Error::Parameter { name, value, rule })
    }
}

/// How to denoise; the defaults suit two-photon movies.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Size of the blocks.
    pub blocks: Blocks,
    /// Most components kept in one block.
    pub max_rank: usize,
    /// Chance that a block of pure noise keeps a component.
    pub significance: f64,
    /// Time courses are smoothed as far as they are noise, but so that signals
    /// lose at most this share of their variance; 0 leaves them as they are.
    pub smoothing_loss: f64,
    /// Seed of random directions and of simulated noise.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            blocks: Blocks::default(),
            max_rank: 50,
            significance: 0.01,
            smoothing_loss: 0.01,
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
        self.blocks.validate()?;
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
        )?;
        check(
            (0.0..=0.5).contains(&self.smoothing_loss),
            "smoothing_loss",
            self.smoothing_loss,
            "must lie between 0 and 0.5",
        )
    }
}
