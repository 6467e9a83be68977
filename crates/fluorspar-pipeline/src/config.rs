mod drift;
mod epochs;
mod session;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

pub use drift::{Decode, Drift, Trials};
pub use epochs::{Epoch, parse_epochs, read_epochs};
pub use session::{Nwb, Session, Source};

/// One experiment: all sessions of one animal and how to analyse them; the
/// content of `experiment.toml`.
///
/// Unknown keys are errors. Paths are relative to the file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// `[experiment]`: what was recorded.
    pub experiment: Experiment,
    /// `[[session]]`: one entry per recording day, in order.
    #[serde(default, rename = "session")]
    pub sessions: Vec<Session>,
    /// `[trials]`: how the tables of trials are read.
    #[serde(default)]
    pub trials: Trials,
    /// `[nwb]`: where in NWB files to look.
    #[serde(default)]
    pub nwb: Nwb,
    /// `[epochs]`: named windows of the trial.
    #[serde(default)]
    pub epochs: BTreeMap<String, Epoch>,
    /// `[register]`: motion correction.
    #[serde(default)]
    pub register: Register,
    /// `[denoise]`: low-rank denoising.
    #[serde(default)]
    pub denoise: Denoise,
    /// `[segment]`: finding cells.
    #[serde(default)]
    pub segment: Segment,
    /// `[trace]`: neuropil and ΔF/F.
    #[serde(default)]
    pub trace: Trace,
    /// `[deconvolve]`: events.
    #[serde(default)]
    pub deconvolve: Deconvolve,
    /// `[track]`: the same cells across sessions.
    #[serde(default)]
    pub track: Track,
    /// `[decode]`: decoders.
    #[serde(default)]
    pub decode: Decode,
    /// `[drift]`: drift metrics and their uncertainty.
    #[serde(default)]
    pub drift: Drift,
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name, shown in the report.
    pub name: String,
    /// Frames per second (Hz); needed if the files do not say, and overrides them.
    pub frame_rate: Option<f64>,
    /// Side of a pixel in µm.
    #[serde(default = "one")]
    pub pixel_size_um: f64,
    /// Distance between planes in µm, for what lies in several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane_spacing_um: Option<f64>,
    /// Which cells are compared with which: polygons in a CSV file with the
    /// columns `area`, `y` and `x` (pixels), or `"plane"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub areas: Option<String>,
    /// Which ROI is which cell: `tracks.zarr`, `tracks.csv`, or the result of
    /// CellReg, ROICaT or Track2p; for `fluorspar drift` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracks: Option<String>,
    /// Planes recorded together; images of TIFF files then become volumes.
    #[serde(default = "one_plane")]
    pub planes: usize,
    /// Seed of every random draw.
    #[serde(default = "seed")]
    pub seed: u64,
}

impl Experiment {
    /// An experiment of which nothing is known but its name.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            frame_rate: None,
            pixel_size_um: one(),
            plane_spacing_um: None,
            areas: None,
            tracks: None,
            planes: one_plane(),
            seed: seed(),
        }
    }
}

fn one() -> f64 {
    1.0
}
fn one_plane() -> usize {
    1
}
fn seed() -> u64 {
    7
}

/// Motion correction.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Register {
    /// `"nonrigid"`: parts of a frame move beside the whole; `"rigid"`: only
    /// the whole moves.
    pub mode: String,
    /// Odd lines of frames scanned back and forth lie so many pixels to the
    /// right of even ones; found out if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_offset: Option<f32>,
    /// Largest shift as a fraction of the shorter side.
    pub max_shift_fraction: f64,
    /// Keep `registered.zarr` after the run.
    pub keep: bool,
}

impl Register {
    /// As the crate that does it takes them.
    pub(crate) fn parameters(&self) -> fluorspar_register::Parameters {
        fluorspar_register::Parameters {
            mode: match self.mode.as_str() {
                "rigid" => fluorspar_register::Mode::Rigid,
                _ => fluorspar_register::Mode::Piecewise,
            },
            max_shift_fraction: self.max_shift_fraction,
            line_offset: self.line_offset,
            ..fluorspar_register::Parameters::default()
        }
    }
}

impl Default for Register {
    fn default() -> Self {
        Self {
            mode: "nonrigid".into(),
            line_offset: None,
            max_shift_fraction: 0.1,
            keep: true,
        }
    }
}

/// Low-rank denoising.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Denoise {
    /// Side of a square block in pixels.
    pub block: usize,
}

impl Default for Denoise {
    fn default() -> Self {
        Self {
            block: fluorspar_denoise::Blocks::default().side,
        }
    }
}

/// A number, or a word that leaves it to the program.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Choice {
    /// This number.
    Number(f64),
    /// `"auto"` or whatever the key allows.
    Word(String),
}

impl Choice {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Word(_) => None,
        }
    }

    /// Checks a number by `rule`, a word for being `word`.
    fn check(&self, word: &str, rule: &str, holds: impl Fn(f64) -> bool) -> Result<(), String> {
        match self {
            Self::Number(number) if holds(*number) => Ok(()),
            Self::Number(number) => Err(format!("{number}: must be {rule}, or {word:?}")),
            Self::Word(given) if given == word => Ok(()),
            Self::Word(given) => Err(format!("{given:?}: must be {word:?}, or {rule}")),
        }
    }
}

/// Finding cells.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segment {
    /// Diameter of a cell in µm, or `"auto"`: measured in the movie.
    pub diameter_um: Choice,
    /// `"soma"`: cell bodies; `"process"`: boutons and pieces of dendrites.
    pub class: String,
    /// How often the movie is looked through for cells, 1 to 10: more than once
    /// for those that stronger ones hid.
    pub passes: usize,
}

impl Default for Segment {
    fn default() -> Self {
        Self {
            diameter_um: Choice::Number(11.0),
            class: "soma".into(),
            passes: 1,
        }
    }
}

/// Neuropil, overlaps and ΔF/F.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trace {
    /// What ΔF/F is made of: `"denoised"` or `"registered"` movie. F and Fneu
    /// are of the registered movie in either case.
    pub source: String,
    /// Share of the neuropil signal taken off the cell's, or `"per-cell"`:
    /// measured for each.
    pub neuropil_coefficient: Choice,
    /// `"demix"`: overlapping ROIs are taken apart; `"leave-out"`: their
    /// shared pixels are not used.
    pub overlaps: String,
    /// F0: the level at `"rest"`, a running `"percentile"`, or `"maximin"`.
    pub baseline: String,
    /// Window of a running baseline, and half the period of the drifts that
    /// `"rest"` half follows, in seconds.
    pub baseline_window_s: f64,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            source: "denoised".into(),
            neuropil_coefficient: Choice::Word("per-cell".into()),
            overlaps: "demix".into(),
            baseline: "rest".into(),
            baseline_window_s: 60.0,
        }
    }
}

/// Events.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deconvolve {
    /// Decay time of the indicator in seconds; learnt from the traces if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tau_s: Option<f64>,
    /// Rise time in seconds; learnt with the decay, or 0 if that is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rise_s: Option<f64>,
}

/// The same cells across sessions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Track {
    /// Largest distance between matched centres in µm.
    pub max_distance_um: f64,
    /// The least sure matches are cut off until this share of them is expected
    /// to be right, 0 up to below 1.
    pub precision: f64,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            max_distance_um: 12.0,
            precision: 0.95,
        }
    }
}

impl ExperimentConfig {
    /// Reads and checks `experiment.toml`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Config`] with line and
    /// column for broken TOML, unknown keys (with the nearest known one) and
    /// values out of range.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&read_text(path)?, path)
    }

    /// Parses and checks the text of an `experiment.toml`; `path` is for messages.
    ///
    /// # Errors
    /// As [`ExperimentConfig::read`], without the reading.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let config: Self =
            toml::from_str(text).map_err(|error| Error::config(path, explain(text, &error)))?;
        config.check(path)?;
        Ok(config)
    }

    /// Sessions with nothing said but what they are.
    pub(crate) fn of(experiment: Experiment, sessions: Vec<Session>) -> Self {
        Self {
            experiment,
            sessions,
            trials: Trials::default(),
            nwb: Nwb::default(),
            epochs: BTreeMap::new(),
            register: Register::default(),
            denoise: Denoise::default(),
            segment: Segment::default(),
            trace: Trace::default(),
            deconvolve: Deconvolve::default(),
            track: Track::default(),
            decode: Decode::default(),
            drift: Drift::default(),
        }
    }

    pub(crate) fn check(&self, path: &Path) -> Result<(), Error> {
        let fail = |message: String| Err(Error::config(path, message));
        let positive = |key: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(Error::config(
                    path,
                    format!("{key} = {value}: must be a positive number"),
                ))
            }
        };
        if let Some(rate) = self.experiment.frame_rate {
            positive("experiment.frame_rate", rate)?;
        }
        positive("experiment.pixel_size_um", self.experiment.pixel_size_um)?;
        if let Some(spacing) = self.experiment.plane_spacing_um {
            positive("experiment.plane_spacing_um", spacing)?;
        }
        positive("trace.baseline_window_s", self.trace.baseline_window_s)?;
        positive("track.max_distance_um", self.track.max_distance_um)?;
        positive("decode.c", self.decode.c)?;
        if let Some(tau) = self.deconvolve.tau_s {
            positive("deconvolve.tau_s", tau)?;
        }
        if let Some(rise) = self.deconvolve.rise_s.filter(|&rise| rise != 0.0) {
            positive("deconvolve.rise_s", rise)?;
        }
        let positive_number = |v: f64| v.is_finite() && v > 0.0;
        let share = |v: f64| (0.0..=1.0).contains(&v);
        let (diameter, coefficient) = (&self.segment.diameter_um, &self.trace.neuropil_coefficient);
        for (key, checked) in [
            (
                "segment.diameter_um",
                diameter.check("auto", "a positive number", positive_number),
            ),
            (
                "trace.neuropil_coefficient",
                coefficient.check("per-cell", "a number from 0 to 1", share),
            ),
        ] {
            checked.or_else(|problem| fail(format!("{key} = {problem}")))?;
        }
        for (key, value, allowed) in [
            (
                "segment.class",
                &self.segment.class,
                &["soma", "process"][..],
            ),
            (
                "trace.source",
                &self.trace.source,
                &["denoised", "registered"],
            ),
            (
                "trace.overlaps",
                &self.trace.overlaps,
                &["demix", "leave-out"],
            ),
            (
                "trace.baseline",
                &self.trace.baseline,
                &["rest", "percentile", "maximin"],
            ),
            ("register.mode", &self.register.mode, &["rigid", "nonrigid"]),
        ] {
            if !allowed.contains(&value.as_str()) {
                let words: Vec<String> = allowed.iter().map(|w| format!("{w:?}")).collect();
                let words = words.join(" or ");
                return fail(format!("{key} = {value:?}: must be {words}"));
            }
        }
        let fraction = self.register.max_shift_fraction;
        if !(fraction > 0.0 && fraction < 0.5) {
            return fail(format!(
                "register.max_shift_fraction = {fraction}: must lie between 0 and 0.5"
            ));
        }
        if !(1..=10).contains(&self.segment.passes) {
            let passes = self.segment.passes;
            return fail(format!(
                "segment.passes = {passes}: must lie between 1 and 10"
            ));
        }
        if !(0.0..1.0).contains(&self.track.precision) {
            let value = self.track.precision;
            return fail(format!(
                "track.precision = {value}: must be at least 0 and below 1"
            ));
        }
        for checked in [
            self.trials.check(),
            self.drift.check(),
            epochs::check(&self.epochs),
        ] {
            checked.or_else(fail)?;
        }
        if !(1..=1000).contains(&self.experiment.planes) {
            return fail(format!(
                "experiment.planes = {}: must lie between 1 and 1000",
                self.experiment.planes
            ));
        }
        if !(8..=256).contains(&self.denoise.block) {
            return fail(format!(
                "denoise.block = {}: must lie between 8 and 256 pixels",
                self.denoise.block
            ));
        }
        if self.sessions.is_empty() {
            return fail("no [[session]]: name at least one, with day and movie".into());
        }
        for (index, session) in self.sessions.iter().enumerate() {
            let at = index + 1;
            session
                .check()
                .or_else(|problem| fail(format!("session {at}: {problem}")))?;
            if index > 0 && session.day <= self.sessions[index - 1].day {
                return fail(format!(
                    "session {at}: day {} does not come after day {} of the session before; \
                     list sessions in order of elapsed days",
                    session.day,
                    self.sessions[index - 1].day
                ));
            }
        }
        // NWB files and tensors bring their own trials.
        let bring = |s: &Session| s.nwb.is_some() || s.tensor.is_some();
        let with_trials = self.sessions.iter().filter(|s| s.trials.is_some()).count();
        if with_trials > 0
            && self
                .sessions
                .iter()
                .any(|s| s.trials.is_none() && !bring(s))
        {
            return fail(
                "some sessions name a trials table and some do not; give all of them one, or none"
                    .into(),
            );
        }
        if with_trials > 0 && self.epochs.is_empty() {
            return fail(
                "there are trials but no [epochs]; name at least one, such as delay = [1.0, 6.0]"
                    .into(),
            );
        }
        Ok(())
    }

    /// The folder that relative paths start from.
    pub(crate) fn folder(path: &Path) -> PathBuf {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }
}

/// The text of a configuration file.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::config(path, "no such file"),
        std::io::ErrorKind::InvalidData => Error::config(path, "is not UTF-8 text"),
        _ => Error::io(path, source),
    })
}

/// A TOML error in one line, with its place and, for an unknown key, the nearest known one.
pub(crate) fn explain(text: &str, error: &toml::de::Error) -> String {
    let mut out = String::new();
    if let Some(span) = error.span() {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        out = format!("line {line}, column {column}: ");
    }
    let message = error.message().replace('\n', " ");
    out.push_str(message.trim());
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let mut names = rest.split('`').step_by(2);
        if let Some(given) = names.next() {
            let nearest = names
                .map(|known| (strsim::damerau_levenshtein(given, known), known))
                .min();
            if let Some((distance, known)) = nearest
                && distance <= 1 + given.len() / 3
            {
                out.push_str("; did you mean `");
                out.push_str(known);
                out.push_str("`?");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[experiment]
name = "m12"
[[session]]
day = 1
movie = "a.tif"
trials = "t.csv"
[epochs]
delay = [1.0, 6.0]
"#;

    fn parse(text: &str) -> Result<ExperimentConfig, Error> {
        ExperimentConfig::parse(text, Path::new("experiment.toml"))
    }

    fn refused(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn defaults_fill_what_is_not_said() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.register, Register::default());
        assert_eq!(config.experiment.seed, 7);
        let again = toml::to_string(&config).unwrap();
        assert_eq!(parse(&again).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_gets_a_suggestion_and_a_place() {
        let message = refused(&format!("{GOOD}[segment]\ndiametre_um = 3\n"));
        assert!(message.contains("did you mean `diameter_um`"), "{message}");
        assert!(message.contains("line 11"), "{message}");
        let message = refused(&format!("{GOOD}[regster]\n"));
        assert!(message.contains("did you mean `register`"), "{message}");
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for (text, key) in [
            ("[segment]\ndiameter_um = -1", "segment.diameter_um"),
            ("[segment]\ndiameter_um = nan", "segment.diameter_um"),
            ("[segment]\ndiameter_um = \"large\"", "segment.diameter_um"),
            ("[segment]\nclass = \"somata\"", "segment.class"),
            ("[segment]\npasses = 0", "segment.passes"),
            (
                "[trace]\nneuropil_coefficient = 2",
                "trace.neuropil_coefficient",
            ),
            ("[trace]\nbaseline = \"minimum\"", "trace.baseline"),
            ("[deconvolve]\nrise_s = -1", "deconvolve.rise_s"),
            ("[drift]\nconfidence = 1.5", "drift.confidence"),
            ("[drift]\nbootstrap = 0", "drift.bootstrap"),
            ("[register]\nmode = \"nonlinear\"", "register.mode"),
            (
                "[[session]]\nday = 1\nmovie = \"b.tif\"\ntrials=\"t\"",
                "session 2",
            ),
        ] {
            let message = refused(&format!("{GOOD}{text}\n"));
            assert!(message.contains(key), "{message}");
        }
        assert!(refused(&GOOD.replace("[1.0, 6.0]", "[6.0, 1.0]")).contains("epochs.delay"));
        assert!(refused("[experiment]\nname = \"x\"\n").contains("[[session]]"));
        assert!(refused("[experiment\n").contains("line 1"));
    }
}
