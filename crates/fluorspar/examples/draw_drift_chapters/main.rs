//! Draws the pictures of the chapters on drift (`docs/drift*.md`): what a
//! metric gives where the truth is known.
//!
//! ```sh
//! cargo run --release -p fluorspar --example draw_drift_chapters -- docs
//! ```
//!
//! Everything is simulated here from fixed seeds, so the files come out the
//! same every time.

mod confounds;
mod correlations;
mod decoding;
mod geometry;
mod laws;
mod picture;
mod simulate;
mod single_cells;

use std::path::PathBuf;

/// Whatever goes wrong ends the program.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("give the folder to draw into")?
        .into();
    let pictures = [
        ("drift-pseudo", correlations::pseudo_crystallization()?),
        ("drift-trio", correlations::rates_or_tuning()?),
        ("drift-turnover", single_cells::turnover_without_drift()?),
        ("drift-sequence", single_cells::sequence_of_noise()?),
        ("drift-decoding", decoding::turned_axis()?),
        ("drift-selection", decoding::selection_on_noise()?),
        ("drift-axis", decoding::axes_without_drift()?),
        ("drift-cka", geometry::alignment_of_independent_data()?),
        ("drift-laws", laws::neighbours_over_practice()?),
        ("drift-wrong-matches", confounds::wrong_matches()?),
    ];
    for (name, svg) in pictures {
        std::fs::write(folder.join(name).with_extension("svg"), svg)?;
    }
    Ok(())
}
