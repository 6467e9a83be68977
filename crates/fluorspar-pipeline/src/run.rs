//! One experiment from raw files to a report, task by task, resumable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::config::ExperimentConfig;
use crate::disk::{self, Lock};
use crate::plan::{self, Decision, Need, Plan, PlanOptions, Record, Task, Worker, session_folder};
use crate::{Error, Observer, Step};

/// What to do with an output folder that already holds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Go on with it; stop with [`Error::Usage`] if something that is finished
    /// would have to be replaced, and say what and why.
    Continue,
    /// Go on with it, and replace what is damaged or whose inputs or
    /// configuration changed.
    Resume,
    /// Recompute everything, replacing each artefact when its successor is whole.
    Overwrite,
}

/// Where and how to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Output folder.
    pub out: PathBuf,
    /// What to do if it holds a run already.
    pub existing: Existing,
    /// Memory that the run may hold, in bytes.
    pub memory: usize,
}

/// What a finished run says about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Output folder.
    pub out: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// ROIs per session that count as cells.
    pub rois: Vec<usize>,
    /// Cells in all, matched or not.
    pub cells: usize,
    /// Cells seen in at least two sessions.
    pub matched_cells: usize,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Peak resident memory in bytes of any task, where the system says.
    pub peak_memory_bytes: Option<u64>,
}

/// Runs a whole experiment: every stage of every session, tracking, drift, report.
///
/// `config_path` is the file that `config` came from; relative paths start
/// from its folder. Everything that can be checked is checked before the
/// first task starts. Artefacts appear whole or not at all; a run that was
/// stopped or killed goes on where it was, and ends with the same bytes. The
/// tasks are those of [`Plan`], which goes to `plan.json`: other processes can
/// do some of them with [`task`](crate::task()) before.
///
/// # Errors
/// [`Error::Config`], [`Error::BadData`], [`Error::Stage`] naming the file or
/// session, [`Error::Usage`] if the folder is in use, or for
/// [`Existing::Continue`] if something finished does not fit any more,
/// [`Error::Stopped`] if the observer asked for it.
pub fn run(
    config: &ExperimentConfig,
    config_path: &Path,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Result<RunSummary, Error> {
    let begun = Instant::now();
    let out = &options.out;
    let cut = PlanOptions {
        memory: options.memory,
        frames_per_task: None,
    };
    let plan = Plan::new(config, config_path, out, &cut, observer)?;
    disk::check_writable(out)?;
    let _lock = Lock::alone(out)?;
    let mut records = match options.existing {
        Existing::Overwrite => BTreeMap::new(),
        _ => plan::records(out, &plan.tasks)?,
    };
    let decisions = plan::decide(&plan, out, &records)?;
    announce(&decisions, &records, options, observer)?;
    disk::remove_leftovers_of(&out.join("plan.json"))?;
    plan.write(out)?;

    let worker = Worker {
        plan: &plan,
        out,
        memory: options.memory,
        observer,
    };
    let needed = plan.tasks.iter().zip(&decisions);
    let needed = needed.filter(|(_, decision)| decision.needed.is_some());
    let steps: Vec<Step> = needed.map(|(task, _)| step(task)).collect();
    observer.plan(&steps);
    for (task, decision) in plan.tasks.iter().zip(&decisions) {
        if observer.stop() {
            return Err(Error::Stopped);
        }
        if decision.needed.is_none() {
            if records.contains_key(&task.id) {
                observer.skip(&task.id);
            }
            continue;
        }
        records.remove(&task.id);
        observer.start(&task.id, task.frames);
        let record = worker.perform(task)?;
        observer.finish(&task.id, record.seconds);
        records.insert(task.id.clone(), record);
        plan::write_run_record(&plan, out, options.memory, &records)?;
    }
    plan::write_run_record(&plan, out, options.memory, &records)?;

    let tracks = crate::TrackTable::read(&out.join("tracks.zarr"))?;
    let mut rois = Vec::new();
    for index in 0..config.sessions.len() {
        let path = out.join(session_folder(index)).join("rois.zarr");
        rois.push(crate::Rois::read_footprints(&path)?.1.len());
    }
    Ok(RunSummary {
        out: out.clone(),
        report: out.join("report.html"),
        rois,
        cells: tracks.roi_index.nrows(),
        matched_cells: tracks.matched_cells(),
        seconds: begun.elapsed().as_secs_f64(),
        peak_memory_bytes: records
            .values()
            .filter_map(|record| record.peak_memory_bytes)
            .max(),
    })
}

/// A task as it is told beforehand.
fn step(task: &Task) -> Step {
    Step {
        name: task.id.clone(),
        units: task.frames,
        seconds: task.seconds,
        bytes_per_unit: task.frame_bytes,
    }
}

/// Says what of an earlier run stands; refuses to replace what is finished
/// unless that was asked for.
fn announce(
    decisions: &[Decision],
    records: &BTreeMap<String, Record>,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let out = options.out.display();
    let older = options.out.join("run.json").exists() && records.is_empty();
    if older && options.existing == Existing::Continue {
        return Err(Error::Usage(format!(
            "{out} holds a run without records of its tasks, as of an older version; replace it \
             with --overwrite, or choose another --out"
        )));
    }
    if records.is_empty() {
        return Ok(());
    }
    let lines = plan::statement(decisions);
    let again = |decision: &Decision| matches!(decision.needed, Some(Need::Again(_)));
    if options.existing == Existing::Continue && decisions.iter().any(again) {
        return Err(Error::Usage(format!(
            "{out} holds a run that does not fit any more:\n  {}\nreplace what does not fit with \
             --resume, everything with --overwrite, or choose another --out",
            lines.join("\n  ")
        )));
    }
    for line in lines {
        observer.note(&line);
    }
    Ok(())
}
