//! What a writer says of a movie, in the words of four kinds of readers.

use fluorspar_movie::{MovieShape, PixelType};

use crate::{Dialect, WriterOptions};

/// The description of page `page`; empty where there is nothing to say.
pub(crate) fn description(
    shape: MovieShape,
    pixel_type: PixelType,
    options: &WriterOptions,
    page: usize,
) -> String {
    match options.dialect {
        Dialect::ScanImage => scanimage(shape, options, page),
        Dialect::ImageJ if page == 0 => imagej(shape, options),
        Dialect::Ome if page == 0 => ome(shape, pixel_type, options),
        _ => String::new(),
    }
}

fn scanimage(shape: MovieShape, options: &WriterOptions, page: usize) -> String {
    // A slice takes its share of the time of a volume.
    let time = options
        .frame_rate
        .map_or(0.0, |rate| page as f64 / (rate * shape.planes as f64));
    let number = page + 1;
    format!("frameNumbers = {number}\nframeTimestamps_sec = {time:.6}\n")
}

/// What ScanImage says of itself once, on the first page; empty for others.
pub(crate) fn software(shape: MovieShape, options: &WriterOptions, page: usize) -> String {
    if options.dialect != Dialect::ScanImage || page > 0 {
        return String::new();
    }
    let mut lines = vec!["SI.hChannels.channelSave = 1".to_owned()];
    if let Some(rate) = options.frame_rate {
        let slices = rate * shape.planes as f64;
        lines.push(format!("SI.hRoiManager.scanFrameRate = {slices}"));
        lines.push(format!("SI.hRoiManager.scanVolumeRate = {rate}"));
    }
    if shape.planes > 1 {
        lines.push("SI.hStackManager.enable = true".into());
        lines.push("SI.hStackManager.framesPerSlice = 1".into());
        lines.push(format!("SI.hStackManager.numSlices = {}", shape.planes));
        lines.push("SI.hFastZ.enable = true".into());
        lines.push(format!("SI.hFastZ.numFramesPerVolume = {}", shape.planes));
    }
    lines.join("\n") + "\n"
}

fn imagej(shape: MovieShape, options: &WriterOptions) -> String {
    let mut lines = vec!["ImageJ=1.54f".to_owned()];
    // ImageJ takes the pixels of stacks with a number of images to lie in one
    // block, which compressed pages do not.
    if announces_images(options) {
        lines.push(format!("images={}", shape.frames * shape.planes));
    }
    if shape.planes > 1 {
        lines.push(format!("slices={}", shape.planes));
    }
    lines.push(format!("frames={}", shape.frames));
    if shape.planes > 1 {
        lines.push("hyperstack=true".into());
    }
    if let Some(rate) = options.frame_rate {
        lines.push(format!("finterval={}", 1.0 / rate));
    }
    lines.push("loop=false".into());
    lines.join("\n") + "\n"
}

/// Whether the description tells ImageJ that all pixels lie in one block.
pub(crate) fn announces_images(options: &WriterOptions) -> bool {
    options.dialect == Dialect::ImageJ && options.compression == crate::Compression::None
}

/// OME-XML of the 2016-06 schema (Goldberg et al. 2005, Genome Biology 6:R47).
fn ome(shape: MovieShape, pixel_type: PixelType, options: &WriterOptions) -> String {
    let kind = match pixel_type {
        PixelType::F32 => "float".to_owned(),
        PixelType::F64 => "double".to_owned(),
        other => other.to_string(),
    };
    let size = options.pixel_size_um.map_or(String::new(), |size| {
        format!(
            " PhysicalSizeX=\"{size}\" PhysicalSizeXUnit=\"µm\" PhysicalSizeY=\"{size}\" \
             PhysicalSizeYUnit=\"µm\""
        )
    });
    let time = options.frame_rate.map_or(String::new(), |rate| {
        format!(" TimeIncrement=\"{}\" TimeIncrementUnit=\"s\"", 1.0 / rate)
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"http://www.openmicroscopy.org/Schemas/OME/2016-06 \
         http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd\">\
         <Image ID=\"Image:0\"><Pixels ID=\"Pixels:0\" DimensionOrder=\"XYZCT\" Type=\"{kind}\" \
         SizeX=\"{}\" SizeY=\"{}\" SizeZ=\"{}\" SizeC=\"1\" SizeT=\"{}\" BigEndian=\"{}\"{size}{time}>\
         <Channel ID=\"Channel:0:0\" SamplesPerPixel=\"1\"/><TiffData/></Pixels></Image></OME>",
        shape.width,
        shape.height,
        shape.planes,
        shape.frames,
        cfg!(target_endian = "big"),
    )
}
