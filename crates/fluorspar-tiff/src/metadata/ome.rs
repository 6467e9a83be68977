//! OME-XML (Goldberg et al. 2005, Genome Biology 6:R47; schema 2016-06).

use roxmltree::{Document, Node, ParsingOptions};

use super::interleaving::{Axis, Interleaving};
use super::{Dialect, Metadata, square};

/// Most elements of a description that is read.
const NODES: u32 = 10_000_000;

/// The first image of an OME-XML description.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OmePixels {
    /// How images follow each other, such as `XYCZT`: fastest first.
    pub dimension_order: String,
    /// Planes.
    pub size_z: usize,
    /// Channels.
    pub size_c: usize,
    /// Frames.
    pub size_t: usize,
    /// Physical size of a pixel along y and x in µm.
    pub pixel_size_um: Option<[f64; 2]>,
    /// Distance of planes in µm.
    pub plane_distance_um: Option<f64>,
    /// Seconds from the first image, by `(frame, plane, channel)`, where the file says.
    pub times_s: Vec<([usize; 3], f64)>,
    /// The files of the set, where the image is stored in several, in the
    /// order of their images.
    pub files: Vec<OmeFile>,
    /// Identity of the file itself.
    pub uuid: Option<String>,
}

/// A file of a set, and which of the image's planes it begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OmeFile {
    /// Its name, beside the file that names it.
    pub name: String,
    /// Its identity, as in its own description.
    pub uuid: String,
    /// `(frame, plane, channel)` of the first image stored there.
    pub first: [usize; 3],
    /// Its page that holds this image.
    pub page: usize,
}

pub(super) fn metadata(text: &str, images: usize) -> Metadata {
    let mut out = Metadata {
        dialect: Dialect::Ome,
        ..Metadata::default()
    };
    // Document types are refused: no entities, no expansion.
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES,
        ..ParsingOptions::default()
    };
    let Ok(document) = Document::parse_with_options(text, options) else {
        return out;
    };
    let element = |name: &str| document.descendants().find(|n| n.tag_name().name() == name);
    let Some(node) = element("Pixels") else {
        return out;
    };
    let mut pixels = parse(&node);
    let root = document.root_element();
    pixels.uuid = root.attribute("UUID").map(|id| id.trim().to_owned());
    out.frame_rate = scaled(&node, "TimeIncrement", seconds)
        .filter(|s| *s > 0.0)
        .map(|s| 1.0 / s)
        .or_else(|| rate(&pixels.times_s));
    out.pixel_size_um = pixels.pixel_size_um.and_then(|[y, x]| square(y, x));
    out.channels = Some(pixels.size_c);
    out.planes = Some(pixels.size_z);
    out.interleaving = order(&pixels.dimension_order).and_then(|order| {
        Interleaving::nested(order, pixels.size_c, pixels.size_z, pixels.size_t, images)
    });
    out.ome = Some(pixels);
    out
}

fn parse(node: &Node<'_, '_>) -> OmePixels {
    let size = |name| number(node, name).unwrap_or(1).max(1);
    let um = |name| scaled(node, name, micrometres).filter(|v| *v > 0.0);
    let position =
        |n: &Node<'_, '_>, names: [&str; 3]| names.map(|name| number(n, name).unwrap_or(0));
    let mut files: Vec<OmeFile> = Vec::new();
    let mut times_s = Vec::new();
    for child in node.children().filter(Node::is_element) {
        match child.tag_name().name() {
            "TiffData" => {
                let id = child.children().find(|n| n.tag_name().name() == "UUID");
                if let Some(id) = id
                    && let Some(name) = id.attribute("FileName")
                    && !files.iter().any(|file| file.name == name)
                {
                    files.push(OmeFile {
                        name: name.to_owned(),
                        uuid: id.text().unwrap_or_default().trim().to_owned(),
                        first: position(&child, ["FirstT", "FirstZ", "FirstC"]),
                        page: number(&child, "IFD").unwrap_or(0),
                    });
                }
            }
            "Plane" => {
                if let Some(time) = scaled(&child, "DeltaT", seconds) {
                    times_s.push((position(&child, ["TheT", "TheZ", "TheC"]), time));
                }
            }
            _ => {}
        }
    }
    OmePixels {
        dimension_order: node
            .attribute("DimensionOrder")
            .unwrap_or("XYCZT")
            .to_owned(),
        size_z: size("SizeZ"),
        size_c: size("SizeC"),
        size_t: size("SizeT"),
        pixel_size_um: um("PhysicalSizeY")
            .zip(um("PhysicalSizeX"))
            .map(|(y, x)| [y, x]),
        plane_distance_um: um("PhysicalSizeZ"),
        times_s,
        files: in_order(files, node.attribute("DimensionOrder")),
        uuid: None,
    }
}

/// Files by the image they begin with, the slowest axis first.
fn in_order(mut files: Vec<OmeFile>, dimensions: Option<&str>) -> Vec<OmeFile> {
    let axes = dimensions
        .and_then(order)
        .unwrap_or([Axis::Plane, Axis::Channel, Axis::Frame]);
    files.sort_by_key(|file| {
        let [frame, plane, channel] = file.first;
        let position = |axis: Axis| match axis {
            Axis::Frame => frame,
            Axis::Plane => plane,
            Axis::Channel => channel,
        };
        [position(axes[2]), position(axes[1]), position(axes[0])]
    });
    files
}

fn number(node: &Node<'_, '_>, name: &str) -> Option<usize> {
    node.attribute(name)?.trim().parse().ok()
}

/// An attribute times the factor of its unit.
fn scaled(node: &Node<'_, '_>, name: &str, unit: fn(&str) -> Option<f64>) -> Option<f64> {
    let value: f64 = node.attribute(name)?.trim().parse().ok()?;
    let factor = match node.attribute(format!("{name}Unit").as_str()) {
        Some(name) => unit(name)?,
        None => 1.0,
    };
    Some(value * factor).filter(|v| v.is_finite())
}

/// The units of time of the schema that a movie may use, in seconds.
fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" | "us" => 1e-6,
        "ns" => 1e-9,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// The units of length of the schema that a microscope may use, in µm.
fn micrometres(unit: &str) -> Option<f64> {
    Some(match unit {
        "µm" | "um" => 1.0,
        "nm" => 1e-3,
        "mm" => 1e3,
        "cm" => 1e4,
        "m" => 1e6,
        "Å" => 1e-4,
        _ => return None,
    })
}

/// From `XYCZT` and its five relatives.
fn order(text: &str) -> Option<[Axis; 3]> {
    let axes = text.strip_prefix("XY")?;
    let axis = |letter: char| match letter {
        'C' => Some(Axis::Channel),
        'Z' => Some(Axis::Plane),
        'T' => Some(Axis::Frame),
        _ => None,
    };
    let axes: Vec<Axis> = axes.chars().map(axis).collect::<Option<_>>()?;
    let axes: [Axis; 3] = axes.try_into().ok()?;
    let distinct = axes[0] != axes[1] && axes[1] != axes[2] && axes[0] != axes[2];
    distinct.then_some(axes)
}

/// Frames per second from the times of the first plane and channel.
fn rate(times: &[([usize; 3], f64)]) -> Option<f64> {
    let first = |at: &&([usize; 3], f64)| at.0[1..] == [0, 0];
    let start = times.iter().filter(first).min_by_key(|at| at.0[0])?;
    let end = times.iter().filter(first).max_by_key(|at| at.0[0])?;
    let frames = end.0[0].checked_sub(start.0[0]).filter(|&n| n > 0)?;
    Some(frames as f64 / (end.1 - start.1)).filter(|rate| rate.is_finite() && *rate > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
        <Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="8" SizeY="9" SizeZ="3"
          SizeC="2" SizeT="4" PhysicalSizeX="650" PhysicalSizeXUnit="nm" PhysicalSizeY="0.65">
        <TiffData FirstT="0" FirstZ="0" FirstC="0" IFD="0" PlaneCount="12">
          <UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData>
        <TiffData FirstT="2" FirstZ="0" FirstC="0" IFD="0" PlaneCount="12">
          <UUID FileName="b.ome.tif">urn:uuid:2</UUID></TiffData>
        <Plane TheT="0" TheZ="0" TheC="0" DeltaT="0.5"/>
        <Plane TheT="3" TheZ="0" TheC="0" DeltaT="2000" DeltaTUnit="ms"/>
        </Pixels></Image></OME>"#;

    #[test]
    fn an_image_in_two_files_is_read() {
        let found = metadata(XML, 24);
        assert_eq!(found.frame_rate, Some(2.0));
        assert_eq!(found.pixel_size_um, Some(0.65));
        let pixels = found.ome.unwrap();
        assert_eq!((pixels.size_t, pixels.size_z, pixels.size_c), (4, 3, 2));
        assert_eq!(pixels.files.len(), 2);
        assert_eq!(pixels.files[1].name, "b.ome.tif");
        assert_eq!(pixels.files[1].first, [2, 0, 0]);
        let order = found.interleaving.unwrap();
        // Planes fastest, then channels.
        assert_eq!(order.image(0, 2, 0), Some(2));
        assert_eq!(order.image(0, 0, 1), Some(3));
        assert_eq!(order.image(1, 0, 0), Some(6));
    }

    #[test]
    fn hostile_xml_says_nothing() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY b "xxxxxxxxxx">]><OME><Pixels SizeT="&b;"/></OME>"#;
        for text in [
            bomb,
            "<OME",
            "<OME/>",
            "<OME><Pixels SizeT='-1' DimensionOrder='XYXYX'/></OME>",
        ] {
            let found = metadata(text, 5);
            assert_eq!((found.dialect, found.frame_rate), (Dialect::Ome, None));
            assert_eq!(found.interleaving, None);
        }
    }
}
