use crate::Error;

/// Which cells two sessions are compared on. Always only cells that were seen
/// in both. The rule changes the answer more than the metric does, so every
/// row of every table names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inclusion {
    /// Cells with some activity in both sessions.
    #[default]
    ActiveInBoth,
    /// Cells with some activity in at least one of them.
    ActiveInEither,
    /// All tracked cells, silent ones included.
    Tracked,
    /// Cells seen in every session, the same ones for all pairs. Cells that
    /// come and go are left out, which makes drift look smaller.
    TrackedInAll,
    /// Cells selective for a variable in at least one of the two sessions.
    InformativeInEither,
    /// Cells selective for a variable in both sessions.
    InformativeInBoth,
}

impl Inclusion {
    /// All rules.
    pub const ALL: [Self; 6] = [
        Self::ActiveInBoth,
        Self::ActiveInEither,
        Self::Tracked,
        Self::TrackedInAll,
        Self::InformativeInEither,
        Self::InformativeInBoth,
    ];

    /// The rule's name in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveInBoth => "active-in-both",
            Self::ActiveInEither => "active-in-either",
            Self::Tracked => "tracked",
            Self::TrackedInAll => "tracked-in-all",
            Self::InformativeInEither => "informative-in-either",
            Self::InformativeInBoth => "informative-in-both",
        }
    }

    /// The rule with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// How to analyse.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Labels whose code is followed.
    pub variables: Vec<String>,
    /// Resamples behind each interval.
    pub bootstrap: usize,
    /// Permutations behind each p value.
    pub permutations: usize,
    /// Coverage of the intervals.
    pub confidence: f64,
    /// Which cells are compared.
    pub inclusion: Inclusion,
    /// Only cells of this group (area, layer); all if `None`.
    pub group: Option<String>,
    /// Cells whose identity is less probable than this are left out.
    pub min_p_same: f64,
    /// Fewest cells that two sessions must share.
    pub min_cells: usize,
    /// Fewest trials of each label.
    pub min_trials: usize,
    /// An epoch's time bins are averaged into at most this many.
    pub time_bins: usize,
    /// Cells with a false discovery rate at or below this are selective.
    pub false_discovery: f64,
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
            group: None,
            min_p_same: 0.5,
            min_cells: 10,
            min_trials: 5,
            time_bins: 10,
            false_discovery: 0.05,
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
        for (name, value) in [
            ("confidence", self.confidence),
            ("false_discovery", self.false_discovery),
        ] {
            check(
                value > 0.0 && value < 1.0,
                name,
                value,
                "must lie between 0 and 1",
            )?;
        }
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
            ("time_bins", self.time_bins, 1),
        ] {
            check(value >= least, name, value as f64, "is too small")?;
        }
        for (name, value) in [
            ("bootstrap", self.bootstrap),
            ("permutations", self.permutations),
        ] {
            check(value <= 10_000_000, name, value as f64, "is too large")?;
        }
        Ok(())
    }
}
