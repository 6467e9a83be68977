use std::collections::BTreeMap;

/// Which program's habits a file follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// ScanImage (two-photon acquisition).
    ScanImage,
    /// ImageJ or Fiji.
    ImageJ,
    /// OME-TIFF.
    Ome,
    /// None that is known.
    #[default]
    Plain,
}

/// What a file says beside its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Which program's habits the file follows.
    pub dialect: Dialect,
    /// Frames per second (Hz).
    pub frame_rate: Option<f64>,
    /// Channels that were saved. Their frames follow each other in the file
    /// and are not separated here.
    pub channels: Option<usize>,
    /// Planes per volume. Their frames follow each other in the file and are
    /// not separated here.
    pub planes: Option<usize>,
    /// Number of images that an ImageJ description announces.
    pub images: Option<usize>,
    /// The program that wrote the file, or its settings.
    pub software: Option<String>,
}

impl Metadata {
    pub(crate) fn parse(description: &str, software: Option<String>) -> Self {
        let program = software.as_deref().unwrap_or_default();
        let mut out = if description.contains("SI.") || program.contains("SI.") {
            scanimage(&format!("{description}\n{program}"))
        } else if description.starts_with("ImageJ=") {
            imagej(description)
        } else if description.contains("<OME") {
            ome(description)
        } else {
            Self::default()
        };
        out.software = software;
        out
    }
}

fn positive(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|v: &f64| v.is_finite() && *v > 0.0)
}

/// `key = value` lines.
fn assignments(text: &str) -> BTreeMap<&str, &str> {
    text.split(['\n', '\r'])
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect()
}

fn scanimage(text: &str) -> Metadata {
    let keys = assignments(text);
    let get = |name: &str| {
        // Old versions write `scanimage.SI.…`, some `SI5.…`.
        keys.iter()
            .find(|(key, _)| key.ends_with(name))
            .map(|(_, value)| *value)
    };
    let list = |value: &str| {
        value
            .trim_matches(['[', ']'])
            .split([' ', ';', ','])
            .filter(|item| !item.is_empty())
            .count()
    };
    Metadata {
        dialect: Dialect::ScanImage,
        frame_rate: get("hRoiManager.scanFrameRate").and_then(positive),
        channels: get("hChannels.channelSave").map(list).filter(|&n| n > 0),
        planes: get("hStackManager.numSlices")
            .or_else(|| get("hFastZ.numFramesPerVolume"))
            .and_then(|value| value.parse().ok())
            .filter(|&n| n > 0),
        ..Metadata::default()
    }
}

fn imagej(text: &str) -> Metadata {
    let keys = assignments(text);
    let count = |name: &str| keys.get(name).and_then(|v| v.parse().ok());
    let interval = keys.get("finterval").and_then(|v| positive(v)).map(|v| {
        // `tunit` may say that the interval is not in seconds.
        match keys.get("tunit").map(|unit| unit.trim_matches('\\')) {
            Some("ms" | "msec") => v / 1000.0,
            Some("min") => v * 60.0,
            _ => v,
        }
    });
    Metadata {
        dialect: Dialect::ImageJ,
        frame_rate: interval
            .map(|seconds| 1.0 / seconds)
            .or_else(|| keys.get("fps").and_then(|v| positive(v))),
        channels: count("channels"),
        planes: count("slices"),
        images: count("images"),
        ..Metadata::default()
    }
}

fn ome(text: &str) -> Metadata {
    let attribute = |name: &str| {
        let start = text.find(&format!(" {name}=\""))? + name.len() + 3;
        let rest = text.get(start..)?;
        rest.get(..rest.find('"')?)
    };
    let seconds = attribute("TimeIncrement").and_then(positive).map(|v| {
        match attribute("TimeIncrementUnit") {
            Some("ms") => v / 1000.0,
            Some("µs") => v / 1e6,
            Some("min") => v * 60.0,
            _ => v,
        }
    });
    Metadata {
        dialect: Dialect::Ome,
        frame_rate: seconds.map(|s| 1.0 / s),
        channels: attribute("SizeC").and_then(|v| v.parse().ok()),
        planes: attribute("SizeZ").and_then(|v| v.parse().ok()),
        ..Metadata::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_of_three_dialects() {
        let si = "SI.hRoiManager.scanFrameRate = 30.0426\nSI.hChannels.channelSave = [1;2]";
        let metadata = Metadata::parse("frameNumbers = 1", Some(si.into()));
        assert_eq!(metadata.dialect, Dialect::ScanImage);
        assert_eq!(metadata.frame_rate, Some(30.0426));
        assert_eq!(metadata.channels, Some(2));
        let ij = Metadata::parse("ImageJ=1.53t\nimages=200\nfinterval=0.05\n", None);
        assert_eq!(ij.frame_rate, Some(20.0));
        assert_eq!(ij.images, Some(200));
        let ome = Metadata::parse(
            "<?xml?><OME><Pixels SizeZ=\"1\" TimeIncrement=\"100\" TimeIncrementUnit=\"ms\"/></OME>",
            None,
        );
        assert_eq!(ome.frame_rate, Some(10.0));
        assert_eq!(Metadata::parse("hello", None).dialect, Dialect::Plain);
        assert_eq!(
            Metadata::parse("ImageJ=1\nfinterval=0\n", None).frame_rate,
            None
        );
    }
}
