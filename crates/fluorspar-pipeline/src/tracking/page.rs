//! The page of `fluorspar track`.

use std::fmt::Write as _;
use std::path::Path;

use fluorspar_report::figure;
use fluorspar_report::{Block, Report, Section, Table};
use fluorspar_track::{Fit, Tracks};
use ndarray::Array2;

use super::overlay::overlays;
use super::reliability::how_sure;
use super::tables::moved;
use super::{AgreementTotals, Session, cell_by_cell, same_cells, warnings};
use crate::Error;
use crate::artefact::{TrackTable, verdict_word};
use crate::error::Context;

/// Session pairs that the table of fits lists; `fits.csv` has all.
const MOST_FITS: usize = 100;

/// Draws the page; `identities` is the file they were taken from, if they were
/// not found here.
pub(super) fn page(
    tracks: &Tracks,
    sessions: &[Session],
    agreement: Option<AgreementTotals>,
    identities: Option<&Path>,
) -> Result<String, Error> {
    let table = TrackTable::of(tracks);
    let labels: Vec<String> = (0..sessions.len()).map(|k| k.to_string()).collect();
    let mut report =
        Report::new("The same cells across sessions").lead(lead(tracks, &table, identities));
    for warning in warnings(tracks, sessions) {
        report = report.lead(format!("{warning}."));
    }
    report = report.section(alignments(tracks, sessions));
    if !tracks.fits.is_empty() {
        report = report.section(fits(tracks, &labels)?);
    }
    report = report.section(
        Section::new("How they lie on each other")
            .text(
                "ROIs of several sessions, each where its alignment puts it in the reference \
                 session. Where sessions are aligned, outlines of one cell lie on each other; \
                 outlines that are displaced all the same way tell of a wrong alignment.",
            )
            .block(Block::Figures(overlays(tracks, sessions)?)),
    );
    report = report.section(same_cells(&labels, &table)?);
    let names: Vec<String> = labels.iter().map(|k| format!("session {k}")).collect();
    let blocks = cell_by_cell(&names, sessions, &table)?;
    if !blocks.is_empty() {
        let section = Section::new("Cell by cell");
        report = report.section(blocks.into_iter().fold(section, Section::block));
    }
    report = report.section(how_sure(tracks, sessions)?);
    if let Some(totals) = agreement {
        report = report.section(agreed(totals));
    }
    Ok(report
        .colophon(format!(
            "fluorspar {} · cells, sessions and ROIs are counted from 0 · every number on this \
             page is in the CSV and Zarr files beside it",
            env!("CARGO_PKG_VERSION")
        ))
        .render())
}

/// What a hurried reader must know.
fn lead(tracks: &Tracks, table: &TrackTable, identities: Option<&Path>) -> String {
    let (cells, sessions) = table.roi_index.dim();
    let twice = table.matched_cells();
    let rows = table.roi_index.rows().into_iter();
    let always = rows.filter(|row| row.iter().all(|&roi| roi >= 0)).count();
    let aligned = tracks.alignments.iter().filter(|a| a.verdict.is_aligned());
    let (aligned, plural) = (aligned.count(), if sessions == 1 { "" } else { "s" });
    let mut out = format!("{cells} cells were found in {sessions} session{plural}");
    // Writing to a String does not fail.
    if sessions > 1 && aligned < 2 {
        out += ", no two of which could be aligned";
    } else if sessions > 1 {
        let _ = write!(
            out,
            ", {aligned} of which could be aligned. {twice} cells were seen in at least two \
             sessions, {always} in all"
        );
    }
    if let Some(path) = identities {
        let _ = write!(
            out,
            ". Which ROI is which cell is taken from {}",
            path.display()
        );
    } else if twice > 0 {
        let _ = write!(
            out,
            ". {:.0} % of the pairs of ROIs that were joined are expected to be right",
            100.0 * tracks.expected_precision
        );
    }
    out + "."
}

fn alignments(tracks: &Tracks, sessions: &[Session]) -> Section {
    let header = [
        "session",
        "file",
        "ROIs",
        "verdict",
        "through",
        "significance",
        "shift (px)",
        "rotation (°)",
        "scale",
        "bend (px)",
        "planes",
    ];
    let told = tracks.alignments.iter().zip(sessions).enumerate();
    let rows = told.map(|(k, (alignment, session))| {
        let moved = moved(alignment);
        let mut verdict = verdict_word(alignment.verdict).to_owned();
        if k == tracks.reference {
            verdict = "reference".into();
        }
        vec![
            k.to_string(),
            session.path.display().to_string(),
            session.numbers.len().to_string(),
            verdict,
            alignment
                .through
                .map_or_else(|| "–".into(), |s| s.to_string()),
            if alignment.significance.is_finite() {
                format!("{:.1}", alignment.significance)
            } else {
                "–".into()
            },
            format!("{:+.1}, {:+.1}", moved.dy, moved.dx),
            format!("{:+.2}", moved.rotation),
            format!("{:.3}", moved.scale),
            format!("{:.2}", moved.bend),
            format!("{:+}", alignment.transform.plane_offset),
        ]
    });
    Section::new("Alignment")
        .text(
            "Where each session's field lies on the reference session's: shift along y and x of \
             the field's centre, rotation, stretch, and the root mean square of what is bent \
             beside that. Significance is the height of the match above wrong ones, in standard \
             deviations. Cells of sessions that are neither aligned nor the reference stand alone.",
        )
        .block(Block::Table(Table {
            header: header.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }))
}

/// A share that each pair of sessions has: what it is, and where.
type Share = (&'static str, fn(&Fit) -> f64);

fn fits(tracks: &Tracks, labels: &[String]) -> Result<Section, Error> {
    let matrix = |pick: fn(&Fit) -> f64| {
        let mut values = Array2::from_elem((labels.len(), labels.len()), f64::NAN);
        for fit in &tracks.fits {
            let (a, b) = fit.sessions;
            for at in [[a, b], [b, a]] {
                if let Some(value) = values.get_mut(at) {
                    *value = pick(fit);
                }
            }
        }
        values
    };
    let mut figures = Vec::new();
    let shares: [Share; 2] = [
        ("Share of the ROIs that have a match", |fit| {
            fit.matched_share
        }),
        ("Share of the field where the alignment holds", |fit| {
            fit.aligned_share
        }),
    ];
    for (title, pick) in shares {
        let figure = figure::matrix(
            matrix(pick).view(),
            labels,
            0.0..1.0,
            ("session", "session"),
        );
        figures.push(figure.at("report")?.titled(title));
    }
    let header = [
        "sessions",
        "common field",
        "expected matches",
        "matched",
        "aligned",
        "expected wrong",
        "wrong in displaced copies",
        "distance (px)",
    ];
    let row = |fit: &Fit| {
        vec![
            format!("{}, {}", fit.sessions.0, fit.sessions.1),
            format!("{:.0} %", 100.0 * fit.overlap),
            format!("{:.0}", fit.expected_matches),
            format!("{:.0} %", 100.0 * fit.matched_share),
            format!("{:.0} %", 100.0 * fit.aligned_share),
            format!("{:.1}", fit.expected_false),
            format!("{:.1}", fit.false_by_chance),
            format!("{:.2}", fit.median_distance),
        ]
    };
    let listed = tracks.fits.len().min(MOST_FITS);
    let mut section = Section::new("How well two sessions fit").text(
        "Share of the ROIs in the common field that have a match in the other session, and the share \
         of the field in which the two lie on each other. How many matches are wrong is told \
         twice: from the probabilities, and from displacing the ROIs that have no match by several \
         cells and matching them again.",
    );
    if listed < tracks.fits.len() {
        let all = tracks.fits.len();
        section = section.text(format!(
            "The first {listed} of {all} pairs; fits.csv has all."
        ));
    }
    Ok(section
        .block(Block::Figures(figures))
        .block(Block::Table(Table {
            header: header.map(str::to_owned).to_vec(),
            rows: tracks.fits.iter().take(listed).map(row).collect(),
        })))
}

fn agreed(totals: AgreementTotals) -> Section {
    let mut rows = vec![
        ("pairs joined by both", totals.both),
        ("pairs joined only here", totals.only_ours),
        ("pairs joined only there", totals.only_theirs),
        (
            "pairs joined there of ROIs that were left out here",
            totals.left_out,
        ),
        ("cells of the same ROIs", totals.identical),
        ("cells here that are several there", totals.split),
        (
            "cells here that are parts of larger ones there",
            totals.merged,
        ),
        (
            "cells here that are not joined there",
            totals.cells_only_ours,
        ),
        (
            "cells there that are not joined here",
            totals.cells_only_theirs,
        ),
    ];
    rows.retain(|&(name, count)| count > 0 || !name.contains("left out"));
    let row = |(name, count): (&str, usize)| vec![name.to_owned(), count.to_string()];
    Section::new("Beside the other result")
        .text(
            "Pairs of ROIs, and cells of at least two ROIs, here and in the result that was given \
             to compare with. agreement.csv and agreement-cells.csv list them.",
        )
        .block(Block::Table(Table {
            header: vec!["what".into(), "count".into()],
            rows: rows.into_iter().map(row).collect(),
        }))
}

#[cfg(test)]
mod tests {
    use super::super::follow;
    use super::*;
    use fluorspar_movie::Footprints;
    use fluorspar_track::{Parameters, Verdict};

    #[test]
    fn sessions_that_cannot_be_aligned_come_first() {
        let mut footprints = Footprints::new(8, 8);
        footprints.push(&[9, 10], &[1.0; 2], 0).unwrap();
        let session = |name: &str| Session::new(Path::new(name), footprints.clone());
        let sessions = [session("a"), session("<b>"), session("c")];
        let mut tracks = follow(&sessions, &Parameters::default()).unwrap();
        for alignment in &mut tracks.alignments {
            alignment.verdict = Verdict::Aligned;
        }
        tracks.alignments[0].verdict = Verdict::Mirrored;
        tracks.fits = vec![Fit {
            sessions: (1, 2),
            overlap: 1.0,
            expected_matches: 1.0,
            matched_share: 1.0,
            median_distance: f64::NAN,
            aligned_share: 1.0,
            expected_false: 0.0,
            false_by_chance: 0.0,
        }];
        let html = page(&tracks, &sessions, None, None).unwrap();
        assert!(html.contains("2 of which could be aligned"));
        assert!(html.contains("only as a mirror image"));
        assert!(html.contains("How well two sessions fit") && html.contains("&lt;b&gt;"));
        tracks.alignments[2].verdict = Verdict::Unaligned;
        let html = page(
            &tracks,
            &sessions,
            Some(AgreementTotals::default()),
            Some(Path::new("x.csv")),
        )
        .unwrap();
        assert!(html.contains("no two of which could be aligned"));
        assert!(html.contains("Beside the other result") && html.contains("taken from x.csv"));
    }
}
