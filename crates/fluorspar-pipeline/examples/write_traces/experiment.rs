//! An experiment of simulated traces: the files that tracking and drift begin with.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use fluorspar_simulate::{Epoch, Events, FieldSession, Fields, FieldsPlan, Plan};
use fluorspar_zarr::GroupWriter;
use ndarray::{Array2, aview1};
use serde_json::json;

/// How much to simulate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Cells in the field of a session; four in five are found.
    pub(crate) cells: usize,
    /// Recording days. The late-delay code changes in the first half of the steps.
    pub(crate) sessions: usize,
    /// Trials of a session.
    pub(crate) trials: usize,
    /// Frames per second (Hz).
    pub(crate) frame_rate: f64,
    pub(crate) seed: u64,
}

/// Epochs of the task that the analysis is asked about.
const EPOCHS: [Epoch; 3] = [Epoch::Odour1, Epoch::EarlyDelay, Epoch::LateDelay];
/// Pixels of a plane for each of its cells.
const PIXELS: usize = 200;
/// Correlation of the late-delay code over one drifting step.
const STEP: f64 = 0.8;
/// Traces that are drawn and written at a time.
const PANEL_BYTES: usize = 32 << 20;

/// Writes `session-NN/rois.zarr` with footprints, mean image and events,
/// `session-NN/trials.csv`, `experiment.toml`, and what was planted: codes in
/// `truth.json`, which ROI is which cell in `identities.csv`.
pub(crate) fn write(out: &Path, size: &Size) -> Result<(), Box<dyn Error>> {
    let fields = Fields::build(&space(size))?;
    let cells = fields.centres.len();
    // What is no cell has activity too, and nobody's code.
    let is_none = |session: &FieldSession| session.cell.iter().filter(|&&c| c < 0).count();
    let none = fields.sessions.iter().map(is_none).max().unwrap_or(0);
    let events = Events::build(&activity(size, cells + none))?;
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("experiment.toml"), config(size))?;
    std::fs::write(out.join("truth.json"), truth(&events))?;
    let mut identities = String::from("cell,session,roi\n");
    for (index, session) in fields.sessions.into_iter().enumerate() {
        for (roi, cell) in session.cell.iter().enumerate().filter(|(_, c)| **c >= 0) {
            writeln!(identities, "{cell},{index},{roi}")?;
        }
        let folder = out.join(format!("session-{:02}", index + 1));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("trials.csv"), events.trials_csv(index))?;
        let mut other = cells..;
        let shown = session
            .cell
            .iter()
            .map(|&cell| match usize::try_from(cell) {
                Ok(cell) => Some(cell),
                Err(_) => other.next(),
            });
        let shown: Vec<usize> = shown.flatten().collect();
        let panel = (PANEL_BYTES / (4 * events.plan().frames())).max(1);
        let traces = shown.chunks(panel).map(|some| events.of(index, some));
        rois(&folder.join("rois.zarr"), &session, size.frame_rate, traces)?;
    }
    std::fs::write(out.join("identities.csv"), identities)?;
    Ok(())
}

/// The tissue: up to thirty planes, as light-beads microscopes record them.
fn space(size: &Size) -> FieldsPlan {
    let planes = (size.cells / 400).clamp(1, 30);
    let side = ((size.cells * PIXELS / planes) as f64).sqrt().ceil() as usize;
    FieldsPlan {
        sessions: size.sessions,
        cells: size.cells,
        planes,
        height: side.max(128),
        width: side.max(128),
        seed: size.seed,
        ..FieldsPlan::default()
    }
}

fn activity(size: &Size, cells: usize) -> Plan {
    let mut plan = Plan {
        sessions: size.sessions,
        trials: size.trials,
        cells,
        frame_rate: size.frame_rate,
        seed: size.seed,
        ..Plan::default()
    };
    plan.code.drifting_steps = size.sessions / 2;
    plan.code.step_correlation = STEP;
    // Similarity weighs cells by their trial noise. Where that is mostly of
    // spontaneous activity, coding cells count as others do, and what is
    // measured is what is planted.
    plan.activity.baseline_hz = 0.6;
    plan.activity.reliability = 1.0;
    plan.activity.spikes_per_response = 1.0;
    plan
}

fn config(size: &Size) -> String {
    let mut text = format!(
        "[experiment]\nname = \"traces\"\nseed = {}\ntracks = \"tracks/tracks.zarr\"\n\n\
         [drift]\nvariables = [\"odour1\"]\n\n[trials]\nbin_s = 0.5\n\n[epochs]\n",
        size.seed
    );
    for epoch in EPOCHS {
        let (start, stop) = epoch.window_s();
        let _ = writeln!(text, "{} = [{start:?}, {stop:?}]", epoch.name());
    }
    for number in 1..=size.sessions {
        let _ = write!(
            text,
            "\n[[session]]\nday = {number}\nrois = \"session-{number:02}/rois.zarr\"\n\
             trials = \"session-{number:02}/trials.csv\"\n"
        );
    }
    text
}

fn truth(events: &Events) -> String {
    let rows = |epoch: Epoch| {
        let all = events.expected_correlation(epoch);
        let rows = all.outer_iter().map(|row| row.to_vec());
        rows.collect::<Vec<_>>()
    };
    let expected: serde_json::Map<String, _> = EPOCHS
        .iter()
        .map(|&epoch| (epoch.name().to_owned(), json!(rows(epoch))))
        .collect();
    let steps = events.plan().code.drifting_steps;
    json!({"drifting_steps": steps, "expected_correlation": expected}).to_string()
}

fn rois(
    path: &Path,
    session: &FieldSession,
    frame_rate: f64,
    traces: impl Iterator<Item = Array2<f32>>,
) -> Result<(), Box<dyn Error>> {
    let all = &session.footprints;
    let mut group = GroupWriter::create(path)?;
    let mut events = None;
    for panel in traces {
        if events.is_none() {
            let shape = [all.len(), panel.ncols()];
            events = Some(group.begin_rows("events", &shape, &["roi", "frame"])?);
        }
        if let Some(events) = &mut events {
            events.write(&panel)?;
        }
    }
    if let Some(events) = events {
        group.end(events)?;
    }
    group.array("indptr", &aview1(all.indptr()), &["roi_boundary"])?;
    group.array("indices", &aview1(all.indices()), &["entry"])?;
    group.array("weights", &aview1(all.weights()), &["entry"])?;
    group.array("plane", &aview1(all.planes()), &["roi"])?;
    group.array("is_cell", &aview1(&vec![1_u8; all.len()]), &["roi"])?;
    if let Some(image) = &session.mean_image {
        group.array("mean_image", image, &["plane", "y", "x"])?;
    }
    for (key, value) in [
        ("height", json!(all.height())),
        ("width", json!(all.width())),
        ("frame_rate", json!(frame_rate)),
    ] {
        group.attribute(key, value)?;
    }
    group.finish()?;
    Ok(())
}
