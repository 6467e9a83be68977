use fluorspar_pipeline as pipeline;
use fluorspar_pipeline::{Error, Observer};

use super::{inputs_and_output, print_json};
use crate::arguments::Drift;

pub(super) fn drift(
    command: &Drift,
    memory: usize,
    json: bool,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let epochs = match &command.epochs {
        Some(path) => Some(pipeline::read_epochs(path)?),
        None => None,
    };
    let options = pipeline::DriftOptions {
        epochs,
        variables: command.variables.clone(),
        activity: command.activity.clone(),
        inclusion: command.inclusion.clone(),
        group: command.group.clone(),
        min_p_same: command.min_p_same,
        bootstrap: command.bootstrap.map(|n| n as usize),
        permutations: command.permutations.map(|n| n as usize),
        seed: command.seed,
        plant: command.plant.map(|n| n as usize),
        tables: command.format.clone(),
        memory: Some(memory),
    };
    let (inputs, out) = inputs_and_output(&command.paths)?;
    if let [input] = inputs {
        let done = pipeline::drift(input, out, &options, observer)?;
        if json {
            return print_json(&done);
        }
        print_analysed(&done);
        return Ok(());
    }
    let (animals, study) = pipeline::drift_study(inputs, out, &options, observer)?;
    if json {
        return print_json(&animals);
    }
    for (animal, input) in animals.iter().zip(inputs) {
        println!("{}", input.display());
        print_analysed(animal);
    }
    println!("{}", study.display());
    Ok(())
}

fn print_analysed(done: &pipeline::DriftSummary) {
    for (number, session) in done.sessions.iter().enumerate() {
        let unseen = session.cells - session.present;
        let unseen = match unseen {
            0 => String::new(),
            _ => format!(" ({unseen} of them not visible)"),
        };
        println!(
            "session {:<3} day {:<6} {} trials, {} cells{unseen}",
            number + 1,
            session.day,
            session.trials,
            session.cells
        );
    }
    println!("epochs      {}", done.epochs.join(", "));
    println!("variables   {}", done.variables.join(", "));
    println!("time        {:.1} s", done.seconds);
    for path in done.tables.iter().chain([&done.report]) {
        println!("{}", path.display());
    }
}
