/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing that could pass for drift was seen.
    Fine,
    /// Something differs; look at the numbers before believing a drift.
    Look,
    /// Something that passes for drift, of a size that matters.
    Problem,
    /// It could not be checked; the sentence says why.
    NotChecked,
}

impl Status {
    /// The word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Look => "look",
            Self::Problem => "problem",
            Self::NotChecked => "not checked",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which check.
    pub check: &'static str,
    /// What it was done on, such as the name of a covariate; or empty.
    pub about: String,
    /// How it came out.
    pub status: Status,
    /// The number it rests on, or NaN.
    pub statistic: f64,
    /// Lower end of its interval, or NaN.
    pub lo: f64,
    /// Upper end of its interval, or NaN.
    pub hi: f64,
    /// Probability of as extreme a number under `null`, or NaN.
    pub p: f64,
    /// The null hypothesis, or empty.
    pub null: &'static str,
    /// Sessions, pairs, trials or cells it rests on.
    pub n: usize,
    /// What it means, in one sentence.
    pub sentence: String,
}

impl Finding {
    /// A finding with a statistic and nothing else yet.
    pub(crate) fn new(check: &'static str, statistic: f64, n: usize) -> Self {
        Self {
            check,
            about: String::new(),
            status: Status::Fine,
            statistic,
            lo: f64::NAN,
            hi: f64::NAN,
            p: f64::NAN,
            null: "",
            n,
            sentence: String::new(),
        }
    }

    /// A check that could not be done, and why.
    pub(crate) fn not_checked(check: &'static str, why: impl Into<String>) -> Self {
        Self {
            status: Status::NotChecked,
            sentence: format!("Not checked: {}.", why.into()),
            ..Self::new(check, f64::NAN, 0)
        }
    }

    pub(crate) fn about(mut self, name: impl Into<String>) -> Self {
        self.about = name.into();
        self
    }

    pub(crate) fn says(mut self, status: Status, sentence: String) -> Self {
        self.status = status;
        self.sentence = sentence;
        self
    }

    pub(crate) fn tested(mut self, p: f64, null: &'static str) -> Self {
        self.p = p;
        self.null = null;
        self
    }

    pub(crate) fn within(mut self, (lo, hi): (f64, f64)) -> Self {
        self.lo = lo;
        self.hi = hi;
        self
    }
}
