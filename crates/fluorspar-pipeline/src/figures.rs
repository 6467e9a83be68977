//! The report of a run, drawn from its artefacts alone.

mod drift;
mod registration;

use std::path::{Path, PathBuf};

use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Report, Section, Table};
use ndarray::{Array2, Axis};

pub(crate) use self::drift::{Companions, crystallization};
use self::drift::{Tables, drift_lead, drift_sections};
pub(crate) use self::registration::{registration_report, volume_report};
use crate::Error;
use crate::artefact::{MotionTable, RoiTraces, Rois, TrackTable};
use crate::config::ExperimentConfig;
use crate::error::Context;
use crate::tracking::{Session, cell_by_cell, same_cells};

/// Sessions shown with pictures; the table shows all.
pub(crate) const MOST_PICTURES: usize = 6;
/// Traces shown per session.
const MOST_TRACES: usize = 8;

/// Draws `report.html` of a finished run.
pub(crate) fn run_report(
    config: &ExperimentConfig,
    folders: &[PathBuf],
    out: &Path,
) -> Result<String, Error> {
    let mut sessions = Vec::new();
    for folder in folders {
        sessions.push((
            MotionTable::read(&folder.join("motion.zarr"))?,
            Rois::read(&folder.join("rois.zarr"))?,
        ));
    }
    let tracks = TrackTable::read(&out.join("tracks.zarr"))?;
    let days: Vec<f64> = config.sessions.iter().map(|session| session.day).collect();
    let tables = Tables::read(&out.join("drift"))?;

    let mut report = Report::new(format!("{}: from movie to drift", config.experiment.name));
    for text in lead(&days, &sessions, &tracks, tables.as_ref()) {
        report = report.lead(text);
    }
    if let Some(tables) = &tables {
        for section in drift_sections(tables, &days)? {
            report = report.section(section);
        }
    }
    report = report
        .section(session_table(&days, &sessions))
        .section(pictures(&days, &sessions)?)
        .section(motion(&days, &sessions)?)
        .section(followed(&days, folders, &sessions, &tracks)?)
        .section(activity(&days, folders, &sessions)?);
    Ok(report
        .colophon(format!(
            "fluorspar {} · seed {} · every number on this page is in the CSV and Zarr files beside it",
            env!("CARGO_PKG_VERSION"),
            config.experiment.seed
        ))
        .render())
}

/// Draws the report of a drift analysis without movies.
pub(crate) fn drift_report(name: &str, folder: &Path, days: &[f64]) -> Result<String, Error> {
    let Some(tables) = Tables::read(folder)? else {
        return Err(Error::bad_data(folder, "holds no metrics.csv"));
    };
    let mut report = Report::new(format!("{name}: representational drift"));
    for text in drift_lead(&tables) {
        report = report.lead(text);
    }
    for section in drift_sections(&tables, days)? {
        report = report.section(section);
    }
    Ok(report
        .colophon(format!("fluorspar {}", env!("CARGO_PKG_VERSION")))
        .render())
}

fn day_labels(days: &[f64]) -> Vec<String> {
    days.iter().map(|day| format!("d{day}")).collect()
}

fn lead(
    days: &[f64],
    sessions: &[(MotionTable, Rois)],
    tracks: &TrackTable,
    tables: Option<&Tables>,
) -> Vec<String> {
    let rois: usize = sessions.iter().map(|(_, rois)| rois.cells().len()).sum();
    let seen_twice = tracks.matched_cells();
    let span = days.last().copied().unwrap_or(0.0) - days.first().copied().unwrap_or(0.0);
    let mut out = vec![format!(
        "{} sessions over {span} days gave {rois} ROIs that count as cells, which are {} cells; {seen_twice} of them were seen \
         in at least two sessions.",
        sessions.len(),
        tracks.roi_index.nrows(),
    )];
    let alone: Vec<String> = tracks
        .unaligned()
        .into_iter()
        .filter_map(|session| days.get(session))
        .map(ToString::to_string)
        .collect();
    if !alone.is_empty() {
        out.push(format!(
            "Sessions that could not be aligned to the others, so that their cells stand alone: \
             day {}.",
            alone.join(", ")
        ));
    }
    match tables {
        Some(tables) => out.extend(drift_lead(tables)),
        None => {
            out.push("No trials tables were given, so nothing is said about drift here.".into());
        }
    }
    out
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn session_table(days: &[f64], sessions: &[(MotionTable, Rois)]) -> Section {
    let header = [
        "day",
        "frames",
        "frame rate (Hz)",
        "cells",
        "median SNR",
        "median shift (px)",
        "largest shift (px)",
        "untrusted frames",
    ]
    .map(str::to_owned)
    .to_vec();
    let rows = days
        .iter()
        .zip(sessions)
        .map(|(day, (motion, rois))| {
            let mut sizes: Vec<f64> = motion
                .dy
                .iter()
                .zip(&motion.dx)
                .map(|(&dy, &dx)| f64::from(dy).hypot(f64::from(dx)))
                .collect();
            let snr = rois.snr();
            let cells = rois.cells();
            let mut snr: Vec<f64> = cells.iter().map(|&roi| f64::from(snr[roi])).collect();
            let largest = sizes.iter().copied().fold(0.0, f64::max);
            vec![
                format!("{day}"),
                motion.dy.len().to_string(),
                format!("{:.2}", rois.frame_rate),
                rois.cells().len().to_string(),
                format!("{:.1}", median(&mut snr)),
                format!("{:.2}", median(&mut sizes)),
                format!("{largest:.2}"),
                motion.untrusted.iter().filter(|&&u| u).count().to_string(),
            ]
        })
        .collect();
    Section::new("Sessions").block(Block::Table(Table { header, rows }))
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn shown(days: &[f64]) -> Vec<usize> {
    spread(days.len(), MOST_PICTURES)
}

/// At most `most` of `n`, the first and the last among them.
pub(crate) fn spread(n: usize, most: usize) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    (0..most).map(|k| k * (n - 1) / (most - 1)).collect()
}

/// The outlines of one plane's ROIs and how probably each is a cell; given
/// footprints are.
pub(crate) fn outlines(rois: &Rois, plane: u32) -> Vec<(Vec<figure::Segment>, f32)> {
    let probability = rois.quality.get("probability").unwrap_or_default();
    let all = &rois.footprints;
    (0..all.len())
        .filter(|&roi| all.planes()[roi] == plane)
        .map(|roi| {
            let likely = probability.get(roi).copied().unwrap_or(1.0);
            let given = rois.is_cell[roi] && likely < 0.5;
            let segments = figure::outline(all.get(roi).indices, all.width());
            (segments, if given { 1.0 } else { likely })
        })
        .collect()
}

/// The same cells across sessions, as a whole and one by one.
fn followed(
    days: &[f64],
    folders: &[PathBuf],
    sessions: &[(MotionTable, Rois)],
    tracks: &TrackTable,
) -> Result<Section, Error> {
    let section = same_cells(&day_labels(days), tracks)?;
    let names: Vec<String> = days.iter().map(|day| format!("day {day}")).collect();
    // All ROIs, numbered as the tracks number them: those that do not count as
    // cells tell why a cell may be missing.
    let all: Vec<Session> = folders
        .iter()
        .zip(sessions)
        .map(|(folder, (motion, rois))| {
            let image = motion.mean_image.clone();
            Session::new(folder, rois.footprints.clone()).with_mean_image(image)
        })
        .collect();
    let mut blocks = cell_by_cell(&names, &all, tracks)?;
    if !blocks.is_empty() {
        let words = "Outlined are all ROIs of a session, those too that do not count as cells and \
                     were not followed.";
        blocks.insert(1, Block::Paragraph(words.into()));
    }
    Ok(blocks.into_iter().fold(section, Section::block))
}

fn pictures(days: &[f64], sessions: &[(MotionTable, Rois)]) -> Result<Section, Error> {
    let mut figures = Vec::new();
    for index in shown(days) {
        let (motion, rois) = &sessions[index];
        let planes = motion.mean_image.len_of(Axis(0));
        // The one in the middle stands for all.
        let plane = planes / 2;
        let outlines = outlines(rois, plane as u32);
        let on_plane = |&roi: &usize| rois.footprints.planes()[roi] == plane as u32;
        let cells = rois.cells().iter().filter(|&roi| on_plane(roi)).count();
        let all = (0..rois.footprints.len()).filter(on_plane).count();
        let of = if planes > 1 {
            format!(", plane {plane} of {planes} (from 0)")
        } else {
            String::new()
        };
        let image = motion.mean_image.index_axis(Axis(0), plane);
        figures.push(
            figure::image_of_probabilities(image, &outlines)
                .at("report")?
                .titled(format!(
                    "Day {}{of} · {cells} cells, {} other ROIs",
                    days[index],
                    all - cells
                )),
        );
    }
    Ok(Section::new("Cells")
        .text(
            "Mean of the motion-corrected frames of each session, with the outline of every ROI that \
             was found from its activity, from green (surely a cell in focus) to red (surely not). \
             Those above one half count as cells. A cell that was silent in a session has no outline \
             there.",
        )
        .block(Block::Figures(figures)))
}

fn motion(days: &[f64], sessions: &[(MotionTable, Rois)]) -> Result<Section, Error> {
    let mut figures = Vec::new();
    for index in shown(days) {
        let (motion, rois) = &sessions[index];
        let frames = motion.dy.len();
        let stretch = frames.div_ceil(600).max(1);
        let picked: Vec<usize> = (0..frames).step_by(stretch).collect();
        let time = |frame: &usize| *frame as f64 / rois.frame_rate;
        let curves = [("along y", &motion.dy), ("along x", &motion.dx)].map(|(name, shift)| {
            Curve::new(
                name,
                picked.iter().map(time).collect(),
                picked.iter().map(|&f| f64::from(shift[f])).collect(),
            )
            .without_points()
        });
        let plot = CurvesPlot {
            x_label: "time (s)",
            y_label: "shift (px)",
            size: (500, 220),
            ..CurvesPlot::default()
        };
        figures.push(
            figure::curves(&plot, &curves)
                .at("report")?
                .titled(format!("Day {}", days[index])),
        );
    }
    Ok(Section::new("Motion")
        .text("How far each frame was shifted to lie on its session's reference.")
        .block(Block::Figures(figures)))
}

fn activity(
    days: &[f64],
    folders: &[PathBuf],
    sessions: &[(MotionTable, Rois)],
) -> Result<Section, Error> {
    let mut figures = Vec::new();
    for index in shown(days) {
        let (_, rois) = &sessions[index];
        let mut order = rois.cells();
        order.sort_by(|&a, &b| rois.snr()[b].total_cmp(&rois.snr()[a]).then(a.cmp(&b)));
        // The best, and every so many below it, so that weak cells are seen too.
        let step = order.len().div_ceil(MOST_TRACES).max(1);
        let picked: Vec<usize> = order.into_iter().step_by(step).collect();
        if picked.is_empty() {
            continue;
        }
        let frames = ((120.0 * rois.frame_rate) as usize).clamp(2, rois.frames.max(2));
        if rois.frames < frames {
            continue;
        }
        let stored = RoiTraces::open(&folders[index].join("rois.zarr"))?;
        let part = |name: &str| -> Result<Array2<f32>, Error> {
            let rows = stored.pick(name, &picked)?;
            Ok(rows.view().split_at(Axis(1), frames).0.to_owned())
        };
        let names: Vec<String> = picked.iter().map(|roi| format!("ROI {roi}")).collect();
        figures.push(
            figure::traces(
                part("dff")?.view(),
                Some(part("events")?.view()),
                rois.frame_rate,
                &names,
            )
            .at("report")?
            .titled(format!("Day {}", days[index])),
        );
    }
    Ok(Section::new("Activity")
        .text(
            "ΔF/F of cells from the highest to the lowest signal-to-noise ratio, each scaled to its own \
             range; ticks mark the larger half of the deconvolved events. The first two minutes.",
        )
        .block(Block::Figures(figures)))
}
