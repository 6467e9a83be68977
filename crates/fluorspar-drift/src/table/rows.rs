use super::{Table, Tabular, row};

/// Everything that was found, as tables.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Drift {
    /// Similarity of every pair of sessions.
    pub metrics: Vec<MetricRow>,
    /// Drift against elapsed days.
    pub rates: Vec<RateRow>,
    /// Whether drift slows with practice.
    pub crystallization: Vec<CrystallizationRow>,
    /// What else differs between sessions.
    pub confounds: Vec<ConfoundRow>,
    /// Further tables.
    pub more: Vec<Table>,
}

impl Drift {
    /// All tables in the order of their importance.
    pub fn tables(&self) -> Vec<Table> {
        let mut out = vec![
            MetricRow::table(&self.metrics),
            RateRow::table(&self.rates),
            CrystallizationRow::table(&self.crystallization),
            ConfoundRow::table(&self.confounds),
        ];
        out.extend(self.more.iter().cloned());
        out
    }
}

row! {
    /// A metric of one pair of sessions; a row of `metrics.csv`.
    MetricRow in "metrics" {
        /// Which metric.
        metric: &'static str,
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty.
        variable: String,
        /// Group of cells (area, layer), or empty for all.
        group: String,
        /// First session, from 1; for decoding, the one trained on.
        session_i: usize,
        /// Second session, from 1; for decoding, the one tested on.
        session_j: usize,
        /// Elapsed days of the first.
        day_i: f64,
        /// Elapsed days of the second.
        day_j: f64,
        /// The metric, or NaN.
        value: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval.
        hi: f64,
        /// Cells compared.
        n_cells: usize,
        /// Trials of the session with fewer.
        n_trials: usize,
        /// Probability of a value as extreme under `null`.
        p: f64,
        /// What is resampled or permuted: the unit of interval and p.
        unit: &'static str,
        /// The null hypothesis.
        null: &'static str,
        /// Seed of the resamples.
        seed: u64,
        /// Which cells were compared.
        inclusion: &'static str,
        /// Why the value is NaN, or empty.
        reason: String,
    }
}

row! {
    /// Change of a metric with elapsed days; a row of `rates.csv`.
    RateRow in "rates" {
        /// Which metric.
        metric: &'static str,
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty.
        variable: String,
        /// `"linear"`: value = intercept + rate · days; `"exponential"`:
        /// value = intercept · exp(−rate · days).
        law: &'static str,
        /// Per day.
        rate_per_day: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval.
        hi: f64,
        /// Value at no distance.
        intercept: f64,
        /// Days in which an exponential falls to one half.
        half_life_days: f64,
        /// Pairs of sessions fitted.
        n_pairs: usize,
        /// Seed of the resamples.
        seed: u64,
        /// Why the rate is NaN, or empty.
        reason: String,
    }
}

row! {
    /// Early against late stability; a row of `crystallization.csv`.
    CrystallizationRow in "crystallization" {
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty for population activity.
        variable: String,
        /// What is compared.
        test: &'static str,
        /// Late minus early similarity, pairs the same number of days apart.
        statistic: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval.
        hi: f64,
        /// Two-sided bootstrap probability of no change.
        p: f64,
        /// The null hypothesis.
        null: &'static str,
        /// Sessions used.
        n_sessions: usize,
        /// Fewest cells that a compared pair shares.
        n_cells: usize,
        /// Seed of the resamples.
        seed: u64,
        /// What the interval says, in words.
        verdict: String,
    }
}

row! {
    /// What may look like drift and is not; a row of `confounds.csv`.
    ConfoundRow in "confounds" {
        /// Session, from 1.
        session: usize,
        /// Elapsed days.
        day: f64,
        /// Cells with a sure enough identity.
        n_cells: usize,
        /// Trials.
        n_trials: usize,
        /// Mean activity over trials, cells and time.
        mean_activity: f64,
        /// Mean probability of the cells' identities.
        mean_p_same: f64,
    }
}
