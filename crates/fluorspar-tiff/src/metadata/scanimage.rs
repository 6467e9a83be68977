//! ScanImage's settings: version 3 (`state.…`), 4 and 5 (`scanimage.SI4.…`,
//! `scanimage.SI5.…`, `scanimage.SI.…`), 2015 and later (`SI.…`), in the
//! description, the tag Software or the header of its BigTIFF files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::interleaving::Interleaving;
use super::{Dialect, Metadata, positive, square};

/// What ScanImage was told to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanImage {
    /// Frames of one plane per second (Hz), flyback included in the period.
    pub scan_frame_rate: Option<f64>,
    /// Volumes per second (Hz).
    pub scan_volume_rate: Option<f64>,
    /// Numbers of the channels that were saved, from 1.
    pub channels_saved: Vec<usize>,
    /// How depth was scanned.
    pub stack: Stack,
    /// Planes per volume; of light beads, the channels.
    pub planes: usize,
    /// Frames per volume during which the objective flew back.
    pub flyback_frames: usize,
    /// Frames per slice of a slow stack.
    pub frames_per_slice: usize,
    /// Seconds per line.
    pub line_period_s: Option<f64>,
    /// Seconds between two scanfields.
    pub flyto_time_s: Option<f64>,
    /// Seconds by which the line phase was corrected.
    pub line_phase_s: Option<f64>,
    /// µm per degree of scan angle.
    pub objective_resolution: Option<f64>,
    /// Depths of the planes in ScanImage's own coordinate, in their order, if it says.
    pub depths: Vec<f64>,
    /// Whether several regions were scanned.
    pub multiple_rois: bool,
    /// The ROI groups as JSON, for [`MroiLayout`](crate::MroiLayout).
    pub roi_groups: Option<String>,
}

/// How depth was scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stack {
    /// Not at all.
    #[default]
    None,
    /// Slice by slice, several frames each.
    Slow,
    /// Volume by volume (piezo or voice coil).
    FastZ,
    /// All planes at once, each a channel (light beads; Demas et al. 2021,
    /// Nature Methods 18:1103).
    LightBeads,
    /// Light beads while the stage moves: a stack of beads for calibration.
    Pollen,
}

/// Keys without what stands before the component.
struct Settings<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Settings<'a> {
    /// The value of the key that is `name` or ends in `.name`.
    fn get(&self, name: &str) -> Option<&'a str> {
        let ends = |key: &str| {
            key.strip_suffix(name)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.0
            .iter()
            .find(|(key, _)| ends(key))
            .map(|(_, value)| *value)
    }

    fn first(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.get(name))
    }

    fn number(&self, names: &[&str]) -> Option<f64> {
        self.first(names)?
            .parse()
            .ok()
            .filter(|v: &f64| v.is_finite())
    }

    fn positive(&self, names: &[&str]) -> Option<f64> {
        self.first(names).and_then(positive)
    }

    fn count(&self, names: &[&str]) -> Option<usize> {
        let value = self.positive(names)?;
        (value.fract() == 0.0 && value < 1e9).then_some(value as usize)
    }

    fn is_set(&self, names: &[&str]) -> bool {
        matches!(self.first(names), Some("1" | "true"))
    }
}

/// Numbers of `[1;2]`, `[1 2]` or `3`.
fn numbers(text: &str) -> Vec<f64> {
    text.split(|c: char| c.is_whitespace() || "[]{};,".contains(c))
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// The settings, if any of the texts has some.
pub(super) fn parse(texts: &[&str], roi_groups: Option<&str>) -> Option<ScanImage> {
    let old = texts.iter().any(|text| text.starts_with("state."));
    let named = |key: &str| key.starts_with("SI.") || key.starts_with("scanimage.SI");
    let mut keys = BTreeMap::new();
    for (key, value) in texts
        .iter()
        .flat_map(|text| text.split(['\n', '\r']))
        .filter_map(|line| line.split_once('='))
    {
        let key = key.trim();
        if named(key) || (old && key.starts_with("state.")) {
            keys.entry(key).or_insert(value.trim().trim_matches('\''));
        }
    }
    // A page that states nothing else is still ScanImage's.
    let page = texts
        .first()
        .is_some_and(|text| text.contains("frameTimestamps_sec"));
    if keys.is_empty() && !page {
        return None;
    }
    let settings = Settings(keys);
    Some(if old {
        version_3(&settings)
    } else {
        current(&settings, roi_groups)
    })
}

fn version_3(settings: &Settings<'_>) -> ScanImage {
    let saved: Vec<usize> = (1..=4)
        .filter(|channel| settings.is_set(&[&format!("acq.savingChannel{channel}")]))
        .collect();
    let slices = settings.count(&["acq.numberOfZSlices"]).unwrap_or(1);
    ScanImage {
        scan_frame_rate: settings.positive(&["acq.frameRate"]),
        channels_saved: saved,
        stack: if slices > 1 { Stack::Slow } else { Stack::None },
        planes: slices,
        frames_per_slice: settings.count(&["acq.numberOfFrames"]).unwrap_or(1),
        line_period_s: settings.positive(&["acq.msPerLine"]).map(|ms| ms / 1000.0),
        ..ScanImage::default()
    }
}

fn current(settings: &Settings<'_>, roi_groups: Option<&str>) -> ScanImage {
    let system = settings.get("imagingSystem").unwrap_or_default();
    let scanner = |name: &str| {
        // The scanner that was used, where both have settings.
        let own = format!(
            "h{}.{name}",
            system
                .replace("Resonant", "ResScan")
                .replace("Linear", "LinScan")
        );
        settings.number(&[
            &format!("hScan2D.{name}"),
            &own,
            &format!("hResScan.{name}"),
        ])
    };
    let saved: Vec<usize> = settings
        .first(&["hChannels.channelSave", "channelsSave"])
        .map(|text| numbers(text).into_iter().map(|v| v as usize).collect())
        .unwrap_or_default();
    let fast = settings.is_set(&["hFastZ.enable", "fastZEnable"]);
    let slices = settings
        .count(&[
            "hStackManager.actualNumSlices",
            "hStackManager.numSlices",
            "stackNumSlices",
        ])
        .unwrap_or(1);
    let light_beads = saved.len() > 2;
    let stack = match (
        light_beads,
        fast,
        settings.is_set(&["hStackManager.enable"]) || slices > 1,
    ) {
        (true, false, false) => Stack::LightBeads,
        (true, _, _) => Stack::Pollen,
        (false, true, _) => Stack::FastZ,
        (false, false, true) if slices > 1 => Stack::Slow,
        _ => Stack::None,
    };
    let mut flyback = 0;
    let planes = match stack {
        Stack::None => 1,
        Stack::LightBeads | Stack::Pollen => saved.len(),
        Stack::Slow => slices,
        Stack::FastZ => {
            let discarded = settings.count(&["hFastZ.numDiscardFlybackFrames"]);
            let with = settings
                .count(&["hStackManager.numFramesPerVolumeWithFlyback"])
                .or(settings.count(&["hFastZ.numFramesPerVolume"]));
            let volume = with.unwrap_or(slices + discarded.unwrap_or(0));
            flyback = match discarded {
                Some(frames) if frames < volume => frames,
                _ if slices > 1 => volume.saturating_sub(slices),
                _ => 0,
            };
            volume - flyback
        }
    };
    ScanImage {
        scan_frame_rate: settings.positive(&["hRoiManager.scanFrameRate", "scanFrameRate"]),
        scan_volume_rate: settings.positive(&["hRoiManager.scanVolumeRate"]),
        channels_saved: saved,
        stack,
        planes: planes.max(1),
        flyback_frames: flyback,
        frames_per_slice: settings
            .count(&["hStackManager.framesPerSlice"])
            .unwrap_or(1),
        line_period_s: settings.positive(&["hRoiManager.linePeriod", "linePeriod"]),
        flyto_time_s: scanner("flytoTimePerScanfield").filter(|v| *v >= 0.0),
        line_phase_s: scanner("linePhase"),
        objective_resolution: settings.positive(&["objectiveResolution"]),
        depths: settings
            .first(&["hStackManager.zs", "hFastZ.userZs"])
            .map(numbers)
            .unwrap_or_default(),
        multiple_rois: settings.is_set(&["hRoiManager.mroiEnable"]),
        roi_groups: roi_groups.map(ToOwned::to_owned),
    }
}

pub(super) fn metadata(settings: ScanImage, images: usize) -> Metadata {
    let saved = settings.channels_saved.len().max(1);
    let beads = matches!(settings.stack, Stack::LightBeads | Stack::Pollen);
    let per_volume = settings.planes + settings.flyback_frames;
    let channels = if beads { 1 } else { saved };
    let order = match settings.stack {
        // Light beads: the channels of a page are the planes.
        Stack::LightBeads | Stack::Pollen => Some((1, saved, images / saved)),
        Stack::None | Stack::FastZ => {
            Some((saved, saved * per_volume, images / (saved * per_volume)))
        }
        // A slow stack is one volume, or the slices are not to be told apart from time.
        Stack::Slow => {
            let each = settings.frames_per_slice;
            (images == saved * each * settings.planes).then_some((saved * each, saved, each))
        }
    };
    let interleaving = order.and_then(|(plane_step, frame_step, frames)| {
        Interleaving {
            frames,
            planes: settings.planes,
            channels,
            frame_step,
            plane_step,
            channel_step: 1,
        }
        .checked(images)
    });
    let volume_rate = settings.scan_volume_rate.or(settings
        .scan_frame_rate
        .map(|rate| rate / per_volume as f64));
    let frame_rate = match settings.stack {
        Stack::FastZ => volume_rate,
        _ => settings.scan_frame_rate,
    };
    Metadata {
        dialect: Dialect::ScanImage,
        frame_rate,
        pixel_size_um: pixel_size(&settings),
        channels: (!settings.channels_saved.is_empty()).then_some(channels),
        planes: Some(settings.planes),
        interleaving,
        scanimage: Some(settings),
        ..Metadata::default()
    }
}

/// From the first scanfield: degrees, pixels and µm per degree.
fn pixel_size(settings: &ScanImage) -> Option<f64> {
    let groups: Value = serde_json::from_str(settings.roi_groups.as_deref()?).ok()?;
    let field = crate::mroi::first_scanfield(&groups)?;
    let um = settings.objective_resolution?;
    square(
        field.size_deg[0] * um / field.pixels[0] as f64,
        field.size_deg[1] * um / field.pixels[1] as f64,
    )
}

/// Seconds since the start, from the description of a page.
pub(super) fn time(description: &str) -> Option<f64> {
    ["frameTimestamps_sec", "Frame Timestamp(s)"]
        .iter()
        .find_map(|key| {
            let line = description
                .lines()
                .find(|line| line.trim_start().starts_with(key))?;
            let value: f64 = line.split_once('=')?.1.trim().parse().ok()?;
            value.is_finite().then_some(value)
        })
}

/// First bytes of the settings block in the header of ScanImage's BigTIFF files.
const MAGIC: u32 = 117_637_889;

/// Settings and ROI groups from the bytes after a BigTIFF header (from byte
/// 16 of the file on), little-endian as ScanImage writes: magic, version,
/// bytes of both texts, texts. `None` for other files and lengths that do not fit.
pub(crate) fn static_blocks(bytes: &[u8]) -> Option<(String, String)> {
    let number = |at: usize| {
        let raw = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]))
    };
    if number(0)? != MAGIC || !matches!(number(4)?, 3 | 4) {
        return None;
    }
    let (settings, rois) = (number(8)? as usize, number(12)? as usize);
    let texts = bytes.get(16..)?;
    let settings_text = texts.get(..settings)?;
    let rois_text = texts.get(settings..settings.checked_add(rois)?)?;
    let text = |raw: &[u8]| {
        String::from_utf8_lossy(raw)
            .trim_end_matches('\0')
            .to_owned()
    };
    Some((text(settings_text), text(rois_text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, images: usize) -> Metadata {
        metadata(parse(&[text], None).unwrap(), images)
    }

    #[test]
    fn a_piezo_volume_with_flyback() {
        let found = read(
            "SI.hChannels.channelSave = [1;2]\nSI.hFastZ.enable = true\n\
             SI.hFastZ.numDiscardFlybackFrames = 2\nSI.hStackManager.numSlices = 5\n\
             SI.hStackManager.numFramesPerVolumeWithFlyback = 7\n\
             SI.hRoiManager.scanFrameRate = 35\nSI.hRoiManager.scanVolumeRate = 5\n\
             SI.hScan2D.linePhase = -1.5e-06\n",
            150,
        );
        assert_eq!(
            (found.frame_rate, found.planes, found.channels),
            (Some(5.0), Some(5), Some(2))
        );
        let order = found.interleaving.unwrap();
        // 150 images are 10 volumes of 14, and 10 images of an eleventh.
        assert_eq!((order.frames, order.planes, order.channels), (10, 5, 2));
        assert_eq!(order.image(3, 4, 1), Some(3 * 14 + 4 * 2 + 1));
        assert_eq!(found.scanimage.unwrap().line_phase_s, Some(-1.5e-6));
    }

    #[test]
    fn channels_of_light_beads_are_planes() {
        let channels: Vec<String> = (1..=30).map(|k| k.to_string()).collect();
        let text = format!(
            "SI.hChannels.channelSave = [{}]\nSI.hRoiManager.scanFrameRate = 4.7\n\
             SI.hFastZ.enable = false\nSI.hStackManager.enable = false\n",
            channels.join(";")
        );
        let found = read(&text, 90);
        assert_eq!(found.scanimage.as_ref().unwrap().stack, Stack::LightBeads);
        assert_eq!(
            (found.planes, found.channels, found.frame_rate),
            (Some(30), Some(1), Some(4.7))
        );
        assert_eq!(found.interleaving.unwrap().image(2, 29, 0), Some(89));
    }

    #[test]
    fn older_versions_are_read() {
        let three = "state.configName='x'\rstate.acq.frameRate=3.9\rstate.acq.savingChannel1=1\r\
                     state.acq.savingChannel2=1\rstate.acq.numberOfZSlices=1\r";
        let found = read(three, 8);
        assert_eq!((found.frame_rate, found.channels), (Some(3.9), Some(2)));
        assert_eq!(found.interleaving.unwrap().frames, 4);
        let four = "scanimage.SI4.channelsSave = 1\nscanimage.SI4.scanFrameRate = 7.5\n";
        assert_eq!(read(four, 8).frame_rate, Some(7.5));
        let five =
            "scanimage.SI.hRoiManager.scanFrameRate = 30\nscanimage.SI.hChannels.channelSave = 1\n";
        assert_eq!(read(five, 8).frame_rate, Some(30.0));
        assert_eq!(parse(&["ImageJ=1.5\nimages=3"], None), None);
    }

    #[test]
    fn times_of_pages() {
        assert_eq!(
            time("frameNumbers = 3\nframeTimestamps_sec = 0.066\n"),
            Some(0.066)
        );
        assert_eq!(
            time("Frame Number = 3\nFrame Timestamp(s) = 1.5\n"),
            Some(1.5)
        );
        assert_eq!(time("frameTimestamps_sec = inf"), None);
    }

    #[test]
    fn the_header_of_bigtiff_is_read_and_not_believed() {
        let mut bytes = Vec::new();
        for number in [MAGIC, 3, 6, 3] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"SI.a=1{}\0");
        assert_eq!(static_blocks(&bytes), Some(("SI.a=1".into(), "{}".into())));
        for at in 0..bytes.len() {
            for value in [0, 255] {
                let mut spoilt = bytes.clone();
                spoilt[at] = value;
                let _ = static_blocks(&spoilt);
                let _ = static_blocks(&spoilt[..at]);
            }
        }
    }
}
