use fluorspar_pipeline as pipeline;
use fluorspar_pipeline::{Error, Observer};

use super::{inputs_and_output, print_json};
use crate::arguments::Track;

pub(super) fn track(command: &Track, json: bool, observer: &dyn Observer) -> Result<(), Error> {
    let (inputs, output) = inputs_and_output(&command.paths)?;
    let options = pipeline::TrackOptions {
        parameters: pipeline::TrackParameters {
            max_distance: command.max_distance,
            reference: command.reference,
            max_rotation: command.max_rotation,
            max_shift_fraction: command.max_shift,
            bend: !command.rigid,
            plane_tolerance: command.planes_apart,
            max_plane_offset: command.max_plane_offset,
            target_precision: command.precision,
        },
        pixel_size_um: command.pixel_size.clone(),
        all_rois: command.all_rois,
        transfer: command.transfer,
        identities: command.identities.clone(),
        compare: command.compare.clone(),
    };
    let done = pipeline::track(inputs, output, &options, observer)?;
    if json {
        return print_json(&done);
    }
    print_tracked(&done);
    Ok(())
}

fn print_tracked(done: &pipeline::Tracked) {
    for warning in &done.warnings {
        println!("{warning}.");
    }
    if done.sessions.len() == 1 {
        println!(
            "{} cells in one session: there is nothing to follow.",
            done.cells
        );
    } else {
        println!(
            "{} cells in {} sessions; {} seen in two sessions or more, {} in all.",
            done.cells,
            done.sessions.len(),
            done.matched_cells,
            done.cells_in_all
        );
    }
    if let Some(path) = &done.identities {
        println!("Which ROI is which cell is taken from {}.", path.display());
    } else if done.matched_cells > 0 {
        println!(
            "{:.1} % of the joined pairs are expected to be right.",
            100.0 * done.expected_precision
        );
    }
    if let Some(agreement) = &done.agreement {
        println!(
            "Pairs joined by both results: {}; only by this one: {}; only by the other: {}. \
             Identical cells: {}.",
            agreement.both, agreement.only_ours, agreement.only_theirs, agreement.identical
        );
        if agreement.left_out > 0 {
            println!(
                "The other joins {} pairs of ROIs that were left out here (--all-rois takes them in).",
                agreement.left_out
            );
        }
    }
    println!("{}", done.tracks.display());
    println!("{}", done.report.display());
}
