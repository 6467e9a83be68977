//! Prints the methods section of an experiment.
//!
//! ```sh
//! cargo run --release -p fluorspar-pipeline --example write_methods -- experiment.toml
//! ```

#![allow(clippy::print_stdout, reason = "a tool for the command line")]

use std::path::PathBuf;

use fluorspar_pipeline::{Error, ExperimentConfig, methods};

fn main() -> Result<(), Error> {
    let Some(path) = std::env::args_os().nth(1) else {
        return Err(Error::Usage("give an experiment.toml".into()));
    };
    let config = ExperimentConfig::read(&PathBuf::from(path))?;
    print!("{}", methods(&config, env!("CARGO_PKG_VERSION")));
    Ok(())
}
