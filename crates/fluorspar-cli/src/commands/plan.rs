use fluorspar_pipeline as pipeline;
use fluorspar_pipeline::{Error, ExperimentConfig, Observer, PlanOptions};
use serde_json::json;

use super::{default_out, print_json};
use crate::arguments::{Plan, Task, Verify};

pub(super) fn plan(
    command: &Plan,
    memory: usize,
    json: bool,
    observer: &dyn Observer,
) -> Result<(), Error> {
    if let Some(path) = &command.list {
        list(&pipeline::Plan::read(path)?);
        return Ok(());
    }
    let Some(experiment) = &command.experiment else {
        return Err(Error::Usage("no experiment given".into()));
    };
    let config = ExperimentConfig::read(experiment)?;
    let out = command
        .out
        .clone()
        .unwrap_or_else(|| default_out(experiment, &config));
    let options = PlanOptions {
        memory,
        frames_per_task: command.frames_per_task.map(|n| n as usize),
    };
    let plan = pipeline::Plan::new(&config, experiment, &out, &options, observer)?;
    let path = plan.write(&out)?;
    if json {
        return print_json(&plan);
    }
    println!("{:28} {:>9}  {:>9}  after", "task", "memory", "time");
    let (mut seconds, mut widest) = (0.0, 0_u64);
    for task in &plan.tasks {
        let after = match &task.after[..] {
            [] => String::new(),
            [one] => one.clone(),
            [first, .., last] => format!("{first} … {last} ({})", task.after.len()),
        };
        println!(
            "{:28} {:>6.0} MB  {:>9}  {after}",
            task.id,
            task.memory_bytes as f64 / 1e6,
            duration(task.seconds)
        );
        seconds += task.seconds;
        widest = widest.max(task.memory_bytes);
    }
    println!(
        "\n{} tasks, about {} on two cores, at most {:.0} MB each",
        plan.tasks.len(),
        duration(seconds),
        widest as f64 / 1e6
    );
    println!("plan    {}", path.display());
    println!("do one  fluorspar task {} ID", path.display());
    println!(
        "do all  fluorspar run {} --out {}",
        experiment.display(),
        out.display()
    );
    Ok(())
}

/// Level, task, megabytes and minutes, with room for a machine that is slower.
fn list(plan: &pipeline::Plan) {
    for (task, level) in plan.tasks.iter().zip(plan.levels()) {
        println!(
            "{level}\t{}\t{:.0}\t{:.0}",
            task.id,
            (1.2 * task.memory_bytes as f64 / 1e6).ceil(),
            (10.0 + task.seconds / 15.0).ceil()
        );
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else if seconds < 6000.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

pub(super) fn task(
    command: &Task,
    memory: usize,
    json: bool,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let done = pipeline::task(&command.plan, &command.id, memory, observer)?;
    if json {
        return print_json(&done);
    }
    if done.done_now {
        println!("{} done in {:.1} s", done.task, done.seconds);
    } else {
        println!("{} is up to date", done.task);
    }
    Ok(())
}

pub(super) fn verify(command: &Verify, json: bool, observer: &dyn Observer) -> Result<(), Error> {
    let all = pipeline::verify(&command.run, observer)?;
    let bad = all.iter().filter(|artefact| artefact.problem.is_some());
    let bad = bad.count();
    if json {
        print_json(&json!({"artefacts": all, "damaged": bad}))?;
    } else {
        for artefact in &all {
            if let Some(problem) = &artefact.problem {
                println!("✗ {} {problem} (made by {})", artefact.path, artefact.task);
            }
        }
        let bytes: u64 = all.iter().map(|artefact| artefact.bytes).sum();
        println!(
            "{} of {} artefacts ({:.2} GB) are as they were when they were finished",
            all.len() - bad,
            all.len(),
            bytes as f64 / 1e9
        );
    }
    if bad > 0 {
        return Err(Error::BadData {
            path: command.run.clone(),
            message: format!(
                "{bad} artefacts are damaged; `fluorspar run … --resume` makes them anew"
            ),
        });
    }
    Ok(())
}
