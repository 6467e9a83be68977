//! `write_traces OUT [CELLS SESSIONS TRIALS RATE_HZ SEED]`: an experiment of
//! simulated traces, at the size of light-beads recordings unless it is said
//! (73,307 cells in 30 planes, 14 sessions of 60 trials at 4 Hz). Then
//!
//! ```text
//! fluorspar track OUT/session-*/rois.zarr OUT/tracks --compare OUT/identities.csv
//! fluorspar drift OUT/experiment.toml OUT/drift
//! ```
//!
//! follow its cells and analyse their code; `OUT/truth.json` says what comes out.

mod experiment;

use std::error::Error;
use std::path::PathBuf;

use experiment::{Size, write};

const USAGE: &str = "usage: write_traces OUT [CELLS SESSIONS TRIALS RATE_HZ SEED]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().ok_or(USAGE)?);
    let mut number = |usual: f64| match arguments.next() {
        Some(text) => text.parse::<f64>().map_err(|_| USAGE),
        None => Ok(usual),
    };
    let size = Size {
        cells: number(73_307.0)? as usize,
        sessions: number(14.0)? as usize,
        trials: number(60.0)? as usize,
        frame_rate: number(4.0)?,
        seed: number(1.0)? as u64,
    };
    write(&out, &size)
}
