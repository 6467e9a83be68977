use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The experiment: sessions, epochs and settings (see docs/formats.md)
    #[arg(required_unless_present = "list")]
    pub(crate) experiment: Option<PathBuf>,
    /// Print the tasks of a plan that was made before, a line each for scripts: level, task,
    /// megabytes, minutes. Tasks of one level do not wait for each other
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["experiment", "out", "frames_per_task"])]
    pub(crate) list: Option<PathBuf>,
    /// Output folder of the run; plan.json goes there [default: the experiment's name beside
    /// experiment.toml]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Frames of a task of registration, about [default: what takes two cores a minute]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) frames_per_task: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Task {
    /// plan.json of `fluorspar plan`
    pub(crate) plan: PathBuf,
    /// The task, as session-01/denoise
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The output folder of `fluorspar run`, or of the tasks of a plan
    pub(crate) run: PathBuf,
}
