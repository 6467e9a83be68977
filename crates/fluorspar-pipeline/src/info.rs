use std::path::{Path, PathBuf};

use fluorspar_movie::{Movie, MovieShape, PixelType};
use serde::Serialize;

use crate::artefact::{is_lowrank, read_lowrank_head};
use crate::error::Context;
use crate::{Error, source, strips};

/// What a movie file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MovieInfo {
    /// The file or folder.
    pub path: PathBuf,
    /// `"TIFF"`, `"Zarr"` or `"low-rank movie (Zarr)"`.
    pub format: String,
    /// Frames (t).
    pub frames: usize,
    /// Planes (z).
    pub planes: usize,
    /// Rows (y) in pixels.
    pub height: usize,
    /// Columns (x) in pixels.
    pub width: usize,
    /// Stored type of a pixel.
    pub pixel_type: String,
    /// Frames per second (Hz), if the file says.
    pub frame_rate: Option<f64>,
    /// Side of a pixel in µm, if the file says.
    pub pixel_size_um: Option<f64>,
    /// Compression of a TIFF's pages.
    pub codec: Option<String>,
    /// Dialect of a TIFF: who wrote it.
    pub dialect: Option<String>,
    /// How the pages of a TIFF were found: in one block, at equal distances
    /// or page by page.
    pub pages: Option<String>,
    /// Components of a low-rank movie.
    pub rank: Option<usize>,
    /// Channels and planes whose images follow each other as frames here.
    pub interleaved: Option<Interleaved>,
    /// Strips that a page holds, if it holds several regions.
    pub strips: Option<Strips>,
    /// Whether frames are lent from the file without a copy.
    pub zero_copy: bool,
    /// Size of the pixels when uncompressed, in bytes.
    pub bytes: u64,
    /// What a user should know before analysing it.
    pub advice: Vec<String>,
}

/// Channels and planes that a file holds image after image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interleaved {
    /// Frames (volumes) of each channel.
    pub frames: usize,
    /// Planes per volume.
    pub planes: usize,
    /// Channels.
    pub channels: usize,
    /// Whether the planes are light beads, in the order of their channels,
    /// not of their depth.
    pub light_beads: bool,
}

/// Several regions in one page, one below the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strips {
    /// Their number.
    pub count: usize,
    /// Lines between two of them during which the scanner flew on.
    pub flyback_lines: usize,
    /// Rows and columns of the images that they make up.
    pub fields: Vec<[usize; 2]>,
    /// Height and width of a pixel of each field in µm, if the scale is known.
    pub pixel_size_um: Vec<Option<[f64; 2]>>,
}

/// Describes one movie: a TIFF file, a folder of them, or a Zarr folder.
///
/// # Errors
/// [`Error::Stage`] or [`Error::BadData`] naming the file and what is wrong with it.
pub fn info(path: &Path) -> Result<MovieInfo, Error> {
    let files = source::find_files(&path.to_string_lossy(), Path::new(""))?;
    let mut out = if is_lowrank(&files[0]) {
        lowrank(path, &files[0])?
    } else if source::is_zarr(&files[0]) {
        zarr(path, &files[0])?
    } else {
        tiff(path, &files)?
    };
    let more = advice(&out);
    out.advice.extend(more);
    Ok(out)
}

fn of_movie(path: &Path, movie: &dyn Movie, format: &str) -> MovieInfo {
    let rate = movie.frame_rate();
    describe(path, movie.shape(), movie.pixel_type(), rate, format)
}

fn describe(
    path: &Path,
    shape: MovieShape,
    pixels: PixelType,
    frame_rate: Option<f64>,
    format: &str,
) -> MovieInfo {
    MovieInfo {
        path: path.to_path_buf(),
        format: format.into(),
        frames: shape.frames,
        planes: shape.planes,
        height: shape.height,
        width: shape.width,
        pixel_type: pixels.to_string(),
        frame_rate,
        pixel_size_um: None,
        codec: None,
        dialect: None,
        pages: None,
        rank: None,
        interleaved: None,
        strips: None,
        zero_copy: false,
        bytes: (shape.frames * shape.frame_len() * pixels.bytes()) as u64,
        advice: Vec::new(),
    }
}

fn lowrank(path: &Path, file: &Path) -> Result<MovieInfo, Error> {
    let head = read_lowrank_head(file)?;
    let [frames, planes, height, width] = head.shape;
    let shape = MovieShape::new(frames, planes, height, width);
    let pixels = PixelType::F32;
    let described = describe(
        path,
        shape,
        pixels,
        head.frame_rate,
        "low-rank movie (Zarr)",
    );
    Ok(MovieInfo {
        rank: Some(head.rank),
        advice: vec![
            "frames are U V + mean, made as they are read; `fluorspar convert` writes them out"
                .into(),
        ],
        ..described
    })
}

fn zarr(path: &Path, file: &Path) -> Result<MovieInfo, Error> {
    let movie = fluorspar_zarr::MovieReader::open(file).at("cannot open the movie")?;
    let size = movie.pixel_size();
    Ok(MovieInfo {
        pixel_size_um: size.filter(|size| size.y == size.x).map(|size| size.x),
        ..of_movie(path, &movie, "Zarr")
    })
}

fn tiff(path: &Path, files: &[PathBuf]) -> Result<MovieInfo, Error> {
    let movie = source::open_tiff(files, source::Part::default())?;
    let metadata = movie.metadata();
    let beads = metadata
        .scanimage
        .as_ref()
        .is_some_and(|settings| settings.stack == fluorspar_tiff::Stack::LightBeads);
    let shape = movie.shape();
    let page = [shape.height, shape.width];
    let settings = metadata.scanimage.as_ref();
    let layout = settings.map(|settings| strips::layout(settings, page, path));
    let mut remarks = Vec::new();
    let strips = match layout {
        Some(Ok(Some(layout))) => {
            let words = strips::in_words(&layout);
            remarks.push(format!("{words}; `fluorspar register` puts them together"));
            Some(Strips {
                count: layout.strips.len(),
                flyback_lines: layout.gap,
                fields: layout.fields,
                pixel_size_um: layout.pixel_size_um,
            })
        }
        Some(Err(error)) => {
            remarks.push(error.to_string());
            None
        }
        _ => None,
    };
    Ok(MovieInfo {
        strips,
        advice: remarks,
        pixel_size_um: metadata.pixel_size_um,
        codec: Some(movie.codec().to_owned()),
        dialect: Some(format!("{:?}", metadata.dialect)),
        pages: Some(movie.page_layout().to_owned()),
        interleaved: metadata.interleaving.map(|found| Interleaved {
            frames: found.frames,
            planes: found.planes,
            channels: found.channels,
            light_beads: beads,
        }),
        zero_copy: movie.is_zero_copy(),
        ..of_movie(path, &movie, "TIFF")
    })
}

fn advice(movie: &MovieInfo) -> Vec<String> {
    let mut out = Vec::new();
    if movie.frame_rate.is_none() {
        out.push("the file does not state its frame rate; set experiment.frame_rate".into());
    }
    if let Some(found) = &movie.interleaved {
        out.push(format!(
            "{} channels and {} planes follow each other as frames; `fluorspar convert --channel \
             0` writes the {} frames of one channel",
            found.channels, found.planes, found.frames
        ));
        let used = found.frames * found.planes * found.channels;
        if found.light_beads {
            out.push(
                "the planes are light beads in the order of their channels, not of their depth"
                    .into(),
            );
        } else if used < movie.frames {
            out.push(format!(
                "{} images are flyback or belong to a volume that is not whole",
                movie.frames - used
            ));
        }
    }
    if movie.codec.as_deref().is_some_and(|codec| codec != "none") {
        out.push("the pages are compressed: they are decoded in parallel, but not lent".into());
    }
    if movie.planes > 1 {
        out.push("`fluorspar run` takes movies of one plane".into());
    }
    out
}
