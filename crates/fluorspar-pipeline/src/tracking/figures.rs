//! Figures of cells across sessions, for a run's report and the page of
//! `fluorspar track`.

use fluorspar_report::figure;
use fluorspar_report::{Block, Section};
use ndarray::{Array2, Axis};

use crate::Error;
use crate::artefact::TrackTable;
use crate::error::Context;
use crate::figures::spread;

/// Cells that the presence figure shows at most: more are thinner than a line.
const MOST_CELLS: usize = 2000;

/// Which cell was seen when, and how many two sessions share.
pub(crate) fn same_cells(labels: &[String], tracks: &TrackTable) -> Result<Section, Error> {
    let section = Section::new("The same cells across sessions");
    let (cells, sessions) = tracks.roi_index.dim();
    if cells == 0 || sessions == 0 {
        return Ok(section.text("No cells were found."));
    }
    let shown = spread(cells, MOST_CELLS);
    let probability = Array2::from_shape_fn((shown.len(), sessions), |(row, session)| {
        let at = [shown[row], session];
        if tracks.roi_index[at] >= 0 {
            tracks.p_same[at].max(0.0)
        } else {
            -1.0
        }
    });
    let thinned = if shown.len() < cells {
        format!(" {} of {cells} are shown.", shown.len())
    } else {
        String::new()
    };
    let presence = figure::presence(probability.view(), labels)
        .at("report")?
        .titled("Cells (rows) by session")
        .captioned(format!(
            "Darker: surer that the ROI is the same cell. Cells seen most often come first.{thinned}"
        ));
    let shared = Array2::from_shape_fn((sessions, sessions), |(i, j)| {
        tracks
            .roi_index
            .axis_iter(Axis(0))
            .filter(|row| row[i] >= 0 && row[j] >= 0)
            .count() as f64
    });
    let most = shared.iter().copied().fold(1.0, f64::max);
    let counts = figure::matrix(shared.view(), labels, 0.0..most, ("session", "session"))
        .at("report")?
        .titled("Cells shared by two sessions");
    Ok(section.block(Block::Figures(vec![presence, counts])))
}
