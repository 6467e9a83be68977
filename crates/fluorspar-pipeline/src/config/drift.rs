use std::collections::BTreeMap;

use fluorspar_drift::{Inclusion, Parameters};
use serde::{Deserialize, Serialize};

/// How the tables of trials are read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trials {
    /// Column with the time that trials are aligned on, in seconds from the
    /// first frame; `onset_s` in CSV files, `start_time` in NWB files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onset: Option<String>,
    /// Trials that are left out: values by column, such as `{ laser = ["on"] }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exclude: BTreeMap<String, Vec<String>>,
    /// Width of a time bin in seconds; one frame if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bin_s: Option<f64>,
}

/// Decoders.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decode {
    /// Penalty on margin violations (libsvm's C).
    pub c: f64,
}

impl Default for Decode {
    fn default() -> Self {
        Self { c: 1.0 }
    }
}

/// Drift metrics and their uncertainty.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// Columns of the trial table whose code is followed; if empty, all that
    /// hold labels.
    pub variables: Vec<String>,
    /// Columns of numbers that tell how the animal behaved in each trial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub behaviour: Vec<String>,
    /// What a cell's activity is: `"events"` or `"dff"`.
    pub activity: String,
    /// Cells that two sessions are compared on: the name of an
    /// [`Inclusion`](fluorspar_drift::Inclusion), such as `"active-in-both"`.
    pub inclusion: String,
    /// Only cells of this area or other group; all if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What a cell is whose place was seen and where nothing was found:
    /// `"unseen"`, so that nothing is said of it, or `"silent"`.
    pub undetected: String,
    /// Bootstrap resamples behind each interval.
    pub bootstrap: usize,
    /// Permutations behind each p value.
    pub permutations: usize,
    /// Coverage of the intervals.
    pub confidence: f64,
    /// Matches less sure than this are left out.
    pub min_p_same: f64,
    /// Fewest cells that two sessions must share.
    pub min_cells: usize,
    /// Fewest trials of each label.
    pub min_trials: usize,
    /// An epoch's time bins are averaged into at most this many.
    pub time_bins: usize,
    /// Cells with a false discovery rate at or below this are selective.
    pub false_discovery: f64,
    /// Format of the tables: `"csv"`, or `"both"` for Parquet beside it.
    pub tables: String,
}

impl Default for Drift {
    fn default() -> Self {
        let parameters = Parameters::default();
        Self {
            variables: Vec::new(),
            behaviour: Vec::new(),
            activity: "events".into(),
            inclusion: Inclusion::default().name().into(),
            group: None,
            undetected: "unseen".into(),
            bootstrap: parameters.bootstrap,
            permutations: parameters.permutations,
            confidence: parameters.confidence,
            min_p_same: parameters.min_p_same,
            min_cells: parameters.min_cells,
            min_trials: parameters.min_trials,
            time_bins: parameters.time_bins,
            false_discovery: parameters.false_discovery,
            tables: "csv".into(),
        }
    }
}

impl Trials {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.bin_s {
            Some(bin) if !(bin.is_finite() && bin >= 1e-4) => Err(format!(
                "trials.bin_s = {bin}: must be a positive number of seconds"
            )),
            _ => Ok(()),
        }
    }
}

impl Drift {
    pub(super) fn check(&self) -> Result<(), String> {
        for (key, value, allowed) in [
            ("activity", &self.activity, &["events", "dff"][..]),
            (
                "inclusion",
                &self.inclusion,
                &Inclusion::ALL.map(Inclusion::name),
            ),
            ("undetected", &self.undetected, &["unseen", "silent"]),
            ("tables", &self.tables, &["csv", "both"]),
        ] {
            if !allowed.contains(&value.as_str()) {
                let words: Vec<String> = allowed.iter().map(|w| format!("{w:?}")).collect();
                let words = words.join(" or ");
                return Err(format!("drift.{key} = {value:?}: must be {words}"));
            }
        }
        for (key, value) in [
            ("confidence", self.confidence),
            ("false_discovery", self.false_discovery),
        ] {
            if !(value > 0.0 && value < 1.0) {
                return Err(format!("drift.{key} = {value}: must lie between 0 and 1"));
            }
        }
        for (key, value, least) in [
            ("min_cells", self.min_cells, 2),
            ("min_trials", self.min_trials, 2),
            ("time_bins", self.time_bins, 1),
        ] {
            if value < least {
                return Err(format!("drift.{key} = {value}: must be at least {least}"));
            }
        }
        if !(0.0..=1.0).contains(&self.min_p_same) {
            let value = self.min_p_same;
            return Err(format!(
                "drift.min_p_same = {value}: must lie between 0 and 1"
            ));
        }
        for (key, value) in [
            ("bootstrap", self.bootstrap),
            ("permutations", self.permutations),
        ] {
            if !(20..=1_000_000).contains(&value) {
                return Err(format!(
                    "drift.{key} = {value}: must lie between 20 and 1,000,000"
                ));
            }
        }
        Ok(())
    }
}
