use std::path::Path;

use fluorspar_simulate::{Experiment, Plan};
use serde::Serialize;

use crate::error::Context;
use crate::{
    Comparison, Error, Existing, ExperimentConfig, Observer, RunOptions, RunSummary, compare, disk,
    run, write_experiment,
};

/// What the demonstration made and how it compares with what was planted.
#[derive(Clone, Debug, Serialize)]
pub struct DemoSummary {
    /// The run.
    pub run: RunSummary,
    /// The run beside the truth.
    pub comparison: Comparison,
}

/// The demonstration's experiment: the simulator's default size with the
/// given number of sessions, the first half of the steps between them drifting.
pub fn demo_plan(sessions: usize, seed: u64) -> Plan {
    let mut plan = Plan {
        sessions,
        seed,
        ..Plan::default()
    };
    plan.code.drifting_steps = sessions / 2;
    plan
}

/// The file that marks a folder as the demonstration's own.
const MARK: &str = "demo.json";

/// Simulates an experiment into `out/raw`, runs it into `out`, and compares
/// the result with what was planted (`comparison.json`).
///
/// # Errors
/// [`Error::Usage`] if `out` holds something that is not an earlier
/// demonstration, or the plan is impossible; otherwise as [`run`](crate::run()).
pub fn demo(
    plan: &Plan,
    out: &Path,
    memory: usize,
    observer: &dyn Observer,
) -> Result<DemoSummary, Error> {
    let mark = out.join(MARK);
    let occupied = out.is_dir()
        && std::fs::read_dir(out)
            .map_err(|e| Error::io(out, e))?
            .next()
            .is_some();
    if occupied && !mark.exists() {
        return Err(Error::Usage(format!(
            "{} is not empty and not an earlier demonstration; choose another --out",
            out.display()
        )));
    }
    let experiment = Experiment::build(plan).map_err(|e| Error::Usage(e.to_string()))?;
    disk::check_writable(out)?;
    disk::write(
        &mark,
        b"{\"fluorspar\": \"demonstration; may be overwritten\"}\n",
    )?;
    let path = write_experiment(&experiment, "demo", &out.join("raw"), observer)?;
    let config = ExperimentConfig::read(&path)?;
    let options = RunOptions {
        out: out.to_path_buf(),
        existing: Existing::Overwrite,
        memory,
    };
    let run = run(&config, &path, &options, observer)?;
    let comparison = compare(&experiment, out)?;
    let text = serde_json::to_string_pretty(&comparison).at("comparison.json")?;
    disk::write(&out.join("comparison.json"), format!("{text}\n").as_bytes())?;
    Ok(DemoSummary { run, comparison })
}
