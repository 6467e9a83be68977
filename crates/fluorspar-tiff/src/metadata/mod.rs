//! What files say beside their pixels.

mod imagej;
mod interleaving;
mod micromanager;
mod ome;
mod scanimage;
mod time;

pub use interleaving::Interleaving;
pub use ome::{OmeFile, OmePixels};
pub use scanimage::{ScanImage, Stack};

pub(crate) use imagej::announced_images;
pub(crate) use scanimage::static_blocks;
pub(crate) use time::page_time;

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
    /// Micro-Manager.
    MicroManager,
    /// None that is known.
    #[default]
    Plain,
}

/// What a file says beside its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Which program's habits the file follows.
    pub dialect: Dialect,
    /// Frames per second (Hz) of one plane and channel: volumes per second
    /// where there are planes.
    pub frame_rate: Option<f64>,
    /// Side of a pixel in µm, where both sides are the same to 1 %.
    pub pixel_size_um: Option<f64>,
    /// Channels that were saved.
    pub channels: Option<usize>,
    /// Planes per volume.
    pub planes: Option<usize>,
    /// Number of images that an ImageJ description announces.
    pub images: Option<usize>,
    /// Pixel values that ImageJ shows as black and as white.
    pub display_range: Option<[f64; 2]>,
    /// How the images of channels and planes follow each other, if they do.
    pub interleaving: Option<Interleaving>,
    /// The program that wrote the file, or its settings.
    pub software: Option<String>,
    /// ScanImage's settings.
    pub scanimage: Option<ScanImage>,
    /// OME-XML's first image.
    pub ome: Option<OmePixels>,
}

/// The texts of a file's first page and header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    pub(crate) description: String,
    pub(crate) software: Option<String>,
    /// ScanImage's ROI groups as JSON.
    pub(crate) artist: Option<String>,
    /// ScanImage's settings in the header of its BigTIFF files, and the ROI groups.
    pub(crate) scanimage: Option<(String, String)>,
    /// Micro-Manager's JSON of the page.
    pub(crate) micromanager: Option<String>,
    /// The tags of resolution: pixels per centimetre along y and x.
    pub(crate) per_centimetre: Option<[f64; 2]>,
}

impl Metadata {
    /// From the texts of a file of `images` images.
    pub(crate) fn parse(texts: &Texts, images: usize) -> Self {
        let description = texts.description.as_str();
        let software = texts.software.as_deref().unwrap_or_default();
        let header = texts
            .scanimage
            .as_ref()
            .map_or("", |blocks| blocks.0.as_str());
        let mut out = if let Some(settings) =
            scanimage::parse(&[description, software, header], rois(texts))
        {
            scanimage::metadata(settings, images)
        } else if description.starts_with("ImageJ=") {
            imagej::metadata(description, images)
        } else if description.contains("<OME") {
            ome::metadata(description, images)
        } else {
            Self::default()
        };
        if let Some(json) = &texts.micromanager {
            micromanager::add(&mut out, json);
        }
        if out.pixel_size_um.is_none()
            && let Some([y, x]) = texts.per_centimetre
        {
            out.pixel_size_um = square(1e4 / y, 1e4 / x);
        }
        out.software.clone_from(&texts.software);
        out
    }
}

/// The JSON of ScanImage's ROI groups, wherever it stands.
fn rois(texts: &Texts) -> Option<&str> {
    let header = texts.scanimage.as_ref().map(|blocks| blocks.1.as_str());
    header
        .or(texts.artist.as_deref())
        .filter(|text| text.trim_start().starts_with('{'))
}

/// One side for pixels that are square to 1 %.
pub(crate) fn square(y: f64, x: f64) -> Option<f64> {
    let sound = y.is_finite() && x.is_finite() && y > 0.0 && x > 0.0;
    (sound && (y / x - 1.0).abs() < 0.01).then(|| f64::midpoint(y, x))
}

/// A finite number above 0.
fn positive(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|v: &f64| v.is_finite() && *v > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(description: &str, software: Option<&str>, images: usize) -> Metadata {
        let texts = Texts {
            description: description.into(),
            software: software.map(Into::into),
            ..Texts::default()
        };
        Metadata::parse(&texts, images)
    }

    #[test]
    fn frame_rates_of_three_dialects() {
        let si = "SI.hRoiManager.scanFrameRate = 30.0426\nSI.hChannels.channelSave = [1;2]";
        let metadata = parse("frameNumbers = 1", Some(si), 10);
        assert_eq!(metadata.dialect, Dialect::ScanImage);
        assert_eq!(metadata.frame_rate, Some(30.0426));
        assert_eq!(metadata.channels, Some(2));
        let ij = parse(
            "ImageJ=1.53t\nimages=200\nfinterval=0.05\nmin=-3.5\nmax=900\n",
            None,
            200,
        );
        assert_eq!(ij.display_range, Some([-3.5, 900.0]));
        assert_eq!(ij.frame_rate, Some(20.0));
        assert_eq!(ij.images, Some(200));
        let ome = parse(
            "<?xml version=\"1.0\"?><OME><Image><Pixels SizeZ=\"1\" SizeC=\"1\" SizeT=\"9\" \
             TimeIncrement=\"100\" TimeIncrementUnit=\"ms\"/></Image></OME>",
            None,
            9,
        );
        assert_eq!(ome.frame_rate, Some(10.0));
        assert_eq!(parse("hello", None, 1).dialect, Dialect::Plain);
        assert_eq!(parse("ImageJ=1\nfinterval=0\n", None, 1).frame_rate, None);
    }

    #[test]
    fn resolution_tags_give_the_pixel_size() {
        let with = |per_centimetre| {
            let texts = Texts {
                per_centimetre: Some(per_centimetre),
                ..Texts::default()
            };
            Metadata::parse(&texts, 1).pixel_size_um
        };
        assert_eq!(with([12_500.0, 12_500.0]), Some(0.8));
        assert_eq!(with([12_500.0, 10_000.0]), None);
        assert_eq!(with([0.0, 0.0]), None);
    }
}
