//! What a session's recording is to a drift analysis, whoever made it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fluorspar_deconvolve::Oasis;
use fluorspar_trace::{delta_f_over_f, subtract_neuropil};
use ndarray::{Array2, ArrayView2};

use super::activity::Activity;
use super::clock::Clock;
use crate::Error;
use crate::config::{Deconvolve, Drift, Trace};
use crate::error::Context;

/// Activity of all ROIs of one session and what is known of them.
#[derive(Debug)]
pub(crate) struct Recording {
    /// Where it came from.
    pub(crate) path: PathBuf,
    /// Events or ΔF/F `(roi, frame)`.
    pub(crate) activity: Activity,
    pub(crate) clock: Clock,
    /// The ROIs that count as cells, ascending.
    pub(crate) cells: Vec<usize>,
    /// Whether each ROI can be seen at all in this session.
    pub(crate) visible: Vec<bool>,
    /// Identity of each ROI's cell, if the file says it.
    pub(crate) identity: Option<Vec<i64>>,
    /// Area or other group of each ROI, if the file says it.
    pub(crate) group: Option<Vec<String>>,
    /// Centre of each ROI: plane, and y and x in pixels; NaN if not known.
    pub(crate) centre: Option<Vec<[f64; 3]>>,
    /// Numbers of the whole session that could explain a change.
    pub(crate) covariates: BTreeMap<String, f64>,
}

impl Recording {
    /// A recording all of whose ROIs are visible cells.
    pub(crate) fn new(path: &Path, activity: Activity, clock: Clock) -> Self {
        let rois = activity.rois();
        Self {
            path: path.to_path_buf(),
            activity,
            clock,
            cells: (0..rois).collect(),
            visible: vec![true; rois],
            identity: None,
            group: None,
            centre: None,
            covariates: BTreeMap::new(),
        }
    }

    pub(crate) fn rois(&self) -> usize {
        self.activity.rois()
    }

    pub(crate) fn frames(&self) -> usize {
        self.activity.frames()
    }
}

/// How activity is made of fluorescence that others measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) deconvolve: &'a Deconvolve,
    pub(crate) drift: &'a Drift,
    /// Frames per second (Hz) as the configuration says.
    pub(crate) frame_rate: Option<f64>,
}

impl Making<'_> {
    /// Whether events are asked for, not ΔF/F.
    pub(crate) fn events(&self) -> bool {
        self.drift.activity != "dff"
    }

    /// The frame rate as configured, or what the file says.
    pub(crate) fn rate(&self, path: &Path, said: Option<f64>) -> Result<f64, Error> {
        let rate = self.frame_rate.or(said);
        rate.filter(|rate| rate.is_finite() && *rate > 0.0)
            .ok_or_else(|| {
                Error::bad_data(
                    path,
                    "does not say its frame rate; give experiment.frame_rate in Hz",
                )
            })
    }

    /// ΔF/F of fluorescence `(roi, frame)` and the neuropil around it, if
    /// that was measured.
    pub(crate) fn delta(
        &self,
        f: ArrayView2<'_, f32>,
        neuropil: Option<ArrayView2<'_, f32>>,
        frame_rate: f64,
        path: &Path,
    ) -> Result<Array2<f32>, Error> {
        let parameters = crate::cells::trace_parameters(self.trace);
        let baseline = &parameters.baseline;
        let delta = match neuropil {
            None => delta_f_over_f(f, f, baseline, frame_rate).at(path.display())?,
            Some(neuropil) => {
                let share = fluorspar_trace::neuropil_coefficients(
                    f,
                    neuropil,
                    &parameters.coefficient,
                    frame_rate,
                )
                .at(path.display())?;
                let clean = subtract_neuropil(f, neuropil, &share.values).at(path.display())?;
                delta_f_over_f(clean.view(), f, baseline, frame_rate).at(path.display())?
            }
        };
        Ok(delta.dff)
    }

    /// Events of ΔF/F `(roi, frame)`.
    pub(crate) fn deconvolved(
        &self,
        dff: ArrayView2<'_, f32>,
        frame_rate: f64,
        path: &Path,
    ) -> Result<Array2<f32>, Error> {
        let oasis = Oasis::new(fluorspar_deconvolve::Parameters {
            frame_rate: Some(frame_rate),
            tau_s: self.deconvolve.tau_s,
            rise_s: self.deconvolve.rise_s,
            ..fluorspar_deconvolve::Parameters::default()
        })
        .at(path.display())?;
        Ok(oasis.deconvolve_all(dff).at(path.display())?.events)
    }
}

/// Mean of the finite values.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values.filter(|v| v.is_finite()) {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// Median of the finite values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
