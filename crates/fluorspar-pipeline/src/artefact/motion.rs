use std::fmt::Write as _;
use std::path::Path;

use fluorspar_register::{
    Displacement, Field, Grid, Motion, PrincipalMotion, Quality, Registration,
};
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::{Array3, aview1};
use serde_json::{Map, Value, json};

use super::{read_1d, read_2d, read_attribute, read_planes};
use crate::error::Context;
use crate::{Error, disk};

/// Motion of one session as stored in `motion.zarr` (and, readable
/// everywhere, in `motion.csv`: `frame,dy,dx,quality`); of planes recorded
/// together the motion that they share.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionTable {
    /// Shift along y per frame in pixels; `registered[y, x] = raw[y + dy, x + dx]`.
    pub dy: Vec<f32>,
    /// Shift along x per frame in pixels.
    pub dx: Vec<f32>,
    /// How well each frame matched the reference, 0 to 1.
    pub quality: Vec<f32>,
    /// Frames whose own shift is not believed; they have that of the last frame before them
    /// whose is.
    pub untrusted: Vec<bool>,
    /// Mean of the registered, trusted frames, `(plane, y, x)`.
    pub mean_image: Array3<f32>,
}

impl MotionTable {
    /// Reads `motion.zarr`.
    ///
    /// # Errors
    /// [`Error::Stage`] or [`Error::BadData`] naming the file and the array.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        let named = group.names().at(path.display())?;
        let volumes = named.iter().any(|name| name == "shared_dy");
        let shift = |name: &str| {
            let name = if volumes {
                format!("shared_{name}")
            } else {
                name.to_owned()
            };
            read_1d(&group, &name, path).map(|values| values.to_vec())
        };
        let untrusted = if volumes {
            // A volume of which a plane can be believed is not lost.
            let all = read_2d::<u8>(&group, "untrusted", path)?;
            let columns = all.columns().into_iter();
            columns
                .map(|planes| planes.iter().all(|&v| v != 0))
                .collect()
        } else {
            let all = read_1d::<u8>(&group, "untrusted", path)?;
            all.iter().map(|&v| v != 0).collect()
        };
        Ok(Self {
            dy: shift("dy")?,
            dx: shift("dx")?,
            quality: shift("quality")?,
            untrusted,
            mean_image: read_planes(&group, "mean_image", path)?,
        })
    }
}

/// Reads all of `motion.zarr` that moving a movie again needs.
pub(crate) fn read_motion(path: &Path) -> Result<Motion, Error> {
    let table = MotionTable::read(path)?;
    let group = GroupReader::open(path).at(path.display())?;
    let reference = read_2d::<f32>(&group, "reference", path)?;
    let (height, width) = reference.dim();
    let frames = table.dy.len();
    let named = group.names().at(path.display())?;
    let field = if named.iter().any(|name| name == "field") {
        let tile = read_attribute(&group, "tile", path)?;
        let grid = Grid::new(height, width, tile.max(1.0) as usize);
        let nodes = group.array::<f32>("field").at(path.display())?;
        let expected = [frames, 2, grid.dim().0, grid.dim().1];
        if nodes.shape() != expected {
            return Err(Error::bad_data(
                path,
                format!(
                    "the array \"field\" is {:?}, not {expected:?}",
                    nodes.shape()
                ),
            ));
        }
        let nodes = nodes
            .into_dimensionality()
            .map_err(|_| Error::bad_data(path, "the array \"field\" must have four axes"))?;
        Some(Field { grid, nodes })
    } else {
        None
    };
    for (name, length) in [
        ("dx", table.dx.len()),
        ("quality", table.quality.len()),
        ("untrusted", table.untrusted.len()),
    ] {
        if length != frames {
            return Err(Error::bad_data(
                path,
                format!("the array {name:?} has {length} values, but \"dy\" has {frames}"),
            ));
        }
    }
    Ok(Motion {
        dy: table.dy,
        dx: table.dx,
        quality: table.quality,
        untrusted: table.untrusted,
        field,
        line_offset: read_attribute(&group, "line_offset", path)? as i32,
        reference,
    })
}

/// What principal components say, in the words of `quality.json`.
fn principal_motion(found: &PrincipalMotion) -> Value {
    let displacement = |d: &Displacement| {
        json!({
            "dy_px": d.dy,
            "dx_px": d.dx,
            "parts_mean_px": d.parts_mean,
            "parts_max_px": d.parts_max,
        })
    };
    let components: Vec<Value> = found
        .components
        .iter()
        .map(|component| {
            let mut out = displacement(&component.displacement);
            out["variance_share"] = component.share.into();
            out
        })
        .collect();
    json!({
        "frames": found.frames,
        "largest_px": found.largest(),
        "largest_parts_px": found.largest_parts(),
        "by_chance": displacement(&found.by_chance),
        "components": components,
    })
}

/// What `quality.json` says of one plane.
pub(super) fn summarise(registration: &Registration, quality: &Quality) -> Map<String, Value> {
    let untrusted = &registration.motion.untrusted;
    let fields = [
        ("frames", json!(untrusted.len())),
        (
            "untrusted_frames",
            json!(untrusted.iter().filter(|&&u| u).count()),
        ),
        ("median_correlation", json!(quality.median_correlation)),
        ("largest_shift_px", json!(quality.largest_shift)),
        ("median_step_px", json!(quality.median_step)),
        ("residual_median_px", json!(quality.residual_median)),
        ("residual_p95_px", json!(quality.residual_p95)),
        ("crispness", json!(quality.crispness)),
        ("line_jitter_px", json!(quality.line_jitter)),
        ("line_jitter_noise_px", json!(quality.line_noise)),
        (
            "principal_motion",
            json!(quality.principal.as_ref().map(principal_motion)),
        ),
        ("nan_frames", json!(registration.nan_frames)),
        ("saturated_samples_written", json!(registration.saturated)),
    ];
    let named = fields.map(|(name, value)| (name.to_owned(), value));
    named.into_iter().collect()
}

/// Writes `motion.csv`, `quality.json` and `motion.zarr` into `folder`.
pub(crate) fn write_motion(
    folder: &Path,
    registration: &Registration,
    quality: &Quality,
    tile: usize,
) -> Result<(), Error> {
    let motion = &registration.motion;
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
    let mut summary = summarise(registration, quality);
    summary.insert("verdict".into(), quality.verdict().into());
    summary.insert("line_offset_px".into(), motion.line_offset.into());
    let text = format!("{:#}\n", Value::Object(summary));
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
    if let Some(Field { grid, nodes }) = &motion.field {
        let axes = ["frame", "component", "node_y", "node_x"];
        group.array("field", &nodes.view(), &axes).at(&place)?;
        for (name, axis, values) in [
            ("node_y", "node_y", grid.y()),
            ("node_x", "node_x", grid.x()),
        ] {
            group.array(name, &aview1(&values), &[axis]).at(&place)?;
        }
        group.attribute("tile", Value::from(tile)).at(&place)?;
    }
    let images = &registration.images;
    for (name, image) in [
        ("mean_image", &images.mean),
        ("max_image", &images.max),
        ("standard_deviation_image", &images.standard_deviation),
        ("local_correlation_image", &images.local_correlation),
        ("reference", &motion.reference),
    ] {
        group.array(name, &image.view(), &["y", "x"]).at(&place)?;
    }
    group
        .attribute("line_offset", Value::from(motion.line_offset))
        .at(&place)?;
    group.finish().at(&place)
}
