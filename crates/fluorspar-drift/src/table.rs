use std::fmt::Write as _;

/// Everything that was found, as tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// Similarity of every pair of sessions.
    pub metrics: Vec<MetricRow>,
    /// Drift against elapsed days.
    pub rates: Vec<RateRow>,
    /// Whether drift slows with practice.
    pub crystallization: Vec<CrystallizationRow>,
    /// What else differs between sessions.
    pub confounds: Vec<ConfoundRow>,
}

/// A metric of one pair of sessions; a row of `metrics.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    /// Which metric.
    pub metric: &'static str,
    /// Epoch of the trial.
    pub epoch: String,
    /// Label, or empty.
    pub variable: String,
    /// First session, from 1; for decoding, the one trained on.
    pub session_i: usize,
    /// Second session, from 1; for decoding, the one tested on.
    pub session_j: usize,
    /// Elapsed days of the first.
    pub day_i: f64,
    /// Elapsed days of the second.
    pub day_j: f64,
    /// The metric, or NaN.
    pub value: f64,
    /// Lower end of its interval.
    pub lo: f64,
    /// Upper end of its interval.
    pub hi: f64,
    /// Cells compared.
    pub n_cells: usize,
    /// Trials of the session with fewer.
    pub n_trials: usize,
    /// Probability of a value as extreme under `null`.
    pub p: f64,
    /// The null hypothesis.
    pub null: &'static str,
    /// Seed of the resamples.
    pub seed: u64,
    /// Why the value is NaN, or empty.
    pub reason: String,
}

/// Change of a metric with elapsed days; a row of `rates.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct RateRow {
    /// Which metric.
    pub metric: &'static str,
    /// Epoch of the trial.
    pub epoch: String,
    /// Label, or empty.
    pub variable: String,
    /// `"linear"`: value = intercept + rate · days; `"exponential"`:
    /// value = intercept · exp(−rate · days).
    pub law: &'static str,
    /// Per day.
    pub rate_per_day: f64,
    /// Lower end of its interval.
    pub lo: f64,
    /// Upper end of its interval.
    pub hi: f64,
    /// Value at no distance.
    pub intercept: f64,
    /// Days in which an exponential falls to one half.
    pub half_life_days: f64,
    /// Pairs of sessions fitted.
    pub n_pairs: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// Why the rate is NaN, or empty.
    pub reason: String,
}

/// Early against late stability; a row of `crystallization.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct CrystallizationRow {
    /// Epoch of the trial.
    pub epoch: String,
    /// Label, or empty for population activity.
    pub variable: String,
    /// What is compared.
    pub test: &'static str,
    /// Late minus early similarity, pairs the same number of days apart.
    pub statistic: f64,
    /// Lower end of its interval.
    pub lo: f64,
    /// Upper end of its interval.
    pub hi: f64,
    /// Two-sided bootstrap probability of no change.
    pub p: f64,
    /// The null hypothesis.
    pub null: &'static str,
    /// Sessions used.
    pub n_sessions: usize,
    /// Fewest cells that a compared pair shares.
    pub n_cells: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// What the interval says, in words.
    pub verdict: String,
}

/// What may look like drift and is not; a row of `confounds.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfoundRow {
    /// Session, from 1.
    pub session: usize,
    /// Elapsed days.
    pub day: f64,
    /// Cells with a sure enough identity.
    pub n_cells: usize,
    /// Trials.
    pub n_trials: usize,
    /// Mean activity over trials, cells and time.
    pub mean_activity: f64,
    /// Mean probability of the cells' identities.
    pub mean_p_same: f64,
}

/// A number as short as it can be read back exactly; NaN stays empty.
fn number(value: f64) -> String {
    if value.is_finite() {
        format!("{value}")
    } else {
        String::new()
    }
}

/// A field of a CSV file, quoted where it must be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

// Writing to a String does not fail, so the results of `writeln!` are dropped.
impl Drift {
    /// `metrics.csv`; values that are NaN are empty.
    pub fn metrics_csv(&self) -> String {
        let mut out = String::from(
            "metric,epoch,variable,session_i,session_j,day_i,day_j,value,lo,hi,n_cells,n_trials,p,null,seed,reason\n",
        );
        for r in &self.metrics {
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                r.metric,
                field(&r.epoch),
                field(&r.variable),
                r.session_i,
                r.session_j,
                number(r.day_i),
                number(r.day_j),
                number(r.value),
                number(r.lo),
                number(r.hi),
                r.n_cells,
                r.n_trials,
                number(r.p),
                r.null,
                r.seed,
                field(&r.reason)
            );
        }
        out
    }

    /// `rates.csv`.
    pub fn rates_csv(&self) -> String {
        let mut out = String::from(
            "metric,epoch,variable,law,rate_per_day,lo,hi,intercept,half_life_days,n_pairs,seed,reason\n",
        );
        for r in &self.rates {
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{}",
                r.metric,
                field(&r.epoch),
                field(&r.variable),
                r.law,
                number(r.rate_per_day),
                number(r.lo),
                number(r.hi),
                number(r.intercept),
                number(r.half_life_days),
                r.n_pairs,
                r.seed,
                field(&r.reason)
            );
        }
        out
    }

    /// `crystallization.csv`.
    pub fn crystallization_csv(&self) -> String {
        let mut out = String::from(
            "epoch,variable,test,statistic,lo,hi,p,null,n_sessions,n_cells,seed,verdict\n",
        );
        for r in &self.crystallization {
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{}",
                field(&r.epoch),
                field(&r.variable),
                r.test,
                number(r.statistic),
                number(r.lo),
                number(r.hi),
                number(r.p),
                r.null,
                r.n_sessions,
                r.n_cells,
                r.seed,
                field(&r.verdict)
            );
        }
        out
    }

    /// `confounds.csv`.
    pub fn confounds_csv(&self) -> String {
        let mut out = String::from("session,day,n_cells,n_trials,mean_activity,mean_p_same\n");
        for r in &self.confounds {
            let _ = writeln!(
                out,
                "{},{},{},{},{},{}",
                r.session,
                number(r.day),
                r.n_cells,
                r.n_trials,
                number(r.mean_activity),
                number(r.mean_p_same)
            );
        }
        out
    }
}
