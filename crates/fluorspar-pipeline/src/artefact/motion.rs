use std::fmt::Write as _;
use std::path::Path;

use fluorspar_register::Motion;
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::{Array2, aview1};
use serde_json::json;

use super::{read_1d, read_2d};
use crate::error::Context;
use crate::{Error, disk};

/// Motion of one session as stored in `motion.zarr` (and, readable
/// everywhere, in `motion.csv`: `frame,dy,dx,quality`).
#[derive(Clone, Debug, PartialEq)]
pub struct MotionTable {
    /// Shift along y per frame in pixels; `registered[y, x] = raw[y + dy, x + dx]`.
    pub dy: Vec<f32>,
    /// Shift along x per frame in pixels.
    pub dx: Vec<f32>,
    /// How well each frame matched the reference, 0 to 1.
    pub quality: Vec<f32>,
    /// Frames whose shift should not be believed.
    pub untrusted: Vec<bool>,
    /// Mean of the registered, trusted frames, `(y, x)`.
    pub mean_image: Array2<f32>,
}

impl MotionTable {
    /// Reads `motion.zarr`.
    ///
    /// # Errors
    /// [`Error::Stage`] or [`Error::BadData`] naming the file and the array.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        Ok(Self {
            dy: read_1d(&group, "dy", path)?.to_vec(),
            dx: read_1d(&group, "dx", path)?.to_vec(),
            quality: read_1d(&group, "quality", path)?.to_vec(),
            untrusted: read_1d::<u8>(&group, "untrusted", path)?
                .mapv(|v| v != 0)
                .to_vec(),
            mean_image: read_2d(&group, "mean_image", path)?,
        })
    }
}

/// Writes `motion.csv`, `quality.json` and `motion.zarr` into `folder`.
pub(crate) fn write_motion(
    folder: &Path,
    motion: &Motion,
    reference: &Array2<f32>,
    saturated: u64,
) -> Result<(), Error> {
    let mut csv = String::from("frame,dy,dx,quality\n");
    for (frame, ((dy, dx), quality)) in motion
        .dy
        .iter()
        .zip(&motion.dx)
        .zip(&motion.quality)
        .enumerate()
    {
        // Writing to a String does not fail.
        let _ = writeln!(csv, "{frame},{dy},{dx},{quality}");
    }
    disk::write(&folder.join("motion.csv"), csv.as_bytes())?;
    let untrusted: Vec<u8> = motion.untrusted.iter().map(|&u| u8::from(u)).collect();
    let summary = json!({
        "frames": motion.dy.len(),
        "untrusted_frames": untrusted.iter().filter(|&&u| u != 0).count(),
        "nan_frames": motion.nan_frames,
        "saturated_samples_written": saturated,
    });
    let text = format!("{summary:#}\n");
    disk::write(&folder.join("quality.json"), text.as_bytes())?;
    let path = folder.join("motion.zarr");
    let place = path.display();
    let mut group = GroupWriter::create(&path).at(place.to_string())?;
    for (name, values) in [
        ("dy", &motion.dy),
        ("dx", &motion.dx),
        ("quality", &motion.quality),
    ] {
        group.array(name, &aview1(values), &["frame"]).at(&place)?;
    }
    group
        .array("untrusted", &aview1(&untrusted), &["frame"])
        .at(&place)?;
    group
        .array("mean_image", &motion.images.mean.view(), &["y", "x"])
        .at(&place)?;
    group
        .array("reference", &reference.view(), &["y", "x"])
        .at(&place)?;
    group.finish().at(&place)
}
