use fluorspar_register::Mode;
use fluorspar_trace::{Baseline, Coefficient, NeuropilParameters};

use super::references::{CNMF, NORMCORRE, OASIS, PMD, STEIN, SUITE2P, WILLIAMS};
use super::{Text, percent};
use crate::cells::trace_parameters;
use crate::config::ExperimentConfig;

/// From movies to events: one paragraph per stage.
pub(super) fn describe(text: &mut Text, config: &ExperimentConfig) {
    registration(text, config);
    denoising(text, config);
    segmentation(text, config);
    traces(text, config);
    events(text, config);
}

fn registration(text: &mut Text, config: &ExperimentConfig) {
    let parameters = config.register.parameters();
    text.paragraph();
    let suite2p = text.cite(SUITE2P);
    text.say(format!(
        "Motion was corrected by whitened phase correlation with subpixel peaks (compare \
         {suite2p}), with shifts of at most {} of the shorter side of the field, against a reference \
         built in at most {} rounds from {} evenly spread frames.",
        percent(parameters.max_shift_fraction),
        parameters.reference_iterations,
        parameters.reference_frames
    ));
    match parameters.mode {
        Mode::Rigid => text.say("Frames were moved as a whole (rigid registration)."),
        Mode::Piecewise => {
            let normcorre = text.cite(NORMCORRE);
            text.say(format!(
                "Parts of a frame were moved beside the whole (non-rigid registration; compare \
                 {normcorre}): the displacement field on tiles of {} pixels, at most {} pixels \
                 beyond the shift, was the one of highest posterior probability.",
                parameters.tile, parameters.max_deviation
            ));
        }
    }
    text.say(match parameters.line_offset {
        Some(offset) => {
            format!("Odd lines were taken to lie {offset} pixels to the right of even ones.")
        }
        None => {
            "The offset between odd and even lines was estimated from their cross-spectrum and \
                 corrected by whole pixels."
                .into()
        }
    });
    text.say("Frames were resampled once, by cubic convolution.");
}

fn denoising(text: &mut Text, config: &ExperimentConfig) {
    let parameters = fluorspar_denoise::Parameters::default();
    text.paragraph();
    let (pmd, stein) = (text.cite(PMD), text.cite(STEIN));
    text.say(format!(
        "Registered movies were denoised by penalised matrix decomposition {pmd} in blocks of about \
         {block} × {block} pixels that overlapped by half.",
        block = config.denoise.block
    ));
    text.say(format!(
        "Components were kept (at most {} per block) if both their time course and their image were \
         smoother than those of simulated noise, with a chance of {} that a block of pure noise \
         keeps one; they were smoothed so as to minimise the expected error {stein}, time courses by \
         no more than costs signals {} of their variance.",
        parameters.max_rank,
        percent(parameters.significance),
        percent(parameters.smoothing_loss)
    ));
}

fn segmentation(text: &mut Text, config: &ExperimentConfig) {
    let segment = &config.segment;
    let parameters = fluorspar_segment::Parameters::default();
    text.paragraph();
    let what = match segment.class.as_str() {
        "process" => "Boutons and pieces of dendrites",
        _ => "Cell bodies",
    };
    let diameter = match segment.diameter_um.number() {
        Some(diameter) => format!("about {diameter} µm wide"),
        None => "of a diameter measured in each movie".into(),
    };
    let cnmf = text.cite(CNMF);
    text.say(format!(
        "{what} {diameter} were looked for in the denoised movie, in units of each pixel's noise, \
         averaged over {} s and without changes slower than {} s, {}.",
        parameters.bin_s,
        parameters.high_pass_s,
        match segment.passes {
            1 => "in one pass".into(),
            passes => format!("in {passes} passes"),
        }
    ));
    text.say(format!(
        "Footprints grew from places of high activity and were refined together with traces and a \
         smooth background by constrained matrix factorisation {cnmf}; overlapping parts whose \
         activity correlated at {} or more were joined.",
        parameters.merge_correlation
    ));
    text.say(
        "ROIs more probably cells in focus than not, by a logistic model of their shape and activity, \
         counted as cells.",
    );
}

fn traces(text: &mut Text, config: &ExperimentConfig) {
    let parameters = trace_parameters(&config.trace);
    let ring = NeuropilParameters::default();
    text.paragraph();
    let source = match config.trace.source.as_str() {
        "registered" => "registered",
        _ => "denoised",
    };
    let overlaps = match config.trace.overlaps.as_str() {
        "leave-out" => "pixels shared by several ROIs were left out",
        _ => "overlapping ROIs were taken apart by non-negative least squares",
    };
    text.say(format!(
        "Fluorescence was measured in the {source} movie; {overlaps}."
    ));
    let coefficient = match parameters.coefficient {
        Coefficient::Fixed(share) => share.to_string(),
        _ => "a coefficient estimated for each cell by robust regression".into(),
    };
    text.say(format!(
        "From each trace the mean of a surrounding ring (at least {} pixels, {} pixels away from any \
         ROI) was subtracted as neuropil, multiplied by {coefficient}.",
        ring.min_pixels, ring.gap_px
    ));
    let baseline = match parameters.baseline.baseline {
        Baseline::Percentile {
            window_s,
            percentile,
            smoothing_s,
        } => format!(
            "the {percentile}th percentile in a running window of {window_s} s of the trace smoothed \
             over {smoothing_s} s"
        ),
        Baseline::Maximin {
            window_s,
            smoothing_s,
        } => {
            let suite2p = text.cite(SUITE2P);
            format!(
                "the running maximum of the running minimum over {window_s} s of the trace smoothed \
                 over {smoothing_s:.2} s {suite2p}"
            )
        }
        Baseline::Rest { timescale_s } => {
            format!("the level at rest, which half follows drifts with a period of {timescale_s} s")
        }
        _ => "its baseline".into(),
    };
    text.say(format!("ΔF/F was (F − F0)/F0, where F0 was {baseline}."));
}

fn events(text: &mut Text, config: &ExperimentConfig) {
    let deconvolve = &config.deconvolve;
    text.paragraph();
    let oasis = text.cite(OASIS);
    let kernel = match (deconvolve.tau_s, deconvolve.rise_s) {
        (Some(tau), Some(rise)) => {
            format!("a decay time of {tau} s and a rise time of {rise} s were given")
        }
        (Some(tau), None) => format!("a decay time of {tau} s was given, without a rise"),
        (None, Some(rise)) => format!(
            "the decay time was learnt from the traces of each session, and a rise time of {rise} s \
             was given"
        ),
        (None, None) => {
            "decay and rise times were learnt from the traces of each session".to_owned()
        }
    };
    text.say(format!(
        "Events were inferred from ΔF/F by non-negative deconvolution (OASIS {oasis} for a decay alone, \
         an interior-point method for a rise and a decay); {kernel}."
    ));
    text.say("Events are in units of ΔF/F per frame.");
}

/// Which ROI of one session is which of another.
pub(super) fn describe_tracking(text: &mut Text, config: &ExperimentConfig) {
    text.paragraph();
    if let Some(tracks) = &config.experiment.tracks {
        text.say(format!(
            "Which ROI was which cell across sessions was taken from {tracks}."
        ));
        return;
    }
    if config
        .sessions
        .iter()
        .any(|session| session.movie.is_none())
    {
        text.say("Which ROI was which cell across sessions was stated in the recordings.");
        return;
    }
    let williams = text.cite(WILLIAMS);
    text.say(format!(
        "Cells were followed across sessions by aligning the fields (rotation, shift and smooth \
         bending) and by a mixture model of distances and shapes of ROIs whose centres were at most \
         {} µm apart; chance matches were learnt within sessions and from misaligned copies, and \
         probabilities were made consistent with one partner per session by belief propagation \
         {williams}.",
        config.track.max_distance_um
    ));
    text.say(format!(
        "The least sure matches were removed until {} of the rest were expected to be right.",
        percent(config.track.precision)
    ));
}
