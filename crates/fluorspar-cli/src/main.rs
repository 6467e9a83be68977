//! The program `fluorspar`: from raw calcium movies to a drift report.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user: results on stdout, all else on stderr"
)]

mod arguments;
mod commands;
mod progress;
mod stop;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

/// Gives memory back to the system: what a task has freed must not count
/// against the budget of the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (json, log) = (arguments.json, arguments.log);
    match commands::execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                let value = serde_json::json!({
                    "error": error.to_string(),
                    "exit_code": error.exit_code(),
                });
                println!("{value}");
            }
            progress::failure(log, &error);
            ExitCode::from(error.exit_code())
        }
    }
}
