use std::path::PathBuf;

use clap::Args;

use super::share;

#[derive(Debug, Args)]
pub(crate) struct Drift {
    /// experiment.toml, the output folder of `run`, or a folder of session-NN.npz
    pub(crate) input: PathBuf,
    /// Output folder
    pub(crate) out: PathBuf,
    /// Named windows of the trial, one per line: NAME = [START, STOP] in seconds from trial onset, or
    /// NAME = { event = "COLUMN", start = START, stop = STOP } [default: what experiment.toml says;
    /// the whole window of tensors]
    #[arg(long, value_name = "TOML")]
    pub(crate) epochs: Option<PathBuf>,
    /// Labels whose code is followed, separated by commas [default: all that every session has]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) variables: Option<Vec<String>>,
    /// What a cell's activity is, unless it comes from tensors [default: events]
    #[arg(long, value_name = "WHAT", value_parser = ["events", "dff"])]
    pub(crate) activity: Option<String>,
    /// Cells that two sessions are compared on, all of them tracked in both. The choice changes the
    /// answer more than the metric does: state it [default: active-in-both]
    #[arg(long, value_name = "RULE", value_parser = [
        "active-in-both", "active-in-either", "tracked", "tracked-in-all", "informative-in-either", "informative-in-both",
    ])]
    pub(crate) inclusion: Option<String>,
    /// Only cells of this area or other group [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Matches less sure than this are left out [default: 0.5]
    #[arg(long, value_name = "P", value_parser = share)]
    pub(crate) min_p_same: Option<f64>,
    /// Bootstrap resamples behind each interval [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub(crate) bootstrap: Option<u32>,
    /// Permutations behind each p value [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub(crate) permutations: Option<u32>,
    /// Tables as CSV, or as CSV and Parquet [default: csv]
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "both"])]
    pub(crate) format: Option<String>,
    /// Seed of every random draw [default: 7]
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
}
