//! What is told of each ROI: numbers and flags.

use fluorspar_deconvolve::{Flag, Report};
use fluorspar_movie::Footprints;
use fluorspar_segment::Evidence;
use fluorspar_trace::{Coefficients, Contamination, Measured, Presence, State};

use crate::artefact::Quality;

/// What is known of the ROIs measured so far, axis `(roi)` throughout.
#[derive(Default)]
pub(super) struct Told {
    contamination: Vec<Contamination>,
    inflation: Vec<f64>,
    noise: Vec<f64>,
    floored: Vec<f64>,
    presence: Vec<Presence>,
    flags: Vec<Vec<fluorspar_trace::Flag>>,
    reports: Vec<Report>,
}

impl Told {
    /// Adds the next ROIs; whether a transient stands out is said by `presence`.
    pub(super) fn add(&mut self, measured: Measured, presence: Vec<Presence>, inflation: &[f64]) {
        self.contamination.extend(measured.contamination);
        self.inflation.extend(inflation);
        self.noise.extend(measured.delta.noise);
        self.floored.extend(measured.delta.floored);
        self.presence.extend(presence);
        self.flags.extend(measured.flags);
    }

    /// Adds what the deconvolution says of the next ROIs.
    pub(super) fn add_events(&mut self, reports: Vec<Report>) {
        self.reports.extend(reports);
    }

    pub(super) fn quality(
        &self,
        footprints: &Footprints,
        evidence: &[Evidence],
        coefficients: &Coefficients,
        frame_rate: f64,
    ) -> Quality {
        let mut quality = Quality::default();
        describe(&mut quality, footprints, evidence);
        self.describe_traces(&mut quality, coefficients);
        describe_events(&mut quality, &self.reports, frame_rate);
        quality
    }

    fn describe_traces(&self, quality: &mut Quality, coefficients: &Coefficients) {
        let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        quality.set("neuropil_coefficient", single(&coefficients.values));
        quality.set("neuropil_error", single(&coefficients.errors));
        let mut share = |name: &str, pick: fn(&Contamination) -> f64| {
            let values = self.contamination.iter().map(|c| pick(c) as f32);
            quality.set(name, values.collect());
        };
        share("neuropil_mean", |c| c.neuropil_mean);
        share("neuropil_variance", |c| c.neuropil_variance);
        share("neighbours", |c| c.neighbours_mean);
        quality.set("inflation", single(&self.inflation));
        quality.set("noise", single(&self.noise));
        quality.set("floored", single(&self.floored));
        let mut presence = |name: &str, pick: fn(&Presence) -> f64| {
            let values = self.presence.iter().map(|p| pick(p) as f32);
            quality.set(name, values.collect());
        };
        presence("peak_snr", |p| p.peak_snr);
        presence("detectable", |p| p.needed);
        presence("active", |p| f64::from(u8::from(p.state == State::Active)));
        presence("absent", |p| f64::from(u8::from(p.state == State::Absent)));
    }

    /// Flags of each ROI in words, separated by semicolons.
    pub(super) fn flags(&self) -> Vec<String> {
        self.flags
            .iter()
            .zip(&self.presence)
            .zip(&self.reports)
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

fn describe_events(quality: &mut Quality, reports: &[Report], frame_rate: f64) {
    let mut column = |name: &str, pick: &dyn Fn(&Report) -> f64| {
        quality.set(name, reports.iter().map(|r| pick(r) as f32).collect());
    };
    column("decay_s", &|r| r.kernel.decay_samples() / frame_rate);
    column("rise_s", &|r| r.kernel.rise_samples() / frame_rate);
    column("event_noise", &|r| f64::from(r.noise));
    column("resting_level", &|r| f64::from(r.baseline));
}
