use fluorspar_movie::{Budget, Footprints, Movie, Progress};
use ndarray::{Array2, ArrayView2};

use crate::baseline::delta_f_over_f_at;
use crate::{
    Apart, BaselineParameters, Coefficient, CoefficientSource, Coefficients, DeltaF, Error,
    NeuropilParameters, Overlaps, Presence, PresenceParameters, State, Summary, Traces, Valid,
    demix, extract, neuropil_coefficients, presence, subtract_neuropil, summaries,
};

/// Baselines below the floor in more than this share of frames are flagged.
const MOST_FLOORED: f64 = 0.05;

/// A ROI with less than this share of its weight in the field is flagged.
const LEAST_INSIDE: f64 = 0.5;

/// Traces that overlaps make this many times noisier are flagged.
const MOST_INFLATED: f64 = 3.0;

/// How traces are made, from the movie to ΔF/F.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// How rings are drawn.
    pub neuropil: NeuropilParameters,
    /// How much neuropil is subtracted.
    pub coefficient: Coefficient,
    /// Whether overlapping ROIs are demixed or shared pixels left out.
    pub overlaps: Sharing,
    /// How ΔF/F is made.
    pub baseline: BaselineParameters,
    /// When a ROI counts as active.
    pub presence: PresenceParameters,
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        self.neuropil.validate()?;
        self.coefficient.validate()?;
        self.baseline.validate()?;
        self.presence.validate()
    }
}

/// What becomes of pixels that several ROIs share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Their light is divided by non-negative least squares ([`demix`]).
    #[default]
    Demix,
    /// They are left out, as in Suite2p.
    LeaveOut,
}

/// What a user should know about a ROI's traces before believing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// No pixel, or no two finite samples side by side: traces are NaN.
    Absent,
    /// No transient stands out of the noise.
    Silent,
    /// Less than half its weight lies in the valid field.
    Cut,
    /// Some samples are NaN.
    Gaps,
    /// The fluorescence never changes.
    Constant,
    /// F0 stands on its floor in more than a twentieth of the frames: ΔF/F
    /// is too small.
    Floored,
    /// Below zero so often that non-negativity was not asked of it.
    BelowZero,
    /// Overlaps make the trace more than three times noisier.
    Entangled,
    /// The neuropil coefficient could not be measured: the fallback stands.
    NeuropilFallback,
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Silent => "silent",
            Self::Cut => "cut",
            Self::Gaps => "gaps",
            Self::Constant => "constant",
            Self::Floored => "floored",
            Self::BelowZero => "below zero",
            Self::Entangled => "entangled",
            Self::NeuropilFallback => "neuropil fallback",
        })
    }
}

/// How much of a ROI's fluorescence is not its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contamination {
    /// Share of the mean of `f` that is subtracted neuropil; NaN where the
    /// mean is not positive.
    pub neuropil_mean: f64,
    /// Share of the variance of `f` over frames that is subtracted neuropil,
    /// `r²·var(Fneu) / var(F)`; above 1 where a cell opposes its neuropil, NaN
    /// for constant traces.
    pub neuropil_variance: f64,
    /// Share of the mean over the whole footprint that neighbours bring in by
    /// overlap; 0 where shared pixels were left out, NaN where the mean is not
    /// positive.
    pub neighbours_mean: f64,
}

/// Everything known about the traces of one session's ROIs. Nothing is ever
/// left out: a ROI that cannot be measured has NaN traces and a flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// What the movie shows: classical `f` and `neuropil`, and projections.
    pub traces: Traces,
    /// Neuropil coefficients with errors.
    pub coefficients: Coefficients,
    /// Fluorescence without neuropil and neighbours, axes `(roi, frame)`, in
    /// the movie's units.
    pub corrected: Array2<f32>,
    /// How many times noisier overlaps make each trace, axis `(roi)`; 1 where
    /// shared pixels were left out.
    pub inflation: Vec<f64>,
    /// ΔF/F, F0 and noise.
    pub delta: DeltaF,
    /// Absent, silent or active, axis `(roi)`.
    pub presence: Vec<Presence>,
    /// What is not the cell's own, axis `(roi)`.
    pub contamination: Vec<Contamination>,
    /// Flags of every ROI, ascending, axis `(roi)`; no flag is good news.
    pub flags: Vec<Vec<Flag>>,
}

/// From a movie and any set of footprints to ΔF/F in one pass over the movie:
/// [`extract`], then [`measure_traces`].
///
/// # Errors
/// As those two.
pub fn measure(
    movie: &dyn Movie,
    footprints: &Footprints,
    valid: &Valid<'_>,
    parameters: &Parameters,
    frame_rate: f64,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Cells, Error> {
    parameters.validate()?;
    // Before the movie is read, not after.
    crate::shape::check_frame_rate(frame_rate)?;
    let traces = extract(
        movie,
        footprints,
        valid,
        &parameters.neuropil,
        budget,
        progress,
    )?;
    let overlaps = Overlaps::within(footprints, valid)?;
    measure_traces(traces, &overlaps, parameters, frame_rate)
}

/// From extracted traces to ΔF/F: neuropil coefficients, demixing, baseline,
/// presence. `traces.projections` may be replaced by those of a low-rank movie
/// first.
///
/// # Errors
/// [`Error::Shape`] if traces and overlaps do not belong together,
/// [`Error::Parameter`] for a parameter or frame rate out of range.
pub fn measure_traces(
    traces: Traces,
    overlaps: &Overlaps,
    parameters: &Parameters,
    frame_rate: f64,
) -> Result<Cells, Error> {
    parameters.validate()?;
    let (f, neuropil) = (traces.f.view(), traces.neuropil.view());
    let coefficients = neuropil_coefficients(f, neuropil, &parameters.coefficient, frame_rate)?;
    measure_with(traces, coefficients, overlaps, parameters, frame_rate)
}

/// Like [`measure_traces`], with neuropil coefficients that are known: those
/// of a denoised movie are better measured in the raw one, because the noise
/// that denoising leaves is shared by neighbouring pixels and is no longer
/// white in time.
///
/// # Errors
/// As [`measure_traces`], and [`Error::Shape`] for coefficients of another
/// number of ROIs.
pub fn measure_with(
    traces: Traces,
    coefficients: Coefficients,
    overlaps: &Overlaps,
    parameters: &Parameters,
    frame_rate: f64,
) -> Result<Cells, Error> {
    parameters.validate()?;
    let (f, neuropil) = (traces.f.view(), traces.neuropil.view());
    let rois = f.nrows();
    for (what, length) in [
        ("the list of shares alone", traces.alone.len()),
        ("the list of shares inside", traces.inside.len()),
        ("the overlap matrix", overlaps.len()),
        ("the neuropil coefficients", coefficients.values.len()),
        ("the sources of coefficients", coefficients.sources.len()),
    ] {
        if length != rois {
            return Err(of_others(what, length, rois));
        }
    }
    let (corrected, apart) = match parameters.overlaps {
        Sharing::Demix => {
            let found = demix(
                traces.projections.view(),
                neuropil,
                &coefficients.values,
                overlaps,
            )?;
            let apart = Apart {
                inflation: found.inflation,
                free: found.free,
                from_neighbours: found.from_neighbours,
                unsettled: found.unsettled,
            };
            (found.f, apart)
        }
        Sharing::LeaveOut => (
            subtract_neuropil(f, neuropil, &coefficients.values)?,
            Apart::left_out(rois),
        ),
    };
    let before = Before {
        summaries: &summaries(f, neuropil)?,
        inside: &traces.inside,
        coefficients: &coefficients,
        apart: &apart,
    };
    let found = measure_apart(corrected.view(), &before, parameters, frame_rate)?;
    Ok(Cells {
        traces,
        coefficients,
        corrected,
        inflation: apart.inflation,
        delta: found.delta,
        presence: found.presence,
        contamination: found.contamination,
        flags: found.flags,
    })
}

/// What is known of ROIs before ΔF/F is made, axis `(roi)` throughout.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// What their traces hold, neuropil included; see [`summaries`].
    pub summaries: &'a [Summary],
    /// As [`Traces::inside`].
    pub inside: &'a [f64],
    /// How much neuropil was taken away.
    pub coefficients: &'a Coefficients,
    /// What taking them apart has told.
    pub apart: &'a Apart,
}

/// What [`measure_apart`] finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// ΔF/F, F0 and noise.
    pub delta: DeltaF,
    /// As [`Cells::presence`].
    pub presence: Vec<Presence>,
    /// As [`Cells::contamination`].
    pub contamination: Vec<Contamination>,
    /// As [`Cells::flags`].
    pub flags: Vec<Vec<Flag>>,
}

/// From fluorescence without neuropil and neighbours to ΔF/F: the last part of
/// [`measure_with`], in which each ROI stands for itself, so that ROIs whose
/// traces do not fit into memory together may be measured some at a time.
///
/// `corrected` has axes `(roi, frame)`, see [`Cells::corrected`].
///
/// # Errors
/// [`Error::Shape`] if the inputs are not of as many ROIs,
/// [`Error::Parameter`] for a parameter or frame rate out of range.
pub fn measure_apart(
    corrected: ArrayView2<'_, f32>,
    before: &Before<'_>,
    parameters: &Parameters,
    frame_rate: f64,
) -> Result<Measured, Error> {
    parameters.validate()?;
    let rois = corrected.nrows();
    let Before {
        summaries,
        inside,
        coefficients,
        apart,
    } = *before;
    for (what, length) in [
        ("the list of summaries", summaries.len()),
        ("the list of shares inside", inside.len()),
        ("the neuropil coefficients", coefficients.values.len()),
        ("the sources of coefficients", coefficients.sources.len()),
        ("what demixing told", apart.inflation.len()),
        ("the list of ROIs left free", apart.free.len()),
        ("the shares of neighbours", apart.from_neighbours.len()),
    ] {
        if length != rois {
            return Err(of_others(what, length, rois));
        }
    }
    let medians: Vec<f64> = summaries.iter().map(|s| s.median).collect();
    let delta = delta_f_over_f_at(corrected, &medians, &parameters.baseline, frame_rate)?;
    let presence = presence(delta.dff.view(), &parameters.presence, frame_rate)?;
    let contamination = (0..rois)
        .map(|roi| {
            let Summary {
                mean,
                variance,
                neuropil_mean,
                neuropil_variance,
                ..
            } = summaries[roi];
            let r = coefficients.values[roi];
            let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { f64::NAN };
            Contamination {
                neuropil_mean: share(r * neuropil_mean, mean),
                neuropil_variance: share(r * r * neuropil_variance, variance),
                neighbours_mean: apart.from_neighbours[roi],
            }
        })
        .collect();
    let flags = (0..rois)
        .map(|roi| {
            let absent = presence[roi].state == State::Absent;
            let fallback = coefficients.sources[roi] == CoefficientSource::Fallback;
            [
                (absent, Flag::Absent),
                (presence[roi].state == State::Silent, Flag::Silent),
                (inside[roi] < LEAST_INSIDE, Flag::Cut),
                (!absent && presence[roi].seen < 1.0, Flag::Gaps),
                (summaries[roi].variance == 0.0, Flag::Constant),
                (!absent && delta.floored[roi] > MOST_FLOORED, Flag::Floored),
                (apart.free[roi], Flag::BelowZero),
                (apart.inflation[roi] > MOST_INFLATED, Flag::Entangled),
                (!absent && fallback, Flag::NeuropilFallback),
            ]
            .into_iter()
            .filter_map(|(raised, flag)| raised.then_some(flag))
            .collect()
        })
        .collect();
    Ok(Measured {
        delta,
        presence,
        contamination,
        flags,
    })
}

fn of_others(what: &'static str, found: usize, expected: usize) -> Error {
    Error::Shape {
        what,
        found: format!("for {found} ROIs"),
        against: "the fluorescence",
        expected: format!("for {expected}"),
    }
}
