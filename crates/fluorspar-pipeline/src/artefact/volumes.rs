use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use fluorspar_register::{Motion, Registration, Shift, VolumeQuality, VolumeRegistration};
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::{Array2, Array3, Axis, aview1};
use serde_json::{Map, Value, json};

use super::motion::summarise;
use super::{read_2d, read_3d, read_attribute, read_motion};
use crate::error::Context;
use crate::{Error, disk};

/// A registered movie of planes and what is known of them.
pub(crate) struct RegisteredVolumes {
    pub(crate) registration: VolumeRegistration,
    pub(crate) quality: VolumeQuality,
    /// How much each plane has to say, at most 1.
    pub(crate) weights: Vec<f32>,
    /// Standard error of each plane's own peak, pixels; may be infinite.
    pub(crate) own_errors: Vec<f32>,
    /// Standard deviation of the last plane's shift beside the first's, pixels
    /// along y and x.
    pub(crate) shear: (f32, f32),
    /// Standard deviation of planes besides, pixels along y and x.
    pub(crate) spread: (f32, f32),
    /// Where the mean of each plane lies beside that of the first.
    pub(crate) offsets: Vec<Shift>,
    /// Between planes, µm.
    pub(crate) spacing_um: Option<f64>,
}

/// Reads all of `motion.zarr` that moving a movie again needs: one motion per plane.
pub(crate) fn read_motions(path: &Path) -> Result<Vec<Motion>, Error> {
    let group = GroupReader::open(path).at(path.display())?;
    if group.array::<f32>("dy").at(path.display())?.ndim() == 1 {
        return Ok(vec![read_motion(path)?]);
    }
    let dy = read_2d::<f32>(&group, "dy", path)?;
    let dx = read_2d::<f32>(&group, "dx", path)?;
    let quality = read_2d::<f32>(&group, "quality", path)?;
    let untrusted = read_2d::<u8>(&group, "untrusted", path)?;
    let reference = read_3d::<f32>(&group, "reference", path)?;
    let line_offset = read_attribute(&group, "line_offset", path)? as i32;
    for (name, size) in [
        ("dx", dx.dim()),
        ("quality", quality.dim()),
        ("untrusted", untrusted.dim()),
        ("reference", (reference.len_of(Axis(0)), dy.ncols())),
    ] {
        if size != dy.dim() {
            let message = format!(
                "the array {name:?} is of {} planes and {} frames, but \"dy\" of {} and {}",
                size.0,
                size.1,
                dy.nrows(),
                dy.ncols()
            );
            return Err(Error::bad_data(path, message));
        }
    }
    let motions = (0..dy.nrows()).map(|plane| Motion {
        dy: dy.row(plane).to_vec(),
        dx: dx.row(plane).to_vec(),
        quality: quality.row(plane).to_vec(),
        untrusted: untrusted.row(plane).iter().map(|&u| u != 0).collect(),
        field: None,
        line_offset,
        reference: reference.index_axis(Axis(0), plane).to_owned(),
    });
    Ok(motions.collect())
}

/// Writes `motion.csv`, `quality.json` and `motion.zarr` of a movie of planes
/// into `folder`.
pub(crate) fn write_volume_motion(
    folder: &Path,
    registered: &RegisteredVolumes,
) -> Result<(), Error> {
    let planes = &registered.registration.planes;
    let frames = registered.registration.shared.len();
    let mut csv = String::from("frame,plane,dy,dx,quality\n");
    for frame in 0..frames {
        for (plane, registration) in planes.iter().enumerate() {
            let motion = &registration.motion;
            let (dy, dx, quality) = (motion.dy[frame], motion.dx[frame], motion.quality[frame]);
            // Writing to a String does not fail.
            let _ = writeln!(csv, "{frame},{plane},{dy},{dx},{quality}");
        }
    }
    disk::write(&folder.join("motion.csv"), csv.as_bytes())?;
    let text = format!("{:#}\n", Value::Object(summary(registered)));
    disk::write(&folder.join("quality.json"), text.as_bytes())?;
    write_arrays(&folder.join("motion.zarr"), registered)
}

/// `quality.json`: all planes together, then each.
fn summary(registered: &RegisteredVolumes) -> Map<String, Value> {
    let RegisteredVolumes {
        registration,
        quality,
        ..
    } = registered;
    let together = &quality.together;
    let drift: Vec<Value> = registration
        .drift
        .iter()
        .map(|drift| {
            json!({
                "first_frame": drift.frames.start,
                "end_frame": drift.frames.end,
                "planes": drift.z,
                "um": registered.spacing_um.map(|um| um * f64::from(drift.z)),
            })
        })
        .collect();
    let planes = registration.planes.iter().zip(&quality.planes).enumerate();
    let planes: Vec<Value> = planes
        .map(|(plane, (registration, quality))| {
            let mut fields = summarise(registration, quality);
            let offset = registered.offsets[plane];
            // JSON knows no infinity; a plane that cannot be located has null.
            let own = registered.own_errors[plane];
            for (name, value) in [
                ("plane", json!(plane)),
                ("weight", json!(registered.weights[plane])),
                ("own_error_px", json!(own.is_finite().then_some(own))),
                ("offset_y_px", json!(offset.dy)),
                ("offset_x_px", json!(offset.dx)),
                ("offset_correlation", json!(offset.quality)),
            ] {
                fields.insert(name.into(), value);
            }
            Value::Object(fields)
        })
        .collect();
    let line_offset = registration.planes.first().map(|p| p.motion.line_offset);
    let fields = [
        ("verdict", json!(together.verdict())),
        ("frames", json!(registration.shared.len())),
        ("untrusted_share", json!(together.untrusted_share)),
        ("median_correlation", json!(together.median_correlation)),
        ("largest_shift_px", json!(together.largest_shift)),
        ("median_step_px", json!(together.median_step)),
        ("residual_median_px", json!(together.residual_median)),
        ("residual_p95_px", json!(together.residual_p95)),
        ("crispness", json!(together.crispness)),
        ("line_offset_px", json!(line_offset)),
        ("shear_y_px", json!(registered.shear.0)),
        ("shear_x_px", json!(registered.shear.1)),
        ("spread_y_px", json!(registered.spread.0)),
        ("spread_x_px", json!(registered.spread.1)),
        ("plane_spacing_um", json!(registered.spacing_um)),
        ("depth", Value::Array(drift)),
        ("planes", Value::Array(planes)),
    ];
    let named = fields.map(|(name, value)| (name.to_owned(), value));
    named.into_iter().collect()
}

/// One of the images of a plane.
type Picture = fn(&Registration) -> &Array2<f32>;

fn write_arrays(path: &Path, registered: &RegisteredVolumes) -> Result<(), Error> {
    let place = path.display();
    let registration = &registered.registration;
    let planes = &registration.planes;
    let frames = registration.shared.len();
    let mut group = GroupWriter::create(path).at(place.to_string())?;
    let per_frame = |pick: fn(&Motion) -> &Vec<f32>| {
        Array2::from_shape_fn((planes.len(), frames), |(plane, frame)| {
            pick(&planes[plane].motion)[frame]
        })
    };
    for (name, values) in [
        ("dy", per_frame(|m| &m.dy)),
        ("dx", per_frame(|m| &m.dx)),
        ("quality", per_frame(|m| &m.quality)),
    ] {
        group.array(name, &values, &["plane", "frame"]).at(&place)?;
    }
    let untrusted = Array2::from_shape_fn((planes.len(), frames), |(plane, frame)| {
        u8::from(planes[plane].motion.untrusted[frame])
    });
    group
        .array("untrusted", &untrusted, &["plane", "frame"])
        .at(&place)?;
    let shared =
        |pick: fn(&Shift) -> f32| -> Vec<f32> { registration.shared.iter().map(pick).collect() };
    let offset =
        |pick: fn(&Shift) -> f32| -> Vec<f32> { registered.offsets.iter().map(pick).collect() };
    for (name, axis, values) in [
        ("shared_dy", "frame", shared(|s| s.dy)),
        ("shared_dx", "frame", shared(|s| s.dx)),
        ("shared_quality", "frame", shared(|s| s.quality)),
        ("offset_dy", "plane", offset(|s| s.dy)),
        ("offset_dx", "plane", offset(|s| s.dx)),
        ("offset_quality", "plane", offset(|s| s.quality)),
        ("weight", "plane", registered.weights.clone()),
        ("own_error", "plane", registered.own_errors.clone()),
    ] {
        group.array(name, &aview1(&values), &[axis]).at(&place)?;
    }
    let drift = &registration.drift;
    if !drift.is_empty() {
        let depth: Vec<f32> = drift.iter().map(|drift| drift.z).collect();
        let axes = ["stretch"];
        group.array("depth", &aview1(&depth), &axes).at(&place)?;
        for (name, first) in [("depth_first_frame", true), ("depth_end_frame", false)] {
            let end = |frames: &Range<usize>| if first { frames.start } else { frames.end };
            let frames: Vec<u32> = drift
                .iter()
                .map(|drift| u32::try_from(end(&drift.frames)).unwrap_or(u32::MAX))
                .collect();
            group.array(name, &aview1(&frames), &axes).at(&place)?;
        }
    }
    let axes = ["plane", "y", "x"];
    let pictures: [(&str, Picture); 5] = [
        ("mean_image", |plane| &plane.images.mean),
        ("max_image", |plane| &plane.images.max),
        ("standard_deviation_image", |plane| {
            &plane.images.standard_deviation
        }),
        ("local_correlation_image", |plane| {
            &plane.images.local_correlation
        }),
        ("reference", |plane| &plane.motion.reference),
    ];
    for (name, pick) in pictures {
        let values = stack(planes.iter().map(pick));
        group.array(name, &values, &axes).at(&place)?;
    }
    let line_offset = planes.first().map_or(0, |p| p.motion.line_offset);
    for (name, value) in [
        ("line_offset", json!(line_offset)),
        ("shear_y", json!(registered.shear.0)),
        ("shear_x", json!(registered.shear.1)),
        ("spread_y", json!(registered.spread.0)),
        ("spread_x", json!(registered.spread.1)),
    ] {
        group.attribute(name, value).at(&place)?;
    }
    if let Some(spacing) = registered.spacing_um {
        group
            .attribute("plane_spacing_um", json!(spacing))
            .at(&place)?;
    }
    group.finish().at(&place)
}

/// Images of one size above each other, `(plane, y, x)`.
fn stack<'a>(images: impl ExactSizeIterator<Item = &'a Array2<f32>> + Clone) -> Array3<f32> {
    let (height, width) = images.clone().next().map_or((0, 0), Array2::dim);
    let mut out = Array3::zeros((images.len(), height, width));
    for (mut slot, image) in out.outer_iter_mut().zip(images) {
        slot.assign(image);
    }
    out
}
