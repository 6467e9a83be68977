//! What is made of each ROI by itself, some at a time, and stored as it is made.

use std::ops::Range;
use std::path::Path;

use fluorspar_deconvolve::{Learning, Oasis};
use fluorspar_movie::Footprints;
use fluorspar_segment::{Evidence, Merge, PairSums, Segmentation, Signal, merge_planes_by};
use fluorspar_trace::{Before, Coefficients, measure_apart, presence, subtract_neuropil};
use ndarray::{Array2, Zip};
use rayon::prelude::*;

use super::Movies;
use super::describe::Told;
use super::traces::{F, NEUROPIL, OWN, Work};
use crate::Error;
use crate::artefact::{Rois, RoisWriter};
use crate::config::Deconvolve;
use crate::error::Context;

/// From traces that are taken apart to what is stored.
pub(super) struct Batches<'a> {
    work: Work<'a>,
    writer: RoisWriter,
    told: Told,
    /// Of each ROI's ΔF/F, where planes may show the same cell.
    signals: Vec<Signal>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(work: Work<'a>, footprints: &Footprints, out: &Path) -> Result<Self, Error> {
        let frames = work.movies.movie.shape().frames;
        Ok(Self {
            writer: RoisWriter::create(out, footprints.len(), frames)?,
            work,
            told: Told::default(),
            signals: Vec::new(),
        })
    }

    /// ΔF/F of all ROIs; gives what the indicator's kernel is learnt from.
    pub(super) fn dff<'o>(&mut self, oasis: &'o Oasis) -> Result<Learning<'o>, Error> {
        let mut learning = oasis.learning();
        for rois in self.work.batches() {
            let clean = self.dff_of(rois)?;
            learning.look(clean.view()).at("deconvolution")?;
        }
        Ok(learning)
    }

    /// ΔF/F of some ROIs; gives that of the registered movie, which noise is
    /// told from.
    fn dff_of(&mut self, rois: Range<usize>) -> Result<Array2<f32>, Error> {
        let work = &mut self.work;
        let frame_rate = work.movies.frame_rate;
        let f = work.panels.rows(F, rois.clone())?;
        let neuropil = work.panels.rows(NEUROPIL, rois.clone())?;
        let corrected = work.corrected(rois.clone())?;
        let coefficients = work.coefficients.slice(rois.clone());
        let before = Before {
            summaries: &work.summaries[rois.clone()],
            inside: &work.inside()[rois.clone()],
            coefficients: &coefficients,
            apart: &work.apart.slice(rois.clone()),
        };
        let measured =
            measure_apart(corrected.view(), &before, &work.parameters, frame_rate).at("traces")?;
        // Whether a transient stands out, and the indicator's kernel, are told from
        // the registered movie: noise must be white in time for that, which that
        // of denoised traces is not.
        let mut clean =
            subtract_neuropil(f.view(), neuropil.view(), &coefficients.values).at("neuropil")?;
        Zip::from(&mut clean)
            .and(&measured.delta.f0)
            .par_for_each(|f, &f0| *f = (*f - f0) / f0);
        let seen = presence(clean.view(), &work.parameters.presence, frame_rate).at("traces")?;
        let (dff, f0) = (&measured.delta.dff, &measured.delta.f0);
        if work.movies.lowrank.planes() > 1 {
            let rows: Vec<_> = dff.rows().into_iter().collect();
            let signals: Vec<Signal> = rows
                .into_par_iter()
                .map(|row| Signal::of(row.as_slice().unwrap_or_default()))
                .collect();
            self.signals.extend(signals);
        }
        let indices: Vec<usize> = rois.clone().collect();
        work.panels.set_rows(OWN, &indices, dff.view())?;
        self.writer.write([&f, &neuropil, &corrected, f0, dff])?;
        self.told.add(measured, seen, &work.apart.inflation[rois]);
        Ok(clean)
    }

    /// Events of all ROIs.
    pub(super) fn events(&mut self, oasis: &Oasis, learning: Learning<'_>) -> Result<(), Error> {
        let batches = self.work.batches();
        let rois = batches.last().map_or(0, |last| last.end);
        let kernels = learning.finish().at("deconvolution")?.kernels(rois);
        for rois in batches {
            let dff = self.work.panels.rows(OWN, rois.clone())?;
            let mut events = Array2::zeros(dff.dim());
            let reports = oasis
                .deconvolve_block(dff.view(), &kernels[rois], events.view_mut())
                .at("deconvolution")?;
            self.writer.write_events(&events)?;
            self.told.add_events(reports);
        }
        Ok(())
    }

    /// What remains to be stored once the traces are.
    pub(super) fn close(
        mut self,
        footprints: &Footprints,
        pixel_size_um: f64,
    ) -> Result<Closed, Error> {
        Ok(Closed {
            cell: self.cells_of_volumes(footprints, pixel_size_um)?,
            coefficients: self.work.coefficients,
            writer: self.writer,
            told: self.told,
        })
    }

    /// Which cell each ROI belongs to: cells are numbered by their first ROI.
    fn cells_of_volumes(
        &mut self,
        footprints: &Footprints,
        pixel_size_um: f64,
    ) -> Result<Vec<i32>, Error> {
        let rois = footprints.len();
        if self.work.movies.lowrank.planes() == 1 {
            return Ok((0..rois as i32).collect());
        }
        let merge = Merge {
            pixel_um: pixel_size_um,
            ..Merge::default()
        };
        let frames = self.work.movies.movie.shape().frames;
        let (signals, panels) = (&self.signals, &mut self.work.panels);
        let covariances = |pairs: &[(usize, usize)]| -> Result<Vec<f64>, Failure> {
            let mut sums = PairSums::new(pairs, signals);
            if !pairs.is_empty() {
                for panel in 0..panels.count() {
                    sums.add(panels.panel(OWN, panel).map_err(Failure)?.view())?;
                }
            }
            Ok(sums.finish())
        };
        let groups = merge_planes_by(footprints, signals, frames, covariances, &merge);
        let mut groups = groups.map_err(|failure| failure.0)?;
        groups.sort_by_key(|group| group.rois.iter().min().copied());
        let mut cell = vec![-1; rois];
        for (k, group) in groups.iter().enumerate() {
            for &roi in &group.rois {
                cell[roi] = k as i32;
            }
        }
        Ok(cell)
    }
}

/// All traces are stored.
pub(super) struct Closed {
    writer: RoisWriter,
    told: Told,
    coefficients: Coefficients,
    cell: Vec<i32>,
}

impl Closed {
    /// Stores everything else, and gives it.
    pub(super) fn store(self, found: Segmentation, movies: &Movies<'_>) -> Result<Rois, Error> {
        let rois = Rois {
            is_cell: found.evidence.iter().map(Evidence::is_cell).collect(),
            cell: self.cell,
            quality: self.told.quality(
                &found.footprints,
                &found.evidence,
                &self.coefficients,
                movies.frame_rate,
            ),
            flags: self.told.flags(),
            activity_image: found.activity_image,
            frame_rate: movies.frame_rate,
            frames: movies.movie.shape().frames,
            footprints: found.footprints,
        };
        self.writer.finish(&rois)?;
        Ok(rois)
    }
}

/// What went wrong when cells were followed through planes.
struct Failure(Error);

impl From<fluorspar_segment::Error> for Failure {
    fn from(error: fluorspar_segment::Error) -> Self {
        Self(Error::Stage {
            place: "cells over planes".into(),
            source: Box::new(error),
        })
    }
}

/// How events are made.
pub(super) fn oasis(settings: &Deconvolve, frame_rate: f64) -> Result<Oasis, Error> {
    Oasis::new(fluorspar_deconvolve::Parameters {
        frame_rate: Some(frame_rate),
        tau_s: settings.tau_s,
        rise_s: settings.rise_s,
        ..fluorspar_deconvolve::Parameters::default()
    })
    .at("deconvolution")
}
