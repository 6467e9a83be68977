//! From a denoised movie to ROIs with traces and events.

use std::time::Instant;

use fluorspar_deconvolve::{Flag, Oasis};
use fluorspar_denoise::LowRank;
use fluorspar_movie::{Budget, Footprints, Movie, silent};
use fluorspar_segment::{
    Class, Detector, Evidence, Merge, Parameters, Segmentation, estimate_diameter_in, merge_planes,
};
use fluorspar_trace::{
    Baseline, BaselineParameters, Cells, Coefficient, NeuropilParameters, Overlaps, Sharing, State,
    Traces, Valid, annuli, extract, measure_with, neuropil_coefficients, presence,
    subtract_neuropil,
};
use ndarray::{Array2, ArrayView2, Zip};

use crate::artefact::{Quality, Rois};
use crate::config::{Deconvolve, Segment, Trace};
use crate::error::Context;
use crate::{Error, Observer};

/// How to get from a movie to cells.
pub(crate) struct Settings<'a> {
    /// What is looked for; see [`parameters`].
    pub(crate) parameters: Parameters,
    pub(crate) trace: &'a Trace,
    pub(crate) deconvolve: &'a Deconvolve,
    pub(crate) pixel_size_um: f64,
    /// Footprints that are known already.
    pub(crate) given: &'a Footprints,
}

/// How long each part took, in seconds of wall time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// From the denoised movie to footprints.
    pub(crate) detection: f64,
    /// From footprints to ΔF/F.
    pub(crate) traces: f64,
    /// From ΔF/F to events.
    pub(crate) events: f64,
}

/// Looks for cells in `lowrank` and measures them in it and in `movie`, the
/// registered movie that it was made from.
pub(crate) fn find(
    movie: &dyn Movie,
    lowrank: &LowRank,
    settings: &Settings<'_>,
    frame_rate: f64,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<(Rois, Times), Error> {
    let mut times = Times::default();
    let mut begun = Instant::now();
    let mut lap = move || {
        let seconds = begun.elapsed().as_secs_f64();
        begun = Instant::now();
        seconds
    };
    let found = Detector::new(settings.parameters.clone())
        .at("segmentation")?
        .detect_beside(lowrank, settings.given, frame_rate, budget, &silent)
        .at("segmentation")?;
    times.detection = lap();
    let footprints = &found.footprints;
    let raw = extract(
        movie,
        footprints,
        &Valid::everywhere(),
        &NeuropilParameters::default(),
        budget,
        &|frames| observer.advance(frames),
    )
    .at("traces")?;
    let overlaps = Overlaps::new(footprints);
    let parameters = trace_parameters(settings.trace);
    let (around, coefficient) = (raw.neuropil.view(), &parameters.coefficient);
    let coefficients =
        neuropil_coefficients(raw.f.view(), around, coefficient, frame_rate).at("neuropil")?;
    let (f, neuropil) = (raw.f.clone(), raw.neuropil.clone());
    let mut clean =
        subtract_neuropil(f.view(), neuropil.view(), &coefficients.values).at("neuropil")?;
    let traces = if settings.trace.source == "registered" {
        raw
    } else {
        denoised(lowrank, footprints, &overlaps, raw)?
    };
    let mut measured =
        measure_with(traces, coefficients, &overlaps, &parameters, frame_rate).at("traces")?;
    // Whether a transient stands out, and the indicator's kernel, are told from
    // the registered movie: noise must be white in time for that, which that
    // of denoised traces is not.
    Zip::from(&mut clean)
        .and(&measured.delta.f0)
        .par_for_each(|f, &f0| *f = (*f - f0) / f0);
    measured.presence = presence(clean.view(), &parameters.presence, frame_rate).at("traces")?;
    times.traces = lap();
    let (events, kernels) = deconvolve(
        &measured.delta.dff,
        clean.view(),
        settings.deconvolve,
        frame_rate,
    )?;
    times.events = lap();

    let cell = cells_of_volumes(&found, measured.delta.dff.view(), lowrank, settings)?;
    let mut quality = Quality::default();
    describe(&mut quality, footprints, &found.evidence);
    describe_traces(&mut quality, &measured);
    describe_events(&mut quality, &kernels, frame_rate);
    let flags = flags(&measured, &kernels);
    let rois = Rois {
        is_cell: found.evidence.iter().map(Evidence::is_cell).collect(),
        cell,
        f,
        neuropil,
        demixed: measured.corrected,
        f0: measured.delta.f0,
        dff: measured.delta.dff,
        events,
        quality,
        flags,
        activity_image: found.activity_image,
        frame_rate,
        footprints: found.footprints,
    };
    Ok((rois, times))
}

/// What is looked for; the diameter is measured in the movie if it is not said.
pub(crate) fn parameters(
    lowrank: &LowRank,
    segment: &Segment,
    pixel_size_um: f64,
    observer: &dyn Observer,
) -> Parameters {
    let class = match segment.class.as_str() {
        "process" => Class::Process,
        _ => Class::Soma,
    };
    let of = |diameter| Parameters {
        passes: segment.passes,
        ..Parameters::of(class, diameter)
    };
    if let Some(diameter_um) = segment.diameter_um.number() {
        return of(diameter_um / pixel_size_um);
    }
    let scales = estimate_diameter_in(lowrank);
    let mut diameters: Vec<f64> = scales.iter().flatten().map(|s| s.diameter).collect();
    diameters.sort_by(f64::total_cmp);
    let usual = Parameters::default().diameter;
    let diameter = diameters.get(diameters.len() / 2).copied();
    if diameter.is_none() {
        observer.warn(&format!(
            "nothing shows how large cells are; looking for {usual} pixels (give a diameter)"
        ));
    }
    of(diameter.unwrap_or(usual))
}

/// Neuropil, overlaps and ΔF/F as the crate that does it takes them.
pub(crate) fn trace_parameters(trace: &Trace) -> fluorspar_trace::Parameters {
    let window_s = trace.baseline_window_s;
    let baseline = match (trace.baseline.as_str(), Baseline::percentile()) {
        (
            "percentile",
            Baseline::Percentile {
                percentile,
                smoothing_s,
                ..
            },
        ) => Baseline::Percentile {
            window_s,
            percentile,
            smoothing_s,
        },
        ("maximin", _) => Baseline::Maximin {
            window_s,
            smoothing_s: 1.0 / 3.0,
        },
        _ => Baseline::Rest {
            timescale_s: 2.0 * window_s,
        },
    };
    fluorspar_trace::Parameters {
        coefficient: match trace.neuropil_coefficient.number() {
            Some(share) => Coefficient::Fixed(share),
            None => Coefficient::per_cell(),
        },
        baseline: BaselineParameters {
            baseline,
            ..BaselineParameters::default()
        },
        overlaps: match trace.overlaps.as_str() {
            "leave-out" => Sharing::LeaveOut,
            _ => Sharing::Demix,
        },
        ..fluorspar_trace::Parameters::default()
    }
}

/// The traces that the denoised movie gives, by products with its components.
fn denoised(
    lowrank: &LowRank,
    footprints: &Footprints,
    overlaps: &Overlaps,
    raw: Traces,
) -> Result<Traces, Error> {
    let projections = lowrank.project(footprints).at("traces")?;
    let mut f = projections.clone();
    for (mut row, &sum) in f.rows_mut().into_iter().zip(overlaps.sums()) {
        row.mapv_inplace(|v| (f64::from(v) / sum) as f32);
    }
    let rings = annuli(footprints, &NeuropilParameters::default()).at("traces")?;
    let mut masks = Footprints::new(footprints.height(), footprints.width());
    let mut owners = Vec::new();
    for (roi, ring) in rings.iter().enumerate() {
        if !ring.indices.is_empty() {
            let weights = vec![1.0; ring.indices.len()];
            let plane = footprints.planes()[roi];
            masks.push(&ring.indices, &weights, plane).at("traces")?;
            owners.push((roi, ring.indices.len() as f32));
        }
    }
    let mut neuropil = Array2::zeros(f.dim());
    for (row, &(roi, pixels)) in lowrank
        .project(&masks)
        .at("traces")?
        .rows()
        .into_iter()
        .zip(&owners)
    {
        neuropil.row_mut(roi).assign(&row.mapv(|sum| sum / pixels));
    }
    Ok(Traces {
        f,
        neuropil,
        projections,
        ..raw
    })
}

/// Events of all traces, and what the deconvolution says of each; the kernel
/// is learnt from `clean`.
fn deconvolve(
    dff: &Array2<f32>,
    clean: ArrayView2<'_, f32>,
    settings: &Deconvolve,
    frame_rate: f64,
) -> Result<(Array2<f32>, Vec<fluorspar_deconvolve::Report>), Error> {
    let parameters = fluorspar_deconvolve::Parameters {
        frame_rate: Some(frame_rate),
        tau_s: settings.tau_s,
        rise_s: settings.rise_s,
        ..fluorspar_deconvolve::Parameters::default()
    };
    let mut events = Array2::zeros(dff.dim());
    if events.is_empty() {
        return Ok((events, Vec::new()));
    }
    let oasis = Oasis::new(parameters).at("deconvolution")?;
    let learnt = oasis.learn(clean).at("deconvolution")?;
    let kernels = learnt.kernels(dff.nrows());
    let reports = oasis
        .deconvolve_block(dff.view(), &kernels, events.view_mut())
        .at("deconvolution")?;
    Ok((events, reports))
}

/// Which cell each ROI belongs to: cells are numbered by their first ROI.
fn cells_of_volumes(
    found: &Segmentation,
    dff: ArrayView2<'_, f32>,
    lowrank: &LowRank,
    settings: &Settings<'_>,
) -> Result<Vec<i32>, Error> {
    let rois = found.footprints.len();
    if lowrank.planes() == 1 {
        return Ok((0..rois as i32).collect());
    }
    let merge = Merge {
        pixel_um: settings.pixel_size_um,
        ..Merge::default()
    };
    let mut groups = merge_planes(&found.footprints, dff, &merge).at("cells over planes")?;
    groups.sort_by_key(|group| group.rois.iter().min().copied());
    let mut cell = vec![-1; rois];
    for (k, group) in groups.iter().enumerate() {
        for &roi in &group.rois {
            cell[roi] = k as i32;
        }
    }
    Ok(cell)
}

fn describe(quality: &mut Quality, footprints: &Footprints, evidence: &[Evidence]) {
    let centres: Vec<(f64, f64)> = (0..footprints.len())
        .map(|roi| footprints.centroid(roi))
        .collect();
    let planes = footprints.planes().iter().map(|&p| p as f32).collect();
    quality.set("plane", planes);
    quality.set("y", centres.iter().map(|c| c.0 as f32).collect());
    quality.set("x", centres.iter().map(|c| c.1 as f32).collect());
    let pixels = footprints.iter().map(|f| f.indices.len() as f32).collect();
    quality.set("pixels", pixels);
    let mut column = |name: &str, pick: fn(&Evidence) -> f32| {
        quality.set(name, evidence.iter().map(pick).collect());
    };
    column("probability", |e| e.probability);
    column("snr", |e| e.snr);
    column("relative_area", |e| e.relative_area);
    column("spread", |e| e.spread);
    column("elongation", |e| e.elongation);
    column("focus", |e| e.focus);
    column("stability", |e| e.stability);
    column("asymmetry", |e| e.asymmetry);
    column("skewness", |e| e.skewness);
    column("duplicate", |e| e.duplicate);
}

fn describe_traces(quality: &mut Quality, cells: &Cells) {
    let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
    quality.set("neuropil_coefficient", single(&cells.coefficients.values));
    quality.set("neuropil_error", single(&cells.coefficients.errors));
    let mut share = |name: &str, pick: fn(&fluorspar_trace::Contamination) -> f64| {
        let values = cells.contamination.iter().map(|c| pick(c) as f32);
        quality.set(name, values.collect());
    };
    share("neuropil_mean", |c| c.neuropil_mean);
    share("neuropil_variance", |c| c.neuropil_variance);
    share("neighbours", |c| c.neighbours_mean);
    quality.set("inflation", single(&cells.inflation));
    quality.set("noise", single(&cells.delta.noise));
    quality.set("floored", single(&cells.delta.floored));
    let mut presence = |name: &str, pick: fn(&fluorspar_trace::Presence) -> f64| {
        let values = cells.presence.iter().map(|p| pick(p) as f32);
        quality.set(name, values.collect());
    };
    presence("peak_snr", |p| p.peak_snr);
    presence("detectable", |p| p.needed);
    presence("active", |p| f64::from(u8::from(p.state == State::Active)));
    presence("absent", |p| f64::from(u8::from(p.state == State::Absent)));
}

fn describe_events(
    quality: &mut Quality,
    reports: &[fluorspar_deconvolve::Report],
    frame_rate: f64,
) {
    let mut column = |name: &str, pick: &dyn Fn(&fluorspar_deconvolve::Report) -> f64| {
        quality.set(name, reports.iter().map(|r| pick(r) as f32).collect());
    };
    column("decay_s", &|r| r.kernel.decay_samples() / frame_rate);
    column("rise_s", &|r| r.kernel.rise_samples() / frame_rate);
    column("event_noise", &|r| f64::from(r.noise));
    column("resting_level", &|r| f64::from(r.baseline));
}

/// In words, separated by semicolons.
fn flags(cells: &Cells, reports: &[fluorspar_deconvolve::Report]) -> Vec<String> {
    cells
        .flags
        .iter()
        .zip(&cells.presence)
        .zip(reports)
        .map(|((flags, presence), report)| {
            let told = |flag: &&fluorspar_trace::Flag| **flag != fluorspar_trace::Flag::Silent;
            let mut words: Vec<String> =
                flags.iter().filter(told).map(ToString::to_string).collect();
            if presence.state == State::Silent {
                words.push(fluorspar_trace::Flag::Silent.to_string());
            }
            if report.flag == Flag::TooFewSamples {
                words.push("too few samples for events".into());
            }
            words.join("; ")
        })
        .collect()
}
