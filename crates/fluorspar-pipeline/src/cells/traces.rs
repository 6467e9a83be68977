//! Traces of all ROIs, from both movies, taken apart.

use std::ops::Range;
use std::path::Path;

use fluorspar_denoise::LowRank;
use fluorspar_movie::{Budget, Checkpoints, Footprints};
use fluorspar_trace::{
    Apart, Block, Coefficients, Demixer, Extractor, NeuropilParameters, Overlaps, Parameters,
    Sharing, Summary, Valid, neuropil_slopes, subtract_neuropil, summaries,
};
use ndarray::{Array2, Array3, Axis};

use super::memory::{batch, panels_in_memory};
use super::panels::Panels;
use super::{Movies, Settings, kept_at, trace_parameters};
use crate::error::Context;
use crate::{Error, Observer};

/// Fluorescence in the registered movie.
pub(super) const F: usize = 0;
/// Neuropil in the registered movie.
pub(super) const NEUROPIL: usize = 1;
/// Products of footprints with the movie that traces are made from, then what
/// is each ROI's own, at last ΔF/F.
pub(super) const OWN: usize = 2;
/// Neuropil in the denoised movie, where traces are made from that.
const DENOISED_NEUROPIL: usize = 3;

/// Traces in the making.
pub(super) struct Work<'a> {
    pub(super) movies: &'a Movies<'a>,
    footprints: &'a Footprints,
    pub(super) parameters: Parameters,
    /// Whether traces are made from the denoised movie.
    denoised: bool,
    extractor: Extractor,
    overlaps: Overlaps,
    pub(super) panels: Panels,
    /// ROIs that are worked on at a time.
    pub(super) batch: usize,
    budget: Budget,
    pub(super) coefficients: Coefficients,
    pub(super) summaries: Vec<Summary>,
    pub(super) apart: Apart,
}

impl<'a> Work<'a> {
    /// What does not fit into memory is put into a file in `folder`; panels
    /// are of `length` frames.
    pub(super) fn new(
        movies: &'a Movies<'a>,
        settings: &Settings<'_>,
        footprints: &'a Footprints,
        budget: Budget,
        (folder, length): (&Path, usize),
    ) -> Result<Self, Error> {
        let shape = movies.movie.shape();
        let parameters = trace_parameters(settings.trace);
        let denoised = settings.trace.source != "registered";
        let rois = footprints.len();
        let extractor = Extractor::new(
            shape,
            footprints,
            &Valid::everywhere(),
            &NeuropilParameters::default(),
        )
        .at("traces")?;
        let coefficients = Coefficients::of_slopes(&[], &parameters.coefficient).at("neuropil")?;
        let arrays = if denoised { 4 } else { 3 };
        Ok(Self {
            movies,
            footprints,
            denoised,
            extractor,
            overlaps: Overlaps::new(footprints),
            panels: Panels::new(
                [arrays, rois, shape.frames],
                length,
                panels_in_memory(budget),
                folder,
            )?,
            batch: batch(shape.frames, budget),
            budget,
            coefficients,
            summaries: Vec::new(),
            apart: Apart::left_out(rois),
            parameters,
        })
    }

    fn rois(&self) -> usize {
        self.footprints.len()
    }

    /// ROIs that are worked on together, one batch after the other.
    pub(super) fn batches(&self) -> Vec<Range<usize>> {
        let rois = self.rois();
        (0..rois)
            .step_by(self.batch)
            .map(|first| first..(first + self.batch).min(rois))
            .collect()
    }

    /// Share of each ROI's weight that lies in the field.
    pub(super) fn inside(&self) -> &[f64] {
        self.extractor.inside()
    }

    /// Goes through the registered movie once.
    pub(super) fn extract(
        &mut self,
        kept: &dyn Checkpoints,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let arrays = if self.denoised { 2 } else { 3 };
        for panel in 0..self.panels.count() {
            let frames = self.panels.range(panel);
            let name = format!("traces-{panel:06}");
            let mut values = Array3::<f32>::zeros((arrays, self.rois(), frames.len()));
            let bytes = kept.load(&name).map_err(kept_at("traces"))?;
            if bytes.is_some_and(|bytes| fill(&mut values, &bytes)) {
                observer.advance(frames.len() as u64);
            } else {
                let mut parts = values.axis_iter_mut(Axis(0));
                let (Some(f), Some(neuropil)) = (parts.next(), parts.next()) else {
                    continue;
                };
                let block = Block {
                    f,
                    neuropil,
                    projections: parts.next(),
                };
                self.extractor
                    .read(
                        self.movies.movie,
                        frames,
                        block,
                        Budget {
                            bytes: self.budget.bytes / 8,
                        },
                        &|frames| observer.advance(frames),
                    )
                    .at("traces")?;
                let bytes = bytemuck::cast_slice(values.as_slice().unwrap_or_default());
                kept.keep(&name, bytes).map_err(kept_at("traces"))?;
            }
            for (array, values) in values.outer_iter().enumerate() {
                self.panels.set_panel(array, panel, values)?;
            }
        }
        Ok(())
    }

    /// How much neuropil is in each ROI, and what is each ROI's own.
    pub(super) fn measure(&mut self) -> Result<(), Error> {
        let mut slopes = Vec::with_capacity(self.rois());
        for rois in self.batches() {
            let f = self.panels.rows(F, rois.clone())?;
            let neuropil = self.panels.rows(NEUROPIL, rois)?;
            let (f, neuropil) = (f.view(), neuropil.view());
            let rate = self.movies.frame_rate;
            let found = neuropil_slopes(f, neuropil, &self.parameters.coefficient, rate);
            slopes.extend(found.at("neuropil")?);
            if !self.denoised {
                self.summaries.extend(summaries(f, neuropil).at("traces")?);
            }
        }
        self.coefficients =
            Coefficients::of_slopes(&slopes, &self.parameters.coefficient).at("neuropil")?;
        if self.denoised {
            self.project()?;
        }
        self.movies.lowrank.forget();
        if self.parameters.overlaps == Sharing::Demix {
            self.take_apart()?;
        }
        Ok(())
    }

    /// The traces that the denoised movie gives, by products with its
    /// components, plane by plane.
    fn project(&mut self) -> Result<(), Error> {
        let mut all: Vec<Option<Summary>> = vec![None; self.rois()];
        for plane in 0..self.movies.lowrank.planes() {
            let in_plane = |roi: &usize| self.footprints.planes()[*roi] as usize == plane;
            let rois: Vec<usize> = (0..self.rois()).filter(in_plane).collect();
            if rois.is_empty() {
                continue;
            }
            let lowrank = self.movies.lowrank.plane(plane)?;
            for rois in rois.chunks(self.batch) {
                let projections = self.sums(&lowrank, rois)?;
                let neuropil = self.around(&lowrank, rois)?;
                let mut f = projections.clone();
                for (mut row, &roi) in f.rows_mut().into_iter().zip(rois) {
                    let sum = self.overlaps.sums()[roi];
                    row.mapv_inplace(|v| (f64::from(v) / sum) as f32);
                }
                let found = summaries(f.view(), neuropil.view()).at("traces")?;
                for (&roi, summary) in rois.iter().zip(found) {
                    all[roi] = Some(summary);
                }
                // Shared pixels are taken apart from products, or left out of means.
                let own = match self.parameters.overlaps {
                    Sharing::Demix => projections,
                    Sharing::LeaveOut => f,
                };
                self.panels.set_rows(OWN, rois, own.view())?;
                self.panels
                    .set_rows(DENOISED_NEUROPIL, rois, neuropil.view())?;
            }
        }
        // Every ROI lies in one of the planes, or nothing was extracted from it.
        self.summaries = all.into_iter().flatten().collect();
        Ok(())
    }

    /// Weighted sums over footprints of one plane's denoised movie `(roi, frame)`.
    fn sums(&self, lowrank: &LowRank, rois: &[usize]) -> Result<Array2<f32>, Error> {
        let mut masks = Footprints::new(self.footprints.height(), self.footprints.width());
        for &roi in rois {
            let one = self.footprints.get(roi);
            masks.push(one.indices, one.weights, 0).at("traces")?;
        }
        lowrank.project(&masks).at("traces")
    }

    /// Means over the rings around footprints `(roi, frame)`; 0 without one.
    fn around(&self, lowrank: &LowRank, rois: &[usize]) -> Result<Array2<f32>, Error> {
        let mut masks = Footprints::new(self.footprints.height(), self.footprints.width());
        let mut owners = Vec::new();
        for (k, &roi) in rois.iter().enumerate() {
            let ring = self.extractor.ring(roi);
            if !ring.is_empty() {
                masks.push(ring, &vec![1.0; ring.len()], 0).at("traces")?;
                owners.push((k, ring.len() as f32));
            }
        }
        let mut neuropil = Array2::zeros((rois.len(), lowrank.frames()));
        let sums = lowrank.project(&masks).at("traces")?;
        for (row, &(k, pixels)) in sums.rows().into_iter().zip(&owners) {
            neuropil.row_mut(k).assign(&row.mapv(|sum| sum / pixels));
        }
        Ok(neuropil)
    }

    /// Divides the light of overlapping ROIs, some frames at a time.
    fn take_apart(&mut self) -> Result<(), Error> {
        let around = self.neuropil();
        let mut demixer = Demixer::new(&self.overlaps, &self.coefficients.values).at("traces")?;
        for panel in 0..self.panels.count() {
            let projections = self.panels.panel(OWN, panel)?;
            let neuropil = self.panels.panel(around, panel)?;
            demixer
                .look(projections.view(), neuropil.view())
                .at("traces")?;
        }
        for panel in 0..self.panels.count() {
            let mut own = self.panels.panel(OWN, panel)?;
            let neuropil = self.panels.panel(around, panel)?;
            demixer
                .take_apart(own.view_mut(), neuropil.view())
                .at("traces")?;
            self.panels.set_panel(OWN, panel, own.view())?;
        }
        self.apart = demixer.finish();
        Ok(())
    }

    /// The neuropil of the movie that traces are made from.
    fn neuropil(&self) -> usize {
        if self.denoised {
            DENOISED_NEUROPIL
        } else {
            NEUROPIL
        }
    }

    /// Fluorescence without neuropil and neighbours of some ROIs `(roi, frame)`.
    pub(super) fn corrected(&mut self, rois: Range<usize>) -> Result<Array2<f32>, Error> {
        if self.parameters.overlaps == Sharing::Demix {
            return self.panels.rows(OWN, rois);
        }
        let f = if self.denoised { OWN } else { F };
        let f = self.panels.rows(f, rois.clone())?;
        let neuropil = self.panels.rows(self.neuropil(), rois.clone())?;
        let shares = &self.coefficients.values[rois];
        subtract_neuropil(f.view(), neuropil.view(), shares).at("neuropil")
    }
}

/// Fills an array with what was kept of it; false if that is of another size.
fn fill(values: &mut Array3<f32>, bytes: &[u8]) -> bool {
    let Some(values) = values.as_slice_mut() else {
        return false;
    };
    if bytes.len() != size_of_val(values) {
        return false;
    }
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_ne_bytes(*bytes);
    }
    true
}
