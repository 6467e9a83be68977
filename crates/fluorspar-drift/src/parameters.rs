use crate::Error;

/// Which cells two sessions are compared on. Always only cells tracked in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inclusion {
    /// Cells with some activity in both sessions.
    #[default]
    ActiveInBoth,
    /// Cells with some activity in at least one of them.
    ActiveInEither,
    /// All tracked cells, silent ones included.
    Tracked,
}

/// How to analyse.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Labels whose code is followed.
    pub variables: Vec<String>,
    /// Resamples behind each interval.
    pub bootstrap: usize,
    /// Permutations behind each decoding p value.
    pub permutations: usize,
    /// Coverage of the intervals.
    pub confidence: f64,
    /// Which cells are compared.
    pub inclusion: Inclusion,
    /// Cells whose identity is less probable than this are left out.
    pub min_p_same: f64,
    /// Fewest cells that two sessions must share.
    pub min_cells: usize,
    /// Fewest trials of each label.
    pub min_trials: usize,
    /// Penalty of the decoder (libsvm's C).
    pub c: f64,
    /// Seed of every resample.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            variables: Vec::new(),
            bootstrap: 1000,
            permutations: 1000,
            confidence: 0.95,
            inclusion: Inclusion::default(),
            min_p_same: 0.5,
            min_cells: 10,
            min_trials: 5,
            c: 1.0,
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
            self.confidence > 0.0 && self.confidence < 1.0,
            "confidence",
            self.confidence,
            "must lie between 0 and 1",
        )?;
        check(
            (0.0..=1.0).contains(&self.min_p_same),
            "min_p_same",
            self.min_p_same,
            "must lie between 0 and 1",
        )?;
        check(
            self.c > 0.0 && self.c.is_finite(),
            "c",
            self.c,
            "must be positive",
        )?;
        for (name, value, least) in [
            ("bootstrap", self.bootstrap, 20),
            ("permutations", self.permutations, 20),
            ("min_cells", self.min_cells, 2),
            ("min_trials", self.min_trials, 2),
        ] {
            check(value >= least, name, value as f64, "is too small")?;
        }
        Ok(())
    }
}
