use crate::Error;

/// What is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Cell bodies: round, of one size, in focus.
    #[default]
    Soma,
    /// Boutons, spines and pieces of dendrites: of any shape, and as large as
    /// they happen to be. Their shape says nothing for or against them.
    Process,
}

/// What a cell looks like. Only `diameter` needs thought; everything else
/// follows from it, from the frame rate and from the noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Cell bodies or parts of processes.
    pub class: Class,
    /// Diameter of a typical cell (pixels). Cells from about half to twice
    /// this size are found.
    pub diameter: f64,
    /// Frames are averaged over this time before detection (s): about the
    /// length of a transient.
    pub bin_s: f64,
    /// Changes slower than this are taken away (s).
    pub high_pass_s: f64,
    /// Smallest signal-to-noise ratio of a candidate's transients; see
    /// [`Evidence::snr`](crate::Evidence::snr).
    pub min_snr: f64,
    /// A footprint ends where its weight falls below this share of its
    /// plateau (the mean of its largest quarter of weights), 0 to 1.
    pub support: f64,
    /// Smallest area as a share of a disc of `diameter`.
    pub min_area: f64,
    /// Largest area as a share of a disc of `diameter`; larger things are
    /// neuropil or vessels.
    pub max_area: f64,
    /// How far the footprint may be from a disc: its mean squared radius over
    /// that of a disc of the same area, at least 1.
    pub max_spread: f64,
    /// Two overlapping or touching ROIs are one if their activity correlates
    /// at least this much, 0 to 1.
    pub merge_correlation: f64,
    /// How often the movie is looked through: once, or again for cells that
    /// stronger ones hid. Each time takes as long; in simulated recordings a
    /// second pass finds one more cell in a hundred.
    pub passes: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            class: Class::Soma,
            diameter: 11.0,
            bin_s: 0.4,
            high_pass_s: 60.0,
            min_snr: 3.0,
            support: 0.4,
            min_area: 0.25,
            max_area: 4.0,
            max_spread: 1.6,
            merge_correlation: 0.8,
            passes: 1,
        }
    }
}

impl Parameters {
    /// The defaults for a class and a diameter in pixels: of a cell body, or
    /// the width of a process.
    ///
    /// Pieces of processes may be of a quarter to forty times the area of a disc
    /// of that width and of any shape.
    pub fn of(class: Class, diameter: f64) -> Self {
        let soma = Self {
            diameter,
            ..Self::default()
        };
        match class {
            Class::Soma => soma,
            Class::Process => Self {
                class,
                min_area: 0.25,
                max_area: 40.0,
                max_spread: 30.0,
                ..soma
            },
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value, range, rule) in [
            (
                "diameter",
                self.diameter,
                3.0..=200.0,
                "from 3 to 200 pixels",
            ),
            ("bin_s", self.bin_s, 0.0..=100.0, "from 0 to 100 seconds"),
            (
                "high_pass_s",
                self.high_pass_s,
                1e-3..=1e6,
                "from 0.001 to 1000000 seconds",
            ),
            ("min_snr", self.min_snr, 0.0..=1e6, "from 0 to 1000000"),
            ("support", self.support, 0.01..=0.95, "from 0.01 to 0.95"),
            ("min_area", self.min_area, 0.0..=100.0, "from 0 to 100"),
            (
                "max_area",
                self.max_area,
                self.min_area..=1000.0,
                "from `min_area` to 1000",
            ),
            ("max_spread", self.max_spread, 1.0..=100.0, "from 1 to 100"),
            (
                "merge_correlation",
                self.merge_correlation,
                0.0..=1.0,
                "from 0 to 1",
            ),
        ] {
            if !range.contains(&value) {
                return Err(Error::Parameter { name, value, rule });
            }
        }
        if !(1..=10).contains(&self.passes) {
            return Err(Error::Parameter {
                name: "passes",
                value: self.passes as f64,
                rule: "from 1 to 10",
            });
        }
        Ok(())
    }

    /// Pixels of a disc of the stated diameter.
    pub(crate) fn disc(&self) -> f64 {
        std::f64::consts::PI * (self.diameter / 2.0).powi(2)
    }
}
