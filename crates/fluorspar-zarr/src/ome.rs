//! What OME-Zarr (0.4, 0.5; the axes of 0.3) says about an image, and how a
//! movie is described in its terms.

use serde_json::{Map, Value, json};

use crate::{PixelSize, WriteOptions};

/// The first image of a `multiscales` attribute.
#[derive(Debug)]
pub(crate) struct Multiscale {
    /// Path of the dataset of full resolution.
    pub(crate) dataset: Option<String>,
    pub(crate) axes: Option<Vec<Option<String>>>,
    units: Vec<Option<String>>,
    scale: Vec<f64>,
}

impl Multiscale {
    pub(crate) fn of(attributes: &Map<String, Value>) -> Option<Self> {
        let image = attributes
            .get("ome")
            .and_then(|ome| ome.get("multiscales"))
            .or_else(|| attributes.get("multiscales"))?
            .get(0)?;
        // The specification orders datasets from the largest to the smallest.
        let largest = image.get("datasets").and_then(|all| all.get(0));
        let axes = image.get("axes").and_then(Value::as_array);
        let text = |axis: &Value, key: &str| {
            let value = axis.get(key).and_then(Value::as_str);
            value.map(str::to_owned)
        };
        let own = scale(largest);
        let common = scale(Some(image));
        let scale = match (own.is_empty(), common.is_empty()) {
            (false, false) => own.iter().zip(&common).map(|(a, b)| a * b).collect(),
            (true, false) => common,
            _ => own,
        };
        Some(Self {
            dataset: largest.and_then(|largest| text(largest, "path")),
            // Version 0.3 lists names, later ones objects.
            axes: axes.map(|axes| {
                let name = |axis: &Value| {
                    let name = axis.as_str().map(str::to_owned);
                    name.or_else(|| text(axis, "name"))
                };
                axes.iter().map(name).collect()
            }),
            units: axes
                .into_iter()
                .flatten()
                .map(|axis| text(axis, "unit"))
                .collect(),
            scale,
        })
    }

    /// Step along an axis in `unit`s, which gives the factor of a unit's name.
    fn step(&self, axis: Option<usize>, unit: fn(&str) -> Option<f64>) -> Option<f64> {
        let axis = axis?;
        let factor = unit(self.units.get(axis)?.as_deref()?)?;
        let step = self.scale.get(axis)? * factor;
        (step.is_finite() && step > 0.0).then_some(step)
    }

    /// Frames per second, if the time axis has a unit and a scale.
    pub(crate) fn frame_rate(&self, time: Option<usize>) -> Option<f64> {
        let rate = 1.0 / self.step(time, seconds)?;
        rate.is_finite().then_some(rate)
    }

    /// Pixel size, if y and x have a unit and a scale. Axes: z, y, x.
    pub(crate) fn pixel_size(&self, axes: [Option<usize>; 3]) -> Option<PixelSize> {
        Some(PixelSize {
            z: self.step(axes[0], micrometres),
            y: self.step(axes[1], micrometres)?,
            x: self.step(axes[2], micrometres)?,
        })
    }
}

fn scale(node: Option<&Value>) -> Vec<f64> {
    let transformations = node.and_then(|node| node.get("coordinateTransformations"));
    let scale = transformations
        .and_then(Value::as_array)
        .and_then(|all| all.iter().find_map(|one| one.get("scale")?.as_array()));
    let steps = scale.into_iter().flatten();
    steps
        .map(|step| step.as_f64().unwrap_or(f64::NAN))
        .collect()
}

fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "second" | "s" => 1.0,
        "millisecond" | "ms" => 1e-3,
        "microsecond" | "us" | "µs" => 1e-6,
        "nanosecond" | "ns" => 1e-9,
        "minute" => 60.0,
        "hour" => 3600.0,
        _ => return None,
    })
}

fn micrometres(unit: &str) -> Option<f64> {
    Some(match unit {
        "micrometer" | "micron" | "um" | "µm" => 1.0,
        "angstrom" => 1e-4,
        "nanometer" | "nm" => 1e-3,
        "millimeter" | "mm" => 1e3,
        "centimeter" | "cm" => 1e4,
        "meter" | "m" => 1e6,
        _ => return None,
    })
}

/// The attributes of a group that holds one movie as array `0` with these axes.
pub(crate) fn attributes(axes: &[&str], options: &WriteOptions) -> Value {
    let size = options.pixel_size;
    let step = |axis: &str| match axis {
        "t" => options.frame_rate.map(|rate| 1.0 / rate),
        "z" => size.and_then(|size| size.z),
        "y" => size.map(|size| size.y),
        _ => size.map(|size| size.x),
    };
    let described: Vec<Value> = axes
        .iter()
        .map(|&axis| {
            let (kind, unit) = match axis {
                "t" => ("time", "second"),
                _ => ("space", "micrometer"),
            };
            match step(axis) {
                Some(_) => json!({"name": axis, "type": kind, "unit": unit}),
                None => json!({"name": axis, "type": kind}),
            }
        })
        .collect();
    let scale: Vec<f64> = axes.iter().map(|axis| step(axis).unwrap_or(1.0)).collect();
    json!({"ome": {
        "version": "0.5",
        "multiscales": [{
            "axes": described,
            "datasets": [{
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }],
        }],
    }})
}
