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
    /// What laws were fitted to, with resamples: what [`crate::study`] takes from each animal.
    pub similarities: Vec<Similarity>,
}

/// A similarity of all pairs of sessions whose laws were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Similarity {
    /// Which metric.
    pub metric: &'static str,
    /// Epoch of the trial.
    pub epoch: String,
    /// Label, or empty for population activity.
    pub variable: String,
    /// Its values, resamples and days.
    pub table: crate::law::Table,
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
    /// A parameter of a law of drift over elapsed days; a row of `rates.csv`.
    RateRow in "rates" {
        /// Which metric.
        metric: &'static str,
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty.
        variable: String,
        /// Group of cells (area, layer), or empty for all.
        group: String,
        /// Name of the law, see [`crate::law::Law`].
        law: &'static str,
        /// Name of the parameter; rates per day, times in days.
        parameter: &'static str,
        /// Its value, or NaN.
        value: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval.
        hi: f64,
        /// Log-likelihood of a session predicted by a fit without it.
        score_by_session: f64,
        /// Log-likelihood of a pair of sessions predicted by a fit without it.
        score_by_pair: f64,
        /// Akaike's criterion.
        aic: f64,
        /// Whether the law is chosen by the scores.
        chosen: bool,
        /// Sessions.
        n_sessions: usize,
        /// Pairs of sessions fitted.
        n_pairs: usize,
        /// Fewest cells that a pair shares.
        n_cells: usize,
        /// What is resampled.
        unit: &'static str,
        /// Seed of the resamples.
        seed: u64,
        /// Which cells were compared.
        inclusion: &'static str,
        /// Why the value is NaN, or empty.
        reason: String,
    }
}

row! {
    /// How long a code lasts from a session on; a row of `half_lives.csv`.
    HalfLifeRow in "half_lives" {
        /// Which metric.
        metric: &'static str,
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty.
        variable: String,
        /// Group of cells (area, layer), or empty for all.
        group: String,
        /// The law it follows from.
        law: &'static str,
        /// Whether that law is the chosen one.
        chosen: bool,
        /// Session, from 1.
        session: usize,
        /// Elapsed days.
        day: f64,
        /// Share of what is shared that is lost per day.
        rate_per_day: f64,
        /// Lower end of its interval.
        rate_lo: f64,
        /// Upper end of its interval.
        rate_hi: f64,
        /// Days in which half of it is lost; empty if nothing is lost.
        half_life_days: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval; empty if it has no end.
        hi: f64,
        /// Fewest cells that a pair shares.
        n_cells: usize,
        /// What is resampled.
        unit: &'static str,
        /// Seed of the resamples.
        seed: u64,
        /// Which cells were compared.
        inclusion: &'static str,
    }
}

row! {
    /// Whether a metric follows elapsed days; a row of `mantel.csv`.
    MantelRow in "mantel" {
        /// Which metric.
        metric: &'static str,
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty.
        variable: String,
        /// Group of cells (area, layer), or empty for all.
        group: String,
        /// What is held: empty, `practice` or `trials`.
        control: &'static str,
        /// Correlation with elapsed days over pairs of sessions.
        r: f64,
        /// One-sided probability of one as low.
        p: f64,
        /// The null hypothesis.
        null: &'static str,
        /// What is permuted.
        unit: &'static str,
        /// Sessions with a value.
        n_sessions: usize,
        /// Pairs of sessions with a value.
        n_pairs: usize,
        /// Orders of sessions compared.
        orders: usize,
        /// Whether these are all orders.
        exact: bool,
        /// Seed of the orders.
        seed: u64,
        /// Which cells were compared.
        inclusion: &'static str,
        /// Why there is no value, or empty.
        reason: String,
    }
}

row! {
    /// Whether drift slows; a row of `crystallization.csv`.
    CrystallizationRow in "crystallization" {
        /// Which metric.
        metric: &'static str,
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty for population activity.
        variable: String,
        /// Group of cells (area, layer), or empty for all.
        group: String,
        /// Which test: `late_minus_early_similarity` (pairs equally far
        /// apart), `crystallization` (the answer: the next two together),
        /// `likelihood_ratio`, `rate_slope`, `rate_slope_difference`.
        test: &'static str,
        /// Its statistic.
        statistic: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval.
        hi: f64,
        /// Probability of one as extreme under the null.
        p: f64,
        /// The null hypothesis.
        null: String,
        /// What is resampled, simulated or permuted.
        unit: &'static str,
        /// Sessions used.
        n_sessions: usize,
        /// Fewest cells that a compared pair shares.
        n_cells: usize,
        /// Animals.
        n_animals: usize,
        /// Seed of everything random.
        seed: u64,
        /// Which cells were compared.
        inclusion: &'static str,
        /// What it says, in words; `undetermined` with a reason.
        verdict: String,
        /// A sentence for a paper.
        sentence: String,
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
        /// Seed of the analysis.
        seed: u64,
    }
}
