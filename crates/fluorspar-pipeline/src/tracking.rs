//! The same cells in several sessions, followed on their own.

mod agreement;
mod browser;
mod figures;
mod foreign;
pub(crate) mod input;
mod overlay;
mod page;
mod reliability;
mod session;
pub(crate) mod suite2p;
mod tables;

use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_track::{Parameters, Tracks, Transferred, transfer};
use serde::Serialize;

pub use agreement::{Agreement, AgreementTotals, CellAgreement, PairAgreement, compare_identities};
pub(crate) use browser::cell_by_cell;
pub(crate) use figures::same_cells;
pub use foreign::{Counted, Identities, read_identities};
pub(crate) use session::{Session, follow, number_among_all, warnings};

use crate::artefact::{TrackTable, verdict_word};
use crate::error::Context;
use crate::{Error, Observer, disk};

/// How to follow cells through sessions.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TrackOptions {
    /// How to align and to match. Lengths are in pixels of the reference session.
    pub parameters: Parameters,
    /// Side of a pixel in µm: none if it is the same in all sessions, else one
    /// for all or one for each.
    pub pixel_size_um: Vec<f64>,
    /// Follow ROIs that do not count as cells too.
    pub all_rois: bool,
    /// Write footprints of cells where they were not detected.
    pub transfer: bool,
    /// Take identities from this file, as [`read_identities`] reads it, rather
    /// than match; all its pairs count as certain.
    pub identities: Option<PathBuf>,
    /// Compare with the identities in this file.
    pub compare: Option<PathBuf>,
}

/// What was followed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tracked {
    /// Which ROI is which cell, and how sure that is.
    pub tracks: PathBuf,
    /// Tables beside it, and footprints of undetected cells.
    pub tables: Vec<PathBuf>,
    /// The page with pictures.
    pub report: PathBuf,
    /// The sessions, in the order given.
    pub sessions: Vec<TrackedSession>,
    /// The session that others were aligned to, counted from 0.
    pub reference: usize,
    /// Sessions that were aligned, the reference session included.
    pub aligned: usize,
    /// Cells in all.
    pub cells: usize,
    /// Cells seen in at least two sessions.
    pub matched_cells: usize,
    /// Cells seen in all sessions.
    pub cells_in_all: usize,
    /// Share of joined pairs that are right, as the probabilities say.
    pub expected_precision: f64,
    /// Entries less probable than this were cut off their cells.
    pub min_p_same: f64,
    /// The file that identities were taken from, if they were not found here.
    pub identities: Option<PathBuf>,
    /// How far the other result agrees, if one was given.
    pub agreement: Option<AgreementTotals>,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// One session of [`Tracked`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackedSession {
    /// Where its ROIs came from.
    pub file: PathBuf,
    /// ROIs that were followed.
    pub rois: usize,
    /// ROIs in all.
    pub all_rois: usize,
    /// Whether there was a mean image to align.
    pub mean_image: bool,
    /// `aligned`, `duplicate`, `unaligned`, `mirrored` or `turned`.
    pub verdict: String,
}

/// Follows cells through sessions, given in order of time.
///
/// Each of `inputs` is one session: a `rois.zarr` or a folder with one (its
/// cells; the mean image is its own, or that of `motion.zarr` or
/// `lowrank.zarr` in the same folder), the folder of a plane of Suite2p, a
/// `.npz` of footprints, or an image of labels. `out` gets `tracks.zarr`,
/// `tracks.csv`, `cells.csv`, `pairs.csv`, `alignment.csv`, `fits.csv` and
/// `tracks.html`.
///
/// A session that cannot be aligned does not stop it: its cells stand alone,
/// the observer and [`Tracked::warnings`] say so.
///
/// # Errors
/// [`Error::Usage`] if the output is there already or options are out of
/// range; otherwise [`Error::BadData`] or [`Error::Stage`] naming the file.
/// Nothing is left behind then.
pub fn track(
    inputs: &[PathBuf],
    out: &Path,
    options: &TrackOptions,
    observer: &dyn Observer,
) -> Result<Tracked, Error> {
    let begun = Instant::now();
    options
        .parameters
        .validate(inputs.len())
        .map_err(|error| Error::Usage(error.to_string()))?;
    let targets = targets(out, inputs.len(), options);
    if let Some(taken) = targets.iter().find(|path| path.exists()) {
        return Err(Error::Usage(format!(
            "{} exists already; remove it or choose another output",
            taken.display()
        )));
    }
    let sessions = read(inputs, options)?;
    let theirs = |path: &Option<PathBuf>| -> Result<Option<Identities>, Error> {
        let Some(path) = path else { return Ok(None) };
        let found = read_identities(path)?.among_all(&sessions);
        found
            .map(Some)
            .map_err(|reason| Error::bad_data(path, reason))
    };
    let (given, compared) = (theirs(&options.identities)?, theirs(&options.compare)?);
    let made = !out.exists();
    disk::check_writable(out)?;
    let done = (|| {
        let following = Instant::now();
        observer.start("tracking", 0);
        let (mut tracks, undetected) = found(&sessions, given.as_ref(), options)?;
        number_among_all(&mut tracks, &sessions);
        observer.finish("tracking", following.elapsed().as_secs_f64());
        let agreement = compared.map(|theirs| compare_identities(&tracks, &theirs));
        let results = Results {
            tracks,
            undetected,
            agreement,
            identities: options.identities.clone(),
        };
        results.write(out, &sessions)?;
        Ok(summary(&results, &sessions, out, &targets))
    })();
    match done {
        Ok(tracked) => {
            for warning in &tracked.warnings {
                observer.warn(warning);
            }
            Ok(Tracked {
                seconds: begun.elapsed().as_secs_f64(),
                ..tracked
            })
        }
        Err(error) => {
            // None of them was there before.
            for path in &targets {
                let _ = std::fs::remove_file(path);
                let _ = std::fs::remove_dir_all(path);
            }
            if made {
                // Fails, as it should, if something is in there.
                let _ = std::fs::remove_dir(out);
            }
            Err(error)
        }
    }
}

/// Everything that is written: `tracks.zarr`, the page, the tables.
fn targets(out: &Path, sessions: usize, options: &TrackOptions) -> Vec<PathBuf> {
    let mut names: Vec<String> = ["tracks.zarr", "tracks.html"].map(Into::into).to_vec();
    names.extend(TABLES.map(Into::into));
    if options.compare.is_some() {
        names.extend(AGREEMENT.map(Into::into));
    }
    if options.transfer {
        names.extend((0..sessions).map(undetected_name));
    }
    names.into_iter().map(|name| out.join(name)).collect()
}

const TABLES: [&str; 5] = [
    "tracks.csv",
    "cells.csv",
    "pairs.csv",
    "alignment.csv",
    "fits.csv",
];
const AGREEMENT: [&str; 2] = ["agreement.csv", "agreement-cells.csv"];

fn undetected_name(session: usize) -> String {
    format!("session-{session:02}-undetected.npz")
}

fn read(inputs: &[PathBuf], options: &TrackOptions) -> Result<Vec<Session>, Error> {
    let sizes = &options.pixel_size_um;
    if sizes.len() > 1 && sizes.len() != inputs.len() {
        return Err(Error::Usage(format!(
            "{} pixel sizes for {} sessions; give one, or one for each",
            sizes.len(),
            inputs.len()
        )));
    }
    let mut sessions = Vec::new();
    for (index, path) in inputs.iter().enumerate() {
        let session = input::read_session(path, options.all_rois)?;
        let size = sizes.get(index).or(sizes.first()).copied();
        sessions.push(session.with_pixel_size(size.unwrap_or(1.0)));
    }
    Ok(sessions)
}

/// Cells through sessions, ROIs numbered among those followed, and footprints
/// of undetected ones.
fn found(
    sessions: &[Session],
    given: Option<&Identities>,
    options: &TrackOptions,
) -> Result<(Tracks, Vec<Transferred>), Error> {
    let mut tracks = follow(sessions, &options.parameters)?;
    if let Some(given) = given {
        session::identify(&mut tracks, sessions, given);
    }
    let mut undetected = Vec::new();
    if options.transfer {
        let rois: Vec<_> = sessions.iter().map(Session::rois).collect();
        for index in 0..sessions.len() {
            let moved = transfer(&rois, &tracks, index);
            undetected.push(moved.map_err(|error| session::from_track(error, sessions))?);
        }
    }
    Ok((tracks, undetected))
}

/// All that is known at the end, ROIs numbered among all.
struct Results {
    tracks: Tracks,
    undetected: Vec<Transferred>,
    agreement: Option<Agreement>,
    identities: Option<PathBuf>,
}

impl Results {
    fn write(&self, out: &Path, sessions: &[Session]) -> Result<(), Error> {
        let tracks = &self.tracks;
        let totals = self.agreement.as_ref().map(Agreement::totals);
        let page = page::page(tracks, sessions, totals, self.identities.as_deref())?;
        let alignments = tables::alignments(tracks, sessions).at("alignment.csv")?;
        TrackTable::write(tracks, &out.join("tracks.zarr"))?;
        let save = |name: &str, bytes: &[u8]| disk::write(&out.join(name), bytes);
        save("tracks.csv", tables::tracks(tracks).as_bytes())?;
        save("cells.csv", tables::cells(tracks).as_bytes())?;
        save("pairs.csv", tables::pairs(tracks).as_bytes())?;
        save("alignment.csv", &alignments)?;
        save("fits.csv", tables::fits(&tracks.fits).as_bytes())?;
        if let Some(agreement) = &self.agreement {
            let [pairs, cells] = AGREEMENT;
            save(pairs, tables::agreement(agreement).as_bytes())?;
            save(cells, tables::agreement_cells(agreement).as_bytes())?;
        }
        for (session, moved) in self.undetected.iter().enumerate() {
            let name = undetected_name(session);
            save(&name, &tables::undetected(moved).at(&name)?)?;
        }
        save("tracks.html", page.as_bytes())
    }
}

fn summary(results: &Results, sessions: &[Session], out: &Path, targets: &[PathBuf]) -> Tracked {
    let tracks = &results.tracks;
    let table = TrackTable::of(tracks);
    let rows = table.roi_index.rows().into_iter();
    let is_aligned = |a: &&fluorspar_track::Alignment| a.verdict.is_aligned();
    Tracked {
        tracks: out.join("tracks.zarr"),
        report: out.join("tracks.html"),
        tables: targets.iter().skip(2).cloned().collect(),
        sessions: sessions
            .iter()
            .zip(&tracks.alignments)
            .map(|(session, alignment)| TrackedSession {
                file: session.path.clone(),
                rois: session.numbers.len(),
                all_rois: session.all,
                mean_image: session.mean_image.is_some(),
                verdict: verdict_word(alignment.verdict).to_owned(),
            })
            .collect(),
        reference: tracks.reference,
        aligned: tracks.alignments.iter().filter(is_aligned).count(),
        cells: table.roi_index.nrows(),
        matched_cells: table.matched_cells(),
        cells_in_all: rows.filter(|row| row.iter().all(|&roi| roi >= 0)).count(),
        expected_precision: tracks.expected_precision,
        min_p_same: tracks.min_p_same,
        identities: results.identities.clone(),
        agreement: results.agreement.as_ref().map(Agreement::totals),
        warnings: warnings(tracks, sessions),
        seconds: 0.0,
    }
}
