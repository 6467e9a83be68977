use serde::{Deserialize, Serialize};

/// One recording day. What was recorded comes from exactly one of `movie`,
/// `rois`, `suite2p`, `nwb` and `tensor`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Elapsed days.
    pub day: f64,
    /// TIFF files (a pattern such as `day01/*.tif`, natural order) or one `.zarr` folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movie: Option<String>,
    /// A `rois.zarr`, or the folder that holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rois: Option<String>,
    /// A folder of Suite2p: that of one plane, or the one that holds `plane0`, `plane1`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite2p: Option<String>,
    /// An NWB file (HDF5) with responses of ROIs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nwb: Option<String>,
    /// A `.npz` file with trials cut out already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Table of trials (CSV with `onset_s` and one column per variable).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<String>,
    /// Use only frames `[first, end)` of the movie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<[usize; 2]>,
    /// Which practice session of the animal this is, from 1, those without a
    /// recording counted; the place among the recorded ones if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<usize>,
    /// Traces of behaviour: CSV with `time_s` and one column each, or a CSV of
    /// DeepLabCut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<String>,
    /// Frames per second (Hz) of the video that DeepLabCut saw, if not those of the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_rate: Option<f64>,
}

/// Where a session's activity comes from, as named in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A raw movie.
    Movie(&'a str),
    /// A `rois.zarr`.
    Rois(&'a str),
    /// A folder of Suite2p.
    Suite2p(&'a str),
    /// An NWB file.
    Nwb(&'a str),
    /// A `.npz` file of trials.
    Tensor(&'a str),
}

impl Session {
    /// Where the activity comes from.
    ///
    /// # Errors
    /// What to do if none or several sources are named.
    pub fn source(&self) -> Result<Source<'_>, String> {
        let named: Vec<Source<'_>> = [
            self.movie.as_deref().map(Source::Movie),
            self.rois.as_deref().map(Source::Rois),
            self.suite2p.as_deref().map(Source::Suite2p),
            self.nwb.as_deref().map(Source::Nwb),
            self.tensor.as_deref().map(Source::Tensor),
        ]
        .into_iter()
        .flatten()
        .collect();
        match named.as_slice() {
            [one] => Ok(*one),
            [] => {
                Err("names no recording; give one of movie, rois, suite2p, nwb and tensor".into())
            }
            _ => Err(
                "names several recordings; give only one of movie, rois, suite2p, nwb and tensor"
                    .into(),
            ),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !self.day.is_finite() {
            return Err("day is not a number".into());
        }
        if let Some([first, end]) = self.frames
            && first >= end
        {
            return Err(format!(
                "frames = [{first}, {end}] is empty; give [first, end)"
            ));
        }
        if self.practice == Some(0) {
            return Err("practice = 0: practice sessions are counted from 1".into());
        }
        if let Some(rate) = self.video_rate
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(format!("video_rate = {rate}: must be a positive number"));
        }
        let source = self.source()?;
        if self.frames.is_some() && !matches!(source, Source::Movie(_)) {
            return Err("frames are of a movie, and none is named".into());
        }
        match source {
            Source::Tensor(_) if self.trials.is_some() => {
                Err("names a tensor and trials; the trials of a tensor are in its file".into())
            }
            Source::Movie(_) | Source::Tensor(_)
                if self.behaviour.is_some() && self.trials.is_none() =>
            {
                Err("names behaviour but no trials to average it over".into())
            }
            _ => Ok(()),
        }
    }
}

/// Where in NWB files to look; what is left out is found by its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nwb {
    /// Path of the `RoiResponseSeries`, such as
    /// `processing/ophys/DfOverF/RoiResponseSeries`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Path of the table of trials; `intervals/trials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<String>,
    /// Path of the `PlaneSegmentation`, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<String>,
    /// Column of the `PlaneSegmentation` with the identity of each cell,
    /// shared by all sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// Column of the `PlaneSegmentation` with the area, layer or other group
    /// of each cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}
