//! ImageJ's `key=value` lines.

use std::collections::BTreeMap;

use super::interleaving::{Axis, Interleaving};
use super::{Dialect, Metadata, positive};

fn keys(text: &str) -> BTreeMap<&str, &str> {
    text.split(['\n', '\r'])
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect()
}

/// How many images a description announces, if it is ImageJ's.
pub(crate) fn announced_images(text: &str) -> Option<usize> {
    let count = keys(text.strip_prefix("ImageJ=")?).get("images")?.parse();
    count.ok().filter(|&n| n > 0)
}

/// The values that ImageJ shows as black and white.
fn range(keys: &BTreeMap<&str, &str>) -> Option<[f64; 2]> {
    let end = |name: &str| keys.get(name)?.parse().ok().filter(|v: &f64| v.is_finite());
    end("min")
        .zip(end("max"))
        .map(|(black, white)| [black, white])
}

pub(super) fn metadata(text: &str, images: usize) -> Metadata {
    let keys = keys(text);
    let count = |name: &str| {
        keys.get(name)
            .and_then(|v| v.parse().ok())
            .filter(|&n| n > 0)
    };
    let interval = keys.get("finterval").and_then(|v| positive(v)).map(|v| {
        // `tunit` may say that the interval is not in seconds.
        match keys.get("tunit").map(|unit| unit.trim_matches('\\')) {
            Some("ms" | "msec") => v / 1000.0,
            Some("min") => v * 60.0,
            _ => v,
        }
    });
    let announced = announced_images(text);
    let all = announced.unwrap_or(images);
    let (channels, planes) = (count("channels"), count("slices"));
    let (c, z): (usize, usize) = (channels.unwrap_or(1), planes.unwrap_or(1));
    // A stack of slices alone is time to ImageJ's users more often than depth.
    let volumes = count("frames").is_some_and(|frames| frames > 1) || c > 1;
    let planes = planes.filter(|_| volumes);
    let frames = all.checked_div(c.saturating_mul(z)).unwrap_or(0).max(1);
    Metadata {
        dialect: Dialect::ImageJ,
        frame_rate: interval
            .map(|seconds| 1.0 / seconds)
            .or_else(|| keys.get("fps").and_then(|v| positive(v))),
        channels,
        planes,
        images: announced,
        display_range: range(&keys),
        interleaving: volumes
            .then(|| {
                let order = [Axis::Channel, Axis::Plane, Axis::Frame];
                Interleaving::nested(order, c, z, frames, all)
            })
            .flatten(),
        ..Metadata::default()
    }
}
