//! One task of a plan, for workers that others send.

use std::fs::File;
use std::path::Path;

use serde::Serialize;

use super::record::path_of;
use super::{Need, Plan, Record, Worker, decide, records, write_run_record};
use crate::disk::Lock;
use crate::{Error, Observer, disk};

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskSummary {
    /// The task.
    pub task: String,
    /// Whether it was done now; otherwise what it made before stands.
    pub done_now: bool,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Most memory that it held, where the system says.
    pub peak_memory_bytes: Option<u64>,
}

/// Does the task `id` of the plan in the file `path`; its results go beside
/// the plan. Tasks of one plan may be done by many processes at once, on any
/// machines that share the folders, each task by one at a time.
///
/// # Errors
/// [`Error::BadData`] for a plan that was changed by hand or is of another
/// version, and for inputs that changed since it was made; [`Error::Usage`] if
/// there is no such task, a task before it is not done, or another process is
/// at work on it; else as [`run`](crate::run()).
pub fn task(
    path: &Path,
    id: &str,
    memory: usize,
    observer: &dyn Observer,
) -> Result<TaskSummary, Error> {
    let plan = Plan::read(path)?;
    let Some(task) = plan.task(id) else {
        let names: Vec<&str> = plan.tasks.iter().map(|task| task.id.as_str()).collect();
        let near = names
            .iter()
            .max_by(|a, b| strsim::jaro(a, id).total_cmp(&strsim::jaro(b, id)));
        let hint = near.map(|name| format!("; did you mean {name}?"));
        return Err(Error::Usage(format!(
            "{}: there is no task {id}{}",
            path.display(),
            hint.unwrap_or_default()
        )));
    };
    let out = path.parent().unwrap_or(Path::new("."));
    let out = if out.as_os_str().is_empty() {
        Path::new(".")
    } else {
        out
    };
    let _run = Lock::in_company(out)?;
    let lock = path_of(out, id).with_extension("lock");
    if let Some(folder) = lock.parent() {
        disk::create_folder(folder)?;
    }
    let _lock = Lock::take(&lock, File::try_lock, || {
        format!("{id} is being worked on by another process")
    })?;

    let known = records(out, &plan.tasks)?;
    for before in &task.after {
        let planned = plan.task(before).map(|task| &task.fingerprint);
        let done = known.get(before).map(|record| &record.fingerprint);
        if planned != done {
            return Err(Error::Usage(format!("{before} must be done before {id}")));
        }
    }
    let decisions = decide(&plan, out, &known)?;
    let needed = decisions
        .iter()
        .find(|decision| decision.task == id)
        .and_then(|decision| decision.needed.clone());
    let record = known.get(id);
    let current = record.is_some_and(|record| record.fingerprint == task.fingerprint);
    if let (None, true, Some(record)) = (&needed, current, record) {
        observer.skip(id);
        // Engines go by the time of the file.
        record.write(out)?;
        return Ok(TaskSummary {
            task: id.into(),
            done_now: false,
            seconds: 0.0,
            peak_memory_bytes: None,
        });
    }
    if let Some(Need::Again(why)) = &needed {
        observer.warn(&format!("{id} is done again: {why}"));
    }
    let worker = Worker {
        plan: &plan,
        out,
        memory,
        observer,
    };
    observer.start(id, task.frames);
    let Record {
        seconds,
        peak_memory_bytes,
        ..
    } = worker.perform(task)?;
    observer.finish(id, seconds);
    if plan.last().any(|last| last.id == id) {
        write_run_record(&plan, out, memory, &records(out, &plan.tasks)?)?;
    }
    Ok(TaskSummary {
        task: id.into(),
        done_now: true,
        seconds,
        peak_memory_bytes,
    })
}
